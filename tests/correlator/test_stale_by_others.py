"""Staleness by other hands than an editor's: git, a move, and files that were looked at again."""

from __future__ import annotations

import pytest

from polygraph import events as e
from tests.correlator.scenario import STEP, VERIFIED, WALL, Scenario, refuted, unverifiable

CALC, TEST = "/repo/calc.py", "/repo/test_calc.py"


def ran() -> Scenario:
    """A run that opened two files by entries that are known."""
    s = Scenario()
    s.entries = True
    s.does("pytest", reads=[CALC, TEST])
    return s


def git(s: Scenario, *argv: str, path: str = CALC, times: int = 1) -> None:
    """A git that removes the file and makes it anew, as it does with all that it writes."""
    process = s.program(None, "git", *argv)
    for _ in range(times):
        s.add(e.File, process=process, op="unlink", path=path, left=s.entry(path))
        s._inodes.pop(path, None)
        s.file(process, "create", path, entry=s.entry(path))
    s.exits(process)


@pytest.mark.parametrize(
    "how",
    [
        ("merge", "-q", "theirs"),
        ("cherry-pick", "theirs"),
        ("revert", "HEAD"),
        ("rebase", "main"),
        ("apply", "a.diff"),
        ("am", "a.patch"),
    ],
)
def test_what_git_takes_in_after_the_run_makes_it_stale(how: tuple[str, ...]) -> None:
    s = ran()
    git(s, *how)
    assert s.says(s.passed()) == refuted("stale")


@pytest.mark.parametrize(
    "how", [("checkout", "--", "calc.py"), ("stash",), ("rebase", "--abort"), ("merge", "--abort")]
)
def test_what_git_may_restore_is_ambiguous(how: tuple[str, ...]) -> None:
    s = ran()
    git(s, *how)
    assert s.says(s.passed()) == unverifiable("ambiguous")


def test_what_was_taken_in_and_back_is_ambiguous() -> None:
    s = ran()
    git(s, "cherry-pick", "a", "b", times=2)
    assert s.says(s.passed()) == unverifiable("ambiguous")
    s = ran()
    git(s, "merge", "theirs")
    git(s, "reset", "--hard", "ORIG_HEAD")
    assert s.says(s.passed()) == unverifiable("ambiguous")


def test_what_was_taken_in_and_removed_again_is_ambiguous() -> None:
    data = "/repo/data.bin"
    s = Scenario()
    s.entries = True
    s.does("pytest", reads=[CALC, data])
    git(s, "merge", "theirs", path=data)
    rm = s.program(None, "rm", data)
    s.add(e.File, process=rm, op="unlink", path=data, left=s.entry(data))
    s.exits(rm)
    assert s.says(s.passed()) == unverifiable("ambiguous")


def test_who_edits_what_the_stash_had_taken_before_the_run_changed_it() -> None:
    s = Scenario()
    s.entries = True
    s.call()
    s.writes(CALC)
    git(s, "stash")
    s.does("pytest", reads=[CALC, TEST])
    s.writes(CALC)
    assert s.says(s.passed()) == refuted("stale")


def test_a_merge_of_what_no_run_had_opened_is_none_of_its_business() -> None:
    s = ran()
    git(s, "merge", "theirs", path="/repo/other.py")
    assert s.says(s.passed()) == VERIFIED


def test_what_a_merge_removed_alone_may_come_back_with_another() -> None:
    s = ran()
    merge = s.program(None, "git", "merge", "theirs")
    s.add(e.File, process=merge, op="unlink", path=CALC, left=s.entry(CALC))
    s.exits(merge)
    assert s.says(s.passed()) == unverifiable("ambiguous")


def test_a_merge_before_the_run_is_what_was_tested() -> None:
    s = Scenario()
    s.entries = True
    git(s, "merge", "theirs")
    s.does("pytest", reads=[CALC, TEST])
    assert s.says(s.passed()) == VERIFIED


def moved(s: Scenario, old: str, new: str) -> None:
    process = s.program(None, "mv", old, new)
    s.add(e.File, process=process, op="rename", path=old, new_path=new, left=s.entry(old))
    s.exits(process)


def test_a_source_that_bears_another_name_makes_the_run_stale() -> None:
    s = ran()
    moved(s, CALC, "/repo/lib/calc.py")
    assert s.says(s.passed()) == refuted("stale")


def test_a_source_that_was_moved_and_back_does_not() -> None:
    s = ran()
    moved(s, CALC, "/repo/lib/calc.py")
    moved(s, "/repo/lib/calc.py", CALC)
    assert s.says(s.passed()) != refuted("stale")


def test_a_source_that_was_moved_and_tested_again_does_not() -> None:
    s = ran()
    moved(s, CALC, "/repo/lib/calc.py")
    s.does("pytest", reads=["/repo/lib/calc.py", TEST])
    assert s.says(s.passed()) == VERIFIED


def test_a_file_of_data_that_was_moved_is_ambiguous() -> None:
    s = Scenario()
    s.entries = True
    s.does("pytest", reads=[CALC, "/repo/out.bin"])
    moved(s, "/repo/out.bin", "/repo/kept.bin")
    assert s.says(s.passed()) == unverifiable("ambiguous")


def edited(s: Scenario, digest: str) -> e.Intent:
    intent = s.intent("edit", tool="edit", files=(e.ExpectedFile(path=CALC, op="write"),))
    s.file(s.agent, "truncate", CALC)
    s.answers(intent)
    look(s, intent.intent, digest)
    return intent


def look(s: Scenario, subject: str, digest: str, *, late: int = 0) -> None:
    s.add(
        e.FileState,
        ts=s.now,
        path=CALC,
        intent=subject,
        exists=True,
        size=9,
        mtime=WALL + s.now - 1 + late,
        dev=1,
        ino=s.inode(CALC),
        digest=digest,
    )


def claimed(s: Scenario, digest: str, *, late: int = 0) -> tuple[str, str | None]:
    """What is said of "the tests pass" where the collector finds the file to hold that."""
    claim = s.passed()
    tick = s.log.pop()
    s.now = claim.ts
    look(s, claim.claim, digest, late=late)
    s.log.append(tick)
    return s.says(claim)


def test_what_git_put_back_is_stale_where_it_is_seen_to_be_something_else() -> None:
    s = Scenario()
    edited(s, "good")
    s.does("pytest", reads=[CALC, TEST])
    git(s, "checkout", "--", "calc.py")
    assert claimed(s, "bad") == refuted("stale")


@pytest.mark.parametrize(("found", "word"), [("bad", refuted("stale")), ("good", VERIFIED)])
def test_of_a_look_that_came_late_an_earlier_one_tells_what_was_tested(
    found: str, word: tuple[str, str]
) -> None:
    s = Scenario()
    read = s.intent("read", tool="read", files=(e.ExpectedFile(path=CALC, op="read"),))
    s.answers(read)
    look(s, read.intent, "good", late=3 * STEP)  # it found what the edit had written
    intent = s.intent("edit", tool="edit", files=(e.ExpectedFile(path=CALC, op="write"),))
    s.now -= 2 * STEP
    s.file(s.agent, "truncate", CALC)
    s.answers(intent)
    look(s, intent.intent, found, late=10_000_000_000)  # and this one what git brought
    s.does("pytest", reads=[CALC, TEST])
    git(s, "checkout", "--", "calc.py")
    assert claimed(s, found) == word


def test_what_git_put_back_is_what_was_tested_where_it_is_seen_to_be_that() -> None:
    s = Scenario()
    edited(s, "good")
    s.does("pytest", reads=[CALC, TEST])
    git(s, "stash")
    git(s, "stash", "pop")
    assert claimed(s, "good") == VERIFIED


def test_what_was_put_back_after_the_claim_is_not_held_against_it() -> None:
    s = Scenario()
    edited(s, "good")
    s.does("pytest", reads=[CALC, TEST])
    git(s, "stash")
    assert claimed(s, "bad", late=10_000_000_000) == unverifiable("ambiguous")


def test_a_change_before_the_run_that_was_not_looked_at_leaves_it_open() -> None:
    s = Scenario()
    edited(s, "one")
    git(s, "checkout", "-q", "main")
    s.does("pytest", reads=[CALC, TEST])
    git(s, "checkout", "-q", "topic")
    assert claimed(s, "two") == unverifiable("ambiguous")


def test_a_test_that_the_session_had_made_to_try_something_may_go_again() -> None:
    s = Scenario()
    s.entries = True
    s.file(s.agent, "create", "/repo/test_try.py")
    s.does("pytest", reads=[CALC, TEST, "/repo/test_try.py"])
    rm = s.program(None, "rm", "test_try.py")
    s.add(e.File, process=rm, op="unlink", path="/repo/test_try.py", left=s.entry("/repo/test_try.py"))
    s.exits(rm)
    assert s.says(s.passed()) == VERIFIED


def test_a_test_of_the_project_that_goes_leaves_it_open() -> None:
    s = ran()
    rm = s.program(None, "rm", "test_calc.py")
    s.add(e.File, process=rm, op="unlink", path=TEST, left=s.entry(TEST))
    s.exits(rm)
    assert s.says(s.passed()) == unverifiable("ambiguous")


def test_a_test_of_the_project_that_git_had_written_is_no_try() -> None:
    s = Scenario()
    s.entries = True
    git(s, "checkout", "main", path=TEST)
    s.does("pytest", reads=[CALC, TEST])
    rm = s.program(None, "rm", "test_calc.py")
    s.add(e.File, process=rm, op="unlink", path=TEST, left=s.entry(TEST))
    s.exits(rm)
    assert s.says(s.passed()) == unverifiable("ambiguous")


# --- put aside while the tests ran ---------------------------------------------------------------------------


STASH, POP = ("stash", "-q"), ("stash", "pop", "-q")


def aside(
    *, edits: bool = True, takes: tuple[str, ...] = STASH, gives: tuple[str, ...] = POP, tried: bool = False
) -> Scenario:
    """A change (that was ``tried`` at once) is put aside while the tests run, and comes back."""
    s = Scenario()
    s.entries = True
    s.call()
    if edits:
        s.writes(CALC)
    if tried:
        s.does("pytest", reads=[CALC, TEST])
    git(s, *takes)
    s.does("pytest", reads=[CALC, TEST])
    git(s, *gives)
    return s


@pytest.mark.parametrize(
    "takes", [STASH, ("stash", "push", "-q", "--", "calc.py"), ("stash", "save", "mine")]
)
@pytest.mark.parametrize("gives", [POP, ("stash", "apply")])
def test_what_was_in_the_stash_during_the_run_was_not_tested(
    takes: tuple[str, ...], gives: tuple[str, ...]
) -> None:
    s = aside(takes=takes, gives=gives)
    assert s.says(s.passed()) == refuted("stale")


@pytest.mark.parametrize(
    "how",
    [
        {"tried": True},
        {"edits": False},
        {"takes": ("checkout", "-q", "main"), "gives": ("checkout", "-q", "topic")},
        {"takes": STASH, "gives": ("checkout", "-q", "main")},
        {"takes": STASH, "gives": ("stash", "push", "-q")},
        {"takes": ("reset", "--hard"), "gives": POP},
        {"takes": ("stash", "pop"), "gives": POP},
    ],
)
def test_unless_it_had_passed_before_or_it_is_not_sure_that_it_was_there(how: dict[str, object]) -> None:
    s = aside(**how)  # type: ignore[arg-type]
    assert s.says(s.passed()) == unverifiable("ambiguous")


def test_what_had_passed_or_failed_otherwise_before_it_was_put_aside_is_no_excuse() -> None:
    for status, edited_after in ((0, True), (1, False)):
        s = Scenario()
        s.entries = True
        s.call()
        if not edited_after:
            s.writes(CALC)
        s.does("pytest", reads=[CALC, TEST], status=status)
        if edited_after:
            s.writes(CALC)
        git(s, *STASH)
        s.does("pytest", reads=[CALC, TEST])
        git(s, *POP)
        assert s.says(s.passed()) == refuted("stale"), status


@pytest.mark.parametrize(("after", "word"), [(0, refuted("stale")), (-1, unverifiable("ambiguous"))])
def test_a_run_that_ended_in_the_moment_of_an_edit_had_not_tried_it(
    after: int, word: tuple[str, str | None]
) -> None:
    s = Scenario()
    s.entries = True
    s.call()
    first = s.program(None, "pytest")
    s.reads(first, CALC, TEST)
    s.file(s.agent, "write", CALC, ts=s.exits(first).ts + after)
    git(s, *STASH)
    s.does("pytest", reads=[CALC, TEST])
    git(s, *POP)
    assert s.says(s.passed()) == word


@pytest.mark.parametrize(("before", "word"), [(0, refuted("stale")), (1, unverifiable("ambiguous"))])
def test_a_run_that_began_in_the_moment_in_which_the_edit_was_put_aside_had_not_tried_it(
    before: int, word: tuple[str, str | None]
) -> None:
    s = Scenario()
    s.entries = True
    s.call()
    s.writes(CALC)
    first = s.fork()
    git(s, *STASH)
    began = next(x.ts for x in s.log if isinstance(x, e.Exec) and x.argv[:2] == ("git", "stash"))
    s.execs(first, "pytest", ts=began - before)
    s.reads(first, CALC, TEST)
    s.exits(first)
    s.does("pytest", reads=[CALC, TEST])
    git(s, *POP)
    assert s.says(s.passed()) == word


@pytest.mark.parametrize(("after", "word"), [(1, refuted("stale")), (0, unverifiable("ambiguous"))])
def test_what_was_put_aside_in_the_moment_in_which_the_run_began_may_have_been_there(
    after: int, word: tuple[str, str | None]
) -> None:
    s = Scenario()
    s.entries = True
    s.call()
    s.writes(CALC)
    run = s.fork()
    taker = s.program(None, "git", *STASH)
    taken = s.file(taker, "write", CALC, entry=s.entry(CALC)).ts
    s.execs(run, "pytest", ts=taken + after)
    s.reads(run, CALC, TEST)
    s.exits(run)
    git(s, *POP)
    assert s.says(s.passed()) == word
