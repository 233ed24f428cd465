"""The streams of an HTTP/2 connection (RFC 9113, 5 and 8): header fields and DATA in, messages out.

A stream is a request and its answer. It is followed from its request's head; frames of a stream whose request
was not seen are told of once, and nothing is made of them.
"""

from __future__ import annotations

import re
from collections import OrderedDict

from collector.bounded import put
from collector.http.events import RESET_BY_CLIENT, Direction, Gap, HttpEvent, Wanted, is_success, other
from collector.http.fields import Fields, FieldSection, is_request, read_head, read_trailers
from collector.http.head import NO_HEAD, Head, HttpError, content_length
from collector.http.message import Message
from collector.http.upgrade import Inner, Inside, Upgrade

#: most streams that are open at once: servers allow 100 to 1000
MAX_STREAMS = 1024
#: most streams of before the connection was followed that are remembered, to tell of each once
_MAX_UNSEEN = 1024
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


class _StreamMessage(Message):
    """A message of a stream.

    ``taken`` counts the bytes of its DATA frames, ``length`` is what its head says they are. ``unproven``:
    some of its fields are unknown, and its content coding may be among them.
    """

    def __init__(
        self, section: FieldSection, first_ts: int, index: int | None, wanted: bool, bodiless: bool
    ) -> None:
        head = section.head
        self.unproven = section.unknown and not head.all("content-encoding")
        super().__init__(head, first_ts, index, wanted, parts=not self.unproven)
        if section.cause is not None:
            self.fail(section.cause)
        self.taken = 0
        self.length: int | None = None
        try:
            self.length = None if bodiless else content_length(head)
        except HttpError as error:
            self.fail(error.cause)

    def ended(self) -> None:
        if self.length is not None and self.length != self.taken and self.cause is None:
            self.fail("ambiguous_length")
        super().ended()
        if self.unproven and self.cause is None and not _is_text(self.body):
            self.fail("header_unknown")
            self.body.clear()


class _Stream:
    def __init__(self, number: int, request: _StreamMessage, protocol: str) -> None:
        self.number = number
        self.request = request
        #: of an extended CONNECT (RFC 8441)
        self.protocol = protocol
        self.response: _StreamMessage | None = None
        #: bytes that are kept of it, heads included
        self.held = 0

    @property
    def tunnel(self) -> bool:
        return self.request.head.method == "CONNECT"


#: what is known of a head that was lost
_LOST = FieldSection(NO_HEAD, "", False, "gap")


class Streams:
    """``wanted``, ``first_index`` and ``inside`` as for :class:`~collector.http.http2.Http2Connection`."""

    def __init__(self, wanted: Wanted, first_index: int, inside: Inside) -> None:
        self._wanted = wanted
        self._inside = inside
        #: the direction of requests, None until it is known
        self.client: Direction | None = None
        self._open: dict[int, _Stream] = {}
        self._tunnels: dict[int, Inner] = {}
        self._requests = first_index
        #: numbers of the first and the latest stream whose request was seen
        self._first = self._latest = 0
        self._unseen: OrderedDict[int, None] = OrderedDict()
        self._held = 0
        #: what was read and not taken yet
        self.events: list[HttpEvent] = []

    @property
    def held(self) -> int:
        """Bytes that are kept of messages that are not over, those given in parts included."""
        return self._held + sum(inner.held for inner in self._tunnels.values())

    # --- header fields ---------------------------------------------------------------------------

    def fields(
        self, direction: Direction, number: int, fields: Fields | None, ends: bool, first_ts: int, ts: int
    ) -> None:
        """A header block, None if it was lost. ``ends``: it is the last of its side. Raises HttpError."""
        if self.client is None and fields is not None:
            request = is_request(fields)
            if request is not None:
                self.client = direction if request else other(direction)
        stream = self._open.get(number)
        if self.client == direction:
            if stream is None:
                stream = self._request(direction, number, fields, first_ts, ts)
            else:
                self._trailers(stream, stream.request, fields, ends)
            if stream is not None and (ends or stream.tunnel) and not stream.request.reported:
                self._request_over(stream, ts)
        elif stream is None:
            self._not_seen(direction, number, ts)
        else:
            self._answer(stream, fields, ends, first_ts, ts)

    def _request(
        self, direction: Direction, number: int, fields: Fields | None, first_ts: int, ts: int
    ) -> _Stream | None:
        section = _LOST if fields is None else read_head(fields, response=False)
        begins = fields is None or section.unknown or is_request(fields)
        if number <= self._latest or number % 2 == 0 or not begins:
            self._not_seen(direction, number, ts)
            return None
        if len(self._open) >= MAX_STREAMS:
            raise HttpError("too_many_requests")
        wanted = section.cause is None and self._wanted(
            section.head.method, section.head.target, section.head.headers
        )
        request = _StreamMessage(section, first_ts, self._requests, wanted, bodiless=False)
        self._requests += 1
        self._latest = number
        self._first = self._first or number
        stream = self._open[number] = _Stream(number, request, section.protocol)
        self._hold(stream, _size(section.head))
        return stream

    def _answer(self, stream: _Stream, fields: Fields | None, ends: bool, first_ts: int, ts: int) -> None:
        response = stream.response
        # Two heads that do not end the stream: the first was an interim one, whatever it said.
        interim = response is not None and response.cause in ("gap", "header_unknown") and not response.taken
        if response is not None and not (interim and not response.head.status and not ends):
            self._trailers(stream, response, fields, ends)
        else:
            section = _LOST if fields is None else read_head(fields, response=True)
            status = section.head.status
            if 100 <= status < 200 and not ends:
                return
            self._request_told(stream, ts)
            bodiless = status in (204, 304) or stream.request.head.method == "HEAD"
            response = _StreamMessage(
                section, first_ts, stream.request.index, stream.request.wanted, bodiless
            )
            stream.response = response
            self._hold(stream, _size(section.head))
            if stream.tunnel and is_success(status) and not ends:
                self._tunnel(stream, response, ts)
        if ends:
            self._response_over(stream, ts)

    def _trailers(self, stream: _Stream, message: _StreamMessage, fields: Fields | None, ends: bool) -> None:
        if message.reported:
            return
        section = _LOST if fields is None else read_trailers(fields)
        if not ends:
            section = section._replace(cause="malformed_head")
        if section.cause is not None:
            message.fail(section.cause)
            return
        message.head = message.head._replace(headers=message.head.headers + section.head.headers)
        self._hold(stream, _size(section.head))

    # --- bodies ----------------------------------------------------------------------------------

    def body_begins(self, direction: Direction, number: int, ts: int, cause: str) -> None:
        """A DATA frame. ``cause``: why its message has no head, if it has none."""
        stream = self._open.get(number)
        if stream is None:
            self._not_seen(direction, number, ts)
        elif self._message(direction, stream) is None:
            self._request_told(stream, ts)
            stream.response = _headless(stream, cause, ts)

    def body(self, direction: Direction, number: int, data: bytes, ts: int) -> None:
        """Bytes of a DATA frame, padding left out."""
        stream = self._open.get(number)
        message = self._message(direction, stream) if stream is not None else None
        if stream is None or message is None:
            return
        if number in self._tunnels:
            self.events += self._tunnels[number].feed(direction, data, ts)
            return
        message.taken += len(data)
        plain = message.take(data)
        if not plain:
            return
        self._hold(stream, len(plain))
        if message.as_parts:
            self.events.append(message.part(plain, ts))

    def side_over(self, direction: Direction, number: int, ts: int) -> None:
        """A DATA frame ended a side of a stream."""
        stream = self._open.get(number)
        if stream is None:
            return
        if direction != self.client:
            self._response_over(stream, ts)
        elif not stream.request.reported:
            self._request_over(stream, ts)

    def _message(self, direction: Direction, stream: _Stream) -> _StreamMessage | None:
        return stream.request if direction == self.client else stream.response

    # --- ends ------------------------------------------------------------------------------------

    def reset(self, number: int, ts: int, by: Direction | None = None) -> None:
        """RST_STREAM; ``by`` is who sent it."""
        if number in self._open:
            cause = RESET_BY_CLIENT if by is not None and by == self.client else "reset"
            self._abandon(self._open[number], cause, ts, answer=True)

    def refused_beyond(self, last: int, ts: int) -> None:
        """GOAWAY: the server takes no stream after ``last``."""
        for number in [number for number in self._open if number > last]:
            self.reset(number, ts)

    def abandon_all(self, cause: str, ts: int) -> None:
        """The connection is followed no longer, or is over."""
        for stream in list(self._open.values()):
            self._abandon(stream, cause, ts)

    def _request_over(self, stream: _Stream, ts: int) -> None:
        request = stream.request
        request.ended()
        assert self.client is not None
        self.events.append(request.request_done(ts, self.client))
        self._hold(stream, -request.size)

    def _request_told(self, stream: _Stream, ts: int) -> None:
        """An answer begins: its request is told before it, whole only if its length says so."""
        request = stream.request
        if not request.reported:
            if request.length is None or request.length != request.taken:
                request.fail("answered_early")
            self._request_over(stream, ts)

    def _response_over(self, stream: _Stream, ts: int) -> None:
        response = stream.response
        if response is None:
            return
        inner = self._tunnels.pop(stream.number, None)
        if inner is not None:
            self.events += inner.close(ts)
        if not response.reported:
            response.ended()
            self.events.append(response.response_done(ts))
        self._forget(stream)

    def _abandon(self, stream: _Stream, cause: str, ts: int, answer: bool = False) -> None:
        """A stream ends early. ``answer``: tell of an answer that did not come, as the connection goes on."""
        if not stream.request.reported:
            stream.request.fail(cause)
            self._request_over(stream, ts)
        if stream.response is None and answer:
            stream.response = _headless(stream, cause, ts)
        if stream.response is None:
            self._forget(stream)
        else:
            stream.response.fail(cause)
            self._response_over(stream, ts)

    def _tunnel(self, stream: _Stream, response: _StreamMessage, ts: int) -> None:
        """Further DATA of the stream is another protocol's (RFC 9113, 8.5; RFC 8441): its answer is over."""
        request = stream.request
        assert request.index is not None
        self.events.append(response.response_done(ts))
        if stream.protocol != "websocket":
            return
        inner = self._inside(
            Upgrade(
                "websocket",
                request.index,
                request.head.headers,
                response.head.headers,
                self._requests,
                request.wanted,
            )
        )
        if inner is not None:
            self._tunnels[stream.number] = inner

    def _hold(self, stream: _Stream, size: int) -> None:
        stream.held += size
        self._held += size

    def _forget(self, stream: _Stream) -> None:
        self._held -= stream.held
        del self._open[stream.number]

    # --- loss ------------------------------------------------------------------------------------

    def lost_within(self, direction: Direction, number: int, missing: int, exact: bool, ts: int) -> None:
        """Bytes of a DATA frame are lost. ``exact``: none of them is padding."""
        stream = self._open.get(number)
        message = self._message(direction, stream) if stream is not None else None
        if stream is None or message is None:
            return
        if number in self._tunnels and not exact:
            self._response_over(stream, ts)
        elif number in self._tunnels:
            self.events += self._tunnels[number].feed(direction, b"", ts, missing)
        message.fail("gap")
        message.missing += missing

    def frames_lost(self, direction: Direction, ts: int) -> None:
        """Frames of any stream may be lost: each message that was on its way is over."""
        for stream in list(self._open.values()):
            message = self._message(direction, stream)
            if stream.number in self._tunnels:
                self._response_over(stream, ts)
            elif message is not None and not message.reported:
                message.fail("gap")
                if message is stream.request:
                    self._request_over(stream, ts)
                else:
                    self._response_over(stream, ts)

    def _not_seen(self, direction: Direction, number: int, ts: int) -> None:
        """A frame of a stream that is not open: it is over, or its request was not seen: told once."""
        if self._first <= number <= self._latest or number % 2 == 0 or number in self._unseen:
            return
        put(self._unseen, number, None, _MAX_UNSEEN)
        self.events.append(Gap(direction=direction, missing=0, ts=ts))


def _headless(stream: _Stream, cause: str, ts: int) -> _StreamMessage:
    """An answer without a head, for that cause."""
    return _StreamMessage(_LOST._replace(cause=cause), ts, stream.request.index, wanted=False, bodiless=True)


def _size(head: Head) -> int:
    """What a head takes, about: as HPACK counts."""
    return len(head.target) + sum(len(name) + len(value) + 32 for name, value in head.headers)


def _is_text(body: bytearray) -> bool:
    """Is it UTF-8 without control characters? No content coding's output is."""
    try:
        return _CONTROL.search(body.decode("utf-8")) is None
    except UnicodeDecodeError:
        return False
