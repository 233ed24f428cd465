"""Shell text that is really executed, by bash with stub programs that leave a marker: what truly happened.

The oracle of test_shell_truth.py. A stub appends its directory, name and arguments to a file as one write; a
pipe that every process inherits tells when the last of them, background ones too, has ended.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from collector.intents.shell import ShellPlan, parse
from collector.intents.words import UNKNOWN
from polygraph.events import Execution

#: stubs by name: the status that they exit with
STUBS = {"alpha": 0, "beta": 0, "gamma": 0, "pytest": 0, "bad": 3, "fail": 1}
DIRECTORIES = ("a", "b", "a/c")
#: real programs that the texts may use
_REAL = (
    "bash", "sh", "cat", "env", "find", "nice", "nohup", "setsid", "stdbuf", "tail", "tee", "timeout", "xargs",
    "true", "false", "ls", "head", "wc",
)  # fmt: skip
_SEPARATOR, _END = "\x1f", "\x1f\n\x1f"
_SECONDS = 20


class Marker(NamedTuple):
    """One run of a stub."""

    cwd: str
    program: str
    args: tuple[str, ...]


class Happened(NamedTuple):
    """What bash and its children did with a text."""

    root: str
    markers: tuple[Marker, ...]
    status: int
    files: dict[str, bytes]
    stderr: str


class Bash:
    """A directory with stubs, and texts executed in fresh directories beside it."""

    def __init__(self, place: Path) -> None:
        self._place = place.resolve()
        self._bin = self._place / "bin"
        self._bin.mkdir()
        self._number = 0
        for name, status in STUBS.items():
            stub = self._bin / name
            # One printf is one write(2), so markers of parallel stubs do not mix.
            stub.write_text(
                f'#!/bin/sh\nprintf \'%s\\037\' "$PWD" "${{0##*/}}" "$@" "\n" >> "$MARKS"\nexit {status}\n'
            )
            stub.chmod(0o755)
        for name in _REAL:
            found = next(p for p in (Path("/usr/bin") / name, Path("/bin") / name) if p.exists())
            (self._bin / name).symlink_to(found)

    def run(self, text: str) -> Happened:
        """Executes ``text`` as an agent would, by ``bash -c``."""
        self._number += 1
        root = self._place / f"run{self._number}"
        for directory in DIRECTORIES:
            (root / directory).mkdir(parents=True)
        marks = self._place / f"marks{self._number}"
        marks.touch()
        ended, held = os.pipe()
        environment = {
            "PATH": str(self._bin),
            "MARKS": str(marks),
            "HOME": str(root),
            "LC_ALL": "C.UTF-8",
            "FUNCNEST": "12",  # a function that calls itself ends
        }
        try:
            done = subprocess.run(
                [str(self._bin / "bash"), "-c", text],
                cwd=root,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=(held,),
                timeout=_SECONDS,
                check=False,
            )
        finally:
            os.close(held)
        with os.fdopen(ended, "rb") as pipe:
            assert pipe.read() == b""  # the end: nobody holds it any longer
        files = {
            str(path.relative_to(root)): path.read_bytes()
            for path in sorted(root.rglob("*"))
            if path.is_file()
        }
        return Happened(str(root), _markers(marks.read_text()), done.returncode, files, done.stderr.decode())


def _markers(text: str) -> tuple[Marker, ...]:
    found = []
    for record in text.split(_END):
        if record:
            cwd, program, *args = record.split(_SEPARATOR)
            found.append(Marker(cwd, program, tuple(args)))
    return tuple(found)


def matches(expected: Execution, marker: Marker) -> bool:
    """Whether a marker is what was expected; an argument that only the shell knew may be any number of them."""
    if expected.program != marker.program or (expected.cwd is not None and expected.cwd != marker.cwd):
        return False
    return _arguments(expected.args, marker.args)


def _arguments(expected: Sequence[str], seen: Sequence[str]) -> bool:
    if not expected:
        return not seen
    first, rest = expected[0], expected[1:]
    if UNKNOWN in first:
        return any(_arguments(rest, seen[count:]) for count in range(len(seen) + 1))
    return bool(seen) and seen[0] == first and _arguments(rest, seen[1:])


def accusations(text: str, happened: Happened) -> list[str]:
    """What the plan of ``text`` wrongly holds to be certain; empty if it would accuse nobody."""
    plan = parse(text, happened.root)
    wrong: list[str] = []
    for expected in plan.executions:
        if expected.builtin or expected.program not in STUBS:
            continue
        told = f"{expected.program} {' '.join(expected.args)}"
        runs = [marker for marker in happened.markers if matches(expected, marker)]
        if not expected.conditional and not runs:
            wrong.append(f"{told}: expected in any case, and did not run")
        failed = STUBS[expected.program] != 0 and runs
        if failed and not expected.masked and _only(expected, plan) and happened.status == 0:
            wrong.append(f"{told}: its failure was to be reported, and 0 was")
    for redirect in plan.redirects:
        if redirect.conditional or redirect.op == "read":
            continue
        name = redirect.path.removeprefix(happened.root + "/")
        if name not in happened.files and "/" not in name:  # the kernel shows a directory that is missing
            wrong.append(f"{name}: expected to be written in any case, and was not")
        elif redirect.content is not None and _alone(redirect.path, plan):
            content = happened.files.get(name, redirect.content)
            if redirect.content not in content or (redirect.op == "write" and content != redirect.content):
                wrong.append(f"{name}: holds {content!r} instead of {redirect.content!r}")
    return wrong


def unforeseen(text: str, happened: Happened) -> list[str]:
    """Runs that a plan which calls itself whole does not have."""
    plan = parse(text, happened.root)
    if not plan.parsed:
        return []
    return [
        f"{marker.program} {' '.join(marker.args)}"
        for marker in happened.markers
        if not any(matches(expected, marker) for expected in plan.executions)
    ]


def _only(expected: Execution, plan: ShellPlan) -> bool:
    return sum(e.program == expected.program and e.args == expected.args for e in plan.executions) == 1


def _alone(path: str, plan: ShellPlan) -> bool:
    return sum(redirect.path == path for redirect in plan.redirects) == 1
