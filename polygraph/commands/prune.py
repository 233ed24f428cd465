"""``polygraph prune``: remove sessions from the store by age, number and size."""

from __future__ import annotations

import os
import sqlite3
import time

import click
import msgspec

from polygraph.errors import PolygraphError
from polygraph.log.retention import Limits, limits_of, prune
from polygraph.log.store import Store


class _Result(msgspec.Struct, frozen=True, kw_only=True):
    session: str
    why: str
    bytes: int
    removed: bool


@click.command("prune")
@click.option(
    "--keep-days", type=click.FloatRange(0), metavar="DAYS", help="Remove sessions older than this."
)
@click.option(
    "--keep-content-days",
    type=click.FloatRange(0),
    metavar="DAYS",
    help="Remove sessions older than this that were captured at redacted or full.",
)
@click.option("--keep-sessions", type=click.IntRange(0), metavar="N", help="Keep the N newest sessions.")
@click.option(
    "--keep-mb",
    type=click.FloatRange(0),
    metavar="MB",
    help="Keep the newest sessions that take MB megabytes.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be removed, and remove nothing.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line for each session.")
def command(
    keep_days: float | None,
    keep_content_days: float | None,
    keep_sessions: int | None,
    keep_mb: float | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Remove sessions, events, verdicts and findings, that are beyond the limits.

    Without an option the limits are those of the environment (docs/settings.md). A session that is being written stays.
    """
    given = Limits(days=keep_days, content_days=keep_content_days, sessions=keep_sessions, megabytes=keep_mb)
    limits = given if given.any else limits_of(os.environ)
    if not limits.any:
        raise PolygraphError(
            "no limit is set, so nothing is removed", "give --keep-days, or set POLYGRAPH_KEEP_DAYS"
        )
    try:
        with Store() as store:
            pruned = prune(store, limits, time.time_ns(), "prune", dry_run=dry_run)
    except (OSError, sqlite3.Error) as error:
        raise PolygraphError(
            f"the store could not be pruned: {error}", "run it again as its owner"
        ) from error
    results = [
        _Result(
            session=item.session, why=item.why, bytes=item.bytes, removed=not dry_run and item in pruned.gone
        )
        for item in (*pruned.gone, *pruned.busy)
    ]
    if as_json:
        for result in results:
            click.echo(msgspec.json.encode(result).decode())
        return
    for result in results:
        said = (
            "removed" if result.removed else "would be removed" if dry_run else "stays: it is being written"
        )
        click.echo(f"{result.session}  {result.bytes:>12,} bytes  {said} ({result.why})")
    click.echo(f"{sum(result.removed for result in results)} removed")
