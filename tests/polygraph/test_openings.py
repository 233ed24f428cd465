"""polygraph/openings.py: rows as the kernel writes them, packed and taken apart."""

from __future__ import annotations

import os

from hypothesis import given
from hypothesis import strategies as st

from polygraph.events import Reads, decode, encode
from polygraph.openings import Opening, packed, unpack

_OPENINGS = st.builds(
    Opening,
    process=st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)).map(
        lambda key: f"{key[0]}:{key[1]}"
    ),
    dev=st.tuples(st.integers(0, 2**12 - 1), st.integers(0, 2**20 - 1)).map(lambda pair: os.makedev(*pair)),
    ino=st.integers(0, 2**64 - 1),
    ts=st.integers(0, 2**64 - 1),
    entry=st.integers(0, 2**64 - 1),
)


@given(st.lists(_OPENINGS))
def test_what_was_packed_is_taken_apart(openings: list[Opening]) -> None:
    """Devices as stat(2) tells them, through the number that the kernel has for them."""
    assert list(unpack(packed(openings))) == openings


@given(st.lists(_OPENINGS))
def test_an_event_carries_them_through_the_log(openings: list[Opening]) -> None:
    event = Reads(session="s", ts=1, rows=packed(openings))
    read = decode(encode(event))
    assert isinstance(read, Reads) and list(read.openings()) == openings


@given(st.binary())
def test_what_is_no_packed_rows_holds_nothing(data: bytes) -> None:
    assert list(unpack(data)) == []
