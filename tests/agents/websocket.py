"""WebSocket for the endpoint, with permessage-deflate for who offers it: :func:`serve`. The protocol is wsproto's.

It is OpenAI's form of the Responses API over it: every text message of the client is a ``response.create``, and is
answered by messages that are the events of the stream.
"""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Sequence

from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, CloseConnection, Ping, RejectConnection, Request, TextMessage
from wsproto.extensions import PerMessageDeflate

from tests.agents.frames import Event
from tests.agents.model import Asked, Model, Reply
from tests.agents.wire import wire_of

_RECEIVE = 65536


def serve(link: ssl.SSLSocket, model: Model, path: str, headers: Sequence[tuple[str, str]]) -> None:
    """Answer the upgrade that was asked for at ``path``, then every message until the end. Raises OSError."""
    protocol = WSConnection(ConnectionType.SERVER)
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    protocol.initiate_upgrade_connection(raw, path)
    known = {name.lower(): value for name, value in headers}
    text: list[str] = []
    while True:
        for event in protocol.events():
            match event:
                case Request():
                    if wire_of(path) != "openai.responses":
                        link.sendall(protocol.send(RejectConnection(status_code=404)))
                        return
                    link.sendall(protocol.send(AcceptConnection(extensions=[PerMessageDeflate()])))
                    link.sendall(protocol.send(Ping(b"still there?")))
                case TextMessage():
                    text.append(event.data)
                    if event.message_finished:
                        asked = Asked("GET", path, known, "".join(text).encode(), "websocket")
                        text.clear()
                        if not _answer(link, protocol, model, model.reply(asked)):
                            return
                case Ping():
                    link.sendall(protocol.send(event.response()))
                case CloseConnection():
                    link.sendall(protocol.send(event.response()))
                    return
                case _:
                    continue
        data = link.recv(_RECEIVE)
        if not data:
            return
        protocol.receive_data(data)


def _answer(link: ssl.SSLSocket, protocol: WSConnection, model: Model, reply: Reply) -> bool:
    """Send ``reply``; whether the connection goes on after it."""
    if reply.events is None:
        error = {"type": "error", "status": reply.status, **json.loads(reply.content)}
        link.sendall(protocol.send(TextMessage(json.dumps(error))))
        return True
    for event in reply.events:
        assert isinstance(event, Event), "of this API, events alone"
        link.sendall(protocol.send(TextMessage(event.data)))
    if reply.cut:
        link.shutdown(socket.SHUT_RDWR)
        return False
    model.said(reply)
    return True
