"""collector/llm/anthropic.py: what each kind of block and event means, streamed and not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from collector.llm.model import ModelResponse, ToolCall, ToolResultItem, Usage
from tests.collector.llm.http import Json, answer, ask, exchange, sse, stream

PATH = "/v1/messages"
ASKED: Json = {"model": "m-1", "messages": [{"role": "user", "content": "Go."}]}


def whole(content: list[Json], **fields: Any) -> ModelResponse:
    """The answer of one JSON body."""
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m-1",
        "content": content,
    } | fields
    _, answered = exchange(ask(PATH, ASKED), answer(message))
    assert answered.response is not None and answered.complete == answered.response.complete
    return answered.response


def block_events(index: int, start: Json, *deltas: Json) -> list[Json]:
    """One block of a stream."""
    return [
        {"type": "content_block_start", "index": index, "content_block": start},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def streamed(*events: Json, stop: str | None = "end_turn", end: bool = True) -> ModelResponse:
    """The answer of a stream, with a beginning and, if ``end``, an end around ``events``."""
    usage = {
        "input_tokens": 5,
        "cache_read_input_tokens": 7,
        "cache_creation_input_tokens": 11,
        "output_tokens": 1,
    }
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m-1",
        "content": [],
        "usage": usage,
    }
    last: list[Json] = [
        {"type": "message_delta", "delta": {"stop_reason": stop}, "usage": {"output_tokens": 20}},
        {"type": "message_stop"},
    ]
    data = [{"type": "message_start", "message": message}, {"type": "ping"}, *events, *(last if end else [])]
    _, answered = exchange(ask(PATH, ASKED | {"stream": True}), stream(sse(data)))
    assert answered.response is not None and answered.streamed
    return answered.response


def text(words: str) -> Json:
    return {"type": "text_delta", "text": words}


def piece(words: str) -> Json:
    return {"type": "input_json_delta", "partial_json": words}


# --- answers ---------------------------------------------------------------------------------------------


def test_thinking_is_not_what_is_said() -> None:
    blocks: list[Json] = [
        {"type": "thinking", "thinking": "All tests passed?", "signature": "x"},
        {"type": "redacted_thinking", "data": "x"},
        {"type": "text", "text": "Not yet."},
    ]
    assert whole(blocks).text == "Not yet."
    events = [
        *block_events(
            0,
            {"type": "thinking", "thinking": ""},
            {"type": "thinking_delta", "thinking": "All tests passed?"},
            {"type": "signature_delta", "signature": "x"},
        ),
        *block_events(1, {"type": "redacted_thinking", "data": "x"}),
        {"type": "ping"},
        *block_events(2, {"type": "text", "text": ""}, text("Not "), text("yet.")),
    ]
    assert streamed(*events).text == "Not yet." and streamed(*events).complete


def test_server_tools_are_the_providers_and_their_results_no_text() -> None:
    blocks: list[Json] = [
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "a"}},
        {
            "type": "web_search_tool_result",
            "tool_use_id": "srvtoolu_1",
            "content": [{"type": "x", "text": "secret"}],
        },
        {"type": "mcp_tool_use", "id": "mcptoolu_1", "name": "bash", "server_name": "s", "input": {}},
        {"type": "text", "text": "Found."},
        {"type": "tool_use", "id": "toolu_1", "name": "bash", "input": {"command": "ls"}},
    ]
    expected = (
        ToolCall("srvtoolu_1", "web_search", '{"query":"a"}', "builtin"),
        ToolCall("mcptoolu_1", "bash", "{}", "builtin"),
        ToolCall("toolu_1", "bash", '{"command":"ls"}'),
    )
    assert (whole(blocks).tool_calls, whole(blocks).text) == (expected, "Found.")
    events = [event for index, block in enumerate(blocks) for event in block_events(index, block)]
    assert (streamed(*events).tool_calls, streamed(*events).text) == (expected, "Found.")


def test_arguments_come_in_any_pieces_and_blocks_in_any_order() -> None:
    arguments = json.dumps({"command": 'echo "ü" 🦊\n', "n": 1})
    one = {"type": "tool_use", "id": "toolu_1", "name": "bash", "input": {}}
    other = {"type": "tool_use", "id": "toolu_2", "name": "bash", "input": {}}
    first = block_events(1, one, *map(piece, arguments))
    second = block_events(0, other, piece(""), piece("{}"))
    mixed = [
        event
        for pair in zip(first, [*second, *[{"type": "ping"}] * len(first)], strict=False)
        for event in pair
    ]
    expected = (ToolCall("toolu_2", "bash", "{}"), ToolCall("toolu_1", "bash", arguments))
    assert streamed(*second, *first).tool_calls == streamed(*mixed).tool_calls == expected
    no_input = block_events(0, {"type": "tool_use", "id": "toolu_3", "name": "list"})
    assert streamed(*no_input).tool_calls == (ToolCall("toolu_3", "list", "{}"),)


def test_usage_counts_what_the_cache_gave_and_the_last_word_counts() -> None:
    assert streamed().usage == Usage(input=23, output=20, cached=7)
    usage = {
        "input_tokens": 5,
        "output_tokens": 20,
        "cache_read_input_tokens": 7,
        "cache_creation_input_tokens": 11,
    }
    assert whole([], usage=usage).usage == Usage(input=23, output=20, cached=7)
    assert whole([], usage={"input_tokens": -1, "output_tokens": "9"}).usage == Usage()


@pytest.mark.parametrize(
    "stop", ["end_turn", "max_tokens", "tool_use", "refusal", "pause_turn", "stop_sequence"]
)
def test_why_it_stopped_is_told(stop: str) -> None:
    assert streamed(stop=stop).finish == whole([], stop_reason=stop).finish == stop


def test_sentences_that_citations_cut_are_one_and_others_are_apart() -> None:
    said: list[Json] = [{"type": "text", "text": words} for words in ("All tests ", "passed.")]
    call: Json = {"type": "tool_use", "id": "t", "name": "n", "input": {}}
    assert whole(said).text == "All tests passed."
    assert whole([said[0], call, said[1]]).text == "All tests \n\npassed."


def test_a_stream_without_its_end_tells_only_whole_calls() -> None:
    call = {"type": "tool_use", "id": "toolu_1", "name": "bash", "input": {}}
    begun = block_events(0, call, piece('{"command": "rm -rf'))[:-1]
    broken = streamed(*begun, end=False)
    assert (broken.complete, broken.tool_calls, broken.finish) == (False, (), None)
    stopped = streamed(*block_events(0, call, piece("{}")), *begun[:0], end=False)
    assert (stopped.complete, len(stopped.tool_calls)) == (False, 1)
    ended = streamed(*begun)  # the end came, the block's did not
    assert (ended.complete, ended.tool_calls) == (False, ())


def test_a_delta_of_no_block_and_an_event_that_is_no_json_make_it_incomplete() -> None:
    stray: Json = {"type": "content_block_delta", "index": 9, "delta": text("x")}
    assert not streamed(stray).complete
    message = {"type": "message_start", "message": {"id": "m", "content": []}}
    data: list[Json | str] = [message, "{broken", {"type": "message_stop"}]
    _, answered = exchange(ask(PATH, ASKED), stream(sse(data)))
    assert not answered.complete


def _answer_of(*events: Json) -> ModelResponse:
    """The answer of a stream that is made of these events only."""
    ended = [{"type": "message_delta", "delta": {"stop_reason": "end_turn"}}, {"type": "message_stop"}]
    _, answered = exchange(ask(PATH, ASKED | {"stream": True}), stream(sse([*events, *ended])))
    assert answered.response is not None and answered.complete == answered.response.complete
    return answered.response


def test_a_stream_without_one_beginning_may_be_of_two_messages_or_lack_a_call() -> None:
    """As AgentSight publishes them: what two connections said in one stream, and streams that begin in the middle."""
    begin: Json = {"type": "message_start", "message": {"id": "m", "content": []}}
    block = block_events(0, {"type": "text", "text": ""}, {"type": "text_delta", "text": "Done."})
    assert _answer_of(begin, *block).complete
    assert not _answer_of(*block).complete
    assert not _answer_of(begin, *block, begin).complete
    again = _answer_of(begin, *block, *block)
    assert not again.complete
    assert again.text == "Done.Done."


def test_events_that_nobody_knows_are_passed_over() -> None:
    unknown: Json = {"type": "content_block_delta", "index": 0, "delta": {"type": "new_delta", "new": "x"}}
    events = block_events(0, {"type": "text", "text": ""}, text("Hi."))
    events[1:1] = [unknown, {"type": "new_event", "index": 0}]
    assert streamed(*events).text == "Hi." and streamed(*events).complete


@pytest.mark.parametrize(
    "body", [{"type": "error", "error": {"type": "x"}}, {"content": []}, {"type": "message"}, []]
)
def test_a_body_that_is_no_message_is_none(body: Any) -> None:
    _, answered = exchange(ask(PATH, ASKED), answer(json.dumps(body).encode()))
    assert (answered.response, answered.complete) == (None, False)


# --- requests --------------------------------------------------------------------------------------------


def test_a_request_has_every_result_and_every_call_of_its_history() -> None:
    messages: list[Json] = [
        {"role": "user", "content": [{"type": "text", "text": "Go."}, {"type": "image", "source": {}}]},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "x"},
                {"type": "tool_use", "id": "toolu_1", "name": "bash", "input": {"command": "ls"}},
                {"type": "tool_use", "id": "toolu_2", "name": "read", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "toolu_2", "content": "plain", "is_error": True},
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_1",
                    "content": [
                        {"type": "text", "text": "one"},
                        {"type": "image", "source": {}},
                        {"type": "text", "text": "two"},
                    ],
                },
                {"type": "tool_result", "tool_use_id": "toolu_3"},
                {"type": "text", "text": "Go on."},
            ],
        },
    ]
    system = [{"type": "text", "text": "Be good."}]
    asked, _ = exchange(ask(PATH, ASKED | {"messages": messages, "system": system}), answer({}))
    assert asked.request.tool_results == (
        ToolResultItem("toolu_2", "plain", is_error=True),
        ToolResultItem("toolu_1", "one\ntwo"),
        ToolResultItem("toolu_3", ""),
    )
    assert [call.id for call in asked.request.tool_calls_in_history] == ["toolu_1", "toolu_2"]
    assert (asked.request.user_text, asked.request.message_count) == ("Go on.", 3)
    assert asked.request.instructions_size == len("Be good.")


def test_of_a_key_that_stands_twice_the_last_counts() -> None:
    body = (
        b'{"messages": [], "model": "first", "model": "last", "messages": [{"role": "user", "content": "x"}]}'
    )
    asked, _ = exchange(ask(PATH, body), answer({}))
    assert (asked.request.model, asked.request.message_count) == ("last", 1)
