"""Was less run than is claimed? Whose number a number is, and which tests are of one kind."""

from __future__ import annotations

from pathlib import Path

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


def test_tests_of_a_session_without_a_directory_are_of_one_kind_wherever_this_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    one, two = f"{tmp_path}/a/test_a.py", f"{tmp_path}/demo/test_x.py"
    s = Scenario(cwd="")
    s.does("pytest", one, reads=[one])
    assert s.says(s.passed(tests=[one, two], **WHOLE)) == SUBSET


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
    for argv, word in (
        (("dotnet", "build"), "unverifiable"),
        (("cargo", "build"), "refuted"),
        (("npm", "ci"), "refuted"),
    ):
        s = less("tests/test_a.py")
        s.does(*argv)
        assert s.says(s.passed(tests=[A, B], **WHOLE))[0] == word, argv


def test_a_test_by_its_name_opens_files_of_which_it_runs_none() -> None:
    s = less("tests/test_a.py::test_x", "tests/test_c.py")
    assert s.says(s.passed(tests=[A, B], **WHOLE)) == unverifiable("ambiguous")


@pytest.mark.parametrize(("after", "word"), [(0, SUBSET), (1, unverifiable("form_unknown"))])
def test_what_ran_after_the_whole_had_failed_may_have_run_the_rest(after: int, word: tuple[str, str]) -> None:
    s = Scenario()
    s.does("pytest", reads=[A, B], status=1)
    failed = next(x for x in s.log if isinstance(x, e.Exit))
    s = Scenario()
    intent = s.asks("pytest")
    shell = s.shell(intent)
    child = s.program(shell, "pytest")
    s.reads(child, A, B)
    other = s.fork(shell)
    s.add(
        e.Exec, process=other, parent=shell, path="/repo/x", argv=("./x",), cwd="/repo", ts=failed.ts + after
    )
    s.add(e.Exit, process=child, status=1, ts=failed.ts)
    s.now = max(s.now, failed.ts + after)
    s.exits(other)
    s.exits(shell, 1)
    s.answers(intent)
    s.does("pytest", "--lf", reads=[A])
    assert s.says(s.passed(**WHOLE)) == word


def test_a_file_that_was_opened_besides_was_run() -> None:
    s = Scenario()
    s.does("pytest", "tests/test_a.py", reads=[A, B])
    assert s.says(s.passed(tests=[A, B], **WHOLE)) == VERIFIED


def test_where_nothing_is_known_of_what_was_opened_any_test_may_have_been() -> None:
    s = Scenario()
    s.does("pytest", "tests/test_a.py")
    assert s.says(s.passed(tests=[A, B], **WHOLE)) == unverifiable("ambiguous")


def test_packages_below_one_that_is_named() -> None:
    s = Scenario()
    s.does("go", "test", "./a/...")
    assert s.says(s.passed(tests=["/repo/a/x/a_test.go", "/repo/b/b_test.go"], **WHOLE)) == SUBSET


def test_a_setting_is_no_place() -> None:
    s = less("key=a/b")
    assert s.says(s.passed(tests=[A, B], **WHOLE)) == VERIFIED
