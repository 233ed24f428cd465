"""``polygraph watch``: sessions out of processes that run already, or will."""

from __future__ import annotations

import glob
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import click

from polygraph.commands._content import Audited, content_option, exports_of, source_of_level
from polygraph.commands._opinion import asking, opinion, state
from polygraph.commands._output import open_json
from polygraph.commands.run import POLL_MS
from polygraph.errors import PolygraphError
from polygraph.text import from_os

if TYPE_CHECKING:
    from collector.auto import AutoEnrol
    from collector.collect import Collector
    from polygraph.content import ContentLevel
    from polygraph.events import AnyEvent

#: ns between two looks for files that match --exe and tasks that came into a cgroup
_GLOB_INTERVAL = 2_000_000_000


@click.command("watch")
@click.option(
    "--pid", "pids", metavar="PID", type=int, multiple=True, help="This process and its descendants."
)
@click.option(
    "--cgroup",
    "cgroups",
    metavar="PATH",
    type=click.Path(path_type=Path),
    multiple=True,
    help="The tasks of a cgroup (v2), now and later.",
)
@click.option(
    "--exe", "exes", metavar="GLOB", multiple=True, help="Every process that executes a file that matches."
)
@click.option("--auto", is_flag=True, help="Every process that connects to a known LLM API.")
@click.option(
    "--json",
    "json_path",
    metavar="FILE",
    type=click.Path(path_type=Path, allow_dash=True),
    help="Write each verdict as one line of JSON to FILE, as it is given.",
)
@content_option
@click.option("--quiet", is_flag=True, help="No live view on stderr.")
def command(
    pids: tuple[int, ...],
    cgroups: tuple[Path, ...],
    exes: tuple[str, ...],
    auto: bool,
    json_path: Path | None,
    content: ContentLevel,
    quiet: bool,
) -> None:
    """Observe processes that run already, or will, until interrupted."""
    if not (pids or cgroups or exes or auto):
        raise click.UsageError("say what to watch: --pid, --cgroup, --exe or --auto")
    from collector.collect import Collector
    from collector.kernel.source import Loading, SourceSettings
    from console.live import LiveView
    from polygraph.commands._record import Recorder
    from polygraph.log.store import Store

    held = opinion(content, source_of_level(), os.environ)
    live = None if quiet else LiveView(sys.stderr)
    loading = Loading(SourceSettings(auto=auto, exes=bool(exes)))
    with (
        Store() as store,
        Audited(
            store,
            "watch",
            content,
            scope=scope_of(pids, cgroups, exes, auto=auto),
            exports=exports_of(json=json_path),
            second_opinion=held.told,
        ) as audited,
        asking(held) as asker,
        Collector(content, store.key, loading, asker) as collector,
        Recorder(store, live, open_json(json_path), audited) as recorder,
    ):
        if held.told or held.why:
            recorder.note(f"second opinion: {state(held)}")
        collector.start()
        observe(collector, recorder, pids, cgroups, exes, auto=auto)
        if asker is not None:
            asker.close()
            recorder.note(f"second opinion: {asker.summary()}")


def scope_of(
    pids: tuple[int, ...], cgroups: tuple[Path, ...], exes: tuple[str, ...], *, auto: bool
) -> tuple[str, ...]:
    """What is watched, as the audit log says it. Always lineages: nothing is captured of the host as a whole."""
    named = [f"pid {pid}" for pid in pids] + [f"cgroup {path}" for path in cgroups]
    return (*named, *(f"exe {pattern}" for pattern in exes), *(["auto"] if auto else []))


class Taker(Protocol):
    """Whom the rounds of a collector are given to."""

    def take(self, events: Sequence[AnyEvent], /) -> None:
        """What a round brought, which may be nothing."""

    def end(self, session: str, ended: int, status: int | None) -> None:
        """A session has ended, at ``ended`` (ns of Unix time)."""

    def note(self, text: str) -> None:
        """A line for a person."""


def observe(
    collector: Collector,
    taker: Taker,
    pids: tuple[int, ...],
    cgroups: tuple[Path, ...],
    exes: tuple[str, ...],
    *,
    auto: bool,
) -> None:
    """Enrols, and goes round until the user interrupts or, when only pids are observed, the last session has ended."""
    for pid in pids:
        _enrol(collector, taker, pid)
    for path in cgroups:
        collector.enrol_cgroup(_cgroup_of(path), from_os(str(path)))
    _loop(collector, taker, exes, auto=auto, forever=bool(exes or auto or cgroups))


def _loop(collector: Collector, taker: Taker, exes: tuple[str, ...], *, auto: bool, forever: bool) -> None:
    """Rounds, until the user interrupts or, when only pids are watched, the last session has ended."""
    from collector.auto import AutoEnrol

    strangers = AutoEnrol() if auto else None
    next_glob = 0
    with _until_interrupted() as interrupted:
        for pattern in exes:
            _watch_files(collector, pattern)
        taker.note("watching; interrupt to end")
        while not interrupted:
            now = time.monotonic_ns()
            if now >= next_glob:
                next_glob = now + _GLOB_INTERVAL
                for pattern in exes:
                    _watch_files(collector, pattern)
                collector.look_again()
            _round(collector, taker, strangers, POLL_MS)
            for session in collector.sessions():
                if collector.ended(session):
                    _end(collector, taker, session)
            if not forever and not collector.sessions():
                break
        # What had happened when the interrupt came; a record is open for a millisecond (KernelSource.drain).
        time.sleep(0.002)
        _round(collector, taker, strangers, 0)
        while sessions := collector.sessions():  # to finish one may bring up the beginning of another
            for session in sessions:
                _end(collector, taker, session)


def _round(collector: Collector, taker: Taker, strangers: AutoEnrol | None, timeout_ms: int) -> None:
    from polygraph.events import Name

    taker.take(collector.round(timeout_ms))
    for stranger in collector.take_strangers():
        event = stranger.event
        if strangers is None or stranger.pid == os.getpid():  # who asks for a second opinion is no agent
            continue
        if isinstance(event, Name):
            strangers.resolved(event.name, event.addresses)
            found = event.source == "sni" and strangers.indicated(stranger.process, event.name)
        else:
            found = strangers.connected(stranger.process, event.address)
        if found:
            _enrol(collector, taker, stranger.pid)


def _enrol(collector: Collector, taker: Taker, pid: int) -> None:
    from collector.collect import command_of

    argv, cwd = command_of(pid)
    try:
        session = collector.enrol(pid, "watch", argv, cwd)
    except PolygraphError as error:
        taker.note(str(error))
        return
    taker.note(f"session {session}: process {pid} {argv[0] if argv else ''}")  # arguments are content


def _end(collector: Collector, taker: Taker, session: str) -> None:
    taker.take(collector.finish(session))
    taker.end(session, time.time_ns(), None)


def _watch_files(collector: Collector, pattern: str) -> None:
    for name in glob.iglob(pattern, recursive=True):  # noqa: PTH207 - takes absolute patterns
        path = Path(name)
        if os.access(path, os.X_OK) and path.is_file():
            state = path.stat()
            collector.watch_file(state.st_dev, state.st_ino)


def _cgroup_of(path: Path) -> int:
    """Id of a cgroup: the inode number of its folder. Raises PolygraphError when it is none."""
    try:
        if not (path / "cgroup.procs").is_file():
            raise PolygraphError(
                f"{path} is no cgroup", "give the folder of a cgroup v2, below /sys/fs/cgroup"
            )
        return path.stat().st_ino
    except OSError as error:
        raise PolygraphError(f"cannot read {path}: {error.strerror}", "check the path") from error


@contextmanager
def _until_interrupted() -> Iterator[list[int]]:
    """A list that stays empty until SIGINT or SIGTERM."""
    caught: list[int] = []
    before = {
        number: signal.signal(number, lambda number, _frame: caught.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
