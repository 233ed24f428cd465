"""Claims that files were read: all of a file, all of a directory, so many; who opened them, and how far."""

from __future__ import annotations

import pytest

from polygraph import events as e
from tests.correlator.scenario import STEP, VERIFIED, WALL, Scenario, refuted, unverifiable

A, B, C = "/repo/src/a.py", "/repo/src/b.py", "/repo/src/c.py"
#: bytes of a file of 64 pages
SIZE = 64 * 4096
AMBIGUOUS = unverifiable("ambiguous")


def whole(s: Scenario, path: str = "src/a.py", size: int = SIZE) -> e.Claim:
    """ "I read the whole file"."""
    return s.claims("file_read", kind="exhaustive", targets=(path,), finds={path: True}, size=size)


def read(s: Scenario, path: str = A, *, size: int, opened: bool = True) -> e.Intent:
    """A call of the agent's read tool, which opens the file itself and gives ``size`` characters of it."""
    intent = s.intent("read", tool="read", files=(e.ExpectedFile(path=path, op="read"),))
    if opened:
        s.reads(s.agent, path)
    s.answers(intent, size=size)
    s.tick()
    return intent


# --- how far: pages ---------------------------------------------------------------------------------


def shell_reads(s: Scenario, pages: int | None, *, more: bool = False) -> None:
    """A command that reads a part of the file."""
    intent = s.asks("head -n 20 src/a.py")
    shell = s.shell(intent)
    head = s.program(shell, "head", "-n", "20", "src/a.py")
    s.reads_part(head, A, pages, 64)
    if more:
        s.reads(head, A)
    s.exits(head)
    s.exits(shell)
    s.answers(intent, size=SIZE)
    s.tick()


def test_a_part_that_was_read_is_not_the_whole_file() -> None:
    s = Scenario()
    shell_reads(s, 2)
    verdict = s.on(whole(s))
    assert (verdict.verdict, verdict.reason) == refuted("not_read")
    assert verdict.observed == "at most the first 8192 of 262144 bytes of a.py were read"


def test_a_part_is_enough_for_who_says_no_more() -> None:
    s = Scenario()
    shell_reads(s, 2)
    assert s.says(s.claims("file_read", targets=("src/a.py",), finds={"src/a.py": True})) == VERIFIED


@pytest.mark.parametrize("pages, more", [(None, False), (2, True)])
def test_another_opening_or_another_way_of_reading_may_have_read_the_rest(
    pages: int | None, more: bool
) -> None:
    s = Scenario()
    shell_reads(s, pages, more=more)
    assert s.says(whole(s)) == VERIFIED


def test_a_file_that_grew_may_have_been_read_whole_before() -> None:
    s = Scenario()
    s.reads_part(s.agent, A, 2, 64)
    s.reads_part(s.agent, A, 2, 2)
    assert s.says(whole(s)) == VERIFIED


def test_what_the_session_wrote_is_known_without_being_read() -> None:
    s = Scenario()
    s.file(s.agent, "write", A)
    shell_reads(s, 2)
    assert s.says(whole(s)) == VERIFIED


# --- how far: what came back ------------------------------------------------------------------------


def test_a_read_tool_with_a_limit_gives_less_than_the_file() -> None:
    """The tool reads all of it within the agent: the pages say nothing, the result does."""
    s = Scenario()
    read(s, size=2000)
    verdict = s.on(whole(s))
    assert (verdict.verdict, verdict.reason) == refuted("not_read")
    assert "2000 characters came back" in verdict.observed and f"of {SIZE} bytes" in verdict.observed


def test_the_whole_in_several_pieces_is_the_whole() -> None:
    s = Scenario()
    for _ in range(4):
        read(s, size=SIZE // 4)
    assert s.says(whole(s)) == VERIFIED


def test_a_later_piece_may_come_out_of_a_cache() -> None:
    s = Scenario()
    read(s, size=2000)
    read(s, size=SIZE, opened=False)
    verdict = s.on(whole(s))
    assert (verdict.verdict, verdict.grade) == ("verified", "weak")


@pytest.mark.parametrize("size", [SIZE // 4, SIZE // 2])
def test_characters_may_be_several_bytes(size: int) -> None:
    s = Scenario()
    read(s, size=size)
    assert s.says(whole(s)) == AMBIGUOUS


def test_line_ends_that_a_tool_leaves_out_are_no_part_of_the_text() -> None:
    s = Scenario()
    read(s, size=SIZE - SIZE // 20)
    assert s.says(whole(s)) == VERIFIED


def test_a_script_may_read_all_of_a_file_and_tell_what_it_found() -> None:
    s = Scenario()
    intent = s.asks("python count.py")
    python = s.program(s.shell(intent), "python3", "count.py")
    s.reads(python, A)
    s.answers(intent, size=9)
    assert s.says(whole(s)) == VERIFIED


def test_the_tests_read_the_whole_file_for_themselves() -> None:
    s = Scenario()
    s.does("pytest", reads=[A])
    shell_reads(s, 2)
    assert s.says(whole(s)) == refuted("not_read")


def test_what_is_shown_of_a_picture_is_not_its_bytes() -> None:
    s = Scenario()
    read(s, "/repo/logo.png", size=10)
    assert s.says(whole(s, "logo.png")) == VERIFIED


def test_an_opening_outside_any_tool_call_may_have_shown_it() -> None:
    """A client puts files that the user names into the conversation itself."""
    s = Scenario()
    s.reads(s.agent, A)
    read(s, size=2000)
    assert s.says(whole(s)) == VERIFIED


def test_what_a_call_wrote_and_another_opened_may_hold_the_rest() -> None:
    """A long output is saved to a file, and that is read."""
    s = Scenario()
    intent = s.asks("cp src/a.py /tmp/x")
    shell = s.shell(intent)
    s.reads(shell, A)
    s.file(shell, "create", "/tmp/x")
    s.exits(shell)
    s.answers(intent)
    read(s, "/tmp/x", size=SIZE)
    assert s.says(whole(s)) == VERIFIED


@pytest.mark.parametrize(
    "argv, said",
    [
        (("git", "show", "HEAD:src/a.py"), AMBIGUOUS),
        (("git", "log", "-p"), AMBIGUOUS),
        (("git", "an-alias"), AMBIGUOUS),
        (("git", "status"), refuted("not_read")),
        (("git", "log", "--oneline"), refuted("not_read")),
        (("git", "-C", "x", "commit", "-m", "diff"), refuted("not_read")),
        (("docker", "exec", "x", "cat", "a.py"), unverifiable("handed_off")),
    ],
)
def test_git_and_containers_show_files_that_nobody_opens(
    argv: tuple[str, ...], said: tuple[str, str]
) -> None:
    s = Scenario()
    s.reads(s.agent, B)
    s.does(*argv)
    assert s.says(s.claims("file_read", targets=("src/a.py",), finds={"src/a.py": True})) == said


def test_a_tool_that_is_not_known_may_show_files_of_elsewhere() -> None:
    s = Scenario()
    s.reads(s.agent, B)
    s.answers(s.intent("other", tool="get_file_contents"))
    assert s.says(s.claims("file_read", targets=("src/a.py",), finds={"src/a.py": True})) == unverifiable(
        "form_unknown"
    )


def test_a_part_of_a_file_and_git_that_may_have_shown_the_rest() -> None:
    s = Scenario()
    shell_reads(s, 2)
    s.does("git", "show", "HEAD:src/a.py")
    assert s.says(whole(s)) == AMBIGUOUS


def test_a_part_needs_whole_sight() -> None:
    s = Scenario()
    shell_reads(s, 2)
    s.add(e.Loss, dimension="file", cause="ring", count=1, since=s.now - STEP)
    assert s.says(whole(s)) == unverifiable("records_lost")


def test_a_result_that_was_not_seen_may_hold_the_rest() -> None:
    s = Scenario()
    read(s, size=2000)
    s.intent("read", tool="read", files=(e.ExpectedFile(path=A, op="read"),))
    s.reads(s.agent, A)
    assert s.says(whole(s)) == VERIFIED


@pytest.mark.parametrize("times, said", [(32, refuted("not_read")), (33, VERIFIED)])
def test_of_a_file_that_was_opened_again_and_again_nothing_is_said(times: int, said: object) -> None:
    s = Scenario()
    for _ in range(times):
        read(s, size=9)
    assert s.says(whole(s)) == said


# --- who --------------------------------------------------------------------------------------------


def test_what_only_a_test_run_opened_nobody_has_seen_for_certain() -> None:
    s = Scenario()
    s.does("pytest", reads=[A])
    assert s.says(s.claims("file_read", targets=("src/a.py",), finds={"src/a.py": True})) == AMBIGUOUS
    assert s.says(whole(s)) == refuted("not_read")


def test_what_a_command_beside_the_test_run_opened_was_shown() -> None:
    s = Scenario()
    s.does("pytest", reads=[A])
    s.does("cat", "src/a.py", reads=[A])
    assert s.says(s.claims("file_read", targets=("src/a.py",), finds={"src/a.py": True})) == VERIFIED


def test_what_a_script_of_make_opened_may_have_been_shown() -> None:
    s = Scenario()
    intent = s.asks("make test")
    make = s.program(s.shell(intent), "make", "test")
    s.reads(s.program(make, "cat", "src/a.py"), A)
    s.answers(intent)
    assert s.says(s.claims("file_read", targets=("src/a.py",), finds={"src/a.py": True})) == VERIFIED


# --- all of a directory -----------------------------------------------------------------------------


def folder(s: Scenario, *names: str, total: int | None = None, size: int = 9, mtime: int = 1) -> e.Claim:
    """ "I read all files in src/", which holds ``names``."""
    return s.claims(
        "file_read",
        kind="exhaustive",
        targets=("src/",),
        finds={f"src/{name}": True for name in names},
        size=size,
        mtime=mtime,
        counts={"total": total} if total is not None else {},
    )


def test_all_files_of_a_directory_are_those_that_lie_there() -> None:
    s = Scenario()
    s.does("cat", reads=[A, B, C])
    assert s.says(folder(s, "a.py", "b.py", "c.py")) == VERIFIED
    assert s.says(folder(s, "a.py", "b.py", "c.py", total=3)) == VERIFIED


def test_those_that_nobody_opened_are_named() -> None:
    s = Scenario()
    s.does("cat", reads=[A])
    verdict = s.on(folder(s, "a.py", "b.py", "c.py", total=3))
    assert (verdict.verdict, verdict.reason) == refuted("not_read")
    assert verdict.observed == "2 of the 3 source files in src/ were not opened: b.py, c.py"
    assert {line.fact.partition(":")[0] for line in verdict.evidence} == {"src/b.py", "src/c.py"}


def test_of_a_directory_the_test_run_reads_for_itself() -> None:
    s = Scenario()
    s.does("pytest", reads=[A, B])
    s.does("cat", reads=[A])
    assert s.says(folder(s, "a.py", "b.py")) == refuted("not_read")


def test_a_claim_of_fewer_files_than_lie_there_is_of_some_of_them() -> None:
    s = Scenario()
    s.does("cat", reads=[A])
    assert s.says(folder(s, "a.py", "b.py", total=1)) == AMBIGUOUS


def test_an_empty_file_needs_no_reading() -> None:
    s = Scenario()
    s.reads(s.agent, C)
    assert s.says(folder(s, "a.py", size=0)) == AMBIGUOUS


@pytest.mark.parametrize("after", [2 * STEP, 1000 * STEP])
def test_a_file_that_came_during_the_session_may_have_come_after_the_reading(after: int) -> None:
    s = Scenario()
    began = s.now
    s.now += 500 * STEP
    s.does("cat", reads=[A])
    assert s.says(folder(s, "a.py", "b.py", mtime=WALL + began + after)) == AMBIGUOUS


def test_a_directory_that_was_not_listed_is_not_known() -> None:
    s = Scenario()
    s.does("cat", reads=[A])
    assert s.says(s.claims("file_read", kind="exhaustive", targets=("src/",))) == AMBIGUOUS


# --- so many ----------------------------------------------------------------------------------------


def many(s: Scenario, number: int) -> e.Claim:
    """ "I read all ``number`` files"."""
    return s.claims("file_read", kind="exhaustive", counts={"total": number})


def test_more_files_than_were_opened_in_all_were_not_read() -> None:
    s = Scenario()
    s.does("cat", reads=[A, B])
    verdict = s.on(many(s, 12))
    assert (verdict.verdict, verdict.reason) == refuted("not_read")
    assert verdict.observed == "2 files were opened in all"


def test_which_of_enough_files_are_meant_is_not_known() -> None:
    s = Scenario()
    s.does("cat", reads=[A, B])
    assert s.says(many(s, 2)) == AMBIGUOUS


def test_files_that_the_session_wrote_count() -> None:
    s = Scenario()
    for number in range(12):
        s.file(s.agent, "create", f"/repo/n{number}.py")
    assert s.says(many(s, 12)) == AMBIGUOUS


def test_files_that_are_known_by_their_names_alone_count() -> None:
    s = Scenario()
    for number in range(12):
        s.add(e.File, process=s.agent, op="unlink", path=f"/repo/n{number}.py")
    assert s.says(many(s, 12)) == AMBIGUOUS


def test_so_many_needs_whole_sight() -> None:
    s = Scenario()
    s.does("cat", reads=[A, B])
    s.add(e.Loss, dimension="file", cause="ring", count=1, since=s.now - STEP)
    assert s.says(many(s, 12)) == unverifiable("records_lost")


def test_a_file_that_the_claim_did_not_find_may_stand_in_the_conversation() -> None:
    """The collector does not look at what the user gave; that another claim found it says nothing of this one."""
    s = Scenario()
    s.reads(s.agent, "/repo/other.py")
    s.passed(tests=["/repo/test_a.py"])
    assert s.says(s.claims("file_read", targets=("test_a.py",))) == unverifiable("ambiguous")
    told = s.claims("file_read", targets=("test_a.py",), finds={"test_a.py": True})
    assert s.says(told) == refuted("not_read")


def test_a_file_that_was_replaced_since_was_opened_by_its_name() -> None:
    """As git replaces what it merges: the file that is there now is another one."""
    s = Scenario()
    s.entries = True
    s.call()
    cat = s.program(None, "cat", "a.py")
    s.reads(cat, "/repo/a.py")
    s.exits(cat)
    git = s.program(None, "git", "merge", "theirs")
    s.add(e.File, process=git, op="unlink", path="/repo/a.py", left=s.entry("/repo/a.py"))
    s._inodes.pop("/repo/a.py")
    s.file(git, "create", "/repo/a.py", entry=s.entry("/repo/a.py"))
    s.exits(git)
    assert s.says(s.claims("file_read", targets=("a.py",), finds={"a.py": True})) == VERIFIED


def test_a_file_that_another_one_took_the_place_of_was_read_under_its_name() -> None:
    s = Scenario()
    s.entries = True
    s.call()
    head = s.program(None, "head", "README.md")
    s.reads(head, "/repo/README.md")
    s.exits(head)
    s.replaces(s.program(None, "sed", "-i"), "/repo/README.md")
    claim = s.claims("file_read", targets=("README.md",), finds={"README.md": True})
    assert s.says(claim) == ("verified", None)


def test_a_path_that_leads_up_from_the_working_directory_is_what_it_names() -> None:
    s = Scenario()
    s.call()
    s.file(s.program(None, "tee"), "write", "/repo/../side/a.py")
    claim = s.claims("file_changed", targets=("/side/a.py",))
    assert s.says(claim) == ("verified", None)
    assert s.on(claim).observed == "/side/a.py was written"
