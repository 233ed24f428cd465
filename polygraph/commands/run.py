"""``polygraph run``: start a command under observation, judge what it says, exit as it does."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import IO, TYPE_CHECKING

import click

from polygraph.cli import EXIT_REFUTED
from polygraph.commands._content import Audited, content_option, exports_of, source_of_level
from polygraph.commands._opinion import Opinion, asking, opinion, state
from polygraph.commands._output import check_report, open_json
from polygraph.errors import PolygraphError
from polygraph.text import from_os

if TYPE_CHECKING:
    from collector.collect import Collector
    from collector.launch import Launched
    from polygraph.commands._record import Recorder
    from polygraph.content import ContentLevel
    from polygraph.log.store import Store

#: how long records are gathered, ms: bounds the delay between a claim and its verdict. A round costs half a
#: millisecond of CPU, whatever it brings.
POLL_MS = 100
#: how long the first one is waited for, ms. It wakes us; this is for what happens without a record.
QUIET_MS = 250


@click.command("run", context_settings={"allow_interspersed_args": False})
@click.option(
    "--json",
    "json_path",
    metavar="FILE",
    type=click.Path(path_type=Path, allow_dash=True),
    help="Write each verdict as one line of JSON to FILE, as it is given.",
)
@click.option(
    "--report",
    "report_path",
    metavar="FILE.html",
    type=click.Path(path_type=Path),
    help="Write the report page at the end.",
)
@click.option(
    "--otlp",
    "otlp_url",
    metavar="URL",
    help="Send verdict spans to this OTLP endpoint (grpc://host:4317, http://host:4318).",
)
@content_option
@click.option(
    "--fail-on", type=click.Choice(["refuted"]), help=f"Exit with {EXIT_REFUTED} if a verdict is refuted."
)
@click.option(
    "--linger",
    metavar="SECONDS",
    type=click.FloatRange(0, 3600),
    default=0.2,
    show_default=True,
    help="How long to go on when the command has ended but left processes behind.",
)
@click.option("--quiet", is_flag=True, help="No live summary on stderr.")
@click.argument("cmd", nargs=-1, required=True, type=click.UNPROCESSED)
def command(
    json_path: Path | None,
    report_path: Path | None,
    otlp_url: str | None,
    content: ContentLevel,
    fail_on: str | None,
    linger: float,
    quiet: bool,
    cmd: tuple[str, ...],
) -> None:
    """Run CMD and say what it really did.

    The command starts when every probe is attached and was seen to work. It keeps its terminal, its standard
    streams and its exit status; the summary goes to stderr.
    """
    from collector.launch import Launched, LaunchError

    started = time.monotonic_ns()
    check_report(report_path)
    if otlp_url is not None:
        from exporters.endpoint import receiver

        receiver(otlp_url, os.environ)  # a bad URL is said now, not when the agent has done its work
    held = opinion(content, source_of_level(), os.environ)
    try:
        launched = Launched(cmd)
        try:
            exports = exports_of(otlp_url, json_path, report_path)
            status, recorder, session = _run(
                launched, content, open_json(json_path), linger, quiet, exports, held
            )
        finally:
            launched.abandon()  # does nothing once it was released
    except LaunchError as error:
        click.echo(f"polygraph: {error}", err=True)
        sys.exit(error.status)
    if report_path is not None:
        _report(recorder, session, report_path)
    if otlp_url is not None:
        recorder.export(session, otlp_url)
    recorder.summary(session, status, time.monotonic_ns() - started, report_path)
    if fail_on == "refuted" and recorder.refuted:
        sys.exit(EXIT_REFUTED)
    sys.exit(status)


def _run(
    launched: Launched,
    content: ContentLevel,
    json_file: IO[bytes] | None,
    linger: float,
    quiet: bool,
    exports: tuple[str, ...],
    held: Opinion,
) -> tuple[int, Recorder, str]:
    """Observes the command from its first instruction to its lineage's end: (exit status, recorder, session)."""
    from collector.kernel.source import Loading, SourceSettings

    loading = Loading(SourceSettings())  # the kernel takes its time; what is imported meanwhile costs nothing
    from collector.collect import Collector
    from polygraph.log.store import Store

    with (
        Store() as store,
        Audited(
            store,
            "run",
            content,
            scope=("lineage of the command",),
            exports=exports,
            second_opinion=held.told,
        ) as audited,
        asking(held) as asker,
        Collector(content, store.key, loading, asker) as collector,
    ):
        collector.start(launched.path)
        argv = map(from_os, launched.argv)
        session = collector.enrol(launched.pid, "run", argv, from_os(str(Path.cwd())))
        with _signals_for(launched.pid):
            launched.release()
            with _recorder(store, json_file, quiet, audited) as recorder:
                if held.told or held.why:
                    recorder.note(f"second opinion: {state(held)}")
                status = _observe(collector, recorder, launched, session, linger)
                if asker is not None:
                    asker.close()
                    recorder.note(f"second opinion: {asker.summary()}")
        recorder.end(session, time.time_ns(), status)
    return status, recorder, session


def _recorder(store: Store, json_file: IO[bytes] | None, quiet: bool, audited: Audited) -> Recorder:
    """Imported when the command runs already: the first records wait in the ring."""
    from console.live import LiveView
    from polygraph.commands._record import Recorder

    return Recorder(store, None if quiet else LiveView(sys.stderr), json_file, audited)


def _report(recorder: Recorder, session: str, path: Path) -> None:
    from polygraph.commands.report import write_report
    from polygraph.log.store import Store

    try:
        with Store() as store:
            write_report(store, session, path)
    except PolygraphError as error:
        recorder.note(str(error))  # the agent's own exit status matters more


def _observe(
    collector: Collector, recorder: Recorder, launched: Launched, session: str, linger: float
) -> int:
    """Until the lineage has ended, or ``linger`` seconds after its root did, and nothing is asked about it.

    The root's exit status.
    """
    deadline: float | None = None
    while not collector.ended(session):
        recorder.take(collector.round(POLL_MS, QUIET_MS))
        if deadline is None:
            if launched.poll() is not None:
                deadline = time.monotonic() + linger
        elif time.monotonic() >= deadline and not collector.asks(session):
            break
    recorder.take(collector.finish(session))
    return launched.wait()


@contextmanager
def _signals_for(pid: int) -> Iterator[None]:
    """The terminal's signals are the command's business; a request to end is passed on to it."""

    def forward(number: int, _frame: FrameType | None) -> None:
        with suppress(ProcessLookupError):  # it has just ended by itself
            os.kill(pid, number)

    wanted = {signal.SIGINT: signal.SIG_IGN, signal.SIGQUIT: signal.SIG_IGN}
    before = {number: signal.signal(number, handler) for number, handler in wanted.items()}
    for number in (signal.SIGTERM, signal.SIGHUP):
        before[number] = signal.signal(number, forward)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
