"""What a correlator of a fleet does in a second of CPU, from Kafka to Kafka, beside the engine alone.

    python -m bench.pipeline [--runs N] [--sessions N]

A broker of this machine's own (Kafka 4, one node) has the events of recorded sessions in two partitions: the short
sessions of bench/correlator, under other ids, all open at once. Every round runs, in turn, the engine alone on the same
batches (decoded and fed, nothing sent), one correlator that has both partitions, and two that have one each; each
correlator is a process and a group of its own, and begins with the first record. Speed is events by the CPU time of the
correlators; the broker's is not in it. How much faster two are is told by the wall clock, which the broker shares.

How long a verdict takes is measured at a pace that leaves the correlator idle for the most part: from the broker's
stamp of the record of events with which it came due to that of the verdict.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from bench._harness import BenchError, workplace
from bench._result import line, part, result
from bench._statistics import Estimate, estimate, interleaved, paired_ratio, quantile
from bench.correlator import short
from correlator.engine import Engine
from polygraph.log.batches import Batch, headers, pack, unpack
from polygraph.log.kafka import topics
from polygraph.log.kafka.clients import producer
from polygraph.log.kafka.connect import arguments
from polygraph.settings import Kafka
from tests.kafka.broker import Broker
from tests.kafka.fleet import Correlator, publish, there

RUNS, SESSIONS = 3, 2000
#: bytes of a batch: what an agent at work brings in a second
FULL = 8 * 1024
#: s between two records of the measurement of time; sessions in it
PACE, PACED = 0.02, 20
#: events/s; how many times faster two are; s
MARK_SPEED, MARK_TWO, MARK_LATENCY = 150_000, 1.8, 0.5
#: s
_PATIENCE = 900


class Figures(NamedTuple):
    """Of one arm: events, s of CPU, events in a second of wall time."""

    events: float
    cpu: float
    wall_speed: float


def batches(sessions: int) -> list[Batch]:
    """Of so many sessions in turn, all ends last but for what their lengths make of it."""
    logs = short()
    left = []
    for number in range(sessions):
        log = logs[number % len(logs)]
        was, name = log[0].session.encode(), f"{number:016x}"
        left.append(
            [
                row._replace(session=name, value=row.value.replace(was, name.encode()))
                for row in pack(log, 0, log[-1].seq + 1, FULL)
            ]
        )
    found: list[Batch] = []
    while left := [rows for rows in left if rows]:
        found += [rows.pop(0) for rows in left]
    return found


def engine(rows: Sequence[Batch]) -> Figures:
    """The engine alone."""
    one, began, wall = Engine(), time.process_time(), time.monotonic()
    for row in rows:
        for event in unpack(row.session, row.value, 1):
            one.feed(event)
    events = sum(row.events for row in rows)
    return Figures(events, time.process_time() - began, events / (time.monotonic() - wall))


def correlators(kafka: Kafka, folder: Path, rows: Sequence[Batch], count: int, turn: int) -> Figures:
    """``count`` of them, from when they have their partitions on. Raises BenchError when they come to no end."""
    with ExitStack() as stack:
        started = []
        for number in range(count):
            one = Correlator(kafka, folder, f"{turn}-{count}-{number}", group=f"g{turn}-{count}", instance="")
            stack.callback(one.kill)
            started.append(one.start())
        until = time.monotonic() + _PATIENCE
        while not all(one.log.exists() and one.told("assigned") for one in started):
            _wait(started, until)
        while any(len(one.told("assigned")[-1]["partitions"]) != 2 // count for one in started):
            _wait(started, until)
        began, cpu, before = time.monotonic(), sum(map(_cpu, started)), sum(map(_records, started))
        while sum(map(_records, started)) < len(rows):
            _wait(started, until)
        took = time.monotonic() - began
        events = sum(row.events for row in rows) * (1 - before / len(rows))
        return Figures(events, sum(map(_cpu, started)) - cpu, events / took)


def _wait(started: Sequence[Correlator], until: float) -> None:
    if time.monotonic() > until or not all(one.runs for one in started):
        raise BenchError(f"a correlator did not come to its end: {started[0].log.read_text()[-500:]}")
    time.sleep(0.02)


def _records(one: Correlator) -> int:
    name = "polygraph_correlator_records_total "
    lines = one.asked("/metrics")[1].splitlines()
    return int(float(next(text for text in lines if text.startswith(name)).split()[1]))


def _cpu(one: Correlator) -> float:
    fields = Path(f"/proc/{one.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def _paced(kafka: Kafka, rows: Sequence[Batch]) -> None:
    client = producer(arguments(kafka))
    await client.start()
    try:
        for row in rows:
            await client.send_and_wait(
                f"{kafka.topic_prefix}events",
                key=row.session.encode(),
                value=row.value,
                headers=list(headers(row.first, row.next).items()),
            )
            await asyncio.sleep(PACE)
    finally:
        await client.stop()


def latencies(kafka: Kafka, folder: Path) -> list[float]:
    """s from the events with which a verdict came due to the verdict, of each."""
    correlator = Correlator(kafka, folder, "paced", instance="")
    try:
        correlator.start()
        until = time.monotonic() + _PATIENCE
        while not (correlator.log.exists() and correlator.told("assigned")):
            _wait([correlator], until)
        rows = batches(PACED)
        asyncio.run(_paced(kafka, rows))
        while _records(correlator) < len(rows):
            _wait([correlator], until)
        correlator.stop()
    finally:
        correlator.kill()
    events = {(row.key, row.offset): row.timestamp for row in asyncio.run(there(kafka, "events"))}
    return [
        (row.timestamp - events[row.key, int(dict(row.headers)["polygraph.offset"])]) / 1000
        for row in asyncio.run(there(kafka, "verdicts"))
    ]


def _made(broker: Broker, prefix: str) -> Kafka:
    kafka = Kafka(bootstrap=(broker.bootstrap,), topic_prefix=prefix)
    rows = topics.wanted({topics.EVENTS: 2, topics.VERDICTS: 2, topics.DEAD_LETTERS: 1}, 1)
    asyncio.run(topics.apply(arguments(kafka), prefix, rows))
    return kafka


def main() -> int:
    """0, whatever was measured; 1 when it could not be."""
    parser = argparse.ArgumentParser(prog="bench.pipeline")
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--sessions", type=int, default=SESSIONS)
    given = parser.parse_args()
    try:
        with workplace() as place, ExitStack() as stack:
            broker = Broker(place / "kafka")
            broker.start()
            stack.callback(broker.kill)
            kafka, rows = _made(broker, "bench."), batches(given.sessions)
            asyncio.run(publish(kafka, rows))
            turn = itertools.count()
            arms = (
                ("engine", lambda: engine(rows)),
                ("one", lambda: correlators(kafka, place, rows, 1, next(turn))),
                ("two", lambda: correlators(kafka, place, rows, 2, next(turn))),
            )
            found = interleaved(arms, given.runs)
            taken = latencies(_made(broker, "paced."), place)
    except BenchError as error:
        sys.stderr.write(f"bench.pipeline: {error}\n")
        return 1
    speeds = {arm: [one.events / one.cpu for one in some] for arm, some in found.items()}
    walls = {arm: [one.wall_speed for one in some] for arm, some in found.items()}
    ninety_nine = quantile(taken, 0.99)
    parts = (
        part("one correlator, Kafka to Kafka", estimate(speeds["one"]), "events/s of CPU", MARK_SPEED, wants="more",
             baseline=estimate(speeds["engine"]).value, note="baseline: the engine alone"),
        part("two correlators on two partitions, by the clock", paired_ratio(walls["two"], walls["one"]),
             "times one", MARK_TWO, wants="more", note="the broker shares the cores"),
        part("events to verdict in its topic, p99", Estimate(ninety_nine, ninety_nine, max(taken), 0), "s",
             MARK_LATENCY, note=f"of {len(taken)}, by the broker's stamps; up to the slowest"),
    )  # fmt: skip
    sys.stdout.write(line(result("pipeline", parts, given.runs, "make bench-pipeline")) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
