"""AutoGen: Python, OpenAI Chat Completions, server-sent events."""

from __future__ import annotations

from pathlib import Path

from tests.agents.clients.base import Command, Job, ProgramClient


class AutoGen(ProgramClient):
    """AgentChat's AssistantAgent, through programs/autogen_agent.py."""

    name = "autogen"
    title = "AutoGen"

    def command(self, prefix: Path, job: Job) -> Command:
        """See :class:`Client`."""
        return self.start(
            prefix, "autogen_agent.py", job, OPENAI_API_KEY="x", OPENAI_BASE_URL=f"{job.url}/v1"
        )
