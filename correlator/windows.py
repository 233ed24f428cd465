"""The causal window: bounded by the conversation, not by a timer (design rule 2)."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from polygraph.events import Claim, Intent, LlmCall
from polygraph.verdicts import Window

if TYPE_CHECKING:  # the session holds the index of its windows
    from correlator.session import IntentState, Session

#: tool calls of which one moment keeps count; beyond that the oldest is left out (and an edge by window is ambiguous)
MAX_OPEN = 64


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


def early_of(intent: Intent, call: LlmCall | None) -> int:
    """From when on an effect may belong to the tool call: its response may be acted on while it comes."""
    return min(intent.ts, call.request_ts) if call is not None and call.request_ts > 0 else intent.ts


def of_intent(session: Session, state: IntentState, now: int) -> Span:
    """From the response that carries the tool call to the request that carries its result."""
    intent = state.intent
    call = session.tries.get((intent.call, intent.ts)) or session.calls.get(intent.call)
    close = state.result.ts if state.result is not None else None
    return Span(intent.ts, early_of(intent, call), close, close if close is not None else now)


def of_claim(session: Session, claim: Claim) -> Span:
    """From the session's beginning to the claim: a claim may speak of anything before it."""
    began = min(session.began, claim.ts)
    return Span(began, began, claim.ts, claim.ts)


@dataclass(slots=True)
class OpenWindows:
    """Which tool calls were open at any time: one row for each time at which that changed.

    A log is nearly in order, so a window opens and closes among the last rows, and asking is a bisection: the cost of
    all windows is that of their number, times how many are open at once.
    """

    _since: list[int] = field(default_factory=lambda: [0])
    _open: list[tuple[IntentState, ...]] = field(default_factory=lambda: [()])

    def open(self, state: IntentState, early: int) -> None:
        """The window of ``state`` holds ``early`` and everything after it, until it is closed."""
        for row in range(self._row(early), len(self._since)):
            self._open[row] = (*self._open[row], state)[-MAX_OPEN:]

    def close(self, state: IntentState, ts: int) -> None:
        """The window of ``state`` ends with ``ts``, which it holds."""
        for row in range(self._row(ts + 1), len(self._since)):
            self._open[row] = tuple(other for other in self._open[row] if other is not state)

    def at(self, ts: int) -> tuple[IntentState, ...]:
        """The tool calls whose windows hold ``ts``, in the order in which they were told."""
        return self._open[max(bisect_right(self._since, ts) - 1, 0)]

    def newest_of_a_crowd(self, ts: int) -> IntentState | None:
        """The last of those that are open at ``ts``, if more may be than are kept."""
        states = self.at(ts)
        return states[-1] if len(states) == MAX_OPEN else None

    def _row(self, ts: int) -> int:
        """The row that begins at ``ts``."""
        ts = max(ts, 0)
        row = bisect_left(self._since, ts)
        if row == len(self._since) or self._since[row] != ts:
            self._since.insert(row, ts)
            self._open.insert(row, self._open[row - 1])
        return row
