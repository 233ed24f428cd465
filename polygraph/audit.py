"""The audit log: who had what captured, at which level, when, and what was deleted since. Append-only, chained.

``STORE/audit.jsonl``, one JSON object a line. Each line holds the SHA-256 of the line before it (``prev``), so that a
line that is changed, taken out or put in breaks the chain (:func:`verify`). Lines that are cut off at the end leave a
chain that is whole: ``count`` and ``last``, as :func:`verify` gives them, are what to keep elsewhere.

Recovery rule. An entry is one write of one line, under a lock, followed by fsync, before what it speaks of happens. A
line without its newline is one that a crash tore: it is ended by the next entry's newline and counts as damaged.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import pwd
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Literal

import msgspec

from polygraph.errors import PolygraphError

NAME = "audit.jsonl"
_START = "0" * 64

What = Literal["capture_begin", "session_begin", "session_end", "capture_end", "level_changed", "pruned"]


class Actor(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who: the effective user, the one who logged in (loginuid of the kernel), and the one who called sudo."""

    uid: int
    user: str
    #: None: the kernel knows of no login (a service, a container)
    login: str | None = None
    #: what sudo put into the environment: a word of the caller, not of the kernel
    sudo_user: str | None = None
    pid: int = 0


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line."""

    #: Unix time, ns
    time: int
    what: What
    actor: Actor
    #: SHA-256 of the line before, without its newline; 64 zeros in the first
    prev: str
    #: command of polygraph: run, watch, prune
    by: str = ""
    host: str = ""
    session: str | None = None
    level: str | None = None
    #: level_changed: the level of the capture before
    before: str | None = None
    #: where the level comes from: default, environment, flag
    source: str | None = None
    #: the program of the root, credentials and free text removed
    command: tuple[str, ...] = ()
    #: what is observed, of watch: pids, cgroups, patterns, auto
    scope: tuple[str, ...] = ()
    #: receivers of verdicts, without credentials
    exports: tuple[str, ...] = ()
    #: where sentences of the model go that the rules do not understand, and which model reads them; without its key
    second_opinion: str | None = None
    #: pruned: sessions, or the content of sessions, by id
    sessions: tuple[str, ...] = ()
    reason: str | None = None


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a check. ``last`` is the digest of the last line: keep it elsewhere to see a cut end."""

    ok: bool
    count: int
    last: str
    #: line numbers, from 1, at which the chain breaks, and why
    broken: tuple[tuple[int, str], ...]


class AuditError(PolygraphError):
    """The audit log cannot be written or read: the message says where and why."""


class AuditLog:
    """Appends to one store's audit log. Any number of writers: each entry is made under a lock."""

    def __init__(self, root: Path) -> None:
        """``root``: folder of the store."""
        self.path = root / NAME

    def append(self, what: What, **fields: object) -> Entry:
        """Writes an entry, on the disk when this returns. Raises AuditError."""
        try:
            fd = os.open(
                self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
            )
            try:
                fcntl.flock(fd, fcntl.LOCK_EX)
                prev, torn = _last(fd)
                entry = msgspec.convert(
                    {"time": time.time_ns(), "what": what, "actor": actor(), "prev": prev} | fields, Entry
                )
                line = (b"\n" if torn else b"") + msgspec.json.encode(entry) + b"\n"
                if os.write(fd, line) != len(line):
                    raise OSError("the disk is full")  # what was written of it counts as a torn line
                os.fsync(fd)
            finally:
                os.close(fd)
        except OSError as error:
            raise AuditError(
                f"cannot write the audit log {self.path}: {error.strerror or error}",
                "make the store writable, or capture at --content metadata or off",
            ) from error
        return entry

    def entries(self) -> Iterator[Entry]:
        """The entries, oldest first; damaged lines are left out. Raises AuditError."""
        for line in self._lines():
            try:
                yield msgspec.json.decode(line, type=Entry)
            except msgspec.MsgspecError:
                continue

    def level_before(self) -> str | None:
        """The level of the last capture; None before the first. Raises AuditError."""
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unreadable(error) from error
        try:
            for line in _backwards(fd):  # every capture begins with this, however long the log is
                with suppress(msgspec.MsgspecError):  # damaged: verify tells
                    entry = msgspec.json.decode(line, type=Entry)
                    if entry.what == "capture_begin":
                        return entry.level
        except OSError as error:
            raise self._unreadable(error) from error
        finally:
            os.close(fd)
        return None

    def verify(self) -> Verified:
        """Whether each line holds the digest of the one before. Raises AuditError."""
        prev, count = _START, 0
        broken: list[tuple[int, str]] = []
        for number, line in enumerate(self._lines(), 1):
            try:
                entry = msgspec.json.decode(line, type=Entry)
            except msgspec.MsgspecError:
                broken.append((number, "the line is damaged"))
            else:
                if entry.prev != prev:
                    broken.append((number, "the line before it was changed, removed or put in"))
            prev, count = hashlib.sha256(line).hexdigest(), number
        return Verified(ok=not broken, count=count, last=prev, broken=tuple(broken))

    def _lines(self) -> list[bytes]:
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise self._unreadable(error) from error
        return data.removesuffix(b"\n").split(b"\n") if data else []

    def _unreadable(self, error: OSError) -> AuditError:
        return AuditError(
            f"cannot read the audit log {self.path}: {error.strerror}",
            "make the store readable, or capture at --content metadata or off",
        )


def _backwards(fd: int) -> Iterator[bytes]:
    """What stands behind the last newline, then the lines before it, the last one first."""
    at = size = os.fstat(fd).st_size
    rest = b""
    while at:
        step = min(at, max(4096, len(rest)))  # a long line is put together in few steps
        at -= step
        rest, *lines = (os.pread(fd, step, at) + rest).split(b"\n")
        yield from reversed(lines)
    if size:
        yield rest


def _last(fd: int) -> tuple[str, bool]:
    """Digest of the last line of the file, and whether it lacks its newline."""
    lines = _backwards(fd)
    torn = next(lines, b"")
    line = torn or next(lines, None)
    return hashlib.sha256(line).hexdigest() if line is not None else _START, bool(torn)


def actor(environment: Mapping[str, str] = os.environ) -> Actor:
    """Who runs this process."""
    uid = os.geteuid()
    try:
        login = int(Path("/proc/self/loginuid").read_text("ascii"))
    except (OSError, ValueError):
        login = 2**32 - 1  # no login, as the kernel writes it
    return Actor(
        uid=uid,
        user=_user(uid),
        login=None if login == 2**32 - 1 else _user(login),
        sudo_user=environment.get("SUDO_USER"),
        pid=os.getpid(),
    )


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
