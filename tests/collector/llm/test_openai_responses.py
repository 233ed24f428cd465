"""collector/llm/openai_responses.py: every kind of item, of event and of result."""

from __future__ import annotations

import json
from typing import Any

import pytest

from collector.llm.model import ModelResponse, ToolCall, ToolResultItem, Usage
from polygraph.events import Intent, ToolResult
from tests.agents.script import Answer
from tests.agents.script import ToolCall as Call
from tests.agents.wire import body as body_of
from tests.collector.llm.http import Json, answer, ask, exchange, sse, stream
from tests.collector.said import Talk

PATH = "/v1/responses"
ASKED: Json = {"model": "m-1", "input": "Go."}
MESSAGE: Json = {
    "type": "message",
    "id": "msg_1",
    "role": "assistant",
    "content": [{"type": "output_text", "text": "Let me "}, {"type": "output_text", "text": "look."}],
}
CALL: Json = {
    "type": "function_call",
    "id": "fc_1",
    "call_id": "call_1",
    "name": "bash",
    "arguments": '{"command": "ls"}',
}
CALLED = ToolCall("call_1", "bash", '{"command": "ls"}')


def response(output: list[Json], **fields: Any) -> Json:
    return {
        "id": "resp_1",
        "object": "response",
        "model": "m-1",
        "status": "completed",
        "output": output,
    } | fields


def whole(output: list[Json], **fields: Any) -> ModelResponse:
    """The answer of one JSON body."""
    _, answered = exchange(ask(PATH, ASKED), answer(response(output, **fields)))
    assert answered.response is not None
    return answered.response


def done(index: int, item: Json) -> Json:
    return {"type": "response.output_item.done", "output_index": index, "item": item}


def streamed(*events: Json | str, end: Json | None = None) -> ModelResponse:
    """The answer of a stream; ``end`` is its last event."""
    data: list[Json | str] = [
        {"type": "response.created", "response": response([], status="in_progress")},
        *events,
    ]
    _, answered = exchange(ask(PATH, ASKED | {"stream": True}), stream(sse(data + ([end] if end else []))))
    assert answered.response is not None
    return answered.response


def completed(output: list[Json], kind: str = "response.completed", **fields: Any) -> Json:
    return {"type": kind, "response": response(output, **fields)}


def kind_of(value: object) -> str:
    return str(value["type"]) if isinstance(value, dict) else ""


ITEMS: list[tuple[Json, ToolCall]] = [
    (CALL, CALLED),
    (
        {
            "type": "custom_tool_call",
            "id": "ct_1",
            "call_id": "call_2",
            "name": "apply_patch",
            "input": "*** Begin",
        },
        ToolCall("call_2", "apply_patch", "*** Begin", "custom"),
    ),
    (
        {
            "type": "local_shell_call",
            "id": "ls_1",
            "call_id": "call_3",
            "action": {"type": "exec", "command": ["ls"]},
        },
        ToolCall("call_3", "local_shell", '{"type":"exec","command":["ls"]}', "local_shell"),
    ),
    (
        {"type": "shell_call", "id": "sh_1", "call_id": "call_4", "action": {"commands": ["ls", "pwd"]}},
        ToolCall("call_4", "shell", '{"commands":["ls","pwd"]}', "shell"),
    ),
    (
        {
            "type": "apply_patch_call",
            "id": "ap_1",
            "call_id": "call_5",
            "operation": {"type": "delete_file", "path": "a.py"},
        },
        ToolCall("call_5", "apply_patch", '{"type":"delete_file","path":"a.py"}', "apply_patch"),
    ),
    (
        {"type": "mcp_call", "id": "mcp_1", "name": "bash", "arguments": "{}", "server_label": "x"},
        ToolCall("mcp_1", "bash", "{}", "builtin"),
    ),
    (
        {"type": "web_search_call", "id": "ws_1", "action": {"query": "x"}},
        ToolCall("ws_1", "web_search", '{"query":"x"}', "builtin"),
    ),
    (
        {"type": "code_interpreter_call", "id": "ci_1", "code": "1 + 1"},
        ToolCall("ci_1", "code_interpreter", "1 + 1", "builtin"),
    ),
    (
        {
            "type": "shell_call",
            "call_id": "call_6",
            "action": {"commands": ["ls"]},
            "environment": {"type": "container_reference", "container_id": "cntr_1"},
        },
        ToolCall("call_6", "shell", '{"commands":["ls"]}', "builtin"),
    ),
    (
        {
            "type": "shell_call",
            "call_id": "call_7",
            "action": {"commands": ["ls"]},
            "environment": {"type": "local"},
        },
        ToolCall("call_7", "shell", '{"commands":["ls"]}', "shell"),
    ),
    (
        {"type": "computer_call", "call_id": "call_8", "actions": [{"type": "screenshot"}]},
        ToolCall("call_8", "computer", '[{"type":"screenshot"}]'),
    ),
    (
        {"type": "file_search_call", "id": "fs_1", "queries": ["x"]},
        ToolCall("fs_1", "file_search", '["x"]', "builtin"),
    ),
    (
        {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": "aGk="},
        ToolCall("ig_1", "image_generation", "completed", "builtin"),
    ),
    (
        {"type": "tool_search_call", "id": "ts_1", "execution": "server", "arguments": {"query": "x"}},
        ToolCall("ts_1", "tool_search", '{"query":"x"}', "builtin"),
    ),
    (
        {"type": "program", "id": "p_1", "call_id": "call_9", "code": "await x()", "fingerprint": "f"},
        ToolCall("call_9", "program", "await x()", "builtin"),
    ),
]


def test_items_that_ask_for_nothing_are_no_calls() -> None:
    """A list of a server's tools, what a person is asked to allow and what was said of it, results, a summary."""
    kinds = (
        "mcp_list_tools",
        "mcp_approval_request",
        "mcp_approval_response",
        "program_output",
        "compaction",
    )
    items: list[Json] = [{"type": kind, "id": "x", "name": "bash", "arguments": "{}"} for kind in kinds]
    for answered in (
        whole(items),
        streamed(*(done(n, item) for n, item in enumerate(items)), end=completed(items)),
    ):
        assert (answered.tool_calls, answered.text, answered.complete) == ((), "", True)


@pytest.mark.parametrize(("item", "call"), ITEMS, ids=kind_of)
def test_every_kind_of_call_is_read_however_it_comes(item: Json, call: ToolCall) -> None:
    assert whole([item]).tool_calls == (call,)
    assert streamed(done(0, item), end=completed([item])).tool_calls == (call,)
    assert streamed(done(0, item), end=completed([])).tool_calls == (call,)  # codex's backend ends so
    assert streamed(end=completed([item])).tool_calls == (call,)  # a server that tells it with the end only
    broken = streamed(done(0, item))
    assert (broken.tool_calls, broken.complete) == ((call,), False)


def test_what_only_the_end_tells_is_not_lost() -> None:
    text = {"type": "response.output_text.delta", "output_index": 0, "delta": "Let me "}
    answered = streamed(text, end=completed([MESSAGE, CALL]))
    assert (answered.text, answered.tool_calls, answered.complete) == ("Let me look.", (CALLED,), True)
    assert streamed(done(1, CALL), end=completed([MESSAGE])).tool_calls == (CALLED,)


def test_text_is_parts_and_a_refusal_is_what_is_said_and_reasoning_is_not() -> None:
    refusal: Json = {"type": "message", "content": [{"type": "refusal", "refusal": "I can't."}]}
    reasoning: Json = {
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": "All tests passed?"}],
    }
    output = [reasoning, MESSAGE, refusal]
    for answered in (
        whole(output),
        streamed(*(done(n, item) for n, item in enumerate(output)), end=completed(output)),
    ):
        assert answered.text == "Let me look.\n\nI can't."
    thinking = {
        "type": "response.reasoning_summary_text.delta",
        "output_index": 0,
        "delta": "All tests passed?",
    }
    assert streamed(thinking, end=completed([MESSAGE])).text == "Let me look."


def test_a_stream_that_breaks_off_has_its_text_so_far_and_whole_calls_only() -> None:
    events: list[Json] = [
        {"type": "response.output_item.added", "output_index": 0, "item": MESSAGE | {"content": []}},
        {"type": "response.output_text.delta", "output_index": 0, "delta": "Let "},
        {"type": "response.output_item.added", "output_index": 1, "item": CALL | {"arguments": ""}},
        {"type": "response.function_call_arguments.delta", "output_index": 1, "delta": '{"command": "rm'},
    ]
    broken = streamed(*events)
    assert (broken.text, broken.tool_calls, broken.complete, broken.finish) == ("Let ", (), False, None)


@pytest.mark.parametrize(
    ("kind", "fields", "complete", "finish", "error"),
    [
        ("response.completed", {}, True, "completed", None),
        ("response.done", {}, True, "completed", None),
        (
            "response.incomplete",
            {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}},
            True,
            "max_output_tokens",
            None,
        ),
        (
            "response.failed",
            {"status": "failed", "error": {"code": "server_error"}},
            False,
            "failed",
            "server_error",
        ),
    ],
)
def test_how_it_ended_is_told(
    kind: str, fields: Json, complete: bool, finish: str, error: str | None
) -> None:
    for answered in (streamed(done(0, CALL), end=completed([CALL], kind, **fields)), whole([CALL], **fields)):
        assert (answered.complete, answered.finish, answered.error) == (complete, finish, error)
        assert answered.tool_calls == (CALLED,)


@pytest.mark.parametrize("status", ["in_progress", "queued", "cancelled"])
def test_an_answer_that_is_not_over_is_not_whole(status: str) -> None:
    assert not whole([], status=status).complete


def test_usage() -> None:
    usage = {"input_tokens": 9, "input_tokens_details": {"cached_tokens": 3}, "output_tokens": 4}
    expected = Usage(input=9, output=4, cached=3)
    assert whole([], usage=usage).usage == streamed(end=completed([], usage=usage)).usage == expected


def test_an_event_that_is_no_json_makes_it_incomplete() -> None:
    assert not streamed("{broken", done(0, CALL), end=completed([CALL])).complete


# --- requests --------------------------------------------------------------------------------------------

CODEX = json.dumps({"output": "3 passed", "metadata": {"exit_code": 1, "duration_seconds": 0.1}})
RESULTS: list[tuple[Json, ToolResultItem]] = [
    ({"type": "function_call_output", "call_id": "c", "output": "plain"}, ToolResultItem("c", "plain")),
    (
        {
            "type": "function_call_output",
            "call_id": "c",
            "output": [{"type": "input_text", "text": t} for t in "ab"],
        },
        ToolResultItem("c", "a\nb"),
    ),
    (
        {"type": "function_call_output", "call_id": "c", "output": CODEX},
        ToolResultItem("c", CODEX, exit_code=1),
    ),
    (
        {"type": "function_call_output", "call_id": "c", "output": "x", "status": "incomplete"},
        ToolResultItem("c", "x", is_error=True),
    ),
    ({"type": "custom_tool_call_output", "call_id": "c", "output": "Done!"}, ToolResultItem("c", "Done!")),
    (
        {"type": "local_shell_call_output", "id": "c", "output": CODEX},
        ToolResultItem("c", CODEX, exit_code=1),
    ),
    (
        {"type": "apply_patch_call_output", "call_id": "c", "status": "failed", "output": "no such file"},
        ToolResultItem("c", "no such file", is_error=True),
    ),
    (
        {
            "type": "shell_call_output",
            "call_id": "c",
            "output": [
                {"stdout": "1 passed", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}},
                {"stdout": "", "stderr": "no", "outcome": {"type": "exit", "exit_code": 2}},
            ],
        },
        ToolResultItem("c", "1 passed\nno", exit_code=2),
    ),
    (
        {
            "type": "shell_call_output",
            "call_id": "c",
            "output": [{"stdout": "x", "outcome": {"type": "timeout"}}],
        },
        ToolResultItem("c", "x", is_error=True),
    ),
    ({"type": "computer_call_output", "call_id": "c", "output": {"type": "x"}}, ToolResultItem("c", "")),
]


@pytest.mark.parametrize(("item", "result"), RESULTS, ids=kind_of)
def test_every_kind_of_result_is_read(item: Json, result: ToolResultItem) -> None:
    asked, _ = exchange(ask(PATH, ASKED | {"input": [item]}), answer({}))
    assert asked.request.tool_results == (result,)


@pytest.mark.parametrize("code", ["1", None, True, 1 << 40, [1]])
def test_an_exit_code_that_is_none_is_not_told(code: object) -> None:
    output = json.dumps({"output": "x", "metadata": {"exit_code": code}})
    item = {"type": "function_call_output", "call_id": "c", "output": output}
    asked, _ = exchange(ask(PATH, ASKED | {"input": [item]}), answer({}))
    assert asked.request.tool_results[0].exit_code is None


def test_a_request_has_its_history_its_instructions_and_the_users_word() -> None:
    given: list[Json] = [
        {"role": "developer", "content": "Be kind."},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Go."}]},
        {"type": "reasoning", "encrypted_content": "x"},
        CALL,
        {"type": "item_reference", "id": "x"},
    ]
    asked, _ = exchange(ask(PATH, ASKED | {"input": given, "instructions": "Be good."}), answer({}))
    assert asked.request.tool_calls_in_history == (CALLED,)
    assert (asked.request.user_text, asked.request.instructions_size) == ("Go.", 16)
    plain, _ = exchange(ask(PATH, ASKED), answer({}))
    assert (plain.request.user_text, plain.request.message_count) == ("Go.", 1)


def test_a_chain_of_responses_carries_only_what_is_new() -> None:
    """With previous_response_id a request repeats nothing: the result still finds its call."""
    talk = Talk(api="openai.responses")
    talk.bytes("sent", ask(PATH, ASKED))
    talk.bytes(
        "received",
        answer(body_of("openai.responses", Answer(calls=(Call("bash", {"command": "pytest"}),)), ASKED, "1")),
    )
    result = {"type": "function_call_output", "call_id": "call_1_0", "output": "3 passed in 0.1s"}
    talk.bytes("sent", ask(PATH, {"model": "m-1", "previous_response_id": "resp_1", "input": [result]}))
    talk.bytes("received", answer(body_of("openai.responses", Answer(text="Done."), ASKED, "2")))
    talk.bytes("sent", ask(PATH, {"model": "m-1", "previous_response_id": "resp_2"}))
    events = talk.log()
    (intent,) = [event for event in events if isinstance(event, Intent)]
    (told,) = [event for event in events if isinstance(event, ToolResult)]
    assert told.intent == intent.intent
