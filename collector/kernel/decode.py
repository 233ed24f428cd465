"""From the bytes of a ring's record (bpf/wire.h) to typed values: events where the model has one, else the small
types below. Pure. The bytes are our own program's, but names, paths and arguments in them are whatever the
observed process chose.
"""

from __future__ import annotations

import posixpath
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple, TypeAlias

from collector.kernel import wire
from collector.kernel.container import container_id
from collector.kernel.decode_net import address_of, decode_dns, decode_flow, decode_net
from collector.tls.streams import TlsClose, TlsData
from polygraph.events import AnyEvent, Exec, ExecFailed, Exit, File, FileOp, Fork, Name, ProcessKey
from polygraph.text import from_bytes

FILE_OPS: tuple[FileOp, ...] = (
    "read", "write", "create", "truncate", "unlink", "rmdir", "rename", "link", "symlink", "mkdir", "chmod",
)  # fmt: skip
"""Names of enum pg_file_op."""

_NAMESPACES = ("mnt", "pid", "net", "user", "uts", "ipc", "cgroup")


class DecodeError(ValueError):
    """A record is shorter than it says, or says what cannot be."""


class SessionIdle(NamedTuple):
    """The last live process of a session ended."""

    process: ProcessKey
    ts: int


class SessionBegin(NamedTuple):
    """An exec made a session (watch --exe)."""

    process: ProcessKey
    ts: int
    origin: int


class Mapped(NamedTuple):
    """A file was mapped executable. ``path`` as the process sees it."""

    process: ProcessKey
    pid: int
    ts: int
    dev: int
    ino: int
    path: str


class ReadEvicted(NamedTuple):
    """A slot of the read map changed hands: what it held. Opened ``times`` so far."""

    process: ProcessKey
    ts: int
    dev: int
    ino: int
    times: int


class Uring(NamedTuple):
    """An io_uring was made."""

    process: ProcessKey
    ts: int


class Candidate(NamedTuple):
    """A process of no session connected (watch --auto)."""

    process: ProcessKey
    pid: int
    ts: int
    address: str
    port: int


Value: TypeAlias = (
    AnyEvent | SessionIdle | SessionBegin | Mapped | ReadEvicted | Uring | Candidate | TlsData | TlsClose
)


class Record(NamedTuple):
    """A decoded record. ``handle`` is the kernel's word for the session, 0 for none."""

    handle: int
    seq: int
    ts: int
    value: Value


class _Header(NamedTuple):
    size: int
    type: int
    pad: int
    ts: int
    handle: int
    seq: int
    start: int
    pid: int
    tid: int


class _Context(NamedTuple):
    """What the decoders of a record's body need beside its bytes."""

    header: _Header
    process: ProcessKey
    session: str
    sensitive: Sequence[str]


def decode(raw: bytes, sessions: Mapping[int, str], sensitive: Sequence[str]) -> Record | None:
    """The record, or None when it belongs to a session that is not (any more) known.

    ``sessions``: handle -> session id. ``sensitive``: names of the rules, by index. Raises DecodeError.
    """
    if len(raw) < wire.HDR.size:
        raise DecodeError(f"a record of {len(raw)} bytes has no header")
    header = _Header(*wire.HDR.unpack_from(raw))
    if not wire.HDR.size <= header.size <= len(raw):
        raise DecodeError(f"a record of {len(raw)} bytes says that it has {header.size}")
    decoder = _DECODERS.get(header.type)
    if decoder is None:
        raise DecodeError(f"record type {header.type} is unknown")
    session = sessions.get(header.handle)
    if session is None and header.handle and header.type != wire.Type.PG_SESSION_BEGIN:
        return None
    context = _Context(header, f"{header.pid}:{header.start}", session or "", sensitive)
    try:
        value = decoder(raw[: header.size], context)
    except (struct.error, ValueError, IndexError) as error:
        raise DecodeError(f"record of type {header.type}: {error}") from error
    return Record(header.handle, header.seq, header.ts, value) if value is not None else None


class _Parts:
    """Reads the variable parts behind a fixed struct, in order."""

    def __init__(self, raw: bytes, at: int) -> None:
        self._raw = raw
        self._at = at

    def bytes(self, length: int) -> bytes:
        """The next part. Raises ValueError when the record ends before it does."""
        end = self._at + length
        if end > len(self._raw):
            raise ValueError(f"a part ends at {end} of {len(self._raw)} bytes")
        part = self._raw[self._at : end]
        self._at = end
        return part

    def text(self, length: int) -> str:
        """The next part as text."""
        return from_bytes(self.bytes(length))


def _idle(_raw: bytes, at: _Context) -> SessionIdle:
    return SessionIdle(at.process, at.header.ts)


def _begin(raw: bytes, at: _Context) -> SessionBegin:
    origin = wire.SESSION_BEGIN.unpack_from(raw)[9]
    return SessionBegin(at.process, at.header.ts, origin)


def _fork(raw: bytes, at: _Context) -> Fork:
    start, pid = wire.FORK.unpack_from(raw)[9:11]
    return Fork(session=at.session, ts=at.header.ts, process=at.process, child=f"{pid}:{start}")


def _exec(raw: bytes, at: _Context) -> Exec:
    fields = wire.EXEC.unpack_from(raw)[9:]
    parent_start, parent_pid, uid, gid, dev, ino, cgroup = fields[:7]
    namespaces = fields[7:14]
    argv_total, argv_len, path_len, script_len, cwd_len, cgroup_len = fields[14:20]
    comm = fields[23]
    parts = _Parts(raw, wire.EXEC.size)
    path = parts.text(path_len)
    script = parts.text(script_len)
    cwd = parts.text(cwd_len)
    group = parts.text(cgroup_len)
    arguments = parts.bytes(argv_len)
    argv = arguments.removesuffix(b"\0").split(b"\0") if arguments else []
    return Exec(
        session=at.session,
        ts=at.header.ts,
        process=at.process,
        parent=f"{parent_pid}:{parent_start}",
        path=path,
        argv=tuple(from_bytes(argument) for argument in argv),
        cwd=cwd,
        script=_absolute(cwd, script) if script else None,
        argv_bytes=argv_total,
        argv_truncated=argv_total > argv_len,
        uid=uid,
        gid=gid,
        comm=from_bytes(comm.split(b"\0", 1)[0]),
        dev=wire.user_dev(dev),
        ino=ino,
        cgroup=cgroup,
        container=container_id(group),
        namespaces=dict(zip(_NAMESPACES, namespaces, strict=True)),
    )


def _exec_failed(raw: bytes, at: _Context) -> ExecFailed:
    error, length = wire.EXEC_FAILED.unpack_from(raw)[9:11]
    path = _Parts(raw, wire.EXEC_FAILED.size).text(length)
    return ExecFailed(session=at.session, ts=at.header.ts, process=at.process, path=path, errno=error)


def _exit(raw: bytes, at: _Context) -> Exit:
    code = wire.EXIT.unpack_from(raw)[9]  # as wait(2) has it
    signal = code & 0x7F
    return Exit(
        session=at.session,
        ts=at.header.ts,
        process=at.process,
        status=None if signal else code >> 8 & 0xFF,
        signal=signal or None,
        core=bool(code & 0x80),
    )


def _file(raw: bytes, at: _Context) -> File:
    ino, dev, flags, open_flags, mode, error, op, rule, *lengths, _pad = wire.FILE.unpack_from(raw)[9:]
    parts = _Parts(raw, wire.FILE.size)
    base, path, base2, path2 = (parts.text(length) for length in lengths)
    sensitive = flags & wire.FileFlag.PG_FILE_SENSITIVE
    if FILE_OPS[op] == "symlink":
        base = ""  # the target is text that the link holds, not a path that was looked up
    return File(
        session=at.session,
        ts=at.header.ts,
        process=at.process,
        op=FILE_OPS[op],
        path=_absolute(base, path) if base else path,
        new_path=(_absolute(base2, path2) if base2 else path2) or None,
        errno=error,
        resolved=bool(flags & wire.FileFlag.PG_FILE_RESOLVED),
        dev=wire.user_dev(dev),
        ino=ino,
        flags=open_flags,
        mode=mode,
        sensitive=at.sensitive[rule] if sensitive and rule < len(at.sensitive) else None,
        deleted=bool(flags & wire.FileFlag.PG_FILE_DELETED),
        memfd=bool(flags & wire.FileFlag.PG_FILE_MEMFD),
        path_truncated=bool(flags & wire.FileFlag.PG_FILE_TRUNCATED),
    )


def _absolute(base: str, path: str) -> str:
    """``path`` below ``base``, without ``.`` and doubled slashes. ``..`` stays: it may lead through a link."""
    if not path.startswith("/"):
        path = posixpath.join(base, path) if path else base
    if not path.startswith("/"):
        return path
    return "/" + "/".join(part for part in path.split("/") if part not in ("", "."))


def _read(raw: bytes, at: _Context) -> ReadEvicted:
    _session, ino, start, last, dev, pid, count, _lock = wire.READ_EVICTED.unpack_from(raw)[9:]
    return ReadEvicted(f"{pid}:{start}", last, wire.user_dev(dev), ino, count)


def _mapped(raw: bytes, at: _Context) -> Mapped:
    ino, dev, _ns_mnt, length = wire.MAPPED.unpack_from(raw)[9:13]
    path = _Parts(raw, wire.MAPPED.size).text(length)
    return Mapped(at.process, at.header.pid, at.header.ts, wire.user_dev(dev), ino, path)


def _net(raw: bytes, at: _Context) -> AnyEvent:
    return decode_net(raw, at.session, at.header.ts, at.process)


def _flow(raw: bytes, at: _Context) -> AnyEvent:
    return decode_flow(raw, at.session, at.header.ts, at.process)


def _dns(raw: bytes, at: _Context) -> Name | None:
    length = wire.DNS.unpack_from(raw)[9]
    answer = decode_dns(_Parts(raw, wire.DNS.size).bytes(length))
    if answer is None:
        return None
    name, addresses = answer
    return Name(
        session=at.session, ts=at.header.ts, process=at.process, source="dns", name=name, addresses=addresses
    )


def _sni(raw: bytes, at: _Context) -> Name:
    length = wire.SNI.unpack_from(raw)[10]
    name = _Parts(raw, wire.SNI.size).text(length)
    return Name(session=at.session, ts=at.header.ts, process=at.process, source="sni", name=name)


def _tls(raw: bytes, at: _Context) -> TlsData:
    ssl, generation, offset, length, missing, direction = wire.TLS.unpack_from(raw)[9:15]
    if direction not in (0, 1):
        raise ValueError(f"direction {direction}")
    way: Literal[0, 1] = 1 if direction else 0
    data = _Parts(raw, wire.TLS.size).bytes(length)
    return TlsData(at.process, ssl, generation, way, offset, data, missing, at.header.ts)


def _tls_close(raw: bytes, at: _Context) -> TlsClose:
    ssl, generation = wire.TLS_CLOSE.unpack_from(raw)[9:11]
    return TlsClose(at.process, ssl, generation, at.header.ts)


def _uring(_raw: bytes, at: _Context) -> Uring:
    return Uring(at.process, at.header.ts)


def _candidate(raw: bytes, at: _Context) -> Candidate:
    family, port, cid, port32, address = wire.CANDIDATE.unpack_from(raw)[9:14]
    remote = address_of((family, port, cid, port32, address))
    return Candidate(at.process, at.header.pid, at.header.ts, remote, port)


_DECODERS: Mapping[int, Callable[[bytes, _Context], Value | None]] = {
    wire.Type.PG_SESSION_BEGIN: _begin,
    wire.Type.PG_SESSION_IDLE: _idle,
    wire.Type.PG_FORK: _fork,
    wire.Type.PG_EXEC: _exec,
    wire.Type.PG_EXEC_FAILED: _exec_failed,
    wire.Type.PG_EXIT: _exit,
    wire.Type.PG_FILE: _file,
    wire.Type.PG_READ: _read,
    wire.Type.PG_MAPPED: _mapped,
    wire.Type.PG_NET: _net,
    wire.Type.PG_FLOW: _flow,
    wire.Type.PG_DNS: _dns,
    wire.Type.PG_SNI: _sni,
    wire.Type.PG_TLS: _tls,
    wire.Type.PG_TLS_CLOSE: _tls_close,
    wire.Type.PG_URING: _uring,
    wire.Type.PG_CANDIDATE: _candidate,
}
