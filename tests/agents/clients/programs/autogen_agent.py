"""An AutoGen agent on OpenAI Chat Completions, streamed: autogen_agent.py PROMPT."""

from __future__ import annotations

import asyncio
import sys

import toolbox
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.messages import BaseChatMessage
from autogen_ext.models.openai import OpenAIChatCompletionClient
from openai import APIConnectionError

TRIES = 3


async def main(prompt: str) -> str:
    """Runs the agent to its end and returns its last word."""
    model = OpenAIChatCompletionClient(model="gpt-4o", max_retries=3, timeout=60)
    agent = AssistantAgent(
        "developer",
        model,
        tools=list(toolbox.TOOLS),
        system_message="You are a developer. Use the tools to work on the project in the current directory.",
        max_tool_iterations=20,
        model_client_stream=True,
    )
    task: str | None = prompt
    for _ in range(TRIES):
        try:
            result = await agent.run(task=task)
        except APIConnectionError:  # the stream broke off, which the SDK leaves to the application
            task = None  # go on from there
        else:
            await model.close()
            last = result.messages[-1]
            return last.to_text() if isinstance(last, BaseChatMessage) else ""
    raise SystemExit("the model's answers break off")


if __name__ == "__main__":
    print(asyncio.run(main(sys.argv[1])))
