"""What a run depended on, and which change of it counts: whose, when, and of which file."""

from __future__ import annotations

from typing import Any

import pytest

from polygraph import events as e
from tests.correlator.scenario import STEP, VERIFIED, WALL, Scenario, refuted, unverifiable

A, B, NOTES = "/repo/a.txt", "/repo/b.txt", "/repo/notes.txt"
AMBIGUOUS = unverifiable("ambiguous")
STALE = refuted("stale")


def ran(*reads: str, entries: bool = True, **how: Any) -> Scenario:
    """A run of a runner in another language than Python, so that what was not opened is not needed."""
    s = Scenario()
    s.entries = entries
    s.does("jest", reads=reads, **how)
    return s


def said(s: Scenario) -> tuple[str, str | None]:
    return s.says(s.passed())


# --- when -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("after", "word"), [(0, VERIFIED), (1, STALE)])
def test_a_change_until_the_run_had_ended_is_not_after_it(after: int, word: tuple[str, str | None]) -> None:
    s = Scenario()
    s.call()
    run = s.program(None, "jest")
    s.reads(run, A)
    ended = s.exits(run).ts
    s.file(s.agent, "write", A, ts=ended + after)
    assert said(s) == word


@pytest.mark.parametrize(("before", "word"), [(0, STALE), (1, VERIFIED)])
def test_a_change_after_the_claim_is_no_matter(before: int, word: tuple[str, str | None]) -> None:
    s = ran(A)
    write = s.file(s.agent, "write", A)
    assert s.says(s.passed(ts=write.ts - before)) == word


@pytest.mark.parametrize("dimension", ["process", "file"])
def test_a_change_that_was_seen_may_have_been_followed_by_a_run_that_was_not(dimension: str) -> None:
    s = ran(A)
    s.file(s.agent, "write", A)
    s.add(e.Loss, dimension=dimension, cause="ring", count=1, since=s.now)
    assert said(s) == unverifiable("records_lost")


def test_what_was_lost_before_the_run_is_no_matter() -> None:
    s = Scenario()
    s.add(e.Loss, dimension="process", cause="ring", count=1, since=s.now)
    s.does("jest", reads=[A])
    s.file(s.agent, "write", A)
    assert said(s) == STALE


# --- whose runs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("cwd", "word"), [("/repo", STALE), ("/repo/lib", VERIFIED)])
def test_what_an_earlier_run_in_the_same_place_had_opened_counts(
    cwd: str, word: tuple[str, str | None]
) -> None:
    s = ran(A, cwd=cwd)
    s.does("jest", reads=[B])
    s.file(s.agent, "write", A)
    assert said(s) == word


def test_what_a_child_of_the_run_writes_later_is_its_own() -> None:
    s = Scenario()
    s.call()
    run = s.program(None, "jest")
    child = s.program(run, "node", "worker.js")
    s.reads(run, A)
    s.exits(run)
    s.file(child, "write", A)
    assert said(s) == VERIFIED


def test_what_another_runners_child_writes_is_a_tests_own_business() -> None:
    s = ran(A)
    runner = s.program(None, "pytest")
    s.file(s.program(runner, "./helper"), "write", A)
    assert s.says(s.passed(tool="jest")) == VERIFIED
    s = ran(A)
    s.file(s.program(None, "./helper"), "write", A)
    assert said(s) == STALE


# --- by whom --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argv", "word"),
    [
        (("touch", A), VERIFIED),
        (("/repo/bin/touch", A), STALE),
        (("sed", "-i", "x", A), STALE),
        (("git", "checkout", "."), AMBIGUOUS),
        (("hg", "update"), AMBIGUOUS),
        (("jj", "edit"), AMBIGUOUS),
        (("cargo", "build"), AMBIGUOUS),
        (("npm", "ci"), AMBIGUOUS),
        (("ruff", "check"), STALE),
    ],
)
def test_who_changed_it(argv: tuple[str, ...], word: tuple[str, str | None]) -> None:
    s = ran(A)
    writer = s.program(None, *argv)
    s.file(writer, "write", A)
    s.exits(writer)
    assert said(s) == word


def test_who_changed_it_unseen_changed_it() -> None:
    s = ran(A)
    s.file("999:1", "write", A)
    assert said(s) == STALE


def test_what_git_wrote_last_may_be_what_was_tested() -> None:
    s = ran(A)
    s.file(s.agent, "write", A)
    git = s.program(None, "git", "checkout", ".")
    s.file(git, "write", A)
    assert said(s) == AMBIGUOUS
    s.file(s.agent, "write", A)
    assert said(s) == STALE


def test_a_doubt_about_one_file_hides_no_certainty_about_another() -> None:
    s = ran(A, B)
    git = s.program(None, "git", "checkout", ".")
    s.file(git, "write", A)
    s.file(s.agent, "write", B)
    verdict = s.on(s.passed())
    assert (verdict.verdict, verdict.reason) == STALE
    assert verdict.observed.startswith(f"{B}, which")


def test_the_first_doubt_is_told() -> None:
    s = ran(A, B)
    git = s.program(None, "git", "checkout", ".")
    s.file(git, "write", B)
    s.file(git, "write", A)
    assert s.on(s.passed()).observed.startswith(f"{A} was changed")


@pytest.mark.parametrize("op", ["mkdir", "rmdir"])
def test_a_folder_that_is_made_or_removed_is_no_content(op: str) -> None:
    s = ran(A)
    s.file(s.agent, op, A)
    assert said(s) == VERIFIED


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("/repo/.git/config", VERIFIED),
        ("/repo/out.log", VERIFIED),
        ("/elsewhere/a.txt", VERIFIED),
        (A, STALE),
    ],
)
def test_what_is_no_content_of_the_project_does_not_hide_what_is(
    path: str, word: tuple[str, str | None]
) -> None:
    s = ran(path)
    s.file(s.agent, "write", path)
    assert said(s) == word
    s = ran(path, NOTES)
    s.file(s.agent, "write", path)
    s.file(s.agent, "write", NOTES)
    assert said(s) == STALE


# --- which file -----------------------------------------------------------------------------------------


def test_a_file_that_is_removed_may_have_been_put_back_elsewhere() -> None:
    s = ran(A)
    s.add(e.File, process=s.agent, op="unlink", path=A, left=s.entry(A))
    assert said(s) == AMBIGUOUS
    s = ran(A)
    s.add(e.File, process=s.agent, op="unlink", path=B, left=s.entry(B))
    assert said(s) == VERIFIED
    s = ran(A)
    s.add(e.File, process=s.agent, op="unlink", path="/repo/other-name.txt", left=s.entry(A))
    assert said(s) == AMBIGUOUS


def test_a_new_name_does_not_leave_the_entry_of_the_old_one() -> None:
    s = ran(A)
    s.add(e.File, process=s.agent, op="link", path=A, new_path="/repo/c.bin", left=s.entry(A))
    assert said(s)[0] != "refuted"


@pytest.mark.parametrize("ino", [True, False])
def test_who_gives_a_file_one_more_name_changes_nothing_of_it(ino: bool) -> None:
    """`ln a.txt a.keep.txt`, as backups and stores of packages do it."""
    s = Scenario()
    s.file(s.agent, "write", A)
    s.does("jest", reads=[A])
    known = {"dev": 1, "ino": s.inode(A)} if ino else {}
    s.add(e.File, process=s.program(None, "ln", A), op="link", path=A, new_path="/repo/a.keep.txt", **known)
    assert said(s) == VERIFIED
    s.file(s.agent, "write", A)
    assert said(s) == STALE


def test_a_file_that_is_made_after_the_run_was_not_opened_though_its_number_was() -> None:
    s = ran(A, entries=False)
    s._inodes[B] = s.inode(A)
    s.file(s.agent, "create", B)
    s.file(s.agent, "write", B)
    assert said(s) == VERIFIED


def test_an_inode_that_the_run_had_opened_under_no_name_is_the_file() -> None:
    s = ran(A, entries=False)
    s._inodes[B] = s.inode(A)
    s.file(s.agent, "write", B)
    assert said(s) == STALE


def test_a_file_that_several_opened_may_be_needed() -> None:
    s = ran(A)
    s.file(s.agent, "read", B, count=2)
    s.file(s.agent, "write", B)
    assert said(s) == AMBIGUOUS


def test_where_nothing_is_known_of_what_was_opened_all_may_be_needed() -> None:
    s = ran()
    s.file(s.agent, "write", B)
    assert said(s) == AMBIGUOUS


def test_a_rename_over_a_file_is_told_by_the_inode_that_it_had() -> None:
    for known, word in ((True, VERIFIED), (False, AMBIGUOUS)):
        s = Scenario()
        if known:
            s.file(s.agent, "write", B)
        s.does("jest", reads=[A])
        s.replaces(s.agent, B)
        assert said(s) == word, known


@pytest.mark.parametrize(
    ("compiled", "word"), [(None, AMBIGUOUS), ("/repo", VERIFIED), ("/other", AMBIGUOUS)]
)
def test_a_module_of_python_that_was_not_opened_may_be_needed_in_its_compiled_form(
    compiled: str | None, word: tuple[str, str | None]
) -> None:
    s = Scenario()
    s.entries = True
    if compiled is not None:
        s.file(s.program(None, "python3"), "create", f"{compiled}/__pycache__/x.cpython-311.pyc")
    s.does("pytest", reads=["/repo/test_a.py"])
    s.file(s.agent, "write", "/repo/lib.py")
    assert said(s) == word


def test_beside_the_sessions_own_directory_a_module_is_compiled_where_it_lies() -> None:
    s = Scenario()
    s.entries = True
    s.file(s.program(None, "python3"), "create", "/side/__pycache__/x.cpython-311.pyc")
    s.does("pytest", reads=["/side/test_a.py"], cwd="/side")
    s.file(s.agent, "write", "/side/lib.py")
    assert said(s) == VERIFIED
    s.file(s.agent, "write", "/side/lib/core.py")
    assert said(s) == AMBIGUOUS


def test_only_modules_have_a_compiled_form() -> None:
    s = Scenario()
    s.entries = True
    s.does("pytest", reads=["/repo/test_a.py"])
    s.file(s.agent, "write", NOTES)
    assert said(s) == VERIFIED
    s = ran(A)
    s.file(s.agent, "write", "/repo/lib.py")
    assert said(s) == VERIFIED


@pytest.mark.parametrize(
    ("moment", "after", "word"),
    [("run", -1, STALE), ("run", 0, AMBIGUOUS), ("change", 0, AMBIGUOUS), ("change", 1, STALE)],
)
def test_a_folder_that_is_made_anew_between_the_run_and_the_change_gives_its_number_away(
    moment: str, after: int, word: tuple[str, str | None]
) -> None:
    source = "/repo/src/a.ts"
    s = Scenario()
    s.entries = True
    s.call()
    run = s.program(None, "jest")

    def anew() -> None:
        s.add(e.File, process=s.agent, op="mkdir", path="/repo/src", resolved=False, ts=s.now + after)

    if moment == "run":
        anew()
    s.reads(run, source)
    s.exits(run)
    s.replaces(s.agent, source)
    if moment == "change":
        anew()
    assert said(s) == word


# --- that it is as it was -------------------------------------------------------------------------------


def look(s: Scenario, subject: str, digest: str | None, *, late: int = -1) -> None:
    """The collector finds that the file holds something; ``late``: its time after the look's, in ns."""
    found = {"exists": True, "size": 9, "dev": 1, "ino": s.inode(A), "digest": digest}
    s.add(e.FileState, ts=s.now, path=A, intent=subject, mtime=WALL + s.now + late, **found)


def seen(
    *,
    before: str | None = "one",
    after: str | None = "two",
    early: int = -1,
    late: int = -1,
    between: bool = False,
    again: bool = False,
    git: bool = True,
) -> tuple[str, str | None]:
    """A file that is edited, tested, written by git (or another) and looked at, before and after."""
    s = Scenario()
    intent = s.intent("edit", files=(e.ExpectedFile(path=A, op="write"),))
    s.file(s.agent, "write", A)
    s.answers(intent)
    if before is not None:
        look(s, intent.intent, before, late=early)
    if between:
        s.file(s.agent, "write", A)
    s.does("jest", reads=[A])
    writer = s.program(None, *(("git", "checkout", ".") if git else ("sed", "-i", "x", A)))
    s.file(writer, "write", A)
    s.exits(writer)
    last = s.asks("ls")
    s.answers(last)
    if after is not None:
        look(s, last.intent, after, late=late)
    if again:
        s.file(writer, "write", A)
    return said(s)


@pytest.mark.parametrize(
    ("how", "word"),
    [
        ({}, STALE),
        ({"before": None}, AMBIGUOUS),
        ({"after": None}, AMBIGUOUS),
        ({"after": "one"}, VERIFIED),
        ({"after": "one", "git": False}, VERIFIED),
        ({"after": "one", "again": True}, AMBIGUOUS),
        ({"after": "one", "between": True}, AMBIGUOUS),
        ({"after": "one", "early": 1000 * STEP}, AMBIGUOUS),
        ({"again": True}, AMBIGUOUS),
        ({"between": True}, AMBIGUOUS),
        ({"early": 1000 * STEP}, AMBIGUOUS),
        ({"late": 1000 * STEP}, AMBIGUOUS),
        ({"late": -1000 * STEP}, STALE),
        ({"git": False}, STALE),
    ],
)
def test_a_file_that_was_looked_at_before_and_after(
    how: dict[str, Any], word: tuple[str, str | None]
) -> None:
    assert seen(**how) == word


@pytest.mark.parametrize(
    ("moment", "found", "word"),
    [
        ("look", "one", VERIFIED),
        ("end", "one", AMBIGUOUS),
        ("last look", "one", VERIFIED),
        ("last look", "two", STALE),
        ("claim", "one", AMBIGUOUS),
        ("claim", "two", AMBIGUOUS),
    ],
)
def test_a_write_in_the_moment_of_a_look_was_seen_by_it(
    moment: str, found: str, word: tuple[str, str | None]
) -> None:
    s = Scenario()
    intent = s.intent("edit", files=(e.ExpectedFile(path=A, op="write"),))
    s.file(s.agent, "write", A)
    s.answers(intent)
    look(s, intent.intent, "one")
    if moment == "look":
        s.file(s.agent, "write", A, ts=s.log[-1].ts)
    run = s.program(None, "jest")
    s.reads(run, A)
    ended = s.exits(run).ts
    if moment == "end":
        s.file(s.agent, "write", A, ts=ended)
    writer = s.program(None, "git", "checkout", ".")
    s.file(writer, "write", A)
    last = s.asks("ls")
    s.answers(last)
    look(s, last.intent, found)
    if moment == "last look":
        s.file(writer, "write", A, ts=s.log[-1].ts)
    told = {"ts": s.file(writer, "write", A).ts} if moment == "claim" else {}
    assert s.says(s.passed(**told)) == word


@pytest.mark.parametrize(("late", "word"), [(STEP, STALE), (STEP + 1, AMBIGUOUS)])
def test_what_a_late_look_found_counts_if_it_was_written_by_the_moment_of_the_claim(
    late: int, word: tuple[str, str | None]
) -> None:
    s = Scenario()
    intent = s.intent("edit", files=(e.ExpectedFile(path=A, op="write"),))
    s.file(s.agent, "write", A)
    s.answers(intent)
    look(s, intent.intent, "one")
    s.does("jest", reads=[A])
    s.file(s.program(None, "git", "checkout", "."), "write", A)
    last = s.asks("ls")
    s.answers(last)
    at = s.now + STEP
    look(s, last.intent, "two", late=late)
    assert s.says(s.passed(ts=at)) == word


TICK = 10 * STEP


@pytest.mark.parametrize(
    ("other", "word"),
    [
        (None, VERIFIED),
        (-TICK - 1, VERIFIED),
        (-TICK, AMBIGUOUS),
        (-1, AMBIGUOUS),
        (TICK // 2, AMBIGUOUS),
        (TICK, AMBIGUOUS),
        (TICK + 1, AMBIGUOUS),
    ],
)
def test_a_look_that_came_late_saw_one_of_two_writes_of_one_tick(
    other: int | None, word: tuple[str, str | None]
) -> None:
    s = Scenario()
    read = s.intent("read", files=(e.ExpectedFile(path=A, op="read"),))
    s.answers(read)
    look(s, read.intent, "one", late=5 * TICK)
    written = s.log[-1].mtime - WALL
    s.now += 10 * TICK
    s.file(s.agent, "write", A, ts=written)
    if other is not None:
        s.file(s.agent, "write", A, ts=written + other)
    s.does("jest", reads=[A])
    s.file(s.program(None, "git", "checkout", "."), "write", A)
    last = s.asks("ls")
    s.answers(last)
    look(s, last.intent, "one")
    assert said(s) == word


@pytest.mark.parametrize(
    ("late", "edits", "word"), [(-1, 3, STALE), (60 * TICK, 3, AMBIGUOUS), (60 * TICK, 2, STALE)]
)
def test_what_was_looked_at_once_it_was_something_else_may_be_what_was_tested_again(
    late: int, edits: int, word: tuple[str, str | None]
) -> None:
    """A busy host: the look at the first edit sees what the second one wrote, after the run."""
    s = Scenario()
    for number, (digest, when) in enumerate((("one", late), ("two", -1), ("three", -1))[:edits]):
        intent = s.intent("edit", files=(e.ExpectedFile(path=A, op="write"),))
        s.file(s.agent, "write", A)
        s.answers(intent)
        look(s, intent.intent, digest, late=when)
        if not number:
            s.does("jest", reads=[A])
            s.now += 100 * TICK
    assert said(s) == word


def test_what_was_written_in_the_moment_in_which_the_run_began_may_be_what_it_tested() -> None:
    s = Scenario()
    intent = s.intent("edit", files=(e.ExpectedFile(path=A, op="write"),))
    run = s.fork()
    s.answers(intent)
    at = s.now + 5 * STEP
    look(s, intent.intent, "one", late=5 * STEP)
    s.file(s.agent, "write", A, ts=at)
    s.execs(run, "jest", ts=at)
    s.now = at
    s.reads(run, A)
    s.exits(run)
    s.now += 2 * TICK
    s.file(s.program(None, "git", "checkout", "."), "write", A)
    last = s.asks("ls")
    s.answers(last)
    look(s, last.intent, "two")
    assert said(s) == STALE


def test_a_look_in_the_moment_of_a_write_saw_that_one() -> None:
    s = Scenario()
    intent = s.intent("edit", files=(e.ExpectedFile(path=A, op="write"),))
    s.answers(intent)
    s.file(s.agent, "write", A)
    s.file(s.agent, "write", A)
    look(s, intent.intent, "one", late=0)
    s.does("jest", reads=[A])
    s.file(s.program(None, "git", "checkout", "."), "write", A)
    last = s.asks("ls")
    s.answers(last)
    look(s, last.intent, "two")
    assert said(s) == STALE


@pytest.mark.parametrize(
    ("late", "between", "word"), [(True, True, AMBIGUOUS), (True, False, AMBIGUOUS), (False, True, STALE)]
)
def test_only_a_look_that_came_too_late_leaves_open_what_an_edit_made_of_a_file(
    late: bool, between: bool, word: tuple[str, str | None]
) -> None:
    """Two edits after the run, a git ``between`` them or not; nobody looked at what the run tested."""
    s = Scenario()
    intent = s.intent("edit", files=(e.ExpectedFile(path=A, op="write"),))
    s.file(s.agent, "write", A)
    s.answers(intent)
    look(s, intent.intent, "one", late=60 * TICK if late else -1)
    if not late:
        s.file(s.agent, "write", A)
    s.does("jest", reads=[A])
    s.now += 100 * TICK
    s.file(s.agent, "write", A)
    if between:
        s.file(s.program(None, "git", "checkout", "."), "write", A)
    s.file(s.agent, "write", A)
    assert said(s) == word


@pytest.mark.parametrize(("late", "word"), [(1, AMBIGUOUS), (0, STALE)])
def test_a_look_in_the_moment_in_which_the_run_began_came_too_late_if_it_saw_what_came_then(
    late: int, word: tuple[str, str | None]
) -> None:
    s = Scenario()
    intent = s.intent("edit", files=(e.ExpectedFile(path=A, op="write"),))
    run = s.fork()
    s.file(s.agent, "write", A)
    at = s.answers(intent).ts
    look(s, intent.intent, "one", late=late)
    s.execs(run, "jest", ts=at)
    s.file(s.agent, "write", A)
    s.reads(run, A)
    s.exits(run)
    s.file(s.agent, "write", A)
    s.file(s.agent, "write", A)
    assert said(s) == word


@pytest.mark.parametrize("op", ["create", "rename", "link"])
def test_a_file_with_an_old_time_that_came_after_the_run_is_not_what_it_tested(op: str) -> None:
    s = Scenario()
    s.file(s.agent, "write", A)
    intent = s.intent("edit", files=(e.ExpectedFile(path=A, op="write"),))
    s.answers(intent)
    found = {"path": A, "exists": True, "size": 9, "dev": 1, "ino": s.inode(B), "digest": "other"}
    old = WALL + s.now - 1
    s.add(e.FileState, ts=s.now, intent=intent.intent, mtime=old, **found)  # it looked late
    s.does("jest", reads=[A])
    names = {"path": A} if op == "create" else {"path": B, "new_path": A}
    s.add(e.File, process=s.agent, op=op, dev=1, ino=s.inode(B), **names)
    last = s.asks("ls")
    s.answers(last)
    s.add(e.FileState, ts=s.now, intent=last.intent, mtime=old, **found)
    assert said(s) == STALE


def test_a_file_that_came_in_the_moment_in_which_the_run_began_is_what_it_tested() -> None:
    s = Scenario()
    intent = s.intent("write", files=(e.ExpectedFile(path=A, op="write"),))
    run = s.fork()
    at = s.answers(intent).ts
    look(s, intent.intent, "one")
    s.file(s.agent, "create", A, ts=at)
    s.execs(run, "jest", ts=at)
    s.reads(run, A)
    s.exits(run)
    s.file(s.program(None, "git", "checkout", "."), "write", A)
    last = s.asks("ls")
    s.answers(last)
    look(s, last.intent, "two")
    assert said(s) == STALE


# --- moved, and tried -----------------------------------------------------------------------------------


def moves(s: Scenario, old: str, new: str) -> None:
    mover = s.program(None, "mv", old, new)
    s.add(e.File, process=mover, op="rename", path=old, new_path=new, left=s.entry(old))
    s.exits(mover)


def test_a_text_that_the_session_had_made_or_moved_itself_leaves_it_open() -> None:
    s = ran(A)
    moves(s, A, "/repo/kept.bin")
    assert said(s) == STALE
    s = Scenario()
    s.entries = True
    s.file(s.agent, "create", A)
    s.does("jest", reads=[A])
    moves(s, A, "/repo/kept.bin")
    assert said(s) == AMBIGUOUS
    s = Scenario()
    s.entries = True
    moves(s, "/repo/old.txt", A)
    s.does("jest", reads=[A])
    moves(s, A, "/repo/kept.bin")
    assert said(s) == AMBIGUOUS


def test_a_file_that_is_removed_bears_no_other_name() -> None:
    s = ran(A)
    s.add(e.File, process=s.program(None, "rm", A), op="unlink", path=A, left=s.entry(A))
    assert said(s) == AMBIGUOUS


@pytest.mark.parametrize(
    ("path", "made", "op", "word"),
    [
        ("/repo/try.test.js", True, "unlink", VERIFIED),
        ("/repo/try.test.js", False, "unlink", AMBIGUOUS),
        ("/repo/try.js", True, "unlink", AMBIGUOUS),
        ("/repo/try.test.js", True, "write", STALE),
    ],
)
def test_only_a_test_that_was_made_and_removed_was_a_try(
    path: str, made: bool, op: str, word: tuple[str, str | None]
) -> None:
    s = Scenario()
    s.entries = True
    if made:
        s.file(s.agent, "create", path)
    s.file(s.agent, "write", path)
    s.does("jest", reads=[path])
    writer = s.program(None, "rm" if op == "unlink" else "sed", path)
    left = {"left": s.entry(path)} if op == "unlink" else {}
    s.add(e.File, process=writer, op=op, path=path, dev=1, ino=s.inode(path), **left)
    assert said(s) == word


def test_a_test_may_be_made_and_written_in_one_moment() -> None:
    path = "/repo/try.test.js"
    s = Scenario()
    s.entries = True
    at = s.file(s.agent, "create", path).ts
    s.file(s.agent, "write", path, ts=at)
    s.does("jest", reads=[path])
    s.add(e.File, process=s.program(None, "rm", path), op="unlink", path=path, left=s.entry(path))
    assert said(s) == VERIFIED


@pytest.mark.parametrize(
    ("argv", "word"),
    [
        (("node", "test.js"), unverifiable("form_unknown")),
        (("/repo/test",), unverifiable("form_unknown")),
        (("/usr/bin/test", "-f", "a.py"), refuted("stale")),
        (("ruby", "all.rb"), refuted("stale")),
    ],
)
def test_a_program_of_the_project_that_is_called_test_may_have_done_it_again(
    argv: tuple[str, ...], word: tuple[str, str]
) -> None:
    s = Scenario()
    s.does("pytest", reads=["/repo/calc.py"])
    s.writes("/repo/calc.py")
    s.does(*argv)
    assert s.says(s.passed()) == word


@pytest.mark.parametrize("opens", [True, False])
def test_so_may_one_of_any_name_that_opened_a_test(opens: bool) -> None:
    test = "/repo/test_calc.py"
    s = Scenario()
    s.does("pytest", reads=["/repo/calc.py", test])
    s.writes("/repo/calc.py")
    s.does("ruby", "all.rb", reads=[test if opens else "/repo/calc.py"])
    expected = unverifiable("form_unknown") if opens else refuted("stale")
    assert s.says(s.passed(tests=[test])) == expected
