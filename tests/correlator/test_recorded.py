"""Recorded sessions, in every way in which a log may reach the correlator: the same is said, byte for byte."""

from __future__ import annotations

from functools import cache
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from correlator.engine import Engine
from polygraph import events as e
from polygraph.ids import derived_id
from tests.corpus import records, schema
from tests.correlator.test_replay import Log, fed, interleaved, low_of

#: of each eighth family the shortest session, of at most so many events: what is slow is the mixing
_EACH, _SHORT = 7, 150
some = settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


@cache
def logs() -> list[Log]:
    found = []
    for family in list(schema.families())[::_EACH]:
        sessions = [list(record.events()) for record in records.load(family) if len(record.log) <= _SHORT]
        if sessions:
            found.append(min(sessions, key=len))
    return found


@cache
def alone() -> dict[str, list[list[bytes]]]:
    """What is said of each session when nothing else is there, event by event."""
    return {log[0].session: fed(Engine(), log) for log in logs()}


def said(log: Log, lines: list[list[bytes]]) -> dict[str, list[list[bytes]]]:
    """What was said, by session."""
    found: dict[str, list[list[bytes]]] = {}
    for event, some_lines in zip(log, lines, strict=True):
        found.setdefault(event.session, []).append(some_lines)
    return found


chosen = st.lists(st.integers(0, 1000), min_size=1, max_size=4, unique=True).map(
    lambda numbers: [logs()[number] for number in sorted({n % len(logs()) for n in numbers})]
)


def test_there_are_enough_of_them_and_they_say_something() -> None:
    assert len(logs()) >= 6
    for lines in alone().values():
        assert any(lines)


@some
@given(chosen, st.randoms(use_true_random=False))
def test_sessions_that_come_at_once_say_what_each_says_alone(sample: list[Log], chance: Any) -> None:
    together = interleaved(sample, chance)
    engine = Engine()
    lines = fed(engine, together)
    assert said(together, lines) == {log[0].session: alone()[log[0].session] for log in sample}
    assert engine.open_sessions == 0


@some
@given(chosen, st.randoms(use_true_random=False), st.integers(0, 1000))
def test_a_restart_at_any_commit_point_of_recorded_sessions_says_the_same(
    sample: list[Log], chance: Any, part: int
) -> None:
    log = interleaved(sample, chance)
    at = len(log) * part // 1000
    whole = fed(Engine(), log)
    again = Engine()
    fed(again, log[low_of(log, at) : at])  # silently
    assert fed(again, log[at:]) == whole[at:]


@some
@given(chosen, st.lists(st.tuples(st.integers(0, 500), st.integers(0, 60)), max_size=12))
def test_what_is_delivered_again_of_recorded_sessions_changes_nothing(
    sample: list[Log], repeats: list[tuple[int, int]]
) -> None:
    for log in sample:
        rows = list(enumerate(log))
        rows += [(place % len(log) + later, log[place % len(log)]) for place, later in repeats]
        rows.sort(key=lambda row: row[0])
        lines = [line for some_lines in fed(Engine(), [event for _, event in rows]) for line in some_lines]
        assert lines == [line for some_lines in alone()[log[0].session] for line in some_lines]


@some
@given(chosen)
def test_ids_are_functions_of_what_was_said(sample: list[Log]) -> None:
    """Each verdict's id is that of its subject, and a log that was written down and read again gives the same."""
    for log in sample:
        engine = Engine()
        verdicts = [v for event in log for v in engine.feed(event).verdicts]
        assert [v.id for v in verdicts] == [derived_id("v", v.subject.id) for v in verdicts]
        assert len({v.id for v in verdicts}) == len(verdicts)
        again = [e.decode(e.encode(event)) for event in log]
        assert fed(Engine(), again) == alone()[log[0].session]
