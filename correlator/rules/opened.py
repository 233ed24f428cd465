"""What runs had opened, which is what they depended on. What is over is gathered once, and each claim adds what is new.

Claims ask again and again about the same runs and one more: what the runs of the last time had opened is kept, and the
new one's added. Names are not gathered, since what an inode is called changes: whether a path was opened is asked of
the session's index of names.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from operator import is_

from correlator.delegation import daemons_of
from correlator.programs import plain
from correlator.rules import built
from correlator.runs import Run
from correlator.session import Session
from polygraph.events import Exec, ProcessKey

#: lists of runs whose openings are kept of a session: all tests, those of a tool, those of a result
_MAX_KEPT = 4
_NEVER = -1


@dataclass(slots=True, eq=False)
class Gathered:
    """What some runs had opened."""

    runs: list[Run] = field(default_factory=list)
    processes: set[ProcessKey] = field(default_factory=set)
    #: when each inode was opened last
    inodes: dict[tuple[int, int], int] = field(default_factory=dict)
    #: directory entries by which files were opened; 0: some are not known
    entries: set[int] = field(default_factory=set)
    #: files that were told with their names
    read: set[str] = field(default_factory=set)
    #: the programs themselves, and their scripts
    programs: set[str] = field(default_factory=set)
    python: bool = False
    #: the last opening of all, and the first beginning
    latest: int = 0
    start: int = 1 << 63
    #: how many openings and images were looked at for it
    looked: int = 0
    #: something of the above came later than was asked about then
    more: bool = False
    #: a daemon outside the lineage had worked for one of them
    elsewhere: bool = False
    #: they opened something themselves: what their programs were built of may be known in part only
    something: bool = False

    def add(self, session: Session, run: Run, end: int) -> set[ProcessKey]:
        """Adds what a run had opened by ``end``; gives the processes that were not among these yet."""
        daemons = _daemons(session, run)
        self.elsewhere = self.elsewhere or daemons is None
        every = (run.process, *(daemons or ()))
        new = session.tree.subtrees(every) - self.processes
        makers: set[ProcessKey] = set()
        for image in _images(session, new):
            makers |= built.makers(session, image) - self.processes - new
        new |= makers
        self.runs.append(run)
        self.processes |= new
        self.start = min(self.start, run.image.ts)
        for process in new:
            for inode, read in session.process_reads.get(process, ()):
                if self._in_time(read.ts, end):
                    self.something = self.something or process not in makers
                    self.inodes[inode] = max(self.inodes.get(inode, 0), read.ts)
                    if read.entry is not None:
                        self.entries.add(read.entry)
            for path, read in session.process_path_reads.get(process, ()):
                if self._in_time(read.ts, end):
                    self.something = self.something or process not in makers
                    self.read.add(path)
        for image in _images(session, new):
            if self._in_time(image.ts, end):
                self.python = self.python or plain(image.path).startswith(("python", "pypy"))
                self.programs.update((image.path, image.script or ""))
        return new

    def _in_time(self, ts: int, end: int) -> bool:
        self.looked += 1
        self.latest = max(self.latest, ts)
        self.more = self.more or ts > end
        return ts <= end

    def holds_for(self, runs: Sequence[Run], end: int) -> bool:
        """Whether it is a part of what ``runs`` had opened by ``end``."""
        known = not self.more and self.latest <= end and len(self.runs) <= len(runs)
        return known and all(map(is_, self.runs, runs))

    def copy(self) -> Gathered:
        """One that can be added to for one question."""
        return Gathered(
            list(self.runs), set(self.processes), dict(self.inodes), set(self.entries), set(self.read),
            set(self.programs), self.python, self.latest, self.start, self.looked, self.more, self.elsewhere,
            self.something,
        )  # fmt: skip


def _images(session: Session, processes: Iterable[ProcessKey]) -> list[Exec]:
    nodes = map(session.tree.get, processes)
    return [image for node in nodes if node is not None for image in node.images]


def _clients(run: Run) -> list[Run]:
    """Those of the run and of what it wraps whose tool has a daemon do the work."""
    inner = [client for below in run.inner for client in _clients(below)]
    return [run, *inner] if run.match.tool.hand_off is not None else inner


def _daemons(session: Session, run: Run) -> set[ProcessKey] | None:
    """The daemons of the lineage that did the run's work; None if one did that is none of it."""
    found: set[ProcessKey] = set()
    for client in _clients(run):
        keys = session.tree.subtree(client.process)
        asked = daemons_of(session, keys, client.image.ts, client.ended)
        if asked is None:
            return None
        found |= asked - keys
    return found


class Openings:
    """What the runs of one session had opened, kept from one claim to the next."""

    def __init__(self, session: Session) -> None:
        self._session = session
        #: the one that was asked for last comes last
        self._kept: list[Gathered] = []
        self._version = (0, 0, 0)
        #: processes, openings and images that were looked at: all claims together cost as much as the log
        self.steps = 0

    def of(self, runs: Sequence[Run], end: int) -> Gathered:
        """What ``runs`` had opened by ``end``. It is to be asked at once, and not to be changed."""
        session = self._session
        _ = session.process_reads  # what was told of reads is taken in: it may be news of what is kept
        version = (session.tree.moved, session.tree.revised, session.reread)
        if version != self._version:
            self._kept.clear()
            session.read_out.clear()
            self._version = version
        kept = max((k for k in self._kept if k.holds_for(runs, end)), key=lambda k: len(k.runs), default=None)
        if kept is not None:
            self._kept.remove(kept)
        else:
            kept = Gathered()
        new = iter(runs[len(kept.runs) :])
        going = next((run for run in new if not self._is_kept(kept, run, end)), None)
        self._kept = [*self._kept, kept][-_MAX_KEPT:]
        if going is not None:
            kept = kept.copy()
            for run in (going, *new):
                self._add(kept, run, end)
        return kept

    def _is_kept(self, kept: Gathered, run: Run, end: int) -> bool:
        """Adds the run to what is kept, if it is over."""
        if not self._is_over(run, end):
            return False
        self._session.read_out |= self._add(kept, run, end)
        return True

    def _is_over(self, run: Run, end: int) -> bool:
        if _daemons(self._session, run):
            return False  # they go on
        ended, looked = self._session.tree.over(run.process, end)
        self.steps += looked
        return ended is not None

    def _add(self, gathered: Gathered, run: Run, end: int) -> set[ProcessKey]:
        before = gathered.looked
        new = gathered.add(self._session, run, end)
        self.steps += len(new) + gathered.looked - before
        return new


class Opened:
    """Files that runs had opened when the last of them ended, by the names that were known at ``until``."""

    __slots__ = ("_answers", "_gathered", "_session", "_until", "possible")

    def __init__(self, session: Session, gathered: Gathered, until: int) -> None:
        self._session = session
        self._gathered = gathered
        self._until = until
        self._answers: dict[str, bool] = {}
        #: inodes that were opened by several, the runs perhaps among them
        self.possible: set[tuple[int, int]] = set()
        for inode, read in session.shared_reads:
            if gathered.start <= read.ts <= until and read.process not in gathered.processes:
                self.possible.add(inode)

    def has(self, path: str) -> bool:
        """Whether a file of that name was opened, or what was compiled of it."""
        known = self._answers.get(path)  # a path that was replaced often had many inodes, and each write asks
        if known is None:
            known = self._answers[path] = self._has(path)
        return known

    def _has(self, path: str) -> bool:
        gathered = self._gathered
        return (
            path in gathered.read
            or path in gathered.programs
            or self._has_inode(path)
            or any(map(self._has_inode, self._session.compiled_from.get(path, ())))
        )

    def _has_inode(self, path: str) -> bool:
        """Whether an inode was opened that has the name, and had it before its number may have gone to another."""
        for inode, named_at in self._session.path_inodes.get(path, {}).items():
            read_at = self._gathered.inodes.get(inode, _NEVER)
            if (
                named_at <= self._until
                and read_at != _NEVER
                and not self._session.given_away(inode, read_at, named_at)
            ):
                return True
        return False

    def opened_between(self, path: str, since: int, until: int) -> bool:
        """Whether a file of that name was opened for the last time in [since, until)."""
        files = (path, *self._session.compiled_from.get(path, ()))
        times = [
            read_at
            for name in files
            for inode in self._session.path_inodes.get(name, {})
            if (read_at := self._gathered.inodes.get(inode)) is not None
        ]
        return bool(times) and since <= max(times) < until and path not in self._gathered.read

    @property
    def inodes(self) -> dict[tuple[int, int], int]:
        """When each inode was opened last."""
        return self._gathered.inodes

    @property
    def entries(self) -> set[int]:
        """Directory entries by which files were opened."""
        return self._gathered.entries

    @property
    def entries_unknown(self) -> bool:
        """By which entries is not known of all."""
        return not self.entries or 0 in self.entries

    @property
    def elsewhere(self) -> bool:
        """A daemon outside the lineage had worked for them: what it opened is not known."""
        return self._gathered.elsewhere

    @property
    def unknown(self) -> bool:
        """Nothing that they opened is known, or not what a daemon did for them."""
        return self.elsewhere or not self._gathered.something

    @property
    def python(self) -> bool:
        """Python was at work."""
        return self._gathered.python

    @property
    def start(self) -> int:
        """When the first of the runs began."""
        return self._gathered.start


def opened(session: Session, runs: Sequence[Run], last: Run, until: int) -> Opened:
    """What ``runs`` opened, until the end of ``last``, by the names that were known at ``until``."""
    return Opened(session, session.part(Openings).of(runs, last.ended), until)
