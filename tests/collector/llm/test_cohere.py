"""collector/llm/cohere.py: messages whole and as events."""

from __future__ import annotations

import json
from typing import Any

import pytest

from collector.llm.exchange import RequestSeen
from collector.llm.model import MAX_CALLS, ModelResponse, ToolCall, ToolResultItem, Usage
from tests.collector.llm.http import Json, answer, ask, exchange, of, read, sse, stream

PATH = "/v2/chat"
ASKED: Json = {"model": "m-1", "messages": [{"role": "user", "content": "Go."}]}
CALL: Json = {"id": "c1", "type": "function", "function": {"name": "bash", "arguments": '{"command":"ls"}'}}
CALLED = ToolCall("c1", "bash", '{"command":"ls"}')
USAGE: Json = {"tokens": {"input_tokens": 9.0, "output_tokens": 4.0}, "cached_tokens": 3.0}


def whole(finish: str = "COMPLETE", **message: Any) -> ModelResponse:
    """The answer of one JSON body."""
    said = {"id": "r", "finish_reason": finish, "message": {"role": "assistant"} | message, "usage": USAGE}
    _, answered = exchange(ask(PATH, ASKED), answer(said))
    assert answered.response is not None and answered.complete == answered.response.complete
    return answered.response


def streamed(*events: Json, end: bool = True) -> ModelResponse:
    """The answer of a stream, with an end if ``end``."""
    last: Json = {"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": USAGE}}
    data = [{"type": "message-start", "id": "r", "delta": {"message": {}}}, *events, *([last] if end else [])]
    _, answered = exchange(ask(PATH, ASKED | {"stream": True}), stream(sse(data)))
    assert answered.response is not None
    return answered.response


def content(kind: str, **fields: Any) -> Json:
    return {"type": f"content-{kind}", "index": 0, "delta": {"message": {"content": fields}}}


def tool(kind: str, index: int, call: Json | None = None) -> Json:
    return {"type": f"tool-call-{kind}", "index": index} | (
        {"delta": {"message": {"tool_calls": call}}} if call is not None else {}
    )


def piece(index: int, arguments: str) -> Json:
    return tool("delta", index, {"function": {"arguments": arguments}})


START = CALL | {"function": {"name": "bash", "arguments": ""}}


def test_thinking_and_a_plan_are_no_text() -> None:
    parts = [{"type": "thinking", "thinking": "All tests passed?"}, {"type": "text", "text": "Not yet."}]
    told = whole(content=parts, tool_plan="I will say that all tests pass.", tool_calls=[CALL])
    events = [
        content("start", type="thinking", thinking=""),
        content("delta", thinking="All tests passed?"),
        {"type": "content-end", "index": 0},
        content("start", type="text", text=""),
        content("delta", text="Not "),
        content("delta", text="yet."),
        {"type": "content-end", "index": 1},
        {"type": "tool-plan-delta", "delta": {"message": {"tool_plan": "I will say that all tests pass."}}},
        {"type": "citation-start", "index": 0, "delta": {"message": {"citations": {"text": "x"}}}},
        tool("start", 0, START),
        piece(0, '{"command"'),
        piece(0, ':"ls"}'),
        tool("end", 0),
    ]
    for answered in (told, streamed(*events)):
        assert (answered.text, answered.tool_calls, answered.complete) == ("Not yet.", (CALLED,), True)
        assert answered.usage == Usage(input=9, output=4, cached=3)
        assert (answered.response_id, answered.model) == ("r", "m-1")


def test_two_texts_are_apart() -> None:
    parts = [{"type": "text", "text": "One."}, {"type": "text", "text": "Two."}]
    events = [content("start", type="text", text="One."), content("start", type="text", text="Two.")]
    assert whole(content=parts).text == streamed(*events).text == "One.\n\nTwo."
    assert whole(content="One.").text == "One."


def test_interleaved_calls_are_told_apart_by_their_index() -> None:
    second = START | {"id": "c2"}
    events = [tool("start", 0, START), tool("start", 1, second)]
    events += [
        piece(1, '{"command"'),
        piece(0, '{"command":"ls"}'),
        piece(1, ':"pwd"}'),
        tool("end", 1),
        tool("end", 0),
    ]
    assert streamed(*events).tool_calls == (CALLED, ToolCall("c2", "bash", '{"command":"pwd"}'))


def test_a_stream_that_breaks_off_tells_whole_calls_only() -> None:
    begun = [tool("start", 0, START), piece(0, '{"command":"rm')]
    assert streamed(*begun, end=False).tool_calls == ()
    assert not streamed(*begun).complete
    assert not streamed(piece(7, "x")).complete
    again = streamed(tool("start", 0, START), tool("start", 0, START))
    assert (again.complete, again.tool_calls) == (False, ())


def test_a_call_without_arguments_has_an_empty_object() -> None:
    assert streamed(tool("start", 0, START), tool("end", 0)).tool_calls == (ToolCall("c1", "bash", "{}"),)
    assert whole(tool_calls=[START]).tool_calls == (ToolCall("c1", "bash", "{}"),)


@pytest.mark.parametrize("delta", [{"finish_reason": "ERROR"}, {"finish_reason": "TIMEOUT", "error": "x"}])
def test_an_error_at_the_end_is_told(delta: Json) -> None:
    broken = streamed(content("delta", text="Let me"), {"type": "message-end", "delta": delta}, end=False)
    assert (broken.text, broken.error, broken.complete) == ("Let me", delta["finish_reason"], False)


def test_a_request_has_its_history_its_instructions_and_the_users_word() -> None:
    documents = [
        {"type": "document", "document": {"data": {"result": "3 passed"}}},
        {"type": "document", "document": {"data": "plain"}},
        {"type": "text", "text": "text"},
    ]
    messages = [
        {"role": "system", "content": "Be good."},
        *ASKED["messages"],
        {"role": "assistant", "tool_plan": "x", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": documents},
        {"role": "tool", "tool_call_id": "c2", "content": "x"},
    ]
    (seen,) = of(RequestSeen, read([("sent", ask(PATH, ASKED | {"messages": messages, "stream": True}))]))
    request = seen.request
    assert request.tool_results == (
        ToolResultItem("c1", '{"result":"3 passed"}\nplain\ntext'),
        ToolResultItem("c2", "x"),
    )
    assert request.tool_calls_in_history == (CALLED,)
    assert (request.model, request.stream, request.user_text) == ("m-1", True, "Go.")
    assert (request.instructions_size, request.message_count) == (8, 5)


def test_more_calls_than_an_answer_can_have_are_not_kept() -> None:
    events = [e for n in range(MAX_CALLS + 2) for e in (tool("start", n, START), tool("end", n))]
    told = streamed(*events)
    assert (told.complete, len(told.tool_calls)) == (False, MAX_CALLS)


@pytest.mark.parametrize("sent", [{"message": "hi", "chat_history": []}, {"messages": {}}, [], "x"])
def test_a_body_that_asks_for_nothing_is_no_call(sent: object) -> None:
    assert of(RequestSeen, read([("sent", ask(PATH, json.dumps(sent).encode()))])) == []


@pytest.mark.parametrize("said", [{"message": "invalid request"}, {"id": "x"}, [], None])
def test_a_body_that_is_no_answer_is_none(said: object) -> None:
    _, answered = exchange(ask(PATH, ASKED), answer(json.dumps(said).encode()))
    assert (answered.response, answered.complete) == (None, False)
