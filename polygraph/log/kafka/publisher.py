"""What a collector publishes: batches into its spool, and from there to the broker, in a thread of its own.

Everything goes through the spool, so there is one way whether the broker is there or not, and what was told is safe
from the moment on in which :meth:`Publisher.publish` returns. The thread sends in the order of the spool and removes
what the broker has; an error of the broker's lets it begin again with what is not removed, after a wait that grows. So
a record may be sent twice, and no record before one that came earlier.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import structlog
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from polygraph.log.batches import Batch, headers
from polygraph.log.kafka.clients import Backoff, producer
from polygraph.log.spool import Entry, Spool

#: records that are under way at once
_AT_ONCE = 200
_log = structlog.get_logger()


@dataclass(slots=True)
class Published:
    """Since it began. ``too_large``: events of records that no broker takes."""

    records: int = 0
    events: int = 0
    too_large: int = 0
    failures: int = 0


class Publisher:
    """Of one collector. ``close`` ends its thread."""

    def __init__(self, client: Mapping[str, Any], topic: str, spool: Spool) -> None:
        self._client, self._topic, self._spool = client, topic, spool
        self._closing = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._news = asyncio.Event()
        self._connected = False
        self.published = Published()
        self._thread = threading.Thread(target=self._main, daemon=True, name="publisher")
        self._thread.start()

    @property
    def connected(self) -> bool:
        """Whether the broker takes records now."""
        return self._connected

    def publish(self, batches: Iterable[Batch]) -> None:
        """Takes batches. What there is no room for is dropped and counted by the spool, the oldest first."""
        some = False
        for batch in batches:
            some = self._spool.append(*batch) or some
        if some:
            self._wake()

    def close(self, patience: float) -> bool:
        """Sends what is left for at most ``patience`` s: whether all was. The rest waits for the next collector."""
        self._closing.set()
        self._wake()
        self._thread.join(patience)
        if self._thread.is_alive():
            self._call(self._stop)
            self._thread.join(5)
        return not self._spool.size

    def _wake(self) -> None:
        self._call(self._news.set)

    def _call(self, what: Callable[[], object]) -> None:
        if self._loop is not None:
            with suppress(RuntimeError):  # it has just ended
                self._loop.call_soon_threadsafe(what)

    def _main(self) -> None:
        asyncio.run(self._run())

    def _stop(self) -> None:
        for task in asyncio.all_tasks(self._loop):
            task.cancel()

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        backoff = Backoff()
        with suppress(asyncio.CancelledError):
            while True:
                before = self.published.records
                try:
                    await self._send()
                except KafkaError as error:
                    self._connected = False
                    self.published.failures += 1
                    await asyncio.sleep(backoff.after(error, moved=self.published.records > before))
                else:
                    return

    async def _send(self) -> None:
        """Until it is closed and nothing is left."""
        client = producer(self._client)
        position = 0
        try:
            await client.start()
            self._connected = True
            while True:
                self._news.clear()
                entries = self._spool.read(position, _AT_ONCE)
                if entries:
                    await self._send_all(client, entries)
                    position = entries[-1].number + 1
                    self._spool.done(position)
                elif self._closing.is_set():
                    return
                else:
                    await self._news.wait()
        finally:
            self._connected = False
            await client.stop()

    async def _send_all(self, client: Any, entries: Iterable[Entry]) -> None:
        under_way = []
        for entry in entries:
            try:
                sent = await client.send(
                    self._topic,
                    key=entry.key.encode(),
                    value=entry.value,
                    headers=list(headers(entry.first, entry.next).items()),
                )
            except MessageSizeTooLargeError:
                self.published.too_large += entry.events
                _log.error("too_large", session=entry.key, events=entry.events, bytes=len(entry.value))
                continue
            under_way.append(sent)
            self.published.records += 1
            self.published.events += entry.events
        for sent in under_way:
            await sent
