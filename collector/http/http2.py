"""HTTP/2 as seen from beside one end of a connection (RFC 9113): both byte streams in, messages out.

Frames are followed by their lengths, so a loss inside a frame costs the stream it belongs to; where whole
frames were lost, or the beginning was not seen, a frame's place must be certain again
(:class:`~collector.http.frames.Search`) and header fields may be unknown (:mod:`collector.http.fields`): what
they said is never guessed.

Flow control, priorities and settings need no reading: what was sent was sent, and how large the header table
is stands in the header blocks. Payloads of DATA are taken as they come; only header blocks are held until
they are whole.
"""

from __future__ import annotations

from enum import Enum, auto

from collector.http.events import ConnectionLost, Direction, Gap, HttpEvent, Wanted, any_exchange, other
from collector.http.fields import FieldDecoder, Fields
from collector.http.frames import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEAD_SIZE,
    HEADERS,
    PADDED,
    PREFACE,
    PRIORITY_GIVEN,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    Frame,
    Search,
    frame_at,
)
from collector.http.head import MAX_HEAD, HttpError
from collector.http.streams import Streams
from collector.http.upgrade import Inside


class _Place(Enum):
    """What a side's next bytes are."""

    START = auto()
    FRAMES = auto()
    SEARCH = auto()


class _Side:
    """One direction: the frame that is read, and the header block that it may be a part of."""

    def __init__(self, direction: Direction) -> None:
        self.direction: Direction = direction
        self.place = _Place.START
        self.fields = FieldDecoder()
        self.search = Search()
        #: every byte since its first was seen
        self.intact = True
        #: the next frame is the first, which is SETTINGS (RFC 9113, 3.4)
        self.first = False
        #: of a frame's head that is not whole, or of the preface
        self.held = bytearray()
        self.frame = Frame(0, 0, 0, 0)
        self.remaining = 0
        #: bytes of padding that end the frame; None: the byte that says so is to come
        self.padding: int | None = 0
        #: the payload, of frames that are held
        self.payload: bytearray | None = None
        #: the first frame of the header block that is not over, what there is of it, and whether some of it
        #: is lost
        self.opened: Frame | None = None
        self.block = bytearray()
        self.block_lost = False
        self.block_ts = 0

    @property
    def size(self) -> int:
        return len(self.held) + len(self.payload or b"") + len(self.block) + len(self.search.held)


def _new_sides() -> dict[Direction, _Side]:
    return {"sent": _Side("sent"), "received": _Side("received")}


class Http2Connection:
    """Messages of one connection, from the bytes of both directions; requests are numbered as they begin.

    Which side is the client is told by the preface, or by what the header blocks hold. ``wanted``,
    ``first_index`` and ``inside`` as for :class:`~collector.http.http1.Http1Connection`; ``inside`` is asked
    about WebSockets (RFC 8441), another tunnel within a stream is not read.
    """

    def __init__(
        self,
        wanted: Wanted = any_exchange,
        first_index: int = 0,
        inside: Inside = lambda _upgrade: None,
    ) -> None:
        self._streams = Streams(wanted, first_index, inside)
        self._sides = _new_sides()
        #: the client's preface was seen, so its connection was seen from its beginning
        self._whole = False
        self._over = False

    def feed(self, direction: Direction, data: bytes, ts: int, missing: int = 0) -> list[HttpEvent]:
        """What ``data`` completes. ``missing`` bytes were lost just before it; ``ts`` is in ns.

        Never raises; after :class:`ConnectionLost` it gives nothing more.
        """
        if self._over:
            return []
        side = self._sides[direction]
        try:
            if missing > 0:
                self._gap(side, missing, ts)
            if data:
                self._bytes(side, data, ts)
        except HttpError as error:
            self._give_up(error.cause, missing, ts)
        return self._take()

    def close(self, ts: int) -> list[HttpEvent]:
        """The connection is closed: what is unfinished is over and incomplete."""
        if self._over:
            return []
        self._streams.abandon_all("closed", ts)
        if any(
            side.opened or side.held or side.search.held or side.search.passed
            for side in self._sides.values()
        ):
            self._streams.events.append(ConnectionLost(cause="closed", missing=0, ts=ts))
        self._sides = _new_sides()
        self._over = True
        return self._take()

    @property
    def held(self) -> int:
        """Bytes that are kept of messages that are not over, those given as :class:`BodyPart` included."""
        return self._streams.held + sum(side.size for side in self._sides.values())

    # --- bytes to frames -------------------------------------------------------------------------

    def _bytes(self, side: _Side, data: bytes, ts: int) -> None:
        if side.place is _Place.START:
            data = self._start(side, data, ts)
        if side.place is _Place.SEARCH:
            found = side.search.feed(data)
            if found is None:
                return
            self._found(side, ts)
            data = found
        position = 0
        while position < len(data) and not self._over:
            if side.remaining:
                piece = data[position : position + side.remaining]
                position += len(piece)
                side.remaining -= len(piece)
                self._payload(side, piece, ts)
                continue
            if side.held or len(data) - position < HEAD_SIZE:
                piece = data[position : position + HEAD_SIZE - len(side.held)]
                position += len(piece)
                side.held += piece
                if len(side.held) < HEAD_SIZE:
                    return
                frame = frame_at(side.held, 0)
                side.held.clear()
            else:
                frame = frame_at(data, position)
                position += HEAD_SIZE
            self._frame(side, frame, ts)

    def _start(self, side: _Side, data: bytes, ts: int) -> bytes:
        """A side's first bytes: the client's preface, the server's first frame, or neither: joined late."""
        side.held += data
        if PREFACE.startswith(side.held[: len(PREFACE)]) and not self._whole:
            if len(side.held) < len(PREFACE):
                return b""
            data = bytes(side.held[len(PREFACE) :])
            side.held.clear()
            side.place = _Place.FRAMES
            side.first = True
            self._whole = True
            self._streams.client = side.direction
            self._server_began(self._other(side), ts)
            return data
        data = bytes(side.held)
        side.held.clear()
        if self._whole and side.intact:
            side.place = _Place.FRAMES
            side.first = True
        else:
            side.place = _Place.SEARCH
            side.fields.forget()
        return data

    def _server_began(self, server: _Side, ts: int) -> None:
        """The client's preface was seen, so what the server sent before it was its beginning, too."""
        if not server.intact or server.place is _Place.START or server.search.passed:
            return
        if server.place is _Place.FRAMES and not server.fields.used:
            server.fields = FieldDecoder()
        elif server.place is _Place.SEARCH:
            begun = bytes(server.search.held)
            server.search = Search()
            server.place = _Place.FRAMES
            server.fields = FieldDecoder()
            server.first = True
            self._bytes(server, begun, ts)

    def _found(self, side: _Side, ts: int) -> None:
        if side.search.passed:
            self._streams.events.append(Gap(direction=side.direction, missing=side.search.passed, ts=ts))
        side.search = Search()
        side.place = _Place.FRAMES

    def _frame(self, side: _Side, frame: Frame, ts: int) -> None:
        kind = frame.kind
        side.frame = frame
        side.remaining = frame.length
        side.padding = 0
        side.payload = None
        if (kind == CONTINUATION) != (side.opened is not None) or (
            side.opened is not None and side.opened.stream != frame.stream
        ):
            raise HttpError("bad_frame")
        if side.first and kind != SETTINGS:
            raise HttpError("bad_frame")
        side.first = False
        if kind == DATA:
            if frame.flags & PADDED:
                if not frame.length:
                    raise HttpError("bad_frame")
                side.padding = None
            cause = "malformed_head" if side.intact else "gap"
            self._streams.body_begins(side.direction, frame.stream, ts, cause)
        elif kind in (HEADERS, PUSH_PROMISE, CONTINUATION):
            if len(side.block) + frame.length > MAX_HEAD:
                raise HttpError("head_too_large")
            if kind != CONTINUATION:
                side.opened = frame
                side.block_ts = ts
            side.payload = bytearray()
        elif kind == GOAWAY and frame.length <= MAX_HEAD:
            side.payload = bytearray()
        if not frame.length:
            self._frame_over(side, ts)

    def _payload(self, side: _Side, piece: bytes, ts: int) -> None:
        if side.payload is not None:
            side.payload += piece
        elif side.frame.kind == DATA:
            if side.padding is None:
                side.padding = piece[0]
                piece = piece[1:]
                if side.padding > side.remaining + len(piece):
                    raise HttpError("bad_frame")
            body = side.remaining + len(piece) - side.padding
            if body > 0:
                self._streams.body(side.direction, side.frame.stream, piece[:body], ts)
        if not side.remaining:
            self._frame_over(side, ts)

    def _frame_over(self, side: _Side, ts: int) -> None:
        frame, payload = side.frame, side.payload
        side.payload = None
        if frame.kind == DATA:
            if frame.flags & END_STREAM:
                self._streams.side_over(side.direction, frame.stream, ts)
        elif frame.kind in (HEADERS, PUSH_PROMISE, CONTINUATION):
            if not side.block_lost and payload is not None:
                side.block += _fragment(frame, payload)
            if frame.flags & END_HEADERS:
                self._block_over(side, ts)
        elif frame.kind == RST_STREAM:
            self._streams.reset(frame.stream, ts, side.direction)
        elif (
            frame.kind == GOAWAY
            and payload is not None
            and self._streams.client not in (None, side.direction)
        ):
            self._streams.refused_beyond(int.from_bytes(payload[:4], "big") & 0x7FFFFFFF, ts)

    # --- header blocks ---------------------------------------------------------------------------

    def _block_over(self, side: _Side, ts: int) -> None:
        opened, lost = side.opened, side.block_lost
        block = bytes(side.block)
        side.opened = None
        side.block_lost = False
        side.block.clear()
        assert opened is not None
        fields: Fields | None = None
        if lost:
            side.fields.forget()
        else:
            fields = side.fields.decode(block)
        if opened.kind != PUSH_PROMISE:  # what a server sends unasked is no answer to the client
            ends = bool(opened.flags & END_STREAM)
            self._streams.fields(side.direction, opened.stream, fields, ends, side.block_ts, ts)

    # --- loss ------------------------------------------------------------------------------------

    def _gap(self, side: _Side, missing: int, ts: int) -> None:
        within = min(missing, side.remaining)
        if within:
            side.intact = False
            side.remaining -= within
            self._lost_within(side, within, ts)
            if not side.remaining:
                self._frame_over(side, ts)
        if missing > within:
            self._frames_lost(side, missing - within, ts)

    def _lost_within(self, side: _Side, missing: int, ts: int) -> None:
        """Bytes of the frame that is read are lost, so its end is still known."""
        exact = not side.frame.flags & PADDED
        side.padding = side.padding or 0
        if side.opened is not None:
            side.block_lost = True
            side.block.clear()
        side.payload = None
        if side.frame.kind == DATA:
            self._streams.lost_within(side.direction, side.frame.stream, missing, exact, ts)

    def _frames_lost(self, side: _Side, missing: int, ts: int) -> None:
        """Frames of any stream are lost, so each may miss something; header blocks may be among them."""
        if side.place is _Place.FRAMES:
            self._streams.frames_lost(side.direction, ts)
        side.intact = False
        side.place = _Place.SEARCH
        side.search.lose()
        side.fields.forget()
        side.held.clear()
        side.first = False
        side.payload = None
        side.opened = None
        side.block_lost = False
        side.block.clear()
        self._streams.events.append(Gap(direction=side.direction, missing=missing, ts=ts))

    def _give_up(self, cause: str, missing: int, ts: int) -> None:
        self._streams.abandon_all(cause, ts)
        self._sides = _new_sides()
        self._over = True
        self._streams.events.append(ConnectionLost(cause=cause, missing=missing, ts=ts))

    def _other(self, side: _Side) -> _Side:
        return self._sides[other(side.direction)]

    def _take(self) -> list[HttpEvent]:
        events, self._streams.events = self._streams.events, []
        return events


def _fragment(frame: Frame, payload: bytearray) -> bytearray:
    """A frame's part of its header block: without padding, priority and promised stream. Raises HttpError."""
    if frame.kind == CONTINUATION:
        return payload
    start, end = 0, len(payload)
    if frame.flags & PADDED:
        if not payload:
            raise HttpError("bad_frame")
        start, end = 1, end - payload[0]
    if frame.kind == PUSH_PROMISE:
        start += 4
    elif frame.flags & PRIORITY_GIVEN:
        start += 5
    if start > end:
        raise HttpError("bad_frame")
    return payload[start:end]
