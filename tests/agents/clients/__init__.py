"""The clients by name."""

from __future__ import annotations

from tests.agents.clients.aider import Aider
from tests.agents.clients.base import Client
from tests.agents.clients.langgraph import LangGraph
from tests.agents.clients.mini_swe_agent import MiniSweAgent
from tests.agents.clients.node_clients import GeminiCli, QwenCode
from tests.agents.clients.openai_agents import OpenAiAgents

_ALL: tuple[Client, ...] = (OpenAiAgents(), LangGraph(), MiniSweAgent(), Aider(), QwenCode(), GeminiCli())
CLIENTS = {client.name: client for client in _ALL}
