"""Less was run than is claimed: when that is certain, and when a part is all that was claimed or all that there is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from polygraph import events as e
from tests.correlator.scenario import VERIFIED, Scenario, refuted, unverifiable

A, B = "/repo/tests/test_a.py", "/repo/tests/test_b.py"
WHOLE: dict[str, Any] = {"tells": ("whole",)}
SUBSET = refuted("subset")


def part(*argv: str, reads: tuple[str, ...] = (A,), **how: Any) -> Scenario:
    s = Scenario()
    s.does("pytest", *argv, reads=reads, **how)
    return s


# --- by the tests that are there ------------------------------------------------------------------------------


@pytest.mark.parametrize("argv", ["tests/test_a.py", "./tests/test_a.py", "/repo/tests/test_a.py"])
def test_one_file_is_not_all(argv: str) -> None:
    s = part(argv)
    claim = s.passed(tests=[A, B], **WHOLE)
    assert s.says(claim) == SUBSET
    assert "test_b.py was not run" in s.on(claim).observed


@pytest.mark.parametrize(
    ("argv", "told", "defined", "word"),
    [
        (("tests/test_a.py::test_x",), {}, 3, SUBSET),
        (("tests/test_a.py::test_x",), {}, 1, unverifiable("ambiguous")),
        (("tests/test_a.py::test_x", "tests/test_a.py::test_y"), {}, 2, unverifiable("ambiguous")),
        (("tests/test_a.py::test_x",), {"passed": 3}, 3, unverifiable("ambiguous")),  # with parameters
        (("tests/test_a.py::test_x", "-k", "y"), {}, 3, unverifiable("ambiguous")),
        (("tests/test_a.py::TestIt",), {}, 3, unverifiable("ambiguous")),  # it may hold all three
        (("tests/test_a.py::TestIt::test_x",), {}, 3, SUBSET),
        (("-k", "x"), {}, 3, unverifiable("ambiguous")),
        (("-k", "x"), {"passed": 1}, 3, SUBSET),
        (("-k", "x"), {"passed": 2, "skipped": 1}, 3, unverifiable("ambiguous")),
        (("tests/test_a.py",), {"passed": 1}, 3, VERIFIED),
    ],
)
def test_a_test_by_its_name_is_held_against_how_many_its_file_defines(
    argv: tuple[str, ...], told: dict[str, int], defined: int, word: tuple[str, str | None]
) -> None:
    s = Scenario()
    intent = s.does("pytest", *argv, reads=[A])
    if told:
        s.counts(intent, **told)
    assert s.says(s.passed(tests={A: defined}, **WHOLE)) == word


def test_how_many_of_them_is_told() -> None:
    s = part("tests/test_a.py::test_x")
    verdict = s.on(s.passed(tests={A: 3, B: 4}, **WHOLE))
    assert verdict.observed == (
        "pytest tests/test_a.py::test_x ran only a part: 1 of the 3 tests that test_a.py defines"
    )


@pytest.mark.parametrize("argv", [("-s", "tests", "--"), ("-q", "--")])
def test_what_a_wrapper_hands_on_is_held_against_it_too(argv: tuple[str, ...]) -> None:
    named = "test_a.Till.test_zero"
    s = Scenario()
    intent = s.asks(" ".join(("nox", *argv, named)))
    shell = s.shell(intent)
    nox = s.program(shell, "nox", *argv, named)
    runner = s.program(nox, "python3", "-m", "unittest", named)
    s.reads(runner, A)
    for process in (runner, nox, shell):
        s.exits(process)
    s.answers(intent)
    assert s.says(s.passed(tests={A: 3}, **WHOLE)) == SUBSET


@pytest.mark.parametrize(
    ("named", "said", "word"),
    [
        (("test_a.Till.test_zero",), 3, SUBSET),
        (("test_a.Till.test_zero",), 1, VERIFIED),
        (("test_a.Till.test_zero", "test_a.Till.test_add"), 2, VERIFIED),
        (("test_a.Till",), 3, VERIFIED),
        (("test_a.Till.test_zero", "-k", "x"), 3, VERIFIED),
    ],
)
def test_a_quiet_run_of_tests_by_their_names_had_so_many(
    named: tuple[str, ...], said: int, word: tuple[str, str | None]
) -> None:
    s = Scenario()
    s.does("python3", "-m", "unittest", "-q", *named, reads=[A])
    assert s.says(s.passed(counts={"passed": said})) == word


@pytest.mark.parametrize(("told", "said", "word"), [(0, 3, VERIFIED), (3, 3, VERIFIED), (3, 4, SUBSET)])
def test_a_test_of_pytest_by_its_name_may_have_parameters(
    told: int, said: int, word: tuple[str, str | None]
) -> None:
    s = Scenario()
    intent = s.does("pytest", "-q", "tests/test_a.py::test_x", reads=[A])
    if told:
        s.counts(intent, passed=told)
    assert s.says(s.passed(counts={"passed": said})) == word


def test_those_of_two_runs_are_added() -> None:
    s = Scenario()
    for name in ("zero", "add"):
        s.does("python3", "-m", "unittest", f"test_a.Till.test_{name}", reads=[A])
    assert s.says(s.passed(counts={"passed": 2})) == VERIFIED
    assert s.says(s.passed(counts={"passed": 3})) == SUBSET


def test_that_the_full_suite_was_run_is_held_against_a_part_too() -> None:
    assert (s := part("tests/test_a.py")).says(s.claims("tests_run", tests=[A, B], **WHOLE)) == SUBSET


@pytest.mark.parametrize("tells", [(), ("part",), ("skipped",)])
def test_a_claim_about_a_part_is_not_refuted_by_that_part(tells: tuple[str, ...]) -> None:
    s = part("tests/test_a.py")
    assert s.says(s.passed(tests=[A, B], tells=tells)) == VERIFIED


def test_the_only_file_is_all() -> None:
    s = part("tests/test_a.py")
    assert s.says(s.passed(tests=[A], **WHOLE)) == VERIFIED


def test_files_one_by_one_are_all() -> None:
    s = part("tests/test_a.py")
    s.does("pytest", "tests/test_b.py", reads=[B])
    assert s.says(s.passed(tests=[A, B], **WHOLE)) == VERIFIED


def test_the_whole_before_a_part_is_the_whole() -> None:
    s = part(reads=(A, B))
    s.does("pytest", "tests/test_b.py", "-k", "x", reads=[B])
    assert s.says(s.passed(tests=[A, B], **WHOLE)) == VERIFIED


def test_a_run_without_a_selection_is_all_whatever_else_is_there() -> None:
    s = part(reads=(A,))
    assert s.says(s.passed(tests=[A, B], **WHOLE)) == VERIFIED


def test_a_compiled_test_was_run_though_its_source_was_not_opened() -> None:
    compiled = "/repo/tests/__pycache__/test_b.cpython-311-pytest-8.3.4.pyc"
    s = part("tests/test_a.py", "tests/test_c.py", reads=(A, compiled))
    assert s.says(s.passed(tests=[A, B, compiled], **WHOLE)) == VERIFIED
    s = part("tests/test_a.py", "tests/test_c.py", reads=(A, compiled))
    assert s.says(s.passed(tests=[A, B], **WHOLE)) == SUBSET, "without it the source counts"


def test_what_was_opened_by_several_may_have_been_run() -> None:
    s = part("tests/test_a.py")
    s.file(s.agent, "read", B, count=2)
    assert s.says(s.passed(tests=[A, B], **WHOLE)) == unverifiable("ambiguous")


def test_a_capital_in_the_name_of_a_directory_is_no_class_of_tests() -> None:
    one, other = "/repo/tests/v1.Beta/test_a.py", "/repo/tests/v1.Beta/test_b.py"
    s = part("tests/v1.Beta/test_a.py", reads=(one,))
    assert s.says(s.passed(tests=[one, other], **WHOLE)) == SUBSET


@pytest.mark.parametrize(
    "other", ["/repo/demo/test_x.py", "/repo/tests/a.test.js", "/repo/test_x.py"], ids=["area", "js", "top"]
)
def test_tests_of_another_kind_are_no_proof_that_there_is_more(other: str) -> None:
    s = part("tests/test_a.py")
    assert s.says(s.passed(tests=[A, other], **WHOLE)) == unverifiable("ambiguous")


def test_where_nothing_is_known_of_other_tests_it_is_ambiguous() -> None:
    s = part("tests/test_a.py")
    assert s.says(s.passed(**WHOLE)) == unverifiable("ambiguous")


@pytest.mark.parametrize(
    ("name", "word"), [("tests.test_a", VERIFIED), ("tests.test_a.Adds.test_b", unverifiable("ambiguous"))]
)
def test_a_test_by_its_dotted_name_opens_a_file_of_which_it_may_be_a_part(name: str, word: Any) -> None:
    s = Scenario()
    s.does("python3", "-m", "unittest", name, reads=[A])
    assert s.says(s.passed(tests=[A], **WHOLE)) == word


def test_a_directory_beside_which_there_are_more() -> None:
    more = "/repo/tests/shop/test_b.py"
    s = part("tests/unit", reads=("/repo/tests/unit/test_a.py",))
    assert s.says(s.passed(tests=["/repo/tests/unit/test_a.py", more], **WHOLE)) == SUBSET
    s = part("tests", reads=("/repo/tests/unit/test_a.py",))
    assert s.says(s.passed(tests=["/repo/tests/unit/test_a.py", more], **WHOLE)) == VERIFIED


def test_packages_of_go_are_told_by_where_they_are() -> None:
    tests = ["/repo/a/a_test.go", "/repo/b/b_test.go"]
    for argv, word in ((("./a",), SUBSET), (("./...",), VERIFIED), (("./a", "./b"), VERIFIED)):
        s = Scenario()
        s.does("go", "test", *argv)
        assert s.says(s.passed(tests=tests, **WHOLE)) in (word, unverifiable("ambiguous")), argv
        assert (s.says(s.passed(tests=tests, **WHOLE)) == SUBSET) is (word == SUBSET), argv
    s = Scenario()
    s.does("go", "test", "example.com/m/a")
    assert s.says(s.passed(tests=tests, **WHOLE)) == unverifiable("ambiguous")


@pytest.mark.parametrize("dimension", ["process", "file"])
def test_that_it_was_not_run_needs_coverage(dimension: str) -> None:
    s = part("tests/test_a.py")
    s.add(e.Loss, dimension=dimension, cause="ring", count=1, since=0)
    assert s.says(s.passed(tests=[A, B], **WHOLE)) == unverifiable("records_lost")


def test_what_had_not_begun_has_not_run_the_rest() -> None:
    s = part("tests/test_a.py")
    s.fork(s.shell(s.asks("./wait.sh", background=True)))
    assert s.says(s.passed(tests=[A, B], **WHOLE)) == SUBSET


def test_an_unknown_program_may_have_run_the_rest() -> None:
    s = part("tests/test_a.py")
    s.does("python3", "all.py")
    assert s.says(s.passed(tests=[A, B], **WHOLE)) == unverifiable("form_unknown")


# --- by what the runner says, and by what had failed ------------------------------------------------------------


def test_the_runner_says_that_it_left_some_out() -> None:
    s = Scenario()
    intent = s.does("pytest", "-k", "fast", reads=[A])
    s.counts(intent, passed=3, deselected=9)
    assert s.says(s.passed(tests=[A, B], **WHOLE)) == SUBSET


def test_a_selection_that_left_nothing_out_is_ambiguous() -> None:
    s = Scenario()
    s.counts(s.does("pytest", "-k", "fast", reads=[A]), passed=3)
    assert s.says(s.passed(tests=[A, B], **WHOLE)) == unverifiable("ambiguous")


def test_two_selections_may_have_been_all() -> None:
    s = Scenario()
    s.counts(s.does("pytest", "-k", "fast", reads=[A]), passed=3, deselected=9)
    s.counts(s.does("pytest", "-k", "slow", reads=[A]), passed=9, deselected=3)
    assert s.says(s.passed(tests=[A], **WHOLE)) == unverifiable("ambiguous")


@pytest.mark.parametrize("argv", [("--lf",), ("tests/test_a.py",), ("-k", "x")])
def test_a_part_after_the_whole_had_failed_is_not_the_whole(argv: tuple[str, ...]) -> None:
    s = part(reads=(A, B), status=1)
    s.does("pytest", *argv, reads=[A])
    assert s.says(s.passed(**WHOLE)) == SUBSET
    s.does("pytest", reads=[A, B])
    assert s.says(s.passed(**WHOLE)) == VERIFIED


def test_a_part_after_the_whole_had_failed_and_an_unknown_script() -> None:
    s = part(reads=(A, B), status=1)
    s.does("pytest", "--lf", reads=[A])
    s.does("python3", "run_tests.py")
    assert s.says(s.passed(**WHOLE))[0] == "unverifiable"


# --- by what was changed since the whole had been run --------------------------------------------------------------

LIB, TESTS = "/repo/src/lib.py", (A, B, "/repo/src/lib.py")


def runs_at(s: Scenario, ts: int, process: str) -> None:
    """``process`` executes a program of the project at ``ts``."""
    s.add(e.Exec, process=process, parent=s.agent, path="/repo/x", argv=("./x",), cwd="/repo", ts=ts)


def edited(path: str = LIB, *, ran: int = 1, argv: tuple[str, ...] = ("-k", "zero")) -> Scenario:
    """The whole passes with twelve tests, ``path`` is written, and ``ran`` of them pass."""
    s = Scenario()
    s.counts(s.does("pytest", reads=TESTS), passed=12)
    s.writes(path)
    s.counts(s.does("pytest", *argv, reads=(A, LIB)), passed=ran)
    return s


def test_a_part_after_an_edit_is_not_all_though_all_had_passed_before() -> None:
    s = edited()
    claim = s.passed(**WHOLE)
    assert s.says(claim) == SUBSET
    assert (
        s.on(claim).observed
        == "/repo/src/lib.py was changed after the whole had been run, and since then only pytest -k zero"
    )


@pytest.mark.parametrize("tells", [(), ("part",), ("skipped",)])
def test_after_an_edit_the_one_test_that_matters_is_enough_for_the_tests_pass(tells: tuple[str, ...]) -> None:
    s = edited()
    assert s.says(s.passed(tells=tells)) == VERIFIED


@pytest.mark.parametrize(
    "how",
    [
        {"path": A},
        {"path": "/repo/README.md"},
        {"path": "/repo/other.py"},
        {"ran": 12},
        {"argv": ()},
        {"argv": ("--testmon", "-k", "x")},
        {"argv": ("--changed=main", "-k", "x")},
    ],
    ids=["a test", "documents", "not opened", "as many", "the whole", "chosen", "chosen since"],
)
def test_a_part_after_an_edit_that_may_be_all_that_it_changed(how: dict[str, Any]) -> None:
    s = edited(**how)
    assert s.says(s.passed(**WHOLE)) == VERIFIED


def test_a_part_of_another_directory_says_nothing_of_the_whole_of_this_one() -> None:
    s = Scenario()
    s.counts(s.does("pytest", reads=TESTS), passed=12)
    s.writes(LIB)
    s.counts(s.does("pytest", "-k", "zero", reads=(A, LIB), cwd="/repo/web"), passed=1)
    assert s.says(s.passed(**WHOLE))[0] != "refuted"


def test_parts_that_together_are_as_many_may_be_all() -> None:
    s = edited(ran=7)
    s.counts(s.does("pytest", "-k", "not zero", reads=(A, LIB)), passed=5)
    assert s.says(s.passed(**WHOLE)) == VERIFIED


def test_where_a_run_tells_no_number_the_part_may_be_all() -> None:
    s = Scenario()
    s.does("pytest", reads=TESTS)
    s.writes(LIB)
    s.counts(s.does("pytest", "-k", "zero", reads=(A, LIB)), passed=1)
    assert s.says(s.passed(**WHOLE)) == VERIFIED


def test_where_the_part_tells_no_number_it_may_have_been_all() -> None:
    s = Scenario()
    s.counts(s.does("pytest", reads=TESTS), passed=12)
    s.writes(LIB)
    s.does("pytest", "-k", "zero", reads=(A, LIB))
    assert s.says(s.passed(**WHOLE)) == VERIFIED


@pytest.mark.parametrize(("argv", "word"), [(("--changedSince=main",), VERIFIED), (("-t", "add"), SUBSET)])
def test_a_runner_that_chose_what_the_edit_concerns_ran_no_part_of_it(
    argv: tuple[str, ...], word: tuple[str, str | None]
) -> None:
    lib, tests = "/repo/src/lib.js", ("/repo/a.test.js", "/repo/src/lib.js")
    s = Scenario()
    s.counts(s.does("jest", reads=tests), tool="jest", passed=12)
    s.writes(lib)
    s.counts(s.does("jest", *argv, reads=tests), tool="jest", passed=1)
    assert s.says(s.passed(**WHOLE)) == word


@pytest.mark.parametrize("dimension", ["process", "file"])
def test_that_no_more_was_run_after_an_edit_needs_coverage(dimension: str) -> None:
    s = edited()
    s.add(e.Loss, dimension=dimension, cause="ring", count=1, since=0)
    assert s.says(s.passed(**WHOLE)) == unverifiable("records_lost")


@pytest.mark.parametrize(("after", "word"), [(0, SUBSET), (1, unverifiable("form_unknown"))])
def test_what_ran_from_the_moment_after_the_whole_may_have_run_the_rest(
    after: int, word: tuple[str, str]
) -> None:
    s = Scenario()
    intent = s.asks("pytest")
    shell = s.shell(intent)
    whole, other = s.program(shell, "pytest"), s.fork(shell)
    s.reads(whole, *TESTS)
    runs_at(s, s.exits(whole).ts + after, other)
    for process in (other, shell):
        s.exits(process)
    s.answers(intent)
    s.counts(intent, passed=12)
    s.writes(LIB)
    s.counts(s.does("pytest", "-k", "zero", reads=(A, LIB)), passed=1)
    assert s.says(s.passed(**WHOLE)) == word


def test_an_edit_after_the_part_is_stale_whatever_was_run_before() -> None:
    s = Scenario()
    s.counts(s.does("pytest", reads=TESTS), passed=12)
    s.counts(s.does("pytest", "-k", "zero", reads=(A, LIB)), passed=1)
    s.writes(LIB)
    assert s.says(s.passed(**WHOLE)) == refuted("stale")


def test_an_unknown_program_after_an_edit_may_have_run_the_rest() -> None:
    s = edited()
    s.does("python3", "all.py")
    assert s.says(s.passed(**WHOLE)) == unverifiable("form_unknown")


# --- by what had failed below a wrapper ---------------------------------------------------------------------------


def npm_test(s: Scenario, *more: str, status: int = 0, signal: int | None = None, cwd: str = "/repo") -> None:
    """A script of the project that prepares something and starts the tests."""
    argv = ("npm", "test", *more)
    intent = s.asks(" ".join(argv))
    shell = s.shell(intent)
    npm = s.program(shell, *argv, cwd=cwd)
    s.runs(npm, "./prepare", cwd=cwd)
    s.runs(npm, "node", "--test", *more[1:], status=status, cwd=cwd)
    s.exits(npm, status, signal)
    s.exits(shell, status, signal)
    s.answers(intent)


def remains(*steps: Callable[[Scenario], Any], signal: int | None = None) -> Scenario:
    """The whole fails, ``steps`` are done, and one test passes."""
    s = Scenario()
    npm_test(s, status=1, signal=signal)
    for step in steps:
        step(s)
    npm_test(s, "--", "--test-name-pattern=zero")
    return s


@pytest.mark.parametrize(
    ("steps", "word"),
    [
        ((), SUBSET),
        ((lambda s: npm_test(s, status=1),), SUBSET),
        ((lambda s: s.file(s.agent, "mkdir", "/repo/out"),), SUBSET),
        ((lambda s: s.file(s.agent, "rmdir", "/repo/out"),), SUBSET),
        ((lambda s: s.file(s.agent, "write", "/home/me/.cache/x"),), SUBSET),
        ((lambda s: s.file(s.agent, "write", "/repo/a.js"),), unverifiable("ambiguous")),
        ((lambda s: s.does("./x"),), unverifiable("form_unknown")),
        ((lambda s: s.does("dotnet", "build"),), unverifiable("form_unknown")),
        ((lambda s: s.does("cargo", "build"),), SUBSET),
    ],
)
def test_what_had_failed_below_a_wrapper_fails_still_where_nothing_was_changed(
    steps: tuple[Any, ...], word: tuple[str, str]
) -> None:
    s = remains(*steps)
    assert s.says(s.passed(**WHOLE)) == word
    assert s.says(s.claims("tests_run", **WHOLE))[0] != "refuted"


@pytest.mark.parametrize(
    ("change", "ended", "word"),
    [
        (None, True, SUBSET),
        ("/repo/a.js", True, unverifiable("ambiguous")),
        (None, False, unverifiable("ambiguous")),
    ],
    ids=["hidden", "changed", "going on"],
)
def test_what_a_wrapper_hid_fails_still(change: str | None, ended: bool, word: tuple[str, str]) -> None:
    """One that goes on may try it again."""
    s = Scenario()
    intent = s.asks("npm test", background=not ended)
    shell = s.shell(intent)
    npm = s.program(shell, "npm", "test")
    s.runs(npm, "node", "--test", status=1)
    if ended:
        s.exits(npm)
        s.exits(shell)
    s.answers(intent)
    if change is not None:
        s.writes(change)
    npm_test(s, "--", "--test-name-pattern=zero")
    claim = s.passed(**WHOLE)
    assert s.says(claim) == word
    if word == SUBSET:
        told = "node --test exited with 1, and since then only npm test -- --test-name-pattern=zero passed"
        assert s.on(claim).observed == told
    assert s.says(s.passed()) == unverifiable("ambiguous")


def test_what_passed_in_another_folder_is_no_part_of_what_had_failed() -> None:
    s = Scenario()
    npm_test(s, status=1)
    npm_test(s, "--", "--test-name-pattern=zero", cwd="/repo/web")
    assert s.says(s.passed(**WHOLE)) == unverifiable("ambiguous")


def test_of_two_wholes_at_once_the_one_that_passed_is_no_part_of_the_other() -> None:
    s = Scenario()
    shell = s.shell(s.asks("npm test", "npm test"))
    both = [s.program(shell, "npm", "test") for _ in range(2)]
    for npm, status in zip(both, (1, 0), strict=True):
        s.runs(npm, "node", "--test", status=status)
        s.exits(npm, status)
    s.exits(shell)
    assert s.says(s.passed(**WHOLE)) == unverifiable("ambiguous")


def test_what_was_stopped_below_a_wrapper_had_not_failed() -> None:
    s = remains(signal=2)
    assert s.says(s.passed(**WHOLE)) == unverifiable("ambiguous")


@pytest.mark.parametrize("dimension", ["process", "file"])
def test_that_it_fails_still_needs_coverage(dimension: str) -> None:
    s = remains()
    s.add(e.Loss, dimension=dimension, cause="ring", count=1, since=s.now)
    assert s.says(s.passed(**WHOLE)) == unverifiable("records_lost")


@pytest.mark.parametrize("after", [0, 1])
def test_from_the_moment_after_it_had_failed(after: int) -> None:
    s = remains()
    failed = [x for x in s.log if isinstance(x, e.Exit)][2]
    s.file(s.agent, "write", "/repo/a.js", ts=failed.ts + after)
    assert s.says(s.passed(**WHOLE)) == (unverifiable("ambiguous") if after else SUBSET)
    s = remains()
    runs_at(s, failed.ts + after, s.fork())
    assert s.says(s.passed(**WHOLE)) == (unverifiable("form_unknown") if after else SUBSET)
