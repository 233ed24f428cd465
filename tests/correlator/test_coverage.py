"""Silence accuses only under proven coverage; a present fact needs none of it."""

from typing import Any, TypeVar

import msgspec
import pytest

from correlator.coverage import CoverageLog
from polygraph import events as e
from tests.correlator.scenario import DIMENSIONS, STEP, VERIFIED, Scenario, refuted, unverifiable

E = TypeVar("E", bound=e.Event)


def absences(s: Scenario) -> dict[str, tuple[str, str | None]]:
    """A lie of each family that only silence shows."""
    return {
        "process": s.says(s.claims("tests_passed", "ok")),
        "file": s.says(s.claims("file_created", targets=("notes.md",))),
        "network": s.says(s.claims("url_fetched", targets=("https://docs.test",))),
    }


def test_whole_coverage_refutes_each_family() -> None:
    assert absences(Scenario()) == {
        "process": refuted("no_execution"),
        "file": refuted("not_written"),
        "network": refuted("not_connected"),
    }


@pytest.mark.parametrize("dimension", ["process", "file", "network"])
def test_a_probe_that_was_never_attached(dimension: str) -> None:
    s = Scenario(covered=[d for d in DIMENSIONS if d != dimension])
    assert absences(s)[dimension] == unverifiable("probe_missing")


@pytest.mark.parametrize("dimension", ["process", "file", "network"])
def test_a_canary_that_was_never_seen(dimension: str) -> None:
    s = Scenario(covered=[d for d in DIMENSIONS if d != dimension])
    s.add(e.Coverage, dimension=dimension, state="attached", canary=False)
    assert absences(s)[dimension] == unverifiable("probe_missing")


@pytest.mark.parametrize("dimension", ["process", "file", "network"])
def test_a_probe_that_was_detached_in_the_window(dimension: str) -> None:
    s = Scenario()
    s.add(e.Coverage, dimension=dimension, state="failed")
    s.add(e.Coverage, dimension=dimension, state="attached", canary=True)
    assert absences(s)[dimension] == unverifiable("probe_missing")


@pytest.mark.parametrize("dimension", ["process", "file", "network"])
def test_a_probe_that_came_after_the_first_effect(dimension: str) -> None:
    s = Scenario(covered=[d for d in DIMENSIONS if d != dimension])
    s.runs(None, "ls")
    s.add(e.Coverage, dimension=dimension, state="attached", canary=True)
    assert absences(s)[dimension] == unverifiable("probe_missing")


@pytest.mark.parametrize("dimension", ["process", "file", "network"])
def test_records_lost_in_the_window(dimension: str) -> None:
    s = Scenario()
    s.add(e.Loss, dimension=dimension, cause="ring", count=1, since=s.now)
    assert absences(s)[dimension] == unverifiable("records_lost")
    for other in {"process", "file", "network"} - {dimension}:
        # file effects hang on the lineage, so a lost process record leaves them open as well
        if (dimension, other) != ("process", "file"):
            assert absences(s)[other][0] == "refuted"


def test_a_child_that_may_have_left_the_lineage_opens_everything_after_it() -> None:
    s = Scenario()
    s.add(e.Loss, dimension="process", cause="storage", count=1, since=s.now)
    s.now += 1000 * STEP
    intent = s.asks("pytest")
    s.answers(intent)
    assert s.says(intent) == unverifiable("records_lost")


def test_a_loss_before_the_window_does_not_touch_it() -> None:
    s = Scenario()
    s.add(e.Loss, dimension="process", cause="ring", count=1, since=s.now)
    intent = s.asks("pytest")
    s.answers(intent)
    assert s.says(intent) == refuted("no_execution")


@pytest.mark.parametrize("dimension", ["file", "network"])
def test_io_uring_breaks_what_it_can_hide(dimension: str) -> None:
    s = Scenario()
    s.add(e.BlindSpot, dimension=dimension, name="io_uring")
    assert absences(s)[dimension] == unverifiable("probe_missing")
    assert absences(s)["process"] == refuted("no_execution")


def test_llm_traffic_that_was_not_seen() -> None:
    s = Scenario()
    s.add(e.BlindSpot, dimension="tls", name="no_symbols")
    assert set(absences(s).values()) == {unverifiable("tls_not_seen")}
    s = Scenario(covered=[d for d in DIMENSIONS if d != "tls"])
    assert s.says(s.passed()) == unverifiable("tls_not_seen")


def test_llm_traffic_with_holes() -> None:
    s = Scenario()
    s.add(e.StreamGap, process=s.agent, host="api.test", cause="missing", missing_bytes=9)
    assert s.says(s.passed()) == unverifiable("stream_incomplete")
    s = Scenario()
    s.add(
        e.LlmCall,
        call="x",
        process=s.agent,
        api="openai.chat",
        host="api.test",
        request_ts=s.now,
        complete=False,
    )
    assert s.says(s.passed()) == unverifiable("stream_incomplete")
    s = Scenario()
    s.add(e.Loss, dimension="tls", cause="ring", count=1, since=s.now)
    assert s.says(s.passed()) == unverifiable("stream_incomplete")


def test_a_session_without_its_beginning_is_late() -> None:
    s = Scenario()
    claim = s.passed()
    s.log = s.log[1:]
    assert s.says(claim) == unverifiable("late_enrolment")


def test_a_window_inside_a_watched_session_is_whole() -> None:
    s = Scenario(origin="watch")
    intent = s.asks("pytest")
    s.answers(intent)
    assert s.says(intent) == refuted("no_execution")


def test_present_facts_need_no_coverage() -> None:
    s = Scenario(covered=(), origin="watch")
    s.does("pytest", status=1)
    assert s.says(s.passed()) == refuted("failed")
    s = Scenario(covered=())
    assert s.says(s.writes("/repo/a.py")) == VERIFIED


def test_after_a_loss_the_last_failure_may_not_be_the_last_run() -> None:
    s = Scenario()
    s.does("pytest", status=1)
    s.add(e.Loss, dimension="process", cause="ring", count=3, since=s.now)
    assert s.says(s.passed()) == unverifiable("records_lost")


def test_a_loss_before_the_command_leaves_its_failure_standing() -> None:
    s = Scenario()
    s.add(e.Loss, dimension="process", cause="ring", count=3, since=s.now)
    s.does("pytest", status=1)
    assert s.says(s.passed()) == refuted("failed")


def test_the_verdict_carries_what_was_covered() -> None:
    s = Scenario()
    s.add(e.Loss, dimension="file", cause="ring", count=7, since=s.now)
    s.add(e.BlindSpot, dimension="network", name="io_uring")
    coverage = s.on(s.passed()).coverage
    assert set(coverage) == set(DIMENSIONS)
    assert (
        coverage["process"].state == "attached"
        and coverage["process"].canary
        and coverage["process"].lost == 0
    )
    assert coverage["file"].lost == 7
    assert coverage["network"].blind == ("io_uring",)


def test_the_verdict_tells_that_a_probe_was_not_seen_to_work() -> None:
    for seen in (True, False):
        s = Scenario()
        s.log = [msgspec.structs.replace(x, canary=seen) if isinstance(x, e.Coverage) else x for x in s.log]
        process = s.on(s.passed()).coverage["process"]
        assert (process.state, process.canary) == ("attached", seen)


@pytest.mark.parametrize(("before", "state"), [(0, "attached"), (1, "attached"), (-1, "failed")])
def test_a_probe_that_is_attached_again_as_the_window_opens_covers_it(before: int, state: str) -> None:
    s = Scenario()
    call = s.call()
    opens = s.log[-1].request_ts - before
    for word in ("failed", "attached"):
        s.add(e.Coverage, dimension="network", state=word, canary=True, ts=opens)
    intent = s.asks("ls", call=call)
    s.answers(intent)
    assert s.on(intent).coverage["network"].state == state


def test_an_earlier_conversation_that_goes_on_may_speak_of_what_was_before() -> None:
    s = Scenario()
    s.add(e.BlindSpot, dimension="tls", name="earlier_conversation", process=s.agent)
    assert s.says(s.passed()) == unverifiable("late_enrolment")
    assert s.says(s.claims("file_created", targets=("notes.md",))) == unverifiable("late_enrolment")


def test_the_tool_calls_of_a_conversation_that_goes_on_are_judged_as_ever() -> None:
    s = Scenario()
    s.add(e.BlindSpot, dimension="tls", name="earlier_conversation", process=s.agent)
    intent = s.asks("pytest")
    s.answers(intent, status=0)
    assert s.says(intent) == refuted("no_execution")
    s.does("pytest", status=1)
    assert s.says(s.passed()) == refuted("failed")


def test_a_probe_that_failed_before_it_was_attached_saw_no_beginning() -> None:
    s = Scenario(covered=[d for d in DIMENSIONS if d != "process"])
    s.log = [x for x in s.log if not isinstance(x, e.Exec)]
    s.add(e.Coverage, dimension="process", state="failed")
    s.add(e.Coverage, dimension="process", state="attached", canary=True)
    assert s.says(s.passed()) == unverifiable("probe_missing")


# --- to the moment --------------------------------------------------------------------------------------


def at(kind: type[E], ts: int, **fields: Any) -> E:
    return kind(session="s1", ts=ts, seq=0, **fields)


def loss(ts: int, since: int, *, dimension: str = "file", cause: str = "ring", count: int = 1) -> e.Loss:
    return at(e.Loss, ts, dimension=dimension, cause=cause, count=count, since=since)


def state(ts: int, state: str = "attached", *, dimension: str = "file", canary: bool = True) -> e.Coverage:
    return at(e.Coverage, ts, dimension=dimension, state=state, canary=canary)


def blind(ts: int, dimension: str = "file", name: str = "io_uring") -> e.BlindSpot:
    return at(e.BlindSpot, ts, dimension=dimension, name=name)


SEEN = (state(10), state(10, dimension="process"), state(10, dimension="tls", canary=False))


def told(*events: Any, origin: str = "run", begun: int = 5, first: int | None = 20) -> CoverageLog:
    """What the collector said, of a session that began at ``begun`` and had its first effect at ``first``."""
    start = at(
        e.SessionStart,
        begun,
        host="h",
        boot="b",
        kernel="6.18",
        process="1:1",
        argv=("agent",),
        cwd="/repo",
        origin=origin,
        wall_offset=0,
    )
    log = CoverageLog(start=start, first_effect=first)
    for event in events:
        if isinstance(event, e.LlmCall):
            log.broken_calls.append(event)
        else:
            log.add(event)
    return log


@pytest.mark.parametrize(
    ("event", "count"),
    [
        (loss(99, 50), 0),
        (loss(100, 50), 1),
        (loss(200, 200, count=3), 3),
        (loss(250, 200), 1),
        (loss(250, 201), 0),
        (loss(150, 150, dimension="network"), 0),
        (loss(50, 50, cause="storage", dimension="process"), 1),
        (loss(50, 50, cause="missed_fork", dimension="process"), 1),
        (loss(250, 200, cause="storage", dimension="process"), 1),
        (loss(250, 201, cause="storage", dimension="process"), 0),
    ],
)
def test_which_records_are_missing_from_a_window(event: e.Loss, count: int) -> None:
    log = told(*SEEN, event)
    assert log.lost("file", 100, 200) == count
    lacks = "records_lost" if count else None
    assert log.gate(("file",), 100, 200) == lacks
    assert log.hidden(("file",), 100, 200) == lacks
    assert log.unexplained(("file",), 100, 200) == lacks


def test_losses_add_up_in_whatever_order_they_are_told() -> None:
    rows = (
        loss(180, 170, count=4),
        loss(120, 110, count=2),
        loss(90, 80),
        loss(50, 50, cause="storage", count=8),
    )
    assert told(*rows).lost("file", 100, 200) == 14
    assert told(*reversed(rows)).lost("file", 100, 200) == 14


@pytest.mark.parametrize(
    ("ts", "word"), [(99, None), (100, "probe_missing"), (200, "probe_missing"), (201, None)]
)
def test_a_later_fact_may_have_been_missed_while_a_probe_was_detached(ts: int, word: str | None) -> None:
    assert told(*SEEN, state(ts, "failed")).hidden(("file",), 100, 200) == word
    assert told(*SEEN, state(ts)).hidden(("file",), 100, 200) is None
    assert told(*SEEN, state(ts, "failed")).hidden(("process", "file"), 100, 200) == word


@pytest.mark.parametrize(
    ("rows", "first", "word"),
    [
        ((), 20, "probe_missing"),
        ((state(100),), 20, None),
        ((state(101),), 20, "probe_missing"),
        ((state(101),), 101, None),
        ((state(101),), 100, "probe_missing"),
        ((state(101),), None, None),
        ((state(50, "failed"), state(101)), None, "probe_missing"),
        ((state(50, "failed"), state(100)), None, None),
        ((state(50), state(150, "failed")), 20, "probe_missing"),
        ((state(50), state(200, "failed")), 20, "probe_missing"),
        ((state(50), state(201, "failed")), 20, None),
        ((state(50), state(60, "failed")), 20, "probe_missing"),
        ((state(50), state(60, "failed"), state(70)), 20, None),
        ((state(50, canary=False),), 20, "probe_missing"),
        ((state(50, canary=False), state(200)), 20, None),
        ((state(50, canary=False), state(201)), 20, "probe_missing"),
        ((state(50), state(60, canary=False)), 20, None),
        ((state(50), state(60, "failed"), state(70, canary=False)), 20, "probe_missing"),
        ((state(70), state(60, "failed")), 20, None),
    ],
)
def test_for_which_time_a_probe_was_attached(
    rows: tuple[e.Coverage, ...], first: int | None, word: str | None
) -> None:
    log = told(*SEEN[1:], *rows, first=first)
    assert log.gate(("file",), 100, 200) == word
    assert log.gate(("process", "file"), 100, 200) == word
    assert log.unexplained(("process", "file"), 100, 200) == word


def test_a_window_from_before_the_session_is_not_covered_from_its_start() -> None:
    for begun, word in ((100, None), (101, "probe_missing")):
        log = told(state(120), state(90, dimension="tls"), begun=begun, first=None)
        assert log.gate(("file",), 100, 200) == word, begun


@pytest.mark.parametrize(
    ("event", "gate", "unexplained"),
    [
        (blind(200), "probe_missing", None),
        (blind(201), None, None),
        (blind(200, "network"), None, None),
        (blind(200, "process"), None, "probe_missing"),
        (blind(201, "process"), None, None),
        (blind(200, "tls"), "tls_not_seen", "tls_not_seen"),
        (blind(201, "tls"), None, None),
        (blind(200, "tls", "earlier_conversation"), None, None),
    ],
)
def test_from_when_on_a_blind_spot_counts(
    event: e.BlindSpot, gate: str | None, unexplained: str | None
) -> None:
    log = told(*SEEN, event)
    assert log.gate(("file",), 100, 200) == gate
    assert log.unexplained(("file",), 100, 200) == unexplained


def gap(ts: int) -> e.StreamGap:
    return at(e.StreamGap, ts, process="1:1", host="h", cause="missing", missing_bytes=1)


def broken(asked: int, ts: int) -> e.LlmCall:
    return at(e.LlmCall, ts, call="c", process="1:1", api="openai.chat", host="h", request_ts=asked)


@pytest.mark.parametrize(
    ("event", "word"),
    [
        (gap(99), None),
        (gap(100), "stream_incomplete"),
        (gap(200), "stream_incomplete"),
        (gap(201), None),
        (broken(50, 99), None),
        (broken(50, 100), "stream_incomplete"),
        (broken(200, 250), "stream_incomplete"),
        (broken(201, 250), None),
        (loss(150, 150, dimension="tls"), "stream_incomplete"),
        (loss(99, 50, dimension="tls"), None),
        (state(150, "failed", dimension="tls"), "tls_not_seen"),
    ],
)
def test_when_the_conversation_was_not_read_whole(event: Any, word: str | None) -> None:
    log = told(*SEEN, event)
    assert log.gate(("file",), 100, 200) == word
    assert log.unexplained(("file",), 100, 200) == word
    assert log.hidden(("file",), 100, 200) is None


@pytest.mark.parametrize(
    ("origin", "events", "since", "word"),
    [
        ("run", (), 5, None),
        ("watch", (), 5, "late_enrolment"),
        ("watch", (), 6, None),
        ("run", (blind(7, "tls", "earlier_conversation"),), 5, "late_enrolment"),
        ("run", (blind(7, "tls", "earlier_conversation"),), 6, None),
    ],
)
def test_what_may_have_begun_before_the_session(
    origin: str, events: tuple[Any, ...], since: int, word: str | None
) -> None:
    log = told(*SEEN, *events, origin=origin)
    assert log.gate(("file",), since, 200) == word
    assert log.unexplained(("file",), since, 200) == word


def test_without_a_beginning_all_is_late() -> None:
    log = told(*SEEN)
    log.start = None
    assert log.gate(("file",), 100, 200) == log.unexplained(("file",), 100, 200) == "late_enrolment"


def test_the_first_effect_is_the_earliest() -> None:
    log = CoverageLog()
    for ts in (30, 20, 40):
        log.effect(ts)
    assert log.first_effect == 20


@pytest.mark.parametrize(
    ("rows", "shown"),
    [
        ((), "not_requested"),
        ((state(50),), "attached"),
        ((state(50), state(100, "failed")), "failed"),
        ((state(50), state(99, "failed"), state(100)), "attached"),
        ((state(50), state(150, "failed"), state(160)), "failed"),
        ((state(50), state(200, "failed")), "failed"),
        ((state(50), state(201, "failed")), "attached"),
        ((state(150, "failed"), state(160, "detached")), "failed"),
    ],
)
def test_the_worst_state_of_a_window_is_shown(rows: tuple[e.Coverage, ...], shown: str) -> None:
    assert told(*rows).report(100, 200)["file"].state == shown


def test_what_was_not_seen_of_a_window_is_shown() -> None:
    rows = (
        at(e.Coverage, 40, dimension="file", state="attached", canary=True, blind=("old",)),
        at(e.Coverage, 50, dimension="file", state="attached", canary=True, blind=("before",)),
        at(e.Coverage, 150, dimension="file", state="attached", canary=True, blind=("during",)),
        blind(200, name="spot"),
        blind(201, name="later"),
        blind(150, "network", "other"),
        loss(150, 150, count=3),
    )
    shown = told(*rows).report(100, 200)
    assert set(shown) == set(DIMENSIONS)
    assert shown["file"].blind == ("before", "during", "spot")
    assert (shown["file"].lost, shown["file"].canary) == (3, True)
    assert (shown["process"].lost, shown["process"].canary) == (0, False)
