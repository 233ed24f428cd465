"""A CrewAI crew of one agent on OpenAI Chat Completions, streamed: crewai_agent.py PROMPT."""

from __future__ import annotations

import sys

import toolbox
from crewai import LLM, Agent, Crew, Task
from crewai.tools import tool


def main(prompt: str) -> str:
    """Runs the crew to its end and returns its last word."""
    developer = Agent(
        role="developer",
        goal="Do what you are asked, in the project in the current directory.",
        backstory="You use the tools to work.",
        llm=LLM(model="openai/gpt-4o", stream=True, timeout=60),
        tools=[tool(function.__name__)(function) for function in toolbox.TOOLS],
        max_iter=20,
    )
    task = Task(description=prompt, expected_output="A short report of what was done.", agent=developer)
    return str(Crew(agents=[developer], tasks=[task]).kickoff())


if __name__ == "__main__":
    print(main(sys.argv[1]))
