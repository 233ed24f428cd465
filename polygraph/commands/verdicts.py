"""``polygraph verdicts``: the verdicts in the store."""

from __future__ import annotations

import sys

import click

from polygraph import verdicts as codec
from polygraph.log.store import Store


@click.command("verdicts")
@click.option("--session", metavar="ID", help="Session id or its beginning; the newest session if left out.")
@click.option("--all", "everything", is_flag=True, help="Verdicts of all sessions.")
@click.option(
    "--json", "as_json", is_flag=True, help="One verdict a line as JSON (docs/verdicts.md has the fields)."
)
def command(session: str | None, everything: bool, as_json: bool) -> None:
    """Show the verdicts of a session."""
    with Store() as store:
        wanted = None if everything else store.find(session).id
        found = list(store.verdicts(wanted))
    if as_json:
        for verdict in found:
            sys.stdout.buffer.write(codec.encode(verdict) + b"\n")
        return
    from console.tables import Terminal, verdict_table

    sys.stdout.write(verdict_table(found, Terminal.of(sys.stdout)))
