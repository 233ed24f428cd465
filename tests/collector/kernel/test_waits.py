"""Rows of waits as events: nothing is counted twice or left out, whenever the list was taken."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from collector.kernel import wire
from collector.kernel.waits import KINDS, LONG, ROW, waits
from polygraph.events import Wait

NAMES = tuple(kind.name.removeprefix("PG_WAIT_").lower() for kind in wire.WaitKind)


def row(
    since: int,
    length: int,
    *,
    pid: int = 7,
    on: int = 8,
    kind: str = "pipe",
    number: int = 3,
    theirs: bool = False,
) -> bytes:
    """A row as it lies in the ring."""
    until = since + length
    on_start = 80 if on else 0
    return ROW.pack(1, 70, on_start, number, since, until, pid, pid, on, KINDS.index(kind), theirs)  # type: ignore[arg-type]


def test_the_row_is_the_kernels() -> None:
    assert ROW.size == wire.WAITED.size + 8
    assert KINDS == NAMES


def test_short_waits_are_summed_up_and_long_ones_told_alone() -> None:
    rows = row(100, 5_000_000) + row(10_000_000, LONG) + row(9_000_000, 2_000_000) + row(5, 7_000_000, on=0)
    long, short, unknown = waits(rows, "s", 99)
    assert long == Wait(
        session="s", ts=99, process="7:70", kind="pipe", on="8:80", object=3, count=1,
        total=LONG, longest=LONG, first_ts=10_000_000, last_ts=10_000_000 + LONG,
    )  # fmt: skip
    assert (short.count, short.total, short.longest) == (2, 7_000_000, 5_000_000)
    assert (short.first_ts, short.last_ts) == (100, 11_000_000)
    assert (unknown.on, unknown.count, unknown.total) == (None, 1, 7_000_000)


def test_what_nobody_is_known_to_have_ended_is_summed_up_however_long() -> None:
    (told,) = waits(row(0, LONG, on=0) + row(LONG, 3 * LONG, on=0), "s", 1)
    assert (told.count, told.total, told.longest) == (2, 4 * LONG, 3 * LONG)


def totals(events: list[Wait]) -> Counter[tuple[object, ...]]:
    """Numbers and lengths of waits by what they are for."""
    found: Counter[tuple[object, ...]] = Counter()
    for event in events:
        of = (event.process, event.kind, event.on, event.object, event.theirs)
        found["count", *of] += event.count
        found["total", *of] += event.total
    return found


ROWS = st.lists(
    st.builds(
        row,
        st.integers(0, 2**40),
        st.integers(1_000_000, 2 * LONG),
        pid=st.integers(1, 2),
        on=st.integers(0, 2),
        kind=st.sampled_from(KINDS),
        number=st.integers(0, 1),
        theirs=st.booleans(),
    )
)


@given(ROWS, st.lists(st.integers(0, 50)))
def test_the_sums_do_not_depend_on_when_the_list_was_taken(rows: list[bytes], cuts: list[int]) -> None:
    at_once = list(waits(b"".join(rows), "s", 1))
    edges = sorted({0, *(min(cut, len(rows)) for cut in cuts), len(rows)})
    pieces = [event for start, end in pairwise(edges) for event in waits(b"".join(rows[start:end]), "s", end)]
    assert totals(pieces) == totals(at_once)
    assert all(event.longest <= event.total <= event.longest * event.count for event in pieces)
