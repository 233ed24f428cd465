"""Which files were read below a mount, and by whom, by fanotify: a witness apart from the collector's probes.

That a file was read leaves no mark in it. The collector itself looks at files that are spoken of, and the recorder
at all of them (sight.py), so who read counts.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Container, Iterator
from pathlib import Path
from typing import Self

# linux/fanotify.h
_CLOEXEC, _NONBLOCK, _UNLIMITED_QUEUE = 0x1, 0x2, 0x10
_MARK_ADD, _MARK_MOUNT = 0x1, 0x10
_ACCESS = 0x1
_AT_FDCWD = -100
#: struct fanotify_event_metadata: its length, version, two that are not needed, mask, descriptor, process
_EVENT = struct.Struct("=IBBHQii")
_SIZE = 1 << 14


class Reads:
    """A context manager; :meth:`files` tells what was read since its beginning. Needs CAP_SYS_ADMIN."""

    def __init__(self, mount: Path) -> None:
        """``mount``: a mount point; what is read through another one is not seen."""
        self._mount = mount

    def __enter__(self) -> Self:
        library = ctypes.CDLL(None, use_errno=True)
        self._descriptor = library.fanotify_init(
            _CLOEXEC | _NONBLOCK | _UNLIMITED_QUEUE, os.O_RDONLY | os.O_CLOEXEC
        )
        if self._descriptor < 0:
            raise OSError(ctypes.get_errno(), "fanotify_init")
        mark = library.fanotify_mark
        mark.argtypes = [ctypes.c_int, ctypes.c_uint, ctypes.c_uint64, ctypes.c_int, ctypes.c_char_p]
        if mark(self._descriptor, _MARK_ADD | _MARK_MOUNT, _ACCESS, _AT_FDCWD, os.fsencode(self._mount)):
            raise OSError(ctypes.get_errno(), "fanotify_mark")
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def files(self, *, but_by: Container[int]) -> set[str]:
        """Absolute paths of what others than the processes ``but_by`` read. Raises OSError."""
        return {path for process, path in self._read() if process not in but_by}

    def _read(self) -> Iterator[tuple[int, str]]:
        while True:
            try:
                data = os.read(self._descriptor, _SIZE)
            except BlockingIOError:
                return
            at = 0
            while at < len(data):
                length, _, _, _, _, descriptor, process = _EVENT.unpack_from(data, at)
                at += length
                path = str(Path(f"/proc/self/fd/{descriptor}").readlink())
                os.close(descriptor)
                yield process, path
