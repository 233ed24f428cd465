"""The causal window: bounded by the conversation, not by a timer (design rule 2)."""

from __future__ import annotations

from dataclasses import dataclass

from correlator.session import IntentState, Session
from polygraph.events import Claim
from polygraph.verdicts import Window


@dataclass(frozen=True, slots=True)
class Span:
    """A window of a session.

    ``open`` is when the response was complete. ``early`` is when it began: an agent may run a streamed tool
    call before the last byte of the response, so effects since then are looked at. ``close`` is None when
    nothing closed it; ``until`` is then as far as the log was seen.
    """

    open: int
    early: int
    close: int | None
    until: int

    @property
    def shown(self) -> Window:
        """As a verdict carries it."""
        return Window(open=self.open, close=self.close)

    def holds(self, ts: int) -> bool:
        """Whether ``ts`` lies in it."""
        return self.early <= ts <= self.until


def of_intent(session: Session, state: IntentState, now: int) -> Span:
    """From the response that carries the tool call to the request that carries its result."""
    intent = state.intent
    call = session.tries.get((intent.call, intent.ts)) or session.calls.get(intent.call)
    early = min(intent.ts, call.request_ts) if call is not None and call.request_ts > 0 else intent.ts
    close = state.result.ts if state.result is not None else None
    return Span(intent.ts, early, close, close if close is not None else now)


def of_claim(session: Session, claim: Claim) -> Span:
    """From the session's beginning to the claim: a claim may speak of anything before it."""
    began = min(session.began, claim.ts)
    return Span(began, began, claim.ts, claim.ts)
