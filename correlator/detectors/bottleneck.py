"""The coordination bottleneck: agents of one session that wait for each other, and who is waited for.

An *agent* is a process with calls of a model of its own, and what descends from it, down to the next such process.
Waits are the kernel's (:class:`~polygraph.events.Wait`): they tell whose call ended them. What lies in them of the
waiting agent's own calls of a model is taken off: it then waited for its model. Left out is what is ordinary: a server
that nobody asks, and an agent and its descendant that wait for each other's words or end, as those who delegate do. On
locks, semaphores and shared futexes they count like any others.

The critical path is walked backwards from the end of the session: where an agent went on because another one woke it,
the path goes on with that one from that moment; where an agent began, with its parent. So each moment of the session
belongs to one agent.

All is said at the end of the session: shares of its time are not known before. Of more waits than MAX_WAITS the longest
are kept: what is not kept makes a finding less likely, never more.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from correlator.facts import fact
from correlator.programs import program_name
from correlator.session import Session
from polygraph.events import AnyEvent, ProcessKey, SessionStart, Wait
from polygraph.findings import Finding, Step, detectors
from polygraph.ids import derived_id
from polygraph.text import printable
from polygraph.verdicts import Window

DETECTOR = "coordination_bottleneck"
#: most waits, or sums of short ones, that are kept of a session
MAX_WAITS = 20_000
#: most steps of a path, and most waits that a finding names
MAX_STEPS = 20
MAX_EVIDENCE = 3

#: what processes take turns on
_TURNS = frozenset({"lock", "semaphore", "futex"})
_SECOND = 1_000_000_000
#: most characters of a program's name
_NAME = 60

_Span = tuple[int, int]


class Thresholds(NamedTuple):
    """Those of data/detectors.toml; times in ns."""

    least: int
    share: float
    path_share: float
    agents: int


class _Edge(NamedTuple):
    """Agent ``waiter`` waited for agent ``on``."""

    waiter: ProcessKey
    on: ProcessKey
    wait: Wait


class _Stretch(NamedTuple):
    """A part of the critical path, which ``agent`` had. ``by``: the wait through which it came to the next one."""

    agent: ProcessKey
    begin: int
    end: int
    by: Wait | None


class Bottlenecks:
    """Finds them in one session."""

    def __init__(self) -> None:
        self._waits: dict[int, Wait] = {}
        #: total and number of each, the shortest first
        self._ranks: list[tuple[int, int]] = []

    def see(self, session: Session, event: AnyEvent) -> None:  # noqa: ARG002 - the protocol's
        """Keeps a wait for a known process."""
        if not isinstance(event, Wait) or event.on is None or event.seq in self._waits:
            return
        self._waits[event.seq] = event
        heapq.heappush(self._ranks, (event.total, -event.seq))
        if len(self._ranks) > MAX_WAITS:
            del self._waits[-heapq.heappop(self._ranks)[1]]

    def due(self, session: Session, now: int, *, final: bool) -> Iterable[Finding]:
        """What there is to say at the end."""
        if not final or session.start is None or now <= session.start.ts:
            return ()
        waits = [self._waits[seq] for seq in sorted(self._waits)]
        return _findings(session, session.start, _Agents(session), waits, now)


class _Agents:
    """Which agent a process belongs to, and when each called its model."""

    def __init__(self, session: Session) -> None:
        self._tree = session.tree
        self._agents: dict[ProcessKey, ProcessKey | None] = {}
        spans: dict[ProcessKey, list[_Span]] = defaultdict(list)
        for call in session.tries.values():
            self._agents[call.process] = call.process
            spans[call.process].append((call.request_ts, call.ts))
        #: of those with calls of their own: the times in which one was under way, in order
        self.calls = {agent: _united(found) for agent, found in spans.items()}

    def of(self, process: ProcessKey) -> ProcessKey | None:
        """The agent that ``process`` is or descends from; None: it has none."""
        passed = [process]
        found = self._agents.get(process)
        if process not in self._agents:
            for node in self._tree.ancestors(process):
                if node.key in self._agents:
                    found = self._agents[node.key]
                    break
                passed.append(node.key)
        self._agents.update(dict.fromkeys(passed, found))
        return found

    def parent(self, agent: ProcessKey) -> ProcessKey | None:
        """The agent that began ``agent``."""
        node = self._tree.get(agent)
        return self.of(node.parent) if node is not None and node.parent is not None else None

    def related(self, one: ProcessKey, other: ProcessKey) -> bool:
        """Whether one of two agents descends from the other."""
        return self._tree.within(one, other) or self._tree.within(other, one)

    def named(self, agent: ProcessKey) -> str:
        """``process 7 (claude)``."""
        node = self._tree.get(agent)
        name = printable(program_name(node.images[-1]), _NAME) if node is not None and node.images else ""
        return f"process {agent.partition(':')[0]}" + (f" ({name})" if name else "")


def _findings(
    session: Session, start: SessionStart, agents: _Agents, waits: Sequence[Wait], now: int
) -> Iterator[Finding]:
    if len(agents.calls) < 2:
        return
    edges = []
    for wait in waits:
        waiter, on = agents.of(wait.process), agents.of(wait.on or "")
        if waiter is not None and on is not None and waiter != on:
            edges.append(_Edge(waiter, on, wait))
    report = _Report(session, start, agents, now)
    turns: dict[tuple[str, int], list[_Edge]] = defaultdict(list)
    for edge in edges:
        if edge.wait.kind in _TURNS and edge.wait.object:
            turns[edge.wait.kind, edge.wait.object].append(edge)
    taken: set[int] = set()
    for (kind, number), on_one in turns.items():
        found = report.serialised(kind, number, on_one)
        if found is not None:
            taken.update(edge.wait.seq for edge in on_one)
            yield found
    served = {net.socket for net in session.nets if net.op != "connect"}
    pairs: dict[tuple[ProcessKey, ProcessKey], list[_Edge]] = defaultdict(list)
    for edge in edges:
        if edge.wait.seq not in taken and _held_up(edge, agents, served):
            pairs[edge.waiter, edge.on].append(edge)
    for between in pairs.values():
        found = report.waits_on_peer(between)
        if found is not None:
            yield found
    found = report.critical_path(edges)
    if found is not None:
        yield found


def _held_up(edge: _Edge, agents: _Agents, served: set[int]) -> bool:
    """Whether the wait is none of those that are ordinary."""
    wait = edge.wait
    if wait.kind in _TURNS:
        return True
    if wait.kind in ("child", "other") or agents.related(edge.waiter, edge.on):
        return False
    if wait.kind in ("unix", "loopback"):  # who accepts connections waits to be asked
        return (wait.object in served) == wait.theirs
    return True


class _Report:
    """Findings on one session's waits."""

    def __init__(self, session: Session, start: SessionStart, agents: _Agents, now: int) -> None:
        self._session = session
        self._start = start
        self._agents = agents
        self._now = now
        self._limits = thresholds()
        self._wall = now - start.ts

    def serialised(self, kind: str, number: int, edges: list[_Edge]) -> Finding | None:
        """Agents that take turns on one thing: at least two of them waited for another."""
        waiters = dict.fromkeys(edge.waiter for edge in edges)
        spent = sum(self._spent([edge for edge in edges if edge.waiter == waiter]) for waiter in waiters)
        if len(waiters) < 2 or not self._matters(spent):
            return None
        names = ", ".join(map(self._agents.named, waiters))
        summary = (
            f"{names} took turns on one {kind}: together they waited {spent / _SECOND:.1f} s for each other"
        )
        return self._finding("serialised", (kind, str(number)), summary, edges, spent)

    def waits_on_peer(self, edges: list[_Edge]) -> Finding | None:
        """One agent that another one held up."""
        spent = self._spent(edges)
        if not self._matters(spent):
            return None
        waiter, on, _ = edges[0]
        kinds = ", ".join(sorted({edge.wait.kind for edge in edges}))
        summary = (
            f"{self._agents.named(waiter)} waited {spent / _SECOND:.1f} s for {self._agents.named(on)} ({kinds}), "
            f"{spent / self._wall:.0%} of the session"
        )
        return self._finding("waits_on_peer", (waiter, on), summary, edges, spent)

    def critical_path(self, edges: list[_Edge]) -> Finding | None:
        """The agent, other than the one that the session began with, that most of the time went by for."""
        if len(self._agents.calls) < self._limits.agents:
            return None
        if self._session.coverage.hidden(("ipc", "process"), self._start.ts, self._now):
            return None
        if sum(edge.wait.total for edge in edges if edge.wait.count > 1) > self._limits.share * self._wall:
            return None  # short waits have no place in time: the path would not be the one
        path = self._path(edges)
        times: dict[ProcessKey, int] = defaultdict(int)
        for stretch in path:
            times[stretch.agent] += stretch.end - stretch.begin
        first = path[0].agent
        most = max(times, key=lambda agent: (times[agent], agent))
        spent = times[most]
        if most == first or spent < self._limits.least or spent < self._limits.path_share * self._wall:
            return None
        summary = (
            f"the session waited for {self._agents.named(most)} most of its time: {spent / _SECOND:.1f} s, "
            f"{spent / self._wall:.0%} of its critical path"
        )
        held = [edge for edge in edges if edge.on == most]
        return self._finding("critical_path", (most,), summary, held, spent, self._steps(path))

    def _path(self, edges: list[_Edge]) -> list[_Stretch]:
        """The critical path, from the beginning of the session to its end."""
        woken: dict[ProcessKey, list[tuple[int, int, _Edge]]] = defaultdict(list)
        for edge in edges:
            if edge.wait.count == 1:
                woken[edge.waiter].append((edge.wait.last_ts, edge.wait.seq, edge))
        for rows in woken.values():
            rows.sort(key=lambda row: row[:2])
        last = {agent: spans[-1][1] for agent, spans in self._agents.calls.items()}
        agent = max(last, key=lambda one: (last[one], one))
        root = self._agents.of(self._session.tree.root or "")
        if root is not None:
            agent = root
        at, path, by = self._now, list[_Stretch](), None
        while True:
            node = self._session.tree.get(agent)
            parent = self._agents.parent(agent)
            born = max(self._start.ts, node.born if node is not None and parent is not None else 0)
            rows = woken.get(agent, [])
            index = bisect_left(rows, at, key=lambda row: row[0]) - 1
            if index >= 0 and rows[index][0] > born:
                edge = rows[index][2]
                path.append(_Stretch(agent, edge.wait.last_ts, at, by))
                agent, at, by = edge.on, edge.wait.last_ts, edge.wait
            else:
                path.append(_Stretch(agent, min(born, at), at, by))
                if parent is None or born >= at or born <= self._start.ts:
                    return path[::-1]
                agent, at, by = parent, born, None

    def _steps(self, path: list[_Stretch]) -> tuple[Step, ...]:
        """The longest stretches in order of time."""
        longest = sorted(range(len(path)), key=lambda index: path[index].begin - path[index].end)[:MAX_STEPS]
        steps: list[Step] = []
        for index in sorted(longest):
            agent, begin, end, by = path[index]
            what = f"{(end - begin) / _SECOND:.1f} s in {self._agents.named(agent)}"
            before = path[index - 1].by if index else None
            if before is not None:
                what += f", which had waited for {self._agents.named(path[index - 1].agent)} ({before.kind})"
            grade = None if not steps else "exact" if before is not None else "strong"
            steps.append(Step(ts=begin, what=what, id=(before or by or self._start).id, grade=grade))
        return tuple(steps)

    def _matters(self, spent: int) -> bool:
        return spent >= self._limits.least and spent >= self._limits.share * self._wall

    def _spent(self, edges: Sequence[_Edge]) -> int:
        """Time that one agent waited in ``edges`` while it called no model, each moment once."""
        waiter = edges[0].waiter
        calls = self._agents.calls[waiter]
        spent = _length(_without(_united(_span(edge.wait) for edge in edges if edge.wait.count == 1), calls))
        for edge in edges:
            span = _span(edge.wait)
            if edge.wait.count > 1 and not _overlap(span, calls):
                spent += min(edge.wait.total, span[1] - span[0])
        return spent

    def _finding(
        self,
        kind: str,
        about: tuple[str, ...],
        summary: str,
        edges: Sequence[_Edge],
        spent: int,
        path: tuple[Step, ...] = (),
    ) -> Finding:
        longest = sorted(edges, key=lambda edge: (-edge.wait.total, edge.wait.seq))[:MAX_EVIDENCE]
        return Finding(
            id=derived_id("f", self._session.id, DETECTOR, kind, *about),
            session=self._session.id,
            ts=self._now,
            detector=DETECTOR,
            kind=kind,
            summary=summary,
            evidence=tuple(fact(edge.wait) for edge in longest),
            window=Window(
                open=min((edge.wait.first_ts for edge in edges), default=self._start.ts),
                close=max((edge.wait.last_ts for edge in edges), default=self._now),
            ),
            path=path,
            figures={
                "seconds": round(spent / _SECOND, 3),
                "share": round(spent / self._wall, 4),
                "waits": sum(edge.wait.count for edge in edges),
                "agents": len({agent for edge in edges for agent in edge[:2]}),
            },
        )


def thresholds() -> Thresholds:
    """Those of the table."""
    rows = detectors()[DETECTOR].thresholds
    return Thresholds(
        int(rows["seconds"].value * _SECOND),
        rows["share"].value,
        rows["path_share"].value,
        int(rows["agents"].value),
    )


def _span(wait: Wait) -> _Span:
    return wait.first_ts, wait.last_ts


def _united(spans: Iterable[_Span]) -> list[_Span]:
    """The same time as spans that are apart, in order."""
    apart: list[_Span] = []
    for begin, end in sorted(spans):
        if apart and begin <= apart[-1][1]:
            apart[-1] = (apart[-1][0], max(end, apart[-1][1]))
        else:
            apart.append((begin, end))
    return apart


def _without(spans: Sequence[_Span], others: Sequence[_Span]) -> Iterator[_Span]:
    """What of ``spans`` lies outside ``others``; both apart and in order."""
    index = 0
    for begin, end in spans:
        at = begin
        while index < len(others) and others[index][1] <= at:
            index += 1
        look = index
        while look < len(others) and others[look][0] < end:
            if others[look][0] > at:
                yield at, others[look][0]
            at = max(at, others[look][1])
            look += 1
        if at < end:
            yield at, end


def _overlap(span: _Span, others: Sequence[_Span]) -> bool:
    index = bisect_right(others, span[0], key=lambda other: other[1])
    return index < len(others) and others[index][0] < span[1]


def _length(spans: Iterable[_Span]) -> int:
    return sum(end - begin for begin, end in spans)
