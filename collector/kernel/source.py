"""The kernel side of one host: loads the object, attaches its programs, enrols tasks, drains what they say.

The rim: everything here talks to the kernel. What the bytes mean is collector/kernel/decode.py's business.
"""

from __future__ import annotations

import errno
import os
import re
import resource
import struct
import time
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from threading import Thread
from typing import NamedTuple

from collector.kernel import uprobe_multi, waits, wire
from collector.kernel.delegators import delegator_files
from collector.kernel.libbpf import KernelError, Link, Object, Settings, possible_cpus
from collector.kernel.programs import (
    DIMENSION_OF,
    ENROL,
    PAGES,
    PROGRAMS,
    TLS_FUNCTIONS,
    TLS_PROGRAMS,
    Program,
)
from collector.kernel.rings import Rings
from collector.kernel.sensitive import Rules, rules
from collector.kernel.uprobe_multi import MultiLink
from collector.kernel.uring import uring_ops
from polygraph.errors import PolygraphError
from polygraph.openings import ROW
from polygraph.reasons import DIMENSIONS, Dimension, ProbeStateWord
from polygraph.text import to_bytes

_BTF = Path("/sys/kernel/btf/vmlinux")
_TRACEFS = Path("/sys/kernel/tracing")
_U32 = struct.Struct("=I")
_MISSES = re.compile(r"^recursion_misses:\s+(\d+)$", re.MULTILINE)
_U64 = struct.Struct("=Q")

#: the session of polygraph's own probe check
CANARY = 1


class SourceSettings(NamedTuple):
    """What is fixed when the programs are loaded. Ring sizes in bytes: powers of two, multiples of a page."""

    auto: bool = False
    exes: bool = False
    effects_ring: int = 16 << 20
    plaintext_ring: int = 32 << 20
    opened_ring: int = 4 << 20
    waited_ring: int = 1 << 20


class ProbeState(NamedTuple):
    """How the probes of a dimension stand. ``missing`` names the hooks that this kernel did not give."""

    state: ProbeStateWord
    missing: tuple[str, ...] = ()
    detail: str = ""


class Touch(NamedTuple):
    """Touches of a file since the last flush, cf. struct pg_touch."""

    session: int
    dev: int
    ino: int
    op: int
    errno: int
    times: int
    first_ts: int
    last_ts: int
    pid: int
    start: int


class SessionRow(NamedTuple):
    """The kernel's own row of a session, cf. struct pg_session. ``lost``: (dimension, cause) -> records."""

    live: int
    emitted: int
    lost: dict[tuple[Dimension, str], int]


class KernelSource:
    """Loaded and attached programs. Raises KernelError or PolygraphError where they cannot be."""

    def __init__(self, settings: SourceSettings, rules: Rules) -> None:
        if not _BTF.exists():
            raise PolygraphError(
                f"this kernel shows no BTF: {_BTF} is missing, and the programs cannot be fitted to it",
                "use a kernel built with CONFIG_DEBUG_INFO_BTF; in a container, let it see the host's /sys",
            )
        _allow_descriptors()
        _mount_tracefs()
        cpus = possible_cpus()
        self._multi = uprobe_multi.supported()
        without = _superseded()
        self._object = Object(
            Path(str(resources.files("collector.kernel").joinpath("polygraph.bpf.o"))),
            Settings(
                constants={
                    "pg_auto": _U32.pack(settings.auto),
                    "pg_exes": _U32.pack(settings.exes),
                    "pg_rules": _U32.pack(len(rules.rows)),
                    "pg_rule_first": rules.first,
                    "pg_rule_last": rules.last,
                    "pg_uring_file": uring_ops().hiding("file"),
                    "pg_uring_network": uring_ops().hiding("network"),
                },
                max_entries={
                    "scratch": cpus,
                    "path_buffers": cpus,
                    "effects": settings.effects_ring,
                    "plaintext": settings.plaintext_ring,
                    "opened": settings.opened_ring,
                    "waited": settings.waited_ring,
                },
                without=without,
                attach_types=dict.fromkeys(TLS_PROGRAMS, uprobe_multi.BPF_TRACE_UPROBE_MULTI)
                if self._multi
                else {},
            ),
        )
        self._sessions = self._object.map("sessions", wire.SESSION.size)
        self._request = self._object.map("request", wire.REQUEST.size)
        self._touched = self._object.map("touched", wire.TOUCH.size)
        self._watched = self._object.map("watched_files", 4)
        self._choices = self._object.map("plain_choices", 4)
        self._groups = self._object.map("expected_groups", wire.GROUP.size)
        delegators = self._object.map("delegators", 4)
        for dev, ino, service in delegator_files():
            delegators.set(wire.FILE_KEY.pack(ino, wire.kernel_dev(dev), 0), _U32.pack(service))
        sensitive = self._object.map("sensitive", wire.RULE.size)
        for index, row in enumerate(rules.rows):
            sensitive.set(_U32.pack(index), row)
        self._opened = self._object.ring("opened")
        self._waited = self._object.ring("waited")
        self._touches_before: dict[bytes, tuple[int, int]] = {}
        self._links: list[Link | MultiLink] = []
        self._pages: Link | None = None
        self._programs = {name: self._object.program_fd(name) for name in DIMENSION_OF if name not in without}
        self._missed: dict[str, int] = {}
        self.probes: dict[Dimension, ProbeState] = {}
        self._attach()
        self._iterator = self._object.attach_iterator(ENROL)
        self._rings = Rings(
            (self._object.ring("effects"), self._object.ring("plaintext")), (self._opened, self._waited)
        )
        flags = self._object.variables("pg_touched_again", "pg_waiting", "pg_grouping")
        self._touched_again, self._waiting, self._grouping = (flag.cast("I") for flag in flags)

    # --- attaching -------------------------------------------------------------------------------

    def _attach(self) -> None:
        missing: dict[Dimension, dict[str, str]] = {dimension: {} for dimension in DIMENSIONS}
        attached: set[str] = set()
        for program in PROGRAMS:
            if program.instead_of in attached:
                continue
            before = len(self._links)
            missing[program.dimension] |= self._attach_program(program)
            if len(self._links) > before:
                attached.add(program.name)
        for dimension in DIMENSIONS:
            if missing[dimension]:
                words = ", ".join(f"{hook} ({why})" for hook, why in missing[dimension].items())
                names = tuple(missing[dimension])
                self.probes[dimension] = ProbeState("unavailable", names, f"not attached: {words}")
            else:
                self.probes[dimension] = ProbeState("attached")

    def _attach_program(self, program: Program) -> dict[str, str]:
        """The hooks that are missing, and what the kernel said."""
        if not program.tracepoints:
            try:
                link = self._object.attach(program.name)
                self._links.append(link)
                if program.name == PAGES:
                    self._pages = link
            except KernelError as error:
                absent = program.name in program.optional and error.errno == errno.ENOENT
                return {} if absent else {program.name: os.strerror(error.errno)}
            return {}
        missing = {}
        for tracepoint in program.tracepoints:
            try:
                self._links.append(self._object.attach_tracepoint(program.name, program.category, tracepoint))
            except KernelError as error:
                if tracepoint not in program.optional or error.errno != errno.ENOENT:
                    missing[tracepoint] = os.strerror(error.errno)
        return missing

    @property
    def tells_pages(self) -> bool:
        """Whether it is told how far files are read."""
        return self._pages is not None

    def leave_pages(self) -> None:
        """From now on it is not told how far files are read: what was told could not be trusted."""
        if self._pages is not None:
            self._links.remove(self._pages)
            self._pages.close()
            self._pages = None

    def attach_tls(self, binary: bytes, functions: Mapping[str, tuple[int, ...]], library: str) -> None:
        """Probes ``functions`` (name -> file offsets) of ``binary``, all or none. Raises KernelError.

        Each record says that it came through ``library`` (a name of wire.TLS_LIBRARIES).
        """
        cookie = wire.TLS_LIBRARIES.index(library)
        entries: dict[str, list[int]] = {}
        returns: dict[str, list[int]] = {}
        for name, places in functions.items():
            row = TLS_FUNCTIONS[name]
            for program, sites in ((row.program, entries), (row.returns, returns)):
                if program:
                    sites.setdefault(program, []).extend(places)
        links: list[Link | MultiLink] = []
        try:
            # Returns first: an entry without its return would leave notes behind.
            for at_return, sites in ((True, returns), (False, entries)):
                for program, offsets in sites.items():
                    links.extend(self._uprobes(program, binary, offsets, cookie, at_return=at_return))
        except KernelError:
            for link in links:
                link.close()
            raise
        self._links += links

    def _uprobes(
        self, program: str, binary: bytes, offsets: Sequence[int], cookie: int, *, at_return: bool
    ) -> Iterator[Link | MultiLink]:
        """Each link as it is made."""
        if not self._multi:
            for offset in offsets:
                yield self._object.attach_uprobe(program, binary, offset, cookie, at_return=at_return)
        elif offsets:
            fd = self._object.program_fd(program)
            yield uprobe_multi.attach(fd, binary, offsets, cookie, at_return=at_return)

    # --- sessions --------------------------------------------------------------------------------

    def open_session(self, handle: int, flags: int = 0) -> None:
        """Makes room for a session. Raises KernelError when there are too many."""
        self._sessions.set(_U64.pack(handle), wire.session_row(flags))

    def enrol(self, handle: int, target: int, mode: int) -> tuple[int, int]:
        """Takes in the tasks that ``mode`` (wire.EnrolMode) and ``target`` name, and their descendants.

        (tasks, start time of the process ``target`` in ns since boot, 0 if it was not there).
        """
        total = began = 0
        while True:
            self._request.set(_U32.pack(0), wire.REQUEST.pack(handle, target, mode, 0, 0))
            self._object.iterate(self._iterator)
            row = self._request.get(_U32.pack(0)) or bytes(wire.REQUEST.size)
            enrolled, start = wire.REQUEST.unpack(row)[3:]
            total += enrolled
            began = began or start
            if not enrolled or mode == wire.EnrolMode.PG_ENROL_RELEASE:
                return total, began

    def alive(self, handle: int) -> int:
        """Tasks of a session that have not ended, counted one by one: for when the kernel's own count is in doubt."""
        self._request.set(_U32.pack(0), wire.REQUEST.pack(handle, 0, wire.EnrolMode.PG_ENROL_COUNT, 0, 0))
        self._object.iterate(self._iterator)
        row = self._request.get(_U32.pack(0)) or bytes(wire.REQUEST.size)
        return int(wire.REQUEST.unpack(row)[3])

    def missed(self) -> dict[str, int]:
        """Runs that the kernel left out since the last call, by program, whoever's they were.

        A program that is preempted while it runs is not run again on that CPU meanwhile (kernel/trace/bpf_trace.c,
        bpf_prog_inc_misses_counter). Tracepoints can be preempted since Linux 7.0; those of system calls are
        counted since 6.7.
        """
        fresh: dict[str, int] = {}
        for name, fd in self._programs.items():
            found = _MISSES.search(Path(f"/proc/self/fdinfo/{fd}").read_text("ascii"))
            total = int(found[1]) if found else 0
            if total > self._missed.get(name, 0):
                fresh[name] = total - self._missed.get(name, 0)
                self._missed[name] = total
        return fresh

    def watch_file(self, dev: int, ino: int, flags: int = 0) -> None:
        """From now on an exec of this file makes a session of these ``flags``. ``dev`` as stat(2) tells it."""
        self._watched.set(wire.FILE_KEY.pack(ino, wire.kernel_dev(dev), 0), _U32.pack(flags))

    def expect_group(self, name: str, handle: int, process: tuple[int, int], service: wire.Service) -> None:
        """A cgroup of this name, if it is made from now on, holds work that ``process`` (pid, start) asked for."""
        key = wire.GROUP_NAME.pack(to_bytes(name))
        self._groups.set(key, wire.GROUP.pack(handle, process[1], process[0], service))
        self._grouping[0] = 1

    def choose(self, generation: int, choice: int) -> None:
        """What is to be done with a connection that has no TLS (wire.PlainChoice)."""
        self._choices.set(_U64.pack(generation), _U32.pack(choice))

    def session(self, handle: int) -> SessionRow | None:
        """The kernel's row of a session."""
        row = self._sessions.get(_U64.pack(handle))
        return _session_row(row) if row is not None else None

    def close_session(self, handle: int) -> None:
        """Forgets a session; tasks of it that still live leave it."""
        self.enrol(handle, 0, wire.EnrolMode.PG_ENROL_RELEASE)
        self._sessions.delete(_U64.pack(handle))
        for key, _value in list(self._touched.items(wire.TOUCH_KEY.size)):
            if wire.TOUCH_KEY.unpack(key)[0] == handle:
                self._touched.delete(key)
                self._touches_before.pop(key, None)

    # --- reading ---------------------------------------------------------------------------------

    def drain(self, timeout_ms: int, quiet_ms: int | None = None) -> tuple[list[bytes], int]:
        """What there is, gathered over at most ``timeout_ms``: (all records, until when they are whole).

        While there is nothing it waits for the first record, at most ``quiet_ms`` (by default ``timeout_ms``). A
        record that is urgent ends either wait. A record is stamped a moment before it is put into its ring, so the
        last millisecond may still be open.
        """
        if timeout_ms and (
            self._rings.pending() or self._first(timeout_ms if quiet_ms is None else quiet_ms)
        ):
            self._rings.wait(timeout_ms)
        until = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - 1_000_000
        return self._rings.read(), until

    def _first(self, quiet_ms: int) -> bool:
        """Waits for a record: whether one came that is not urgent, so that more may be waited for.

        A record that is sent just as we say that we wait may not wake us: it is found when the wait is over.
        """
        self._waiting[0] = 1
        woken = not self._rings.pending() and self._rings.wait(quiet_ms)
        ordinary = woken and not self._waiting[0]  # who wakes us for an ordinary record takes the flag down
        self._waiting[0] = 0
        return ordinary

    def touches(self) -> list[Touch]:
        """Touches of reported files since the last call. The kernel's counters only grow, so none is missed."""
        found: list[Touch] = []
        if not self._touched_again[0]:
            return found
        self._touched_again[0] = 0
        for key, value in self._touched.items(wire.TOUCH_KEY.size):
            count, first, last, start, pid, _ = wire.TOUCH.unpack(value)
            known, known_last = self._touches_before.get(key, (0, first))
            if count > known:
                self._touches_before[key] = (count, last)
                session, ino, dev, op = wire.TOUCH_KEY.unpack(key)
                found.append(
                    Touch(
                        session,
                        wire.user_dev(dev),
                        ino,
                        op & 0xFF,
                        op >> 8,
                        count - known,
                        known_last,
                        last,
                        pid,
                        start,
                    )
                )
        return found

    @property
    def filling(self) -> bool:
        """Whether one of the lists that only wait to be taken should be taken soon."""
        return any(ring.unread() > ring.size // 4 for ring in (self._opened, self._waited))

    def opened(self) -> dict[int, bytes]:
        """Files opened for reading since the last call, by session: rows of polygraph.openings."""
        return _by_session(self._opened.rows(wire.OPENED.size), ROW.size)

    def waited(self) -> dict[int, bytes]:
        """Waits that ended since the last call, by session: rows of collector/kernel/waits.py."""
        return _by_session(self._waited.rows(wire.WAITED.size), waits.ROW.size)

    # --- the end ---------------------------------------------------------------------------------

    def close(self) -> None:
        """Lets go of the hooks, in the background. Nothing may be asked of it afterwards.

        The kernel waits for a grace period per tracepoint (40 ms each, 2 s in all). Whoever closes the descriptors
        last does the waiting: a child that holds nothing else, until ours are closed, so that `polygraph run` ends
        when its command does, and who goes on keeps no hook (a host has room for some twenty collectors).
        """
        self._rings.close()
        gone, here = os.pipe()
        child = os.fork()
        if child == 0:
            if os.fork() == 0:
                _outlive(gone, here)
            os._exit(0)
        os.close(gone)
        os.waitpid(child, 0)
        for link in (*self._links, self._iterator):
            link.close()
        self._object.close()
        os.close(here)


class Loading:
    """Loads the kernel side in a thread: most of it is the kernel's own work, so imports can go on meanwhile.

    A thread of its own and no Future, whose module takes 5 ms to import before the loading could begin.
    """

    def __init__(self, settings: SourceSettings) -> None:
        """Begins."""
        self._settings = settings
        self._loaded: KernelSource | BaseException | None = None
        self._thread = Thread(target=self._load, name="polygraph-load")
        self._thread.start()

    def _load(self) -> None:
        try:
            self._loaded = KernelSource(self._settings, rules())
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is raised where it is waited for
            self._loaded = error

    def result(self) -> KernelSource:
        """Waits for the end. Raises what the loading raised."""
        self._thread.join()
        if isinstance(self._loaded, KernelSource):
            return self._loaded
        raise self._loaded or RuntimeError("nothing was loaded")


def _by_session(rows: bytes, size: int) -> dict[int, bytes]:
    """Rows of a ring, of ``size`` bytes with its header, the first field of which is the session's handle."""
    if not rows:
        return {}
    words, stride = memoryview(rows).cast("Q"), size // 8
    handles = words[1::stride].tolist()
    found = dict.fromkeys(handles, rows)
    if len(found) > 1:
        apart: dict[int, list[bytes]] = {handle: [] for handle in found}
        for index, handle in enumerate(handles):
            apart[handle].append(rows[index * size : (index + 1) * size])
        found = {handle: b"".join(parts) for handle, parts in apart.items()}
    return found


def _outlive(gone: int, here: int) -> None:  # pragma: no cover - runs in the child
    try:
        os.setsid()
        for fd in (0, 1, 2, here):
            os.close(fd)
        os.read(gone, 1)
    finally:
        os._exit(0)


def _session_row(row: bytes) -> SessionRow:
    live, emitted, *lost, _flags = wire.SESSION.unpack(row)
    causes = len(wire.LOSS_CAUSES)
    return SessionRow(
        live,
        emitted,
        {
            (dimension, cause): lost[first * causes + second]
            for first, dimension in enumerate(DIMENSIONS)
            for second, cause in enumerate(wire.LOSS_CAUSES)
            if lost[first * causes + second]
        },
    )


def _superseded() -> frozenset[str]:
    """Programs that another one is attached in place of: verifying them would be for nothing."""
    there = {
        program.name
        for program in PROGRAMS
        for hook in (*program.tracepoints, program.hook)
        if hook and (_TRACEFS / "events" / program.category / hook).is_dir()
    }
    return frozenset(program.name for program in PROGRAMS if program.instead_of in there)


def _allow_descriptors() -> None:
    """Each hook is a descriptor, on Linux before 6.6 each function of each TLS library two: 1,024 are soon used up.

    A command under `polygraph run` is forked before, and keeps the limit that it would have had.
    """
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _mount_tracefs() -> None:
    """libbpf finds tracepoints through tracefs, which few hosts mount before someone asks. Raises KernelError."""
    try:
        if (_TRACEFS / "events").is_dir():
            return
    except PermissionError as error:  # a user's first try, without root
        raise KernelError(f"cannot read {_TRACEFS}", errno.EACCES) from error
    lib_mount("tracefs", _TRACEFS)


def lib_mount(kind: str, where: Path) -> None:
    """mount(2) of a kernel file system. Raises KernelError."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(kind.encode(), os.fsencode(where), kind.encode(), 0, None):
        raise KernelError(f"cannot mount {kind} at {where}", ctypes.get_errno())
