"""Records of connections without TLS to the bytes of their directions, in order, with what is missing told. Pure.

The kernel counts the bytes of a direction itself (bpf/plain.h) and stamps each record with its offset. Several
processes may write to one pipe: then a record may come a moment before one whose bytes went first. So what comes too
early waits; what did not come by the end of the next round was lost, and is told as a hole.
"""

from __future__ import annotations

from collections import OrderedDict
from heapq import heappop, heappush
from typing import Literal, NamedTuple

from collector.http.events import Direction
from polygraph.events import ProcessKey

PlainKind = Literal["tcp", "unix", "pipe"]

#: connections that are followed at once; the one that was silent longest is forgotten beyond it
MAX_CONNECTIONS = 4096
#: bytes of all connections that wait for what went before them; beyond it nothing waits any more
MAX_WAITING = 32 << 20

_DIRECTIONS: tuple[Direction, Direction] = ("sent", "received")


class PlainData(NamedTuple):
    """Bytes that one call moved, or a part of them, cf. struct pg_plain.

    ``direction`` 0: sent by the process that tells the connection, 1: received; ``asks``: the direction that requests
    of HTTP go in. ``missing``: bytes of the call after ``data`` that were not copied. ``standard_input``: the
    connection that a program had as its standard input when it was executed with this one as standard output, else 0.
    """

    process: ProcessKey
    kind: PlainKind
    connection: int
    generation: int
    direction: Literal[0, 1]
    json: bool
    asks: Literal[0, 1]
    offset: int
    data: bytes
    missing: int
    socket: int
    standard_input: int
    ts: int


class PlainClose(NamedTuple):
    """The other side of the connection sends no more."""

    process: ProcessKey
    connection: int
    generation: int
    ts: int


class PlainConnection(NamedTuple):
    """One use of a connection. ``process``: who was first to use it. ``serves``: requests of HTTP come in here."""

    process: ProcessKey
    connection: int
    generation: int
    json: bool
    serves: bool
    standard_input: int
    #: inode number of the socket or pipe by which the first one used it
    socket: int = 0


class PlainChunk(NamedTuple):
    """The next bytes of a direction; ``missing`` bytes were lost just before ``data``, cf. collector/tls/streams.py.

    ``process`` moved them.
    """

    connection: PlainConnection
    direction: Direction
    offset: int
    data: bytes
    ts: int
    missing: int
    process: ProcessKey


class _Waiting:
    """Records of one direction that wait for what went before them, in order of their offsets."""

    def __init__(self) -> None:
        self._records: dict[int, PlainData] = {}
        self._offsets: list[int] = []

    def __bool__(self) -> bool:
        return bool(self._offsets)

    @property
    def first(self) -> int:
        return self._offsets[0]

    @property
    def size(self) -> int:
        return sum(len(record.data) for record in self._records.values())

    def add(self, record: PlainData) -> bool:
        """False if one of that offset waits already."""
        if record.offset in self._records:
            return False
        self._records[record.offset] = record
        heappush(self._offsets, record.offset)
        return True

    def take(self) -> PlainData:
        """The first one."""
        return self._records.pop(heappop(self._offsets))


class _State:
    def __init__(self, connection: PlainConnection, socket: int) -> None:
        self.connection = connection
        self.socket = socket
        self.known = [0, 0]
        self.waiting = (_Waiting(), _Waiting())
        #: they waited at the end of the last round already
        self.overdue = False


class PlainStreams:
    """Follows the offsets of each connection's directions.

    A connection that was forgotten for :data:`MAX_CONNECTIONS` and speaks again begins with a hole.
    """

    def __init__(self) -> None:
        self._states: OrderedDict[int, _State] = OrderedDict()
        #: HTTP only: what is JSON has several ends, and no end of one is its own
        self._sockets: dict[int, int] = {}
        self._processes: dict[ProcessKey, set[int]] = {}
        self._early: dict[int, None] = {}
        self._waiting = 0

    def data(self, record: PlainData) -> list[PlainChunk]:
        """What a record adds: nothing if all of it was known, or while bytes before it may still come."""
        state = self._states.get(record.generation)
        if state is None:
            made = PlainConnection(
                record.process,
                record.connection,
                record.generation,
                record.json,
                record.asks == 1,
                record.standard_input,
                record.socket,
            )
            state = self._states[record.generation] = _State(made, record.socket)
            if not record.json:
                self._sockets[record.socket] = record.generation
                self._processes.setdefault(record.process, set()).add(record.generation)
            if len(self._states) > MAX_CONNECTIONS:
                self._forget(next(iter(self._states)))
        self._states.move_to_end(record.generation)
        if record.offset > state.known[record.direction]:
            self._wait(state, record)
            return self._flush(state) if self._waiting > MAX_WAITING else []
        return [*self._take(state, record), *self._ready(state, record.direction)]

    def settle(self) -> list[PlainChunk]:
        """The end of a round: what waited for all of it waits no longer."""
        chunks: list[PlainChunk] = []
        for generation in list(self._early):
            state = self._states[generation]
            if state.overdue:
                chunks += self._flush(state)
            else:
                state.overdue = True
        return chunks

    def close(self, record: PlainClose) -> tuple[list[PlainChunk], PlainConnection | None]:
        """What still waited, and the connection that is over. A server still answers when its client is done."""
        state = self._states.get(record.generation)
        if state is None or state.connection.json or state.connection.serves:
            return [], None
        return self._end(state)

    def closed(self, socket: int) -> tuple[list[PlainChunk], PlainConnection | None]:
        """The same, by the inode number of a socket that the kernel closed."""
        state = self._states.get(self._sockets.get(socket, 0))
        return self._end(state) if state is not None else ([], None)

    def exited(self, process: ProcessKey) -> list[tuple[list[PlainChunk], PlainConnection | None]]:
        """The same, of connections that the process was the first to use."""
        return [self._end(self._states[one]) for one in sorted(self._processes.get(process, ()))]

    def finish(self) -> list[PlainChunk]:
        """Nothing more will come: all that waited."""
        return [chunk for generation in list(self._early) for chunk in self._flush(self._states[generation])]

    # --- one connection --------------------------------------------------------------------------

    def _take(self, state: _State, record: PlainData) -> list[PlainChunk]:
        """The record's bytes that were not known, with a hole before them where there is one."""
        known = state.known[record.direction]
        copied = record.offset + len(record.data)
        chunks = []
        if record.data and copied > known:
            offset = max(known, record.offset)
            data = record.data[offset - record.offset :]
            chunks.append(_chunk(state, record, offset, data, offset - known))
            known = copied
        moved = copied + record.missing
        if record.missing and moved > known:
            chunks.append(_chunk(state, record, moved, b"", moved - known))
            known = moved
        state.known[record.direction] = known
        return chunks

    def _wait(self, state: _State, record: PlainData) -> None:
        if state.waiting[record.direction].add(record):
            self._waiting += len(record.data)
            self._early[record.generation] = None

    def _ready(self, state: _State, direction: Literal[0, 1]) -> list[PlainChunk]:
        """What waited for nothing but what is known now."""
        waiting = state.waiting[direction]
        chunks: list[PlainChunk] = []
        while waiting and waiting.first <= state.known[direction]:
            chunks += self._take(state, self._woken(waiting))
        self._rest(state)
        return chunks

    def _flush(self, state: _State) -> list[PlainChunk]:
        chunks: list[PlainChunk] = []
        for waiting in state.waiting:
            while waiting:
                chunks += self._take(state, self._woken(waiting))
        self._rest(state)
        return chunks

    def _woken(self, waiting: _Waiting) -> PlainData:
        record = waiting.take()
        self._waiting -= len(record.data)
        return record

    def _rest(self, state: _State) -> None:
        if not any(state.waiting):
            state.overdue = False
            self._early.pop(state.connection.generation, None)

    def _end(self, state: _State) -> tuple[list[PlainChunk], PlainConnection]:
        chunks = self._flush(state)
        self._forget(state.connection.generation)
        return chunks, state.connection

    def _forget(self, generation: int) -> None:
        state = self._states.pop(generation)
        self._early.pop(generation, None)
        self._waiting -= sum(waiting.size for waiting in state.waiting)
        if self._sockets.get(state.socket) == generation:
            del self._sockets[state.socket]
        mine = self._processes.get(state.connection.process)
        if mine is not None:
            mine.discard(generation)
            if not mine:
                del self._processes[state.connection.process]


def _chunk(state: _State, record: PlainData, offset: int, data: bytes, missing: int) -> PlainChunk:
    direction = _DIRECTIONS[record.direction]
    return PlainChunk(state.connection, direction, offset, data, record.ts, missing, record.process)
