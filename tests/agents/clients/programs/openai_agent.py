"""An agent on the OpenAI Agents SDK (Responses API, streamed): openai_agent.py PROMPT."""

from __future__ import annotations

import asyncio
import sys

import toolbox
from agents import Agent, Runner, function_tool, set_tracing_disabled


async def main(prompt: str) -> str:
    """Runs the agent to its end and returns its last word."""
    agent = Agent(
        name="developer",
        instructions="You are a developer. Use the tools to work on the project in the current directory.",
        model="gpt-4.1",
        tools=[function_tool(tool) for tool in toolbox.TOOLS],
    )
    result = Runner.run_streamed(agent, prompt, max_turns=20)
    async for _ in result.stream_events():
        pass
    return str(result.final_output)


if __name__ == "__main__":
    set_tracing_disabled(True)
    print(asyncio.run(main(sys.argv[1])))
