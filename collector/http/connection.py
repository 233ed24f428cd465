"""One connection, whichever protocol it speaks: told by its first bytes, and again after an upgrade."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from collector.http.events import (
    ConnectionLost,
    Direction,
    HttpEvent,
    RequestDone,
    ResponseDone,
    Wanted,
    any_exchange,
)
from collector.http.frames import HEAD_SIZE, PREFACE, begins_frame
from collector.http.head import HttpError, check_start, looks_like_response
from collector.http.http1 import Http1Connection
from collector.http.upgrade import Inner, Upgrade
from collector.http.websocket import WebSocketConnection

Protocol = Literal["http/1.1", "h2", ""]

#: reads, and bytes of them, that are kept while none of them begins as HTTP does: a connection that was
#: joined within a frame goes on with others
_MAX_READS = 16
_MAX_UNDECIDED = 64 * 1024
#: tunnels within each other
_MAX_DEPTH = 3
#: the first byte of TLS: a record of the handshake (RFC 8446, 5.1)
TLS_HANDSHAKE = 0x16


class HttpConnection:
    """Messages of one connection of HTTP/1.1, HTTP/2 or WebSocket, from the bytes of both directions.

    ``wanted`` says which exchanges' bodies are of interest; those of others are neither decoded nor kept.
    ``first_index`` numbers the first request, ``depth`` says within how many tunnels the connection is.
    """

    def __init__(self, wanted: Wanted = any_exchange, first_index: int = 0, depth: int = 0) -> None:
        self._wanted = wanted
        self._first_index = first_index
        self._depth = depth
        self._reader: Inner | None = None
        self._undecided: list[tuple[Direction, bytes, int, int]] = []
        self._size = 0
        #: reads of a direction that began as neither version does
        self._strange = 0
        self._begun: dict[Direction, bytes] = {"sent": b"", "received": b""}
        self._protocol: Protocol = ""

    @property
    def protocol(self) -> Protocol:
        """What is spoken, empty while that is not known."""
        return self._protocol

    @property
    def held(self) -> int:
        """Bytes that are kept of messages that are not over."""
        return self._size if self._reader is None else self._reader.held

    def feed(self, direction: Direction, data: bytes, ts: int, missing: int = 0) -> list[HttpEvent]:
        """What ``data`` completes. ``missing`` bytes were lost just before it; ``ts`` is in ns.

        Never raises; after :class:`ConnectionLost` it gives nothing more.
        """
        if self._reader is not None:
            return list(self._reader.feed(direction, data, ts, missing))
        self._undecided.append((direction, data, ts, missing))
        self._size += len(data)
        begun = self._begun[direction] = self._begun[direction] + data[: len(PREFACE)]
        protocol = protocol_of(begun)
        if protocol == "":
            protocol = protocol_of(data)
            self._strange += 1
        if not protocol and self._strange < _MAX_READS and self._size <= _MAX_UNDECIDED:
            return []
        return self._decide(protocol or "http/1.1")

    def close(self, ts: int) -> list[HttpEvent]:
        """The connection is closed: what is unfinished is over, complete only where closing is its end."""
        begun = self._decide("http/1.1") if self._reader is None else []
        assert self._reader is not None
        return [*begun, *self._reader.close(ts)]

    def _decide(self, protocol: Protocol) -> list[HttpEvent]:
        reader: Inner
        if protocol == "h2":
            # Not at the start, which would wait for hpack and the logging that it imports.
            from collector.http.http2 import Http2Connection

            reader = Http2Connection(self._wanted, self._first_index, self._inside)
        else:
            reader = Http1Connection(self._wanted, self._first_index, self._inside)
        self._reader = reader
        self._protocol = protocol
        undecided, self._undecided = self._undecided, []
        return [event for read in undecided for event in reader.feed(*read)]

    def _inside(self, upgrade: Upgrade) -> Inner | None:
        if upgrade.kind == "tunnel" and self._depth < _MAX_DEPTH:
            return _Tunnel(self._wanted, upgrade.next_index, self._depth + 1)
        if upgrade.kind == "h2c":
            from collector.http.http2 import Http2Connection

            # Its first stream answers the request that asked for it, which is told as a stream of before.
            self._protocol = "h2"
            return Http2Connection(self._wanted, upgrade.next_index, self._inside)
        if upgrade.kind == "websocket" and upgrade.wanted:
            return WebSocketConnection(
                upgrade.request_index, upgrade.request_headers, upgrade.response_headers
            )
        return None


class _Tunnel:
    """What a proxy passes on after CONNECT. TLS is not read here: its plaintext comes from the TLS library.

    Anything else that is not HTTP is another protocol's, which is no failure of this connection.
    """

    def __init__(self, wanted: Wanted, first_index: int, depth: int) -> None:
        self._within = HttpConnection(wanted, first_index, depth)
        self._begun = False
        self._encrypted = False
        self._spoke = False

    @property
    def held(self) -> int:
        return self._within.held

    def feed(self, direction: Direction, data: bytes, ts: int, missing: int = 0) -> Sequence[HttpEvent]:
        if data and not self._begun:
            self._begun = True
            self._encrypted = data[0] == TLS_HANDSHAKE
        return [] if self._encrypted else self._told(self._within.feed(direction, data, ts, missing))

    def close(self, ts: int) -> Sequence[HttpEvent]:
        return [] if self._encrypted else self._told(self._within.close(ts))

    def _told(self, events: list[HttpEvent]) -> list[HttpEvent]:
        self._spoke = self._spoke or any(isinstance(event, RequestDone | ResponseDone) for event in events)
        return [
            ConnectionLost(cause="upgraded", missing=event.missing, ts=event.ts)
            if isinstance(event, ConnectionLost) and event.cause == "not_http" and not self._spoke
            else event
            for event in events
        ]


def protocol_of(start: bytes) -> Literal["http/1.1", "h2", ""] | None:
    """What a direction speaks that begins, or goes on, with ``start``. Empty: neither; None: too early."""
    if not start or (len(start) < len(PREFACE) and PREFACE.startswith(start)):
        return None
    if start.startswith(PREFACE):
        return "h2"
    if not start[0]:  # the length of a frame below 64 KiB
        if len(start) < HEAD_SIZE:
            return None
        return "h2" if begins_frame(start) else ""
    if start[0] in b"\r\n":  # empty lines may stand before a message
        return "http/1.1"
    try:
        response = looks_like_response(start)
        if response is not None:
            check_start(start, response)
    except HttpError:
        return ""
    return "http/1.1" if response is not None else None
