"""Claims on runs: each reason given when it must be, and withheld when it must not."""

import pytest

from polygraph import events as e
from polygraph.openings import Opening, packed
from tests.correlator.scenario import PYTHON, VERIFIED, Scenario, expect, refuted, unverifiable


def test_a_run_that_passed_verifies() -> None:
    s = Scenario()
    s.does("pytest", "-q", reads=["/repo/calc.py"])
    assert s.says(s.passed()) == VERIFIED


def test_no_run_and_nothing_else_is_no_execution() -> None:
    s = Scenario()
    s.does("ls", "-la")
    assert s.says(s.passed()) == refuted("no_execution")


def test_what_ran_instead_is_named_and_cited() -> None:
    s = Scenario()
    s.does("ls", "-la")
    ls = next(event for event in reversed(s.log) if isinstance(event, e.Exec))
    shell = s.shell(s.asks("pytest"))
    s.add(e.ExecFailed, process=shell, path="/usr/local/bin/ls", errno=2)
    tried = s.add(e.ExecFailed, process=shell, path="/usr/bin/pytest", errno=2)
    verdict = s.on(s.passed())
    assert verdict.observed == "no test run was seen: only agent, ls and sh ran"
    cited = [item.id for item in verdict.evidence]
    assert tried.id in cited and ls.id in cited and len(cited) == 4


def test_no_tool_call_at_all_is_no_execution() -> None:
    s = Scenario()
    assert s.says(s.passed()) == refuted("no_execution")


def test_a_failing_run_refutes_a_pass() -> None:
    s = Scenario()
    s.does("pytest", "-q", status=1)
    assert s.says(s.passed()) == refuted("failed")


def test_a_run_killed_by_a_signal_refutes_a_pass() -> None:
    s = Scenario()
    intent = s.asks("pytest")
    shell = s.shell(intent)
    p = s.program(shell, "pytest")
    s.exits(p, signal=9)
    s.exits(shell, 137)
    s.answers(intent)
    assert s.says(s.passed()) == refuted("failed")


def test_a_pipeline_that_reports_zero_masks_the_failure() -> None:
    s = Scenario()
    intent = s.asks(expect("pytest -q", masked=True), "tail -3")
    shell = s.shell(intent)
    p = s.program(shell, "pytest", "-q")
    s.runs(shell, "tail", "-3")
    s.exits(p, 1)
    s.exits(shell, 0)
    s.answers(intent, status=0)
    assert s.says(intent) == VERIFIED, "the command did run, and its shell did report 0"
    assert s.says(s.passed()) == refuted("masked_exit")


def test_a_wrapper_that_hides_its_failing_runner_masks_it() -> None:
    s = Scenario()
    intent = s.asks("make test")
    shell = s.shell(intent)
    make = s.program(shell, "make", "test")
    s.runs(make, "pytest", status=1)
    s.exits(make, 0)
    s.exits(shell, 0)
    s.answers(intent)
    assert s.says(s.passed()) == refuted("masked_exit")


def test_a_failing_wrapper_is_a_failure_even_if_its_runner_is_not_seen() -> None:
    s = Scenario()
    s.does("make", "test", status=2)
    assert s.says(s.passed()) == refuted("failed")


def test_a_runner_below_a_runner_is_its_own_business() -> None:
    """A test suite of a test tool starts failing runs on purpose."""
    s = Scenario()
    intent = s.asks("pytest")
    shell = s.shell(intent)
    p = s.program(shell, "pytest")
    s.runs(p, "pytest", "failing.py", status=1)
    s.exits(p, 0)
    s.exits(shell, 0)
    s.answers(intent)
    assert s.says(s.passed()) == VERIFIED


def test_pytest_5_is_an_empty_run() -> None:
    s = Scenario()
    s.does("pytest", status=5)
    assert s.says(s.passed()) == refuted("empty_run")
    assert s.says(s.claims("tests_run")) == refuted("empty_run")


def test_collect_only_is_an_empty_run() -> None:
    s = Scenario()
    s.does("pytest", "--collect-only")
    assert s.says(s.passed()) == refuted("empty_run")


def test_collect_only_beside_an_unknown_program_is_not_called_empty() -> None:
    s = Scenario()
    s.does("pytest", "--collect-only")
    s.does("python3", "run_all.py")
    assert s.says(s.passed()) == unverifiable("form_unknown")


def test_collect_only_before_a_real_run_does_not_count() -> None:
    s = Scenario()
    s.does("pytest", "--collect-only")
    s.does("pytest")
    assert s.says(s.passed()) == VERIFIED


def test_an_empty_selection_after_a_real_run_does_not_accuse() -> None:
    s = Scenario()
    s.does("pytest")
    s.does("pytest", "-k", "nothing", status=5)
    assert s.says(s.passed()) == VERIFIED


def test_a_make_target_that_only_echoes_is_an_empty_run() -> None:
    s = Scenario()
    intent = s.asks("make test")
    shell = s.shell(intent)
    make = s.program(shell, "make", "test")
    s.runs(make, "echo", "12 passed")
    s.exits(make, 0)
    s.exits(shell, 0)
    s.answers(intent)
    assert s.says(s.passed()) == refuted("empty_run")


def test_a_make_target_with_an_unknown_program_is_believed() -> None:
    s = Scenario()
    intent = s.asks("make test")
    shell = s.shell(intent)
    make = s.program(shell, "make", "test")
    s.runs(make, "/repo/build/unit_tests")
    s.exits(make, 0)
    s.exits(shell, 0)
    s.answers(intent)
    assert s.says(s.passed()) == VERIFIED


def test_still_running_at_the_claim() -> None:
    s = Scenario()
    intent = s.asks(expect("pytest", background=True), background=True)
    shell = s.shell(intent)
    p = s.program(shell, "pytest")
    s.answers(intent)
    claim = s.passed()
    s.exits(p, 0)
    assert s.says(claim) == unverifiable("still_running")


def test_a_background_run_that_ended_before_the_claim_counts() -> None:
    s = Scenario()
    intent = s.asks(expect("pytest", background=True), background=True)
    shell = s.shell(intent)
    p = s.program(shell, "pytest")
    s.answers(intent)
    s.exits(p, 1)
    s.exits(shell, 0)
    assert s.says(s.passed()) == refuted("masked_exit")


def test_a_later_failure_supersedes_an_earlier_pass() -> None:
    s = Scenario()
    s.does("pytest")
    s.does("pytest", status=1)
    assert s.says(s.passed()) == refuted("superseded_by_failure")


def test_fail_fix_pass_is_verified() -> None:
    s = Scenario()
    s.does("pytest", status=1, reads=["/repo/calc.py"])
    s.writes("/repo/calc.py")
    s.does("pytest", reads=["/repo/calc.py"])
    assert s.says(s.passed()) == VERIFIED


def test_a_failure_in_another_directory_does_not_accuse() -> None:
    s = Scenario()
    s.does("pytest", cwd="/repo/a", status=1)
    s.does("pytest", cwd="/repo/b")
    assert s.says(s.passed()) == unverifiable("ambiguous")
    s.does("pytest", cwd="/repo/a", status=1)
    assert s.says(s.passed(targets=("b",))) == VERIFIED
    assert s.says(s.passed()) == unverifiable("ambiguous") or s.says(s.passed())[0] == "refuted"


@pytest.mark.parametrize(
    ("tells", "change", "word"),
    [
        (("whole",), None, refuted("subset")),
        ((), None, unverifiable("ambiguous")),
        (("whole",), "/repo/a.js", unverifiable("ambiguous")),
    ],
)
def test_passing_a_part_below_a_wrapper_after_the_whole_failed(
    tells: tuple[str, ...], change: str | None, word: tuple[str, str]
) -> None:
    s = Scenario()

    def ran(*argv: str, status: int) -> None:
        intent = s.asks(" ".join(argv))
        shell = s.shell(intent)
        npm = s.program(shell, *argv)
        s.runs(npm, "node", "--test", *argv[3:], status=status)
        s.exits(npm, status)
        s.exits(shell, status)
        s.answers(intent)

    ran("npm", "test", status=1)
    if change is not None:
        s.writes(change)
    ran("npm", "test", "--", "--test-name-pattern=zero", status=0)
    assert s.says(s.passed(tells=tells)) == word


def test_passing_a_part_after_the_whole_failed_is_not_believed_and_not_accused() -> None:
    s = Scenario()
    s.does("pytest", status=1)
    s.does("pytest", "-k", "easy")
    assert s.says(s.passed()) == unverifiable("ambiguous")


def test_an_edit_of_what_the_run_had_opened_makes_it_stale() -> None:
    s = Scenario()
    s.does("pytest", reads=["/repo/calc.py", "/repo/test_calc.py"])
    s.writes("/repo/calc.py")
    assert s.says(s.passed()) == refuted("stale")


def test_an_edit_elsewhere_does_not() -> None:
    s = Scenario()
    s.does("pytest", reads=["/repo/calc.py"])
    s.writes("/repo/README.md")
    assert s.says(s.passed()) == VERIFIED


def test_a_rename_over_a_file_that_was_read_before_makes_it_stale() -> None:
    s = Scenario()
    look = s.intent("read", files=(e.ExpectedFile(path="/repo/calc.py", op="read"),))
    s.reads(s.agent, "/repo/calc.py")
    s.answers(look)
    s.looks(look, "/repo/calc.py")
    s.does("pytest", reads=["/repo/calc.py"])
    s.replaces(s.agent, "/repo/calc.py")
    assert s.says(s.passed()) == refuted("stale")


def test_a_rename_over_a_file_of_unknown_inode_is_ambiguous() -> None:
    s = Scenario()
    s.does("pytest", reads=["/repo/calc.py"])
    s.replaces(s.agent, "/repo/other.txt")
    assert s.says(s.passed()) == unverifiable("ambiguous")


def test_a_rename_over_an_entry_that_the_run_had_opened_makes_it_stale() -> None:
    s = Scenario()
    s.entries = True
    s.does("pytest", reads=["/repo/calc.py", "/repo/test_calc.py"])
    s.replaces(s.agent, "/repo/calc.py")
    assert s.says(s.passed()) == refuted("stale")


def test_a_rename_over_an_entry_that_it_had_not_opened_does_not() -> None:
    s = Scenario()
    s.entries = True
    s.reads(s.agent, "/repo/notes.txt")
    s.does("pytest", reads=["/repo/calc.py"])
    s.replaces(s.agent, "/repo/notes.txt")
    assert s.says(s.passed()) == VERIFIED


def test_a_rename_after_a_run_that_opened_something_by_an_unknown_name_is_ambiguous() -> None:
    s = Scenario()
    s.entries = True
    run = s.program(None, "pytest", cwd="/repo")
    s.reads(run, "/repo/calc.py")
    s.add(e.Reads, rows=packed([Opening(run, 1, 4711, s.now)]))
    s.exits(run)
    s.replaces(s.agent, "/repo/other.txt")
    assert s.says(s.passed()) == unverifiable("ambiguous")


@pytest.mark.parametrize("above", ["/repo/src", "/repo"])
def test_an_entry_of_a_directory_that_was_made_anew_may_be_another(above: str) -> None:
    """The number of a directory's inode goes to another one when it is removed."""
    s = Scenario()
    s.entries = True
    s.does("pytest", reads=["/repo/src/calc.py"])
    s.add(e.File, process=s.agent, op="rmdir", path=above, resolved=False)
    s.add(e.File, process=s.agent, op="mkdir", path=above, resolved=False)
    s.replaces(s.agent, "/repo/src/calc.py")
    assert s.says(s.passed()) == unverifiable("ambiguous")


def test_a_compiled_module_stands_for_its_source() -> None:
    s = Scenario()
    intent = s.asks("pytest")
    shell = s.shell(intent)
    first = s.program(shell, "pytest")
    s.file(first, "create", "/repo/__pycache__/calc.cpython-311.pyc")
    s.exits(first, 1)
    s.exits(shell, 1)
    s.answers(intent)
    s.does("pytest", reads=["/repo/__pycache__/calc.cpython-311.pyc"])
    s.writes("/repo/calc.py")
    assert s.says(s.passed()) == refuted("stale")


def test_caches_logs_and_another_test_run_do_not_make_it_stale() -> None:
    s = Scenario()
    s.does("pytest", reads=["/repo/.coverage", "/repo/.pytest_cache/v", "/repo/run.log", "/repo/fixture.db"])
    for path in ("/repo/.coverage", "/repo/.pytest_cache/v", "/repo/run.log"):
        s.file(s.agent, "write", path)
    intent = s.asks("jest")
    shell = s.shell(intent)
    jest = s.program(shell, "jest")
    s.file(jest, "write", "/repo/fixture.db")
    s.exits(jest, 0)
    s.exits(shell, 0)
    s.answers(intent)
    assert s.says(s.passed(tool="pytest")) == VERIFIED


def test_git_that_touches_a_dependency_is_ambiguous() -> None:
    s = Scenario()
    s.does("pytest", reads=["/repo/calc.py"])
    p = s.program(None, "git", "stash", "pop")
    s.file(p, "write", "/repo/calc.py")
    s.exits(p)
    assert s.says(s.passed()) == unverifiable("ambiguous")


def test_an_inode_number_that_was_used_again_accuses_nobody() -> None:
    s = Scenario()
    s.does("pytest", reads=["/repo/gone.tmpl"])
    s._inodes["/repo/new.py"] = s.inode("/repo/gone.tmpl")
    s.file(s.agent, "create", "/repo/new.py")
    s.file(s.agent, "write", "/repo/new.py")
    assert s.says(s.passed()) == VERIFIED


def test_a_claim_of_failure_is_not_held_against_a_pessimist() -> None:
    s = Scenario()
    s.does("pytest")
    assert s.says(s.claims("tests_failed", "failed")) == unverifiable("ambiguous")


def test_a_claim_of_failure_is_verified_by_a_failure() -> None:
    s = Scenario()
    s.does("pytest", status=1)
    assert s.says(s.claims("tests_failed", "failed")) == VERIFIED


def test_repeating_the_users_report_of_a_failure_is_no_lie() -> None:
    s = Scenario()
    assert s.says(s.claims("tests_failed", "failed")) == unverifiable("ambiguous")


def test_that_tests_were_run_holds_when_they_failed() -> None:
    s = Scenario()
    s.does("pytest", status=1)
    assert s.says(s.claims("tests_run")) == VERIFIED


def test_another_runner_than_the_named_one_is_ambiguous() -> None:
    s = Scenario()
    s.does("jest")
    assert s.says(s.passed(tool="pytest")) == unverifiable("ambiguous")


def test_a_named_tool_is_not_vouched_for_by_another_runner() -> None:
    s = Scenario()
    s.does("pytest")
    assert s.says(s.claims("tests_run", "ok", tool="npm-test")) == unverifiable("ambiguous")
    assert s.says(s.claims("tests_run", tool="npm-test")) == unverifiable("ambiguous")
    s.does("pytest", status=1)
    assert s.says(s.passed(tool="npm-test")) == unverifiable("ambiguous")


def test_a_named_tool_below_a_wrapper_is_that_tool() -> None:
    s = Scenario()
    intent = s.asks("make test")
    shell = s.shell(intent)
    make = s.program(shell, "make", "test")
    s.runs(make, "pytest")
    s.runs(make, "ruff", "check", status=1)
    s.exits(make, 2)
    s.exits(shell, 2)
    s.answers(intent, status=2)
    assert s.says(s.passed(tool="pytest")) == VERIFIED
    assert s.says(s.passed(tool="jest")) == unverifiable("ambiguous")
    assert s.says(s.passed()) == unverifiable("ambiguous"), "the wrapper failed, its tests did not"


def test_one_environment_that_failed_is_not_made_good_by_the_next() -> None:
    s = Scenario()
    intent = s.asks("tox")
    shell = s.shell(intent)
    tox = s.program(shell, "tox")
    s.runs(tox, "pytest", status=1)
    s.runs(tox, "pytest")
    s.exits(tox, 1)
    s.exits(shell, 1)
    s.answers(intent, status=1)
    assert s.says(s.passed(tool="pytest"))[0] != "verified"


def test_a_run_whose_end_was_lost_is_no_success() -> None:
    s = Scenario()
    intent = s.asks("pytest")
    s.program(s.shell(intent), "pytest")
    s.answers(intent)
    s.does("pytest", "-k", "nothing", status=5)
    assert s.says(s.passed()) == unverifiable("still_running")


def test_an_empty_run_accuses_only_where_a_full_one_would_have_been_seen() -> None:
    s = Scenario()
    s.does("pytest", status=5)
    s.add(e.Loss, dimension="process", cause="ring", count=1, since=s.now)
    s.does("pytest", "--collect-only")
    assert s.says(s.passed()) == unverifiable("records_lost")


def test_two_empty_runs_are_as_empty_as_one() -> None:
    s = Scenario()
    s.does("pytest", status=5)
    s.does("pytest", "-q", status=5)
    assert s.says(s.passed()) == refuted("empty_run")


@pytest.mark.parametrize(
    ("argv", "topic", "outcome", "reason"),
    [
        (("pytest", "--collect-only"), "tests_passed", "ok", "empty_run"),
        (("git", "push", "--dry-run"), "push", None, "not_transferred"),
    ],
)
def test_what_had_not_begun_when_it_was_told_to_be_done_has_not_done_it(
    argv: tuple[str, ...], topic: str, outcome: str | None, reason: str
) -> None:
    s = Scenario()
    s.does(*argv)
    s.fork(s.shell(s.asks("./wait.sh", background=True)))
    assert s.says(s.claims(topic, outcome)) == refuted(reason)


def test_what_had_not_begun_may_run_what_is_told_to_be_running() -> None:
    s = Scenario()
    s.does("pytest", "--collect-only")
    s.fork(s.shell(s.asks("./wait.sh", background=True)))
    assert s.says(s.claims("tests_run")) == unverifiable("still_running")


def test_a_forged_tool_result_is_no_execution() -> None:
    s = Scenario()
    intent = s.asks("pytest -q")
    s.answers(intent, status=0)
    claim = s.passed(source="tool_result", intent=intent)
    assert s.says(claim) == refuted("no_execution")
    assert s.says(intent) == refuted("no_execution")


def test_a_tool_result_is_judged_on_its_own_call() -> None:
    s = Scenario()
    s.does("pytest")
    second = s.does("pytest", status=1)
    assert s.says(s.passed(source="tool_result", intent=second)) == refuted("failed")


def test_a_session_watched_late_accuses_nobody_of_not_running() -> None:
    s = Scenario(origin="watch")
    assert s.says(s.passed()) == unverifiable("late_enrolment")


def test_a_run_in_an_interpreter_of_another_version_is_the_same_tool() -> None:
    s = Scenario()
    s.does(PYTHON, "-m", "pytest", "-q", status=1)
    s.does("pytest")
    assert s.says(s.passed()) == VERIFIED


def test_a_commit_that_failed_is_none_though_git_ran() -> None:
    for topic, words in (("commit", ("commit", "-m", "x")), ("push", ("push", "origin"))):
        s = Scenario()
        s.does("git", *words, status=1)
        assert s.says(s.claims(topic)) == refuted("failed"), topic
        assert s.says(s.claims(topic, tool=f"git-{topic}")) == unverifiable("ambiguous"), (
            "it says that git ran"
        )
        s.does("git", *words)
        assert s.says(s.claims(topic)) == VERIFIED, topic


def test_to_have_installed_it_is_to_say_that_it_was_done() -> None:
    s = Scenario()
    s.does("npm", "ci", status=1)
    assert s.says(s.claims("install")) == refuted("failed")
    assert s.says(s.claims("install", tool="npm-install")) == unverifiable("ambiguous")


def test_an_unknown_script_of_a_telling_name_may_have_put_it_right() -> None:
    for again in (("python3", "run_tests.py"), ("./check.sh",), ("python3", "-"), ("docker", "run", "x")):
        s = Scenario()
        s.does("pytest", status=1)
        s.does(*again)
        assert s.says(s.passed())[0] == "unverifiable", again
    for other in (("python3", "app.py"), ("ls",), ("./app",), ("git", "status")):
        s = Scenario()
        s.does("pytest", status=1)
        s.does(*other)
        assert s.says(s.passed()) == refuted("failed"), other


def test_a_script_before_the_failure_does_not_excuse_it() -> None:
    s = Scenario()
    s.does("python3", "run_tests.py")
    s.does("pytest", status=1)
    assert s.says(s.passed()) == refuted("failed")


def test_a_runner_that_is_a_script_of_a_shell_is_the_same_wherever_it_lies() -> None:
    """`bats` goes on as another script of its name; one that was stopped before had not come to that."""
    s = Scenario()
    s.call()
    first = s.program(None, "bash", "/usr/bin/bats", "test.bats")
    s.exits(first, None, 15)
    second = s.program(None, "bash", "/usr/bin/bats", "test.bats")
    s.execs(second, "bash", "/usr/libexec/bats-core/bats", "test.bats")
    s.exits(second, 0)
    assert s.says(s.passed()) == VERIFIED
