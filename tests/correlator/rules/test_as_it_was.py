"""A file that was changed after the run and is what it was: by the looks at it, by its times."""

from __future__ import annotations

from typing import Any

import pytest

from polygraph import events as e
from tests.correlator.rules.test_staleness import AMBIGUOUS, STALE, A, B, said
from tests.correlator.scenario import STEP, VERIFIED, WALL, Scenario


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
