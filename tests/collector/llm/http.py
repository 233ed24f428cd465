"""Calls and answers as bytes of a connection, and what LlmConnection makes of them."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeVar

import brotli  # type: ignore[import-untyped]  # it ships no stubs
import zstandard

from collector.http.events import Direction
from collector.llm.exchange import LlmConnection, LlmEvent, RequestSeen, ResponseSeen, Unreadable
from tests.agents.script import Answer, ToolCall
from tests.agents.wire import Wire, content_type, events

Json = dict[str, Any]
Stream = list[tuple[Direction, bytes]]
Seen = TypeVar("Seen", RequestSeen, ResponseSeen, Unreadable)

PATHS: dict[Wire, str] = {
    "anthropic.messages": "/v1/messages?beta=true",
    "openai.chat": "/v1/chat/completions",
    "openai.responses": "/v1/responses",
    "gemini.generate_content": "/v1beta/models/m-1:streamGenerateContent?alt=sse",
    "bedrock.converse": "/model/m-1/converse-stream",
    "ollama.chat": "/api/chat",
    "cohere.chat": "/v2/chat",
}
#: streams of these APIs have no end mark of their own: they are over with the body
NO_END_MARK: frozenset[Wire] = frozenset({"gemini.generate_content"})
CODINGS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstandard.compress,
}
TEXT = "I'll run the tests — naïvely, all of them 🦊."
CALLS = (
    ToolCall("bash", {"command": "printf 'a\\n\"b\"' | cat # ünï 🦊", "timeout": 3}),
    ToolCall("bash", {"command": "pytest -q"}),
)
ANSWER = Answer(text=TEXT, calls=CALLS)


class Cut(NamedTuple):
    """Bytes of one direction, with a loss before them."""

    direction: Direction
    data: bytes
    missing: int = 0


def ask(path: str, body: Json | bytes, *headers: str, coding: str = "") -> bytes:
    """A POST with its length."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    if coding:
        raw = CODINGS[coding](raw)
        headers = (*headers, f"content-encoding: {coding}")
    head = [f"POST {path} HTTP/1.1", "Host: api.example", f"Content-Length: {len(raw)}", *headers, "", ""]
    return "\r\n".join(head).encode() + raw


def answer(
    body: Json | bytes,
    status: int = 200,
    coding: str = "",
    chunk: int = 0,
    kind: str = "application/json",
) -> bytes:
    """A response; ``chunk``: bytes of each chunk, 0 for a length."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = [f"HTTP/1.1 {status} X", f"Content-Type: {kind}"]
    if coding:
        raw = CODINGS[coding](raw)
        head.append(f"Content-Encoding: {coding}")
    if not chunk:
        return "\r\n".join([*head, f"Content-Length: {len(raw)}", "", ""]).encode() + raw
    pieces = [raw[at : at + chunk] for at in range(0, len(raw), chunk)]
    body_bytes = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    return "\r\n".join([*head, "Transfer-Encoding: chunked", "", ""]).encode() + body_bytes + b"0\r\n\r\n"


def sse(data: Iterable[Json | str]) -> bytes:
    """An event stream; the event is named by the data's ``type``, as the providers do."""
    out = []
    for item in data:
        name = f"event: {item['type']}\n" if isinstance(item, dict) and "type" in item else ""
        out.append(f"{name}data: {item if isinstance(item, str) else json.dumps(item)}\n\n")
    return "".join(out).encode()


def stream(body: bytes, coding: str = "", chunk: int = 37, api: Wire = "openai.chat") -> bytes:
    """A response that is a stream, in chunks."""
    return answer(body, coding=coding, chunk=chunk, kind=content_type(api))


def question(api: Wire, streamed: bool = False) -> Json:
    """A request with nothing special."""
    if api == "gemini.generate_content":
        return {"contents": [{"role": "user", "parts": [{"text": "Run the tests."}]}]}
    if api == "bedrock.converse":
        return {"messages": [{"role": "user", "content": [{"text": "Run the tests."}]}]}
    asked: Json = {"model": "m-1", "stream": streamed}
    if api == "openai.responses":
        return asked | {"input": "Run the tests."}
    return asked | {"messages": [{"role": "user", "content": "Run the tests."}]}


def streamed_answer(api: Wire, said: Answer = ANSWER, turn: str = "1") -> bytes:
    """The events of ``said``, many deltas each."""
    asked = question(api, True) | {"stream_options": {"include_usage": True}}
    return b"".join(event.encode() for event in events(api, said, asked, turn))


def read(cuts: Iterable[Cut | tuple[Direction, bytes]], close: bool = True) -> list[LlmEvent]:
    """What a connection gives, every record at the same time."""
    connection = LlmConnection()
    seen: list[LlmEvent] = []
    for cut in cuts:
        given = cut if isinstance(cut, Cut) else Cut(*cut)
        seen += connection.feed(given.direction, given.data, 7, given.missing)
    return seen + (connection.close(7) if close else [])


def of(kind: type[Seen], seen: Iterable[LlmEvent]) -> list[Seen]:
    """The events of a kind."""
    return [event for event in seen if isinstance(event, kind)]


def exchange(request: bytes, response: bytes) -> tuple[RequestSeen, ResponseSeen]:
    """The one call that the two are."""
    seen = read([("sent", request), ("received", response)])
    asked, answered = seen
    assert isinstance(asked, RequestSeen)
    assert isinstance(answered, ResponseSeen)
    return asked, answered
