"""What an HTTP connection says, message by message: HTTP/1.1, HTTP/2, and WebSocket within either."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

Direction = Literal["sent", "received"]
Headers = tuple[tuple[str, str], ...]
Wanted = Callable[[str, str, Headers], bool]
"""``wanted(method, target, headers)``: are the bodies of this exchange of interest?"""

#: cause of a message whose stream of HTTP/2 was reset by the client; one that the server reset has ``reset``
RESET_BY_CLIENT = "reset_by_client"


class RequestDone(msgspec.Struct, frozen=True, kw_only=True):
    """A request is over. ``ts`` is the time of its last byte; ``body`` is decoded (content and transfer).

    ``index`` counts the requests of the connection from 0; over HTTP/2 many are under way at once.
    ``complete`` False: ``cause`` says why (``gap``, ``closed``, ``answered_early``, ``too_large``,
    ``encoding``, ``bomb``, or the cause of the connection's end; over HTTP/2 also ``reset``,
    ``malformed_head``, ``ambiguous_length``, and ``header_unknown``: fields of it were said before the
    connection was followed) and ``body`` is the part before; ``missing`` counts the bytes known to be lost.
    ``method`` and ``target`` are empty where they are unknown; trailers stand after headers. ``direction`` is
    the one it came in: the observed process asked it (``sent``) or was asked.
    """

    direction: Direction
    method: str
    target: str
    headers: Headers
    body: bytes
    ts: int
    index: int
    first_ts: int
    complete: bool = True
    missing: int = 0
    cause: str | None = None


class ResponseDone(msgspec.Struct, frozen=True, kw_only=True):
    """A response is over. ``request_index`` is None when its request was not seen: then the body is not kept.

    ``status`` 0: its head was lost, or there was none before a reset. An event stream comes as
    :class:`BodyPart`, with ``body`` empty.
    """

    status: int
    headers: Headers
    body: bytes
    ts: int
    request_index: int | None
    first_ts: int
    complete: bool = True
    missing: int = 0
    cause: str | None = None


class BodyPart(msgspec.Struct, frozen=True, kw_only=True):
    """Decoded bytes of a response that is an event stream, as they come, in order and without a gap."""

    data: bytes
    ts: int
    request_index: int | None
    status: int
    first_ts: int


class WebSocketMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A whole message of a connection that became a WebSocket (RFC 6455): fragments joined, extensions undone.

    ``text``: it was sent as text. ``request_index`` is the request that opened the socket; ``first_ts`` the time of
    the message's first byte, ``ts`` of its last.
    """

    direction: Direction
    text: bool
    data: bytes
    ts: int
    request_index: int
    first_ts: int


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """What a direction said is unknown in a place, ``missing`` bytes of it. The connection goes on.

    ``cause``: ``gap`` (bytes lost where no body was, or one that needs them), ``closed`` (the connection ended within
    it), or for a message of a WebSocket ``too_large``, ``bomb``, ``encoding``.

    Nothing missing: a stream of HTTP/2 began before the connection was followed, or its request was lost.
    """

    direction: Direction
    missing: int
    ts: int
    cause: str = "gap"


class ConnectionLost(msgspec.Struct, frozen=True, kw_only=True):
    """The rest of the connection is not followed.

    Causes: ``http2`` (named in a request of HTTP/1.1), ``not_http``, ``upgraded`` (101 or CONNECT, to what is
    not read), ``head_too_large``, ``malformed_head``, ``ambiguous_length``,
    ``unsupported_transfer_encoding``, ``bad_chunk``, ``gap``, ``too_many_requests``, ``closed`` (within a
    head); of HTTP/2 ``bad_frame``, ``header_compression`` and ``no_frame_boundary`` (joined late or after a
    loss, no frame certainly begins), of a
    WebSocket ``websocket_extension`` (one that is not known) and ``websocket_malformed``.
    """

    cause: str
    missing: int
    ts: int


class WebSocketClosed(msgspec.Struct, frozen=True, kw_only=True):
    """One end of a WebSocket says that nothing follows; ``code`` as in RFC 6455, 7.4 (1005: none was given)."""

    direction: Direction
    code: int
    ts: int
    request_index: int


WebSocketEvent = WebSocketMessage | WebSocketClosed | Gap | ConnectionLost

HttpEvent = RequestDone | ResponseDone | BodyPart | WebSocketMessage | WebSocketClosed | Gap | ConnectionLost


def other(direction: Direction) -> Direction:
    """The direction of what the other end says."""
    return "received" if direction == "sent" else "sent"


def is_success(status: int) -> bool:
    """2xx"""
    return status // 100 == 2


def any_exchange(_method: str, _target: str, _headers: Headers) -> bool:
    """Every exchange is wanted."""
    return True
