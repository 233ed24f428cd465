"""What a run depended on, and which change of it counts: whose, when, and of which file."""

from __future__ import annotations

from typing import Any

import pytest

from polygraph import events as e
from tests.correlator.scenario import VERIFIED, Scenario, refuted, unverifiable

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
