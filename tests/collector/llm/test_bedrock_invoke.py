"""collector/llm/bedrock_invoke.py: the bodies of the models' makers, whole and in chunks of Amazon's framing."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.http.sse import SseEvent
from collector.llm import bedrock_invoke
from collector.llm.exchange import RequestSeen, ResponseSeen
from collector.llm.model import Usage
from polygraph.events import Api
from tests.agents.frames import Event, Message
from tests.agents.wire import Wire, body, events
from tests.collector.llm.http import (
    ANSWER,
    CALLS,
    TEXT,
    Json,
    answer,
    ask,
    exchange,
    of,
    question,
    read,
    stream,
)

PATH = "/model/anthropic.m-1-v1%3A0/invoke"
STREAM = f"{PATH}-with-response-stream"
NOVA: Json = {
    "schemaVersion": "messages-v1",
    "messages": [{"role": "user", "content": [{"text": "Run the tests."}]}],
}
#: what an API's own body becomes here
REQUESTS: dict[Wire, Json] = {
    "anthropic.messages": {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 9,
        "messages": [{"role": "user", "content": "Run the tests."}],
    },
    "bedrock.converse": NOVA,
    "openai.chat": {"messages": [{"role": "user", "content": "Run the tests."}]},
}


def chunks(values: Iterable[Json]) -> bytes:
    """A stream whose chunks are ``values``."""
    coded = (base64.b64encode(json.dumps(value).encode()).decode() for value in values)
    return b"".join(Message("chunk", json.dumps({"bytes": value, "p": "abc"})).encode() for value in coded)


def inner(api: Wire) -> list[Json]:
    """The events of ANSWER in the API's own stream."""
    made = events(api, ANSWER, question(api, True), "1")
    if api == "bedrock.converse":
        return [{event.name: json.loads(event.data)} for event in made if isinstance(event, Message)]
    return [json.loads(event.data) for event in made if isinstance(event, Event) and event.data != "[DONE]"]


def invoked(api: Wire, raw: bytes) -> ResponseSeen:
    """What a streamed call of that API gives."""
    asked, answered = exchange(ask(STREAM, REQUESTS[api]), stream(raw, api="bedrock.converse"))
    assert (asked.api, asked.request.model, asked.request.stream) == (api, "anthropic.m-1-v1:0", True)
    assert answered.api == api
    return answered


@pytest.mark.parametrize("api", REQUESTS)
def test_each_makers_body_is_read_as_the_api_that_it_is(api: Wire) -> None:
    asked, whole = exchange(ask(PATH, REQUESTS[api]), answer(body(api, ANSWER, {}, "1")))
    assert (asked.api, asked.request.user_text, asked.request.stream) == (api, "Run the tests.", False)
    for answered in (whole, invoked(api, chunks(inner(api)))):
        assert answered.complete and answered.response is not None
        assert (answered.response.api, answered.response.text) == (api, TEXT)
        calls = answered.response.tool_calls
        assert [json.loads(made.arguments) for made in calls] == [made.arguments for made in CALLS]


@pytest.mark.parametrize("api", REQUESTS)
def test_a_stream_cut_anywhere_is_not_whole_and_makes_nothing_up(api: Wire) -> None:
    raw = stream(chunks(inner(api)), api="bedrock.converse", chunk=1 << 20)
    whole = invoked(api, chunks(inner(api))).response
    assert whole is not None
    for cut in range(0, raw.rindex(b"chunk") - 80, 17):
        (answered,) = of(ResponseSeen, read([("sent", ask(STREAM, REQUESTS[api])), ("received", raw[:cut])]))
        part = answered.response
        assert not answered.complete
        assert part is None or (
            whole.text.startswith(part.text) and set(part.tool_calls) <= set(whole.tool_calls)
        )


@pytest.mark.parametrize("api", REQUESTS)
def test_an_exception_ends_the_stream_and_is_told(api: Wire) -> None:
    raw = chunks(inner(api)[:4]) + Message("throttlingException", "{}", "exception").encode()
    answered = invoked(api, raw)
    assert answered.response is not None and answered.complete
    assert (answered.response.error, answered.response.complete) == ("throttlingException", False)


@pytest.mark.parametrize(
    "value", ['{"bytes": "e30"}', '{"bytes": "!"}', '{"bytes": 3}', "{}", "x", '{"bytes": "W10="}']
)
def test_a_chunk_that_is_none_makes_it_incomplete(value: str) -> None:
    whole = inner("anthropic.messages")
    raw = chunks(whole[:2]) + Message("chunk", value).encode() + chunks(whole[2:])
    assert not invoked("anthropic.messages", raw).complete


PROMPTS: list[tuple[Json, Json, list[Json], Usage]] = [
    (
        {"prompt": "Go.", "max_gen_len": 9},
        {"generation": "Done.", "stop_reason": "stop", "prompt_token_count": 7, "generation_token_count": 3},
        [
            {"generation": "Do", "prompt_token_count": 7, "generation_token_count": 1, "stop_reason": None},
            {"generation": "ne.", "generation_token_count": 3, "stop_reason": "stop"},
        ],
        Usage(input=7, output=3),
    ),
    (
        {"prompt": "<s>[INST] Go. [/INST]"},
        {"outputs": [{"text": "Done.", "stop_reason": "stop"}]},
        [{"outputs": [{"text": "Do"}]}, {"outputs": [{"text": "ne.", "stop_reason": "stop"}]}],
        Usage(),
    ),
    (
        {"inputText": "Go."},
        {"inputTextTokenCount": 3, "results": [{"outputText": "Done.", "completionReason": "FINISH"}]},
        [{"outputText": "Do"}, {"outputText": "ne.", "completionReason": "FINISH"}],
        Usage(),
    ),
]


@pytest.mark.parametrize(("request_body", "whole", "pieces", "usage"), PROMPTS)
def test_a_prompt_is_answered_with_text(
    request_body: Json, whole: Json, pieces: list[Json], usage: Usage
) -> None:
    asked, answered = exchange(ask("/model/m-1/invoke", request_body), answer(whole))
    assert (asked.api, asked.request.user_text) == ("bedrock.invoke", next(iter(request_body.values())))
    _, streamed = exchange(
        ask("/model/m-1/invoke-with-response-stream", request_body),
        stream(chunks(pieces), api="bedrock.converse"),
    )
    for seen in (answered, streamed):
        assert seen.response is not None and seen.complete
        assert (seen.response.text, seen.response.usage, seen.response.model) == ("Done.", usage, "m-1")
    _, broken = exchange(
        ask("/model/m-1/invoke-with-response-stream", request_body),
        stream(chunks(pieces[:1]), api="bedrock.converse"),
    )
    assert not broken.complete


@pytest.mark.parametrize(
    "body", [{"texts": ["embed me"]}, {"taskType": "TEXT_IMAGE"}, {"messages": {}}, [], "x"]
)
def test_a_body_that_asks_for_no_text_is_no_call(body: object) -> None:
    assert of(RequestSeen, read([("sent", ask(PATH, json.dumps(body).encode()))])) == []


def test_the_answer_to_a_request_that_was_not_read_is_read_by_its_shape() -> None:
    request = ask(PATH, REQUESTS["anthropic.messages"])
    told: set[Api] = set()
    for api in REQUESTS:
        cuts = [("sent", request[:-20]), ("received", answer(body(api, ANSWER, {}, "1")))]
        (answered,) = of(ResponseSeen, read(cuts))  # type: ignore[arg-type]
        assert answered.response is not None and answered.response.text == TEXT
        told.add(answered.api)
    assert told == set(REQUESTS)


_KEYS = st.sampled_from(
    [
        "type",
        "choices",
        "bytes",
        "generation",
        "outputs",
        "text",
        "stop_reason",
        "messageStart",
        "delta",
        "output",
    ]
)
_ANY = st.recursive(
    st.none() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(_KEYS, inside, max_size=4),
    max_leaves=12,
)


@given(st.lists(st.dictionaries(_KEYS, _ANY, max_size=4), max_size=5))
def test_values_that_may_be_anything_never_raise(values: list[dict[str, object]]) -> None:
    parser = bedrock_invoke.StreamParser()
    for value in values:
        bedrock_invoke.parse_request(json.dumps(value).encode())
        bedrock_invoke.parse_response(json.dumps(value).encode())
        coded = base64.b64encode(json.dumps(value).encode()).decode()
        parser.feed(SseEvent("chunk", json.dumps({"bytes": coded}).encode(), 0))
    parser.result(ended=True).text.encode()
