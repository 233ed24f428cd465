"""permessage-deflate (RFC 7692): what two ends agreed on, and messages inflated with bounds."""

from __future__ import annotations

import re
import zlib
from typing import NamedTuple

from collector.http.encoding import MAX_BODY, EncodingError, check_size
from collector.http.events import Headers
from collector.http.head import HttpError

#: what a sender leaves off each message (section 7.2.1)
_TAIL = b"\x00\x00\xff\xff"
_WINDOW = 32 * 1024
_STEP = 1024 * 1024
#: most blocks of one message that call themselves the last (section 7.2.3.5); senders use one, if any
_MAX_ENDS = 256
_NAME = "permessage-deflate"
_BITS = re.compile(r'"?(?:[89]|1[0-5])"?')


class Deflate(NamedTuple):
    """Whether the client's and the server's messages are compressed with the context of those before."""

    client_takeover: bool
    server_takeover: bool


def negotiated(request: Headers, response: Headers) -> Deflate | None:
    """What the upgrade agreed on, None without compression.

    Raises HttpError("websocket_extension") for whatever else changes the bytes, or was not offered: a client
    must end such a connection (RFC 6455, 4.1).
    """
    accepted = _extensions(response)
    if not accepted:
        return None
    offered = {name for name, _ in _extensions(request)}
    if len(accepted) > 1 or accepted[0][0] != _NAME or _NAME not in offered:
        raise HttpError("websocket_extension")
    taken = {"client_no_context_takeover": True, "server_no_context_takeover": True}
    for parameter in accepted[0][1]:
        name, _, value = parameter.partition("=")
        if taken.get(name) and not value:
            taken[name] = False
        elif name not in ("client_max_window_bits", "server_max_window_bits") or not _BITS.fullmatch(value):
            # The window itself does not matter: one of 15 bits reads them all.
            raise HttpError("websocket_extension")
    return Deflate(taken["client_no_context_takeover"], taken["server_no_context_takeover"])


def _extensions(headers: Headers) -> list[tuple[str, list[str]]]:
    """Name and parameters of each extension that the headers list."""
    listed = ",".join(value for key, value in headers if key.lower() == "sec-websocket-extensions")
    split = (
        ["".join(part.split()).lower() for part in item.split(";")]
        for item in listed.split(",")
        if item.strip()
    )
    return [(name, parameters) for name, *parameters in split]


class Inflater:
    """One direction's messages, in order."""

    def __init__(self, takeover: bool, limit: int = MAX_BODY) -> None:
        self._takeover = takeover
        self._limit = limit
        self._window = b""
        self._decoder = zlib.decompressobj(-15)
        #: a message is missing, and the ones after it cannot be read without it
        self.ruined = False

    def missed(self) -> None:
        """A compressed message was not given to :meth:`message`."""
        self.ruined = self.ruined or self._takeover

    def message(self, data: bytes | bytearray) -> bytes:
        """The message whose payload is ``data``.

        Raises EncodingError (``bomb``, ``too_large``, ``encoding``), after which the next message may still
        be read if the inflater is not :attr:`ruined`.
        """
        if not self._takeover:
            self._window = b""
            self._decoder = zlib.decompressobj(-15)
        try:
            return self._inflate(bytes(data) + _TAIL)
        except (EncodingError, zlib.error, MemoryError) as error:
            self.missed()
            raise EncodingError(error.cause if isinstance(error, EncodingError) else "encoding") from error

    def _inflate(self, data: bytes) -> bytes:
        taken, given, ends = len(data), 0, 0
        pieces: list[bytes] = []
        while True:
            piece = self._decoder.decompress(data, _STEP)
            given += len(piece)
            check_size(given, taken, self._limit)
            pieces.append(piece)
            self._window = (self._window + piece)[-_WINDOW:] if len(piece) < _WINDOW else piece[-_WINDOW:]
            if self._decoder.eof:
                # A last block ends no more than itself: what follows refers to what was before.
                data = self._decoder.unused_data
                ends += 1
                if ends > _MAX_ENDS:
                    raise EncodingError("encoding")
                self._decoder = zlib.decompressobj(-15, zdict=self._window)
            else:
                data = self._decoder.unconsumed_tail
            if not data and len(piece) < _STEP:
                return b"".join(pieces)
