"""What bench/native/operations.c does, and what a session's events say it did, in the same words. Pure.

A fact is a tuple: what happened, to what, with which result. Processes are told by their place in the lineage,
so both sides can be compared as multisets.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from polygraph.events import (
    AnyEvent,
    Exec,
    ExecFailed,
    Exit,
    File,
    Flow,
    Fork,
    Loss,
    Net,
    ProcessKey,
    Reads,
    SessionEnd,
)
from polygraph.reasons import Dimension

Fact = tuple[str | int | None, ...]

ENOENT, ECONNREFUSED = 2, 111
LOOPBACK = {"inet": "127.0.0.1", "inet6": "::1"}

_DIMENSION: dict[str, Dimension] = {
    "fork": "process", "exec": "process", "exec_failed": "process", "exit": "process", "end": "process",
    "connect": "network", "accept": "network", "bind": "network", "listen": "network", "flow": "network",
}  # fmt: skip


class Score(NamedTuple):
    """How the events compare with what was done."""

    done: int
    exact: int
    #: facts that did not arrive, up to the number that their dimension counts as lost
    lost: int
    #: missing without having been counted, by kind
    missing: Counter[str]
    #: told and never done, by kind
    invented: Counter[str]

    @property
    def share(self) -> float:
        """Reported exactly or counted as lost, of all that was done and all that was only told."""
        return (self.exact + self.lost) / (self.done + self.invented.total())


def dimension(fact: Fact) -> Dimension:
    """The dimension that a fact belongs to."""
    return _DIMENSION.get(str(fact[0]), "file")


class Operations(NamedTuple):
    """A run of native/operations. Paths are resolved ones; ``ports``: those that it listened on, by family."""

    program: str
    true: str
    folder: str
    number: int
    ports: dict[str, int]

    @property
    def argv(self) -> tuple[str, ...]:
        """Its command line."""
        return self.program, self.folder, str(self.number)


def performed(run: Operations) -> Counter[Fact]:
    """What the program does."""
    folder, true = run.folder, run.true
    facts: list[Fact] = [("exec", "root", run.program, *run.argv), ("exit", "root", 0, None), ("end", 0)]
    for i in range(run.number):
        facts += [
            ("fork", "root"), ("exit", "child", i % 128, None),
            ("fork", "root"), ("fork", "child"), ("exit", "child", 8, None), ("exit", "grandchild", 7, None),
            ("fork", "root"), ("exec", "child", true, "true", f"tag-{i}"), ("exit", "child", 0, None),
            ("exec_failed", "root", f"/no-such-{i}", ENOENT),
            ("create", f"{folder}/f{i}", None, 0),
            ("read", f"{folder}/f{i}", None, 0),
            ("read", f"{folder}/missing{i}", None, ENOENT),
            ("link", f"{folder}/f{i}", f"{folder}/l{i}", 0),
            ("symlink", f"f{i}", f"{folder}/s{i}", 0),
            ("mkdir", f"{folder}/d{i}", None, 0),
            ("chmod", f"{folder}/f{i}", None, 0),
            ("truncate", f"{folder}/f{i}", None, 0),
            ("rename", f"{folder}/f{i}", f"{folder}/r{i}", 0),
            ("unlink", f"{folder}/l{i}", None, 0),
        ]  # fmt: skip
    facts.append(("create", f"{folder}/ports", None, 0))
    for family, port in run.ports.items():
        address = LOOPBACK[family]
        facts += [("bind", family, address, 0), ("listen", family, address, port, 0)]
        facts += [
            ("connect", family, address, port, 0), ("accept", family, address, port, 0),
            ("flow", family, 10, 0), ("flow", family, 0, 10),
            ("connect", family, address, port, ECONNREFUSED),
        ] * run.number  # fmt: skip
    return Counter(facts)


def told(events: Iterable[AnyEvent], folder: str) -> Counter[Fact]:
    """What the events of a session say, as far as it concerns ``folder``, loopback and the processes."""
    teller = _Teller(folder)
    for event in events:
        teller.take(event)
    return Counter(teller.facts) + Counter(teller.reads())


class _Teller:
    def __init__(self, folder: str) -> None:
        self.facts: list[Fact] = []
        self._folder = f"{folder}/"
        self._places: dict[ProcessKey, str] = {}
        self._files: dict[tuple[int, int], str] = {}
        self._reads: Counter[tuple[int, int]] = Counter()

    def take(self, event: AnyEvent) -> None:
        if isinstance(event, Exec):
            if not self._places:
                self._places[event.process] = "root"
            self.facts.append(("exec", self._place(event.process), event.path, *event.argv))
        elif isinstance(event, Fork):
            place = self._place(event.process)
            self._places[event.child] = {"root": "child", "child": "grandchild"}.get(place, "further")
            self.facts.append(("fork", place))
        elif isinstance(event, ExecFailed):
            self.facts.append(("exec_failed", self._place(event.process), event.path, event.errno))
        elif isinstance(event, Exit):
            self.facts.append(("exit", self._place(event.process), event.status, event.signal))
        elif isinstance(event, SessionEnd):
            self.facts.append(("end", event.live))
        elif isinstance(event, File):
            self._file(event)
        elif isinstance(event, Reads):
            self._reads.update((dev, ino) for _process, dev, ino, *_rest in event.openings())
        elif isinstance(event, Net):
            self._net(event)
        elif isinstance(event, Flow) and event.closed and event.family in LOOPBACK:
            self.facts.append(("flow", event.family, event.sent, event.received))

    def reads(self) -> list[Fact]:
        """Opens for reading of files that the events name."""
        return [
            ("read", self._files[dev, ino], None, 0)
            for (dev, ino), count in self._reads.items()
            if (dev, ino) in self._files
            for _ in range(count)
        ]

    def _place(self, process: ProcessKey) -> str:
        return self._places.get(process, "unknown")

    def _file(self, event: File) -> None:
        if self._folder not in event.path and self._folder not in (event.new_path or ""):
            return
        if event.op == "create" and event.ino:
            self._files[event.dev, event.ino] = event.path
        self.facts += [(event.op, event.path, event.new_path, event.errno)] * event.count

    def _net(self, event: Net) -> None:
        if event.family not in LOOPBACK:
            return
        if event.op == "connect":
            self.facts.append(("connect", event.family, event.address, event.port, event.errno))
        elif event.op == "bind":  # to any port: the one that it got is told by listen
            self.facts.append(("bind", event.family, event.local_address, event.errno))
        else:
            self.facts.append((event.op, event.family, event.local_address, event.local_port, event.errno))


def score(done: Counter[Fact], said: Counter[Fact], losses: Counter[Dimension]) -> Score:
    """Compares multisets; ``losses``: records counted as lost."""
    missing, invented = done - said, said - done
    lost = 0
    uncounted: Counter[str] = Counter()
    left = Counter(losses)
    for fact, number in missing.items():
        excused = min(number, left[dimension(fact)])
        left[dimension(fact)] -= excused
        lost += excused
        if number > excused:
            uncounted[str(fact[0])] += number - excused
    false: Counter[str] = Counter()
    for fact, number in invented.items():
        false[str(fact[0])] += number
    return Score(done.total(), (done & said).total(), lost, uncounted, false)


def losses(events: Iterable[AnyEvent]) -> Counter[Dimension]:
    """Records that the events count as lost."""
    found: Counter[Dimension] = Counter()
    for event in events:
        if isinstance(event, Loss):
            found[event.dimension] += event.count
    return found
