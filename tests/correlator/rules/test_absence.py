"""Nothing else was changed: what counts as a change, who may have made it, and when."""

from __future__ import annotations

from typing import Any

import pytest

from polygraph import events as e
from tests.correlator.scenario import STEP, VERIFIED, Scenario, refuted, unverifiable
from tests.correlator.test_delegation import hands

UNDISCLOSED = refuted("undisclosed_effect")
AMBIGUOUS = unverifiable("ambiguous")


def only(s: Scenario, *targets: str, **when: Any) -> tuple[str, str | None]:
    return s.says(s.claims("nothing_else_changed", kind="absence", targets=targets, **when))


def by(s: Scenario, *argv: str, path: str = "/repo/b.py", op: str = "write") -> None:
    program = s.program(None, *argv)
    s.file(program, op, path)
    s.exits(program)


def test_what_is_claimed_is_strong() -> None:
    s = Scenario()
    verdict = s.on(s.claims("nothing_else_changed", kind="absence"))
    assert (verdict.verdict, verdict.grade) == ("verified", "strong")


@pytest.mark.parametrize("dimension", ["process", "file"])
def test_without_coverage_nothing_is_verified(dimension: str) -> None:
    s = Scenario()
    s.add(e.Loss, dimension=dimension, cause="ring", count=1, since=0)
    assert only(s) == unverifiable("records_lost")


@pytest.mark.parametrize("dimension", ["process", "file"])
def test_what_explains_a_change_may_not_have_been_seen(dimension: str) -> None:
    s = Scenario()
    s.add(e.Loss, dimension=dimension, cause="ring", count=1, since=0)
    s.file(s.agent, "write", "/repo/b.py")
    assert only(s) == unverifiable("records_lost")


# --- what is a change ---------------


@pytest.mark.parametrize("op", ["mkdir", "rmdir"])
def test_a_directory_is_no_change(op: str) -> None:
    s = Scenario()
    s.file(s.agent, op, "/repo/made")
    assert only(s) == VERIFIED


@pytest.mark.parametrize("op", ["create", "write", "truncate", "unlink"])
def test_a_file_is_one(op: str) -> None:
    s = Scenario()
    s.file(s.agent, op, "/repo/b.py")
    assert only(s) == UNDISCLOSED


def test_what_is_named_or_lies_outside_the_project_is_none_and_hides_none() -> None:
    s = Scenario()
    s.file(s.agent, "write", "/elsewhere/a.py")
    assert only(s) == VERIFIED
    s.file(s.agent, "write", "/repo/a.py")
    assert only(s, "a.py") == VERIFIED
    s.file(s.agent, "write", "/repo/b.py")
    assert only(s, "a.py") == UNDISCLOSED


def test_what_was_made_and_removed_hides_no_other_change() -> None:
    s = Scenario()
    s.file(s.agent, "create", "/repo/a.py")
    s.file(s.agent, "unlink", "/repo/a.py")
    s.file(s.agent, "write", "/repo/b.py")
    assert only(s) == UNDISCLOSED


@pytest.mark.parametrize("op", ["rename", "link"])
def test_what_was_put_there_by_its_name_and_removed_left_no_trace(op: str) -> None:
    s = Scenario()
    s.file(s.agent, "create", "/repo/a.tmp")
    s.file(s.agent, op, "/repo/a.tmp", new_path="/repo/a.py")
    s.file(s.agent, "unlink", "/repo/a.py")
    if op == "link":
        s.file(s.agent, "unlink", "/repo/a.tmp")
    assert only(s) == VERIFIED


def test_what_was_there_and_is_gone_did() -> None:
    s = Scenario()
    s.file(s.agent, "write", "/repo/a.py")
    s.file(s.agent, "unlink", "/repo/a.py")
    assert only(s) == UNDISCLOSED


def test_of_one_moment_the_order_of_the_log_counts() -> None:
    s = Scenario()
    s.file(s.agent, "create", "/repo/a.py")
    s.file(s.agent, "unlink", "/repo/a.py", ts=s.now)
    assert only(s) == VERIFIED
    s = Scenario()
    s.file(s.agent, "write", "/repo/b.py")
    last = s.file(s.agent, "write", "/repo/b.py", ts=s.now)
    claim = s.claims("nothing_else_changed", kind="absence")
    assert [one.id for one in s.on(claim).evidence] == [last.id]


def test_the_last_change_is_the_evidence() -> None:
    s = Scenario()
    s.file(s.agent, "write", "/repo/b.py")
    last = s.file(s.agent, "write", "/repo/b.py")
    claim = s.claims("nothing_else_changed", kind="absence")
    assert [one.id for one in s.on(claim).evidence] == [last.id]


def test_a_change_of_the_moment_of_the_claim_counts_and_a_later_one_does_not() -> None:
    s = Scenario()
    s.file(s.agent, "write", "/repo/b.py")
    assert only(s, ts=s.now) == UNDISCLOSED
    s = Scenario()
    s.file(s.agent, "write", "/repo/b.py")
    assert only(s, ts=s.now - STEP) == VERIFIED


# --- who may have made it ---------------


def test_declared_changes_are_none_that_is_undisclosed() -> None:
    s = Scenario()
    s.writes("/repo/a.py")
    s.writes("/repo/b.py")
    assert only(s) == VERIFIED


def test_after_a_declared_change_another_is_still_found() -> None:
    s = Scenario()
    s.writes("/repo/a.py")
    s.file(s.agent, "write", "/repo/b.py")
    assert only(s, "c.py") == UNDISCLOSED


def test_what_was_to_be_read_was_not_to_be_changed() -> None:
    s = Scenario()
    s.answers(s.intent("read", files=(e.ExpectedFile(path="/repo/b.py", op="read"),)))
    by(s, "sh", "-c", "…")
    assert only(s) == UNDISCLOSED


def test_a_tool_call_of_the_moment_of_the_claim_declares() -> None:
    s = Scenario()
    s.file(s.agent, "write", "/repo/b.py")
    intent = s.intent("write", files=(e.ExpectedFile(path="/repo/b.py", op="write"),))
    assert only(s, "a.py", ts=intent.ts) == AMBIGUOUS
    assert only(s, "a.py", ts=intent.ts - STEP) == UNDISCLOSED


@pytest.mark.parametrize("argv", [("git", "checkout", "."), ("hg", "update"), ("jj", "new"), ("npm", "ci")])
def test_a_tool_may_change_what_it_is_called_for(argv: tuple[str, ...]) -> None:
    s = Scenario()
    by(s, *argv)
    assert only(s) == AMBIGUOUS
    by(s, "sh", "-c", "…", path="/repo/c.py")
    assert only(s) == UNDISCLOSED


def test_a_program_that_nobody_saw_start_is_no_tool() -> None:
    s = Scenario()
    s.file("999:1", "write", "/repo/b.py")
    assert only(s) == UNDISCLOSED


def test_one_whose_parents_nobody_saw_is_none_either() -> None:
    s = Scenario()
    s.add(e.Exec, process="999:1", parent="998:1", path="/usr/bin/sh", argv=("sh",), cwd="/repo")
    s.file("999:1", "write", "/repo/b.py")
    assert only(s) == UNDISCLOSED


@pytest.mark.parametrize("at_once", [True, False])
def test_work_that_was_given_away_may_have_changed_more(at_once: bool) -> None:
    s = Scenario()
    intent = s.asks("make", hand_off="docker")
    if at_once:
        assert only(s, ts=intent.ts) == unverifiable("handed_off")
    else:
        s.answers(intent)
        assert only(s) == unverifiable("handed_off")


def test_a_container_that_was_followed_may_have_written_by_paths_of_its_own() -> None:
    s = Scenario()
    hands(s, ("docker", "run", "--rm", "image", "pytest"), "docker", "pytest")
    assert only(s) == unverifiable("handed_off")
