"""A member of a consumer group: records of its partitions in, what a work makes of them out, nothing lost in between.

What is done with the records is a :class:`Work`, one for each partition, which knows no broker. A member sends what the
work gives, waits until the broker has it, and only then commits how far it came; whoever has the partition next goes on
by the recovery rule of polygraph/log/progress.py. So everything is said at least once, and again only in the same
words.

- **Rebalance.** This client's are eager: all partitions are given up and given out anew. A work that did not move in
  between, and whose progress is still what the group has, is kept; the others are built again from the log.
- **Slow broker.** While something is on its way nothing new is read: the partitions are paused, and polled all the
  same, or the group would take the member for dead.
- **Broker away.** What cannot be sent in time, or any other error of the broker's, lets the member begin again from
  what was committed, as a new process would, after a wait that grows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import structlog
from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from polygraph.log.kafka.clients import Backoff, Clients, Out
from polygraph.log.progress import Progress, to_metadata

#: records of a partition that are worked on between two looks at the heartbeat
CHUNK = 16
_log = structlog.get_logger()


class Record(NamedTuple):
    """One record of a partition. ``stamp``: ms since the epoch, the broker's own."""

    offset: int
    stamp: int
    key: str
    value: bytes
    headers: Mapping[str, bytes]


class Work(Protocol):
    """What is done with one partition. Pure: the same records give the same."""

    def take(self, record: Record) -> Sequence[Out]:
        """The next record; what is to be sent for it."""

    def progress(self) -> Progress:
        """How far it came."""


W = TypeVar("W", bound=Work)


@dataclass(slots=True)
class _Slot(Generic[W]):
    """A partition that is ours. ``safe``: the broker has all that was sent until there."""

    work: W
    committed: Progress
    safe: Progress
    position: int


@dataclass(slots=True)
class Counted:
    """What a member did since it began."""

    records: int = 0
    sent: int = 0
    commits: int = 0
    rebalances: int = 0
    built: int = 0
    kept: int = 0
    restarts: int = 0


class Member(Generic[W]):
    """Serves until :meth:`stop`. One at a time in a process."""

    def __init__(
        self,
        topic: str,
        group: str,
        work: Callable[[int, Progress], W],
        client: Mapping[str, Any],
        *,
        instance: str | None = None,
        commit_every: float = 1.0,
        on_round: Callable[[], None] = lambda: None,
        on_step: Callable[[str], None] = lambda _step: None,
    ) -> None:
        """``work`` makes the work of a partition. ``client``: arguments of every client (connect.py beside this).

        ``instance``: the name that this member keeps over restarts, so that none of them moves partitions.
        ``commit_every`` in s. ``on_round`` is called while it is alive. ``on_step`` is told of ``taken``, ``sent``,
        ``acknowledged``, ``committed``: there a test may end the process.
        """
        self._topic, self._group, self._work = topic, group, work
        self._client, self._instance = client, instance
        self._commit_every, self._on_round, self._on_step = commit_every, on_round, on_step
        self._stopping = asyncio.Event()
        self._ready = asyncio.Event()
        self._epoch = 0
        self._slots: dict[int, _Slot[W]] = {}
        self._failure: Exception | None = None
        self.counted = Counted()

    @property
    def ready(self) -> bool:
        """Whether it has its partitions, be they none."""
        return self._ready.is_set()

    @property
    def works(self) -> Mapping[int, W]:
        """The works of the partitions that it has."""
        return {partition: slot.work for partition, slot in self._slots.items()}

    def stop(self) -> None:
        """Commits what is done and leaves."""
        self._stopping.set()

    async def run(self) -> None:
        """Raises what is no error of the broker's: TopicsError, or a mistake of ours."""
        backoff = Backoff()
        while not self._stopping.is_set():
            before = self.counted.commits
            try:
                await self._serve()
            except KafkaError as error:
                self._epoch += 1
                self._slots.clear()
                self._ready.clear()
                self.counted.restarts += 1
                wait = backoff.after(error, moved=self.counted.commits > before)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), wait)

    async def _serve(self) -> None:
        async with Clients(self._client, self._topic, self._group, self._instance) as clients:
            self._clients = clients
            clients.consumer.subscribe([self._topic], listener=_Listener(self, clients))
            due = asyncio.get_running_loop().time() + self._commit_every
            while not self._stopping.is_set():
                epoch = self._epoch
                self._on_round()
                records = await clients.consumer.getmany(timeout_ms=200, max_records=CHUNK)
                if self._failure is not None:
                    failure, self._failure = self._failure, None
                    raise failure
                if epoch == self._epoch and self._ready.is_set():
                    await self._chunk(epoch, records)
                else:
                    self._put_back(records)
                if asyncio.get_running_loop().time() >= due:
                    await self._commit()
                    due = asyncio.get_running_loop().time() + self._commit_every
            await self._commit()

    async def _chunk(self, epoch: int, fetched: Mapping[TopicPartition, Sequence[Any]]) -> None:
        sent: list[asyncio.Future[Any]] = []
        taken: dict[int, Progress] = {}
        for place, raw in fetched.items():
            slot = self._slots[place.partition]
            if raw[0].offset < slot.position:  # read before it was sought
                self._put_back({place: raw})
                continue
            for record in raw:
                outs = slot.work.take(_record(record))
                slot.position = record.offset + 1
                self.counted.records += 1
                self._on_step("taken")
                for out in outs:
                    sent.append(await self._clients.send(out))
                    self.counted.sent += 1
                    self._on_step("sent")
                await asyncio.sleep(0)  # the heartbeat
                if epoch != self._epoch:
                    return  # given up meanwhile; what was not acknowledged is not safe
            taken[place.partition] = slot.work.progress()
        await self._acknowledged(sent)
        self._on_step("acknowledged")
        if epoch == self._epoch:
            for partition, progress in taken.items():
                self._slots[partition].safe = progress

    def _put_back(self, fetched: Mapping[TopicPartition, Sequence[Any]]) -> None:
        """Has records read again that were not taken. Of partitions that are just being given out, all will be."""
        for place in fetched:
            slot = self._slots.get(place.partition)
            if slot is not None and self._ready.is_set():
                self._clients.consumer.seek(place, slot.position)

    async def _acknowledged(self, sent: Sequence[asyncio.Future[Any]]) -> None:
        """Waits until the broker has it. Raises what became of one that it has not."""
        left: Iterable[asyncio.Future[Any]] = sent
        held: set[TopicPartition] = set()
        while left:
            done, left = await asyncio.wait(left, timeout=1)
            self._on_round()
            for one in done:
                one.result()
            if left:
                held = set(self._clients.consumer.assignment())
                self._clients.consumer.pause(*held)
                self._put_back(await self._clients.consumer.getmany(timeout_ms=0))
        self._clients.consumer.resume(*(held & set(self._clients.consumer.assignment())))

    async def _commit(self) -> None:
        moved = {p: slot.safe for p, slot in self._slots.items() if slot.safe != slot.committed}
        if not moved:
            return
        offsets = {
            TopicPartition(self._topic, p): (progress.low, to_metadata(progress))
            for p, progress in moved.items()
        }
        try:
            await self._clients.consumer.commit(offsets)
        except (CommitFailedError, IllegalStateError):  # given to another meanwhile, who begins before this
            _log.info("commit_refused", partitions=sorted(moved))
            return
        self.counted.commits += 1
        for partition, progress in moved.items():
            if partition in self._slots:
                self._slots[partition].committed = progress
        self._on_step("committed")

    async def keep(self, done: Coroutine[Any, Any, None]) -> None:
        """Awaits it, and keeps what it raises for who reads the records."""
        try:
            await done
        except Exception as error:  # noqa: BLE001  it is raised again, in the place where it can be helped
            self._failure = error

    async def give_up(self) -> None:
        """The partitions are about to be another's: what is done is committed, and nothing more is."""
        self._epoch += 1
        self._ready.clear()
        if self._slots:
            await self._commit()

    async def take_over(self, clients: Clients, places: Iterable[TopicPartition]) -> None:
        """These partitions are ours from now on."""
        kept, self._slots = self._slots, {}
        self.counted.rebalances += 1
        for place, progress in (await clients.committed(list(places))).items():
            slot = kept.get(place.partition)
            if slot is not None and slot.committed == progress and slot.position == progress.emit_from:
                self.counted.kept += 1
            else:
                work = self._work(place.partition, progress)
                slot = _Slot(work, progress, progress, progress.low)
                self.counted.built += 1
            self._slots[place.partition] = slot
            clients.consumer.seek(place, slot.position)
        _log.info("assigned", partitions=sorted(self._slots))
        self._ready.set()


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    """What it raises the client would log and forget; so it is kept, and raised where records are read."""

    def __init__(self, member: Member[Any], clients: Clients) -> None:
        self._member, self._clients = member, clients

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:  # noqa: ARG002  all
        await self._member.keep(self._member.give_up())

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        await self._member.keep(self._member.take_over(self._clients, assigned))


def _record(raw: Any) -> Record:
    return Record(
        offset=raw.offset,
        stamp=raw.timestamp,
        key=(raw.key or b"").decode("utf-8", "replace"),
        value=raw.value or b"",
        headers={name: value or b"" for name, value in raw.headers},
    )
