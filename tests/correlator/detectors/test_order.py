"""The order of editing, testing, committing and pushing: what was left untested is told, honest orders are not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from correlator.engine import Engine
from polygraph import events as e
from polygraph.findings import Finding, detectors
from tests.correlator.scenario import Scenario

A, TEST = "/repo/src/a.py", "/repo/tests/test_a.py"
README = "/repo/README.md"


def pytest_runs(s: Scenario, status: int = 0, *more: str) -> None:
    """A run of pytest that opens a file and its test."""
    s.does("pytest", "-q", *more, status=status, reads=[A, TEST])


def edits(s: Scenario, path: str = A) -> None:
    """An edit by the agent's own tool."""
    s.writes(path)


def commits(s: Scenario, *paths: str, status: int = 0) -> None:
    """`git add` of what was changed, then `git commit`."""
    s.does("git", "add", *paths, reads=paths)
    s.does("git", "commit", "-m", "TEXT", status=status)


def pushes(s: Scenario, status: int = 0) -> None:
    s.does("git", "push", "origin", "main", status=status)


def told(s: Scenario) -> list[tuple[str, str]]:
    """Detector and kind of each finding of the order."""
    return [(one.detector, one.kind) for one in s.findings() if one.detector == "order_contradiction"]


def the_one(s: Scenario) -> Finding:
    (found,) = (one for one in s.findings() if one.detector == "order_contradiction")
    return found


def test_tested_before_the_last_edit() -> None:
    s = Scenario()
    pytest_runs(s)
    edits(s)
    found = the_one(s)
    assert found.kind == "tested_before_last_edit"
    assert found.summary == "a.py, which pytest -q had opened, was changed and not tested again"
    assert [step.what for step in found.path] == ["pytest -q exited with 0", f"write {A}"]
    assert [step.grade for step in found.path] == [None, "strong"]
    assert found.figures == {"files": 1.0}
    assert {line.id for line in found.evidence} >= {step.id for step in found.path}


def test_committed_before_the_tests() -> None:
    s = Scenario()
    pytest_runs(s)
    edits(s)
    commits(s, A)
    found = the_one(s)
    assert found.kind == "committed_before_tests"
    assert found.summary == "a.py, which pytest -q had opened, was changed, committed and not tested again"
    assert [step.what for step in found.path] == [
        "pytest -q exited with 0", f"write {A}", f"git add {A}", "git commit -m TEXT",
    ]  # fmt: skip


def test_pushed_something_else_than_tested() -> None:
    s = Scenario()
    pytest_runs(s)
    edits(s)
    edits(s, TEST)
    s.does("git", "commit", "-am", "TEXT", reads=[A, TEST])
    pushes(s)
    found = the_one(s)
    assert found.kind == "pushed_other_than_tested"
    assert found.summary == (
        "a.py, test_a.py, which pytest -q had opened, was changed, committed and pushed and not tested again"
    )
    assert found.figures == {"files": 2.0}
    assert [step.what for step in found.path][-2:] == ["git commit -am TEXT", "git push origin main"]


def test_a_failing_run_after_the_push_puts_nothing_right() -> None:
    s = Scenario()
    pytest_runs(s)
    edits(s)
    commits(s, A)
    pushes(s)
    pytest_runs(s, 1)
    assert told(s) == [("order_contradiction", "pushed_other_than_tested")]


# --- honest orders ----------------------------------------------------------------------------------


def run_again(s: Scenario) -> None:
    pytest_runs(s)
    edits(s)
    pytest_runs(s)
    commits(s, A)
    pushes(s)


def committed_and_then_tested(s: Scenario) -> None:
    pytest_runs(s)
    edits(s)
    commits(s, A)
    pushes(s)
    pytest_runs(s)


def another_part_run_again(s: Scenario) -> None:
    """Any run that went well counts: which part matters is not known."""
    pytest_runs(s)
    edits(s)
    pytest_runs(s, 0, "tests/test_b.py")


def documents_after_the_tests(s: Scenario) -> None:
    pytest_runs(s)
    edits(s, "/repo/docs/guide.md")
    commits(s, "/repo/docs/guide.md")
    pushes(s)


def the_readme_that_the_run_opens(s: Scenario) -> None:
    s.does("pytest", reads=[A, README])
    edits(s, README)
    commits(s, README)


def formatted_after_the_tests(s: Scenario) -> None:
    pytest_runs(s)
    intent = s.asks("ruff format .")
    ruff = s.program(s.shell(intent), "ruff", "format", ".")
    s.file(ruff, "write", A)
    s.exits(ruff)
    s.answers(intent)
    commits(s, A)


def checked_out_after_the_tests(s: Scenario) -> None:
    pytest_runs(s)
    intent = s.asks("git checkout main")
    git = s.program(s.shell(intent), "git", "checkout", "main")
    s.file(git, "write", A)
    s.exits(git)
    s.answers(intent)


def run_by_a_hook_of_the_commit(s: Scenario) -> None:
    pytest_runs(s)
    edits(s)
    s.does("git", "add", A, reads=[A])
    intent = s.asks("git commit -m TEXT")
    shell = s.shell(intent)
    git = s.program(shell, "git", "commit", "-m", "TEXT")
    hook = s.program(git, "sh", ".git/hooks/pre-commit")
    run = s.program(hook, "pytest", "-q")
    s.reads(run, A, TEST)
    for process in (run, hook, git, shell):
        s.exits(process)
    s.answers(intent)


def run_by_a_script_that_nobody_knows(s: Scenario) -> None:
    pytest_runs(s)
    edits(s)
    s.does("./check.sh", path="/repo/check.sh")


def run_in_a_container(s: Scenario) -> None:
    pytest_runs(s)
    edits(s)
    s.does("docker", "compose", "run", "tests")


def changed_by_the_run_itself(s: Scenario) -> None:
    intent = s.asks("pytest -q")
    run = s.program(s.shell(intent), "pytest", "-q")
    s.reads(run, A, "/repo/snapshot.json")
    s.file(run, "write", "/repo/snapshot.json")
    s.exits(run)
    s.answers(intent)


def nothing_tested(s: Scenario) -> None:
    edits(s)
    commits(s, A)
    pushes(s)


def the_last_run_had_failed(s: Scenario) -> None:
    """Nobody was told that it is well."""
    pytest_runs(s, 1)
    edits(s)


def still_running_at_the_end(s: Scenario) -> None:
    pytest_runs(s)
    edits(s)
    s.reads(s.program(s.shell(s.asks("pytest -q")), "pytest", "-q"), A)


def committed_while_the_tests_run(s: Scenario) -> None:
    pytest_runs(s)
    edits(s)
    commits(s, A)
    s.reads(s.program(s.shell(s.asks("pytest -q")), "pytest", "-q"), A)


HONEST = [
    committed_while_the_tests_run,
    run_again, committed_and_then_tested, another_part_run_again, documents_after_the_tests,
    the_readme_that_the_run_opens, formatted_after_the_tests, checked_out_after_the_tests,
    run_by_a_hook_of_the_commit, run_by_a_script_that_nobody_knows, run_in_a_container,
    changed_by_the_run_itself, nothing_tested, the_last_run_had_failed, still_running_at_the_end,
]  # fmt: skip


@pytest.mark.parametrize("story", HONEST, ids=lambda story: story.__name__)
def test_an_honest_order_is_no_finding(story: Callable[[Scenario], None]) -> None:
    s = Scenario()
    story(s)
    assert told(s) == []


def test_what_git_did_not_take_in_was_not_committed() -> None:
    """It is left changed, which is told; the commit was of something else."""
    s = Scenario()
    pytest_runs(s)
    edits(s)
    edits(s, "/repo/docs/guide.md")
    s.does("git", "status", reads=[A])
    commits(s, "/repo/docs/guide.md")
    pushes(s)
    assert told(s) == [("order_contradiction", "tested_before_last_edit")]


#: how many of these steps lead to each kind
STEPS: tuple[Callable[[Scenario], None], ...] = (pytest_runs, edits, lambda s: commits(s, A), pushes)
KINDS = {"tested_before_last_edit": 2, "committed_before_tests": 3, "pushed_other_than_tested": 4}


@pytest.mark.parametrize("kind", detectors()["order_contradiction"].kinds)
def test_each_kind_of_the_table_is_given(kind: str) -> None:
    s = Scenario()
    for step in STEPS[: KINDS[kind]]:
        step(s)
    assert told(s) == [("order_contradiction", kind)]


def test_what_was_added_before_the_edit_is_not_committed_as_it_was_edited() -> None:
    s = Scenario()
    pytest_runs(s)
    s.does("git", "add", A, reads=[A])
    edits(s)
    s.does("git", "commit", "-m", "TEXT")
    assert told(s) == [("order_contradiction", "tested_before_last_edit")]


def test_what_is_added_while_the_commit_is_made_may_have_come_too_late() -> None:
    """Two tool calls side by side."""
    s = Scenario()
    pytest_runs(s)
    edits(s)
    intent = s.asks("git commit -m TEXT")
    git = s.program(s.shell(intent), "git", "commit", "-m", "TEXT")
    s.does("git", "add", A, reads=[A])
    s.exits(git)
    s.answers(intent)
    assert told(s) == [("order_contradiction", "tested_before_last_edit")]


@pytest.mark.parametrize("refused", ["commit", "push"])
def test_what_did_not_succeed_is_none(refused: str) -> None:
    s = Scenario()
    pytest_runs(s)
    edits(s)
    commits(s, A, status=int(refused == "commit"))
    pushes(s, status=int(refused == "push"))
    kind = "tested_before_last_edit" if refused == "commit" else "committed_before_tests"
    assert told(s) == [("order_contradiction", kind)]


@pytest.mark.parametrize("dimension", ["process", "file"])
def test_what_may_not_have_been_seen_is_no_finding(dimension: str) -> None:
    s = Scenario()
    pytest_runs(s)
    edits(s)
    s.add(e.Loss, dimension=dimension, cause="ring", count=1, since=s.now)
    assert told(s) == []


def test_it_is_said_at_the_end_and_once() -> None:
    s = Scenario()
    pytest_runs(s)
    edits(s)
    engine = Engine()
    assert [found for event in s.log for found in engine.feed(event).findings] == []
    (found,) = engine.feed(e.SessionEnd(session=s.name, ts=s.now, seq=len(s.log))).findings
    assert found.kind == "tested_before_last_edit"
