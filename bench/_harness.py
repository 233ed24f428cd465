"""Runs commands and tells what they cost, everything they leave behind included.

CPU time is that of the processes (user and system, which holds what BPF programs take in them), not of the
machine: it bears a busy machine better than wall time does. What the kernel does on its own threads and in
interrupts is in no process and not counted.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from resource import struct_rusage
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
POLYGRAPH = (sys.executable, "-m", "polygraph")

NATIVE = ROOT / "bench" / "native"
BUILT = ROOT / "build" / "bench"
#: beginnings of names: make's jobs are not the workload's, and modules are compiled where they are installed
_DROPPED = ("MAKE", "MFLAGS", "PYTHONDONTWRITEBYTECODE")
_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
#: seconds that what a command leaves behind may take to end
_ORPHANS = 60


class BenchError(Exception):
    """The measurement cannot be made; the message says why."""


class Cost(NamedTuple):
    """What a command took. Times in seconds; ``began`` and ``ended`` are CLOCK_BOOTTIME, ns."""

    began: int
    ended: int
    #: of the command, all its descendants, and what they left behind
    cpu: float
    #: largest resident set of any process among them, bytes
    memory: int


class Inside(NamedTuple):
    """What native/timed saw of its command. ``began`` and ``ended``: CLOCK_BOOTTIME, ns; CPU in seconds."""

    began: int
    ended: int
    cpu: float


def native(name: str) -> Path:
    """The built program of bench/native/NAME.c. Raises BenchError when it does not compile."""
    source, built = NATIVE / f"{name}.c", BUILT / name
    if not built.exists() or built.stat().st_mtime < source.stat().st_mtime:
        BUILT.mkdir(parents=True, exist_ok=True)
        new = built.with_suffix(f".{os.getpid()}")
        made = subprocess.run(
            ["cc", "-O1", "-Wall", "-Werror", "-o", new, source], capture_output=True, text=True, check=False
        )
        if made.returncode:
            raise BenchError(f"{source} does not compile: {made.stderr}")
        new.replace(built)
    return built


def environment(store: Path) -> dict[str, str]:
    """This process's environment without what make put there, with a store of its own and Python as installed."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_DROPPED)}
    return kept | {
        "POLYGRAPH_HOME": str(store),
        "PYTHONPATH": str(ROOT),
        "PYTHONPYCACHEPREFIX": str(BUILT / "pycache"),  # modules are compiled once, as in an installation
    }


@contextmanager
def workplace() -> Iterator[Path]:
    """A folder for one benchmark, whose leftover processes this process adopts. Raises BenchError."""
    _adopt(True)
    try:
        with tempfile.TemporaryDirectory(prefix="polygraph-bench-") as folder:
            yield Path(folder)
    finally:
        _adopt(False)


def _adopt(whether: bool) -> None:
    """Makes this process the parent of what its descendants leave behind, or no longer."""
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, int(whether), 0, 0, 0):
        raise BenchError(f"cannot adopt orphans: {os.strerror(ctypes.get_errno())}")


def measured(argv: Sequence[str | Path], folder: Path, env: dict[str, str]) -> Cost:
    """Runs a command to its end, and until what it left behind has ended. Raises BenchError when it fails."""
    before = _children()
    with tempfile.TemporaryFile() as output:
        began = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        child = subprocess.Popen(
            argv, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
        _pid, status, usage = os.wait4(child.pid, 0)
        ended = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        child.returncode = os.waitstatus_to_exitcode(status)
        left = list(_orphans(before))
        if child.returncode:
            output.seek(0)
            said = output.read()[-2000:].decode(errors="replace")
            raise BenchError(f"{' '.join(map(str, argv))} ended with {child.returncode}: {said}")
    usages = [usage, *left]
    return Cost(
        began,
        ended,
        sum(one.ru_utime + one.ru_stime for one in usages),
        max(one.ru_maxrss for one in usages) * 1024,
    )


def _children() -> frozenset[int]:
    found: set[int] = set()
    for thread in Path("/proc/self/task").iterdir():
        with suppress(FileNotFoundError):  # it has just ended; those that start commands stay
            found.update(map(int, (thread / "children").read_text().split()))
    return frozenset(found)


def _orphans(others: frozenset[int]) -> Iterator[struct_rusage]:
    """Usage of the processes that a command left behind; ``others`` are children that are none of its."""
    deadline = time.monotonic() + _ORPHANS
    while time.monotonic() < deadline:
        left = _children() - others
        if not left:
            return
        for orphan in left:
            pid, _status, usage = os.wait4(orphan, os.WNOHANG)
            if pid:
                yield usage
        time.sleep(0.01)
    raise BenchError(f"what the command left behind still runs after {_ORPHANS} s")


def timed(argv: Sequence[str], note: Path) -> tuple[str, ...]:
    """``argv`` run by native/timed, which writes what it saw to ``note``: for :func:`inside`."""
    return str(native("timed")), str(note), *argv


def inside(note: Path) -> Inside:
    """What native/timed wrote."""
    began, user, system, ended = (int(word) for word in note.read_text().split())
    return Inside(began, ended, (user + system) / 1e6)


def traced(argv: Sequence[str]) -> tuple[str, ...]:
    """``argv`` under polygraph."""
    return *POLYGRAPH, "run", "--quiet", "--", *argv
