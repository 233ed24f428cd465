"""coordination_bottleneck: who held whom up is said, and what is ordinary is not."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from correlator.detectors import bottleneck
from correlator.detectors.bottleneck import Bottlenecks
from correlator.engine import Engine
from polygraph import events as e
from polygraph.findings import Finding, detectors
from tests.correlator.scenario import STEP, Scenario, found

SECOND = 1_000_000_000


class Team(Scenario):
    """A session of several agents, with a clock that can be moved on."""

    def __init__(self) -> None:
        super().__init__()
        self.began = self.log[0].ts

    def agent_of(self, parent: str | None, name: str = "helper") -> str:
        """A process of ``parent`` that calls a model."""
        child = self.program(parent, f"/opt/{name}/bin/{name}")
        self.asks_model(child, 0.01)
        return child

    def asks_model(self, process: str, seconds: float) -> None:
        """A call of a model by ``process``, which takes so long."""
        began = self.now + STEP
        self.passes(seconds)
        self._calls += 1
        self.add(
            e.LlmCall, call=f"m{self._calls}", process=process, api="openai.chat", host="api.test",
            request_ts=began, status=200,
        )  # fmt: skip

    def passes(self, seconds: float) -> None:
        """Time goes by."""
        self.now += int(seconds * SECOND)

    def until(self, seconds: float) -> None:
        """Time goes by until so long after the session's beginning."""
        self.now = max(self.now, self.began + int(seconds * SECOND))

    def waits(self, process: str, on: str | None, seconds: float, kind: str = "pipe", **how: Any) -> e.Wait:
        """``process`` waits for ``on``, from now on, and the collector tells it at once."""
        began = self.now
        self.passes(seconds)
        return self.waited(process, on, began, self.now, kind, **how)

    def waited(
        self, process: str, on: str | None, began: int, ended: int, kind: str = "pipe", **how: Any
    ) -> e.Wait:
        """A wait that lay between two moments."""
        fields = {"object": 7, "count": 1, "total": ended - began, "longest": ended - began, **how}
        return self.add(
            e.Wait,
            process=process,
            on=on,
            kind=kind,
            first_ts=began,
            last_ts=ended,
            ts=max(self.now, ended),
            **fields,
        )

    def ends(self, seconds: float) -> list[Finding]:
        """The session ends so long after its beginning: what is found."""
        self.until(seconds)
        return self.findings()


def team() -> tuple[Team, str, str]:
    """Two agents that the session's root, which calls no model itself, has begun."""
    made = Team()
    return made, made.agent_of(None, "alice"), made.agent_of(None, "bob")


def kinds(findings: list[Finding]) -> list[str]:
    """Their kinds."""
    return [finding.kind for finding in findings]


# --- one waits for another ---------------------------------------------------------------------------


def test_an_agent_that_another_one_held_up() -> None:
    session, alice, bob = team()
    wait = session.waits(bob, alice, 15)
    (finding,) = session.ends(50)
    assert (finding.detector, finding.kind) == ("coordination_bottleneck", "waits_on_peer")
    assert (
        "(bob) waited 15.0 s for" in finding.summary
        and "(alice) (pipe), 30% of the session" in finding.summary
    )
    assert finding.figures["seconds"] == 15 and finding.figures["waits"] == 1
    assert finding.figures["share"] == pytest.approx(0.3, abs=0.001)
    assert [row.id for row in finding.evidence] == [wait.id]
    assert (finding.window.open, finding.window.close) == (wait.first_ts, wait.last_ts)


def test_a_tool_that_an_agent_runs_waits_for_it() -> None:
    session, alice, bob = team()
    session.waits(session.program(bob, "cat", "fifo"), session.program(alice, "make"), 15)
    (finding,) = session.ends(50)
    assert finding.kind == "waits_on_peer" and "(bob) waited" in finding.summary


def test_a_moment_in_which_two_threads_wait_counts_once() -> None:
    session, alice, bob = team()
    began = session.now
    session.passes(20)
    session.waited(bob, alice, began, began + 14 * SECOND)
    session.waited(bob, alice, began + 2 * SECOND, began + 16 * SECOND)
    (finding,) = session.ends(50)
    assert finding.figures["seconds"] == 16 and finding.figures["waits"] == 2


def test_short_waits_count_by_their_sum() -> None:
    session, alice, bob = team()
    session.waits(bob, alice, 30, count=2000, total=14 * SECOND, longest=SECOND // 20)
    (finding,) = session.ends(50)
    assert finding.figures["seconds"] == 14 and finding.figures["waits"] == 2000


@pytest.mark.parametrize(("seconds", "whole"), [(9.9, 30), (11, 70)])
def test_what_is_short_is_not_worth_a_word(seconds: float, whole: float) -> None:
    session, alice, bob = team()
    session.waits(bob, alice, seconds)
    assert session.ends(whole) == []


def test_who_waits_for_its_model_waits_for_nobody_else() -> None:
    session, alice, bob = team()
    began = session.now
    session.asks_model(bob, 12)
    session.passes(3)
    session.waited(bob, alice, began, session.now, "unix")
    session.waited(bob, alice, began, session.now, count=500, total=13 * SECOND)
    assert session.ends(50) == []


@pytest.mark.parametrize("kind", ["pipe", "unix", "loopback", "several", "child", "queue"])
@pytest.mark.parametrize("upwards", [True, False])
def test_who_delegates_waits_and_who_is_idle_waits_for_work(kind: str, upwards: bool) -> None:
    session = Team()
    session.asks_model(session.agent, 0.1)
    helper = session.agent_of(session.program(None, "sh", "-c", "helper"))
    session.waits(*((helper, session.agent) if upwards else (session.agent, helper)), 30, kind)
    assert session.ends(50) == []


def test_a_single_agent_is_no_team() -> None:
    session = Team()
    session.asks_model(session.agent, 0.1)
    shell = session.program(None, "sh", "-c", "make | tee log")
    tee, make = session.program(shell, "tee", "log"), session.program(shell, "make")
    session.waits(tee, make, 30)
    session.waits(session.agent, shell, 30, "child")
    assert session.ends(90) == []


def test_what_nobody_is_known_to_have_ended_is_held_against_nobody() -> None:
    session, _alice, bob = team()
    session.waits(bob, None, 30, "several")
    assert session.ends(50) == []


def test_a_process_that_belongs_to_no_agent_holds_nobody_up() -> None:
    session, _alice, bob = team()
    session.waits(bob, session.program(None, "database"), 30)
    assert session.ends(50) == []


@pytest.mark.parametrize("theirs", [True, False])
@pytest.mark.parametrize("family", ["inet", "unix"])
def test_a_server_that_nobody_asks_is_idle_and_who_asked_it_waits(family: str, theirs: bool) -> None:
    """``theirs``: by an event loop, of which the kernel side knows only the socket that the other one used."""
    for idle in (True, False):
        session, alice, bob = team()
        kind = "unix" if family == "unix" else "loopback"
        session.add(e.Net, process=bob, op="connect", family=family, address="x", socket=11)
        session.add(e.Net, process=alice, op="accept", family=family, address="x", socket=12)
        waiter, on = (alice, bob) if idle else (bob, alice)
        served = (waiter == alice) != theirs  # whose socket it is that the wait names
        session.waits(waiter, on, 30, kind, object=12 if served else 11, theirs=theirs)
        assert kinds(session.ends(50)) == ([] if idle else ["waits_on_peer"])


# --- they take turns ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["lock", "semaphore", "futex"])
def test_agents_that_take_turns(kind: str) -> None:
    session, alice, bob = team()
    for _ in range(4):
        session.waits(bob, alice, 3, kind)
        session.waits(alice, bob, 2, kind)
    (finding,) = session.ends(50)
    assert finding.kind == "serialised" and f"took turns on one {kind}" in finding.summary
    assert "(alice)" in finding.summary and "(bob)" in finding.summary
    assert (
        finding.figures["seconds"] == 20 and finding.figures["waits"] == 8 and finding.figures["agents"] == 2
    )


def test_two_locks_are_not_one() -> None:
    session, alice, bob = team()
    session.waits(bob, alice, 12, "lock", object=1)
    session.waits(alice, bob, 9, "lock", object=2)
    assert kinds(session.ends(50)) == ["waits_on_peer"]


def test_a_lock_is_a_lock_between_an_agent_and_its_own_helper_too() -> None:
    session = Team()
    session.asks_model(session.agent, 0.1)
    helper = session.agent_of(None)
    session.waits(helper, session.agent, 15, "lock")
    assert kinds(session.ends(50)) == ["waits_on_peer"]


def test_turns_within_one_agent_are_its_own_business() -> None:
    session, alice, _bob = team()
    one, other = session.program(alice, "cargo", "build"), session.program(alice, "cargo", "test")
    session.waits(one, other, 15, "lock")
    session.waits(other, one, 15, "lock")
    assert session.ends(50) == []


# --- the critical path -------------------------------------------------------------------------------


def crew(slow: float = 40) -> tuple[Team, list[str]]:
    """A root that delegates to three helpers at once; the last one works longest."""
    session = Team()
    session.asks_model(session.agent, 0.1)
    helpers = [session.agent_of(None, name) for name in ("ann", "ben", "carl")]
    began = session.now
    for helper, seconds in zip(helpers, (5, 8, slow), strict=True):
        session.until((began - session.began) / SECOND + seconds)
        session.waited(session.agent, helper, began, session.now, "child")
        began = session.now
    return session, helpers


def test_the_agent_that_the_session_waited_for() -> None:
    session, helpers = crew()
    (finding,) = session.ends(60)
    assert finding.kind == "critical_path" and "(carl)" in finding.summary
    root, carl = (f"process {one.partition(':')[0]}" for one in (session.agent, helpers[2]))
    assert [step.what.partition(" s in ")[2] for step in finding.path] == [
        f"{root} (agent)",
        f"{carl} (carl)",
        f"{root} (agent), which had waited for {carl} (carl) (child)",
    ]
    assert [step.grade for step in finding.path] == [None, "strong", "exact"]
    assert finding.figures["share"] >= 0.5
    told = [float(step.what.split()[0]) for step in finding.path]
    assert sum(told) == pytest.approx(60, abs=0.3)


def test_who_worked_most_itself_is_no_bottleneck() -> None:
    session, _helpers = crew()
    assert session.ends(200) == []


def test_of_two_agents_one_waits_for_the_other() -> None:
    session = Team()
    session.asks_model(session.agent, 0.1)
    helper = session.agent_of(None)
    session.waits(session.agent, helper, 45, "child")
    assert session.ends(50) == []


def test_where_waits_were_lost_there_is_no_path() -> None:
    session, _helpers = crew()
    session.add(e.Loss, dimension="ipc", cause="ring", count=1, since=session.began)
    assert session.ends(50) == []


def test_where_most_waits_were_short_there_is_no_path() -> None:
    session, helpers = crew()
    session.waited(
        session.agent, helpers[0], session.began + SECOND, session.now, "pipe", count=900, total=30 * SECOND
    )
    assert session.ends(50) == []


# --- what holds of all -------------------------------------------------------------------------------


def test_each_kind_is_given() -> None:
    """The three tests that find one name these."""
    assert detectors()["coordination_bottleneck"].kinds.keys() == {
        "waits_on_peer",
        "serialised",
        "critical_path",
    }


def test_nothing_is_said_before_the_end_and_nothing_twice() -> None:
    session, alice, bob = team()
    session.waits(bob, alice, 15)
    session.tick()
    assert found(session.log) == []
    session.log = [event for event in session.log for _ in range(2)]
    (finding,) = session.ends(50)
    assert finding.figures["waits"] == 1


def test_of_too_many_waits_the_longest_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bottleneck, "MAX_WAITS", 3)
    session, alice, bob = team()
    for seconds in (1, 5, 2, 6, 7):
        session.waits(bob, alice, seconds)
    kept = Bottlenecks()
    engine = Engine()
    for event in session.log:
        engine.feed(event)
        kept.see(None, event)  # type: ignore[arg-type]  # it asks nothing of the session yet
    assert sorted(wait.total for wait in kept._waits.values()) == [5 * SECOND, 6 * SECOND, 7 * SECOND]
    (finding,) = session.ends(50)
    assert finding.figures["seconds"] == 18


def points(spans: list[tuple[int, int]]) -> set[int]:
    """The unit intervals that spans of whole numbers cover."""
    return {at for begin, end in spans for at in range(begin, end)}


SPANS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)).map(lambda two: (min(two), max(two))))


@given(SPANS, SPANS)
def test_spans_are_what_sets_of_moments_are(
    some: list[tuple[int, int]], others: list[tuple[int, int]]
) -> None:
    united, apart = bottleneck._united(some), bottleneck._united(others)
    assert points(united) == points(some)
    left = list(bottleneck._without(united, apart))
    assert points(left) == points(some) - points(others)
    assert bottleneck._length(left) == len(points(left))


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 40), st.integers(0, 40)), max_size=30
    )
)
def test_each_moment_of_the_session_lies_on_the_path_once(rows: list[tuple[int, int, int, int]]) -> None:
    session = Team()
    session.asks_model(session.agent, 0.1)
    agents = [session.agent, *(session.agent_of(None, name) for name in ("ann", "ben", "carl"))]
    for waiter, on, one, other in rows:
        session.waited(
            agents[waiter],
            agents[on],
            session.began + min(one, other) * SECOND,
            session.began + max(one, other) * SECOND,
        )
    session.until(60)
    engine = Engine()
    for event in session.log:
        engine.feed(event)
    opened = engine._sessions["s1"].session
    assert opened.start is not None
    report = bottleneck._Report(opened, opened.start, bottleneck._Agents(opened), session.now)
    waits = [event for event in session.log if isinstance(event, e.Wait)]
    path = report._path(
        [bottleneck._Edge(wait.process, wait.on or "", wait) for wait in waits if wait.process != wait.on]
    )
    assert (path[0].begin, path[-1].end) == (session.began, session.now)
    assert all(one.end == other.begin for one, other in pairwise(path))
    assert all(stretch.begin <= stretch.end for stretch in path)
