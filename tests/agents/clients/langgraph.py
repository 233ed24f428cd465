"""LangChain on LangGraph: Python, Anthropic Messages, server-sent events."""

from __future__ import annotations

from pathlib import Path

from tests.agents.clients.base import Command, Job, ProgramClient


class LangGraph(ProgramClient):
    """The libraries, through programs/langgraph_agent.py."""

    name = "langchain"
    title = "LangGraph (LangChain)"

    def command(self, prefix: Path, job: Job) -> Command:
        """See :class:`Client`."""
        return self.start(
            prefix, "langgraph_agent.py", job, ANTHROPIC_API_KEY="x", ANTHROPIC_BASE_URL=job.url
        )
