"""polygraph/openings.py: rows as the kernel writes them, packed and taken apart."""

from __future__ import annotations

import os

from hypothesis import given
from hypothesis import strategies as st

from polygraph.events import Reads, decode, encode
from polygraph.openings import ALL_PAGES, Extent, Opening, packed, size_of, unpack

_OPENINGS = st.builds(
    Opening,
    process=st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)).map(
        lambda key: f"{key[0]}:{key[1]}"
    ),
    dev=st.tuples(st.integers(0, 2**12 - 1), st.integers(0, 2**20 - 1)).map(lambda pair: os.makedev(*pair)),
    ino=st.integers(0, 2**64 - 1),
    ts=st.integers(0, 2**64 - 1),
    entry=st.integers(0, 2**63 - 1),
)

_EXTENTS = st.builds(
    lambda one, pages, of: Extent(one.process, one.dev, one.ino, one.ts, pages, of),
    _OPENINGS,
    st.none() | st.integers(0, ALL_PAGES - 1),
    st.integers(0, 2**32 - 1),
)
_ROWS = st.lists(_OPENINGS | _EXTENTS)


@given(_ROWS)
def test_what_was_packed_is_taken_apart(rows: list[Opening | Extent]) -> None:
    """Devices as stat(2) tells them, through the number that the kernel has for them."""
    assert list(unpack(packed(rows))) == rows
    assert size_of(packed(rows)) == len(rows)


@given(_ROWS)
def test_an_event_carries_them_through_the_log(rows: list[Opening | Extent]) -> None:
    event = Reads(session="s", ts=1, rows=packed(rows))
    read = decode(encode(event))
    assert isinstance(read, Reads) and list(read.all_rows()) == rows
    assert list(read.openings()) == [row for row in rows if isinstance(row, Opening)]
    assert list(read.extents()) == [row for row in rows if isinstance(row, Extent)]


@given(st.binary())
def test_what_is_no_packed_rows_holds_nothing(data: bytes) -> None:
    assert list(unpack(data)) == []
