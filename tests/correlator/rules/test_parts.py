"""Was less run than is claimed? Whose number a number is, and which tests are of one kind."""

from __future__ import annotations

import pytest

from polygraph import events as e
from tests.correlator.scenario import STEP, VERIFIED, Scenario, unverifiable
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
            s.now -= STEP
            s.exits(child)
            s.now -= STEP
            s.answers(intent)
        s.counts(intent, passed=12)
        assert s.says(s.passed(counts={"passed": 142})) == SUBSET, first


def test_tests_of_a_session_without_a_directory_are_of_one_kind() -> None:
    s = Scenario(cwd="")
    s.does("pytest", A, reads=[A])
    assert s.says(s.passed(tests=[A, "/repo/demo/test_x.py"], **WHOLE)) == SUBSET


B = "/repo/tests/test_b.py"


def less(*argv: str) -> Scenario:
    s = Scenario()
    s.does("pytest", *argv, reads=[A])
    return s


def test_what_was_left_out_is_told() -> None:
    s = less("tests/test_a.py")
    observed = s.on(s.passed(tests=[A, B], **WHOLE)).observed
    assert observed == "pytest tests/test_a.py ran only a part: test_b.py was not run"
    observed = s.on(s.passed(tests=[A, B, "/repo/tests/test_c.py"], **WHOLE)).observed
    assert observed == "pytest tests/test_a.py ran only a part: test_b.py, test_c.py were not run"


def test_a_compiled_file_that_was_not_opened_ran_nothing() -> None:
    compiled = "/repo/tests/__pycache__/test_b.cpython-311-pytest-8.3.4.pyc"
    s = less("tests/test_a.py")
    assert s.says(s.passed(tests=[A, B, compiled], **WHOLE)) == SUBSET


def test_a_tool_of_another_purpose_may_have_run_the_rest() -> None:
    for argv, word in ((("cargo", "build"), "unverifiable"), (("npm", "ci"), "refuted")):
        s = less("tests/test_a.py")
        s.does(*argv)
        assert s.says(s.passed(tests=[A, B], **WHOLE))[0] == word, argv


def test_a_test_by_its_name_opens_files_of_which_it_runs_none() -> None:
    s = less("tests/test_a.py::test_x", "tests/test_c.py")
    assert s.says(s.passed(tests=[A, B], **WHOLE)) == unverifiable("ambiguous")
