"""Tool calls that write or delete files: what was written, what lies there, and what else may have done it."""

from __future__ import annotations

from typing import Any

import pytest

from polygraph import events as e
from tests.correlator.scenario import STEP, VERIFIED, WALL, Scenario, refuted, unverifiable
from tests.correlator.test_delegation import Through, delegates

A = "/repo/src/a.py"
AMBIGUOUS = unverifiable("ambiguous")
NOT_WRITTEN = refuted("not_written")
DIFFERS = refuted("content_differs")
WRONG = refuted("wrong_target")


def file(path: str = A, **how: Any) -> e.ExpectedFile:
    return e.ExpectedFile(**{"path": path, "op": "write", "digest": "w", "size": 100, **how})


def lost(s: Scenario, dimension: str = "file") -> None:
    s.add(e.Loss, dimension=dimension, cause="ring", count=1, since=s.now)


# --- which files ----------------------------------------------------------------------------------------


def test_a_call_that_was_given_away_or_names_no_file() -> None:
    s = Scenario()
    away = s.intent("write", files=(file(),), hand_off="docker")
    none = s.intent("write")
    only_read = s.intent("write", files=(file(op="read"),))
    for intent in (away, none, only_read):
        s.answers(intent)
    assert s.says(away) == unverifiable("handed_off")
    assert s.says(none) == s.says(only_read) == unverifiable("form_unknown")


def test_a_file_that_is_renamed_is_told_by_its_new_name() -> None:
    s = Scenario()
    intent = s.intent("edit", files=(file(op="rename", new_path="/repo/src/b.py", digest=None, size=None),))
    s.add(e.File, process=s.agent, op="rename", path=A, new_path="/repo/src/b.py")
    s.answers(intent)
    assert s.says(intent) == VERIFIED


# --- written --------------------------------------------------------------------------------------------


def written(s: Scenario, times: int = 1, **look: Any) -> e.Intent:
    intent = s.intent("write", files=(file(),))
    for _ in range(times):
        s.file(s.agent, "write", A)
    s.answers(intent)
    s.looks(intent, A, **{"matches": False, "size": 7, **look})
    return intent


def test_what_was_declared_lies_there() -> None:
    s = Scenario()
    verdict = s.on(written(s, times=5, matches=True))
    assert (verdict.verdict, verdict.grade, len(verdict.evidence)) == ("verified", "exact", 4)


def test_a_write_that_is_known_by_its_path_and_by_its_file_is_shown_once() -> None:
    s = Scenario()
    assert len(s.on(written(s, matches=True)).evidence) == 2


def test_of_several_files_each_is_what_was_found_of_it() -> None:
    """A patch of two files, of which one came to be."""
    s = Scenario()
    b = "/repo/src/b.py"
    intent = s.intent("write", files=(file(), file(b)))
    s.file(s.agent, "write", b)
    s.answers(intent)
    s.looks(intent, A, exists=False)
    s.looks(intent, b, matches=True)
    assert s.says(intent) == NOT_WRITTEN


def test_content_whose_size_is_not_declared_may_differ_all_the_same() -> None:
    s = Scenario()
    intent = s.intent("write", files=(file(size=None),))
    s.file(s.agent, "write", A)
    s.answers(intent)
    s.looks(intent, A, matches=False, size=7)
    assert s.says(intent) == DIFFERS


def test_without_a_look_a_write_is_strong() -> None:
    s = Scenario()
    intent = s.intent("write", files=(file(),))
    s.file(s.agent, "write", A)
    s.answers(intent)
    assert (s.says(intent), s.on(intent).grade) == (VERIFIED, "strong")


def test_something_else_lies_there() -> None:
    s = Scenario()
    assert s.says(written(s)) == DIFFERS


@pytest.mark.parametrize(("size", "word"), [(97, AMBIGUOUS), (96, DIFFERS), (103, AMBIGUOUS), (104, DIFFERS)])
def test_three_bytes_may_be_a_line_end(size: int, word: tuple[str, str]) -> None:
    s = Scenario()
    assert s.says(written(s, size=size)) == word


@pytest.mark.parametrize("again", [True, False])
def test_what_is_not_there_afterwards(again: bool) -> None:
    s = Scenario()
    intent = s.intent("write", files=(file(),))
    s.file(s.agent, "write", A)
    if again:
        s.file(s.agent, "unlink", A, ts=s.now)
    s.answers(intent)
    s.looks(intent, A, exists=False)
    verdict = s.on(intent)
    assert (verdict.verdict, verdict.reason) == (AMBIGUOUS if again else VERIFIED)
    assert verdict.grade == (None if again else "strong")
    assert ("removed again" in verdict.observed) is again


def test_what_is_not_there_afterwards_may_have_been_removed_where_not_all_was_seen() -> None:
    s = Scenario(covered=("process", "network", "tls"))
    intent = s.intent("write", files=(file(),))
    s.file(s.agent, "write", A)
    s.answers(intent)
    s.looks(intent, A, exists=False)
    assert s.says(intent) == AMBIGUOUS


def test_two_writers_may_have_left_it() -> None:
    s = Scenario()
    intent = s.intent("write", files=(file(),))
    s.file(s.agent, "write", A)
    s.file(s.program(None, "tee"), "write", A)
    s.answers(intent)
    s.looks(intent, A, matches=False, size=7)
    assert s.says(intent) == AMBIGUOUS


@pytest.mark.parametrize(
    ("other", "word"),
    [
        (file(), AMBIGUOUS),
        (file("/repo/x.py", op="rename", new_path=A), AMBIGUOUS),
        (file(op="read"), DIFFERS),
        (file("/repo/src/b.py"), DIFFERS),
    ],
    ids=["writes", "moves", "reads", "another"],
)
def test_another_call_may_have_left_it(other: e.ExpectedFile, word: tuple[str, str]) -> None:
    s = Scenario()
    s.answers(s.intent("edit", files=(other,)))
    assert s.says(written(s)) == word


def test_a_later_call_left_nothing_of_it_and_one_of_the_moment_may_have() -> None:
    for later, word in ((0, AMBIGUOUS), (1, DIFFERS)):
        s = Scenario()
        intent = written(s)
        s.intent("edit", files=(file(),), ts=s.log[-1].ts + later)
        assert s.says(intent) == word, later


@pytest.mark.parametrize("dimension", ["file", "process"])
def test_that_it_holds_something_else_needs_coverage(dimension: str) -> None:
    s = Scenario()
    intent = s.intent("write", files=(file(),))
    s.file(s.agent, "write", A)
    lost(s, dimension)
    s.answers(intent)
    s.looks(intent, A, matches=False, size=7)
    assert s.says(intent) == unverifiable("records_lost")


# --- not opened -----------------------------------------------------------------------------------------


def untouched(s: Scenario, *before: Any, error: bool = False, **look: Any) -> e.Intent:
    intent = s.intent("write", files=(file(),))
    for step in before:
        step(s)
    s.answers(intent, error=error)
    if look:
        s.looks(intent, A, **look)
    return intent


@pytest.mark.parametrize(
    ("look", "word", "told"),
    [
        ({"exists": False}, NOT_WRITTEN, "does not exist"),
        ({"exists": False, "size": 0}, NOT_WRITTEN, "does not exist"),
        ({"matches": False}, NOT_WRITTEN, "holds something else"),
        ({"matches": None}, NOT_WRITTEN, "existed"),
        ({"matches": False, "size": 0}, AMBIGUOUS, "is empty"),
        ({"matches": False, "size": 1}, NOT_WRITTEN, "holds something else"),
        ({"matches": True}, AMBIGUOUS, "holds what was declared"),
        ({}, AMBIGUOUS, "could not be looked at"),
    ],
)
def test_a_file_that_was_not_opened(look: dict[str, Any], word: tuple[str, str], told: str) -> None:
    s = Scenario()
    verdict = s.on(untouched(s, **look))
    assert (verdict.verdict, verdict.reason) == word
    assert verdict.observed.startswith("a.py was not opened for writing")
    assert verdict.observed.endswith(told)


def test_one_of_which_nobody_says_that_it_was_written() -> None:
    s = Scenario()
    failed = untouched(s, error=True, exists=False)
    unanswered = s.intent("write", files=(file(),))
    assert s.says(failed) == s.says(unanswered) == AMBIGUOUS


@pytest.mark.parametrize("dimension", ["file", "process"])
def test_that_it_was_not_opened_needs_coverage(dimension: str) -> None:
    s = Scenario()
    assert s.says(untouched(s, lambda s: lost(s, dimension), exists=False)) == unverifiable("records_lost")


def tried(s: Scenario, path: str = A, op: str = "write", **how: Any) -> e.File:
    return s.add(e.File, process=s.agent, op=op, path=path, errno=13, **how)


def test_a_write_that_failed_is_the_reason() -> None:
    s = Scenario()
    last: list[e.File] = []
    intent = untouched(
        s, tried, lambda s: last.append(tried(s, "/repo/x", "rename", new_path=A)), exists=False
    )
    verdict = s.on(intent)
    assert (verdict.verdict, verdict.reason) == NOT_WRITTEN
    assert verdict.observed == "writing a.py failed with EACCES"
    assert [one.id for one in verdict.evidence][:1] == [last[0].id]


@pytest.mark.parametrize(
    "step",
    [lambda s: tried(s, op="unlink"), lambda s: tried(s, "/repo/src/b.py"), lambda s: None],
    ids=["removal", "another", "none"],
)
def test_what_failed_besides_is_not(step: Any) -> None:
    s = Scenario()
    tried(s)
    s.now += STEP
    verdict = s.on(untouched(s, step, exists=False))
    assert (verdict.verdict, verdict.reason) == NOT_WRITTEN
    assert "failed" not in verdict.observed


def test_one_that_was_written_elsewhere() -> None:
    s = Scenario()
    there = "/repo/lib/a.py"
    verdict = s.on(untouched(s, lambda s: s.file(s.agent, "write", there), exists=False))
    assert (verdict.verdict, verdict.reason) == WRONG
    assert len(verdict.evidence) == 2


@pytest.mark.parametrize(
    ("paths", "word"),
    [
        (("/repo/lib/a.py", "/repo/b/a.py"), AMBIGUOUS),
        (("/tmp/x/src/a.py",), NOT_WRITTEN),
        (("/tmp/x/a.py", "/repo/lib/a.py"), WRONG),
        (("/repo/lib/A.py",), NOT_WRITTEN),
        (("/repo/lib/A.py", "/repo/lib/a.py"), WRONG),
        (("/repo/x/src/a.py",), AMBIGUOUS),
    ],
)
def test_what_counts_as_elsewhere(paths: tuple[str, ...], word: tuple[str, str]) -> None:
    s = Scenario()
    steps = [lambda s, path=path: s.file(s.agent, "write", path) for path in paths]
    assert s.says(untouched(s, *steps, exists=False)) == word


def test_of_many_places_three_are_shown() -> None:
    s = Scenario()
    steps = [lambda s, n=n: s.file(s.agent, "write", f"/repo/{n}/a.py") for n in "wxyz"]
    verdict = s.on(untouched(s, *steps, exists=False))
    assert ((verdict.verdict, verdict.reason), len(verdict.evidence)) == (AMBIGUOUS, 3)


@pytest.mark.parametrize("op", ["unlink", "mkdir"])
def test_what_is_removed_or_a_folder_is_not_written_elsewhere(op: str) -> None:
    s = Scenario()
    assert s.says(untouched(s, lambda s: s.file(s.agent, op, "/repo/lib/a.py"), exists=False)) == NOT_WRITTEN


def test_what_was_written_elsewhere_before_is_not_instead() -> None:
    s = Scenario()
    s.file(s.agent, "write", "/repo/lib/a.py")
    assert s.says(untouched(s, exists=False)) == NOT_WRITTEN


def test_what_another_call_was_to_write_is_not_instead() -> None:
    s = Scenario()
    call = s.call()
    intent = s.intent("write", files=(file(),), call=call)
    other = s.intent("write", files=(file("/repo/lib/a.py"),), call=call)
    s.file(s.agent, "write", "/repo/lib/a.py")
    s.file(s.agent, "write", "/repo/zoo/a.py")
    s.answers(intent)
    s.looks(intent, A, exists=False)
    s.answers(other)
    assert s.says(intent) == WRONG


def test_a_folder_that_was_renamed_may_have_brought_it() -> None:
    s = Scenario()
    move = lambda s: s.add(e.File, process=s.agent, op="rename", path="/repo/old", new_path="/repo/src")  # noqa: E731
    assert s.says(untouched(s, move, exists=False)) == AMBIGUOUS


def test_a_folder_that_was_renamed_to_where_is_not_told_is_known_by_its_old_name() -> None:
    for old, word in (("/repo/src", AMBIGUOUS), ("/repo/lib", NOT_WRITTEN)):
        s = Scenario()
        move = lambda s, old=old: s.add(e.File, process=s.agent, op="rename", path=old)  # noqa: E731
        assert s.says(untouched(s, move, exists=False)) == word, old


def test_what_somebody_else_changed_is_handed_off() -> None:
    slack = 2_000_000_000
    for early, word in ((0, unverifiable("handed_off")), (1, NOT_WRITTEN)):
        s = Scenario()
        call = s.call()
        asked = s.log[-1].request_ts
        intent = s.intent("write", files=(file(),), call=call)
        s.answers(intent)
        s.looks(intent, A, matches=False, mtime=WALL + asked - slack - early)
        assert s.says(intent) == word, early
    for late, word in ((0, unverifiable("handed_off")), (1, NOT_WRITTEN)):
        s = Scenario()
        intent = s.intent("write", files=(file(),))
        s.answers(intent)
        s.looks(intent, A, matches=False, mtime=WALL + s.now + slack + late)
        assert s.says(intent) == word, late


def test_where_the_beginning_was_not_seen_nobody_is_said_to_have_changed_it() -> None:
    s = Scenario()
    intent = untouched(s, matches=False, mtime=WALL + s.now)
    del s.log[0]
    assert s.says(intent) == unverifiable("late_enrolment")


# --- deleted --------------------------------------------------------------------------------------------


def deletes(s: Scenario, *steps: Any, error: bool = False, **look: Any) -> e.Intent:
    intent = s.intent("delete", files=(file(op="delete", digest=None, size=None),))
    for step in steps:
        step(s)
    s.answers(intent, error=error)
    if look:
        s.looks(intent, A, **look)
    return intent


def removes(s: Scenario) -> e.File:
    return s.add(e.File, process=s.agent, op="unlink", path=A)


def test_what_was_removed_is_gone_with_and_without_a_look() -> None:
    for look in ({}, {"exists": False}):
        s = Scenario()
        verdict = s.on(deletes(s, removes, removes, **look))
        assert (verdict.verdict, verdict.grade) == ("verified", "strong")
        assert [one.id for one in verdict.evidence] == [[x for x in s.log if isinstance(x, e.File)][-1].id]


def test_what_was_removed_and_is_there_again() -> None:
    s = Scenario()
    verdict = s.on(deletes(s, removes, exists=True))
    assert (verdict.verdict, verdict.reason) == AMBIGUOUS
    assert verdict.observed == "a.py was removed and is there again"
    assert len(verdict.evidence) == 1


def test_what_was_not_removed() -> None:
    s = Scenario()
    assert s.says(deletes(s, exists=True)) == NOT_WRITTEN
    s = Scenario()
    assert s.says(deletes(s, exists=False)) == AMBIGUOUS
    s = Scenario()
    assert s.says(deletes(s)) == AMBIGUOUS
    s = Scenario()
    assert s.says(deletes(s, error=True, exists=True)) == AMBIGUOUS
    s = Scenario()
    unanswered = s.intent("delete", files=(file(op="delete"),))
    s.looks(unanswered, A)
    assert s.says(unanswered) == AMBIGUOUS


@pytest.mark.parametrize("dimension", ["file", "process"])
def test_that_it_was_not_removed_needs_coverage(dimension: str) -> None:
    s = Scenario()
    assert s.says(deletes(s, lambda s: lost(s, dimension), exists=True)) == unverifiable("records_lost")


# --- when -----------------------------------------------------------------------------------------------


def test_what_was_written_before_the_call_is_not_written_by_it() -> None:
    s = Scenario()
    s.file(s.agent, "write", A)
    s.now += STEP
    assert s.says(untouched(s, matches=False)) == NOT_WRITTEN


@pytest.mark.parametrize(
    ("first", "last", "word"),
    [
        # in steps of the clock from the beginning and from the end of the window; None: the other one
        ((-2, None), (-1, None), NOT_WRITTEN),
        ((-2, None), (0, None), VERIFIED),
        ((0, None), (None, 2), VERIFIED),
        ((0, None), (None, 0), VERIFIED),
        ((1, None), (None, 2), VERIFIED),
        ((-2, None), (None, 0), VERIFIED),
        ((-2, None), (None, 2), VERIFIED),
        ((None, 0), (None, 2), VERIFIED),
        ((None, 1), (None, 2), NOT_WRITTEN),
    ],
)
def test_a_record_of_several_writes_counts_by_its_first_and_its_last_one(
    first: tuple[int | None, int | None], last: tuple[int | None, int | None], word: tuple[str, str | None]
) -> None:
    s = Scenario()
    s.now += 5 * STEP
    call = s.call()
    since = s.log[-1].request_ts
    intent = s.intent("write", files=(file(),), call=call)
    s.now += 5 * STEP
    until = s.answers(intent).ts
    s.looks(intent, A)
    times = [
        since + begin * STEP if begin is not None else until + (end or 0) * STEP
        for begin, end in (first, last)
    ]
    s.file(s.agent, "write", A, ts=times[1], first_ts=times[0], count=2)
    assert s.says(intent) == word


def test_a_folder_that_was_renamed_in_the_first_moment_may_have_brought_it() -> None:
    for early, word in ((0, AMBIGUOUS), (1, NOT_WRITTEN)):
        s = Scenario()
        call = s.call()
        asked = s.log[-1].request_ts
        s.add(e.File, process=s.agent, op="rename", path="/repo/old", new_path="/repo/src", ts=asked - early)
        intent = s.intent("write", files=(file(),), call=call)
        s.answers(intent)
        s.looks(intent, A, exists=False)
        assert s.says(intent) == word, early


@pytest.mark.parametrize(("early", "word"), [(0, AMBIGUOUS), (1, DIFFERS)])
def test_who_wrote_it_until_it_was_changed_last_may_have_left_it(early: int, word: tuple[str, str]) -> None:
    s = Scenario()
    other = s.program(None, "tee")
    intent = s.intent("write", files=(file(),))
    s.file(s.agent, "write", A)
    s.answers(intent)
    later = s.now + 5 * STEP
    s.looks(intent, A, matches=False, size=7, mtime=WALL + later - early)
    s.now = s.file(other, "write", A, ts=later).ts
    assert s.says(intent) == word


def test_where_the_beginning_was_not_seen_nothing_is_said_of_what_lies_there() -> None:
    s = Scenario()
    intent = written(s)
    del s.log[0]
    assert s.says(intent) == unverifiable("late_enrolment")


# --- told -----------------------------------------------------------------------------------------------


def test_a_renaming_of_which_the_new_name_is_not_told() -> None:
    s = Scenario()
    intent = s.intent("edit", files=(file(op="rename", digest=None, size=None),))
    s.file(s.agent, "write", A)
    s.answers(intent)
    assert s.says(intent) == VERIFIED


def test_the_last_of_several_writers_is_the_one_that_is_told() -> None:
    s = Scenario()
    intent = s.intent("edit", files=(file("src/a.py", digest=None, size=None),))
    s.file(s.agent, "write", A)
    s.file(s.agent, "write", "/repo/x/src/a.py")
    s.file(s.program(None, "tee"), "write", A)
    s.answers(intent)
    s.looks(intent, "src/a.py", size=7)
    verdict = s.on(intent)
    assert (verdict.verdict, verdict.grade, verdict.observed) == ("verified", "strong", f"{A} was written")


def test_the_last_removal_is_shown() -> None:
    s = Scenario()
    intent = s.intent("write", files=(file(),))
    s.file(s.agent, "write", A)
    gone = [s.add(e.File, process=s.program(None, "rm"), op="unlink", path=A) for _ in range(3)]
    s.answers(intent)
    s.looks(intent, A, exists=False)
    cited = [one.id for one in s.on(intent).evidence]
    assert [one.id in cited for one in gone] == [False, False, True]


@pytest.mark.parametrize(
    ("argv", "through", "word"),
    [
        (("docker", "run", "--rm", "image", "ls"), "docker", unverifiable("handed_off")),
        (("ssh", "localhost", "ls"), "ssh", VERIFIED),
    ],
)
def test_a_container_that_was_followed_writes_by_paths_of_its_own(
    argv: tuple[str, ...], through: Through, word: tuple[str, str | None]
) -> None:
    s = Scenario()
    intent = s.intent("write", files=(file(),), hand_off=through)
    client = s.program(None, *argv)
    delegates(s, client, through, "ls")
    s.exits(client)
    s.file(s.agent, "write", A)
    s.answers(intent)
    assert s.says(intent) == word


def test_two_that_wrote_in_the_same_moment_are_two() -> None:
    s = Scenario()
    tee = s.program(None, "tee")
    intent = s.intent("write", files=(file(),))
    first = s.file(s.agent, "write", A)
    s.file(tee, "write", A, ts=first.ts)
    s.answers(intent)
    s.looks(intent, A, matches=False, size=7)
    assert s.says(intent) == AMBIGUOUS
