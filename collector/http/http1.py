"""HTTP/1.1 as seen from beside one end of a connection: both byte streams in, messages out.

A reader that only observes cannot ask again, so it must survive what a client library need not: bytes that
are missing, streams joined late, messages that two parsers would read differently. Framing is RFC 9112;
what is ambiguous there is given up with its cause.
"""

from __future__ import annotations

from collections import deque
from enum import Enum, auto
from typing import Literal

from collector.http.events import (
    ConnectionLost,
    Direction,
    Gap,
    HttpEvent,
    Wanted,
    any_exchange,
    is_success,
    other,
)
from collector.http.head import (
    MAX_HEAD,
    NO_HEAD,
    REQUEST_START,
    RESPONSE_START,
    Head,
    HttpError,
    body_length,
    check_start,
    looks_like_response,
    parse_head,
)
from collector.http.message import Message
from collector.http.upgrade import Inner, Inside, Upgrade

#: most requests that wait for their response at once
MAX_OUTSTANDING = 64
#: most bytes of a chunk-size line, extensions included
_MAX_CHUNK_LINE = 1024
_HEX = frozenset(b"0123456789abcdefABCDEF")


class _State(Enum):
    HEAD = auto()
    LENGTH = auto()
    CHUNK_SIZE = auto()
    CHUNK_DATA = auto()
    CHUNK_END = auto()
    TRAILERS = auto()
    UNTIL_CLOSE = auto()
    LOST = auto()


class _Side:
    """One direction: its state and what is held of an unfinished line or head."""

    def __init__(self, direction: Direction) -> None:
        self.direction: Direction = direction
        self.state = _State.HEAD
        self.response: bool | None = None
        self.held = bytearray()
        self.first_ts = 0
        self.remaining = 0
        self.message: Message | None = None


class Http1Connection:
    """Messages of one connection, from the bytes of both directions.

    Which side is the client is told by which one begins with a request line. ``wanted(method, target, headers)`` says
    which exchanges' bodies are of interest; those of others are neither decoded nor kept (``body`` is empty).
    ``first_index`` numbers the first request; ``inside`` gives the reader of what follows an upgrade.
    """

    def __init__(
        self,
        wanted: Wanted = any_exchange,
        first_index: int = 0,
        inside: Inside = lambda _upgrade: None,
    ) -> None:
        self._wanted = wanted
        self._inside = inside
        self._inner: Inner | None = None
        self._sides: dict[Direction, _Side] = {"sent": _Side("sent"), "received": _Side("received")}
        #: requests whose response is not over
        self._waiting: deque[Message] = deque()
        self._requests = first_index
        self._over = False
        self._events: list[HttpEvent] = []

    def feed(self, direction: Direction, data: bytes, ts: int, missing: int = 0) -> list[HttpEvent]:
        """What ``data`` completes. ``missing`` bytes were lost just before it; ``ts`` is in ns.

        Never raises; after :class:`ConnectionLost` it gives nothing more.
        """
        if self._over:
            return []
        if self._inner is not None:
            return list(self._inner.feed(direction, data, ts, missing))
        side = self._sides[direction]
        try:
            if missing > 0:
                self._gap(side, missing, ts)
            if data and (side.state is not _State.LOST or self._resumes(side, data)):
                self._bytes(side, data, ts)
        except HttpError as error:
            self._give_up(error.cause, missing, ts)
        return self._take()

    def close(self, ts: int) -> list[HttpEvent]:
        """The connection is closed: what is unfinished is over, complete only where closing is its end."""
        if self._over:
            return []
        if self._inner is not None:
            self._over = True
            return list(self._inner.close(ts))
        for side in self._in_order():
            if side.message is not None:
                if side.state is not _State.UNTIL_CLOSE:
                    side.message.fail("closed")
                self._end(side, ts)
            elif side.state is _State.HEAD and side.held:
                self._events.append(ConnectionLost(cause="closed", missing=0, ts=ts))
        self._over = True
        return self._take()

    @property
    def held(self) -> int:
        """Bytes that are kept of messages that are not over, those given as :class:`BodyPart` included."""
        inner = self._inner.held if self._inner is not None else 0
        return inner + sum(
            len(side.held) + (side.message.size if side.message is not None else 0)
            for side in self._sides.values()
        )

    # --- bytes -----------------------------------------------------------------------------------

    def _bytes(self, side: _Side, data: bytes, ts: int) -> None:
        position = 0
        while position < len(data) and not self._over:
            if self._inner is not None:
                self._events += self._inner.feed(side.direction, data[position:], ts)
                return
            match side.state:
                case _State.HEAD:
                    position = self._head_bytes(side, data, position, ts)
                case _State.LENGTH | _State.CHUNK_DATA:
                    piece = data[position : position + side.remaining]
                    position += len(piece)
                    side.remaining -= len(piece)
                    self._body(side, piece, ts)
                    if not side.remaining:
                        self._body_counted(side, ts)
                case _State.UNTIL_CLOSE:
                    self._body(side, data[position:], ts)
                    return
                case _State.LOST:
                    return
                case _:
                    position = self._chunk_line(side, data, position, ts)

    def _body_counted(self, side: _Side, ts: int) -> None:
        if side.state is _State.CHUNK_DATA:
            side.state = _State.CHUNK_END
        else:
            self._end(side, ts)

    def _head_bytes(self, side: _Side, data: bytes, position: int, ts: int) -> int:
        if not side.held:
            if data[position] in b"\r\n":  # empty lines before a message are allowed (RFC 9112, 2.2)
                return position + 1
            side.first_ts = ts
        before = len(side.held)
        side.held += data[position : position + MAX_HEAD - before]
        start = bytes(side.held[: 16 * 1024]) if before < 16 * 1024 else b""
        if side.response is None:
            side.response = looks_like_response(start)
            if side.response is None:
                return len(data)
            if self._other(side).response is side.response:
                raise HttpError("not_http")
        if start:
            check_start(start, side.response)
        end = side.held.find(b"\r\n\r\n", max(0, before - 3))
        if end < 0:
            if len(side.held) >= MAX_HEAD:
                raise HttpError("head_too_large")
            return len(data)
        raw = bytes(side.held[:end])
        side.held.clear()
        self._head(side, parse_head(raw, side.response), ts)
        return position + end + 4 - before

    def _chunk_line(self, side: _Side, data: bytes, position: int, ts: int) -> int:
        if side.state is _State.CHUNK_END:
            return self._chunk_end(side, data, position)
        room = (MAX_HEAD if side.state is _State.TRAILERS else _MAX_CHUNK_LINE) + 2 - len(side.held)
        if side.held:
            before = len(side.held)
            side.held += data[position : position + room]
            found = side.held.find(b"\r\n", before - 1)
            line = bytes(side.held[:found])
            end = position + found + 2 - before
        else:  # mostly a line is there whole, and streams have many
            found = data.find(b"\r\n", position, position + room)
            line = data[position:found]
            end = found + 2
        if found < 0:
            if len(data) - position >= room:
                raise HttpError("bad_chunk")
            if not side.held:
                side.held += data[position:]
            return len(data)
        side.held.clear()
        if side.state is _State.CHUNK_SIZE:
            side.remaining = _chunk_size(line)
            side.state = _State.CHUNK_DATA if side.remaining else _State.TRAILERS
        elif line:
            self._trailer_left(side, len(line) + 2)
        else:
            self._end(side, ts)
        return end

    @staticmethod
    def _chunk_end(side: _Side, data: bytes, position: int) -> int:
        wanted = b"\r\n"[len(side.held) :]
        given = data[position : position + len(wanted)]
        if not wanted.startswith(given):
            raise HttpError("bad_chunk")
        if len(given) < len(wanted):
            side.held += given
        else:
            side.held.clear()
            side.state = _State.CHUNK_SIZE
        return position + len(given)

    # --- messages --------------------------------------------------------------------------------

    def _head(self, side: _Side, head: Head, ts: int) -> None:
        length = body_length(head)
        if side.response:
            self._response_head(side, head, length, ts)
            return
        if len(self._waiting) >= MAX_OUTSTANDING:
            raise HttpError("too_many_requests")
        wanted = self._wanted(head.method, head.target, head.headers)
        message = Message(head, side.first_ts, self._requests, wanted)
        self._waiting.append(message)
        self._requests += 1
        self._begin(side, message, 0 if length is None else length, ts)

    def _response_head(self, side: _Side, head: Head, length: int | str | None, ts: int) -> None:
        if 100 <= head.status < 200 and head.status != 101:
            return  # an interim response: the final one follows
        request = self._waiting[0] if self._waiting else None
        method = index = None
        wanted = False
        if request is not None:
            method, index, wanted = request.head.method, request.index, request.wanted
            self._request_told(request, ts)
        message = Message(head, side.first_ts, index, wanted)
        upgraded = head.status == 101 or (method == "CONNECT" and is_success(head.status))
        if method == "HEAD" or head.status in (101, 204, 304) or upgraded:
            length = 0
        self._begin(side, message, length, ts)
        if upgraded:
            self._upgraded(request, head, ts)

    def _upgraded(self, request: Message | None, answer: Head, ts: int) -> None:
        """The connection's further bytes are another protocol's."""
        kind: Literal["websocket", "h2c", "tunnel", ""] = "tunnel"
        if request is not None and answer.status == 101:
            asked = "websocket" in request.head.all("upgrade")
            chosen = answer.all("upgrade")
            kind = "websocket" if asked and chosen == ["websocket"] else "h2c" if chosen == ["h2c"] else ""
        if request is not None and request.index is not None and not self._waiting:
            self._inner = self._inside(
                Upgrade(
                    kind, request.index, request.head.headers, answer.headers, self._requests, request.wanted
                )
            )
        if self._inner is None:
            self._give_up("upgraded", 0, ts)

    def _begin(self, side: _Side, message: Message, length: int | str | None, ts: int) -> None:
        side.message = message
        if length is None:
            side.state = _State.UNTIL_CLOSE
        elif isinstance(length, str):
            side.state = _State.CHUNK_SIZE
        elif length:
            side.state = _State.LENGTH
            side.remaining = length
        else:
            self._end(side, ts)

    def _body(self, side: _Side, data: bytes, ts: int) -> None:
        message = side.message
        assert message is not None
        plain = message.take(data)
        if plain and message.as_parts:
            self._events.append(message.part(plain, ts))

    def _end(self, side: _Side, ts: int) -> None:
        """The side's message is over, for better or worse."""
        message = side.message
        assert message is not None
        side.message = None
        side.state = _State.HEAD
        side.remaining = 0
        side.held.clear()
        message.ended()
        if not side.response:
            if not message.reported:
                self._report_request(message, ts)
            return
        if self._waiting and self._waiting[0].index == message.index:
            self._waiting.popleft()
        self._events.append(message.response_done(ts))

    def _request_told(self, request: Message, ts: int) -> None:
        """An answer begins: its request is told before it."""
        if not request.reported:
            request.fail("answered_early")
            self._report_request(request, ts)

    def _report_request(self, message: Message, ts: int) -> None:
        client: Direction = "sent" if self._sides["sent"].response is False else "received"
        self._events.append(message.request_done(ts, client))

    # --- loss ------------------------------------------------------------------------------------

    def _gap(self, side: _Side, missing: int, ts: int) -> None:
        message = side.message
        if message is not None:
            message.fail("gap")
            within = missing
            if side.state in (_State.LENGTH, _State.CHUNK_DATA):
                within = min(missing, side.remaining)
            message.missing += within
            if side.state is _State.UNTIL_CLOSE:
                return
            if side.state in (_State.LENGTH, _State.CHUNK_DATA):
                side.remaining -= within
                if not side.remaining and (side.state is _State.LENGTH or missing == within):
                    self._body_counted(side, ts)
                if missing == within:
                    return
            if side.message is not None:  # chunk framing is lost, so where the message ends is unknown
                message.missing += missing - within
                self._end(side, ts)
                side.state = _State.LOST
                return
            missing -= within
        other = self._other(side)
        if side.response is None and other.response is not None:
            side.response = not other.response
        side.held.clear()
        side.state = _State.LOST
        if side.response and self._waiting:
            # The lost bytes held the head of the answer to the one request that waits.
            if len(self._waiting) > 1:
                raise HttpError("gap")
            self._answer_lost(self._waiting.popleft(), missing, ts)
        else:
            self._events.append(Gap(direction=side.direction, missing=missing, ts=ts))

    def _answer_lost(self, request: Message, missing: int, ts: int) -> None:
        self._request_told(request, ts)
        answer = Message(NO_HEAD, ts, request.index, wanted=False)
        answer.fail("gap")
        answer.missing = missing
        self._events.append(answer.response_done(ts))

    def _resumes(self, side: _Side, data: bytes) -> bool:
        """After a gap: does ``data`` begin a message that can belong in one place only?"""
        if side.response is None:
            side.response = bool(RESPONSE_START.match(data))
        if side.response:
            fits = RESPONSE_START.match(data) is not None and len(self._waiting) == 1
        else:
            fits = REQUEST_START.match(data) is not None
            if fits and self._waiting:
                raise HttpError("gap")
        if fits:
            side.state = _State.HEAD
        return fits

    def _give_up(self, cause: str, missing: int, ts: int) -> None:
        for side in self._in_order():
            if side.message is not None:
                side.message.fail(cause)
                self._end(side, ts)
            side.held.clear()
        self._over = True
        self._waiting.clear()
        self._events.append(ConnectionLost(cause=cause, missing=missing, ts=ts))

    def _other(self, side: _Side) -> _Side:
        return self._sides[other(side.direction)]

    def _in_order(self) -> list[_Side]:
        return sorted(self._sides.values(), key=lambda side: bool(side.response))

    def _trailer_left(self, side: _Side, size: int) -> None:
        side.remaining += size
        if side.remaining > MAX_HEAD:
            raise HttpError("head_too_large")

    def _take(self) -> list[HttpEvent]:
        events, self._events = self._events, []
        return events


def _chunk_size(line: bytes) -> int:
    digits = line.partition(b";")[0].rstrip(b" \t")
    if not 1 <= len(digits) <= 12 or not _HEX.issuperset(digits):
        raise HttpError("bad_chunk")
    return int(digits, 16)
