"""collector/llm/ollama.py: chats and texts, whole and as lines."""

from __future__ import annotations

import json
from typing import Any

import pytest

from collector.llm.exchange import RequestSeen
from collector.llm.model import MAX_CALLS, ModelResponse, ToolCall, ToolResultItem, Usage
from collector.llm.values import MAX_DEPTH
from polygraph.events import Intent, ToolResult
from tests.agents.script import Answer
from tests.agents.script import ToolCall as Call
from tests.agents.wire import body
from tests.collector.llm.http import Json, answer, ask, exchange, of, read, stream
from tests.collector.said import Talk

PATH = "/api/chat"
ASKED: Json = {"model": "m-1", "messages": [{"role": "user", "content": "Go."}]}


def line(done: bool = False, **message: Any) -> Json:
    end = {"done_reason": "stop", "prompt_eval_count": 9, "eval_count": 4} if done else {}
    return {"model": "m-1", "message": {"role": "assistant"} | message, "done": done} | end


def streamed(*lines: Json, path: str = PATH, asked: Json = ASKED) -> ModelResponse:
    """The answer of a stream, also where it is served as one whole body."""
    raw = "".join(json.dumps(value) + "\n" for value in lines).encode()
    _, answered = exchange(ask(path, asked), stream(raw, api="ollama.chat"))
    assert answered.response is not None
    if len(lines) > 1:
        _, other = exchange(ask(path, asked), answer(raw))
        assert other.response == answered.response and other.streamed
    return answered.response


def whole(value: Json, path: str = PATH, asked: Json = ASKED) -> ModelResponse:
    _, answered = exchange(ask(path, asked | {"stream": False}), answer(value))
    assert answered.response is not None and not answered.streamed
    return answered.response


def call(name: str, arguments: object, **fields: Any) -> Json:
    return {"function": {"name": name, "arguments": arguments}} | fields


def test_thinking_is_no_text_and_calls_have_objects_as_arguments() -> None:
    calls = [call("bash", {"command": "ls"}, id="call_1"), call("bash", '{"command": "pwd"}', id="call_2")]
    expected = (
        ToolCall("call_1", "bash", '{"command":"ls"}'),
        ToolCall("call_2", "bash", '{"command": "pwd"}'),
    )
    told = whole(line(True, content="Done.", thinking="All tests passed?", tool_calls=calls))
    parts = streamed(
        line(content="", thinking="All tests passed?"),
        line(content="Do"),
        line(content="ne.", tool_calls=calls[:1]),
        line(content="", tool_calls=calls[1:]),
        line(True, content=""),
    )
    for answered in (told, parts):
        assert (answered.text, answered.tool_calls, answered.complete) == ("Done.", expected, True)
        assert (answered.usage, answered.finish) == (Usage(input=9, output=4), "stop")


def test_a_text_that_goes_on() -> None:
    path, asked = "/api/generate", {"model": "m-1", "prompt": "Go.", "system": "Be good."}
    first = {"model": "m-1", "response": "Do", "thinking": "x", "done": False}
    last = {"model": "m-1", "response": "ne.", "done": True, "prompt_eval_count": 9, "eval_count": 4}
    for answered in (
        streamed(first, last, path=path, asked=asked),
        whole(last | {"response": "Done."}, path, asked),
    ):
        assert (answered.api, answered.text, answered.complete) == ("ollama.generate", "Done.", True)
        assert answered.usage == Usage(input=9, output=4)
    (seen,) = of(RequestSeen, read([("sent", ask(path, asked))]))
    assert (seen.request.user_text, seen.request.instructions_size, seen.request.stream) == ("Go.", 8, True)


def test_an_error_is_told_whole_and_after_a_part() -> None:
    assert whole({"error": "model not found"}).error == "error"
    broken = streamed(line(content="Let me"), {"error": "out of memory"})
    assert (broken.text, broken.error, broken.complete) == ("Let me", "error", False)


def test_a_line_that_is_none_and_one_too_few_make_it_incomplete() -> None:
    assert not streamed(line(content="x"), {}, line(True)).complete
    assert not streamed(line(content="x"), line(content="y")).complete


def test_arguments_that_are_too_deep_and_too_many_calls_are_not_told() -> None:
    deep: object = 1
    for _ in range(MAX_DEPTH + 1):
        deep = [deep]
    told = whole(line(True, tool_calls=[call("bash", {"a": deep}, id="x"), call("bash", {}, id="y")]))
    assert (told.complete, [made.id for made in told.tool_calls]) == (False, ["y"])
    many = whole(line(True, tool_calls=[call("bash", {}, id="x")] * (MAX_CALLS + 1)))
    assert (many.complete, len(many.tool_calls)) == (False, MAX_CALLS)


def test_a_request_has_its_history_its_instructions_and_the_users_word() -> None:
    messages = [
        {"role": "system", "content": "Be good."},
        *ASKED["messages"],
        {"role": "assistant", "content": "", "tool_calls": [call("bash", {}, id="c1"), call("read", {})]},
        {"role": "tool", "tool_call_id": "c1", "tool_name": "bash", "content": "a.py"},
        {"role": "tool", "tool_name": "read", "content": "text"},
    ]
    (seen,) = of(RequestSeen, read([("sent", ask(PATH, ASKED | {"messages": messages}))]))
    request = seen.request
    assert (request.model, request.stream, request.user_text) == ("m-1", True, "Go.")
    assert (request.instructions_size, request.message_count) == (8, 5)
    first, second = request.tool_results
    assert (first.call_id, first.text, second.text) == ("c1", "a.py", "text")
    assert second.call_id == second.made_id != ""
    lost = ASKED | {"messages": messages[3:]}
    (alone,) = of(RequestSeen, read([("sent", ask(PATH, lost))]))
    assert alone.request.tool_results == (ToolResultItem("c1", "a.py"), ToolResultItem("", "text"))


def test_calls_without_ids_get_their_results_through_the_whole_pipeline() -> None:
    talk = Talk(api="ollama.chat")
    calls = (Call("bash", {"command": "ls"}), Call("bash", {"command": "pwd"}))
    messages = list(ASKED["messages"])
    for turn in "12":
        talk.bytes("sent", ask(PATH, ASKED | {"messages": messages}))
        said = body("ollama.chat", Answer(calls=calls, with_ids=False), ASKED, turn)
        talk.bytes("received", answer(said))
        results = [{"role": "tool", "tool_name": "bash", "content": f"{turn}{n}"} for n in range(2)]
        messages += [said["message"], *results]
    talk.bytes("sent", ask(PATH, ASKED | {"messages": messages}))
    log = talk.log()
    intents = [event.intent for event in log if isinstance(event, Intent)]
    assert len(set(intents)) == 4
    assert [event.intent for event in log if isinstance(event, ToolResult)] == intents


@pytest.mark.parametrize(
    "sent",
    [
        {"messages": []},
        {"model": "m-1"},
        {"model": 1, "messages": []},
        {"id": "x", "messages": [{}]},
        [],
        "x",
    ],
)
def test_a_chat_of_another_server_is_no_call(sent: object) -> None:
    assert of(RequestSeen, read([("sent", ask(PATH, json.dumps(sent).encode()))])) == []


@pytest.mark.parametrize("sent", [{"model": "m-1", "prompt": ""}, {"model": "m-1"}, {"prompt": "x"}, []])
def test_loading_a_model_is_no_call(sent: object) -> None:
    assert of(RequestSeen, read([("sent", ask("/api/generate", json.dumps(sent).encode()))])) == []


@pytest.mark.parametrize("said", [{"message": {"content": "x"}}, [], "x", None])
def test_a_body_that_is_no_answer_is_none(said: object) -> None:
    _, answered = exchange(ask(PATH, ASKED), answer(json.dumps(said).encode()))
    assert (answered.response, answered.complete) == (None, False)
