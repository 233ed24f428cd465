"""What is told to be committed or pushed was changed afterwards: what is left out, and what only seems to be."""

from __future__ import annotations

from typing import Any

import pytest

from polygraph import events as e
from tests.correlator.scenario import VERIFIED, Scenario, refuted, unverifiable

STALE = refuted("stale")
ALL: dict[str, Any] = {"tells": ("whole",)}
A = "/repo/a.py"


def at_work() -> Scenario:
    s = Scenario()
    s.call()
    return s


def git(s: Scenario, *argv: str, status: int = 0, reads: str | None = None) -> None:
    process = s.program(None, "git", *argv)
    if reads is not None:
        s.reads(process, reads)
    s.exits(process, status)


def pushed(*then: tuple[str, ...]) -> Scenario:
    s = at_work()
    git(s, "commit", "-qam", "x")
    git(s, "push", "-q", "origin", "main")
    for argv in then:
        git(s, *argv)
    return s


# --- pushed, then committed ------------------------------------------------------------------------------------


AMEND, COMMIT, PUSH = ("commit", "--amend", "--no-edit"), ("commit", "-qm", "y"), ("push", "-f")


@pytest.mark.parametrize(
    ("then", "one", "everything"),
    [
        ((), VERIFIED, VERIFIED),
        ((AMEND,), STALE, STALE),
        ((COMMIT,), VERIFIED, STALE),
        ((AMEND, PUSH), VERIFIED, VERIFIED),
        ((COMMIT, PUSH), VERIFIED, VERIFIED),
        ((AMEND, PUSH, COMMIT), VERIFIED, STALE),
        ((AMEND, ("subtree", "push")), unverifiable("form_unknown"), unverifiable("form_unknown")),
    ],
)
def test_a_push_sent_what_there_was(
    then: tuple[tuple[str, ...], ...], one: tuple[str, str | None], everything: tuple[str, str | None]
) -> None:
    s = pushed(*then)
    assert s.says(s.claims("push")) == one
    assert s.says(s.claims("push", **ALL)) == everything


@pytest.mark.parametrize(("after", "word"), [(0, VERIFIED), (1, STALE)])
def test_a_commit_that_began_until_the_push_had_ended_may_have_been_sent(
    after: int, word: tuple[str, str | None]
) -> None:
    s = at_work()
    commit = s.fork()
    git(s, "push", "-q", "origin", "main")
    s.execs(commit, "git", *COMMIT, ts=s.now + after)
    s.exits(commit)
    assert s.says(s.claims("push", **ALL)) == word


@pytest.mark.parametrize(("then", "told"), [(AMEND, "changed"), (COMMIT, "made")])
@pytest.mark.parametrize("hook", [(), ("./scripts/check",)])
def test_a_push_that_was_refused_after_that_sent_nothing(
    then: tuple[str, ...], told: str, hook: tuple[str, ...]
) -> None:
    s = pushed(then)
    again = s.program(None, "git", "push", "-q")
    if hook:
        s.runs(again, *hook)
    s.exits(again, 1)
    claim = s.claims("push", **ALL)
    assert s.says(claim) == STALE
    assert s.on(claim).observed == (
        f"git push -q origin main ran and exited with 0, and git {' '.join(then)} {told} a commit afterwards"
    )


def test_who_tells_that_it_was_amended_tells_all() -> None:
    s = pushed(AMEND)
    assert s.says(s.claims("push", tells=("gone",))) == VERIFIED


@pytest.mark.parametrize(
    ("options", "how"),
    [
        ((), {"status": 1}),
        ((), {"cwd": "/other"}),
        (("-C", "/other"), {}),
        (("-C", "../other", "-c", "user.name=x"), {}),
        (("-C", "..", "-C", "other"), {}),
        (("--git-dir=/other/.git",), {}),
        (("--git-dir", "/other/.git", "--work-tree", "/other"), {}),
    ],
)
def test_a_commit_that_failed_or_is_of_another_project_changes_nothing(
    options: tuple[str, ...], how: dict[str, Any]
) -> None:
    s = pushed()
    status = how.get("status", 0)
    s.exits(s.program(None, "git", *options, *AMEND, cwd=how.get("cwd")), status)
    assert s.says(s.claims("push")) == VERIFIED
    assert s.says(s.claims("push", **ALL)) == VERIFIED


@pytest.mark.parametrize(
    ("cwd", "first", "then"),
    [
        ("/", ("-C", "/repo"), ()),
        ("/", ("-C", "repo"), ("-c", "user.name=x")),
        ("/repo/lib", ("-C", ".."), ("-C", "/", "-C", "repo")),
        ("/", ("--git-dir=/repo/.git",), ("--git-dir=/repo/.git",)),
    ],
)
def test_a_git_may_be_told_where_its_project_is(
    cwd: str, first: tuple[str, ...], then: tuple[str, ...]
) -> None:
    s = at_work()
    s.exits(s.program(None, "git", *first, "push", cwd=cwd))
    assert s.says(s.claims("push")) == VERIFIED
    s.exits(s.program(None, "git", *then, "commit", "--amend", "-C", "HEAD"))
    assert s.says(s.claims("push")) == STALE


def test_what_a_tool_says_of_its_own_push_is_of_that_one() -> None:
    s = at_work()
    intent = s.does("git", "push")
    git(s, *AMEND)
    assert s.says(s.claims("push", source="tool_result", intent=intent)) == VERIFIED
    assert s.says(s.claims("push", source="tool_result")) == VERIFIED, "nor is it where its call was not seen"


def test_that_a_command_was_run_says_nothing_of_what_came_later() -> None:
    """ "I ran `git push`" and not: "it is pushed"."""
    changed = committed()
    changed.writes(A)
    for s, topic in ((pushed(AMEND), "push"), (changed, "commit")):
        assert s.says(s.claims(topic, tool=f"git-{topic}", **ALL)) == VERIFIED, topic


# --- committed, then changed -----------------------------------------------------------------------------------


def committed() -> Scenario:
    s = at_work()
    s.writes(A)
    git(s, "commit", "-qam", "x")
    return s


def test_a_change_of_a_known_file_is_in_no_commit() -> None:
    s = committed()
    s.writes(A)
    assert s.says(s.claims("commit", **ALL)) == STALE
    assert s.says(s.claims("commit")) == VERIFIED, "it may speak of what was committed"


@pytest.mark.parametrize(("place", "word"), [("/repo", STALE), ("/repo/lib", VERIFIED), ("/other", VERIFIED)])
def test_only_a_change_in_the_project_of_the_commit_counts(place: str, word: tuple[str, str | None]) -> None:
    s = at_work()
    s.exits(s.program(None, "git", "-C", place, "commit", "-qam", "x", cwd="/"))
    s.writes(A)
    assert s.says(s.claims("commit", **ALL)) == word


@pytest.mark.parametrize("then", [("commit", "-qam", "y"), ("checkout", "--", "a.py")])
def test_unless_it_is_committed_or_put_back(then: tuple[str, ...]) -> None:
    s = committed()
    s.writes(A)
    process = s.program(None, "git", *then)
    if then[0] == "checkout":
        s.file(process, "write", A)
    s.exits(process)
    assert s.says(s.claims("commit", **ALL)) == VERIFIED


@pytest.mark.parametrize(("after", "word"), [(0, VERIFIED), (1, STALE)])
def test_what_was_written_until_the_commit_had_ended_may_be_in_it(
    after: int, word: tuple[str, str | None]
) -> None:
    s = committed()
    ended = s.now
    s.file(s.agent, "write", A, ts=ended + after)
    assert s.says(s.claims("commit", **ALL)) == word


def test_what_may_have_committed_it_leaves_it_open() -> None:
    s = committed()
    s.writes(A)
    git(s, "merge", "topic")
    assert s.says(s.claims("commit", **ALL)) == unverifiable("form_unknown")


@pytest.mark.parametrize(
    ("path", "op", "word"),
    [
        (A, "write", STALE),
        (A, "truncate", STALE),
        ("/repo/new.py", "create", VERIFIED),
        ("/repo/.env", "write", VERIFIED),
        ("/repo/.secrets.toml", "write", VERIFIED),
        ("/repo/settings.local.toml", "write", VERIFIED),
        ("/repo/app.log", "write", VERIFIED),
        ("/repo/logo.png", "write", VERIFIED),
        ("/tmp/a.py", "write", VERIFIED),
        (A, "unlink", VERIFIED),
    ],
)
def test_only_what_git_surely_has_counts(path: str, op: str, word: tuple[str, str | None]) -> None:
    s = at_work()
    git(s, "commit", "-qam", "x")
    s.file(s.agent, op, path)
    assert s.says(s.claims("commit", **ALL)) == word


def test_where_the_project_itself_lies_says_nothing_of_its_files() -> None:
    s = Scenario(cwd="/srv/local/.work/repo")
    s.call()
    git(s, "commit", "-qam", "x")
    s.file(s.agent, "write", "/srv/local/.work/repo/a.py")
    assert s.says(s.claims("commit", **ALL)) == STALE


def test_a_file_that_was_there_is_known_though_it_was_made_anew_between_two_writes() -> None:
    """The agent's writes are one record, which began before the file was patched."""
    s = at_work()
    began = s.now
    process = s.program(None, "patch", "a.py")
    s.file(process, "unlink", A)
    s.file(process, "create", A)
    s.exits(process)
    git(s, "commit", "-qam", "x")
    s.file(s.agent, "write", A, first_ts=began, count=2)
    assert s.says(s.claims("commit", **ALL)) == STALE


@pytest.mark.parametrize("by_git", [True, False])
def test_a_file_that_a_git_has_read_is_known_to_it(by_git: bool) -> None:
    s = at_work()
    git(s, "commit", "-qam", "x")
    s.file(s.agent, "create", "/repo/new.py")
    if by_git:
        git(s, "add", "new.py", reads="/repo/new.py")
    else:
        process = s.program(None, "cat", "new.py")
        s.reads(process, "/repo/new.py")
        s.exits(process)
    s.file(s.agent, "write", "/repo/new.py")
    assert s.says(s.claims("commit", **ALL)) == (STALE if by_git else VERIFIED)


@pytest.mark.parametrize("tool", [("pytest",), ("make", "build"), ("pip", "install", "x")])
def test_what_tools_write_is_their_business(tool: tuple[str, ...]) -> None:
    s = at_work()
    git(s, "commit", "-qam", "x")
    process = s.program(None, *tool)
    s.file(s.fork(process), "write", A)
    s.exits(process)
    assert s.says(s.claims("commit", **ALL)) == VERIFIED


def test_who_changed_it_unseen_is_taken_for_no_tool() -> None:
    s = committed()
    s.add(e.Loss, dimension="process", cause="ring", count=1, since=s.now)
    s.file("999:1", "write", A)
    assert s.says(s.claims("commit", **ALL)) == unverifiable("records_lost")


# --- what it takes to say so -----------------------------------------------------------------------------------


@pytest.mark.parametrize("topic", ["push", "commit"])
def test_a_later_change_is_believed_where_all_was_seen(topic: str) -> None:
    s = pushed() if topic == "push" else committed()
    s.add(e.Loss, dimension="file", cause="ring", count=1, since=s.now)
    if topic == "push":
        git(s, *AMEND)
    else:
        s.writes(A)
    assert s.says(s.claims(topic, **ALL)) == unverifiable("records_lost")


@pytest.mark.parametrize("topic", ["push", "commit"])
def test_what_has_not_begun_took_nothing_along(topic: str) -> None:
    s = pushed(AMEND) if topic == "push" else committed()
    if topic == "commit":
        s.writes(A)
    s.fork(s.program(None, "bash"))
    assert s.says(s.claims(topic, **ALL)) == STALE
