"""How the work grows with the session: twice the events are about twice the work, for each shape of a long session.

Work is counted in instructions, never in time. What a claim costs may grow with the session, what an event costs
may not: so claims are few where events are many, and the other way round.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from correlator.engine import Engine
from polygraph import events as e
from tests.correlator.detectors.talk import Talk, failing
from tests.correlator.scenario import Scenario, expect

#: of a shape; the second run has twice as many
SIZE = 60
#: twice is 2; the rest is for what is sorted
MOST = 2.5


def work(log: list[Any]) -> int:
    """Instructions of Python while an engine takes ``log`` in and judges it."""
    count = 0

    def traced(frame: FrameType, event: str, _argument: object) -> Any:
        nonlocal count
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        count += event == "opcode"
        return traced

    engine = Engine()
    before = sys.gettrace()
    sys.settrace(traced)
    try:
        for event in log:
            engine.feed(event)
    finally:
        sys.settrace(before)
    return count


def many_files(s: Scenario, size: int) -> None:
    s.does("pytest", reads=[f"/repo/m{n}.py" for n in range(size)])
    for n in range(size):
        s.file(s.agent, "write", f"/repo/out/n{n}.py")
    s.passed()
    s.claims("file_created", targets=("notes.md",))
    s.claims("nothing_else_changed", kind="absence", targets=("a.py",))


def files_that_may_be_dependencies(s: Scenario, size: int) -> None:
    s.does("pytest")
    s.file(s.agent, "create", "/elsewhere/__pycache__/a.cpython-311.pyc")
    for n in range(size):
        s.file(s.agent, "create", f"/repo/p{n}/__pycache__/m.cpython-311.pyc")
        s.file(s.agent, "write", f"/repo/m{n}.py")
    s.passed()


def one_file_again_and_again(s: Scenario, size: int) -> None:
    s.does("pytest", reads=["/repo/a.py"])
    for _ in range(size):
        s.file(s.agent, "write", "/repo/b.py")
        s.replaces(s.agent, "/repo/c.py")
    s.passed()
    s.claims("file_changed", targets=("b.py",))


def many_processes(s: Scenario, size: int) -> None:
    intent = s.asks("make")
    shell = s.shell(intent)
    make = s.program(shell, "make")
    for n in range(size):
        s.runs(make, "cc", "-c", f"m{n}.c")
    s.exits(make)
    s.exits(shell)
    s.answers(intent, status=0)
    s.claims("build", "ok")
    s.passed()


def a_chain_of_processes(s: Scenario, size: int) -> None:
    process = s.agent
    for _ in range(size):
        process = s.program(process, "sh", "x.sh")
    s.passed()


def many_runs(s: Scenario, size: int) -> None:
    intent = s.asks("sh")
    shell = s.shell(intent)
    for n in range(size):
        make = s.program(shell, "make", "test")
        s.runs(make, "echo", str(n))
        s.exits(make)
    s.exits(shell)
    s.answers(intent)
    s.passed()


def many_failing_runs(s: Scenario, size: int) -> None:
    intent = s.asks(expect("pytest", masked=True), "tail")
    shell = s.shell(intent)
    for n in range(size):
        s.runs(shell, "pytest", f"test_{n}.py", status=1)
    s.exits(shell)
    s.answers(intent)
    s.passed()


def runs_and_writes_between_them(s: Scenario, size: int) -> None:
    """Which run a write makes stale is asked of the runs that decide, not of each pair."""
    for n in range(size):
        s.does("pytest", reads=[f"/repo/m{m}.py" for m in range(8)])
        s.file(s.agent, "write", f"/repo/m{n % 8}.py")
        s.replaces(s.agent, f"/repo/n{n}.py")
    s.passed()
    s.does("git", "add", ".", reads=[f"/repo/m{m}.py" for m in range(8)])
    s.does("git", "commit", "-m", "TEXT")
    s.does("git", "push")


def one_file_opened_again_and_again(s: Scenario, size: int) -> None:
    for _ in range(size):
        s.does("cat", "a.py", reads=["/repo/a.py"])
    s.claims("file_read", kind="exhaustive", targets=("a.py",), finds={"a.py": True}, size=9)


def a_directory_read_by_many_calls(s: Scenario, size: int) -> None:
    for n in range(size):
        s.does("cat", f"src/m{n}.py", reads=[f"/repo/src/m{n}.py"])
    s.reads(s.agent, "/repo/src/a.py")
    finds = {f"src/{name}.py": True for name in "abcd"}
    s.claims("file_read", kind="exhaustive", targets=("src/",), finds=finds, size=9)
    s.claims("file_read", kind="exhaustive", targets=("src/a.py",), finds={"src/a.py": True}, size=9)
    s.claims("file_read", kind="exhaustive", counts={"total": 10_000})


def many_tool_calls(s: Scenario, size: int) -> None:
    for n in range(size):
        s.does("ls", str(n))


def many_writes_by_tools(s: Scenario, size: int) -> None:
    for n in range(size):
        s.writes(f"/repo/m{n}.py")


def many_claims_on_files(s: Scenario, size: int) -> None:
    for n in range(size):
        s.file(s.agent, "create", f"/repo/m{n}.py")
        s.claims("file_created", targets=(f"m{n}.py",))


def many_losses(s: Scenario, size: int) -> None:
    for n in range(size):
        s.add(e.Loss, dimension="file", cause="ring", count=1, since=s.now)
        s.does("ls", str(n))


def a_loop(s: Scenario, size: int) -> None:
    talk = Talk(s)
    for _ in range(size):
        talk.does("pytest -q", "1 failed", failing(s))


def many_conversations(s: Scenario, size: int) -> None:
    for n in range(size):
        talk = Talk(s)
        talk.does("ls", "a.py", lambda n=n: s.file(s.agent, "write", f"/repo/m{n}.py"))  # type: ignore[misc]
        talk.says("Done.")


SHAPES = [
    many_files, files_that_may_be_dependencies, one_file_again_and_again, many_processes, a_chain_of_processes,
    many_runs, many_failing_runs, runs_and_writes_between_them, one_file_opened_again_and_again,
    a_directory_read_by_many_calls, many_tool_calls, many_writes_by_tools, many_claims_on_files, many_losses,
    a_loop, many_conversations,
]  # fmt: skip


def log_of(shape: Callable[[Scenario, int], None], size: int) -> list[Any]:
    s = Scenario()
    shape(s, size)
    return [*s.log, e.SessionEnd(session=s.name, ts=s.now, seq=len(s.log))]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_twice_the_session_is_about_twice_the_work(shape: Callable[[Scenario, int], None]) -> None:
    work(log_of(shape, 2))  # tables are read once
    once, twice = (work(log_of(shape, size)) for size in (SIZE, 2 * SIZE))
    assert twice < MOST * once, (once, twice)
