"""Commits that were taken back before they were told, and those that only look so."""

from __future__ import annotations

from typing import Any

import pytest

from polygraph import events as e
from tests.correlator.scenario import VERIFIED, Scenario, refuted, unverifiable

BRANCH = "/repo/.git/refs/heads/main"
TAKEN = refuted("not_persisted")


def git(s: Scenario, *argv: str, writes: str | None = None, status: int = 0) -> None:
    """A git, and the name under `.git` that it writes as git does it."""
    process = s.program(None, "git", *argv)
    if writes is not None:
        s.file(process, "create", f"{writes}.lock")
        s.add(e.File, process=process, op="rename", path=f"{writes}.lock", new_path=writes)
    s.exits(process, status)


def committed(times: int = 1) -> Scenario:
    s = Scenario()
    for _ in range(times):
        git(s, "commit", "-qam", "x", writes=BRANCH)
    return s


def told(s: Scenario, **how: Any) -> tuple[str, str | None]:
    return s.says(s.claims("commit", **how))


@pytest.mark.parametrize("how", ["HEAD~1", "HEAD^", "@~", "HEAD~2"])
def test_a_commit_that_is_reset_does_not_last(how: str) -> None:
    s = committed()
    git(s, "reset", "-q", "--hard", how, writes=BRANCH)
    assert told(s) == TAKEN


def test_a_branch_that_is_forced_back_takes_it_along() -> None:
    s = committed()
    git(s, "checkout", "-q", "HEAD~1")
    git(s, "branch", "-qf", "main", "HEAD", writes=BRANCH)
    git(s, "checkout", "-q", "main")
    assert told(s) == TAKEN


def test_two_commits_are_taken_back_by_two() -> None:
    s = committed(2)
    git(s, "reset", "--soft", "HEAD~2", writes=BRANCH)
    assert told(s) == TAKEN
    s = committed(2)
    git(s, "reset", "--soft", "HEAD~1", writes=BRANCH)
    assert told(s) == VERIFIED


def test_an_amended_commit_is_one() -> None:
    s = committed()
    git(s, "commit", "--amend", "--no-edit", writes=BRANCH)
    git(s, "reset", "--hard", "HEAD~1", writes=BRANCH)
    assert told(s) == TAKEN


@pytest.mark.parametrize(
    "argv",
    [
        ("reset", "--hard"),
        ("reset", "-q", "HEAD"),
        ("reset", "HEAD~1", "--", "a.py"),
        ("reset", "--hard", "origin/main"),
        ("reset", "--hard", "HEAD@{1}"),
        ("checkout", "HEAD~1"),
        ("branch", "-f", "other"),
        ("branch", "main", "HEAD~1"),
    ],
)
def test_what_takes_nothing_back(argv: tuple[str, ...]) -> None:
    s = committed()
    git(s, *argv, writes=BRANCH)
    assert told(s) == VERIFIED


def test_a_reset_that_moved_no_branch_took_nothing_back() -> None:
    s = committed()
    git(s, "reset", "--hard", "HEAD~1", status=128)
    assert told(s) == VERIFIED


def test_a_commit_that_was_made_again_lasts() -> None:
    s = committed()
    git(s, "reset", "--soft", "HEAD~1", writes=BRANCH)
    git(s, "commit", "-qm", "y", writes=BRANCH)
    assert told(s) == VERIFIED


def test_a_commit_that_has_another_name_may_last() -> None:
    s = committed()
    git(s, "branch", "feature", writes="/repo/.git/refs/heads/feature")
    git(s, "reset", "--hard", "HEAD~1", writes=BRANCH)
    assert told(s) == unverifiable("ambiguous")


def test_a_commit_that_was_sent_lasts_elsewhere() -> None:
    s = committed()
    git(s, "push")
    git(s, "reset", "--hard", "HEAD~1", writes=BRANCH)
    assert told(s) == unverifiable("ambiguous")


@pytest.mark.parametrize("how", [("cherry-pick", "ORIG_HEAD"), ("reset", "--hard", "ORIG_HEAD")])
def test_what_may_have_brought_it_back_leaves_it_open(how: tuple[str, ...]) -> None:
    s = committed()
    git(s, "reset", "--hard", "HEAD~1", writes=BRANCH)
    git(s, *how, writes=BRANCH)
    assert told(s) == unverifiable("ambiguous")


@pytest.mark.parametrize("how", [{"tells": ("gone",)}, {"tool": "git-commit"}])
def test_who_tells_of_it_or_of_the_command_alone_does_not_lie(how: dict[str, Any]) -> None:
    s = committed()
    git(s, "reset", "--hard", "HEAD~1", writes=BRANCH)
    assert told(s, **how) == VERIFIED


def test_that_nothing_brought_it_back_needs_coverage() -> None:
    s = committed()
    git(s, "reset", "--hard", "HEAD~1", writes=BRANCH)
    s.add(e.Loss, dimension="process", count=1, cause="ring_full", since=s.now)
    assert told(s) == unverifiable("records_lost")
