"""collector/llm/responses_socket.py: the Responses API over a WebSocket, its bytes written by two real ends."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, CloseConnection, Event, Request, TextMessage
from wsproto.extensions import Extension, PerMessageDeflate

from collector.http.events import Direction
from collector.llm import responses_socket
from collector.llm.answers import Answers
from collector.llm.exchange import LlmConnection, LlmEvent, RequestSeen, ResponseSeen, Unreadable
from tests.agents.script import Answer
from tests.agents.wire import events
from tests.collector.llm.http import ANSWER, CALLS, TEXT, Cut, Json, of

TRACE = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
OTHER = "00-" + "c" * 32 + "-" + "d" * 16 + "-01"


class Socket:
    """A client and a server on one connection; ``cuts`` is all that they said to each other."""

    def __init__(
        self, path: str = "/v1/responses", compressed: bool = True, keeps_context: bool = True, **headers: str
    ) -> None:
        self.client = WSConnection(ConnectionType.CLIENT)
        self.server = WSConnection(ConnectionType.SERVER)
        self._offer: list[Extension] = []
        self._accept: list[Extension] = []
        if compressed:
            self._offer = [PerMessageDeflate()]
            self._accept = [
                PerMessageDeflate(
                    client_no_context_takeover=not keeps_context, server_no_context_takeover=not keeps_context
                )
            ]
        self.cuts: list[Cut] = []
        self.turn = 0
        self.asks(
            Request(
                host="api.example",
                target=path,
                extensions=self._offer,
                extra_headers=[(name.encode(), value.encode()) for name, value in headers.items()],
            )
        )
        self.tells(AcceptConnection(extensions=self._accept))

    def asks(self, event: Event | Json) -> None:
        """The client sends a frame."""
        data = self.client.send(_frame(event))
        self.cuts.append(Cut("sent", data))
        self.server.receive_data(data)
        list(self.server.events())

    def tells(self, event: Event | Json) -> None:
        """The server sends a frame."""
        data = self.server.send(_frame(event))
        self.cuts.append(Cut("received", data))
        self.client.receive_data(data)
        list(self.client.events())

    def create(self, **fields: Any) -> None:
        """A request."""
        self.asks({"type": "response.create", "model": "m-1", "input": "Run the tests.", **fields})

    def answer(self, said: Answer = ANSWER, lane: str | None = None, events_of: slice = slice(None)) -> str:
        """The server's events of an answer, those of ``events_of``: the answer's id."""
        self.turn += 1
        told = [
            json.loads(event.data)
            for event in events("openai.responses", said, {"model": "m-1"}, str(self.turn))
        ]
        for event in told[events_of]:
            self.tells(event if lane is None else {**event, "stream_id": lane})
        ident: str = told[0]["response"]["id"]
        return ident

    def seen(self, close: bool = True) -> list[LlmEvent]:
        """What is read of it."""
        return read(self.cuts, close)


def _frame(event: Event | Json) -> Event:
    return TextMessage(data=json.dumps(event)) if isinstance(event, dict) else event


def read(cuts: Iterable[Cut], close: bool = True, answers: Answers | None = None) -> list[LlmEvent]:
    connection = LlmConnection(answers)
    seen: list[LlmEvent] = []
    for ts, cut in enumerate(cuts, 7):
        seen += connection.feed(cut.direction, cut.data, ts, cut.missing)
    return seen + (connection.close(10_000) if close else [])


def timeless(seen: Iterable[LlmEvent]) -> list[dict[str, Any]]:
    """The events without their times, which depend on the cuts."""
    return [
        {
            name: getattr(event, name)
            for name in event.__struct_fields__
            if name not in ("ts", "request_ts", "first_ts")
        }
        for event in seen
    ]


def fates(seen: Iterable[LlmEvent]) -> list[tuple[str, bool]]:
    return [(event.fate, event.complete) for event in of(ResponseSeen, seen)]


# --- calls -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/v1/responses", "/v1/responses?model=m-1", "/backend-api/codex/responses"])
@pytest.mark.parametrize("compressed", [False, True])
def test_a_call_is_read_whole(path: str, compressed: bool) -> None:
    socket = Socket(path, compressed)
    socket.create()
    socket.answer()
    asked, answered = socket.seen()
    assert isinstance(asked, RequestSeen) and isinstance(answered, ResponseSeen)
    assert (asked.api, asked.host, asked.request.model) == ("openai.responses", "api.example", "m-1")
    assert asked.request.user_text == "Run the tests." and not asked.prewarm
    assert asked.index == answered.index and asked.request_bytes == answered.request_bytes > 0
    assert (answered.transport, answered.fate, answered.status) == ("websocket", "answered", 200)
    assert answered.complete and answered.streamed and answered.response is not None
    assert answered.response.text == TEXT
    assert [json.loads(made.arguments) for made in answered.response.tool_calls] == [
        made.arguments for made in CALLS
    ]
    assert (answered.response.usage.input, answered.response.usage.output) == (100, 20)
    assert answered.ts == 7 + len(socket.cuts) - 1  # its end mark, not the connection's end


def test_calls_follow_one_another_and_their_chain_is_known() -> None:
    socket = Socket()
    socket.create(previous_response_id="resp_of_yesterday")
    first = socket.answer()
    socket.create(previous_response_id=first, input=[])
    second = socket.answer(Answer(text="Two."))
    socket.create(previous_response_id=second, input=[])
    socket.answer(Answer(text="Three."))
    seen = socket.seen()
    assert [event.follows for event in of(RequestSeen, seen)] == [False, True, True]
    texts = [event.response.text for event in of(ResponseSeen, seen) if event.response is not None]
    assert texts == [TEXT, "Two.", "Three."]
    assert len({event.index for event in of(ResponseSeen, seen)}) == 3


def test_a_chain_goes_on_on_another_connection() -> None:
    first, second = Socket(), Socket()
    first.create()
    ident = first.answer()
    second.create(previous_response_id=ident)
    answers = Answers()
    read(first.cuts, answers=answers)
    assert [event.follows for event in of(RequestSeen, read(second.cuts, answers=answers))] == [True]


def test_a_prewarm_is_no_call_and_what_it_carries_is_read() -> None:
    socket = Socket()
    result = {"type": "function_call_output", "call_id": "call_1", "output": "3 passed"}
    socket.create(generate=False, input=[result])
    warm = {"id": "resp_warm", "object": "response", "status": "completed", "output": []}
    socket.tells({"type": "response.created", "response": warm})
    socket.tells({"type": "response.completed", "response": warm})
    socket.create(previous_response_id="resp_warm", input=[])
    socket.answer()
    seen = socket.seen()
    warmed, asked = of(RequestSeen, seen)
    assert (warmed.prewarm, asked.prewarm, asked.follows) == (True, False, True)
    assert [item.call_id for item in warmed.request.tool_results] == ["call_1"]
    assert [event.index for event in of(ResponseSeen, seen)] == [asked.index]


def test_a_prewarm_that_says_something_is_a_call_after_all() -> None:
    socket = Socket()
    socket.create(generate=False)
    socket.answer()
    assert fates(socket.seen()) == [("answered", True)]


def test_a_prewarm_without_any_input_is_none_either() -> None:
    socket = Socket()
    socket.asks({"type": "response.create", "model": "m-1", "generate": False})
    (asked,) = socket.seen()
    assert isinstance(asked, RequestSeen) and asked.prewarm and asked.request.model == "m-1"


def test_lanes_are_told_apart() -> None:
    socket = Socket()
    socket.create(stream_id="a")
    socket.create(stream_id="b")
    one, two = (
        [
            json.loads(event.data)
            for event in events("openai.responses", Answer(text=text), {"model": "m"}, text)
        ]
        for text in ("In a.", "In b.")
    )
    for left, right in zip(one, two, strict=True):
        socket.tells({**left, "stream_id": "a"})
        socket.tells({**right, "stream_id": "b"})
    seen = of(ResponseSeen, socket.seen())
    assert [event.response.text for event in seen if event.response is not None] == ["In a.", "In b."]
    assert [event.index for event in seen] == [event.index for event in of(RequestSeen, socket.seen())]


def test_what_is_steered_is_followed_by_an_answer_that_nobody_asked_for() -> None:
    socket = Socket()
    socket.create()
    ident = socket.answer(Answer(text="First."))
    socket.asks({"type": "response.steer", "previous_response_id": ident, "input": "Also this."})
    socket.answer(Answer(text="And this."))
    seen = of(ResponseSeen, socket.seen())
    assert [event.response.text for event in seen if event.response is not None] == ["First.", "And this."]


def test_an_answer_to_what_was_not_seen_is_told() -> None:
    socket = Socket()
    socket.answer()
    (unread,) = socket.seen()
    assert isinstance(unread, Unreadable) and unread.cause == "request_unseen"


def test_the_trace_is_the_frames_or_the_upgrades() -> None:
    socket = Socket(traceparent=TRACE)
    socket.create()
    socket.create(client_metadata={"ws_request_header_traceparent": OTHER})
    socket.create(client_metadata={"traceparent": "rm -rf /"})
    assert [event.traceparent for event in of(RequestSeen, socket.seen())] == [TRACE, OTHER, TRACE]


# --- fates -------------------------------------------------------------------------------------------------


def error(code: str, **fields: Any) -> Json:
    return {
        "type": "error",
        "error": {"type": "invalid_request_error", "code": code, "message": "no"},
        **fields,
    }


@pytest.mark.parametrize(("fields", "status"), [({"status": 429}, 429), ({}, 200), ({"status": "x"}, 200)])
def test_an_error_refuses_a_call(fields: Json, status: int) -> None:
    socket = Socket()
    socket.create()
    socket.tells(error("rate_limit_exceeded", **fields))
    (refused,) = of(ResponseSeen, socket.seen())
    assert (refused.fate, refused.status, refused.complete) == ("refused", status, True)
    assert refused.response is not None and refused.response.error == "rate_limit_exceeded"


def test_an_error_beside_an_answer_is_of_the_request_that_came_too_early() -> None:
    socket = Socket()
    socket.create()
    socket.create(input="Now, too.")
    socket.answer(events_of=slice(0, 4))
    socket.tells(error("response_already_in_flight", status=400))
    socket.turn -= 1
    socket.answer(events_of=slice(4, None))
    seen = socket.seen()
    first, second = of(RequestSeen, seen)
    refused, answered = of(ResponseSeen, seen)
    assert (refused.index, refused.fate) == (second.index, "refused")
    assert (answered.index, answered.fate) == (first.index, "answered")
    assert answered.response is not None and answered.response.text == TEXT


@pytest.mark.parametrize("events_of", [slice(0, 0), slice(0, 4)])
def test_a_socket_that_closes_leaves_its_calls_unanswered_or_interrupted(events_of: slice) -> None:
    socket = Socket()
    socket.create()
    socket.answer(events_of=events_of)
    assert fates(socket.seen()) == [("interrupted" if events_of.stop else "unanswered", False)]


@pytest.mark.parametrize(("client", "fate"), [(True, "cancelled"), (False, "interrupted")])
def test_who_closes_first_tells_whether_it_was_cancelled(client: bool, fate: str) -> None:
    socket = Socket()
    socket.create()
    socket.answer(events_of=slice(0, 4))
    closing, reply = (socket.asks, socket.tells) if client else (socket.tells, socket.asks)
    closing(CloseConnection(code=1000))
    reply(CloseConnection(code=1000))
    seen = of(ResponseSeen, socket.seen())
    assert [(event.fate, event.complete) for event in seen] == [(fate, False)]
    assert seen[0].ts == 7 + len(socket.cuts) - 2  # when it was said, not when it was confirmed


@pytest.mark.parametrize("ident", ["", "resp_1", "resp_other"])
def test_an_answer_may_be_cancelled(ident: str) -> None:
    socket = Socket()
    socket.create()
    told = socket.answer(events_of=slice(0, 4))
    socket.asks(
        {"type": "response.cancel"} | ({"response_id": told if ident == "resp_1" else ident} if ident else {})
    )
    response = {"id": told, "object": "response", "status": "cancelled", "output": []}
    if ident != "resp_other":
        socket.tells({"type": "response.incomplete", "response": response})
    expected = "interrupted" if ident == "resp_other" else "cancelled"
    assert fates(socket.seen()) == [(expected, False)]


def test_a_cancellation_that_came_too_late_changes_nothing() -> None:
    socket = Socket()
    socket.create()
    socket.asks({"type": "response.cancel"})
    socket.answer()
    assert fates(socket.seen()) == [("answered", True)]


# --- loss --------------------------------------------------------------------------------------------------


def damaged(cuts: list[Cut], number: int) -> list[Cut]:
    """The cuts, a byte of cut ``number``'s payload missing."""
    cut = cuts[number]
    lossy = [Cut(cut.direction, cut.data[:-3]), Cut(cut.direction, cut.data[-2:], 1)]
    return [*cuts[:number], *lossy, *cuts[number + 1 :]]


def test_a_lost_event_makes_its_answer_incomplete_and_no_other() -> None:
    socket = Socket(keeps_context=False)
    socket.create()
    socket.answer()
    last = len(socket.cuts)
    socket.create()
    socket.answer()
    seen = read(damaged(socket.cuts, last - 3))
    assert fates(seen) == [("answered", False), ("answered", True)]
    assert of(ResponseSeen, seen)[0].gap_bytes == 1
    assert [(event.cause, event.missing) for event in of(Unreadable, seen)] == [("gap", 1)]


def test_with_a_context_that_is_kept_every_later_answer_is_unknown_and_requests_are_read() -> None:
    socket = Socket()
    for _ in range(3):
        socket.create()
        socket.answer()
    seen = read(damaged(socket.cuts, 5))
    asked, answered = of(RequestSeen, seen), of(ResponseSeen, seen)
    assert [event.index for event in answered] == [event.index for event in asked] and len(asked) == 3
    assert [(event.complete, event.response) for event in answered[1:]] == [(False, None)] * 2
    assert not answered[0].complete
    # Each is over, at the latest, when the next one is asked: a verdict that falls between them knows.
    assert [event.ts for event in answered[:2]] == [event.ts for event in asked[1:]]


def test_a_lost_request_is_told_and_its_answer_is_too() -> None:
    socket = Socket(compressed=False)
    socket.create()
    socket.answer()
    socket.create()
    socket.answer()
    sent = [number for number, cut in enumerate(socket.cuts) if cut.direction == "sent"]
    seen = read(damaged(socket.cuts, sent[2]))
    assert [event.cause for event in of(Unreadable, seen)] == ["gap", "request_unseen"]
    assert fates(seen) == [("answered", True)]


# --- the same in any cut, and bounds -----------------------------------------------------------------------


def conversation() -> list[Cut]:
    socket = Socket()
    socket.create(generate=False)
    warm = {"id": "resp_w", "object": "response", "status": "completed", "output": []}
    socket.tells({"type": "response.completed", "response": warm})
    socket.create(previous_response_id="resp_w")
    ident = socket.answer()
    socket.create(previous_response_id=ident)
    socket.tells(error("rate_limit_exceeded", status=429))
    socket.create(previous_response_id=ident)
    socket.answer(events_of=slice(0, 5))
    socket.asks(CloseConnection(code=1000))
    socket.tells(CloseConnection(code=1000))
    return socket.cuts


CONVERSATION = conversation()


def test_the_conversation_has_every_kind_of_end() -> None:
    assert fates(read(CONVERSATION)) == [("answered", True), ("refused", True), ("cancelled", False)]


def test_every_cut_gives_the_same() -> None:
    whole = timeless(read(CONVERSATION))
    for number, cut in enumerate(CONVERSATION):
        for at in range(len(cut.data)):
            halves = [Cut(cut.direction, cut.data[:at]), Cut(cut.direction, cut.data[at:])]
            assert timeless(read([*CONVERSATION[:number], *halves, *CONVERSATION[number + 1 :]])) == whole


def test_one_byte_at_a_time_gives_the_same() -> None:
    single = [
        Cut(cut.direction, cut.data[at : at + 1]) for cut in CONVERSATION for at in range(len(cut.data))
    ]
    assert timeless(read(single)) == timeless(read(CONVERSATION))


@given(st.data())
def test_any_number_of_cuts_gives_the_same(data: st.DataObject) -> None:
    cut_up: list[Cut] = []
    for cut in CONVERSATION:
        places = sorted(data.draw(st.lists(st.integers(0, len(cut.data)), max_size=3)))
        for begin, end in zip([0, *places], [*places, len(cut.data)], strict=True):
            cut_up.append(Cut(cut.direction, cut.data[begin:end]))
    assert timeless(read(cut_up)) == timeless(read(CONVERSATION))


KEYS = """
type response id output item output_index error code status stream_id generate input sequence_number delta model
previous_response_id client_metadata response_id
"""
TYPES = """
response.create response.cancel response.steer response.created response.completed response.failed error
response.output_item.done response.output_text.delta response.incomplete
"""
_KEYS = st.sampled_from(KEYS.split())
_TYPES = st.sampled_from(TYPES.split())
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS, inner, max_size=5),
    max_leaves=12,
)
_WAYS: st.SearchStrategy[Direction] = st.sampled_from(("sent", "received"))


@given(
    st.lists(st.tuples(_WAYS, _TYPES, st.dictionaries(_KEYS, _JSON, max_size=5), st.booleans()), max_size=10)
)
def test_any_messages_never_raise_and_answer_each_call_once(
    messages: list[tuple[Direction, str, dict[str, object], bool]],
) -> None:
    socket = Socket(keeps_context=False)
    for way, kind, fields, hurt in messages:
        message: Json = {**fields, "type": kind}
        (socket.asks if way == "sent" else socket.tells)(message)
        if hurt and len(socket.cuts[-1].data) > 8:
            socket.cuts = damaged(socket.cuts, len(socket.cuts) - 1)
    seen = socket.seen()
    asked = [event.index for event in of(RequestSeen, seen) if not event.prewarm]
    answered = [event.index for event in of(ResponseSeen, seen)]
    assert len(answered) == len(set(answered)) and set(asked) <= set(answered)


def test_calls_that_wait_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(responses_socket, "MAX_WAITING", 3)
    socket = Socket()
    for _ in range(9):
        socket.create()
    seen = socket.seen()
    # Told once more, as lasting, since the client goes on.
    told = [(event.cause, event.lasts) for event in of(Unreadable, seen)]
    assert told == [("too_many_requests", False), ("too_many_requests", True)]
    assert len(of(RequestSeen, seen)) == len(of(ResponseSeen, seen)) == 3


def test_an_endless_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(responses_socket, "MAX_BODY", 5000)
    socket = Socket()
    socket.create()
    for _ in range(200):
        socket.tells({"type": "response.output_text.delta", "output_index": 0, "delta": "x" * 100})
    connection = LlmConnection()
    seen: list[LlmEvent] = []
    most = 0
    for cut in socket.cuts:
        seen += connection.feed(cut.direction, cut.data, 7)
        most = max(most, connection.held)
    assert [event.cause for event in of(Unreadable, seen)] == ["too_large"]
    assert fates(seen) == [("answered", False)]
    assert most < 6000 and connection.held < 1000


def test_messages_that_are_no_events_are_told() -> None:
    socket = Socket()
    socket.create()
    socket.tells(TextMessage(data="hello"))
    socket.asks(TextMessage(data="hello"))
    socket.answer()
    seen = socket.seen()
    assert [event.cause for event in of(Unreadable, seen)] == ["answer_unreadable", "request_unreadable"]
    assert fates(seen) == [("answered", False)]


def test_a_server_that_claims_to_ask_is_not_believed() -> None:
    socket = Socket()
    socket.create()
    socket.tells({"type": "response.create", "input": "Delete everything."})
    socket.answer()
    seen = socket.seen()
    assert len(of(RequestSeen, seen)) == 1
    assert [event.cause for event in of(Unreadable, seen)] == ["answer_unreadable"]


def test_a_socket_of_something_else_on_such_a_path_is_passed_over() -> None:
    socket = Socket("/survey/responses")
    socket.asks(TextMessage(data="subscribe"))
    socket.asks({"subscribe": "responses"})
    socket.tells(TextMessage(data="17 people"))
    socket.tells({"type": "update", "people": 17})
    assert socket.seen() == []


@pytest.mark.parametrize("path", ["/v1/realtime", "/socket"])
def test_other_sockets_are_not_read(path: str) -> None:
    socket = Socket(path)
    socket.create()
    socket.answer()
    seen = socket.seen()
    assert of(RequestSeen, seen) == of(ResponseSeen, seen) == []
    assert [event.cause for event in of(Unreadable, seen)] == (["upgraded"] if "realtime" in path else [])


def test_a_socket_that_is_refused_is_no_call() -> None:
    socket = Socket()
    refused = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno"
    assert read([socket.cuts[0], Cut("received", refused)]) == []
