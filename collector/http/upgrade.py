"""What a connection becomes after 101, or 2xx to CONNECT (RFC 9110, 7.8 and 9.3.6)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, Protocol

from collector.http.events import Direction, Headers, HttpEvent


class Inner(Protocol):
    """Reads what follows, as the connections of this folder do."""

    def feed(self, direction: Direction, data: bytes, ts: int, missing: int = 0) -> Sequence[HttpEvent]: ...

    def close(self, ts: int) -> Sequence[HttpEvent]: ...

    @property
    def held(self) -> int: ...


class Upgrade(NamedTuple):
    """``kind`` ``h2c``: HTTP/2 without TLS (RFC 7540, 3.2); empty: a protocol of another name.

    ``next_index`` numbers the first request within.
    ``wanted``: the request is of interest, and so is what it opened.
    """

    kind: Literal["websocket", "h2c", "tunnel", ""]
    request_index: int
    request_headers: Headers
    response_headers: Headers
    next_index: int
    wanted: bool


#: the reader of what follows; None: it is not read
Inside = Callable[[Upgrade], Inner | None]
