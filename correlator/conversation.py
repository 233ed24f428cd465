"""The conversation with the models, indexed by time: which tool calls were open when, and what they name."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING

from correlator.asked import Asked
from correlator.hosts import host_of
from correlator.paths import basename
from correlator.windows import OpenWindows, early_of
from polygraph.events import LlmCall, ProcessKey, ToolResult

if TYPE_CHECKING:  # the session holds its graph, which this is a part of
    from correlator.session import IntentState, Session


class Conversation:
    """Of one session. ``steps`` counts the tool calls that were looked at."""

    __slots__ = (
        "_answers",
        "_asked",
        "_asked_until",
        "_calls",
        "_declared",
        "_of_call",
        "_session",
        "_superseded",
        "_windows",
        "callers",
        "model_hosts",
        "steps",
    )

    def __init__(self, session: Session) -> None:
        self._session = session
        self._windows = OpenWindows()
        self._asked: dict[str, Asked] = {}
        #: tool calls that declare a file, by the file's last component, in order of time
        self._declared: dict[str, list[IntentState]] = defaultdict(list)
        #: calls of a model in order of their requests, with when the answer was over
        self._calls: list[tuple[int, int, str]] = []
        #: when answers were over, in order; and until when requests were sent that were answered
        self._answers: list[int] = []
        self._asked_until = -1
        #: tool calls by the call of a model; and since when those of an earlier try hold no more
        self._of_call: dict[str, list[IntentState]] = defaultdict(list)
        self._superseded: dict[str, int] = {}
        #: processes that called a model, and when they did so first
        self.callers: dict[ProcessKey, int] = {}
        self.model_hosts: set[str] = set()
        self.steps = 0

    def on_start(self) -> None:
        """The working directory is known."""
        self._asked.clear()

    def on_intent(self, state: IntentState) -> None:
        """A tool call was asked for."""
        intent = state.intent
        self._windows.open(state, self.early(state))
        self._of_call[intent.call].append(state)
        if (latest := self._session.calls.get(intent.call)) is not None:
            self._give_up(latest, (state,))
        for name in sorted({basename(p) for f in intent.files for p in (f.path, f.new_path) if p}):
            insort(self._declared[name], state, key=lambda one: (one.intent.ts, one.intent.seq))

    def on_result(self, state: IntentState, result: ToolResult) -> None:
        """Its result was sent to the model."""
        self._windows.close(state, result.ts)

    def on_call(self, call: LlmCall) -> None:
        """A model was called."""
        self._give_up(call, self._of_call.get(call.call, ()))
        insort(self._calls, (call.request_ts, call.ts, call.call))
        insort(self._answers, call.ts)
        self._asked_until = max(self._asked_until, call.request_ts)
        self.callers[call.process] = min(self.callers.get(call.process, call.request_ts), call.request_ts)
        self.model_hosts.add(host_of(call.host.lower()))

    def early(self, state: IntentState) -> int:
        """From when on an effect may belong to the tool call."""
        intent = state.intent
        call = self._session.tries.get((intent.call, intent.ts)) or self._session.calls.get(intent.call)
        return early_of(intent, call)

    def open_at(self, ts: int) -> list[IntentState]:
        """Tool calls whose windows hold ``ts``, from the request whose answer carries them to that of the result."""
        states = self._windows.at(ts)
        self.steps += len(states)
        return [s for s in states if s.result is not None or ts <= self._superseded.get(s.intent.intent, ts)]

    def newest_of_a_crowd(self, ts: int) -> IntentState | None:
        """The last of those that are open, if more may be than are kept."""
        return self._windows.newest_of_a_crowd(ts)

    def asked(self, state: IntentState) -> Asked:
        """What the arguments of a tool call name."""
        found = self._asked.get(state.intent.intent)
        if found is None:
            found = self._asked[state.intent.intent] = Asked(state.intent, self._session.cwd)
        return found

    def just_answered(self, path: str, ts: int) -> IntentState | None:
        """The last tool call before ``ts`` that declares a file of that name, if no model has answered its result."""
        states = self._declared.get(basename(path), [])
        before = bisect_right(states, ts, key=lambda state: state.intent.ts)
        state = states[before - 1] if before else None
        if state is None or state.result is None or state.result.ts > ts:
            return None
        answer = bisect_right(self._answers, state.result.ts)
        answered = answer < len(self._answers) and self._answers[answer] < ts
        return None if answered else state

    def delegating(self, state: IntentState) -> list[IntentState]:
        """Calls of sub-agents that were open when the request was sent whose answer asks for ``state``."""
        asked = self.early(state)
        return [
            s
            for s in self.open_at(asked)
            if s.intent.kind == "delegate" and s.intent.call != state.intent.call and s.intent.ts <= asked
        ]

    def called_within(self, since: int, until: int, *, but: str) -> bool:
        """Whether a model was called and answered in [since, until], another time than by ``but``."""
        first = bisect_left(self._calls, (since,))
        for request_ts, ts, call in islice(self._calls, first, None):
            if request_ts > until:
                return False
            if ts <= until and call != but:
                return True
        return False

    def settled(self, ts: int) -> bool:
        """Whether an answer is over whose request was sent at ``ts`` or later."""
        return ts <= self._asked_until

    def _give_up(self, call: LlmCall, states: Iterable[IntentState]) -> None:
        """What a try asked for before a later one of the same call was sent holds no more, unless it was answered."""
        if call.attempt > 1:
            for state in states:
                if state.intent.ts <= call.request_ts:
                    self._superseded.setdefault(state.intent.intent, call.request_ts)
