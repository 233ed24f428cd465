"""correlator.partition: what one partition of a fleet's log says, whoever reads it, and from where on."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from correlator.partition import Partition, Took
from polygraph import events as e
from polygraph import findings
from polygraph.log.progress import Progress, from_committed, to_metadata
from polygraph.verdicts import encode
from tests.correlator.scenario import Scenario
from tests.correlator.test_properties import many, steps_of, story

#: ms
IDLE = 1000
Record = tuple[int, int, str, list[Any], int, int]  # as Partition.take has them


class Reader(Partition):
    """One whose tests say no numbers: those of the events."""

    def take(
        self, offset: int, stamp: int, session: str, events: Any, first: int = -1, following: int = -1
    ) -> Took:
        if first < 0 and events:
            first, following = events[0].seq, events[-1].seq + 1
        return super().take(offset, stamp, session, events, first, following)


def lines(took: Took) -> list[bytes]:
    """What a record brought, as it is sent."""
    return [*map(encode, took.verdicts), *map(findings.encode, took.findings)]


def records_of(logs: list[list[Any]], chance: Any, *, cut: bool = False) -> list[Record]:
    """Batches of sessions in one partition, each one's in order; stamps that jump. ``cut``: without ends."""
    left = [[event for event in log if not (cut and isinstance(event, e.SessionEnd))] for log in logs]
    rows: list[Record] = []
    offset = stamp = 0
    while any(left):
        log = chance.choice([log for log in left if log])
        size = chance.randint(1, 30)
        batch, log[:] = log[:size], log[size:]
        offset += chance.choice([1, 1, 1, 3])  # a log has holes
        stamp += chance.choice([0, 1, IDLE // 2, IDLE + 1, -5])
        rows.append((offset, max(stamp, 0), batch[0].session, batch, batch[0].seq, batch[-1].seq + 1))
    return rows


def again(progress: Progress) -> Progress:
    """What the next reader finds."""
    return from_committed(progress.low, to_metadata(progress))


@many
@given(st.lists(steps_of, min_size=1, max_size=3), st.randoms(use_true_random=False), st.booleans())
def test_whoever_takes_over_anywhere_says_the_same(stories: list[list[int]], chance: Any, cut: bool) -> None:
    rows = records_of([story(steps, f"s{n}").log for n, steps in enumerate(stories)], chance, cut=cut)
    first = Reader(idle=IDLE)
    whole, progresses = [], [first.progress()]
    for row in rows:
        whole.append(first.take(*row))
        progresses.append(first.progress())
    at = chance.randrange(len(rows) + 1)
    progress = again(progresses[at])
    assert progress.low <= progress.emit_from
    second = Reader(progress, idle=IDLE)
    for place, row in enumerate(rows):
        if row[0] < progress.low:
            continue
        took = second.take(*row)
        if place < at:
            assert took == Took(again=True)
        else:
            assert lines(took) == lines(whole[place])
            assert took.refused in {whole[place].refused, "headless"}
    assert second.progress() == first.progress()


def session(name: str = "s", steps: tuple[int, ...] = (0, 1, 2, 3)) -> list[Any]:
    """What happened in one session."""
    return list(story(list(steps), name).log)


def test_a_session_of_which_nothing_comes_any_more_is_ended_by_the_brokers_clock() -> None:
    log = session()
    partition = Reader(idle=IDLE)
    partition.take(0, 0, "s", log[:-2])
    partition.take(1, IDLE, "other", session("other"))
    assert partition.open_sessions == 1 and partition.progress() == Progress(0, 2, 0)
    partition.take(2, IDLE + 1, "third", session("third"))
    assert partition.open_sessions == 0 and partition.ended_idle == 1
    assert partition.progress() == Progress(3, 3, IDLE + 1)
    assert partition.take(3, IDLE + 1, "s", log[-2:]).refused == "ended"


def test_whose_last_record_is_older_is_ended_first() -> None:
    first, second = session("first"), session("second")
    partition = Reader(idle=IDLE)
    partition.take(0, 0, "first", first[:2])
    partition.take(1, 10, "second", second[:2])
    partition.take(2, 900, "first", first[2:4])
    partition.take(3, 11 + IDLE, "third", session("third"))
    assert partition.ended_idle == 1 and partition.progress() == Progress(0, 4, 0)
    partition.take(4, 900 + IDLE, "third", session("third"))
    assert partition.open_sessions == 1
    partition.take(5, 901 + IDLE, "third", session("third"))
    assert partition.open_sessions == 0


def unwritten() -> tuple[list[Any], list[Any], str]:
    """A log in which the agent tells of a file that nobody wrote: before it is told, from then on, the claim."""
    scenario = Scenario()
    scenario.writes("/repo/a.md")
    claim = scenario.claims("file_created", targets=("notes.md",))
    scenario.tick()
    scenario.add(e.SessionEnd)
    at = scenario.log.index(claim)
    return scenario.log[:at], scenario.log[at:], claim.claim


def told_of(claim: str, took: Took) -> list[tuple[str, str | None]]:
    return [(one.verdict, one.reason) for one in took.verdicts if one.subject.id == claim]


def test_what_was_not_done_is_refuted_where_all_could_be_read() -> None:
    before, then, claim = unwritten()
    partition = Reader(idle=IDLE)
    partition.take(0, 0, before[0].session, before)
    assert told_of(claim, partition.take(1, 0, before[0].session, then)) == [("refuted", "not_written")]


def test_after_a_record_that_cannot_be_read_no_silence_counts() -> None:
    before, then, claim = unwritten()
    partition = Reader(idle=IDLE)
    partition.take(0, 0, before[0].session, before)
    partition.take(1, 0, before[0].session, [])
    took = partition.take(2, 0, before[0].session, then)
    assert told_of(claim, took) == [("unverifiable", "records_lost")]


def test_where_a_batch_is_missing_no_silence_counts() -> None:
    """It was dropped by a spool without room, or lay where a disk was damaged."""
    before, then, claim = unwritten()
    for hole, said in ((0, ("refuted", "not_written")), (1, ("unverifiable", "records_lost"))):
        partition = Reader(idle=IDLE)
        partition.take(0, 0, before[0].session, before)
        number = then[0].seq + hole
        took = partition.take(1, 0, before[0].session, then, number, number + len(then))
        assert told_of(claim, took) == [said]


def test_of_a_session_that_was_cut_off_no_silence_is_held_against_the_agent() -> None:
    before, then, claim = unwritten()
    partition = Reader(idle=IDLE)
    partition.take(0, 0, before[0].session, [*before, then[0]])
    took = partition.take(1, IDLE + 1, "other", session("other")[:1])
    assert told_of(claim, took) == [("unverifiable", "records_lost")]


def test_a_clock_of_a_host_that_runs_ahead_ends_nobody() -> None:
    far = [msgspec.structs.replace(event, ts=event.ts + (1 << 60)) for event in session("far")]
    partition = Reader(idle=IDLE)
    partition.take(0, 0, "s", session()[:-2])
    partition.take(1, 1, "far", far)
    assert partition.open_sessions == 1 and partition.ended_idle == 0


def test_a_record_that_cannot_be_read_of_a_session_that_is_not_open_changes_nothing() -> None:
    partition = Reader(idle=IDLE)
    assert partition.take(0, 0, "s", []) == Took()
    assert partition.open_sessions == 0 and partition.progress() == Progress(1, 1, 0)


def test_a_session_without_its_beginning_is_refused_and_says_nothing() -> None:
    partition = Reader(idle=IDLE)
    assert partition.take(0, 0, "s", session()[3:]) == Took(refused="headless")


def test_what_is_delivered_again_after_the_end_is_refused_but_for_a_last_tick() -> None:
    log = session()
    partition = Reader(idle=IDLE)
    assert partition.take(0, 0, "s", log).verdicts
    assert partition.take(1, 0, "s", log) == Took(refused="ended")
    assert partition.take(2, 0, "s", [e.Tick(session="s", ts=log[-1].ts + 1, seq=999)]) == Took()


def test_who_does_not_know_that_a_session_has_ended_refuses_no_last_tick_of_it() -> None:
    partition = Reader(idle=IDLE)
    assert partition.take(0, 0, "s", [e.Tick(session="s", ts=1, seq=999)]) == Took()
    assert partition.open_sessions == 0


def test_offsets_that_were_set_by_hand_let_all_be_said() -> None:
    partition = Reader(from_committed(7, ""))
    assert partition.take(7, 0, "s", session()).verdicts
