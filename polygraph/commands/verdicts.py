"""``polygraph verdicts``: the verdicts in the store."""

from __future__ import annotations

import sys
from contextlib import suppress

import click

from polygraph import verdicts as codec
from polygraph.events import BlindSpot, LlmCall, SessionStart
from polygraph.log.store import SessionRow, Store, StoreError


@click.command("verdicts")
@click.option("--session", metavar="ID", help="Session id or its beginning; the newest session if left out.")
@click.option("--all", "everything", is_flag=True, help="Verdicts of all sessions.")
@click.option(
    "--json", "as_json", is_flag=True, help="One verdict a line as JSON (docs/verdicts.md has the fields)."
)
def command(session: str | None, everything: bool, as_json: bool) -> None:
    """Show the verdicts of a session."""
    with Store() as store:
        row = None if everything else store.find(session)
        found = list(store.verdicts(row.id if row is not None else None))
        if as_json:
            for verdict in found:
                sys.stdout.buffer.write(codec.encode(verdict) + b"\n")
            return
        folders = {name: folder_of(store, name) for name in {item.session for item in found}}
        why = _why_none(store, row) if row is not None and not found else ""
    from console.tables import Terminal, counts_line, verdict_table
    from console.words import brief_command

    terminal = Terminal.of(sys.stdout)
    if row is not None:
        title = f"session {row.id}: "
        click.echo(f"{title}{brief_command(row.command, max(20, terminal.width - len(title)))}\n")
    sys.stdout.write(verdict_table(found, terminal, folders))
    if found or why:
        click.echo(f"\n{counts_line(found)}" if found else why)


def folder_of(store: Store, session: str) -> str:
    """The folder that the session began in; "" where its events do not say."""
    with suppress(StoreError):  # a full disk left verdicts without events: paths stay absolute then
        for event in store.events(session):
            return event.cwd if isinstance(event, SessionStart) else ""
    return ""


def _why_none(store: Store, row: SessionRow) -> str:
    """Why the session has no verdict."""
    from console.words import silence

    calls, blind = 0, set()
    with suppress(StoreError):
        for event in store.events(row.id):
            calls += isinstance(event, LlmCall) and event.attempt == 1
            if isinstance(event, BlindSpot):
                blind.add(event.name)
    return silence(calls, row.content, blind)
