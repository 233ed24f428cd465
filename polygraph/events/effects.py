"""What the kernel saw: processes, files, the network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from polygraph.events.base import Event, ProcessKey
from polygraph.openings import Extent, Opening, unpack
from polygraph.reasons import Grade

# --- effects: process --------------------------------------------------------------------------------


class Fork(Event, frozen=True, tag="fork"):
    """``process`` made ``child``. Threads are not reported."""

    process: ProcessKey
    child: ProcessKey


class Exec(Event, frozen=True, tag="exec"):
    """A successful exec, as the kernel resolved it.

    ``path`` is the file that runs (for a script: the interpreter), ``script`` the script file when the
    kernel ran one through ``#!``. ``argv`` is read from the new memory image; ``argv_bytes`` is its whole
    size, larger than what ``argv`` holds when ``argv_truncated``.
    """

    process: ProcessKey
    parent: ProcessKey
    path: str
    argv: tuple[str, ...]
    cwd: str
    script: str | None = None
    argv_bytes: int = 0
    argv_truncated: bool = False
    uid: int = 0
    gid: int = 0
    comm: str = ""
    dev: int = 0
    ino: int = 0
    cgroup: int = 0
    container: str | None = None
    #: inode numbers of the namespaces: mnt, pid, net, user, uts, ipc, cgroup
    namespaces: dict[str, int] = {}
    #: keyed digest of the script of ``sh -c TEXT``, without what a known agent puts around each command: joins with
    #: :attr:`Intent.command_digest`.
    command_digest: str | None = None
    #: W3C trace context out of TRACEPARENT in its environment: whoever started it wrote that, so it joins and proves
    #: nothing
    traceparent: str | None = None


Service = Literal["ssh", "tmux", "docker"]
"""Who does work for processes that are not its children."""


class Delegated(Event, frozen=True, tag="delegated"):
    """``process``, which no process of the lineage forked, does work that ``by`` asked ``through`` a service for.

    From now on it and its descendants are of the session; what the service itself does is not. ``evidence`` is the mark
    that both sides have: the ``connection`` that ``by`` made and ``process`` was forked for, the ``command`` that
    ``by`` was called with and ``process`` executes, that it became a login ``shell`` when the service had heard of
    nobody else, or its ``cgroup``, made under the id that ``by`` was given.
    """

    process: ProcessKey
    by: ProcessKey
    through: Service
    evidence: Literal["connection", "command", "shell", "cgroup"]
    grade: Grade


class ExecFailed(Event, frozen=True, tag="exec_failed"):
    """An exec that the kernel refused. ``path`` is the argument as passed: nothing was resolved."""

    process: ProcessKey
    path: str
    errno: int


class Exit(Event, frozen=True, tag="exit"):
    """The last thread of ``process`` ended: with a status, or by a signal; never both."""

    process: ProcessKey
    status: int | None = None
    signal: int | None = None
    core: bool = False


WaitKind = Literal[
    "other", "several", "pipe", "unix", "loopback", "futex", "lock", "semaphore", "queue", "child",
]  # fmt: skip
"""``futex``: one that processes share; ``lock``: of a file; ``semaphore``: System V's; ``several``: poll, epoll and the
like, and what ended it is not known; ``other``: another call, which a process of the session ended."""


class Wait(Event, frozen=True, tag="wait"):
    """Times that ``process`` slept in calls, for a millisecond or more, until ``on`` (None: unknown) woke it.

    ``ts`` is when the kernel's list was looked at. A wait of 100 ms or more for a known process is an event of its own.
    ``total`` (ns) may exceed the time between: threads sleep at once. What is never told stands in docs/coverage.md.
    """

    process: ProcessKey
    kind: WaitKind
    on: ProcessKey | None = None
    #: inode of pipe, socket or file, id of semaphores or queue, address of the futex in ``process``; else 0
    object: int = 0
    #: ``object`` is what ``on`` used: ``process`` waited for several things at once
    theirs: bool = False
    count: int = 1
    total: int = 0
    longest: int = 0
    first_ts: int = 0
    last_ts: int = 0


# --- effects: file -----------------------------------------------------------------------------------

FileOp = Literal[
    "read", "write", "create", "truncate", "unlink", "rmdir", "rename", "link", "symlink", "mkdir", "chmod"
]


class File(Event, frozen=True, tag="file"):
    """One file operation, or its first occurrence for (session, file, op).

    ``errno`` 0 means that it happened. ``path`` is what the kernel resolved when ``resolved``; else it is
    the argument, made absolute by the kernel's directory but not followed through symbolic links.
    The ``ino`` of an open for reading that failed is a hash of its path (``dev`` 0): later failures count
    under it. Operations on names have no ``dev`` and ``ino``, except a rename whose file the session had opened
    and the collector found at its new name. ``count`` on a flush of later touches: then ``ts`` is the time of the
    *last* one and ``first_ts`` that of the first one it covers.
    """

    process: ProcessKey
    op: FileOp
    path: str
    #: second path of rename, link and symlink (the new name; for symlink ``path`` is the target text)
    new_path: str | None = None
    errno: int = 0
    resolved: bool = True
    dev: int = 0
    ino: int = 0
    flags: int = 0
    mode: int = 0
    count: int = 1
    first_ts: int = 0
    #: the path matches a rule of data/sensitive_paths.toml; the rule's name
    sensitive: str | None = None
    deleted: bool = False
    memfd: bool = False
    path_truncated: bool = False
    #: rename: the directory entry ``new_path``, as in :class:`~polygraph.openings.Opening`; create: ``path``, where a
    #: file of that name had just been removed; 0 where it is not known
    entry: int = 0
    #: rename, unlink: the directory entry that ``path`` was; 0 where it is not known
    left: int = 0


class Reads(Event, frozen=True, tag="reads"):
    """Ordinary files that processes of the session opened for reading since the last such event.

    ``ts`` is when the kernel's list was looked at; each row has its own. ``rows`` are packed, see
    :mod:`polygraph.openings`. Emitted when a verdict may need it and at the end, and when the list fills. Some tell
    that a file was read in part only.
    """

    rows: bytes

    def all_rows(self) -> Iterator[Opening | Extent]:
        """What was opened, and how far it was read where that was less than the whole."""
        return unpack(self.rows)

    def openings(self) -> Iterator[Opening]:
        """What was opened."""
        return (row for row in unpack(self.rows) if isinstance(row, Opening))

    def extents(self) -> Iterator[Extent]:
        """How far files were read."""
        return (row for row in unpack(self.rows) if isinstance(row, Extent))


class FileState(Event, frozen=True, tag="file_state"):
    """What a file was when the collector looked: after the result of the intent that should have made it, or at
    a claim.

    ``intent`` is the id of the intent, or of the claim of the model that names the file.
    ``matches`` compares with the content that the intent declares (``None``: it declares none, or the file
    could not be read). ``digest`` is keyed. ``tests``: so many tests the file defines, by its lines
    (polygraph/data/test_files.toml); 0 if nobody counted them.
    """

    path: str
    intent: str
    exists: bool
    size: int = 0
    mtime: int = 0
    dev: int = 0
    ino: int = 0
    digest: str | None = None
    matches: bool | None = None
    tests: int = 0


# --- effects: network --------------------------------------------------------------------------------


class Net(Event, frozen=True, tag="net"):
    """connect, bind, listen or accept, with the address that the kernel used.

    ``errno`` is the call's result; 115 (EINPROGRESS) is neither success nor failure: ``Flow`` tells.
    ``address`` is ``1.2.3.4``, ``::1``, a path, ``@name`` (abstract) or a vsock cid; ``family`` says which.
    """

    process: ProcessKey
    op: Literal["connect", "accept", "bind", "listen"]
    family: Literal["inet", "inet6", "unix", "vsock", "other"]
    protocol: Literal["tcp", "udp", "unix", "other"] = "tcp"
    address: str = ""
    port: int = 0
    local_address: str = ""
    local_port: int = 0
    errno: int = 0
    #: kernel cookie of the socket: joins Net, Flow and Tls
    socket: int = 0
    #: connect to a Unix socket: pid of who listens there, as the kernel holds it; 0: not known
    peer_pid: int = 0


class Flow(Event, frozen=True, tag="flow"):
    """Bytes of a socket so far (``closed`` False) or in all (True). ``established``: a handshake was made."""

    process: ProcessKey
    socket: int
    address: str
    port: int
    family: Literal["inet", "inet6", "unix", "vsock", "other"]
    sent: int = 0
    received: int = 0
    established: bool = False
    closed: bool = False


class Name(Event, frozen=True, tag="name"):
    """An address got a name: a DNS answer that the lineage read, or the name given to TLS (SNI)."""

    process: ProcessKey
    source: Literal["dns", "sni"]
    name: str
    addresses: tuple[str, ...] = ()
