"""collector/llm/call.py: what became of a call is what was seen of it, over HTTP/1.1 and HTTP/2."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import msgspec
import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection

from collector.llm.answers import MAX_IDS, MAX_UNFINISHED, Answers
from collector.llm.call import AnswerStream, digest_of
from collector.llm.exchange import LlmConnection, LlmEvent, RequestSeen, ResponseSeen, Unreadable
from polygraph.events import Api
from tests.agents.script import Answer
from tests.agents.wire import body, events
from tests.collector.llm.http import (
    ANSWER,
    PATHS,
    TEXT,
    Cut,
    Json,
    answer,
    ask,
    of,
    question,
    sse,
    stream,
)

APIS = list(PATHS)


def read(
    *parts: tuple[str, bytes] | Cut, answers: Answers | None = None, close: bool = True
) -> list[LlmEvent]:
    connection = LlmConnection(answers)
    seen: list[LlmEvent] = []
    for ts, part in enumerate(parts, 7):
        cut = part if isinstance(part, Cut) else Cut(*part)  # type: ignore[arg-type]
        seen += connection.feed(cut.direction, cut.data, ts, cut.missing)
    return seen + (connection.close(100) if close else [])


def fate(seen: list[LlmEvent]) -> tuple[str, bool]:
    (over,) = of(ResponseSeen, seen)
    return over.fate, over.complete


@cache
def streamed(api: Api) -> bytes:
    """ANSWER as an event stream, the same bytes each time."""
    asked = question(api, True) | {"stream_options": {"include_usage": True}}
    return b"".join(event.encode() for event in events(api, ANSWER, asked, "1"))


# --- HTTP/1.1 ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("status", [307, 400, 401, 408, 429, 500, 529])
def test_an_error_status_refuses(api: Api, status: int) -> None:
    refused = answer({"error": {"message": "no"}}, status)
    assert fate(read(("sent", ask(PATHS[api], question(api))), ("received", refused))) == ("refused", True)


@pytest.mark.parametrize("api", APIS)
def test_an_answer_that_is_whole_answers(api: Api) -> None:
    request = ("sent", ask(PATHS[api], question(api, True)))
    assert fate(read(request, ("received", stream(streamed(api))))) == ("answered", True)
    whole = answer(body(api, ANSWER, question(api), "1"))
    assert fate(read(("sent", ask(PATHS[api], question(api))), ("received", whole))) == ("answered", True)


def test_an_error_within_the_stream_refuses() -> None:
    api: Api = "anthropic.messages"
    told = streamed(api)[:-120].rpartition(b"event:")[0]
    told += sse([{"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}])
    seen = read(("sent", ask(PATHS[api], question(api, True))), ("received", stream(told)))
    assert fate(seen) == ("refused", True)


@pytest.mark.parametrize("api", APIS)
def test_a_stream_that_closes_before_its_end_is_interrupted_at_every_place(api: Api) -> None:
    request = ask(PATHS[api], question(api, True))
    whole = stream(streamed(api))
    head = whole.index(b"\r\n\r\n") + 4
    told = [
        fate(read(("sent", request), ("received", whole[:at])))[0] for at in range(head, len(whole) - 60, 7)
    ]
    assert set(told[5:-20]) == {"interrupted"} and set(told) <= {"interrupted", "answered"}
    assert told == sorted(told, reverse=True)  # once its end mark was there, it is answered


@pytest.mark.parametrize("api", APIS)
def test_a_stream_that_is_cut_at_any_byte_gives_the_same(api: Api) -> None:
    said = Answer(text="Naïve 🦊.")
    told = b"".join(event.encode() for event in events(api, said, question(api, True), "1"))
    parts = [("sent", ask(PATHS[api], question(api, True))), ("received", stream(told))]

    def timeless(seen: list[LlmEvent]) -> list[LlmEvent]:
        return [
            msgspec.structs.replace(event, ts=0, request_ts=0) if isinstance(event, ResponseSeen) else event
            for event in seen
        ]

    whole = timeless(read(*parts))
    assert fate(whole) == ("answered", True)
    for at in range(len(parts[1][1])):
        halves = [("received", parts[1][1][:at]), ("received", parts[1][1][at:])]
        assert timeless(read(parts[0], *halves)) == whole


@pytest.mark.parametrize("api", APIS)
def test_a_stream_that_its_server_ends_early_is_interrupted(api: Api) -> None:
    short = stream(streamed(api)[: len(streamed(api)) // 2])
    assert fate(read(("sent", ask(PATHS[api], question(api, True))), ("received", short))) == (
        "interrupted",
        False,
    )


def test_a_body_that_closes_within_its_length_is_interrupted() -> None:
    api: Api = "openai.chat"
    whole = answer(body(api, ANSWER, question(api), "1"))
    assert fate(read(("sent", ask(PATHS[api], question(api))), ("received", whole[:-5]))) == (
        "interrupted",
        False,
    )


@pytest.mark.parametrize("given", [b"", b"HTTP/1.1 200 OK\r\nContent-"])
def test_a_call_of_whose_answer_nothing_was_seen_is_unanswered(given: bytes) -> None:
    request = ask(PATHS["openai.chat"], question("openai.chat"))
    assert fate(read(("sent", request), ("received", given))) == ("unanswered", False)


@pytest.mark.parametrize("api", APIS)
def test_what_we_did_not_see_is_not_said_to_have_broken_off(api: Api) -> None:
    whole = stream(streamed(api))
    middle = len(whole) // 2
    lossy = [Cut("received", whole[:middle]), Cut("received", whole[middle + 9 :], 9)]
    seen = read(("sent", ask(PATHS[api], question(api, True))), *lossy)
    assert fate(seen) == ("answered", False)


# --- HTTP/2 ------------------------------------------------------------------------------------------------


class H2Talk:
    """A client and a server as h2 writes them."""

    def __init__(self) -> None:
        self.client = H2Connection(H2Configuration(client_side=True))
        self.server = H2Connection(H2Configuration(client_side=False))
        self.cuts: list[tuple[str, bytes]] = []
        self.client.initiate_connection()
        self.server.initiate_connection()
        self.passes()

    def passes(self) -> None:
        """What the ends have to send goes over."""
        for _ in range(3):
            for way, source, target in (
                ("sent", self.client, self.server),
                ("received", self.server, self.client),
            ):
                data = source.data_to_send()
                if data:
                    self.cuts.append((way, data))
                    target.receive_data(data)

    def asks(self, number: int, asked: Json) -> None:
        head = [
            (":method", "POST"),
            (":scheme", "https"),
            (":authority", "api.example"),
            (":path", PATHS["openai.chat"]),
        ]
        self.client.send_headers(number, [*head, ("content-type", "application/json")])
        self.client.send_data(number, json.dumps(asked).encode(), end_stream=True)
        self.passes()

    def answers(self, number: int, told: bytes, end: bool) -> None:
        self.server.send_headers(number, [(":status", "200"), ("content-type", "text/event-stream")])
        self.server.send_data(number, told, end_stream=end)
        self.passes()


@pytest.mark.parametrize(
    ("by_client", "begun", "expected"),
    [
        (True, True, ("cancelled", False)),
        (True, False, ("cancelled", False)),
        (False, True, ("interrupted", False)),
        (False, False, ("unanswered", False)),
    ],
)
def test_who_resets_a_stream_tells_what_became_of_its_call(
    by_client: bool, begun: bool, expected: tuple[str, bool]
) -> None:
    talk = H2Talk()
    talk.asks(1, question("openai.chat", True))
    if begun:
        talk.answers(1, streamed("openai.chat")[:300], end=False)
    (talk.client if by_client else talk.server).reset_stream(1)
    talk.passes()
    talk.asks(3, question("openai.chat", True))
    talk.answers(3, streamed("openai.chat"), end=True)
    seen = of(ResponseSeen, read(*talk.cuts))
    assert [(event.fate, event.complete) for event in seen] == [expected, ("answered", True)]
    assert {event.transport for event in seen} == {"h2"}


# --- answers that are fetched ------------------------------------------------------------------------------


RESPONSES: Api = "openai.responses"


@cache
def numbered() -> tuple[tuple[bytes, ...], str]:
    """The events of ANSWER with their numbers, and its id."""
    told = [json.loads(event.data) for event in events(RESPONSES, ANSWER, question(RESPONSES, True), "1")]
    raw = tuple(sse([{**event, "sequence_number": number}]) for number, event in enumerate(told))
    return raw, told[0]["response"]["id"]


def get(target: str) -> tuple[str, bytes]:
    return "sent", f"GET {target} HTTP/1.1\r\nHost: api.example\r\n\r\n".encode()


def first_part(upto: int) -> list[tuple[str, bytes]]:
    """A background call that is streamed and breaks off after ``upto`` events."""
    raw, _ = numbered()
    asked = question(RESPONSES, True) | {"background": True}
    return [("sent", ask(PATHS[RESPONSES], asked)), ("received", stream(b"".join(raw[:upto]))[:-5])]


@pytest.mark.parametrize("upto", [1, 2, 5, len(numbered()[0]) - 1])
@pytest.mark.parametrize("overlap", [0, 1, 3])
def test_an_answer_that_is_fetched_from_where_it_broke_off_is_whole(upto: int, overlap: int) -> None:
    raw, ident = numbered()
    begin = max(0, upto - overlap)
    after = f"&starting_after={begin - 1}" if begin else ""
    answers = Answers()
    first = read(*first_part(upto), answers=answers)
    rest = ("received", stream(b"".join(raw[begin:])))
    second = read(get(f"/v1/responses/{ident}?stream=true{after}"), rest, answers=answers)
    assert fate(first) == ("interrupted", False)
    assert of(RequestSeen, second) == [] and fate(second) == ("answered", True)
    (over,) = of(ResponseSeen, second)
    assert over.resumes == ident and over.response is not None and over.response.text == TEXT
    assert len(over.response.tool_calls) == len(ANSWER.calls)


def test_a_hole_between_the_parts_makes_the_answer_incomplete() -> None:
    raw, ident = numbered()
    answers = Answers()
    read(*first_part(3), answers=answers)
    skipped = ("received", stream(b"".join(raw[5:])))
    second = read(get(f"/v1/responses/{ident}?stream=true&starting_after=4"), skipped, answers=answers)
    assert fate(second)[1] is False


def test_it_may_break_off_again() -> None:
    raw, ident = numbered()
    answers = Answers()
    read(*first_part(3), answers=answers)
    again = ("received", stream(b"".join(raw[3:5]))[:-5])
    assert fate(read(get(f"/v1/responses/{ident}?stream=true&starting_after=2"), again, answers=answers)) == (
        "interrupted",
        False,
    )
    rest = ("received", stream(b"".join(raw[5:])))
    last = read(get(f"/v1/responses/{ident}?stream=true&starting_after=4"), rest, answers=answers)
    assert fate(last) == ("answered", True)


def state(status: str, **fields: Any) -> bytes:
    return answer(
        {"id": "resp_b", "object": "response", "status": status, "model": "m-1", "output": [], **fields}
    )


def test_an_answer_that_is_made_in_the_background_is_polled_for() -> None:
    said = body(RESPONSES, ANSWER, question(RESPONSES), "1") | {"id": "resp_b"}
    answers = Answers()
    seen = read(
        ("sent", ask(PATHS[RESPONSES], question(RESPONSES) | {"background": True})),
        ("received", state("queued")),
        get("/v1/responses/resp_b"),
        ("received", state("in_progress")),
        get("/v1/responses/resp_b"),
        ("received", answer({"error": "slow down"}, 429)),
        get("/v1/responses/resp_b"),
        ("received", answer(said)),
        get("/v1/responses/resp_b"),
        ("received", answer(said)),
        answers=answers,
    )
    accepted, over = of(ResponseSeen, seen)
    assert (accepted.fate, accepted.complete, accepted.resumes) == ("unanswered", True, None)
    assert (over.fate, over.complete, over.resumes) == ("answered", True, "resp_b")
    assert over.response is not None and over.response.text == TEXT and of(Unreadable, seen) == []


def test_an_answer_that_is_made_in_the_background_may_be_cancelled() -> None:
    seen = read(
        ("sent", ask(PATHS[RESPONSES], question(RESPONSES) | {"background": True})),
        ("received", state("queued")),
        ("sent", b"POST /v1/responses/resp_b/cancel HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"),
        ("received", state("cancelled")),
    )
    assert [(event.fate, event.complete, event.resumes) for event in of(ResponseSeen, seen)] == [
        ("unanswered", True, None),
        ("cancelled", True, "resp_b"),
    ]


def test_a_stream_that_ends_after_it_was_cancelled_on_another_connection_is_cancelled() -> None:
    _, ident = numbered()
    answers = Answers()
    asked, begun = first_part(4)
    streaming = LlmConnection(answers)
    streaming.feed("sent", asked[1], 1)
    streaming.feed("received", begun[1], 2)
    cancel = f"POST /v1/responses/{ident}/cancel HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n".encode()
    assert read(("sent", cancel), answers=answers) == []
    assert fate(streaming.close(9)) == ("cancelled", False)


def test_an_answer_of_before_the_session_that_is_fetched_is_told_and_not_read() -> None:
    seen = read(
        get("/v1/responses/resp_old"), ("received", answer(body(RESPONSES, ANSWER, question(RESPONSES), "1")))
    )
    assert [type(event) for event in seen] == [Unreadable]


@pytest.mark.parametrize(
    "path", ["/v1/responses/resp_b/input_items", "/v1/responses/a/b", "/survey/responses/17"]
)
def test_what_is_fetched_by_others_is_no_call(path: str) -> None:
    assert read(get(path), ("received", answer({"data": []}))) == []


# --- what is remembered ------------------------------------------------------------------------------------


def test_tries_differ_in_their_metadata_only() -> None:
    def digest(**fields: Any) -> bytes:
        return digest_of(RESPONSES, "h", json.dumps({"input": "x", **fields}).encode())

    one = digest(client_metadata={"at": 1})
    assert one == digest(client_metadata={"at": 2}) != digest(client_metadata={"at": 2}, model="m")
    assert digest_of(RESPONSES, "h", b"{}") != digest_of(RESPONSES, "g", b"{}")
    assert digest_of(RESPONSES, "h", b"{}") != digest_of("openai.chat", "h", b"{}")


def test_what_is_remembered_of_answers_is_bounded() -> None:
    answers = Answers()
    for number in range(MAX_IDS + 10):
        answers.told(str(number))
    assert "9" not in answers and str(MAX_IDS) in answers
    answers.told("x" * 1000)
    assert "x" * 1000 not in answers
    for number in range(20, 20 + MAX_UNFINISHED + 5):
        answers.leave(str(number), None)
    assert not answers.unfinished("24") and answers.unfinished("25")


def test_unfinished_answers_are_bounded_by_their_size() -> None:
    answers = Answers()
    streams = [AnswerStream(RESPONSES) for _ in range(8)]
    for number, begun in enumerate(streams):
        begun.size = 10 << 20
        answers.told(str(number))
        answers.leave(str(number), begun)
    assert [answers.unfinished(str(number)) for number in range(8)] == [False] * 5 + [True] * 3
    assert answers.take("7") is streams[7] and answers.take("7") is None
