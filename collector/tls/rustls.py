"""Which connection a chunk from rustls belongs to. Pure.

rustls is read where it takes plaintext in and hands it out (bpf/tls_rustls.h): the address of its CommonState is
known, the beginning and the end of a connection are not. And it moves: what an HTTP client did up to the answer
``101 Switching Protocols`` goes on elsewhere in memory when a WebSocket library takes over. So a connection is told
by what it says first:

- an HTTP/2 preface begins a connection; so does a request line where none was open, the last one was answered, or
  the connection had been given to another protocol;
- something else at an address that was never seen is the connection of the same process that was upgraded and
  whose client has said nothing since, if there is exactly one. If several might be it, all are given up, with a hole.

Two connections at one address that could not be told apart break visibly: their parser finds what cannot be.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import dataclass, field

from collector.tls.streams import Chunk, ConnectionKey, Direction
from polygraph.events import ProcessKey

#: addresses that are followed at once; the one that was silent longest is forgotten beyond it
MAX_PLACES = 4096

#: RFC 9113, section 3.4, as far as it stands in the first line
_PREFACE = b"PRI * HTTP/2.0\r\n"
#: RFC 9112, section 3: a line that is not too long for one chunk
_REQUEST = re.compile(rb"[A-Z]{3,20} [^ \r\n]{1,8192} HTTP/1\.[01]\r\n")
_SWITCHING = (b"HTTP/1.1 101 ", b"HTTP/1.0 101 ")
#: PG_TLS_CHUNK: a chunk of this size may be continued by the next one, in the middle of a call
_FULL = 16384


@dataclass
class _Life:
    """One connection. ``place``: the address where it is now; ``ends``: bytes of either direction, holes included."""

    key: ConnectionKey
    place: ConnectionKey
    http2: bool = False
    answered: bool = False
    upgraded: bool = False
    #: the client has spoken since the upgrade, wherever
    settled: bool = False
    ends: dict[Direction, int] = field(default_factory=lambda: {"sent": 0, "received": 0})


@dataclass
class _Place:
    """An address. ``begins``: where, by its own count of a direction, its life began; ``ends``: that count now."""

    life: _Life
    begins: dict[Direction, int]
    ends: dict[Direction, int]
    lives: int = 1
    #: what was sent last may be continued by the next chunk
    full: bool = False


class RustlsConnections:
    """Follows the addresses of a session's CommonStates."""

    def __init__(self) -> None:
        self._places: OrderedDict[ConnectionKey, _Place] = OrderedDict()

    def follow(self, chunk: Chunk) -> list[Chunk | ConnectionKey]:
        """The chunk under its true connection; before it, holes in others, and the keys of those that are over."""
        steps: list[Chunk | ConnectionKey] = []
        place = self._places.get(chunk.connection)
        if place is None:
            place = self._places[chunk.connection] = self._first(chunk, steps)
            if len(self._places) > MAX_PLACES:
                self._places.popitem(last=False)
        elif place.life.place != chunk.connection or _begins_another(place, chunk):
            if place.life.place == chunk.connection:
                steps.append(place.life.key)
            place.life = _Life(chunk.connection._replace(life=place.lives), chunk.connection)
            place.begins = dict(place.ends)
            place.lives += 1
        self._places.move_to_end(chunk.connection)
        steps.append(_said(place, chunk))
        return steps

    def exited(self, process: ProcessKey) -> list[ConnectionKey]:
        """The connections that ended with their process."""
        mine = [key for key in self._places if key.process == process]
        return [self._places.pop(key).life.key for key in mine]

    def _first(self, chunk: Chunk, steps: list[Chunk | ConnectionKey]) -> _Place:
        """An address that was never seen."""
        fresh = _Place(_Life(chunk.connection, chunk.connection), _zero(), _zero())
        if _opens(chunk):
            return fresh
        waiting = [
            place.life
            for key, place in self._places.items()
            if key.process == chunk.connection.process
            and place.life.place == key
            and place.life.upgraded
            and not place.life.settled
        ]
        if len(waiting) == 1 and not chunk.missing:
            (life,) = waiting
            life.place = chunk.connection
            life.settled = True
            return _Place(life, {way: -end for way, end in life.ends.items()}, _zero())
        for life in waiting:
            life.settled = True
            lost = chunk.missing + len(chunk.data)
            life.ends[chunk.direction] += lost
            end = life.ends[chunk.direction]
            steps += [Chunk(life.key, chunk.direction, end, b"", chunk.ts, lost), life.key]
        return fresh


def _zero() -> dict[Direction, int]:
    return {"sent": 0, "received": 0}


def _opens(chunk: Chunk) -> bool:
    """Whether the chunk is the beginning of what a client says to an HTTP server."""
    return (
        chunk.direction == "sent"
        and not chunk.missing
        and (chunk.data.startswith(_PREFACE) or _REQUEST.match(chunk.data) is not None)
    )


def _begins_another(place: _Place, chunk: Chunk) -> bool:
    life = place.life
    if not _opens(chunk) or place.full:
        return False
    if chunk.data.startswith(_PREFACE):
        return True
    # A frame of HTTP/2 may be continued by anything: its body can be a request line.
    return not life.http2 and (life.answered or life.upgraded)


def _said(place: _Place, chunk: Chunk) -> Chunk:
    """The chunk as its connection's, which knows it from now on."""
    life = place.life
    offset = chunk.offset - place.begins[chunk.direction]
    if chunk.direction == "sent":
        if _opens(chunk):
            life.http2 = life.http2 or chunk.data.startswith(_PREFACE)
            life.answered = False
        life.settled = life.settled or life.upgraded
        place.full = len(chunk.data) == _FULL
    else:
        if not life.answered and not life.http2 and chunk.data.startswith(_SWITCHING):
            life.upgraded = True
        life.answered = True
    life.ends[chunk.direction] = offset + len(chunk.data)
    place.ends[chunk.direction] = chunk.offset + len(chunk.data)
    return chunk._replace(connection=life.key, offset=offset)
