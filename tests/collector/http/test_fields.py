"""Header blocks against `hpack`'s encoder: whole, and from any block on; what was not seen is unknown, never wrong."""

from __future__ import annotations

import pytest
from hpack import Encoder
from hypothesis import given
from hypothesis import strategies as st

from collector.http.fields import KEPT, UNKNOWN, FieldDecoder, Fields
from collector.http.head import HttpError

_PAIRS = st.tuples(
    st.sampled_from([b"a", b"x-b", b"content-type", b"cookie", b":path"]),
    st.sampled_from([b"", b"1", b"2", b"v" * 30, b"w" * 200]),
)
_BLOCKS = st.lists(
    st.tuples(st.none() | st.sampled_from([0, 31, 40, 80, 300, 4096, 1 << 20]), st.lists(_PAIRS, max_size=6)),
    max_size=12,
)


def encoded(said: list[tuple[int | None, Fields]]) -> list[bytes]:
    encoder = Encoder()
    blocks = []
    for size, fields in said:
        if size is not None:
            encoder.header_table_size = size
        blocks.append(encoder.encode(fields))
    return blocks


@given(_BLOCKS)
def test_blocks_are_read_as_they_were_said(said: list[tuple[int | None, Fields]]) -> None:
    decoder = FieldDecoder()
    assert [decoder.decode(block) for block in encoded(said)] == [fields for _, fields in said]


@given(_BLOCKS, st.data())
def test_from_any_block_on_each_field_is_right_or_unknown(
    said: list[tuple[int | None, Fields]], data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, len(said)))
    decoder = FieldDecoder()
    for block in encoded(said)[: data.draw(st.integers(0, start))]:
        decoder.decode(block)
    decoder.forget()
    for block, (_, fields) in list(zip(encoded(said), said, strict=True))[start:]:
        read = decoder.decode(block)
        assert len(read) == len(fields)
        for (name, value), (true_name, true_value) in zip(read, fields, strict=True):
            assert name in (UNKNOWN, true_name) and value in (UNKNOWN, true_value)
            assert name == UNKNOWN or value == true_value


def test_a_table_that_was_filled_anew_is_known() -> None:
    """Once what was seen fills the table, an entry beyond it is an error and no longer unknown."""
    decoder = FieldDecoder()
    decoder.forget()
    assert decoder.decode(b"\xbe") == [(UNKNOWN, UNKNOWN)]
    decoder.decode(b"\x3f\x4f")  # a table of 110 bytes
    assert decoder.decode(b"\x40\x01a\x01b") == [(b"a", b"b")]
    assert decoder.decode(b"\xbf") == [(UNKNOWN, UNKNOWN)]
    with pytest.raises(HttpError, match="header_compression"):
        decoder.decode(b"\xc2")  # there is no room for a fifth one
    decoder = FieldDecoder()
    decoder.forget()
    decoder.decode(b"\x3f\x4f" + b"\x40\x01a\x01b" * 3)
    with pytest.raises(HttpError, match="header_compression"):
        decoder.decode(b"\xc1")


def test_a_table_of_4_gib_is_kept_in_part_and_the_rest_is_unknown() -> None:
    decoder = FieldDecoder()
    encoder = Encoder()
    encoder.header_table_size = (1 << 32) - 1
    values = [b"%06d" % n + b"v" * 1000 for n in range(200)]
    for value in values:
        decoder.decode(encoder.encode([(b"x-a", value)]))
    table = decoder._table
    assert sum(len(name) + len(value) + 32 for name, value in table.entries) <= KEPT
    assert decoder.decode(encoder.encode([(b"x-a", values[-50])])) == [(b"x-a", values[-50])]
    assert decoder.decode(encoder.encode([(b"x-a", values[0])])) == [(UNKNOWN, UNKNOWN)]


def test_an_entry_too_large_empties_the_table() -> None:
    decoder = FieldDecoder()
    decoder.decode(b"\x3f\x21" + b"\x40\x01a\x01b")  # 64 bytes
    assert decoder.decode(b"\xbe") == [(b"a", b"b")]
    decoder.decode(b"\x40\x01a\x40" + b"v" * 64)
    with pytest.raises(HttpError, match="header_compression"):
        decoder.decode(b"\xbe")
