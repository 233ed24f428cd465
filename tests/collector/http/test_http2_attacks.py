"""What a peer may send to exhaust or mislead a reader: bounded, given up with its cause, never misread."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hpack import Encoder
from hypothesis import given
from hypothesis import strategies as st

from collector.http.connection import HttpConnection
from collector.http.events import (
    RESET_BY_CLIENT,
    ConnectionLost,
    Direction,
    Gap,
    HttpEvent,
    RequestDone,
    ResponseDone,
    WebSocketMessage,
)
from collector.http.frames import MAX_SEARCH, PREFACE, begins_frames
from collector.http.head import MAX_HEAD
from collector.http.http2 import Http2Connection
from collector.http.streams import MAX_STREAMS
from collector.http.upgrade import Upgrade

ASK = [(":method", "POST"), (":scheme", "https"), (":authority", "h"), (":path", "/a")]
OK = [(":status", "200")]
SETTINGS = b"\0\0\0\4\0\0\0\0\0"


def frame(kind: int, stream: int, payload: bytes = b"", flags: int = 0) -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def block(*fields: tuple[str, str]) -> bytes:
    """Fields that no table is needed for."""
    encoder = Encoder()
    return encoder.encode([(name, value, True) for name, value in fields])


def ask(stream: int = 1, *more: tuple[str, str], end: bool = True) -> bytes:
    return frame(1, stream, block(*ASK, *more), 5 if end else 4)


def answer(stream: int = 1, *more: tuple[str, str], end: bool = True) -> bytes:
    return frame(1, stream, block(*OK, *more), 5 if end else 4)


CLIENT = PREFACE + SETTINGS


def feed(*reads: tuple[Direction, bytes], step: int = 1 << 30, close: bool = False) -> list[HttpEvent]:
    connection = HttpConnection()
    events: list[HttpEvent] = []
    for direction, data in reads:
        for at in range(0, len(data), step):
            events += connection.feed(direction, data[at : at + step], 7)
    return events + (connection.close(8) if close else [])


def causes(events: list[HttpEvent]) -> list[str]:
    return [event.cause for event in events if isinstance(event, ConnectionLost)]


def responses(events: list[HttpEvent]) -> list[ResponseDone]:
    return [event for event in events if isinstance(event, ResponseDone)]


def requests(events: list[HttpEvent]) -> list[RequestDone]:
    return [event for event in events if isinstance(event, RequestDone)]


HUGE = (
    Encoder().encode([("x-big", "v" * 4000)]) + b"\xbe" * 100
)  # one entry of the table, named a hundred times

BROKEN: dict[str, tuple[bytes, str]] = {
    "no settings first": (PREFACE + ask(), "bad_frame"),
    "headers on the connection": (CLIENT + frame(1, 0, block(*ASK), 5), "bad_frame"),
    "data on the connection": (CLIENT + frame(0, 0, b"x"), "bad_frame"),
    "settings on a stream": (CLIENT + frame(4, 1), "bad_frame"),
    "settings cut": (CLIENT + frame(4, 0, b"12345"), "bad_frame"),
    "settings acknowledged with some": (CLIENT + frame(4, 0, b"123456", 1), "bad_frame"),
    "ping of another size": (CLIENT + frame(6, 0, b"1"), "bad_frame"),
    "reset of another size": (CLIENT + frame(3, 1, b"1"), "bad_frame"),
    "window update of another size": (CLIENT + frame(8, 0, b"1"), "bad_frame"),
    "goaway cut": (CLIENT + frame(7, 0, b"1"), "bad_frame"),
    "continuation of nothing": (CLIENT + frame(9, 1, b"", 4), "bad_frame"),
    "a frame within a header block": (CLIENT + frame(1, 1, block(*ASK)) + frame(6, 0, bytes(8)), "bad_frame"),
    "continuation of another stream": (CLIENT + frame(1, 1, block(*ASK)) + frame(9, 3, b"", 4), "bad_frame"),
    "padding longer than its frame": (CLIENT + ask(end=False) + frame(0, 1, b"\x05abcd", 8), "bad_frame"),
    "padding without its length": (CLIENT + ask(end=False) + frame(0, 1, b"", 8), "bad_frame"),
    "padded fields too short": (CLIENT + frame(1, 1, b"\x09ab", 12), "bad_frame"),
    "padded fields empty": (CLIENT + frame(1, 1, b"", 12), "bad_frame"),
    "priority too short": (CLIENT + frame(1, 1, b"abc", 36), "bad_frame"),
    "an entry that is not in the table": (CLIENT + frame(1, 1, b"\xbe", 5), "header_compression"),
    "entry zero": (CLIENT + frame(1, 1, b"\x80", 5), "header_compression"),
    "an endless number": (CLIENT + frame(1, 1, b"\xff" * 40, 5), "header_compression"),
    "a string beyond its block": (CLIENT + frame(1, 1, b"\x00\x7f\x00", 5), "header_compression"),
    "broken huffman": (CLIENT + frame(1, 1, b"\x00\x84\xff\xff\xff\xff\x00", 5), "header_compression"),
    "a header bomb": (CLIENT + frame(1, 1, HUGE, 5), "head_too_large"),
    "continuations without end": (
        CLIENT + frame(1, 1, block(*ASK)) + frame(9, 1, b"\x00\x01a\x01b" * 3000) * 9,
        "head_too_large",
    ),
    "one header frame too large": (CLIENT + frame(1, 1, bytes(MAX_HEAD + 1), 5), "head_too_large"),
    "streams without end": (
        CLIENT + b"".join(ask(2 * n + 1, end=False) for n in range(MAX_STREAMS + 1)),
        "too_many_requests",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_no_peer_may_send_ends_the_reading_with_its_cause(name: str) -> None:
    sent, cause = BROKEN[name]
    for step in (1 << 30, 7):
        events = feed(("sent", sent), ("received", SETTINGS + answer()), ("sent", ask(9)), step=step)
        assert causes(events) == [cause]
        assert not any(event.complete for event in requests(events))


def http2() -> Http2Connection:
    connection = Http2Connection()
    assert connection.feed("sent", CLIENT, 1) == []
    assert connection.feed("received", SETTINGS, 1) == []
    return connection


FLOODS = {
    "empty data": ask(end=False) + frame(0, 1) * 20_000,
    "empty continuations": frame(1, 1, block(*ASK)) + frame(9, 1) * 20_000,
    "settings": (frame(4, 0, b"\0\1" + b"\xff" * 4) + frame(4, 0, b"", 1)) * 10_000,
    "pings": frame(6, 0, bytes(8)) * 20_000,
    "window updates": frame(8, 0, b"\0\0\0\1") * 20_000,
    "priorities": b"".join(frame(2, 2 * n + 1, bytes(5)) for n in range(20_000)),
    "unknown frames": frame(0xFA, 77, b"grease") * 20_000,
    "resets": b"".join(frame(3, 2 * n + 1, bytes(4)) for n in range(20_000)),
    "trailers": ask(end=False) + frame(1, 1, block(("a", "b")), 4) * 5_000,
    "data of no stream": b"".join(frame(0, 2 * n + 1, b"x") for n in range(20_000)),
}


@pytest.mark.parametrize("name", FLOODS)
def test_floods_leave_nothing_behind(name: str) -> None:
    connection = http2()
    connection.feed("sent", FLOODS[name], 2)
    assert connection.held < 2048


def test_streams_that_are_opened_and_reset_leave_nothing_behind() -> None:
    connection = http2()
    events: list[HttpEvent] = []
    for n in range(5_000):
        number = 2 * n + 1
        events += connection.feed("sent", ask(number) + frame(3, number, bytes(4)), 2)
    assert connection.held == 0
    assert [event.request_index for event in responses(events)] == list(range(5_000))
    assert {(event.status, event.complete, event.cause) for event in responses(events)} == {
        (0, False, RESET_BY_CLIENT)
    }


def test_interim_answers_without_end_leave_nothing_behind() -> None:
    connection = http2()
    connection.feed("sent", ask(), 2)
    held = connection.held
    interim = frame(1, 1, block((":status", "103"), ("link", "x" * 500)), 4)
    assert connection.feed("received", interim * 2_000, 3) == []
    assert connection.held == held
    (response,) = responses(connection.feed("received", answer(), 4))
    assert (response.status, response.complete) == (200, True)


def test_what_is_held_is_bounded_by_what_is_open_and_counted() -> None:
    connection = http2()
    connection.feed("sent", ask(1, ("x", "y" * 5000), end=False) + frame(0, 1, bytes(10_000)), 2)
    assert 15_000 < connection.held < 16_000
    connection.feed("sent", frame(0, 1, b"", 1), 3)
    assert 5_000 < connection.held < 6_000
    connection.feed("received", answer(1, end=False) + frame(0, 1, bytes(3_000)), 4)
    assert 8_000 < connection.held < 9_000
    connection.feed("received", frame(0, 1, b"", 1), 5)
    assert connection.held == 0


@pytest.mark.parametrize(
    ("more", "body", "cause"),
    [
        ([("content-length", "3")], b"abcd", "ambiguous_length"),
        ([("content-length", "5")], b"abcd", "ambiguous_length"),
        ([("content-length", "4"), ("content-length", "5")], b"abcd", "ambiguous_length"),
        ([("content-length", "+4")], b"abcd", "ambiguous_length"),
        ([("transfer-encoding", "chunked")], b"0\r\n\r\n", "malformed_head"),
        ([("X-Upper", "1")], b"abcd", "malformed_head"),
        ([("x-split", "1\r\nx: 2")], b"abcd", "malformed_head"),
        ([(":path", "/other")], b"abcd", "malformed_head"),
        ([(":late", "1")], b"abcd", "malformed_head"),
        ([("content-encoding", "lzma")], b"abcd", "encoding"),
        ([("content-length", "4")], b"abcd", None),
    ],
)
def test_what_two_readers_may_take_differently_is_not_complete(
    more: list[tuple[str, str]], body: bytes, cause: str | None
) -> None:
    # hpack lowers no name that it is given as it is to be sent
    (request,) = requests(feed(("sent", CLIENT + ask(1, *more, end=False) + frame(0, 1, body, 1))))
    assert (request.complete, request.cause) == (cause is None, cause)
    events = feed(
        ("sent", CLIENT + ask()),
        ("received", SETTINGS + answer(1, *more, end=False) + frame(0, 1, body, 1)),
    )
    (response,) = responses(events)
    assert (response.complete, response.cause) == (cause is None, cause)
    assert not causes(events)


@pytest.mark.parametrize(
    "fields",
    [
        ASK[1:],
        ASK[:3],
        [*ASK, (":status", "200")],
        [("a", "b"), *ASK],
        [*ASK, (":path", "/b")],
        [(":path", "/ b"), *ASK[:3]],
    ],
)
def test_a_request_without_a_proper_head_is_told_as_one(fields: list[tuple[str, str]]) -> None:
    events = feed(("sent", CLIENT + frame(1, 1, block(*fields), 5) + ask(3)))
    bad, good = requests(events)
    assert (bad.complete, bad.cause) == (False, "malformed_head")
    assert (good.complete, good.index) == (True, 1)


def test_head_and_no_content_answers_may_name_a_length() -> None:
    head = frame(1, 1, block((":method", "HEAD"), *ASK[1:]), 5)
    not_modified = frame(1, 3, block((":status", "304"), ("content-length", "9")), 5)
    events = feed(
        ("sent", CLIENT + head + ask(3)),
        ("received", SETTINGS + answer(1, ("content-length", "9")) + not_modified),
    )
    assert [(event.status, event.complete) for event in responses(events)] == [(200, True), (304, True)]


def test_a_reset_tells_what_there_was() -> None:
    events = feed(
        ("sent", CLIENT + ask(1, end=False) + frame(0, 1, b"half") + ask(3)),
        ("received", SETTINGS + frame(3, 1, bytes(4)) + answer(3, end=False) + frame(0, 3, b"some")),
        ("sent", frame(3, 3, bytes(4)) + frame(0, 1, b"late")),
    )
    assert [(event.cause, event.body) for event in requests(events)] == [(None, b""), ("reset", b"half")]
    assert [(event.status, event.cause, event.body) for event in responses(events)] == [
        (0, "reset", b""),
        (200, RESET_BY_CLIENT, b"some"),
    ]


def test_a_server_that_goes_away_refuses_later_streams() -> None:
    goaway = frame(7, 0, struct.pack(">II", 1, 0) + b"why")
    events = feed(("sent", CLIENT + ask(1) + ask(3)), ("received", SETTINGS + goaway + answer(1)), close=True)
    assert [(event.request_index, event.status, event.cause) for event in responses(events)] == [
        (1, 0, "reset"),
        (0, 200, None),
    ]


def test_an_answer_before_the_request_is_over_ends_the_request() -> None:
    whole = ask(3, ("content-length", "4"), end=False) + frame(0, 3, b"body")
    part = ask(5, ("content-length", "9"), end=False) + frame(0, 5, b"body")
    events = feed(
        ("sent", CLIENT + ask(1, end=False) + frame(0, 1, b"half") + whole + part),
        ("received", SETTINGS + answer(1) + answer(3) + answer(5)),
        ("sent", frame(0, 1, b"more", 1) + frame(0, 3, b"", 1) + frame(0, 5, b"more!", 1)),
    )
    assert [type(event) for event in events] == [RequestDone, ResponseDone] * 3
    assert [(event.cause, event.body) for event in requests(events)] == [
        ("answered_early", b"half"),
        (None, b"body"),  # all of its length was there
        ("answered_early", b"body"),
    ]


def test_closed_early_is_incomplete() -> None:
    events = feed(
        ("sent", CLIENT + ask(1) + ask(3, end=False)),
        ("received", SETTINGS + answer(1, end=False) + frame(0, 1, b"x")),
        close=True,
    )
    assert [event.cause for event in requests(events)] == [None, "closed"]
    assert [event.cause for event in responses(events)] == ["closed"]


def test_a_push_is_read_for_its_table_and_is_no_answer() -> None:
    encoder = Encoder()
    promised = encoder.encode([*ASK, ("x-table", "entry")])
    pushed = frame(1, 2, encoder.encode(OK), 4) + frame(0, 2, b"pushed", 1)
    answered = frame(1, 1, encoder.encode([*OK, ("x-table", "entry")]), 5)
    events = feed(
        ("sent", CLIENT + ask()),
        ("received", SETTINGS + frame(5, 1, b"\0\0\0\2" + promised, 4) + pushed + answered),
    )
    (response,) = responses(events)
    assert response.headers == (("x-table", "entry"),)
    assert len(events) == 2


# --- what is not known ---------------------------------------------------------------------------------


def test_a_path_from_before_is_not_guessed() -> None:
    joined = frame(1, 9, b"\x83\xbe\x87", 5)  # POST, an entry of the table, https
    events = feed(("sent", joined + ask(11)))
    unknown, known = requests(events)
    assert (unknown.method, unknown.target, unknown.complete, unknown.cause) == (
        "POST",
        "",
        False,
        "header_unknown",
    )
    assert (known.target, known.complete) == ("/a", True)


def test_entries_since_then_keep_their_places() -> None:
    old, new = Encoder(), Encoder()
    old.encode([("x-old", "1")])
    del new
    head = old.encode([*ASK, ("x-old", "1"), ("x-new", "2")])
    again = old.encode([*ASK, ("x-old", "1"), ("x-new", "2")])
    first, second = requests(feed(("sent", frame(1, 9, head, 5) + frame(1, 11, again, 5))))
    assert first.headers == second.headers == (("host", "h"), ("x-new", "2"))
    assert (first.target, first.complete) == (second.target, second.complete) == ("/a", True)


@pytest.mark.parametrize(
    ("body", "whole"),
    [
        (b'{"q": "\xc3\xbc"}', True),
        (b"", True),
        (b"\x1f\x8b\x08\x00zip", False),
        (b"\x0b\x02\x80text\x03", False),
    ],
)
def test_a_body_whose_coding_is_unknown_is_taken_only_if_it_is_text(body: bytes, whole: bool) -> None:
    head = frame(1, 9, block(*ASK) + b"\xbe", 4)
    (request,) = requests(feed(("sent", head + frame(0, 9, body, 1))))
    assert (request.complete, request.cause) == ((True, None) if whole else (False, "header_unknown"))
    assert request.body == (body if whole else b"")


def test_an_unknown_interim_answer_is_none() -> None:
    unknown = frame(1, 9, b"\xbe", 4)
    final = answer(9, end=False) + frame(0, 9, b"x", 1)
    (response,) = responses(feed(("sent", ask(9)), ("received", unknown + final)))
    assert (response.status, response.body, response.complete) == (200, b"x", True)
    (response,) = responses(feed(("sent", ask(9)), ("received", unknown + frame(0, 9, b"x", 1))))
    assert (response.status, response.complete, response.cause) == (0, False, "header_unknown")


def test_streams_of_before_are_told_once_each() -> None:
    running = frame(0, 5, b"data: 1\n\n") * 3 + frame(0, 7, b"data: 1\n\n") * 3
    events = feed(("received", running), ("sent", ask(9)), ("received", running + answer(9)))
    assert [event.missing for event in events if isinstance(event, Gap)] == [0, 0]
    assert [event.status for event in responses(events)] == [200]


def test_a_lost_header_block_makes_the_table_unknown() -> None:
    encoder = Encoder()
    blocks = [encoder.encode([*ASK, ("x-b" if n > 1 else "x-a", "1")]) for n in range(4)]
    connection = http2()
    events = connection.feed("sent", frame(1, 1, blocks[0], 5), 1)
    second = frame(1, 3, blocks[1], 5)
    events += connection.feed("sent", second[:9], 2) + connection.feed("sent", b"", 2, missing=len(blocks[1]))
    events += connection.feed("sent", frame(1, 5, blocks[2], 5) + frame(1, 7, blocks[3], 5), 3)
    assert [(event.index, event.complete, event.cause) for event in requests(events)] == [
        (0, True, None),
        (1, False, "gap"),
        (2, False, "header_unknown"),  # its path is an entry of before the loss
        (3, False, "header_unknown"),
    ]
    assert ("x-b", "1") in requests(events)[3].headers


def test_lost_frames_make_the_table_unknown_and_what_is_certain_goes_on() -> None:
    encoder = Encoder()
    first, lost, after = (
        frame(1, 2 * n + 1, encoder.encode([*ASK, ("x-a", value)]), 5) for n, value in enumerate("121")
    )
    connection = http2()
    events = connection.feed("sent", first + ask(3)[:4], 1)
    events += connection.feed("sent", after + ask(7), 2, missing=len(lost) - 4)
    assert [(event.target, event.headers, event.cause) for event in requests(events)] == [
        ("/a", (("host", "h"), ("x-a", "1")), None),
        ("", (), "header_unknown"),
        ("/a", (("host", "h"),), None),
    ]
    assert [event.missing for event in events if isinstance(event, Gap)] == [len(lost) - 4]


def test_bytes_that_look_like_frames_within_a_read_are_not_taken_for_them() -> None:
    forged = ask(9) + ask(11) + ask(13)
    events = feed(("received", b'{"text": "' + forged), ("sent", b'"' + forged), close=True)
    assert not requests(events) and causes(events)


def test_a_search_for_a_frame_ends() -> None:
    connection = http2()
    junk = b"\x00\x00\x01" + bytes(range(1, 250)) * 60
    events = connection.feed("received", junk, 1, missing=5)
    for _ in range(2 * MAX_SEARCH // len(junk)):
        events += connection.feed("received", junk, 1)
    assert causes(events) == ["no_frame_boundary"]


@pytest.mark.parametrize(
    ("data", "begins"),
    [
        (b"", None),
        (b"\0\0", None),
        (b"{", False),
        (frame(6, 0, bytes(8)), True),
        (frame(6, 0, bytes(8))[:-1], None),
        (frame(0, 1, b"x") * 3 + b"y", True),
        (frame(0, 1, b"x") * 2 + b"y", False),
        (frame(0, 2, b"x"), False),
        (frame(0xA, 0, b"x"), False),
        (frame(0, 1, b"x", 0x10), False),
        (bytes(9), False),
    ],
)
def test_where_frames_begin(data: bytes, begins: bool | None) -> None:
    assert begins_frames(data) is begins


# --- tunnels within a stream ---------------------------------------------------------------------------


class Recorder:
    """A reader that keeps what it is given."""

    def __init__(self, upgrade: Upgrade) -> None:
        self.upgrade = upgrade
        self.given: list[tuple[str, bytes, int]] = []
        self.held = 3

    def feed(self, direction: Direction, data: bytes, ts: int, missing: int = 0) -> list[HttpEvent]:
        self.given.append((direction, data, missing))
        return []

    def close(self, ts: int) -> list[HttpEvent]:
        return [
            WebSocketMessage(direction="sent", text=True, data=b"end", ts=ts, request_index=0, first_ts=ts)
        ]


def test_a_websocket_within_a_stream_is_handed_over() -> None:
    made: list[Recorder] = []

    def inside(upgrade: Upgrade) -> Any:
        made.append(Recorder(upgrade))
        return made[-1]

    connection = Http2Connection(inside=inside)
    opened = [(":method", "CONNECT"), (":protocol", "websocket"), *ASK[1:], ("sec-websocket-version", "13")]
    events = connection.feed("sent", CLIENT + frame(1, 1, block(*opened), 4), 1)
    events += connection.feed("received", SETTINGS + answer(end=False) + frame(0, 1, b"\x81\x02hi"), 2)
    events += connection.feed("sent", frame(0, 1, b"\x02masked\0\0", 8), 3)
    events += connection.feed("sent", frame(0, 1, b"abcd")[:11], 3)
    events += connection.feed("sent", b"d", 3, missing=1)
    (recorder,) = made
    assert recorder.upgrade.kind == "websocket"
    assert ("sec-websocket-version", "13") in recorder.upgrade.request_headers
    assert [type(event) for event in events] == [RequestDone, ResponseDone]
    assert recorder.given == [
        ("received", b"\x81\x02hi", 0),
        ("sent", b"masked", 0),
        ("sent", b"ab", 0),
        ("sent", b"", 1),
        ("sent", b"d", 0),
    ]
    assert connection.held > 3
    # How much of a padded frame's loss is padding is not known: the tunnel is over.
    connection.feed("sent", frame(0, 1, b"\x02masked\0\0", 8)[:-4], 3)
    (last,) = connection.feed("sent", b"", 4, missing=4)
    assert isinstance(last, WebSocketMessage)


def test_another_tunnel_within_a_stream_is_not_read() -> None:
    opened = frame(1, 1, block((":method", "CONNECT"), (":authority", "h:443")), 4)
    events = feed(
        ("sent", CLIENT + opened),
        ("received", SETTINGS + answer(end=False)),
        ("sent", frame(0, 1, b"\x16\x03\x01")),
        ("received", frame(0, 1, b"\x16\x03\x03", 1)),
        close=True,
    )
    (request,) = requests(events)
    assert (request.method, request.target, request.complete) == ("CONNECT", "h:443", True)
    assert [(event.status, event.body) for event in responses(events)] == [(200, b"")] and not causes(events)


# --- anything ------------------------------------------------------------------------------------------

_PAYLOADS = st.one_of(
    st.binary(max_size=30),
    st.sampled_from(
        [block(*ASK), block(*OK), b"\xbe", b"\x3f\xe1\x1f", b"\x20", b"\x40\x01a\x01b", HUGE[:60]]
    ),
)
_FRAMES = st.builds(
    frame,
    st.integers(0, 10),
    st.sampled_from([0, 1, 3, 5, 4]),
    _PAYLOADS,
    st.sampled_from([0, 1, 4, 5, 8, 12, 37]),
)
_READS = st.one_of(
    _FRAMES, st.sampled_from([CLIENT, SETTINGS, ask(1), ask(3), answer(1), answer(3)]), st.binary(max_size=20)
)


@given(
    st.lists(st.tuples(st.sampled_from(["sent", "received"]), _READS, st.sampled_from([0, 0, 0, 3, 999]))),
    st.booleans(),
)
def test_nothing_raises_and_answers_are_answered_once(
    steps: list[tuple[Direction, bytes, int]], begun: bool
) -> None:
    connection = http2() if begun else HttpConnection()
    events: list[HttpEvent] = []
    for direction, data, missing in steps:
        events += connection.feed(direction, data, 1, missing)
        assert connection.held >= 0
    events += connection.close(2)
    answered = [event.request_index for event in responses(events) if event.request_index is not None]
    asked = [event.index for event in requests(events)]
    assert len(answered) == len(set(answered)) and len(asked) == len(set(asked))
    assert set(answered) <= set(asked)
    assert len(causes(events)) <= 1
