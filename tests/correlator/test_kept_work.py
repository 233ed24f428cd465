"""What is worked out once and kept is what would be worked out anew, and all claims together cost what the log does.

Nothing is timed: what is looked at is counted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from correlator.commands_over import CommandsOver, is_of
from correlator.engine import Engine
from correlator.programs import hand_off_to
from correlator.rules.opened import Gathered, Openings
from correlator.runs import Run, find_runs, outermost
from correlator.session import Session
from correlator.suspects import Reasons, is_suspect
from polygraph import events as e
from polygraph.openings import Opening, packed
from tests.correlator.scenario import Scenario
from tests.correlator.test_properties import many, steps_of, story

PURPOSES = ("test", "build", "lint", "commit")


# --- the same as anew ------------------------------------------------------------------------------------


def anew(session: Session, purpose: str, since: int, until: int) -> list[Run]:
    """The runs, with nothing kept."""
    chosen = [k for k in session.known if is_of(k, purpose) and since <= k.image.ts <= until]
    return outermost(session, chosen, until)


def opened_anew(session: Session, runs: list[Run], end: int) -> Gathered:
    """What they had opened, with nothing kept."""
    gathered = Gathered()
    for run in runs:
        gathered.add(session, run, end)
    return gathered


def facts(gathered: Gathered) -> tuple[Any, ...]:
    """What is gathered, without the order in which it was."""
    return (
        gathered.processes,
        gathered.inodes,
        gathered.entries,
        gathered.read,
        gathered.programs,
        gathered.python,
        gathered.start,
    )


def ask(session: Session, now: int) -> None:
    """Asks about all that was before ``now``, and about the middle of it, as claims and results do."""
    middle = (session.began + now) // 2
    for purpose in PURPOSES:
        for since, until in ((session.began, now), (middle, now), (session.began, middle)):
            runs = find_runs(session, purpose, since, until)
            assert runs == anew(session, purpose, since, until), (purpose, since, until)
            assert session.part(Reasons).images(purpose, since, until) == [
                image
                for image in session.executed(since, until)
                if hand_off_to(image) is not None or is_suspect(session, image, purpose)
            ]
            for some in (runs, runs[1:], [run for run in runs if run.word == "ok"]):
                if some:
                    end = some[-1].ended
                    kept = session.part(Openings).of(some, end)
                    assert facts(kept) == facts(opened_anew(session, some, end))


def moved(log: list[Any], late: list[tuple[int, int]]) -> list[Any]:
    """The log with some events told later than they should be; each keeps its time."""
    places = list(enumerate(log))
    for place, by in late:
        if 0 < place < len(log) - 1:
            places[place] = (min(place + by, len(log) - 2), log[place])
    return [event for _, event in sorted(places, key=lambda row: row[0])]


@many
@given(steps_of, st.lists(st.tuples(st.integers(1, 90), st.integers(1, 40)), max_size=8))
def test_what_is_kept_is_what_would_be_worked_out_anew(steps: list[int], late: list[tuple[int, int]]) -> None:
    session = Session("s1")
    for event in moved(story(steps).log, late):
        session.add(event)
        if isinstance(event, e.Tick):
            ask(session, event.ts)
    if session.end is not None:
        ask(session, session.end.ts)


@many
@given(steps_of, st.integers(1, 90), st.integers(0, 5))
def test_what_comes_to_light_of_a_command_that_is_over_counts(
    steps: list[int], place: int, what: int
) -> None:
    """A process that is over does something, at a time that was asked about already."""
    session = Session("s1")
    log = [event for event in story(steps).log if not isinstance(event, e.SessionEnd)]
    for event in log:
        session.add(event)
    now = log[-1].ts
    ask(session, now)
    ended = [event for event in log if isinstance(event, e.Exit)]
    if not ended:
        return
    old = ended[place % len(ended)]
    told: dict[str, Any] = {"session": "s1", "ts": old.ts - 1, "seq": len(log), "process": old.process}
    image = {"parent": "100:1", "path": "/usr/bin/make", "argv": ("make", "test"), "cwd": "/repo"}
    match what:
        case 0:
            session.add(e.Fork(child="9999:9", **told))
        case 1:
            session.add(e.Exec(**image, **told))
        case 2:
            session.add(e.File(op="read", path="/repo/late", dev=1, ino=77, sensitive="x", **told))
        case 3:
            session.add(e.Delegated(by=old.process, through="tmux", evidence="shell", grade="weak",
                                    **{**told, "process": "9998:9"}))  # fmt: skip
        case 4:
            session.add(e.File(op="write", path="/repo/.venv/bin/pytest", dev=1, ino=78, first_ts=1, **told))
        case _:
            session.add(msgspec.structs.replace(log[0], origin="watch"))
            session.add(e.LlmCall(call="early", api="openai.chat", host="h", request_ts=1, **told))
    ask(session, now)


def fed(s: Scenario) -> Session:
    session = Session(s.name)
    for event in s.log:
        session.add(event)
    ask(session, s.now)
    return session


def test_what_gave_work_away_may_turn_out_to_have_kept_it() -> None:
    """Whom a client asked is told late: a server of the lineage. The agent had started it so before, too."""
    s = Scenario()
    s.runs(None, "tmux", "new-window", "x")
    shell = s.shell(s.asks("make test"))
    make = s.program(shell, "make", "test")
    client = s.runs(make, "tmux", "new-window", "x")
    s.exits(make)
    s.exits(shell)
    session = fed(s)
    (before,) = find_runs(session, "test", session.began, s.now)
    ended = session.tree.get(client)
    assert ended is not None and ended.exit is not None
    asked = {"op": "connect", "family": "unix", "address": "/tmp/tmux", "peer_pid": 100, "socket": 7}
    session.add(e.Net(session=s.name, ts=ended.exit.ts, seq=len(s.log), process=client, **asked))
    (after,) = find_runs(session, "test", session.began, s.now)
    assert (before.hollow, after.hollow) == (False, True)
    ask(session, s.now)


def test_a_module_that_was_written_by_hand_may_turn_out_to_have_been_run() -> None:
    """That the interpreter opened it is told late."""
    s = Scenario()
    s.writes("/repo/pytest.py")
    shell = s.shell(s.asks("python3 -m pytest"))
    test = s.runs(shell, "python3", "-m", "pytest", path="/usr/bin/python3.11")
    s.exits(shell)
    session = fed(s)
    (before,) = find_runs(session, "test", session.began, s.now)
    ended = session.tree.get(test)
    assert ended is not None and ended.exit is not None
    rows = packed([Opening(test, 1, s.inode("/repo/pytest.py"), ended.exit.ts - 1)])
    session.add(e.Reads(session=s.name, ts=s.now, seq=len(s.log), rows=rows))
    (after,) = find_runs(session, "test", session.began, s.now)
    assert (before.forged, after.forged) == (False, True)
    ask(session, s.now)


def test_what_a_tool_starts_after_it_became_the_agent_is_below_its_run() -> None:
    s = Scenario()
    s.call()
    tool = s.program(None, "pytest")
    session = fed(s)
    told = len(s.log)
    s.execs(tool, "/opt/agent/bin/agent")
    s.runs(tool, "pytest", status=1)
    for event in s.log[told:]:
        session.add(event)
    (run,) = find_runs(session, "test", session.began, s.now)
    assert run.process == tool
    ask(session, s.now)


# --- no more than the log --------------------------------------------------------------------------------


def _run_again_and_again(s: Scenario, count: int) -> None:
    for number in range(count):
        s.does("pytest", reads=(f"/repo/{number}.py", "/repo/a.py"))
        s.passed()


def _edited_and_run_again(s: Scenario, count: int) -> None:
    for _ in range(count):
        s.writes("/repo/a.py")
        s.does("pytest", reads=("/repo/a.py",))
        s.passed()


def _below_a_wrapper(s: Scenario, count: int) -> None:
    for _ in range(count):
        intent = s.asks("make test")
        shell = s.shell(intent)
        make = s.program(shell, "make", "test")
        test = s.runs(make, "pytest")
        s.reads(test, "/repo/a.py")
        s.exits(make)
        s.exits(shell)
        s.answers(intent, status=0)
        s.tick()
        s.passed()


def _beside_a_server(s: Scenario, count: int) -> None:
    s.program(s.program(None, "sh"), "npm", "run", "dev")
    _run_again_and_again(s, count)


def _of_two_tools(s: Scenario, count: int) -> None:
    for number in range(count):
        s.does("pytest", reads=("/repo/a.py",))
        s.does("cargo", "test", reads=("/repo/a.rs",))
        s.passed(tool=("pytest", "cargo-test")[number % 2])


def _counted(s: Scenario, count: int) -> None:
    for _ in range(count):
        s.counts(s.does("pytest", reads=("/repo/a.py",)), passed=3)
        s.passed(counts={"passed": 3})


def _never_run(s: Scenario, count: int) -> None:
    for _ in range(count):
        s.does("ls")
        s.passed()


@pytest.mark.parametrize(
    "shape",
    [
        _run_again_and_again,
        _edited_and_run_again,
        _below_a_wrapper,
        _beside_a_server,
        _of_two_tools,
        _counted,
        _never_run,
    ],
)
def test_all_claims_on_runs_cost_as_much_as_the_log(shape: Callable[[Scenario, int], None]) -> None:
    def steps(count: int) -> int:
        """What was looked at of commands, of openings and of what else could have done it, for all claims."""
        s = Scenario()
        shape(s, count)
        engine = Engine()
        verdicts = [verdict for event in s.log for verdict in engine.feed(event).verdicts]
        assert sum(verdict.subject.kind == "claim" for verdict in verdicts) >= count
        session = engine._sessions[s.name].session
        return sum(session.part(kind).steps for kind in (CommandsOver, Openings, Reasons))

    some, twice = steps(40), steps(80)
    assert 40 < some < twice < 2.2 * some, (some, twice)
