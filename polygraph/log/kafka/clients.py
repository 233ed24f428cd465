"""The broker's clients that a member of a group has: what reads, what sends, what asks how far the group came."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, NamedTuple, Self

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.assignors.range import RangePartitionAssignor

from polygraph.log.kafka.topics import needed
from polygraph.log.progress import Progress, from_committed

#: ms; the group takes a member for dead that was not heard of for so long: work between two heartbeats, and pauses of
#: the machine, take less. A static member is waited for so long when it starts again.
SESSION_TIMEOUT = 45_000
#: bytes of one record, compressed; a batch is a quarter of that before it is (polygraph/log/batches.py)
MAX_RECORD = 1024 * 1024
#: s; the first and the longest wait before one begins again
_WAIT, _LONGEST = 0.5, 30.0
_log = structlog.get_logger()


class Backoff:
    """How long to wait until one begins again after an error of the broker's: longer while nothing comes of it."""

    def __init__(self) -> None:
        self._wait = _WAIT

    def after(self, error: Exception, *, moved: bool) -> float:
        """The next wait in s, which is logged. ``moved``: something had come of the last try."""
        self._wait = _WAIT if moved else min(2 * self._wait, _LONGEST)
        _log.warning("broker_failed", error=str(error) or type(error).__name__, again_in_s=self._wait)
        return self._wait


class Out(NamedTuple):
    """One record that is to be sent."""

    topic: str
    key: str
    value: bytes
    headers: Mapping[str, bytes] = {}


class Clients:
    """Of one member of ``group``, which reads ``topic``. Enters connected; raises KafkaError when it cannot be, and
    TopicsError when there is no such topic."""

    def __init__(self, client: Mapping[str, Any], topic: str, group: str, instance: str | None) -> None:
        self._topic, self._group = topic, group
        self.consumer = AIOKafkaConsumer(
            **client,
            group_id=group,
            group_instance_id=instance,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            # one only: this client joins again for each that it offers
            partition_assignment_strategy=(RangePartitionAssignor,),
            session_timeout_ms=SESSION_TIMEOUT,
            heartbeat_interval_ms=3_000,
        )
        self._producer = producer(client)
        self._admin = AIOKafkaAdminClient(**client)

    async def __aenter__(self) -> Self:
        try:
            await self._admin.start()
            await needed(self._admin, self._topic)
            await self._producer.start()
            await self.consumer.start()
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    async def _close(self) -> None:
        await asyncio.gather(
            self.consumer.stop(), self._producer.stop(), self._admin.close(), return_exceptions=True
        )

    async def send(self, out: Out) -> asyncio.Future[Any]:
        """What tells that the broker has it. Waits while there is no room for it."""
        future: asyncio.Future[Any] = await self._producer.send(
            out.topic, key=out.key.encode(), value=out.value, headers=list(out.headers.items())
        )
        return future

    async def committed(self, places: Sequence[TopicPartition]) -> dict[TopicPartition, Progress]:
        """How far the group came in each. Of what retention has taken away, nothing can be read again: it is told."""
        if not places:
            return {}
        rows = await self._admin.list_consumer_group_offsets(self._group, partitions=list(places))
        begins: dict[TopicPartition, int] = await self.consumer.beginning_offsets(places)
        found = {}
        for place in places:
            begin, row = begins[place], rows.get(place)
            if row is None or row.offset < 0:
                found[place] = Progress(begin, begin)
                continue
            progress = from_committed(row.offset, row.metadata)
            if progress.low < begin:
                _log.error(
                    "log_cut_off",
                    partition=place.partition,
                    records=begin - progress.low,
                    advice="sessions that began there get no verdict: raise the topic's retention",
                )
                progress = Progress(begin, max(begin, progress.emit_from), progress.watermark)
            found[place] = progress
        return found


def producer(client: Mapping[str, Any]) -> AIOKafkaProducer:
    """One that sends each record once, in order, and to all replicas."""
    return AIOKafkaProducer(
        **client,
        enable_idempotence=True,
        acks="all",
        compression_type="lz4",
        max_request_size=MAX_RECORD,
        max_batch_size=MAX_RECORD // 4,
    )
