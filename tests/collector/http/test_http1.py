"""Bytes of both directions become the same messages however they were cut, and nothing makes the reader fail."""

from __future__ import annotations

import gzip
import zlib
from typing import Any

import brotli
import msgspec
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from collector.http import encoding
from collector.http.events import BodyPart, ConnectionLost, Gap, HttpEvent, RequestDone, ResponseDone
from collector.http.head import MAX_HEAD
from collector.http.http1 import MAX_OUTSTANDING, Http1Connection

GET = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\n"


def length(body: bytes, extra: bytes = b"") -> bytes:
    return OK + extra + b"Content-Length: %d\r\n\r\n" % len(body) + body


def chunked(body: bytes, size: int = 3, extra: bytes = b"", trailers: bytes = b"") -> bytes:
    pieces = [body[i : i + size] for i in range(0, len(body), size)]
    chunks = b"".join(b"%x;ext=1\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    return OK + extra + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n" + trailers + b"\r\n"


def feed(*streams: tuple[str, bytes], step: int = 1 << 30, close: bool = True) -> list[HttpEvent]:
    connection = Http1Connection()
    events: list[HttpEvent] = []
    for direction, data in streams:
        for start in range(0, len(data), step):
            events += connection.feed(direction, data[start : start + step], 7)  # type: ignore[arg-type]
    return joined(events + (connection.close(8) if close else []))


def joined(events: list[HttpEvent]) -> list[HttpEvent]:
    """Neighbouring parts of one body as one: only their cuts depend on the reads."""
    out: list[HttpEvent] = []
    for event in events:
        last = out[-1] if out else None
        if isinstance(event, BodyPart) and isinstance(last, BodyPart):
            out[-1] = msgspec.structs.replace(last, data=last.data + event.data)
        else:
            out.append(event)
    return out


def responses(events: list[HttpEvent]) -> list[ResponseDone]:
    return [event for event in events if isinstance(event, ResponseDone)]


def causes(events: list[HttpEvent]) -> list[str]:
    return [event.cause for event in events if isinstance(event, ConnectionLost)]


TEXT = b'{"text":"' + b"ab" * 40 + b'"}'
CODED = {
    b"gzip": gzip.compress(TEXT),
    b"deflate": zlib.compress(TEXT),
    b"br": brotli.compress(TEXT),
    b"zstd": zstandard.compress(TEXT),
}


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


CONVERSATIONS: dict[str, list[tuple[str, bytes]]] = {
    "keep-alive": [
        ("sent", GET),
        ("received", length(b"one")),
        ("sent", GET),
        ("received", chunked(b"two!")),
    ],
    "pipelined": [("sent", GET * 3), ("received", length(b"1") + length(b"") + chunked(b"three"))],
    "head": [
        ("sent", b"HEAD / HTTP/1.1\r\n\r\n" + GET),
        ("received", OK + b"Content-Length: 9\r\n\r\n" + length(b"x")),
    ],
    "no body": [
        ("sent", GET * 2),
        (
            "received",
            b"HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
        ),
    ],
    "continue": [
        ("sent", b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"),
        ("received", b"HTTP/1.1 100 Continue\r\n\r\n"),
        ("sent", b"body"),
        ("received", length(b"fine")),
    ],
    "trailers": [("sent", GET), ("received", chunked(b"abcdef", trailers=b"X: 1\r\n"))],
    "until close": [("sent", GET), ("received", OK + b"\r\nall the rest")],
    "server side": [("received", GET), ("sent", length(b"answer"))],
    "events": [
        ("sent", GET),
        ("received", chunked(b"data: 1\n\n" * 5, 7, b"Content-Type: text/event-stream\r\n")),
    ],
    "upgrade": [
        ("sent", GET),
        ("received", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x81\x02hi"),
    ],
    "empty lines first": [("sent", b"\r\n\r\n" + GET), ("received", b"\r\n" + length(b"x"))],
    **{
        name.decode(): [("sent", GET), ("received", chunked(data, 5, b"Content-Encoding: " + name + b"\r\n"))]
        for name, data in CODED.items()
    },
}


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_cuts_do_not_matter(name: str) -> None:
    whole = feed(*CONVERSATIONS[name])
    assert any(isinstance(event, ResponseDone) for event in whole)
    for step in (1, 2, 3, 5, 17):
        assert feed(*CONVERSATIONS[name], step=step) == whole


@given(st.data())
def test_any_single_cut_gives_the_same_messages(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(CONVERSATIONS)))
    cut_up: list[tuple[str, bytes]] = []
    for direction, stream in CONVERSATIONS[name]:
        cut = data.draw(st.integers(0, len(stream)))
        cut_up += [(direction, stream[:cut]), (direction, stream[cut:])]
    assert feed(*cut_up) == feed(*CONVERSATIONS[name])


def test_pipelined_answers_belong_to_requests_in_order() -> None:
    events = feed(*CONVERSATIONS["pipelined"])
    assert [(r.request_index, r.body, r.complete) for r in responses(events)] == [
        (0, b"1", True),
        (1, b"", True),
        (2, b"three", True),
    ]


def test_head_304_and_interim_answers_have_no_body() -> None:
    assert [r.body for r in responses(feed(*CONVERSATIONS["head"]))] == [b"", b"x"]
    assert [r.status for r in responses(feed(*CONVERSATIONS["no body"]))] == [204, 304]
    events = feed(*CONVERSATIONS["continue"])
    assert [type(event) for event in events] == [RequestDone, ResponseDone]
    assert isinstance(events[0], RequestDone) and events[0].body == b"body"


def test_an_upgrade_ends_the_reading_with_its_cause() -> None:
    events = feed(*CONVERSATIONS["upgrade"])
    assert causes(events) == ["upgraded"] and responses(events)[0].status == 101


@pytest.mark.parametrize("coding", [*CODED, b"raw deflate", b"gzip twice", b"gzip, br"])
def test_content_codings_are_undone(coding: bytes) -> None:
    packed = CODED.get(coding)
    header = coding
    if coding == b"raw deflate":
        header, packed = b"deflate", raw_deflate(TEXT)
    elif coding == b"gzip twice":
        header, packed = b"gzip", gzip.compress(TEXT[:30]) + gzip.compress(TEXT[30:])
    elif packed is None:
        packed = brotli.compress(gzip.compress(TEXT))
    answer = length(packed, b"Content-Encoding: " + header + b"\r\n")
    for step in (1, 1 << 30):
        (response,) = responses(feed(("sent", GET), ("received", answer), step=step))
        assert (response.body, response.complete) == (TEXT, True)


@pytest.mark.parametrize("coding", CODED)
def test_a_cut_off_coding_is_incomplete_and_a_broken_one_too(coding: bytes) -> None:
    header = b"Content-Encoding: " + coding + b"\r\n"
    for body in (CODED[coding][:-4], b"\x00\x01garbage" * 4):
        (response,) = responses(feed(("sent", GET), ("received", length(body, header))))
        assert not response.complete and response.cause == "encoding"


def test_an_unknown_coding_is_incomplete_not_guessed() -> None:
    (response,) = responses(feed(("sent", GET), ("received", length(b"x", b"Content-Encoding: lzma\r\n"))))
    assert (response.body, response.cause) == (b"", "encoding")


@pytest.mark.parametrize("coding", CODED)
def test_bombs_stop_at_a_bound(coding: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    zeros = bytes(64 * 1024 * 1024)
    pack: dict[bytes, Any] = {
        b"gzip": gzip.compress,
        b"deflate": zlib.compress,
        b"br": lambda data: brotli.compress(data, quality=1),
        b"zstd": zstandard.compress,
    }
    answer = length(pack[coding](zeros), b"Content-Encoding: " + coding + b"\r\n")
    most = 0
    real = encoding.check_size

    def check(given: int, taken: int, limit: int) -> None:
        nonlocal most
        most = max(most, given)
        real(given, taken, limit)

    monkeypatch.setattr(encoding, "check_size", check)
    (response,) = responses(feed(("sent", GET), ("received", answer)))
    assert response.cause == "bomb" and not response.complete
    assert most <= encoding.RATIO_FLOOR + 16 * 1024 * 1024


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (OK + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", "ambiguous_length"),
        (OK + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\n", "ambiguous_length"),
        (OK + b"Content-Length: 3, 4\r\n\r\n", "ambiguous_length"),
        (OK + b"Content-Length: +3\r\n\r\n", "ambiguous_length"),
        (OK + b"Content-Length: 99999999999999999999\r\n\r\n", "ambiguous_length"),
        (OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n", "unsupported_transfer_encoding"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n", "bad_chunk"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n", "bad_chunk"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nabXX", "bad_chunk"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\rX\r\n0\r\n\r\n", "bad_chunk"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n2;" + b"e" * 5000, "bad_chunk"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"a: b\r\n" * 50_000, "head_too_large"),
        (OK + b"A : b\r\n\r\n", "malformed_head"),
        (OK + b"A: b\r\n folded\r\n\r\n", "malformed_head"),
        (OK + b"A: " + b"x" * (MAX_HEAD + 10), "head_too_large"),
        (OK + b"a: b\r\n" * 400 + b"\r\n", "head_too_large"),
        (b"220 mail ESMTP\r\n", "not_http"),
        (b"\x00\x00\x12\x04\x00", "not_http"),
    ],
)
def test_what_is_ambiguous_or_endless_is_given_up_with_its_cause(answer: bytes, cause: str) -> None:
    for step in (1, 1 << 30):
        events = feed(("sent", GET), ("received", answer + b"rest"), ("sent", GET), step=step, close=False)
        assert causes(events) == [cause]
        assert not any(isinstance(event, ResponseDone) and event.complete for event in events)


@pytest.mark.parametrize(
    ("first", "cause"),
    [
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "http2"),
        (b"EHLO me\r\n", "not_http"),
        (b"\x16\x03\x01\x02", "not_http"),
        (b"GET / HTTP/9.9\r\n\r\n", "not_http"),
        (GET * (MAX_OUTSTANDING + 1), "too_many_requests"),
    ],
)
def test_other_protocols_are_named(first: bytes, cause: str) -> None:
    assert causes(feed(("sent", first))) == [cause] == causes(feed(("sent", first), step=1))


def test_equal_lengths_twice_are_one_length() -> None:
    events = feed(("sent", GET), ("received", OK + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nok"))
    assert [r.body for r in responses(events)] == [b"ok"]


def test_truncated_everywhere_gives_no_complete_answer() -> None:
    for name in ("keep-alive", "trailers", "gzip", "zstd"):
        (request, answer), *_ = [(CONVERSATIONS[name][0], CONVERSATIONS[name][1][1])]
        for cut in range(len(answer)):
            events = feed(request, ("received", answer[:cut]))
            assert not any(response.complete for response in responses(events)), (name, cut)


def test_an_answer_before_the_request_is_over_ends_the_request() -> None:
    request = b"POST / HTTP/1.1\r\nContent-Length: 6\r\n\r\nabc"
    events = feed(
        ("sent", request), ("received", length(b"no")), ("sent", b"def" + GET), ("received", length(b"2"))
    )
    assert [type(event) for event in events] == [RequestDone, ResponseDone] * 2
    assert isinstance(events[0], RequestDone) and events[0].cause == "answered_early"


# --- gaps --------------------------------------------------------------------------------------------


def test_a_gap_in_a_counted_body_costs_that_message_only() -> None:
    connection = Http1Connection()
    events = connection.feed("sent", GET, 1)
    events += connection.feed("received", OK + b"Content-Length: 10\r\n\r\nabc", 2)
    events += connection.feed("received", b"hij", 3, missing=4)
    events += connection.feed("sent", GET, 4)
    events += connection.feed("received", length(b"next"), 5)
    damaged, following = responses(events)
    assert (damaged.complete, damaged.missing, damaged.cause, damaged.body) == (False, 4, "gap", b"abc")
    assert (following.complete, following.body, following.request_index) == (True, b"next", 1)


@pytest.mark.parametrize("lost", [4, 5, 9, 200])
def test_after_a_gap_in_chunks_nothing_is_invented(lost: int) -> None:
    connection = Http1Connection()
    events = connection.feed("sent", GET, 1)
    events += connection.feed("received", OK + b"Transfer-Encoding: chunked\r\n\r\na\r\nabcdef", 2)
    events += connection.feed("received", b"\r\n0\r\n\r\n", 3, missing=lost)
    events += connection.feed("sent", GET, 4)
    events += connection.feed("received", length(b"next"), 5)
    damaged, following = responses(events)
    assert not damaged.complete and damaged.missing == lost and damaged.body == b"abcdef"
    assert following.complete and following.body == b"next" and following.request_index == 1


def test_a_lost_request_is_a_gap_and_its_answer_has_no_request() -> None:
    connection = Http1Connection()
    events = connection.feed("sent", GET, 1) + connection.feed("received", length(b"1"), 2)
    events += connection.feed("sent", b"", 3, missing=50) + connection.feed("received", length(b"2"), 4)
    events += connection.feed("sent", GET, 5) + connection.feed("received", length(b"3"), 6)
    assert [event.missing for event in events if isinstance(event, Gap)] == [50]
    assert [(r.request_index, r.body) for r in responses(events)] == [(0, b"1"), (None, b""), (1, b"3")]


def test_a_lost_answer_is_told_and_the_next_one_is_not_taken_for_it() -> None:
    connection = Http1Connection()
    events = connection.feed("sent", GET, 1) + connection.feed("received", b"tail", 2, missing=60)
    events += connection.feed("sent", GET, 3) + connection.feed("received", length(b"2"), 4)
    first, second = responses(events)
    assert (first.status, first.complete, first.missing) == (0, False, 60)
    assert (second.request_index, second.body) == (1, b"2")


def test_a_gap_that_leaves_the_order_open_ends_the_reading() -> None:
    connection = Http1Connection()
    connection.feed("sent", GET * 2, 1)
    events = connection.feed("received", length(b"2"), 2, missing=30)
    assert causes(events) == ["gap"] and not responses(events)


# --- anything ----------------------------------------------------------------------------------------

_PIECES = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([piece for streams in CONVERSATIONS.values() for _, piece in streams]),
)


@given(
    st.lists(st.tuples(st.sampled_from(["sent", "received"]), _PIECES, st.sampled_from([0, 0, 0, 3, 999])))
)
def test_nothing_raises_and_answers_are_answered_once(steps: list[tuple[str, bytes, int]]) -> None:
    connection = Http1Connection()
    events: list[HttpEvent] = []
    for direction, data, missing in steps:
        events += connection.feed(direction, data, 1, missing)  # type: ignore[arg-type]
    events += connection.close(2)
    answered = [r.request_index for r in responses(events) if r.request_index is not None]
    asked = [event.index for event in events if isinstance(event, RequestDone)]
    assert len(answered) == len(set(answered)) and asked == sorted(set(asked))
    assert set(answered) <= set(asked)
    assert len(causes(events)) <= 1


def test_unwanted_bodies_are_not_kept() -> None:
    connection = Http1Connection(lambda _method, target, _headers: target == "/wanted")
    events = connection.feed("sent", GET, 1) + connection.feed("received", length(b"big"), 2)
    events += connection.feed("sent", GET.replace(b"/a", b"/wanted"), 3) + connection.feed(
        "received", length(b"x"), 4
    )
    assert [(r.body, r.complete) for r in responses(events)] == [(b"", True), (b"x", True)]
