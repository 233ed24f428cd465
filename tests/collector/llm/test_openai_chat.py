"""collector/llm/openai_chat.py: the dialects that servers of this API speak, streamed and not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from collector.llm.model import ModelResponse, ToolCall, ToolResultItem, Usage
from collector.llm.values import MAX_DEPTH
from tests.collector.llm.http import Json, answer, ask, exchange, sse, stream

PATH = "/v1/chat/completions"
ASKED: Json = {"model": "m-1", "messages": [{"role": "user", "content": "Go."}]}


def whole(message: Json, finish: str = "stop", **fields: Any) -> ModelResponse:
    """The answer of one JSON body."""
    choice = {"index": 0, "message": {"role": "assistant"} | message, "finish_reason": finish}
    _, answered = exchange(
        ask(PATH, ASKED), answer({"id": "c-1", "model": "m-1", "choices": [choice]} | fields)
    )
    assert answered.response is not None
    return answered.response


def chunk(delta: Json, finish: str | None = None, index: int = 0) -> Json:
    return {
        "id": "c-1",
        "model": "m-1",
        "choices": [{"index": index, "delta": delta, "finish_reason": finish}],
    }


def streamed(*chunks: Json | str, finish: str | None = "stop", done: bool = True) -> ModelResponse:
    """The answer of a stream; ``finish`` and ``done`` say how it ends."""
    last: list[Json | str] = [chunk({}, finish)] if finish else []
    data = [*chunks, *last, *(["[DONE]"] if done else [])]
    _, answered = exchange(ask(PATH, ASKED | {"stream": True}), stream(sse(data)))
    assert answered.response is not None
    assert answered.complete == (answered.response.complete or answered.response.error is not None)
    return answered.response


def delta(
    arguments: object, index: int | None = 0, ident: str | None = None, name: str | None = None
) -> Json:
    """A piece of one tool call, with what it says of it."""
    function: Json = {"arguments": arguments} | ({"name": name} if name is not None else {})
    call: Json = {"function": function}
    if index is not None:
        call["index"] = index
    if ident is not None:
        call |= {"id": ident, "type": "function"}
    return chunk({"tool_calls": [call]})


ONE = ToolCall("call_1", "bash", '{"command": "ls"}')
TWO = ToolCall("call_2", "bash", '{"command": "pwd"}')
DIALECTS: dict[str, list[Json]] = {
    "as documented": [
        delta("", 0, "call_1", "bash"),
        delta('{"command"', 0),
        delta(': "ls"}', 0),
        delta("", 1, "call_2", "bash"),
        delta('{"command": "pwd"}', 1),
    ],
    "interleaved": [
        delta("", 0, "call_1", "bash"),
        delta("", 1, "call_2", "bash"),
        delta('{"command"', 0),
        delta('{"command": ', 1),
        delta(': "ls"}', 0),
        delta('"pwd"}', 1),
    ],
    "whole calls in one chunk": [
        chunk(
            {
                "tool_calls": [
                    {"index": index, "id": call.id, "function": {"name": "bash", "arguments": call.arguments}}
                    for index, call in enumerate((ONE, TWO))
                ]
            }
        )
    ],
    "no index": [
        delta('{"command"', None, "call_1", "bash"),
        delta(': "ls"}', None),
        delta('{"command": "pwd"}', None, "call_2", "bash"),
    ],
    "one index for both": [
        delta(ONE.arguments, 0, "call_1", "bash"),
        delta('{"command": ', 0, "call_2", "bash"),
        delta('"pwd"}', 0),
    ],
    "id and name with each piece": [
        delta('{"command"', 0, "call_1", "bash"),
        delta(': "ls"}', 0, "call_1", "bash"),
        delta('{"command": "pwd"}', 1, "call_2", "bash"),
    ],
    "another id with each piece": [
        delta('{"command"', 0, "call_1", "bash"),
        delta(': "ls"}', 0, "made-up"),
        delta('{"command": "pwd"}', 1, "call_2", "bash"),
    ],
    "indexes that begin anywhere": [
        delta(ONE.arguments, 3, "call_1", "bash"),
        delta(TWO.arguments, 7, "call_2", "bash"),
    ],
}


@pytest.mark.parametrize("name", DIALECTS)
def test_every_dialect_of_a_streamed_call_gives_the_same(name: str) -> None:
    answered = streamed(*DIALECTS[name], finish="tool_calls")
    assert answered.tool_calls == (ONE, TWO)
    assert (answered.complete, answered.finish) == (True, "tool_calls")


@pytest.mark.parametrize("name", DIALECTS)
def test_a_stream_that_breaks_off_tells_only_calls_that_are_whole(name: str) -> None:
    chunks = DIALECTS[name]
    for cut in range(1, len(chunks)):
        answered = streamed(*chunks[:cut], finish=None, done=False)
        assert not answered.complete
        assert set(answered.tool_calls) <= {ONE, TWO}
    assert not streamed(*chunks, finish=None).complete  # [DONE], but nobody said that the call is finished


def test_arguments_may_be_the_object_itself() -> None:
    call: Json = {"id": "call_1", "function": {"name": "bash", "arguments": {"command": "ls"}}}
    expected = (ToolCall("call_1", "bash", '{"command":"ls"}'),)
    assert whole({"tool_calls": [call]}).tool_calls == expected
    assert streamed(delta({"command": "ls"}, 0, "call_1", "bash")).tool_calls == expected


def test_custom_tools_have_an_input_that_is_no_json() -> None:
    custom: Json = {"id": "call_1", "type": "custom", "custom": {"name": "apply_patch", "input": "*** Begin"}}
    expected = (ToolCall("call_1", "apply_patch", "*** Begin", "custom"),)
    assert whole({"tool_calls": [custom]}).tool_calls == expected
    first = custom | {"index": 0, "custom": {"name": "apply_patch", "input": "*** "}}
    second: Json = {"index": 0, "custom": {"input": "Begin"}}
    assert streamed(chunk({"tool_calls": [first]}), chunk({"tool_calls": [second]})).tool_calls == expected


def test_the_old_form_of_a_call() -> None:
    expected = (ToolCall("", "bash", '{"command": "ls"}'),)
    old: Json = {"function_call": {"name": "bash", "arguments": '{"command": "ls"}'}}
    assert whole(old).tool_calls == expected
    first: Json = {"function_call": {"name": "bash", "arguments": ""}}
    second: Json = {"function_call": {"arguments": '{"command": "ls"}'}}
    assert streamed(chunk(first), chunk(second), finish="function_call").tool_calls == expected


def test_a_refusal_is_what_is_said() -> None:
    assert whole({"content": None, "refusal": "I can't."}).text == "I can't."
    assert streamed(chunk({"refusal": "I "}), chunk({"refusal": "can't."})).text == "I can't."


def test_reasoning_is_not_what_is_said() -> None:
    assert whole({"content": "No.", "reasoning_content": "All tests passed?"}).text == "No."
    assert (
        streamed(chunk({"reasoning_content": "All tests passed?"}), chunk({"content": "No."})).text == "No."
    )


def test_of_several_choices_the_first_counts() -> None:
    choices = [{"index": n, "message": {"content": f"{n}"}, "finish_reason": "stop"} for n in (1, 0)]
    assert whole({}, choices=choices).text == "0"
    assert streamed(chunk({"content": "1"}, index=1), chunk({"content": "0"})).text == "0"
    assert not whole({}, choices=[]).complete
    # Which one the agent goes on with is not known.
    assert whole({}, choices=choices[1:]).complete and not whole({}, choices=choices).complete


def test_a_stream_of_several_choices_has_not_broken_off() -> None:
    told: list[Json | str] = [
        {"id": "c", "choices": [{"index": n, "delta": {"content": "x"}, "finish_reason": "stop"}]}
        for n in (0, 1)
    ]
    request = ask(PATH, ASKED | {"stream": True})
    for events, complete in ((told, False), (told[:1], True)):
        reply = exchange(request, stream(sse([*events, "[DONE]"])))[1]
        assert (reply.complete, reply.fate) == (complete, "answered")


def test_content_may_be_parts() -> None:
    parts = [
        {"type": "text", "text": "one"},
        {"type": "refusal", "refusal": "x"},
        {"type": "text", "text": "two"},
    ]
    assert whole({"content": parts}).text == "one\ntwo"
    cited = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]},
        {"type": "text", "text": "All 3 tests "},
        {"type": "reference", "reference_ids": [1]},
        {"type": "text", "text": "pass."},
    ]
    assert whole({"content": cited}).text == "All 3 tests pass."
    assert streamed(*(chunk({"content": [part]}) for part in cited)).text == "All 3 tests pass."


def test_usage_comes_last_or_with_each_chunk() -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 3}}
    expected = Usage(input=9, output=4, cached=3)
    assert whole({"content": "x"}, usage=usage).usage == expected
    last: Json = {"id": "c-1", "choices": [], "usage": usage}
    assert streamed(chunk({"content": "x"}), chunk({}, "stop"), last, finish=None).usage == expected
    early = chunk({"content": "x"}) | {"usage": usage | {"completion_tokens": 1}}
    assert streamed(early, chunk({}) | {"usage": usage}, chunk({}) | {"usage": None}).usage == expected


def test_a_stream_without_done_is_whole_where_its_end_and_its_finish_were_seen() -> None:
    assert streamed(chunk({"content": "x"}), done=False).complete
    assert not streamed(chunk({"content": "x"}), finish=None, done=False).complete
    assert streamed(chunk({"content": "x"}), finish=None).complete


def test_an_event_that_is_no_json_makes_it_incomplete() -> None:
    assert not streamed(chunk({"content": "x"}), "{broken", chunk({"content": "y"})).complete


def test_a_request_has_every_result_and_every_call_of_its_history() -> None:
    messages: list[Json] = [
        {"role": "system", "content": "Be good."},
        {"role": "developer", "content": [{"type": "text", "text": "Be kind."}]},
        {
            "role": "user",
            "content": [{"type": "text", "text": "Go."}, {"type": "image_url", "image_url": {}}],
        },
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "bash", "arguments": "{}"}},
                {"id": "call_2", "type": "custom", "custom": {"name": "patch", "input": "x"}},
            ],
        },
        {"role": "tool", "tool_call_id": "call_2", "content": "plain"},
        {
            "role": "tool",
            "tool_call_id": "call_1",
            "content": [{"type": "text", "text": t} for t in "ab"],
        },
        {"role": "function", "name": "old", "content": "older"},
        {"role": "assistant", "content": "Done?"},
    ]
    asked, _ = exchange(ask(PATH, ASKED | {"messages": messages}), answer({}))
    assert asked.request.tool_results == (
        ToolResultItem("call_2", "plain"),
        ToolResultItem("call_1", "a\nb"),
        ToolResultItem("", "older"),
    )
    assert asked.request.tool_calls_in_history == (
        ToolCall("call_1", "bash", "{}"),
        ToolCall("call_2", "patch", "x", "custom"),
    )
    assert (asked.request.user_text, asked.request.instructions_size) == ("Go.", 16)


@pytest.mark.parametrize("body", [{"choices": {}}, {"error": None}, [], "x", None])
def test_a_body_that_is_no_completion_is_none(body: Any) -> None:
    _, answered = exchange(ask(PATH, ASKED), answer(json.dumps(body).encode()))
    assert (answered.response, answered.complete) == (None, False)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ({"error": {"message": "x", "code": 502}}, "error"),
        ({"error": {"message": "x", "type": "overloaded"}, "choices": []}, "overloaded"),
        ({"error": "no such model"}, "error"),
        ({"object": "error", "message": "x", "type": "BadRequestError", "code": 400}, "BadRequestError"),
    ],
)
def test_an_error_under_status_200_is_told_and_all_that_was_said(error: Json, told: str) -> None:
    _, answered = exchange(ask(PATH, ASKED), answer(error))
    assert answered.response is not None
    assert (answered.response.error, answered.response.complete, answered.complete) == (told, False, True)
    broken = streamed(chunk({"content": "Let me"}), error, done=False, finish=None)
    assert (broken.text, broken.error, broken.complete) == ("Let me", told, False)


def test_what_a_model_thinks_is_no_text() -> None:
    """As vLLM and DeepSeek (reasoning_content), OpenRouter and newer vLLM (reasoning, reasoning_details) name it."""
    thought = {
        "reasoning_content": "I could say that the tests pass.",
        "reasoning": "I could say that the tests pass.",
        "reasoning_details": [{"type": "reasoning.text", "text": "I could say that the tests pass."}],
    }
    assert whole({"content": "Done."} | thought).text == "Done."
    assert streamed(chunk(thought), chunk({"content": "Done."} | thought)).text == "Done."


def test_comments_keep_a_stream_alive_and_say_nothing() -> None:
    raw = b": OPENROUTER PROCESSING\n\n: OPENROUTER PROCESSING\n\n" + sse(
        [chunk({"content": "Done."}), chunk({}, "stop"), "[DONE]"]
    )
    _, answered = exchange(ask(PATH, ASKED | {"stream": True}), stream(raw))
    assert answered.response is not None
    assert (answered.response.text, answered.complete) == ("Done.", True)


def test_azure_begins_with_filters_and_names_the_model_in_the_path() -> None:
    path = "/openai/deployments/gpt-4o%20eu/chat/completions?api-version=2024-10-21"
    filters: Json = {"prompt_filter_results": [{"prompt_index": 0, "content_filter_results": {}}]}
    first: Json = {"choices": [], "created": 0, "id": "", "model": "", "object": ""} | filters
    said = chunk({"content": "Done."})
    said["choices"][0]["content_filter_results"] = {"hate": {"filtered": False, "severity": "safe"}}
    asked, answered = exchange(
        ask(path, {"stream": True, "messages": ASKED["messages"]}),
        stream(sse([first, said, chunk({}, "content_filter"), "[DONE]"])),
    )
    assert asked.request.model == "gpt-4o eu"
    assert answered.response is not None and answered.complete
    assert (answered.response.text, answered.response.finish) == ("Done.", "content_filter")
    assert (answered.response.response_id, answered.response.model) == ("c-1", "m-1")


def test_mistral_names_an_agent_and_an_id_that_is_not_there() -> None:
    body = {"agent_id": "ag-1", "messages": ASKED["messages"]}
    call = {"id": "null", "index": 0, "function": {"name": "bash", "arguments": {"command": "ls"}}}
    message = {"role": "assistant", "content": "", "tool_calls": [call]}
    whole = {"choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]}
    asked, answered = exchange(ask("/v1/agents/completions", body), answer(whole))
    assert asked.request.model == "ag-1"
    assert answered.response is not None
    assert answered.response.tool_calls == (ToolCall("", "bash", '{"command":"ls"}'),)
    assert streamed(chunk(message), finish="tool_calls").tool_calls == answered.response.tool_calls


def test_streamed_arguments_that_are_too_deep_are_not_told_as_none() -> None:
    deep: object = 1
    for _ in range(MAX_DEPTH + 1):
        deep = [deep]
    answered = streamed(delta({"a": deep}, 0, "call_1", "bash"), finish="tool_calls")
    assert (answered.complete, answered.tool_calls) == (False, ())
