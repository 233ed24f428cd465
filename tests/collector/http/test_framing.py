"""The framing of a streamed body is told by how it begins, wherever it is cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.http.framing import StreamFramer, is_streamed
from tests.collector.http.test_eventstream import EVENT, message

DATA = b'{"a": 1}'
BODIES = {
    "event stream": b"data: " + DATA + b"\n\n",
    "a comment first": b": wait\n\ndata: " + DATA + b"\n\n",
    "a byte order mark": b"\xef\xbb\xbfdata: " + DATA + b"\n\n",
    "lines": DATA + b"\n",
    "array": b"[" + DATA + b"]",
    "blanks first": b"\r\n \n[" + DATA + b"]",
    "messages": message(DATA, EVENT),
}


@pytest.mark.parametrize("name", BODIES)
def test_every_framing_is_known_and_read_in_any_two_parts(name: str) -> None:
    body = BODIES[name]
    for at in range(len(body) + 1):
        framer = StreamFramer()
        events = [*framer.feed(body[:at]), *framer.feed(body[at:])]
        assert [event.data for event in events] == [DATA]
        assert not framer.overflowed


def test_a_whole_body_is_a_stream_where_it_cannot_be_one_value() -> None:
    assert all(is_streamed(BODIES[name]) for name in ("event stream", "a comment first", "messages"))
    assert is_streamed(DATA + b"\n" + DATA + b"\n") and is_streamed(DATA + b" \r\n\r\n" + DATA)
    for whole in (DATA, DATA + b"\n", b'{\n  "a": {\n  }\n}\n', b"", b"null"):
        assert not is_streamed(whole)
    assert is_streamed(BODIES["array"], arrays=True) and not is_streamed(BODIES["array"])


def test_blanks_without_an_end_are_not_kept() -> None:
    framer = StreamFramer()
    assert not any(framer.feed(b" \n" * 40) for _ in range(100))
    assert [event.data for event in framer.feed(BODIES["event stream"])] == [DATA]


@given(st.lists(st.binary(max_size=12), max_size=8))
def test_any_bytes_never_raise_and_give_the_same_in_any_cuts(parts: list[bytes]) -> None:
    whole, cut = StreamFramer(), StreamFramer()
    whole.feed(b"".join(parts))
    for part in parts:
        cut.feed(part)
    assert whole.overflowed == cut.overflowed
