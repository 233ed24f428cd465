"""One broker for all tests that do not end it; topics of its own for each test."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from polygraph.log.kafka import topics
from polygraph.log.kafka.connect import arguments
from polygraph.settings import Kafka
from tests.kafka.broker import Broker
from tests.kafka.fleet import Correlator

Start = Callable[..., Correlator]


def made(broker: Broker, prefix: str) -> Kafka:
    """Settings of a log with its topics; four partitions of events."""
    settings = Kafka(bootstrap=(broker.bootstrap,), topic_prefix=prefix)
    rows = topics.wanted({"events": 4, "verdicts": 2, "dead_letters": 1}, replicas=1)
    states = asyncio.run(topics.apply(arguments(settings), prefix, rows))
    assert [state.problems for state in states] == [()] * len(rows)
    return settings


@pytest.fixture(scope="session")
def broker(
    tmp_path_factory: pytest.TempPathFactory, report_used: Callable[[str, str], None]
) -> Iterator[Broker]:
    """A broker that runs."""
    one = Broker(tmp_path_factory.mktemp("kafka"))
    one.start()
    report_used("kafka", one.version)
    yield one
    one.stop()


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[Broker]:
    """A broker that the test may end."""
    one = Broker(tmp_path / "kafka")
    one.start()
    yield one
    one.kill()


@pytest.fixture
def kafka(broker: Broker, request: pytest.FixtureRequest) -> Kafka:
    """Settings of a log that is this test's alone, with its topics."""
    name = "".join(c if c.isalnum() else "-" for c in request.node.name)
    return made(broker, f"{name}.")


@pytest.fixture
def correlators(tmp_path: Path) -> Iterator[Start]:
    """Starts correlators; those that still run are ended with the test."""
    started: list[Correlator] = []

    def start(kafka: Kafka, name: str = "one", *program: str, **settings: str) -> Correlator:
        started.append(Correlator(kafka, tmp_path, name, **settings).start(*program))
        return started[-1]

    yield start
    for one in started:
        one.kill()
