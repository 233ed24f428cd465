"""HTTP/2 for the endpoint, on one connection that is already in TLS: :func:`serve`. The protocol itself is h2's."""

from __future__ import annotations

import ssl
from collections import deque
from dataclasses import dataclass, field

import h2.events as happened
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes

from tests.agents.model import Asked, Model, Reply

_RECEIVE = 65536


@dataclass
class _Stream:
    """A request as it comes in, then the parts of its answer that have not gone out."""

    headers: dict[str, str]
    body: bytearray = field(default_factory=bytearray)
    reply: Reply | None = None
    parts: deque[bytes] = field(default_factory=deque)


class _Connection:
    def __init__(self, model: Model, max_body: int) -> None:
        self._model = model
        self._max_body = max_body
        self._streams: dict[int, _Stream] = {}
        self.protocol = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self.protocol.initiate_connection()

    def take(self, event: happened.Event) -> None:
        """Something came in."""
        if isinstance(event, happened.RequestReceived):
            headers = {str(name): str(value) for name, value in event.headers}
            self._streams[event.stream_id] = _Stream(headers)
        elif isinstance(event, happened.DataReceived):
            self.protocol.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            stream = self._streams.get(event.stream_id)
            if stream is None:
                return
            stream.body += event.data
            if len(stream.body) > self._max_body:
                self._reset(event.stream_id, ErrorCodes.ENHANCE_YOUR_CALM)
        elif isinstance(event, happened.StreamEnded):
            if event.stream_id in self._streams:
                self._answer(event.stream_id)
        elif isinstance(event, happened.StreamReset):
            self._streams.pop(event.stream_id, None)

    def _answer(self, number: int) -> None:
        stream = self._streams[number]
        headers = {name: value for name, value in stream.headers.items() if not name.startswith(":")}
        asked = Asked(stream.headers[":method"], stream.headers[":path"], headers, bytes(stream.body), "h2")
        stream.reply = reply = self._model.reply(asked)
        self.protocol.send_headers(
            number, [(":status", str(reply.status)), ("content-type", reply.kind), *reply.headers]
        )
        stream.parts.extend(
            [reply.content] if reply.events is None else (event.encode() for event in reply.events)
        )

    def flush(self) -> None:
        """Send of every answer what the windows of the client allow."""
        for number, stream in list(self._streams.items()):
            if stream.reply is None:
                continue
            while stream.parts:
                room = min(
                    self.protocol.local_flow_control_window(number), self.protocol.max_outbound_frame_size
                )
                part = stream.parts.popleft()
                if len(part) > room:
                    stream.parts.appendleft(part[room:])
                    part = part[:room]
                if not part:
                    break
                self.protocol.send_data(number, part)
            if stream.parts:
                continue
            if stream.reply.cut:
                self._reset(number, ErrorCodes.INTERNAL_ERROR)
            else:
                self.protocol.end_stream(number)
                del self._streams[number]
                self._model.said(stream.reply)

    def _reset(self, number: int, code: ErrorCodes) -> None:
        self.protocol.reset_stream(number, code)
        del self._streams[number]


def serve(link: ssl.SSLSocket, model: Model, max_body: int) -> None:
    """Answer every request of the connection until its end. Raises OSError and h2's ProtocolError."""
    connection = _Connection(model, max_body)
    link.sendall(connection.protocol.data_to_send())
    while data := link.recv(_RECEIVE):
        for event in connection.protocol.receive_data(data):
            if isinstance(event, happened.ConnectionTerminated):
                return
            connection.take(event)
        connection.flush()
        link.sendall(connection.protocol.data_to_send())
