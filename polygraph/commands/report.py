"""``polygraph report``: one session as a page."""

from __future__ import annotations

from pathlib import Path

import click

from polygraph.errors import PolygraphError
from polygraph.log.store import Store


@click.command("report")
@click.option("--session", metavar="ID", help="Session id or its beginning; the newest session if left out.")
@click.option(
    "--output",
    "-o",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("polygraph-report.html"),
    show_default=True,
    help="Where to write the page.",
)
def command(session: str | None, output: Path) -> None:
    """Write one self-contained HTML page about a session."""
    with Store() as store:
        row = store.find(session)
        write_report(store, row.id, output)
    click.echo(f"{output}: session {row.id}", err=True)


def write_report(store: Store, session: str, output: Path) -> None:
    """Renders the session to ``output``. Raises PolygraphError when the file cannot be written."""
    from console.report import ReportInput, render

    page = render(
        ReportInput(
            events=list(store.events(session)),
            verdicts=list(store.verdicts(session)),
            findings=list(store.findings(session)),
        )
    )
    try:
        output.write_text(page, encoding="utf-8")
    except OSError as error:
        raise PolygraphError(
            f"cannot write the report to {output}: {error.strerror}", "choose another path"
        ) from error
