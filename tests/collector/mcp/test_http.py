"""collector/mcp/http.py: MCP and A2A in the messages of HTTP connections, whole conversations through the parser."""

from __future__ import annotations

import json
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.http.events import Direction
from collector.http.http1 import Http1Connection
from collector.mcp.a2a import A2aSeen
from collector.mcp.calls import Calls, CallSeen
from collector.mcp.http import HttpCalls, wanted

ACCEPT = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
MODERN = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": "t"}
SESSION = {"Mcp-Session-Id": "abc"}
Seen = list[CallSeen | A2aSeen]


def digest(content: bytes) -> str:
    """Legible: the tests say what it is of."""
    return content.decode()


class Connection:
    """One connection of a client, by default."""

    def __init__(self, book: Calls | None = None, *, serves: bool = False) -> None:
        self.book = book or Calls(digest)
        self._http = Http1Connection(wanted)
        self._calls = HttpCalls(self.book, "1:1")
        self._ways: tuple[Direction, Direction] = ("received", "sent") if serves else ("sent", "received")

    def asks(self, data: bytes, ts: int = 1, missing: int = 0) -> Seen:
        return self._feed(self._ways[0], data, ts, missing)

    def answers(self, data: bytes, ts: int = 2, missing: int = 0) -> Seen:
        return self._feed(self._ways[1], data, ts, missing)

    def close(self, ts: int = 3) -> Seen:
        seen: Seen = []
        for event in self._http.close(ts):
            seen += self._calls.feed(event)
        return seen + self._calls.close(ts)

    def _feed(self, direction: Direction, data: bytes, ts: int, missing: int) -> Seen:
        events = self._http.feed(direction, data, ts, missing)
        return [one for event in events for one in self._calls.feed(event)]


def request(body: object, headers: dict[str, str], target: str = "/mcp", method: str = "POST") -> bytes:
    content = json.dumps(body).encode() if body is not None else b""
    lines = {"Host": "h", **headers, "Content-Length": str(len(content))}
    return head(f"{method} {target} HTTP/1.1", lines) + content


def response(body: object, status: int = 200, kind: str = "application/json") -> bytes:
    content = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else b""
    return head(f"HTTP/1.1 {status} X", {"Content-Type": kind, "Content-Length": str(len(content))}) + content


def head(first: str, headers: dict[str, str]) -> bytes:
    return "\r\n".join([first, *(f"{key}: {value}" for key, value in headers.items()), "", ""]).encode()


def stream(*messages: object) -> bytes:
    events = [b"event: message\r\ndata: " + json.dumps(one).encode() + b"\r\n\r\n" for one in messages]
    return response(b"".join(events), kind="text/event-stream")


def call(ident: object = 1, **arguments: object) -> dict[str, object]:
    params = {"name": "t", "arguments": arguments}
    return {"jsonrpc": "2.0", "id": ident, "method": "tools/call", "params": params}


def result(ident: object = 1, text: str = "ok") -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": ident, "result": {"content": [{"type": "text", "text": text}]}}


PROGRESS = {"jsonrpc": "2.0", "method": "notifications/progress", "params": {}}


def summary(seen: Iterable[CallSeen | A2aSeen]) -> list[tuple[object, ...]]:
    return [
        (one.id_digest, one.result_digest, one.complete)
        if isinstance(one, CallSeen)
        else (one.method, one.message_id, one.task_id, one.context_id, one.state, one.is_error, one.complete)
        for one in seen
    ]


# --- MCP -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("headers", [ACCEPT, ACCEPT | SESSION, MODERN], ids=["first", "session", "modern"])
@pytest.mark.parametrize("answer", [response(result()), stream(PROGRESS, result())], ids=["json", "stream"])
def test_a_call_and_its_answer(headers: dict[str, str], answer: bytes) -> None:
    connection = Connection()
    assert connection.asks(request(call(a=1), headers), 5) == []
    (one,) = connection.answers(answer, 9)
    assert one == CallSeen(
        ts=9, request_ts=5, process="1:1", serves=False, transport="http", tool="t", id_digest="1",
        arguments_digest='{"a":1}', arguments_size=7, result_digest="ok", result_size=2, complete=True,
    )  # fmt: skip
    assert connection.close() == [] and connection.book.give_up(0) == []


def test_who_is_asked_serves() -> None:
    connection = Connection(serves=True)
    connection.asks(request(call(), MODERN))
    (one,) = connection.answers(response(result()))
    assert isinstance(one, CallSeen) and one.serves


def test_a_request_of_something_else_is_not_kept() -> None:
    plain = {"Content-Type": "application/json", "Accept": "*/*"}
    assert not wanted("POST", "/mcp", tuple(plain.items()))
    assert not wanted("DELETE", "/mcp", tuple(MODERN.items()))
    connection = Connection()
    connection.asks(request(call(), plain))
    assert connection.answers(response(result())) == [] == connection.book.give_up(0)


@pytest.mark.parametrize("status", [404, 429, 500, 503])
def test_a_call_that_is_tried_again_is_one(status: int) -> None:
    connection = Connection()
    connection.asks(request(call(), MODERN), 1)
    assert connection.answers(response(None, status), 2) == []
    connection.asks(request(call(), MODERN), 3)
    (one,) = connection.answers(response(result()), 4)
    assert (one.request_ts, one.ts, one.complete) == (1, 4, True)
    assert connection.book.give_up(9) == []


def test_a_call_that_was_never_answered_is_told_at_the_end() -> None:
    connection = Connection()
    connection.asks(request(call(), MODERN))
    connection.answers(response(None, 500))
    assert connection.close() == []
    assert summary(connection.book.give_up(9)) == [("1", "", False)]


def test_a_stream_that_broke_goes_on_over_another_connection() -> None:
    book = Calls(digest)
    first, second = Connection(book), Connection(book)
    first.asks(request(call(), ACCEPT | SESSION))
    assert first.answers(head("HTTP/1.1 200 X", {"Content-Type": "text/event-stream"}) + b": hi\n\n") == []
    assert first.close() == []
    again = {"Accept": "text/event-stream", "Last-Event-ID": "7"} | SESSION
    second.asks(request(None, again, method="GET"))
    assert summary(second.answers(stream(result(text="late")))) == [("1", "late", True)]


def test_sessions_are_told_apart() -> None:
    book = Calls(digest)
    one, other = Connection(book), Connection(book)
    one.asks(request(call(), ACCEPT | SESSION))
    other.asks(request(call(), ACCEPT | {"Mcp-Session-Id": "def"}))
    assert summary(other.answers(response(result(text="second")))) == [("1", "second", True)]
    assert summary(one.answers(response(result(text="first")))) == [("1", "first", True)]


def test_a_batch_of_calls() -> None:
    connection = Connection()
    connection.asks(request([call(1), call(2)], ACCEPT))
    assert summary(connection.answers(response([result(2, "b"), result(1, "a")]))) == [
        ("2", "b", True),
        ("1", "a", True),
    ]


def test_what_is_lost_answers_nothing() -> None:
    connection = Connection()
    connection.asks(request(call(), MODERN))
    answer = response(result())
    assert connection.answers(answer[:-10]) == [] == connection.answers(b"", missing=10)
    assert summary(connection.book.give_up(0)) == [("1", "", False)]


# --- A2A -----------------------------------------------------------------------------------------------------

MESSAGE = {
    "message": {"messageId": "m1", "contextId": "c1", "role": "ROLE_USER", "parts": [{"text": "secret"}]}
}
TASK = {"id": "t1", "contextId": "c1", "status": {"state": "TASK_STATE_COMPLETED"}}
TOLD = ("m1", "t1", "c1", "TASK_STATE_COMPLETED", False, True)
A2A = {"Content-Type": "application/json", "A2A-Version": "1.0"}


def operation(method: str, params: object) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": "x", "method": method, "params": params}


def done(value: object) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": "x", "result": value}


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        ("SendMessage", response(done({"task": TASK}))),
        (
            "SendStreamingMessage",
            stream(
                done({"task": {**TASK, "status": {"state": "TASK_STATE_WORKING"}}}),
                done({"statusUpdate": {"taskId": "t1", "contextId": "c1", "status": TASK["status"]}}),
            ),
        ),
    ],
)
def test_a_message_and_the_task_that_it_made(method: str, answer: bytes) -> None:
    connection = Connection()
    connection.asks(request(operation(method, MESSAGE), A2A))
    assert summary(connection.answers(answer)) == [(method, *TOLD)]


def test_the_names_of_before_1_0() -> None:
    connection = Connection()
    connection.asks(request(operation("message/send", MESSAGE), ACCEPT))
    assert summary(connection.answers(response(done({"kind": "task", **TASK})))) == [("SendMessage", *TOLD)]


@pytest.mark.parametrize("method", ["GetTask", "CancelTask", "SubscribeToTask"])
def test_operations_on_a_task(method: str) -> None:
    connection = Connection()
    connection.asks(request(operation(method, {"id": "t1"}), A2A))
    assert summary(connection.answers(response(done(TASK)))) == [(method, "", *TOLD[1:])]


def test_an_error() -> None:
    connection = Connection()
    connection.asks(request(operation("GetTask", {"id": "t9"}), A2A))
    error = {"jsonrpc": "2.0", "id": "x", "error": {"code": -32001, "message": "no such task"}}
    assert summary(connection.answers(response(error))) == [("GetTask", "", "t9", "", "", True, True)]


REST = {"Content-Type": "application/a2a+json"}


@pytest.mark.parametrize(
    ("target", "verb", "body", "method", "message"),
    [
        ("/v1/message:send", "POST", MESSAGE, "SendMessage", "m1"),
        ("/message:stream", "POST", MESSAGE, "SendStreamingMessage", "m1"),
        ("/tasks/t1:cancel", "POST", {}, "CancelTask", ""),
        ("/tasks/t1:subscribe", "POST", {}, "SubscribeToTask", ""),
        ("/tasks/t1?historyLength=1", "GET", None, "GetTask", ""),
    ],
)
def test_the_binding_of_http_and_json(
    target: str, verb: str, body: object, method: str, message: str
) -> None:
    connection = Connection()
    connection.asks(request(body, {**REST, "A2A-Version": "1.0"}, target, verb))
    value = {"task": TASK} if message else TASK
    assert summary(connection.answers(response(value, kind="application/a2a+json"))) == [
        (method, message, *TOLD[1:])
    ]


def test_an_operation_without_an_answer() -> None:
    connection = Connection()
    connection.asks(request(MESSAGE, REST, "/message:send"))
    assert summary(connection.close()) == [("SendMessage", "m1", "", "c1", "", False, False)]


# --- anything ------------------------------------------------------------------------------------------------

ASKED = request(call(1, a="é"), MODERN) + request(operation("SendMessage", MESSAGE), A2A)
ANSWERED = stream(PROGRESS, result()) + response(done({"task": TASK}))


@given(st.lists(st.integers(0, len(ANSWERED)), max_size=8), st.lists(st.integers(0, len(ASKED)), max_size=8))
def test_however_the_bytes_are_cut_the_same_is_told(answered: list[int], asked: list[int]) -> None:
    connection = Connection()
    seen = [one for piece in cut(ASKED, asked) for one in connection.asks(piece)]
    seen += [one for piece in cut(ANSWERED, answered) for one in connection.answers(piece)]
    assert summary(seen) == [("1", "ok", True), ("SendMessage", *TOLD)]


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    at = sorted(cuts)
    return [data[begin:end] for begin, end in zip([0, *at], [*at, len(data)], strict=True)]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "id",
                        "method",
                        "params",
                        "result",
                        "jsonrpc",
                        "task",
                        "status",
                        "message",
                        "content",
                        "error",
                    ]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_any_json_is_read(value: object) -> None:
    odd = value | {"jsonrpc": "2.0", "id": 1} if isinstance(value, dict) else value
    connection = Connection()
    connection.asks(request(odd, A2A))
    connection.asks(request(call(), MODERN))
    connection.answers(response(odd))
    connection.answers(response(odd))
    connection.close()
    assert len(connection.book.give_up(0)) <= 1
