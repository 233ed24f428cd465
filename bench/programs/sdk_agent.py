"""An agent as people have them: agent.py's tools and task, in the OpenAI Agents SDK (Responses API, streamed).

    sdk_agent.py URL CA_FILE

Runs under the Python of the client `openai-agents` of tests/agents.
"""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

os.environ |= {"OPENAI_BASE_URL": f"{sys.argv[1]}/v1", "OPENAI_API_KEY": "x", "SSL_CERT_FILE": sys.argv[2]}

from agents import Agent, Runner, function_tool, set_tracing_disabled


@function_tool
def bash(command: str) -> str:
    """Runs a command."""
    done = subprocess.run(
        ["bash", "-c", command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    return f"{done.stdout.decode(errors='replace')[-8000:]}\nexit code: {done.returncode}"


@function_tool
def read_file(path: str) -> str:
    """The content of a file."""
    return Path(path).read_text()


@function_tool
def write_file(path: str, content: str) -> str:
    """Writes a file."""
    Path(path).write_text(content)
    return f"wrote {path}"


async def main() -> None:
    """The task to its end."""
    agent = Agent(name="developer", model="scripted", tools=[bash, read_file, write_file])
    result = Runner.run_streamed(agent, "Do the work.", max_turns=100)
    async for _ in result.stream_events():
        pass


set_tracing_disabled(True)
asyncio.run(main())
