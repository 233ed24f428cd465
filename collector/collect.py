"""The collector of one host: the kernel source and one pipeline per session, driven in rounds.

    with Collector("metadata", key) as collector:
        collector.start("/usr/bin/agent")           # load, attach, canary
        session = collector.enrol(pid, "run", argv, cwd)
        while not collector.ended(session):
            events = collector.round(50)            # ordered, numbered, closed by a Tick for each session
        events = collector.finish(session)

A round drains the kernel's rings, decodes, follows the TLS streams and lets each pipeline say what happened up
to the moment the drain began. Losses are told in the round in which they were noticed, before its Tick.
"""

from __future__ import annotations

import os
import platform
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal, NamedTuple, Self

from collector.canary import prove
from collector.containers import cgroup_names
from collector.kernel import wire
from collector.kernel.decode import (
    Candidate,
    DecodeError,
    Mapped,
    Record,
    SessionBegin,
    SessionIdle,
    Uring,
    decode,
)
from collector.kernel.programs import FORK
from collector.kernel.sensitive import rules
from collector.kernel.source import KernelSource, Loading, SourceSettings, Touch
from collector.observed import Counted, ObservedSession
from collector.plain.streams import PlainClose, PlainData
from collector.tls.discover import BUILT_IN
from collector.tls.preload import candidates
from collector.tls.probes import TlsProbes
from collector.tls.streams import TlsClose, TlsData
from polygraph.content import ContentLevel
from polygraph.errors import PolygraphError
from polygraph.events import AnyEvent, Coverage, Event, Exec, Name, Net, ProcessKey, SessionStart
from polygraph.ids import session_id
from polygraph.reasons import DIMENSIONS, Dimension
from polygraph.text import from_bytes, from_os

if TYPE_CHECKING:  # it is seldom there, and the start does not wait for it
    from collector.second_opinion import Asker

Origin = Literal["run", "watch"]

#: handle of the first session; smaller ones are polygraph's own
_FIRST_HANDLE = 16
#: handles from here on are given by the kernel (bpf/enrol.h, pg_adopt)
_KERNEL_MADE = 1 << 63
#: where a Docker server listens
_DOCKER_SOCKETS = frozenset({"/run/docker.sock", "/var/run/docker.sock"})
#: ns between two looks at the counters while nobody speaks
_LOOK_INTERVAL = 2_000_000_000


class Stranger(NamedTuple):
    """watch --auto: a process of no session did something that may make it one."""

    process: str
    pid: int
    event: Name | Net


class Collector:
    """Loaded probes and the sessions that they observe."""

    def __init__(
        self, content: ContentLevel, key: bytes, loading: Loading | None = None, asker: Asker | None = None
    ) -> None:
        """``loading``: the kernel side as it is being loaded; by default that begins with :meth:`start`.

        ``asker``: asks for the second opinion on what models say; by default nobody is asked.
        """
        self._content: ContentLevel = content
        self._key = key
        self._loading = loading
        self._asker = asker
        self._rules = rules()
        self._source: KernelSource | None = None
        self._probes: TlsProbes | None = None
        self._sessions: dict[int, ObservedSession] = {}
        self._ids: dict[int, str] = {}
        self._counts: dict[int, Counted] = {}
        self._held: list[Record] = []
        self._unknown: list[bytes] = []
        self._next_handle = _FIRST_HANDLE
        self._next_look = 0
        self._cgroups: dict[int, int] = {}
        self.proven: frozenset[Dimension] = frozenset()
        self.strangers: list[Stranger] = []
        self.undecodable = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._source is not None:
            self._source.close()
            self._source = None

    @property
    def source(self) -> KernelSource:
        """The kernel side. Raises RuntimeError before ``start``."""
        if self._source is None:
            raise RuntimeError("the collector was not started")
        return self._source

    @property
    def tls(self) -> TlsProbes:
        """The TLS probes. Raises RuntimeError before ``start``."""
        if self._probes is None:
            raise RuntimeError("the collector was not started")
        return self._probes

    # --- the beginning ---------------------------------------------------------------------------

    def start(self, command: str | None = None) -> None:
        """Loads, attaches and proves the probes; those for ``command``'s TLS library as well.

        Raises PolygraphError when the kernel refuses the programs altogether.
        """
        loading = self._loading or Loading(SourceSettings())
        libraries = candidates(command or "", os.environ.get("PATH"))
        self._source = loading.result()
        self._probes = TlsProbes(self._source)
        for path in libraries:
            self._probes.preload(path)
        self.proven = prove(self._source)

    def enrol(self, pid: int, origin: Origin, argv: Iterable[str], cwd: str) -> str:
        """Makes process ``pid`` and its descendants a session: its id. Raises PolygraphError when it cannot.

        ``argv`` and ``cwd`` are text as polygraph/text.py makes it.
        """
        handle = self._next_handle
        self._next_handle += 1
        self._open(handle)
        _tasks, start = self.source.enrol(handle, pid, wire.EnrolMode.PG_ENROL_PID)
        if not start:
            self.source.close_session(handle)
            raise PolygraphError(
                f"process {pid} cannot be enrolled: it does not exist or belongs to a session",
                "check its pid",
            )
        return self._begin(handle, pid, start, origin, tuple(argv), cwd)

    def enrol_cgroup(self, cgroup: int, name: str) -> str:
        """Makes the processes of a cgroup (its id) a session. Its root is polygraph's own word for it."""
        handle = self._next_handle
        self._next_handle += 1
        self._open(handle)
        self._cgroups[handle] = cgroup
        self.look_again()
        return self._begin(handle, 0, cgroup, "watch", (name,), "/")

    def watch_file(self, dev: int, ino: int) -> None:
        """From now on each exec of this file makes a session. ``dev`` as stat(2) tells it."""
        self.source.watch_file(dev, ino, self._flags)

    def look_again(self) -> None:
        """Takes in the tasks that were moved into a watched cgroup since the last look."""
        for handle, cgroup in self._cgroups.items():
            self.source.enrol(handle, cgroup, wire.EnrolMode.PG_ENROL_CGROUP)

    @property
    def _flags(self) -> int:
        return wire.SessionFlag.PG_SESSION_NO_TLS if self._content == "off" else 0

    def _open(self, handle: int) -> None:
        self.source.open_session(handle, self._flags)

    def _begin(
        self,
        handle: int,
        pid: int,
        start: int,
        origin: Origin,
        argv: tuple[str, ...],
        cwd: str,
        ts: int | None = None,
    ) -> str:
        """``ts``: since when; by default, now."""
        host, boot = _identity()
        identifier = session_id(host, boot, pid, start)
        now = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        ts = now if ts is None else ts
        began = SessionStart(
            session=identifier,
            ts=ts,
            host=host,
            boot=boot,
            kernel=platform.release(),
            process=f"{pid}:{start}",
            argv=argv,
            cwd=cwd,
            origin=origin,
            wall_offset=time.time_ns() - now,
            content=self._content,
        )
        if not self._sessions:
            self.source.missed()  # what was left out before is nobody's
        ask = self._asker.ask if self._asker is not None else None
        session = ObservedSession(handle, began, self._key, self._built_in, ask)
        for event in self._coverage(identifier, ts):
            session.effect(event)
        self._sessions[handle] = session
        self._ids[handle] = identifier
        return identifier

    def _coverage(self, session: str, ts: int) -> Iterable[Coverage]:
        for dimension in DIMENSIONS:
            probe = self.source.probes[dimension]
            state = probe.state
            if dimension == "tls" and self._content == "off":
                state = "not_requested"
            yield Coverage(
                session=session,
                ts=ts,
                dimension=dimension,
                state=state,
                canary=dimension in self.proven,
                blind=probe.missing,
                detail=probe.detail,
            )

    # --- rounds ----------------------------------------------------------------------------------

    def round(self, timeout_ms: int, quiet_ms: int | None = None) -> list[AnyEvent]:
        """One round: the events of all sessions, a Tick behind each one's.

        It gathers for at most ``timeout_ms`` from the first record on, for which it waits at most ``quiet_ms``
        (by default as long).
        """
        records, until = self._drain(timeout_ms, quiet_ms)
        self._take(record for record in records if record.ts <= until)
        self._held = [record for record in records if record.ts > until]
        self._count(until)
        self._hear(until)
        events: list[AnyEvent] = []
        for handle, session in self._sessions.items():
            if session.began > until:
                continue  # nothing is told of the time before it began: its first round is the next one
            row = self.source.session(handle)
            counted = self._counts.pop(handle, Counted())
            if FORK in counted.missed:
                self.source.enrol(
                    handle, 0, wire.EnrolMode.PG_ENROL_PID
                )  # what came in without it, by its parent
            events += session.round(until, counted, row)
            for generation, wanted in session.take_choices().items():
                choice = wire.PlainChoice.PG_PLAIN_KEEP if wanted else wire.PlainChoice.PG_PLAIN_LEAVE
                self.source.choose(generation, choice)
            self._expect(handle, session)
            # The record that says so may be among the lost; the kernel's own count is not, but for runs it left out.
            session.idle = (
                session.idle
                or (row is not None and row.live <= 0)
                or (session.adrift and not self.source.alive(handle))
            )
        return events

    def _hear(self, now: int) -> None:
        """Hands on what the second opinion says. It counts from now on: what was before has had its Tick."""
        for answered in self._asker.take() if self._asker is not None else ():
            session = next(
                (one for one in self._sessions.values() if one.id == answered.question.session), None
            )
            if session is not None:
                session.guessed(answered, now)
            elif self._asker is not None:
                self._asker.late(answered)

    def _expect(self, handle: int, session: ObservedSession) -> None:
        """Containers that a Docker server made for the session: what will run in them is its work."""
        for container, server in session.take_created():
            if not _is_docker(server):
                continue
            pid, start = container.process.split(":")
            for name in cgroup_names(container.id):
                self.source.expect_group(name, handle, (int(pid), int(start)), wire.Service.PG_SERVICE_DOCKER)

    def _count(self, now: int, *, due: bool = False) -> None:
        """Fetches what the kernel only counted, when someone spoke (a verdict may need it) and every few seconds.

        It is of all sessions, and each takes its own when its turn comes.
        """
        if (
            not due
            and now < self._next_look
            and not self.source.filling
            and not any(one.spoke for one in self._sessions.values())
        ):
            return
        self._next_look = now + _LOOK_INTERVAL
        opened, waited = self.source.opened(), self.source.waited()
        touches: dict[int, list[Touch]] = {}
        for touch in self.source.touches():
            touches.setdefault(touch.session, []).append(touch)
        missed = self.source.missed()
        for handle in {*touches, *opened, *waited, *(self._sessions if missed else ())}:
            if handle not in self._sessions and handle < _KERNEL_MADE:
                continue  # it has ended, or is polygraph's own
            before = self._counts.get(handle, Counted())
            self._counts[handle] = Counted(
                [*before.touches, *touches.get(handle, ())],
                before.opened + opened.get(handle, b""),
                before.waited + waited.get(handle, b""),
                Counter(before.missed) + Counter(missed),
            )

    def _drain(self, timeout_ms: int, quiet_ms: int | None = None) -> tuple[list[Record], int]:
        raw, until = self.source.drain(timeout_ms, quiet_ms)
        records = self._held
        fresh, unknown = self._decoded(raw)
        begins = [record for record in fresh if isinstance(record.value, SessionBegin)]
        if begins:
            # watch --exe: the kernel made these sessions; what they did since then stands beside it.
            for record in begins:
                self._ids[record.handle] = _session_of(record)
            # The rings are read one after the other: a session's plaintext may have come before its beginning.
            before, _gone = self._decoded(self._unknown)
            more, unknown = self._decoded(unknown)
            fresh = [*before, *fresh, *more]
            for record in begins:
                self._began(record, fresh)
        self._unknown = [one for one in unknown if wire.HDR.unpack_from(one)[4] >= _KERNEL_MADE]
        for record in fresh:
            if isinstance(record.value, Mapped | Exec):
                self._mapped(record)  # at once: the process may speak in a moment
        records += [record for record in fresh if not isinstance(record.value, SessionBegin)]
        records.sort(key=lambda record: record.ts)
        return records, until

    def _decoded(self, raw: Iterable[bytes]) -> tuple[list[Record], list[bytes]]:
        """What could be decoded, and what belongs to no session that is known."""
        records: list[Record] = []
        unknown: list[bytes] = []
        for one in raw:
            try:
                decoded = decode(one, self._ids, self._rules.names)
            except DecodeError:
                self.undecodable += 1
                continue
            if decoded is not None:
                records.append(decoded)
            else:
                unknown.append(one)
        return records, unknown

    def _take(self, records: Iterable[Record]) -> None:
        for record in records:
            value = record.value
            session = self._sessions.get(record.handle)
            if session is None:
                self._stranger(value)
            elif isinstance(value, Event):  # first: most of them
                session.kernel(value)
            elif isinstance(value, TlsData | TlsClose):
                session.plaintext(value)
            elif isinstance(value, PlainData | PlainClose):
                session.plain(value)
            elif isinstance(value, SessionIdle):
                session.idle = True
            elif isinstance(value, Uring):
                session.io_uring(value)

    def _mapped(self, record: Record) -> None:
        value = record.value
        if isinstance(value, Mapped):
            pid, path, dev, ino = value.pid, value.path, value.dev, value.ino
        elif isinstance(value, Exec):
            pid, path, dev, ino = int(value.process.split(":")[0]), value.path, value.dev, value.ino
        else:
            return
        looked = self.tls.mapped(pid, path, dev, ino)
        session = self._sessions.get(record.handle)
        if session is not None and isinstance(value, Exec):
            session.became(value.process, ino)
        if looked.blind is not None and session is not None:
            told = (
                session.may_speak
                if looked.blind in BUILT_IN and isinstance(value, Mapped)
                else session.blind_tls
            )
            told(value.process, looked.blind, f"{path}: {looked.detail}")

    def _built_in(self, pid: int, ino: int | None) -> tuple[str, str] | None:
        looked = self.tls.program(pid, ino)
        return (looked.blind, looked.detail) if looked.blind is not None else None

    def _began(self, record: Record, fresh: Iterable[Record]) -> None:
        """watch --exe: the kernel made a session, at an exec that is among ``fresh`` if it was not lost."""
        process = _process_of(record)
        pid, start = process.split(":")
        argv, cwd = next(
            (
                (one.value.argv, one.value.cwd)
                for one in fresh
                if isinstance(one.value, Exec)
                and one.handle == record.handle
                and one.value.process == process
            ),
            None,
        ) or command_of(int(pid))
        self._begin(record.handle, int(pid), int(start), "watch", argv, cwd, record.ts)

    def _stranger(self, value: object) -> None:
        if isinstance(value, Name | Net):
            self.strangers.append(Stranger(value.process, int(value.process.split(":")[0]), value))
        elif isinstance(value, Candidate):
            self.strangers.append(
                Stranger(
                    value.process,
                    value.pid,
                    Net(
                        session="",
                        ts=value.ts,
                        process=value.process,
                        op="connect",
                        family="inet6" if ":" in value.address else "inet",
                        address=value.address,
                        port=value.port,
                    ),
                )
            )

    def take_strangers(self) -> list[Stranger]:
        """What processes of no session did since the last call (watch --auto)."""
        strangers, self.strangers = self.strangers, []
        return strangers

    # --- the end ---------------------------------------------------------------------------------

    def ended(self, session: str) -> bool:
        """Whether the lineage of ``session`` has ended, as the kernel counts it, and nothing is asked about it."""
        observed = self._of(session)
        over = observed.idle and observed.handle not in self._cgroups  # a cgroup may fill again
        return over and not self.asks(session)

    def asks(self, session: str) -> bool:
        """Whether the second opinion on something that ``session`` said is still to come: a bounded time."""
        return self._asker is not None and self._asker.waits(session)

    def finish(self, session: str) -> list[AnyEvent]:
        """The last events of a session; it is forgotten."""
        observed = self._of(session)
        records, until = self._drain(0)
        own = observed.handle
        self._take(record for record in records if record.ts <= until or record.handle == own)
        self._held = [record for record in records if record.ts > until and record.handle != own]
        now = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        self._count(now, due=True)
        self._hear(now)
        counted = self._counts.pop(observed.handle, Counted())
        events = observed.finish(now, counted, self.source.session(observed.handle))
        self.source.close_session(observed.handle)
        del self._sessions[observed.handle], self._ids[observed.handle]
        self._cgroups.pop(observed.handle, None)
        return events

    def sessions(self) -> list[str]:
        """Ids of the sessions under observation."""
        return list(self._ids.values())

    def _of(self, session: str) -> ObservedSession:
        for observed in self._sessions.values():
            if observed.id == session:
                return observed
        raise KeyError(session)


def _process_of(record: Record) -> ProcessKey:
    assert isinstance(record.value, SessionBegin)
    return record.value.process


def _session_of(record: Record) -> str:
    """The id of the session that a PG_SESSION_BEGIN began."""
    pid, start = _process_of(record).split(":")
    return session_id(*_identity(), int(pid), int(start))


def _is_docker(server: Net) -> bool:
    """Whether a Docker server listens at the other end: at its well-known place (systemd may have opened it), or by
    the program that runs."""
    if server.address in _DOCKER_SOCKETS:
        return True
    try:
        return Path(f"/proc/{server.peer_pid}/exe").readlink().name == "dockerd"
    except OSError:
        return False


def command_of(pid: int) -> tuple[tuple[str, ...], str]:
    """argv and folder of a process, empty when it has ended."""
    try:
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
        folder = from_os(str(Path(f"/proc/{pid}/cwd").readlink()))
        return tuple(map(from_bytes, raw.split(b"\0")[:-1])), folder
    except OSError:
        return (), "/"


def _identity() -> tuple[str, str]:
    """(host.id, boot id). host.id is /etc/machine-id as OpenTelemetry has it, else the host's name."""
    try:
        host = Path("/etc/machine-id").read_text("ascii").strip()
    except OSError:
        host = ""
    return host or platform.node(), boot_id()


def boot_id() -> str:
    """The kernel's own name for this boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
