"""What runs had opened: of each claim those of its own runs, whatever was asked about before."""

from __future__ import annotations

import pytest

from polygraph import events as e
from polygraph.openings import Opening, packed
from tests.correlator.scenario import VERIFIED, Scenario, refuted, unverifiable

A, B = "/repo/a.txt", "/repo/b.txt"
STALE = refuted("stale")


def test_what_another_runner_had_opened_is_not_what_this_one_depends_on() -> None:
    s = Scenario()
    s.does("jest", reads=[A])
    s.does("mocha", reads=[B])
    s.passed(tool="jest")
    s.writes(A)
    assert s.says(s.passed(tool="mocha")) == VERIFIED
    assert s.says(s.passed(tool="jest")) == STALE


def test_a_claim_about_a_part_depends_on_less_than_one_about_all() -> None:
    s = Scenario()
    s.does("jest", "a.test.js", reads=[A])
    s.does("jest", "b.test.js", reads=[B])
    for targets in ((), ("a.test.js",), ()):
        s.passed(targets=targets)
    s.writes(B)
    assert s.says(s.passed(targets=("a.test.js",))) == VERIFIED
    assert s.says(s.passed(targets=("b.test.js",))) == STALE


def test_what_was_changed_before_a_longer_run_opened_it_was_tested() -> None:
    s = Scenario()
    s.call()
    longer, shorter = s.program(None, "jest", "a.test.js"), s.program(None, "jest", "b.test.js")
    s.reads(shorter, B)
    s.exits(shorter)
    s.file(s.agent, "write", A)
    s.reads(longer, A)
    s.exits(longer)
    s.passed(targets=("a.test.js",))
    assert s.says(s.passed()) == VERIFIED


def test_openings_are_told_in_batches_and_a_later_claim_knows_more_of_them() -> None:
    s = Scenario()
    s.call()
    first = s.program(None, "jest")
    opening = Opening(first, 1, s.inode(A), s.now)
    s.exits(first)
    s.does("jest", reads=[B])
    early = s.passed()
    s.add(e.Reads, rows=packed([opening]))
    s.writes(A)
    assert s.says(early) == VERIFIED
    assert s.says(s.passed()) == STALE


@pytest.mark.parametrize(("after", "word"), [(0, STALE), (1, VERIFIED)])
def test_what_is_opened_until_the_run_ends_counts(after: int, word: tuple[str, str | None]) -> None:
    s = Scenario()
    s.call()
    run = s.program(None, "jest")
    child = s.program(run, "node", "worker.js")
    s.reads(run, B)
    end = s.exits(run).ts
    s.add(e.Reads, rows=packed([Opening(child, 1, s.inode(A), end + after)]))
    s.writes(A)
    assert s.says(s.passed()) == word


def test_a_run_that_left_something_behind_depends_on_what_it_opened() -> None:
    s = Scenario()
    s.call()
    run = s.program(None, "jest")
    s.program(run, "node", "worker.js")
    s.reads(run, A)
    s.exits(run)
    s.writes(A)
    assert s.says(s.passed()) == STALE


def test_whom_tests_ask_for_data_does_not_their_work() -> None:
    """A database that was there before the session is no daemon that runs them."""
    s = Scenario()
    s.call()
    run = s.program(None, "jest")
    s.add(e.Net, process=run, op="connect", family="inet", address="127.0.0.1", port=5432)
    s.reads(run, A)
    s.exits(run)
    s.writes("/repo/other.js")
    assert s.says(s.passed()) == VERIFIED
    s.writes(A)
    assert s.says(s.passed()) == STALE


@pytest.mark.parametrize(
    "how", [{"path": "/repo/tools/jest"}, {"path": "/usr/bin/node", "script": "/repo/tools/jest"}]
)
def test_a_run_depends_on_its_own_program_and_script(how: dict[str, str]) -> None:
    s = Scenario()
    s.does("jest", reads=[B], **how)
    s.writes("/repo/tools/jest")
    assert s.says(s.passed()) == STALE


@pytest.mark.parametrize("python", ["python3", "pypy3"])
def test_of_a_module_python_may_have_opened_only_what_was_compiled_of_it(python: str) -> None:
    s = Scenario()
    s.does(python, "-m", "pytest", reads=["/repo/test_calc.py"])
    s.writes("/repo/calc.py")
    assert s.says(s.passed()) == unverifiable("ambiguous")


def test_what_a_child_of_an_earlier_run_opens_again_and_again_later_is_its_own() -> None:
    s = Scenario()
    s.call()
    first = s.program(None, "jest")
    child = s.program(first, "node", "worker.js")
    s.reads(first, B)
    s.exits(first)
    s.does("jest", reads=[B])
    s.file(child, "read", A, count=2)
    s.writes(A)
    assert s.says(s.passed()) == VERIFIED
    other = s.program(None, "node", "worker.js")
    s.file(other, "read", A, count=2)
    s.writes(A)
    assert s.says(s.passed()) == unverifiable("ambiguous")


@pytest.mark.parametrize(
    ("where", "off", "word"),
    [
        ("the run began", 0, "unverifiable"),
        ("the run began", -1, "verified"),
        ("the claim", 0, "unverifiable"),
        ("the claim", 1, "verified"),
    ],
)
def test_what_others_opened_meanwhile_the_run_may_have_opened_too(where: str, off: int, word: str) -> None:
    """Openings of a file that are told as one may be those of several processes."""
    s = Scenario()
    s.call()
    other = s.program(None, "node", "worker.js")
    run = s.program(None, "jest")
    began = s.now
    s.reads(run, B)
    s.exits(run)
    s.writes(A)
    at = began if where == "the run began" else s.now
    s.file(other, "read", A, count=2, ts=at + off)
    assert s.says(s.passed(ts=at if where == "the claim" else s.now + 1))[0] == word
