"""Programs that were started by no shell of a tool call: which call expects them, or what else explains them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from correlator.agents import Agents
from correlator.conversation import Conversation
from correlator.inherited import Inherited
from correlator.matching import arguments_agree, is_of
from correlator.programs import programs
from correlator.shells import Shells
from polygraph.events import Exec, ProcessKey

if TYPE_CHECKING:  # the session holds its graph, which this is a part of
    from correlator.session import IntentState, Session

#: kinds of tools that start programs
_STARTS = frozenset({"shell", "delegate", "other"})
#: how sure an edge is. What surely explains a command explains all below it; else a program below may tell more
BY_ARGUMENTS, BY_AGENT, BY_NAME, BY_WINDOW, BY_NOTHING = 4, 3, 2, 1, 0


class Edge(NamedTuple):
    """What the command that a process belongs to is joined to."""

    rank: int
    why: str
    state: IntentState | None = None
    #: by which the agent starts it of itself
    rule: str | None = None
    rivals: tuple[str, ...] = ()
    #: the process is the agent itself
    agent: bool = False


_AGENT = Edge(BY_NOTHING, "the agent's own process", agent=True)
_UNKNOWN = Edge(BY_NOTHING, "of its process nothing else was seen")


class Started:
    """Of one session. ``steps`` counts the expected programs that were looked at."""

    __slots__ = ("_agents", "_conversation", "_edges", "_session", "_shells", "_steps")

    def __init__(self, session: Session, conversation: Conversation, shells: Shells, agents: Agents) -> None:
        self._session = session
        self._conversation = conversation
        self._shells = shells
        self._agents = agents
        self._edges = Inherited(session.tree, self._at_start, self._after_exec)
        self._steps = 0

    @property
    def steps(self) -> int:
        """How many images and expected programs were looked at."""
        return self._steps + self._edges.steps

    def clear(self) -> None:
        """The conversation went on: what is kept may not hold any more."""
        self._edges.clear()

    def edge(self, process: ProcessKey, ts: int) -> Edge:
        """The edge of ``process`` at ``ts``."""
        return self._edges.at(process, ts)

    def could_have(self, ts: int) -> list[IntentState]:
        """Tool calls that were asked for by ``ts``, whose result was not sent, and whose doing was not seen otherwise.

        A call of a sub-agent stands back where another one is open: that may be one of the sub-agent's.
        """
        states = [
            s
            for s in self._conversation.open_at(ts)
            if s.intent.ts <= ts
            and not self._shells.seen_for(s)
            and s.intent.tool.lower() not in programs().inert_tools
        ]
        if not states and (newest := self._conversation.newest_of_a_crowd(ts)) is not None:
            states = [newest]
        return [s for s in states if s.intent.kind != "delegate"] or states

    def _at_start(self, process: ProcessKey) -> Edge:
        return _AGENT if process == self._session.tree.root else _UNKNOWN

    def _after_exec(self, image: Exec, before: Edge) -> Edge:
        session = self._session
        begins = session.startup_end is None or image.ts <= session.startup_end
        if image.process == session.tree.root or (before.agent and begins):
            return _AGENT
        if before.rank >= BY_AGENT:
            return before
        edge = self._by_program(image)
        if before.agent and edge.rank < BY_ARGUMENTS:
            found = self._agents.program(image)
            if found is not None:
                return Edge(BY_AGENT, found[1], rule=found[0])
            if session.is_agent_image(image) or image.process in self._conversation.callers:
                return _AGENT
            if edge.rank == BY_NOTHING:
                return self._by_window(image.ts)
        return edge if edge.rank > before.rank else before

    def _by_program(self, image: Exec) -> Edge:
        """The tool call that expects the image, or whose shell it led to."""
        lead = self._shells.led_to_by(image)
        if lead is not None:
            return Edge(BY_ARGUMENTS, "it led to the shell that ran the command", lead.state)
        found: dict[int, list[IntentState]] = {BY_ARGUMENTS: [], BY_NAME: []}
        for state in self._conversation.open_at(image.ts):
            if self._shells.seen_for(state):
                continue
            expected = [one for one in self._conversation.asked(state).programs(image) if is_of(one, image)]
            self._steps += len(expected)
            if expected:
                agree = any(arguments_agree(one, image) for one in expected)
                found[BY_ARGUMENTS if agree else BY_NAME].append(state)
        for rank, states in found.items():
            if states:
                why = "a program that the call asks for was started in its window"
                return Edge(rank, why, states[0], rivals=tuple(s.intent.intent for s in states[1:]))
        return Edge(BY_NOTHING, "nothing asks for the program that was started")

    def _by_window(self, ts: int) -> Edge:
        states = self.could_have(ts)
        some = [s for s in states if s.intent.kind in _STARTS] or states
        if not some:
            return Edge(
                BY_NOTHING,
                "the program was started in the window of no tool call that could have asked for it",
            )
        rivals = tuple(s.intent.intent for s in some[1:])
        return Edge(BY_WINDOW, "the program was started in the window of the call", some[0], rivals=rivals)
