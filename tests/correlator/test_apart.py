"""Several runs, each of a part: one that failed is not made good by another part, and "all tests pass" speaks of it."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from correlator.apart import apart
from correlator.programs import identify
from polygraph import events as e
from polygraph.tools import Match
from tests.correlator.scenario import DIMENSIONS, VERIFIED, Scenario, refuted, unverifiable

A, B, C = "tests/test_a.py", "tests/test_b.py", "tests/test_c.py"
OPEN = unverifiable("ambiguous")
ALL: dict[str, Any] = {"tells": ("whole",)}


class Pointed(NamedTuple):
    image: e.Exec
    match: Match


def run_of(command: str) -> Pointed:
    s = Scenario()
    s.program(None, *command.split())
    match = identify(s.log[-1])
    assert match is not None
    return Pointed(s.log[-1], match)


def is_apart(one: str, other: str) -> bool:
    left, right = run_of(one), run_of(other)
    assert apart(left, right) == apart(right, left)
    return apart(left, right)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (f"pytest {A}", f"pytest -q {B} {C}"),
        ("pytest tests/unit", "pytest tests/e2e"),
        ("pytest tests/unit", "pytest /repo/tests/e2e"),
        ("go test ./a", "go test ./b/..."),
        ("bats a.bats", "bats b.bats"),
        ("mocha test/a.js", "mocha test/b.js"),
        ("jest src/a.test.js", "jest src/b.test.js"),
        ("vitest run a.test.ts", "vitest run b.test.ts"),
    ],
)
def test_parts_that_have_nothing_in_common(one: str, other: str) -> None:
    assert is_apart(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (f"pytest {A}", f"pytest {A}"),
        (f"pytest {A}", f"pytest {A}::test_x"),
        (f"pytest {A}::test_y", f"pytest {A}::test_x"),
        (f"pytest {A}", f"pytest {B} {A}"),
        (f"pytest {A}", "pytest tests"),
        (f"pytest {A}", "pytest ."),
        (f"pytest {A}", "pytest --lf"),
        (f"pytest {A}", "pytest -k b"),
        (f"pytest {A}", "pytest -n 4"),
        (f"pytest {A}", "pytest --junitxml out/j.xml"),
        (f"pytest {A}", "pytest --rootdir tests/unit"),
        (f"pytest {A}", f"pytest /repo/{A}"),
        (f"pytest {A}", f"pytest lib/../{A}"),
        ("go test ./a", "go test ./..."),
        ("go test ./a/b", "go test ./a/..."),
        ("jest src/a.test.js", "jest src"),
        ("jest a.test.js", "jest lib/a.test.js"),
        ("jest data.test.js", "jest a.test.js"),
        ("cargo test a", "cargo test b"),
        (f"pytest {A}", "jest b.test.js"),
    ],
)
def test_parts_that_may_have_something_in_common(one: str, other: str) -> None:
    assert not is_apart(one, other)


def loop(*statuses: int, at_once: bool = False, covered: tuple[str, ...] = DIMENSIONS) -> Scenario:
    """`for t in …; do pytest $t; done` in one command, which ends with 0; ``at_once``: each with `&`, then `wait`."""
    s = Scenario(covered=covered)
    intent = s.asks(*(f"pytest {t}" for t in (A, B, C)))
    shell = s.shell(intent)
    started = []
    for target, status in zip((A, B, C), statuses, strict=True):
        child = s.program(shell, "pytest", target)
        started.append((child, status))
        if not at_once:
            s.exits(child, status)
    for child, status in reversed(started) if at_once else ():
        s.exits(child, status)
    s.exits(shell, 0)
    s.answers(intent)
    s.tick()
    return s


@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize("statuses", [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0)])
def test_one_of_a_loop_failed(statuses: tuple[int, ...], at_once: bool) -> None:
    s = loop(*statuses, at_once=at_once)
    assert s.says(s.passed(**ALL)) == refuted("masked_exit")
    assert (s := loop(*statuses, at_once=at_once)).says(s.passed()) == OPEN


def test_calls_of_their_own() -> None:
    s = Scenario()
    s.does("pytest", A, status=1)
    s.does("pytest", B)
    assert s.says(s.passed(**ALL)) == refuted("failed")
    assert s.says(s.claims("tests_run")) == VERIFIED


def test_all_of_a_loop_passed() -> None:
    s = loop(0, 0, 0)
    s.passed(**ALL)
    assert "refuted" not in {verdict.verdict for verdict in s.verdicts()}


@pytest.mark.parametrize("again", [(B,), ("tests",), (), ("--lf",), (f"{B}::test_x",)])
def test_what_failed_may_have_been_tried_again(again: tuple[str, ...]) -> None:
    s = loop(0, 1, 0)
    s.does("pytest", *again)
    assert s.says(s.passed(**ALL)) != refuted("masked_exit")
    assert s.says(s.passed(**ALL)) != refuted("failed")


def test_what_failed_may_have_been_mended_or_moved() -> None:
    s = loop(0, 1, 0)
    s.writes("/repo/b.py")
    s.does("pytest", C)
    assert s.says(s.passed(**ALL)) == OPEN


def test_another_program_may_have_run_it_again() -> None:
    s = loop(0, 1, 0)
    s.does("/repo/run_tests.sh")
    assert s.on(s.passed(**ALL)).verdict == "unverifiable"


@pytest.mark.parametrize("status", [2, 4])
def test_what_did_not_come_to_run_is_no_failure(status: int) -> None:
    s = loop(0, 0, 0)
    s.does("pytest", "tests/test_d.py", status=status)
    s.does("pytest", C)
    assert s.on(s.passed(**ALL)).verdict != "refuted" or status == 2


@pytest.mark.parametrize("dimension", ["process", "file"])
def test_that_it_was_not_tried_again_needs_coverage(dimension: str) -> None:
    s = loop(0, 1, 0, covered=tuple(d for d in DIMENSIONS if d != dimension))
    assert s.on(s.passed(**ALL)).verdict == "unverifiable"


def ended(s: Scenario, status: int) -> int:
    """When the run that ended with ``status`` did."""
    return next(x.ts for x in s.log if isinstance(x, e.Exit) and x.status == status)


@pytest.mark.parametrize(("after", "word"), [(0, refuted("masked_exit")), (1, OPEN)])
def test_what_was_changed_from_the_moment_after_it_failed_may_have_mended_it(
    after: int, word: tuple[str, str]
) -> None:
    s = loop(0, 1, 0)
    s.log.pop()  # nothing was judged yet
    s.file(s.agent, "write", "/repo/b.py", ts=ended(s, 1) + after)
    assert s.says(s.passed(**ALL)) == word


@pytest.mark.parametrize(("after", "word"), [(0, refuted("masked_exit")), (1, OPEN)])
def test_what_ran_from_the_moment_after_it_failed_may_have_run_it_again(
    after: int, word: tuple[str, str]
) -> None:
    s = loop(0, 1, 0)
    s.log.pop()  # nothing was judged yet
    at = ended(s, 1) + after
    s.add(e.Exec, process=s.fork(), parent=s.agent, path="/repo/x", argv=("./x",), cwd="/repo", ts=at)
    assert s.says(s.passed(**ALL)) == word


@pytest.mark.parametrize(
    ("op", "path"), [("mkdir", "/repo/out"), ("rmdir", "/repo/out"), ("write", "/home/me/.cache/x")]
)
def test_a_directory_or_a_file_elsewhere_mends_nothing(op: str, path: str) -> None:
    s = loop(0, 1, 0)
    s.file(s.agent, op, path)
    assert s.says(s.passed(**ALL)) == refuted("masked_exit")


@pytest.mark.parametrize(
    ("argv", "word"),
    [(("dotnet", "build"), OPEN), (("cargo", "build"), refuted("masked_exit"))],
)
def test_a_build_that_may_run_the_tests_may_have_run_it_again(
    argv: tuple[str, ...], word: tuple[str, str]
) -> None:
    s = loop(0, 1, 0)
    s.does(*argv)
    assert s.says(s.passed(**ALL)) == word


def test_what_has_not_begun_has_not_run_it_again() -> None:
    s = loop(0, 1, 0)
    s.fork(s.shell(s.asks("pytest", background=True)))
    assert s.says(s.passed(**ALL)) == refuted("masked_exit")


def test_a_part_that_was_stopped_has_not_failed() -> None:
    s = Scenario()
    run = s.program(s.shell(s.asks(f"pytest {A}")), "pytest", A)
    s.exits(run, signal=2)
    s.does("pytest", B)
    assert s.says(s.passed(**ALL)) == OPEN


def test_another_tool_that_passed_beside_it_is_no_other_part() -> None:
    for argv in (("jest", "b.test.js"), ("pytest", B)):
        s = Scenario()
        s.does("pytest", A, status=1)
        s.does(*argv)
        assert s.says(s.passed(**ALL)) == (OPEN if argv[0] == "jest" else refuted("failed"))


def test_a_part_beside_which_only_another_tool_had_passed_may_be_none_of_all() -> None:
    s = Scenario()
    s.does("jest")
    s.does("pytest", A, status=1)
    assert s.says(s.passed(**ALL)) == OPEN


@pytest.mark.parametrize(("earlier", "word"), [(0, OPEN), (1, refuted("masked_exit"))])
def test_a_success_of_the_same_before_the_failure_is_none_beside_it(
    earlier: int, word: tuple[str, str]
) -> None:
    s = Scenario()
    shell = s.shell(s.asks(f"pytest {A}", f"pytest {B}"))
    first, second = s.program(shell, "pytest", A), s.fork(shell)
    passed = s.exits(first)
    s.execs(second, "pytest", A, ts=passed.ts + earlier)
    s.exits(second, 1)
    s.runs(shell, "pytest", B)
    s.exits(shell)
    assert s.says(s.passed(**ALL)) == word


def below(*runs: tuple[str, int], wrapper: tuple[str, ...] = ("make", "-i", "test")) -> Scenario:
    s = Scenario()
    intent = s.asks(" ".join(wrapper))
    shell = s.shell(intent)
    process = s.program(shell, *wrapper)
    for target, status in runs:
        s.runs(process, "pytest", *target.split(), status=status)
    s.exits(process, 0)
    s.exits(shell, 0)
    s.answers(intent)
    s.tick()
    return s


@pytest.mark.parametrize("wrapper", [("make", "-i", "test"), ("npm", "test"), ("tox",)])
def test_a_wrapper_hides_a_part_that_failed(wrapper: tuple[str, ...]) -> None:
    s = below((A, 1), (B, 0), wrapper=wrapper)
    assert s.says(s.passed()) == refuted("masked_exit")


@pytest.mark.parametrize("again", [A, "", "--lf", "tests"])
def test_a_wrapper_that_tries_again(again: str) -> None:
    s = below((A, 1), (again, 0))
    assert s.says(s.passed()) == VERIFIED
