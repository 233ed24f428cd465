"""Servers of tools (MCP) inside the session: which tool call one works on, between its request and its answer."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from correlator.conversation import Conversation
from correlator.inherited import Inherited
from polygraph.events import Exec, McpCall, ProcessKey

if TYPE_CHECKING:  # the session holds its graph, which this is a part of
    from correlator.session import IntentState, Session

#: calls of one server that are looked at for one effect: more at once are not told apart
_AT_ONCE = 64
#: what clients put between the name of a server and that of its tool
_BETWEEN = tuple("_-./:")


class _Served(NamedTuple):
    """A call that a server answered, and the tool calls that it may be."""

    since: int
    until: int
    states: tuple[IntentState, ...]


class Servers:
    """Of one session."""

    __slots__ = ("_calls", "_conversation", "_server")

    def __init__(self, session: Session, conversation: Conversation) -> None:
        self._conversation = conversation
        self._calls: dict[ProcessKey, list[_Served]] = defaultdict(list)
        self._server = Inherited[ProcessKey | None](session.tree, lambda _: None, self._after_exec)

    @property
    def steps(self) -> int:
        """How many images were looked at."""
        return self._server.steps

    def on_call(self, call: McpCall) -> None:
        """A tool of a server was called, and it answered."""
        server = call.process if call.side == "server" else call.peer
        if server is None:
            return
        states = [s for s in self._conversation.open_at(call.request_ts) if _is_of(s, call)]
        same = [s for s in states if s.intent.digest == call.arguments_digest]
        if server not in self._calls:
            self._server.clear()
        insort(
            self._calls[server],
            _Served(call.request_ts, call.ts, tuple(same or states)),
            key=lambda one: one.since,
        )

    def at(self, process: ProcessKey, ts: int) -> list[IntentState]:
        """The tool calls that the server worked on at ``ts`` which ``process`` is, or was started by."""
        if not self._calls:
            return []
        server = self._server.at(process, ts)
        calls = self._calls.get(server, []) if server is not None else []
        last = bisect_right(calls, ts, key=lambda one: one.since)
        found = (
            state for one in calls[max(last - _AT_ONCE, 0) : last] if ts <= one.until for state in one.states
        )
        return list({state.intent.intent: state for state in found}.values())

    def _after_exec(self, image: Exec, before: ProcessKey | None) -> ProcessKey | None:
        return image.process if image.process in self._calls else before


def _is_of(state: IntentState, call: McpCall) -> bool:
    """Whether the tool call is of that tool: clients put the server's name before it (``mcp__files__read``)."""
    said, tool = state.intent.tool, call.tool
    return said == tool or (tool != "" and said.endswith(tuple(between + tool for between in _BETWEEN)))
