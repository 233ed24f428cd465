"""Silence accuses only under proven coverage; a present fact needs none of it."""

import pytest

from polygraph import events as e
from tests.correlator.scenario import DIMENSIONS, STEP, VERIFIED, Scenario, refuted, unverifiable


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
