"""What AgentSight published of an agent's traffic, as plaintext of connections again.

A capture is a list of requests and responses of one thread, without their headers and without saying which response
answers which request. A streamed response is told by its HTTP chunks, as far as AgentSight kept them. So this reader
says what it has to make up: the heads, a connection for each request, and which response is its answer. It makes up no
byte of a body: what a stream has lost is a hole.

The form is that of ``script/results/ssl_only/*/ssl_data_only.json`` in eunomia-bpf/agentsight (August 2025).
"""

from __future__ import annotations

import json
import lzma
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from collector.tls.streams import Chunk, ConnectionKey

Json = dict[str, Any]
#: longest time from a request to the first byte of its answer, ns: what is not answered by then was given up. Between
#: the longest of these captures (6.3 s) and the shortest wait of a request that its client had cancelled.
_PATIENCE = 8_000_000_000
#: a body that is a chunk of HTTP/1.1 as it was on the wire
_CHUNK = re.compile(r"[0-9a-f]+\r\n")
_MODEL = re.compile(r'"model(?:Version)?": ?"([^"]+)"')


class Piece(msgspec.Struct, frozen=True):
    """Plaintext that one read of the client gave, with its chunk framing."""

    timestamp: int
    raw_data: str


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A request or a response, as AgentSight tells it; ``timestamp`` in ns since boot, of a stream its last piece's."""

    type: str
    timestamp: int
    method: str = ""
    path: str = ""
    body: str = ""
    status_code: int = 0
    status_text: str = ""
    sse_raw_chunks: tuple[Piece, ...] = ()

    @property
    def pieces(self) -> list[Piece]:
        """The body of a stream as it was read; empty where it is none, or nothing of it was kept."""
        first = self.sse_raw_chunks[0].timestamp if self.sse_raw_chunks else self.timestamp
        head = [Piece(first, self.body)] if _CHUNK.match(self.body) and self.type == "response" else []
        return [*head, *self.sse_raw_chunks]

    @property
    def began(self) -> int:
        """When its first byte was seen."""
        return self.pieces[0].timestamp if self.pieces else self.timestamp


class _Capture(msgspec.Struct, frozen=True):
    data_timeline: tuple[Message, ...]


@dataclass
class Exchange:
    """A request and what answers it; ``request`` is None where AgentSight has not seen it."""

    request: Message | None
    response: Message | None = None


def load(path: Path) -> tuple[Message, ...]:
    """The messages of a capture: JSON, or that compressed by xz."""
    data = path.read_bytes()
    plain = lzma.decompress(data) if path.suffix == ".xz" else data
    return msgspec.json.decode(plain, type=_Capture).data_timeline


def exchanges(messages: tuple[Message, ...]) -> list[Exchange]:
    """Which response answers which request: the oldest one that waits and that it may answer."""
    found: list[Exchange] = []
    waiting: list[Exchange] = []
    for message in messages:
        if message.type == "request":
            found.append(Exchange(message))
            waiting.append(found[-1])
            continue
        answered = next((one for one in waiting if _answers(message, one.request)), None)
        if answered is None:
            found.append(Exchange(None, message))
        else:
            answered.response = message
            waiting.remove(answered)
    return found


def chunks(talk: list[Exchange], process: str, hosts: dict[str, str]) -> Iterator[tuple[Chunk, bool]]:
    """The plaintext of each connection in order of time, and whether the connection is over with it.

    ``hosts``: the host by how a path begins, since the heads are not told.
    """
    rows = [row for number, one in enumerate(talk) for row in _wire(number, one, process, hosts)]
    yield from sorted(rows, key=lambda row: row[0].ts)


def _answers(response: Message, request: Message | None) -> bool:
    if request is None or not 0 <= response.began - request.timestamp <= _PATIENCE:
        return False
    streamed = request.path.startswith("/v1/messages?") or "streamGenerateContent" in request.path
    if response.pieces or (streamed and not response.body.startswith("{")):
        said = "".join(piece.raw_data for piece in response.pieces)
        model = _MODEL.search(said)
        asked: Json = json.loads(request.body) if streamed else {}
        if '"tool_use"' in said and not asked.get("tools"):
            return False
        return streamed and (model is None or asked.get("model") == model[1])
    kind = {202: "/v1/rgstr", 429: "/envelope/"}.get(response.status_code, "count_tokens")
    return kind in request.path


def _wire(number: int, one: Exchange, process: str, hosts: dict[str, str]) -> Iterator[tuple[Chunk, bool]]:
    key = ConnectionKey(process, number, 1)
    if one.request is not None:
        asked = one.request
        host = next(host for begins, host in hosts.items() if asked.path.startswith(begins))
        body = asked.body.encode()
        head = f"{asked.method} {asked.path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n\r\n"
        yield Chunk(key, "sent", 0, head.encode() + body, asked.timestamp, 0), False
    if one.response is not None:
        yield from _answer(key, one.response)


def _answer(key: ConnectionKey, response: Message) -> Iterator[tuple[Chunk, bool]]:
    status = f"HTTP/1.1 {response.status_code} {response.status_text}\r\n"
    if not response.pieces and response.body[:1] in ("", "{"):
        body = response.body.encode()
        data = f"{status}Content-Length: {len(body)}\r\n\r\n".encode() + body
        yield Chunk(key, "received", 0, data, response.timestamp, 0), True
        return
    head = f"{status}Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    offset, last = 0, ""
    for ts, last in [
        (response.began, head),
        *((piece.timestamp, piece.raw_data) for piece in response.pieces),
    ]:
        data = last.encode()
        yield Chunk(key, "received", offset, data, ts, 0), False
        offset += len(data)
    if last.endswith("0\r\n\r\n"):
        yield Chunk(key, "received", offset, b"", response.timestamp, 0), True
    else:  # how much more there was nobody says
        yield Chunk(key, "received", offset + 1, b"", response.timestamp, 1), True
