"""An agent as people have them: agent.py's tools and task, in the OpenAI Agents SDK (Responses API, streamed).

    sdk_agent.py URL CA_FILE

Runs under the Python of the client `openai-agents` of tests/agents.
"""

import asyncio
import os
import sys

os.environ |= {"OPENAI_BASE_URL": f"{sys.argv[1]}/v1", "OPENAI_API_KEY": "x", "SSL_CERT_FILE": sys.argv[2]}

from agent import run
from agents import Agent, Runner, function_tool, set_tracing_disabled


@function_tool
def bash(command: str) -> str:
    """Runs a command."""
    return run("bash", {"command": command})


@function_tool
def read_file(path: str) -> str:
    """The content of a file."""
    return run("read_file", {"path": path})


@function_tool
def write_file(path: str, content: str) -> str:
    """Writes a file."""
    return run("write_file", {"path": path, "content": content})


async def main() -> None:
    """The task to its end."""
    agent = Agent(name="developer", model="scripted", tools=[bash, read_file, write_file])
    result = Runner.run_streamed(agent, "Do the work.", max_turns=100)
    async for _ in result.stream_events():
        pass


set_tracing_disabled(True)
asyncio.run(main())
