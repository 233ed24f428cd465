"""``polygraph findings``: what detectors found, in the store."""

from __future__ import annotations

import sys

import click

from polygraph import findings as codec
from polygraph.commands.verdicts import folder_of
from polygraph.log.store import Store


@click.command("findings")
@click.argument("session", required=False)
@click.option("--all", "everything", is_flag=True, help="Findings of all sessions.")
@click.option(
    "--detector",
    metavar="NAME",
    type=click.Choice(sorted(codec.detectors())),
    help="Findings of this detector only.",
)
@click.option(
    "--json", "as_json", is_flag=True, help="One finding a line as JSON (docs/findings.md has the fields)."
)
def command(session: str | None, everything: bool, detector: str | None, as_json: bool) -> None:
    """Show what was found in a session that nobody had claimed.

    SESSION is a session id or its beginning; the newest session if left out.
    """
    with Store() as store:
        row = None if everything else store.find(session)
        found = [
            finding
            for finding in store.findings(row.id if row is not None else None)
            if detector in (None, finding.detector)
        ]
        if as_json:
            for finding in found:
                sys.stdout.buffer.write(codec.encode(finding) + b"\n")
            return
        folders = {name: folder_of(store, name) for name in {item.session for item in found}}
    from console.tables import Terminal, finding_table
    from console.words import brief_command

    terminal = Terminal.of(sys.stdout)
    if row is not None:
        title = f"session {row.id}: "
        click.echo(f"{title}{brief_command(row.command, max(20, terminal.width - len(title)))}\n")
    sys.stdout.write(finding_table(found, terminal, folders))
