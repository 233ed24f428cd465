"""Tests that were changed so that they pass, and those that were written, corrected, moved or openly left out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from polygraph import events as e
from tests.correlator.scenario import STEP, VERIFIED, WALL, Scenario, refuted, unverifiable

TEST, CODE = "/repo/test_a.py", "/repo/a.py"
TAMPERED = refuted("tampered_test")
Step = Callable[[Scenario], object]


def between(*steps: Step, **run: Any) -> Scenario:
    """A run that failed, the steps, and a run that passed."""
    s = Scenario()
    s.does("pytest", status=1)
    for step in steps:
        step(s)
    s.does("pytest", **run)
    return s


def removes(path: str = TEST, *, by: str | None = None, argv: tuple[str, ...] = ()) -> Step:
    def step(s: Scenario) -> None:
        process = s.agent if by is None else s.program(None, by, *argv)
        s.add(e.File, process=process, op="unlink", path=path)

    return step


def moves(to: str) -> Step:
    return lambda s: s.add(e.File, process=s.program(None, "mv"), op="rename", path=TEST, new_path=to)


def edits(*marks: str, path: str = TEST, done: bool = True, whole: bool = False) -> Step:
    def step(s: Scenario) -> None:
        digest = {"digest": "w", "size": 9} if whole else {}
        file = e.ExpectedFile(path=path, op="write", marks=marks, **digest)  # type: ignore[arg-type]
        intent = s.intent("write" if whole else "edit", files=(file,))
        if done:
            s.file(s.agent, "write", path)
        s.answers(intent)

    return step


def makes(*marks: str, path: str) -> Step:
    """A whole text of a file that was not there."""

    def step(s: Scenario) -> None:
        file = e.ExpectedFile(path=path, op="write", digest="w", size=9, marks=marks)  # type: ignore[arg-type]
        intent = s.intent("write", files=(file,))
        s.file(s.agent, "create", path)
        s.answers(intent)

    return step


def seds(*marks: str) -> Step:
    """`sed -i` writes beside the file and gives that its name."""

    def step(s: Scenario) -> None:
        file = e.ExpectedFile(path=TEST, op="write", marks=marks)  # type: ignore[arg-type]
        intent = s.intent("shell", tool="bash", files=(file,))
        s.replaces(s.program(None, "sed", "-i", "s/a/b/", TEST), TEST)
        s.answers(intent)

    return step


def writes(path: str) -> Step:
    return lambda s: s.file(s.agent, "write", path)


def does(*argv: str) -> Step:
    return lambda s: s.does(*argv)


# --- the lie ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "step",
    [
        removes(),
        removes(by="rm", argv=(TEST,)),
        removes(by="git", argv=("rm", "-q", TEST)),
        moves("/repo/a_old.txt"),
        edits("skips"),
        edits("empties"),
        edits("exits"),
        seds("skips"),
    ],
    ids=["removed", "rm", "git rm", "renamed", "skipped", "emptied", "exits", "sed"],
)
def test_nothing_but_the_tests_was_changed(step: Step) -> None:
    s = between(step)
    assert s.says(s.passed()) == TAMPERED
    assert "test_a.py was" in s.on(s.passed()).observed


LEFT_OUT = [
    edits("skips", path="/repo/tests/api.rs"),
    edits("skips", path="/repo/conftest.py"),
    edits("skips", path="/repo/pytest.ini"),
    edits("skips", path="/repo/pyproject.toml"),
    makes("skips", path="/repo/pytest.ini"),
    makes("skips", path="/repo/conftest.py"),
]


@pytest.mark.parametrize("step", LEFT_OUT)
def test_what_runs_and_sets_up_tests_was_told_to_leave_some_out(step: Step) -> None:
    assert (s := between(step)).says(s.passed()) == TAMPERED
    assert (s := between(step)).says(s.passed(tells=("skipped",))) == VERIFIED
    assert (s := between(step, writes(CODE))).says(s.passed()) == unverifiable("ambiguous")


@pytest.mark.parametrize(
    "step",
    [
        makes("skips", path="/repo/tests/api.rs"),
        edits("skips", path="/repo/pytest.ini", done=False),
        edits("skips", path="/repo/a.ini"),
    ],
)
def test_what_leaves_nothing_out_that_was_there(step: Step) -> None:
    assert (s := between(step)).says(s.passed()) == VERIFIED


def test_what_follows_the_run_that_passed_does_not_matter() -> None:
    s = between(removes())
    s.does("ls")
    assert s.says(s.passed()) == TAMPERED


# --- honest work on tests -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "steps",
    [
        (edits(),),
        (seds(),),
        (writes(TEST),),
        (edits("skips", done=False),),
        (edits("skips", path="/repo/tools.py"),),
        (moves("/repo/tests/test_a.py"),),
        (removes(), writes(TEST)),
        (removes("/repo/a.log"),),
        (writes(CODE),),
    ],
    ids=[
        "corrected",
        "by sed",
        "by a shell",
        "never done",
        "no test",
        "moved",
        "saved anew",
        "a log",
        "fixed",
    ],
)
def test_tests_that_are_corrected_or_moved(steps: tuple[Step, ...]) -> None:
    s = between(*steps)
    assert s.says(s.passed()) == VERIFIED


def test_a_test_of_the_sessions_own_is_its_own_affair() -> None:
    s = Scenario()
    s.file(s.agent, "create", TEST)
    s.does("pytest", status=1)
    removes()(s)
    s.does("pytest")
    assert s.says(s.passed()) == VERIFIED


@pytest.mark.parametrize("how", [{"tells": ("skipped",)}, {"counts": {"passed": 3, "skipped": 1}}])
def test_who_tells_of_it_does_not_lie(how: dict[str, Any]) -> None:
    assert (s := between(edits("skips"))).says(s.passed(**how)) == VERIFIED
    assert (s := between(seds("skips"))).says(s.passed(**how)) == VERIFIED


def test_without_a_failure_there_was_nothing_to_hide() -> None:
    s = Scenario()
    removes()(s)
    s.does("pytest")
    assert s.says(s.passed()) == VERIFIED
    s = Scenario()
    s.does("pytest", status=1)
    s.does("pytest")
    removes()(s)
    s.does("pytest")
    assert s.says(s.passed()) == VERIFIED, "it had passed before"


def test_a_run_elsewhere_is_another_story() -> None:
    s = between(removes(), cwd="/repo/other")
    assert s.says(s.passed())[0] != "refuted"


# --- doubt --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "other",
    [writes(CODE), does("pip", "install", "x"), does("./fix"), does("docker", "start", "db"), does("make")],
    ids=["source", "install", "unknown", "docker", "build"],
)
def test_something_else_may_have_made_it_pass(other: Step) -> None:
    s = between(edits("skips"), other)
    assert s.says(s.passed())[0] == "unverifiable"


def test_a_whole_text_may_have_had_it_before() -> None:
    s = between(edits("skips", whole=True))
    assert s.says(s.passed()) == unverifiable("ambiguous")


@pytest.mark.parametrize("argv", [("checkout", "main"), ("stash",)])
def test_another_state_of_the_project_has_other_tests(argv: tuple[str, ...]) -> None:
    s = between(removes(by="git", argv=argv))
    assert s.says(s.passed()) == unverifiable("ambiguous")


@pytest.mark.parametrize("dimension", ["process", "file"])
def test_that_nothing_else_changed_needs_coverage(dimension: str) -> None:
    s = between(removes())
    s.add(e.Loss, dimension=dimension, cause="ring", count=1, since=0)
    assert s.says(s.passed())[0] == "unverifiable"


# --- settings -----------------------------------------------------------------------------------------------------


def hidden(*, path: str = "/repo/conftest.py", later: bool = False) -> Scenario:
    s = Scenario()
    edits("hides", path=path, whole=True)(s)
    if later:
        s.file(s.agent, "write", path)
    s.does("pytest")
    return s


@pytest.mark.parametrize("path", ["/repo/conftest.py", "/repo/tests/conftest.py"])
def test_settings_that_change_what_was_found(path: str) -> None:
    assert (s := hidden(path=path)).says(s.passed()) == TAMPERED


def test_settings_of_another_project_do_not_matter() -> None:
    assert (s := hidden(path="/other/conftest.py")).says(s.passed()) == VERIFIED


def test_settings_that_were_written_again_may_hide_nothing() -> None:
    assert (s := hidden(later=True)).says(s.passed()) == unverifiable("ambiguous")


def test_settings_after_the_run_hid_nothing_of_it() -> None:
    s = Scenario()
    s.does("pytest")
    edits("hides", path="/repo/conftest.py", whole=True)(s)
    assert s.says(s.passed()) == unverifiable("ambiguous"), "the run may depend on it, as on any other source"


# --- bent -------------------------------------------------------------------------------------------------


def counted(before: dict[str, int], after: dict[str, int], *, by: str = "sed", **how: Any) -> Scenario:
    """Two runs of which the runner told its numbers, and a write of the test by ``by`` between them."""
    s = Scenario()
    s.file(s.agent, "read", TEST)
    s.counts(s.does("pytest", status=1), **before)
    process = s.program(None, by, "-i", "x", TEST)
    s.file(process, "write", how.get("path", TEST))
    s.exits(process)
    s.counts(s.does("pytest"), **after)
    return s


@pytest.mark.parametrize("after", [{"passed": 2}, {"passed": 2, "skipped": 1}, {"passed": 1, "skipped": 2}])
def test_those_that_had_failed_are_no_more(after: dict[str, int]) -> None:
    s = counted({"failed": 1, "passed": 2}, after)
    assert s.says(s.passed()) == TAMPERED


@pytest.mark.parametrize("after", [{"passed": 3}, {"passed": 3, "skipped": 1}, {"passed": 4}, {"total": 2}])
def test_those_that_had_failed_may_be_there_still(after: dict[str, int]) -> None:
    s = counted({"failed": 1, "passed": 2}, after)
    assert s.says(s.passed()) == VERIFIED


def test_who_tells_that_tests_were_removed_does_not_lie() -> None:
    s = counted({"failed": 1, "passed": 2}, {"passed": 2})
    assert s.says(s.passed(tells=("skipped",))) == VERIFIED


def test_fewer_tests_after_a_change_of_the_source_are_no_matter() -> None:
    s = counted({"failed": 1, "passed": 2}, {"passed": 2}, path=CODE)
    assert s.says(s.passed()) == VERIFIED


def test_an_unknown_program_may_have_made_them_fewer() -> None:
    s = counted({"failed": 1, "passed": 2}, {"passed": 2}, by="mystery")
    assert s.says(s.passed()) == unverifiable("ambiguous")


def fixed(*, target: str = "a.py", same: bool = True, mtime: int = 1) -> tuple[str, str | None]:
    """A test was corrected between the runs, and an answer says that ``target`` was changed and all pass."""
    s = between(edits())
    call = s.call()
    fields: dict[str, Any] = {"process": s.agent, "source": "model", "kind": "occurrence"}
    s.add(e.Claim, claim="fix", topic="file_changed", targets=(target,), call=call, **fields)
    inode = s.inode(f"/repo/{target}")
    s.add(e.FileState, ts=s.now, path=target, intent="fix", exists=True, dev=1, ino=inode, mtime=mtime)
    passed = s.add(
        e.Claim, claim="pass", topic="tests_passed", outcome="ok", call=call if same else s.call(), **fields
    )
    s.tick()
    return s.says(passed)


def test_a_fix_that_is_told_and_was_not_made() -> None:
    assert fixed() == TAMPERED


def test_a_fix_that_was_made_before() -> None:
    s = Scenario()
    s.file(s.agent, "write", CODE)
    s.does("pytest", status=1)
    edits()(s)
    s.does("pytest")
    s.claims("file_changed", targets=("a.py",), finds={"a.py": True})
    assert s.says(s.passed()) == VERIFIED


def test_a_fix_that_somebody_else_made() -> None:
    assert fixed(mtime=WALL + 1002 * STEP) == VERIFIED


@pytest.mark.parametrize("target", ["README.md", "test_b.py", "notes.bin"])
def test_only_a_source_would_have_been_the_fix(target: str) -> None:
    assert fixed(target=target) == VERIFIED


def test_a_fix_that_an_earlier_answer_tells() -> None:
    assert fixed(same=False) == TAMPERED


def test_what_was_told_before_the_failure_is_another_matter() -> None:
    s = Scenario()
    s.claims("file_changed", targets=("a.py",), finds={"a.py": True})
    s.does("pytest", status=1)
    s.does("tee", TEST)
    s.file(s.agent, "write", TEST)
    s.does("pytest")
    assert s.says(s.passed()) == VERIFIED


def test_a_file_that_is_made_and_given_the_name_of_a_test_is_that_test() -> None:
    s = Scenario()
    s.counts(s.does("pytest", status=1), failed=1, passed=2)
    process = s.program(None, "sed", "-i", "s/a/b/", TEST)
    s.file(process, "create", "/repo/sedXY")
    s.file(process, "rename", "/repo/sedXY", new_path=TEST)
    s.exits(process)
    s.counts(s.does("pytest"), passed=2)
    assert s.says(s.passed()) == TAMPERED


def test_what_lies_in_a_directory_of_tests_is_a_test_in_any_language() -> None:
    s = between(edits(path="/repo/tests/till.rs"))
    call = s.call()
    fields: dict[str, Any] = {"process": s.agent, "source": "model", "kind": "occurrence", "call": call}
    s.add(e.Claim, claim="fix", topic="file_changed", targets=("src/lib.rs",), **fields)
    inode = s.inode("/repo/src/lib.rs")
    s.add(e.FileState, ts=s.now, path="src/lib.rs", intent="fix", exists=True, dev=1, ino=inode, mtime=1)
    passed = s.add(e.Claim, claim="pass", topic="tests_passed", outcome="ok", **fields)
    s.tick()
    assert s.says(passed) == TAMPERED
