"""Records of connections without TLS to the bytes of their directions, in order, with what is missing told. Pure.

The kernel counts the bytes of a direction itself (bpf/plain.h) and stamps each record with its offset. Several
processes may write to one pipe: then a record may come a moment before one whose bytes went first. So what comes too
early waits; what did not come by the end of the next round was lost, and is told as a hole.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Literal, NamedTuple

from polygraph.events import ProcessKey

Direction = Literal["sent", "received"]
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


class _State:
    def __init__(self, connection: PlainConnection, socket: int) -> None:
        self.connection = connection
        self.socket = socket
        self.known = [0, 0]
        #: by offset, of each direction
        self.waiting: tuple[dict[int, PlainData], dict[int, PlainData]] = ({}, {})
        #: they waited at the end of the last round already
        self.overdue = False


class PlainStreams:
    """Follows the offsets of each connection's directions.

    A connection that was forgotten for :data:`MAX_CONNECTIONS` and speaks again begins with a hole.
    """

    def __init__(self) -> None:
        self._states: OrderedDict[int, _State] = OrderedDict()
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
            )
            state = self._states[record.generation] = _State(made, record.socket)
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
        state = next((one for one in self._states.values() if one.socket == socket), None)
        return self._end(state) if state is not None and not state.connection.json else ([], None)

    def exited(self, process: ProcessKey) -> list[tuple[list[PlainChunk], PlainConnection | None]]:
        """The same, of connections that the process was the first to use. What is JSON has several ends: it goes on."""
        over = [
            one
            for one in self._states.values()
            if one.connection.process == process and not one.connection.json
        ]
        return [self._end(state) for state in over]

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
        waiting = state.waiting[record.direction]
        if record.offset in waiting:
            return
        waiting[record.offset] = record
        self._waiting += len(record.data)
        self._early[record.generation] = None

    def _ready(self, state: _State, direction: Literal[0, 1]) -> list[PlainChunk]:
        """What waited for nothing but what is known now."""
        waiting = state.waiting[direction]
        chunks: list[PlainChunk] = []
        while waiting and (first := min(waiting)) <= state.known[direction]:
            chunks += self._take(state, self._woken(waiting, first))
        self._rest(state)
        return chunks

    def _flush(self, state: _State) -> list[PlainChunk]:
        chunks: list[PlainChunk] = []
        for waiting in state.waiting:
            for offset in sorted(waiting):
                chunks += self._take(state, self._woken(waiting, offset))
        self._rest(state)
        return chunks

    def _woken(self, waiting: dict[int, PlainData], offset: int) -> PlainData:
        record = waiting.pop(offset)
        self._waiting -= len(record.data)
        return record

    def _rest(self, state: _State) -> None:
        if not any(state.waiting):
            state.overdue = False
            self._early.pop(state.connection.generation, None)

    def _end(self, state: _State) -> tuple[list[PlainChunk], PlainConnection]:
        chunks = self._flush(state)
        del self._states[state.connection.generation]
        return chunks, state.connection

    def _forget(self, generation: int) -> None:
        state = self._states.pop(generation)
        self._early.pop(generation, None)
        self._waiting -= sum(len(one.data) for waiting in state.waiting for one in waiting.values())


def _chunk(state: _State, record: PlainData, offset: int, data: bytes, missing: int) -> PlainChunk:
    direction = _DIRECTIONS[record.direction]
    return PlainChunk(state.connection, direction, offset, data, record.ts, missing, record.process)
