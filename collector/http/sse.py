"""Server-sent events, incrementally (WHATWG HTML, "9.2.6 Interpreting an event stream")."""

from __future__ import annotations

from typing import NamedTuple

#: most bytes of one event; a larger one is dropped and ``overflowed`` set
MAX_EVENT = 8 * 1024 * 1024

_BOM = b"\xef\xbb\xbf"


class SseEvent(NamedTuple):
    """One event. ``data`` are the bytes of its data lines, joined by LF.

    ``end`` is the offset of its end in the stream with every line end counted as one byte.
    """

    event: str
    data: bytes
    end: int


class SseParser:
    """Bytes in, events out; the same events however the bytes were cut."""

    def __init__(self, limit: int = MAX_EVENT) -> None:
        self._limit = limit
        self._held = bytearray()  # the line begun
        self._held_size = 0  # its size, also while it is dropped
        self._size = 0  # bytes of the event's lines so far
        self._skip_lf = False
        self._first = True
        self._data: list[bytes] = []
        self._event = b""
        self._dropping = False
        self._offset = 0
        #: an event was too large and is missing
        self.overflowed = False

    def feed(self, data: bytes) -> list[SseEvent]:
        """The events that ``data`` completes."""
        if self._skip_lf and data:
            self._skip_lf = False
            if data[:1] == b"\n":
                data = data[1:]
        if b"\r" in data:
            self._skip_lf = data.endswith(b"\r")
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, tail = data.split(b"\n")
        events: list[SseEvent] = []
        if lines and self._held_size:
            size = self._held_size + len(lines[0])
            line = bytes(self._held + lines.pop(0))
            self._held.clear()
            self._held_size = 0
            self._line(line, size, events)
        for line in lines:
            self._line(line, len(line), events)
        if tail:
            self._held_size += len(tail)
            if self._size + self._held_size > self._limit:
                self._drop()
            if not self._dropping:
                self._held += tail
        return events

    def _drop(self) -> None:
        self._dropping = self.overflowed = True
        self._held.clear()
        self._data.clear()

    def _line(self, line: bytes, size: int, events: list[SseEvent]) -> None:
        self._offset += size + 1
        if not size:
            if self._data and not self._dropping:
                event = SseEvent(self._event.decode("utf-8", "replace"), b"\n".join(self._data), self._offset)
                if event.data:
                    events.append(event)
            self._data = []
            self._event = b""
            self._size = 0
            self._dropping = self._first = False
            return
        self._size += size
        if self._size > self._limit:
            self._drop()
        if self._dropping:
            self._first = False
            return
        if self._first:
            self._first = False
            line = line.removeprefix(_BOM)
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            self._data.append(value)
        elif field == b"event":
            self._event = value
