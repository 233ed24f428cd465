"""collector/llm/gemini.py: whole, streamed as events and as one array, behind Code Assist and Vertex AI."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.llm import gemini
from collector.llm.exchange import RequestSeen
from collector.llm.model import MAX_CALLS, ModelResponse, ToolCall, ToolResultItem, Usage
from collector.llm.values import MAX_DEPTH
from polygraph.events import Claim, Intent, ToolResult
from tests.agents.script import Answer
from tests.agents.script import ToolCall as Call
from tests.agents.wire import body, events
from tests.collector.llm.http import ANSWER, CALLS, TEXT, Json, answer, ask, exchange, of, read, sse, stream
from tests.collector.said import Talk

PATH = "/v1beta/models/m-1:streamGenerateContent?alt=sse"
ASKED: Json = {"contents": [{"role": "user", "parts": [{"text": "Go."}]}]}


def chunk(*parts: Json, finish: str | None = None, **fields: Any) -> Json:
    candidate: Json = {"content": {"role": "model", "parts": list(parts)}}
    return {"candidates": [candidate | ({"finishReason": finish} if finish else {})]} | fields


def whole(*parts: Json, finish: str | None = "STOP", **fields: Any) -> ModelResponse:
    """The answer of one JSON body."""
    _, answered = exchange(
        ask("/v1/models/m-1:generateContent", ASKED), answer(chunk(*parts, finish=finish, **fields))
    )
    assert answered.response is not None
    return answered.response


def streamed(*chunks: Json) -> ModelResponse:
    """The answer of a stream, the same as events and as one array."""
    _, answered = exchange(ask(PATH, ASKED), stream(sse(chunks)))
    array = json.dumps(chunks, indent=2).encode()
    _, other = exchange(ask(PATH.partition("?")[0], ASKED), answer(array, chunk=19))
    assert answered.response is not None and answered.response == other.response
    assert answered.streamed and other.streamed
    return answered.response


def call(name: str, **args: Any) -> Json:
    return {"functionCall": {"name": name, "args": args}}


def partial(*pieces: Json, more: bool = True, **fields: Any) -> Json:
    """A piece of a call whose arguments are streamed."""
    going = {"willContinue": True} if more else {}
    return chunk({"functionCall": {**({"partialArgs": list(pieces)} if pieces else {}), **going, **fields}})


def asked(*contents: Json, **fields: Any) -> RequestSeen:
    seen, _ = exchange(ask(PATH, {"contents": list(contents)} | fields), answer(chunk(finish="STOP")))
    return seen


def model(*parts: Json) -> Json:
    return {"role": "model", "parts": list(parts)}


def user(*parts: Json) -> Json:
    return {"role": "user", "parts": list(parts)}


def response(name: str, **fields: Any) -> Json:
    return {"functionResponse": {"name": name} | fields}


# --- answers ---------------------------------------------------------------------------------------------


def test_thoughts_and_code_of_the_provider_are_no_text_and_its_code_is_its_own() -> None:
    parts: list[Json] = [
        {"text": "All tests passed?", "thought": True, "thoughtSignature": "x"},
        {"executableCode": {"language": "PYTHON", "code": "print(1)"}},
        {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}},
        {"toolCall": {"id": "t", "toolType": "GOOGLE_SEARCH_WEB", "args": {"queries": ["x"]}}},
        {"text": "Not "},
        {"text": "yet."},
    ]
    for answered in (whole(*parts), streamed(*map(chunk, parts), chunk(finish="STOP"))):
        assert answered.text == "Not yet."
        assert answered.tool_calls == (
            ToolCall("", "code_execution", '{"code":"print(1)"}', "builtin"),
            ToolCall("t", "google_search_web", '{"queries":["x"]}', "builtin"),
        )


def test_what_is_said_before_and_after_a_call_is_apart() -> None:
    parts: list[Json] = [{"text": "First."}, call("bash"), call("bash"), {"text": "Then."}]
    assert whole(*parts).text == streamed(*map(chunk, parts), chunk(finish="STOP")).text == "First.\n\nThen."
    assert whole(*parts[:3]).text == "First."


def test_usage_counts_thoughts_as_output_and_the_last_one_counts() -> None:
    usage = {
        "promptTokenCount": 9,
        "candidatesTokenCount": 4,
        "thoughtsTokenCount": 2,
        "cachedContentTokenCount": 3,
    }
    expected = Usage(input=9, output=6, cached=3)
    assert whole({"text": "x"}, usageMetadata=usage).usage == expected
    early = chunk({"text": "x"}, usageMetadata={"promptTokenCount": 9})
    assert streamed(early, chunk(finish="STOP", usageMetadata=usage)).usage == expected


def test_of_several_candidates_the_first_counts_and_the_model_is_told() -> None:
    second: Json = {"index": 1, "content": {"parts": [{"text": "no"}]}, "finishReason": "STOP"}
    first: Json = {"index": 0, "content": {"parts": [{"text": "yes"}]}, "finishReason": "MAX_TOKENS"}
    said = {"candidates": [second, first], "modelVersion": "m-2", "responseId": "r"}
    for answered in (streamed(said), exchange(ask(PATH, ASKED), answer(said))[1].response):
        assert answered is not None
        assert (answered.text, answered.finish, answered.model, answered.response_id) == (
            "yes",
            "MAX_TOKENS",
            "m-2",
            "r",
        )
        assert not answered.complete  # which one the agent goes on with is not known


def test_a_prompt_that_is_blocked_is_an_answer_that_says_nothing() -> None:
    blocked: Json = {"promptFeedback": {"blockReason": "SAFETY"}}
    _, answered = exchange(ask(PATH, ASKED), answer(blocked))
    assert answered.response is not None and answered.complete
    assert (answered.response.text, answered.response.finish) == ("", "SAFETY")
    assert streamed(blocked).complete


def test_an_error_in_an_array_is_told() -> None:
    broken = streamed(chunk({"text": "Let me"}), {"error": {"code": 503, "status": "UNAVAILABLE"}})
    assert (broken.text, broken.error, broken.complete) == ("Let me", "UNAVAILABLE", False)


def test_a_stream_that_gives_no_reason_for_its_end_is_not_whole() -> None:
    broken = streamed(chunk({"text": "x"}), chunk(call("bash", command="ls")))
    assert (broken.complete, len(broken.tool_calls)) == (False, 1)


@pytest.mark.parametrize("whole", [{"candidates": 1}, {"response": 1}, {"totalTokens": 3}, [], "x", None])
def test_a_body_that_is_no_answer_is_none(whole: object) -> None:
    _, answered = exchange(ask("/v1/models/m-1:generateContent", ASKED), answer(json.dumps(whole).encode()))
    assert not answered.complete
    assert answered.response is None or not answered.response.complete


def test_arguments_that_are_too_deep_are_not_told_and_the_answer_not_whole() -> None:
    deep: object = 1
    for _ in range(MAX_DEPTH):
        deep = [deep]
    answered = whole(call("bash", command="ls"), call("bash", command=deep))
    assert (answered.complete, len(answered.tool_calls)) == (False, 1)
    assert len(whole(*[call("x")] * (MAX_CALLS + 1)).tool_calls) == MAX_CALLS


def test_an_array_cut_anywhere_is_not_whole_and_makes_nothing_up() -> None:
    chunks = [json.loads(event.data) for event in events("gemini.generate_content", ANSWER, {}, "1")]  # type: ignore[attr-defined]
    array = answer(json.dumps(chunks).encode())
    request = ask("/v1beta/models/m-1:streamGenerateContent", ASKED)
    (_, full) = read([("sent", request), ("received", array)])
    known = full.response  # type: ignore[union-attr]
    assert known is not None and known.complete and known.text == TEXT and len(known.tool_calls) == len(CALLS)
    for cut in range(0, len(array), 3):
        answered = read([("sent", request), ("received", array[:cut])])[1]
        part = answered.response  # type: ignore[union-attr]
        assert not answered.complete  # type: ignore[union-attr]
        assert part is None or (TEXT.startswith(part.text) and set(part.tool_calls) <= set(known.tool_calls))


# --- arguments that are streamed -------------------------------------------------------------------------


def test_arguments_come_in_pieces_at_their_paths() -> None:
    answered = streamed(
        partial(name="edit", id="call_1"),
        partial({"jsonPath": "$.path", "stringValue": "a", "willContinue": True}),
        partial({"jsonPath": "$.path", "stringValue": ".py"}, {"jsonPath": "$.count", "numberValue": 2.0}),
        partial(
            {"jsonPath": "$.edits[0].old", "stringValue": "x"}, {"jsonPath": "$['a.b'][0]", "boolValue": True}
        ),
        partial(
            {"jsonPath": "$.edits[0].new", "stringValue": "y"},
            {"jsonPath": "$.none", "nullValue": "NULL_VALUE"},
        ),
        partial(more=False),
        chunk(call("bash", command="ls"), finish="STOP"),
    )
    expected = {
        "path": "a.py",
        "count": 2,
        "edits": [{"old": "x", "new": "y"}],
        "a.b": [True],
        "none": None,
    }
    first, second = answered.tool_calls
    assert (first.id, first.name, json.loads(first.arguments)) == ("call_1", "edit", expected)
    assert second.name == "bash" and answered.complete


def test_a_call_that_never_ends_is_none() -> None:
    for rest in ([chunk(finish="STOP")], [partial(name="other", more=False), chunk(finish="STOP")]):
        answered = streamed(
            partial(name="bash"), partial({"jsonPath": "$.command", "stringValue": "ls"}), *rest
        )
        assert not answered.complete
        assert "bash" not in [made.name for made in answered.tool_calls]


@pytest.mark.parametrize(
    "path",
    ["", "$", "$.a[1]", "$..a", "$.a[*]", "$.a[-1]", "a", "$.a[99999999999]", "$" + ".a" * 99, 3, None],
)
def test_a_path_that_is_not_understood_makes_the_call_unknown_not_guessed(path: object) -> None:
    answered = streamed(
        partial({"jsonPath": path, "stringValue": "rm"}, name="bash", more=False), chunk(finish="STOP")
    )
    assert (answered.tool_calls, answered.complete) == ((), False)


def test_a_value_in_the_place_of_another_makes_the_call_unknown() -> None:
    for second in ("$.a", "$.a.b", "$.a[0]"):
        pieces: list[Json] = [{"jsonPath": "$.a", "stringValue": "x"}, {"jsonPath": second, "numberValue": 1}]
        answered = streamed(partial(*pieces, name="bash", more=False), chunk(finish="STOP"))
        assert answered.tool_calls == ()


# --- requests --------------------------------------------------------------------------------------------


def test_a_request_has_its_history_its_instructions_and_the_users_word() -> None:
    seen = asked(
        user({"text": "Go."}, {"inlineData": {}}),
        model({"text": "Hm.", "thought": True}, call("bash", command="ls") | {"thoughtSignature": "x"}),
        {"role": "function", "parts": [response("bash", response={"output": "a.py"})]},
        systemInstruction={"parts": [{"text": "Be good."}]},
        generationConfig={},
    ).request
    assert (seen.api, seen.model, seen.stream) == ("gemini.generate_content", "m-1", True)
    assert (seen.user_text, seen.instructions_size, seen.message_count) == ("Go.", 8, 3)
    assert seen.tool_calls_in_history == (ToolCall("", "bash", '{"command":"ls"}'),)
    (result,) = seen.tool_results
    assert (result.text, result.is_error) == ("a.py", False)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"response": {"output": "3 passed"}}, ("3 passed", False)),
        ({"response": {"result": "3 passed"}}, ("3 passed", False)),
        ({"response": {"error": "no such file"}}, ("no such file", True)),
        ({"response": {"output": "x", "error": "y"}}, ("x", False)),
        ({"response": {"exit": 1}}, ('{"exit":1}', False)),
        ({"response": {"output": {"a": 1}}}, ('{"output":{"a":1}}', False)),
        ({"response": "x"}, ("{}", False)),
        ({}, ("{}", False)),
    ],
)
def test_every_kind_of_result_is_read(fields: Json, expected: tuple[str, bool]) -> None:
    seen = asked(model(call("bash") | {}), user(response("bash", id="c", **fields)))
    (result,) = seen.request.tool_results
    assert (result.text, result.is_error) == expected


def test_ids_that_the_api_gives_are_kept() -> None:
    given = {"functionCall": {"id": "c1", "name": "bash", "args": {}}}
    assert whole(given).tool_calls == (ToolCall("c1", "bash", "{}"),)
    (result,) = asked(
        model(given), user(response("bash", id="c1", response={"output": "x"}))
    ).request.tool_results
    assert (result.call_id, result.text) == ("c1", "x")
    lost = asked(user(response("bash", id="c1", response={"output": "x"}))).request.tool_results
    assert lost == (ToolResultItem("c1", "x"),)


def test_snake_case_is_read_too() -> None:
    seen = asked(
        model({"function_call": {"name": "bash", "args": {"command": "ls"}}}),
        user({"function_response": {"name": "bash", "response": {"output": "x"}}}),
        system_instruction={"parts": [{"text": "Be good."}]},
    ).request
    assert (len(seen.tool_calls_in_history), len(seen.tool_results), seen.instructions_size) == (1, 1, 8)


@pytest.mark.parametrize("streams", [False, True])
def test_code_assist_wraps_both_ways(streams: bool) -> None:
    verb = "streamGenerateContent?alt=sse" if streams else "generateContent"
    wrapped = {"model": "gemini-2.5-pro", "project": "p", "request": ASKED}
    said: Json = {"response": chunk({"text": "Done."}, call("bash"), finish="STOP"), "traceId": "t"}
    request = ask(f"/v1internal:{verb}", wrapped)
    seen, answered = exchange(request, stream(sse([said])) if streams else answer(said))
    assert (seen.request.model, seen.request.user_text, seen.request.stream) == (
        "gemini-2.5-pro",
        "Go.",
        streams,
    )
    assert answered.response is not None and answered.complete
    assert (answered.response.text, len(answered.response.tool_calls)) == ("Done.", 1)
    assert answered.response.tool_calls[0].id


@pytest.mark.parametrize(
    "body", [{"contents": {}}, {"contents": None}, {"request": {}}, {"request": []}, {"messages": []}, []]
)
def test_a_body_that_asks_for_nothing_is_no_call(body: object) -> None:
    assert of(RequestSeen, read([("sent", ask(PATH, json.dumps(body).encode()))])) == []


# --- calls without ids -----------------------------------------------------------------------------------


def test_calls_without_ids_get_their_results_through_the_whole_pipeline() -> None:
    """Two calls in parallel and the same once more; the client makes up ids that the API never gave."""
    tests, other = Call("bash", {"command": "pytest -q"}), Call("bash", {"command": "pytest -q tests"})
    talk = Talk(api="gemini.generate_content")
    contents: list[Json] = [user({"text": "Go."})]
    for turn, (calls, texts) in enumerate(
        [((tests, other), ("1 failed in 0.1s", "2 passed in 0.1s")), ((tests,), ("3 passed in 0.1s",))]
    ):
        said = Answer(calls=calls, with_ids=False)
        talk.bytes("sent", ask(PATH, {"contents": contents}))
        whole_answer = body("gemini.generate_content", said, {}, str(turn))
        talk.bytes("received", answer(whole_answer))
        parts = whole_answer["candidates"][0]["content"]["parts"]
        for number, part in enumerate(parts):
            part["functionCall"]["id"] = f"made_{turn}_{number}"
        results = [
            response("bash", id=f"made_{turn}_{number}", response={"output": text})
            for number, text in enumerate(texts)
        ]
        contents += [model(*parts), user(*results)]
    talk.bytes("sent", ask(PATH, {"contents": contents}))
    talk.bytes("received", answer(body("gemini.generate_content", Answer(text="Done."), {}, "9")))
    log = talk.log()
    intents = [event for event in log if isinstance(event, Intent)]
    results_told = [event for event in log if isinstance(event, ToolResult)]
    assert len({intent.call_id for intent in intents}) == 3
    assert [told.intent for told in results_told] == [intent.intent for intent in intents]
    counts = [event.counts for event in log if isinstance(event, Claim) and event.source == "tool_result"]
    assert counts == [{"failed": 1}, {"passed": 2}, {"passed": 3}]


WORDS = """
contents parts role model user functionCall functionResponse name args id response output error text thought partialArgs
jsonPath stringValue willContinue request candidates finishReason $.a $.a[0] executableCode
"""
_WORDS = st.sampled_from(WORDS.split())
_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_WORDS, inner, max_size=4),
    max_leaves=16,
)


@given(st.lists(st.dictionaries(_WORDS, _ANY, max_size=4), max_size=4))
def test_values_that_may_be_anything_never_raise(values: list[dict[str, object]]) -> None:
    parts = {"role": "model", "parts": values}
    gemini.parse_request(json.dumps({"contents": [parts, {"parts": values}, *values]}).encode())
    gemini.parse_response(json.dumps({"candidates": [{"content": parts}, *values]}).encode())
    parser = gemini.StreamParser()
    for value in values:
        parser.take({"candidates": [{"content": {"parts": [value, {"functionCall": value}]}}]})
        parser.take(value)
    parser.result(ended=True).text.encode()
