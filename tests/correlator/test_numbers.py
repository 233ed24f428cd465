"""Numbers of tests that are said to pass, held against what runs say of theirs."""

from __future__ import annotations

import pytest

from tests.correlator.scenario import VERIFIED, Scenario, unverifiable
from tests.correlator.test_parts import SUBSET, WHOLE, A, B, part


def counted(*argv: str, **counts: int) -> Scenario:
    s = Scenario()
    s.counts(s.does("pytest", *argv, reads=[A]), **counts)
    return s


def test_more_are_said_to_pass_than_ran() -> None:
    s = counted(passed=12)
    claim = s.passed(counts={"passed": 142})
    assert s.says(claim) == SUBSET
    assert s.on(claim).observed == "pytest ran 12 tests, not 142"


@pytest.mark.parametrize(
    ("ran", "said"),
    [
        ({"passed": 12}, {"passed": 12}),
        ({"passed": 12}, {"passed": 3}),
        ({"passed": 10, "skipped": 2}, {"total": 12}),
        ({"passed": 10, "expected": 2}, {"passed": 12}),
        ({"total": 12}, {"passed": 12}),
    ],
)
def test_no_more_are_said_to_pass_than_ran(ran: dict[str, int], said: dict[str, int]) -> None:
    s = counted(**ran)
    assert s.says(s.passed(counts=said)) == VERIFIED


@pytest.mark.parametrize(
    ("argv", "said", "word"),
    [
        (("--test-name-pattern=zero",), 1, VERIFIED),
        (("--test-name-pattern=zero",), 12, SUBSET),
        ((), 12, VERIFIED),
    ],
)
def test_what_a_selection_skipped_did_not_pass(
    argv: tuple[str, ...], said: int, word: tuple[str, str | None]
) -> None:
    """Without one, those that are skipped may be counted among the tests that there are."""
    s = Scenario()
    s.counts(s.does("node", "--test", *argv), tool="node-test", passed=1, skipped=11)
    assert s.says(s.passed(counts={"passed": said})) == word


def test_numbers_of_several_runs_add_up() -> None:
    s = counted("tests/test_a.py", passed=12)
    s.counts(s.does("pytest", "tests/test_b.py"), passed=30)
    assert s.says(s.passed(counts={"passed": 42})) == VERIFIED
    assert s.says(s.passed(counts={"passed": 43})) == SUBSET


def test_a_run_that_does_not_tell_its_number_may_have_had_any() -> None:
    s = counted(passed=12)
    s.does("pytest", "tests/test_b.py")
    assert s.says(s.passed(counts={"passed": 142})) == VERIFIED


def test_numbers_of_a_wrapper_are_those_of_its_one_runner() -> None:
    def made(*others: tuple[str, ...]) -> Scenario:
        s = Scenario()
        intent = s.asks("make test")
        shell = s.shell(intent)
        make = s.program(shell, "make", "test")
        s.runs(make, "pytest")
        for other in others:
            s.runs(make, *other)
        s.exits(make)
        s.exits(shell)
        s.answers(intent)
        s.counts(intent, tool="make-test", passed=12)
        return s

    for others, word in (
        ((), SUBSET),
        ((("./checks",),), unverifiable("form_unknown")),
        ((("pytest", "more"),), VERIFIED),
    ):
        s = made(*others)
        assert s.says(s.passed(counts={"passed": 142})) == word, others


def test_a_number_in_a_result_whose_run_was_not_seen_is_no_number() -> None:
    s = Scenario()
    intent = s.asks("pytest")
    s.answers(intent)
    s.counts(intent, passed=12)
    s.runs(None, "pytest")
    assert s.says(s.passed(counts={"passed": 142})) == VERIFIED


def test_another_runner_may_have_run_the_others() -> None:
    s = counted(passed=12)
    s.does("./run_all", path="/repo/run_all")
    assert s.says(s.passed(counts={"passed": 142})) == unverifiable("form_unknown")


def test_a_run_that_failed_is_known_to_be_none_that_ran_the_rest() -> None:
    s = Scenario()
    s.does("pytest", "tests/test_b.py", reads=[B], status=1)
    s.does("pytest", "tests/test_a.py", reads=[A])
    assert s.says(s.passed(tests=[A, B, "/repo/tests/test_c.py"], **WHOLE)) == SUBSET


def test_a_run_that_does_not_tell_how_it_ended_may_have_run_the_rest() -> None:
    s = Scenario()
    s.call()
    run = s.program(None, "pytest", "tests/test_b.py")
    s.reads(run, B)
    s.exits(run, None, 13)
    s.does("pytest", "tests/test_a.py", reads=[A])
    assert s.says(s.passed(tests=[A, B, "/repo/tests/test_c.py"], **WHOLE)) == unverifiable("form_unknown")


def test_what_was_changed_is_no_test_that_was_left_out() -> None:
    s = part("tests/test_a.py")
    claim = s.passed(tests=[A], finds={"src/lib.py": True}, **WHOLE)
    assert s.says(claim) == VERIFIED
