"""Conversations of HTTP/2 as the `h2` library speaks it, and what was said in them, to hold the reader against."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived
from h2.settings import SettingCodes

from collector.http.connection import HttpConnection
from collector.http.events import BodyPart, Direction, Gap, Headers, HttpEvent, RequestDone, ResponseDone

Pairs = list[tuple[str, str]]


class Write(NamedTuple):
    """Bytes that one side wrote at once."""

    direction: Direction
    data: bytes


@dataclass
class Said:
    """One exchange, as its two ends mean it."""

    method: str = "POST"
    path: str = "/v1/messages"
    headers: Pairs = field(default_factory=list)
    body: bytes = b"{}"
    status: str = "200"
    answer_headers: Pairs = field(default_factory=list)
    answer: bytes = b"ok"
    trailers: Pairs = field(default_factory=list)
    #: bytes of each DATA frame, and of its padding
    piece: int = 1 << 14
    padding: int | None = None

    def steps(self) -> list[str]:
        """What is done in order: heads, then bodies in pieces, then their ends."""
        pieces = len(range(0, len(self.body), self.piece))
        answers = len(range(0, len(self.answer), self.piece))
        return ["ask", *["body"] * pieces, "asked", "answer", *["part"] * answers, "answered"]


def _take(end: H2Connection, data: bytes) -> None:
    """What an end does with what it reads: it makes room for more."""
    for event in end.receive_data(data):
        if isinstance(event, DataReceived) and event.flow_controlled_length:
            end.acknowledge_received_data(event.flow_controlled_length, event.stream_id)


class Talk:
    """A client and a server of `h2` in memory; ``writes`` is what an observer beside the client sees."""

    def __init__(self) -> None:
        self.client = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
        self.server = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self.writes: list[Write] = []
        self.streams: list[tuple[int, Said]] = []
        self._done: dict[tuple[int, str], int] = {}
        self.client.initiate_connection()
        self.server.initiate_connection()
        self.flush()

    def flush(self) -> None:
        """What either side has to write, and the other's reaction to it."""
        while True:
            sent, received = self.client.data_to_send(), self.server.data_to_send()
            if not sent and not received:
                return
            if sent:
                self.writes.append(Write("sent", sent))
                _take(self.server, sent)
            if received:
                self.writes.append(Write("received", received))
                _take(self.client, received)

    def table(self, side: str, size: int) -> None:
        """A side bounds the other's header table; an exchange follows, as `hpack` tells the other every bound that
        it was given since its last block, and refuses those that a later one forbids."""
        end = self.client if side == "client" else self.server
        end.update_settings({SettingCodes.HEADER_TABLE_SIZE: size})
        self.flush()
        self.say(Said())

    def open(self, said: Said) -> int:
        """A stream that nothing was said on yet."""
        self.streams.append((0, said))
        return len(self.streams) - 1

    def step(self, index: int, step: str) -> None:
        """The next thing of a stream, see :meth:`Said.steps`."""
        number, said = self.streams[index]
        if step == "ask":
            number = self.client.get_next_available_stream_id()
            self.streams[index] = (number, said)
            pseudo = [(":method", said.method), (":authority", "api.example"), (":scheme", "https")]
            self.client.send_headers(number, [*pseudo, (":path", said.path), *said.headers])
        elif step == "asked":
            self.client.end_stream(number)
        elif step == "answer":
            self.server.send_headers(number, [(":status", said.status), *said.answer_headers])
        elif step == "answered":
            if said.trailers:
                self.server.send_headers(number, said.trailers, end_stream=True)
            else:
                self.server.end_stream(number)
        else:
            end, whole = (self.client, said.body) if step == "body" else (self.server, said.answer)
            at = self._done.get((index, step), 0)
            self._done[index, step] = at + said.piece
            end.send_data(number, whole[at : at + said.piece], pad_length=said.padding)
        self.flush()

    def say(self, *exchanges: Said) -> Talk:
        """Exchanges one after the other."""
        for said in exchanges:
            index = self.open(said)
            for step in said.steps():
                self.step(index, step)
        return self

    def wire(self, direction: Direction) -> bytes:
        """All bytes of a direction."""
        return b"".join(write.data for write in self.writes if write.direction == direction)


def read(
    writes: list[Write], connection: HttpConnection | None = None, close: bool = True
) -> list[HttpEvent]:
    """What an observer makes of it."""
    connection = connection or HttpConnection()
    events: list[HttpEvent] = []
    for direction, data in writes:
        events += connection.feed(direction, data, 7)
    return events + (connection.close(7) if close else [])


def cut(writes: list[Write], size: int) -> list[Write]:
    """The same in pieces."""
    return [
        Write(direction, data[at : at + size])
        for direction, data in writes
        for at in range(0, len(data), size)
    ]


class Exchange(NamedTuple):
    """What was read of one exchange; ``whole``: both messages are called complete."""

    method: str
    target: str
    headers: Headers
    body: bytes
    status: int
    answer_headers: Headers
    answer: bytes
    whole: bool


def exchanges(events: list[HttpEvent]) -> list[Exchange]:
    """The exchanges that both messages of were told, in order of their requests; parts of an answer joined."""
    asked = {event.index: event for event in events if isinstance(event, RequestDone)}
    parts: dict[int | None, bytes] = {}
    for event in events:
        if isinstance(event, BodyPart):
            parts[event.request_index] = parts.get(event.request_index, b"") + event.data
    answered = {event.request_index: event for event in events if isinstance(event, ResponseDone)}
    both = [(asked[index], answered[index]) for index in sorted(asked) if index in answered]
    return [
        Exchange(
            request.method,
            request.target,
            request.headers,
            request.body,
            response.status,
            response.headers,
            parts.get(request.index, b"") + response.body,
            request.complete and response.complete,
        )
        for request, response in both
    ]


def meant(said: Said) -> Exchange:
    """What is to be read of an exchange."""
    return Exchange(
        said.method,
        said.path,
        (("host", "api.example"), *said.headers),
        said.body,
        int(said.status),
        (*said.answer_headers, *said.trailers),
        said.answer,
        True,
    )


def told(events: list[HttpEvent]) -> bool:
    """Does something say that not everything was read?"""
    return any(
        not event.complete
        if isinstance(event, RequestDone | ResponseDone)
        else not isinstance(event, BodyPart)
        for event in events
    )


def joined(events: list[HttpEvent]) -> list[HttpEvent]:
    """Neighbouring parts of one body as one: only their cuts depend on the reads."""
    out: list[HttpEvent] = []
    for event in events:
        last = out[-1] if out else None
        if (
            isinstance(event, BodyPart)
            and isinstance(last, BodyPart)
            and event.request_index == last.request_index
        ):
            out[-1] = msgspec.structs.replace(last, data=last.data + event.data)
        else:
            out.append(event)
    return out


def gaps(events: list[HttpEvent]) -> list[Gap]:
    return [event for event in events if isinstance(event, Gap)]
