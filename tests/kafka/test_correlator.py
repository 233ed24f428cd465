"""``polygraph correlator`` on a real broker: what it says is what embedded mode says, whatever ends in between."""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from polygraph.log.kafka.connect import arguments
from polygraph.settings import Kafka
from tests.kafka.broker import Broker
from tests.kafka.conftest import Start, made
from tests.kafka.fleet import Correlator, batches, expected, logs, publish, said, there

#: what ends is started again: a broker that was killed takes its time
pytestmark = pytest.mark.timeout(300)


def until(done: Callable[[], Any], *correlators: Correlator) -> Any:
    """What ``done`` gives, when it gives something; meanwhile no correlator may end."""
    while not (found := done()):
        for one in correlators:
            assert one.runs, one.log.read_text()
        time.sleep(0.3)
    return found


def whole(kafka: Kafka) -> tuple[dict[str, bytes], int] | None:
    """What was said, and how much of it twice, once everything that is expected was."""
    found, again = said(asyncio.run(there(kafka, "verdicts")))
    return (found, again) if found.keys() >= expected().keys() else None


def test_what_is_said_is_what_embedded_mode_says(kafka: Kafka, correlators: Start) -> None:
    correlator = correlators(kafka)
    asyncio.run(publish(kafka, batches()))
    found, again = until(lambda: whole(kafka), correlator)
    correlator.stop()
    assert found == expected() and len(found) > 100 and again == 0
    assert asyncio.run(there(kafka, "dead_letters")) == []


STEPS = [
    *(("taken", 1), ("taken", 300), ("sent", 1), ("sent", 60)),
    *(("acknowledged", 1), ("acknowledged", 10), ("committed", 1), ("committed", 3)),
]


@pytest.mark.parametrize(("step", "count"), STEPS)
def test_one_that_is_killed_at_any_step_is_gone_on_with(
    kafka: Kafka, correlators: Start, step: str, count: int
) -> None:
    killed = correlators(kafka, "one", "tests.kafka.killed", step, str(count), commit_seconds="0.05")
    rows = batches()
    sent = len(rows) // 2
    asyncio.run(publish(kafka, rows[:sent]))
    while step == "committed" and killed.runs:  # it commits when something came and some time went by
        asyncio.run(publish(kafka, rows[sent : sent + 1]))
        sent += 1
    assert killed.ended() == -signal.SIGKILL
    correlator = correlators(kafka)
    asyncio.run(publish(kafka, rows[sent:]))
    found, _ = until(lambda: whole(kafka), correlator)
    correlator.stop()
    assert found == expected()
    assert asyncio.run(there(kafka, "dead_letters")) == []


def test_correlators_come_and_go_under_load(kafka: Kafka, correlators: Start) -> None:
    rows = batches()
    quarter = len(rows) // 4 + 1
    parts = [rows[begin : begin + quarter] for begin in range(0, len(rows), quarter)]
    one = correlators(kafka, "one", commit_seconds="0.1")
    asyncio.run(publish(kafka, parts[0]))
    two = correlators(kafka, "two", commit_seconds="0.1")
    asyncio.run(publish(kafka, parts[1]))
    until(lambda: two.told("assigned") and len(two.told("assigned")[-1]["partitions"]) == 2, one, two)
    asyncio.run(publish(kafka, parts[2]))
    two.stop()
    three = correlators(kafka, "two", commit_seconds="0.1")
    asyncio.run(publish(kafka, parts[3]))
    found, _ = until(lambda: whole(kafka), one, three)
    one.stop()
    three.stop()
    assert found == expected()


def test_a_broker_that_dies_is_waited_for(mortal: Broker, correlators: Start) -> None:
    kafka = made(mortal, "mortal.")
    correlator = correlators(kafka, commit_seconds="0.1")
    rows = batches()
    asyncio.run(publish(kafka, rows[: len(rows) // 2]))
    until(lambda: said(asyncio.run(there(kafka, "verdicts")))[0], correlator)
    mortal.kill()
    time.sleep(3)
    assert correlator.runs
    mortal.start()
    asyncio.run(publish(kafka, rows[len(rows) // 2 :]))
    found, _ = until(lambda: whole(kafka), correlator)
    correlator.stop()
    assert found == expected()


def test_what_cannot_be_read_is_kept_apart_with_its_reason(kafka: Kafka, correlators: Start) -> None:
    correlator = correlators(kafka)
    rows = batches()
    some, last = rows[0], rows[-1]
    poison = [
        some._replace(value=b"not a line of JSON"),
        some._replace(session="0" * 16),
        some._replace(session="1" * 16, value=b""),
        last._replace(session="2" * 16, value=last.value.replace(last.session.encode(), b"2" * 16)),
    ]
    asyncio.run(publish(kafka, [*rows, *poison]))
    asyncio.run(publish(kafka, [some._replace(session="3" * 16)], schema=b"2"))
    asyncio.run(publish(kafka, [some._replace(session="4" * 16)], first=b"x"))
    until(lambda: whole(kafka), correlator)
    dead = until(lambda: len(rows := asyncio.run(there(kafka, "dead_letters"))) >= 6 and rows, correlator)
    reasons = Counter(dict(row.headers)["polygraph.reason"].decode() for row in dead)
    assert reasons == {
        **dict.fromkeys(("other_session", "empty", "headless", "newer_schema"), 1),
        "malformed": 2,
    }
    assert {row.value for row in dead} == {row.value for row in poison}
    metrics = correlator.asked("/metrics")[1]
    assert 'polygraph_correlator_dead_letters_total{reason="malformed"} 2.0' in metrics
    assert f"polygraph_correlator_records_total {len(rows) + 6}.0" in metrics
    correlator.stop()


def test_a_group_whose_offsets_were_set_back_says_all_again(kafka: Kafka, correlators: Start) -> None:
    correlator = correlators(kafka, instance="")  # one with a name is waited for when it has left
    asyncio.run(publish(kafka, batches()))
    until(lambda: whole(kafka), correlator)
    correlator.stop()
    asyncio.run(_set_back(kafka))
    correlator = correlators(kafka, "another", instance="")
    found, again = until(lambda: (now := whole(kafka)) and now[1] >= len(expected()) and now, correlator)
    correlator.stop()
    assert found == expected() and again == len(expected())


async def _set_back(kafka: Kafka) -> None:
    """As `kafka-consumer-groups --reset-offsets --to-earliest` does."""
    consumer = AIOKafkaConsumer(
        **arguments(kafka), group_id=f"{kafka.topic_prefix}group", enable_auto_commit=False
    )
    places = [TopicPartition(f"{kafka.topic_prefix}events", number) for number in range(4)]
    await consumer.start()
    consumer.assign(places)
    await consumer.commit(dict.fromkeys(places, 0))
    await consumer.stop()


def test_without_its_topics_it_says_what_to_do(kafka: Kafka, correlators: Start) -> None:
    correlator = correlators(msgspec.structs.replace(kafka, topic_prefix="none."))
    assert correlator.ended() == 1
    assert "there is no topic none.events\n  make it: polygraph topics apply" in correlator.log.read_text()


def test_it_says_how_it_is(kafka: Kafka, correlators: Start) -> None:
    correlator = correlators(kafka)
    until(lambda: correlator.told("correlator_started"), correlator)
    until(lambda: correlator.asked("/readyz") == (200, "ready\n"), correlator)
    assert correlator.asked("/healthz") == (200, "alive\n")
    assert correlator.asked("/else")[0] == 404
    log = logs()
    session = min(log, key=lambda one: len(log[one]))
    asyncio.run(publish(kafka, [row for row in batches() if row.session == session][:1]))
    until(lambda: "open_sessions" in correlator.asked("/metrics")[1], correlator)
    until(lambda: _sum(correlator.asked("/metrics")[1], "open_sessions") == 1, correlator)
    correlator.stop()


def _sum(metrics: str, name: str) -> float:
    begin = f"polygraph_correlator_{name}{{"
    return sum(float(line.split()[-1]) for line in metrics.splitlines() if line.startswith(begin))
