"""The correlator of a fleet: records of one partition into correlator/partition.py, what it says into topics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from correlator.partition import Partition
from polygraph import findings, verdicts
from polygraph.events import AnyEvent
from polygraph.log.batches import UnreadableError, numbers_of, unpack
from polygraph.log.kafka.clients import Out
from polygraph.log.kafka.group import Counted, Record
from polygraph.log.kafka.topics import DEAD_LETTERS, VERDICTS
from polygraph.log.progress import Progress
from polygraph.metrics import Values

#: headers of a record of the verdicts' topic: ``verdict`` or ``finding``; the record of events with which it came due.
#: The second is one of a dead letter's, too.
TYPE_HEADER, OFFSET_HEADER = "polygraph.type", "polygraph.offset"


@dataclass(slots=True)
class Told:
    """What was said by all partitions of this process, and what was refused."""

    verdicts: Counter[str] = field(default_factory=Counter)
    findings: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    ended_idle: int = 0


class Correlation:
    """The work of one partition."""

    def __init__(self, partition: int, progress: Progress, prefix: str, idle_ms: int, told: Told) -> None:
        self._number, self._prefix, self._told = partition, prefix, told
        self.partition = Partition(progress, idle_ms)

    def take(self, record: Record) -> Sequence[Out]:
        """The verdicts and findings that are due; what was not taken in goes to the dead letters, as it was."""
        why: UnreadableError | None = None
        events: Sequence[AnyEvent] = ()
        first = following = 0
        try:
            schema, first, following = numbers_of(record.headers)
            events = unpack(record.key, record.value, schema)
        except UnreadableError as error:
            why = error
        ended = self.partition.ended_idle
        took = self.partition.take(record.offset, record.stamp, record.key, events, first, following)
        self._told.ended_idle += self.partition.ended_idle - ended
        said = [("verdict", one.session, verdicts.encode(one)) for one in took.verdicts]
        said += [("finding", one.session, findings.encode(one)) for one in took.findings]
        outs = [self._out(record, *one) for one in said]
        self._told.verdicts.update(one.verdict for one in took.verdicts)
        self._told.findings.update(one.detector for one in took.findings)
        reason = why.reason if why is not None and not took.again else took.refused
        if reason is not None:
            self._told.refused[reason] += 1
            outs.append(self._dead(record, reason, str(why or "")))
        return outs

    def _out(self, record: Record, kind: str, session: str, line: bytes) -> Out:
        headers = {TYPE_HEADER: kind.encode(), OFFSET_HEADER: b"%d" % record.offset}
        return Out(self._prefix + VERDICTS, session, line, headers)

    def _dead(self, record: Record, reason: str, error: str) -> Out:
        headers = {
            **record.headers,
            "polygraph.reason": reason.encode(),
            "polygraph.error": error.encode()[:500],
            "polygraph.partition": str(self._number).encode(),
            OFFSET_HEADER: b"%d" % record.offset,
        }
        return Out(self._prefix + DEAD_LETTERS, record.key, record.value, headers)

    def progress(self) -> Progress:
        """How far it came."""
        return self.partition.progress()


def read(counted: Counted, told: Told, works: Mapping[int, Correlation]) -> dict[str, Values]:
    """The correlator's rows of data/metrics.toml."""
    plain = {
        "records": counted.records,
        "sent": counted.sent,
        "ended_idle": told.ended_idle,
        "commits": counted.commits,
        "rebalances": counted.rebalances,
        "partitions_built": counted.built,
        "partitions_kept": counted.kept,
        "restarts": counted.restarts,
    }
    rows: dict[str, Values] = {f"correlator_{name}_total": {(): value} for name, value in plain.items()}
    for name, by in (
        ("dead_letters", told.refused),
        ("verdicts", told.verdicts),
        ("findings", told.findings),
    ):
        rows[f"correlator_{name}_total"] = {(word,): count for word, count in by.items()}
    now = {number: work.partition for number, work in works.items()}
    rows["correlator_open_sessions"] = {(str(n),): one.open_sessions for n, one in now.items()}
    rows["correlator_replay_records"] = {
        (str(n),): progress.emit_from - progress.low
        for n, progress in ((n, one.progress()) for n, one in now.items())
    }
    return rows
