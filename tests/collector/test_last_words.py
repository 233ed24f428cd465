"""What is said beside a call that does nothing, and by a call that only ends the work, is read as the last word."""

from __future__ import annotations

import pytest

from polygraph.events import Claim
from tests.agents.script import Answer, ToolCall
from tests.collector.said import Talk

SUBMIT = ToolCall("bash", {"command": "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT"})
TESTS = ToolCall("bash", {"command": "cd /repo && pytest -q"})


@pytest.mark.parametrize(
    ("text", "calls", "claims"),
    [
        ("I created `a.py`.", (SUBMIT,), ["file_created"]),
        ("I created `a.py`.", (TESTS,), []),
        ("I created `a.py`.", (SUBMIT, TESTS), []),
        ("I created `a.py`.", (ToolCall("bash", {"command": "echo done > a.py"}),), []),
        ("I will create `a.py`.", (SUBMIT,), []),
        ("", (ToolCall("attempt_completion", {"result": "I created `a.py`."}),), ["file_created"]),
        ("", (ToolCall("finish", {"message": "All 3 tests pass."}),), ["tests_passed"]),
        ("", (ToolCall("write_file", {"path": "b", "content": "All 3 tests pass."}),), []),
    ],
)
def test_last_words(text: str, calls: tuple[ToolCall, ...], claims: list[str]) -> None:
    talk = Talk()
    talk.says(Answer(text=text, calls=calls))
    assert [event.topic for event in talk.log() if isinstance(event, Claim)] == claims
