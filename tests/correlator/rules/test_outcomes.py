"""Runs of known tools: which run a claim speaks of, what an earlier success excuses, and who else may have done it."""

from __future__ import annotations

from typing import Any

import pytest

from polygraph import events as e
from tests.correlator.scenario import STEP, VERIFIED, Scenario, refuted, unverifiable

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
    s = Scenario()
    s.file(s.agent, "write", "/repo/notes.txt")
    write = s.file(s.agent, "write", "/repo/.git/refs/heads/main")
    claim = s.claims("commit", "ok")
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
