"""What the tests of a fleet's log share: recorded sessions as batches in topics, and what was said of them."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Self

from aiokafka import AIOKafkaConsumer, TopicPartition

from correlator.engine import Engine
from polygraph import findings, verdicts
from polygraph.events import AnyEvent
from polygraph.log.batches import Batch, headers, pack
from polygraph.log.kafka.clients import producer
from polygraph.log.kafka.connect import arguments
from polygraph.settings import Kafka
from tests.corpus import records, schema

#: of each sixth family its shortest session
_EACH = 6
#: bytes of a batch: small ones, so that a session is many
FULL = 4096

Log = list[AnyEvent]


@cache
def logs() -> dict[str, Log]:
    """Recorded sessions by id."""
    found = {}
    for family in list(schema.families())[::_EACH]:
        log = list(min(records.load(family), key=lambda record: len(record.log)).events())
        found[log[0].session] = log
    return found


@cache
def expected() -> dict[str, bytes]:
    """What embedded mode says of them, by id, byte for byte."""
    engine, said = Engine(), {}
    for log in logs().values():
        for event in log:
            due = engine.feed(event)
            said |= {one.id: verdicts.encode(one) for one in due.verdicts}
            said |= {one.id: findings.encode(one) for one in due.findings}
    return said


def batches() -> list[Batch]:
    """Of all sessions in turn, each one's in its order."""
    left = [list(pack(log, 0, log[-1].seq + 1, FULL)) for log in logs().values()]
    found: list[Batch] = []
    while any(left):
        found += [one.pop(0) for one in left if one]
    return found


async def publish(kafka: Kafka, rows: Iterable[Batch], **other: bytes) -> None:
    """Sends records of events, in order. ``other``: values of headers instead of the right ones."""
    client = producer(arguments(kafka))
    await client.start()
    try:
        sent = [
            await client.send(
                f"{kafka.topic_prefix}events",
                key=row.session.encode(),
                value=row.value,
                headers=[
                    *(headers(row.first, row.next) | {f"polygraph.{k}": v for k, v in other.items()}).items()
                ],
            )
            for row in rows
        ]
        await asyncio.gather(*sent)
    finally:
        await client.stop()


async def there(kafka: Kafka, topic: str) -> list[Any]:
    """All records of a topic, by partition."""
    client = AIOKafkaConsumer(**arguments(kafka))
    await client.start()
    try:
        name = f"{kafka.topic_prefix}{topic}"
        places = [TopicPartition(name, number) for number in sorted(await _numbers(client, name))]
        client.assign(places)
        ends = await client.end_offsets(places)
        await client.seek_to_beginning(*places)
        found = []
        for place in places:
            while await client.position(place) < ends[place]:
                found += (await client.getmany(place, timeout_ms=1000)).get(place, [])
        return found
    finally:
        await client.stop()


async def _numbers(client: Any, name: str) -> Sequence[int]:
    client.subscribe([name])
    while not (numbers := client.partitions_for_topic(name)):
        await asyncio.sleep(0.1)
    client.unsubscribe()
    return list(numbers)


def said(rows: Iterable[Any]) -> tuple[dict[str, bytes], int]:
    """Verdicts and findings by id, and how many came again. Fails where one id has two contents or another key."""
    found: dict[str, bytes] = {}
    again = 0
    for row in rows:
        headers = dict(row.headers)
        codec = {b"verdict": verdicts.decode, b"finding": findings.decode}[headers["polygraph.type"]]
        one = codec(row.value)
        assert row.key.decode() == one.session
        again += one.id in found
        assert found.setdefault(one.id, row.value) == row.value or headers["polygraph.type"] == b"finding"
        found[one.id] = row.value
    return found, again


class Service:
    """A command of polygraph's as a process. Its log is ``folder/NAME.log``."""

    #: the command, which is the section of its settings
    command = ""

    def __init__(self, kafka: Kafka, folder: Path, name: str, **settings: str) -> None:
        chosen = {"listen": "127.0.0.1:0", **settings}
        self._environment = {
            **os.environ,
            "POLYGRAPH_KAFKA_BOOTSTRAP": ",".join(kafka.bootstrap),
            "POLYGRAPH_KAFKA_TOPIC_PREFIX": kafka.topic_prefix,
            "POLYGRAPH_HOME": str(folder / "home"),
            **{f"POLYGRAPH_{self.command}_{key}".upper(): value for key, value in chosen.items()},
        }
        self.log = folder / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *program: str) -> Self:
        """``program``: modules and arguments of another one than ``polygraph COMMAND``."""
        arguments = program or ("polygraph", self.command)
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *arguments], env=self._environment, stderr=log
            )
        return self

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def told(self, event: str) -> list[dict[str, Any]]:
        """What it logged of that name."""
        lines = self.log.read_text().splitlines()
        return [row for row in map(json.loads, lines) if row["event"] == event]

    def asked(self, path: str) -> tuple[int, str]:
        """What it answers: status, text."""
        address = self.told(f"{self.command}_started")[-1]["listen"]
        try:
            with urllib.request.urlopen(f"http://{address}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def ended(self, within: float = 60) -> int:
        """Its exit status, when it has ended by itself."""
        assert self._process is not None
        return self._process.wait(within)

    def stop(self) -> None:
        """Fails if it does not end well."""
        assert self._process is not None
        self._process.terminate()
        assert self.ended() == 0, self.log.read_text()

    def kill(self) -> None:
        """Does nothing to one that has ended."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()


class Correlator(Service):
    """``polygraph correlator``, which keeps its name in the group."""

    command = "correlator"

    def __init__(self, kafka: Kafka, folder: Path, name: str = "one", **settings: str) -> None:
        super().__init__(
            kafka, folder, name, **{"group": kafka.topic_prefix + "group", "instance": name, **settings}
        )


class Collector(Service):
    """``polygraph collector``, which observes whoever executes ``program``, if nothing else is said."""

    command = "collector"

    def __init__(self, kafka: Kafka, folder: Path, program: Path, **settings: str) -> None:
        spool = str(folder / "spool")
        super().__init__(
            kafka, folder, "collector", **{"auto": "false", "exe": str(program), "spool": spool, **settings}
        )
