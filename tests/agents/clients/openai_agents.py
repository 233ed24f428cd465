"""OpenAI Agents SDK: Python, OpenAI Responses, server-sent events."""

from __future__ import annotations

from pathlib import Path

from tests.agents.clients.base import Command, Job, ProgramClient


class OpenAiAgents(ProgramClient):
    """The SDK, through programs/openai_agent.py."""

    name = "openai-agents"
    title = "OpenAI Agents SDK"

    def command(self, prefix: Path, job: Job) -> Command:
        """See :class:`Client`."""
        return self.start(prefix, "openai_agent.py", job, OPENAI_API_KEY="x", OPENAI_BASE_URL=f"{job.url}/v1")
