"""One session under observation: what the kernel side says of it, as events into its pipeline.

No clock, no kernel: records, counters and times come in as arguments. Only the state of files is looked up, at
the moment in which a tool call's result says that they were written, the program that talks to a model, and at the
beginning what configures the repository.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import msgspec

from collector.auto import llm_hosts
from collector.bounded import put
from collector.claims.opinion import Ask
from collector.file_states import FileLook
from collector.kernel.decode import FILE_OPS, Uring
from collector.kernel.programs import DIMENSION_OF, EXIT, FORK
from collector.kernel.source import SessionRow, Touch
from collector.kernel.uring import uring_ops
from collector.kernel.waits import waits
from collector.look import entry_at, look_at, project_tests, renamed_to, root_of
from collector.pipeline import Container, SessionPipeline
from collector.plain.streams import PlainChunk, PlainClose, PlainConnection, PlainData, PlainStreams
from collector.repository import configuration, home_of
from collector.tls.rustls import RustlsConnections
from collector.tls.streams import Chunk, TlsClose, TlsData, TlsStreams
from polygraph.events import (
    AnyEvent,
    BlindSpot,
    Event,
    Exec,
    Exit,
    File,
    Flow,
    Fork,
    Loss,
    Name,
    Net,
    ProcessKey,
    Reads,
    SessionEnd,
    SessionStart,
)
from polygraph.openings import pack
from polygraph.reasons import Dimension

if TYPE_CHECKING:  # it is seldom there, and the start does not wait for it
    from collector.second_opinion import Answered

#: files, processes and addresses whose names a session remembers; the oldest go first
MAX_REMEMBERED = 65_536
#: programs that give what they execute another root
_CHANGE_ROOT = frozenset(
    {"bwrap", "chroot", "firejail", "fakechroot", "nsenter", "proot", "systemd-nspawn", "unshare"}
)


#: removals and moves of one process whose directory entries are told: what removes more removes whole trees
_REMOVALS = 64

BuiltIn = Callable[[int, int | None], tuple[str, str] | None]
"""``built_in(pid, ino)``: name and detail of a TLS stack inside the program that ``pid`` runs, if it is unseen."""


class Counted(NamedTuple):
    """What the kernel only listed of a session since the last look: touches of files, rows of polygraph.openings and of
    collector/kernel/waits.py."""

    touches: Iterable[Touch] = ()
    opened: bytes = b""
    waited: bytes = b""
    #: program -> runs that the kernel left out, on the whole host
    missed: Mapping[str, int] = MappingProxyType({})


class ObservedSession:
    """Feeds a :class:`~collector.pipeline.SessionPipeline`; ``idle`` once the kernel saw the lineage end."""

    def __init__(
        self, handle: int, start: SessionStart, key: bytes, built_in: BuiltIn, ask: Ask | None = None
    ) -> None:
        self.handle = handle
        self.id = start.session
        self.began = start.ts
        self.idle = False
        #: the kernel may have missed a beginning or an end of a process: its own count of the living is in doubt
        self.adrift = False
        #: plaintext came in since the last round: a verdict may be near
        self.spoke = False
        pid = _pid(start.process)
        home = home_of(pid)
        known = configuration(root_of(pid), start.cwd, home) if start.content != "off" else ()
        self._pipeline = SessionPipeline(
            start, key, self._look, self._find_tests, home=home, configuration=known, ask=ask
        )
        self._streams = TlsStreams()
        self._plain = PlainStreams()
        #: by generation: whether a connection without TLS is of interest, as it was told last
        self._chosen: OrderedDict[int, bool] = OrderedDict()
        self._choices: dict[int, bool] = {}
        #: connects over Unix sockets, by socket
        self._servers: OrderedDict[int, Net] = OrderedDict()
        self._rustls = RustlsConnections()
        self._listens = start.content != "off"
        #: processes of which plaintext came in; TCP connections of others to model hosts, by process and socket: the
        #: host, and whether the connection came about
        self._heard: OrderedDict[ProcessKey, None] = OrderedDict()
        self._unheard: OrderedDict[tuple[ProcessKey, int], tuple[str, bool]] = OrderedDict()
        self._lost: dict[tuple[Dimension, str], int] = {}
        #: until when events were told
        self._until = start.ts
        self._since = start.ts
        self._counted_since = start.ts
        self._root = start.process
        #: until when the root of a `run` is polygraph's own, waiting to be let go: until it executes the command
        self._own_until = sys.maxsize if start.origin == "run" else 0
        self._folders: OrderedDict[ProcessKey, str] = OrderedDict({start.process: start.cwd})
        #: where processes have their root, for when they have ended; None where it may be another than their parent's
        self._roots: OrderedDict[ProcessKey, bytes | None] = OrderedDict(
            {start.process: root_of(_pid(start.process))}
        )
        self._mounts = Path("/proc/self/ns/mnt").stat().st_ino
        self._paths: OrderedDict[tuple[int, int], str] = OrderedDict()
        self._files: OrderedDict[str, tuple[int, int]] = OrderedDict()
        #: directory entries of names that were removed, and of how many of each process they were told
        self._entries: OrderedDict[str, int] = OrderedDict()
        self._removals: OrderedDict[ProcessKey, int] = OrderedDict()
        self._hosts: OrderedDict[str, str] = OrderedDict()
        self._built_in = built_in
        self._programs: OrderedDict[ProcessKey, int] = OrderedDict()
        self._blind_processes: OrderedDict[ProcessKey, tuple[str, str]] = OrderedDict()
        self._suspects: OrderedDict[ProcessKey, tuple[str, str]] = OrderedDict()
        self._spots: set[tuple[str, ProcessKey | None]] = set()

    # --- records ---------------------------------------------------------------------------------

    def kernel(self, value: object) -> None:
        """An effect as decoded."""
        if isinstance(value, File) and value.op == "rename":
            self._pipeline.effect(self._renamed(value))
        elif isinstance(value, File) and value.op == "unlink":
            self._pipeline.effect(self._removed(value))
        elif isinstance(value, Event):
            self._remember(value)
            if isinstance(value, File) and value.op == "create" and value.path in self._entries:
                value = self._made_again(value)
            self._pipeline.effect(value)  # type: ignore[arg-type]

    def effect(self, event: AnyEvent) -> None:
        """An event of the collector's own, such as coverage."""
        self._pipeline.effect(event)

    def guessed(self, answered: Answered, ts: int) -> None:
        """The second opinion on what the model said came in."""
        self._pipeline.guessed(answered.question, answered.claims, ts)

    def plaintext(self, value: TlsData | TlsClose) -> None:
        """Bytes of a TLS connection, or its end."""
        self.spoke = True
        if isinstance(value, TlsData):
            self._remember_heard(value.process)
            # What was sent has the time at which the call began, and a call may take longer than a round.
            for chunk in self._streams.data(value._replace(ts=max(value.ts, self._until))):
                if value.library == "rustls":
                    self._from_rustls(chunk)
                else:
                    self._pipeline.chunk(chunk)
        else:
            for connection in self._streams.close(value):
                self._pipeline.closed(connection, value.ts)

    def plain(self, value: PlainData | PlainClose) -> None:
        """Bytes of a connection without TLS, or its end."""
        self.spoke = True
        if isinstance(value, PlainClose):
            self._plain_over(self._plain.close(value), value.ts)
            return
        self._plain_chunks(self._plain.data(value))

    def take_created(self) -> list[tuple[Container, Net]]:
        """Containers that were made for the session since the last call, and the connection to who made them."""
        return [
            (container, self._servers[container.socket])
            for container in self._pipeline.take_created()
            if container.socket in self._servers
        ]

    def take_choices(self) -> dict[int, bool]:
        """Connections without TLS, by generation, of which it became known whether they are of interest."""
        choices, self._choices = self._choices, {}
        return choices

    def _plain_chunks(self, chunks: Iterable[PlainChunk]) -> None:
        for chunk in chunks:
            wanted = self._pipeline.plain(chunk)
            if wanted:
                self._remember_heard(chunk.connection.process)
            generation = chunk.connection.generation
            if wanted is not None and self._chosen.get(generation) is not wanted:
                _put(self._chosen, generation, wanted)
                self._choices[generation] = wanted

    def _plain_over(self, over: tuple[list[PlainChunk], PlainConnection | None], ts: int) -> None:
        chunks, connection = over
        self._plain_chunks(chunks)
        if connection is not None:
            self._pipeline.plain_closed(connection, ts)

    def _from_rustls(self, chunk: Chunk) -> None:
        for step in self._rustls.follow(chunk):
            if isinstance(step, Chunk):
                self._pipeline.chunk(step)
            else:
                self._pipeline.closed(step, chunk.ts)

    def _remember_heard(self, process: ProcessKey) -> None:
        if process not in self._heard:  # else there is none of it: this is asked of every record
            for key in [key for key in self._unheard if key[0] == process]:
                del self._unheard[key]
        _put(self._heard, process, None)

    def io_uring(self, value: Uring) -> None:
        """What went through a ring was seen by no probe, or may have been."""
        if value.opcode is None:
            detail = "a process made an io_uring, and this kernel does not tell what goes through it"
        else:
            detail = f"{uring_ops().name(value.opcode)} went through an io_uring"
        self._blind(value.dimension, "io_uring", value.process, detail, value.ts)

    def became(self, process: ProcessKey, ino: int) -> None:
        """``process`` executed file ``ino``: what it had mapped before is gone. Told before its later records."""
        _put(self._programs, process, ino)
        self._blind_processes.pop(process, None)
        self._suspects.pop(process, None)

    def blind_tls(self, process: ProcessKey, name: str, detail: str) -> None:
        """``process`` holds a TLS stack that cannot be read; it matters when it talks to a model."""
        _put(self._blind_processes, process, (name, detail))

    def may_speak(self, process: ProcessKey, name: str, detail: str) -> None:
        """``process`` mapped a library with such a stack for purposes of its own: it matters if nothing else speaks."""
        _put(self._suspects, process, (name, detail))

    # --- rounds ----------------------------------------------------------------------------------

    def round(self, until: int, counted: Counted, row: SessionRow | None) -> list[AnyEvent]:
        """What became known up to ``until``, closed by a Tick; empty if nothing did."""
        self.spoke = False
        self._until = until
        self._plain_chunks(self._plain.settle())
        self._counted(counted, until)
        self._losses(row, until)
        return self._pipeline.tick(until)

    def finish(self, now: int, counted: Counted, row: SessionRow | None) -> list[AnyEvent]:
        """The last events, SessionEnd among them."""
        self._plain_chunks(self._plain.finish())
        self._counted(counted, now)
        self._losses(row, now)
        for (process, _), (host, established) in self._unheard.items():
            if established:  # and still open: how much went over it is not told
                self._spoke_unheard(process, f"it has a connection to {host}", now)
        self._pipeline.finish(now)
        live = max(0, row.live) if row is not None else 0
        self._pipeline.effect(SessionEnd(session=self.id, ts=now, live=live))
        return self._pipeline.tick(now)

    def _counted(self, counted: Counted, now: int) -> None:
        for touch in counted.touches:
            process = f"{touch.pid}:{touch.start}"
            self._pipeline.effect(
                File(
                    session=self.id,
                    ts=touch.last_ts,
                    process=process,
                    op=FILE_OPS[touch.op],
                    path=self._paths.get((touch.dev, touch.ino), ""),
                    errno=touch.errno,
                    resolved=not touch.errno and (touch.dev, touch.ino) in self._paths,
                    dev=touch.dev,
                    ino=touch.ino,
                    count=touch.times,
                    first_ts=touch.first_ts,
                )
            )
        if counted.opened:
            self._pipeline.effect(Reads(session=self.id, ts=now, rows=pack(counted.opened)))
        for wait in waits(counted.waited, self.id, now):
            if wait.process != self._root or wait.last_ts > self._own_until:
                self._pipeline.effect(wait)
        for program, count in counted.missed.items():
            self.adrift = self.adrift or program in (FORK, EXIT)
            self._pipeline.effect(
                Loss(
                    session=self.id,
                    ts=now,
                    dimension=DIMENSION_OF[program],
                    cause="missed_fork" if program == FORK else "missed",
                    count=count,
                    since=self._counted_since,
                )
            )
        self._counted_since = now

    def _losses(self, row: SessionRow | None, until: int) -> None:
        if row is None:
            return
        for (dimension, cause), total in row.lost.items():
            fresh = total - self._lost.get((dimension, cause), 0)
            if fresh > 0:
                self._lost[dimension, cause] = total
                self._pipeline.effect(
                    Loss(
                        session=self.id,
                        ts=until,
                        dimension=dimension,
                        cause=cause,
                        count=fresh,
                        since=self._since,
                    )
                )
        self._since = until

    # --- what is remembered ----------------------------------------------------------------------

    def _remember(self, event: Event) -> None:
        if isinstance(event, Exec):
            if event.process == self._root:
                self._own_until = min(self._own_until, event.ts)
            _put(self._folders, event.process, event.cwd)
            moved = event.path.rpartition("/")[2] in _CHANGE_ROOT
            if moved or event.namespaces.get("mnt", self._mounts) != self._mounts:
                _put(self._roots, event.process, None)
        elif isinstance(event, Fork):
            if event.process in self._roots:
                _put(self._roots, event.child, self._roots[event.process])
            if event.process in self._folders:
                _put(self._folders, event.child, self._folders[event.process])
            self._forked(event.process, event.child)
        elif isinstance(event, File):
            if event.ino:
                _put(self._paths, (event.dev, event.ino), event.path)
                if event.resolved and not event.deleted and not event.path_truncated:
                    _put(self._files, event.path, (event.dev, event.ino))
        elif isinstance(event, Name):
            for address in event.addresses:
                _put(self._hosts, address, event.name)
            if event.source == "sni":
                self._speaks_unseen(event.process, event.name, event.ts)
        elif isinstance(event, Net):
            if event.op == "connect" and event.family == "unix" and not event.errno:
                _put(self._servers, event.socket, event)
            if event.op == "connect" and event.errno in (0, 115) and event.address in self._hosts:
                host = self._hosts[event.address]
                self._speaks_unseen(event.process, host, event.ts)
                # Datagram sockets are connected to learn which address to prefer (getaddrinfo): nothing is sent.
                stream = event.protocol == "tcp" and event.process not in self._heard
                if self._listens and stream and llm_hosts().matches(host):
                    _put(self._unheard, (event.process, event.socket), (host, False))
        elif isinstance(event, Flow):
            self._flowed(event)
        elif isinstance(event, Exit):
            for connection in (*self._streams.exited(event.process), *self._rustls.exited(event.process)):
                self._pipeline.closed(connection, event.ts)
            for over in self._plain.exited(event.process):
                self._plain_over(over, event.ts)

    def _forked(self, process: ProcessKey, child: ProcessKey) -> None:
        """A child has its parent's mappings, until it executes something: that may have been told already."""
        if child in self._programs:
            return
        if process in self._programs:
            _put(self._programs, child, self._programs[process])
        if process in self._blind_processes:
            _put(self._blind_processes, child, self._blind_processes[process])
        if process in self._suspects:
            _put(self._suspects, child, self._suspects[process])

    def _renamed(self, event: File) -> File:
        """With what was moved, and the entry that it took, where both are certain: a rename's record has neither."""
        moved = self._files.pop(event.path, None) if not event.errno else None
        if moved is None:
            return msgspec.structs.replace(event, left=self._entry_of(event))
        if not event.new_path or not event.new_path.startswith("/"):
            return event
        root = self._root_of(event.process)
        taken = renamed_to(root, event.new_path, moved)
        if not taken:
            return event
        _put(self._files, event.new_path, moved)
        _put(self._paths, moved, event.new_path)
        return msgspec.structs.replace(event, dev=moved[0], ino=moved[1], entry=taken)

    def _removed(self, event: File) -> File:
        """With the entry that was removed: of a file of which nobody told a name, what had opened it knows that one."""
        taken = self._entry_of(event)
        if taken:
            _put(self._entries, event.path, taken)
        return msgspec.structs.replace(event, left=taken)

    def _made_again(self, event: File) -> File:
        """With the entry, where a file was made under a name that had just been removed, as git does it."""
        taken = self._entries.pop(event.path)
        known = not event.errno and event.ino and event.resolved
        if not known or renamed_to(self._root_of(event.process), event.path, (event.dev, event.ino)) != taken:
            return event
        return msgspec.structs.replace(event, entry=taken)

    def _entry_of(self, event: File) -> int:
        """The directory entry that was ``path``, of the first so many of each process; 0 where it is not known."""
        told = self._removals.get(event.process, 0)
        if event.errno or not event.path.startswith("/") or event.path_truncated or told >= _REMOVALS:
            return 0
        _put(self._removals, event.process, told + 1)
        return entry_at(self._root_of(event.process), event.path)

    def _root_of(self, process: ProcessKey) -> bytes | None:
        return root_of(_pid(process)) or self._roots.get(process)

    def _speaks_unseen(self, process: ProcessKey, host: str, ts: int) -> None:
        if not llm_hosts().matches(host):
            return
        blind = self._blind_processes.get(process)
        if blind is None:
            blind = self._built_in(int(process.split(":")[0]), self._programs.get(process))
        if blind is not None:
            self._blind("tls", blind[0], process, blind[1], ts)

    def _flowed(self, event: Flow) -> None:
        key = (event.process, event.socket)
        if key in self._unheard:
            host, established = self._unheard[key]
            self._unheard[key] = (host, established or event.established)
            if event.sent and event.received:
                self._spoke_unheard(event.process, f"it exchanged bytes with {host}", event.ts)
        if event.closed:
            self._unheard.pop(key, None)
            self._plain_over(self._plain.closed(event.socket), event.ts)

    def _spoke_unheard(self, process: ProcessKey, what: str, ts: int) -> None:
        """A process is connected to a model's host, and no probe told of it: what is probed is not what speaks."""
        detail = f"{what}, and none of its bytes were seen as plaintext"
        name, why = self._suspects.get(process, ("tls_silent", ""))
        self._blind("tls", name, process, f"{detail}; {why}" if why else detail, ts)

    def _blind(
        self, dimension: Dimension, name: str, process: ProcessKey | None, detail: str, ts: int
    ) -> None:
        if (name + dimension, process) in self._spots:
            return
        self._spots.add((name + dimension, process))
        self._pipeline.effect(
            BlindSpot(session=self.id, ts=ts, dimension=dimension, name=name, process=process, detail=detail)
        )

    def _look(self, process: ProcessKey, path: str) -> FileLook | None:
        folder, root = self._where(process)
        return look_at(root, folder, path)

    def _find_tests(self, process: ProcessKey) -> list[tuple[str, FileLook]]:
        folder, root = self._where(process)
        return project_tests(root, folder)

    def _where(self, process: ProcessKey) -> tuple[str | None, bytes | None]:
        """The directory of a process, and what leads to its root; None for what is not known."""
        pid = _pid(process)
        try:
            return str(Path(f"/proc/{pid}/cwd").readlink()), root_of(pid)
        except OSError:  # it has ended: a short agent does so while its last words are read
            root = self._roots.get(process)
            if root is not None and root.startswith(b"/proc/"):
                root = None
            return self._folders.get(process), root


def _pid(process: ProcessKey) -> int:
    return int(process.partition(":")[0])


K = TypeVar("K")
V = TypeVar("V")


def _put(memory: OrderedDict[K, V], key: K, value: V) -> None:
    put(memory, key, value, MAX_REMEMBERED)
