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


@pytest.mark.parametrize("how", ["HEAD^", "HEAD~"])
def test_one_before_is_one(how: str) -> None:
    s = committed(2)
    git(s, "reset", "--soft", how, writes=BRANCH)
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
        ("checkout", "HEAD~1"),
        ("branch", "-f", "other"),
        ("branch", "main", "HEAD~1"),
        ("branch", "main", "fix~1"),
    ],
)
def test_what_takes_nothing_back(argv: tuple[str, ...]) -> None:
    s = committed()
    git(s, *argv, writes=BRANCH)
    assert told(s) == VERIFIED


@pytest.mark.parametrize("where", ["origin/main", "abc1234", "main@{2}", "ORIG_HEAD", "HEAD@{2}", "@{u}"])
def test_a_reset_to_a_commit_that_may_be_any_leaves_it_open(where: str) -> None:
    s = committed()
    git(s, "reset", "--hard", where, writes=BRANCH)
    assert told(s) == unverifiable("ambiguous")
    git(s, "commit", "-qm", "y", writes=BRANCH)
    assert told(s) == VERIFIED


@pytest.mark.parametrize("where", ["HEAD@{1}", "@{1}"])
def test_where_head_was_before_the_one_commit(where: str) -> None:
    s = committed()
    git(s, "status")
    git(s, "reset", "--hard", where, writes=BRANCH)
    assert told(s) == TAKEN


@pytest.mark.parametrize(
    "between", [("checkout", "main"), ("reset", "HEAD"), ("merge", "x"), ("commit", "--amend")]
)
def test_where_head_was_before_something_else(between: tuple[str, ...]) -> None:
    s = committed()
    git(s, *between, writes=BRANCH)
    git(s, "reset", "--hard", "HEAD@{1}", writes=BRANCH)
    assert told(s) == unverifiable("ambiguous")


def test_where_head_was_between_two_commits() -> None:
    s = committed(2)
    git(s, "reset", "--hard", "HEAD@{1}", writes=BRANCH)
    assert told(s) == unverifiable("ambiguous")


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


# --- which branch, and when ---------------------------------------------------------------------------------


OTHER = "/repo/.git/refs/heads/other"


@pytest.mark.parametrize(("after", "word"), [(0, VERIFIED), (1, TAKEN)])
def test_a_reset_until_the_commit_had_ended_was_before_it(after: int, word: tuple[str, str | None]) -> None:
    s = committed()
    ended = next(x.ts for x in reversed(s.log) if isinstance(x, e.Exit))
    reset = s.fork()
    argv = ("git", "reset", "--hard", "HEAD~1")
    s.add(
        e.Exec,
        process=reset,
        parent=s.agent,
        path="/usr/bin/git",
        argv=argv,
        cwd="/repo",
        ts=ended + after,
    )
    s.add(e.File, process=reset, op="rename", path=f"{BRANCH}.lock", new_path=BRANCH)
    s.exits(reset)
    assert told(s) == word


@pytest.mark.parametrize(
    ("steps", "word"),
    [
        # a checkout of a branch ends that of an earlier commit
        ((("checkout", "HEAD~1"), ("checkout", "main"), ("branch", "-f", "main", "HEAD")), VERIFIED),
        ((("switch", "--detach", "HEAD~1"), ("branch", "-f", "main")), TAKEN),
        ((("switch", "--detach", "HEAD~1"), ("branch", "--force", "main", "@")), TAKEN),
        ((("checkout", "HEAD~1"), ("branch", "--force", "main")), TAKEN),
        ((("branch", "-f", "main", "HEAD~1"),), TAKEN),
        ((("branch", "-vf", "main", "HEAD~1"),), TAKEN),
        ((("branch", "--format=x", "main", "HEAD~1"),), VERIFIED),
        ((("branch", "-f", "--recurse-submodules", "main", "HEAD~1"),), TAKEN),
        ((("branch", "-f", "main", "HEAD~1", "x"),), VERIFIED),
        ((("checkout", "HEAD~1", "--", "a.py"), ("branch", "-f", "main")), VERIFIED),
        ((("checkout", "HEAD~1", "a.py"), ("branch", "-f", "main")), VERIFIED),
        ((("reset", "HEAD~1", "a.py"),), VERIFIED),
        ((("reset", "--hard", "HEAD~"),), TAKEN),
        ((("reset", "--hard", "HEAD~0"),), VERIFIED),
        ((("status",), ("reset", "--hard", "HEAD^^")), TAKEN),
        ((("reset", "--hard", "HEAD^2"),), VERIFIED),
    ],
)
def test_what_moves_a_branch_back(steps: tuple[tuple[str, ...], ...], word: tuple[str, str | None]) -> None:
    s = committed()
    for argv in steps:
        moves = argv[0] in ("branch", "reset")
        git(s, *argv, writes=BRANCH if moves else None)
    assert told(s) == word


def test_a_branch_is_forced_back_from_where_head_went() -> None:
    s = committed(2)
    git(s, "checkout", "HEAD~1")
    git(s, "branch", "-f", "main", "HEAD~1", writes=BRANCH)
    assert told(s) == TAKEN
    s = committed()
    git(s, "checkout", "HEAD~1")
    git(s, "branch", "-f", "main", "abc1234", writes=BRANCH)
    assert told(s) == unverifiable("ambiguous")


@pytest.mark.parametrize(
    "argv", [("checkout", "-B", "main", "HEAD~1"), ("checkout", "-B", "main"), ("reset", "--hard", "HEAD~1")]
)
def test_a_checkout_that_failed_went_nowhere(argv: tuple[str, ...]) -> None:
    s = committed(2)
    git(s, "checkout", "HEAD~1", status=1)
    git(s, *argv, writes=BRANCH)
    assert told(s) == VERIFIED


@pytest.mark.parametrize("argv", [("reset", "--hard", "HEAD~1"), ("rebase", "--onto", "HEAD~1", "HEAD")])
def test_another_work_tree_goes_back_from_where_its_own_head_is(argv: tuple[str, ...]) -> None:
    s = committed(2)
    git(s, "checkout", "HEAD~1")
    git(s, "-C", "/tree", *argv, writes=BRANCH)
    assert told(s) == VERIFIED


def test_where_a_commit_of_no_branch_is_another_branch_takes_nothing_back() -> None:
    s = Scenario()
    git(s, "commit", "-qam", "x")  # where HEAD is detached
    git(s, "reset", "--hard", "HEAD~1", writes=BRANCH)
    assert told(s) == VERIFIED


def test_what_else_a_reset_writes_is_no_branch() -> None:
    s = committed()
    reset = s.program(None, "git", "reset", "--hard", "HEAD~1")
    for path in ("/repo/.git/index", "/repo/.git/ORIG_HEAD", BRANCH):
        s.add(e.File, process=reset, op="rename", path=f"{path}.lock", new_path=path)
    s.exits(reset)
    assert told(s) == TAKEN


def test_three_are_taken_back_in_two_steps_of_which_the_last_counts() -> None:
    s = committed(3)
    git(s, "reset", "--soft", "HEAD^~2", writes=BRANCH)
    assert told(s) == TAKEN
    s = committed(3)
    git(s, "reset", "--soft", "HEAD~1^", writes=BRANCH)
    assert told(s) == VERIFIED


def test_only_a_name_of_a_branch_that_is_written_anew_is_moved() -> None:
    for path, op in (
        ("/repo/.git/refs/tags/v1", "rename"),
        (BRANCH, "unlink"),
        (BRANCH, "create"),
        ("/repo/heads/main", "rename"),
    ):
        s = committed()
        reset = s.program(None, "git", "reset", "--hard", "HEAD~1")
        new = {"path": f"{path}.lock", "new_path": path} if op == "rename" else {"path": path}
        s.add(e.File, process=reset, op=op, **new)
        s.exits(reset)
        assert told(s) == VERIFIED, (path, op)


def test_a_branch_that_another_program_moves_is_not_moved_by_it() -> None:
    s = committed()
    git(s, "reset", "--hard", "HEAD~1", status=128)
    git(s, "fetch", writes=BRANCH)
    assert told(s) == VERIFIED


def test_a_commit_that_failed_is_none_that_was_made() -> None:
    s = committed()
    git(s, "commit", "-m", "y", status=1)
    git(s, "reset", "--hard", "HEAD~1", writes=BRANCH)
    assert told(s)[0] == "unverifiable"
    s = Scenario()
    git(s, "commit", "-m", "y", status=1)
    git(s, "commit", "-m", "y", writes=BRANCH)
    git(s, "reset", "--hard", "HEAD~1", writes=BRANCH)
    assert told(s) == TAKEN


@pytest.mark.parametrize(
    ("path", "op", "word"),
    [
        ("/repo/.git/refs/tags/v1", "rename", unverifiable("ambiguous")),
        ("/repo/.git/refs/tags/v1", "unlink", TAKEN),
        ("/repo/.git/refs/tags/v1", "create", TAKEN),
        ("/repo/.git/logs/HEAD", "rename", TAKEN),
        (BRANCH, "rename", TAKEN),
    ],
)
def test_which_other_name_may_keep_it(path: str, op: str, word: tuple[str, str]) -> None:
    s = committed()
    tag = s.program(None, "git", "tag", "v1")
    new = {"path": f"{path}.lock", "new_path": path} if op == "rename" else {"path": path}
    s.add(e.File, process=tag, op=op, **new)
    s.exits(tag)
    git(s, "reset", "--hard", "HEAD~1", writes=BRANCH)
    assert told(s) == word


def test_a_push_that_failed_or_came_before_keeps_nothing() -> None:
    s = Scenario()
    git(s, "push")
    git(s, "commit", "-m", "x", writes=BRANCH)
    git(s, "push", status=1)
    git(s, "reset", "--hard", "HEAD~1", writes=BRANCH)
    assert told(s) == TAKEN


@pytest.mark.parametrize("dimension", ["process", "file"])
def test_that_it_has_no_other_name_needs_coverage(dimension: str) -> None:
    s = committed()
    s.add(e.Loss, dimension=dimension, count=1, cause="ring_full", since=s.now)
    git(s, "reset", "--hard", "HEAD~1", writes=BRANCH)
    assert told(s) == unverifiable("records_lost")


def test_what_was_done_is_shown() -> None:
    s = committed()
    git(s, "reset", "--hard", "HEAD~1", writes=BRANCH)
    verdict = s.on(s.claims("commit"))
    assert len(verdict.evidence) == 4
    assert (
        verdict.observed
        == "git commit -qam x ran and exited with 0, and git reset --hard HEAD~1 took it back"
    )


@pytest.mark.parametrize(
    "steps",
    [
        (("reset", "HEAD~1", "--"),),
        (("checkout", "HEAD~1", "--"), ("branch", "-f", "main")),
        (("checkout", "HEAD~1"), ("branch", "-f", "main", "HEAD~1", "x")),
    ],
)
def test_what_is_not_understood_takes_nothing_back(steps: tuple[tuple[str, ...], ...]) -> None:
    s = committed()
    for argv in steps:
        git(s, *argv, writes=None if argv[0] == "checkout" else BRANCH)
    assert told(s) == VERIFIED


def test_what_may_have_made_it_again_unseen() -> None:
    s = committed()
    git(s, "reset", "--hard", "HEAD~1", writes=BRANCH)
    s.does("./mystery")
    assert told(s) == unverifiable("form_unknown")
    s = Scenario()
    s.call()
    git(s, "commit", "-m", "x", writes=BRANCH)
    git(s, "reset", "--hard", "HEAD~1", writes=BRANCH)
    git(s, "an-alias")
    assert told(s) == unverifiable("form_unknown")


@pytest.mark.parametrize(("after", "word"), [(0, TAKEN), (1, unverifiable("form_unknown"))])
def test_what_began_until_it_was_taken_back_has_not_made_it_again(after: int, word: tuple[str, str]) -> None:
    s = committed()
    s.call()
    git(s, "reset", "--hard", "HEAD~1", writes=BRANCH)
    began = next(x.ts for x in reversed(s.log) if isinstance(x, e.Exec))
    s.add(
        e.Exec,
        process=s.fork(),
        parent=s.agent,
        path="/repo/mystery",
        argv=("./mystery",),
        cwd="/repo",
        ts=began + after,
    )
    s.exits(s.log[-1].process)
    assert told(s) == word


def test_what_is_about_to_run_may_commit_it_again() -> None:
    s = committed()
    git(s, "reset", "-q", "--hard", "HEAD~1", writes=BRANCH)
    s.fork(s.program(None, "sh", "-c", "TEXT"))
    assert told(s) == unverifiable("still_running")


# --- a branch that is set anew, or deleted --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argv", "word"),
    [
        (("checkout", "-q", "-B", "main", "HEAD~1"), TAKEN),
        (("checkout", "-B", "main", "main~1"), TAKEN),
        (("switch", "-C", "main", "HEAD^"), TAKEN),
        (("switch", "--force-create", "main", "@~"), TAKEN),
        (("update-ref", "refs/heads/main", "HEAD~1"), TAKEN),
        (("update-ref", "refs/heads/main", "main^"), TAKEN),
        (("update-ref", "HEAD", "HEAD~1"), TAKEN),
        (("reset", "--hard", "main~1"), TAKEN),
        (("rebase", "--onto", "HEAD~1", "HEAD"), TAKEN),
        (("rebase", "--onto", "HEAD~1", "@"), TAKEN),
        (("checkout", "-B", "main", "abc1234"), unverifiable("ambiguous")),
        (("checkout", "-B", "main", "origin/main"), unverifiable("ambiguous")),
        (("branch", "-f", "main", "abc1234"), unverifiable("ambiguous")),
        (("branch", "-f", "main", "dev"), unverifiable("ambiguous")),
        (("checkout", "-B", "main"), VERIFIED),
        (("checkout", "-B", "main", "main"), VERIFIED),
        (("checkout", "-B", "main", "HEAD"), VERIFIED),
        (("checkout", "-B", "other", "HEAD~1"), VERIFIED),
        (("checkout", "main", "HEAD~1"), VERIFIED),
        (("checkout", "-B", "main", "HEAD~1", "x"), VERIFIED),
        (("rebase", "main"), VERIFIED),
        (("rebase", "--onto", "HEAD~2", "HEAD~1"), VERIFIED),
        (("update-ref", "refs/heads/other", "HEAD~1"), VERIFIED),
        (("update-ref", "-m", "refs/heads/main", "HEAD~1", "--stdin"), VERIFIED),
    ],
)
def test_a_branch_that_is_set_to_another_commit(argv: tuple[str, ...], word: tuple[str, str | None]) -> None:
    s = committed()
    git(s, *argv, writes=BRANCH)
    assert told(s) == word


@pytest.mark.parametrize("how", [("branch", "-f"), ("checkout", "-B"), ("switch", "-C")])
def test_another_branch_that_is_set_takes_nothing_back(how: tuple[str, ...]) -> None:
    s = committed()
    git(s, *how, "other", "HEAD~1", writes=OTHER)
    assert told(s) == VERIFIED


def test_a_branch_that_is_set_where_head_is_detached() -> None:
    s = committed()
    git(s, "checkout", "HEAD~1")
    git(s, "checkout", "-B", "main", writes=BRANCH)
    assert told(s) == TAKEN
    s = committed(2)
    git(s, "checkout", "HEAD~1")
    git(s, "checkout", "-B", "main", "main~1", writes=BRANCH)
    assert told(s) == VERIFIED


def test_what_was_committed_on_another_branch_before_may_last() -> None:
    s = Scenario()
    git(s, "commit", "-qam", "x", writes=OTHER)
    git(s, "checkout", "main")
    git(s, "commit", "-qam", "y", writes=BRANCH)
    git(s, "reset", "--hard", "HEAD~2", writes=BRANCH)
    assert told(s) == unverifiable("ambiguous")


def deleted(
    *before: tuple[str, ...], argv: tuple[str, ...] = ("branch", "-D", "main"), ref: str = BRANCH
) -> Scenario:
    """A commit on `main`, what was done ``before`` it was deleted, and its removal."""
    s = committed()
    for step in before or (("checkout", "-q", "trunk"),):
        git(s, *step)
    process = s.program(None, "git", *argv)
    s.file(process, "create", f"{ref}.lock")
    s.file(process, "unlink", ref)
    s.file(process, "unlink", f"{ref}.lock")
    s.exits(process)
    return s


@pytest.mark.parametrize(
    "argv",
    [
        ("branch", "-D", "main"),
        ("branch", "-qD", "main"),
        ("branch", "-d", "--force", "main"),
        ("branch", "--delete", "-f", "main"),
        ("update-ref", "-d", "refs/heads/main"),
        ("update-ref", "-d", "refs/heads/main", "abc1234"),
    ],
)
def test_a_branch_that_is_deleted_takes_its_commits_along(argv: tuple[str, ...]) -> None:
    assert told(deleted(argv=argv)) == TAKEN


def test_a_branch_that_is_deleted_since_it_was_merged_takes_nothing_back() -> None:
    assert told(deleted(argv=("branch", "-d", "main"))) == VERIFIED
    assert told(deleted(("checkout", "trunk"), ("merge", "main"))) == VERIFIED
    assert told(deleted(("push",), ("checkout", "trunk"))) == VERIFIED
    assert told(deleted(argv=("branch", "-D", "other"), ref=OTHER)) == VERIFIED


@pytest.mark.parametrize(
    "before",
    [
        (("status",),),
        (("checkout", "--detach"),),
        (("switch", "-d", "main"),),
        (("checkout", "abc1234"),),
        (("checkout", "ORIG_HEAD"),),
        (("checkout", "main@{0}"),),
        (("checkout", "abc1234"), ("checkout", "trunk"), ("checkout", "-")),
        (("checkout", "--detach", "main"),),
        (("checkout", "feature"), ("checkout", "trunk"), ("checkout", "-")),
    ],
)
def test_where_one_is_may_be_the_commit_of_a_branch_that_is_deleted(
    before: tuple[tuple[str, ...], ...],
) -> None:
    assert told(deleted(*before)) == unverifiable("ambiguous")


@pytest.mark.parametrize(
    "before",
    [
        (("checkout", "-"),),
        (("switch", "trunk"),),
        (("checkout", "trunk"), ("status",)),
        (("checkout", "trunk"), ("checkout", "HEAD", "--", "a.py")),
    ],
)
def test_whoever_went_to_another_branch_is_not_at_the_commit(before: tuple[tuple[str, ...], ...]) -> None:
    assert told(deleted(*before)) == TAKEN


def test_a_commit_of_a_branch_that_is_deleted_may_have_another_name() -> None:
    s = committed()
    git(s, "checkout", "-b", "other", writes=OTHER)
    s.file(s.program(None, "git", "branch", "-D", "main"), "unlink", BRANCH)
    assert told(s) == unverifiable("ambiguous")


@pytest.mark.parametrize("tells", [(), ("gone",)])
def test_a_branch_that_is_made_again_or_told_of(tells: tuple[str, ...]) -> None:
    s = deleted()
    if not tells:
        git(s, "branch", "main", "ORIG_HEAD", writes=BRANCH)
    assert told(s, tells=tells) == (VERIFIED if tells else unverifiable("ambiguous"))


@pytest.mark.parametrize(
    ("argv", "reason"),
    [
        (("./publish",), "form_unknown"),
        (("gh", "api", "merge"), "handed_off"),
        (("gh", "pr", "merge"), "ambiguous"),
    ],
)
def test_what_may_have_sent_it_before_its_branch_was_deleted(argv: tuple[str, ...], reason: str) -> None:
    s = committed()
    s.call()  # what ran before the first one is the agent's own
    s.runs(None, *argv)
    git(s, "checkout", "trunk")
    s.file(s.program(None, "git", "branch", "-D", "main"), "unlink", BRANCH)
    assert told(s) == unverifiable(reason)
