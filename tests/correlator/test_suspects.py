"""What could have done it unseen, and what by its own words could not."""

from __future__ import annotations

import pytest

from tests.correlator.scenario import Scenario, refuted, unverifiable

NOT_RUN = refuted("no_execution")
OPEN = unverifiable("form_unknown")
TEST = "/repo/test_a.py"


def after(*argv: str, opens: str = "/usr/lib/x.py", topic: str = "tests_passed") -> tuple[str, str | None]:
    """The verdict on a claim that rests on that program."""
    s = Scenario()
    s.does(*argv, reads=[opens])
    tests = [TEST] if topic == "tests_passed" else []
    return s.says(s.claims(topic, "ok", tests=tests))


@pytest.mark.parametrize(
    "argv",
    [
        ("python3", "-c", "print(open('log').read())"),
        ("python3", "-c", "text:0123456789abcdef~."),
        ("python3", "-I", "-c", "text:0123456789abcdef"),
        ("node", "-e", "console.log(1)"),
        ("perl", "-e", "print 1"),
    ],
)
def test_a_program_that_says_all_that_it_does_and_nothing_of_tests(argv: tuple[str, ...]) -> None:
    assert after(*argv) == NOT_RUN


@pytest.mark.parametrize(
    "argv",
    [
        ("python3", "-c", "import pytest; pytest.main()"),
        ("python3", "-c", "text:0123456789abcdef~.,test"),
        ("python3", "-c", "text:0123456789abcdef~,assert"),
        ("python3", "-c", "text:0123456789abcdef~.,exec"),
        ("python3", "-c", "exec(open('run.py').read())"),
        ("node", "-e", "require('./a.spec.js')"),
        ("python3", "run.py"),
        ("python3", "run.py", "-c", "x"),
        ("python3", "-"),
        ("node", "-r", "./run.js", "-e", "1"),
        ("node", "--require=./run.js", "-e", "1"),
        ("node", "-r", "./hook.js", "run.js"),
        ("perl", "-MRun", "-e", "1"),
        ("ruby", "-E", "utf-8", "run.rb"),
        ("mystery", "-c", "print(1)"),
    ],
)
def test_a_program_that_may_have_run_tests(argv: tuple[str, ...]) -> None:
    assert after(*argv) == OPEN


def test_a_program_that_opened_a_test_may_have_run_it_whatever_it_says() -> None:
    assert after("python3", "-c", "print(1)", opens=TEST) == OPEN


@pytest.mark.parametrize("topic", ["lint", "typecheck", "tests_passed"])
def test_a_module_of_pythons_own_runs_nothing_of_a_project(topic: str) -> None:
    assert after("python3", "-m", "py_compile", "a.py", topic=topic) == NOT_RUN


def test_to_compile_a_file_may_be_called_a_build() -> None:
    assert after("python3", "-m", "py_compile", "a.py", topic="build") == OPEN


def test_another_module_may_be_a_linter() -> None:
    assert after("python3", "-m", "houserules", topic="lint") == OPEN
