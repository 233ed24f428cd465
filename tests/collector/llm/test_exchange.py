"""collector/llm/exchange.py: whatever way a call comes over the connection, it is read whole or not called whole."""

from __future__ import annotations

import json
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.http.events import Direction
from collector.http.head import MAX_HEAD
from collector.llm import anthropic
from collector.llm.exchange import RequestSeen, ResponseSeen, Unreadable
from collector.llm.model import MAX_CALLS
from collector.llm.values import MAX_DEPTH
from tests.agents.frames import Message
from tests.agents.script import Answer, ToolCall
from tests.agents.wire import Wire, body
from tests.collector.llm.http import (
    ANSWER,
    CALLS,
    CODINGS,
    NO_END_MARK,
    PATHS,
    TEXT,
    Cut,
    Stream,
    answer,
    ask,
    exchange,
    of,
    question,
    read,
    sse,
    stream,
    streamed_answer,
)
from tests.collector.said import HISTORY

APIS = list(PATHS)


@cache  # answers hold the time: one that is made twice is not the same
def call(api: Wire, streamed: bool, coding: str = "", chunk: int = 0) -> Stream:
    """A call and its answer, ANSWER."""
    request = ask(PATHS[api], question(api, streamed))
    if streamed:
        return [("sent", request), ("received", stream(streamed_answer(api), coding, chunk or 37, api))]
    whole = answer(body(api, ANSWER, question(api), "1"), coding=coding, chunk=chunk)
    return [("sent", request), ("received", whole)]


def is_whole(seen: ResponseSeen) -> bool:
    """All of ANSWER is there, nothing else, and it is called complete."""
    response = seen.response
    if response is None or not (seen.complete and response.complete):
        return False
    assert response.text == TEXT
    assert [made.name for made in response.tool_calls] == [made.name for made in CALLS]
    assert [json.loads(made.arguments) for made in response.tool_calls] == [made.arguments for made in CALLS]
    assert len({made.id for made in response.tool_calls}) == len(CALLS)
    return True


@pytest.mark.parametrize("chunk", [0, 1, 13, 1 << 20])
@pytest.mark.parametrize("coding", ["", *CODINGS])
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("api", APIS)
def test_an_answer_is_read_whole_in_every_coding_and_framing(
    api: Wire, streamed: bool, coding: str, chunk: int
) -> None:
    asked, answered = read(call(api, streamed, coding, chunk))
    assert isinstance(asked, RequestSeen) and isinstance(answered, ResponseSeen)
    assert (asked.api, asked.index, asked.host, asked.request.model) == (api, 0, "api.example", "m-1")
    assert (answered.api, answered.index, answered.status, answered.streamed) == (api, 0, 200, streamed)
    assert is_whole(answered) and answered.gap_bytes == 0
    assert answered.response is not None
    assert (answered.response.usage.input, answered.response.usage.output) == (100, 20)
    assert answered.response.model == "m-1"


@pytest.mark.parametrize("coding", CODINGS)
def test_a_request_may_be_coded_too(coding: str) -> None:
    request = ask(PATHS["openai.chat"], question("openai.chat"), coding=coding)
    (asked,) = of(RequestSeen, read([("sent", request)]))
    assert asked.request.user_text == "Run the tests."


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("api", APIS)
def test_every_single_cut_gives_the_same(api: Wire, streamed: bool) -> None:
    (_, request), (_, response) = call(api, streamed)
    whole = read([("sent", request), ("received", response)])
    assert is_whole(of(ResponseSeen, whole)[0])
    for cut in range(len(request)):
        assert read([("sent", request[:cut]), ("sent", request[cut:]), ("received", response)]) == whole
    for cut in range(0, len(response), 1 if len(response) < 2000 else 3):
        parts: Stream = [("received", response[:cut]), ("received", response[cut:])]
        assert read([("sent", request), *parts]) == whole


@given(st.data())
def test_any_number_of_cuts_gives_the_same(data: st.DataObject) -> None:
    api = data.draw(st.sampled_from(APIS))
    coding = data.draw(st.sampled_from(["", *CODINGS]))
    conversation = call(api, data.draw(st.booleans()), coding) * 2
    cut_up: Stream = []
    for direction, content in conversation:
        cuts = sorted(data.draw(st.lists(st.integers(0, len(content)), max_size=12)))
        for start, end in zip([0, *cuts], [*cuts, len(content)], strict=True):
            cut_up.append((direction, content[start:end]))
    assert read(cut_up) == read(conversation)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("api", APIS)
def test_one_byte_at_a_time_gives_the_same(api: Wire, streamed: bool) -> None:
    conversation = call(api, streamed, "gzip")
    single: Stream = [
        (way, content[at : at + 1]) for way, content in conversation for at in range(len(content))
    ]
    assert read(single) == read(conversation)


def test_many_calls_of_several_apis_share_a_connection_with_requests_that_are_none() -> None:
    other: Stream = [
        ("sent", b"GET /v1/models HTTP/1.1\r\nHost: api.example\r\n\r\n"),
        ("received", answer({"data": []})),
        ("sent", ask("/v1/messages/count_tokens", {"messages": []})),
        ("received", answer({"input_tokens": 3})),
        ("sent", ask("/v1/messages", {"chat": "no model's"})),
        ("received", answer({"ok": True})),
    ]
    conversation: Stream = []
    for api in APIS:
        conversation += [*call(api, True), *other, *call(api, False)]
    seen = read(conversation)
    calls = [number for start in range(0, 5 * len(APIS), 5) for number in (start, start + 4)]
    assert [event.index for event in of(RequestSeen, seen)] == calls
    assert [event.index for event in of(ResponseSeen, seen)] == calls
    assert all(is_whole(event) for event in of(ResponseSeen, seen))
    assert of(Unreadable, seen) == []


def test_pipelined_calls_get_their_answers_in_order() -> None:
    requests = [ask(PATHS["openai.chat"], question("openai.chat") | {"model": f"m-{n}"}) for n in range(3)]
    answers = [
        answer(body("openai.chat", Answer(text=f"{n}"), question("openai.chat"), str(n))) for n in range(3)
    ]
    seen = read([("sent", b"".join(requests)), ("received", b"".join(answers))])
    assert [event.request.model for event in of(RequestSeen, seen)] == ["m-0", "m-1", "m-2"]
    assert [event.response.text for event in of(ResponseSeen, seen) if event.response] == ["0", "1", "2"]


def test_the_server_side_of_a_connection_is_read_the_same() -> None:
    turned: Stream = [
        ("received" if way == "sent" else "sent", content) for way, content in call("openai.chat", True)
    ]
    assert read(turned) == read(call("openai.chat", True))


def test_a_streamed_answer_is_over_at_its_end_mark_not_with_the_connection() -> None:
    for api in (api for api in APIS if api not in NO_END_MARK):
        (_, request), (_, response) = call(api, True)
        (answered,) = of(ResponseSeen, read([("sent", request), ("received", response[:-5])], close=False))
        assert is_whole(answered)


def test_a_stream_under_another_content_type_is_a_stream() -> None:
    for api in APIS:
        whole = answer(streamed_answer(api), kind="application/octet-stream")
        _, answered = exchange(ask(PATHS[api], question(api)), whole)
        assert answered.streamed and is_whole(answered)


def test_an_answer_without_length_ends_with_the_connection() -> None:
    raw = json.dumps(body("openai.chat", ANSWER, question("openai.chat"), "1")).encode()
    request = ask(PATHS["openai.chat"], question("openai.chat"))
    until_close = b"HTTP/1.1 200 OK\r\n\r\n" + raw
    assert of(ResponseSeen, read([("sent", request), ("received", until_close)], close=False)) == []
    assert is_whole(exchange(request, until_close)[1])


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 502, 503, 529])
@pytest.mark.parametrize("api", APIS)
def test_an_error_status_is_a_whole_answer_that_says_nothing(api: Wire, status: int) -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "I ran the tests"}}
    for raw in (json.dumps(error).encode(), b"<html>Bad Gateway</html>", b""):
        _, answered = exchange(ask(PATHS[api], question(api)), answer(raw, status))
        assert (answered.status, answered.response, answered.complete) == (status, None, True)


@pytest.mark.parametrize("api", APIS)
def test_an_error_inside_a_stream_keeps_what_was_said_and_is_told(api: Wire) -> None:
    text: dict[Wire, bytes] = {
        "anthropic.messages": sse(
            [
                {
                    "type": "message_start",
                    "message": {"id": "msg_1", "model": "m-1", "usage": {"input_tokens": 3}},
                },
                {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
                {
                    "type": "content_block_delta",
                    "index": 0,
                    "delta": {"type": "text_delta", "text": "Let me"},
                },
                {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
            ]
        ),
        "openai.chat": sse(
            [
                {"id": "c", "model": "m-1", "choices": [{"index": 0, "delta": {"content": "Let me"}}]},
                {"error": {"type": "overloaded_error", "message": "Overloaded"}},
            ]
        ),
        "openai.responses": sse(
            [
                {
                    "type": "response.created",
                    "response": {"id": "resp_1", "model": "m-1", "status": "in_progress"},
                },
                {"type": "response.output_text.delta", "output_index": 0, "delta": "Let me"},
                {"type": "error", "code": "overloaded_error", "message": "Overloaded"},
            ]
        ),
        "gemini.generate_content": sse(
            [
                {"candidates": [{"content": {"role": "model", "parts": [{"text": "Let me"}]}}]},
                {"error": {"code": 503, "message": "Overloaded", "status": "overloaded_error"}},
            ]
        ),
        "bedrock.converse": Message("contentBlockDelta", '{"delta": {"text": "Let me"}}').encode()
        + Message("overloaded_error", '{"message": "Overloaded"}', "exception").encode(),
        "ollama.chat": b'{"message": {"content": "Let me"}, "done": false}\n{"error": "Overloaded"}\n',
        "cohere.chat": sse(
            [
                {"type": "content-start", "index": 0, "delta": {"message": {"content": {"text": "Let me"}}}},
                {"type": "message-end", "delta": {"finish_reason": "ERROR", "error": "Overloaded"}},
            ]
        ),
    }
    said: dict[Wire, str] = {"ollama.chat": "error", "cohere.chat": "ERROR"}
    _, answered = exchange(ask(PATHS[api], question(api, True)), stream(text[api], api=api))
    assert answered.response is not None
    assert (answered.response.text, answered.response.error) == ("Let me", said.get(api, "overloaded_error"))
    assert answered.complete and not answered.response.complete


# --- what is lost --------------------------------------------------------------------------------------


#: how the event begins that ends a stream, or the body where there is none
END: dict[Wire, bytes] = {
    "anthropic.messages": b"event: message_stop",
    "openai.chat": b"data: [DONE]",
    "openai.responses": b"event: response.completed",
    "gemini.generate_content": b"\r\n0\r\n",
    "bedrock.converse": b'{"usage"',
    "ollama.chat": b'"done":true',
    "cohere.chat": b"event: message-end",
}


def is_part(seen: ResponseSeen, whole: ResponseSeen) -> bool:
    """What was read of an answer that broke off is a part of it, its calls whole ones; nothing is made up."""
    part, known = seen.response, whole.response
    assert known is not None
    if part is None:
        return True
    return known.text.startswith(part.text) and set(part.tool_calls) <= set(known.tool_calls)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("api", APIS)
def test_an_answer_cut_off_anywhere_is_not_whole_and_what_is_told_of_it_is_true(
    api: Wire, streamed: bool
) -> None:
    (_, request), (_, response) = call(api, streamed, chunk=1 << 20)
    _, whole = exchange(request, response)
    end = response.rindex(END[api]) if streamed else len(response) - 8  # before the last chunk, "0"
    for cut in range(0, end, 5):
        (answered,) = of(ResponseSeen, read([("sent", request), ("received", response[:cut])]))
        assert not answered.complete
        assert is_part(answered, whole)


@pytest.mark.parametrize("chunk", [37, 1 << 20])
@pytest.mark.parametrize("api", APIS)
def test_a_loss_inside_a_stream_makes_it_incomplete_and_makes_no_call_up(api: Wire, chunk: int) -> None:
    (_, request), (_, response) = call(api, True, chunk=chunk)
    _, whole = exchange(request, response)
    end = response.rindex(b"\r\n0\r\n") if api in NO_END_MARK else len(response) - 200
    for at in range(response.index(b"\r\n\r\n") + 4, end, 11):
        for lost in (1, 50):
            rest = Cut("received", response[at + lost :], lost)
            (answered,) = of(ResponseSeen, read([Cut("sent", request), Cut("received", response[:at]), rest]))
            assert not answered.complete or is_whole(read_before(request, response[:at]))
            assert is_part(answered, whole)


def read_before(request: bytes, response: bytes) -> ResponseSeen:
    """The answer as it was when only ``response`` of it had come."""
    return exchange(request, response)[1]


def test_a_loss_is_counted_and_the_next_call_is_read() -> None:
    api: Wire = "openai.chat"
    (_, request), (_, response) = call(api, False)
    cuts = [
        Cut("sent", request),
        Cut("received", response[:-40]),
        Cut("received", response[-10:], 30),
        Cut("sent", request),
        Cut("received", response),
    ]
    first, second = of(ResponseSeen, read(cuts))
    assert (first.complete, first.response, first.gap_bytes) == (False, None, 30)
    assert is_whole(second)


def test_a_loss_at_the_end_of_a_request_is_told_before_it_is_answered() -> None:
    request = ask(PATHS["openai.chat"], question("openai.chat"))
    cuts = [Cut("sent", request[:-20]), Cut("sent", b"", 20)]
    (unread,) = read(cuts, close=False)
    assert isinstance(unread, Unreadable)
    assert (unread.cause, unread.missing) == ("request_incomplete", 20)


def test_an_answer_to_a_request_that_was_not_read_is_still_read() -> None:
    (_, request), (_, response) = call("anthropic.messages", True)
    cuts = [Cut("sent", request[:-20]), Cut("sent", b"", 20), Cut("received", response)]
    seen = read(cuts)
    assert of(RequestSeen, seen) == []
    (answered,) = of(ResponseSeen, seen)
    assert is_whole(answered)


def test_a_call_without_an_answer_is_over_with_the_connection() -> None:
    asked, answered = read([("sent", ask(PATHS["openai.chat"], question("openai.chat")))])
    assert isinstance(asked, RequestSeen) and isinstance(answered, ResponseSeen)
    assert (answered.status, answered.complete, answered.response) == (0, False, None)


@pytest.mark.parametrize("coding", CODINGS)
def test_a_damaged_coding_is_incomplete(coding: str) -> None:
    raw = CODINGS[coding](json.dumps(body("openai.chat", ANSWER, question("openai.chat"), "1")).encode())
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\nContent-Length: {len(raw)}\r\n\r\n".encode()
    damaged = raw[:9] + bytes(byte ^ 0xA5 for byte in raw[9:])
    _, answered = exchange(ask(PATHS["openai.chat"], question("openai.chat")), head + damaged)
    assert (answered.complete, answered.response) == (False, None)


# --- what an observed process may choose ---------------------------------------------------------------


@pytest.mark.parametrize("depth", [900, 1023, 1025, 100_000])
@pytest.mark.parametrize("api", APIS)
def test_deep_json_is_read_or_refused_and_never_raises(api: Wire, depth: int) -> None:
    deep = b"[" * depth + b"]" * depth
    asked = question(api)
    request = json.dumps(asked | {"extra": 0}).encode().replace(b'"extra": 0', b'"extra": ' + deep)
    whole = body(api, ANSWER, asked, "1") | {"extra": 0}
    response = json.dumps(whole).encode().replace(b'"extra": 0', b'"extra": ' + deep)
    seen = read([("sent", ask(PATHS[api], request)), ("received", answer(response))])
    for answered in of(ResponseSeen, seen):
        assert is_whole(answered) or answered.response is None


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("api", APIS)
def test_arguments_of_a_megabyte_are_told_whole(api: Wire, streamed: bool) -> None:
    huge = ToolCall("write", {"path": "a", "content": "x = [1, {}]\n" * 90_000})
    said = Answer(calls=(huge, CALLS[0]))
    if streamed:
        response = stream(streamed_answer(api, said), chunk=1 << 14, api=api)
    else:
        response = answer(body(api, said, question(api), "1"))
    _, answered = exchange(ask(PATHS[api], question(api, streamed)), response)
    assert answered.complete and answered.response is not None
    first, second = answered.response.tool_calls
    assert json.loads(first.arguments) == huge.arguments
    assert json.loads(second.arguments) == CALLS[0].arguments


@pytest.mark.parametrize("depth", [400, MAX_DEPTH - 1, MAX_DEPTH, 1010])
def test_a_call_whose_arguments_are_too_deep_is_not_told_and_the_answer_not_whole(depth: int) -> None:
    raw = json.dumps(body("anthropic.messages", ANSWER, {}, "1")).encode()
    nested = b'{"a": ' + b"[" * depth + b"]" * depth + b"}"
    parsed = anthropic.parse_response(raw.replace(json.dumps(CALLS[1].arguments).encode(), nested))
    assert parsed is not None
    known = depth + 1 <= MAX_DEPTH  # the object around it is a level
    assert (parsed.complete, len(parsed.tool_calls)) == (known, 2 if known else 1)


def test_an_endless_head_ends_the_reading() -> None:
    endless = ask(PATHS["openai.chat"], {}, "X: " + "a" * MAX_HEAD)
    (lost,) = read([("sent", endless), *call("openai.chat", False)])
    assert isinstance(lost, Unreadable) and lost.cause == "head_too_large"


def test_a_host_is_cut_and_a_traceparent_checked() -> None:
    trace = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
    raw = ask(PATHS["openai.chat"], question("openai.chat"), f"traceparent: {trace}")
    asked = of(RequestSeen, read([("sent", raw.replace(b"api.example", b"h" * 5000))]))[0]
    assert (len(asked.host), asked.traceparent) == (255, trace)
    bad = ask(PATHS["openai.chat"], question("openai.chat"), "traceparent: rm -rf /")
    assert of(RequestSeen, read([("sent", bad)]))[0].traceparent is None


@pytest.mark.parametrize(
    ("path", "told"),
    [("/v1/realtime?model=x", 1), ("/openai/realtime", 1), ("/socket", 0)],
)
def test_a_websocket_that_is_not_read_is_a_gap_where_a_model_may_be_behind_it(path: str, told: int) -> None:
    upgrade = f"GET {path} HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\r\n".encode()
    switched = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x81\x05hello"
    seen = of(Unreadable, read([("sent", upgrade), ("received", switched)]))
    assert [event.cause for event in seen] == ["upgraded"] * told


def test_other_protocols_are_a_gap_with_their_name() -> None:
    for first, cause in (
        (b"GET / HTTP/2.0\r\n\r\n", "http2"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nGET / HTTP", "bad_frame"),
        (b"\x16\x03\x01", "not_http"),
    ):
        (lost,) = of(Unreadable, read([("sent", first)]))
        assert lost.cause == cause


def test_more_calls_than_an_answer_can_have_are_not_kept() -> None:
    made = [
        {
            "choices": [
                {
                    "index": 0,
                    "delta": {"tool_calls": [{"index": n, "id": f"c{n}", "function": {"name": "x"}}]},
                }
            ]
        }
        for n in range(MAX_CALLS + 5)
    ]
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}
    request = ask(PATHS["openai.chat"], question("openai.chat", True))
    _, answered = exchange(request, stream(sse([*made, end, "[DONE]"]), chunk=4096))
    assert answered.response is not None
    assert (answered.complete, len(answered.response.tool_calls)) == (False, MAX_CALLS)


WORDS = """
id type role content text messages input output model usage choices index delta message tool_calls function custom name
arguments finish_reason tool_use_id is_error stop_reason content_block item output_index response error code status
call_id action prompt_tokens_details input_tokens previous_response_id incomplete_details contents parts functionCall
functionResponse args partialArgs jsonPath stringValue willContinue candidates finishReason usageMetadata request
toolUse toolResult toolUseId contentBlockIndex stopReason start delta bytes prompt generation tool_name done tool_plan
"""
TYPES = """
message_start content_block_start content_block_delta content_block_stop message_delta message_stop error tool_use
tool_result text function_call function_call_output shell_call_output message response.created response.completed
response.output_item.done response.output_text.delta response.failed message-start content-start content-delta
tool-call-start tool-call-delta tool-call-end message-end messageStart contentBlockStart contentBlockDelta
contentBlockStop messageStop metadata chunk
"""
#: APIs whose answer is a message inside the body
NESTED: frozenset[Wire] = frozenset({"bedrock.converse", "ollama.chat", "cohere.chat"})
_KEYS = st.sampled_from(WORDS.split())
_TYPES = st.sampled_from(TYPES.split())
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS, inner, max_size=5),
    max_leaves=20,
)


@given(
    st.sampled_from(APIS), st.lists(st.tuples(_TYPES, st.dictionaries(_KEYS, _JSON, max_size=6)), max_size=8)
)
def test_fields_that_may_be_anything_never_raise(
    api: Wire, items: list[tuple[str, dict[str, object]]]
) -> None:
    values: list[dict[str, object]] = [{**value, "type": kind} for kind, value in items]
    asked = {**question(api), HISTORY.get(api, "messages"): values}
    lists = dict.fromkeys(("content", "output", "choices", "candidates"), values)
    whole = {"type": "message", "object": "response", "done": True, **lists}
    nested = {"output": {"message": lists}, "message": lists} if api in NESTED else {}
    framed: dict[Wire, bytes] = {
        "bedrock.converse": b"".join(Message(kind, json.dumps(value)).encode() for kind, value in items),
        "ollama.chat": b"".join(json.dumps(value).encode() + b"\n" for value in values),
    }
    cuts: Stream = [
        ("sent", ask(PATHS[api], asked)),
        ("received", answer({**whole, **nested})),
        ("sent", ask(PATHS[api], asked)),
        ("received", stream(framed.get(api, sse(values)), api=api)),
    ]
    seen = read(cuts)
    assert len(of(RequestSeen, seen)) == len(of(ResponseSeen, seen)) == 2
    for answered in of(ResponseSeen, seen):
        if answered.response is not None:
            answered.response.text.encode()  # whatever was sent, it is text that encodes


_DIRECTIONS: st.SearchStrategy[Direction] = st.sampled_from(("sent", "received"))


@given(
    st.lists(
        st.builds(
            Cut,
            _DIRECTIONS,
            st.binary(max_size=60) | st.sampled_from([content for _, content in call("openai.chat", True)]),
            st.sampled_from([0, 0, 0, 5, 1 << 40]),
        ),
        max_size=12,
    )
)
def test_garbage_and_loss_in_any_order_never_raise_and_answer_a_call_once(cuts: list[Cut]) -> None:
    seen = read(cuts)
    asked = [event.index for event in of(RequestSeen, seen)]
    answered = [event.index for event in of(ResponseSeen, seen)]
    assert len(answered) == len(set(answered))
    assert set(asked) <= set(answered)
    for event in of(ResponseSeen, seen):
        assert not event.complete or event.status // 100 != 2 or is_whole(event)


def test_names_and_arguments_split_inside_a_character_pair_are_joined() -> None:
    fox = json.dumps("🦊")[1:-1]
    first, second = fox[:6], fox[6:]
    choices = [
        {"delta": {"content": "<"}},
        {"delta": {"content": ">"}},
        {"delta": {}, "finish_reason": "stop"},
    ]
    raw = sse([*({"choices": [choice | {"index": 0}]} for choice in choices), "[DONE]"])
    raw = raw.replace(b'"<"', f'"{first}"'.encode()).replace(b'">"', f'"{second}"'.encode())
    _, answered = exchange(ask(PATHS["openai.chat"], question("openai.chat", True)), stream(raw))
    assert answered.response is not None and answered.response.text == "🦊"
