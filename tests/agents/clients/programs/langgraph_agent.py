"""A LangChain agent, a LangGraph graph, on the Anthropic Messages API, streamed: langgraph_agent.py PROMPT."""

from __future__ import annotations

import sys

import toolbox
from langchain.agents import create_agent
from langchain.agents.middleware import ModelRetryMiddleware
from langchain_anthropic import ChatAnthropic


def main(prompt: str) -> str:
    """Runs the graph to its end and returns its last word."""
    model = ChatAnthropic(
        model_name="claude-sonnet-4-5", streaming=True, max_retries=1, timeout=60, stop=None
    )
    agent = create_agent(
        model,
        tools=list(toolbox.TOOLS),
        system_prompt="You are a developer. Use the tools to work on the project in the current directory.",
        # the model's own retries do not cover a stream that breaks off
        middleware=[ModelRetryMiddleware(initial_delay=0.1)],
    )
    state = agent.invoke({"messages": [{"role": "user", "content": prompt}]}, {"recursion_limit": 50})
    return str(state["messages"][-1].text)


if __name__ == "__main__":
    print(main(sys.argv[1]))
