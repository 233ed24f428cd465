"""bench/correlator.py: sessions made of recorded ones, the arithmetic of its figures, one arm. Nothing is timed."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import pytest

from bench._arms import Figures, Input, Source
from bench._harness import BenchError
from bench._sessions import prolonged
from bench.correlator import ROUNDS, exponent, parts, run, short, write
from correlator.engine import Engine
from polygraph.events import AnyEvent, Claim, Intent, Reads
from polygraph.verdicts import Verdict
from tests.corpus import records


def recorded() -> list[AnyEvent]:
    return list(records.load("bug_fixed")[0].events())


def verdicts(log: list[AnyEvent]) -> list[Verdict]:
    engine = Engine()
    return [verdict for event in log for verdict in engine.feed(event).verdicts]


def test_a_long_session_says_of_each_round_what_was_said_of_the_first() -> None:
    log = recorded()
    once, thrice = verdicts(log), verdicts(prolonged(log, 3))
    assert prolonged(log, 1) == log
    words = Counter((one.rule, one.verdict, one.reason) for one in once)
    assert Counter((one.rule, one.verdict, one.reason) for one in thrice) == Counter(
        {word: 3 * count for word, count in words.items()}
    )
    assert len({one.subject.id for one in thrice}) == len(thrice)


def test_a_round_repeats_all_that_the_agent_did_and_nothing_of_its_start() -> None:
    log, long = recorded(), prolonged(recorded(), 4)
    assert [event.seq for event in long] == list(range(len(long)))
    kinds, more = Counter(map(type, log)), Counter(map(type, long))
    for kind in (Intent, Claim):
        assert more[kind] == 4 * kinds[kind]
    assert long[0] == log[0] and type(long[-1]) is type(log[-1])
    rows = [row for event in long if isinstance(event, Reads) for row in event.openings()]
    assert len({(row.process, row.ino, row.ts) for row in rows}) == len(rows)


def test_sessions_come_in_turn_and_end_after_everything_else() -> None:
    sources = [Source("aa", ["aa 1", "aa 2", "aa end"]), Source("bb", ["bb 1", "bb end"])]
    given = Input(sources, 3, str)
    names = [f"{number:016x}" for number in range(3)]
    expected = [(0, "1"), (1, "1"), (2, "1"), (0, "2"), (2, "2"), (0, "end"), (1, "end"), (2, "end")]
    assert list(given) == [f"{names[number]} {what}" for number, what in expected]
    assert given.events == len(expected)


def test_growth_is_the_slope_of_the_logarithms() -> None:
    assert exponent([100, 1000, 10_000], [2, 20, 200]) == pytest.approx(1)
    assert exponent([1, 2, 4], [3, 12, 48]) == pytest.approx(2)


def test_figures_are_told_for_each_arm_and_ours_have_marks() -> None:
    found = {
        (arm, "many", count): [Figures(82 * count, 82 * count * cost, 50_000 * count, count, 0.01)]
        for arm, cost in (("polygraph", 1e-5), ("Bytewax", 2e-5))
        for count in (1, 100, 1000)
    }
    found |= {("polygraph", "long", rounds): [Figures(rounds, rounds**2.0, 0, 1)] for rounds in ROUNDS}
    told = {one.name: one for one in parts(found)}
    ours = told["polygraph, 1,000 sessions: speed"]
    assert (ours.value, ours.mark, ours.ok) == (pytest.approx(100_000), 150_000, False)
    assert told["polygraph, 100 sessions: memory of an open one"].value == 50_000
    assert told["polygraph, 100 sessions: verdict, p99"].ok
    assert told["Bytewax, 1 session: speed"].mark is None
    assert told["polygraph: growth exponent in the number of sessions"].value == pytest.approx(1)
    grown = told["polygraph: growth exponent in the length of a session"]
    assert grown.value == pytest.approx(2) and not grown.ok
    assert "Bytewax: growth exponent in the length of a session" not in told


def test_an_arm_that_was_stopped_is_slower_than_that_and_has_no_growth() -> None:
    found: dict[tuple[str, str, int], list[Figures | None]] = {
        (arm, "many", count): [Figures(1_800 * count, count, 0, count, 0.01)]
        for arm in ("polygraph", "Bytewax")
        for count in (100, 1000)
    }
    found["Bytewax", "many", 1000] = [None]
    told = {one.name: one for one in parts(found)}
    stopped = told["Bytewax, 1,000 sessions: stopped after 1,800 s of CPU, so slower than"]
    assert (stopped.value, stopped.mark) == (1000, None)
    assert "Bytewax, 100 sessions: speed" in told
    assert not {"Bytewax, 1,000 sessions: speed", "Bytewax: growth exponent in the number of sessions"} & set(
        told
    )


def test_an_arm_that_is_not_done_is_stopped(tmp_path: Path) -> None:
    endless = tmp_path / "python"
    endless.write_text("#!/bin/sh\nwhile :; do :; done\n")
    endless.chmod(0o755)
    assert run("Bytewax", tmp_path / "sources.json", 1, endless, patience=1) is None


def test_one_that_fails_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="Bytewax, 1 sessions"):
        run("Bytewax", tmp_path / "sources.json", 1, Path("/bin/false"))


def test_the_correlator_as_an_arm_judges_what_it_is_given(tmp_path: Path) -> None:
    logs = short()[:2]
    sources = write(tmp_path / "sources.json", logs)
    figures = run("polygraph", sources, 4, Path(sys.executable))
    assert figures is not None
    assert figures.events == 2 * sum(map(len, logs))
    assert figures.out == 2 * sum(len(verdicts(log)) for log in logs)
