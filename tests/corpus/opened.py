"""Which files of the project were opened during a session, by inotify: a witness that shares nothing with the collector.

That a file was read leaves no mark in it. Watched are the folders that are there when the session begins, hidden ones
(git's, environments) aside.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterator
from pathlib import Path

# sys/inotify.h
_IN_OPEN, _IN_Q_OVERFLOW, _IN_ISDIR, _IN_ONLYDIR = 0x20, 0x4000, 0x40000000, 0x1000000
#: struct inotify_event: watch, mask, cookie, length of the name that follows
_EVENT = struct.Struct("iIII")
_SIZE = 1 << 16


class Opened:
    """A context manager; :meth:`files` tells what was opened since its beginning."""

    def __init__(self, project: Path) -> None:
        self._project = project
        self._folders: dict[int, Path] = {}

    def __enter__(self) -> Opened:
        library = ctypes.CDLL(None, use_errno=True)
        self._descriptor = library.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._descriptor < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1")
        for folder, below, _ in os.walk(self._project):
            below[:] = [name for name in below if not name.startswith(".")]
            watch = library.inotify_add_watch(self._descriptor, os.fsencode(folder), _IN_OPEN | _IN_ONLYDIR)
            if watch < 0:
                raise OSError(ctypes.get_errno(), "inotify_add_watch")
            self._folders[watch] = Path(folder).relative_to(self._project)
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def files(self) -> set[str]:
        """Paths relative to the project. Raises OSError when the kernel dropped some."""
        return set(self._read())

    def _read(self) -> Iterator[str]:
        while True:
            try:
                data = os.read(self._descriptor, _SIZE)
            except BlockingIOError:
                return
            at = 0
            while at < len(data):
                watch, mask, _, length = _EVENT.unpack_from(data, at)
                at += _EVENT.size + length
                if mask & _IN_Q_OVERFLOW:
                    raise OSError("inotify dropped events")
                if not mask & _IN_ISDIR:
                    name = data[at - length : at].rstrip(b"\0")
                    yield str(self._folders[watch] / os.fsdecode(name))
