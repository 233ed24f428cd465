"""collector/pipeline.py of what has no TLS: LLM calls, MCP calls, A2A operations, and no alarm about the rest."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.http.events import Direction
from collector.pipeline import SessionPipeline
from collector.plain.streams import PlainChunk, PlainConnection
from collector.tls.streams import Chunk, ConnectionKey
from correlator.engine import Engine
from polygraph.events import (
    A2aMessage,
    AnyEvent,
    Event,
    Intent,
    LlmCall,
    McpCall,
    SessionEnd,
    StreamGap,
    decode,
    encode,
)
from polygraph.ids import keyed_digest
from tests.agents.script import Answer, ToolCall
from tests.collector.http.h2_peers import Said as Exchange
from tests.collector.http.h2_peers import Talk
from tests.collector.llm.http import PATHS, answer, ask, question, stream, streamed_answer
from tests.collector.said import ROOT, encoded, start

KEY = b"key of the host"
CLIENT = PlainConnection(ROOT, 7, 1, json=False, serves=False, standard_input=0)
SERVER = CLIENT._replace(generation=2, serves=True)
PIPE = CLIENT._replace(generation=3, json=True)
SAID = Answer(text="Done.", calls=(ToolCall("bash", {"command": "pytest -q"}),))
SECRET = "sk-ant-api03-" + "a1B2" * 24
MCP = ("Mcp-Protocol-Version: 2026-07-28", "Content-Type: application/json")
A2A = ("A2A-Version: 1.0", "Content-Type: application/json")


class Said:
    """A pipeline that is fed chunk by chunk, a nanosecond each."""

    def __init__(self) -> None:
        self.pipeline = SessionPipeline(start(), KEY, lambda _process, _path: None)
        self._ts = 100

    def chunk(
        self, connection: PlainConnection, direction: Direction, data: bytes, missing: int = 0
    ) -> bool | None:
        self._ts += 1
        return self.pipeline.plain(PlainChunk(connection, direction, 0, data, self._ts, missing, ROOT))

    def log(self) -> list[AnyEvent]:
        self.pipeline.finish(self._ts + 1)
        return self.pipeline.tick(self._ts + 2)

    def of(self, *kinds: type[Event]) -> list[AnyEvent]:
        return [event for event in self.log() if isinstance(event, kinds)]


CALL = ask(PATHS["openai.chat"], question("openai.chat", True))
ANSWER = stream(streamed_answer("openai.chat", SAID))


def test_a_call_is_what_it_would_be_over_tls() -> None:
    said = Said()
    assert said.chunk(CLIENT, "sent", CALL) is True
    said.chunk(CLIENT, "received", ANSWER)
    call, intent = said.of(LlmCall, Intent, StreamGap)
    assert isinstance(call, LlmCall) and isinstance(intent, Intent)
    assert (call.api, call.complete, call.streamed, call.process) == ("openai.chat", True, True, ROOT)
    assert (intent.tool, intent.call, intent.executions[0].tool) == ("bash", call.call, "pytest")


def test_what_others_ask_of_the_lineage_is_no_call_of_its_model() -> None:
    said = Said()
    assert said.chunk(SERVER, "received", CALL) is None
    said.chunk(SERVER, "sent", ANSWER[:-50])
    assert said.of(LlmCall, Intent, StreamGap) == []


@pytest.mark.parametrize(
    ("direction", "data", "missing"),
    [
        ("sent", b"GET / HTTP/1.1\r\nHost: h\r\n\r\n\x00\x01", 0),
        ("sent", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 0),
        ("received", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", 0),
        ("sent", b"GET / HTTP/1.1\r\n", 50),
    ],
    ids=["not HTTP", "other HTTP", "late", "hole"],
)
def test_what_is_no_call_is_no_gap(direction: Direction, data: bytes, missing: int) -> None:
    said = Said()
    said.chunk(CLIENT, direction, data, missing)
    assert said.of(StreamGap) == []


@pytest.mark.parametrize("cut", [len(CALL) - 5, len(CALL)], ids=["request", "answer"])
def test_a_hole_in_a_call_is_one(cut: int) -> None:
    said = Said()
    said.chunk(CLIENT, "sent", CALL[:cut])
    said.chunk(CLIENT, "sent", b"", len(CALL) - cut)
    said.chunk(CLIENT, "received", ANSWER[:-90])
    said.chunk(CLIENT, "received", b"", 90)
    assert "StreamGap" in [type(event).__name__ for event in said.log()]


def test_what_is_not_read_is_let_go_of() -> None:
    said = Said()
    assert said.chunk(CLIENT, "sent", b"CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n") is None
    assert said.chunk(CLIENT, "received", b"HTTP/1.1 200 OK\r\n\r\n") is None
    assert said.chunk(CLIENT, "sent", b"\x16\x03\x01\x02\x00") is False
    other = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n\x00\x01"
    assert said.chunk(CLIENT._replace(generation=9), "sent", other) is False
    assert said.of(StreamGap) == []


def test_a_call_of_a_tool_over_standard_input() -> None:
    said = Said()
    arguments = {"path": "/a", "key": SECRET}
    params = {"name": f"read-{SECRET}", "arguments": arguments}
    request = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    assert said.chunk(PIPE, "sent", json.dumps(request).encode()) is None
    assert said.chunk(PIPE, "sent", b"\n") is True
    result = {"jsonrpc": "2.0", "id": 1, "result": {"content": [{"type": "text", "text": "secret"}]}}
    answered = PIPE._replace(connection=8, generation=4, standard_input=7)
    said.chunk(answered, "sent", json.dumps(result).encode() + b"\n")
    (call,) = said.of(McpCall)
    assert isinstance(call, McpCall)
    assert call.arguments_digest == keyed_digest(KEY, json.dumps(arguments, separators=(",", ":")).encode())
    assert call.result_digest == keyed_digest(KEY, b"secret") and call.result_size == 6
    assert call.tool.startswith("read-") and SECRET not in call.tool and b"secret" not in encoded([call])


def test_calls_over_http_with_and_without_an_answer() -> None:
    said = Said()
    for ident in (1, 2):
        params = {"name": "t", "arguments": {}}
        body = {"jsonrpc": "2.0", "id": ident, "method": "tools/call", "params": params}
        assert said.chunk(CLIENT, "sent", ask("/mcp", body, *MCP)) is True
        if ident == 1:
            said.chunk(CLIENT, "received", answer({"jsonrpc": "2.0", "id": 1, "result": {"content": []}}))
    assert [(one.side, one.complete) for one in said.of(McpCall) if isinstance(one, McpCall)] == [
        ("client", True),
        ("client", False),
    ]


@pytest.mark.parametrize(
    ("sent", "received", "side"), [("sent", "received", "client"), ("received", "sent", "server")]
)
def test_calls_over_tls(sent: Direction, received: Direction, side: str) -> None:
    said = Said()
    params = {"name": "t", "arguments": {}}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    over_tls = ConnectionKey(ROOT, 0x7F00, 1)
    result = answer({"jsonrpc": "2.0", "id": 1, "result": {"content": []}})
    said.pipeline.chunk(Chunk(over_tls, sent, 0, ask("/mcp", body, *MCP), 101, 0))
    said.pipeline.chunk(Chunk(over_tls, received, 0, result, 102, 0))
    told = said.of(McpCall)
    assert [(one.side, one.complete, one.ts) for one in told if isinstance(one, McpCall)] == [
        (side, True, 102)
    ]


def test_what_others_ask_over_tls_is_no_call_of_the_session_s_model_either() -> None:
    """A gateway that the session runs: who asks may be no process of it, and what is answered not done here."""
    said = Said()
    over_tls = ConnectionKey(ROOT, 0x7F00, 1)
    said.pipeline.chunk(Chunk(over_tls, "received", 0, CALL, 101, 0))
    said.pipeline.chunk(Chunk(over_tls, "sent", 0, ANSWER, 102, 0))
    assert said.of(LlmCall, Intent, StreamGap) == []


def test_who_answers_before_it_was_asked_whole_is_no_client() -> None:
    """A server of HTTP/2 that read as many bytes as the head announced need not wait for the stream's end."""
    said = Said()
    talk = Talk()
    params = {"name": "t", "arguments": {}}
    asked = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode()
    told = json.dumps({"jsonrpc": "2.0", "id": 1, "result": {"content": []}}).encode()
    kind = ("content-type", "application/json")
    headers = [kind, ("mcp-protocol-version", "2026-07-28"), ("content-length", str(len(asked)))]
    stream = talk.open(Exchange("POST", "/mcp", headers, asked, answer_headers=[kind], answer=told))
    for step in ("ask", "body", "answer", "part", "asked", "answered"):
        talk.step(stream, step)
    over_tls = ConnectionKey(ROOT, 0x7F00, 1)
    for ts, (direction, data) in enumerate(talk.writes, 101):
        said.pipeline.chunk(Chunk(over_tls, direction, 0, data, ts, 0))
    assert [(one.side, one.complete) for one in said.of(McpCall) if isinstance(one, McpCall)] == [
        ("client", True)
    ]


def test_what_agents_ask_of_each_other() -> None:
    said = Said()
    message = {"messageId": "m", "contextId": "c" * 300, "parts": [{"text": "secret"}]}
    body = {"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": {"message": message}}
    said.chunk(SERVER, "received", ask("/", body, *A2A))
    task = {"id": "t", "status": {"state": "TASK_STATE_FAILED", "message": {"parts": [{"text": "secret"}]}}}
    said.chunk(SERVER, "sent", answer({"jsonrpc": "2.0", "id": 1, "result": {"task": task}}))
    (told,) = said.of(A2aMessage)
    assert isinstance(told, A2aMessage) and b"secret" not in encoded([told])
    assert (told.side, told.method, told.message_id, told.task_id, told.state, told.complete) == (
        "server", "SendMessage", "m", "t", "TASK_STATE_FAILED", True,
    )  # fmt: skip
    assert told.context_id == keyed_digest(KEY, b"c" * 300)


def test_text_that_cannot_be_encoded_is_told_all_the_same() -> None:
    """Half of a surrogate pair, which JSON may hold, in each name and id."""
    said = Said()
    half = r"\ud83e"
    params = rf'{{"name":"{half}","arguments":"{half}"}}'
    request = rf'{{"jsonrpc":"2.0","id":"{half}","method":"tools/call","params":{params}}}'
    said.chunk(PIPE, "sent", request.encode() + b"\n")
    body = rf'{{"jsonrpc":"2.0","id":1,"method":"GetTask","params":{{"id":"{half}"}}}}'
    said.chunk(CLIENT, "sent", ask("/", body.encode(), *A2A))
    task = rf'{{"jsonrpc":"2.0","id":1,"result":{{"id":"{half * 300}","status":{{"state":"{half}"}}}}}}'
    said.chunk(CLIENT, "received", answer(task.encode()))
    told = said.of(McpCall, A2aMessage)
    assert len(told) == 2 and [decode(encode(event)) for event in told] == told


PIECES = (
    CALL, CALL[: len(CALL) // 2], ANSWER, ANSWER[:200], b"HTTP/1.1 200 OK\r\n\r\n", b"GET /", b"{", b"\n", b"",
    b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t"}}\n',
    b'{"jsonrpc":"2.0","id":1,"result":{"content":[]}}\n', b"\x16\x03\x01",
)  # fmt: skip


@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                [CLIENT, SERVER, PIPE, PIPE._replace(connection=8, generation=4, standard_input=7)]
            ),
            st.sampled_from(["sent", "received"]),
            st.sampled_from(PIECES) | st.binary(max_size=30),
            st.sampled_from([0, 0, 0, 5]),
        ),
        max_size=12,
    )
)
def test_anything_in_any_order_is_taken(
    chunks: list[tuple[PlainConnection, Direction, bytes, int]],
) -> None:
    said = Said()
    for chunk in chunks:
        said.chunk(*chunk)
    log = said.log()
    assert [decode(encode(event)) for event in log] == log
    # A call is told no more often than it was asked, and what others ask makes no call of the session's model.
    asked = sum(of == CLIENT and CALL[:20] in data for of, _way, data, _missing in chunks)
    assert sum(isinstance(event, LlmCall) for event in log) <= asked
    called = sum(of.json and b"tools/call" in data for of, _way, data, _missing in chunks)
    assert sum(isinstance(event, McpCall) for event in log) <= called


def test_the_correlator_takes_them_and_judges_nothing() -> None:
    said = {"session": "s", "ts": 5, "process": ROOT, "request_ts": 4}
    events: list[AnyEvent] = [
        McpCall(**said, side="client", transport="stdio", tool="t", id_digest="i", arguments_digest="a"),
        A2aMessage(**said, side="server", method="GetTask"),
        SessionEnd(session="s", ts=9),
    ]
    engine = Engine()
    assert [decode(encode(event)) for event in events] == events
    began = msgspec.structs.replace(start(), session="s", ts=1)
    assert [verdict for event in (began, *events) for verdict in engine.feed(event).verdicts] == []
    assert engine.open_sessions == 0
