"""polygraph.log.batches and progress: what goes through a shared log comes out, and what is none is told."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polygraph import events as e
from polygraph.log.batches import UnreadableError, headers, numbers_of, pack, unpack
from polygraph.log.progress import Progress, from_committed, to_metadata

#: an event of each type as schema 1 wrote it; a reader of any later version must take it
FIRST_SCHEMA = (Path(__file__).parent / "schema_1.jsonl").read_bytes().rstrip()

events_of = st.lists(
    st.one_of(
        st.builds(e.Tick, session=st.just("s"), ts=st.integers(0, 1 << 62), seq=st.integers(0, 1 << 40)),
        st.builds(e.Exit, session=st.just("s"), ts=st.integers(0, 9), process=st.text(), status=st.integers(0, 255)),
    ),
    max_size=40,
)  # fmt: skip


@given(events_of, st.integers(1, 400))
def test_what_was_packed_comes_out_in_its_order(events: list[e.AnyEvent], full: int) -> None:
    numbered = [msgspec.structs.replace(event, seq=7 + place) for place, event in enumerate(events)]
    batches = list(pack(numbered, 5, 7 + len(numbered), full))
    assert [event for batch in batches for event in unpack("s", batch.value, 1)] == numbered
    assert all(len(batch.value) <= full or batch.events == 1 for batch in batches)
    edges = [(batch.first, batch.next) for batch in batches]
    assert [begin for begin, _ in edges] == [5, *(end for _, end in edges[:-1])][: len(edges)]
    assert not edges or edges[-1][1] == 7 + len(numbered)


def test_a_reader_takes_what_the_first_schema_wrote() -> None:
    """And loses nothing of it: a new type of event needs a line here and another schema."""
    events = unpack("s", FIRST_SCHEMA, 1)
    assert {type(event) for event in events} == set(get_args(e.AnyEvent))
    kept = [msgspec.json.decode(e.encode(event)) for event in events]
    for line, now in zip(FIRST_SCHEMA.splitlines(), kept, strict=True):
        was = msgspec.json.decode(line)
        assert {key: now.get(key) for key in was} == was


def test_an_old_reader_leaves_out_a_field_that_it_does_not_know() -> None:
    line = b'{"type":"tick","session":"s","ts":4,"seq":3,"a_field_of_later":{"x":[1]}}'
    assert unpack("s", line, 1) == [e.Tick(session="s", ts=4, seq=3)]


@pytest.mark.parametrize(
    ("session", "value", "schema", "reason"),
    [
        ("s", b"", 1, "empty"),
        ("s", b"{", 1, "malformed"),
        ("s", b"\xff\xfe", 1, "malformed"),
        ("s", b'{"type":"tick","session":"s"}', 1, "malformed"),
        ("s", b'{"type":"a_type_of_later","session":"s","ts":4}', 1, "malformed"),
        ("s", b'{"type":"tick","session":"s","ts":"4"}', 1, "malformed"),
        ("t", FIRST_SCHEMA, 1, "other_session"),
        ("s", FIRST_SCHEMA, e.SCHEMA_VERSION + 1, "newer_schema"),
    ],
)
def test_what_is_no_batch_is_told_by_its_reason(session: str, value: bytes, schema: int, reason: str) -> None:
    with pytest.raises(UnreadableError) as caught:
        unpack(session, value, schema)
    assert caught.value.reason == reason


@given(st.binary(max_size=200))
def test_any_bytes_are_a_batch_or_unreadable(value: bytes) -> None:
    try:
        assert unpack("s", value, 1)
    except UnreadableError as error:
        assert error.reason


@given(st.integers(0, 1 << 50), st.integers(0, 1 << 50))
def test_headers_tell_what_a_record_covers(first: int, following: int) -> None:
    assert numbers_of(headers(first, following)) == (e.SCHEMA_VERSION, first, following)


@pytest.mark.parametrize("name", headers(0, 1))
@pytest.mark.parametrize("bad", [None, b"", b"x", b"-1", "٣".encode(), b"1" * 19])
def test_a_header_that_is_no_number_is_told(name: str, bad: bytes | None) -> None:
    told = headers(0, 1)
    del told[name]
    if bad is not None:
        told[name] = bad
    with pytest.raises(UnreadableError, match="malformed"):
        numbers_of(told)


offsets = st.integers(0, 1 << 62)


@given(offsets, offsets, offsets)
def test_progress_is_what_was_committed(low: int, more: int, watermark: int) -> None:
    progress = Progress(low, low + more, watermark)
    metadata = to_metadata(progress)
    assert from_committed(low, metadata) == progress
    assert len(metadata) < 200


@given(st.integers(1, 1 << 40), st.text(max_size=60))
def test_metadata_of_others_let_all_be_said(offset: int, metadata: str) -> None:
    assert from_committed(offset, metadata) == Progress(offset, offset, 0)


@pytest.mark.parametrize(
    "row",
    [
        {"v": 2, "emit_from": 9, "watermark": 0},
        {"v": 1, "emit_from": 4, "watermark": 0},
        {"v": 1, "emit_from": 9, "watermark": -1},
        {"v": 1, "emit_from": 9, "watermark": 0, "more": 1},
    ],
)
def test_metadata_that_does_not_fit_its_offset_is_not_believed(row: dict[str, int]) -> None:
    assert from_committed(5, msgspec.json.encode(row).decode()) == Progress(5, 5, 0)
