"""One partition of a shared log: records in the order of their offsets, verdicts and findings out. Pure.

What the engine says is a function of the records. This adds what a log of many hosts needs: from where on it is to be
read again (polygraph/log/progress.py), sessions whose collector is gone, and records that cannot be read.

Time is the broker's, by its stamp on each record, never a host's: a clock that runs ahead ends nobody's session.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from correlator.engine import Engine
from polygraph.events import AnyEvent, SessionEnd, SessionStart, Tick
from polygraph.findings import Finding
from polygraph.log.progress import Progress
from polygraph.verdicts import Verdict

#: ms; a session of which nothing came for so long is over: its collector tells a Tick every ten minutes
#: (polygraph/log/outgoing.py), and keeps what it cannot send for hours
IDLE = 24 * 3_600_000


class Took(NamedTuple):
    """What came of one record: what is to be said, and why the record was not taken in, if it was not.

    ``again``: it was taken before; nothing is to be said.
    """

    verdicts: Sequence[Verdict] = ()
    findings: Sequence[Finding] = ()
    refused: str | None = None
    again: bool = False


@dataclass(slots=True)
class _Open:
    """A session that has not ended: its first record, the watermark there, its last stamp, moment and number."""

    low: int
    watermark: int
    stamp: int
    ts: int
    next: int


class Partition:
    """``progress``: what the last reader committed; the records come from its ``low`` on."""

    def __init__(self, progress: Progress | None = None, idle: int = IDLE) -> None:
        progress = progress or Progress()
        self._emit_from = self._next = progress.emit_from
        self._watermark = progress.watermark
        self._idle = idle
        self._engine = Engine()
        #: the same, in the order of their last records and of their first ones
        self._open: OrderedDict[str, _Open] = OrderedDict()
        self._begun: OrderedDict[str, _Open] = OrderedDict()
        self.ended_idle = 0

    def take(
        self, offset: int, stamp: int, session: str, events: Sequence[AnyEvent], first: int, following: int
    ) -> Took:
        """The record at ``offset``, which the broker had at ``stamp``; it holds what is numbered ``first`` to
        ``following`` (not included). No events: it could not be read.

        Refused is a record of a session that has ended (``ended``: it was delivered again, or its collector came back
        after ``idle``), or whose beginning was not in the log (``headless``: delivered again, too, or the beginning
        could not be read).
        """
        self._watermark = max(self._watermark, stamp)
        verdicts, findings = self._end_idle()
        known = self._open.get(session)
        refused = None
        if known is not None and (not events or first > known.next):
            self._engine.lose(session, known.ts, "missing")
        if not events:
            pass  # why is told by who could not read it
        elif known is None and (self._engine.has_ended(session) or not isinstance(events[0], SessionStart)):
            if any(not isinstance(event, Tick) for event in events):  # a last Tick may come behind the end
                refused = "ended" if self._engine.has_ended(session) else "headless"
        else:
            if known is None:
                known = _Open(offset, self._watermark, stamp, events[0].ts, following)
                self._open[session] = self._begun[session] = known
            known.next = max(known.next, following)
            for event in events:
                said = self._engine.feed(event)
                verdicts += said.verdicts
                findings += said.findings
            self._see(session, known, events)
        self._next = max(self._next, offset + 1)
        if offset < self._emit_from:
            return Took(again=True)
        return Took(tuple(verdicts), tuple(findings), refused)

    def _see(self, session: str, known: _Open, events: Sequence[AnyEvent]) -> None:
        if not self._engine.is_open(session):
            del self._open[session], self._begun[session]
            return
        known.stamp = self._watermark
        known.ts = max([known.ts, *(event.ts for event in events if isinstance(event, Tick))])
        self._open.move_to_end(session)

    def _end_idle(self) -> tuple[list[Verdict], list[Finding]]:
        """Ends what has been silent for too long: nothing is known of what came after its last Tick."""
        verdicts: list[Verdict] = []
        findings: list[Finding] = []
        while self._open:
            session, oldest = next(iter(self._open.items()))
            if oldest.stamp + self._idle >= self._watermark:
                break
            del self._open[session], self._begun[session]
            self.ended_idle += 1
            self._engine.lose(session, oldest.ts, "collector_gone")
            said = self._engine.feed(SessionEnd(session=session, ts=oldest.ts, live=1))
            verdicts += said.verdicts
            findings += said.findings
        return verdicts, findings

    @property
    def open_sessions(self) -> int:
        """Sessions whose end was not seen yet."""
        return len(self._open)

    def progress(self) -> Progress:
        """What the next reader needs in order to go on after the last record that was taken."""
        if not self._open:
            return Progress(self._next, self._next, self._watermark)
        first = next(iter(self._begun.values()))
        return Progress(first.low, self._next, first.watermark)
