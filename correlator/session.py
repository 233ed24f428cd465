"""The state of one session: the log so far, indexed for the rules. Nothing is judged here."""

from __future__ import annotations

import posixpath
from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar, cast

import msgspec

from correlator.coverage import CoverageLog
from correlator.facts import says_none
from correlator.graph import Graph
from correlator.mentions import Mentions
from correlator.paths import basename, names, normalise
from correlator.places import compiled_source
from correlator.processes import ProcessTree
from correlator.programs import identify, image_key, may_stop_reading
from polygraph import events as e
from polygraph.openings import Extent
from polygraph.test_files import language_of
from polygraph.tools import Match

P = TypeVar("P")
#: errno of a connect that goes on: EINPROGRESS
IN_PROGRESS = 115
#: addresses of this host begin so
_THIS_HOST = ("127.", "::1", "::ffff:127.")
_WRITES = frozenset({"write", "create", "truncate", "unlink", "rename", "link", "symlink", "mkdir", "rmdir"})
#: after these an inode number may be another file's
_GIVES = frozenset({"create", "unlink", "rename"})


class Read(NamedTuple):
    """One file opened for reading by ``process``; ``shared``: several times, the last at ``ts``, perhaps by others."""

    ts: int
    process: e.ProcessKey
    shared: bool
    id: str
    #: by which directory entry (cf. :mod:`polygraph.openings`); 0: not known; None: the path is known
    entry: int | None = None


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
    #: every touch in order of time
    writes: list[Touch] = field(default_factory=list)
    #: directories in which Python compiled modules
    compiled: set[str] = field(default_factory=set)
    _reads: dict[tuple[int, int], list[Read]] = field(default_factory=lambda: defaultdict(list))
    #: not taken apart yet: most sessions open far more files than any verdict asks about
    _unread: list[e.Reads] = field(default_factory=list)
    path_reads: dict[str, list[Read]] = field(default_factory=lambda: defaultdict(list))
    _process_reads: dict[e.ProcessKey, list[tuple[tuple[int, int], Read]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    process_path_reads: dict[e.ProcessKey, list[tuple[str, Read]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    #: by inode, process and time of an opening for reading: of how many pages at most how many were read, where that
    #: was less than all
    _extents: dict[tuple[tuple[int, int], e.ProcessKey, int], tuple[int, int]] = field(default_factory=dict)
    #: inodes that were read in a way that is not followed, so that nothing of the above counts
    _foreign: set[tuple[int, int]] = field(default_factory=set)
    #: devices as the kernel side tells them; a file of another one may have other numbers there than stat(2) says
    _devices: set[int] = field(default_factory=set)
    #: by directory entry; and the entries that a path was seen to be
    _entry_reads: dict[int, list[Read]] = field(default_factory=lambda: defaultdict(list))
    path_entries: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    #: reads that others may have made as well
    shared_reads: list[tuple[tuple[int, int], Read]] = field(default_factory=list)
    #: names that an inode was seen to have, with the time when that was first seen
    inode_paths: dict[tuple[int, int], dict[str, int]] = field(default_factory=lambda: defaultdict(dict))
    path_inodes: dict[str, dict[tuple[int, int], int]] = field(default_factory=lambda: defaultdict(dict))
    #: every path of an effect, by its last component in lower case
    by_name: dict[str, dict[str, None]] = field(default_factory=lambda: defaultdict(dict))
    file_states: list[e.FileState] = field(default_factory=list)
    #: those that were taken at a claim, by its id
    claim_looks: dict[str, list[e.FileState]] = field(default_factory=lambda: defaultdict(list))
    #: files of which they show that they are tests, or what Python compiled of one
    test_inodes: set[tuple[int, int]] = field(default_factory=set)
    #: all by absolute path
    looks: dict[str, list[e.FileState]] = field(default_factory=lambda: defaultdict(list))
    nets: list[e.Net] = field(default_factory=list)
    #: connects that did not fail: by socket; over Unix sockets by process
    connects: dict[int, e.Net] = field(default_factory=dict)
    unix_connects: dict[e.ProcessKey, list[e.Net]] = field(default_factory=lambda: defaultdict(list))
    #: those over TCP to this host
    local_connects: dict[e.ProcessKey, list[e.Net]] = field(default_factory=lambda: defaultdict(list))
    #: TCP ports at which the lineage listens -> since when; and who listened there last
    listening: dict[int, int] = field(default_factory=dict)
    listeners: dict[int, e.ProcessKey] = field(default_factory=dict)
    #: what came into the lineage without a fork: by who asked for it, and by itself
    delegations: dict[e.ProcessKey, list[e.Delegated]] = field(default_factory=lambda: defaultdict(list))
    delegates: dict[e.ProcessKey, e.Delegated] = field(default_factory=dict)
    #: in order of time
    mcp_calls: list[e.McpCall] = field(default_factory=list)
    flows: dict[int, list[e.Flow]] = field(default_factory=lambda: defaultdict(list))
    names: list[e.Name] = field(default_factory=list)
    #: calls of a model, of each the last try
    calls: dict[str, e.LlmCall] = field(default_factory=dict)
    #: all tries, by call and the time when the answer was over
    tries: dict[tuple[str, int], e.LlmCall] = field(default_factory=dict)
    intents: dict[str, IntentState] = field(default_factory=dict)
    #: the same in the order in which they were told
    asked: list[IntentState] = field(default_factory=list)
    #: what the results of tool calls say, by intent
    results: dict[str, list[e.Claim]] = field(default_factory=lambda: defaultdict(list))
    #: whether one of them says that no test was run
    told_empty: bool = False
    #: what the model says, by the call whose answer it is in
    said: dict[str, list[e.Claim]] = field(default_factory=lambda: defaultdict(list))
    by_digest: dict[str, list[IntentState]] = field(default_factory=lambda: defaultdict(list))
    #: ends of programs that may stop reading before their input ends
    stopped: list[tuple[int, int, e.ProcessKey]] = field(default_factory=list)
    open_intents: list[IntentState] = field(default_factory=list)
    open_claims: list[e.Claim] = field(default_factory=list)
    #: ids of the claims so far: a log may deliver an event twice
    claims: set[str] = field(default_factory=set)
    #: who named what effects are about
    mentions: Mentions = field(default_factory=Mentions)
    startup_end: int | None = None
    _agent_images: set[tuple[str, ...]] | None = None
    #: files by which it was judged whether a runner of a command that is over is the installed one
    runner_files: set[str] = field(default_factory=set)
    #: processes that are over, of which it was worked out what they read; and how often more was told of one of them
    read_out: set[e.ProcessKey] = field(default_factory=set)
    reread: int = 0
    #: times at which an inode number may have gone to another file, in order
    _given: dict[tuple[int, int], list[int]] = field(default_factory=lambda: defaultdict(list))
    #: compiled files that were seen, by the source that they stand for
    compiled_from: dict[str, dict[str, None]] = field(default_factory=lambda: defaultdict(dict))
    #: what others work out of the session and keep: see :meth:`part`
    _parts: dict[object, object] = field(default_factory=dict)
    #: what each effect belongs to
    graph: Graph = field(init=False)

    def __post_init__(self) -> None:
        self.graph = Graph(self)

    def part(self, kind: Callable[[Session], P]) -> P:
        """The one ``kind`` of this session: what a rule works out and keeps from one verdict to the next."""
        found = self._parts.get(kind)
        if found is None:
            found = self._parts[kind] = kind(self)
        return cast(P, found)

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
                self._exit(event)
            case e.Reads():
                self._unread.append(event)
            case e.ExecFailed():
                self.coverage.effect(event.ts)
                self.tree.exec_failed(event)
                self.failed_execs.append(event)
            case e.Net():
                self.coverage.effect(event.ts)
                self._net(event)
            case e.Delegated():
                self.coverage.effect(event.ts)
                self._delegated(event)
            case e.McpCall():
                insort(self.mcp_calls, event, key=lambda call: call.ts)
                self.graph.on_mcp_call(event)
            case e.Flow():
                self._flow(event)
            case e.Name():
                self.names.append(event)
                self.graph.on_name(event)
            case e.FileState():
                self._file_state(event)
            case e.LlmCall():
                self._call(event)
            case e.Intent():
                self._intent(event)
            case e.ToolResult():
                self._result(event)
            case e.Claim():
                self._claim(event)
            case e.SessionStart():
                self._start(event)
            case e.Mention() | e.MentionsLost():
                self.mentions.add(event)
            case e.Coverage() | e.Loss() | e.BlindSpot() | e.StreamGap():
                self.coverage.add(event)
            case e.SessionEnd():
                self.end = event

    def _start(self, event: e.SessionStart) -> None:
        if self.start is None:
            self.start = self.coverage.start = event
            self.tree.start(event.process, event.ts)
            self.graph.on_start()

    def _call(self, event: e.LlmCall) -> None:
        known = self.calls.get(event.call)
        if known is None or event.attempt >= known.attempt:
            self.calls[event.call] = event
        self.tries[event.call, event.ts] = event
        self._started(event.request_ts)
        if not event.complete:
            self.coverage.broken_calls.append(event)
        self.graph.on_call(event)

    def _delegated(self, event: e.Delegated) -> None:
        self.tree.delegated(event)
        if event.process not in self.delegates:
            self.delegates[event.process] = event
            self.delegations[event.by].append(event)
            self.graph.on_delegated()

    def _net(self, event: e.Net) -> None:
        self.nets.append(event)
        if event.op == "connect" and event.errno in (0, IN_PROGRESS):
            self.connects[event.socket] = event
            if event.family == "unix":
                self.unix_connects[event.process].append(event)
            elif event.address.startswith(_THIS_HOST):
                self.local_connects[event.process].append(event)
        elif event.op == "listen" and event.errno == 0 and event.local_port:
            self.listening.setdefault(event.local_port, event.ts)
            self.listeners[event.local_port] = event.process

    def _exec(self, event: e.Exec) -> None:
        node = self.tree.get(event.process)
        if node is not None and node.children and self.is_agent(event.process):
            self.tree.revised += 1  # it may be the agent no more, above commands that are over
        self.tree.exec(event)
        if node is not None and any(map(identify, node.images[:-1])) and self.is_agent(event.process):
            self.tree.revised += 1  # it was a tool, and is the agent now: what it starts is below a run
        insort(self.execs, (event.ts, event.seq, event), key=lambda row: row[:2])
        if self.startup_end is None or event.ts <= self.startup_end:
            self._agent_images = None
            self.tree.revised += 1
        self.graph.on_exec(event)
        match = identify(event)
        if match is not None:
            self.known.append(Known(event, match))
        if event.dev and event.ino:
            self._name_inode(event.path, event.dev, event.ino, event.ts)

    def _exit(self, event: e.Exit) -> None:
        image = self.tree.image(event.process, event.ts)
        if image is not None and may_stop_reading(image):
            insort(self.stopped, (event.ts, event.seq, event.process))

    def _intent(self, event: e.Intent) -> None:
        if event.intent not in self.intents:
            state = self.intents[event.intent] = IntentState(event)
            self.asked.append(state)
            if event.command_digest is not None:
                insort(self.by_digest[event.command_digest], state, key=lambda one: one.intent.ts)
            self.open_intents.append(state)
            self._started(event.ts)
            self.graph.on_intent(state)

    def _result(self, event: e.ToolResult) -> None:
        state = self.intents.get(event.intent) if event.intent is not None else None
        if state is not None and state.result is None:
            state.result = event
            self.graph.on_result(state, event)

    def _claim(self, event: e.Claim) -> None:
        if event.claim not in self.claims:
            self.claims.add(event.claim)
            self.open_claims.append(event)
            if event.source == "tool_result" and event.intent is not None:
                self.results[event.intent].append(event)
                self.told_empty = self.told_empty or says_none(event)
            elif event.source == "model" and event.call is not None:
                self.said[event.call].append(event)

    def _started(self, ts: int) -> None:
        if self.startup_end is None or ts < self.startup_end:
            self.startup_end = ts
            self._agent_images = None
            self.tree.revised += 1

    def _file(self, event: e.File) -> None:
        event = self._resolved(event)
        first = event.first_ts or event.ts
        if event.op == "read":
            if event.errno == 0:
                read = Read(event.ts, event.process, event.count > 1, event.id)
                self.path_reads[event.path].append(read)
                self._name(event.path)
                self.process_path_reads[event.process].append((event.path, read))
                if event.process in self.read_out:
                    self.reread += 1
                if event.dev and event.ino:
                    self._read((event.dev, event.ino), read)
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
        if event.left:
            self.path_entries[event.path].add(event.left)
        if event.entry:
            self.path_entries[event.new_path or event.path].add(event.entry)
        here = event.path if event.op != "symlink" else event.new_path or event.path
        if not here and inode is not None:  # a later touch of a file whose first one was not seen
            here = next(reversed(self.inode_paths[inode]), "")
        touch = Touch(event.ts, first, event, here, moved or event.op in ("unlink", "rmdir"))
        if here:
            self._touch(touch)
        if event.new_path is not None and event.op in ("rename", "link"):
            self._touch(Touch(event.ts, first, event, event.new_path, False))
        if inode is not None:
            self._devices.add(event.dev)
            self.inode_writes[inode].append(touch)
            if event.op in _GIVES:
                insort(self._given[inode], event.ts)
            named = event.new_path if moved and event.new_path else here
            if named:
                self._name_inode(named, *inode, event.ts)

    def _resolved(self, event: e.File) -> e.File:
        """The event with paths that lead up from a working directory (`../side/a.py`) as they are without that.

        The kernel told that directory without links, so that what is above it is what its name says.
        """
        if "/../" not in f"{event.path}\n{event.new_path or ''}":
            return event
        image = self.tree.image(event.process, event.ts)
        known = {self.cwd, image.cwd if image is not None else ""} - {""}

        def plain(path: str) -> str:
            return posixpath.normpath(path) if path.partition("/../")[0] in known else path

        new = plain(event.new_path) if event.new_path is not None else None
        return msgspec.structs.replace(event, path=plain(event.path), new_path=new)

    def _take_reads(self) -> None:
        for event in self._unread:
            for row in event.all_rows():
                inode = (row.dev, row.ino)
                if isinstance(row, Extent):
                    if row.pages is None:
                        self._foreign.add(inode)
                    else:
                        self._extents[inode, row.process, row.ts] = (row.pages, row.of)
                elif row.dev:  # else no file of a disk
                    self._read(inode, Read(row.ts, row.process, False, event.id, row.entry))
        self._unread.clear()

    def read_in_part(self, inode: tuple[int, int], read: Read) -> tuple[int, int] | None:
        """(pages that were read at most, pages of the file then) of an opening after which a part was read only.

        None: all was read, or it is not known.
        """
        self._take_reads()
        return None if inode in self._foreign else self._extents.get((inode, read.process, read.ts))

    @property
    def reads(self) -> dict[tuple[int, int], list[Read]]:
        """What was opened for reading, by device and inode."""
        self._take_reads()
        return self._reads

    @property
    def process_reads(self) -> dict[e.ProcessKey, list[tuple[tuple[int, int], Read]]]:
        """The same by process, for what one run had opened."""
        self._take_reads()
        return self._process_reads

    def read_as(self, path: str) -> Iterator[Read]:
        """What was opened by a directory entry that ``path`` was, whatever file that led to."""
        self._take_reads()
        for entry in sorted(self.path_entries.get(path, ())):
            yield from self._entry_reads.get(entry, ())

    def is_device(self, dev: int) -> bool:
        """Whether the kernel side told of a file with this device: stat(2) has other numbers on btrfs and overlayfs."""
        self._take_reads()
        return dev in self._devices

    def _read(self, inode: tuple[int, int], read: Read) -> None:
        self._devices.add(inode[0])
        self._reads[inode].append(read)
        self._process_reads[read.process].append((inode, read))
        if read.process in self.read_out:
            self.reread += 1
        if read.entry:
            self._entry_reads[read.entry].append(read)
        if read.shared:
            self.shared_reads.append((inode, read))

    def _touch(self, touch: Touch) -> None:
        self.touches[touch.path].append(touch)
        if touch.first <= self.tree.settled and touch.path in self.runner_files:
            self.tree.revised += 1
        self._name(touch.path)
        if self.writes and touch.ts < self.writes[-1].ts:
            insort(self.writes, touch, key=lambda row: (row.ts, row.event.seq))
        else:
            self.writes.append(touch)
        folder, cached, _ = touch.path.partition("/__pycache__/")
        if cached:
            self.compiled.add(folder)

    def _file_state(self, event: e.FileState) -> None:
        state = self.intents.get(event.intent)
        if state is not None:
            state.states.append(event)
        else:
            self.claim_looks[event.intent].append(event)
        self.file_states.append(event)
        path = event.path
        if not path.startswith("/") and self.start is not None:
            path = f"{self.start.cwd.rstrip('/')}/{path}"
        self.looks[path].append(event)
        if event.exists and event.dev and event.ino:
            self._name_inode(path, event.dev, event.ino, event.ts)
            if language_of(compiled_source(path) or path) is not None:
                self.test_inodes.add((event.dev, event.ino))

    def _name_inode(self, path: str, dev: int, ino: int, ts: int) -> None:
        self.inode_paths[(dev, ino)].setdefault(path, ts)
        self.path_inodes[path].setdefault((dev, ino), ts)
        if "__pycache__" in path and (source := compiled_source(path)) is not None:
            self.compiled_from[source][path] = None
        self._name(path)

    def _name(self, path: str) -> None:
        self.by_name[basename(path).lower()][path] = None

    def _flow(self, event: e.Flow) -> None:
        """Bytes of a flow are counted again and again: what it was first and last, and when it came to be, will do."""
        rows = self.flows[event.socket]
        if len(rows) > 1 and rows[-2].established == rows[-1].established == event.established:
            rows.pop()
        rows.append(event)

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

    def meant_by(self, said: str) -> list[str]:
        """Paths of effects that ``said`` may mean, in the order in which they were seen first."""
        keys = {basename(normalise(said, self.cwd)).lower(), basename(posixpath.normpath(said)).lower()}
        return [
            path for key in sorted(keys) for path in self.by_name.get(key, ()) if names(said, path, self.cwd)
        ]

    def inodes_of(self, path: str, until: int) -> set[tuple[int, int]]:
        """Inodes that ``path`` was seen to have by ``until``."""
        return {inode for inode, ts in self.path_inodes.get(path, {}).items() if ts <= until}

    def names_of(self, inode: tuple[int, int], until: int) -> list[str]:
        """Names that the inode was seen to have by ``until``."""
        return [path for path, ts in self.inode_paths.get(inode, {}).items() if ts <= until]

    def given_away(self, inode: tuple[int, int], since: int, until: int) -> bool:
        """Whether the inode number may have gone to another file in (since, until]."""
        times = self._given.get(inode)
        if not times:
            return False
        at = bisect_right(times, since)
        return at < len(times) and times[at] <= until

    def flows_until(self, until: int) -> Iterator[e.Flow]:
        """What was known of each flow by ``until``, the latest."""
        for rows in self.flows.values():
            latest = next((flow for flow in reversed(rows) if flow.ts <= until), None)
            if latest is not None:
                yield latest

    def written(self, since: int, until: int) -> Iterator[Touch]:
        """Touches in [since, until], in order."""
        low = bisect_left(self.writes, since, key=lambda touch: touch.ts)
        for index in range(low, len(self.writes)):
            if self.writes[index].ts > until:
                return
            yield self.writes[index]

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

    def is_agent(self, key: e.ProcessKey, at: int = 1 << 63) -> bool:
        """Whether the process was at ``at`` the agent itself, one of its helpers, or a fork of them without an exec."""
        if key == self.tree.root:
            return True
        for node in self.tree.line(key):
            if node.key == self.tree.root:
                return True
            image = node.image(at)
            if image is not None:
                return self.is_agent_image(image)
        return False

    def top_of(self, key: e.ProcessKey) -> e.ProcessKey:
        """The outermost ancestor of ``key`` that is not the agent: where one command begins."""
        top = key
        for node in self.tree.ancestors(key):
            if self.is_agent(node.key):
                break
            top = node.key
        return top
