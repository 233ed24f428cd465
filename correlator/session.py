"""The state of one session: the log so far, indexed for the rules. Nothing is judged here."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from correlator.coverage import CoverageLog
from correlator.processes import ProcessTree
from correlator.programs import identify, image_key
from polygraph import events as e
from polygraph.tools import Match

_WRITES = frozenset({"write", "create", "truncate", "unlink", "rename", "link", "symlink", "mkdir", "rmdir"})


class Read(NamedTuple):
    """One file opened for reading by ``process``; ``shared`` when others may have opened it as well."""

    ts: int
    process: e.ProcessKey
    shared: bool
    id: str


class Touch(NamedTuple):
    """A write effect on a path. ``first`` < ``ts`` when the record covers several."""

    ts: int
    first: int
    event: e.File
    #: the path that the effect is on: for rename and link both names are touched
    path: str
    #: the name is gone afterwards (unlink, rmdir, the old name of a rename)
    gone: bool


@dataclass(slots=True)
class IntentState:
    """An intent and what belongs to it."""

    intent: e.Intent
    result: e.ToolResult | None = None
    states: list[e.FileState] = field(default_factory=list)


@dataclass(slots=True)
class Known:
    """An executed image that data/tools.toml recognises."""

    image: e.Exec
    match: Match


@dataclass(slots=True)
class Session:
    """Everything that the rules may ask of a session."""

    id: str
    start: e.SessionStart | None = None
    end: e.SessionEnd | None = None
    tree: ProcessTree = field(default_factory=ProcessTree)
    coverage: CoverageLog = field(default_factory=CoverageLog)
    execs: list[tuple[int, int, e.Exec]] = field(default_factory=list)
    failed_execs: list[e.ExecFailed] = field(default_factory=list)
    known: list[Known] = field(default_factory=list)
    touches: dict[str, list[Touch]] = field(default_factory=lambda: defaultdict(list))
    failed_files: list[e.File] = field(default_factory=list)
    renames: list[e.File] = field(default_factory=list)
    inode_writes: dict[tuple[int, int], list[Touch]] = field(default_factory=lambda: defaultdict(list))
    reads: dict[tuple[int, int], list[Read]] = field(default_factory=lambda: defaultdict(list))
    path_reads: dict[str, list[Read]] = field(default_factory=lambda: defaultdict(list))
    #: names that an inode was seen to have, with the time when that was first seen
    inode_paths: dict[tuple[int, int], dict[str, int]] = field(default_factory=lambda: defaultdict(dict))
    path_inodes: dict[str, set[tuple[int, int]]] = field(default_factory=lambda: defaultdict(set))
    file_states: list[e.FileState] = field(default_factory=list)
    nets: list[e.Net] = field(default_factory=list)
    flows: dict[int, e.Flow] = field(default_factory=dict)
    names: list[e.Name] = field(default_factory=list)
    calls: dict[str, e.LlmCall] = field(default_factory=dict)
    intents: dict[str, IntentState] = field(default_factory=dict)
    open_intents: list[IntentState] = field(default_factory=list)
    open_claims: list[e.Claim] = field(default_factory=list)
    startup_end: int | None = None
    _agent_images: set[tuple[str, ...]] | None = None

    # --- feeding ---------------------------------------------------------------------------------

    def add(self, event: e.AnyEvent) -> None:
        """Takes one event in."""
        match event:
            case e.File():
                self.coverage.effect(event.ts)
                self._file(event)
            case e.Exec():
                self.coverage.effect(event.ts)
                self._exec(event)
            case e.Fork():
                self.coverage.effect(event.ts)
                self.tree.fork(event)
            case e.Exit():
                self.tree.exit(event)
            case e.Reads():
                self._reads(event)
            case e.ExecFailed():
                self.coverage.effect(event.ts)
                self.tree.exec_failed(event)
                self.failed_execs.append(event)
            case e.Net():
                self.coverage.effect(event.ts)
                self.nets.append(event)
            case e.Flow():
                self.flows[event.socket] = event
            case e.Name():
                self.names.append(event)
            case e.FileState():
                self._file_state(event)
            case e.LlmCall():
                self.calls[event.call] = event
                self._started(event.request_ts)
                if not event.complete:
                    self.coverage.broken_calls.append(event)
            case e.Intent():
                self._intent(event)
            case e.ToolResult():
                state = self.intents.get(event.intent) if event.intent is not None else None
                if state is not None and state.result is None:
                    state.result = event
            case e.Claim():
                self.open_claims.append(event)
            case e.SessionStart():
                self._start(event)
            case e.Coverage():
                self.coverage.state(event)
            case e.Loss():
                self.coverage.losses.append(event)
            case e.BlindSpot():
                self.coverage.blind.append(event)
            case e.StreamGap():
                self.coverage.gaps.append(event)
            case e.SessionEnd():
                self.end = event
            case e.Tick():
                pass

    def _start(self, event: e.SessionStart) -> None:
        if self.start is None:
            self.start = self.coverage.start = event
            self.tree.start(event.process, event.ts)

    def _exec(self, event: e.Exec) -> None:
        self.tree.exec(event)
        insort(self.execs, (event.ts, event.seq, event), key=lambda row: row[:2])
        if self.startup_end is None or event.ts <= self.startup_end:
            self._agent_images = None
        match = identify(event)
        if match is not None:
            self.known.append(Known(event, match))
        if event.dev and event.ino:
            self._name_inode(event.path, event.dev, event.ino, event.ts)

    def _intent(self, event: e.Intent) -> None:
        if event.intent not in self.intents:
            state = self.intents[event.intent] = IntentState(event)
            self.open_intents.append(state)
            self._started(event.ts)

    def _started(self, ts: int) -> None:
        if self.startup_end is None or ts < self.startup_end:
            self.startup_end = ts
            self._agent_images = None

    def _file(self, event: e.File) -> None:
        first = event.first_ts or event.ts
        if event.op == "read":
            if event.errno == 0:
                read = Read(event.ts, event.process, event.count > 1, event.id)
                self.path_reads[event.path].append(read)
                if event.dev and event.ino:
                    self.reads[(event.dev, event.ino)].append(read)
                    self._name_inode(event.path, event.dev, event.ino, event.ts)
            return
        if event.op not in _WRITES:
            return
        if event.errno != 0:
            self.failed_files.append(event)
            return
        moved = event.op == "rename"
        if moved:
            self.renames.append(event)
        # Paths of operations on names (unlink, rename, mkdir) carry no inode: dev and ino are 0.
        inode = (event.dev, event.ino) if event.dev and event.ino else None
        here = event.path if event.op != "symlink" else event.new_path or event.path
        if not here and inode is not None:  # a later touch of a file whose first one was not seen
            here = next(reversed(self.inode_paths[inode]), "")
        touch = Touch(event.ts, first, event, here, moved or event.op in ("unlink", "rmdir"))
        if here:
            self.touches[here].append(touch)
        if event.new_path is not None and event.op in ("rename", "link"):
            self.touches[event.new_path].append(Touch(event.ts, first, event, event.new_path, False))
        if inode is not None:
            self.inode_writes[inode].append(touch)
            named = event.new_path if moved and event.new_path else here
            if named:
                self._name_inode(named, *inode, event.ts)

    def _reads(self, event: e.Reads) -> None:
        for dev, ino, ts, opens in event.files:
            if dev == 0:  # a failed open: the number is no inode's
                continue
            self.reads[(dev, ino)].append(Read(ts, event.process, opens > 1, event.id))

    def _file_state(self, event: e.FileState) -> None:
        state = self.intents.get(event.intent)
        if state is not None:
            state.states.append(event)
        self.file_states.append(event)
        if event.exists and event.dev and event.ino:
            path = event.path
            if not path.startswith("/") and self.start is not None:
                path = f"{self.start.cwd.rstrip('/')}/{path}"
            self._name_inode(path, event.dev, event.ino, event.ts)

    def _name_inode(self, path: str, dev: int, ino: int, ts: int) -> None:
        self.inode_paths[(dev, ino)].setdefault(path, ts)
        self.path_inodes[path].add((dev, ino))

    # --- asking ----------------------------------------------------------------------------------

    @property
    def cwd(self) -> str:
        """Where the session began."""
        return self.start.cwd if self.start is not None else ""

    @property
    def began(self) -> int:
        """When the session began; 0 when its start was not seen."""
        return self.start.ts if self.start is not None else 0

    @property
    def roots(self) -> tuple[str, ...]:
        """Directories that hold the project, as far as the session shows."""
        return (self.cwd,) if self.cwd not in ("", "/") else ()

    def executed(self, since: int, until: int) -> Iterator[e.Exec]:
        """Images executed in [since, until], in order."""
        low = bisect_left(self.execs, since, key=lambda row: row[0])
        high = bisect_right(self.execs, until, key=lambda row: row[0])
        for index in range(low, high):
            yield self.execs[index][2]

    @property
    def agent_images(self) -> set[tuple[str, ...]]:
        """What ran before the first request to a model: the agent's own programs."""
        if self._agent_images is None:
            end = self.startup_end
            self._agent_images = {image_key(image) for ts, _, image in self.execs if end is None or ts <= end}
        return self._agent_images

    def is_agent_image(self, image: e.Exec) -> bool:
        """Whether this image is the agent at work: it ran before the first request to a model, or is the same
        program started again. A known tool is nobody's housekeeping after that."""
        if self.startup_end is None or image.ts <= self.startup_end:
            return True
        return image_key(image) in self.agent_images and identify(image) is None

    def is_agent(self, key: e.ProcessKey) -> bool:
        """Whether the process is the agent itself, one of its helpers, or a fork of them without an exec."""
        if key == self.tree.root:
            return True
        for node in (self.tree.get(key), *self.tree.ancestors(key)):
            if node is None:
                return False
            if node.key == self.tree.root:
                return True
            if node.images:
                return self.is_agent_image(node.images[-1])
        return False

    def top_of(self, key: e.ProcessKey) -> e.ProcessKey:
        """The outermost ancestor of ``key`` that is not the agent: where one command begins."""
        top = key
        for node in self.tree.ancestors(key):
            if self.is_agent(node.key):
                break
            top = node.key
        return top
