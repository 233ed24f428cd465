"""``polygraph run``: start a command under observation, judge what it says, exit as it does."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import click

from polygraph.cli import EXIT_FAILED, EXIT_REFUTED

#: longest wait for records, ms: bounds the delay between a claim and its verdict
POLL_MS = 50


@click.command("run", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("--json", "json_path", metavar="FILE", type=click.Path(path_type=Path, allow_dash=True),
              help="Write each verdict as one line of JSON to FILE, as it is given.")
@click.option("--report", "report_path", metavar="FILE.html", type=click.Path(path_type=Path),
              help="Write the report page at the end.")
@click.option("--otlp", "otlp_url", metavar="URL",
              help="Send verdict spans to this OTLP endpoint (grpc://host:4317, http://host:4318).")
@click.option("--content", type=click.Choice(["off", "metadata", "redacted", "full"]), default="metadata",
              show_default=True, help="How much of the LLM traffic may leave the collector.")
@click.option("--fail-on", type=click.Choice(["refuted"]), help=f"Exit with {EXIT_REFUTED} if a verdict is refuted.")
@click.option("--linger", metavar="SECONDS", type=click.FloatRange(0, 3600), default=0.2, show_default=True,
              help="How long to go on when the command has ended but left processes behind.")
@click.option("--quiet", is_flag=True, help="No live summary on stderr.")
@click.argument("cmd", nargs=-1, required=True, type=click.UNPROCESSED)
def command(
    json_path: Path | None,
    report_path: Path | None,
    otlp_url: str | None,
    content: str,
    fail_on: str | None,
    linger: float,
    quiet: bool,
    cmd: tuple[str, ...],
) -> None:
    """Run CMD and say what it really did.

    The command starts when every probe is attached and was seen to work. It keeps its terminal, its standard
    streams and its exit status; the summary goes to stderr.
    """
    from collector.launch import LaunchError, Launched

    try:
        launched = Launched(cmd)
    except LaunchError as error:
        click.echo(f"polygraph: {error}", err=True)
        sys.exit(error.status)
    try:
        from collector.collect import Collector, CollectSettings
        from console.live import LiveView
        from polygraph.commands._record import Recorder
        from polygraph.log.store import Store

        with Store() as store:
            live = LiveView(sys.stderr) if not quiet else None
            with Collector(CollectSettings(content=content), store.key) as collector:
                collector.start()
                with Recorder(store, live, json_path) as recorder:
                    session = collector.enrol(launched.pid, "run", launched.argv, os.getcwd())
                    with _signals_for(launched.pid):
                        launched.release()
                        status = _observe(collector, recorder, launched, session, linger)
                    recorder.end(session, time.time_ns(), status)
            if report_path is not None:
                from polygraph.commands.report import write_report

                write_report(store, session, report_path)
                recorder.note(f"report: {report_path}")
            if otlp_url is not None:
                recorder.export(session, otlp_url)
            recorder.summary(session)
    except LaunchError as error:
        click.echo(f"polygraph: {error}", err=True)
        sys.exit(error.status)
    except BaseException:
        if launched.poll() is None and not launched.released:
            launched.abandon()
        raise
    if fail_on == "refuted" and recorder.refuted:
        sys.exit(EXIT_REFUTED)
    sys.exit(status if status is not None else EXIT_FAILED)


def _observe(collector, recorder, launched, session: str, linger: float) -> int | None:
    """Until the lineage has ended, or `linger` seconds after its root did. The root's exit status."""
    deadline: float | None = None
    while not collector.ended(session):
        recorder.take(collector.round(POLL_MS))
        if deadline is None:
            if launched.poll() is not None:
                deadline = time.monotonic() + linger
        elif time.monotonic() >= deadline:
            break
    recorder.take(collector.finish(session))
    while (status := launched.poll()) is None:
        time.sleep(0.001)  # the kernel reported its exit; it is a zombie in a moment
    return status


@contextmanager
def _signals_for(pid: int) -> Iterator[None]:
    """The terminal's signals are the command's business; a request to end is passed on to it."""

    def forward(number: int, _frame: FrameType | None) -> None:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return  # it has just ended by itself

    before = {
        signal.SIGINT: signal.signal(signal.SIGINT, signal.SIG_IGN),
        signal.SIGQUIT: signal.signal(signal.SIGQUIT, signal.SIG_IGN),
        signal.SIGTERM: signal.signal(signal.SIGTERM, forward),
        signal.SIGHUP: signal.signal(signal.SIGHUP, forward),
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
