"""Content codings (gzip, deflate, br, zstd), undone piece by piece and with bounds.

Whoever sends a few bytes must not make the collector hold gigabytes: output is bounded absolutely, and by
its ratio to the input once it is large.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

import brotli  # type: ignore[import-untyped]  # it ships no stubs
import zstandard

#: most decoded bytes of one body
MAX_BODY = 32 * 1024 * 1024
#: from this size on a ratio above MAX_RATIO is a bomb (deflate cannot exceed 1032; JSON stays below 50)
RATIO_FLOOR = 4 * 1024 * 1024
MAX_RATIO = 200
#: output of one step
_STEP = 1024 * 1024
#: a zstd block of 4 bytes may stand for 128 KiB (RFC 8878): input is given in slices that bound one step
_ZSTD_SLICE = 256
#: RFC 9659 bounds the window for HTTP
_ZSTD_WINDOW = 8 * 1024 * 1024
_MAX_CODINGS = 3


class EncodingError(Exception):
    """The body cannot be decoded; ``cause`` is ``encoding``, ``bomb`` or ``too_large``."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


class _Coding(Protocol):
    def feed(self, data: bytes) -> Iterator[bytes]: ...

    def whole(self) -> bool: ...


class _Zlib:
    """gzip (several members allowed) and deflate (zlib, or raw as some servers send it)."""

    def __init__(self, gzip: bool) -> None:
        self._gzip = gzip
        self._first = b""
        self._decoder = zlib.decompressobj(31) if gzip else None
        self._begun = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        if self._decoder is None:
            data = self._first + data
            if len(data) < 2:
                self._first = data
                return
            header = (data[0] << 8) | data[1]
            zlib_wrapped = data[0] & 0x0F == 8 and header % 31 == 0
            self._decoder = zlib.decompressobj(15 if zlib_wrapped else -15)
        while data:
            if self._decoder.eof:
                if not self._gzip:
                    return
                self._decoder = zlib.decompressobj(31)
            self._begun = True
            yield self._decoder.decompress(data, _STEP)
            data = self._decoder.unconsumed_tail or self._decoder.unused_data
        # What did not fit in the last step's output is still inside zlib.
        while not self._decoder.eof and (more := self._decoder.decompress(b"", _STEP)):
            yield more

    def whole(self) -> bool:
        return not self._begun or (self._decoder is not None and self._decoder.eof)


class _Brotli:
    def __init__(self) -> None:
        self._decoder = brotli.Decompressor()
        self._begun = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        self._begun = self._begun or bool(data)
        yield self._decoder.process(data, output_buffer_limit=_STEP)
        while not self._decoder.can_accept_more_data():
            yield self._decoder.process(b"", output_buffer_limit=_STEP)

    def whole(self) -> bool:
        return not self._begun or bool(self._decoder.is_finished())


class _Zstd:
    def __init__(self) -> None:
        self._new()
        self._begun = False

    def _new(self) -> None:
        self._decoder = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).decompressobj()

    def feed(self, data: bytes) -> Iterator[bytes]:
        position = 0
        while position < len(data):
            if self._decoder.eof:
                self._new()
            self._begun = True
            piece = data[position : position + _ZSTD_SLICE]
            yield self._decoder.decompress(piece)
            position += len(piece) - len(self._decoder.unused_data)

    def whole(self) -> bool:
        return not self._begun or bool(self._decoder.eof)


_CODINGS: dict[str, Callable[[], _Coding]] = {
    "gzip": lambda: _Zlib(True),
    "x-gzip": lambda: _Zlib(True),
    "deflate": lambda: _Zlib(False),
    "br": _Brotli,
    "zstd": _Zstd,
}


class Decoder:
    """Undoes the codings that ``content-encoding`` lists, in its order. Raises EncodingError("encoding")."""

    def __init__(self, codings: Iterable[str], limit: int = MAX_BODY) -> None:
        names = [name for name in codings if name != "identity"]
        if len(names) > _MAX_CODINGS or any(name not in _CODINGS for name in names):
            raise EncodingError("encoding")
        self._chain = [_CODINGS[name]() for name in reversed(names)]
        self._limit = limit
        self._taken = 0
        self._given = 0

    def feed(self, data: bytes) -> bytes:
        """Decoded bytes so far. Raises EncodingError, after which the decoder is of no use."""
        self._taken += len(data)
        if not self._chain:
            self._count(len(data))
            return data
        try:
            return b"".join(self._through(0, data))
        except (zlib.error, brotli.error, zstandard.ZstdError, MemoryError) as error:
            raise EncodingError("encoding") from error

    def whole(self) -> bool:
        """Has every coding reached its own end mark?"""
        return all(coding.whole() for coding in self._chain)

    def _through(self, stage: int, data: bytes) -> Iterator[bytes]:
        for piece in self._chain[stage].feed(data):
            # Inner stages are counted too: a bomb inside a bomb stops at the first one.
            self._count(len(piece))
            if stage + 1 < len(self._chain):
                yield from self._through(stage + 1, piece)
            elif piece:
                yield piece

    def _count(self, size: int) -> None:
        self._given += size
        check_size(self._given, self._taken, self._limit)


def check_size(given: int, taken: int, limit: int) -> None:
    """Raises EncodingError if ``given`` decoded bytes are too many, or too many for ``taken`` encoded ones."""
    if given > RATIO_FLOOR and given > MAX_RATIO * taken:
        raise EncodingError("bomb")
    if given > limit:
        raise EncodingError("too_large")
