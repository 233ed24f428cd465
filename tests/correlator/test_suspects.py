"""What could have done it unseen, and what by its own words could not."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from polygraph import events as e
from tests.correlator.scenario import STEP, Scenario, expect, refuted, unverifiable
from tests.correlator.test_delegation import hands

NOT_RUN = refuted("no_execution")
OPEN = unverifiable("form_unknown")
TEST = "/repo/test_a.py"


def after(*argv: str, opens: str = "/usr/lib/x.py", topic: str = "tests_passed") -> tuple[str, str | None]:
    """The verdict on a claim that rests on that program."""
    s = Scenario()
    s.does(*argv, reads=[opens])
    tests = [TEST] if topic == "tests_passed" else []
    return s.says(s.claims(topic, "ok", tests=tests))


@pytest.mark.parametrize(
    "argv",
    [
        ("python3", "-c", "print(open('log').read())"),
        ("python3", "-c", "text:0123456789abcdef~."),
        ("python3", "-I", "-c", "text:0123456789abcdef"),
        ("node", "-e", "console.log(1)"),
        ("perl", "-e", "print 1"),
    ],
)
def test_a_program_that_says_all_that_it_does_and_nothing_of_tests(argv: tuple[str, ...]) -> None:
    assert after(*argv) == NOT_RUN


@pytest.mark.parametrize(
    "argv",
    [
        ("python3", "-c", "import pytest; pytest.main()"),
        ("python3", "-c", "text:0123456789abcdef~.,test"),
        ("python3", "-c", "text:0123456789abcdef~,assert"),
        ("python3", "-c", "text:0123456789abcdef~.,exec"),
        ("python3", "-c", "exec(open('run.py').read())"),
        ("node", "-e", "require('./a.spec.js')"),
        ("python3", "run.py"),
        ("python3", "test.py"),
        ("node", "test.js"),
        ("/repo/test",),
        ("ruby", "test.rb"),
        ("python3", "run.py", "-c", "x"),
        ("python3", "-"),
        ("node", "-r", "./run.js", "-e", "1"),
        ("node", "--require=./run.js", "-e", "1"),
        ("node", "-r", "./hook.js", "run.js"),
        ("perl", "-MRun", "-e", "1"),
        ("ruby", "-E", "utf-8", "run.rb"),
        ("mystery", "-c", "print(1)"),
    ],
)
def test_a_program_that_may_have_run_tests(argv: tuple[str, ...]) -> None:
    assert after(*argv) == OPEN


def test_a_program_that_opened_a_test_may_have_run_it_whatever_it_says() -> None:
    assert after("python3", "-c", "print(1)", opens=TEST) == OPEN


@pytest.mark.parametrize("python", ["python3", "pypy3"])
@pytest.mark.parametrize("topic", ["lint", "typecheck", "tests_passed"])
def test_a_module_of_pythons_own_runs_nothing_of_a_project(topic: str, python: str) -> None:
    assert after(python, "-m", "py_compile", "a.py", topic=topic) == NOT_RUN


def test_to_compile_a_file_may_be_called_a_build() -> None:
    assert after("python3", "-m", "py_compile", "a.py", topic="build") == OPEN


def test_another_module_may_be_a_linter() -> None:
    assert after("python3", "-m", "houserules", topic="lint") == OPEN


def test_another_runner_may_be_what_runs_the_tests() -> None:
    s = Scenario()
    intent = s.asks("pytest")
    s.runs(None, "cargo", "test")
    s.answers(intent)
    assert s.says(intent) == OPEN


def test_an_alias_of_git_may_push() -> None:
    for topic in ("commit", "push"):
        s = Scenario()
        s.does("git", "ship")
        assert s.says(s.claims(topic, "ok")) == OPEN


@pytest.mark.parametrize(("scripts", "word"), [(32, NOT_RUN), (33, OPEN)])
def test_of_many_scripts_not_all_are_asked_what_they_did(scripts: int, word: tuple[str, str | None]) -> None:
    s = Scenario()
    s.call()
    s.file(s.agent, "create", "/repo/count.py")
    for _ in range(scripts):
        script = s.program(None, "python3", "count.py")
        s.reads(script, "/repo/count.py")
        s.exits(script)
    assert s.says(s.passed(tests=[TEST])) == word


# --- tool calls ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "word"),
    [
        ({}, OPEN),
        ({"files": (e.ExpectedFile(path="/repo/a.ipynb", op="write"),)}, NOT_RUN),
        ({"hosts": ("docs.test",)}, NOT_RUN),
        ({"executions": (e.Execution(program="ls"),)}, NOT_RUN),
        ({"hand_off": "mcp server"}, unverifiable("handed_off")),
    ],
    ids=["nothing", "files", "hosts", "programs", "a server"],
)
@pytest.mark.parametrize("answered", [True, False])
def test_a_tool_of_which_it_is_known_what_it_does_ran_no_tests(
    how: dict[str, Any], word: tuple[str, str | None], answered: bool
) -> None:
    s = Scenario()
    intent = s.intent("other", tool="mystery", **how)
    if answered:
        s.answers(intent)
    assert s.says(s.passed()) == word


def test_a_command_for_a_container_of_which_nothing_was_seen_is_handed_off() -> None:
    s = Scenario()
    s.answers(s.asks("docker exec c pytest", hand_off="docker"))
    assert s.says(s.passed()) == unverifiable("handed_off")


def test_a_command_that_is_delegated_may_be_run_by_an_agent_that_was_not_seen() -> None:
    for seen in (False, True):
        s = Scenario()
        intent = s.intent("delegate", executions=(expect("pytest"),))
        if seen:
            s.call()
        s.answers(intent)
        assert s.says(intent) == (NOT_RUN if seen else unverifiable("handed_off"))


def test_a_job_that_was_left_is_not_the_command_that_was_asked_for() -> None:
    s = Scenario()
    intent = s.asks("pytest")
    s.file(s.agent, "create", "/home/me/queue/1.job")
    s.answers(intent)
    assert s.says(intent) == NOT_RUN
    assert s.says(s.passed()) == unverifiable("handed_off")


# --- copies of the agent, and what is about to run ----------------------------------------------------------


@pytest.mark.parametrize("topic", ["tests_run", "tests_passed"])
def test_a_copy_of_the_agent_at_work_may_run_tests_in_its_own_code(topic: str) -> None:
    for tried in (False, True):
        s = Scenario()
        s.call()
        s.runs(None, "ls")
        copy = s.fork()
        if tried:
            s.add(e.ExecFailed, process=copy, path="/usr/bin/pytest", errno=2)
        assert s.says(s.claims(topic)) == (NOT_RUN if tried else OPEN)


@pytest.mark.parametrize("topic", ["tests_run", "tests_passed"])
def test_so_does_a_copy_of_an_agent_that_was_at_work_before_it_was_watched(topic: str) -> None:
    s = Scenario()
    s.log = [event for event in s.log if not isinstance(event, e.Exec)]
    s.call()
    s.fork()
    assert s.says(s.claims(topic)) == OPEN


@pytest.mark.parametrize(("later", "word"), [(0, OPEN), (1, NOT_RUN)])
def test_a_copy_that_was_made_by_the_claim_counts(later: int, word: tuple[str, str | None]) -> None:
    s = Scenario()
    s.call()
    claim = s.passed()
    s.log.insert(-2, e.Fork(session=s.name, ts=claim.ts + later, seq=99, process=s.agent, child="200:1"))
    assert s.says(claim) == word


@pytest.mark.parametrize(("later", "word"), [(0, NOT_RUN), (1, OPEN)])
def test_a_copy_that_tried_to_become_something_else_by_the_claim_is_none(
    later: int, word: tuple[str, str | None]
) -> None:
    s = Scenario()
    s.call()
    copy = s.fork()
    claim = s.passed()
    failed = e.ExecFailed(
        session=s.name, ts=claim.ts + later, seq=99, process=copy, path="/usr/bin/x", errno=2
    )
    s.log.insert(-2, failed)
    assert s.says(claim) == word


@pytest.mark.parametrize(("before", "word"), [(0, OPEN), (1, NOT_RUN)])
def test_a_copy_that_was_made_before_the_model_was_asked_does_not_do_what_it_asked_for(
    before: int, word: tuple[str, str | None]
) -> None:
    s = Scenario()
    s.call()
    intent = s.asks("pytest")
    asked = next(x for x in s.log if isinstance(x, e.LlmCall) and x.call == intent.call).request_ts
    s.add(e.Fork, process=s.agent, child="200:1", ts=asked - before)
    s.answers(intent)
    assert s.says(intent) == word


@pytest.mark.parametrize(
    ("chain", "word"),
    [
        ((("sh", "-c", "TEXT"), ()), "still_running"),
        ((("sh", "-c", "TEXT"), ("xargs", "pytest"), ()), "still_running"),
        ((("sh", "-c", "TEXT"), ("timeout", "60", "pytest")), "still_running"),
        ((("sh", "-c", "TEXT"), ("timeout", "60", "sleep", "50"), ("sleep", "50")), "no_execution"),
        ((("sh", "-c", "TEXT"), ("sleep", "50")), "no_execution"),
        ((("sleep", "50"), ()), "still_running"),
        ((("ruff", "check"), ()), "no_execution"),
    ],
)
def test_what_stands_below_a_shell_may_be_about_to_run_its_program(
    chain: tuple[tuple[str, ...], ...], word: str
) -> None:
    """(): a copy that executed nothing."""
    s = Scenario()
    s.call()
    above: str | None = None
    for argv in chain:
        above = s.program(above, *argv) if argv else s.fork(above)
    assert s.says(s.claims("tests_run"))[1] == word


@pytest.mark.parametrize(("later", "word"), [(0, "still_running"), (1, "no_execution")])
def test_a_subshell_that_was_made_by_the_claim_counts(later: int, word: str) -> None:
    s = Scenario()
    s.call()
    shell = s.program(None, "sh", "-c", "TEXT")
    claim = s.claims("tests_run")
    s.log.insert(-2, e.Fork(session=s.name, ts=claim.ts + later, seq=99, process=shell, child="200:1"))
    assert s.says(claim)[1] == word


@pytest.mark.parametrize(("later", "word"), [(0, "no_execution"), (1, "still_running")])
def test_a_wrapper_that_had_started_its_program_by_the_claim_waits_for_it(later: int, word: str) -> None:
    s = Scenario()
    s.call()
    timeout = s.program(s.program(None, "sh", "-c", "TEXT"), "timeout", "60", "sleep", "50")
    claim = s.claims("tests_run")
    s.program(timeout, "sleep", "50")
    made, ran = s.log[-2:]
    s.log[-2:] = []
    s.log[-2:-2] = [msgspec.structs.replace(event, ts=claim.ts + later) for event in (made, ran)]
    assert s.says(claim)[1] == word


def test_that_a_command_was_run_does_not_say_that_it_has_ended() -> None:
    s = Scenario()
    s.call()
    s.fork(s.program(None, "sh", "-c", "TEXT"))
    assert s.says(s.claims("command_run", targets=("pytest",))) == unverifiable("still_running")


def test_a_script_that_ran_instead_of_what_was_asked_for_may_be_that() -> None:
    """Whether it did anything is asked only of what is said to have gone well."""
    s = Scenario()
    s.call()
    s.file(s.agent, "create", "/repo/count.py")
    intent = s.asks("ruff check")
    script = s.program(None, "python3", "count.py")
    s.reads(script, "/repo/count.py")
    s.exits(script)
    s.answers(intent)
    s.file(s.agent, "write", "/repo/a.py")
    assert s.says(intent) == OPEN


# --- told late ----------------------------------------------------------------------------------------------


def test_a_program_that_is_told_late_counts_for_what_is_claimed_then() -> None:
    s = Scenario()
    s.call()
    before = s.now
    s.runs(None, "ls")
    first = s.passed()
    argv = ("python3", "run_all.py")
    s.add(e.Exec, process="200:1", parent=s.agent, path="/usr/bin/python3", argv=argv, cwd="/repo", ts=before)
    assert s.says(first) == NOT_RUN
    assert s.says(s.passed()) == OPEN


def test_that_a_program_opened_a_test_may_be_told_late() -> None:
    s = Scenario()
    s.call()
    run = s.program(None, "python3", "-c", "print(1)")
    first = s.passed(tests=[TEST])
    s.reads(run, TEST)
    assert s.says(first) == NOT_RUN
    assert s.says(s.passed(tests=[TEST])) == OPEN


def test_that_a_model_was_asked_before_may_be_told_late() -> None:
    """What ran before the first request is the harness's own."""
    s = Scenario()
    before = s.now
    s.now += STEP
    s.runs(None, "python3", "run_all.py")
    first = s.passed()
    asked = {"api": "openai.chat", "host": "api.test", "request_ts": before, "status": 200}
    s.add(e.LlmCall, call="other", process=s.agent, **asked)
    assert s.says(first) == NOT_RUN
    assert s.says(s.passed()) == OPEN


# --- after a failure ----------------------------------------------------------------------------------------


def test_what_the_agent_runs_of_itself_and_what_was_followed_hide_nothing_of_what_comes_then() -> None:
    for between in (("uname", "-a"), ("ssh", "localhost", "ls")):
        for again, word in ((("python3", "run_tests.py"), OPEN), (("ls",), refuted("failed"))):
            s = Scenario()
            s.runs(None, "uname", "-a")
            s.does("pytest", status=1)
            if between[0] == "ssh":
                hands(s, between, "ssh", "ls")
            else:
                s.runs(None, *between)
            s.does(*again)
            assert s.says(s.passed()) == word


@pytest.mark.parametrize(("later", "word"), [(0, OPEN), (1, NOT_RUN)])
def test_a_tool_that_was_called_by_the_claim_counts(later: int, word: tuple[str, str | None]) -> None:
    s = Scenario()
    s.call()
    claim = s.passed()
    s.intent("other", tool="mystery", ts=claim.ts + later)
    s.log[-3:] = [s.log[-1], *s.log[-3:-1]]
    assert s.says(claim) == word


@pytest.mark.parametrize(("before", "word"), [(0, OPEN), (1, refuted("failed"))])
def test_a_tool_that_was_called_when_it_failed_may_have_put_it_right(
    before: int, word: tuple[str, str | None]
) -> None:
    s = Scenario()
    s.call()
    run = s.program(None, "pytest")
    end = s.exits(run, 1)
    s.intent("other", tool="mystery", ts=end.ts - before)
    assert s.says(s.passed()) == word
