"""Was less run than is claimed? Whose number a number is, and which tests are of one kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from polygraph import events as e
from tests.correlator.scenario import STEP, VERIFIED, Scenario, unverifiable
from tests.correlator.test_numbers import counted
from tests.correlator.test_parts import SUBSET, WHOLE, A


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


def test_what_was_opened_is_known_where_it_is_told_by_its_names_alone() -> None:
    s = Scenario()
    s.call()
    run = s.program(None, "pytest", "tests/test_a.py")
    s.add(e.File, process=run, op="read", path=A)
    s.exits(run)
    assert s.says(s.passed(tests=[A, B], **WHOLE)) == SUBSET


def test_packages_below_one_that_is_named() -> None:
    s = Scenario()
    s.does("go", "test", "./a/...")
    assert s.says(s.passed(tests=["/repo/a/x/a_test.go", "/repo/b/b_test.go"], **WHOLE)) == SUBSET


def test_a_setting_is_no_place() -> None:
    s = less("key=a/b")
    assert s.says(s.passed(tests=[A, B], **WHOLE)) == VERIFIED


# --- which runs are asked -------------------------------------------------------------------------------


def test_the_numbers_of_a_run_that_failed_are_not_added() -> None:
    s = Scenario()
    s.counts(s.does("pytest", "tests/test_b.py", status=1), passed=10, failed=2)
    s.counts(s.does("pytest", "tests/test_a.py"), passed=30)
    assert s.says(s.passed(counts={"passed": 31})) == SUBSET
    assert s.says(s.passed(counts={"passed": 30})) == unverifiable("ambiguous")


@pytest.mark.parametrize("after", [0, 1])
def test_a_part_that_began_as_the_whole_failed_makes_nothing_good(after: int) -> None:
    s = Scenario()
    intent = s.asks("pytest")
    shell = s.shell(intent)
    whole, part = s.program(shell, "pytest"), s.fork(shell)
    s.reads(whole, A, B)
    failed = s.exits(whole, 1)
    argv = ("/usr/bin/python3.11", "/repo/.venv/bin/pytest", "tests/test_a.py")
    run: dict[str, Any] = {"path": argv[0], "argv": argv, "script": argv[1], "cwd": "/repo"}
    s.add(e.Exec, process=part, parent=shell, **run, ts=failed.ts + after)
    s.reads(part, A)
    s.exits(part)
    s.exits(shell)
    s.answers(intent)
    assert s.says(s.passed(**WHOLE)) == SUBSET


@pytest.mark.parametrize(("after", "word"), [(0, unverifiable("ambiguous")), (1, SUBSET)])
def test_a_part_that_was_at_work_as_the_whole_failed_was_not_tried_after_it(
    after: int, word: tuple[str, str]
) -> None:
    """And since something was changed meanwhile, what the whole said may be over."""
    s = Scenario()
    intent = s.asks("pytest")
    shell = s.shell(intent)
    whole, part = s.program(shell, "pytest"), s.fork(shell)
    s.reads(whole, A, B)
    failed = s.exits(whole, 1)
    s.file(s.agent, "write", "/repo/src/lib.py")
    argv = ("/usr/bin/python3.11", "/repo/.venv/bin/pytest", "tests/test_a.py")
    run: dict[str, Any] = {"path": argv[0], "argv": argv, "script": argv[1], "cwd": "/repo"}
    s.add(e.Exec, process=part, parent=shell, **run, ts=failed.ts + after)
    s.reads(part, A)
    s.exits(part)
    s.exits(shell)
    s.answers(intent)
    assert s.says(s.passed(**WHOLE)) == word


JS, MORE_JS = "/repo/tests/unit/a.test.js", "/repo/tests/more/b.test.js"


def wrapped(*argv: str, runner: tuple[str, ...]) -> tuple[Scenario, e.Intent]:
    """A script of the project that runs the tests."""
    s = Scenario()
    intent = s.asks(" ".join(argv))
    shell = s.shell(intent)
    outer = s.program(shell, *argv)
    inner = s.program(outer, *runner)
    s.reads(inner, JS)
    s.exits(inner)
    s.exits(outer)
    s.exits(shell)
    s.answers(intent)
    return s, intent


@pytest.mark.parametrize(
    ("argv", "runner", "word"),
    [
        (("npm", "test", "--", "tests/unit"), ("jest", "tests/unit"), SUBSET),
        (("npm", "test", "--", "tests/unit"), ("jest",), VERIFIED),
        # what the project's own script is told is the project's affair
        (("yarn", "test", "tests/unit"), ("jest", "tests/unit"), VERIFIED),
    ],
)
def test_what_a_script_of_the_project_passes_on_selects_a_part(
    argv: tuple[str, ...], runner: tuple[str, ...], word: tuple[str, str | None]
) -> None:
    s, _ = wrapped(*argv, runner=runner)
    assert s.says(s.passed(tests=[JS, MORE_JS], **WHOLE)) == word


def test_a_script_of_the_project_whose_runner_was_not_seen_is_no_part() -> None:
    s, intent = wrapped("npm", "test", "--", "--silent", runner=("./build/unit",))
    s.counts(intent, tool="npm-test", passed=3, deselected=9)
    assert s.says(s.passed(**WHOLE)) == VERIFIED


# --- whose number it is ---------------------------------------------------------------------------------


def test_a_claim_of_a_total_alone_is_one_of_a_number() -> None:
    s = counted(passed=12)
    claim = s.passed(counts={"total": 142})
    assert s.says(claim) == SUBSET
    ended = next(x for x in s.log if isinstance(x, e.Exit))
    assert ended.id in [one.id for one in s.on(claim).evidence]


def test_a_result_that_came_before_the_run_had_ended_is_not_its() -> None:
    s = Scenario()
    intent = s.asks("pytest", background=True)
    shell = s.shell(intent)
    child = s.program(shell, "pytest")
    s.answers(intent)
    s.counts(intent, passed=12)
    s.exits(child)
    s.exits(shell)
    assert s.says(s.passed(counts={"passed": 142})) == VERIFIED


def test_a_number_without_a_result_is_none() -> None:
    s = Scenario()
    intent = s.asks("pytest")
    shell = s.shell(intent)
    s.runs(shell, "pytest")
    s.exits(shell)
    s.counts(intent, passed=12)
    assert s.says(s.passed(counts={"passed": 142})) == VERIFIED


def test_a_number_of_another_runner_is_not_its() -> None:
    s = Scenario()
    s.counts(s.does("pytest"), tool="jest", passed=12)
    assert s.says(s.passed(counts={"passed": 142})) == VERIFIED


def test_a_number_may_be_that_of_a_runner_below_the_runner() -> None:
    """The tests of a plugin start a run of their own, and whose summary it is that the result has is not known."""
    s = Scenario()
    intent = s.asks("pytest")
    shell = s.shell(intent)
    outer = s.program(shell, "pytest")
    s.runs(outer, "pytest", "examples")
    s.exits(outer)
    s.exits(shell)
    s.answers(intent)
    s.counts(intent, passed=3)
    assert s.says(s.passed(counts={"passed": 142})) == VERIFIED


def test_one_of_two_numbers_is_none() -> None:
    s = Scenario()
    intent = s.does("pytest")
    s.counts(intent, passed=12)
    s.counts(intent, tool="jest", passed=30)
    assert s.says(s.passed(counts={"passed": 142})) == VERIFIED


@pytest.mark.parametrize(("before", "word"), [(0, SUBSET), (1, VERIFIED)])
def test_a_tool_call_after_the_claim_tells_no_number_of_it(before: int, word: tuple[str, str | None]) -> None:
    s = Scenario()
    call = s.call()
    s.runs(None, "pytest")
    s.now += STEP
    intent = s.asks("pytest", call=call)
    s.answers(intent)
    s.counts(intent, passed=12)
    assert s.says(s.passed(counts={"passed": 142}, ts=intent.ts - before)) == word


@pytest.mark.parametrize(
    ("argv", "status"),
    [(("-x",), 1), (("-x",), 4), (("--version",), 0), (("tests/test_a.py",), 0)],
)
def test_a_run_that_could_not_have_passed_the_rest_is_no_suspect(argv: tuple[str, ...], status: int) -> None:
    s = Scenario()
    s.does("pytest", *argv, status=status, reads=[A])
    s.does("pytest", "tests/test_a.py", reads=[A])
    assert s.says(s.passed(tests=[A, B], **WHOLE)) == SUBSET


def test_a_place_that_is_relative_or_gone_is_no_test_that_is_there() -> None:
    s = less("tests/test_a.py")
    assert s.says(s.passed(tests=[A], finds={"tests/test_b.py": True}, **WHOLE)) == VERIFIED
    s = less("tests/test_a.py")
    assert s.says(s.passed(tests=[A], finds={B: False}, **WHOLE)) == VERIFIED


def test_what_is_no_test_by_its_name_is_none_that_was_left_out() -> None:
    s = less("tests/test_a.py")
    assert s.says(s.passed(tests=[A, "/repo/tests/helper.py"], **WHOLE)) == VERIFIED


def test_a_test_that_was_replaced_after_it_was_run_was_run() -> None:
    s = Scenario()
    s.file(s.agent, "write", B)
    s.does("pytest", "tests/test_a.py", reads=[A, B])
    s.replaces(s.agent, B)
    assert s.says(s.passed(tests=[A, B], **WHOLE))[1] == "stale"
