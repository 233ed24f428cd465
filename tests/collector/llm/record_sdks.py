"""Real SDKs against the scripted answers of tests/agents/wire.py; what they send is kept in data/sdk_requests.json.

``python -m tests.collector.llm.record_sdks`` in an environment with google-genai, boto3, ollama, mistralai, cohere,
openai and anthropic[bedrock], and nothing of a cloud: the server is on loopback, the keys are the letter x. Each SDK is
asked twice, whole and streamed: it must read two tool calls and a text in what wire.py made, and its second request
brings their results. Only paths and bodies are kept.
"""

from __future__ import annotations

import base64
import json
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

from tests.agents.frames import MESSAGES, Event, Frame, Message
from tests.agents.script import Answer, ToolCall
from tests.agents.wire import Wire, body, content_type, events, streamed, wire_of

DATA = Path(__file__).parent / "data" / "sdk_requests.json"
CALLS = (ToolCall("bash", {"command": "pytest -q"}), ToolCall("bash", {"command": "ls"}))
FIRST, LAST = Answer(text="I run the tests.", calls=CALLS), Answer(text="All 3 tests pass.")
OUTPUTS = ("3 passed in 0.1s", "a.py")
Json = dict[str, Any]
Said = tuple[str, list[str]]


def chunked(made: Iterator[Frame]) -> Iterator[Message]:
    """The events of Anthropic's stream in the chunks of InvokeModel."""
    for event in made:
        assert isinstance(event, Event)
        yield Message("chunk", json.dumps({"bytes": base64.b64encode(event.data.encode()).decode()}))


def with_whole_calls(made: Iterator[Frame], said: Answer, number: int) -> Iterator[Frame]:
    """A chat's stream as Mistral sends it: calls whole, all in one chunk. Its SDK refuses any other."""
    calls = body("openai.chat", said, {}, str(number))["choices"][0]["message"].get("tool_calls", [])
    for event in made:
        assert isinstance(event, Event)
        if '"tool_calls":' not in event.data:
            yield event
        elif calls:
            delta = {"tool_calls": [call | {"index": index} for index, call in enumerate(calls)]}
            choice = {"index": 0, "delta": delta, "finish_reason": None}
            yield Event(None, json.dumps({"id": "x", "model": "m-1", "choices": [choice]}))
            calls = []


def reply(path: str, request: Json, number: int, sdk: str) -> tuple[str, bytes]:
    """Content type and body of the answer to an SDK's request ``number``."""
    invoked = "/invoke" in path
    wire: Wire | None = "anthropic.messages" if invoked else wire_of(path)
    assert wire is not None, path
    first = FIRST if sdk in WITH_IDS else replace(FIRST, with_ids=False)
    said = LAST if number else first
    asked = request | {"model": "m-1"}
    if not (streamed(wire, path, request) or path.endswith("-response-stream")):
        return "application/json", json.dumps(body(wire, said, asked, str(number))).encode()
    framed: Iterator[Frame] = events(wire, said, asked, str(number))
    if invoked:
        framed = chunked(framed)
    elif sdk == "mistralai":
        framed = with_whole_calls(framed, said, number)
    return MESSAGES if invoked else content_type(wire), b"".join(event.encode() for event in framed)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, sdk: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.sdk = sdk
        self.requests: list[Json] = []


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Nothing is printed."""

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        number = len(self.server.requests)
        self.server.requests.append({"path": self.path, "body": request})
        kind, content = reply(self.path, request, number, self.server.sdk)
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@contextmanager
def serving(sdk: str) -> Iterator[tuple[str, list[Json]]]:
    """The address of a server for that SDK, and what it was sent."""
    with _Server(sdk) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", server.requests
        finally:
            server.shutdown()
            thread.join()


# --- the SDKs: each asks twice, and says what it read ---------------------------------------------------

SCHEMA: Json = {"type": "object", "properties": {"command": {"type": "string"}}}
TOOL: Json = {"type": "function", "function": {"name": "bash", "description": "x", "parameters": SCHEMA}}


def google(url: str, stream: bool) -> list[Said]:
    """google-genai, a chat."""
    genai, types = import_module("google.genai"), import_module("google.genai.types")
    client = genai.Client(api_key="x", http_options={"base_url": url})
    tool = types.Tool(function_declarations=[{"name": "bash", "parameters_json_schema": SCHEMA}])
    config = types.GenerateContentConfig(
        tools=[tool], automatic_function_calling={"disable": True}, system_instruction="Be good."
    )
    chat = client.chats.create(model="gemini-x", config=config)

    def say(message: Any) -> Said:
        parts = list(chat.send_message_stream(message)) if stream else [chat.send_message(message)]
        made = [part for answer in parts for part in answer.candidates[0].content.parts or []]
        calls = [part.function_call.args["command"] for part in made if part.function_call]
        return "".join(part.text or "" for part in made), calls

    outputs = [types.Part.from_function_response(name="bash", response={"output": text}) for text in OUTPUTS]
    return [say("Go."), say(outputs)]


def boto(url: str, stream: bool) -> list[Said]:
    """boto3, Converse."""
    client = import_module("boto3").client(
        "bedrock-runtime",
        region_name="eu-west-1",
        endpoint_url=url,
        aws_access_key_id="x",
        aws_secret_access_key="x",  # noqa: S106
    )
    messages: list[Json] = [{"role": "user", "content": [{"text": "Go."}]}]
    fields = {
        "modelId": "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.m-1",
        "toolConfig": {"tools": [{"toolSpec": {"name": "bash", "inputSchema": {"json": SCHEMA}}}]},
        "system": [{"text": "Be good."}],
    }

    def blocks() -> list[Json]:
        if not stream:
            return list(client.converse(messages=messages, **fields)["output"]["message"]["content"])
        made: dict[int, Json] = {}
        for event in client.converse_stream(messages=messages, **fields)["stream"]:
            for kind in event.keys() & {"contentBlockStart", "contentBlockDelta"}:
                block = made.setdefault(event[kind]["contentBlockIndex"], {"text": ""})
                if kind == "contentBlockStart":
                    block["toolUse"] = {**event[kind]["start"]["toolUse"], "input": ""}
                else:
                    delta = event[kind]["delta"]
                    block["text"] += delta.get("text", "")
                    if "toolUse" in delta:
                        block["toolUse"]["input"] += delta["toolUse"]["input"]
        for block in made.values():
            if "toolUse" in block:
                del block["text"]
                block["toolUse"]["input"] = json.loads(block["toolUse"]["input"])
        return [made[index] for index in sorted(made)]

    said = []
    for _ in range(2):
        content = blocks()
        uses = [block["toolUse"] for block in content if "toolUse" in block]
        said.append(("".join(b.get("text", "") for b in content), [use["input"]["command"] for use in uses]))
        results = [
            {"toolResult": {"toolUseId": use["toolUseId"], "content": [{"text": text}]}}
            for use, text in zip(uses, OUTPUTS, strict=False)
        ]
        messages += [{"role": "assistant", "content": content}, {"role": "user", "content": results}]
    return said


def anthropic_bedrock(url: str, stream: bool) -> list[Said]:
    """anthropic, its client for Bedrock: InvokeModel."""
    client = import_module("anthropic").AnthropicBedrock(
        base_url=url,
        aws_region="eu-west-1",
        aws_access_key="x",
        aws_secret_key="x",  # noqa: S106
    )
    messages: list[Json] = [{"role": "user", "content": "Go."}]
    said = []
    for _ in range(2):
        asked = {
            "model": "eu.anthropic.m-1-v1:0",
            "max_tokens": 9,
            "messages": messages,
            "tools": [{"name": "bash", "input_schema": SCHEMA}],
        }
        if stream:
            with client.messages.stream(**asked) as live:
                message = live.get_final_message()
        else:
            message = client.messages.create(**asked)
        uses = [block for block in message.content if block.type == "tool_use"]
        texts = [block.text for block in message.content if block.type == "text"]
        said.append(("".join(texts), [use.input["command"] for use in uses]))
        results = [
            {"type": "tool_result", "tool_use_id": use.id, "content": text}
            for use, text in zip(uses, OUTPUTS, strict=False)
        ]
        messages += [{"role": "assistant", "content": message.content}, {"role": "user", "content": results}]
    return said


def ollama(url: str, stream: bool) -> list[Said]:
    """ollama, a chat."""
    client = import_module("ollama").Client(host=url)
    messages: list[Any] = [{"role": "user", "content": "Go."}]
    said = []
    for _ in range(2):
        asked = {"model": "m-1", "messages": messages, "tools": [TOOL]}
        parts = list(client.chat(**asked, stream=True)) if stream else [client.chat(**asked)]
        text = "".join(part.message.content or "" for part in parts)
        calls = [call for part in parts for call in part.message.tool_calls or []]
        said.append((text, [call.function.arguments["command"] for call in calls]))
        messages.append({"role": "assistant", "content": text, "tool_calls": calls})
        messages += [
            {"role": "tool", "tool_name": call.function.name, "content": output}
            for call, output in zip(calls, OUTPUTS, strict=False)
        ]
    return said


def _like_openai(ask: Callable[[list[Any]], tuple[str, list[Any]]]) -> list[Said]:
    """A conversation in which calls have an id and a function."""
    messages: list[Any] = [{"role": "user", "content": "Go."}]
    said = []
    for _ in range(2):
        text, calls = ask(messages)
        commands = [json.loads(call.function.arguments)["command"] for call in calls]
        said.append((text, commands))
        functions = [
            {
                "id": c.id,
                "type": "function",
                "function": {"name": c.function.name, "arguments": c.function.arguments},
            }
            for c in calls
        ]
        messages.append({"role": "assistant", "content": text or None, "tool_calls": functions})
        messages += [
            {"role": "tool", "tool_call_id": call.id, "content": output}
            for call, output in zip(calls, OUTPUTS, strict=False)
        ]
    return said


def mistral(url: str, stream: bool) -> list[Said]:
    """mistralai, a chat."""
    client = import_module("mistralai.client").Mistral(api_key="x", server_url=url)

    def ask(messages: list[Any]) -> tuple[str, list[Any]]:
        asked = {"model": "m-1", "messages": messages, "tools": [TOOL]}
        if not stream:
            message = client.chat.complete(**asked).choices[0].message
            return message.content or "", message.tool_calls or []
        deltas = [event.data.choices[0].delta for event in client.chat.stream(**asked)]
        calls = [call for delta in deltas for call in delta.tool_calls or []]
        return "".join(delta.content or "" for delta in deltas), calls

    return _like_openai(ask)


def azure(url: str, stream: bool) -> list[Said]:
    """openai, its client for Azure."""
    client = import_module("openai").AzureOpenAI(azure_endpoint=url, api_key="x", api_version="2024-10-21")

    def ask(messages: list[Any]) -> tuple[str, list[Any]]:
        asked = {"model": "d-1", "messages": messages, "tools": [TOOL]}
        if stream:
            with client.chat.completions.stream(**asked) as live:
                message = live.get_final_completion().choices[0].message
        else:
            message = client.chat.completions.create(**asked).choices[0].message
        return message.content or "", message.tool_calls or []

    return _like_openai(ask)


def cohere(url: str, stream: bool) -> list[Said]:
    """cohere, version 2 of its chat."""
    client = import_module("cohere").ClientV2(api_key="x", base_url=url)

    def ask(messages: list[Any]) -> tuple[str, list[Any]]:
        asked = {"model": "m-1", "messages": messages, "tools": [TOOL]}
        if not stream:
            message = client.chat(**asked).message
            return "".join(part.text for part in message.content or []), message.tool_calls or []
        text, calls = "", {}
        for event in client.chat_stream(**asked):
            if event.type == "content-delta":
                text += event.delta.message.content.text
            elif event.type == "tool-call-start":
                calls[event.index] = event.delta.message.tool_calls
            elif event.type == "tool-call-delta":
                calls[event.index].function.arguments += event.delta.message.tool_calls.function.arguments
        return text, list(calls.values())

    return _like_openai(ask)


#: what drives an SDK, by its distribution; twice where calls may come without ids
SDKS: dict[str, tuple[str, Callable[[str, bool], list[Said]]]] = {
    "google-genai": ("google-genai", google),
    "google-genai, ids": ("google-genai", google),
    "boto3": ("boto3", boto),
    "anthropic": ("anthropic", anthropic_bedrock),
    "ollama": ("ollama", ollama),
    "mistralai": ("mistralai", mistral),
    "openai": ("openai", azure),
    "cohere": ("cohere", cohere),
}
#: of these the model's calls have ids
WITH_IDS = SDKS.keys() - {"google-genai", "ollama"}


def main() -> int:
    """Runs every SDK and writes what they sent."""
    recorded = []
    for sdk, (distribution, drive) in SDKS.items():
        for stream in (False, True):
            with serving(sdk) as (url, requests):
                said = drive(url, stream)
            expected = [(FIRST.text, [call.arguments["command"] for call in CALLS]), (LAST.text, [])]
            assert said == expected, f"{sdk}: {said}"
            version = metadata.version(distribution)
            recorded.append({"sdk": sdk, "version": version, "streamed": stream, "requests": requests})
    DATA.write_text(json.dumps(recorded, indent=1, ensure_ascii=False) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
