"""polygraph.cli: what a user can type is documented; errors say what to do."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from polygraph.cli import COMMANDS, cli

PAGE = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()


def commands() -> dict[str, click.Command]:
    """Every command, those of groups by both words."""
    found: dict[str, click.Command] = {}
    for name in COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        if isinstance(command, click.Group):
            found |= {f"{name} {sub}": inner for sub, inner in command.commands.items()}
        else:
            found[name] = command
    return found


@pytest.mark.parametrize("name", commands())
def test_every_command_and_option_is_documented(name: str) -> None:
    section = PAGE.split(f"## polygraph {name}", 1)[1].split("\n## ", 1)[0]
    command = commands()[name]
    assert command.help
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{parameter.name} says nothing about itself"
            assert all(
                f"`{option}" in section or f"[{option}" in section
                for option in parameter.opts
                if option != "-o"
            )


@pytest.mark.parametrize("name", COMMANDS)
def test_help_works(name: str) -> None:
    result = CliRunner().invoke(cli, [name, "--help"])
    assert result.exit_code == 0 and f"{name} [OPTIONS]" in result.output


def test_an_unknown_command_is_a_usage_error() -> None:
    assert CliRunner().invoke(cli, ["frobnicate"]).exit_code == 2


def test_a_command_does_not_wait_for_what_few_sessions_need() -> None:
    """HTTP/2's tables, the disassembler and the search for credentials are imported when they are needed."""
    late = {"hpack", "iced_x86", "ahocorasick_rs"}
    source = "import collector.collect, polygraph.commands._record, polygraph.commands.run, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", source], check=True, capture_output=True, text=True)
    assert all(map(find_spec, late)) and not late & set(loaded.stdout.split())
