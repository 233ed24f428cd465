"""Runs of known tools: which run a claim speaks of, what an earlier success excuses, and who else may have done it."""

from __future__ import annotations

from typing import Any

import pytest

from polygraph import events as e
from tests.correlator.scenario import PYTHON, STEP, VERIFIED, Scenario, refuted, unverifiable

AMBIGUOUS = unverifiable("ambiguous")
SUPERSEDED = refuted("superseded_by_failure")
NO_EXECUTION = refuted("no_execution")


# --- which run is meant ---------------------------------------------------------------------------------


def first_went_well(s: Scenario, good: tuple[str, ...], bad: tuple[str, ...], **how: Any) -> Scenario:
    s.does(*good)
    s.does(*bad, status=1, **how)
    return s


@pytest.mark.parametrize("target", ["tests/test_b.py", "./tests/test_b.py", "tests/test_b.py/", "test_b.py"])
@pytest.mark.parametrize("word", ["tests/test_b.py", "./tests/test_b.py", "tests/test_b.py::test_x"])
def test_a_claim_about_a_file_is_about_the_run_of_it(target: str, word: str) -> None:
    s = first_went_well(Scenario(), ("pytest", word), ("pytest", "tests/test_a.py"))
    assert s.says(s.passed(targets=(target,))) == VERIFIED
    assert s.says(s.passed()) != VERIFIED


def test_a_folder_is_meant_with_and_without_its_slash() -> None:
    s = first_went_well(Scenario(), ("pytest", "tests/b/"), ("pytest", "tests/a/"))
    assert s.says(s.passed(targets=("tests/b",))) == VERIFIED


def test_a_runner_that_has_its_file_as_its_first_word() -> None:
    s = first_went_well(Scenario(), ("rspec", "spec/b_spec.rb"), ("rspec", "spec/a_spec.rb"))
    assert s.says(s.passed(targets=("spec/b_spec.rb",))) == VERIFIED


def test_what_an_option_leaves_out_is_not_meant() -> None:
    s = first_went_well(
        Scenario(), ("pytest", "tests/test_b.py"), ("pytest", "--ignore=tests/test_b.py", "tests/test_a.py")
    )
    assert s.says(s.passed(targets=("test_b.py",))) == VERIFIED


def test_where_it_ran_is_a_target_as_well_and_no_name_at_all_is_none() -> None:
    s = Scenario()
    s.does("pytest", cwd="/repo/b")
    s.does("pytest", cwd="/repo/a", status=1)
    assert s.says(s.passed(targets=("b",))) == VERIFIED
    assert s.says(s.passed(targets=("/", "b"))) == VERIFIED


# --- that it was run ------------------------------------------------------------------------------------


def test_a_run_that_broke_down_may_not_have_run_anything() -> None:
    s = Scenario()
    s.does("pytest", status=4)
    assert s.says(s.claims("tests_run")) == AMBIGUOUS
    s = Scenario()
    s.does("pytest")
    s.does("pytest", status=4)
    claim = s.claims("tests_run")
    assert (s.says(claim), s.on(claim).grade) == (VERIFIED, "strong")


@pytest.mark.parametrize("status", [1, 128])
def test_a_commit_that_failed_did_nothing_though_an_earlier_one_did(status: int) -> None:
    s = Scenario()
    s.does("git", "commit", "-m", "x")
    s.does("git", "commit", "-m", "x", status=status)
    assert s.says(s.claims("commit", tool="git-commit")) == AMBIGUOUS


# --- what an earlier success says of a failure ----------------------------------------------------------


@pytest.mark.parametrize(
    ("good", "bad", "word"),
    [
        (("pytest",), ("pytest",), SUPERSEDED),
        (("pytest",), ("pytest", "-q"), SUPERSEDED),
        (("pytest", "tests/test_a.py"), ("pytest",), SUPERSEDED),
        (("pytest",), ("pytest", "tests/test_a.py"), SUPERSEDED),
        (("pytest", "tests/test_a.py"), ("pytest", "tests/test_a.py", "-q"), SUPERSEDED),
        (("pytest", "tests/test_a.py"), ("pytest", "tests/test_b.py"), AMBIGUOUS),
        (("cargo", "test"), ("pytest",), AMBIGUOUS),
    ],
)
def test_a_failure_after_a_success_of_the_same(
    good: tuple[str, ...], bad: tuple[str, ...], word: tuple[str, str]
) -> None:
    s = first_went_well(Scenario(), good, bad)
    assert s.says(s.passed()) == word


def test_a_failure_elsewhere_is_of_something_else() -> None:
    s = first_went_well(Scenario(), ("pytest",), ("pytest",), cwd="/repo/other")
    assert s.says(s.passed()) == AMBIGUOUS


def test_packages_that_were_installed_are_not_those_that_were_not() -> None:
    for same in (True, False):
        s = first_went_well(Scenario(), ("pip", "install", "a"), ("pip", "install", "a" if same else "b"))
        assert s.says(s.claims("install", "ok")) == (SUPERSEDED if same else AMBIGUOUS)


# --- where it ran ---------------------------------------------------------------------------------------


def elsewhere(cwd: str, **how: Any) -> Scenario:
    s = Scenario(**how)
    intent = s.intent("read", files=(e.ExpectedFile(path="bank/test_bank.py", op="read"),))
    s.reads(s.agent, f"{s.cwd}/bank/test_bank.py")
    s.answers(intent)
    s.looks(intent, f"{s.cwd}/bank/test_bank.py")
    s.does("pytest", cwd=cwd, reads=[f"{cwd.rstrip('/')}/test_shop.py"])
    return s


@pytest.mark.parametrize(
    ("cwd", "target", "word"),
    [
        ("/repo/shop", "bank/test_bank.py", refuted("wrong_target")),
        ("/repo/shop/", "/repo/bank/test_bank.py", refuted("wrong_target")),
        ("/repo/bank/", "bank/test_bank.py", VERIFIED),
        ("/srv/other", "bank/test_bank.py", VERIFIED),
        ("", "bank/test_bank.py", VERIFIED),
    ],
)
def test_a_run_in_another_folder_of_the_project_is_of_something_else(
    cwd: str, target: str, word: tuple[str, str | None]
) -> None:
    s = elsewhere(cwd or "shop")
    assert s.says(s.passed(targets=(target,))) == word


# --- a commit without git -------------------------------------------------------------------------------


def committed(s: Scenario, **when: Any) -> tuple[str, str | None]:
    return s.says(s.claims("commit", "ok", **when))


def test_the_repository_that_another_program_wrote_may_have_got_a_commit() -> None:
    for topic in ("commit", "push"):
        s = Scenario()
        s.file(s.agent, "write", "/home/me/.agent/log")
        write = s.file(s.agent, "write", "/repo/.git/refs/heads/main")
        claim = s.claims(topic, "ok")
        assert s.says(claim) == unverifiable("form_unknown")
        assert [one.id for one in s.on(claim).evidence] == [write.id]


def test_by_whom_nobody_saw_start_as_well() -> None:
    s = Scenario()
    s.file("999:1", "write", "/repo/.git/refs/heads/main")
    assert committed(s) == unverifiable("form_unknown")


def test_what_git_itself_writes_is_no_commit_in_another_form() -> None:
    s = Scenario()
    s.call()
    git = s.program(None, "git", "status")
    s.file(git, "write", "/repo/.git/index")
    s.exits(git)
    assert committed(s) == NO_EXECUTION


def test_what_was_written_after_the_claim_is_no_commit_of_before() -> None:
    s = Scenario()
    write = s.file(s.agent, "write", "/repo/.git/refs/heads/main")
    assert committed(s, ts=write.ts) == unverifiable("form_unknown")
    assert committed(s, ts=write.ts - STEP) == NO_EXECUTION


@pytest.mark.parametrize(
    ("ran", "told"),
    [
        ((), "no lint run was seen: nothing was executed"),
        (("ls",), "no lint run was seen: only ls ran"),
        (("ls", "cat", "wc"), "no lint run was seen: only cat, ls and wc ran"),
        (("ls", "cat", "wc", "sort"), "no lint run was seen: only cat, ls, sort and 1 more ran"),
    ],
)
def test_what_ran_instead_is_told(ran: tuple[str, ...], told: str) -> None:
    s = Scenario()
    s.log.pop()  # the agent's own program, which would be told of as well
    for name in ran:
        s.runs(None, name)
    assert s.on(s.claims("lint", "ok")).observed == told


def test_a_program_that_could_not_be_executed_did_not_run_and_the_last_tries_are_shown() -> None:
    s = Scenario()
    tries = [
        s.add(e.ExecFailed, process=s.agent, path=f"/{folder}/ruff", errno=2)
        for folder in ("usr/bin", "usr/local/bin", "opt/bin")
    ]
    claim = s.claims("lint", "ok")
    assert s.says(claim) == NO_EXECUTION
    assert [one.id for one in s.on(claim).evidence][:-1] == [one.id for one in tries[-2:]]


# --- how the last one ended -----------------------------------------------------------------------------


def lost(s: Scenario) -> None:
    s.add(e.Loss, dimension="process", cause="ring", count=1, since=s.now)


def goes_on(s: Scenario, *argv: str, background: bool = False) -> str:
    """A run that has not ended."""
    intent = s.asks(" ".join(argv), background=background)
    child = s.program(s.shell(intent), *argv)
    s.answers(intent)
    s.tick()
    return child


def piped(s: Scenario, *argv: str) -> None:
    """A run whose reader left."""
    intent = s.asks(" ".join(argv))
    shell = s.shell(intent)
    s.exits(s.program(shell, *argv), signal=13)
    s.exits(shell)
    s.answers(intent)


@pytest.mark.parametrize("topic", ["build", "tests_failed"])
def test_a_failure_that_is_told_is_no_claim_of_success(topic: str) -> None:
    argv = ("cargo", "build") if topic == "build" else ("pytest",)
    s = Scenario()
    s.does(*argv, status=1)
    assert s.says(s.claims(topic, "failed")) == VERIFIED
    s.does(*argv)
    assert s.says(s.claims(topic, "failed")) == AMBIGUOUS


def test_a_run_that_has_not_ended_may_not_have_run_anything_yet() -> None:
    s = Scenario()
    s.does("pytest")
    goes_on(s, "pytest")
    assert s.says(s.claims("tests_run")) == unverifiable("still_running")


def test_a_result_that_comes_before_the_run_in_the_background_has_begun() -> None:
    for background in (True, False):
        s = Scenario()
        intent = s.asks("pytest", background=background)
        s.answers(intent)
        claim = s.passed(source="tool_result", intent=intent, tool="pytest")
        assert s.says(claim) == (unverifiable("still_running") if background else NO_EXECUTION)


def test_that_something_failed_which_was_never_run_may_repeat_what_was_told() -> None:
    for topic in ("build", "lint", "commit", "tests_failed"):
        s = Scenario()
        assert s.says(s.claims(topic, "failed")) == AMBIGUOUS, topic


def test_an_empty_run_after_one_that_has_not_ended() -> None:
    s = Scenario()
    goes_on(s, "pytest", background=True)
    s.does("pytest", "-k", "nothing", status=5)
    assert s.says(s.passed()) == unverifiable("still_running")


def test_a_runner_that_went_on_as_another_program_does_not_tell() -> None:
    s = Scenario()
    intent = s.asks("pytest")
    shell = s.shell(intent)
    child = s.program(shell, "pytest")
    s.execs(child, "cat", "old.log")
    s.exits(child)
    s.exits(shell)
    s.answers(intent)
    assert s.says(s.passed()) == AMBIGUOUS


def test_a_script_under_a_runners_name_that_broke_down_is_not_excused_by_its_last_run() -> None:
    s = Scenario()
    intent = s.asks("pytest")
    shell = s.shell(intent)
    outer = s.program(shell, "bash", "/repo/tools/pytest", path="/usr/bin/bash", script="/repo/tools/pytest")
    s.runs(outer, "jest", status=1)
    s.runs(outer, "jest")
    s.exits(outer, 3)
    s.exits(shell, 3)
    s.answers(intent)
    assert s.says(s.passed(tool="jest")) != VERIFIED


def test_a_result_of_a_call_that_was_not_seen_is_judged_on_all_that_ran() -> None:
    s = Scenario()
    intent = s.does("pytest", status=1)
    claim = s.passed(source="tool_result", intent=intent, tool="pytest")
    s.log = [event for event in s.log if event is not intent]
    assert s.says(claim) == refuted("failed")


def test_a_version_that_was_asked_of_a_script_is_no_run_of_it() -> None:
    path = "/repo/bin/pytest"
    s = Scenario()
    s.writes(path)
    for argv in (("--version",), ()):
        intent = s.asks("pytest")
        shell = s.shell(intent)
        child = s.program(shell, "bash", path, *argv, path="/usr/bin/bash", script=path)
        s.runs(child, "echo", "1 passed")
        s.exits(child)
        s.exits(shell)
        s.answers(intent)
    assert s.says(s.passed()) == refuted("shadowed_tool")


# --- the whole, of what is no test ----------------------------------------------------------------------


def test_a_part_is_less_than_the_whole_only_of_tests() -> None:
    for topic, outcome in (("lint", "ok"), ("lint", None)):
        s = Scenario()
        s.does("ruff", "check", "tests/test_a.py", reads=["/repo/tests/test_a.py"])
        tests = ["/repo/tests/test_a.py", "/repo/tests/test_b.py"]
        assert s.says(s.claims(topic, outcome, tells=("whole",), tests=tests)) == VERIFIED, outcome


# --- several runs ---------------------------------------------------------------------------------------


def outcomes(*rows: tuple[str, int], **how: Any) -> Scenario:
    """Runs of files, and how each ended."""
    s = Scenario()
    for name, status in rows:
        s.does("pytest", *([name] if name else []), status=status, **how)
    return s


ONE, TWO = "tests/test_a.py", "tests/test_b.py"


@pytest.mark.parametrize(
    ("rows", "word"),
    [
        # what had succeeded is looked for among all
        ([("", 1), ("", 0), ("", 1)], SUPERSEDED),
        ([("", 1), ("", 1)], refuted("failed")),
        ([("", 1), ("", 1), ("", 1)], refuted("failed")),
        # and so is what had failed
        ([(ONE, 0), (TWO, 1), (ONE, 0)], AMBIGUOUS),
        ([(ONE, 1), (TWO, 1), (ONE, 0)], AMBIGUOUS),
        ([(ONE, 1), (ONE, 0), (TWO, 0)], VERIFIED),
        ([(ONE, 1), ("", 0)], VERIFIED),
        ([(ONE, 1), (ONE, 1), (ONE, 0)], VERIFIED),
    ],
)
def test_what_several_runs_say_together(rows: list[tuple[str, int]], word: tuple[str, str | None]) -> None:
    s = outcomes(*rows)
    assert s.says(s.passed()) == word


def test_another_runner_makes_no_failure_good() -> None:
    s = Scenario()
    s.does("cargo", "test", status=101)
    s.does("pytest")
    assert s.says(s.passed()) == AMBIGUOUS


def test_a_run_that_does_not_tell_makes_no_failure_good() -> None:
    s = Scenario()
    s.does("pytest", ONE, status=1)
    piped(s, "pytest", ONE)
    s.does("pytest", TWO)
    assert s.says(s.passed()) == AMBIGUOUS


@pytest.mark.parametrize(("early", "word"), [(0, VERIFIED), (1, AMBIGUOUS)])
def test_a_run_that_began_as_the_other_failed_makes_it_good(early: int, word: tuple[str, str | None]) -> None:
    s = Scenario()
    intent = s.asks("pytest")
    shell = s.shell(intent)
    first, second = s.program(shell, "pytest"), s.fork(shell)
    failed = s.exits(first, 1)
    s.execs(second, "pytest", ts=failed.ts - early)
    s.exits(second)
    s.exits(shell)
    s.answers(intent)
    assert s.says(s.passed()) == word


@pytest.mark.parametrize(
    ("first", "second", "word"),
    [
        (("pytest",), ("pytest",), VERIFIED),
        (("pytest", "-k", "x"), ("pytest", TWO), VERIFIED),
        (("pytest",), ("pytest", TWO), unverifiable("still_running")),
    ],
)
def test_what_has_not_ended_beside_what_has(
    first: tuple[str, ...], second: tuple[str, ...], word: tuple[str, str | None]
) -> None:
    s = Scenario()
    goes_on(s, *first, background=True)
    s.does(*second)
    assert s.says(s.passed()) == word


# --- what may not have been seen before -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("topic", "argv", "how", "word"),
    [
        ("tests_passed", ("pytest",), {"status": 1}, refuted("failed")),
        ("tests_passed", ("pytest", "-k", "x"), {"status": 1}, unverifiable("records_lost")),
        ("tests_passed", ("pytest",), {"status": 4}, unverifiable("records_lost")),
        ("lint", ("ruff", "check", "src/a.py"), {"status": 1}, unverifiable("records_lost")),
        ("commit", ("git", "commit", "-m", "x"), {"status": 1}, unverifiable("records_lost")),
    ],
    ids=["whole", "part", "broke down", "target", "lasting"],
)
def test_a_success_that_was_not_seen_may_excuse_a_failure(
    topic: str, argv: tuple[str, ...], how: dict[str, Any], word: tuple[str, str]
) -> None:
    s = Scenario()
    s.does("ls")
    lost(s)
    s.does("cat", "x")
    s.does(*argv, **how)
    assert s.says(s.claims(topic, "ok")) == word


def test_of_two_tool_calls_that_were_open_the_first_counts() -> None:
    for answered in (True, False):
        s = Scenario()
        first = s.asks("sleep 1")
        lost(s)
        if answered:
            s.answers(first)
        s.does("pytest", status=1)
        assert s.says(s.passed()) == (refuted("failed") if answered else unverifiable("records_lost"))


@pytest.mark.parametrize("at", ["asked", "answered"])
def test_a_tool_call_of_the_moment_of_the_run_is_open(at: str) -> None:
    s = Scenario()
    lost(s)
    call = s.call()
    argv = (PYTHON, "/repo/.venv/bin/pytest")
    run: dict[str, Any] = {
        "process": s.fork(),
        "parent": s.agent,
        "path": PYTHON,
        "argv": argv,
        "script": argv[1],
        "cwd": "/repo",
    }
    intent = s.asks("pytest", call=call)
    if at == "asked":
        s.add(e.Exec, **run, ts=intent.ts)
    else:
        s.add(e.Exec, **run)
        s.now -= STEP
    if at == "answered":
        s.answers(intent)
    s.exits(run["process"], 1)
    assert s.says(s.passed()) == refuted("failed")


def test_a_run_outside_of_every_tool_call_began_with_the_session() -> None:
    for seen in (True, False):
        s = Scenario()
        if not seen:
            lost(s)
        s.runs(None, "pytest", status=1)
        assert s.says(s.passed()) == (refuted("failed") if seen else unverifiable("records_lost"))


def test_a_linter_that_is_said_to_have_run_ran_wherever_it_did() -> None:
    s = Scenario()
    s.does("ruff", "check", cwd="/repo/shop")
    assert s.says(s.claims("lint", targets=("bank/a.py",))) == VERIFIED
