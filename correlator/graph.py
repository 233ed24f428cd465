"""The causal graph of one session: what each effect belongs to, and how surely.

An effect belongs to a tool call (intent), to the agent's own housekeeping, or to nothing; never to two of them. The
way to an answer, surest first:

1. *Its process lies below the shell of a tool call*: the shell's script is the very command that was asked for. Exact,
   and it stays so when the result has come: a job that runs on in the background is still the call's.
2. *It was made by the agent's own process* (a tool that works inside it): a tool call whose window holds the effect
   names the file or the host. Strong; weak where the result had just been sent.
3. *Its process descends from a program that a tool call expects*, started in its window. Strong with its arguments,
   weak by its name alone.
4. *The agent does so of itself*: before the first request to a model, or by a row of data/housekeeping.toml.
5. *Its process was started in the window of a tool call that nothing else tells apart*, or the agent's own process did
   it in the window of a call that names nothing. Weak.

The session tells what may move an edge (`on_…`); everything else is worked out when it is asked, and kept. What a
process belongs to is what its parent did when it was forked, and what it executed since: one step each (``steps``
counts them), so that all effects of a session together cost as much as their number.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from correlator import housekeeping
from correlator.asked import Asked
from correlator.attribution import (
    NO_ARGUMENTS,
    Arguments,
    Attribution,
    to_housekeeping,
    to_intent,
    to_nothing,
)
from correlator.hosts import HostNames, host_of
from correlator.matching import arguments_agree, is_of
from correlator.paths import basename, normalise
from correlator.programs import is_shell, programs
from correlator.windows import MAX_OPEN, OpenWindows, early_of
from polygraph import events as e
from polygraph.reasons import Grade

if TYPE_CHECKING:  # the session holds its graph
    from correlator.session import IntentState, Session, Touch

#: kinds of tools that change or read the files that they declare, and no others
_HELD_TO_FILES = frozenset({"read", "write", "edit", "delete"})
#: kinds of tools that start programs
_STARTS = frozenset({"shell", "delegate", "other"})

_FOREVER = 1 << 63
#: the rule for what the user asked for by the agent's own arguments
COMMAND_LINE = "command_line"

T = TypeVar("T")
#: a process, after so many of its execs
_Place = tuple[e.ProcessKey, int]


class Shell(NamedTuple):
    """An executed shell whose script is the command of a tool call."""

    image: e.Exec
    state: IntentState
    grade: Grade


class _Edge(NamedTuple):
    """What the command that a process belongs to is joined to, where no shell's digest tells."""

    #: 4: by program and arguments; 3: housekeeping; 2: by program; 1: by window; 0: nothing
    rank: int
    why: str
    state: IntentState | None = None
    rule: str | None = None
    rivals: tuple[str, ...] = ()
    #: the process is the agent itself
    agent: bool = False


_AGENT = _Edge(0, "the agent's own process", agent=True)
_UNKNOWN = _Edge(0, "of its process nothing else was seen")
_GRADES: dict[int, Grade] = {4: "strong", 2: "weak", 1: "weak"}


class Graph:
    """Answers for one session."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._windows = OpenWindows()
        self._hosts = HostNames()
        #: shells by digest and by process, in order of time
        self._by_digest: dict[str, list[e.Exec]] = defaultdict(list)
        self._shells: dict[e.ProcessKey, list[Shell]] = defaultdict(list)
        #: how many shells each tool call has: where it has one, what else its window holds is not its
        self._claimed: dict[str, int] = defaultdict(int)
        #: processes that led to a shell, where they were not looked at yet the shells themselves
        self._leads: dict[e.ProcessKey, Shell] = {}
        self._fresh: list[Shell] = []
        self._asked: dict[str, Asked] = {}
        #: tool calls that declare a file, by the file's last component, in order of time
        self._declared: dict[str, list[IntentState]] = defaultdict(list)
        #: when answers were over, in order; and until when requests were sent that were answered
        self._answers: list[int] = []
        self._asked_until = -1
        #: processes that called a model, and when they did so first
        self._callers: dict[e.ProcessKey, int] = {}
        self._model_hosts: set[str] = set()
        #: tool calls by the call of a model; and since when those of an earlier try hold no more
        self._of_call: dict[str, list[IntentState]] = defaultdict(list)
        self._superseded: dict[str, int] = {}
        self._startup_agents: tuple[str, ...] | None = None
        self._caller_agents: dict[str, None] = {}
        self._new_callers: list[e.ProcessKey] = []
        self._exact: dict[_Place, Shell | None] = {}
        self._loose: dict[_Place, _Edge] = {}
        self._moved = 0
        self.steps = 0

    # --- what the session tells ----------------------------------------------------------------------

    def on_intent(self, state: IntentState, call: e.LlmCall | None) -> None:
        """A tool call was asked for."""
        intent = state.intent
        early = early_of(intent, call)
        self._windows.open(state, early)
        self._of_call[intent.call].append(state)
        if (latest := self._session.calls.get(intent.call)) is not None:
            self._give_up(latest, (state,))
        for name in sorted({basename(p) for f in intent.files for p in (f.path, f.new_path) if p}):
            insort(self._declared[name], state, key=lambda one: (one.intent.ts, one.intent.seq))
        if intent.command_digest in self._by_digest:
            self._assign(intent.command_digest, early)
        self._loose.clear()

    def on_result(self, state: IntentState, result: e.ToolResult) -> None:
        """Its result was sent to the model."""
        self._windows.close(state, result.ts)
        self._loose.clear()

    def on_call(self, call: e.LlmCall) -> None:
        """A model was called."""
        self._give_up(call, self._of_call.get(call.call, ()))
        insort(self._answers, call.ts)
        self._asked_until = max(self._asked_until, call.request_ts)
        if call.process not in self._callers:
            self._new_callers.append(call.process)
        self._callers[call.process] = min(self._callers.get(call.process, call.request_ts), call.request_ts)
        self._model_hosts.add(host_of(call.host.lower()))
        self._startup_agents = None
        self._loose.clear()

    def on_name(self, event: e.Name) -> None:
        """An address got a name."""
        self._hosts.add(event)

    def on_exec(self, image: e.Exec) -> None:
        """Something was executed."""
        if self._session.startup_end is None or image.ts <= self._session.startup_end:
            self._startup_agents = None
        if image.command_digest is not None:
            insort(self._by_digest[image.command_digest], image, key=_when)
            self._assign(image.command_digest, image.ts)

    # --- what is asked -------------------------------------------------------------------------------

    def attribute(self, process: e.ProcessKey, ts: int, effect: Arguments = NO_ARGUMENTS) -> Attribution:
        """What an effect of ``process`` at ``ts`` belongs to; without ``effect`` what the process itself does."""
        self._refresh()
        shell = self._shell_above(process, ts)
        if shell is not None:
            why = "its process lies below the shell that ran the command"
            return self._to(shell.state, shell.grade, why, effect, ts)
        edge = self._edge(process, ts)
        return self._inside(process, ts, effect) if edge.agent else self._below(edge, effect, ts)

    def of(self, event: e.AnyEvent | Touch) -> Attribution:
        """What an effect belongs to. Raises TypeError for what is no effect of a process."""
        match event:
            case e.File():
                moved = event.new_path is not None and event.op in ("rename", "link")
                paths = (event.path, event.new_path or "") if moved else (event.new_path or event.path,)
                return self._of_file(event, paths)
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

    def above(self, intent: str) -> Attribution:
        """What a tool call itself was made under: the call that started its agent, or a sub-agent's inside the agent.

        A sub-agent's conversation begins while the call that delegates to it is open.
        """
        self._refresh()
        state = self._session.intents[intent]
        shell = self._shell_above(state.intent.process, state.intent.ts)
        if shell is not None and shell.state is not state:
            return to_intent(shell.state.intent.intent, shell.grade, "its agent runs below that command")
        over = self._delegating(state)
        outer = {one.intent.intent for other in over for one in self._delegating(other)}
        inner = [one for one in over if one.intent.intent not in outer]
        if not inner:
            return to_nothing("no call of a sub-agent was open when its conversation began")
        why = "its conversation began while that call of a sub-agent was open"
        rivals = tuple(one.intent.intent for one in inner[:-1])
        return to_intent(inner[-1].intent.intent, "weak", why, rivals=rivals)

    def shell_of(self, image: e.Exec) -> Shell | None:
        """The tool call whose command this very image is the shell of."""
        return next((s for s in self._shells.get(image.process, ()) if s.image is image), None)

    def open_at(self, ts: int) -> list[IntentState]:
        """Tool calls whose windows hold ``ts``, from the request whose answer carries them to that of the result."""
        states = self._windows.at(ts)
        self.steps += len(states)
        return [s for s in states if s.result is not None or ts <= self._superseded.get(s.intent.intent, ts)]

    def asked(self, state: IntentState) -> Asked:
        """What the arguments of a tool call name."""
        found = self._asked.get(state.intent.intent)
        if found is None:
            found = self._asked[state.intent.intent] = Asked(state.intent, self._session.cwd)
        return found

    def settled(self, ts: int) -> bool:
        """Whether what an effect at ``ts`` belongs to changes no more, as far as one conversation goes.

        An agent may act on an answer before its end, so a tool call may be told after its effect. It is certain when
        an answer is over whose request was sent after the effect. (Answers to other conversations of the session may
        still be to come: what must be certain waits for the end.)
        """
        return ts <= self._asked_until or self._session.end is not None

    # --- the shells of tool calls ----------------------------------------------------------------------

    def _give_up(self, call: e.LlmCall, states: Iterable[IntentState]) -> None:
        """What a try asked for before a later one of the same call was sent holds no more, unless it was answered."""
        if call.attempt > 1:
            for state in states:
                if state.intent.ts <= call.request_ts:
                    self._superseded.setdefault(state.intent.intent, call.request_ts)

    def _assign(self, digest: str, since: int) -> None:
        """Gives the shells of a command that were executed since then to the tool calls that ask for it."""
        images = self._by_digest[digest]
        late = images[bisect_left(images, since, key=lambda image: image.ts) :]
        for image in late:
            old = self.shell_of(image)
            if old is not None:
                self._shells[image.process].remove(old)
                self._claimed[old.state.intent.intent] -= 1
                self._moved = -1
        for image in late:
            found = self._command_of(image, digest)
            if found is not None:
                insort(self._shells[image.process], found, key=lambda shell: _when(shell.image))
                self._claimed[found.state.intent.intent] += 1
                self._fresh.append(found)

    def _command_of(self, image: e.Exec, digest: str) -> Shell | None:
        states = [s for s in self.open_at(image.ts) if s.intent.command_digest == digest]
        if len(states) == 1:
            return Shell(image, states[0], "exact")
        if states:  # the same command several times at once: each its own, in order
            free = next((s for s in states if not self._claimed[s.intent.intent]), states[-1])
            return Shell(image, free, "strong")
        asked = self._session.by_digest.get(digest, [])
        before = bisect_right(asked, image.ts, key=lambda state: state.intent.ts)
        return Shell(image, asked[before - 1], "strong") if before else None

    def _shell_above(self, process: e.ProcessKey, ts: int) -> Shell | None:
        return self._walk(self._exact, process, ts, None, self._below_shell)

    def _below_shell(self, place: _Place, before: Shell | None) -> Shell | None:
        """After an exec: a shell below the shell of another call is that one's, unless its agent runs there."""
        own = self.shell_of(self._image(place)) if place[0] in self._shells else None
        if own is None or before is None or own.state is before.state:
            return before or own
        asker = own.state.intent.process
        return own if self._session.tree.within(asker, before.image.process) else before

    # --- programs that were started otherwise ----------------------------------------------------------

    def _edge(self, process: e.ProcessKey, ts: int) -> _Edge:
        if self._session.tree.root is not None:
            self._loose.setdefault((self._session.tree.root, 0), _AGENT)
        return self._walk(self._loose, process, ts, _UNKNOWN, self._after_exec)

    def _after_exec(self, place: _Place, before: _Edge) -> _Edge:
        session, image = self._session, self._image(place)
        begins = session.startup_end is None or image.ts <= session.startup_end
        if place[0] == session.tree.root or (before.agent and begins):
            return _AGENT
        if before.rank >= 3:
            return before
        edge = self._by_program(image)
        if before.agent and edge.rank < 4:
            if is_shell(image) and not self._said.isdisjoint(image.argv[2:]):
                return _Edge(3, "the agent's own command line asks for that command", rule=COMMAND_LINE)
            rule = housekeeping.started(self._agent_names, image)
            if rule is not None and not self._written_here(image):
                return _Edge(3, "the agent starts that program of itself", rule=rule)
            if session.is_agent_image(image) or image.process in self._callers:
                return _AGENT
            if edge.rank == 0:
                return self._by_window(image.ts)
        return edge if edge.rank > before.rank else before

    def _by_program(self, image: e.Exec) -> _Edge:
        """The tool call that expects the image, or whose shell it led to."""
        lead = self._leads.get(image.process)
        if lead is not None and self._early(lead.state) <= image.ts <= lead.image.ts:
            return _Edge(4, "it led to the shell that ran the command", lead.state)
        found: dict[int, list[IntentState]] = {4: [], 2: []}
        for state in self.open_at(image.ts):
            if self._claimed[state.intent.intent]:
                continue
            expected = [one for one in self.asked(state).programs(image) if is_of(one, image)]
            self.steps += len(expected)
            if expected:
                found[4 if any(arguments_agree(one, image) for one in expected) else 2].append(state)
        for rank, states in found.items():
            if states:
                why = "a program that the call asks for was started in its window"
                return _Edge(rank, why, states[0], rivals=tuple(s.intent.intent for s in states[1:]))
        return _Edge(0, "nothing asks for the program that was started")

    def _by_window(self, ts: int) -> _Edge:
        states = self._unclaimed(ts)
        some = [s for s in states if s.intent.kind in _STARTS] or states
        if not some:
            return _Edge(
                0, "the program was started in the window of no tool call that could have asked for it"
            )
        rivals = tuple(s.intent.intent for s in some[1:])
        return _Edge(1, "the program was started in the window of the call", some[0], rivals=rivals)

    def _unclaimed(self, ts: int) -> list[IntentState]:
        """Tool calls that were asked for by ``ts``, whose result was not sent, and whose doing was not seen otherwise.

        A call of a sub-agent stands back where another one is open: that may be one of the sub-agent's.
        """
        states = [
            s
            for s in self.open_at(ts)
            if s.intent.ts <= ts
            and not self._claimed[s.intent.intent]
            and s.intent.tool.lower() not in programs().inert_tools
        ]
        if not states and len(crowd := self._windows.at(ts)) == MAX_OPEN:
            states = [crowd[-1]]  # more are open than are kept: one of the others may be meant
        return [s for s in states if s.intent.kind != "delegate"] or states

    def _below(self, edge: _Edge, effect: Arguments, ts: int) -> Attribution:
        if edge.state is not None:
            return self._to(edge.state, _GRADES[edge.rank], edge.why, effect, ts, edge.rivals)
        if edge.rule == COMMAND_LINE:
            return to_housekeeping(COMMAND_LINE, "exact", edge.why)
        if edge.rule is not None:
            names = self._names(effect, ts)
            if housekeeping.of_started(edge.rule, effect, names, self._session.roots):
                return to_housekeeping(edge.rule, "strong", edge.why)
            return to_nothing("a program that the agent starts of itself did what no row says of it")
        return to_nothing(edge.why)

    # --- the agent's own process -----------------------------------------------------------------------

    def _inside(self, process: e.ProcessKey, ts: int, effect: Arguments) -> Attribution:
        if not effect.paths and effect.address is None:
            return to_housekeeping("agent", "strong", "it is the agent's own process")
        names = self._names(effect, ts)
        return (
            self._by_argument(effect, names, ts)
            or self._own(process, effect, names, ts)
            or self._by_opaque(effect, ts)
            or to_nothing("the agent's own process did it, and no tool call or row of housekeeping says so")
        )

    def _by_argument(self, effect: Arguments, names: list[str], ts: int) -> Attribution | None:
        """A tool call that names the file or the host."""
        sure: list[IntentState] = []
        near: list[IntentState] = []
        for state in self.open_at(ts):
            asked = self.asked(state)
            if self._claimed[state.intent.intent]:
                continue
            if asked.reaches(names) or any(asked.declares(p, writes=effect.writes) for p in effect.paths):
                sure.append(state)
            elif effect.writes and any(
                asked.beside(p) or (effect.op == "mkdir" and asked.above(p)) for p in effect.paths
            ):
                near.append(state)
        if sure or near:
            state, *others = sure or near
            rivals = tuple(other.intent.intent for other in others)
            why = "the call names it" if sure else "the call names the file that it was made for"
            return to_intent(
                state.intent.intent, "strong" if sure else "weak", why, rivals=rivals, named=bool(sure)
            )
        return self._late(effect, ts)

    def _late(self, effect: Arguments, ts: int) -> Attribution | None:
        """The last tool call that names the file, if its result was sent and the model has not answered since."""
        for path in effect.paths:
            states = self._declared.get(basename(path), [])
            before = bisect_right(states, ts, key=lambda state: state.intent.ts)
            state = states[before - 1] if before else None
            if state is None or state.result is None or state.result.ts > ts:
                continue
            answer = bisect_right(self._answers, state.result.ts)
            answered = answer < len(self._answers) and self._answers[answer] < ts
            if not answered and self.asked(state).declares(path, writes=effect.writes):
                why = "the call names it, and its result had been sent just before"
                return to_intent(state.intent.intent, "weak", why, named=True)
        return None

    def _own(self, process: e.ProcessKey, effect: Arguments, names: list[str], ts: int) -> Attribution | None:
        """What the agent does of itself."""
        session = self._session
        if effect.paths and all(path in self._said_paths for path in effect.paths):
            return to_housekeeping(COMMAND_LINE, "strong", "the agent's own command line names it")
        if not self._model_hosts.isdisjoint(names):
            return to_housekeeping("model", "strong", "it is a connection to a model")
        if self._starting(process, ts) and not housekeeping.dangerous(effect, session.roots):
            return to_housekeeping("startup", "strong", "no model had been asked anything")
        rule = housekeeping.own_effect(self._agent_names, effect, names, session.roots)
        return to_housekeeping(rule, "strong", "agents of its kind do so of themselves") if rule else None

    def _starting(self, process: e.ProcessKey, ts: int) -> bool:
        """Whether nobody had asked a model: in the session, or in another agent that began later."""
        end = self._session.startup_end
        if end is None or ts <= end:
            return True
        node = self._session.tree.get(process)
        if node is None or node.born <= end or ts > self._callers.get(process, 0):
            return False
        return any(housekeeping.agents_of(image) for image in node.images if not self._written_here(image))

    def _by_opaque(self, effect: Arguments, ts: int) -> Attribution | None:
        """A tool call that names no such thing, so that it may be any."""
        file = effect.address is None
        states = [
            s
            for s in self._unclaimed(ts)
            if (not (s.intent.kind in _HELD_TO_FILES and s.intent.files) if file else not s.intent.hosts)
        ]
        if not states:
            return None
        rivals = tuple(s.intent.intent for s in states[1:])
        why = "the agent's own process did it in the window of the call, which does not name what it touches"
        return to_intent(states[0].intent.intent, "weak", why, rivals=rivals)

    # --- the rest --------------------------------------------------------------------------------------

    def _of_file(self, event: e.File, paths: tuple[str, ...]) -> Attribution:
        effect = Arguments(paths=paths, op=event.op, sensitive=event.sensitive is not None)
        found = self.attribute(event.process, event.ts, effect)
        if found.cause == "nothing" and event.first_ts:  # the record covers several touches
            return self.attribute(event.process, event.first_ts, effect)
        return found

    def _to(
        self,
        state: IntentState,
        grade: Grade,
        why: str,
        effect: Arguments,
        ts: int,
        rivals: tuple[str, ...] = (),
    ) -> Attribution:
        asked = self.asked(state)
        named = any(map(asked.names, effect.paths)) or asked.reaches(self._names(effect, ts))
        return to_intent(state.intent.intent, grade, why, rivals=rivals, named=named)

    def _names(self, effect: Arguments, ts: int) -> list[str]:
        return self._hosts.of(effect.address, ts) if effect.address is not None else []

    def _delegating(self, state: IntentState) -> list[IntentState]:
        """Calls of sub-agents that were open when the request was sent whose answer asks for ``state``."""
        asked = self._early(state)
        return [
            s
            for s in self.open_at(asked)
            if s.intent.kind == "delegate" and s.intent.call != state.intent.call and s.intent.ts <= asked
        ]

    def _early(self, state: IntentState) -> int:
        intent = state.intent
        call = self._session.tries.get((intent.call, intent.ts)) or self._session.calls.get(intent.call)
        return early_of(intent, call)

    @property
    def _agent_names(self) -> tuple[str, ...]:
        """Agents of data/housekeeping.toml that run here: before the first request, or as a caller of their own."""
        session = self._session
        if self._startup_agents is None:
            end = session.startup_end if session.startup_end is not None else _FOREVER
            self._startup_agents = tuple(self._known(session.executed(0, end)))
        for caller in self._new_callers:
            first = self._callers[caller]
            node = session.tree.get(caller)
            if node is not None and self._shell_above(caller, first) is None:
                images = (image for image in node.images if image.ts <= first)
                self._caller_agents.update(dict.fromkeys(self._known(images)))
        self._new_callers.clear()
        return tuple(dict.fromkeys((*self._startup_agents, *self._caller_agents)))

    @cached_property
    def _said(self) -> frozenset[str]:
        """What the user said when the session was started: the arguments of its command, one of many words as it is
        told at the content level, so that it equals the same text in a shell's arguments."""
        start = self._session.start
        return frozenset(start.argv[1:]) if start is not None else frozenset()

    @cached_property
    def _said_paths(self) -> frozenset[str]:
        """The files that these arguments name."""
        words = (word for said in self._said for word in (said, said.rpartition("=")[2]))
        return frozenset(normalise(word, self._session.cwd) for word in words if word.strip("-."))

    def _known(self, images: Iterable[e.Exec]) -> Iterator[str]:
        for image in images:
            self.steps += 1
            if not self._written_here(image):
                yield from housekeeping.agents_of(image)

    def _written_here(self, image: e.Exec) -> bool:
        """Whether the file that runs was put there in this session."""
        return any(touch.ts <= image.ts for touch in self._session.touches.get(image.path, ())[:1])

    def _image(self, place: _Place) -> e.Exec:
        node = self._session.tree.get(place[0])
        assert node is not None
        return node.images[place[1] - 1]

    def _place(self, process: e.ProcessKey, ts: int) -> _Place:
        node = self._session.tree.get(process)
        return process, bisect_right(node.images, ts, key=lambda image: image.ts) if node is not None else 0

    def _before(self, place: _Place) -> _Place | None:
        """The exec before, or the parent when it forked."""
        process, count = place
        if count > 0:
            return process, count - 1
        node = self._session.tree.get(process)
        if node is None or node.parent is None or process == self._session.tree.root:
            return None
        return self._place(node.parent, node.born)

    def _walk(
        self,
        known: dict[_Place, T],
        process: e.ProcessKey,
        ts: int,
        start: T,
        after_exec: Callable[[_Place, T], T],
    ) -> T:
        """What holds for ``process`` at ``ts``, from what held for its parent and what each exec made of it."""
        if self._session.tree.get(process) is None:
            return start
        todo: list[_Place] = []
        pending: set[_Place] = set()
        place: _Place | None = self._place(process, ts)
        while place is not None and place not in known and place not in pending:
            todo.append(place)
            pending.add(place)
            place = self._before(place)
        held = known.get(place, start) if place is not None else start
        self.steps += len(todo) + 1
        for place in reversed(todo):
            if place[1] > 0:
                held = after_exec(place, held)
            known[place] = held
        return held

    def _refresh(self) -> None:
        """Drops what no longer holds, and notes which processes led to new shells."""
        tree = self._session.tree
        if self._moved != tree.moved:
            self._exact.clear()
            self._loose.clear()
            self._moved = tree.moved
        for shell in self._fresh:
            for node in tree.ancestors(shell.image.process):
                self.steps += 1
                if node.born < self._early(shell.state):  # it was there before the call
                    break
                self._leads[node.key] = shell
        if self._fresh:  # what else is in the window of such a call is not its
            self._fresh.clear()
            self._loose.clear()


def _when(image: e.Exec) -> tuple[int, int]:
    return image.ts, image.seq
