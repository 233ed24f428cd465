"""``polygraph topics``: the topics of a fleet's log, made and checked."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from polygraph.cli import EXIT_FAILED
from polygraph.commands._services import config_option

if TYPE_CHECKING:
    from polygraph.log.kafka.topics import State


_F = TypeVar("_F", bound=Callable[..., Any])


@click.group("topics")
def command() -> None:
    """Make or check the Kafka topics that a fleet needs (docs/fleet.md says why they are as they are)."""


def _numbers(_ctx: click.Context, _param: click.Parameter, value: tuple[str, ...]) -> dict[str, int]:
    found = {}
    for one in value:
        name, _, number = one.partition("=")
        if not number.isdigit() or int(number) < 1:
            raise click.BadParameter(f"{one} is not TOPIC=NUMBER")
        found[name] = int(number)
    return found


def _options(function: _F) -> _F:
    for option in (
        click.option("--json", "as_json", is_flag=True, help="One topic a line."),
        click.option(
            "--replicas", metavar="N", type=click.IntRange(1), help="Copies of each record, for all topics."
        ),
        click.option(
            "--partitions",
            metavar="TOPIC=N",
            multiple=True,
            callback=_numbers,
            help="Partitions of a topic (events, verdicts, dead_letters) instead of the table's; repeatable.",
        ),
        config_option,
    ):
        function = option(function)
    return function


@command.command("apply")
@_options
def apply(config: Path | None, partitions: dict[str, int], replicas: int | None, as_json: bool) -> None:
    """Make the topics that are missing; what is there is checked and never changed."""
    from polygraph.log.kafka import topics

    _run(topics.apply, config, partitions, replicas, as_json=as_json)


@command.command("check")
@_options
def check(config: Path | None, partitions: dict[str, int], replicas: int | None, as_json: bool) -> None:
    """Hold the topics against the table. Exit code 1 if one is missing or differs."""
    from polygraph.log.kafka import topics

    _run(topics.check, config, partitions, replicas, as_json=as_json)


def _run(
    what: Callable[[Mapping[str, Any], str, Any], Coroutine[Any, Any, list[State]]],
    config: Path | None,
    partitions: dict[str, int],
    replicas: int | None,
    *,
    as_json: bool,
) -> None:
    import msgspec

    from polygraph.log.kafka.connect import arguments
    from polygraph.log.kafka.topics import topics, wanted
    from polygraph.settings import load

    if unknown := sorted(set(partitions) - set(topics())):
        raise click.BadParameter(f"--partitions: no topic {unknown[0]}; there are {', '.join(topics())}")
    kafka = load(config, os.environ).kafka
    states = asyncio.run(what(arguments(kafka), kafka.topic_prefix, wanted(partitions, replicas)))
    for state in states:
        if as_json:
            click.echo(msgspec.json.encode(state))
            continue
        size = f"  {state.partitions} partitions, {state.replicas} replicas" if state.partitions else ""
        click.echo(f"{state.topic}  {state.state}{size}")
        for problem in state.problems:
            click.echo(f"  {problem}")
    if any(state.problems for state in states):
        sys.exit(EXIT_FAILED)
