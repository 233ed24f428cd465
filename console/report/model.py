"""The session as the report needs it: one pass over the log, no presentation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from console.words import relative
from polygraph.events import (
    AnyEvent,
    BlindSpot,
    Claim,
    Coverage,
    Exec,
    ExecFailed,
    Exit,
    File,
    FileState,
    Flow,
    Fork,
    Intent,
    LlmCall,
    Loss,
    Net,
    SessionEnd,
    SessionStart,
    StreamGap,
    Tick,
    ToolResult,
)
from polygraph.findings import Finding
from polygraph.text import printable
from polygraph.verdicts import Verdict


class ReportInput(NamedTuple):
    """The log of one session, its verdicts and its findings, as the store gives them."""

    events: Sequence[AnyEvent]
    verdicts: Sequence[Verdict]
    findings: Sequence[Finding] = ()


class Limits(NamedTuple):
    """How much the page shows; what is beyond is aggregated and said so. ``text`` in characters.

    ``verified``: how many of the verified have a whole card; the rest are one line each.
    """

    cards: int = 600
    verified: int = 40
    rows: int = 3000
    evidence: int = 12
    text: int = 600
    bars: int = 160
    ticks: int = 600
    tree: int = 700
    subjects: int = 60
    gaps: int = 60
    findings: int = 60


@dataclass(slots=True)
class Process:
    """A process of the lineage. ``number``: place in order of appearance; the page makes ids of it."""

    key: str
    number: int
    start: int
    parent: str | None = None
    end: int | None = None
    status: int | None = None
    signal: int | None = None
    execs: list[Exec] = field(default_factory=list)
    failed: list[ExecFailed] = field(default_factory=list)
    children: list[Process] = field(default_factory=list)
    file_ops: Counter[str] = field(default_factory=Counter)
    connections: int = 0

    @property
    def pid(self) -> str:
        return self.key.split(":", 1)[0]

    @property
    def argv(self) -> tuple[str, ...]:
        """Arguments of its last exec; empty while it runs its parent's image."""
        return (self.execs[-1].argv or (self.execs[-1].path,)) if self.execs else ()


@dataclass(slots=True)
class Session:
    """All that the views draw from. Times in ns since boot; ``begin`` < ``end`` always."""

    verdicts: list[Verdict]
    findings: list[Finding] = field(default_factory=list)
    begin: int = 0
    end: int = 1
    start: SessionStart | None = None
    finish: SessionEnd | None = None
    processes: dict[str, Process] = field(default_factory=dict)
    roots: list[Process] = field(default_factory=list)
    #: every try of every call of a model
    calls: list[LlmCall] = field(default_factory=list)
    intents: dict[str, Intent] = field(default_factory=dict)
    results: dict[str, ToolResult] = field(default_factory=dict)
    claims: dict[str, Claim] = field(default_factory=dict)
    files: list[File] = field(default_factory=list)
    nets: list[Net | Flow] = field(default_factory=list)
    coverage: list[Coverage] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)
    blind: list[BlindSpot] = field(default_factory=list)
    stream_gaps: list[StreamGap] = field(default_factory=list)
    #: the events that verdicts and findings cite, by id
    cited: dict[str, AnyEvent] = field(default_factory=dict)
    #: verdicts (by place in ``verdicts``) that cite a process, by its key
    process_verdicts: dict[str, list[int]] = field(default_factory=dict)
    by_subject: dict[tuple[str, str], int] = field(default_factory=dict)
    count: int = 0

    @property
    def call_count(self) -> int:
        """Calls of a model, however often each was tried."""
        return len({call.call for call in self.calls})

    def near(self, text: str) -> str:
        """``text`` with the paths as they are from the folder that the session began in."""
        return relative(printable(text), printable(self.start.cwd)) if self.start is not None else text


def index(given: ReportInput, ordered: list[Verdict]) -> Session:
    """Reads the log. ``ordered``: the verdicts in the order in which the page shows them."""
    session = Session(verdicts=ordered, findings=list(given.findings))
    wanted = {item.id for verdict in ordered for item in verdict.evidence}
    wanted.update(item.id for finding in given.findings for item in finding.evidence)
    wanted.update(step.id for finding in given.findings for step in finding.path)
    for event in given.events:
        if event.id in wanted:
            session.cited[event.id] = event
        _take(session, event)
    _link(session)
    _span(session, given.events)
    for place, verdict in enumerate(ordered):
        session.by_subject.setdefault((verdict.subject.kind, verdict.subject.id), place)
        for item in verdict.evidence:
            key = process_of(session.cited.get(item.id))
            if key is not None:
                places = session.process_verdicts.setdefault(key, [])
                if place not in places:
                    places.append(place)
    return session


def process_of(event: AnyEvent | None) -> str | None:
    """The process that an event is about, where it is about one."""
    return getattr(event, "process", None)


def _take(session: Session, event: AnyEvent) -> None:
    session.count += 1
    match event:
        case Fork():
            child = _process(session, event.child, event.ts)
            child.parent = child.parent or event.process
            _process(session, event.process, event.ts)
        case Exec():
            process = _process(session, event.process, event.ts)
            process.parent = process.parent or event.parent
            process.execs.append(event)
        case ExecFailed():
            _process(session, event.process, event.ts).failed.append(event)
        case Exit():
            process = _process(session, event.process, event.ts)
            process.end, process.status, process.signal = event.ts, event.status, event.signal
        case File():
            session.files.append(event)
            _process(session, event.process, event.ts).file_ops[event.op] += max(1, event.count)
        case Net() | Flow():
            session.nets.append(event)
            if isinstance(event, Net) and event.op == "connect":
                _process(session, event.process, event.ts).connections += 1
        case LlmCall():
            session.calls.append(event)
        case Intent():
            session.intents.setdefault(event.intent, event)
        case ToolResult():
            if event.intent is not None:
                session.results.setdefault(event.intent, event)
        case Claim():
            session.claims.setdefault(event.claim, event)
        case Coverage():
            session.coverage.append(event)
        case Loss():
            session.losses.append(event)
        case BlindSpot():
            session.blind.append(event)
        case StreamGap():
            session.stream_gaps.append(event)
        case SessionStart():
            session.start = session.start or event
        case SessionEnd():
            session.finish = event
        case _:  # Tick, Reads, FileState and Name are seen through the verdicts that cite them
            pass


def _process(session: Session, key: str, ts: int) -> Process:
    found = session.processes.get(key)
    if found is None:
        found = session.processes[key] = Process(key=key, number=len(session.processes), start=ts)
    return found


def _link(session: Session) -> None:
    """Makes the forest. A parent that is unknown, or that would close a circle, makes a root."""
    for process in session.processes.values():
        parent = session.processes.get(process.parent or "")
        if (
            parent is None
            or parent is process
            or (parent.number > process.number and _above(session, parent, process))
        ):
            session.roots.append(process)
        else:
            parent.children.append(process)


def _above(session: Session, process: Process, wanted: Process) -> bool:
    seen: set[str] = set()
    at: Process | None = process
    while at is not None and at.key not in seen:
        if at is wanted:
            return True
        seen.add(at.key)
        at = session.processes.get(at.parent or "")
    return False


def _span(session: Session, events: Iterable[AnyEvent]) -> None:
    times = [e.ts for e in events if not isinstance(e, Tick | FileState | SessionEnd)]
    times += [call.request_ts for call in session.calls if call.request_ts]
    if not times:
        times = [verdict.window.open for verdict in session.verdicts] or [0]
    session.begin = session.start.ts if session.start is not None else min(times)
    session.end = max(session.begin + 1, *times)
