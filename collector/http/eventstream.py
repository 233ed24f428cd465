"""Amazon event stream messages (application/vnd.amazon.eventstream), incrementally.

Format: https://smithy.io/2.0/aws/amazon-eventstream.html. A message is its total length and the length of its headers
(4 bytes each, big-endian), the CRC-32 of these 8 bytes, the headers, the payload, and the CRC-32 of all before it.
"""

from __future__ import annotations

import struct
import zlib

from collector.http.sse import MAX_EVENT, SseEvent

_PRELUDE = struct.Struct(">III")
_CRC = struct.Struct(">I")
_LENGTH = struct.Struct(">H")
#: bytes around headers and payload
_FRAME = _PRELUDE.size + _CRC.size
#: most bytes of the headers of one message, as in the format's definition
_MAX_HEADERS = 128 * 1024
#: bytes of a header's value by its type; bytes (6) and text (7) have a length of their own
_SIZES = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
_BYTES, _TEXT = 6, 7
#: which header names the message, by the kind that ``:message-type`` says it is
_NAMES = {"event": ":event-type", "exception": ":exception-type", "error": ":error-code"}


class MessageParser:
    """Bytes in, an event for each message; the same events however the bytes were cut.

    ``event`` is the message's type; that of an exception or an error follows ``!``. A message whose sums are wrong, or
    whose lengths cannot be, ends the reading: where the next one begins is not known.
    """

    def __init__(self, limit: int = MAX_EVENT) -> None:
        self._limit = limit
        self._held = bytearray()
        self._skip = 0  # bytes of a message that is too large
        self._offset = 0  # of the message begun
        self._over = False
        #: a message was too large or damaged and is missing, and all after a damaged one
        self.overflowed = False

    def feed(self, data: bytes) -> list[SseEvent]:
        """The events that ``data`` completes."""
        events: list[SseEvent] = []
        if self._over:
            return events
        skipped = min(self._skip, len(data))
        self._skip -= skipped
        self._held += data[skipped:] if skipped else data
        at = 0
        while not self._over and len(self._held) - at >= _PRELUDE.size:
            total, headers, crc = _PRELUDE.unpack_from(self._held, at)
            begin = at + _PRELUDE.size
            if zlib.crc32(self._held[at : begin - _CRC.size]) != crc or not _fits(total, headers):
                self._give_up()
                break
            if total > self._limit:
                self.overflowed = True
                self._skip = max(0, total - (len(self._held) - at))
                at += min(total, len(self._held) - at)
                self._offset += total
                continue
            end = at + total
            if len(self._held) < end:
                break
            if _CRC.unpack_from(self._held, end - _CRC.size)[0] != zlib.crc32(
                self._held[at : end - _CRC.size]
            ):
                self._give_up()
                break
            name = _name(bytes(self._held[begin : begin + headers]))
            if name is None:
                self._give_up()
                break
            self._offset += total
            payload = bytes(self._held[begin + headers : end - _CRC.size])
            events.append(SseEvent(name, payload, self._offset))
            at = end
        del self._held[:at]
        return events

    def _give_up(self) -> None:
        self._over = self.overflowed = True
        self._held.clear()


def _fits(total: int, headers: int) -> bool:
    return headers <= _MAX_HEADERS and total >= _FRAME + headers


def _name(headers: bytes) -> str | None:
    """The type of a message by its headers; None where they are none."""
    known: dict[str, str] = {}
    at = 0
    while at < len(headers):
        name_end = at + 1 + headers[at]
        if name_end >= len(headers):
            return None
        kind = headers[name_end]
        value = name_end + 1
        if kind in (_BYTES, _TEXT):
            if value + _LENGTH.size > len(headers):
                return None
            size = _LENGTH.unpack_from(headers, value)[0]
            value += _LENGTH.size
        elif kind in _SIZES:
            size = _SIZES[kind]
        else:
            return None
        if value + size > len(headers):
            return None
        if kind == _TEXT:
            name = headers[at + 1 : name_end].decode("utf-8", "replace")
            known[name] = headers[value : value + size].decode("utf-8", "replace")
        at = value + size
    kind_of = known.get(":message-type", "event")
    name = known.get(_NAMES.get(kind_of, ""), "")
    return name if kind_of == "event" else f"!{name}"
