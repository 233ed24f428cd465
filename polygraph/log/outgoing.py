"""What of a host's events goes into the log of a fleet, and under which numbers. Pure.

Two things are other than on one machine. A session of which nothing is to be told has its last Tick again, now and
then, so that whoever reads the log knows its collector to be alive. And a collector that was ended and comes back finds
sessions that go on: theirs are the numbers behind those that it had given out, so that nothing is taken for a
repetition, and the hole says that something was missed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from polygraph.events import AnyEvent, SessionEnd, Tick
from polygraph.log.batches import FULL, Batch, pack

#: ns without an event until a session has a Tick
HEARTBEAT = 600_000_000_000
#: numbers that are left out when a collector comes back: more than it gives out between two notes of how far it was
LEAP = 1 << 24


@dataclass(slots=True)
class _Session:
    """``ahead``: what is added to the numbers of this collector. ``next``: behind the last one, which was at ``ts``.

    ``told``: when something was sent of it last.
    """

    ahead: int
    next: int
    ts: int = 0
    told: int = 0


class Outgoing:
    """Of one collector. ``known``: sessions that an earlier one had begun and not ended, with their next numbers."""

    def __init__(self, known: Mapping[str, int] | None = None, full: int = FULL) -> None:
        self._known = dict(known or {})
        self._full = full
        self._sessions: dict[str, _Session] = {}

    def take(self, events: Sequence[AnyEvent]) -> list[Batch]:
        """Batches of a round's events, each session's in order."""
        by_session: dict[str, list[AnyEvent]] = {}
        for event in events:
            by_session.setdefault(event.session, []).append(event)
        return [batch for session, group in by_session.items() for batch in self._of(session, group)]

    def heartbeats(self, now: int) -> list[Batch]:
        """Ticks of sessions of which nothing was told for a while. ``now``: ns since boot."""
        made: list[Batch] = []
        for session, state in self._sessions.items():
            if now - state.told >= HEARTBEAT:
                state.told = now
                made += pack([Tick(session=session, ts=state.ts)], state.next, state.next)  # of no number
        return made

    @property
    def numbers(self) -> dict[str, int]:
        """Sessions that have not ended, with their next numbers: what the next collector has to know."""
        return self._known | {session: state.next for session, state in self._sessions.items()}

    def _of(self, session: str, events: Sequence[AnyEvent]) -> list[Batch]:
        state = self._sessions.get(session)
        if state is None:
            before = self._known.pop(session, None)
            ahead = 0 if before is None else before + LEAP
            state = self._sessions[session] = _Session(ahead, ahead)
        first, state.next = state.next, state.ahead + events[-1].seq + 1
        state.ts = state.told = events[-1].ts
        if any(isinstance(event, SessionEnd) for event in events):
            del self._sessions[session]
        if state.ahead:
            events = [msgspec.structs.replace(event, seq=event.seq + state.ahead) for event in events]
        return list(pack(events, first, state.next, self._full))
