"""A spool: records that wait on the disk until the broker has them. Bounded; the oldest are dropped, and counted.

Recovery rule. A folder of segments, each named after the number of its first record; records follow each other in
them, each with its length and a CRC-32 of what comes behind. A writer only ever appends to the newest segment, and a
segment is removed when the broker has all of its records, or when room is needed. So what is there after a crash at any
byte is whole records and at most one that was cut off at the end of the newest segment, which is cut away: nobody was
told that it was written. A CRC that does not fit anywhere else is damage of the disk: the rest of that segment is
unreadable, and counted. Whoever reads the log sees what is missing by the numbers of the batches (batches.py).

What was sent and not removed yet is sent again after a restart. Nothing is synchronised to the disk: the record of a
process that was killed is in the kernel's hands; of a machine that lost its power the last seconds are gone.
"""

from __future__ import annotations

import errno
import os
import struct
import threading
import zlib
from collections import Counter, deque
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from polygraph.errors import PolygraphError

#: bytes of a segment; so much is sent again after a restart at most, and dropped at once at least
SEGMENT = 4 * 1024 * 1024
_SUFFIX = ".spool"
#: length of what follows the CRC; CRC
_FRAME = struct.Struct("<II")
#: events, first and next number, length of the key
_HEAD = struct.Struct("<IQQH")
#: bytes; a length beyond is none
_LONGEST = 64 * 1024 * 1024


class SpoolError(PolygraphError):
    """The folder cannot be used."""


class Entry(NamedTuple):
    """One record. ``number`` rises; ``events`` lie in ``value``, numbered ``first`` to ``next`` (not included)."""

    number: int
    key: str
    value: bytes
    events: int
    first: int
    next: int


class _Segment(NamedTuple):
    path: Path
    first: int
    size: int


class Spool:
    """One writer and one reader, which may be two threads. Counts are since it was opened."""

    def __init__(self, folder: Path, limit: int, segment: int = SEGMENT) -> None:
        """``limit`` in bytes, at least two segments. Raises SpoolError."""
        self._folder, self._limit, self._size_of_segment = folder, limit, min(segment, limit // 2)
        self._lock = threading.Lock()
        self._segments: deque[_Segment] = deque()
        self._file: int | None = None
        #: where the reader was: the record of that number stands at that byte
        self._read_until = (folder, 0, 0)
        #: the broker has what comes before
        self._done = 0
        #: events that were dropped, by key: for want of room
        self.dropped: Counter[str] = Counter()
        #: bytes that could not be read: cut off, damaged
        self.cut_off = self.damaged = 0
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._recover()
        except OSError as error:
            raise SpoolError(
                f"cannot use the spool at {folder}: {error}", "set [collector] spool to a writable folder"
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            if self._file is not None:
                os.close(self._file)
                self._file = None

    @property
    def size(self) -> int:
        """Bytes on the disk."""
        with self._lock:
            return sum(segment.size for segment in self._segments)

    @property
    def next(self) -> int:
        """Number of the next record."""
        return self._next

    def append(self, key: str, value: bytes, events: int, first: int, following: int) -> bool:
        """Writes a record; drops the oldest ones for it where there is no room. False: it was dropped itself."""
        name = key.encode("utf-8", "surrogateescape")
        body = _HEAD.pack(events, first, following, len(name)) + name + value
        frame = _FRAME.pack(len(body), zlib.crc32(body)) + body
        with self._lock:
            while sum(segment.size for segment in self._segments) + len(frame) > self._limit:
                if not self._drop_oldest():
                    self.dropped[key] += events
                    return False
            while True:
                try:
                    self._write(frame)
                except OSError as error:
                    if (
                        error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
                        or not self._drop_oldest()
                    ):
                        self.dropped[key] += events
                        return False
                    continue
                self._next += 1
                return True

    def _write(self, frame: bytes) -> None:
        """All of it or nothing."""
        newest = self._segments[-1] if self._segments else None
        if self._file is None or newest is None or newest.size + len(frame) > self._size_of_segment:
            if self._file is not None:
                os.close(self._file)
                self._file = None
            path = self._folder / f"{self._next:016d}{_SUFFIX}"
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            newest = _Segment(path, self._next, 0)
            self._segments.append(newest)
        try:
            written = 0
            while written < len(frame):
                written += os.pwrite(self._file, frame[written:], newest.size + written)
        except OSError:
            os.ftruncate(self._file, newest.size)
            raise
        self._segments[-1] = newest._replace(size=newest.size + len(frame))

    def _drop_oldest(self) -> bool:
        """Whether there was a segment to drop. What is being written to is dropped as well, if it is the only one."""
        if not self._segments or not self._segments[0].size:
            return False
        oldest = self._segments.popleft()
        for entry in self._entries(oldest, self._done):
            self.dropped[entry.key] += entry.events
        if not self._segments and self._file is not None:
            os.close(self._file)
            self._file = None
        oldest.path.unlink()
        return True

    def read(self, number: int, most: int) -> list[Entry]:
        """At most ``most`` records from ``number`` on; those that were dropped are left out."""
        found: list[Entry] = []
        with self._lock:
            for place, segment in enumerate(self._segments):
                last = place + 1 == len(self._segments)
                if not last and self._segments[place + 1].first <= number:
                    continue
                for entry in self._entries(segment, number):
                    found.append(entry)
                    if len(found) == most:
                        return found
        return found

    def done(self, number: int) -> None:
        """The broker has all records before ``number``: segments that hold no other are removed."""
        with self._lock:
            self._done = max(self._done, number)
            while len(self._segments) > 1 and self._segments[1].first <= number:
                self._segments.popleft().path.unlink()
            if self._segments and number >= self._next and self._segments[0].size:
                os.close(self._file) if self._file is not None else None
                self._file = None
                self._segments.popleft().path.unlink()

    def _entries(self, segment: _Segment, number: int) -> Iterator[Entry]:
        current, begin = segment.first, 0
        if self._read_until[0] == segment.path and self._read_until[1] <= number:
            _, current, begin = self._read_until
        with segment.path.open("rb") as file:
            file.seek(begin)
            data = file.read(segment.size - begin)
        offset = 0
        while (body := _body(data, offset)) is not None:
            if current >= number:
                self._read_until = (segment.path, current, begin + offset)
                events, first, following, length = _HEAD.unpack_from(body)
                key = body[_HEAD.size : _HEAD.size + length].decode("utf-8", "surrogateescape")
                yield Entry(current, key, body[_HEAD.size + length :], events, first, following)
            offset += _FRAME.size + len(body)
            current += 1

    # --- after a crash ---------------------------------------------------------------------------

    def _recover(self) -> None:
        self._next = 0
        paths = sorted(self._folder.glob(f"*{_SUFFIX}"))
        for place, path in enumerate(paths):
            data = path.read_bytes()
            count, good = _whole(data)
            first = int(path.name.removesuffix(_SUFFIX))
            if good < len(data):
                if place + 1 == len(paths):
                    self.cut_off += len(data) - good
                else:
                    self.damaged += len(data) - good
                os.truncate(path, good)
            self._next = max(self._next, first + count)
            if good:
                self._segments.append(_Segment(path, first, good))
            else:
                path.unlink()


def _body(data: bytes, offset: int) -> bytes | None:
    """What stands at ``offset``, if it is whole."""
    if offset + _FRAME.size > len(data):
        return None
    length, crc = _FRAME.unpack_from(data, offset)
    begin = offset + _FRAME.size
    if not _HEAD.size <= length <= _LONGEST or begin + length > len(data):
        return None
    body = data[begin : begin + length]
    return body if zlib.crc32(body) == crc else None


def _whole(data: bytes) -> tuple[int, int]:
    """Whole records from the beginning on: their number, their bytes."""
    count = offset = 0
    while (body := _body(data, offset)) is not None:
        count += 1
        offset += _FRAME.size + len(body)
    return count, offset
