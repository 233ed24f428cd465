"""Calls over HTTP/2, many at once on one connection, are read as over HTTP/1.1; what is not seen is told."""

from __future__ import annotations

import json
from functools import cache

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.llm.exchange import LlmConnection, LlmEvent, RequestSeen, ResponseSeen, Unreadable
from polygraph.events import Api
from tests.agents.wire import body
from tests.collector.http.h2_peers import Said, Talk, Write, cut
from tests.collector.llm.http import (
    ANSWER,
    CODINGS,
    NO_END_MARK,
    PATHS,
    answer,
    ask,
    exchange,
    of,
    question,
    read,
    stream,
    streamed_answer,
)

APIS = list(PATHS)
EVENTS = ("content-type", "text/event-stream; charset=utf-8")
JSON = ("content-type", "application/json")
AGENT = [JSON, ("authorization", "Bearer sk-1"), ("user-agent", "agent/1.0")]


@cache  # answers hold the time: one that is made twice is not the same
def answered(api: Api, streamed: bool) -> bytes:
    if streamed:
        return streamed_answer(api)
    return json.dumps(body(api, ANSWER, question(api), "1")).encode()


def call(api: Api, streamed: bool, coding: str = "", piece: int = 37) -> Said:
    """A call and its answer as an exchange of HTTP/2."""
    raw = answered(api, streamed)
    headers = [EVENTS if streamed else JSON]
    if coding:
        raw = CODINGS[coding](raw)
        headers.append(("content-encoding", coding))
    return Said(
        path=PATHS[api],
        headers=AGENT,
        body=json.dumps(question(api, streamed)).encode(),
        answer_headers=headers,
        answer=raw,
        piece=piece,
    )


def over_http1(api: Api, streamed: bool) -> tuple[RequestSeen, ResponseSeen]:
    """The same over HTTP/1.1, but for that."""
    raw = answered(api, streamed)
    request = ask(PATHS[api], question(api, streamed))
    asked, reply = exchange(request, stream(raw) if streamed else answer(raw))
    return asked, msgspec.structs.replace(reply, transport="h2")


def seen_of(writes: list[Write], close: bool = True) -> list[LlmEvent]:
    return read([tuple(write) for write in writes], close)  # type: ignore[misc]


def same(seen: RequestSeen | ResponseSeen, as_read: RequestSeen | ResponseSeen) -> bool:
    """But for its number on the connection."""
    return msgspec.structs.replace(seen, index=as_read.index) == as_read


@pytest.mark.parametrize("coding", ["", *CODINGS])
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("api", APIS)
def test_a_call_is_read_as_over_http1(api: Api, streamed: bool, coding: str) -> None:
    talk = Talk().say(call(api, streamed, coding))
    for writes in (talk.writes, cut(talk.writes, 1)):
        asked, reply = seen_of(writes)
        known_request, known_reply = over_http1(api, streamed)
        assert asked == known_request
        assert reply == known_reply


@given(st.data())
def test_calls_at_once_on_one_connection_are_read_as_over_http1(data: st.DataObject) -> None:
    talk = Talk()
    kinds = data.draw(st.lists(st.tuples(st.sampled_from(APIS), st.booleans()), min_size=2, max_size=5))
    ready = {talk.open(call(*kind, piece=400)): call(*kind, piece=400).steps() for kind in kinds}
    for choice in data.draw(st.lists(st.integers(0, 4))) + [0] * 1000:
        if not ready:
            break
        index = sorted(ready)[choice % len(ready)]
        talk.step(index, ready[index].pop(0))
        if not ready[index]:
            del ready[index]
    seen = seen_of(talk.writes)
    order = sorted(range(len(kinds)), key=lambda index: talk.streams[index][0])
    asked = sorted(of(RequestSeen, seen), key=lambda event: event.index)
    replies = sorted(of(ResponseSeen, seen), key=lambda event: event.index)
    assert len(asked) == len(replies) == len(kinds) and not of(Unreadable, seen)
    for place, index in enumerate(order):
        known_request, known_reply = over_http1(*kinds[index])
        assert asked[place].index == replies[place].index == place
        assert same(asked[place], known_request) and same(replies[place], known_reply)


def test_a_hundred_calls_at_once_and_one_that_is_none() -> None:
    talk = Talk()
    other = Said(method="GET", path="/v1/models", body=b"", answer=b"{}")
    calls = [talk.open(call(APIS[n % 3], True, piece=900)) for n in range(99)]
    none = talk.open(other)
    steps = {index: talk.streams[index][1].steps() for index in [*calls, none]}
    while any(steps.values()):
        for index, left in steps.items():
            if left:
                talk.step(index, left.pop(0))
    seen = seen_of(talk.writes)
    replies = of(ResponseSeen, seen)
    assert len(replies) == 99 and not of(Unreadable, seen)
    for reply in replies:
        _, known = over_http1(APIS[reply.index % 3], True)
        assert same(reply, known)


@pytest.mark.parametrize("api", [api for api in APIS if api not in NO_END_MARK])
def test_a_streamed_answer_is_over_at_its_end_mark(api: Api) -> None:
    talk = Talk()
    index = talk.open(call(api, True))
    for step in talk.streams[index][1].steps()[:-1]:  # the stream's own end is to come
        talk.step(index, step)
    (reply,) = of(ResponseSeen, seen_of(talk.writes, close=False))
    assert reply == over_http1(api, True)[1]


@pytest.mark.parametrize("api", APIS)
def test_a_call_that_is_cancelled_is_over_and_incomplete(api: Api) -> None:
    talk = Talk()
    index = talk.open(call(api, True))
    for step in talk.streams[index][1].steps()[:-8]:
        talk.step(index, step)
    talk.client.reset_stream(talk.streams[index][0], 8)
    talk.flush()
    talk.say(call(api, True))
    cancelled, whole = of(ResponseSeen, seen_of(talk.writes, close=False))
    assert (cancelled.status, cancelled.complete, cancelled.fate) == (200, False, "cancelled")
    assert same(whole, over_http1(api, True)[1])


def test_a_call_that_is_reset_before_its_answer_has_none() -> None:
    talk = Talk()
    index = talk.open(call("openai.chat", True))
    for step in ("ask", *["body"] * 2):
        talk.step(index, step)
    talk.server.reset_stream(talk.streams[index][0], 7)
    talk.flush()
    unread, reply = seen_of(talk.writes, close=False)
    assert isinstance(unread, Unreadable) and unread.cause == "request_incomplete"
    assert isinstance(reply, ResponseSeen) and (reply.status, reply.complete) == (0, False)


@pytest.mark.parametrize("api", APIS)
def test_joined_between_two_calls_the_next_is_read_and_only_known_fields_of_it(api: Api) -> None:
    talk = Talk().say(call(api, True))
    late = len(talk.writes)
    talk.say(call(api, True), call(api, False))
    seen = seen_of(talk.writes[late:])
    replies = of(ResponseSeen, seen)
    # The path, and that it is a POST, may stand in the table of before: then it is told that something was
    # asked.
    known = of(RequestSeen, seen)
    assert len(known) + len(of(Unreadable, seen)) == 2
    for reply in replies:
        assert reply.complete and reply.response is not None
    for asked in known:
        assert asked.api == api


def test_a_path_of_before_is_told_as_a_call_that_may_have_been() -> None:
    talk = Talk().say(call("openai.chat", True))
    late = len(talk.writes)
    talk.say(call("openai.chat", True))  # h2 names the path by the entry that the first call made
    (unread,) = seen_of(talk.writes[late:])
    assert isinstance(unread, Unreadable) and unread.cause == "request_incomplete"


def test_joined_within_an_answer_it_is_told() -> None:
    talk = Talk().say(call("anthropic.messages", True))
    for late in range(5, len(talk.writes) - 1):
        connection = LlmConnection()
        seen = [event for write in talk.writes[late:] for event in connection.feed(*write, 7)]
        assert of(Unreadable, seen), late
        assert not of(ResponseSeen, seen)
