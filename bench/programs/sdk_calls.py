"""Calls of a model as agents make them: agent.py's loop over one tool, by the openai package.

    sdk_calls.py whole|streamed URL CA_FILE

Runs under the Python of the client `openai-agents` of tests/agents. The history that goes along is the last exchange.
"""

import json
import os
import sys
from pathlib import Path

os.environ["SSL_CERT_FILE"] = sys.argv[3]

from openai import OpenAI

TOOLS = [{"type": "function", "function": {"name": "read_file", "parameters": {"type": "object"}}}]


def answer(client, messages):
    """The model's answer as a message of the conversation."""
    asked = {"model": "scripted", "messages": messages, "tools": TOOLS}
    if sys.argv[1] == "whole":
        return client.chat.completions.create(**asked).choices[0].message.model_dump(exclude_none=True)
    said = {"role": "assistant", "content": ""}
    for chunk in client.chat.completions.create(**asked, stream=True):
        for choice in chunk.choices:
            said["content"] += choice.delta.content or ""
            for part in choice.delta.tool_calls or ():
                call = said.setdefault("tool_calls", [{"type": "function", "function": {"arguments": ""}}])[0]
                call["id"] = part.id or call["id"]
                call["function"]["name"] = part.function.name or call["function"]["name"]
                call["function"]["arguments"] += part.function.arguments or ""
    return said


def main():
    """Until the model asks for no tool."""
    client = OpenAI(base_url=f"{sys.argv[2]}/v1", api_key="x")
    last = []
    while True:
        said = answer(client, [{"role": "user", "content": "Do the work."}, *last])
        if "tool_calls" not in said:
            return
        (call,) = said["tool_calls"]
        result = Path(json.loads(call["function"]["arguments"])["path"]).read_text()
        last = [said, {"role": "tool", "tool_call_id": call["id"], "content": result}]


main()
