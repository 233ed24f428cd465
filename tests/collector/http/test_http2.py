"""What the `h2` library says is read as it was said: any streams at once, cut anywhere, joined late, with losses."""

from __future__ import annotations

import gzip

from hypothesis import given
from hypothesis import strategies as st

from collector.http.connection import HttpConnection
from collector.http.events import Direction, HttpEvent, RequestDone, ResponseDone
from tests.collector.http.h2_peers import (
    Exchange,
    Said,
    Talk,
    Write,
    cut,
    exchanges,
    gaps,
    joined,
    meant,
    read,
    told,
)

EVENTS = [("content-type", "text/event-stream; charset=utf-8")]

_NAMES = st.sampled_from(["user-agent", "x-a", "x-request-id", "accept"])
_VALUES = st.sampled_from(["", "1", "python/3.11", "ünï", "v" * 90])
_PAIRS = st.lists(st.tuples(_NAMES, _VALUES), max_size=4)
_BODIES = st.binary(max_size=200)
_SAID = st.builds(
    Said,
    method=st.sampled_from(["POST", "GET", "PUT"]),
    path=st.sampled_from(["/", "/v1/messages?beta=true", "/a/" + "p" * 200]),
    headers=_PAIRS,
    body=_BODIES,
    status=st.sampled_from(["200", "404", "429", "529"]),
    answer_headers=st.one_of(_PAIRS, st.just(EVENTS)),
    answer=_BODIES,
    trailers=st.one_of(st.just([]), st.just([("grpc-status", "0")])),
    piece=st.sampled_from([1 << 14, 40, 90]),
    padding=st.sampled_from([None, None, 0, 1, 30]),
)


_TABLES = st.tuples(
    st.sampled_from(["client", "server"]), st.sampled_from([0, 60, 400, 4096, 65_536, 1 << 20])
)


@st.composite
def talks(draw: st.DrawFn) -> Talk:
    """Several streams at once, their steps in any order; the sizes of the header tables change between them."""
    talk = Talk()
    ready = {talk.open(said): said.steps() for said in draw(st.lists(_SAID, min_size=1, max_size=4))}
    choices = draw(st.lists(st.integers(0, 4) | _TABLES))
    while ready:
        choice = choices.pop(0) if choices else 0
        if isinstance(choice, tuple):
            talk.table(*choice)
            continue
        index = sorted(ready)[choice % len(ready)]
        talk.step(index, ready[index].pop(0))
        if not ready[index]:
            del ready[index]
    return talk


def in_order(talk: Talk) -> list[Exchange]:
    """What was said, in order of the streams' numbers."""
    return [meant(said) for _, said in sorted(talk.streams, key=lambda stream: stream[0])]


@given(talks())
def test_any_streams_at_once_are_read_as_they_were_said(talk: Talk) -> None:
    events = read(talk.writes)
    assert exchanges(events) == in_order(talk)
    assert not told(events)


@given(talks(), st.data())
def test_any_cuts_give_the_same(talk: Talk, data: st.DataObject) -> None:
    pieces = [
        Write(write.direction, write.data[start:end])
        for write in talk.writes
        for cuts in [sorted(data.draw(st.lists(st.integers(0, len(write.data)), max_size=3)))]
        for start, end in zip([0, *cuts], [*cuts, len(write.data)], strict=True)
    ]
    assert exchanges(read(pieces)) == exchanges(read(talk.writes))
    assert not told(read(pieces))


@given(talks())
def test_one_byte_at_a_time_gives_the_same(talk: Talk) -> None:
    assert joined(read(cut(talk.writes, 1))) == joined(read(talk.writes))


LONG = Talk().say(
    Said(headers=[("authorization", "Bearer x"), ("user-agent", "a/1")], body=b'{"q": 1}', piece=5),
    Said(
        headers=[("authorization", "Bearer x"), ("user-agent", "a/1")],
        answer_headers=EVENTS,
        answer=b"data: 1\n\n" * 9,
        piece=20,
    ),
    Said(
        path="/other",
        headers=[("user-agent", "a/1")],
        answer_headers=[("content-encoding", "gzip")],
        answer=gzip.compress(b"packed"),
        trailers=[("x-t", "1")],
        padding=9,
    ),
    Said(
        headers=[("authorization", "Bearer x"), ("user-agent", "a/2")],
        answer_headers=EVENTS,
        answer=b"data: 2\n\n",
    ),
    Said(method="GET", path="/last", headers=[("user-agent", "a/2")], body=b"", answer_headers=EVENTS),
)
WHOLE = exchanges(read(LONG.writes))


def is_true(events: list[HttpEvent]) -> bool:
    """Whatever is called complete was said so; a field may be unknown, which leaves it out."""
    asked = [event for event in events if isinstance(event, RequestDone) and event.complete]
    answered = [event for event in events if isinstance(event, ResponseDone) and event.complete]
    requests = [(said.method, said.target, said.body) for said in WHOLE]
    answers = [(said.status, said.answer) for said in WHOLE] + [(said.status, b"") for said in WHOLE]
    fields = {pair for said in WHOLE for pair in (*said.headers, *said.answer_headers)}
    messages: list[RequestDone | ResponseDone] = [*asked, *answered]
    return (
        all((event.method, event.target, event.body) in requests for event in asked)
        and all((event.status, event.body) in answers for event in answered)
        and all(pair in fields for event in messages for pair in event.headers)
        and all(said.answer in [whole.answer for whole in WHOLE] for said in exchanges(events) if said.whole)
    )


def complete(events: list[HttpEvent]) -> int:
    """Exchanges that were read whole."""
    return sum(said.whole for said in exchanges(events))


def test_the_long_talk_is_read_whole() -> None:
    assert [said._replace(answer=b"") for said in WHOLE] == [
        meant(said)._replace(answer=b"") for _, said in LONG.streams
    ]
    assert [said.answer for said in WHOLE] == [
        gzip.decompress(said.answer) if said.answer[:2] == b"\x1f\x8b" else said.answer
        for _, said in LONG.streams
    ]


def test_joined_at_any_write_what_follows_is_read_and_nothing_is_made_up() -> None:
    for at in range(1, len(LONG.writes)):
        events = read(LONG.writes[at:])
        assert is_true(events)
        later = {
            write.data[5:9]
            for write in LONG.writes[at:]
            if write.direction == "sent" and write.data[3:4] == b"\x01"
        }
        # Every request that began after it is told, whole or with what is missing.
        assert len([event for event in events if isinstance(event, RequestDone)]) == len(later), at


def test_joined_at_any_byte_nothing_is_made_up_and_it_is_told() -> None:
    sent, received = LONG.wire("sent"), LONG.wire("received")
    for at in range(1, len(sent)):
        events = read([Write("sent", sent[at:]), Write("received", received)])
        assert is_true(events) and (told(events) or complete(events) == len(WHOLE))
    for at in range(1, len(received)):
        events = read([Write("sent", sent), Write("received", received[at:])])
        assert is_true(events) and (told(events) or complete(events) == len(WHOLE))


def feed_with_loss(writes: list[Write], start: int, end: int) -> list[HttpEvent]:
    """The writes without the bytes from ``start`` to ``end`` of all, each direction's loss told."""
    connection = HttpConnection()
    events: list[HttpEvent] = []
    missing: dict[Direction, int] = {"sent": 0, "received": 0}
    at = 0
    for direction, data in writes:
        first, last = max(0, start - at), max(0, end - at)
        at += len(data)
        before, after = data[:first], data[last:]
        if len(before) == len(data):
            after = b""
        if before:
            events += connection.feed(direction, before, 7, missing[direction])
            missing[direction] = 0
        missing[direction] += len(data) - len(before) - len(after)
        if after:
            events += connection.feed(direction, after, 7, missing[direction])
            missing[direction] = 0
    for direction, lost in missing.items():
        if lost:
            events += connection.feed(direction, b"", 7, lost)
    return events + connection.close(7)


def test_a_loss_of_any_bytes_is_told_and_nothing_is_made_up() -> None:
    size = sum(len(write.data) for write in LONG.writes)
    for lost in (1, 7, 30, 200):
        for at in range(size - lost):
            events = feed_with_loss(LONG.writes, at, at + lost)
            assert is_true(events), (at, lost)
            assert told(events) or complete(events) == len(WHOLE), (at, lost)


@given(talks(), st.data())
def test_any_loss_in_any_talk_is_survived(talk: Talk, data: st.DataObject) -> None:
    size = sum(len(write.data) for write in talk.writes)
    start = data.draw(st.integers(0, size - 1))
    events = feed_with_loss(talk.writes, start, data.draw(st.integers(start + 1, size)))
    whole = {said._replace(headers=(), answer_headers=()) for said in in_order(talk)}
    assert {said._replace(headers=(), answer_headers=()) for said in exchanges(events) if said.whole} <= whole


def test_a_loss_within_data_costs_its_stream_only() -> None:
    talk = Talk()
    first, second = talk.open(Said(answer=b"a" * 50)), talk.open(Said(answer=b"b" * 50))
    for index in (first, second):
        for step in ("ask", "body", "asked", "answer"):
            talk.step(index, step)
    before = len(talk.writes)
    for index in (first, second):
        for step in ("part", "answered"):
            talk.step(index, step)
    at = sum(len(write.data) for write in talk.writes[:before]) + 20
    events = feed_with_loss(talk.writes, at, at + 10)
    damaged, whole = [event for event in events if isinstance(event, ResponseDone)]
    assert (damaged.request_index, damaged.complete, damaged.missing, damaged.cause) == (0, False, 10, "gap")
    assert (whole.request_index, whole.complete, whole.body) == (1, True, b"b" * 50)
    assert not gaps(events)
