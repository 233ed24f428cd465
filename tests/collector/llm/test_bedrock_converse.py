"""collector/llm/bedrock_converse.py: messages whole and as events, in Amazon's framing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from collector.llm.exchange import RequestSeen
from collector.llm.model import MAX_BLOCKS, ModelResponse, ToolCall, ToolResultItem, Usage
from tests.agents.frames import Message
from tests.collector.llm.http import ANSWER, Json, answer, ask, exchange, of, read, stream, streamed_answer

PATH = "/model/m-1/converse"
ASKED: Json = {"messages": [{"role": "user", "content": [{"text": "Go."}]}]}
CALL: Json = {"toolUse": {"toolUseId": "t1", "name": "bash", "input": {"command": "ls"}}}
CALLED = ToolCall("t1", "bash", '{"command":"ls"}')


def whole(*blocks: Json, stop: str = "end_turn", **fields: Any) -> ModelResponse:
    """The answer of one JSON body."""
    message = {"role": "assistant", "content": list(blocks)}
    said = {"output": {"message": message}, "stopReason": stop} | fields
    _, answered = exchange(ask(PATH, ASKED), answer(said))
    assert answered.response is not None and answered.complete == answered.response.complete
    return answered.response


def framed(*events: tuple[str, Json]) -> bytes:
    return b"".join(Message(name, json.dumps(data)).encode() for name, data in events)


def streamed(*events: tuple[str, Json], end: bool = True) -> ModelResponse:
    """The answer of a stream, with an end if ``end``."""
    last: list[tuple[str, Json]] = [
        ("messageStop", {"stopReason": "end_turn"}),
        ("metadata", {"usage": {"inputTokens": 5, "cacheReadInputTokens": 7, "outputTokens": 20}}),
    ]
    raw = framed(("messageStart", {"role": "assistant"}), *events, *(last if end else []))
    _, answered = exchange(ask(f"{PATH}-stream", ASKED), stream(raw, api="bedrock.converse"))
    assert answered.response is not None and answered.streamed
    return answered.response


def block(index: int, *deltas: Json, start: Json | None = None) -> list[tuple[str, Json]]:
    """One block of a stream."""
    begun: list[tuple[str, Json]] = (
        [("contentBlockStart", {"contentBlockIndex": index, "start": start})] if start else []
    )
    said: list[tuple[str, Json]] = [
        ("contentBlockDelta", {"contentBlockIndex": index, "delta": delta}) for delta in deltas
    ]
    return [*begun, *said, ("contentBlockStop", {"contentBlockIndex": index})]


def test_reasoning_is_no_text_and_citations_are() -> None:
    blocks: list[Json] = [
        {"reasoningContent": {"reasoningText": {"text": "All tests passed?", "signature": "x"}}},
        {"text": "Not "},
        {"citationsContent": {"content": [{"text": "yet"}, {"text": "."}], "citations": [{"title": "x"}]}},
        CALL,
        {"text": "Wait."},
    ]
    answered = whole(*blocks)
    assert (answered.text, answered.tool_calls) == ("Not yet.\n\nWait.", (CALLED,))
    events = [
        *block(
            0, {"reasoningContent": {"text": "All tests passed?"}}, {"reasoningContent": {"signature": "x"}}
        ),
        *block(1, {"text": "Not "}, {"text": "yet."}, {"citation": {"title": "x"}}),
        *block(
            2,
            {"toolUse": {"input": '{"command":'}},
            {"toolUse": {"input": '"ls"}'}},
            start={"toolUse": {"toolUseId": "t1", "name": "bash"}},
        ),
        *block(3, {"text": "Wait."}),
    ]
    told = streamed(*events)
    assert (told.text, told.tool_calls, told.complete) == ("Not yet.\n\nWait.", (CALLED,), True)
    assert told.usage == Usage(input=12, output=20, cached=7)


def test_a_call_without_arguments_and_one_that_the_provider_runs() -> None:
    remote: Json = {"toolUse": {"toolUseId": "t2", "name": "nova_grounding", "type": "server_tool_use"}}
    expected = (ToolCall("t1", "bash", "{}"), ToolCall("t2", "nova_grounding", "{}", "builtin"))
    blocks: list[Json] = [{"toolUse": {"toolUseId": "t1", "name": "bash", "input": {}}}, remote]
    assert whole(*blocks).tool_calls == expected
    events = [event for n, made in enumerate(blocks) for event in block(n, start=made)]
    assert streamed(*events).tool_calls == expected


def test_a_stream_that_breaks_off_tells_whole_calls_only() -> None:
    begun = block(0, {"toolUse": {"input": '{"command":"rm'}}, start=CALL)[:-1]
    for events in (begun, [*block(1, {"text": "x"}), *begun]):
        told = streamed(*events, end=False)
        assert (told.tool_calls, told.complete) == ((), False)
        assert not streamed(*events).complete, "a block that did not end"


def test_a_stream_without_metadata_ends_with_its_body() -> None:
    events = [*block(0, {"text": "Done."}), ("messageStop", {"stopReason": "end_turn"})]
    told = streamed(*events, end=False)
    assert (told.text, told.complete, told.finish) == ("Done.", True, "end_turn")


def test_a_damaged_message_makes_it_incomplete() -> None:
    raw = streamed_answer("bedrock.converse", ANSWER)
    at = raw.index(b"contentBlockStop")
    damaged = raw[:at] + b"C" + raw[at + 1 :]
    _, answered = exchange(ask(f"{PATH}-stream", ASKED), stream(damaged, api="bedrock.converse"))
    assert answered.response is not None and not answered.complete
    assert answered.response.tool_calls == ()


def test_a_request_has_its_history_its_instructions_and_the_users_word() -> None:
    results: list[Json] = [
        {
            "toolResult": {
                "toolUseId": "t1",
                "content": [{"text": "a"}, {"json": {"b": 1}}],
                "status": "error",
            }
        },
        {"toolResult": {"toolUseId": "t2", "content": [{"image": {}}]}},
    ]
    messages = [
        *ASKED["messages"],
        {"role": "assistant", "content": [{"text": "x"}, CALL]},
        {"role": "user", "content": results},
    ]
    body = {"messages": messages, "system": [{"text": "Be good."}, {"cachePoint": {}}]}
    seen, _ = exchange(
        ask("/model/arn%3Aaws%3Abedrock%3Aeu%3A1%3Ainference-profile%2Feu.m-1/converse", body), answer({})
    )
    request = seen.request
    assert request.model == "arn:aws:bedrock:eu:1:inference-profile/eu.m-1"
    assert request.tool_results == (
        ToolResultItem("t1", 'a\n{"b":1}', is_error=True),
        ToolResultItem("t2", ""),
    )
    assert request.tool_calls_in_history == (CALLED,)
    assert (request.user_text, request.instructions_size, request.message_count) == ("Go.", 8, 3)


def test_more_blocks_than_an_answer_can_have_are_not_kept() -> None:
    events = [event for n in range(MAX_BLOCKS + 3) for event in block(n, start=CALL)]
    told = streamed(*events)
    assert (told.complete, len(told.tool_calls)) == (False, MAX_BLOCKS)


@pytest.mark.parametrize("body", [{"messages": {}}, {"prompt": "x"}, [], "x"])
def test_a_body_that_asks_for_nothing_is_no_call(body: object) -> None:
    assert of(RequestSeen, read([("sent", ask(PATH, json.dumps(body).encode()))])) == []


@pytest.mark.parametrize("body", [{"output": "x"}, {"output": {"message": {"content": "x"}}}, [], None])
def test_a_body_that_is_no_answer_is_none(body: object) -> None:
    _, answered = exchange(ask(PATH, ASKED), answer(json.dumps(body).encode()))
    assert (answered.response, answered.complete) == (None, False)
