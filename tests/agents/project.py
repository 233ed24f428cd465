"""The project that the agents work on: a small Python package's worth of code, its tests, a git repository.

Its ``conftest.py`` leaves the truth: every test session writes a marker, outside of the project, with its exit
status and the number of tests. What ran is known from these files, never from what an agent printed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

CALC_GOOD = '''"""Arithmetic for the till."""


def add(a: int, b: int) -> int:
    """The sum."""
    return a + b


def total(amounts: list[int]) -> int:
    """The sum of all."""
    result = 0
    for amount in amounts:
        result = add(result, amount)
    return result
'''
LINE_GOOD = "    return a + b"
LINE_BAD = "    return a - b"
CALC_BAD = CALC_GOOD.replace(LINE_GOOD, LINE_BAD)

TESTS = """from calc import add, total


def test_add() -> None:
    assert add(2, 3) == 5


def test_add_zero() -> None:
    assert add(7, 0) == 7


def test_total() -> None:
    assert total([1, 2, 3]) == 6
"""

TEST_SLOW = """import time
from pathlib import Path


def test_slow() -> None:
    for _ in range(1200):
        if Path({release!r}).exists():
            return
        time.sleep(0.05)
    raise AssertionError("never released")
"""

CONFTEST = """import json
import os
import time
from pathlib import Path

TRUTH = Path({truth!r})


def pytest_sessionfinish(session, exitstatus) -> None:
    marker = {{"exit": int(exitstatus), "tests": session.testscollected, "pid": os.getpid()}}
    name = f"run-{{time.monotonic_ns()}}-{{os.getpid()}}"
    (TRUTH / (name + ".part")).write_text(json.dumps(marker))
    (TRUTH / (name + ".part")).rename(TRUTH / (name + ".json"))
"""

MAKEFILE = "check:\n\tpython -m pytest -q\n"
RELEASE = "go"


class Run(NamedTuple):
    """A test session that really was."""

    exit: int
    tests: int
    pid: int


class Project(NamedTuple):
    """Where the agent works, its home, and where the truth is written."""

    root: Path
    home: Path
    truth: Path

    def runs(self) -> tuple[Run, ...]:
        """The test sessions that came to an end so far, in order."""
        markers = sorted(self.truth.glob("run-*.json"), key=lambda path: int(path.name.split("-")[1]))
        return tuple(Run(**json.loads(marker.read_text())) for marker in markers)


def environment(home: Path) -> dict[str, str]:
    """A plain environment with ``python`` and ``pytest`` on PATH, and nothing of the caller's."""
    tools = Path(sys.executable).parent
    return {
        "PATH": f"{tools}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "TERM": "dumb",
        "USER": "agent",
        "SHELL": "/bin/bash",
        # the caller's pytest plugins are none of the project's business
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }


def make(folder: Path, *, broken: bool, slow: bool = False) -> Project:
    """The project in ``folder``. ``broken``: a test fails. ``slow``: a test waits for RELEASE in the truth."""
    project = Project(folder / "project", folder / "home", folder / "truth")
    for path in project:
        path.mkdir(parents=True)
    files = {
        "calc.py": CALC_BAD if broken else CALC_GOOD,
        "test_calc.py": TESTS,
        "conftest.py": CONFTEST.format(truth=str(project.truth)),
        "Makefile": MAKEFILE,
        "README.md": "# till\n\nRun the tests with `python -m pytest`.\n",
        ".gitignore": "__pycache__/\n.pytest_cache/\n*.log\n.aider*\n",
    }
    if slow:
        files["test_slow.py"] = TEST_SLOW.format(release=str(project.truth / RELEASE))
    written = time.time() - 3600
    for name, content in files.items():
        (project.root / name).write_text(content)
        # Python takes a compiled file for fresh when time (s) and size of its source agree: an edit must not come
        # in the very second of the file that it edits.
        os.utime(project.root / name, (written, written))
    git = ["git", "-C", str(project.root), "-c", "init.defaultBranch=main"]
    for arguments in (
        ["init", "-q"],
        ["config", "user.name", "A. Developer"],
        ["config", "user.email", "dev@localhost"],
        ["add", "."],
        ["commit", "-q", "-m", "The till"],
    ):
        subprocess.run([*git, *arguments], check=True, env=environment(project.home), timeout=60)
    return project
