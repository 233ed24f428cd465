"""``polygraph sessions``: the sessions in the store."""

from __future__ import annotations

import sys

import click
import msgspec

from polygraph.log.store import Store


@click.command("sessions")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line instead of a table.")
def command(as_json: bool) -> None:
    """List the sessions in the store, newest first."""
    with Store() as store:
        rows = store.sessions()
    if as_json:
        for row in rows:
            sys.stdout.buffer.write(msgspec.json.encode(row) + b"\n")
        return
    from console.tables import Terminal, session_table

    sys.stdout.write(session_table(rows, Terminal.of(sys.stdout)))
