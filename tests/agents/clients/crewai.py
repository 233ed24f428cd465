"""CrewAI: Python, OpenAI Chat Completions, server-sent events."""

from __future__ import annotations

from pathlib import Path

from tests.agents.clients.base import Command, Job, ProgramClient


class CrewAi(ProgramClient):
    """A crew of one agent, through programs/crewai_agent.py."""

    name = "crewai"
    title = "CrewAI"

    def command(self, prefix: Path, job: Job) -> Command:
        """See :class:`Client`."""
        return self.start(
            prefix,
            "crewai_agent.py",
            job,
            OPENAI_API_KEY="x",
            OPENAI_API_BASE=f"{job.url}/v1",
            OPENAI_BASE_URL=f"{job.url}/v1",
            CREWAI_DISABLE_TELEMETRY="true",
            CREWAI_TRACING_ENABLED="false",
            OTEL_SDK_DISABLED="true",
        )
