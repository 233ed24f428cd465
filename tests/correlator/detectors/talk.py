"""Conversations in stories: calls of a model that go on from each other, with what is new in each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from polygraph import events as e
from tests.correlator.scenario import STEP, Scenario


def signed(text: str, flipped: int = 0) -> str:
    """A signature that equal texts share; ``flipped``: bits in which a near-duplicate differs."""
    if not text:
        return ""
    base = int.from_bytes(text.encode()[:8].ljust(8, b"."))
    return f"{base ^ ((1 << flipped) - 1):016x}-{sum(text.encode()):08x}"


class Talk:
    """One conversation of a scenario: calls that go on from each other."""

    def __init__(self, story: Scenario, **fields: Any) -> None:
        self.story = story
        self.tip = ""
        self.came = "the user's question"
        #: bits in which what came of calls differs from what it says
        self.drift = 0
        self._fields = {"model": "claude-sonnet-4-5", "input_tokens": 1000, "output_tokens": 100, **fields}

    def says(self, answer: str = "", flipped: int = 0, **fields: Any) -> str:
        """A request that brings what came of the last call, and its answer."""
        self.story.now += STEP
        told = self.story.add(
            e.LlmCall,
            call=f"c{len(self.story.log)}",
            process=self.story.agent,
            api="openai.chat",
            host="api.test",
            request_ts=self.story.now,
            follows=self.tip,
            new_signature=signed(self.came, flipped + self.drift),
            answer_signature=signed(answer, flipped),
            **{"status": 200, **self._fields, **fields},
        )
        self.tip = told.call
        return told.call

    def asks(self, command: str, kind: str = "shell", tool: str = "bash", **fields: Any) -> e.Intent:
        """A call that asks for a tool call."""
        call = self.says(answer="Let me try.", **fields.pop("call", {}))
        fields.setdefault("digest", f"d {command}")
        fields.setdefault("signature", signed(command))
        where = len(self.story.log)
        return self.story.add(
            e.Intent,
            intent=f"i{where}",
            call=call,
            process=self.story.agent,
            call_id=f"t{where}",
            tool=tool,
            kind=kind,
            **fields,
        )

    def does(self, command: str, result: str, *effects: Callable[[], object], **fields: Any) -> None:
        """A whole tool call: asked for, carried out, and what came of it."""
        self.asks(command, **fields)
        for effect in effects:
            effect()
        self.came = result
        self.story.tick()


def failing(story: Scenario, status: int = 1) -> Callable[[], object]:
    """A failing test run that writes its cache and a report."""

    def run() -> None:
        shell = story.program(None, "sh", "-c", "TEXT")
        child = story.program(shell, "pytest", "-q")
        story.file(child, "write", f"/repo/.pytest_cache/{len(story.log)}")
        story.file(child, "create", f"/tmp/pytest-of-root/pytest-{len(story.log)}/x")
        story.file(child, "write", "/repo/report.xml")
        story.exits(child, status)
        story.exits(shell, status)

    return run
