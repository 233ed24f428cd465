"""The clients by name."""

from __future__ import annotations

from tests.agents.clients.base import Client
from tests.agents.clients.langgraph import LangGraph
from tests.agents.clients.mini_swe_agent import MiniSweAgent
from tests.agents.clients.openai_agents import OpenAiAgents

CLIENTS: dict[str, Client] = {client.name: client for client in (OpenAiAgents(), LangGraph(), MiniSweAgent())}
