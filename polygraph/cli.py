"""The command line. Each command lives in polygraph/commands/NAME.py and is imported only when it is called,
so that `polygraph run` starts its command without paying for the others.

Exit codes: 0 done, 2 usage, 3 something was refuted (under ``--fail-on refuted``), 1 polygraph itself failed;
`polygraph run` otherwise exits with the status of the command.
"""

from __future__ import annotations

import importlib
import sys

import click

from polygraph import __version__
from polygraph.errors import PolygraphError

COMMANDS = (
    *("run", "watch", "sessions", "verdicts", "findings", "report", "content", "prune", "doctor"),
    *("collector", "correlator", "topics"),
)

EXIT_FAILED = 1
EXIT_REFUTED = 3


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(f"polygraph.commands.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command


@click.command(
    cls=_Lazy,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="The agent can lie. The kernel cannot.",
)
@click.version_option(__version__, prog_name="polygraph")
def cli() -> None:
    """A lie detector for AI agents: what they say, held against what the kernel saw them do."""


def main() -> None:
    """Entry point: turns errors that a user can act on into one message and exit code 1."""
    try:
        cli.main(standalone_mode=True)
    except PolygraphError as error:
        click.echo(f"polygraph: {error}", err=True)
        if error.advice:
            click.echo(f"  {error.advice}", err=True)
        sys.exit(EXIT_FAILED)


if __name__ == "__main__":
    main()
