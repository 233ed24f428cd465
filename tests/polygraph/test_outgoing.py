"""polygraph.log.outgoing: the numbers under which a host's events go out."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from polygraph import events as e
from polygraph.log.batches import Batch, unpack
from polygraph.log.outgoing import HEARTBEAT, LEAP, Outgoing


def events_of(batches: list[Batch]) -> list[e.AnyEvent]:
    return [event for batch in batches for event in unpack(batch.session, batch.value, 1)]


def ticks(session: str, first: int, count: int) -> list[e.AnyEvent]:
    return [e.Tick(session=session, ts=100 + seq, seq=seq) for seq in range(first, first + count)]


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 9)), max_size=30),
    st.integers(1, 300),
    st.randoms(use_true_random=False),
)
def test_batches_of_a_session_follow_each_other_without_a_hole(
    rounds: list[tuple[str, int]], full: int, chance: Any
) -> None:
    outgoing, told, numbers = Outgoing(full=full), dict[str, list[e.AnyEvent]](), dict[str, int]()
    reached = dict[str, int]()
    while rounds:
        some, rounds = rounds[:3], rounds[3:]
        fresh: list[e.AnyEvent] = []
        for session, count in some:
            fresh += ticks(session, numbers.get(session, 0), count)
            numbers[session] = numbers.get(session, 0) + count
        chance.shuffle(some)
        for event in fresh:
            told.setdefault(event.session, []).append(event)
        for batch in outgoing.take(fresh):
            assert batch.first == reached.get(batch.session, 0) < batch.next
            assert batch.events == len(unpack(batch.session, batch.value, 1))
            reached[batch.session] = batch.next
    assert reached == numbers == outgoing.numbers


def test_a_session_that_an_earlier_collector_had_begun_goes_on_behind_its_numbers() -> None:
    outgoing = Outgoing({"old": 7, "other": 3})
    (batch,) = outgoing.take(ticks("old", 0, 2))
    assert (batch.first, batch.next) == (7 + LEAP, 9 + LEAP)
    assert [event.seq for event in events_of([batch])] == [7 + LEAP, 8 + LEAP]
    (batch,) = outgoing.take(ticks("new", 0, 2))
    assert (batch.first, batch.next) == (0, 2)
    assert outgoing.numbers == {"old": 9 + LEAP, "other": 3, "new": 2}


def test_a_session_that_ended_has_no_number_any_more() -> None:
    outgoing = Outgoing()
    outgoing.take(
        [*ticks("s", 0, 2), e.SessionEnd(session="s", ts=9, seq=2), e.Tick(session="s", ts=9, seq=3)]
    )
    assert outgoing.numbers == {} and outgoing.heartbeats(1 << 62) == []


def test_of_a_session_that_is_silent_the_last_tick_is_told_again_now_and_then() -> None:
    outgoing = Outgoing()
    outgoing.take(ticks("s", 0, 3))
    assert outgoing.heartbeats(102 + HEARTBEAT - 1) == []
    (batch,) = outgoing.heartbeats(102 + HEARTBEAT)
    assert (batch.first, batch.next) == (3, 3)
    assert events_of([batch]) == [e.Tick(session="s", ts=102, seq=0)]
    assert outgoing.heartbeats(102 + HEARTBEAT + 1) == []
