"""Proof that the probes are alive: a child of ours does known things, and the records of them must arrive.

Coverage is measured, never declared: a dimension counts as proven only when its own records came back.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from collector.kernel import wire
from collector.kernel.decode import Record, SessionIdle, decode
from collector.kernel.source import CANARY, KernelSource, lib_mount
from collector.kernel.waits import waits
from collector.plain.streams import PlainData
from collector.tls.streams import TlsData
from polygraph.events import Exec, Exit, File, Fork, Net
from polygraph.openings import PAGE, Extent, pack, unpack
from polygraph.reasons import Dimension

#: what the canary says over TLS; not secret, and long enough not to be there by chance
MARK = b"polygraph canary"
#: and without it, to a socket and to a pipe
HTTP, JSON = b"POST /" + MARK, b'{"' + MARK

#: pages of the file that the canary reads, and the last one that it reads of it
PAGES, READ = 4, 3
#: seconds for which it waits, at least: longer than what the kernel side leaves out
_WAIT = 0.002

#: ns that the canary may take to end. It takes some hundredths of a second, and much longer on a host that is busy,
#: which must not pass for probes that do not work.
PATIENCE = 10_000_000_000


def prove(source: KernelSource) -> frozenset[Dimension]:
    """The dimensions whose probes reported the canary's operations."""
    source.open_session(CANARY, wire.SessionFlag.PG_SESSION_CANARY)
    with tempfile.TemporaryDirectory(prefix="polygraph-canary-") as folder:
        gate, start = os.pipe2(os.O_CLOEXEC)
        pid = os.fork()
        if pid == 0:
            _child(gate, start, Path(folder))
        os.close(gate)
        source.enrol(CANARY, pid, wire.EnrolMode.PG_ENROL_PID)
        os.write(start, b"x")
        os.close(start)
        try:
            seen, ended = _watch(source, lambda last: bool(os.waitpid(pid, 0 if last else os.WNOHANG)[0]))
            if not ended:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            if not reading_shown(source.opened().get(CANARY, b"")):
                source.leave_pages()
        finally:
            source.close_session(CANARY)
    return seen


def reading_shown(rows: bytes) -> bool:
    """Whether it was told exactly how far the canary had read: a short read as well as a long one.

    A kernel that answers some reads past the hook would make a part of what was the whole.
    """
    told = [row for row in unpack(pack(rows)) if isinstance(row, Extent) and row.of == PAGES]
    return bool(told) and all(row.pages == READ for row in told)


def _watch(source: KernelSource, ended: Callable[[bool], bool]) -> tuple[frozenset[Dimension], bool]:
    """(What was shown, whether the canary came to its end.)

    ``ended(last)``: whether the canary has; ``last``: it is about to, and is waited for.
    """
    records: list[Record] = []
    over = False
    deadline = time.monotonic_ns() + PATIENCE
    while time.monotonic_ns() < deadline:
        raw, _until = source.drain(0 if over else 10)  # the last look: what the other ring still holds
        records += [record for record in map(_decoded, raw) if record is not None]
        if over:
            break
        over = ended(any(isinstance(record.value, SessionIdle) for record in records))
    waited = waits(source.waited().get(CANARY, b""), "canary", 0)
    shown = _shown(records) | {"ipc": any(wait.kind == "pipe" and wait.on for wait in waited)}
    return frozenset(dimension for dimension, there in shown.items() if there), over


def _decoded(raw: bytes) -> Record | None:
    record = decode(raw, {CANARY: "canary"}, ())
    return record if record is not None and record.handle == CANARY else None


def _shown(records: list[Record]) -> dict[Dimension, bool]:
    values = [record.value for record in records]
    kinds = {type(value) for value in values}
    said = {(value.direction, value.data) for value in values if isinstance(value, TlsData)}
    plain = {(value.kind, value.data) for value in values if isinstance(value, PlainData)}
    operations = {(value.op, bool(value.errno)) for value in values if isinstance(value, File)}
    return {
        "process": {Fork, Exec, Exit} <= kinds,
        "file": {("create", False), ("rename", False), ("unlink", False), ("read", True)} <= operations,
        "network": {"bind", "listen", "connect"} <= {value.op for value in values if isinstance(value, Net)},
        "tls": {(0, MARK), (1, MARK)} <= said and {("unix", HTTP), ("pipe", JSON)} <= plain,
    }


#: sched.h, sys/mount.h: CLONE_NEWNS; MS_REC | MS_PRIVATE
_NEW_MOUNTS, _PRIVATE = 0x20000, 0x4000 | 0x40000


# --- the child: nothing of it returns ------------------------------------------------------------------


def _child(gate: int, start: int, folder: Path) -> None:  # pragma: no cover - runs in the child
    try:
        os.close(start)
        if os.read(gate, 1):
            for operate in (_files, _reading, _network, _tls, _plain, _processes, _waits):
                _attempt(operate, folder)
    finally:
        os._exit(0)


def _attempt(operate: Callable[[Path], None], folder: Path) -> None:  # pragma: no cover
    try:
        operate(folder)
    except (OSError, ImportError, ValueError):
        return  # what it could not do does not show up, which is the result


def _files(folder: Path) -> None:  # pragma: no cover
    (folder / "one").write_bytes(MARK)
    (folder / "one").rename(folder / "two")
    (folder / "two").unlink()
    try:
        (folder / "two").read_bytes()
    except FileNotFoundError:
        return


def _reading(folder: Path) -> None:  # pragma: no cover
    """On a ramfs that only the canary sees: what else there is may have no page cache."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_NEW_MOUNTS) or libc.mount(b"none", b"/", None, _PRIVATE, None):
        return
    lib_mount("ramfs", folder)
    (folder / "read").write_bytes(bytes(PAGES * PAGE))
    reading = os.open(folder / "read", os.O_RDONLY)
    os.read(reading, 2 * PAGE)
    os.pread(reading, 1, (READ - 1) * PAGE)
    os.open(folder / "read", os.O_RDONLY)  # the next one: the reading of the first is over


def _network(_folder: Path) -> None:  # pragma: no cover
    with socket.socket() as server, socket.socket() as client:
        server.bind(("127.0.0.1", 0))
        server.listen()
        client.settimeout(0.1)
        client.connect(server.getsockname())


def _tls(_folder: Path) -> None:  # pragma: no cover
    """A handshake with itself in memory, anonymous, so that it needs no certificate."""
    import ssl

    ends = []
    pipes = ssl.MemoryBIO(), ssl.MemoryBIO()
    for server in (False, True):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.maximum_version = ssl.TLSVersion.TLSv1_2  # the last with anonymous key exchange
        context.set_ciphers("AECDH-AES256-SHA:@SECLEVEL=0")
        ends.append(context.wrap_bio(pipes[server], pipes[not server], server_side=server))
    client, accepted = ends
    for _ in range(6):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    client.write(MARK)
    accepted.read(len(MARK))


def _plain(_folder: Path) -> None:  # pragma: no cover
    one, other = socket.socketpair()
    one.sendall(HTTP)
    other.close()
    _reading, writing = os.pipe()
    os.write(writing, JSON)


def _processes(_folder: Path) -> None:  # pragma: no cover
    pid = os.fork()
    if pid == 0:
        program = shutil.which("true") or "/bin/true"
        os.execv(program, [program])
    os.waitpid(pid, 0)


def _waits(_folder: Path) -> None:  # pragma: no cover
    """For a child's word, which it gives once it is waited for: on a busy host that takes a while."""
    reading, writing = os.pipe()
    parent = Path(f"/proc/{os.getpid()}/stat")
    pid = os.fork()
    if pid == 0:
        for _ in range(1000):
            if parent.read_text("ascii", "replace").rpartition(")")[2].split()[0] == "S":
                break
            time.sleep(0.0005)
        time.sleep(_WAIT)
        os.write(writing, MARK)
        os._exit(0)
    os.read(reading, len(MARK))
    os.waitpid(pid, 0)
