"""What could have been seen in a window: the one gate that every conclusion from silence must pass.

Absence is evidence only if the probes of the dimension were attached for the whole window and proven alive
by a canary, nothing of it was lost, no blind spot was open, the session was enrolled before, and the LLM
traffic was read whole (a tool call that was not read could be the one that did it).
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice

from polygraph.events import BlindSpot, LlmCall, Loss, SessionStart, StreamGap
from polygraph.events import Coverage as CoverageEvent
from polygraph.reasons import DIMENSIONS, Dimension
from polygraph.verdicts import DimensionCoverage

#: blind spot of a session whose conversation is an earlier one, gone on with: a claim may speak of what was before
_CONTINUED = "earlier_conversation"

#: a child may have left the lineage (PG_LOSS_STORAGE of bpf/wire.h; a fork whose program did not run): from then on
#: nothing is whole
_LINEAGE_CAUSES = frozenset({"storage", "missed_fork"})


@dataclass(slots=True)
class CoverageLog:
    """What a session's collector said about its own sight, in order."""

    start: SessionStart | None = None
    first_effect: int | None = None
    states: dict[Dimension, list[CoverageEvent]] = field(default_factory=dict)
    #: by the time when they were told
    losses: dict[Dimension, list[Loss]] = field(default_factory=dict)
    left: list[Loss] = field(default_factory=list)
    blind: list[BlindSpot] = field(default_factory=list)
    gaps: list[StreamGap] = field(default_factory=list)
    broken_calls: list[LlmCall] = field(default_factory=list)

    def effect(self, ts: int) -> None:
        """An effect was seen at ``ts``."""
        self.first_effect = ts if self.first_effect is None else min(self.first_effect, ts)

    def add(self, event: CoverageEvent | Loss | BlindSpot | StreamGap) -> None:
        """What the collector says of its sight."""
        match event:
            case CoverageEvent():
                self._state(event)
            case Loss():
                self._loss(event)
            case BlindSpot():
                self.blind.append(event)
            case StreamGap():
                self.gaps.append(event)

    def _loss(self, event: Loss) -> None:
        if event.cause in _LINEAGE_CAUSES:
            self.left.append(event)
        else:
            insort(self.losses.setdefault(event.dimension, []), event, key=lambda loss: (loss.ts, loss.seq))

    def _state(self, event: CoverageEvent) -> None:
        rows = self.states.setdefault(event.dimension, [])
        rows.append(event)
        rows.sort(key=lambda row: (row.ts, row.seq))

    def gate(self, dimensions: Iterable[Dimension], since: int, until: int) -> str | None:
        """None if silence of ``dimensions`` in [since, until] means absence, else the unverifiable reason."""
        if self._late(since):
            return "late_enrolment"
        for dimension in dimensions:
            if not self._attached(dimension, since, until, canary=True):
                return "probe_missing"
            if any(spot.dimension == dimension and spot.ts <= until for spot in self.blind):
                return "probe_missing"
            if self.lost(dimension, since, until):
                return "records_lost"
        return self._stream(since, until)

    def lost(self, dimension: Dimension, since: int, until: int) -> int:
        """Records of ``dimension`` that are known to be missing from [since, until]."""
        told = self.losses.get(dimension, [])
        first = bisect_left(told, since, key=lambda loss: loss.ts)
        return sum(loss.count for loss in islice(told, first, None) if loss.since <= until) + sum(
            loss.count for loss in self.left if loss.since <= until
        )

    def hidden(self, dimensions: Iterable[Dimension], since: int, until: int) -> str | None:
        """Why a *later* fact could have been missed in [since, until]: for conclusions from "the last one".

        Weaker than :meth:`gate`: the first fact was seen, so only what was lost or detached since counts.
        """
        for dimension in dimensions:
            if self.lost(dimension, since, until):
                return "records_lost"
            rows = self.states.get(dimension, [])
            if any(row.state != "attached" and since <= row.ts <= until for row in rows):
                return "probe_missing"
        return None

    def unexplained(self, dimensions: Iterable[Dimension], since: int, until: int) -> str | None:
        """Why the *explanation* of a fact could have been missed in [since, until]: who made it, what declared it.

        For conclusions of the kind "and nothing accounts for it". The fact itself was seen, so a blind spot of its own
        dimension does not count; but what explains it may lie before it, and may be a process or a tool call.
        """
        if self._late(since):
            return "late_enrolment"
        for dimension in dimensions:
            if not self._attached(dimension, since, until, canary=True):
                return "probe_missing"
        if any(spot.dimension == "process" and spot.ts <= until for spot in self.blind):
            return "probe_missing"
        return self.hidden(dimensions, since, until) or self._stream(since, until)

    def _late(self, since: int) -> bool:
        """Whether what counts since ``since`` may have begun before the session did."""
        if self.start is None:
            return True
        begun = self.start.origin != "run" or any(spot.name == _CONTINUED for spot in self.blind)
        return begun and since <= self.start.ts

    def _attached(self, dimension: Dimension, since: int, until: int, *, canary: bool) -> bool:
        rows = self.states.get(dimension, [])
        alive = covered = False
        for row in rows:
            if row.ts > until:
                break
            if row.state != "attached":
                alive = covered = False
                continue
            if not covered:
                covered = row.ts <= since or (row is rows[0] and self._from_the_start(row.ts, since))
            alive = alive or row.canary
        return covered and (alive or not canary)

    def _from_the_start(self, ts: int, since: int) -> bool:
        """First state, told only after the session's start, but before its first effect: nothing was missed."""
        return (
            self.start is not None
            and since >= self.start.ts
            and (self.first_effect is None or ts <= self.first_effect)
        )

    def _stream(self, since: int, until: int) -> str | None:
        if not self._attached("tls", since, until, canary=False):
            return "tls_not_seen"
        if any(s.dimension == "tls" and s.ts <= until and s.name != _CONTINUED for s in self.blind):
            return "tls_not_seen"
        if (
            self.lost("tls", since, until)
            or any(since <= gap.ts <= until for gap in self.gaps)
            or any(call.request_ts <= until and call.ts >= since for call in self.broken_calls)
        ):
            return "stream_incomplete"
        return None

    def report(self, since: int, until: int) -> dict[str, DimensionCoverage]:
        """Coverage of each dimension over a window, as a verdict carries it: the worst state in it."""
        return {dimension: self._dimension(dimension, since, until) for dimension in DIMENSIONS}

    def _dimension(self, dimension: Dimension, since: int, until: int) -> DimensionCoverage:
        rows = [row for row in self.states.get(dimension, []) if row.ts <= until]
        before = [row for row in rows if row.ts <= since][-1:]
        window = before + [row for row in rows if row.ts > since]
        worst = next((row for row in window if row.state != "attached"), window[-1] if window else None)
        spots = {spot.name for spot in self.blind if spot.dimension == dimension and spot.ts <= until}
        for row in window:
            spots.update(row.blind)
        return DimensionCoverage(
            state=worst.state if worst is not None else "not_requested",
            canary=self._attached(dimension, since, until, canary=True),
            lost=self.lost(dimension, since, until),
            blind=tuple(sorted(spots)),
        )
