"""Whatever is sent, what is kept of it is bounded: memory is what Python allocates, at its peak."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterable, Iterator

import pytest

from collector.http.encoding import MAX_BODY
from collector.http.sse import MAX_EVENT
from collector.llm import values
from collector.llm.exchange import LlmConnection, LlmEvent, RequestSeen, ResponseSeen, Unreadable
from tests.agents.frames import Event, Line, Message
from tests.agents.wire import Wire, content_type
from tests.collector.llm.http import PATHS, answer, ask, of, question

APIS = list(PATHS)
#: bytes of one record of TLS
RECORD = 16 * 1024
HUGE = 100 << 20


def head_of(api: Wire) -> bytes:
    """The head of a streamed answer."""
    kind = content_type(api).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: " + kind + b"\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """A chunked body."""
    for piece in pieces:
        yield b"%x\r\n%s\r\n" % (len(piece), piece)
    yield b"0\r\n\r\n"


def peak_of(api: Wire, response: Iterable[bytes]) -> tuple[list[LlmEvent], int]:
    """What a call gives whose answer comes in these pieces, and the most that was allocated meanwhile."""
    connection = LlmConnection()
    seen = connection.feed("sent", ask(PATHS[api], question(api, True)), 1)
    tracemalloc.start()
    try:
        for piece in response:
            for at in range(0, len(piece), RECORD):
                seen += connection.feed("received", piece[at : at + RECORD], 2)
        seen += connection.close(3)
        return seen, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def delta(api: Wire, text: str) -> bytes:
    """An event that adds ``text`` to the answer."""
    event: dict[Wire, dict[str, object]] = {
        "anthropic.messages": {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "text_delta", "text": text},
        },
        "openai.chat": {"choices": [{"index": 0, "delta": {"content": text}}]},
        "openai.responses": {"type": "response.output_text.delta", "output_index": 0, "delta": text},
        "gemini.generate_content": {"candidates": [{"content": {"parts": [{"text": text}]}}]},
        "bedrock.converse": {"contentBlockIndex": 0, "delta": {"text": text}},
        "ollama.chat": {"message": {"content": text}, "done": False},
        "cohere.chat": {"type": "content-delta", "delta": {"message": {"content": {"text": text}}}},
    }
    return framed(api, "contentBlockDelta", event[api])


def framed(api: Wire, name: str, event: dict[str, object]) -> bytes:
    """An event in the API's framing."""
    if api == "bedrock.converse":
        return Message(name, json.dumps(event)).encode()
    if api == "ollama.chat":
        return Line(json.dumps(event)).encode()
    return Event(None, json.dumps(event)).encode()


@pytest.mark.parametrize("api", APIS)
def test_a_stream_of_100_megabytes_is_given_up_and_told(api: Wire) -> None:
    block = {"type": "text", "text": ""}
    start = framed(api, "messageStart", {"type": "content_block_start", "index": 0, "content_block": block})
    event = delta(api, "x" * 8000)
    body = [start, *[event] * (HUGE // len(event))]
    seen, peak = peak_of(api, [head_of(api), *chunks(body)])
    (answered,) = of(ResponseSeen, seen)
    assert not answered.complete and answered.response is not None
    assert MAX_BODY // 2 < len(answered.response.text) < MAX_BODY
    assert peak < 4 * MAX_BODY  # its parts, and joined


@pytest.mark.parametrize(
    ("api", "start"),
    [("openai.chat", b"data: {"), ("ollama.chat", b'{"'), ("gemini.generate_content", b'[{"a":"')],
)
def test_an_event_without_an_end_is_not_kept(api: Wire, start: bytes) -> None:
    seen, peak = peak_of(api, [head_of(api), *chunks([start, *[b"x" * 65536] * (HUGE // 65536)])])
    (answered,) = of(ResponseSeen, seen)
    assert not answered.complete
    assert peak < 4 * MAX_EVENT


def test_a_body_of_100_megabytes_is_told_and_not_read() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % HUGE
    seen, peak = peak_of("openai.chat", [head, *[b"x" * 65536] * (HUGE // 65536)])
    (answered,) = of(ResponseSeen, seen)
    assert (answered.complete, answered.response) == (False, None)
    assert peak < 3 * MAX_BODY


def test_a_body_in_chunks_of_two_bytes_costs_no_more_than_whole() -> None:
    size = 1 << 17
    body = b'{"choices": [{"index": 0, "message": {"content": "' + b"x" * size + b'"}}]}'
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    _, whole = peak_of("openai.chat", [head, *chunks([body])])
    seen, peak = peak_of("openai.chat", [head, *chunks(body[at : at + 2] for at in range(0, len(body), 2))])
    (answered,) = of(ResponseSeen, seen)
    assert answered.response is not None and len(answered.response.text) == size
    assert peak < whole + size


@pytest.mark.parametrize("value", [b"[]", b"{}", b'{"a":[]}', b"0"])
def test_json_of_too_many_values_is_told_and_not_built(value: bytes) -> None:
    count = values.MAX_VALUES + 1
    whole = b'{"choices": [' + b",".join([value] * count) + b"]}"
    seen, peak = peak_of(
        "openai.chat", [b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(whole), whole]
    )
    (answered,) = of(ResponseSeen, seen)
    assert (answered.complete, answered.response) == (False, None)
    assert peak < 3 * len(whole)
    asked = b'{"messages": [' + b",".join([value] * count) + b"]}"
    (unread,) = LlmConnection().feed("sent", ask(PATHS["openai.chat"], asked), 1)
    assert isinstance(unread, Unreadable) and unread.cause == "request_unreadable"


def test_source_code_of_a_whole_context_is_below_the_bound() -> None:
    """A million tokens of code, dense in commas and brackets, is a request like any other."""
    code = "f(a[i], {k: v}, [x, y])\n" * (4_000_000 // 24)
    asked = question("openai.chat") | {"messages": [{"role": "user", "content": code}]}
    (seen,) = LlmConnection().feed("sent", ask(PATHS["openai.chat"], asked), 1)
    assert isinstance(seen, RequestSeen) and seen.request.user_text == code


def test_what_a_connection_holds_is_told_and_nothing_after_its_end() -> None:
    connection = LlmConnection()
    request = ask(PATHS["openai.chat"], question("openai.chat"))
    connection.feed("sent", request[:-5], 1)
    assert connection.held == len(request) - 5 - request.index(b"{")
    connection.feed("sent", request[-5:], 1)
    assert connection.held == 0
    response = answer({"choices": []})
    connection.feed("received", response[:-2], 1)
    assert connection.held == len(response) - 2 - response.index(b"{")
    connection.feed("received", response[-2:], 1)
    assert connection.held == 0
