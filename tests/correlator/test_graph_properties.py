"""What holds for every log: one edge an effect, whenever it is asked; exact edges stay; the cost is that of the log."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from correlator.attribution import Attribution
from correlator.session import Session
from polygraph import events as e
from tests.correlator.scenario import STEP, Scenario
from tests.correlator.test_graph import session_of, wrote

PATHS = ("/repo/a.py", "/repo/b.py", "/root/.claude/x", "/root/.ssh/id_rsa", "/tmp/claude-0/x")
COMMANDS = ("make", "pytest -q", "git status")
Step = tuple[int, int, int]
STEPS = st.lists(st.tuples(st.integers(0, 10), st.integers(0, 7), st.integers(0, 7)), max_size=40)


def story(steps: Iterable[Step]) -> list[Any]:
    """A session of a client that runs tools in itself and in shells, several at once, in any order."""
    s = Scenario(agent=("/opt/claude-code-linux-x64/claude",))
    processes = [s.agent]
    asked: list[e.Intent] = []
    call = s.call()
    for kind, one, two in steps:
        process = processes[one % len(processes)]
        match kind:
            case 0:
                call = s.call()
            case 1:
                asked.append(s.asks(COMMANDS[one % 3], call=call, command_digest=f"k{two % 3}"))
            case 2:
                kinds = ("write", "other", "delegate", "fetch")
                files = wrote(PATHS[two % len(PATHS)]) if one % 4 == 0 else ()
                hosts = ("docs.test",) if one % 4 == 3 else ()
                asked.append(s.intent(kinds[one % 4], call=call, files=files, hosts=hosts))
            case 3 if asked:
                s.answers(asked.pop(one % len(asked)))
            case 4 if asked:
                processes.append(s.shell(asked[two % len(asked)], parent=process))
            case 5:
                processes.append(s.program(process, *COMMANDS[two % 3].split()))
            case 6:
                processes.append(s.fork(process))
            case 7:
                s.add(
                    e.Net, process=process, op="connect", family="inet", address=f"10.0.0.{two % 3}", port=443
                )
            case 8:
                s.add(
                    e.Name, process=process, source="dns", name="docs.test", addresses=(f"10.0.0.{two % 3}",)
                )
            case 9:
                s.tick()
            case _:
                s.file(process, ("write", "create", "read", "mkdir")[two % 4], PATHS[one % len(PATHS)])
    return s.log


def is_effect(event: Any) -> bool:
    """Whether the event is one that the graph has an edge for."""
    return isinstance(event, e.File | e.Net | e.Name | e.Exec | e.Fork | e.Exit)


def edges(session: Session, log: Iterable[Any]) -> dict[int, Attribution]:
    """The edge of each effect, by its place in the log."""
    return {event.seq: session.graph.of(event) for event in log if is_effect(event)}


@given(STEPS)
def test_every_effect_has_exactly_one_edge(steps: list[Step]) -> None:
    log = story(steps)
    session = session_of(log)
    for event in filter(is_effect, log):
        edge = session.graph.of(event)
        assert (edge.intent is not None) == (edge.cause == "intent")
        assert (edge.rule is not None) == (edge.cause == "housekeeping")
        assert (edge.grade is None) == (edge.cause == "nothing")
        assert edge.intent not in edge.rivals
        assert {edge.intent, *edge.rivals} - {None} <= session.intents.keys()
        assert len(set(edge.rivals)) == len(edge.rivals)
        if edge.rivals:
            assert edge.grade != "exact"
        if edge.intent is not None:
            call = session.calls[session.intents[edge.intent].intent.call]
            assert event.ts >= call.request_ts


@given(STEPS, st.sets(st.integers(0, 120)))
def test_it_does_not_matter_when_one_asks(steps: list[Step], asked_after: set[int]) -> None:
    log = story(steps)
    session = Session(log[0].session)
    for place, event in enumerate(log):
        session.add(event)
        if place in asked_after:
            edges(session, log[: place + 1])
    assert edges(session, log) == edges(session_of(log), log)


@given(STEPS, st.sets(st.integers(0, 120)))
def test_it_does_not_matter_how_ticks_cut_the_log(steps: list[Step], cuts: set[int]) -> None:
    log = story(steps)
    chunked: list[Any] = []
    for place, event in enumerate(log):
        if not isinstance(event, e.Tick):
            chunked.append(event)
        if place in cuts:
            chunked.append(e.Tick(session=event.session, ts=event.ts))
    session = Session(log[0].session)
    for place, event in enumerate(chunked):
        session.add(event)
        if isinstance(event, e.Tick):
            edges(session, chunked[:place])
    assert edges(session, log) == edges(session_of(log), log)


@given(STEPS, st.integers(0, 120), st.integers(0, 2))
def test_a_tool_call_beside_it_never_moves_an_exact_edge(steps: list[Step], at: int, kind: int) -> None:
    log = story(steps)
    before = edges(session_of(log), log)
    place = min(max(at, 1), len(log))
    other = e.Intent(
        session=log[0].session,
        ts=log[place - 1].ts + STEP // 2,
        seq=log[place - 1].seq,
        intent="other",
        call="cx",
        process=log[0].process,
        call_id="tx",
        tool="x",
        kind=("shell", "write", "other")[kind],
        digest="dx",
        files=wrote("/repo/z.py") if kind == 1 else (),
        command_digest="unheard of" if kind == 0 else None,
    )
    after = edges(session_of([*log[:place], other, *log[place:]]), log)
    for seq, edge in before.items():
        if edge.grade == "exact":
            assert after[seq] == edge


@given(STEPS)
def test_times_that_are_moved_together_move_no_edge(steps: list[Step]) -> None:
    def later(event: Any) -> Any:
        moved = {"ts": event.ts + 10**15}
        if isinstance(event, e.LlmCall):
            moved["request_ts"] = event.request_ts + 10**15
        return msgspec.structs.replace(event, **moved)

    log = story(steps)
    shifted = [later(event) for event in log]
    assert edges(session_of(shifted), shifted) == edges(session_of(log), log)


@given(STEPS, st.randoms(use_true_random=False))
def test_a_log_in_any_order_gives_each_effect_an_edge(steps: list[Step], order: Any) -> None:
    log = story(steps)
    mixed = log.copy()
    order.shuffle(mixed)
    session = Session(log[0].session)
    for event in mixed:
        session.add(event)
        if is_effect(event):
            session.graph.of(event)
    assert edges(session, log) == edges(session_of(mixed), log)


# --- the cost -------------------------------------------------------------------------------------------


def _one_after_the_other(s: Scenario, count: int) -> None:
    for _ in range(count):
        intent = s.asks("make", command_digest="k")
        shell = s.shell(intent)
        s.file(s.program(shell, "cc"), "write", "/repo/a.o")
        s.answers(intent)


def _under_one_delegate(s: Scenario, count: int) -> None:
    s.intent("delegate", tool="Task")
    _one_after_the_other(s, count)


def _never_answered(s: Scenario, count: int) -> None:
    for number in range(count):
        s.intent("write", files=wrote(f"/repo/{number}.py"))
        s.file(s.agent, "write", f"/repo/{number}.py")


def _the_same_file_again(s: Scenario, count: int) -> None:
    for _ in range(count):
        intent = s.intent("edit", files=wrote("/repo/a.py"))
        s.file(s.agent, "write", "/repo/a.py")
        s.answers(intent)
        s.file(s.agent, "write", "/repo/a.py")


def _a_chain_of_forks(s: Scenario, count: int) -> None:
    intent = s.asks("make")
    process = s.shell(intent)
    for _ in range(count):
        process = s.fork(process)
        s.file(process, "write", "/repo/a")
        s.answers(s.intent("other", tool="x"))


def _in_one_process(s: Scenario, count: int) -> None:
    for number in range(count):
        s.file(s.agent, "write", f"/tmp/claude-0/{number}")
        s.add(e.Net, process=s.agent, op="connect", family="inet", address="10.0.0.1", port=443)


def _programs_without_a_shell(s: Scenario, count: int) -> None:
    for number in range(count):
        intent = s.asks(f"pytest {number}.py", command_digest=None)
        s.file(s.program(s.program(None, "bash"), "pytest", f"{number}.py"), "write", "/repo/a")
        s.answers(intent)


def _agents_that_call(s: Scenario, count: int) -> None:
    for number in range(count):
        worker = s.program(None, "python", "worker.py", path="/usr/bin/python3.11")
        s.add(
            e.LlmCall, call=f"w{number}", process=worker, api="openai.chat", host="a.test", request_ts=s.now
        )
        s.file(worker, "write", "/root/.claude/x")


@pytest.mark.parametrize(
    "shape",
    [
        _one_after_the_other,
        _under_one_delegate,
        _never_answered,
        _the_same_file_again,
        _a_chain_of_forks,
        _in_one_process,
        _programs_without_a_shell,
        _agents_that_call,
    ],
)
def test_all_edges_of_a_session_cost_as_much_as_its_log(shape: Callable[[Scenario, int], None]) -> None:
    def steps(count: int) -> int:
        """Of a session that is asked for its latest edges at each Tick, and for all of them at its end."""
        s = Scenario(agent=("/opt/claude-code-linux-x64/claude",))
        shape(s, count)
        session = Session(s.name)
        for event in s.log:
            session.add(event)
            if is_effect(event):
                session.graph.of(event)
        edges(session, s.log)
        return session.graph.steps

    some, twice = steps(200), steps(400)
    assert 200 < some < twice < 2.2 * some, (some, twice)
