"""Openings of ordinary files for reading, packed: the rows of :class:`~polygraph.events.Reads`. Pure.

A search over a tree opens files faster than Python can handle a value for each, and almost none of them ever
matters to a verdict. So the rows stay as the kernel wrote them (struct pg_opened of bpf/wire.h, behind the 8 bytes
of a ring's header), compressed with zstd, and are taken apart when someone asks.

Among them are rows that tell how far a file was read, where that was less than the whole (:class:`Extent`).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import zstandard

#: bits of struct pg_opened's ``entry`` and values in it, as bpf/wire.h has them
_EXTENT, ALL_PAGES = 1 << 63, 0x7FFFFFFF
#: bytes of a page
PAGE = 4096

#: header of the ring, handle of the session, inode, start of the process (ns), time (ns), entry, device, pid
ROW = struct.Struct("=8xQQQQQII")
#: bytes of rows that a reader accepts in one event
_LIMIT = 256 << 20


class Opening(NamedTuple):
    """One open(2) for reading that succeeded. ``dev`` as stat(2) tells it, ``ts`` in ns since boot.

    ``entry``: the directory entry by which it was opened, as a number: a hash of directory and name; 0: not known.
    """

    process: str
    dev: int
    ino: int
    ts: int
    entry: int = 0


class Extent(NamedTuple):
    """How far a file was read by the process that had opened it at ``ts``: a bound from above, in pages of 4,096 bytes.

    ``pages`` were asked for at most, of ``of`` that it had when it was opened; ``pages`` < ``of``. Or ``pages`` is
    None: from ``ts`` on (or before) somebody read the file in a way that is not followed, and nothing is known of it.
    """

    process: str
    dev: int
    ino: int
    ts: int
    pages: int | None
    of: int = 0


def _users(dev: int) -> int:
    """A dev_t of the kernel (12 bits major, 20 bits minor) as makedev(3) of glibc has it."""
    major, minor = dev >> 20, dev & 0xFFFFF
    return (minor & 0xFFF00) << 12 | major << 8 | minor & 0xFF


def _kernels(dev: int) -> int:
    """The reverse."""
    return (dev >> 8 & 0xFFF) << 20 | dev >> 12 & 0xFFF00 | dev & 0xFF


def pack(rows: bytes) -> bytes:
    """Rows of :data:`ROW`, as the kernel wrote them, for an event."""
    return zstandard.ZstdCompressor(level=1).compress(rows)


def packed(rows: Iterable[Opening | Extent]) -> bytes:
    """The same from values."""
    packed_rows = []
    for row in rows:
        pid, start = row.process.split(":")
        if isinstance(row, Extent):
            entry = _EXTENT | (ALL_PAGES if row.pages is None else row.pages) << 32 | row.of
        else:
            entry = row.entry
        packed_rows.append(ROW.pack(0, row.ino, int(start), row.ts, entry, _kernels(row.dev), int(pid)))
    return pack(b"".join(packed_rows))


def size_of(data: bytes) -> int:
    """How many rows they are, without unpacking them; 0 of what is no packed rows."""
    try:
        return min(max(zstandard.frame_content_size(data), 0), _LIMIT) // ROW.size
    except zstandard.ZstdError:
        return 0


def unpack(data: bytes) -> Iterator[Opening | Extent]:
    """The rows, in the order in which they came about on each CPU. Nothing of what is no packed rows."""
    try:
        rows = zstandard.ZstdDecompressor().decompress(data, max_output_size=_LIMIT)
    except zstandard.ZstdError:
        return
    devices: dict[int, int] = {}
    for _session, ino, start, ts, entry, number, pid in ROW.iter_unpack(
        rows[: len(rows) // ROW.size * ROW.size]
    ):
        device = devices.get(number)
        if device is None:
            device = devices[number] = _users(number)
        if entry & _EXTENT:
            pages = entry >> 32 & ALL_PAGES
            known = pages if pages != ALL_PAGES else None
            yield Extent(f"{pid}:{start}", device, ino, ts, known, entry & 0xFFFFFFFF)
        else:
            yield Opening(f"{pid}:{start}", device, ino, ts, entry)
