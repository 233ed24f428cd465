"""In which framing an answer is streamed, told by its first byte: gateways serve streams under any content type.

Server-sent events begin with a field's name or a colon, JSON lines with ``{``, an array with ``[``, and the length
of an Amazon message, below 32 MiB, with 0 or 1.
"""

from __future__ import annotations

import re
from typing import Protocol

from collector.http.eventstream import MessageParser
from collector.http.ndjson import ArrayParser, LineParser
from collector.http.sse import SseEvent, SseParser

#: content types of bodies that are worth reading before they are over
STREAMED_TYPES = frozenset(
    {
        "text/event-stream",
        "application/x-ndjson",
        "application/jsonl",
        "application/vnd.amazon.eventstream",
    }
)
_BLANK = b" \t\r\n\xef\xbb\xbf"  # a byte order mark too
#: blanks that are waited through for the first byte
_MAX_BLANKS = 64
_SSE_START = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:event|data|id|retry)?:")
_LINES_START = re.compile(rb"\s*\{[^\n]*\}[ \t\r]*\n\s*\{")


class Framer(Protocol):
    """Bytes in, events out."""

    #: an event is missing: it was too large or damaged
    overflowed: bool

    def feed(self, data: bytes) -> list[SseEvent]:
        """The events that ``data`` completes."""


class StreamFramer:
    """The events of a body in whichever framing it has."""

    def __init__(self) -> None:
        self._held = b""
        self._framer: Framer | None = None

    @property
    def overflowed(self) -> bool:
        """An event is missing: it was too large or damaged."""
        return self._framer is not None and self._framer.overflowed

    def feed(self, data: bytes) -> list[SseEvent]:
        """The events that ``data`` completes."""
        if self._framer is None:
            data = self._held + data
            first = data.lstrip(_BLANK)[:1]
            if not first and len(data) <= _MAX_BLANKS:
                self._held = data
                return []
            self._held = b""
            self._framer = _framer(first)
        return self._framer.feed(data)


def _framer(first: bytes) -> Framer:
    if first == b"{":
        return LineParser()
    if first == b"[":
        return ArrayParser()
    return MessageParser() if first in (b"\x00", b"\x01") else SseParser()


def is_streamed(body: bytes, arrays: bool = False) -> bool:
    """Whether a whole ``body`` is a stream; ``arrays``: one JSON array is."""
    if body[:1] in (b"\x00", b"\x01") or _SSE_START.match(body) or _LINES_START.match(body):
        return True
    return arrays and body[:64].lstrip(_BLANK)[:1] == b"["
