"""A command was run, a server started, a URL fetched: what names it, what its end says, what may have done it."""

from __future__ import annotations

from typing import Any

import pytest

from polygraph import events as e
from tests.correlator.scenario import STEP, VERIFIED, Scenario, refuted, unverifiable

AMBIGUOUS = unverifiable("ambiguous")
NO_EXECUTION = refuted("no_execution")


def ran(s: Scenario, tool: str | None, outcome: str | None = None, **how: Any) -> tuple[str, str | None]:
    return s.says(s.claims("command_run", outcome, tool=tool, **how))


def lost(s: Scenario, dimension: str = "process") -> None:
    s.add(e.Loss, dimension=dimension, cause="ring", count=1, since=0)


# --- which program is meant ---------------


def test_a_command_that_is_not_named_may_be_any() -> None:
    assert ran(Scenario(), None) == AMBIGUOUS


@pytest.mark.parametrize("target", ["terraform plan -out x", "/usr/bin/terraform plan", "terraform"])
def test_the_first_word_of_what_is_quoted_is_the_program(target: str) -> None:
    s = Scenario()
    s.does("terraform", "plan")
    assert ran(s, None, targets=(target,)) == VERIFIED
    assert ran(Scenario(), None, targets=(target,)) == NO_EXECUTION


@pytest.mark.parametrize("tool", ["python", "python3", "python3.11", "pytest"])
def test_a_program_goes_by_several_names(tool: str) -> None:
    s = Scenario()
    s.does("pytest")
    assert ran(s, tool) == VERIFIED


def test_the_name_that_it_was_called_by_is_one() -> None:
    s = Scenario()
    s.runs(None, "/opt/links/fmt", path="/opt/lib/tool-1.2")
    assert ran(s, "fmt") == VERIFIED
    assert ran(s, "tool-1.2") == VERIFIED
    s = Scenario()
    s.add(e.Exec, process=s.fork(), parent=s.agent, path="/opt/bin/fmt", argv=(), cwd="/repo")
    assert ran(s, "fmt") == VERIFIED


def test_the_last_of_several_is_judged() -> None:
    s = Scenario()
    s.does("cargo", "build")
    s.does("cargo", "build", status=101)
    assert ran(s, "cargo", "ok") == refuted("failed")


# --- how it ended ---------------


def test_that_it_ran_is_strong_and_shown_by_its_end() -> None:
    s = Scenario()
    s.does("grep", "x")
    verdict = s.on(s.claims("command_run", tool="grep"))
    assert (verdict.verdict, verdict.grade, len(verdict.evidence)) == ("verified", "strong", 2)
    s.program(None, "sort", "x")
    verdict = s.on(s.claims("command_run", tool="sort"))
    assert (verdict.verdict, verdict.grade, len(verdict.evidence)) == ("verified", "strong", 1)


def test_one_that_goes_on_did_not_go_well_yet() -> None:
    s = Scenario()
    s.program(None, "cargo", "build")
    assert ran(s, "cargo", "ok") == unverifiable("still_running")


def test_one_that_ended_after_the_claim_had_not_ended() -> None:
    s = Scenario()
    end = s.exits(s.program(None, "cargo", "build"), 101)
    assert ran(s, "cargo", "ok", ts=end.ts) == refuted("failed")
    assert ran(s, "cargo", "ok", ts=end.ts - STEP) == unverifiable("still_running")


@pytest.mark.parametrize(
    ("argv", "status", "outcome", "word"),
    [
        (("cargo", "build"), 0, "ok", VERIFIED),
        (("cargo", "build"), 0, "failed", AMBIGUOUS),
        (("cargo", "build"), 101, "failed", VERIFIED),
        (("cargo", "build"), 101, "ok", refuted("failed")),
        (("cargo", "build"), 141, "ok", AMBIGUOUS),
        (("grep", "x"), 1, "ok", VERIFIED),
        (("terraform", "plan"), 0, "ok", VERIFIED),
        (("terraform", "plan"), 2, "ok", AMBIGUOUS),
        (("terraform", "plan"), 2, "failed", VERIFIED),
    ],
)
def test_the_status_tells(
    argv: tuple[str, ...], status: int, outcome: str, word: tuple[str, str | None]
) -> None:
    s = Scenario()
    s.does(*argv, status=status)
    verdict = s.on(s.claims("command_run", outcome, tool=argv[0]))
    assert (verdict.verdict, verdict.reason) == word
    assert word[0] != "verified" or verdict.grade == "strong"


@pytest.mark.parametrize(("signal", "word"), [(9, refuted("failed")), (13, AMBIGUOUS)])
def test_a_signal_is_no_success(signal: int, word: tuple[str, str]) -> None:
    s = Scenario()
    s.exits(s.program(None, "cargo", "build"), signal=signal)
    assert ran(s, "cargo", "ok") == word


def test_a_failure_since_which_something_was_lost() -> None:
    s = Scenario()
    s.does("cargo", "build", status=101)
    lost(s)
    assert ran(s, "cargo", "ok") == unverifiable("records_lost")


# --- where it was not seen ---------------


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        ("shell", unverifiable("form_unknown")),
        ("other", unverifiable("form_unknown")),
        ("write", NO_EXECUTION),
    ],
)
def test_a_command_that_could_not_be_read_may_have_been_it(kind: str, word: tuple[str, str]) -> None:
    s = Scenario()
    intent = s.intent(kind, parsed=False, tool="Bash")
    assert ran(s, "terraform", ts=intent.ts) == word
    assert ran(s, "terraform", ts=intent.ts - STEP) == NO_EXECUTION


@pytest.mark.parametrize("kind", ["shell", "write"])
def test_a_command_that_was_read_was_not_it(kind: str) -> None:
    s = Scenario()
    s.answers(s.intent(kind, tool="Bash"))
    assert ran(s, "terraform") == NO_EXECUTION


def test_a_tool_that_does_nothing_to_the_system_may_be_given_a_command_that_could_not_be_read() -> None:
    for parsed, word in ((True, NO_EXECUTION), (False, unverifiable("form_unknown"))):
        s = Scenario()
        s.answers(s.intent("other", tool="TodoWrite", parsed=parsed))
        assert ran(s, "terraform") == word


def test_a_program_of_unknown_kind_may_have_run_it() -> None:
    for tool in ("terraform", "pytest"):
        s = Scenario()
        s.does("./task", path="/repo/task")
        assert ran(s, tool) == unverifiable("form_unknown"), tool


def test_what_the_shell_does_itself_goes_by_its_path_as_well() -> None:
    assert ran(Scenario(), "/usr/bin/test") == unverifiable("form_unknown")


def test_a_tool_is_named_by_what_it_does() -> None:
    s = Scenario()
    s.does("git", "commit")
    assert ran(s, "git-commit") == VERIFIED


def test_without_coverage_it_is_not_said_that_it_did_not_run() -> None:
    s = Scenario()
    lost(s)
    assert ran(s, "terraform") == unverifiable("records_lost")


def test_in_a_shell_an_unknown_name_may_be_a_function() -> None:
    for tool, word in (("ll", unverifiable("form_unknown")), ("pytest", NO_EXECUTION)):
        s = Scenario()
        s.does("ls")
        s.does("ls")
        last = [x.id for x in s.log if isinstance(x, e.Exec)][-1]
        claim = s.claims("command_run", tool=tool)
        assert s.says(claim) == word, tool
        assert [one.id for one in s.on(claim).evidence] == ([last] if tool == "ll" else [])
        assert ran(Scenario(), tool) == NO_EXECUTION, "where no shell was there is no function"


# --- servers ---------------


def listens(s: Scenario, by: str | None = None, **how: Any) -> e.Net:
    s.call()
    by = by or s.program(None, "python3", "-m", "http.server")
    return s.add(e.Net, process=by, op="listen", family="inet", local_port=8000, **how)


def served(s: Scenario, **when: Any) -> tuple[str, str | None]:
    return s.says(s.claims("server_started", **when))


def test_the_last_that_began_to_listen_is_shown() -> None:
    s = Scenario()
    listens(s)
    last = listens(s)
    verdict = s.on(s.claims("server_started"))
    assert (verdict.verdict, verdict.grade) == ("verified", "strong")
    assert [one.id for one in verdict.evidence] == [last.id]


def test_it_counts_from_the_moment_in_which_it_listens() -> None:
    s = Scenario()
    net = listens(s)
    assert served(s, ts=net.ts) == VERIFIED
    assert served(s, ts=net.ts - STEP)[0] != "verified"


def test_what_listens_for_the_agent_itself_is_no_server_of_the_project() -> None:
    s = Scenario()
    listens(s, s.agent)
    assert served(s) == NO_EXECUTION


def test_what_could_not_listen_is_none() -> None:
    s = Scenario()
    listens(s, errno=98)
    assert served(s)[0] != "verified"


@pytest.mark.parametrize("dimension", ["process", "network"])
def test_that_nothing_listens_needs_coverage(dimension: str) -> None:
    s = Scenario()
    lost(s, dimension)
    assert served(s) == unverifiable("records_lost")


# --- URLs ---------------


def test_no_url_is_ambiguous() -> None:
    s = Scenario()
    assert s.says(s.claims("url_fetched")) == AMBIGUOUS
    assert s.says(s.claims("url_fetched", targets=("",))) == AMBIGUOUS


def test_each_host_must_have_been_reached() -> None:
    s = Scenario()
    s.add(e.Name, process=s.agent, source="dns", name="a.test", addresses=("10.0.0.9",))
    s.add(e.Net, process=s.agent, op="connect", family="inet", address="10.0.0.9", port=443)
    assert s.says(s.claims("url_fetched", targets=("https://a.test/",))) == VERIFIED
    assert s.says(s.claims("url_fetched", targets=("https://a.test/", "https://b.test/")))[0] != "verified"


def test_work_that_was_given_away_may_have_fetched_it() -> None:
    s = Scenario()
    intent = s.asks("make", hand_off="docker")

    def fetched(ts: int) -> tuple[str, str | None]:
        return s.says(s.claims("url_fetched", targets=("https://a.test/",), ts=ts))

    assert fetched(intent.ts) == unverifiable("handed_off")
    assert fetched(intent.ts - STEP) == refuted("not_connected")
    s.add(e.Name, process=s.agent, source="dns", name="a.test", addresses=("10.0.0.9",))
    s.add(e.Net, process=s.agent, op="connect", family="inet", address="10.0.0.9", port=443)
    assert fetched(s.now) == VERIFIED, "the lineage did it itself"


def test_that_a_fetch_failed_needs_no_connection() -> None:
    s = Scenario()
    assert s.says(s.claims("url_fetched", "failed", targets=("https://a.test/",))) == AMBIGUOUS


def test_a_tool_of_another_purpose_may_have_begun_to_listen() -> None:
    for argv, word in ((("pytest",), unverifiable("form_unknown")), (("ruff", "check"), NO_EXECUTION)):
        s = Scenario()
        s.does(*argv)
        assert served(s) == word, argv
