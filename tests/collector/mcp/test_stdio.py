"""collector/mcp/stdio.py: questions and answers of stdio servers, joined by the kernel's word of their descriptors."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.mcp.calls import CallSeen
from collector.mcp.stdio import MAX_EARLY, MAX_OTHERS, StdioCalls, Stream

#: what the client writes, and what the server answers, whose input that is
ASKS, ANSWERS = Stream(1, 10, "sent"), Stream(2, 11, "sent", 1)
CLIENT, SERVER = "1:1", "2:2"


def digest(content: bytes) -> str:
    """Legible: the tests say what it is of."""
    return content.decode()


def ask(ident: object, tool: str = "t", **arguments: object) -> bytes:
    params = {"name": tool, "arguments": arguments}
    return line({"method": "tools/call", "params": params, "jsonrpc": "2.0", "id": ident})


def answer(ident: object, text: str = "ok", **more: object) -> bytes:
    result = {"content": [{"type": "text", "text": text}], **more}
    return line({"jsonrpc": "2.0", "id": ident, "result": result})


def line(message: object) -> bytes:
    return json.dumps(message).encode() + b"\n"


def feed(calls: StdioCalls, stream: Stream, data: bytes, ts: int = 0, missing: int = 0) -> list[CallSeen]:
    process = CLIENT if stream.connection % 2 else SERVER
    return calls.feed(stream, data, ts, missing, process)[0]


def test_a_call_and_its_answer() -> None:
    calls = StdioCalls(digest)
    assert feed(calls, ASKS, ask(1, "read", b=1, a=[2]), 5) == []
    assert feed(calls, ANSWERS, answer(1, "done"), 9) == [
        CallSeen(
            ts=9, request_ts=5, process=CLIENT, serves=False, transport="stdio", tool="read", id_digest="1",
            arguments_digest='{"b":1,"a":[2]}', arguments_size=15, result_digest="done", result_size=4,
            complete=True, peer=SERVER,
        )
    ]  # fmt: skip
    assert calls.finish(20) == []


def test_only_tool_calls_are_told() -> None:
    calls = StdioCalls(digest)
    for ident, method in enumerate(("initialize", "tools/list", "ping", "resources/read")):
        assert feed(calls, ASKS, line({"jsonrpc": "2.0", "id": ident, "method": method})) == []
        assert feed(calls, ANSWERS, answer(ident)) == []
    assert calls.finish(1) == []


def test_errors_of_both_kinds() -> None:
    calls = StdioCalls(digest)
    feed(calls, ASKS, ask(1) + ask(2))
    (one,) = feed(calls, ANSWERS, answer(1, "bad", isError=True))
    error = {"jsonrpc": "2.0", "id": 2, "error": {"code": -32602, "message": "no such tool"}}
    (two,) = feed(calls, ANSWERS, line(error))
    assert (one.is_error, one.result_digest, one.complete) == (True, "bad", True)
    assert (two.is_error, two.result_digest, two.complete) == (True, "no such tool", True)


def test_a_result_without_text_is_known_by_its_structure() -> None:
    calls = StdioCalls(digest)
    feed(calls, ASKS, ask(1))
    (one,) = feed(
        calls, ANSWERS, line({"jsonrpc": "2.0", "id": 1, "result": {"structuredContent": {"a": 1}}})
    )
    assert one.result_digest == '{"a":1}'


def test_a_server_that_asks_for_more_first_has_not_answered() -> None:
    calls = StdioCalls(digest)
    feed(calls, ASKS, ask(1) + ask(2))
    assert [one.complete for one in feed(calls, ANSWERS, answer(1, resultType="input_required"))] == [False]
    assert [one.complete for one in feed(calls, ANSWERS, answer(2, resultType="complete"))] == [True]


def test_ids_of_two_servers_are_told_apart() -> None:
    calls = StdioCalls(digest)
    other, others = Stream(3, 12, "sent"), Stream(4, 13, "sent", 3)
    feed(calls, ASKS, ask(1, "first"))
    feed(calls, other, ask(1, "second"))
    assert [one.tool for one in feed(calls, others, answer(1))] == ["second"]
    assert [one.tool for one in feed(calls, ANSWERS, answer(1))] == ["first"]


def test_a_number_and_a_text_are_two_ids() -> None:
    calls = StdioCalls(digest)
    feed(calls, ASKS, ask(1, "number") + ask("1", "text"))
    assert [one.tool for one in feed(calls, ANSWERS, answer("1") + answer(1))] == ["text", "number"]


def test_an_answer_without_the_kernels_word_answers_nothing() -> None:
    calls = StdioCalls(digest)
    feed(calls, ASKS, ask(1))
    assert feed(calls, ANSWERS._replace(standard_input=0), answer(1)) == []
    (one,) = calls.finish(7)
    assert (one.ts, one.complete, one.is_error, one.result_digest) == (7, False, False, "")


def test_what_a_client_answers_is_no_answer_to_itself() -> None:
    """A server asks its client (sampling) under an id that the client uses as well."""
    calls = StdioCalls(digest)
    feed(calls, ASKS, ask(5))
    feed(calls, ANSWERS, line({"jsonrpc": "2.0", "id": 5, "method": "sampling/createMessage", "params": {}}))
    assert feed(calls, ASKS, answer(5, "the client's")) == []
    assert [one.result_digest for one in feed(calls, ANSWERS, answer(5, "the server's"))] == ["the server's"]


def test_an_answer_that_is_seen_before_its_question() -> None:
    """Two processes, two processors: the times of two writes may lie the wrong way round."""
    calls = StdioCalls(digest)
    assert feed(calls, ANSWERS, answer(1), 5) == []
    (one,) = feed(calls, ASKS, ask(1), 6)
    assert (one.request_ts, one.ts, one.complete, one.peer) == (6, 6, True, SERVER)


def test_early_answers_are_bounded() -> None:
    calls = StdioCalls(digest)
    for ident in range(MAX_EARLY + 1):
        feed(calls, ANSWERS, answer(ident))
    assert feed(calls, ASKS, ask(0)) == [] and len(feed(calls, ASKS, ask(1))) == 1


def test_both_ways_of_one_socket_pair() -> None:
    calls = StdioCalls(digest)
    feed(calls, ASKS, ask(1))
    (one,) = feed(calls, ASKS._replace(direction="received"), answer(1))
    assert one.complete and one.peer is None


def test_the_servers_side() -> None:
    """The client is not of the session: what the server read is told by the server."""
    calls = StdioCalls(digest)
    asked = Stream(8, 14, "received")
    feed(calls, asked, ask(1))
    (one,) = feed(calls, Stream(4, 15, "sent", 8), answer(1))
    assert (one.serves, one.process, one.peer, one.complete) == (True, SERVER, None, True)


def test_a_retry_is_the_same_call_and_another_one_under_its_id_is_not() -> None:
    calls = StdioCalls(digest)
    assert feed(calls, ASKS, ask(1, a=1), 1) == feed(calls, ASKS, ask(1, a=1), 2) == []
    (given_up,) = feed(calls, ASKS, ask(1, a=2), 3)
    assert not given_up.complete and given_up.arguments_digest == '{"a":1}'
    assert [one.arguments_digest for one in feed(calls, ANSWERS, answer(1) + answer(1))] == ['{"a":2}']


def test_a_hole_costs_the_line_that_it_is_in() -> None:
    calls = StdioCalls(digest)
    feed(calls, ASKS, ask(1, "whole") + ask(2, "cut")[:20])
    feed(calls, ASKS, b'cut"}\n' + ask(3, "after"), missing=7)
    feed(calls, ASKS, b"")
    assert [one.tool for one in calls.finish(0)] == ["whole", "after"]


def test_what_is_no_json_rpc_is_found_out() -> None:
    calls = StdioCalls(digest)
    said = [calls.feed(ASKS, b'{"level":"info"}\n', 0, 0, CLIENT)[1] for _ in range(MAX_OTHERS + 1)]
    assert said == [None] * MAX_OTHERS + [False]
    assert calls.feed(ASKS, ask(1), 0, 0, CLIENT)[1] is True
    assert calls.feed(ANSWERS, b"{", 0, 0, SERVER)[1] is None


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collector.mcp.stdio.MAX_LINE", 400)
    monkeypatch.setattr("collector.mcp.stdio.MAX_HELD", 500)
    monkeypatch.setattr("collector.mcp.stdio.MAX_STREAMS", 2)
    calls = StdioCalls(digest)
    feed(calls, ASKS, ask(1, a="x" * 600) + ask(2))
    assert [one.id_digest for one in calls.finish(0)] == ["1", "2"]  # a line that came whole was never held
    for _ in range(100):
        feed(calls, ASKS, b"y" * 10)
    assert feed(calls, ASKS, b"}\n" + ask(3)) == []
    feed(calls, ASKS, b"y" * 300)
    feed(calls, ANSWERS, b"y" * 300)
    assert calls._held <= 500
    feed(calls, Stream(9, 9, "sent"), b"z")
    assert len(calls._streams) == 2 and calls._held == sum(len(one.held) for one in calls._streams.values())


CONVERSATION = ask(1, "a", text="é☃") + ask("x", "b") + line({"jsonrpc": "2.0", "method": "n"}) + ask(3)


@given(st.lists(st.integers(0, len(CONVERSATION)), max_size=8))
def test_however_the_bytes_are_cut_the_same_is_told(cuts: list[int]) -> None:
    def told(pieces: Iterator[bytes]) -> list[CallSeen]:
        calls = StdioCalls(digest)
        for piece in pieces:
            feed(calls, ASKS, piece)
        return feed(calls, ANSWERS, answer("x") + answer(1)) + calls.finish(0)

    at = sorted(cuts)
    pieces = (CONVERSATION[begin:end] for begin, end in zip([0, *at], [*at, len(CONVERSATION)], strict=True))
    assert told(pieces) == told(iter([CONVERSATION]))


@given(st.lists(st.tuples(st.booleans(), st.binary(max_size=40), st.integers(0, 3))))
def test_any_bytes_are_read(said: list[tuple[bool, bytes, int]]) -> None:
    calls = StdioCalls(digest)
    for asks, data, missing in said:
        assert feed(calls, ASKS if asks else ANSWERS, data, 0, missing) == []
