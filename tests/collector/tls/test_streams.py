"""collector/tls/streams.py: the bytes of each direction come in order, and exactly what is lost is called missing."""

from __future__ import annotations

from typing import Literal, NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from collector.tls.streams import MAX_CONNECTIONS, Chunk, ConnectionKey, TlsClose, TlsData, TlsStreams

P = "10:20"
KEY = ConnectionKey(P, 0x7F00, 1)


def record(
    offset: int,
    data: bytes,
    missing: int = 0,
    direction: Literal[0, 1] = 0,
    ts: int = 5,
    key: ConnectionKey = KEY,
) -> TlsData:
    return TlsData(key.process, key.ssl, key.generation, direction, offset, data, missing, ts)


def rebuilt(chunks: list[Chunk]) -> list[int | None]:
    content: list[int | None] = []
    for chunk in chunks:
        content += [None] * chunk.missing
        assert chunk.offset == len(content)
        content += chunk.data
    return content


def test_records_in_order_are_the_bytes_with_nothing_missing() -> None:
    streams = TlsStreams()
    chunks = streams.data(record(0, b"abc", ts=1)) + streams.data(record(3, b"de", ts=2))
    assert chunks == [Chunk(KEY, "sent", 0, b"abc", 1, 0), Chunk(KEY, "sent", 3, b"de", 2, 0)]


def test_a_record_that_was_lost_is_missing_before_the_next_one() -> None:
    streams = TlsStreams()
    streams.data(record(0, b"abc"))
    assert streams.data(record(10, b"k")) == [Chunk(KEY, "sent", 10, b"k", 5, 7)]


def test_what_came_before_the_first_record_is_missing() -> None:
    assert TlsStreams().data(record(100, b"x")) == [Chunk(KEY, "sent", 100, b"x", 5, 100)]


def test_what_the_kernel_did_not_copy_is_told_at_once_and_only_once() -> None:
    streams = TlsStreams()
    assert streams.data(record(0, b"ab", missing=6)) == [
        Chunk(KEY, "sent", 0, b"ab", 5, 0),
        Chunk(KEY, "sent", 8, b"", 5, 6),
    ]
    assert streams.data(record(8, b"i")) == [Chunk(KEY, "sent", 8, b"i", 5, 0)]


def test_a_hole_and_what_was_not_copied_add_up_where_no_byte_is_between() -> None:
    assert TlsStreams().data(record(4, b"", missing=6)) == [Chunk(KEY, "sent", 10, b"", 5, 10)]


def test_an_empty_record_says_nothing_and_hides_no_hole() -> None:
    streams = TlsStreams()
    assert streams.data(record(9, b"")) == []
    assert streams.data(record(9, b"x")) == [Chunk(KEY, "sent", 9, b"x", 5, 9)]


def test_what_comes_twice_is_given_once_and_of_an_overlap_the_new_part() -> None:
    streams = TlsStreams()
    streams.data(record(0, b"abcd", missing=2))
    assert streams.data(record(0, b"abcd", missing=2)) == []
    assert streams.data(record(1, b"bc")) == []
    assert streams.data(record(4, b"??ghi")) == [Chunk(KEY, "sent", 6, b"ghi", 5, 0)]
    assert streams.data(record(7, b"h", missing=4)) == [Chunk(KEY, "sent", 12, b"", 5, 3)]


def test_directions_connections_and_uses_of_an_address_do_not_mix() -> None:
    streams = TlsStreams()
    others = [KEY, KEY._replace(ssl=1), KEY._replace(generation=2), KEY._replace(process="10:21")]
    for key in others:
        for direction in (0, 1):
            way: Literal[0, 1] = 1 if direction else 0
            (chunk,) = streams.data(record(0, b"a", direction=way, key=key))
            assert chunk == Chunk(key, "received" if direction else "sent", 0, b"a", 5, 0)


def test_a_connection_is_closed_once_and_only_if_it_was_known() -> None:
    streams = TlsStreams()
    closing = TlsClose(P, KEY.ssl, KEY.generation, 9)
    assert streams.close(closing) == []
    streams.data(record(0, b"a"))
    assert streams.close(closing) == [KEY]
    assert streams.close(closing) == []


def test_the_end_of_a_process_closes_its_connections_and_no_other() -> None:
    streams = TlsStreams()
    mine = [KEY._replace(ssl=number) for number in range(3)]
    other = KEY._replace(process="10:21")
    for key in [*mine, other]:
        streams.data(record(0, b"a", key=key))
    assert streams.exited(P) == mine
    assert streams.exited(P) == []
    assert streams.data(record(1, b"b", key=other)) == [Chunk(other, "sent", 1, b"b", 5, 0)]


def test_the_connection_silent_longest_is_forgotten_beyond_the_bound() -> None:
    streams = TlsStreams()
    keys = [KEY._replace(ssl=number) for number in range(MAX_CONNECTIONS)]
    for key in keys:
        streams.data(record(0, b"a", key=key))
    streams.data(record(1, b"b", key=keys[0]))
    streams.data(record(0, b"a", key=KEY._replace(ssl=MAX_CONNECTIONS)))
    assert streams.close(TlsClose(P, keys[1].ssl, 1, 9)) == []
    assert streams.close(TlsClose(P, keys[0].ssl, 1, 9)) == [keys[0]]
    assert len(streams.exited(P)) == MAX_CONNECTIONS - 1


class Piece(NamedTuple):
    """A call's bytes: how many arrive, how many were not copied, and what happens to the record."""

    size: int
    missing: int
    fate: Literal["once", "twice", "lost"]


_PIECES = st.lists(
    st.builds(
        Piece, st.integers(0, 9), st.sampled_from([0, 0, 0, 1, 7]), st.sampled_from(["once", "twice", "lost"])
    ),
    max_size=30,
)


@given(_PIECES, _PIECES)
def test_any_split_loss_or_repetition_gives_each_byte_at_its_place_and_every_hole(
    sent: list[Piece], received: list[Piece]
) -> None:
    streams = TlsStreams()
    found: dict[str, list[Chunk]] = {"sent": [], "received": []}
    for direction, pieces in ((0, sent), (1, received)):
        way: Literal[0, 1] = 1 if direction else 0
        name = "received" if direction else "sent"
        true: list[int | None] = []
        seen = 0  # up to where anything that arrived reaches
        for number, piece in enumerate(pieces):
            offset, data = len(true), bytes([number]) * piece.size
            arrives = piece.fate != "lost"
            true += data if arrives else [None] * piece.size
            true += [None] * piece.missing
            for _ in range({"once": 1, "twice": 2, "lost": 0}[piece.fate]):
                found[name] += streams.data(record(offset, data, piece.missing, way))
            if arrives and (piece.size or piece.missing):
                seen = len(true)
        assert rebuilt(found[name]) == true[:seen]
        assert sum(chunk.missing for chunk in found[name]) == true[:seen].count(None)


@given(st.binary(max_size=60), st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=20))
def test_overlapping_pieces_in_any_order_never_give_a_byte_twice_or_elsewhere(
    stream: bytes, cuts: list[tuple[int, int]]
) -> None:
    streams = TlsStreams()
    chunks: list[Chunk] = []
    for start, size in cuts:
        chunks += streams.data(record(start, stream[start : start + size]))
    for place, byte in enumerate(rebuilt(chunks)):
        assert byte in (None, stream[place])
