"""The correlator: events in, verdicts and findings out. No clock, no random source, no I/O.

Feeding the same log again gives them byte for byte. State is kept per session and dropped at its end.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from correlator import detectors, judge
from correlator.arrivals import FOREVER, Arrivals
from correlator.detectors import Detector
from correlator.session import IntentState, Session
from polygraph.events import AnyEvent, Claim, Loss, SessionEnd, Tick
from polygraph.findings import Finding
from polygraph.reasons import DIMENSIONS
from polygraph.verdicts import Verdict

#: sessions that are remembered to be over, so that what is delivered again is not judged again
MAX_ENDED = 65_536


class Said(NamedTuple):
    """What came due with one event."""

    verdicts: Sequence[Verdict] = ()
    findings: Sequence[Finding] = ()


_NOTHING = Said()


@dataclass(slots=True)
class _Open:
    """A session that has not ended, and what watches it."""

    session: Session
    arrivals: Arrivals
    detectors: list[Detector] = field(default_factory=lambda: [make() for make in detectors.ALL])


class Engine:
    """Serves any number of sessions, whose events may come interleaved."""

    def __init__(self) -> None:
        self._sessions: dict[str, _Open] = {}
        self._ended: OrderedDict[str, None] = OrderedDict()

    def feed(self, event: AnyEvent) -> Said:
        """Takes the next event of the log; gives what is due at a Tick and at a SessionEnd of its session.

        An event of a session whose start was not seen opens a state, whose verdicts say ``late_enrolment`` where they
        would rest on what was not seen. What is delivered again is left out, told by its ``seq``, and nothing comes
        after the end of a session.
        """
        if event.session in self._ended:
            return _NOTHING
        if isinstance(event, SessionEnd | Tick) and event.session not in self._sessions:
            return _NOTHING
        opened = self._sessions.get(event.session)
        if opened is None:
            session = Session(event.session)
            opened = _Open(session, Arrivals(event.session, session.coverage.add))
            self._sessions[event.session] = opened
        arrivals = opened.arrivals
        if not isinstance(event, SessionEnd | Tick):
            if arrivals.admits(event):
                _tell(opened, event)
            return _NOTHING
        if not arrivals.is_new(event.seq) and isinstance(event, Tick):
            return _NOTHING
        session = opened.session
        arrivals.tick(event.ts)
        _tell(opened, event)
        final = isinstance(event, SessionEnd)
        if final:
            del self._sessions[event.session]
            self._ended[event.session] = None
            if len(self._ended) > MAX_ENDED:
                self._ended.popitem(last=False)
        verdicts = _due(session, event.ts, final=final)
        for verdict in verdicts:
            arrivals.judged(min(verdict.ts, event.ts))
        return Said(
            verdicts,
            [found for one in opened.detectors for found in one.due(session, event.ts, final=final)],
        )

    @property
    def open_sessions(self) -> int:
        """Sessions whose end was not seen yet."""
        return len(self._sessions)

    def is_open(self, session: str) -> bool:
        """Whether it began and has not ended."""
        return session in self._sessions

    def has_ended(self, session: str) -> bool:
        """Whether it is one of the last MAX_ENDED sessions that ended."""
        return session in self._ended

    def lose(self, session: str, since: int, cause: str) -> None:
        """Of an open session, nothing is known to be whole from ``since`` (ns since boot) on."""
        for dimension in DIMENSIONS:
            self._sessions[session].session.coverage.add(
                Loss(session=session, ts=FOREVER, dimension=dimension, cause=cause, count=1, since=since)
            )


def _tell(opened: _Open, event: AnyEvent) -> None:
    opened.session.add(event)
    for detector in opened.detectors:
        detector.see(opened.session, event)


def _due(session: Session, now: int, *, final: bool) -> list[Verdict]:
    due: list[tuple[int, int, int, IntentState | Claim]] = [
        (state.intent.ts, state.intent.seq, 0, state)
        for state in session.open_intents
        if final or (state.result is not None and state.result.ts <= now)
    ]
    due.extend((said.ts, said.seq, 1, said) for said in session.open_claims if final or said.ts <= now)
    due.sort(key=lambda item: item[:3])
    verdicts: list[Verdict] = []
    for _, _, _, subject in due:
        if isinstance(subject, IntentState):
            verdicts.append(judge.intent(session, subject, now))
        else:
            verdicts.append(judge.claim(session, subject, now))
    judged = {id(subject) for *_, subject in due}
    session.open_intents = [state for state in session.open_intents if id(state) not in judged]
    session.open_claims = [said for said in session.open_claims if id(said) not in judged]
    return verdicts
