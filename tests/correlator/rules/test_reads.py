"""What was read: moments, counts, names and looks, on either side of where they decide."""

from __future__ import annotations

from typing import Any

import pytest

from polygraph import events as e
from tests.correlator.scenario import STEP, VERIFIED, WALL, Scenario, refuted, unverifiable
from tests.correlator.test_delegation import delegates
from tests.correlator.test_reads import A, B, folder, many

AMBIGUOUS = unverifiable("ambiguous")
NOT_READ = refuted("not_read")


def of(*paths: str) -> tuple[e.ExpectedFile, ...]:
    return tuple(e.ExpectedFile(path=path, op="read") for path in paths)


def looked(s: Scenario, path: str = A, **how: Any) -> e.Intent:
    """A read of the agent's own tool that opened nothing, and what lies there."""
    s.reads(s.agent, B)
    intent = s.intent("read", files=of(path))
    s.answers(intent)
    s.looks(intent, path, **how)
    return intent


# --- a tool call ----------------------------------------------------------------------------------------


def test_a_call_that_was_given_away_or_names_no_file() -> None:
    s = Scenario()
    away, none = s.intent("read", files=of(A), hand_off="docker"), s.intent("read")
    for intent in (away, none):
        s.answers(intent)
    assert s.says(away) == unverifiable("handed_off")
    assert s.says(none) == unverifiable("form_unknown")


def test_a_container_that_was_followed_reads_files_of_its_own() -> None:
    s = Scenario()
    intent = s.intent("read", files=of(A), hand_off="docker")
    client = s.program(None, "docker", "run", "--rm", "image", "cat")
    delegates(s, client, "docker", "cat")
    s.exits(client)
    s.answers(intent)
    assert s.says(intent) == unverifiable("handed_off")


def test_each_that_is_named_must_have_been_read() -> None:
    s = Scenario()
    s.does("cat", reads=[A])
    finds = {"src/a.py": True, "lib/x.py": True}
    both = s.claims("file_read", kind="exhaustive", targets=("src/", "lib/x.py"), finds=finds, size=9)
    assert s.says(both) == NOT_READ
    assert s.says(folder(s, "a.py")) == VERIFIED


def test_only_what_it_is_to_read_counts() -> None:
    s = Scenario()
    intent = s.intent("read", files=(*of(A), e.ExpectedFile(path=B, op="write")))
    s.reads(s.agent, A)
    s.answers(intent)
    s.looks(intent, A)
    assert s.says(intent) == VERIFIED


@pytest.mark.parametrize("answered", [True, False])
def test_a_call_of_which_nobody_says_that_it_went_well(answered: bool) -> None:
    s = Scenario()
    s.reads(s.agent, B)
    intent = s.intent("read", files=of(A))
    if answered:
        s.answers(intent, error=True)
    s.looks(intent, A)
    assert s.says(intent) == AMBIGUOUS


def test_a_call_that_opened_nothing() -> None:
    s = Scenario()
    verdict = s.on(looked(s))
    assert (verdict.verdict, verdict.reason, len(verdict.evidence)) == (*NOT_READ, 1)
    assert verdict.observed == "/repo/src/a.py was not opened"


def test_the_look_at_the_very_file_is_shown() -> None:
    s = Scenario()
    looked(s, "/repo/src/z.py")
    verdict = s.on(looked(s))
    assert [one.fact.partition(":")[0] for one in verdict.evidence] == [A]


def test_a_call_is_served_by_whoever_opened_the_file() -> None:
    s = Scenario()
    intent = s.intent("read", files=of(A))
    s.reads(s.program(None, "pytest"), A)
    s.answers(intent)
    s.looks(intent, A)
    assert s.says(intent) == VERIFIED
    assert s.on(intent).observed == "a.py was opened for reading"


def test_git_beside_a_call_does_not_do_its_work() -> None:
    s = Scenario()
    s.reads(s.agent, B)
    intent = s.intent("read", files=of(A))
    s.runs(None, "git", "show", "HEAD:src/a.py")
    s.answers(intent)
    s.looks(intent, A)
    assert s.says(intent) == NOT_READ


def test_an_opening_of_the_first_moment_of_a_call_is_its_own() -> None:
    s = Scenario()
    s.now += 9 * STEP
    call = s.call()
    intent = s.intent("read", files=of(A), call=call)
    s.file(s.agent, "read", A, ts=next(x for x in s.log if isinstance(x, e.LlmCall)).request_ts)
    s.answers(intent)
    assert s.says(intent) == VERIFIED


def test_what_was_read_is_strong_and_what_may_be_another_file_is_weak() -> None:
    s = Scenario()
    intent = s.intent("read", files=of("a.py"))
    s.reads(s.agent, A)
    s.answers(intent)
    s.looks(intent, A)
    assert (s.says(intent), s.on(intent).grade) == (VERIFIED, "strong")
    s = Scenario()
    for path in (A, "/repo/lib/a.py"):
        s.file(s.agent, "read", path)
    claim = s.claims("file_read", targets=("a.py",))
    assert (s.says(claim), s.on(claim).grade) == (VERIFIED, "weak")


@pytest.mark.parametrize("dimension", ["file", "process"])
def test_that_nothing_was_opened_needs_coverage_since_the_beginning(dimension: str) -> None:
    s = Scenario()
    s.add(e.Loss, dimension=dimension, cause="ring", count=1, since=0)
    assert s.says(looked(s)) == unverifiable("records_lost")


def test_what_the_lineage_wrote_it_knows() -> None:
    s = Scenario()
    s.add(e.File, process=s.agent, op="write", path=A)
    assert s.says(looked(s)) == AMBIGUOUS


def test_a_look_that_was_too_late_is_told_by_the_time_of_the_file() -> None:
    coarse = 10_000_000
    for late, word in ((0, NOT_READ), (1, AMBIGUOUS)):
        s = Scenario()
        s.reads(s.agent, B)
        intent = s.intent("read", files=of(A))
        s.answers(intent)
        s.looks(intent, A, mtime=WALL + s.now - coarse + late)
        assert s.says(intent) == word, late


# --- the moment -----------------------------------------------------------------------------------------


def test_an_opening_of_the_moment_of_the_claim_counts_and_a_later_one_does_not() -> None:
    s = Scenario()
    opened = s.file(s.agent, "read", A)
    assert s.says(s.claims("file_read", targets=("src/a.py",), ts=opened.ts)) == VERIFIED
    assert s.says(s.claims("file_read", targets=("src/a.py",), ts=opened.ts - STEP)) == AMBIGUOUS


@pytest.mark.parametrize(("before", "word"), [(0, AMBIGUOUS), (STEP, NOT_READ)])
def test_a_write_of_the_moment_of_the_claim_is_known_and_a_later_one_is_not(
    before: int, word: tuple[str, str]
) -> None:
    s = Scenario()
    s.reads(s.agent, B)
    s.now += 9 * STEP
    write = s.add(e.File, process=s.agent, op="write", path=A)
    finds = {"src/a.py": True}
    assert s.says(s.claims("file_read", targets=("src/a.py",), finds=finds, ts=write.ts - before)) == word


@pytest.mark.parametrize(("count", "word"), [(1, NOT_READ), (2, AMBIGUOUS)])
def test_what_was_opened_after_the_claim_only_was_not_read_by_it(count: int, word: tuple[str, str]) -> None:
    """Of several openings that are told as one only the last has its time."""
    s = Scenario()
    s.reads(s.agent, B)
    s.looks(s.asks("ls"), A)
    s.now += 9 * STEP
    opened = s.file(s.agent, "read", A, count=count)
    finds = {"src/a.py": True}
    assert s.says(s.claims("file_read", targets=("src/a.py",), finds=finds, ts=opened.ts - STEP)) == word


# --- who ------------------------------------------------------------------------------------------------


def opened_by(s: Scenario, *argv: str, count: int = 1) -> tuple[str, str | None]:
    s.call()
    s.file(s.program(None, *argv), "read", A, count=count)
    return s.says(s.claims("file_read", targets=("src/a.py",), finds={"src/a.py": True}))


@pytest.mark.parametrize(
    ("argv", "count", "word"),
    [
        (("pytest",), 1, AMBIGUOUS),
        (("pytest",), 2, VERIFIED),  # several, of which others may have been by somebody else
        (("ruff", "check"), 1, VERIFIED),  # a linter shows the lines that it complains of
    ],
)
def test_who_reads_for_itself_and_who_shows_it(
    argv: tuple[str, ...], count: int, word: tuple[str, str | None]
) -> None:
    assert opened_by(Scenario(), *argv, count=count) == word


def test_an_agent_that_lives_in_a_test_run_reads_for_its_model() -> None:
    """An evaluation starts it by pytest, in the same process."""
    s = Scenario(agent=("/usr/bin/python3", "-m", "pytest", "evals"))
    s.call()
    s.reads(s.agent, A)
    assert s.says(s.claims("file_read", targets=("src/a.py",), finds={"src/a.py": True})) == VERIFIED


def test_who_alone_opened_what_was_to_be_read_whole_is_told() -> None:
    s = Scenario()
    s.does("pytest", reads=[A])
    verdict = s.on(folder(s, "a.py"))
    assert (verdict.verdict, verdict.reason) == NOT_READ
    verdict = s.on(s.claims("file_read", kind="exhaustive", targets=("src/a.py",), finds={"src/a.py": True}))
    assert (verdict.verdict, verdict.reason, verdict.grade) == (*NOT_READ, "strong")
    assert verdict.observed == "/repo/src/a.py was opened by pytest only"


# --- all of a directory ---------------------------------------------------------------------------------


def test_of_two_directories_each_holds_its_own() -> None:
    s = Scenario()
    s.does("cat", reads=[A])
    finds = {"src/a.py": True, "lib/x.py": True}
    claim = s.claims("file_read", kind="exhaustive", targets=("src/", "lib/"), finds=finds, size=9)
    assert s.on(claim).observed == "1 of the 1 source files in lib/ were not opened: x.py"


def test_what_keeps_one_of_a_directory_from_being_known_is_told() -> None:
    s = Scenario()
    s.does("cat", reads=[A])
    s.add(e.Loss, dimension="file", cause="ring", count=1, since=0)
    assert s.says(folder(s, "a.py", "b.py")) == unverifiable("records_lost")


def test_all_of_a_directory_is_strong() -> None:
    s = Scenario()
    s.does("cat", reads=[A])
    assert s.on(folder(s, "a.py")).grade == "strong"


@pytest.mark.parametrize(("missing", "named"), [(4, "n3.py"), (5, "n3.py and 1 more")])
def test_some_of_many_that_were_not_opened_are_named(missing: int, named: str) -> None:
    s = Scenario()
    s.does("cat", reads=[A])
    verdict = s.on(folder(s, "a.py", *(f"n{number}.py" for number in range(missing))))
    assert (verdict.verdict, verdict.reason) == NOT_READ
    assert verdict.observed.endswith(f"n0.py, n1.py, n2.py, {named}")


def test_a_file_of_before_the_session_was_there_to_be_read() -> None:
    coarse = 10_000_000
    for late, word in ((0, NOT_READ), (1, AMBIGUOUS)):
        s = Scenario()
        began = s.log[0].ts
        s.now += 500 * STEP
        s.does("cat", reads=[A])
        assert s.says(folder(s, "a.py", "b.py", mtime=WALL + began - coarse + late)) == word, late


def test_a_file_that_only_the_test_run_opened_and_one_that_nobody_did() -> None:
    s = Scenario()
    s.does("pytest", reads=[B])
    s.does("cat", reads=[A])
    assert s.says(folder(s, "a.py", "gone.py", total=1)) == AMBIGUOUS
    assert s.says(folder(s, "a.py", total=2)) == VERIFIED, "more are said than lie there"


# --- so many --------------------------------------------------------------------------------------------


def test_files_opened_or_written_until_the_claim_count() -> None:
    s = Scenario()
    s.file(s.agent, "read", A)
    read = s.file(s.agent, "read", B)
    how: dict[str, Any] = {"kind": "exhaustive", "counts": {"total": 3}}
    assert "2 files" in s.on(s.claims("file_read", ts=read.ts, **how)).observed
    assert "1 files" in s.on(s.claims("file_read", ts=read.ts - STEP, **how)).observed
    s = Scenario()
    s.file(s.agent, "read", A)
    write = s.file(s.agent, "write", B)
    assert "2 files" in s.on(s.claims("file_read", ts=write.ts, **how)).observed
    assert "1 files" in s.on(s.claims("file_read", ts=write.ts - STEP, **how)).observed


def test_of_several_openings_that_are_told_as_one_the_first_may_have_been_before_the_claim() -> None:
    s = Scenario()
    s.file(s.agent, "read", A)
    several = s.file(s.agent, "read", B, count=2)
    claim = s.claims("file_read", ts=several.ts - STEP, kind="exhaustive", counts={"total": 3})
    assert s.on(claim).observed == "2 files were opened in all"


def test_who_does_not_say_that_it_was_all_may_count_what_was_looked_at_before() -> None:
    s = Scenario()
    s.file(s.agent, "read", A)
    assert s.says(s.claims("file_read", counts={"total": 3})) == AMBIGUOUS


def test_a_name_counts_once() -> None:
    s = Scenario()
    for path in (A, B):
        s.add(e.File, process=s.agent, op="unlink", path=path)
    s.file(s.agent, "read", "/repo/src/c.py")
    s.file(s.agent, "write", "/repo/src/c.py")
    assert s.says(many(s, 4)) == NOT_READ
    assert s.says(many(s, 3)) == AMBIGUOUS


def test_work_given_away_may_have_read_as_many() -> None:
    s = Scenario()
    s.does("cat", reads=[A, B])
    s.answers(s.asks("make", hand_off="docker"))
    assert s.says(many(s, 12)) == unverifiable("handed_off")


def test_a_copy_of_a_runner_that_executed_nothing_reads_for_the_runner() -> None:
    s = Scenario()
    s.call()
    copy = s.fork(s.program(None, "pytest"))
    s.reads(copy, A, B)
    s.does("cat", reads=[A])
    assert s.says(folder(s, "a.py", "b.py")) == NOT_READ
