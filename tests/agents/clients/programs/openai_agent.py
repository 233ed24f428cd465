"""An agent on the OpenAI Agents SDK (Responses API, streamed): openai_agent.py PROMPT."""

from __future__ import annotations

import asyncio
import sys

import toolbox
from agents import Agent, Runner, TResponseInputItem, function_tool, set_tracing_disabled
from openai import APIConnectionError

TRIES = 3


async def main(prompt: str) -> str:
    """Runs the agent to its end and returns its last word."""
    agent = Agent(
        name="developer",
        instructions="You are a developer. Use the tools to work on the project in the current directory.",
        model="gpt-4.1",
        tools=[function_tool(tool) for tool in toolbox.TOOLS],
    )
    said: str | list[TResponseInputItem] = prompt
    for _ in range(TRIES):
        result = Runner.run_streamed(agent, said, max_turns=20)
        try:
            async for _event in result.stream_events():
                pass
        except APIConnectionError:  # the stream broke off, which the SDK leaves to the application
            said = result.to_input_list()
        else:
            return str(result.final_output)
    raise SystemExit("the model's answers break off")


if __name__ == "__main__":
    set_tracing_disabled(True)
    print(asyncio.run(main(sys.argv[1])))
