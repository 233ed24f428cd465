"""correlator/arrivals.py: what was delivered before, came late, is dated ahead, or is one too many."""

from __future__ import annotations

import gc
from collections import OrderedDict, deque
from collections.abc import Callable
from types import FunctionType, ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from correlator import arrivals
from correlator.arrivals import Arrivals
from correlator.engine import Engine
from polygraph import events as e
from polygraph.openings import Opening, packed
from tests.correlator.scenario import STEP, Scenario, expect, refuted, unverifiable

# --- numbers -----------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(1, 30), max_size=60))
def test_each_number_is_new_once_whatever_the_order(numbers: list[int]) -> None:
    one = Arrivals("s1", lambda loss: None)
    seen: set[int] = set()
    for number in numbers:
        assert one.is_new(number) == (number not in seen)
        seen.add(number)


def test_what_has_no_number_is_always_new() -> None:
    one = Arrivals("s1", lambda loss: None)
    assert [one.is_new(number) for number in (0, 1, 0, 0, 2, 1)] == [True, True, True, True, True, False]


# --- times -------------------------------------------------------------------------------------------------------


def _told(s: Scenario) -> list[e.Loss]:
    """The losses that the engine concludes from the order of a log; it has none of its own."""
    engine = Engine()
    for event in s.log:
        engine.feed(event)
    (opened,) = engine._sessions.values()
    return [loss for rows in opened.session.coverage.losses.values() for loss in rows]


def test_an_effect_older_than_a_judged_window_is_late() -> None:
    s = Scenario()
    s.does("ls")
    closed = next(x.ts for x in s.log if isinstance(x, e.ToolResult))
    s.add(e.File, ts=closed, process=s.agent, op="write", path="/repo/a.py")
    (loss,) = _told(s)
    assert (loss.dimension, loss.cause, loss.since, loss.ts) == ("file", "late", closed, closed)


def test_an_effect_older_than_a_watermark_that_judged_nothing_is_in_time() -> None:
    s = Scenario()
    intent = s.asks("ls")
    s.tick()
    s.add(
        e.Exec, ts=intent.ts, process="101:1", parent=s.agent, path="/usr/bin/ls", argv=("ls",), cwd="/repo"
    )
    assert _told(s) == []


def test_later_touches_that_are_told_when_they_are_looked_at_are_neither_late_nor_ahead() -> None:
    s = Scenario()
    s.does("ls")
    s.add(
        e.File, ts=s.log[5].ts, first_ts=s.log[4].ts, process=s.agent, op="write", path="/repo/a.py", count=2
    )
    s.add(
        e.File, ts=s.now + 9 * STEP, first_ts=s.now, process=s.agent, op="write", path="/repo/a.py", count=3
    )
    s.tick()
    assert _told(s) == []


def test_an_effect_dated_after_the_watermark_behind_it_may_have_been_any_time_since_the_last_one() -> None:
    s = Scenario()
    s.tick()
    before = s.now
    s.add(e.Net, ts=s.now + 99 * STEP, process=s.agent, op="connect", family="inet", address="10.0.0.1")
    s.tick()
    (loss,) = _told(s)
    assert (loss.dimension, loss.cause, loss.since, loss.ts) == (
        "network",
        "ahead",
        before,
        before + 99 * STEP,
    )


def test_a_lie_is_not_found_where_an_effect_came_late_and_is_where_none_did() -> None:
    def scene(*, late: bool) -> tuple[str, str | None]:
        s = Scenario()
        intent = s.does("ls")
        if late:
            s.add(e.ExecFailed, ts=intent.ts, process=s.agent, path="/usr/bin/true", errno=2)
        return s.says(s.claims("tests_run"))

    assert scene(late=False) == refuted("no_execution")
    assert scene(late=True) == unverifiable("records_lost")


# --- room --------------------------------------------------------------------------------------------------------

_PEER: dict[str, Any] = {"family": "inet", "address": "10.0.0.1", "port": 443}
FLOODS: dict[str, Callable[[Scenario, int], Any]] = {
    "forks": lambda s, n: s.add(e.Fork, process=s.agent, child=f"{1000 + n}:1"),
    "execs": lambda s, n: s.execs(s.agent, "ls"),
    "failed execs": lambda s, n: s.add(e.ExecFailed, process=s.agent, path="/x", errno=2),
    "exits": lambda s, n: s.exits(f"{1000 + n}:1"),
    "writes": lambda s, n: s.file(s.agent, "write", "/repo/a.py"),
    "files": lambda s, n: s.file(s.agent, "write", f"/repo/{n}.py"),
    "secrets": lambda s, n: s.file(s.agent, "read", "/root/.ssh/id_rsa", sensitive="ssh_key"),
    "reads": lambda s, n: s.add(e.Reads, rows=packed([Opening(s.agent, 1, n + 1, s.now)])),
    "connects": lambda s, n: s.add(e.Net, process=s.agent, op="connect", socket=n, **_PEER),
    "flows": lambda s, n: s.add(e.Flow, process=s.agent, socket=n, sent=9, **_PEER),
    "names": lambda s, n: s.add(
        e.Name, process=s.agent, source="dns", name=f"h{n}.test", addresses=("10.0.0.1",)
    ),
    "calls": lambda s, n: s.call(),
    "tool calls": lambda s, n: s.asks(expect("ls")),
    "answered tool calls": lambda s, n: s.answers(s.asks(expect("ls"))),
    "claims": lambda s, n: s.claims("tests_run"),
    "looks": lambda s, n: s.add(e.FileState, path="/repo/a.py", intent="i", exists=True, dev=1, ino=5001),
    "gaps": lambda s, n: s.add(e.StreamGap, process=s.agent, host="h", cause="missing"),
}


def flooded(flood: Callable[[Scenario, int], Any], size: int) -> Engine:
    """An engine after a session that does one thing so often, and has not ended."""
    s = Scenario()
    s.does("pytest", reads=["/repo/a.py"])
    for number in range(size):
        flood(s, number)
    s.tick()
    engine = Engine()
    for event in s.log:
        engine.feed(event)
    return engine


def entries(root: object) -> int:
    """How many things the containers below ``root`` hold."""
    todo, seen, found = [root], {id(root)}, 0
    while todo:
        one = todo.pop()
        if isinstance(one, dict | list | tuple | set | frozenset | deque | OrderedDict):
            found += len(one)
        for other in gc.get_referents(one):
            if id(other) not in seen and not isinstance(other, type | ModuleType | FunctionType):
                seen.add(id(other))
                todo.append(other)
    return found


@pytest.mark.parametrize("name", FLOODS)
def test_what_is_kept_of_a_flood_grows_no_faster_than_the_log(name: str) -> None:
    some, more = (entries(flooded(FLOODS[name], size)) for size in (200, 400))
    assert more <= 2.1 * some


@pytest.mark.parametrize("name", FLOODS)
def test_what_is_kept_of_a_flood_is_bounded(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrivals, "MAX_KEPT", 60)
    some, more = (entries(flooded(FLOODS[name], size)) for size in (400, 800))
    assert more == some


@pytest.mark.parametrize("name", ["execs", "failed execs", "exits", "writes", "files"])
def test_silence_means_nothing_after_a_flood(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def claim(topic: str) -> tuple[str, str | None]:
        s = Scenario()
        s.does("ls")
        for number in range(100):
            FLOODS[name](s, number)
        return s.says(s.claims(topic, targets=("gone.py",) if topic == "file_created" else ()))

    topic = "file_created" if name in ("writes", "files") else "tests_run"
    assert claim(topic)[0] == "refuted"
    monkeypatch.setattr(arrivals, "MAX_KEPT", 60)
    assert claim(topic) == unverifiable("records_lost")


def test_who_did_it_before_the_flood_has_done_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrivals, "MAX_KEPT", 60)
    s = Scenario()
    s.writes("/repo/a.py")
    claim = s.claims("file_changed", targets=("a.py",))
    for number in range(100):
        FLOODS["forks"](s, number)
    s.tick()
    assert s.says(claim) == ("verified", None)
