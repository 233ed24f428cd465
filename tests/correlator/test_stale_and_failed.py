"""A success that is stale, and after it a failure in other words: whatever that speaks of, nothing has passed since."""

from __future__ import annotations

import pytest

from tests.correlator.scenario import VERIFIED, Scenario, refuted, unverifiable

A, B = "/repo/src/a.ts", "/repo/src/b.ts"
AMBIGUOUS = unverifiable("ambiguous")
STALE = refuted("stale")
OTHERS = [
    (("jest",), ("npm", "test"), "tests_passed"),
    (("cargo", "test"), ("cargo", "nextest", "run"), "tests_passed"),
    (("ruff", "check", "."), ("flake8",), "lint"),
    (("mypy", "."), ("pyright",), "typecheck"),
    (("make",), ("cmake", "--build", "."), "build"),
]


def passed(*argv: str, reads: tuple[str, ...] = (A, B)) -> Scenario:
    s = Scenario()
    s.entries = True
    s.does(*argv, reads=reads)
    return s


@pytest.mark.parametrize(("good", "bad", "topic"), OTHERS)
def test_a_change_between_the_two_leaves_nothing_that_passed(
    good: tuple[str, ...], bad: tuple[str, ...], topic: str
) -> None:
    for changed, word in ((True, STALE), (False, AMBIGUOUS)):
        s = passed(*good)
        if changed:
            s.writes(A)
        s.does(*bad, status=1)
        assert s.says(s.claims(topic, "ok")) == word, changed


@pytest.mark.parametrize("path", ["/repo/notes.txt", "/repo/other/x.ts"])
def test_a_change_of_what_the_success_had_not_opened_leaves_it_open(path: str) -> None:
    s = passed("jest")
    s.writes(path)
    s.does("jest", cwd="/repo/other", status=1)
    assert s.says(s.passed()) == AMBIGUOUS


def test_what_may_be_again_as_it_was_when_it_passed_leaves_it_open() -> None:
    s = passed("jest")
    s.writes(A)
    s.does("npm", "test", status=1)
    s.writes(A)
    assert s.says(s.passed()) == AMBIGUOUS


def test_one_success_of_another_thing_that_still_holds_leaves_it_open() -> None:
    s = passed("jest")
    s.does("jest", reads=[B], cwd="/repo/other")
    s.writes(A)
    s.does("npm", "test", status=1)
    assert s.says(s.passed()) == AMBIGUOUS
    s.writes(B)
    assert s.says(s.passed()) == STALE


def test_as_many_successes_of_other_things_as_can_be_asked_are_stale_together() -> None:
    for more in (False, True):
        s = passed("jest")
        for folder in ("one", "two", *(["three"] if more else [])):
            s.does("jest", reads=[A], cwd=f"/repo/{folder}")
        s.writes(A)
        s.does("npm", "test", status=1)
        assert s.says(s.passed()) == (AMBIGUOUS if more else STALE)


def test_a_success_since_the_failure_decides() -> None:
    s = passed("jest")
    s.writes(A)
    s.does("npm", "test", status=1)
    s.does("jest", reads=[A, B])
    assert s.says(s.passed())[0] != "refuted"


@pytest.mark.parametrize(
    ("argv", "changed", "word"),
    [
        (("pytest", "--no-such-option"), True, STALE),
        (("pytest", "--no-such-option"), False, AMBIGUOUS),
        (("pytest", "--watch"), True, AMBIGUOUS),
    ],
)
def test_a_run_that_came_to_nothing_makes_no_change_good(
    argv: tuple[str, ...], changed: bool, word: tuple[str, str | None]
) -> None:
    s = passed("pytest", reads=("/repo/a.py", "/repo/test_a.py"))
    if changed:
        s.writes("/repo/a.py")
    s.does(*argv, status=4)
    assert s.says(s.passed()) == word


def test_one_that_was_ended_from_outside_may_have_passed_before() -> None:
    s = passed("jest")
    s.writes(A)
    run = s.program(None, "jest")
    s.exits(run, signal=15)
    assert s.says(s.passed()) == AMBIGUOUS


def test_a_commit_does_not_become_stale() -> None:
    s = passed("git", "commit")
    s.writes(A)
    s.does("git", "commit", "-a", status=1)
    assert s.says(s.claims("commit", "ok")) == AMBIGUOUS
    s = passed("jest")
    assert s.says(s.passed()) == VERIFIED


# --- what may have been run again unseen ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argv", "word"),
    [
        (("docker", "exec", "x", "pytest"), unverifiable("handed_off")),
        (("ssh", "host", "pytest"), unverifiable("handed_off")),
        (("./run_tests.sh",), unverifiable("form_unknown")),
        (("python3", "run_tests.py"), unverifiable("form_unknown")),
        (("python3", "seed.py"), STALE),
        (("npm", "run", "build"), STALE),
        (("git", "push"), STALE),
        (("ls",), STALE),
    ],
)
def test_what_has_the_name_of_such_work_may_have_done_it_after_the_change(
    argv: tuple[str, ...], word: tuple[str, str | None]
) -> None:
    s = passed("jest")
    s.writes(A)
    s.does(*argv)
    assert s.says(s.passed()) == word
    s.writes(B)
    assert s.says(s.passed()) == STALE


def test_what_it_did_before_the_change_is_no_excuse() -> None:
    s = passed("jest")
    s.does("docker", "exec", "x", "pytest")
    s.writes(A)
    assert s.says(s.passed()) == STALE


@pytest.mark.parametrize(("kind", "reason"), [("other", "form_unknown"), ("delegate", "handed_off")])
def test_neither_may_a_tool_call_that_hides_what_it_does(kind: str, reason: str) -> None:
    s = passed("jest")
    s.writes(A)
    s.answers(s.intent(kind, tool="run"))
    s.tick()
    assert s.says(s.passed()) == unverifiable(reason)
