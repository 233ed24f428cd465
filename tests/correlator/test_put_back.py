"""Files that were written, and that a git put back before they were told; and those that only look so."""

from __future__ import annotations

from typing import Any

import pytest

from tests.correlator.scenario import DIMENSIONS, VERIFIED, Scenario, refuted, unverifiable

FILE = "/repo/src/a.py"
GONE = refuted("not_persisted")
OPEN = unverifiable("ambiguous")


def git(s: Scenario, *argv: str, puts: str | None = FILE, below: tuple[str, ...] = ()) -> None:
    """A git, or one that it starts, which removes a file and makes it anew, as git does it."""
    process = s.program(None, "git", *argv)
    worker = s.program(process, "git", *below) if below else process
    if puts is not None:
        s.file(worker, "unlink", puts)
        s.file(worker, "create", puts)
    if below:
        s.exits(worker)
    s.exits(process)


def told(
    s: Scenario, topic: str = "file_changed", target: str = "src/a.py", **how: Any
) -> tuple[str, str | None]:
    return s.says(s.claims(topic, targets=(target,), finds={target: True}, **how))


PUT_BACK = [
    ("checkout", "--", "src/a.py"),
    ("checkout", "-q", "--", "."),
    ("checkout", "src/a.py"),
    ("checkout", "src"),
    ("checkout", "HEAD", "--", "src/a.py", "src/b.py"),
    ("checkout", "HEAD", "src/a.py"),
    ("restore", "src/a.py"),
    ("restore", "--staged", "--worktree", "."),
    ("reset", "--hard"),
    ("reset", "-q", "--hard", "HEAD"),
    ("-C", "/repo", "reset", "--hard"),
]


@pytest.mark.parametrize("argv", PUT_BACK)
@pytest.mark.parametrize("target", ["src/a.py", "a.py", FILE])
def test_what_git_put_back_is_not_changed(argv: tuple[str, ...], target: str) -> None:
    s = Scenario()
    s.writes(FILE)
    git(s, "status", puts=None)
    git(s, *argv)
    assert told(s, target=target) == GONE


@pytest.mark.parametrize(
    ("cwd", "argv", "word"),
    [
        ("/", ("-C", "/repo", "checkout", "--", "src/a.py"), GONE),
        ("/repo", ("-C", "src", "restore", "a.py"), GONE),
        ("/repo/lib", ("-C", "../src", "checkout", "a.py"), GONE),
        ("/repo", ("-C", "src", "checkout", "--", "src/a.py"), VERIFIED),
    ],
)
def test_what_git_puts_back_is_named_from_where_it_works(
    cwd: str, argv: tuple[str, ...], word: tuple[str, str | None]
) -> None:
    s = Scenario()
    s.writes(FILE)
    restore = s.program(None, "git", *argv, cwd=cwd)
    s.file(restore, "create", FILE)
    s.exits(restore)
    assert told(s) == word


@pytest.mark.parametrize(
    "argv",
    [
        ("checkout", "main"),
        ("checkout", "main", "--", "src/a.py"),
        ("checkout", "main", "src/a.py"),
        ("checkout", "HEAD~1", "src/a.py"),
        ("checkout", "--theirs", "src/a.py"),
        ("checkout", "--", "lib"),
        ("restore", "--source=main", "src/a.py"),
        ("restore", "-s", "main", "src/a.py"),
        ("restore", "lib"),
        ("reset", "--hard", "HEAD~1"),
        ("reset", "--hard", "origin/main"),
        ("reset", "HEAD"),
        ("stash", "pop"),
        ("merge", "feature"),
        ("apply", "fix.patch"),
    ],
)
def test_what_git_brings_in_from_elsewhere_may_be_what_is_meant(argv: tuple[str, ...]) -> None:
    s = Scenario()
    s.writes(FILE)
    git(s, *argv)
    assert told(s) == VERIFIED


def test_what_was_written_once_more_is_there() -> None:
    s = Scenario()
    s.writes(FILE)
    git(s, "checkout", "--", ".")
    s.writes(FILE)
    assert told(s) == VERIFIED


@pytest.mark.parametrize("times", [1, 2])
def test_who_put_it_back_alone_wrote_it(times: int) -> None:
    s = Scenario()
    for _ in range(times):
        git(s, "checkout", "--", ".")
    assert told(s) == VERIFIED


def test_however_often_it_was_written_it_is_put_back() -> None:
    s = Scenario()
    for _ in range(3):
        s.writes(FILE)
    git(s, "checkout", "--", ".")
    assert told(s) == GONE


@pytest.mark.parametrize(("earlier", "word"), [(0, VERIFIED), (1, GONE)])
def test_only_what_was_written_before_the_git_was_put_back(
    earlier: int, word: tuple[str, str | None]
) -> None:
    s = Scenario()
    restore = s.program(None, "git", "restore", ".")
    s.file(s.agent, "write", FILE)
    s.file(restore, "create", FILE, ts=s.now + earlier)
    s.exits(restore)
    assert told(s) == word


@pytest.mark.parametrize("keeps", [("add", "-A"), ("commit", "-qam", "x"), ("stash",), ("an-alias",)])
@pytest.mark.parametrize("when", ["before", "after"])
def test_what_a_git_may_keep_may_be_there(keeps: tuple[str, ...], when: str) -> None:
    s = Scenario()
    s.writes(FILE)
    if when == "before":
        git(s, *keeps, puts=None)
    git(s, "reset", "--hard")
    if when == "after":
        git(s, *keeps, puts=None)
    assert told(s) == OPEN


@pytest.mark.parametrize(
    "argv", [("stash",), ("stash", "push", "-m", "x"), ("stash", "save", "wip"), ("stash", "-u")]
)
@pytest.mark.parametrize("below", [(), ("reset", "--hard", "-q")])
def test_what_the_stash_took_is_somewhere_else(argv: tuple[str, ...], below: tuple[str, ...]) -> None:
    s = Scenario()
    s.writes(FILE)
    git(s, *argv, below=below)
    assert told(s) == OPEN
    git(s, "stash", "pop", below=("reset", "--hard", "-q"))
    assert told(s) == VERIFIED


def test_another_file_of_the_name_may_be_meant() -> None:
    s = Scenario()
    s.writes(FILE)
    s.writes("/repo/lib/a.py")
    git(s, "checkout", "--", "src")
    assert told(s, target="a.py") == VERIFIED
    git(s, "checkout", "--", "lib", puts="/repo/lib/a.py")
    assert told(s, target="a.py") == GONE


def test_who_tells_of_it_does_not_lie() -> None:
    s = Scenario()
    s.writes(FILE)
    git(s, "checkout", "--", ".")
    assert told(s, tells=("gone",)) == OPEN


@pytest.mark.parametrize("dimension", ["file", "process"])
def test_that_nobody_wrote_it_again_needs_coverage(dimension: str) -> None:
    s = Scenario(covered=[d for d in DIMENSIONS if d != dimension])
    s.writes(FILE)
    git(s, "checkout", "--", ".")
    assert told(s) == unverifiable("probe_missing")


# --- what the stash took, and was dropped ---------------------------------------------------------------------


def stashed(*after: tuple[str, ...], status: int = 0) -> Scenario:
    """A change that the stash took, as git does it, and what was done to the stash."""
    s = Scenario()
    s.writes(FILE)
    git(s, "stash", "push", "-m", "x", below=("update-index", "--refresh"))
    for argv in after:
        s.runs(None, "git", *argv, status=status)
    return s


@pytest.mark.parametrize(
    "after",
    [
        (("stash", "drop"),),
        (("stash", "drop", "-q", "stash@{0}"),),
        (("stash", "clear"),),
        (("stash", "list", "-3"), ("stash", "drop")),
        (("stash", "list"), ("stash", "drop", "0"), ("stash", "list"), ("status",)),
    ],
)
def test_what_was_stashed_and_dropped_is_nowhere(after: tuple[tuple[str, ...], ...]) -> None:
    assert told(stashed(*after)) == GONE


@pytest.mark.parametrize(
    "after",
    [
        (("stash", "drop", "stash@{1}"),),
        (("stash", "apply"), ("stash", "drop")),
        (("stash", "show", "-p"), ("stash", "drop")),
        (("stash", "push"), ("stash", "drop")),
        (("stash", "branch", "x"), ("stash", "clear")),
        (("stash", "store", "abc"), ("stash", "clear")),
        (("stash", "drop"), ("stash", "apply", "abc1234")),
        (("stash", "drop"), ("merge", "abc1234")),
        (("stash", "drop"), ("an-alias",)),
    ],
)
def test_what_may_have_been_taken_from_the_stash_before(after: tuple[tuple[str, ...], ...]) -> None:
    assert told(stashed(*after)) == OPEN


def test_a_drop_that_failed_drops_nothing() -> None:
    assert told(stashed(("stash", "drop"), status=1)) == OPEN


def test_who_dropped_it_and_wrote_it_again_did_it() -> None:
    s = stashed(("stash", "drop"))
    s.writes(FILE)
    assert told(s) == VERIFIED
    assert told(stashed(("stash", "drop")), tells=("gone",)) == OPEN
