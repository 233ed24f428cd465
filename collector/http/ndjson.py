"""JSON values one after the other, incrementally: a line each, or the elements of one array.

Lines are what Ollama streams (application/x-ndjson, https://github.com/ndjson/ndjson-spec). Google's APIs stream one
array where no event stream is asked for. The value is only cut out here; whether it is JSON is for who reads it.
"""

from __future__ import annotations

import re

from collector.http.sse import MAX_EVENT, SseEvent

_TOKEN = re.compile(rb'["{}\[\]]')
_STRING_TOKEN = re.compile(rb'["\\]')


class _Parser:
    """Holds the value that was begun, within bounds."""

    def __init__(self, limit: int = MAX_EVENT) -> None:
        self._limit = limit
        self._held = bytearray()
        self._dropping = False
        self._offset = 0
        #: a value was too large and is missing
        self.overflowed = False

    def _hold(self, part: bytes) -> None:
        if len(self._held) + len(part) > self._limit:
            self._dropping = self.overflowed = True
            self._held.clear()
        if not self._dropping:
            self._held += part

    def _taken(self) -> bytes:
        """The value, which is over: empty if it was too large."""
        whole = bytes(self._held)
        self._held.clear()
        self._dropping = False
        return whole


class LineParser(_Parser):
    """Bytes in, an event for each line that is not empty; the same events however the bytes were cut."""

    def feed(self, data: bytes) -> list[SseEvent]:
        """The events that ``data`` completes."""
        events: list[SseEvent] = []
        *lines, tail = data.split(b"\n")
        for line in lines:
            self._offset += len(line) + 1
            self._hold(line)
            whole = self._taken().strip()
            if whole:
                events.append(SseEvent("", whole, self._offset))
        self._offset += len(tail)
        self._hold(tail)
        return events


class ArrayParser(_Parser):
    """Bytes of one JSON array in, an event for each object that is an element of it.

    Only brackets and strings are looked at, each byte once. What follows the array is passed over.
    """

    def __init__(self, limit: int = MAX_EVENT) -> None:
        super().__init__(limit)
        self._depth = 0
        self._in_string = self._escaped = self._closed = False

    def feed(self, data: bytes) -> list[SseEvent]:
        """The events that ``data`` completes."""
        events: list[SseEvent] = []
        at = start = 0
        if self._escaped and data:
            self._escaped = False
            at = 1
        while not self._closed:
            found = (_STRING_TOKEN if self._in_string else _TOKEN).search(data, at)
            if found is None:
                break
            at = found.end()
            token = found.group()
            if token == b'"':
                self._in_string = not self._in_string
            elif token == b"\\":
                self._escaped = at == len(data)
                at += 1
            elif token in b"{[":
                if self._depth == 1:
                    start = at - 1
                self._depth += 1
            else:
                self._depth -= 1
                self._closed = self._depth <= 0
                if self._depth == 1:
                    self._hold(data[start:at])
                    whole = self._taken()
                    if whole and token == b"}":
                        events.append(SseEvent("", whole, self._offset + at))
        if self._depth > 1:
            self._hold(data[start:])
        self._offset += len(data)
        return events
