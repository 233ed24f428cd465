"""The causal graph of one session: what each effect belongs to, and how surely.

An effect belongs to a tool call (intent), to the agent's own housekeeping, or to nothing; never to two of them. The
way to an answer, surest first:

1. *Its process lies below the shell of a tool call*: the shell's script is the very command that was asked for. Exact,
   and it stays so when the result has come: a job that runs on in the background is still the call's (shells.py).
2. *It was made by the agent's own process* (a tool that works inside it): a tool call whose window holds the effect
   names the file or the host. Strong; weak where the result had just been sent.
3. *It was made by a server of tools (MCP)*, or below one, while it worked on the call. Strong (servers.py).
4. *Its process descends from a program that a tool call expects*, started in its window. Strong with its arguments,
   weak by its name alone (started.py).
5. *The agent does so of itself*: before the first request to a model, by what its user said on its command line, or by
   a row of data/housekeeping.toml (agents.py).
6. *Its process was started in the window of a tool call that nothing else tells apart*, or the agent's own process did
   it in the window of a call that names nothing. Weak.

The session tells what may move an edge (`on_…`); everything else is worked out when it is asked, and kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from correlator.agents import Agents
from correlator.attribution import (
    NO_ARGUMENTS,
    Arguments,
    Attribution,
    to_housekeeping,
    to_intent,
    to_nothing,
)
from correlator.conversation import Conversation
from correlator.hosts import HostNames
from correlator.inherited import Inherited
from correlator.servers import Servers
from correlator.shells import Shell, Shells
from correlator.started import BY_ARGUMENTS, Edge, Started
from polygraph import events as e
from polygraph.reasons import GRADES, Grade

if TYPE_CHECKING:  # the session holds its graph
    from correlator.session import IntentState, Session, Touch

#: kinds of tools that change or read the files that they declare, and no others
_HELD_TO_FILES = frozenset({"read", "write", "edit", "delete"})


class Graph:
    """Answers for one session."""

    __slots__ = (
        "_agents",
        "_conversation",
        "_hosts",
        "_servers",
        "_session",
        "_shells",
        "_started",
        "_through",
    )

    def __init__(self, session: Session) -> None:
        self._session = session
        self._hosts = HostNames()
        self._conversation = Conversation(session)
        self._shells = Shells(session, self._conversation)
        self._servers = Servers(session, self._conversation)
        self._agents = Agents(session, self._conversation, self._shells)
        self._started = Started(session, self._conversation, self._shells, self._agents)
        self._through = Inherited[e.Delegated | None](
            session.tree, lambda _: None, lambda image, before: session.delegates.get(image.process, before)
        )

    # --- what the session tells ----------------------------------------------------------------------

    def on_start(self) -> None:
        """The session's start was seen, after other things of it perhaps."""
        self._conversation.on_start()
        self._agents.on_start()
        self._started.clear()

    def on_intent(self, state: IntentState) -> None:
        """A tool call was asked for."""
        self._conversation.on_intent(state)
        self._shells.on_intent(state)
        self._started.clear()

    def on_result(self, state: IntentState, result: e.ToolResult) -> None:
        """Its result was sent to the model."""
        self._conversation.on_result(state, result)
        self._started.clear()

    def on_call(self, call: e.LlmCall) -> None:
        """A model was called."""
        self._agents.on_call(call)
        self._conversation.on_call(call)
        self._started.clear()

    def on_mcp_call(self, call: e.McpCall) -> None:
        """A server of tools was called, and answered."""
        self._servers.on_call(call)

    def on_delegated(self) -> None:
        """A process came into the lineage that none of it had forked."""
        self._through.clear()

    def on_name(self, event: e.Name) -> None:
        """An address got a name."""
        self._hosts.add(event)

    def on_exec(self, image: e.Exec) -> None:
        """Something was executed."""
        self._agents.on_exec(image)
        self._shells.on_exec(image)

    # --- what is asked -------------------------------------------------------------------------------

    def of(self, event: e.AnyEvent | Touch) -> Attribution:
        """What an effect belongs to. Raises TypeError for what is no effect of a process."""
        match event:
            case e.File():
                moved = event.new_path is not None and event.op in ("rename", "link")
                if moved:
                    return self._of_file(event, (event.path, event.new_path or ""))
                return self._of_file(event, (event.new_path or event.path or self._last_name(event),))
            case e.Net() | e.Flow():
                where = Arguments(address=event.address, port=event.port)
                return self.attribute(event.process, event.ts, where)
            case e.Name():
                where = Arguments(address=event.name.rstrip(".").lower())
                return self.attribute(event.process, event.ts, where)
            case e.Exec() | e.ExecFailed() | e.Exit():
                return self.attribute(event.process, event.ts)
            case e.Fork():
                return self.attribute(event.child, event.ts)
            case tuple():
                return self._of_file(event.event, (event.path,))
            case _:
                raise TypeError(f"{type(event).__name__} is no effect of a process")

    def of_read(self, process: e.ProcessKey, ts: int, paths: Sequence[str]) -> Attribution:
        """What an ordinary read belongs to, ``paths`` being the names that the file was seen to have."""
        return self.attribute(process, ts, Arguments(paths=tuple(paths)))

    def attribute(self, process: e.ProcessKey, ts: int, effect: Arguments = NO_ARGUMENTS) -> Attribution:
        """What an effect of ``process`` at ``ts`` belongs to; without ``effect`` what the process itself does.

        Of one that came into the lineage by a delegation the edge is no surer than that.
        """
        found = self._attribute(process, ts, effect)
        came = self.through(process, ts)
        if came is None or found.grade is None:
            return found
        return replace(found, grade=max(found.grade, came.grade, key=GRADES.index))

    def through(self, process: e.ProcessKey, ts: int) -> e.Delegated | None:
        """The delegation by which ``process``, as it was at ``ts``, came into the lineage, if it did so by one."""
        return self._through.at(process, ts) if self._session.delegates else None

    def _attribute(self, process: e.ProcessKey, ts: int, effect: Arguments) -> Attribution:
        self._refresh()
        hosts = self._hosts.of(effect.address, ts) if effect.address is not None else []
        shell = self._shells.above.at(process, ts)
        if shell is not None:
            why = "its process lies below the shell that ran the command"
            return self._to(shell.state, shell.grade, why, effect, hosts)
        served = self._servers.at(process, ts)
        if served:
            why = "the server that the call's tool is of made it while it worked on that call"
            rivals = tuple(state.intent.intent for state in served[1:])
            return self._to(served[0], "strong", why, effect, hosts, rivals)
        edge = self._started.edge(process, ts)
        return self._inside(process, ts, effect, hosts) if edge.agent else self._below(edge, effect, hosts)

    def above(self, intent: str) -> Attribution:
        """What a tool call itself was made under: the call that started its agent, or a sub-agent's inside the agent.

        A sub-agent's conversation begins while the call that delegates to it is open.
        """
        self._refresh()
        state = self._session.intents[intent]
        shell = self._shells.above.at(state.intent.process, state.intent.ts)
        if shell is not None and shell.state is not state:
            return to_intent(shell.state.intent.intent, shell.grade, "its agent runs below that command")
        over = self._conversation.delegating(state)
        outer = {one.intent.intent for other in over for one in self._conversation.delegating(other)}
        inner = [one for one in over if one.intent.intent not in outer]
        if not inner:
            return to_nothing("no call of a sub-agent was open when its conversation began")
        why = "its conversation began while that call of a sub-agent was open"
        rivals = tuple(one.intent.intent for one in inner[:-1])
        return to_intent(inner[-1].intent.intent, "weak", why, rivals=rivals)

    def shell_of(self, image: e.Exec) -> Shell | None:
        """The tool call whose command this very image is the shell of."""
        return self._shells.of(image)

    def open_at(self, ts: int) -> list[IntentState]:
        """Tool calls whose windows hold ``ts``, from the request whose answer carries them to that of the result."""
        return self._conversation.open_at(ts)

    def has_sub_agent(self, state: IntentState, until: int) -> bool:
        """Whether a call that delegates was seen to do so: while it was open, a model was called and answered."""
        close = state.result.ts if state.result is not None else until
        return self._conversation.called_within(state.intent.ts, close, but=state.intent.call)

    def settled(self, ts: int) -> bool:
        """Whether what an effect at ``ts`` belongs to changes no more, as far as one conversation goes.

        An agent may act on an answer before its end, so a tool call may be told after its effect. It is certain when
        an answer is over whose request was sent after the effect. (Answers to other conversations of the session may
        still be to come: what must be certain waits for the end.)
        """
        return self._conversation.settled(ts) or self._session.end is not None

    @property
    def steps(self) -> int:
        """What was looked at so far: all edges of a session together cost as much as its log, and a test holds it."""
        parts = (
            self._conversation,
            self._shells.above,
            self._servers,
            self._agents,
            self._started,
            self._through,
        )
        return sum(part.steps for part in parts)

    # --- how -----------------------------------------------------------------------------------------

    def _refresh(self) -> None:
        if self._shells.refresh():  # what else is in the window of such a call is not its
            self._started.clear()

    def _of_file(self, event: e.File, paths: tuple[str, ...]) -> Attribution:
        effect = Arguments(paths=paths, op=event.op, sensitive=event.sensitive is not None)
        found = self.attribute(event.process, event.ts, effect)
        if found.cause == "nothing" and event.first_ts:  # the record covers several touches
            return self.attribute(event.process, event.first_ts, effect)
        return found

    def _last_name(self, event: e.File) -> str:
        """The name of a file of which a later touch is told, without it."""
        names = self._session.names_of((event.dev, event.ino), event.ts)
        return names[-1] if names else ""

    def _below(self, edge: Edge, effect: Arguments, hosts: list[str]) -> Attribution:
        """What a program did that no shell of a tool call had started."""
        if edge.state is not None:
            grade: Grade = "strong" if edge.rank == BY_ARGUMENTS else "weak"
            return self._to(edge.state, grade, edge.why, effect, hosts, edge.rivals)
        if edge.rule is None:
            return to_nothing(edge.why)
        found = self._agents.below_program(edge.rule, edge.why, effect, hosts)
        return found or to_nothing("a program that the agent starts of itself did what no row says of it")

    def _inside(self, process: e.ProcessKey, ts: int, effect: Arguments, hosts: list[str]) -> Attribution:
        """What the agent's own process did."""
        if not effect.paths and effect.address is None:
            return to_housekeeping("agent", "strong", "it is the agent's own process")
        return (
            self._by_argument(effect, hosts, ts)
            or self._agents.own(process, effect, hosts, ts)
            or self._by_window(effect, ts)
            or self._agents.otherwise(effect, hosts)
            or to_nothing("the agent's own process did it, and no tool call or row of housekeeping says so")
        )

    def _by_argument(self, effect: Arguments, hosts: list[str], ts: int) -> Attribution | None:
        """A tool call that names the file or the host."""
        sure: list[IntentState] = []
        near: list[IntentState] = []
        for state in self._conversation.open_at(ts):
            if self._shells.seen_for(state):
                continue
            asked = self._conversation.asked(state)
            if asked.reaches(hosts) or any(asked.declares(p, writes=effect.writes) for p in effect.paths):
                sure.append(state)
            elif effect.writes and any(
                asked.beside(p) or (effect.op == "mkdir" and asked.above(p)) for p in effect.paths
            ):
                near.append(state)
        if sure or near:
            state, *others = sure or near
            return to_intent(
                state.intent.intent,
                "strong" if sure else "weak",
                "the call names it" if sure else "the call names the file that it was made for",
                rivals=tuple(other.intent.intent for other in others),
                named=bool(sure),
            )
        for path in effect.paths:
            late = self._conversation.just_answered(path, ts)
            if late is not None and self._conversation.asked(late).declares(path, writes=effect.writes):
                why = "the call names it, and its result had been sent just before"
                return to_intent(late.intent.intent, "weak", why, named=True)
        return None

    def _by_window(self, effect: Arguments, ts: int) -> Attribution | None:
        """A tool call that names no such thing, so that it may be any."""
        file = effect.address is None
        states = [
            s
            for s in self._started.could_have(ts)
            if (not (s.intent.kind in _HELD_TO_FILES and s.intent.files) if file else not s.intent.hosts)
        ]
        if not states:
            return None
        rivals = tuple(s.intent.intent for s in states[1:])
        why = "the agent's own process did it in the window of the call, which does not name what it touches"
        return to_intent(states[0].intent.intent, "weak", why, rivals=rivals)

    def _to(
        self,
        state: IntentState,
        grade: Grade,
        why: str,
        effect: Arguments,
        hosts: list[str],
        rivals: tuple[str, ...] = (),
    ) -> Attribution:
        asked = self._conversation.asked(state)
        named = any(map(asked.names, effect.paths)) or asked.reaches(hosts)
        return to_intent(state.intent.intent, grade, why, rivals=rivals, named=named)
