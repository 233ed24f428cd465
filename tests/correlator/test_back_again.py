"""What failed, or passed, with something else in between: a file that is put back holds what an earlier run tested."""

from __future__ import annotations

import pytest

from polygraph import events as e
from tests.correlator.scenario import VERIFIED, WALL, Scenario, refuted, unverifiable

A, B = "/repo/src/a.ts", "/repo/src/b.ts"
AMBIGUOUS = unverifiable("ambiguous")
SUPERSEDED = refuted("superseded_by_failure")
STALE = refuted("stale")


def story() -> Scenario:
    s = Scenario()
    s.entries = True
    return s


def edit(s: Scenario, digest: str, path: str = A) -> None:
    """An edit by the agent, after which the collector finds the file to hold that."""
    intent = s.intent("edit", tool="edit", files=(e.ExpectedFile(path=path, op="write"),))
    s.file(s.agent, "write", path)
    s.answers(intent)
    how = {"exists": True, "size": 9, "mtime": WALL + s.now - 1, "dev": 1, "ino": s.inode(path)}
    s.add(e.FileState, ts=s.now, path=path, intent=intent.intent, digest=digest, **how)
    s.tick()


def by(s: Scenario, *argv: str, path: str = A) -> None:
    """A program that writes the file anew."""
    process = s.program(None, *argv)
    s.replaces(process, path)
    s.exits(process)


def runs(s: Scenario, status: int = 0, *argv: str) -> None:
    s.does(*(argv or ("jest",)), reads=[A, B], status=status)


def said(s: Scenario) -> tuple[str, str | None]:
    return s.says(s.passed())


def test_who_breaks_a_file_to_see_its_tests_fail_and_mends_it_again_tells_no_lie() -> None:
    s = story()
    edit(s, "good")
    runs(s)
    edit(s, "broken")
    runs(s, 1)
    edit(s, "good")
    assert said(s) == AMBIGUOUS


@pytest.mark.parametrize(
    ("there", "back"),
    [
        (("git", "stash"), ("git", "stash", "pop")),
        (("git", "checkout", "HEAD~1"), ("git", "checkout", "-")),
        (("sed", "-i", "s/+/-/", A), ("sed", "-i", "s/-/+/", A)),
        (("sed", "-i", "s/+/-/", A), ("git", "checkout", "--", A)),
        (("cp", A, "a.bak"), ("mv", "a.bak", A)),
    ],
)
def test_what_was_taken_away_and_brought_back_unseen_may_be_what_had_passed(
    there: tuple[str, ...], back: tuple[str, ...]
) -> None:
    s = story()
    runs(s)
    by(s, *there)
    runs(s, 1)
    assert said(s) == SUPERSEDED  # so far
    by(s, *back)
    assert said(s) == AMBIGUOUS


def test_a_file_that_is_seen_to_hold_something_else_is_not_back() -> None:
    s = story()
    edit(s, "good")
    runs(s)
    edit(s, "broken")
    runs(s, 1)
    edit(s, "another try")
    assert said(s) == SUPERSEDED


@pytest.mark.parametrize("after", [False, True])
def test_nor_is_one_beside_which_another_was_changed_on_one_side_alone(after: bool) -> None:
    s = story()
    edit(s, "good")
    runs(s)
    edit(s, "broken")
    if not after:
        edit(s, "new", B)
    runs(s, 1)
    edit(s, "good")
    if after:
        edit(s, "new", B)
    assert said(s) == SUPERSEDED


@pytest.mark.parametrize("path", ["/repo/notes.txt", "/repo/out.log"])
def test_what_the_run_had_not_opened_does_not_keep_it_from_being_back(path: str) -> None:
    s = story()
    edit(s, "good")
    runs(s)
    edit(s, "broken")
    edit(s, "new", path)
    runs(s, 1)
    edit(s, "good")
    assert said(s) == AMBIGUOUS


@pytest.mark.parametrize(
    ("argv", "path"), [(("sh", "-c", "TEXT"), "/repo/out.log"), (("sed", "x"), "/lib/a.ts"), (("touch",), A)]
)
def test_a_log_that_grows_and_a_file_that_is_touched_put_nothing_back(
    argv: tuple[str, ...], path: str
) -> None:
    s = story()
    runs(s)
    for status in (1, None):
        process = s.program(None, *argv, path)
        s.file(process, "write", path)
        s.exits(process)
        if status is not None:
            runs(s, status)
    assert said(s) == SUPERSEDED


@pytest.mark.parametrize(("after", "word"), [(0, SUPERSEDED), (1, AMBIGUOUS)])
def test_what_was_written_until_a_run_had_ended_broke_nothing_after_it(
    after: int, word: tuple[str, str | None]
) -> None:
    s = story()
    s.call()
    run = s.program(None, "jest")
    s.reads(run, A)
    s.file(s.agent, "write", A, ts=s.exits(run).ts + after)
    runs(s, 1)
    by(s, "sed", "-i", "s/-/+/", A)
    assert said(s) == word


def test_a_failure_of_what_had_passed_is_no_try() -> None:
    s = story()
    runs(s)
    runs(s, 1)
    edit(s, "good")
    assert said(s) == SUPERSEDED


def test_what_an_earlier_run_had_passed_with_is_not_stale_when_it_is_back() -> None:
    s = story()
    edit(s, "good")
    runs(s)
    edit(s, "other")
    runs(s)
    assert said(s) == VERIFIED
    edit(s, "good")
    assert said(s) == AMBIGUOUS
    edit(s, "third")
    assert said(s) == STALE


def test_it_is_stale_where_the_earlier_run_is_stale_too_or_was_another_or_failed() -> None:
    s = story()
    edit(s, "good")
    runs(s)
    edit(s, "other")
    runs(s)
    edit(s, "good")
    edit(s, "new", B)
    assert said(s) == STALE
    for first, status in ((("jest", "src/b.test.ts"), 0), (("jest",), 1)):
        s = story()
        edit(s, "good")
        runs(s, status, *first)
        edit(s, "other")
        runs(s)
        edit(s, "good")
        assert said(s) == STALE, first
