"""Event streams as the WHATWG specification interprets them, however cut, within bounds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from collector.http.sse import SseParser


def events(stream: bytes, step: int = 1 << 30, limit: int = 1 << 20) -> list[tuple[str, bytes]]:
    parser = SseParser(limit)
    out = []
    for start in range(0, len(stream), step):
        out += parser.feed(stream[start : start + step])
    return [(event.event, event.data) for event in out]


def test_the_specification_examples() -> None:
    assert events(b"data: YHOO\ndata: +2\ndata: 10\n\n") == [("", b"YHOO\n+2\n10")]
    assert events(b": comment\n\ndata: first\nid: 1\n\ndata:second\nid\n\ndata:  third\n\n") == [
        ("", b"first"),
        ("", b"second"),
        ("", b" third"),
    ]
    assert events(b"event: add\ndata: 73857293\n\nevent: remove\ndata: 2153\n\n") == [
        ("add", b"73857293"),
        ("remove", b"2153"),
    ]


def test_line_ends_and_byte_order_mark() -> None:
    for end in (b"\n", b"\r", b"\r\n"):
        stream = b"\xef\xbb\xbfdata: a" + end + b"data: b" + end + end + b"data: c" + end + end
        for step in (1, 2, 3, 1 << 30):
            assert events(stream, step) == [("", b"a\nb"), ("", b"c")]


def test_an_unfinished_event_is_none() -> None:
    assert events(b"data: a\n\ndata: b\n") == [("", b"a")]


def test_an_event_without_data_is_none() -> None:
    assert events(b"event: ping\n\ndata: x\n\n") == [("", b"x")]


def test_a_too_large_event_is_dropped_and_told() -> None:
    for step in (1, 7, 1 << 30):
        parser = SseParser(50)
        stream = b"data: " + b"x" * 100 + b"\n\ndata: ok\n\n" + b"data: 12345678\n" * 9 + b"\ndata: ok2\n\n"
        found = [e.data for i in range(0, len(stream), step) for e in parser.feed(stream[i : i + step])]
        assert found == [b"ok", b"ok2"] and parser.overflowed


@given(st.text(alphabet="data:eventx \r\n", max_size=80), st.integers(1, 9))
def test_cuts_do_not_matter(text: str, step: int) -> None:
    stream = text.encode()
    whole, cut = SseParser(30), SseParser(30)
    expected = whole.feed(stream)
    assert [e for i in range(0, len(stream), step) for e in cut.feed(stream[i : i + step])] == expected
    assert whole.overflowed == cut.overflowed
