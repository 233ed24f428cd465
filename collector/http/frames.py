"""Frames of HTTP/2 (RFC 9113, 4 and 6): their heads, and where in a stream of bytes one certainly begins."""

from __future__ import annotations

import struct
from typing import NamedTuple

from collector.http.head import HttpError

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEAD_SIZE = 9

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = (
    range(10)
)

END_STREAM = ACK = 0x1
END_HEADERS = 0x4
PADDED = 0x8
PRIORITY_GIVEN = 0x20

#: bytes that are searched for a frame's beginning, and bytes held of them at once
MAX_SEARCH = 1 << 20
MAX_SEARCH_HELD = 64 * 1024

_HEAD = struct.Struct(">BHBBI")
#: a frame that has one of these lengths belongs to the connection or to a stream, never to the other
_ON_CONNECTION = frozenset({SETTINGS, PING, GOAWAY})
_ON_STREAM = frozenset({DATA, HEADERS, PRIORITY, RST_STREAM, PUSH_PROMISE, CONTINUATION})
_LENGTHS = {RST_STREAM: 4, PING: 8, WINDOW_UPDATE: 4}
_FLAGS = {
    DATA: END_STREAM | PADDED,
    HEADERS: END_STREAM | END_HEADERS | PADDED | PRIORITY_GIVEN,
    SETTINGS: ACK,
    PUSH_PROMISE: END_HEADERS | PADDED,
    PING: ACK,
    CONTINUATION: END_HEADERS,
}
#: what is taken for a frame where its place must be proved first: no longer than any peer must take, no later a
#: stream than connections reach
_PLAIN_LENGTH = 16 * 1024
_PLAIN_STREAM = 1 << 24
#: heads that follow each other by their lengths, so that no other bytes do by chance
_CHAIN = 3
#: reads that may begin with a frame while an earlier one is not ruled out
_MAX_CANDIDATES = 64


class Frame(NamedTuple):
    """A frame's head."""

    length: int
    kind: int
    flags: int
    stream: int


def frame_at(data: bytes | bytearray, position: int) -> Frame:
    """The head at ``position``, which holds nine bytes. Raises HttpError("bad_frame")."""
    frame = _read(data, position)
    if not _is_valid(frame):
        raise HttpError("bad_frame")
    return frame


def _read(data: bytes | bytearray, position: int) -> Frame:
    high, low, kind, flags, stream = _HEAD.unpack_from(data, position)
    return Frame(high << 16 | low, kind, flags, stream & 0x7FFFFFFF)


def _is_valid(frame: Frame) -> bool:
    """May a peer send it? Unknown kinds may have any form; how long a frame may be is for its receiver to say."""
    kind = frame.kind
    if (kind in _ON_STREAM and not frame.stream) or (kind in _ON_CONNECTION and frame.stream):
        return False
    if kind == SETTINGS:
        return frame.length % 6 == 0 and not (frame.flags & ACK and frame.length)
    if kind == GOAWAY:
        return frame.length >= 8
    return frame.length == _LENGTHS.get(kind, frame.length)


def _is_plain(frame: Frame, reserved: int) -> bool:
    """Is it a frame as clients and servers make them, so that bytes which are none hardly look so?"""
    return (
        frame.kind <= CONTINUATION
        and frame.length <= _PLAIN_LENGTH
        and not frame.flags & ~_FLAGS.get(frame.kind, 0)
        and frame.stream < _PLAIN_STREAM
        and (frame.stream % 2 == 1 or not frame.stream)
        and not reserved & 0x80
        and _is_valid(frame)
    )


def begins_frame(start: bytes) -> bool:
    """Do these nine bytes or more begin as a frame does?"""
    return _is_plain(_read(start, 0), start[5])


def begins_frames(data: bytes | bytearray, start: int = 0) -> bool | None:
    """Do frames begin at ``start``? Yes where several follow each other, or where they end with ``data``.

    None: too early to say.
    """
    position = start
    for _ in range(_CHAIN):
        if position + HEAD_SIZE > len(data):
            rest = data[position:]
            if position == len(data) and position > start:
                return True
            return None if not any(rest[:1]) else False
        if not _is_plain(frame := _read(data, position), data[position + 5]):
            return False
        position += HEAD_SIZE + frame.length
    return True


class Search:
    """Looks for a frame where a stream was joined late or bytes were lost.

    Only the beginning of a read is tried: TLS libraries and servers hand over whole frames, while a body may hold
    bytes that look like frames because somebody put them there.
    """

    def __init__(self) -> None:
        self.held = bytearray()
        #: bytes that no frame was found in
        self.passed = 0
        self._candidates: list[int] = []

    def feed(self, data: bytes) -> bytes | None:
        """The bytes from the first certain frame on, None while there is none. Raises HttpError."""
        if len(self._candidates) < _MAX_CANDIDATES:
            self._candidates.append(len(self.held))
        self.held += data
        while self._candidates:
            start = self._candidates[0]
            begins = begins_frames(self.held, start)
            if begins:
                self.passed += start
                return bytes(self.held[start:])
            if begins is None:
                break
            del self._candidates[0]
        start = self._candidates[0] if self._candidates else len(self.held)
        if start:
            del self.held[:start]
            self.passed += start
            self._candidates = [candidate - start for candidate in self._candidates]
        if self.passed > MAX_SEARCH or len(self.held) > MAX_SEARCH_HELD:
            raise HttpError("no_frame_boundary")
        return None

    def lose(self) -> None:
        """Bytes are missing after those that were fed: nothing of them can be followed."""
        self.passed += len(self.held)
        self.held.clear()
        self._candidates.clear()
