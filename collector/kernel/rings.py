"""Ring buffers of the kernel (BPF_MAP_TYPE_RINGBUF), read without libbpf.

libbpf maps every ring twice and the kernel fills such a mapping at once: 96 MB resident for rings of 48 MB. Here
only the part that holds unread records is mapped, while it is read. And libbpf asks to be told as long as there is
something to read, so a reader never rests while records come; here a wake-up counts once, and what was sent
without one waits for the next look.

The layout is the kernel's interface (kernel/bpf/ringbuf.c): a page with the reader's position, one with the
writer's, then the data, twice in a row so that no record is torn. Each record has a header of 8 bytes, whose first
word is its length and two flags. Order of memory: x86-64, as all of bpf/.
"""

from __future__ import annotations

import mmap
import select
from collections.abc import Iterable

_PAGE = mmap.PAGESIZE
_HEADER = 8
_BUSY = 1 << 31  # BPF_RINGBUF_BUSY_BIT, include/uapi/linux/bpf.h: being written
_DISCARDED = 1 << 30  # BPF_RINGBUF_DISCARD_BIT
_LENGTH = _DISCARDED - 1

#: bytes mapped at once; no record is that long
WINDOW = 1 << 20


class Ring:
    """One ring. ``size``: bytes of its data, a power of two."""

    def __init__(self, fd: int, size: int) -> None:
        """Raises OSError when the ring cannot be mapped."""
        self.fd = fd
        self.size = size
        self._reader = memoryview(
            mmap.mmap(fd, _PAGE, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
        ).cast("Q")
        writer = mmap.mmap(fd, _PAGE, mmap.MAP_SHARED, mmap.PROT_READ, offset=_PAGE)
        self._writer = memoryview(writer).cast("Q")

    def pending(self) -> bool:
        """Whether something is there, be it still in the making."""
        return self._writer[0] > self._reader[0]

    def unread(self) -> int:
        """Bytes that are not read yet."""
        return self._writer[0] - self._reader[0]

    def read(self, into: list[bytes]) -> None:
        """Takes the records that are complete, in their order, up to the first one in the making."""
        until = self._writer[0]  # not further: a fast writer must not keep us here
        while self._reader[0] < until:
            at = self._reader[0]
            first = at & (self.size - 1)
            base = first & -_PAGE
            length = min(first - base + until - at, WINDOW)
            with mmap.mmap(
                self.fd, length, mmap.MAP_SHARED, mmap.PROT_READ, offset=2 * _PAGE + base
            ) as window:
                taken = _records(window, first - base, length, into)
            self._reader[0] = at + taken
            if not taken:
                return

    def rows(self, size: int) -> bytes:
        """As :meth:`read`, of a ring whose records all have ``size`` bytes: they are handed out with their headers."""
        stride = _HEADER + size
        until, taken = self._writer[0], []
        while (at := self._reader[0]) < until:
            first = at & (self.size - 1)
            base = first & -_PAGE
            count = min(until - at, WINDOW) // stride
            with mmap.mmap(
                self.fd,
                first - base + count * stride,
                mmap.MAP_SHARED,
                mmap.PROT_READ,
                offset=2 * _PAGE + base,
            ) as window:
                rows = window[first - base :]
            heads = memoryview(rows).cast("I")[:: stride >> 2].tolist()
            if heads.count(size) < count:  # one is being written
                count = next(index for index, head in enumerate(heads) if head != size)
                until = at
            taken.append(rows[: count * stride])
            self._reader[0] = at + count * stride
        return b"".join(taken)


def _records(window: mmap.mmap, at: int, end: int, into: list[bytes]) -> int:
    """Takes the records that lie in ``window`` from ``at`` to ``end`` whole: how many bytes they are."""
    began = at
    words = memoryview(window)[: end & -_HEADER].cast("I")
    try:
        while at < end:
            head = words[at >> 2]
            if head & _BUSY:
                break
            length = head & _LENGTH
            following = at + (_HEADER + length + 7 & -8)
            if following > end:
                break  # the window ends within it: the next one begins with it
            if not head & _DISCARDED:
                into.append(window[at + _HEADER : at + _HEADER + length])
            at = following
    finally:
        words.release()
    return at - began


class Rings:
    """Rings that are waited for together."""

    def __init__(self, rings: Iterable[Ring], apart: Iterable[Ring] = ()) -> None:
        """``apart``: rings that wake us as well, and are read by others. Raises OSError."""
        self._rings = tuple(rings)
        self._told = select.epoll()
        for ring in (*self._rings, *apart):
            self._told.register(ring.fd, select.EPOLLIN | select.EPOLLET)

    def pending(self) -> bool:
        """Whether any of them holds something."""
        return any(ring.pending() for ring in self._rings)

    def wait(self, timeout_ms: int) -> bool:
        """Waits for a wake-up, at most ``timeout_ms``: whether one came."""
        return bool(self._told.poll(timeout_ms / 1000))

    def read(self) -> list[bytes]:
        """All that is there, ring by ring."""
        records: list[bytes] = []
        for ring in self._rings:
            ring.read(records)
        return records

    def close(self) -> None:
        """No more waiting."""
        self._told.close()
