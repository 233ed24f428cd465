"""What a log may go through between collector and correlator, and what must come out all the same.

Restarts at any commit point, deliveries that repeat, effects that come late or are dated ahead, watermarks that run
ahead, steps of the wall clock, pids that are used again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from correlator.engine import Engine, Said
from polygraph import events as e
from polygraph import findings
from polygraph.verdicts import encode
from tests.correlator.scenario import STEP, replay
from tests.correlator.test_properties import DIMENSION_OF, many, steps_of, story, words

HOUR = 3_600_000_000_000
Log = list[Any]


def lines(said: Said) -> list[bytes]:
    """What an engine said, as it is stored."""
    return [*map(encode, said.verdicts), *map(findings.encode, said.findings)]


def fed(engine: Engine, log: Iterable[Any]) -> list[list[bytes]]:
    """What came due with each event."""
    return [lines(engine.feed(event)) for event in log]


def interleaved(logs: list[Log], chance: Any) -> Log:
    """The logs of several sessions in one, each in its own order."""
    left = [list(log) for log in logs]
    together: Log = []
    while any(left):
        together.append(chance.choice([log for log in left if log]).pop(0))
    return together


def low_of(log: Log, at: int) -> int:
    """Where the oldest session begins that is open at ``at``: from there on the log is needed."""
    begins: dict[str, int] = {}
    for place, event in enumerate(log[:at]):
        begins.setdefault(event.session, place)
        if isinstance(event, e.SessionEnd):
            del begins[event.session]
    return min(begins.values(), default=at)


@many
@given(st.lists(steps_of, min_size=1, max_size=3), st.randoms(use_true_random=False), st.integers(0, 1000))
def test_a_restart_at_any_commit_point_says_the_same_from_there_on(
    stories: list[list[int]], chance: Any, part: int
) -> None:
    log = interleaved([story(steps, f"s{n}").log for n, steps in enumerate(stories)], chance)
    at = len(log) * part // 1000
    whole = fed(Engine(), log)
    again = Engine()
    fed(again, log[low_of(log, at) : at])  # silently
    assert fed(again, log[at:]) == whole[at:]
    assert again.open_sessions == 0


@many
@given(steps_of, st.lists(st.tuples(st.integers(0, 90), st.integers(0, 30)), max_size=8))
def test_what_is_delivered_again_anywhere_changes_nothing(
    steps: list[int], repeats: list[tuple[int, int]]
) -> None:
    log = story(steps).log
    twice = list(enumerate(log))
    for place, later in repeats:
        if place < len(log):
            twice.append((place + later, log[place]))
    twice.sort(key=lambda row: row[0])
    engine = Engine()
    said = [line for some in fed(engine, (event for _, event in twice)) for line in some]
    assert said == [line for some in fed(Engine(), log) for line in some]
    assert engine.open_sessions == 0


@many
@given(steps_of, st.integers(0, 90))
def test_a_whole_log_that_is_delivered_again_from_any_event_says_nothing(
    steps: list[int], since: int
) -> None:
    log = story(steps).log
    engine = Engine()
    fed(engine, log)
    assert not any(fed(engine, log[since:]))
    half = Engine()
    until = min(since, len(log) - 1)
    fed(half, log[:until])
    assert not any(fed(half, log[:until]))


def _accused(verdicts: Iterable[Any]) -> set[str]:
    return {verdict.subject.id for verdict in verdicts if verdict.verdict == "refuted"}


@many
@given(steps_of, st.integers(1, 90), st.integers(1, 40))
def test_an_effect_that_comes_late_accuses_nobody_from_then_on(steps: list[int], place: int, by: int) -> None:
    """What was said before it came was said without it: the Tick had promised that it would not come."""
    log = story(steps).log
    if place >= len(log) or type(log[place]) not in DIMENSION_OF:
        return
    shifted = [*log[:place], *log[place + 1 : place + 1 + by], log[place], *log[place + 1 + by :]]
    shifted.sort(key=lambda event: isinstance(event, e.SessionEnd))
    engine = Engine()
    before = _accused(replay(log))
    came = shifted.index(log[place])
    fed(engine, shifted[:came])
    after = [verdict for event in shifted[came:] for verdict in engine.feed(event).verdicts]
    assert _accused(after) <= before


@many
@given(steps_of, st.lists(st.integers(1, 90), max_size=3), st.sampled_from([1, 40 * STEP, HOUR, 1 << 62]))
def test_an_effect_that_is_dated_ahead_accuses_nobody(steps: list[int], places: list[int], by: int) -> None:
    log = story(steps).log
    moved = [
        msgspec.structs.replace(event, ts=event.ts + by)
        if place in places and type(event) in DIMENSION_OF and not isinstance(event, e.Reads)
        else event
        for place, event in enumerate(log)
    ]
    before = _accused(replay(log))
    told = replay(moved)
    assert len(told) == len(words(replay(log)))
    if by > STEP:  # else it may be true
        assert _accused(told) <= before


@many
@given(steps_of, st.sets(st.integers(0, 20)), st.sampled_from([STEP, HOUR, 1 << 62]))
def test_a_watermark_that_runs_ahead_closes_no_window(steps: list[int], which: set[int], by: int) -> None:
    log = story(steps).log
    ticks = [event for event in log if isinstance(event, e.Tick)]
    early = {tick.seq for number, tick in enumerate(ticks) if number in which}
    hasty = [msgspec.structs.replace(x, ts=x.ts + by) if x.seq in early else x for x in log]
    before, after = words(replay(log)), words(replay(hasty))
    assert {key: (v.verdict, v.reason) for key, v in before.items()} == {
        key: (v.verdict, v.reason) for key, v in after.items()
    }


@many
@given(steps_of, st.integers(-(1 << 62), 1 << 62))
def test_the_wall_clock_decides_nothing(steps: list[int], offset: int) -> None:
    log = story(steps).log
    stepped = [msgspec.structs.replace(log[0], wall_offset=offset), *log[1:]]
    assert fed(Engine(), stepped) == fed(Engine(), log)


def _renamed(event: Any, names: dict[str, str]) -> Any:
    """The event with other process keys."""
    changed = {
        field: names.setdefault(value, f"7:{len(names) + 1}")
        for field in ("process", "parent", "child")
        if isinstance(value := getattr(event, field, None), str) and value
    }
    return msgspec.structs.replace(event, **changed) if changed else event


@many
@given(steps_of)
def test_a_pid_that_is_used_again_and_again_is_another_process_each_time(steps: list[int]) -> None:
    log = [event for event in story(steps).log if not isinstance(event, e.Reads)]  # their rows have keys, too
    names: dict[str, str] = {}
    one_pid = [_renamed(event, names) for event in log]
    before, after = replay(log), replay(one_pid)
    assert [(v.subject.id, v.verdict, v.reason, v.grade) for v in before] == [
        (v.subject.id, v.verdict, v.reason, v.grade) for v in after
    ]
