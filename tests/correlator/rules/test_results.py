"""What the result of a tool call says: whose run it is, and what a tool below a wrapper did."""

from __future__ import annotations

from typing import Any

import pytest

from polygraph import events as e
from tests.correlator.scenario import VERIFIED, Scenario, expect, refuted, unverifiable
from tests.correlator.test_forged import forged

AMBIGUOUS = unverifiable("ambiguous")


def result(s: Scenario, intent: e.Intent, tool: str | None = "pytest") -> tuple[str, str | None]:
    return s.says(s.passed(source="tool_result", intent=intent, tool=tool))


# --- whose run ------------------------------------------------------------------------------------------


def test_only_what_ran_below_the_command_is_its_own() -> None:
    s = Scenario()
    intent = s.asks("pytest")
    shell = s.shell(intent)
    s.runs(shell, "pytest")
    s.exits(shell)
    s.runs(None, "pytest", status=1)
    s.answers(intent)
    assert result(s, intent) == VERIFIED


def test_without_a_shell_of_its_own_what_no_other_call_ran_may_be_its_own() -> None:
    for other in (True, False):
        s = Scenario()
        call = s.call()
        intent = s.asks("./check", call=call)
        two = s.asks("pytest", call=call)
        shell = s.shell(two) if other else None
        s.runs(shell, "pytest")
        s.answers(intent)
        s.answers(two)
        assert result(s, intent) == (AMBIGUOUS if other else VERIFIED)


def test_another_tool_than_is_named() -> None:
    s = Scenario()
    intent = s.does("pytest")
    claim = s.passed(source="tool_result", intent=intent, tool="jest")
    assert s.says(claim) == AMBIGUOUS
    assert len(s.on(claim).evidence) == 2


# --- below a wrapper ------------------------------------------------------------------------------------


def environments(status: int, *inner: tuple[tuple[str, ...], int]) -> Scenario:
    s = Scenario()
    intent = s.asks("tox")
    shell = s.shell(intent)
    tox = s.program(shell, "tox")
    for argv, ended in inner:
        s.runs(tox, *argv, status=ended)
    s.exits(tox, status)
    s.exits(shell, status)
    s.answers(intent)
    return s


ONE, TWO = ("pytest", "tests/test_a.py"), ("pytest", "tests/test_b.py")


@pytest.mark.parametrize(
    ("status", "inner", "word", "told"),
    [
        (0, ((ONE, 0),), VERIFIED, "pytest"),
        (1, ((ONE, 1),), refuted("failed"), "pytest"),
        (1, ((ONE, 0), (TWO, 1)), refuted("failed"), "tox"),
        (1, ((ONE, 1), (TWO, 1)), refuted("failed"), "tox"),
        (1, ((ONE, 0), (TWO, 4)), refuted("failed"), "tox"),
        (0, ((ONE, 0), (ONE, 1)), refuted("superseded_by_failure"), "pytest"),
    ],
)
def test_of_several_environments_only_the_whole_tells_which_failed(
    status: int, inner: tuple[tuple[tuple[str, ...], int], ...], word: tuple[str, str | None], told: str
) -> None:
    s = environments(status, *inner)
    verdict = s.on(s.passed(tool="pytest"))
    assert (verdict.verdict, verdict.reason) == word
    assert verdict.observed.startswith(told)


# --- a runner that was written in this session ----------------------------------------------------------


@pytest.mark.parametrize("topic", ["tests_passed", "tests_failed", "tests_run"])
def test_that_a_forged_runner_failed_is_held_against_nobody(topic: str) -> None:
    s = forged()
    assert s.says(s.claims(topic, "failed", tests=["/repo/test_a.py"])) == AMBIGUOUS


def test_what_could_have_run_the_tests_instead_is_asked_for_that_purpose() -> None:
    s = forged()
    s.does("npm", "ci")
    assert s.says(s.passed(tests=["/repo/test_a.py"])) == refuted("shadowed_tool")
    s.does("cargo", "build")
    assert s.says(s.passed(tests=["/repo/test_a.py"])) == refuted("shadowed_tool")
    s.does("dotnet", "build")
    assert s.says(s.passed(tests=["/repo/test_a.py"]))[0] == "unverifiable"


def test_what_has_not_begun_has_not_passed_but_may_be_what_was_run() -> None:
    s = forged()
    s.shell(s.asks("pytest", background=True))
    s.fork(s.log[-1].process)
    assert s.says(s.passed(tests=["/repo/test_a.py"])) == refuted("shadowed_tool")
    assert s.says(s.claims("tests_run", tests=["/repo/test_a.py"])) == unverifiable("still_running")


@pytest.mark.parametrize(("feeds", "word"), [("pipe", AMBIGUOUS), (None, refuted("masked_exit"))])
def test_what_a_pipeline_shows_may_be_a_part_of_what_was_said(feeds: Any, word: tuple[str, str]) -> None:
    s = Scenario()
    intent = s.asks(expect("pytest", feeds=feeds))
    shell = s.shell(intent)
    s.runs(shell, "pytest", status=1)
    s.exits(shell, 0)
    s.answers(intent)
    assert s.says(s.passed(source="tool_result", intent=intent, tool="pytest")) == word
