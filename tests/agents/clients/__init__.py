"""The clients by name."""

from __future__ import annotations

from tests.agents.clients.aider import Aider
from tests.agents.clients.autogen import AutoGen
from tests.agents.clients.base import Client
from tests.agents.clients.claude_code import ClaudeCode
from tests.agents.clients.codex import Codex
from tests.agents.clients.crewai import CrewAi
from tests.agents.clients.langgraph import LangGraph
from tests.agents.clients.mini_swe_agent import MiniSweAgent
from tests.agents.clients.node_clients import GeminiCli, QwenCode
from tests.agents.clients.openai_agents import OpenAiAgents

_ALL: tuple[Client, ...] = (
    OpenAiAgents(),
    LangGraph(),
    AutoGen(),
    CrewAi(),
    MiniSweAgent(),
    Aider(),
    QwenCode(),
    GeminiCli(),
    ClaudeCode("2.1.330"),
    ClaudeCode("2.1.197"),
    Codex("codex-websocket", "Codex CLI, built-in provider", "websocket"),
    Codex("codex-code-mode", "Codex CLI, built-in provider, code mode", "websocket", code_mode=True),
    Codex("codex-http1", "Codex CLI, own provider", "http/1.1"),
    Codex("codex-http2", "Codex CLI, own provider", "h2"),
)
CLIENTS = {client.name: client for client in _ALL}
