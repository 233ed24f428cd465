"""WebSocket messages as seen from beside one end of the connection: RFC 6455, compressed by RFC 7692.

Which side is the client is told by its masked frames. Bytes that are lost inside a frame whose length is
known cost that message only. What was in it is needed to inflate the next one, if the ends agreed to keep the
context: then, and where the next frame's beginning is not certain, the direction is lost and every later
message of it is a :class:`Gap`; the other direction goes on.
"""

from __future__ import annotations

from collector.http.encoding import MAX_BODY, EncodingError
from collector.http.events import (
    ConnectionLost,
    Direction,
    Gap,
    Headers,
    WebSocketClosed,
    WebSocketEvent,
    WebSocketMessage,
    other,
)
from collector.http.head import HttpError
from collector.http.permessage_deflate import Deflate, Inflater, negotiated

_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0, 1, 2, 8, 9, 10
#: most payload of a control frame (section 5.5)
_MAX_CONTROL = 125
_NO_STATUS = 1005


class _Frame:
    """A frame whose header was read."""

    def __init__(self, head: bytes, length: int, mask: bytes, ts: int) -> None:
        self.fin = bool(head[0] & 0x80)
        self.compressed = bool(head[0] & 0x40)
        self.reserved = bool(head[0] & 0x30)
        self.opcode = head[0] & 0x0F
        self.remaining = length
        self.mask = mask
        self.ts = ts
        self.payload = bytearray()
        self.missing = 0

    @property
    def control(self) -> bool:
        return self.opcode >= _CLOSE


class _Message:
    """A message whose first frame began."""

    def __init__(self, text: bool, compressed: bool, ts: int) -> None:
        self.text = text
        self.compressed = compressed
        self.first_ts = ts
        self.payload = bytearray()
        self.missing = 0
        #: why it cannot be read
        self.cause: str | None = None


class _Side:
    """One direction."""

    def __init__(self, direction: Direction) -> None:
        self.direction: Direction = direction
        self.masked: bool | None = None
        self.head = bytearray()
        self.frame: _Frame | None = None
        self.message: _Message | None = None
        self.inflater: Inflater | None = None
        #: where the next frame begins is not known
        self.astray = False
        #: its end was told: nothing follows (section 5.5.1)
        self.closed = False


class WebSocketConnection:
    """Messages of one WebSocket, from the bytes of both directions after its upgrade was accepted."""

    def __init__(self, request_index: int, request_headers: Headers, response_headers: Headers) -> None:
        self._index = request_index
        self._sides: dict[Direction, _Side] = {"sent": _Side("sent"), "received": _Side("received")}
        self._deflate: Deflate | None = None
        self._refused: str | None = None
        self._over = False
        self._events: list[WebSocketEvent] = []
        try:
            self._deflate = negotiated(request_headers, response_headers)
        except HttpError as error:
            self._refused = error.cause

    def feed(self, direction: Direction, data: bytes, ts: int, missing: int = 0) -> list[WebSocketEvent]:
        """What ``data`` completes. ``missing`` bytes were lost just before it; ``ts`` is in ns.

        Never raises; after :class:`ConnectionLost` it gives nothing more.
        """
        side = self._sides[direction]
        if self._over or side.closed:
            return []
        if self._refused is not None:
            return self._lost(self._refused, missing, ts)
        try:
            if missing > 0:
                self._gap(side, missing, ts)
            if side.astray and data:
                self._events.append(Gap(direction=direction, missing=0, ts=ts))
            elif data:
                self._bytes(side, data, ts)
        except HttpError as error:
            return self._lost(error.cause, missing, ts)
        events, self._events = self._events, []
        return events

    def close(self, ts: int) -> list[WebSocketEvent]:
        """The connection is closed: a message that was begun is a gap."""
        begun = [] if self._over else [s for s in self._sides.values() if s.message or s.frame or s.head]
        self._over = True
        return [Gap(direction=side.direction, missing=0, ts=ts, cause="closed") for side in begun]

    @property
    def held(self) -> int:
        """Bytes that are kept of messages that are not over."""
        return sum(
            len(side.head)
            + (len(side.frame.payload) if side.frame is not None else 0)
            + (len(side.message.payload) if side.message is not None else 0)
            for side in self._sides.values()
        )

    # --- frames ----------------------------------------------------------------------------------

    def _bytes(self, side: _Side, data: bytes, ts: int) -> None:
        position = 0
        while position < len(data) and not side.closed:
            if side.frame is None:
                position = self._head(side, data, position, ts)
            else:
                piece = data[position : position + side.frame.remaining]
                position += len(piece)
                side.frame.remaining -= len(piece)
                if not side.frame.control and self._beyond_limit(side, side.frame, len(piece)):
                    side.frame.payload.clear()
                else:
                    side.frame.payload += piece
            if side.frame is not None and not side.frame.remaining:
                self._frame_over(side, side.frame, ts)

    def _head(self, side: _Side, data: bytes, position: int, ts: int) -> int:
        """Reads on in a frame's header (section 5.2): the position after what was taken."""
        while len(side.head) < (wanted := _head_size(side.head)):
            if position == len(data):
                return position
            taken = data[position : position + wanted - len(side.head)]
            side.head += taken
            position += len(taken)
        head = bytes(side.head)
        side.head.clear()
        masked = bool(head[1] & 0x80)
        length = head[1] & 0x7F
        if length >= 126:
            length = int.from_bytes(head[2:4] if length == 126 else head[2:10])
        frame = _Frame(head, length, head[-4:] if masked else b"", ts)
        self._check(side, frame, masked)
        if frame.opcode in (_TEXT, _BINARY):
            side.message = _Message(frame.opcode == _TEXT, frame.compressed, ts)
        side.frame = frame
        return position

    def _check(self, side: _Side, frame: _Frame, masked: bool) -> None:
        """Refuses what an end must refuse (sections 5.1 to 5.5): what follows it may be no frame."""
        if side.masked is None:
            side.masked = masked
            if self._other(side).masked is masked:
                raise HttpError("websocket_malformed")
        first = frame.opcode in (_TEXT, _BINARY)
        if (
            masked is not side.masked
            or frame.reserved
            or frame.opcode not in (_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG)
            or frame.remaining >= 1 << 63
            or (frame.compressed and not (first and self._deflate is not None))
            or (first and side.message is not None)
            or (frame.opcode == _CONTINUATION and side.message is None)
            or (frame.control and (frame.remaining > _MAX_CONTROL or not frame.fin))
        ):
            raise HttpError("websocket_malformed")

    @staticmethod
    def _beyond_limit(side: _Side, frame: _Frame, more: int) -> bool:
        message = side.message
        assert message is not None
        if message.cause is None and len(message.payload) + len(frame.payload) + more > MAX_BODY:
            message.cause = "too_large"
            message.payload.clear()
        return message.cause is not None

    def _frame_over(self, side: _Side, frame: _Frame, ts: int) -> None:
        side.frame = None
        if frame.control:
            if frame.opcode == _CLOSE:
                self._closed(side, frame, ts)
            return
        message = side.message
        assert message is not None
        if message.cause is None:
            message.payload += _unmasked(frame.payload, frame.mask)
        if frame.fin:
            side.message = None
            self._message(side, message, ts)

    def _closed(self, side: _Side, frame: _Frame, ts: int) -> None:
        side.closed = True
        payload = _unmasked(frame.payload, frame.mask)
        code = int.from_bytes(payload[:2]) if len(payload) >= 2 and not frame.missing else _NO_STATUS
        self._events.append(
            WebSocketClosed(direction=side.direction, code=code, ts=ts, request_index=self._index)
        )

    # --- messages --------------------------------------------------------------------------------

    def _message(self, side: _Side, message: _Message, ts: int) -> None:
        data = bytes(message.payload)
        if message.compressed:
            inflater = self._inflater(side)
            try:
                if message.cause is not None or inflater.ruined:
                    inflater.missed()
                    message.cause = message.cause or "gap"
                else:
                    data = inflater.message(data)
            except EncodingError as error:
                message.cause = error.cause
        if message.cause is not None:
            self._events.append(
                Gap(direction=side.direction, missing=message.missing, ts=ts, cause=message.cause)
            )
            return
        self._events.append(
            WebSocketMessage(
                direction=side.direction,
                text=message.text,
                data=data,
                ts=ts,
                request_index=self._index,
                first_ts=message.first_ts,
            )
        )

    def _inflater(self, side: _Side) -> Inflater:
        if side.inflater is None:
            assert self._deflate is not None
            takeover = self._deflate.client_takeover if side.masked else self._deflate.server_takeover
            side.inflater = Inflater(takeover)
        return side.inflater

    # --- loss ------------------------------------------------------------------------------------

    def _gap(self, side: _Side, missing: int, ts: int) -> None:
        frame = side.frame
        if frame is not None and missing <= frame.remaining:
            # Inside the frame: where the next one begins is as certain as before.
            frame.remaining -= missing
            frame.missing += missing
            if not frame.control:
                message = side.message
                assert message is not None
                message.missing += missing
                message.cause = message.cause or "gap"
                message.payload.clear()
                frame.payload.clear()
            if not frame.remaining:
                self._frame_over(side, frame, ts)
            return
        side.astray = True
        side.frame = side.message = None
        side.head.clear()
        self._events.append(Gap(direction=side.direction, missing=missing, ts=ts))

    def _lost(self, cause: str, missing: int, ts: int) -> list[WebSocketEvent]:
        self._over = True
        return [*self._events, ConnectionLost(cause=cause, missing=missing, ts=ts)]

    def _other(self, side: _Side) -> _Side:
        return self._sides[other(side.direction)]


def _head_size(head: bytearray) -> int:
    """Bytes of a frame's header, as far as its beginning tells."""
    if len(head) < 2:
        return 2
    length = head[1] & 0x7F
    return 2 + (2 if length == 126 else 8 if length == 127 else 0) + (4 if head[1] & 0x80 else 0)


def _unmasked(payload: bytearray, mask: bytes) -> bytes:
    """``payload`` without its mask (section 5.3), as one number: a loop over bytes takes 50 times as long."""
    if not mask or not payload:
        return bytes(payload)
    size = len(payload)
    key = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload) ^ int.from_bytes(key)).to_bytes(size)
