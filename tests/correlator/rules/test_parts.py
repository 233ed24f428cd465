"""Was less run than is claimed? Whose number a number is, and which tests are of one kind."""

from __future__ import annotations

import pytest

from polygraph import events as e
from tests.correlator.scenario import VERIFIED, Scenario
from tests.correlator.test_parts import SUBSET, WHOLE, A, counted


@pytest.mark.parametrize(("said", "word"), [(12, VERIFIED), (13, SUBSET)])
def test_a_total_is_a_number_of_tests(said: int, word: tuple[str, str | None]) -> None:
    s = counted(total=12)
    assert s.says(s.passed(counts={"passed": said})) == word


def test_a_result_without_a_number_of_tests_is_none() -> None:
    s = counted(deselected=3)
    assert s.says(s.passed(counts={"passed": 142})) == VERIFIED


def test_a_result_is_not_of_a_run_before_its_tool_call() -> None:
    s = Scenario()
    s.runs(None, "pytest")
    intent = s.asks("pytest")
    s.answers(intent)
    s.counts(intent, passed=12)
    assert s.says(s.passed(counts={"passed": 142})) == VERIFIED


def test_a_run_of_the_first_and_of_the_last_moment_of_a_tool_call_is_its_own() -> None:
    for first in (True, False):
        s = Scenario()
        call = s.call()
        asked = s.log[-1].request_ts
        intent = s.asks("pytest", call=call)
        shell = s.shell(intent)
        child = s.fork(shell)
        if first:
            s.add(
                e.Exec,
                process=child,
                parent=shell,
                path="/usr/bin/pytest",
                argv=("pytest",),
                cwd="/repo",
                ts=asked,
            )
            s.exits(child)
            s.exits(shell)
            s.answers(intent)
        else:
            s.execs(child, "pytest")
            s.add(e.Exit, process=child, status=0, ts=s.now)
            s.exits(shell)
            s.answers(intent)
        s.counts(intent, passed=12)
        assert s.says(s.passed(counts={"passed": 142})) == SUBSET, first


def test_tests_of_a_session_without_a_directory_are_of_one_kind() -> None:
    s = Scenario(cwd="")
    s.does("pytest", A, reads=[A])
    assert s.says(s.passed(tests=[A, "/repo/demo/test_x.py"], **WHOLE)) == SUBSET
