"""The correlator: events in, verdicts out. No clock, no random source, no I/O.

Feeding the same log again gives byte-identical verdicts. State is kept per session and dropped at its end.
"""

from __future__ import annotations

from collections import OrderedDict

from correlator import judge
from correlator.session import IntentState, Session
from polygraph.events import AnyEvent, Claim, SessionEnd, Tick
from polygraph.verdicts import Verdict

#: sessions that are remembered to be over, so that what is delivered again is not judged again
MAX_ENDED = 65_536


class Engine:
    """Serves any number of sessions, whose events may come interleaved."""

    def __init__(self) -> None:
        self._sessions: dict[str, Session] = {}
        self._ended: OrderedDict[str, None] = OrderedDict()

    def feed(self, event: AnyEvent) -> list[Verdict]:
        """Takes the next event of the log; gives verdicts at a Tick and at a SessionEnd of its session.

        An event of a session whose start was not seen opens a state, whose verdicts say ``late_enrolment`` where they
        would rest on what was not seen. Nothing comes after the end of a session: what is delivered again is left out.
        """
        if event.session in self._ended:
            return []
        if isinstance(event, SessionEnd | Tick) and event.session not in self._sessions:
            return []
        session = self._sessions.get(event.session)
        if session is None:
            session = self._sessions[event.session] = Session(event.session)
        session.add(event)
        if isinstance(event, Tick):
            return _due(session, event.ts, final=False)
        if isinstance(event, SessionEnd):
            del self._sessions[event.session]
            self._ended[event.session] = None
            if len(self._ended) > MAX_ENDED:
                self._ended.popitem(last=False)
            return _due(session, event.ts, final=True)
        return []

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
