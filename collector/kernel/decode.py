"""From the bytes of a ring's record (bpf/wire.h) to typed values: events where the model has one, else the small
types below. Pure. The bytes are our own program's, but names, paths and arguments in them are whatever the
observed process chose.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

from collector.kernel import wire
from collector.kernel.container import container_id
from collector.kernel.decode_net import address_of, decode_dns, decode_flow, decode_net, port_of
from collector.plain.streams import PlainClose, PlainData, PlainKind
from collector.tls.streams import TlsClose, TlsData
from polygraph.events import (
    AnyEvent,
    Delegated,
    Exec,
    ExecFailed,
    Exit,
    File,
    FileOp,
    Flow,
    Fork,
    Name,
    Net,
    ProcessKey,
    Service,
)
from polygraph.reasons import DIMENSIONS, Dimension, Grade
from polygraph.text import from_bytes

FILE_OPS: tuple[FileOp, ...] = (
    "read", "write", "create", "truncate", "unlink", "rmdir", "rename", "link", "symlink", "mkdir", "chmod",
)  # fmt: skip
"""Names of enum pg_file_op."""

_PLAIN_KINDS: tuple[PlainKind, ...] = ("tcp", "unix", "pipe")

# Plain numbers: an operation on an enum's member costs more than all the rest of a record.
_COPIED, _BEGIN = (int(wire.Type.PG_TLS), int(wire.Type.PG_PLAIN)), int(wire.Type.PG_SESSION_BEGIN)
_RESOLVED, _DELETED = int(wire.FileFlag.PG_FILE_RESOLVED), int(wire.FileFlag.PG_FILE_DELETED)
_MEMFD, _TRUNCATED = int(wire.FileFlag.PG_FILE_MEMFD), int(wire.FileFlag.PG_FILE_TRUNCATED)
_SENSITIVE = int(wire.FileFlag.PG_FILE_SENSITIVE)

#: W3C Trace Context, version 00: nothing else that an environment holds under that name is told
_TRACEPARENT = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
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


class Uring(NamedTuple):
    """Something went through an io_uring that hides it from ``dimension``. ``opcode`` is None where the kernel does
    not tell: then a ring was made, and anything may go through it."""

    process: ProcessKey
    ts: int
    dimension: Dimension
    opcode: int | None


class Candidate(NamedTuple):
    """A process of no session connected (watch --auto)."""

    process: ProcessKey
    pid: int
    ts: int
    address: str
    port: int


Value: TypeAlias = (
    AnyEvent
    | SessionIdle
    | SessionBegin
    | Mapped
    | Uring
    | Candidate
    | TlsData
    | TlsClose
    | PlainData
    | PlainClose
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


_HEADER_FIELDS = len(_Header._fields)


class _Context(NamedTuple):
    """What the decoders of a record's body need beside its bytes."""

    header: _Header
    process: ProcessKey
    session: str
    sensitive: Sequence[str]


def decode(raw: bytes, sessions: Mapping[int, str], sensitive: Sequence[str]) -> Record | None:
    """The record, or None when it belongs to a session that is not (any more) known, or is a DNS message that
    names no address.

    ``sessions``: handle -> session id. ``sensitive``: names of the rules, by index. Raises DecodeError.
    """
    if len(raw) < wire.HDR.size:
        raise DecodeError(f"a record of {len(raw)} bytes has no header")
    header = _Header._make(wire.HDR.unpack_from(raw))
    decoder = _DECODERS.get(header.type)
    if decoder is None:
        raise DecodeError(f"record type {header.type} is unknown")
    # Plaintext is copied into one of three sizes of room (bpf/tls.h), so what is handed over may be longer.
    fits = len(raw) == header.size or (header.type in _COPIED and len(raw) > header.size)
    if not fits or header.size < decoder.layout.size:
        raise DecodeError(f"{_what(header)}: {len(raw)} bytes came, at least {decoder.layout.size} are due")
    session = sessions.get(header.handle)
    if session is None and header.handle and header.type != _BEGIN:
        return None
    context = _Context(header, f"{header.pid}:{header.start}", session or "", sensitive)
    parts = _Parts(raw if len(raw) == header.size else raw[: header.size], decoder.layout.size)
    try:
        value = decoder.value(decoder.layout.unpack_from(raw)[_HEADER_FIELDS:], parts, context)
        parts.end()
    except ValueError as error:
        raise DecodeError(f"{_what(header)}: {error}") from error
    return Record(header.handle, header.seq, header.ts, value) if value is not None else None


def _what(header: _Header) -> str:
    return f"{wire.Type(header.type).name} of {header.size} bytes"


class _Parts:
    """Reads the variable parts behind a fixed struct, in order."""

    def __init__(self, raw: bytes, at: int) -> None:
        self._raw = raw
        self._at = at

    def bytes(self, length: int) -> bytes:
        """The next part. Raises ValueError when the record ends before it does."""
        end = self._at + length
        if end > len(self._raw):
            raise ValueError(f"a part ends at {end}")
        part = self._raw[self._at : end]
        self._at = end
        return part

    def text(self, length: int) -> str:
        """The next part as text."""
        if not length:  # most of them
            return ""
        return from_bytes(self.bytes(length))

    def end(self) -> None:
        """Raises ValueError when something is left over."""
        if self._at != len(self._raw):
            raise ValueError(f"the parts end at {self._at}")


_Fields: TypeAlias = tuple[Any, ...]


def _errno(error: int) -> int:
    if error < 0:
        raise ValueError(f"errno {error}")
    return error


def _idle(_fields: _Fields, _parts: _Parts, at: _Context) -> SessionIdle:
    return SessionIdle(at.process, at.header.ts)


def _begin(fields: _Fields, _parts: _Parts, at: _Context) -> SessionBegin:
    origin, _tasks = fields
    return SessionBegin(at.process, at.header.ts, origin)


def _fork(fields: _Fields, _parts: _Parts, at: _Context) -> Fork:
    start, pid, _pad = fields
    return Fork(session=at.session, ts=at.header.ts, process=at.process, child=f"{pid}:{start}")


def _exec(fields: _Fields, parts: _Parts, at: _Context) -> Exec:
    parent_start, parent_pid, uid, gid, dev, ino, cgroup = fields[:7]
    namespaces = fields[7:14]
    argv_total, argv_len, path_len, script_len, cwd_len, cgroup_len = fields[14:20]
    path_truncated, cwd_truncated, trace_len, _pad, comm = fields[20:]
    path = _whole(parts.text(path_len), path_truncated)
    script = parts.text(script_len)
    cwd = _whole(parts.text(cwd_len), cwd_truncated)
    group = parts.text(cgroup_len)
    arguments = parts.bytes(argv_len)
    trace = parts.text(trace_len)
    argv = arguments.removesuffix(b"\0").split(b"\0") if arguments else []
    return Exec(
        session=at.session,
        ts=at.header.ts,
        process=at.process,
        parent=f"{parent_pid}:{parent_start}",
        path=path,
        argv=tuple(from_bytes(argument) for argument in argv),
        cwd=cwd,
        script=_absolute("" if script.startswith("/") else cwd, script) if script else None,
        argv_bytes=argv_total,
        argv_truncated=argv_total > argv_len,
        uid=uid,
        gid=gid,
        comm=from_bytes(comm.split(b"\0", 1)[0]),
        dev=wire.user_dev(dev),
        ino=ino,
        cgroup=cgroup,
        container=container_id(group),
        traceparent=trace if _TRACEPARENT.fullmatch(trace) else None,
        namespaces=dict(zip(_NAMESPACES, namespaces, strict=True)),
    )


def _whole(path: str, truncated: int) -> str:
    """A path that lost its beginning is not absolute: nothing may take it for another file."""
    return path.lstrip("/") if truncated else path


_SERVICES: Mapping[int, Service] = {
    wire.Service.PG_SERVICE_SSH: "ssh",
    wire.Service.PG_SERVICE_TMUX: "tmux",
    wire.Service.PG_SERVICE_DOCKER: "docker",
}
#: how sure each evidence makes the join: all but the last are identifiers that both sides have
_EVIDENCE: Mapping[int, tuple[Literal["connection", "command", "shell", "cgroup"], Grade]] = {
    wire.Evidence.PG_EVIDENCE_CONNECTION: ("connection", "exact"),
    wire.Evidence.PG_EVIDENCE_COMMAND: ("command", "exact"),
    wire.Evidence.PG_EVIDENCE_CGROUP: ("cgroup", "exact"),
    wire.Evidence.PG_EVIDENCE_SHELL: ("shell", "strong"),
}


def _delegated(fields: _Fields, _parts: _Parts, at: _Context) -> Delegated:
    by_start, by_pid, service, evidence, _pad = fields
    if service not in _SERVICES or evidence not in _EVIDENCE:
        raise ValueError(f"service {service}, evidence {evidence}")
    mark, grade = _EVIDENCE[evidence]
    return Delegated(
        session=at.session,
        ts=at.header.ts,
        process=at.process,
        by=f"{by_pid}:{by_start}",
        through=_SERVICES[service],
        evidence=mark,
        grade=grade,
    )


def _exec_failed(fields: _Fields, parts: _Parts, at: _Context) -> ExecFailed:
    error, length, _pad = fields
    path = parts.text(length)
    return ExecFailed(session=at.session, ts=at.header.ts, process=at.process, path=path, errno=_errno(error))


def _exit(fields: _Fields, _parts: _Parts, at: _Context) -> Exit:
    code, _pad = fields  # as wait(2) has it
    signal = code & 0x7F
    return Exit(
        session=at.session,
        ts=at.header.ts,
        process=at.process,
        status=None if signal else code >> 8 & 0xFF,
        signal=signal or None,
        core=bool(signal and code & 0x80),
    )


def _file(fields: _Fields, parts: _Parts, at: _Context) -> File:
    ino, dev, flags, open_flags, mode, error, op, rule, *lengths, _pad = fields
    base, path, base2, path2 = map(parts.text, lengths)
    if op >= len(FILE_OPS):
        raise ValueError(f"file operation {op}")
    sensitive = flags & _SENSITIVE
    if sensitive and rule >= len(at.sensitive):
        raise ValueError(f"sensitive rule {rule} of {len(at.sensitive)}")
    name = FILE_OPS[op]
    return File(
        session=at.session,
        ts=at.header.ts,
        process=at.process,
        op=name,
        # The target of a symbolic link is text that the link holds, not a path that was looked up.
        path=path if name == "symlink" else _absolute(base, path),
        new_path=_absolute(base2, path2) or None,
        errno=_errno(error),
        resolved=bool(flags & _RESOLVED),
        dev=wire.user_dev(dev),
        ino=ino,
        flags=open_flags,
        mode=mode,
        sensitive=at.sensitive[rule] if sensitive else None,
        deleted=bool(flags & _DELETED),
        memfd=bool(flags & _MEMFD),
        path_truncated=bool(flags & _TRUNCATED),
    )


def _absolute(base: str, path: str) -> str:
    """``path`` below ``base``, without ``.`` and doubled slashes. ``..`` stays: it may lead through a link.

    An absolute path has a base where the process's root is none (chroot). A relative one stays as it is where the
    kernel did not tell the base.
    """
    if not path.startswith("/"):
        path = f"{base.removesuffix('/')}/{path}" if path and base else path or base
    elif base.startswith("/"):
        path = base + path
    if not path.startswith("/"):
        return path
    if "//" not in path and "/." not in path and path[-1] != "/":
        return path
    return "/" + "/".join(part for part in path.split("/") if part not in ("", "."))


def _mapped(fields: _Fields, parts: _Parts, at: _Context) -> Mapped:
    ino, dev, _ns_mnt, length, _pad = fields
    return Mapped(at.process, at.header.pid, at.header.ts, wire.user_dev(dev), ino, parts.text(length))


def _net(fields: _Fields, parts: _Parts, at: _Context) -> Net:
    return decode_net(fields, parts.bytes(fields[-3]), at.session, at.header.ts, at.process)


def _flow(fields: _Fields, _parts: _Parts, at: _Context) -> Flow:
    return decode_flow(fields, at.session, at.header.ts, at.process)


def _dns(fields: _Fields, parts: _Parts, at: _Context) -> Name | None:
    length, _pad = fields
    answer = decode_dns(parts.bytes(length))
    if answer is None:
        return None
    name, addresses = answer
    return Name(
        session=at.session, ts=at.header.ts, process=at.process, source="dns", name=name, addresses=addresses
    )


def _sni(fields: _Fields, parts: _Parts, at: _Context) -> Name:
    _ssl, length, _pad = fields
    name = from_bytes(parts.bytes(length).lower())  # as names of DNS are told
    return Name(session=at.session, ts=at.header.ts, process=at.process, source="sni", name=name)


def _tls(fields: _Fields, parts: _Parts, at: _Context) -> TlsData:
    ssl, generation, offset, length, missing, direction, _pad, library = fields
    if direction not in (0, 1):
        raise ValueError(f"direction {direction}")
    way: Literal[0, 1] = 1 if direction else 0
    data = parts.bytes(length)
    return TlsData(
        at.process, ssl, generation, way, offset, data, missing, at.header.ts, _tls_library(library)
    )


def _tls_close(fields: _Fields, _parts: _Parts, at: _Context) -> TlsClose:
    ssl, generation, library, _pad = fields
    return TlsClose(at.process, ssl, generation, at.header.ts, _tls_library(library))


def _tls_library(number: int) -> str:
    if number >= len(wire.TLS_LIBRARIES):
        raise ValueError(f"TLS library {number}")
    return wire.TLS_LIBRARIES[number]


def _plain(fields: _Fields, parts: _Parts, at: _Context) -> PlainData:
    connection, generation, offset, socket, standard_input, length, missing, *small, _pad = fields
    kind, direction, json, asks = small
    if direction > 1 or asks > 1 or kind >= len(_PLAIN_KINDS):
        raise ValueError(f"directions {direction}, {asks} of kind {kind}")
    return PlainData(
        process=at.process,
        kind=_PLAIN_KINDS[kind],
        connection=connection,
        generation=generation,
        direction=1 if direction else 0,
        json=bool(json),
        asks=1 if asks else 0,
        offset=offset,
        data=parts.bytes(length),
        missing=missing,
        socket=socket,
        standard_input=standard_input,
        ts=at.header.ts,
    )


def _plain_close(fields: _Fields, _parts: _Parts, at: _Context) -> PlainClose:
    connection, generation = fields
    return PlainClose(at.process, connection, generation, at.header.ts)


def _uring(fields: _Fields, _parts: _Parts, at: _Context) -> Uring:
    opcode, dimension, _pad = fields
    if dimension >= len(DIMENSIONS):
        raise ValueError(f"dimension {dimension}")
    made = opcode == wire.URING_MADE
    return Uring(at.process, at.header.ts, DIMENSIONS[dimension], None if made else opcode)


def _candidate(fields: _Fields, _parts: _Parts, at: _Context) -> Candidate:
    remote = fields[:5]
    return Candidate(at.process, at.header.pid, at.header.ts, address_of(remote), port_of(remote))


class _Decoder(NamedTuple):
    """``value`` gets the fields behind the header."""

    layout: struct.Struct
    value: Callable[[_Fields, _Parts, _Context], Value | None]


_DECODERS: Mapping[int, _Decoder] = {
    wire.Type.PG_SESSION_BEGIN: _Decoder(wire.SESSION_BEGIN, _begin),
    wire.Type.PG_SESSION_IDLE: _Decoder(wire.HDR, _idle),
    wire.Type.PG_FORK: _Decoder(wire.FORK, _fork),
    wire.Type.PG_EXEC: _Decoder(wire.EXEC, _exec),
    wire.Type.PG_DELEGATED: _Decoder(wire.DELEGATED, _delegated),
    wire.Type.PG_EXEC_FAILED: _Decoder(wire.EXEC_FAILED, _exec_failed),
    wire.Type.PG_EXIT: _Decoder(wire.EXIT, _exit),
    wire.Type.PG_FILE: _Decoder(wire.FILE, _file),
    wire.Type.PG_MAPPED: _Decoder(wire.MAPPED, _mapped),
    wire.Type.PG_NET: _Decoder(wire.NET, _net),
    wire.Type.PG_FLOW: _Decoder(wire.FLOW, _flow),
    wire.Type.PG_DNS: _Decoder(wire.DNS, _dns),
    wire.Type.PG_SNI: _Decoder(wire.SNI, _sni),
    wire.Type.PG_TLS: _Decoder(wire.TLS, _tls),
    wire.Type.PG_PLAIN: _Decoder(wire.PLAIN, _plain),
    wire.Type.PG_PLAIN_CLOSE: _Decoder(wire.PLAIN_CLOSE, _plain_close),
    wire.Type.PG_TLS_CLOSE: _Decoder(wire.TLS_CLOSE, _tls_close),
    wire.Type.PG_URING: _Decoder(wire.URING, _uring),
    wire.Type.PG_CANDIDATE: _Decoder(wire.CANDIDATE, _candidate),
}
