"""What is written in shell is tested in shell: a script of the project may do such work with builtins alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.correlator.scenario import Scenario, refuted, unverifiable

OPEN, NONE = unverifiable("form_unknown"), refuted("no_execution")
Work = Callable[[Scenario, str], object]


def nothing(_s: Scenario, _script: str) -> None:
    """It only prints."""


def a_function(s: Scenario, script: str) -> None:
    """``[ "$(add 2 3)" = 5 ]``: a copy of the shell that executes nothing."""
    s.exits(s.fork(script))


def another_script(s: Scenario, script: str) -> None:
    s.runs(script, "/bin/bash", "calc.sh", "2", "3")


def a_script_of_its_own(s: Scenario, script: str) -> None:
    s.runs(script, "/bin/bash", "./calc.sh", "2", script="/repo/calc.sh")


def cat(s: Scenario, script: str) -> None:
    s.runs(script, "cat", "last.log")


def of_the_system(s: Scenario, script: str) -> None:
    s.runs(script, "/bin/sh", "/usr/bin/ldd", "calc")


def a_file(s: Scenario, script: str) -> None:
    """``cat a b > dist/app``"""
    s.file(script, "create", "/repo/dist/app")


def ran(work: Work, *argv: str, script: str | None = None) -> Scenario:
    s = Scenario()
    intent = s.asks(" ".join(argv))
    shell = s.shell(intent)
    child = s.program(shell, *argv, path="/usr/bin/bash", script=script)
    work(s, child)
    s.exits(child)
    s.exits(shell)
    s.answers(intent)
    s.tick()
    return s


def said(s: Scenario, topic: str) -> tuple[str, str | None]:
    return s.says(s.claims(topic, "ok"))


@pytest.mark.parametrize("work", [a_function, another_script, a_script_of_its_own])
@pytest.mark.parametrize("topic", ["tests_passed", "lint", "typecheck"])
def test_a_script_that_does_more_than_print_may_be_the_check(topic: str, work: Work) -> None:
    assert said(ran(work, "bash", "-eu", "check.sh"), topic) == OPEN
    assert said(ran(work, "/bin/bash", "./check.sh", script="/repo/check.sh"), topic) == OPEN


@pytest.mark.parametrize("work", [nothing, cat, of_the_system])
def test_one_that_only_prints_is_none(work: Work) -> None:
    assert said(ran(work, "bash", "test.sh"), "tests_passed") == NONE


@pytest.mark.parametrize(
    "argv",
    [
        ("bash", "deploy.sh"),
        ("bash", "/usr/bin/test.sh"),
        ("bash", "-c", "test.sh"),
        ("bash", "-s", "test.sh"),
    ],
)
def test_neither_is_one_of_another_name_nor_of_the_system_nor_no_script(argv: tuple[str, ...]) -> None:
    assert said(ran(a_function, *argv), "tests_passed") == NONE


@pytest.mark.parametrize(("work", "word"), [(a_function, OPEN), (nothing, NONE), (cat, NONE)])
def test_a_shell_of_a_command_that_reads_from_its_input_is_one_of_any_name(
    work: Work, word: tuple[str, str | None]
) -> None:
    """``cat test.sh | bash``"""
    assert said(ran(work, "bash", "-x"), "tests_passed") == word


def test_arguments_may_say_it_too() -> None:
    assert said(ran(a_function, "bash", "calc.sh", "--self-test"), "tests_passed") == OPEN


@pytest.mark.parametrize(("work", "word"), [(a_file, OPEN), (a_function, NONE), (nothing, NONE)])
def test_a_build_leaves_a_file(work: Work, word: tuple[str, str | None]) -> None:
    assert said(ran(work, "bash", "build.sh"), "build") == word


def test_it_may_have_done_again_what_was_stale() -> None:
    s = Scenario()
    s.does("bats", "test.bats", reads=["/repo/calc.sh"])
    s.writes("/repo/calc.sh")
    shell = s.program(None, "bash", "tests/run.sh", path="/usr/bin/bash")
    a_function(s, shell)
    s.exits(shell)
    assert s.says(s.passed()) == OPEN
