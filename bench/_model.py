"""A scripted model behind TLS, for the workloads that talk to one: the endpoint of tests/agents, in this process.

It is no descendant of what is traced, and its CPU time is not counted: only that of commands is.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.agents.endpoint import Endpoint
from tests.agents.model import Asked, Reply, has_tools
from tests.agents.model import Model as Scripted
from tests.agents.script import Answer, Script, ToolCall

#: calls of the workload "200 TLS calls", and the bytes of each request and answer
CALLS, SIZE = 200, 20_000


class _Timed(Scripted):
    """Takes ``thinking`` seconds for each answer and notes when each was sent whole."""

    def __init__(self, script: Script, thinking: float) -> None:
        super().__init__(script, None, has_tools)
        self._thinking = thinking
        #: CLOCK_BOOTTIME, ns, by answer
        self.sent: list[int] = []

    def reply(self, asked: Asked) -> Reply:
        """As the scripted model, after a while."""
        time.sleep(self._thinking)
        return super().reply(asked)

    def said(self, reply: Reply) -> None:
        """Notes the time."""
        self.sent.append(time.clock_gettime_ns(time.CLOCK_BOOTTIME))
        super().said(reply)


class Model(Endpoint):
    """An endpoint that takes ``thinking`` seconds for each answer and notes when each was ``sent`` whole."""

    def __init__(self, script: Script, thinking: float = 0) -> None:
        super().__init__(script)
        timed = _Timed(script, thinking)
        self.model = timed
        #: CLOCK_BOOTTIME, ns, by answer
        self.sent = timed.sent


@contextmanager
def model(script: Script, thinking: float = 0) -> Iterator[tuple[str, str]]:
    """A model for one run: the arguments of programs/agent.py. Raises RuntimeError when not all of it was said."""
    with Model(script, thinking) as served:
        yield served.url, str(served.ca_file)
        if not served.finished:
            raise RuntimeError(f"the agent took {served.turns_served} of {len(script.answers)} answers")


def _code(size: int) -> str:
    """Lines of a program, ``size`` bytes."""
    lines = "".join(
        f"    total_{n} = compute(total_{n - 1}, offset={n})  # step {n}\n" for n in range(1, 500)
    )
    return lines[:size]


def calls_script(file: Path, *, calls: int = CALLS, size: int = SIZE) -> Script:
    """``calls`` answers of ``size`` bytes: an explanation with code in it, and a call that reads ``file``, whose
    content makes the next request as long. ``file`` is written."""
    file.write_text(_code(size - 1500))
    text = (
        "The function adds the offsets one after another. I will look at the module again to see where the sum "
        "goes wrong, then change the loop so that it starts at one.\n\n```python\n"
    )
    text += _code(size - len(text) - 1500) + "\n```\n"
    read = ToolCall("read_file", {"path": str(file)})
    answers = [Answer(text=text, calls=(read,)) for _ in range(calls - 1)]
    return Script((*answers, Answer(text=text)))


def claiming_script(turns: int) -> Script:
    """``turns`` answers, each of which claims something and asks for a command, the last one for none."""
    true = ToolCall("bash", {"command": "true"})
    answers = [Answer(text="All tests pass.", calls=(true,)) for _ in range(turns - 1)]
    return Script((*answers, Answer(text="All tests pass.")))


def session_script(python: str) -> Script:
    """A task from the first look to the commit: reading, two edits, two builds, two runs of the tests, git.

    ``python``: the interpreter that has pytest.
    """
    tests = f"{python} -m pytest -q -p no:cacheprovider"

    def bash(text: str, command: str) -> Answer:
        return Answer(text=text, calls=(ToolCall("bash", {"command": command}),))

    def write(text: str, path: str, content: str) -> Answer:
        return Answer(text=text, calls=(ToolCall("write_file", {"path": path, "content": content}),))

    return Script(
        (
            bash(
                "I'll look at the project first.",
                "git status --short; ls; grep -rn 'def f' --include=*.py . | head",
            ),
            Answer(text="Let me read it.", calls=(ToolCall("read_file", {"path": "module1.py"}),)),
            write(
                "I'll change the module.", "module1.py", "def f(x):\n    return [x + i for i in range(101)]\n"
            ),
            bash("Now I build it.", "make -s"),
            bash("The build went through. I'll run the tests.", tests),
            write(
                "One more change.", "module1.py", "def f(x):\n    return [x + i for i in range(100 + 1)]\n"
            ),
            bash("Again.", f"make -s && {tests}"),
            bash("I'll commit this.", "git add -A && git commit -qm 'Simplify f' && git log --oneline -1"),
            Answer(text="The build and all tests pass, and I committed the change."),
        )
    )
