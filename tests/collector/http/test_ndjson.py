"""Lines and elements of JSON, however cut, within bounds."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.http.ndjson import ArrayParser, LineParser

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=12,
)


def events(parser: LineParser | ArrayParser, stream: bytes, step: int = 1 << 30) -> list[bytes]:
    out = []
    for start in range(0, len(stream), step):
        out += parser.feed(stream[start : start + step])
    assert all(0 < event.end <= len(stream) for event in out)
    return [event.data for event in out]


@pytest.mark.parametrize("step", [1, 2, 3, 1 << 20])
def test_each_line_is_an_event_and_empty_ones_are_none(step: int) -> None:
    stream = b'{"a": 1}\n\n  \r\n{"b": 2}\r\nnot json\n{"begun": '
    assert events(LineParser(), stream, step) == [b'{"a": 1}', b'{"b": 2}', b"not json"]


@pytest.mark.parametrize("step", [1, 2, 3, 1 << 20])
def test_each_object_of_the_array_is_an_event(step: int) -> None:
    inner = b'{"text": "a \\"]}\\\\", "deep": [{"b": [1]}]}'
    stream = b' [{"a": 1},\r\n' + inner + b', 3, "x]", [{"no": 1}] , {}] {"after": 1}'
    assert events(ArrayParser(), stream, step) == [b'{"a": 1}', inner, b"{}"]


def test_an_element_that_is_not_over_is_none() -> None:
    assert events(ArrayParser(), b'[{"a": 1}, {"b": {"c": 2}') == [b'{"a": 1}']


@given(st.lists(st.dictionaries(st.text(max_size=4), _JSON, max_size=3), max_size=6), st.integers(1, 40))
def test_any_objects_come_back_however_they_are_cut(values: list[dict[str, object]], step: int) -> None:
    lines = "".join(json.dumps(value) + "\n" for value in values).encode()
    array = json.dumps(values, indent=1, ensure_ascii=False).encode()
    assert [json.loads(data) for data in events(LineParser(), lines, step)] == values
    assert [json.loads(data) for data in events(ArrayParser(), array, step)] == values


@given(
    st.lists(
        st.binary(max_size=20) | st.sampled_from([b'"', b"\\", b"[", b"]", b"{", b"}", b"\n"]), max_size=12
    )
)
def test_any_bytes_give_the_same_in_any_cuts_and_never_raise(parts: list[bytes]) -> None:
    for kind in (LineParser, ArrayParser):
        whole, cut = kind(), kind()
        assert whole.feed(b"".join(parts)) == [event for part in parts for event in cut.feed(part)]


@pytest.mark.parametrize("step", [1, 7, 1 << 20])
def test_what_is_too_large_is_dropped_told_and_the_next_one_read(step: int) -> None:
    large = b'{"large": "' + b"x" * 100 + b'"}'
    for parser, stream in (
        (LineParser(limit=50), b'{"a": 1}\n' + large + b'\n{"b": 2}\n'),
        (ArrayParser(limit=50), b'[{"a": 1},' + large + b',{"b": 2}]'),
    ):
        assert events(parser, stream, step) == [b'{"a": 1}', b'{"b": 2}']
        assert parser.overflowed
