"""The topics that the log of a fleet needs: made where they are missing, and held against data/topics.toml.

What is there already is never changed: another number of partitions would move sessions in midst of their log, and a
setting that differs may be meant. It is told, with what the table has and why.
"""

from __future__ import annotations

import asyncio
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any, Literal

import msgspec
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from polygraph.errors import PolygraphError

EVENTS, VERDICTS, DEAD_LETTERS = "events", "verdicts", "dead_letters"
#: tenths of a second
_TRIES = 100
_MIN_REPLICAS = "min.insync.replicas"


class Setting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One of the broker's settings of a topic."""

    value: str | int
    why: str


class Topic(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One row of data/topics.toml."""

    what: str
    partitions: int
    why_partitions: str
    replicas: int
    settings: dict[str, Setting]


class State(msgspec.Struct, frozen=True):
    """What became of a topic, or what it is like. ``problems``: what is not as the table has it, in words."""

    topic: str
    state: Literal["created", "there", "missing", "failed"]
    partitions: int = 0
    replicas: int = 0
    problems: tuple[str, ...] = ()


class TopicsError(PolygraphError):
    """The broker could not be asked, or a topic is missing."""


@cache
def topics() -> dict[str, Topic]:
    """The table. Raises msgspec.ValidationError when it is malformed."""
    raw = tomllib.loads(resources.files("polygraph").joinpath("data/topics.toml").read_text("utf-8"))
    return msgspec.convert(raw, dict[str, Topic])


def wanted(partitions: Mapping[str, int], replicas: int | None) -> dict[str, Topic]:
    """The table with other numbers; as many replicas are in sync as there are, at most."""
    found = {}
    for name, row in topics().items():
        copies = replicas or row.replicas
        settings = dict(row.settings)
        least = settings[_MIN_REPLICAS]
        settings[_MIN_REPLICAS] = Setting(min(int(least.value), copies), least.why)
        found[name] = msgspec.structs.replace(
            row, partitions=partitions.get(name, row.partitions), replicas=copies, settings=settings
        )
    return found


async def needed(admin: AIOKafkaAdminClient, *names: str) -> None:
    """Raises TopicsError for the first of these that is not there: nobody makes them by themselves."""
    there = set(await admin.list_topics())
    for name in names:
        if name not in there:
            raise TopicsError(f"there is no topic {name}", "make it: polygraph topics apply")


async def check(client: Mapping[str, Any], prefix: str, rows: Mapping[str, Topic]) -> list[State]:
    """Each topic as it is. Raises TopicsError."""
    return await _asked(client, prefix, rows, create=False)


async def apply(client: Mapping[str, Any], prefix: str, rows: Mapping[str, Topic]) -> list[State]:
    """Makes what is missing; then each topic as it is. Raises TopicsError."""
    return await _asked(client, prefix, rows, create=True)


async def _asked(
    client: Mapping[str, Any], prefix: str, rows: Mapping[str, Topic], *, create: bool
) -> list[State]:
    admin = AIOKafkaAdminClient(**client)
    try:
        try:
            await admin.start()
            there = set(await admin.list_topics())
            failed: dict[str, str] = {}
            missing = [name for name in rows if prefix + name not in there]
            if create and missing:
                failed = await _create(admin, prefix, {name: rows[name] for name in missing})
            found = [name for name in rows if name not in missing or (create and name not in failed)]
            states = {state.topic: state for state in await _described(admin, prefix, rows, found)}
        finally:
            await admin.close()
    except KafkaError as error:
        raise TopicsError(
            f"the broker could not be asked: {str(error) or type(error).__name__}",
            "is [kafka] bootstrap reachable, and may the user describe topics?",
        ) from error
    return [_state(prefix + name, name, states, missing, failed) for name in rows]


def _state(
    topic: str, name: str, states: Mapping[str, State], missing: Sequence[str], failed: Mapping[str, str]
) -> State:
    if name in failed:
        return State(topic, "failed", problems=(failed[name],))
    if topic not in states:
        return State(topic, "missing", problems=("it is not there",))
    return msgspec.structs.replace(states[topic], state="created" if name in missing else "there")


async def _create(admin: Any, prefix: str, rows: Mapping[str, Topic]) -> dict[str, str]:
    """What could not be made, and why. Another one may have made it meanwhile."""
    new = [
        NewTopic(
            prefix + name,
            row.partitions,
            row.replicas,
            topic_configs={key: str(setting.value) for key, setting in row.settings.items()},
        )
        for name, row in rows.items()
    ]
    answer = await admin.create_topics(new)
    failed = {}
    for name, code, message in (row[:3] for row in answer.topic_errors):
        error = for_code(code)
        if code and error is not TopicAlreadyExistsError:
            failed[name.removeprefix(prefix)] = message or error.__name__
    return failed


async def _led(admin: Any, topics: Sequence[str]) -> dict[str, Any]:
    """What the broker knows of topics, once their partitions have leaders: a new one has none for a moment."""
    for _ in range(_TRIES):
        told = {row["topic"]: row for row in await admin.describe_topics(list(topics))}
        if all(row["partitions"] and not row["error_code"] for row in told.values()):
            break
        await asyncio.sleep(0.1)
    return told


async def _described(admin: Any, prefix: str, rows: Mapping[str, Topic], names: Sequence[str]) -> list[State]:
    if not names:
        return []
    told = await _led(admin, [prefix + name for name in names])
    asked = [ConfigResource(ConfigResourceType.TOPIC, prefix + name) for name in names]
    configs: dict[str, dict[str, str]] = {}
    for answer in await admin.describe_configs(asked):
        for resource in answer.resources:
            configs[resource[3]] = {row[0]: row[1] for row in resource[4]}
    states = []
    for name in names:
        topic, row = prefix + name, rows[name]
        places = told[topic]["partitions"]
        replicas = min((len(place["replicas"]) for place in places), default=0)
        problems = []
        if len(places) != row.partitions:
            problems.append(f"{len(places)} partitions, not {row.partitions}: {row.why_partitions}")
        if replicas != row.replicas:
            problems.append(f"{replicas} replicas, not {row.replicas}")
        problems += [
            f"{key} is {configs[topic].get(key)}, not {setting.value}: {setting.why}"
            for key, setting in row.settings.items()
            if configs[topic].get(key) != str(setting.value)
        ]
        states.append(State(topic, "there", len(places), replicas, tuple(problems)))
    return states
