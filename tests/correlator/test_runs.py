"""Runs of known tools: which process is the run, what its end tells, who hid it, and when it ran nothing at all."""

from __future__ import annotations

import pytest

from polygraph import events as e
from tests.correlator.scenario import PYTHON, VERIFIED, Scenario, refuted, unverifiable
from tests.correlator.test_delegation import delegates

AMBIGUOUS = unverifiable("ambiguous")
EMPTY = refuted("empty_run")


def test_what_a_process_went_on_as_is_its_run_in_whatever_order_it_is_told() -> None:
    """`bats` goes on as another script of its name, in another folder."""
    s = Scenario()
    s.does("bats", "a.bats", status=1, cwd="/repo/b")
    run = s.program(None, "bash", "/usr/bin/bats", "a.bats", cwd="/repo/a")
    s.execs(run, "bash", "/usr/libexec/bats-core/bats", "a.bats", cwd="/repo/b")
    s.log[-2:] = reversed(s.log[-2:])
    s.exits(run)
    assert s.says(s.passed()) == VERIFIED


def test_a_status_that_is_an_answer_is_no_failure() -> None:
    """ginkgo ends with 197 when all passed and the code asks to run only a part of it."""
    s = Scenario()
    s.does("ginkgo", status=197)
    assert s.says(s.passed()) == VERIFIED


# --- a reader that left -------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [1, 3])
def test_a_runner_that_stumbles_over_a_reader_that_left_tells_nothing(status: int) -> None:
    """pytest ends with 3 when its own code fails, as it does when nobody reads what it prints."""
    s = Scenario()
    intent = s.asks("pytest", "head -1")
    shell = s.shell(intent)
    run = s.program(shell, "pytest")
    s.runs(shell, "head", "-1")
    s.exits(run, status)
    s.exits(shell)
    s.answers(intent)
    assert s.says(s.passed()) == AMBIGUOUS


def test_a_status_that_says_that_the_reader_left_tells_nothing() -> None:
    """What a shell says of a program that ended by SIGPIPE, a runner that is a script says of itself."""
    s = Scenario()
    s.does("pytest", status=141)
    assert s.says(s.passed()) == AMBIGUOUS


def test_a_reader_elsewhere_or_before_excuses_nothing() -> None:
    s = Scenario()
    call = s.call()
    one, two = s.asks("head -1 x", "pytest", call=call), s.asks("head -1 y", call=call)
    shell, other = s.shell(one), s.shell(two)
    s.runs(shell, "head", "-1", "x")
    run = s.program(shell, "pytest")
    s.runs(other, "head", "-1", "y")
    for process in (run, shell, other):
        s.exits(process, 1 if process == run else 0)
    s.answers(one)
    s.answers(two)
    assert s.says(s.passed()) == refuted("masked_exit")


def test_what_the_agent_itself_stops_reading_is_not_its_workers_output() -> None:
    s = Scenario()
    s.call()
    worker = s.fork()
    run = s.program(s.program(worker, "sh", "-c", "TEXT"), "pytest")
    s.runs(None, "head", "-1", "x")
    s.exits(run, 1)
    assert s.says(s.passed()) == refuted("failed")


# --- who hid a failure --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shell_ends", "word"),
    [
        ("before", "masked_exit"),
        ("after", "masked_exit"),
        ("at the claim", "masked_exit"),
        ("later", "failed"),
    ],
)
def test_a_shell_that_has_ended_well_by_the_claim_hid_the_failure(shell_ends: str, word: str) -> None:
    s = Scenario()
    intent = s.asks("pytest", background=True)
    shell = s.shell(intent)
    run = s.program(shell, "pytest")
    if shell_ends == "before":
        s.exits(shell)
    s.exits(run, 1)
    if shell_ends == "after":
        s.exits(shell)
    s.answers(intent)
    claim = s.passed()
    if shell_ends in ("at the claim", "later"):
        s.add(e.Exit, process=shell, status=0, ts=claim.ts + (shell_ends == "later"))
        s.log[-3:] = [s.log[-1], *s.log[-3:-1]]
    assert s.says(claim) == refuted(word)


@pytest.mark.parametrize(("waits", "word"), [(True, "masked_exit"), (False, "failed")])
def test_who_asks_a_server_hides_a_failure_only_if_he_waited_for_it(waits: bool, word: str) -> None:
    s = Scenario()
    intent = s.asks("tmux new-window pytest", hand_off="tmux")
    shell = s.shell(intent)
    client = s.program(shell, "tmux", "new-window", "pytest")
    there = delegates(s, client, "tmux", "pytest", status=None)
    for process in (there, client) if waits else (client, there):
        s.exits(process, int(process == there))
    s.exits(shell)
    s.answers(intent)
    assert s.says(s.passed()) == refuted(word)


def test_one_who_still_waits_hides_nothing() -> None:
    s = Scenario()
    client = s.program(
        s.shell(s.asks("tmux new-window pytest", hand_off="tmux")), "tmux", "new-window", "pytest"
    )
    delegates(s, client, "tmux", "pytest", status=1)
    assert s.says(s.passed()) == refuted("failed")


@pytest.mark.parametrize(("shell", "word"), [(0, "masked_exit"), (1, "failed")])
def test_below_a_server_it_is_the_shell_there_that_hides_a_failure(shell: int, word: str) -> None:
    s = Scenario()
    intent = s.asks("tmux new-window TEXT", hand_off="tmux")
    outer = s.shell(intent)
    client = s.program(outer, "tmux", "new-window", "TEXT")
    there = delegates(s, client, "tmux", "bash", "-c", "TEXT", status=None)
    run = s.program(there, "pytest")
    s.exits(client)
    s.exits(outer)
    s.exits(run, 1)
    s.exits(there, shell)
    s.answers(intent)
    assert s.says(s.passed()) == refuted(word)


# --- what a wrapper ran --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("inner", "word"),
    [
        ((("/repo", 1), ("/repo", 0)), VERIFIED),
        ((("/repo", 0), ("/repo", 1)), refuted("masked_exit")),
        ((("/repo", 0), ("/repo", 4)), refuted("masked_exit")),
        ((("/repo/a", 1), ("/repo/b", 0)), refuted("masked_exit")),
        ((("/repo/a", 0), ("/repo/b", 5)), VERIFIED),
    ],
    ids=["tried again", "failed", "bad options", "another part failed", "another part is empty"],
)
def test_a_wrapper_that_ends_well_hides_what_failed_below_it_and_was_not_made_good(
    inner: tuple[tuple[str, int], ...], word: tuple[str, str | None]
) -> None:
    s = Scenario()
    intent = s.asks("make test")
    make = s.program(s.shell(intent), "make", "test")
    for cwd, status in inner:
        s.runs(make, "pytest", cwd=cwd, status=status)
    s.exits(make)
    s.answers(intent)
    assert s.says(s.passed()) == word


def test_of_an_npm_that_was_written_by_hand_and_ran_nothing_nothing_is_said() -> None:
    s = Scenario()
    s.writes("/repo/bin/npm")
    s.does("npm", "test", path=PYTHON, script="/repo/bin/npm", reads=["/usr/lib/re.py"])
    assert s.says(s.passed(tests=["/repo/test_a.py"])) == AMBIGUOUS


# --- a wrapper that ran nothing -----------------------------------------------------------------------------


def made(s: Scenario, below: str) -> tuple[str, str | None]:
    """`make test`, and what stands ``below`` it."""
    intent = s.asks("make test")
    make = s.program(s.shell(intent), "make", "test")
    if below == "a copy of make":
        s.exits(s.fork(make))
    elif below == "a subshell":
        shell = s.program(make, "sh", "-c", "(echo 12 passed)")
        s.exits(s.fork(shell))
        s.exits(shell)
    elif below == "no such program":
        child = s.fork(make)
        s.add(e.ExecFailed, process=child, path="/usr/bin/tests", errno=2)
        s.exits(child, 127)
    s.exits(make)
    s.answers(intent)
    return s.says(s.passed())


@pytest.mark.parametrize(
    ("below", "word"),
    [
        ("nothing", EMPTY),
        ("a copy of make", VERIFIED),
        ("a subshell", EMPTY),
        ("no such program", EMPTY),
    ],
)
def test_only_a_copy_of_the_wrapper_itself_may_have_done_the_work(
    below: str, word: tuple[str, str | None]
) -> None:
    assert made(Scenario(), below) == word


@pytest.mark.parametrize(("later", "word"), [(0, VERIFIED), (1, EMPTY)])
def test_what_a_wrapper_left_behind_counts_until_the_claim(later: int, word: tuple[str, str | None]) -> None:
    s = Scenario()
    intent = s.asks("make test")
    make = s.program(s.shell(intent), "make", "test")
    left = s.program(make, "sh", "-c", "./unit_tests &")
    s.exits(make)
    s.answers(intent)
    claim = s.passed()
    argv = ("./unit_tests",)
    s.add(
        e.Exec,
        process=left,
        parent=make,
        path="/repo/unit_tests",
        argv=argv,
        cwd="/repo",
        ts=claim.ts + later,
    )
    s.log[-3:] = [s.log[-1], *s.log[-3:-1]]
    assert s.says(claim) == word
