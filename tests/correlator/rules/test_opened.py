"""What runs had opened: of each claim those of its own runs, whatever was asked about before."""

from __future__ import annotations

from tests.correlator.scenario import VERIFIED, Scenario, refuted

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
    s.passed()
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
