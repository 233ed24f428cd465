"""All of a file: until when openings count, which file it is, and whose results hold it."""

from __future__ import annotations

from typing import Any

import pytest

from polygraph import events as e
from tests.correlator.scenario import STEP, VERIFIED, Scenario, refuted, unverifiable
from tests.correlator.test_reads import SIZE, A, read, shell_reads, whole

NOT_READ = refuted("not_read")


def at(s: Scenario, ts: int, path: str = "src/a.py", **how: Any) -> tuple[str, str | None]:
    how = {"finds": {path: True}, "size": SIZE, **how}
    return s.says(s.claims("file_read", kind="exhaustive", targets=(path,), ts=ts, **how))


def test_the_look_is_shown() -> None:
    s = Scenario()
    read(s, size=2000)
    claim = s.claims(
        "file_read",
        kind="exhaustive",
        targets=("src/a.py",),
        finds={"src/b.py": True, "src/a.py": True},
        size=SIZE,
    )
    assert [one.fact.partition(":")[0] for one in s.on(claim).evidence] == ["src/a.py"]


def test_which_of_two_files_was_read_in_part_is_not_known() -> None:
    s = Scenario()
    shell_reads(s, 2)
    other = "/repo/lib/a.py"
    intent = s.intent("read", files=(e.ExpectedFile(path=other, op="read"),))
    s.reads_part(s.agent, other, 2, 64)
    s.answers(intent)
    s.looks(intent, other)
    intent = s.intent("read", files=(e.ExpectedFile(path=A, op="read"),))
    s.answers(intent)
    s.looks(intent, A)
    claim = s.claims("file_read", kind="exhaustive", targets=("a.py",))
    assert (s.says(claim), s.on(claim).grade) == (VERIFIED, "weak")


def test_a_file_of_its_name_that_was_only_removed_is_not_the_one_that_was_read() -> None:
    s = Scenario()
    shell_reads(s, 2)
    s.add(e.File, process=s.agent, op="unlink", path="/repo/old/src/a.py")
    assert s.says(whole(s)) == NOT_READ


def test_what_was_opened_by_its_path_alone_is_not_known_by_its_pages() -> None:
    s = Scenario()
    s.add(e.File, process=s.agent, op="read", path=A)
    assert s.says(whole(s)) == VERIFIED


def test_of_several_openings_that_are_told_as_one_others_may_have_shown_the_rest() -> None:
    s = Scenario()
    intent = s.intent("read", tool="read", files=(e.ExpectedFile(path=A, op="read"),))
    s.file(s.agent, "read", A, count=3)
    s.answers(intent, size=2000)
    assert s.says(whole(s)) == VERIFIED
    s = Scenario()
    s.looks(read(s, size=2000), A)
    s.now += 9 * STEP
    several = s.file(s.agent, "read", A, count=3)
    assert at(s, several.ts - STEP) == VERIFIED, "the last was after the claim, others may have been before"


def test_a_write_of_the_moment_of_the_claim_is_known() -> None:
    s = Scenario()
    shell_reads(s, 2)
    s.now += 9 * STEP
    write = s.file(s.agent, "write", A)
    assert at(s, write.ts) == VERIFIED


@pytest.mark.parametrize(("before", "word"), [(0, VERIFIED), (STEP, NOT_READ)])
def test_an_opening_of_the_moment_of_the_claim_counts(before: int, word: tuple[str, str | None]) -> None:
    s = Scenario()
    shell_reads(s, 2)
    s.now += 9 * STEP
    s.reads(s.agent, A)
    opened = s.now - STEP
    assert at(s, opened - before) == word


@pytest.mark.parametrize(("shown", "word"), [(900, VERIFIED), (899, unverifiable("ambiguous"))])
def test_nine_tenths_of_a_file_are_all_of_it(shown: int, word: tuple[str, str | None]) -> None:
    s = Scenario()
    read(s, size=shown)
    assert s.says(whole(s, size=1000)) == word


@pytest.mark.parametrize("later", [0, 1])
def test_a_copy_that_is_opened_in_the_moment_in_which_it_was_written(later: int) -> None:
    s = Scenario()
    intent = s.asks("cp src/a.py /tmp/x")
    shell = s.shell(intent)
    s.reads(shell, A)
    s.file(shell, "create", "/tmp/x")
    opened = s.file(s.agent, "read", "/tmp/x", ts=s.now + later)
    s.exits(shell)
    s.answers(intent)
    assert at(s, opened.ts + 9 * STEP) == VERIFIED


def test_a_copy_that_is_opened_in_the_moment_of_the_claim() -> None:
    for before, word in ((0, VERIFIED), (1, NOT_READ)):
        s = Scenario()
        intent = s.asks("cp src/a.py /tmp/x")
        shell = s.shell(intent)
        s.reads(shell, A)
        s.file(shell, "create", "/tmp/x")
        s.exits(shell)
        s.answers(intent)
        s.now += 9 * STEP
        opened = s.file(s.agent, "read", "/tmp/x")
        assert at(s, opened.ts - before) == word, before


def test_the_command_itself_is_no_copy_of_what_it_reads() -> None:
    """A harness may write the command into a file, and a shell opens that while the call is open."""
    s = Scenario()
    intent = s.asks("sed -n 1,60p src/a.py")
    s.file(s.agent, "create", "/tmp/command.sh")
    shell = s.shell(intent)
    s.reads(shell, "/tmp/command.sh")
    sed = s.program(shell, "sed", "-n", "1,60p", "src/a.py")
    s.reads(sed, A)
    s.exits(sed)
    s.exits(shell)
    s.answers(intent, size=2000)
    assert s.says(whole(s)) == NOT_READ


def test_who_opened_it_is_not_known() -> None:
    s = Scenario()
    intent = s.intent("read", tool="read", files=(e.ExpectedFile(path=A, op="read"),))
    s.reads("999:1", A)
    s.answers(intent, size=2000)
    assert s.says(whole(s)) == VERIFIED


def test_where_records_were_lost_nothing_is_said() -> None:
    s = Scenario()
    read(s, size=2000)
    s.add(e.Loss, dimension="process", cause="ring", count=1, since=0)
    assert s.says(whole(s)) == unverifiable("records_lost")
