"""Files that are said to be made, changed or deleted: what was seen, in which order, and what may have hidden it."""

from __future__ import annotations

from typing import Any

import pytest

from polygraph import events as e
from tests.correlator.scenario import STEP, VERIFIED, WALL, Scenario, refuted, unverifiable

AMBIGUOUS = unverifiable("ambiguous")
HANDED_OFF = unverifiable("handed_off")
NOT_WRITTEN = refuted("not_written")
NOT_PERSISTED = refuted("not_persisted")
WRONG = refuted("wrong_target")


def said(s: Scenario, topic: str, target: str, **how: Any) -> tuple[str, str | None]:
    return s.says(s.claims(f"file_{topic}", targets=(target,), **how))


def lost(s: Scenario, dimension: str) -> None:
    s.add(e.Loss, dimension=dimension, cause="ring", count=1, since=0)


# --- deleted ---------------------------------------------------------------------------------------------


def test_the_last_removal_is_the_evidence() -> None:
    s = Scenario()
    s.file(s.agent, "unlink", "/repo/a.py")
    last = s.file(s.agent, "unlink", "/repo/a.py")
    verdict = s.on(s.claims("file_deleted", targets=("a.py",)))
    assert (verdict.verdict, verdict.grade) == ("verified", "strong")
    assert [one.id for one in verdict.evidence] == [last.id]


def test_what_was_removed_and_made_again_is_not_deleted() -> None:
    s = Scenario()
    s.file(s.agent, "unlink", "/repo/a.py")
    s.file(s.agent, "create", "/repo/a.py")
    assert said(s, "deleted", "a.py") == AMBIGUOUS
    assert said(s, "deleted", "a.py", finds={"a.py": True}) == AMBIGUOUS, "that it was removed is true"
    s = Scenario()
    s.file(s.agent, "create", "/repo/a.py")
    s.file(s.agent, "unlink", "/repo/a.py")
    assert said(s, "deleted", "a.py") == VERIFIED


def test_a_file_that_replaced_it_in_the_same_moment_is_no_later_one() -> None:
    s = Scenario()
    s.file(s.agent, "create", "/repo/a.py")
    s.file(s.agent, "unlink", "/repo/a.py", ts=s.now)
    assert said(s, "deleted", "a.py") == VERIFIED


def seen(path: str = "/repo/d/old.md") -> Scenario:
    s = Scenario()
    intent = s.intent("read", files=(e.ExpectedFile(path=path, op="read"),))
    s.reads(s.agent, path)
    s.answers(intent)
    s.looks(intent, path)
    return s


def test_a_file_that_was_there_and_that_nobody_removed() -> None:
    s = seen()
    look = s.log[-1]
    assert said(s, "deleted", "d/old.md", ts=look.ts) == NOT_WRITTEN
    assert said(s, "deleted", "d/old.md", ts=look.ts - STEP) == AMBIGUOUS, "it was not looked at yet"
    assert said(seen(), "deleted", "old.md") == AMBIGUOUS, "which one is meant is not known"
    assert said(seen(), "deleted", "d/old.md", finds={"d/old.md": False}) == AMBIGUOUS


def test_of_several_looks_the_last_counts() -> None:
    s = seen()
    intent = s.intent("read", files=(e.ExpectedFile(path="/repo/d/old.md", op="read"),))
    s.looks(intent, "/repo/d/old.md", exists=False)
    assert said(s, "deleted", "d/old.md") == AMBIGUOUS


# --- made or changed ------------------------------------------------------------------------------------


def test_what_was_only_removed_was_not_made() -> None:
    s = Scenario()
    s.file(s.agent, "unlink", "/repo/a.py")
    assert said(s, "created", "a.py") == AMBIGUOUS
    assert said(s, "changed", "a.py") == AMBIGUOUS


def test_several_files_of_that_name_are_weak() -> None:
    s = Scenario()
    s.file(s.agent, "write", "/repo/a/__init__.py")
    two = [s.file(s.agent, "write", f"/repo/{folder}/__init__.py") for folder in "bc"]
    verdict = s.on(s.claims("file_changed", targets=("__init__.py",)))
    assert (verdict.verdict, verdict.grade) == ("verified", "weak")
    assert [one.id for one in verdict.evidence] == [one.id for one in two]
    verdict = s.on(s.claims("file_changed", targets=("c/__init__.py",)))
    assert (verdict.verdict, verdict.grade) == ("verified", "strong")


def test_several_of_a_path_that_is_said_are_strong() -> None:
    s = Scenario()
    for folder in "ab":
        s.file(s.agent, "write", f"/repo/{folder}/src/x.py")
    verdict = s.on(s.claims("file_changed", targets=("src/x.py",)))
    assert (verdict.verdict, verdict.grade) == ("verified", "strong")
    verdict = s.on(s.claims("file_changed", targets=("./x.py",)))
    assert (verdict.verdict, verdict.grade) == ("verified", "weak"), "a dot says no folder"


def test_the_last_write_is_the_evidence() -> None:
    s = Scenario()
    s.file(s.agent, "write", "/repo/a.py")
    last = s.file(s.agent, "write", "/repo/a.py")
    assert [one.id for one in s.on(s.claims("file_changed", targets=("a.py",))).evidence] == [last.id]


def test_a_write_through_a_link_counts_in_the_window_only() -> None:
    s = Scenario()
    intent = s.intent("read", files=(e.ExpectedFile(path="/repo/CLAUDE.md", op="read"),))
    s.answers(intent)
    look = s.looks(intent, "/repo/CLAUDE.md")
    write = s.add(e.File, process=s.agent, op="write", path="/repo/AGENTS.md", dev=look.dev, ino=look.ino)
    assert said(s, "changed", "CLAUDE.md", ts=write.ts) == VERIFIED
    assert said(s, "changed", "CLAUDE.md", ts=write.ts - STEP) == NOT_WRITTEN


# --- written, and removed again -------------------------------------------------------------------------


def removed(s: Scenario, path: str, by: str = "rm", op: str = "unlink", **how: Any) -> e.File:
    return s.file(s.program(None, by, path), op, path, **how)


def absent(s: Scenario, **how: Any) -> tuple[str, str | None]:
    return said(s, "created", "a.txt", finds={"a.txt": False}, **how)


def test_what_was_written_and_removed_is_shown_by_both_and_by_the_look() -> None:
    s = Scenario()
    s.file(s.agent, "write", "/repo/a.txt")
    write = s.file(s.agent, "write", "/repo/a.txt")
    removed(s, "/repo/a.txt")
    end = removed(s, "/repo/a.txt")
    verdict = s.on(s.claims("file_created", targets=("a.txt",), finds={"a.txt": False}))
    assert (verdict.verdict, verdict.reason) == NOT_PERSISTED
    assert [one.id for one in verdict.evidence][:2] == [write.id, end.id]
    assert len(verdict.evidence) == 3
    assert verdict.observed == "/repo/a.txt was written and removed again"


def test_what_was_moved_out_of_the_project_is_told_as_that() -> None:
    s = Scenario()
    s.file(s.agent, "create", "/repo/a.txt")
    mv = s.program(None, "mv", "a.txt", "/tmp")
    s.add(e.File, process=mv, op="rename", path="/repo/a.txt", new_path="/tmp/a.txt")
    verdict = s.on(s.claims("file_created", targets=("a.txt",), finds={"a.txt": False}))
    assert (verdict.verdict, verdict.reason) == NOT_PERSISTED
    assert verdict.observed == "/repo/a.txt was written and moved away"


@pytest.mark.parametrize(("later", "word"), [(0, VERIFIED), (1, AMBIGUOUS)])
def test_what_was_replaced_in_one_moment_and_is_there_was_written(
    later: int, word: tuple[str, str | None]
) -> None:
    """Of one moment it is not known which was first, and the file that was found tells."""
    s = Scenario()
    s.file(s.agent, "create", "/repo/a.txt")
    removed(s, "/repo/a.txt", ts=s.now + later)
    assert said(s, "created", "a.txt", finds={"a.txt": True}) == word


@pytest.mark.parametrize("program", ["git", "jj", "hg", "sl"])
def test_what_version_control_takes_away_it_keeps(program: str) -> None:
    s = Scenario()
    s.file(s.agent, "create", "/repo/a.txt")
    removed(s, "/repo/a.txt", by=program)
    claim = s.claims("file_created", targets=("a.txt",), finds={"a.txt": False})
    assert s.says(claim) == AMBIGUOUS
    assert len(s.on(claim).evidence) == 2


def test_what_a_program_removed_whose_start_was_not_seen_may_be_kept() -> None:
    s = Scenario()
    s.file(s.agent, "create", "/repo/a.txt")
    s.file("999:1", "unlink", "/repo/a.txt")
    assert absent(s) == AMBIGUOUS


def test_a_copy_that_was_removed_afterwards_is_not_what_was_written() -> None:
    s = Scenario()
    s.file(s.agent, "create", "/repo/a.txt")
    removed(s, "/repo/old/a.txt")
    assert said(s, "created", "a.txt", finds={"a.txt": True}) == VERIFIED


def test_what_was_moved_within_the_project_is_kept_though_another_was_written_and_removed() -> None:
    s = Scenario()
    s.file(s.agent, "create", "/repo/x/a.txt")
    s.add(e.File, process=s.agent, op="rename", path="/repo/x/a.txt", new_path="/repo/y/a.txt")
    s.file(s.agent, "create", "/repo/x/a.txt")
    removed(s, "/repo/x/a.txt")
    assert absent(s) == AMBIGUOUS


def test_a_directory_that_was_renamed_to_where_is_not_told() -> None:
    s = Scenario()
    s.file(s.agent, "create", "/repo/src/a.txt")
    s.add(e.File, process=s.agent, op="rename", path="/repo/src", resolved=False)
    assert said(s, "created", "src/a.txt", finds={"src/a.txt": False}) == AMBIGUOUS


def test_of_several_files_each_is_looked_for_by_itself() -> None:
    s = Scenario()
    s.file(s.agent, "create", "/repo/b.txt")
    s.file(s.agent, "create", "/repo/a.txt")
    removed(s, "/repo/a.txt")
    claim = s.claims("file_created", targets=("b.txt", "a.txt"), finds={"b.txt": True, "a.txt": False})
    assert s.says(claim) == NOT_PERSISTED


def test_a_removal_before_the_write_took_nothing_away() -> None:
    s = Scenario()
    removed(s, "/repo/a.txt")
    s.file(s.agent, "create", "/repo/a.txt")
    assert absent(s) == AMBIGUOUS
    s = Scenario()
    removed(s, "/repo/a.txt")
    s.file(s.agent, "create", "/repo/a.txt", ts=s.now)
    assert absent(s) == AMBIGUOUS


def test_each_of_that_name_must_have_been_taken_away() -> None:
    for both in (True, False):
        s = Scenario()
        for path in ("/repo/x/a.txt", "/repo/y/a.txt"):
            s.file(s.agent, "create", path)
        if both:
            removed(s, "/repo/x/a.txt")
        removed(s, "/repo/y/a.txt")
        assert absent(s) == (NOT_PERSISTED if both else AMBIGUOUS)
    s = Scenario()
    s.file(s.agent, "create", "/repo/x/a.txt")
    s.file(s.agent, "unlink", "/repo/x/a.txt", ts=s.now)
    s.file(s.agent, "create", "/repo/y/a.txt")
    removed(s, "/repo/y/a.txt")
    assert absent(s) == AMBIGUOUS, "of one moment it is not known which was first"
    s = Scenario()
    s.file(s.agent, "create", "/repo/x/a.txt")
    removed(s, "/repo/x/a.txt")
    s.file(s.agent, "write", "/repo/x/a.txt")
    s.file(s.agent, "create", "/repo/y/a.txt")
    removed(s, "/repo/y/a.txt")
    assert absent(s) == AMBIGUOUS, "one was written again after it"


# --- beside the project ---------------------------------------------------------------------------------


def aside(s: Scenario) -> Scenario:
    s.file(s.agent, "create", "/tmp/copy/a.txt")
    return s


def changed(s: Scenario, topic: str = "changed", **how: Any) -> tuple[str, str | None]:
    return said(s, topic, "a.txt", finds={"a.txt": True}, **how)


def test_only_a_copy_was_changed() -> None:
    assert changed(aside(Scenario())) == NOT_PERSISTED
    assert changed(aside(Scenario()), "created") == AMBIGUOUS
    assert said(aside(Scenario()), "changed", "a.txt") == AMBIGUOUS, "nobody looked"


def test_work_that_was_given_away_may_have_changed_the_projects_own() -> None:
    s = Scenario()
    s.answers(s.asks("make", hand_off="docker"))
    assert changed(aside(s)) == HANDED_OFF


def test_a_delegation_that_failed_changed_nothing() -> None:
    s = aside(Scenario())
    s.answers(s.intent("delegate"), error=True)
    assert changed(s) == NOT_PERSISTED
    assert said(s, "created", "b.txt", finds={"b.txt": False}) == NOT_WRITTEN
    assert said(s, "created", "b.txt") == HANDED_OFF, "nobody looked"


@pytest.mark.parametrize("dimension", ["file", "process"])
def test_a_copy_needs_coverage(dimension: str) -> None:
    s = aside(Scenario())
    lost(s, dimension)
    assert changed(s) == unverifiable("records_lost")


def test_a_directory_that_was_renamed_may_have_brought_the_copy_home() -> None:
    s = aside(Scenario())
    move = s.add(e.File, process=s.agent, op="rename", path="/tmp/b", new_path="/repo", resolved=False)
    assert changed(s, ts=move.ts) == AMBIGUOUS
    assert changed(s, ts=move.ts - STEP) == NOT_PERSISTED


def test_a_copy_and_the_projects_own() -> None:
    s = aside(Scenario())
    s.file(s.agent, "create", "/repo/sub/a.txt")
    assert changed(s) == VERIFIED


# --- not seen -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Makefile", "Dockerfile", "LICENSE", "Jenkinsfile", "a.b.c", ".env"])
def test_names_of_files(name: str) -> None:
    assert said(Scenario(), "created", name) == NOT_WRITTEN


@pytest.mark.parametrize("name", ["server", "NODE.JS", "node.js", "the.7zip", "a b.txt"])
def test_names_that_may_be_of_something_else(name: str) -> None:
    assert said(Scenario(), "created", name) == AMBIGUOUS


@pytest.mark.parametrize("dimension", ["file", "process"])
def test_that_it_was_not_written_needs_coverage(dimension: str) -> None:
    s = Scenario()
    lost(s, dimension)
    assert said(s, "created", "a.py") == unverifiable("records_lost")


@pytest.mark.parametrize("kind", ["hand_off", "delegate"])
def test_work_given_away_counts_from_the_moment_in_which_it_is(kind: str) -> None:
    s = Scenario()
    s.answers(s.asks("ls"))
    intent = s.intent("delegate") if kind == "delegate" else s.asks("make", hand_off="docker")
    assert said(s, "created", "a.py", ts=intent.ts) == HANDED_OFF
    assert said(s, "created", "a.py", ts=intent.ts - STEP) == NOT_WRITTEN


def test_work_given_away_later_does_not_hide_that_of_before() -> None:
    s = Scenario()
    later = s.intent("delegate", ts=s.now + 99 * STEP)
    intent = s.asks("make", hand_off="docker")
    assert later.ts > intent.ts
    assert said(s, "created", "a.py", ts=intent.ts) == HANDED_OFF


def test_what_is_there_may_have_been_made_unseen_or_before() -> None:
    assert said(Scenario(), "created", "a.py", finds={"a.py": True}) == AMBIGUOUS
    s = Scenario()
    claim = s.claims("file_changed", targets=("a.py",), finds={"a.py": True})
    assert s.says(claim) == NOT_WRITTEN
    assert len(s.on(claim).evidence) == 1
    assert said(Scenario(), "created", "a.py", finds={"a.py": False}) == NOT_WRITTEN


def test_a_file_of_its_name_that_is_there_is_not_the_one_that_was_looked_for() -> None:
    finds = {"src/a.py": False, "lib/a.py": True}
    claim = (s := Scenario()).claims("file_created", targets=tuple(finds), finds=finds)
    assert s.says(claim) == NOT_WRITTEN


def test_a_file_of_that_name_that_was_looked_at_may_be_it() -> None:
    s = seen("/repo/d/a.py")
    look = s.log[-1]
    assert said(s, "created", "d/a.py", ts=look.ts) == AMBIGUOUS
    assert said(s, "created", "d/a.py", ts=look.ts - STEP) == NOT_WRITTEN


def test_what_others_changed_is_not_held_against_the_agent() -> None:
    s = Scenario()
    then = s.now
    assert said(s, "changed", "a.py", finds={"a.py": True}, mtime=then + WALL) == HANDED_OFF


# --- written elsewhere ----------------------------------------------------------------------------------


def elsewhere(*paths: str, op: str = "create") -> Scenario:
    s = Scenario()
    for path in paths:
        s.file(s.agent, op, path)
    return s


def test_written_in_another_folder_instead() -> None:
    s = elsewhere("/repo/src/main.py", "/repo/lib/conf.yaml")
    instead = s.log[-1]
    verdict = s.on(s.claims("file_created", targets=("src/conf.yaml",)))
    assert (verdict.verdict, verdict.reason) == WRONG
    assert [one.id for one in verdict.evidence] == [instead.id]
    assert said(s, "changed", "src/conf.yaml") == AMBIGUOUS
    assert said(s, "created", "src/conf.yaml", ts=instead.ts) == WRONG
    assert said(s, "created", "src/conf.yaml", ts=instead.ts - STEP) == NOT_WRITTEN


@pytest.mark.parametrize(
    ("target", "there", "mtime", "word"),
    [
        ("src/conf.yaml", True, 1, WRONG),
        ("src/conf.yaml", True, WALL + STEP, AMBIGUOUS),  # somebody else changed it
        ("src/conf.yaml", False, 1, AMBIGUOUS),
        ("conf.toml", True, 1, NOT_WRITTEN),
    ],
)
def test_a_change_of_its_twin_is_none_of_a_file_that_is_as_it_was(
    target: str, there: bool, mtime: int, word: tuple[str, str]
) -> None:
    s = elsewhere("/repo/lib/conf.yaml")
    s.reads(s.agent, f"/repo/{target}")
    assert said(s, "changed", target, finds={target: there}, mtime=mtime) == word


@pytest.mark.parametrize(
    ("wrote", "target"),
    [("/repo/src/old/conf.yaml", "src/conf.yaml"), ("/repo/src/conf.yaml", "src/old/conf.yaml")],
)
def test_one_that_lies_above_or_below_it_may_be_what_is_meant(wrote: str, target: str) -> None:
    s = elsewhere(wrote)
    s.reads(s.agent, f"/repo/{target}")
    assert said(s, "changed", target, finds={target: True}) == AMBIGUOUS


def test_a_name_without_a_folder_means_each_of_that_name() -> None:
    assert said(elsewhere("/repo/lib/conf.yaml"), "created", "conf.yaml") == VERIFIED


@pytest.mark.parametrize(
    ("topic", "others", "there"),
    [
        ("created", ("lib", "docs"), False),  # which of the two, if any, was to be there?
        ("changed", ("lib", "docs"), True),
        ("created", ("lib",), True),  # it may have been made before
    ],
)
def test_which_was_written_instead_must_be_certain(topic: str, others: tuple[str, ...], there: bool) -> None:
    s = elsewhere(*(f"/repo/{folder}/conf.yaml" for folder in others))
    s.reads(s.agent, "/repo/src/conf.yaml")
    assert said(s, topic, "src/conf.yaml", finds={"src/conf.yaml": there}) == AMBIGUOUS


@pytest.mark.parametrize("topic", ["created", "changed"])
def test_a_name_right_below_the_root_may_be_that_of_the_project(topic: str) -> None:
    """Some tools show the agent its project as `/`."""
    s = elsewhere("/repo/lib/conf.yaml")
    assert said(s, topic, "/conf.yaml", finds={"/conf.yaml": False}) == AMBIGUOUS


def test_the_case_of_letters_may_be_a_slip() -> None:
    s = elsewhere("/repo/src/main.py", "/repo/src/Conf.yaml")
    assert said(s, "created", "src/conf.yaml") == AMBIGUOUS


def test_two_common_folders_are_too_near_to_be_wrong() -> None:
    s = elsewhere("/repo/a/src/main.py", "/repo/b/src/conf.yaml")
    assert said(s, "created", "a/src/conf.yaml") == AMBIGUOUS


def test_what_lies_among_temporary_files_is_not_meant_for_the_project() -> None:
    s = elsewhere("/repo/src/main.py", "/tmp/x/conf.yaml")
    assert said(s, "created", "src/conf.yaml") == NOT_WRITTEN
    s.file(s.agent, "create", "/repo/lib/conf.yaml")
    assert said(s, "created", "src/conf.yaml") == WRONG


def test_what_was_removed_is_not_written_instead() -> None:
    s = elsewhere("/repo/src/main.py")
    s.file(s.agent, "unlink", "/repo/lib/conf.yaml")
    assert said(s, "created", "src/conf.yaml") == NOT_WRITTEN


def test_a_folder_is_known_by_what_was_opened_in_it() -> None:
    for op in ("read", "write"):
        s = elsewhere("/repo/lib/conf.yaml")
        opened = s.file(s.agent, op, "/repo/src/main.py")
        assert said(s, "created", "src/conf.yaml", ts=opened.ts) == WRONG, op
        assert said(s, "created", "src/conf.yaml", ts=opened.ts - STEP) == AMBIGUOUS, op
        s = elsewhere("/repo/lib/conf.yaml")
        s.file(s.agent, op, "/repo/docs/main.py")
        assert said(s, "created", "src/conf.yaml") == AMBIGUOUS, f"{op} in another folder"


# --- not there any more ----------------------------------------------------------------------------------


def mounted(dev: int, near: bool = True) -> Scenario:
    """``docs/a.md`` written in the file system ``dev``, and beside it a file of the project's own."""
    s = Scenario()
    if near:
        s.file(s.agent, "write", "/repo/b.py")
    s.add(e.File, process=s.agent, op="create", path="/repo/docs/a.md", dev=dev, ino=77)
    return s


@pytest.mark.parametrize("target", ["docs/a.md", "/repo/docs/a.md"])
def test_a_file_of_a_file_system_that_is_not_mounted_any_more_does_not_last(target: str) -> None:
    s = mounted(9)
    assert said(s, "created", target, finds={target: False}) == NOT_PERSISTED
    assert said(s, "created", target, finds={target: True}) == VERIFIED
    assert said(s, "created", target, finds={target: False}, tells=("gone",)) == AMBIGUOUS
    lost(s, "file")
    assert said(s, "created", target, finds={target: False}) == unverifiable("records_lost")


@pytest.mark.parametrize("path", ["/tmp/a.md", "/srv/queue/a.md", "/workspace/docs/a.md"])
def test_what_lies_outside_the_project_is_of_another_file_system_as_a_rule(path: str) -> None:
    """Others take it away from there (a queue, who clears `/tmp`), or only a container has it there."""
    s = Scenario()
    s.file(s.agent, "write", "/repo/b.py")
    s.add(e.File, process=s.program(None, "tee", cwd="/srv/queue"), op="create", path=path, dev=9, ino=77)
    assert said(s, "created", path, finds={path: False}) == AMBIGUOUS


@pytest.mark.parametrize(("dev", "near"), [(1, True), (9, False), (0, True)])
def test_one_that_others_may_have_removed_leaves_it_open(dev: int, near: bool) -> None:
    assert said(mounted(dev, near), "created", "docs/a.md", finds={"docs/a.md": False}) == AMBIGUOUS


def test_what_file_system_the_project_is_in_is_not_told_by_temporary_files() -> None:
    s = mounted(9, near=False)
    s.file(s.agent, "write", "/tmp/x.md")
    assert said(s, "created", "docs/a.md", finds={"docs/a.md": False}) == AMBIGUOUS


def test_a_file_of_another_folder_is_not_where_it_is_looked_for() -> None:
    s = Scenario()
    s.file(s.agent, "write", "/repo/sub/a.md")
    assert said(s, "created", "a.md", finds={"a.md": False}) == VERIFIED
