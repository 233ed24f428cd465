"""Plaintext records to the bytes of each connection's directions, in order, with what is missing told. Pure.

The kernel counts the bytes of a direction itself (bpf/tls.h) and stamps each record with its offset, so a record
that was lost shows as a hole before the next one, a record that came twice as an overlap.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Literal, NamedTuple

from collector.bounded import put
from polygraph.events import ProcessKey

Direction = Literal["sent", "received"]

#: connections that are followed at once; the one that was silent longest is forgotten beyond it
MAX_CONNECTIONS = 4096

_DIRECTIONS: tuple[Direction, Direction] = ("sent", "received")


class TlsData(NamedTuple):
    """Bytes that one call moved, or a part of them, cf. struct pg_tls.

    ``direction`` 0: sent by the process, 1: received. ``missing``: bytes of the call after ``data`` that were
    not copied. ``library``: through which TLS library (wire.TLS_LIBRARIES).
    """

    process: ProcessKey
    ssl: int
    generation: int
    direction: Literal[0, 1]
    offset: int
    data: bytes
    missing: int
    ts: int
    library: str = ""


class TlsClose(NamedTuple):
    """The connection's object was freed."""

    process: ProcessKey
    ssl: int
    generation: int
    ts: int
    library: str = ""


class ConnectionKey(NamedTuple):
    """One connection: the address of its object, which use of that address it is, and whose object it is.

    ``library`` is a name of wire.TLS_LIBRARIES, ``""`` where there is no TLS. ``life`` counts the connections that
    an object was, one after the other, where its library does not tell them apart (collector/tls/rustls.py).
    """

    process: ProcessKey
    ssl: int
    generation: int
    library: str = ""
    life: int = 0


class Chunk(NamedTuple):
    """The next bytes of a direction, as ``LlmConnection.feed`` takes them.

    ``missing`` bytes were lost just before ``data``; ``offset`` is where ``data`` begins. ``data`` is empty where
    the loss is at the end of what is known.
    """

    connection: ConnectionKey
    direction: Direction
    offset: int
    data: bytes
    ts: int
    missing: int


class TlsStreams:
    """Follows the offsets of each connection's directions.

    A connection that was forgotten for :data:`MAX_CONNECTIONS` and speaks again begins with a hole: too much is
    called missing then, never too little.
    """

    def __init__(self) -> None:
        self._expected: OrderedDict[ConnectionKey, list[int]] = OrderedDict()

    def data(self, record: TlsData) -> list[Chunk]:
        """What a record adds: nothing if all of it was known.

        What the kernel says it did not copy is told at once, in a chunk of its own; a record that did not arrive
        shows with the next one.
        """
        key = ConnectionKey(record.process, record.ssl, record.generation, record.library)
        expected = self._expected.get(key)
        if expected is None:
            # Bytes before our first sight of a direction are a hole, too: the kernel counts from the first call.
            expected = [0, 0]
            put(self._expected, key, expected, MAX_CONNECTIONS)
        self._expected.move_to_end(key)
        direction = _DIRECTIONS[record.direction]
        known = expected[record.direction]
        copied = record.offset + len(record.data)
        moved = copied + record.missing
        chunks: list[Chunk] = []
        if record.data and copied > known:
            offset = max(known, record.offset)
            data = record.data[offset - record.offset :]
            chunks.append(Chunk(key, direction, offset, data, record.ts, offset - known))
            known = copied
        if record.missing and moved > known:
            chunks.append(Chunk(key, direction, moved, b"", record.ts, moved - known))
            known = moved
        expected[record.direction] = known
        return chunks

    def close(self, record: TlsClose) -> list[ConnectionKey]:
        """The connection that is over, if it was known."""
        key = ConnectionKey(record.process, record.ssl, record.generation, record.library)
        return [key] if self._expected.pop(key, None) is not None else []

    def exited(self, process: ProcessKey) -> list[ConnectionKey]:
        """The connections that ended with their process."""
        over = [key for key in self._expected if key.process == process]
        for key in over:
            del self._expected[key]
        return over
