"""Tool calls that run commands: what was joined to them, the status that was told, and what may have run unseen."""

from __future__ import annotations

from typing import Any

import pytest

from polygraph import events as e
from tests.correlator.scenario import VERIFIED, Scenario, expect, refuted, unverifiable

AMBIGUOUS = unverifiable("ambiguous")
FORM_UNKNOWN = unverifiable("form_unknown")
NO_EXECUTION = refuted("no_execution")


def lost(s: Scenario, since: int = 0) -> None:
    s.add(e.Loss, dimension="process", cause="ring", count=1, since=since)


# --- what was joined ------------------------------------------------------------------------------------


def test_a_part_of_what_was_asked_for_is_not_all_of_it() -> None:
    s = Scenario()
    intent = s.asks("grep needle", "sort")
    s.runs(None, "grep", "needle")
    s.answers(intent, status=0)
    verdict = s.on(intent)
    assert (verdict.verdict, verdict.reason, len(verdict.evidence)) == (*FORM_UNKNOWN, 1)


def test_what_did_not_have_to_run_may_be_missing() -> None:
    s = Scenario()
    intent = s.asks("grep needle", expect("sort", conditional=True))
    s.runs(None, "grep", "needle")
    s.answers(intent)
    assert s.says(intent) == VERIFIED
    assert s.on(intent).grade == "strong"


def test_one_weak_join_among_several_makes_it_weak() -> None:
    s = Scenario()
    intent = s.asks("grep needle", "sort -u")
    s.runs(None, "grep", "other")
    s.runs(None, "sort", "-u")
    s.answers(intent)
    assert (s.says(intent), s.on(intent).grade) == (VERIFIED, "weak")


def test_the_last_shell_of_a_command_is_judged_and_shown() -> None:
    s = Scenario()
    intent = s.asks("pytest")
    first, last = s.shell(intent), s.shell(intent)
    s.runs(last, "pytest")
    s.exits(first, 1)
    s.answers(intent)
    assert s.says(intent) == unverifiable("still_running")
    s.exits(last)
    assert s.says(intent) == unverifiable("still_running"), "it ended after the result"


def test_it_is_shown_by_the_shell_by_what_ran_in_it_and_by_its_end() -> None:
    s = Scenario()
    intent = s.asks(*["ls"] * 8)
    shell = s.shell(intent)
    for _ in range(8):
        s.runs(shell, "ls")
    s.exits(shell)
    s.answers(intent)
    facts = [one.fact for one in s.on(intent).evidence]
    assert len(facts) == 8
    assert sum("ls" in fact for fact in facts) == 6


def test_a_command_that_was_tried_again_is_shown_by_what_ran_in_the_last_try() -> None:
    s = Scenario()
    intent = s.asks("curl x", "jq y")
    s.runs(s.shell(intent), "curl", "x", status=6)
    last = s.shell(intent)
    curl = s.program(last, "curl", "x")
    ran = s.log[-1].id
    s.exits(curl)
    s.exits(last)
    s.answers(intent)
    assert s.says(intent) == VERIFIED
    assert [one.id for one in s.on(intent).evidence][1] == ran


def test_a_tool_is_known_by_another_name_and_by_what_it_is_asked_for() -> None:
    """``python -m pytest`` may come to run pytest's own script, and ``npm ci`` is no ``npm test``."""
    for asked, ran, word in (
        ("python -m pytest", ("pytest",), VERIFIED),
        ("npm test", ("npm", "test"), VERIFIED),
        ("npm test", ("npm", "ci"), NO_EXECUTION),
    ):
        s = Scenario()
        intent = s.asks(asked)
        s.runs(None, *ran)
        s.answers(intent)
        assert s.says(intent) == word, asked


def test_a_name_is_enough_where_the_line_does_not_say_which_tool_it_is() -> None:
    s = Scenario()
    intent = s.asks("python3 $RUNNER -q")
    s.runs(None, "pytest", "-q")
    s.answers(intent)
    assert (s.says(intent), s.on(intent).grade) == (VERIFIED, "strong")


def test_the_file_that_a_program_looks_at_is_not_the_program() -> None:
    s = Scenario()
    intent = s.asks("pytest")
    s.runs(None, "cat", "pytest")
    s.answers(intent)
    assert s.says(intent) == NO_EXECUTION


@pytest.mark.parametrize(
    ("asked", "ran", "grade"),
    [
        ("grep needle *.py", ("grep", "needle", "a.py", "b.py"), "strong"),
        ("grep needle *.py", ("grep", "other", "a.py"), "weak"),
        ("grep needle", ("/usr/bin/grep", "needle"), "strong"),
    ],
)
def test_words_that_the_shell_changes_are_not_looked_for(
    asked: str, ran: tuple[str, ...], grade: str
) -> None:
    s = Scenario()
    intent = s.asks(asked)
    s.runs(None, *ran)
    s.answers(intent)
    assert (s.says(intent), s.on(intent).grade) == (VERIFIED, grade)


# --- still at work --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "answer", "word"),
    [
        ({}, {}, unverifiable("still_running")),
        ({}, {"error": True}, VERIFIED),
        ({}, None, VERIFIED),
        ({"background": True}, {}, VERIFIED),
    ],
    ids=["answered", "error", "no answer", "background"],
)
def test_a_command_that_had_not_ended(
    how: dict[str, Any], answer: dict[str, Any] | None, word: tuple[str, str | None]
) -> None:
    s = Scenario()
    intent = s.asks("sleep 100", **how)
    s.program(s.shell(intent), "sleep", "100")
    if answer is not None:
        s.answers(intent, **answer)
    verdict = s.on(intent)
    assert (verdict.verdict, verdict.reason, verdict.grade) == (*word, "exact")


def test_a_program_that_was_put_in_the_background_need_not_end() -> None:
    for background in (True, False):
        s = Scenario()
        intent = s.asks(expect("sleep 100", background=background))
        s.program(s.shell(intent), "sleep", "100")
        s.answers(intent)
        assert s.says(intent) == (VERIFIED if background else unverifiable("still_running"))


# --- the status that was told ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("real", "told", "error", "word"),
    [
        (0, 0, False, VERIFIED),
        (1, 1, False, VERIFIED),
        (1, 2, False, VERIFIED),
        (1, None, False, VERIFIED),
        (1, 0, False, refuted("failed")),
        (1, 0, True, VERIFIED),
        (0, 1, False, AMBIGUOUS),
        (141, 0, False, VERIFIED),
    ],
)
def test_the_status_that_was_told_and_the_real_one(
    real: int, told: int | None, error: bool, word: tuple[str, str | None]
) -> None:
    s = Scenario()
    intent = s.asks("make x")
    shell = s.shell(intent)
    s.exits(shell, real)
    s.answers(intent, status=told, error=error)
    verdict = s.on(intent)
    assert (verdict.verdict, verdict.reason, verdict.grade) == (*word, "exact")
    assert len(verdict.evidence) == 2


def test_a_command_that_ended_and_was_not_answered_told_no_status() -> None:
    s = Scenario()
    intent = s.asks("make x")
    s.exits(s.shell(intent), 1)
    assert s.says(intent) == VERIFIED


@pytest.mark.parametrize(("signal", "word"), [(9, refuted("failed")), (13, VERIFIED)])
def test_a_signal_is_a_status_as_well(signal: int, word: tuple[str, str | None]) -> None:
    s = Scenario()
    intent = s.asks("make x")
    s.exits(s.shell(intent), signal=signal)
    s.answers(intent, status=0)
    assert s.says(intent) == word


def test_a_status_that_was_told_is_not_held_against_anyone_where_records_were_lost() -> None:
    s = Scenario()
    intent = s.asks("make x")
    s.exits(s.shell(intent), 1)
    s.answers(intent, status=0)
    lost(s)
    verdict = s.on(intent)
    assert (verdict.verdict, verdict.reason, verdict.grade) == (*unverifiable("records_lost"), "exact")


def test_of_two_shells_of_one_command_nobody_knows_whose_status_was_told() -> None:
    s = Scenario()
    intent = s.asks("make x")
    for status in (0, 1):
        s.exits(s.shell(intent), status)
    s.answers(intent, status=0)
    assert s.says(intent) == VERIFIED


def alone(
    s: Scenario, *expected: e.Execution | str, status: int, argv: tuple[str, ...] = ("make", "x")
) -> e.Intent:
    """A command of which no shell was seen; 0 is told."""
    intent = s.asks(*expected)
    s.runs(None, *argv, status=status)
    s.answers(intent, status=0)
    return intent


def test_without_a_shell_one_program_tells() -> None:
    s = Scenario()
    intent = alone(s, "make x", status=2)
    verdict = s.on(intent)
    assert (verdict.verdict, verdict.reason, verdict.grade) == (*refuted("failed"), "strong")
    s = Scenario()
    assert s.says(alone(s, "cd /repo", "make x", status=2)) == refuted("failed"), "a builtin is none"


@pytest.mark.parametrize(
    "expected",
    [
        (expect("make x", masked=True),),
        (expect("make x", conditional=True),),
        ("make y",),
        ("make x", expect("sort", conditional=True)),
    ],
    ids=["masked", "conditional", "weak", "several"],
)
def test_without_a_shell_the_status_of_a_program_may_not_be_the_commands(
    expected: tuple[e.Execution | str, ...],
) -> None:
    s = Scenario()
    assert s.says(alone(s, *expected, status=2)) == VERIFIED


@pytest.mark.parametrize("above", [0, 2, None])
def test_without_a_shell_what_stands_above_must_have_ended_like_it(above: int | None) -> None:
    s = Scenario()
    intent = s.asks("make x")
    wrapper = s.program(None, "bash", "-c", "…", digest="other")
    s.runs(wrapper, "make", "x", status=2)
    if above is not None:
        s.exits(wrapper, above)
    s.answers(intent, status=0)
    assert s.says(intent) == (refuted("failed") if above == 2 else VERIFIED)


# --- nothing of it was seen -----------------------------------------------------------------------------


def nothing(s: Scenario, *expected: e.Execution | str, **how: Any) -> tuple[str, str | None]:
    intent = s.asks(*expected, **how)
    s.answers(intent)
    return s.says(intent)


def test_that_it_failed_or_was_not_answered_is_no_lie() -> None:
    s = Scenario()
    failed = s.asks("pytest")
    s.answers(failed, error=True)
    unanswered = s.asks("pytest")
    assert s.says(failed) == AMBIGUOUS
    assert s.says(unanswered) == AMBIGUOUS


@pytest.mark.parametrize(
    ("how", "word"),
    [
        ({}, NO_EXECUTION),
        ({"hand_off": "docker"}, unverifiable("handed_off")),
        ({"parsed": False}, FORM_UNKNOWN),
        ({"background": True}, AMBIGUOUS),
    ],
    ids=["plain", "given away", "not read", "background"],
)
def test_where_nothing_was_seen_the_tool_call_may_explain_it(
    how: dict[str, Any], word: tuple[str, str]
) -> None:
    assert nothing(Scenario(), "pytest", **how) == word


def test_work_given_away_that_is_told_to_have_failed_is_given_away() -> None:
    s = Scenario()
    intent = s.asks("pytest", hand_off="docker")
    s.answers(intent, error=True)
    assert s.says(intent) == unverifiable("handed_off")


def test_a_program_that_could_not_be_executed_was_tried() -> None:
    s = Scenario()
    intent = s.asks("pytest")
    s.add(e.ExecFailed, process=s.fork(), path="/usr/bin/pytest", errno=2)
    s.answers(intent)
    assert s.says(intent) == AMBIGUOUS


def test_that_another_program_or_an_earlier_one_could_not_be_executed_is_no_try_of_this() -> None:
    s = Scenario()
    s.add(e.ExecFailed, process=s.fork(), path="/usr/bin/pytest", errno=2)
    intent = s.asks("pytest")
    s.add(e.ExecFailed, process=s.fork(), path="/usr/local/bin/git", errno=2)
    s.answers(intent)
    assert s.says(intent) == NO_EXECUTION


def test_what_the_shell_does_itself_needs_no_program() -> None:
    assert nothing(Scenario(), expect("test -f x", builtin=False)) == FORM_UNKNOWN
    assert nothing(Scenario(), expect("greet", builtin=True)) == FORM_UNKNOWN, "one of its own"
    assert nothing(Scenario(), "cd x", "pytest") == NO_EXECUTION


def test_only_what_had_to_run_is_missed() -> None:
    assert nothing(Scenario(), expect("sort", conditional=True), "pytest") == NO_EXECUTION
    assert nothing(Scenario(), expect("sort", conditional=True)) == AMBIGUOUS


def test_that_nothing_ran_needs_coverage() -> None:
    s = Scenario()
    intent = s.asks("pytest")
    lost(s)
    s.answers(intent)
    assert s.says(intent) == unverifiable("records_lost")


def test_in_a_shell_that_stays_a_name_may_mean_something_else() -> None:
    for name, word in (("deploy_it", FORM_UNKNOWN), ("pytest", NO_EXECUTION)):
        s = Scenario()
        s.call()
        s.program(None, "bash")
        assert nothing(s, name) == word, name


def test_a_known_tool_that_did_not_have_to_run_makes_no_name_known() -> None:
    s = Scenario()
    s.call()
    s.program(None, "bash")
    assert nothing(s, "deploy_it", expect("pytest", conditional=True)) == FORM_UNKNOWN


def test_a_program_that_ran_instead_may_be_what_the_name_means() -> None:
    s = Scenario()
    s.call()
    intent = s.asks("deploy_it")
    s.program(None, "ls")
    ran = s.log[-1].id
    s.runs(None, "sort")
    s.answers(intent)
    verdict = s.on(intent)
    assert (verdict.verdict, verdict.reason) == FORM_UNKNOWN
    assert [one.id for one in verdict.evidence] == [ran]


def test_what_other_tool_calls_and_the_agent_itself_ran_explains_nothing() -> None:
    s = Scenario()
    s.runs(None, "uname", "-a")
    call = s.call()
    one = s.asks("deploy_it", call=call)
    others = [s.asks("ls", call=call), s.asks("sort", call=call)]
    s.runs(None, "uname", "-a")
    for other, name in zip(others, ("ls", "sort"), strict=True):
        shell = s.shell(other)
        s.runs(shell, name)
        s.exits(shell)
    for intent in (one, *others):
        s.answers(intent)
    assert s.says(one) == NO_EXECUTION
    assert s.on(one).observed == "deploy_it did not run: only uname -a ran in the window"
    assert all(s.says(other) == VERIFIED for other in others)


def test_tools_of_several_purposes_may_be_done_by_one_of_any() -> None:
    s = Scenario()
    intent = s.asks("pytest", "git commit")
    s.runs(None, "npm", "ci")
    s.answers(intent)
    assert s.says(intent)[0] == "unverifiable"


def test_what_ran_instead_is_named_and_shown() -> None:
    s = Scenario()
    s.call()
    intent = s.asks("pytest")
    for name in ("sort", "ls", "head", "grep", "cat"):
        s.runs(None, name)
    s.answers(intent)
    verdict = s.on(intent)
    assert verdict.observed == "pytest did not run: only cat, grep, head ran in the window"
    assert len(verdict.evidence) == 4
    s = Scenario()
    intent = s.asks("deploy_it")
    s.answers(intent)
    assert s.on(intent).observed == "deploy_it did not run: nothing was executed in the window"


@pytest.mark.parametrize(
    ("asked", "told"),
    [(("deploy_it", "pytest -q"), "pytest"), (("python3 -m pytest",), "pytest"), (("a_it", "b_it"), "a_it")],
)
def test_a_tool_that_is_known_is_told_before_a_name_that_is_not(asked: tuple[str, ...], told: str) -> None:
    s = Scenario()
    intent = s.asks(*asked)
    s.answers(intent)
    assert s.on(intent).observed == f"{told} did not run: nothing was executed in the window"


def test_what_a_shell_may_not_have_found_is_told() -> None:
    s = Scenario()
    intent = s.asks("deploy_it", "pytest -q")
    s.exits(s.program(None, "bash", "/tmp/command.sh"))
    s.answers(intent)
    assert s.on(intent).observed == "bash /tmp/command.sh ran, which may not have found pytest"


def test_a_tool_of_another_purpose_does_not_do_its_work() -> None:
    s = Scenario()
    intent = s.asks("pytest")
    s.runs(None, "npm", "ci")
    s.answers(intent)
    assert s.says(intent) == NO_EXECUTION


def test_what_an_unknown_tool_does_meanwhile_is_its_own_call() -> None:
    s = Scenario()
    call = s.call()
    intent = s.asks("pytest", call=call)
    other = s.intent("other", tool="python_repl", call=call)
    s.answers(intent)
    s.answers(other)
    assert s.says(intent) == NO_EXECUTION


def test_only_a_shell_that_lived_all_the_time_and_is_not_the_agent_may_run_a_function() -> None:
    ended = Scenario()
    ended.call()
    ended.runs(None, "bash")
    other = Scenario()
    other.call()
    other.program(None, "tail", "-f", "log")
    agent = Scenario(agent=("/bin/bash", "agent.sh"))
    agent.call()
    for s in (ended, other, agent):
        assert nothing(s, "deploy_it") == NO_EXECUTION


def test_what_the_agent_runs_of_itself_is_not_what_a_name_means() -> None:
    s = Scenario()
    s.runs(None, "ls", "-l")
    intent = s.asks("deploy_it")
    s.runs(None, "ls", "-l")
    s.answers(intent)
    assert s.says(intent) == NO_EXECUTION


def test_the_first_of_what_was_recognised_are_told() -> None:
    s = Scenario()
    intent = s.asks("ls", "cat x", "wc x", "sort x", "mystery", command_digest=None)
    for argv in (("ls",), ("cat", "x"), ("wc", "x"), ("sort", "x")):
        s.runs(None, *argv)
    s.answers(intent)
    assert s.on(intent).observed == "only a part was recognised: ls, cat x, wc x"


def test_of_two_shells_of_the_same_command_the_last_is_shown() -> None:
    s = Scenario()
    intent = s.asks("ls")
    shells = []
    for _ in range(2):
        shell = s.shell(intent)
        shells.append(s.log[-1])
        s.runs(shell, "ls")
        s.exits(shell)
    s.answers(intent)
    cited = [one.id for one in s.on(intent).evidence]
    assert shells[1].id in cited and shells[0].id not in cited


@pytest.mark.parametrize(
    ("argv", "digest", "word"),
    [
        (("bash", "/tmp/command.sh"), None, FORM_UNKNOWN),
        (("bash",), None, FORM_UNKNOWN),
        (("bash", "-lc", "PATH=x; TEXT"), "another", FORM_UNKNOWN),
        (("ls",), None, NO_EXECUTION),
        (None, None, NO_EXECUTION),
    ],
)
def test_a_shell_that_was_given_a_file_or_other_words_may_not_have_found_the_program(
    argv: tuple[str, ...] | None, digest: str | None, word: tuple[str, str | None]
) -> None:
    """It looks for a program before it executes it: nothing is seen of one that is not installed."""
    s = Scenario()
    intent = s.asks("pytest -q")
    if argv is not None:
        s.exits(s.program(None, *argv, digest=digest))
    s.answers(intent)
    assert s.says(intent) == word


@pytest.mark.parametrize(
    ("outcome", "word"), [("ok", NO_EXECUTION), ("failed", FORM_UNKNOWN), (None, FORM_UNKNOWN)]
)
def test_a_program_that_was_not_found_has_no_success_to_tell(
    outcome: str | None, word: tuple[str, str | None]
) -> None:
    """Of a result that says that the tests passed it was not the shell's failed search that left no program."""
    s = Scenario()
    intent = s.asks("pytest -q")
    s.exits(s.program(None, "bash", "-c", "TEXT", digest="another"))
    s.answers(intent)
    s.claims("tests_passed", outcome, source="tool_result", intent=intent)
    assert s.says(intent) == word
