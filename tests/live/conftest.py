"""A collector with its probes in this kernel, and what it saw of a command. Needs root; fails where it cannot run."""

from __future__ import annotations

import errno
import os
import platform
import signal
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import pytest

from collector.collect import Collector
from collector.launch import Launched
from collector.observed import ObservedSession
from collector.tls.streams import TlsClose, TlsData
from polygraph.events import AnyEvent, Event, Exec, Loss

E = TypeVar("E", bound=Event)

#: seconds that a command of these tests may take, on an emulated machine as well
PATIENCE = 180
#: secret of the digests
KEY = b"test key"

#: how often a command is run until none was left out
TRIES = 5
#: causes of a loss: programs that did not run
MISSED = ("missed", "missed_fork")
#: from here on tracepoints can be preempted, and one program may come upon another that was: some do not run then,
#: however large the rings are
PREEMPTED = (7, 0)


class Seen(NamedTuple):
    """What was observed of one command. ``root`` is its process."""

    events: list[AnyEvent]
    status: int

    def of(self, kind: type[E], /, **fields: Any) -> list[E]:
        """Events of a type whose fields have these values, in order."""
        return [
            event
            for event in self.events
            if isinstance(event, kind)
            and all(getattr(event, name) == value for name, value in fields.items())
        ]

    @property
    def lost(self) -> list[Loss]:
        """What was lost of this session, but for what a kernel that preempts tracepoints left out, whoever's it was."""
        excused = MISSED if running() >= PREEMPTED else ()
        return [loss for loss in self.of(Loss) if loss.cause not in excused]

    @property
    def whole(self) -> bool:
        """Whether no program was left out meanwhile, for anyone on this machine; other kernels leave none out."""
        return running() < PREEMPTED or not any(loss.cause in MISSED for loss in self.of(Loss))

    @property
    def root(self) -> str:
        """The process that the command was."""
        return self.of(Exec)[0].process


Observe = Callable[..., Seen]


def running() -> tuple[int, int]:
    """Version of the running kernel."""
    major, minor, *_ = platform.release().split(".")
    return int(major), int(minor)


@pytest.fixture(scope="session")
def kernel() -> tuple[int, int]:
    """The same, for what a test may ask of it."""
    return running()


@pytest.fixture(scope="session")
def collector(report_used: Callable[[str, str], None]) -> Iterator[Collector]:
    """One for all tests of the run: sessions are independent."""
    assert os.geteuid() == 0, "these tests load BPF programs: run them as root"
    with Collector("metadata", KEY) as started:
        started.start(sys.executable)
        report_used("kernel", platform.release())
        yield started


def observed(
    collector: Collector,
    argv: list[str],
    *,
    cwd: Path | None = None,
    env: dict[str, str] | None = None,
    meanwhile: Callable[[list[AnyEvent]], object] = lambda _events: None,
) -> Seen:
    """Runs a command to the end of its lineage and gives what ``collector`` saw of it.

    ``meanwhile(events)`` is called after each round with what was seen so far.
    """
    before = Path.cwd()
    if cwd is not None:
        os.chdir(cwd)
    try:
        launched = Launched(argv, env)
    finally:
        os.chdir(before)
    session = collector.enrol(launched.pid, "run", argv, str(cwd or before))
    launched.release()
    events: list[AnyEvent] = []
    deadline = time.monotonic() + PATIENCE
    while not collector.ended(session) and time.monotonic() < deadline:
        events += [event for event in collector.round(20) if event.session == session]
        meanwhile(events)
    ended = collector.ended(session)
    if not ended:
        os.kill(launched.pid, signal.SIGKILL)
    events += collector.finish(session)
    # The kernel counts a process out a moment before its parent can wait for it.
    status = launched.wait()
    assert ended, "the command did not end"
    return Seen(events, status)


@pytest.fixture
def observe(collector: Collector) -> Observe:
    """``observe(argv)``: :func:`observed` by the collector of all tests."""
    return partial(observed, collector)


@pytest.fixture
def observe_whole(collector: Collector) -> Observe:
    """As `observe`, but what a kernel that preempts tracepoints did not show whole is run again.

    What is missed there is counted, and test_flood.py holds the count to the truth. Other tests ask what is made of
    what was seen.
    """

    def run(*arguments: Any, **options: Any) -> Seen:
        for _ in range(TRIES):
            seen = observed(collector, *arguments, **options)
            if seen.whole:
                break
        return seen

    return run


class Gate:
    """A pipe with a name, at which an observed command waits until the test lets it go on.

    ``open(path).read()`` in the command returns when the test has opened the gate.
    """

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.is_open = False
        self._fd: int | None = None
        os.mkfifo(path)

    def reached(self) -> bool:
        """Whether the command waits at the gate: all that it did before is done."""
        if self._fd is None:
            try:
                self._fd = os.open(self.path, os.O_WRONLY | os.O_NONBLOCK)
            except OSError as error:
                assert error.errno == errno.ENXIO  # nobody waits yet
        return self._fd is not None

    def open(self, *, when: bool = True) -> None:
        """Lets the command go on, once it waits; nothing while it does not or ``when`` is false."""
        if when and not self.is_open and self.reached():
            self.close()
            self.is_open = True

    def close(self) -> None:
        """Nobody is held any more."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    """A closed gate."""
    made = Gate(tmp_path / "gate")
    yield made
    made.close()


def _python(observe: Observe) -> Observe:
    def run(code: str, *arguments: str, **options: Any) -> Seen:
        program = textwrap.dedent(code)
        return observe([sys.executable, "-S", "-E", "-c", program, *arguments], **options)

    return run


@pytest.fixture
def python(observe: Observe) -> Observe:
    """``python(code)``: the same for a Python program, without site and its files."""
    return _python(observe)


@pytest.fixture
def python_whole(observe_whole: Observe) -> Observe:
    """The same for a program that does something hundreds of times, and may run again."""
    return _python(observe_whole)


def kept(monkeypatch: pytest.MonkeyPatch, taker: str) -> list[Any]:
    """What the method ``taker`` of sessions is given from now on."""
    taken: list[Any] = []
    original = getattr(ObservedSession, taker)

    def keep(self: ObservedSession, value: object) -> None:
        taken.append(value)
        original(self, value)

    monkeypatch.setattr(ObservedSession, taker, keep)
    return taken


@pytest.fixture
def records(monkeypatch: pytest.MonkeyPatch) -> list[TlsData | TlsClose]:
    """Plaintext records as they reach a session."""
    return kept(monkeypatch, "plaintext")
