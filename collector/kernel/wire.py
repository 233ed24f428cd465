"""Mirror of bpf/wire.h: layouts and values. tests/collector/kernel/test_wire.py holds it against the object's BTF.

A layout is a tuple of (field, format) in the order of the C struct, formats as in :mod:`struct`; nested structs
are spelled out (``hdr.size`` …). Padding is a field like any other.
"""

from __future__ import annotations

import os
import struct
from enum import IntEnum, IntFlag

Fields = tuple[tuple[str, str], ...]


def _nested(name: str, fields: Fields) -> Fields:
    return tuple((f"{name}.{field}", form) for field, form in fields)


_HDR: Fields = (
    ("size", "I"), ("type", "H"), ("_pad", "H"), ("ts", "Q"), ("session", "Q"), ("seq", "Q"),
    ("start", "Q"), ("pid", "I"), ("tid", "I"),
)  # fmt: skip
_ADDR: Fields = (("family", "H"), ("port", "H"), ("cid", "I"), ("port32", "I"), ("addr", "16s"))
_HDR_OF = _nested("hdr", _HDR)
_REMOTE, _LOCAL = _nested("remote", _ADDR), _nested("local", _ADDR)

PG_DIMENSIONS = 5
PG_LOSS_CAUSES = 5

LAYOUTS: dict[str, Fields] = {
    "pg_hdr": _HDR,
    "pg_lineage": (
        ("session", "Q"), ("ended", "Q"), ("tls_ssl", "Q"), ("tls_buffer", "Q"), ("tls_moved", "Q"),
        ("tls_direction", "Q"), ("tls_began", "Q"), ("tls_pieces", "Q"), ("tls_skip", "Q"), ("tls_quiet", "Q"),
        ("asleep", "Q"), ("read_ts", "Q"), ("read_ino", "Q"), ("read_dev", "I"), ("read_pages", "I"), ("read_of", "I"),
        ("_pad", "I"),
    ),
    "pg_session": (
        ("live", "q"), ("emitted", "Q"), ("lost", f"{PG_DIMENSIONS * PG_LOSS_CAUSES}Q"), ("flags", "Q"),
    ),
    "pg_session_begin": (*_HDR_OF, ("origin", "I"), ("tasks", "I")),
    "pg_fork": (*_HDR_OF, ("child_start", "Q"), ("child_pid", "I"), ("_pad", "I")),
    "pg_exec": (
        *_HDR_OF, ("parent_start", "Q"), ("parent_pid", "I"), ("uid", "I"), ("gid", "I"), ("dev", "I"), ("ino", "Q"),
        ("cgroup", "Q"), ("ns_mnt", "I"), ("ns_pid", "I"), ("ns_net", "I"), ("ns_user", "I"), ("ns_uts", "I"),
        ("ns_ipc", "I"), ("ns_cgroup", "I"), ("argv_total", "I"), ("argv_len", "I"), ("path_len", "H"),
        ("script_len", "H"), ("cwd_len", "H"), ("cgroup_len", "H"), ("path_truncated", "B"), ("cwd_truncated", "B"),
        ("trace_len", "B"), ("_pad", "9s"), ("comm", "16s"),
    ),
    "pg_delegated": (
        *_HDR_OF, ("by_start", "Q"), ("by_pid", "I"), ("service", "B"), ("evidence", "B"), ("_pad", "2s"),
    ),
    "pg_group_name": (("text", "128s"),),
    "pg_group": (("session", "Q"), ("start", "Q"), ("pid", "I"), ("service", "I")),
    "pg_exec_failed": (*_HDR_OF, ("error", "i"), ("path_len", "H"), ("_pad", "H")),
    "pg_exit": (*_HDR_OF, ("code", "I"), ("_pad", "I")),
    "pg_file": (
        *_HDR_OF, ("ino", "Q"), ("dev", "I"), ("flags", "I"), ("open_flags", "I"), ("mode", "I"), ("error", "i"),
        ("op", "B"), ("rule", "B"), ("base_len", "H"), ("path_len", "H"), ("base2_len", "H"), ("path2_len", "H"),
        ("_pad", "H"),
    ),
    "pg_touch_key": (("session", "Q"), ("ino", "Q"), ("dev", "I"), ("op", "I")),
    "pg_touch": (("count", "Q"), ("first_ts", "Q"), ("last_ts", "Q"), ("start", "Q"), ("pid", "I"), ("_pad", "I")),
    "pg_opened": (
        ("session", "Q"), ("ino", "Q"), ("start", "Q"), ("ts", "Q"), ("entry", "Q"), ("dev", "I"), ("pid", "I"),
    ),
    "pg_waited": (
        ("session", "Q"), ("start", "Q"), ("on_start", "Q"), ("object", "Q"), ("since", "Q"), ("ts", "Q"), ("pid", "I"),
        ("tid", "I"), ("on_pid", "I"), ("kind", "B"), ("theirs", "B"), ("_pad", "2s"),
    ),
    "pg_rule": (
        ("head", "4Q"), ("head_mask", "4Q"), ("parent", "4Q"), ("parent_mask", "4Q"), ("tail", "Q"), ("tail_mask", "Q"),
        ("name_len", "I"), ("parent_len", "I"),
    ),
    "pg_mapped_key": (("ino", "Q"), ("dev", "I"), ("ns_mnt", "I")),
    "pg_mapped": (*_HDR_OF, ("ino", "Q"), ("dev", "I"), ("ns_mnt", "I"), ("path_len", "H"), ("_pad", "6s")),
    "pg_addr": _ADDR,
    "pg_net": (
        *_HDR_OF, ("cookie", "Q"), *_REMOTE, *_LOCAL, ("error", "i"), ("protocol", "H"), ("op", "B"), ("_pad", "B"),
        ("unix_len", "H"), ("_pad2", "2s"), ("peer_pid", "I"),
    ),
    "pg_flow": (
        *_HDR_OF, ("cookie", "Q"), ("sent", "Q"), ("received", "Q"), *_REMOTE, *_LOCAL, ("protocol", "H"),
        ("established", "B"), ("closed", "B"), ("_pad", "4s"),
    ),
    "pg_dns": (*_HDR_OF, ("data_len", "H"), ("_pad", "6s")),
    "pg_sni": (*_HDR_OF, ("ssl", "Q"), ("name_len", "H"), ("_pad", "6s")),
    "pg_tls": (
        *_HDR_OF, ("ssl", "Q"), ("generation", "Q"), ("offset", "Q"), ("data_len", "I"), ("missing", "I"),
        ("direction", "B"), ("_pad", "3s"), ("library", "I"),
    ),
    "pg_tls_close": (*_HDR_OF, ("ssl", "Q"), ("generation", "Q"), ("library", "I"), ("_pad", "I")),
    "pg_plain": (
        *_HDR_OF, ("connection", "Q"), ("generation", "Q"), ("offset", "Q"), ("socket", "Q"), ("standard_input", "Q"),
        ("data_len", "I"), ("missing", "I"), ("kind", "B"), ("direction", "B"), ("json", "B"), ("asks", "B"),
        ("_pad", "4s"),
    ),
    "pg_plain_close": (*_HDR_OF, ("connection", "Q"), ("generation", "Q")),
    "pg_uring": (*_HDR_OF, ("opcode", "I"), ("dimension", "B"), ("_pad", "3s")),
    "pg_candidate": (*_HDR_OF, *_REMOTE, ("_pad", "I")),
    "pg_request": (("session", "Q"), ("target", "Q"), ("mode", "I"), ("enrolled", "I"), ("start", "Q")),
    "pg_file_key": (("ino", "Q"), ("dev", "I"), ("_pad", "I")),
}  # fmt: skip
"""struct name in wire.h -> its fields."""


def _compile(name: str) -> struct.Struct:
    return struct.Struct("=" + "".join(form for _field, form in LAYOUTS[name]))


HDR = _compile("pg_hdr")
SESSION = _compile("pg_session")
SESSION_BEGIN = _compile("pg_session_begin")
FORK = _compile("pg_fork")
EXEC = _compile("pg_exec")
EXEC_FAILED = _compile("pg_exec_failed")
DELEGATED = _compile("pg_delegated")
GROUP_NAME = _compile("pg_group_name")
GROUP = _compile("pg_group")
EXIT = _compile("pg_exit")
FILE = _compile("pg_file")
TOUCH_KEY = _compile("pg_touch_key")
TOUCH = _compile("pg_touch")
OPENED = _compile("pg_opened")
WAITED = _compile("pg_waited")
RULE = _compile("pg_rule")
MAPPED = _compile("pg_mapped")
ADDR = _compile("pg_addr")
NET = _compile("pg_net")
FLOW = _compile("pg_flow")
DNS = _compile("pg_dns")
SNI = _compile("pg_sni")
TLS = _compile("pg_tls")
TLS_CLOSE = _compile("pg_tls_close")
PLAIN = _compile("pg_plain")
PLAIN_CLOSE = _compile("pg_plain_close")
URING = _compile("pg_uring")
CANDIDATE = _compile("pg_candidate")
REQUEST = _compile("pg_request")
FILE_KEY = _compile("pg_file_key")

#: PG_RULES: rows of the map `sensitive`
RULES = 64
#: PG_URING_MADE
URING_MADE = 0xFFFFFFFF


class Type(IntEnum):
    """enum pg_type"""

    PG_SESSION_BEGIN = 1
    PG_SESSION_IDLE = 2
    PG_FORK = 3
    PG_EXEC = 4
    PG_EXEC_FAILED = 5
    PG_EXIT = 6
    PG_FILE = 7
    PG_MAPPED = 9
    PG_NET = 10
    PG_FLOW = 11
    PG_DNS = 12
    PG_SNI = 13
    PG_TLS = 14
    PG_TLS_CLOSE = 15
    PG_URING = 16
    PG_CANDIDATE = 17
    PG_PLAIN = 18
    PG_PLAIN_CLOSE = 19
    PG_DELEGATED = 20


class Loss(IntEnum):
    """enum pg_loss"""

    PG_LOSS_RING = 0
    PG_LOSS_SCRATCH = 1
    PG_LOSS_STORAGE = 2
    PG_LOSS_MAP = 3
    PG_LOSS_READ = 4


class Dimension(IntEnum):
    """enum pg_dimension; the order of polygraph.reasons.DIMENSIONS"""

    PG_DIM_PROCESS = 0
    PG_DIM_FILE = 1
    PG_DIM_NETWORK = 2
    PG_DIM_TLS = 3
    PG_DIM_IPC = 4


class SessionFlag(IntFlag):
    """enum pg_session_flag"""

    PG_SESSION_CANARY = 1
    PG_SESSION_NO_TLS = 2
    PG_SESSION_URING_FILE = 4
    PG_SESSION_URING_NETWORK = 8


class Origin(IntEnum):
    """enum pg_origin"""

    PG_ORIGIN_EXE = 3


class EnrolMode(IntEnum):
    """enum pg_enrol_mode"""

    PG_ENROL_PID = 0
    PG_ENROL_CGROUP = 1
    PG_ENROL_RELEASE = 2
    PG_ENROL_COUNT = 3


class Service(IntEnum):
    """enum pg_service; the names are those of Delegated.through, but for LAUNCHER"""

    PG_SERVICE_SSH = 1
    PG_SERVICE_TMUX = 2
    PG_SERVICE_LAUNCHER = 3
    PG_SERVICE_DOCKER = 4


class Evidence(IntEnum):
    """enum pg_evidence; the names are those of Delegated.evidence"""

    PG_EVIDENCE_CONNECTION = 1
    PG_EVIDENCE_COMMAND = 2
    PG_EVIDENCE_SHELL = 3
    PG_EVIDENCE_CGROUP = 4


class FileOp(IntEnum):
    """enum pg_file_op"""

    PG_OP_READ = 0
    PG_OP_WRITE = 1
    PG_OP_CREATE = 2
    PG_OP_TRUNCATE = 3
    PG_OP_UNLINK = 4
    PG_OP_RMDIR = 5
    PG_OP_RENAME = 6
    PG_OP_LINK = 7
    PG_OP_SYMLINK = 8
    PG_OP_MKDIR = 9
    PG_OP_CHMOD = 10


class FileFlag(IntFlag):
    """enum pg_file_flag"""

    PG_FILE_RESOLVED = 1
    PG_FILE_DELETED = 2
    PG_FILE_MEMFD = 4
    PG_FILE_TRUNCATED = 8
    PG_FILE_SENSITIVE = 16
    PG_FILE_BASE = 32
    PG_FILE_BASE2 = 64


class WaitKind(IntEnum):
    """enum pg_wait_kind; the names are those of Wait.kind"""

    PG_WAIT_OTHER = 0
    PG_WAIT_SEVERAL = 1
    PG_WAIT_PIPE = 2
    PG_WAIT_UNIX = 3
    PG_WAIT_LOOPBACK = 4
    PG_WAIT_FUTEX = 5
    PG_WAIT_LOCK = 6
    PG_WAIT_SEMAPHORE = 7
    PG_WAIT_QUEUE = 8
    PG_WAIT_CHILD = 9


class NetOp(IntEnum):
    """enum pg_net_op"""

    PG_NET_CONNECT = 0
    PG_NET_ACCEPT = 1
    PG_NET_BIND = 2
    PG_NET_LISTEN = 3


class TlsDirection(IntEnum):
    """enum pg_tls_direction"""

    PG_TLS_SENT = 0
    PG_TLS_RECEIVED = 1


class TlsLibrary(IntEnum):
    """enum pg_tls_library; the names are those of LlmCall.tls"""

    PG_TLS_UNKNOWN = 0
    PG_TLS_OPENSSL = 1
    PG_TLS_BORINGSSL = 2
    PG_TLS_RUSTLS = 3
    PG_TLS_GO = 4
    PG_TLS_GNUTLS = 5
    PG_TLS_NSS = 6


class PlainKind(IntEnum):
    """enum pg_plain_kind"""

    PG_PLAIN_TCP = 0
    PG_PLAIN_UNIX = 1
    PG_PLAIN_PIPE = 2


class PlainChoice(IntEnum):
    """enum pg_plain_choice"""

    PG_PLAIN_KEEP = 1
    PG_PLAIN_LEAVE = 2


#: enum in wire.h -> its mirror
ENUMS: dict[str, type[IntEnum | IntFlag]] = {
    "pg_type": Type,
    "pg_loss": Loss,
    "pg_dimension": Dimension,
    "pg_session_flag": SessionFlag,
    "pg_origin": Origin,
    "pg_enrol_mode": EnrolMode,
    "pg_service": Service,
    "pg_evidence": Evidence,
    "pg_file_op": FileOp,
    "pg_file_flag": FileFlag,
    "pg_wait_kind": WaitKind,
    "pg_net_op": NetOp,
    "pg_tls_direction": TlsDirection,
    "pg_tls_library": TlsLibrary,
    "pg_plain_kind": PlainKind,
    "pg_plain_choice": PlainChoice,
}

#: names of the causes of loss, in the order of enum pg_loss
LOSS_CAUSES = tuple(cause.name.removeprefix("PG_LOSS_").lower() for cause in Loss)
#: names of the TLS libraries, in the order of enum pg_tls_library; "" where it is not known
TLS_LIBRARIES = ("", *(one.name.removeprefix("PG_TLS_").lower() for one in list(TlsLibrary)[1:]))


def session_row(flags: int) -> bytes:
    """A fresh struct pg_session."""
    return SESSION.pack(0, 0, *([0] * (PG_DIMENSIONS * PG_LOSS_CAUSES)), flags)


def user_dev(dev: int) -> int:
    """The kernel's dev_t (12 bits major, 20 bits minor: MKDEV of include/linux/kdev_t.h) as stat(2) tells it."""
    return os.makedev(dev >> 20, dev & 0xFFFFF)


def kernel_dev(dev: int) -> int:
    """The reverse of :func:`user_dev`."""
    return os.major(dev) << 20 | os.minor(dev)
