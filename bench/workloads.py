"""The work that the overhead benchmark traces: each prepared in a folder, each one command line.

All of it is real work of the kind a coding agent causes. Sizes are chosen so that one run takes one to a few
seconds of CPU, enough for the clock and short enough for many interleaved runs.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import NamedTuple

from bench._model import CALLS as NUMBER
from bench._model import calls_script, model, session_script
from tests.agents.clients.store import ensure, prefix_of

Words = tuple[str, ...]


def _alone(_folder: Path) -> AbstractContextManager[Words]:
    return nullcontext(())


class Workload(NamedTuple):
    """``prepare(folder)`` makes what ``argv`` (run in that folder) needs; the same for every arm and run.

    ``around(folder)`` is what must be there while it runs and costs nothing that is counted: its words are added
    to ``argv``.
    """

    name: str
    prepare: Callable[[Path], None]
    argv: tuple[str, ...]
    #: the design's mark for the ratio traced / untraced
    mark: float
    around: Callable[[Path], AbstractContextManager[Words]] = _alone


def _build(folder: Path) -> None:
    for n in range(40):
        (folder / f"unit{n}.c").write_text(
            "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n"
            + "".join(
                f'int f{n}_{m}(int x) {{ return x * {m} + (int)strlen(getenv("HOME")); }}\n'
                for m in range(40)
            )
        )
    objects = " ".join(f"unit{n}.o" for n in range(40))
    (folder / "Makefile").write_text(
        f"all: clean\n\t$(MAKE) library.a\nlibrary.a: {objects}\n\tar rcs $@ $^\n"
        "%.o: %.c\n\t$(CC) -O1 -c -o $@ $<\nclean:\n\trm -f *.o library.a\n"
    )


def _suite(folder: Path) -> None:
    tests = folder / "tests"
    tests.mkdir()
    for n in range(60):
        (folder / f"module{n}.py").write_text(f"def f(x):\n    return [x + i for i in range({n} + 100)]\n")
        (tests / f"test_module{n}.py").write_text(
            f"import module{n}\nimport pytest\n\n@pytest.mark.parametrize('x', range(20))\n"
            "def test_f(x, tmp_path):\n"
            f"    (tmp_path / 'out').write_text(str(module{n}.f(x)))\n"
            f"    assert len(module{n}.f(x)) == {n} + 100\n"
        )
    (folder / "pytest.ini").write_text("[pytest]\npythonpath = .\n")


def _tree(folder: Path) -> None:
    for directory in range(100):
        sub = folder / "tree" / f"d{directory}"
        sub.mkdir(parents=True)
        for n in range(100):
            (sub / f"file{n}.txt").write_text(f"line of file {n} in {directory}\n" * 20)


_IDENTITY = ("-c", "user.name=b", "-c", "user.email=b@b")


def _repository(folder: Path) -> None:
    _tree(folder)
    identity = " ".join(_IDENTITY)
    (folder / "work.sh").write_text(
        "for i in 1 2 3 4 5 6 7 8; do\n"
        "  echo $i >> tree/d$i/file1.txt; git add -A; git status -s >/dev/null\n"
        f"  git {identity} commit -qm $i; git diff HEAD~1 --stat >/dev/null; git log -5 >/dev/null\n"
        "done\ngit reset -q --hard HEAD~8\n"
    )
    for command in (
        ("init", "-q"),
        ("config", "gc.auto", "0"),  # else some run or other would pack in the background
        ("add", "-A"),
        (*_IDENTITY, "commit", "-qm", "x"),
        ("gc", "-q"),
    ):
        subprocess.run(["git", *command], cwd=folder, check=True)


BUILD = Workload("build", _build, ("make", "-s", "-j2"), 1.03)
SUITE = Workload("tests", _suite, (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"), 1.03)
_GREPS = "for i in 1 2 3 4 5 6 7 8 9 10; do grep -r nothing-like-this tree; done; true"
GREP = Workload("grep", _tree, ("sh", "-c", _GREPS), 1.10)
GIT = Workload("git", _repository, ("sh", "work.sh"), 1.03)


@contextmanager
def _calls(folder: Path, calls: int = NUMBER) -> Iterator[Words]:
    with model(calls_script(folder / "module.py", calls=calls)) as where:
        yield where


#: seconds that the model takes for an answer: short for a model, so that a run is
THINKING = 1.5


def _project(folder: Path) -> None:
    """What the session works on: sources to build and tests, under git."""
    _build(folder)
    _suite(folder)
    (folder / ".gitignore").write_text("*.o\n*.a\n__pycache__/\n")
    for command in (
        ("init", "-q"),
        ("config", "gc.auto", "0"),
        ("config", "user.name", "b"),
        ("config", "user.email", "b@b"),
        ("add", "-A"),
        ("commit", "-qm", "x"),
        ("tag", "start"),
    ):
        subprocess.run(["git", *command], cwd=folder, check=True)


@contextmanager
def _session(folder: Path) -> Iterator[Words]:
    subprocess.run(["git", "reset", "-q", "--hard", "start"], cwd=folder, check=True)
    with model(session_script(sys.executable), THINKING) as where:
        yield where


_PROGRAMS = Path(__file__).parent / "programs"
_SDK = str(prefix_of("openai-agents") / "bin/python")


def _client(_folder: Path) -> None:
    ensure("openai-agents")


def _client_and_project(folder: Path) -> None:
    _client(folder)
    _project(folder)


#: the barest client that there can be
AGENT = (sys.executable, str(_PROGRAMS / "agent.py"))
CALLS = Workload("200 TLS calls", _client, (_SDK, str(_PROGRAMS / "sdk_calls.py"), "whole"), 1.3, _calls)
STREAMS = Workload(
    "20 streamed calls",
    _client,
    (_SDK, str(_PROGRAMS / "sdk_calls.py"), "streamed"),
    1.3,
    partial(_calls, calls=20),
)
BARE_CALLS = Workload("200 TLS calls, barest client", lambda _folder: None, AGENT, 1.3, _calls)
SESSION = Workload("session", _client_and_project, (_SDK, str(_PROGRAMS / "sdk_agent.py")), 1.01, _session)

WORKLOADS = (BUILD, SUITE, GREP, GIT, CALLS, STREAMS, BARE_CALLS, SESSION)
