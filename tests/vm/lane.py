"""The guests' lane: each kernel is booted in turn and runs the suites, while the host runs its own tests.

A guest is emulated and keeps one processor busy, the host's tests mostly another one: in turn they would take twice
as long. When the host has nothing left but to wait, two guests run side by side.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.vm.vm import REPOSITORY, RESULTS_VARIABLE, VmResult, run_in_kernel

VERSIONS = ("6.1", "6.12", "7.3")
_SUITES = (
    *("delegation", "file", "flood", "ipc", "network", "plain", "process", "reads", "refused"),
    *("tls", "tls_libraries", "uring", "watch"),
)
#: of what polygraph says and passes on when it is started, most is no matter of the kernel, and each start takes an
#: emulated machine long: the oldest kernel, which has the fewest hooks, shows it for all
_STARTED = ("no_root", "run")


def suites(version: str) -> tuple[str, ...]:
    """Tests that must pass in a guest: all that meet the kernel. Transports, formats and what a program has of TLS
    in it are no matter of the kernel, and stay the host's to show."""
    names = (*_SUITES, *_STARTED) if version == VERSIONS[0] else _SUITES
    return ("tests/vm/guest_checks.py", *(f"tests/live/test_{name}.py" for name in names))


PYTEST = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:hypothesispytest")
#: s for all suites of a guest, and for one test. An idle machine of two cores takes a half of it.
GUEST_SECONDS = 2700
_TEST_SECONDS = 400


class Lane:
    """Guests that are booted from now on: one at a time, two once a result is waited for."""

    def __init__(self, versions: Iterable[str]) -> None:
        self._stop = threading.Event()
        self._free = threading.Semaphore(1)
        self._waited_for = False
        self._pool = ThreadPoolExecutor(2)
        probe = self._pool.submit(_build_probe)
        self._results = {version: self._pool.submit(self._run, version, probe) for version in versions}

    def result(self, version: str) -> VmResult:
        """What a guest left behind; waits for it. Raises VmError."""
        if not self._waited_for:
            self._waited_for = True
            self._free.release()
        return self._results[version].result()

    def close(self) -> None:
        """Ends the guests that run; the others are not booted."""
        self._stop.set()
        self._free.release()
        self._pool.shutdown(cancel_futures=True)

    def _run(self, version: str, probe: Future[None]) -> VmResult:
        options = ["-o", f"timeout={_TEST_SECONDS}", f"--junitxml=${RESULTS_VARIABLE}/junit.xml"]
        with self._free:  # before the probe is waited for: the first version, which has most to run, begins
            probe.result()
            return run_in_kernel(version, [*PYTEST, *options, *suites(version)], GUEST_SECONDS, self._stop)


GUESTS = pytest.StashKey[Lane]()


def _build_probe() -> None:
    """The BPF object that guest_checks.py loads, for the guests to find in the repository's folder."""
    target = REPOSITORY / "build" / "vm" / "probe.bpf.o"
    target.parent.mkdir(parents=True, exist_ok=True)
    source = REPOSITORY / "tests" / "vm" / "probe.bpf.c"
    compiler = ["clang", "-target", "bpf", "-g", "-O2", "-Wall", "-Werror", "-c"]
    subprocess.run([*compiler, str(source), "-o", str(target)], check=True)
