"""Which connection a chunk from rustls belongs to. Pure.

rustls is read where it takes plaintext in and hands it out (bpf/tls_rustls.h): the address of its CommonState is
known, the beginning and the end of a connection are not. And it moves. While a WebSocket library (tungstenite) makes
its handshake, the connection lies on the stack of whichever thread polls it, then it comes to rest elsewhere; two
that do so at once may be at one address in turn. So a connection is told by what is said:

- an HTTP/2 preface begins a connection; so does a request line where none was open, the last one was answered, or
  the connection had been given to another protocol, or had asked for that;
- an answer ``101 Switching Protocols`` belongs to the request whose key it accepts (RFC 6455, section 4.2.2),
  wherever it comes; another answer at a new address to the one request that asked for an upgrade and has no answer;
- something else at a new address is the connection of the same process that was upgraded and whose client has said
  nothing since, if there is exactly one. So is a frame of a WebSocket at a known address that was silent since that
  one asked: memory that is given back is taken again, and one whose end nobody told lay there.

Where several might be meant all are given up, with a hole in each. Two connections at one address that could not
be told apart break visibly: their parser finds what cannot be.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field

from collector.tls.streams import Chunk, ConnectionKey, Direction
from polygraph.events import ProcessKey

#: addresses that are followed at once, and requests for an upgrade that wait; the oldest are forgotten beyond it
MAX_PLACES = 4096
MAX_WAITING = 256

#: RFC 9113, section 3.4, as far as it stands in the first line
_PREFACE = b"PRI * HTTP/2.0\r\n"
#: RFC 9112, section 3: a line that is not too long for one chunk
_REQUEST = re.compile(rb"[A-Z]{3,20} [^ \r\n]{1,8192} HTTP/1\.[01]\r\n")
_ANSWER = (b"HTTP/1.1 ", b"HTTP/1.0 ")
_SWITCHING = (b"HTTP/1.1 101 ", b"HTTP/1.0 101 ")
_KEY = re.compile(rb"\r\nsec-websocket-key:[ \t]*([^\s]{1,64})[ \t]*\r\n", re.IGNORECASE)
_ACCEPT = re.compile(rb"\r\nsec-websocket-accept:[ \t]*([^\s]{1,64})[ \t]*\r\n", re.IGNORECASE)
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#: how a frame of a WebSocket begins that is no continuation of another (RFC 6455, section 5.2; bit 0x40: RFC 7692)
_FRAME_STARTS = frozenset({0x01, 0x02, 0x41, 0x42, 0x81, 0x82, 0x88, 0x89, 0x8A, 0xC1, 0xC2})
_MASKED = 0x80
#: PG_TLS_CHUNK: a chunk of this size may be continued by the next one, in the middle of a call
_FULL = 16384


def _zero() -> dict[Direction, int]:
    return {"sent": 0, "received": 0}


@dataclass(eq=False)
class _Life:
    """One connection. ``place``: the address where it is now; ``ends``: bytes of either direction, holes included."""

    key: ConnectionKey
    place: ConnectionKey | None = None
    http2: bool = False
    answered: bool = False
    #: what accepts the key of its request for a WebSocket, and when it asked
    asked: bytes = b""
    asked_at: int = 0
    #: when something was last said
    heard_at: int = 0
    upgraded: bool = False
    #: the client has spoken since the upgrade, wherever
    settled: bool = False
    ends: dict[Direction, int] = field(default_factory=_zero)


@dataclass(eq=False)
class _Place:
    """An address. ``begins``: where, by its own count of a direction, its life began; ``ends``: that count now."""

    life: _Life | None = None
    lives: int = 0
    begins: dict[Direction, int] = field(default_factory=_zero)
    ends: dict[Direction, int] = field(default_factory=_zero)
    #: what was sent last may be continued by the next chunk
    full: bool = False


_Steps = list[Chunk | ConnectionKey]


class RustlsConnections:
    """Follows the addresses of a session's CommonStates."""

    def __init__(self) -> None:
        self._places: OrderedDict[ConnectionKey, _Place] = OrderedDict()
        self._waiting: OrderedDict[tuple[ProcessKey, bytes], _Life] = OrderedDict()
        #: counts the chunks: what was said before what
        self._now = 0

    def follow(self, chunk: Chunk) -> list[Chunk | ConnectionKey]:
        """The chunk under its true connection; before it, holes in others, and the keys of those that are over."""
        steps: _Steps = []
        self._now += 1
        place = self._places.setdefault(chunk.connection, _Place())
        self._places.move_to_end(chunk.connection)
        if len(self._places) > MAX_PLACES:
            self._places.popitem(last=False)
        here = place.life if place.life is not None and place.life.place == chunk.connection else None
        life = self._whose(chunk, here, place.full, steps)
        if life is None or life is not here:
            if here is not None and here.asked and not here.answered:
                here.place = None  # its answer will come elsewhere
            elif here is not None:
                steps.append(here.key)
            if life is None:
                life = _Life(chunk.connection._replace(life=place.lives))
                place.lives += 1
            life.place, place.life = chunk.connection, life
            place.begins = {way: end - life.ends[way] for way, end in place.ends.items()}
        steps.append(self._said(place, life, chunk))
        return steps

    def exited(self, process: ProcessKey) -> list[ConnectionKey]:
        """The connections that ended with their process."""
        lives = [life for key, life in self._waiting.items() if key[0] == process]
        for waiting in [key for key in self._waiting if key[0] == process]:
            del self._waiting[waiting]
        for address in [key for key in self._places if key.process == process]:
            life = self._places.pop(address).life
            if life is not None:
                lives.append(life)
        return list(dict.fromkeys(life.key for life in lives))

    def _whose(self, chunk: Chunk, here: _Life | None, full: bool, steps: _Steps) -> _Life | None:
        """The connection that says ``chunk``; None: one that begins."""
        if _opens(chunk):
            if here is None or (not full and _gives_way(here, chunk)):
                return None
            return here
        raw = here is not None and (here.http2 or here.upgraded)
        if chunk.direction == "received" and chunk.data.startswith(_ANSWER) and not chunk.missing and not raw:
            answered = self._answers(chunk, here, steps)
            if answered is not None:
                return answered
        if here is None:
            return self._moved(chunk, steps)
        return self._returned(chunk, here, steps) if _is_frame(chunk) and not full else here

    def _answers(self, chunk: Chunk, here: _Life | None, steps: _Steps) -> _Life | None:
        """The request for an upgrade that is answered, if one is."""
        process = chunk.connection.process
        if chunk.data.startswith(_SWITCHING):
            accepted = _ACCEPT.search(chunk.data)
            life = self._waiting.pop((process, accepted[1]), None) if accepted else None
            if life is not None:
                life.upgraded = True
            return life
        if here is not None and not here.asked:
            return None
        waiting = [key for key in self._waiting if key[0] == process]
        if len(waiting) == 1:
            return self._waiting.pop(waiting[0])
        self._give_up((self._waiting.pop(key) for key in waiting), chunk, steps)
        return None

    def _moved(self, chunk: Chunk, steps: _Steps) -> _Life | None:
        """The upgraded connection that goes on at an address where there was none."""
        waiting = self._unsettled(chunk.connection.process)
        if len(waiting) == 1 and not chunk.missing:
            waiting[0].settled = True
            return waiting[0]
        self._give_up(waiting, chunk, steps)
        return None

    def _returned(self, chunk: Chunk, here: _Life, steps: _Steps) -> _Life | None:
        """The same at an address where there was one, which may have ended."""
        waiting = [
            life
            for life in self._unsettled(chunk.connection.process)
            if life is not here and life.asked_at > here.heard_at
        ]
        if not waiting or chunk.missing:
            return here
        if len(waiting) == 1:
            waiting[0].settled = True
            return waiting[0]
        self._give_up(waiting, chunk, steps)
        return None

    def _unsettled(self, process: ProcessKey) -> list[_Life]:
        return [
            place.life
            for key, place in self._places.items()
            if key.process == process
            and place.life is not None
            and place.life.place == key
            and place.life.upgraded
            and not place.life.settled
        ]

    def _give_up(self, lives: Iterable[_Life], chunk: Chunk, steps: _Steps) -> None:
        lost = chunk.missing + len(chunk.data)
        for life in lives:
            life.settled = life.answered = True
            life.ends[chunk.direction] += lost
            hole = Chunk(life.key, chunk.direction, life.ends[chunk.direction], b"", chunk.ts, lost)
            steps += [hole, life.key]

    def _said(self, place: _Place, life: _Life, chunk: Chunk) -> Chunk:
        """The chunk as its connection's, which knows it from now on."""
        offset = chunk.offset - place.begins[chunk.direction]
        life.heard_at = self._now
        if chunk.direction == "sent":
            if _opens(chunk):
                life.http2 = life.http2 or chunk.data.startswith(_PREFACE)
                life.answered = False
                self._ask(life, chunk)
            life.settled = life.settled or life.upgraded
            place.full = len(chunk.data) == _FULL
        else:
            if not (life.answered or life.http2 or life.asked) and chunk.data.startswith(_SWITCHING):
                life.upgraded = True
            life.answered = True
        life.ends[chunk.direction] = offset + len(chunk.data)
        place.ends[chunk.direction] = chunk.offset + len(chunk.data)
        return chunk._replace(connection=life.key, offset=offset)

    def _ask(self, life: _Life, chunk: Chunk) -> None:
        """Whether the request asks for a WebSocket."""
        key = _KEY.search(chunk.data)
        if key is None:
            return
        life.asked_at = self._now
        life.asked = base64.b64encode(hashlib.sha1(key[1] + _GUID, usedforsecurity=False).digest())
        self._waiting[chunk.connection.process, life.asked] = life
        if len(self._waiting) > MAX_WAITING:
            self._waiting.popitem(last=False)


def _opens(chunk: Chunk) -> bool:
    """Whether the chunk is the beginning of what a client says to an HTTP server."""
    return (
        chunk.direction == "sent"
        and not chunk.missing
        and (chunk.data.startswith(_PREFACE) or _REQUEST.match(chunk.data) is not None)
    )


def _is_frame(chunk: Chunk) -> bool:
    """Whether the chunk may begin with a frame of a WebSocket; a client masks what it sends."""
    masked = chunk.direction == "sent"
    return len(chunk.data) >= 2 and chunk.data[0] in _FRAME_STARTS and bool(chunk.data[1] & _MASKED) == masked


def _gives_way(life: _Life, chunk: Chunk) -> bool:
    """Whether what opens here is another connection's."""
    if chunk.data.startswith(_PREFACE):
        return True
    # A frame of HTTP/2 may be continued by anything: its body can be a request line.
    return not life.http2 and (life.answered or life.upgraded or bool(life.asked))
