"""Probes on TLS libraries as they appear: each file is looked at once, and probed only where that is certain.

A file comes here because a process of a session mapped it or became it. What cannot be probed is remembered by
process, so that a session whose agent speaks TLS unseen says so (reason ``tls_not_seen``).
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

from collector.bounded import put
from collector.kernel.libbpf import KernelError
from collector.tls.debugfile import Where
from collector.tls.discover import BlindTls, Finding, find, static_tls
from collector.tls.opening import open_mapped, open_regular

#: device and inode number
_File = tuple[int, int]

#: files whose examination is remembered; the oldest are looked at again
MAX_FILES = 4096


class Attacher(Protocol):
    """What of the kernel source is needed."""

    def attach_tls(self, binary: bytes, functions: Mapping[str, tuple[int, ...]], library: str) -> None:
        """Probes functions (name -> file offsets) of a file that holds ``library``, all or none."""


class Looked(NamedTuple):
    """What was found out about a file. ``blind`` names a TLS stack that cannot be seen."""

    probed: bool = False
    library: str = ""
    blind: str | None = None
    detail: str = ""
    rung: str = ""


class Probed(NamedTuple):
    """A file with probes: its path as it was met, which library it holds, by what its functions were found."""

    path: str
    library: str
    rung: str


_NOTHING = Looked()


class TlsProbes:
    """Attaches to each library once, whichever processes and sessions use it."""

    def __init__(self, attacher: Attacher) -> None:
        self._attacher = attacher
        self._known: OrderedDict[_File, Looked] = OrderedDict()
        self._programs: OrderedDict[_File, Looked] = OrderedDict()
        #: by what stat(2) says of the file, which is the same wherever it was met. Never forgotten: with two probes
        #: at one place what Go and rustls say would be told twice
        self._attached: dict[_File, Looked] = {}
        self.probed: list[Probed] = []

    @property
    def libraries(self) -> list[str]:
        """Paths of the files that are probed, as they were met."""
        return [row.path for row in self.probed]

    def mapped(self, pid: int, path: str, dev: int, ino: int) -> Looked:
        """A process mapped the file ``path`` (as it sees it) executable."""
        known = self._known.get((dev, ino))
        if known is not None:
            return known
        fd = open_mapped(pid, path, ino)
        if fd is None:
            return _NOTHING  # gone already, and with it the process that could have spoken
        try:
            return self._look(fd, Where(f"/proc/{pid}/root", path), (dev, ino))
        finally:
            os.close(fd)

    def preload(self, path: Path) -> Looked:
        """Looks at a file before anyone maps it."""
        fd = open_regular(path)
        if fd is None:
            return _NOTHING
        try:
            return self._look(fd, _met_at(path))
        finally:
            os.close(fd)

    def program(self, pid: int, ino: int | None) -> Looked:
        """Does the program that ``pid`` runs (inode ``ino``, where that is known) have a TLS of its own built in?

        Looks through the whole file once, so it is asked when it matters: the process talks to a model.
        """
        fd = open_regular(f"/proc/{pid}/exe", ino)
        if fd is None:
            return _NOTHING  # gone already, another program, or another process under the same number
        try:
            return self._built_in(fd)
        finally:
            os.close(fd)

    def stack(self, path: Path) -> Looked:
        """What TLS the file ``path`` has, asked of a file that nobody runs; it is probed if it can be."""
        fd = open_regular(path)
        if fd is None:
            return _NOTHING
        try:
            looked = self._look(fd, _met_at(path))
            return looked if looked != _NOTHING else self._built_in(fd)
        finally:
            os.close(fd)

    def _built_in(self, fd: int) -> Looked:
        file = _identity(fd)
        known = self._programs.get(file)
        if known is None:
            looked = self._remembered(file)
            unseen = find(fd) is None if looked is None else looked == _NOTHING
            found = static_tls(fd) if unseen else None
            known = Looked(blind=found.name, detail=found.detail) if found is not None else _NOTHING
            put(self._programs, file, known, MAX_FILES)
        return known

    def _look(self, fd: int, where: Where, key: _File | None = None) -> Looked:
        """``key``: by what the kernel knows the file, which may tell another device than stat(2)."""
        file = _identity(fd)
        looked = self._remembered(file) or self._examine(fd, where)
        if looked.probed and file not in self._attached:
            self._attached[file] = looked
            self.probed.append(Probed(where.path, looked.library, looked.rung))
        for name in (file, key or file):
            put(self._known, name, looked, MAX_FILES)
        return looked

    def _remembered(self, file: _File) -> Looked | None:
        return self._attached.get(file) or self._known.get(file)

    def _examine(self, fd: int, where: Where) -> Looked:
        found = find(fd, where)
        if found is None:
            return _NOTHING
        if isinstance(found, BlindTls):
            return Looked(blind=found.name, detail=found.detail)
        return self._attach(fd, found)

    def _attach(self, fd: int, found: Finding) -> Looked:
        if found.reason is not None:
            return Looked(library=found.library, blind="tls_library_refused", detail=found.reason)
        for offset, code in found.prologue.items():
            # The very bytes that were read as a function must still be there.
            if os.pread(fd, len(code), offset) != code:
                return Looked(library=found.library, blind="tls_library_refused", detail="changed while read")
        try:
            self._attacher.attach_tls(f"/proc/self/fd/{fd}".encode(), found.functions, found.library)
        except KernelError as error:
            return Looked(library=found.library, blind="tls_library_refused", detail=str(error))
        return Looked(probed=True, library=found.library, rung=found.rung)


def _met_at(path: Path) -> Where:
    return Where(path=str(path.absolute()))


def _identity(fd: int) -> _File:
    state = os.fstat(fd)
    return state.st_dev, state.st_ino
