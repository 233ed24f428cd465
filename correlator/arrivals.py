"""What an event's place in the log tells of it: delivered before, told too late, dated ahead, or one too many.

A log is delivered at least once, and its promises may be broken: by a collector that was cut off, by a clock, by
whoever floods a session. What follows is a loss like any other (:class:`~polygraph.events.Loss`), so that no
conclusion from silence rests on it. An effect with a wrong date is a fact all the same, and is kept.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable

from polygraph import events as e
from polygraph.openings import size_of
from polygraph.reasons import Dimension

#: events of one dimension that are kept of a session, rows of a list counted one by one: a hundred searches through
#: 10,000 files. A bound for who floods, some 500 MB, and none for who works.
MAX_KEPT = 1_000_000
#: later than anything, ns since boot
FOREVER = (1 << 63) - 1
#: whose record it is, and whether it has one moment and is told in the round in which that lies. What the agent says is
#: told when it was understood, and looks and lists when they were taken.
_KINDS: dict[type[e.AnyEvent], tuple[Dimension, bool]] = {
    **dict.fromkeys((e.Exec, e.ExecFailed, e.Exit, e.Fork), ("process", True)),
    e.Delegated: ("process", False),
    e.File: ("file", True),
    **dict.fromkeys((e.Reads, e.FileState), ("file", False)),
    **dict.fromkeys((e.Net, e.Name), ("network", True)),
    e.Flow: ("network", False),
    **dict.fromkeys(
        (e.LlmCall, e.Intent, e.ToolResult, e.Claim, e.McpCall, e.A2aMessage, e.Mention, e.StreamGap),
        ("tls", False),
    ),
    e.Wait: ("ipc", False),
}  # fmt: skip


class Arrivals:
    """Of one session. A log that keeps its promises costs a few comparisons an event."""

    __slots__ = ("_dense", "_full", "_holes", "_judged", "_kept", "_mark", "_newest", "_session", "_tell")

    def __init__(self, session: str, tell: Callable[[e.Loss], None]) -> None:
        """``tell`` takes each loss."""
        self._session = session
        self._tell = tell
        #: the next event of a log without holes, and the holes below it: from, to behind
        self._dense = 0
        self._holes: list[tuple[int, int]] = []
        #: the last watermark; until when windows were judged; the newest effect since that watermark
        self._mark = self._judged = 0
        self._newest: dict[Dimension, int] = {}
        self._kept: dict[Dimension, int] = {}
        self._full: set[Dimension] = set()

    def admits(self, event: e.AnyEvent) -> bool:
        """Whether the event is to be taken in: it is new, and there is room for it."""
        if not self.is_new(event.seq):
            return False
        kind = _KINDS.get(type(event))
        if kind is None:
            return True
        dimension, dated = kind
        kept = self._kept.get(dimension, 0)
        if kept >= MAX_KEPT:
            if dimension not in self._full:  # from here on nothing is whole
                self._full.add(dimension)
                self._lost(dimension, "too_many", event.ts, FOREVER)
            return False
        self._kept[dimension] = kept + 1 + (size_of(event.rows) if isinstance(event, e.Reads) else 0)
        if dated and not (
            isinstance(event, e.File) and event.first_ts
        ):  # else of several touches, told later
            self._date(dimension, event.ts)
        return True

    def is_new(self, seq: int) -> bool:
        """Whether an event of that number was not delivered before. A number of 0 tells nothing."""
        if seq == self._dense:
            self._dense += 1
            return True
        if seq > self._dense:
            self._holes.append((self._dense, seq))
            self._dense = seq + 1
            return True
        return seq == 0 or self._fills(seq)

    def tick(self, now: int) -> None:
        """A watermark. An effect that stands before it and is dated after it was at another time than it says."""
        for dimension, ts in self._newest.items():
            if ts > now:
                self._lost(dimension, "ahead", self._mark, ts)
        self._newest.clear()
        self._mark = max(self._mark, now)

    def judged(self, until: int) -> None:
        """A window that ended at ``until`` was judged: what is told of it from now on is late."""
        self._judged = max(self._judged, until)

    def _date(self, dimension: Dimension, ts: int) -> None:
        if ts <= self._judged:
            self._lost(dimension, "late", ts, self._judged)
        elif ts > self._newest.get(dimension, 0):
            self._newest[dimension] = ts

    def _fills(self, seq: int) -> bool:
        """Whether ``seq`` was missing, which it is no more then."""
        at = bisect_right(self._holes, (seq, FOREVER)) - 1
        if at < 0 or seq >= self._holes[at][1]:
            return False
        begin, end = self._holes[at]
        self._holes[at : at + 1] = [hole for hole in ((begin, seq), (seq + 1, end)) if hole[0] < hole[1]]
        return True

    def _lost(self, dimension: Dimension, cause: str, since: int, until: int) -> None:
        self._tell(
            e.Loss(session=self._session, ts=until, dimension=dimension, cause=cause, count=1, since=since)
        )
