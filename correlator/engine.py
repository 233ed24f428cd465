"""The correlator: events in, verdicts and findings out. No clock, no random source, no I/O.

Feeding the same log again gives them byte for byte. State is kept per session and dropped at its end.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from correlator import detectors, judge
from correlator.detectors import Detector
from correlator.session import IntentState, Session
from polygraph.events import AnyEvent, Claim, SessionEnd, Tick
from polygraph.findings import Finding
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
    detectors: list[Detector] = field(default_factory=lambda: [make() for make in detectors.ALL])


class Engine:
    """Serves any number of sessions, whose events may come interleaved."""

    def __init__(self) -> None:
        self._sessions: dict[str, _Open] = {}
        self._ended: OrderedDict[str, None] = OrderedDict()

    def feed(self, event: AnyEvent) -> Said:
        """Takes the next event of the log; gives what is due at a Tick and at a SessionEnd of its session.

        An event of a session whose start was not seen opens a state, whose verdicts say ``late_enrolment`` where they
        would rest on what was not seen. Nothing comes after the end of a session: what is delivered again is left out.
        """
        if event.session in self._ended:
            return _NOTHING
        if isinstance(event, SessionEnd | Tick) and event.session not in self._sessions:
            return _NOTHING
        opened = self._sessions.get(event.session)
        if opened is None:
            opened = self._sessions[event.session] = _Open(Session(event.session))
        session = opened.session
        session.add(event)
        for detector in opened.detectors:
            detector.see(session, event)
        if not isinstance(event, SessionEnd | Tick):
            return _NOTHING
        final = isinstance(event, SessionEnd)
        if final:
            del self._sessions[event.session]
            self._ended[event.session] = None
            if len(self._ended) > MAX_ENDED:
                self._ended.popitem(last=False)
        return Said(
            _due(session, event.ts, final=final),
            [found for one in opened.detectors for found in one.due(session, event.ts, final=final)],
        )

    @property
    def open_sessions(self) -> int:
        """Sessions whose end was not seen yet."""
        return len(self._sessions)


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
    session.open_intents = [s for s in session.open_intents if all(s is not item[3] for item in due)]
    session.open_claims = [c for c in session.open_claims if all(c is not item[3] for item in due)]
    return verdicts
