"""collector/plain/streams.py: records in any order to bytes in theirs, holes told once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.plain.streams import PlainChunk, PlainClose, PlainData, PlainStreams

BASE = PlainData("1:1", "pipe", 7, 3, 0, True, 0, 0, b"", 0, 11, 5, 100)


def record(offset: int, data: bytes, **fields: object) -> PlainData:
    return BASE._replace(offset=offset, data=data, **fields)


def told(chunks: list[PlainChunk]) -> list[tuple[int, bytes, int]]:
    return [(chunk.offset, chunk.data, chunk.missing) for chunk in chunks]


def test_bytes_come_as_they_are() -> None:
    streams = PlainStreams()
    assert told(streams.data(record(0, b"ab"))) == [(0, b"ab", 0)]
    (chunk,) = streams.data(record(2, b"c", ts=9, process="2:2", direction=0))
    assert chunk == PlainChunk(chunk.connection, "sent", 2, b"c", 9, 0, "2:2")
    assert chunk.connection == ("1:1", 7, 3, True, False, 5, 11)
    assert told(streams.data(record(0, b"x", direction=1))) == [(0, b"x", 0)]


def test_what_comes_too_early_waits_for_what_went_before() -> None:
    streams = PlainStreams()
    assert streams.data(record(2, b"c")) == []
    assert streams.data(record(3, b"d")) == []
    assert told(streams.data(record(0, b"ab"))) == [(0, b"ab", 0), (2, b"c", 0), (3, b"d", 0)]
    assert streams.settle() == streams.settle() == streams.finish() == []


def test_what_did_not_come_in_a_whole_round_was_lost() -> None:
    streams = PlainStreams()
    streams.data(record(2, b"c"))
    assert streams.settle() == []
    assert told(streams.settle()) == [(2, b"c", 2)]
    assert streams.data(record(0, b"ab")) == []  # too late: it was told as missing


def test_a_hole_that_closed_does_not_hurry_the_next_one() -> None:
    streams = PlainStreams()
    streams.data(record(1, b"b"))
    streams.settle()
    streams.data(record(0, b"a"))
    streams.data(record(3, b"d"))
    assert streams.settle() == []
    assert told(streams.data(record(2, b"c"))) == [(2, b"c", 0), (3, b"d", 0)]


def test_what_was_not_copied_is_told_at_once() -> None:
    streams = PlainStreams()
    assert told(streams.data(record(0, b"ab", missing=5))) == [(0, b"ab", 0), (7, b"", 5)]
    assert told(streams.data(record(7, b"", missing=3))) == [(10, b"", 3)]


def test_the_end_tells_what_still_waited() -> None:
    streams = PlainStreams()
    streams.data(record(2, b"c"))
    assert told(streams.finish()) == [(2, b"c", 2)]


HTTP = {"kind": "tcp", "json": False}


def test_the_other_side_is_done() -> None:
    streams = PlainStreams()
    streams.data(record(0, b"a", **HTTP))
    streams.data(record(2, b"c", **HTTP))
    chunks, connection = streams.close(PlainClose("1:1", 7, 3, 1))
    assert told(chunks) == [(2, b"c", 1)] and connection is not None and connection.generation == 3
    assert streams.close(PlainClose("1:1", 7, 3, 1)) == ([], None)


@pytest.mark.parametrize("fields", [{"json": True}, {**HTTP, "asks": 1}], ids=["json", "serves"])
def test_a_client_that_is_done_may_still_be_answered(fields: dict[str, object]) -> None:
    streams = PlainStreams()
    streams.data(record(0, b"a", **fields))
    assert streams.close(PlainClose("1:1", 7, 3, 1)) == ([], None)


def test_a_socket_that_was_closed_and_a_process_that_ended() -> None:
    streams = PlainStreams()
    streams.data(record(0, b"a", **HTTP))
    streams.data(record(0, b"{", generation=4, socket=12))
    assert streams.closed(12) == streams.closed(99) == ([], None)  # a pipe has several ends
    assert streams.closed(11)[1] is not None and streams.closed(11)[1] is None
    streams.data(record(0, b"a", generation=5, **HTTP))
    assert [one.generation for _chunks, one in streams.exited("1:1") if one is not None] == [5]
    assert streams.exited("1:1") == []


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collector.plain.streams.MAX_CONNECTIONS", 2)
    monkeypatch.setattr("collector.plain.streams.MAX_WAITING", 10)
    streams = PlainStreams()
    for generation in (1, 2, 3):
        streams.data(record(4, b"abcd", generation=generation))
    # The first was forgotten with what it held; 12 bytes would be too many.
    assert streams.settle() == []
    assert told(streams.data(record(8, b"efg", generation=3))) == [(4, b"abcd", 4), (8, b"efg", 0)]
    assert told(streams.finish()) == [(4, b"abcd", 4)]


@given(
    st.lists(st.binary(min_size=1, max_size=5), max_size=12).flatmap(
        lambda parts: st.tuples(st.just(parts), st.permutations(range(len(parts))))
    ),
    st.sets(st.integers(0, 11)),
    st.integers(1, 13),
)
def test_in_any_order_each_byte_is_told_once_or_counted(
    split: tuple[list[bytes], list[int]], lost: set[int], every: int
) -> None:
    parts, order = split
    offsets = [sum(map(len, parts[:index])) for index in range(len(parts))]
    streams, chunks = PlainStreams(), list[PlainChunk]()
    for count, index in enumerate(order):
        if index not in lost:
            chunks += streams.data(record(offsets[index], parts[index]))
        if not count % every:
            chunks += streams.settle()
    chunks += streams.finish()
    known = 0
    for chunk in chunks:
        assert chunk.offset == known + chunk.missing
        assert b"".join(parts)[chunk.offset : chunk.offset + len(chunk.data)] == chunk.data
        known = chunk.offset + len(chunk.data)
    if not lost and every > len(parts):
        assert b"".join(chunk.data for chunk in chunks) == b"".join(parts)
