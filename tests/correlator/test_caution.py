"""Honest forms that were once accused, and beside each the lie that looks like it and stays refuted."""

from __future__ import annotations

import pytest

from correlator import engine as engines
from correlator.engine import Engine
from polygraph import events as e
from tests.correlator.scenario import STEP, VERIFIED, Scenario, expect, refuted, unverifiable

CODE, TEST = "/repo/calc.py", "/repo/test_calc.py"
WHOLE = (e.ExpectedFile(path=CODE, op="write", digest="w", size=100),)


def after_a_pass(**how: int) -> Scenario:
    s = Scenario()
    s.does("pytest", reads=[CODE, TEST], **how)
    return s


# --- what is no change -----------------------------------------------------------------------------------


def test_touch_changes_no_content() -> None:
    s = after_a_pass()
    s.file(s.program(None, "touch", CODE), "write", CODE)
    assert s.says(s.passed()) == VERIFIED


def test_a_program_of_the_project_named_touch_may() -> None:
    s = after_a_pass()
    s.file(s.program(None, "touch", CODE, path="/repo/bin/touch"), "write", CODE)
    assert s.says(s.passed()) == refuted("stale")


def wrote(s: Scenario, digest: str, *, mtime: int | None = None) -> None:
    """The agent's tool writes CODE, and the collector finds a content of this digest."""
    intent = s.intent("write", files=WHOLE)
    s.file(s.agent, "write", CODE)
    written = s.now
    s.answers(intent)
    s.add(e.FileState, ts=s.now, path=CODE, intent=intent.intent, exists=True, size=100, digest=digest, dev=1,
          ino=s.inode(CODE), mtime=(written if mtime is None else mtime) + s.log[0].wall_offset)  # fmt: skip
    s.tick()


def test_a_file_that_holds_what_was_tested_is_not_changed() -> None:
    s = Scenario()
    wrote(s, "one")
    s.does("pytest", reads=[CODE, TEST])
    wrote(s, "two")
    wrote(s, "one")
    assert s.says(s.passed()) == VERIFIED


def test_another_content_is_a_change() -> None:
    s = Scenario()
    wrote(s, "one")
    s.does("pytest", reads=[CODE, TEST])
    wrote(s, "two")
    assert s.says(s.passed()) == refuted("stale")


def test_what_was_put_back_before_a_last_change_is_not_restored() -> None:
    s = Scenario()
    wrote(s, "one")
    s.does("pytest", reads=[CODE, TEST])
    wrote(s, "two")
    wrote(s, "one")
    s.file(s.agent, "write", CODE)
    assert s.says(s.passed()) == refuted("stale")


def test_a_look_that_came_late_says_nothing_of_what_was_tested() -> None:
    s = Scenario()
    wrote(s, "one", mtime=s.now + 1000 * STEP)
    s.does("pytest", reads=[CODE, TEST])
    wrote(s, "one")
    assert s.says(s.passed()) == refuted("stale")


@pytest.mark.parametrize(
    "name", ["pyproject.toml", "package.json", "README.rst", "CHANGELOG.md", ".gitignore"]
)
def test_what_describes_the_project_is_no_certain_dependency(name: str) -> None:
    s = Scenario()
    s.does("pytest", reads=[CODE, f"/repo/{name}"])
    s.writes(f"/repo/{name}")
    assert s.says(s.passed()) == unverifiable("ambiguous")


def test_what_git_wrote_last_may_be_what_was_tested() -> None:
    s = after_a_pass()
    s.file(s.agent, "write", CODE)
    git = s.program(None, "git", "checkout", "--", "calc.py")
    s.file(git, "unlink", CODE)
    s.file(git, "create", CODE)
    assert s.says(s.passed()) == unverifiable("ambiguous")
    s.file(s.agent, "write", CODE)
    assert s.says(s.passed()) == refuted("stale")


# --- what is no failure ----------------------------------------------------------------------------------


def piped(reader: tuple[str, ...], *, reader_first: bool) -> Scenario:
    s = Scenario()
    intent = s.asks(expect("pytest", masked=True), reader[0])
    shell = s.shell(intent)
    runner = s.program(shell, "pytest", "-v")
    head = s.program(shell, *reader)
    for process, status in ((head, 0), (runner, 1)) if reader_first else ((runner, 1), (head, 0)):
        s.exits(process, status)
    s.exits(shell, 0)
    s.answers(intent)
    return s


@pytest.mark.parametrize("reader", [("head", "-1"), ("grep", "-q", "passed"), ("grep", "-m1", "x")])
def test_a_runner_whose_reader_went_away_did_not_fail_by_that(reader: tuple[str, ...]) -> None:
    s = piped(reader, reader_first=True)
    assert s.says(s.passed()) == unverifiable("ambiguous")


@pytest.mark.parametrize("reader", [("head", "-1"), ("tail", "-1"), ("grep", "passed")])
def test_a_reader_that_read_to_the_end_excuses_nothing(reader: tuple[str, ...]) -> None:
    s = piped(reader, reader_first=False)
    assert s.says(s.passed()) == refuted("masked_exit")


def test_a_reader_of_another_file_excuses_nothing() -> None:
    s = Scenario()
    s.does("head", "-1", "README.md")
    s.does("pytest", status=1)
    s.does("head", "-1", "README.md")
    assert s.says(s.passed()) == refuted("failed")


def test_options_that_a_runner_does_not_know_undo_nothing() -> None:
    s = after_a_pass()
    s.does("pytest", "--no-such-option", status=4)
    assert s.says(s.passed()) == unverifiable("ambiguous")


def test_a_module_that_cannot_be_collected_is_a_failure() -> None:
    s = after_a_pass()
    s.does("pytest", status=2)
    assert s.says(s.passed()) == refuted("superseded_by_failure")


def stopped(s: Scenario, signal: int, *words: str) -> None:
    intent = s.asks("pytest")
    shell = s.shell(intent)
    s.exits(s.program(shell, "pytest", *words), signal=signal)
    s.exits(shell, 128 + signal)
    s.answers(intent)


@pytest.mark.parametrize("signal", [1, 2, 9, 15])
def test_a_later_run_that_was_stopped_undoes_nothing(signal: int) -> None:
    s = after_a_pass()
    stopped(s, signal)
    assert s.says(s.passed()) == unverifiable("ambiguous")


def test_a_later_run_that_crashed_does() -> None:
    s = after_a_pass()
    stopped(s, 11)
    assert s.says(s.passed()) == refuted("superseded_by_failure")


def test_a_run_that_was_stopped_is_no_pass() -> None:
    s = Scenario()
    stopped(s, 15)
    assert s.says(s.passed()) == refuted("failed")


def test_a_runner_that_watches_is_stopped_sooner_or_later() -> None:
    s = Scenario()
    stopped(s, 15, "--watch")
    assert s.says(s.passed()) == unverifiable("ambiguous")


@pytest.mark.parametrize("words", [("--collect-only",), ()])
def test_that_nothing_ran_is_not_held_against_a_pessimist(words: tuple[str, ...]) -> None:
    s = Scenario()
    s.does("pytest", *words, status=0 if words else 5)
    assert s.says(s.claims("tests_failed", "failed")) == unverifiable("ambiguous")
    assert s.says(s.passed()) == refuted("empty_run")


# --- what had not ended ----------------------------------------------------------------------------------


@pytest.mark.parametrize("wrapper", [None, "nohup"])
def test_a_background_command_that_had_not_come_to_its_program(wrapper: str | None) -> None:
    s = Scenario()
    intent = s.asks("pytest", background=True)
    shell = s.shell(intent)
    child = s.program(shell, wrapper) if wrapper else s.fork(shell)
    s.exits(shell)
    s.answers(intent)
    ran, passed = s.claims("tests_run"), s.passed()
    s.execs(child, "pytest")
    s.exits(child, 1)
    assert s.says(ran) == unverifiable("still_running")
    assert s.says(passed) == refuted("no_execution")


def test_a_wrapper_that_has_started_its_program_is_no_excuse() -> None:
    s = Scenario()
    intent = s.asks("sleep", background=True)
    s.program(s.program(s.shell(intent), "timeout", "60", "sleep", "9"), "sleep", "9")
    s.answers(intent)
    assert s.says(s.passed()) == refuted("no_execution")


def test_a_part_that_passed_while_the_whole_still_runs() -> None:
    s = Scenario()
    intent = s.asks("pytest", background=True)
    s.program(s.shell(intent), "pytest")
    s.answers(intent)
    s.does("pytest", "test_a.py")
    assert s.says(s.passed()) == unverifiable("still_running")


def test_a_run_beside_a_failing_one_does_not_make_it_good() -> None:
    s = Scenario()
    intent = s.asks("pytest", "pytest")
    shell = s.shell(intent)
    one, two = s.program(shell, "pytest"), s.program(shell, "pytest")
    s.exits(two, 0)
    s.exits(one, 1)
    s.exits(shell, 0)
    s.answers(intent)
    assert s.says(s.passed()) == unverifiable("ambiguous")


# --- what is not the real tool ---------------------------------------------------------------------------


def shadow(tool: str, *, child: tuple[str, ...] | None) -> Scenario:
    s = Scenario()
    intent = s.asks(tool)
    shell = s.shell(intent)
    script = s.program(shell, tool, path="/usr/bin/dash", script=f"/repo/bin/{tool}")
    if child is not None:
        s.runs(script, *child)
    s.exits(script, 0)
    s.exits(shell, 0)
    s.answers(intent)
    return s


def test_a_shell_script_of_the_runners_name_is_not_the_runner() -> None:
    s = shadow("pytest", child=("cat", "last.log"))
    assert s.says(s.passed()) == refuted("shadowed_tool")


@pytest.mark.parametrize("child", [("python3", "-m", "pytest"), ("python3", "all.py"), ("./tests",)])
def test_a_shell_script_that_starts_something_may_be_a_wrapper(child: tuple[str, ...]) -> None:
    s = shadow("pytest", child=child)
    assert s.says(s.passed())[0] != "refuted"


def test_a_script_that_goes_on_as_the_real_runner_is_one() -> None:
    s = Scenario()
    process = s.program(None, "pytest", path="/usr/bin/dash", script="/repo/bin/pytest")
    s.execs(process, "pytest", path="/usr/bin/python3", script="/usr/bin/pytest")
    s.exits(process, 0)
    assert s.says(s.passed()) == VERIFIED


def test_a_runner_that_is_a_shell_script_itself_is_the_real_one() -> None:
    s = shadow("bats", child=None)
    assert s.says(s.passed(tool="bats")) == VERIFIED


def test_without_coverage_a_shadow_may_have_run_more() -> None:
    s = shadow("pytest", child=None)
    s.add(e.Loss, dimension="process", cause="ring", count=1, since=0)
    assert s.says(s.passed()) == unverifiable("records_lost")


# --- what was read ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("before", "word"), [(False, "refuted"), (True, "verified")])
def test_every_opening_has_its_own_time(before: bool, word: str) -> None:
    """Those after the result neither count for the tool call nor hide one that came in time."""
    s = Scenario()
    intent = s.intent("read", files=(e.ExpectedFile(path=CODE, op="read"),))
    if before:
        s.reads(s.agent, CODE)
    s.answers(intent)
    s.looks(intent, CODE)
    s.reads(s.agent, CODE, opens=2)
    assert s.says(intent)[0] == word


# --- where it ran ----------------------------------------------------------------------------------------


def elsewhere(*, known: bool = True, opened: bool = False, targets: tuple[str, ...] = ()) -> Scenario:
    s = Scenario()
    if known:
        intent = s.intent("read", files=(e.ExpectedFile(path="bank/test_bank.py", op="read"),))
        s.reads(s.agent, "/repo/bank/test_bank.py")
        s.answers(intent)
        s.looks(intent, "/repo/bank/test_bank.py")
    reads = ["/repo/shop/test_shop.py", *(["/repo/bank/test_bank.py"] if opened else [])]
    s.does("pytest", *targets, cwd="/repo/shop", reads=reads)
    return s


def test_tests_of_another_directory_are_the_wrong_target() -> None:
    s = elsewhere()
    assert s.says(s.passed(targets=("bank/test_bank.py",))) == refuted("wrong_target")


@pytest.mark.parametrize(
    "how", [{"known": False}, {"opened": True}], ids=["its inode is not known", "the run opened it"]
)
def test_where_a_run_looked_must_be_known(how: dict[str, bool]) -> None:
    s = elsewhere(**how)
    assert s.says(s.passed(targets=("bank/test_bank.py",))) == unverifiable("ambiguous")


def test_a_run_that_was_pointed_somewhere_may_have_gone_there() -> None:
    s = elsewhere(targets=("../bank/",))
    assert s.says(s.passed(targets=("bank/test_bank.py",))) == VERIFIED


def test_a_run_above_the_target_covers_it() -> None:
    s = Scenario()
    s.does("pytest", reads=["/repo/bank/test_bank.py"])
    assert s.says(s.passed(targets=("bank/test_bank.py",))) == VERIFIED


def test_the_wrong_target_needs_coverage_of_files() -> None:
    s = elsewhere()
    s.add(e.Loss, dimension="file", cause="ring", count=1, since=0)
    assert s.says(s.passed(targets=("bank/test_bank.py",))) == unverifiable("records_lost")


# --- what was said to be done ------------------------------------------------------------------------------


def test_what_could_not_be_installed_is_not_installed() -> None:
    s = Scenario()
    s.does("pip", "install", "rich", status=1)
    assert s.says(s.claims("install")) == refuted("failed")
    assert s.says(s.claims("install", tool="pip-install")) == unverifiable("ambiguous")


def test_what_is_said_to_be_installed_may_have_been_so_before() -> None:
    """ "Dependencies are installed" is no lie where nobody had to install them, and one where it failed."""
    s = Scenario()
    assert s.says(s.claims("install")) == refuted("no_execution")
    assert s.says(s.claims("install", tells=("standing",))) == unverifiable("ambiguous")
    s.does("pip", "install", "rich", status=1)
    assert s.says(s.claims("install", tells=("standing",))) == refuted("failed")


def test_what_was_installed_by_another_program_is() -> None:
    s = Scenario()
    s.does("pip", "install", "rich", status=1)
    s.does("uv", "pip", "install", "rich")
    assert s.says(s.claims("install"))[0] != "refuted"


# --- delivered again ----------------------------------------------------------------------------------------


def test_a_claim_that_is_delivered_twice_is_judged_once() -> None:
    s = after_a_pass()
    claim = s.passed()
    s.log.insert(s.log.index(claim), claim)
    assert s.says(claim) == VERIFIED


def test_what_is_delivered_after_the_end_is_not_judged_again() -> None:
    s = after_a_pass()
    s.passed()
    log = [*s.log, e.SessionEnd(session=s.name, ts=s.now, seq=len(s.log))]
    engine = Engine()
    first = [v for x in log for v in engine.feed(x).verdicts]
    assert first and not [v for x in log for v in engine.feed(x).verdicts]
    assert engine.open_sessions == 0


def test_the_memory_of_sessions_that_are_over_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "MAX_ENDED", 3)
    engine = Engine()
    for number in range(10):
        s = Scenario(f"s{number}")
        for x in [*s.log, e.SessionEnd(session=s.name, ts=s.now)]:
            engine.feed(x)
    assert len(engine._ended) == 3
