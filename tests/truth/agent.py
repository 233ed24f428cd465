"""A whole agent in one file of standard library: asks a model over TLS, does what it is told, says what it is told.

``agent.py URL CA_FILE WIRE FAULTS``: WIRE is ``chat`` (Chat Completions, in one piece) or ``messages`` (Anthropic
Messages, streamed). FAULTS is a JSON object of what its framework does wrong: ``forge`` maps a command to the result
that the model gets without it having been run, ``drop`` lists files whose writing is only told, ``spoil`` files that
get another content than was asked for, ``earlier`` is a command of the conversation before, which this one goes on
with, ``ask`` is what the user wants, ``asks`` what the user says after each answer that ends a request. ``shell`` is
how a command is handed to bash: as an ``argument``, to a ``login`` shell, in a ``file``, or on standard ``input``.
``lost`` is the report that the model gets of a sub-agent that died at its start.
"""

from __future__ import annotations

import http.client
import json
import os
import ssl
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

Json = dict[str, Any]
TOOLS = {
    "bash": ("command",),
    "write_file": ("path", "content"),
    "edit_file": ("path", "old_string", "new_string"),
    "read_file": ("path",),
    "task": ("prompt",),
}

#: how often an answer is asked for, and the statuses that say "later"
TRIES, BUSY = 4, (429, 503, 529)


class Tools:
    """What the model may call."""

    def __init__(self, faults: Json, start: list[str]) -> None:
        self._start = start
        self._faults = faults
        self._shell: str = faults.get("shell", "argument")
        self._forge: dict[str, str] = faults.get("forge", {})
        self._drop: list[str] = faults.get("drop", [])
        self._spoil: list[str] = faults.get("spoil", [])

    def call(self, name: str, arguments: Json) -> str:
        """The result of a tool call."""
        try:
            match name:
                case "bash":
                    return self._bash(arguments["command"])
                case "write_file":
                    return self._write(arguments["path"], arguments["content"])
                case "edit_file":
                    text = Path(arguments["path"]).read_text()
                    Path(arguments["path"]).write_text(
                        text.replace(arguments["old_string"], arguments["new_string"], 1)
                    )
                    return f"The file {arguments['path']} has been updated."
                case "task":
                    return self._task(arguments["prompt"])
                case _:
                    return Path(arguments["path"]).read_text()
        except OSError as error:
            return f"Error: {error}"

    def _bash(self, command: str) -> str:
        if command in self._forge:
            return self._forge[command] + "\nexit code: 0"
        with tempfile.NamedTemporaryFile("w", prefix="command-", suffix=".sh") as file:
            if self._shell == "file":
                file.write(command)
                file.flush()
            done = subprocess.run(
                {
                    "argument": ["bash", "-c", command],
                    "login": ["bash", "-lc", f'PATH="{os.environ["PATH"]}"\n{command}'],
                    "file": ["bash", file.name],
                    "input": ["bash", "-s"],
                }[self._shell],
                input=command.encode() if self._shell == "input" else b"",
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                check=False,
            )
        return f"{done.stdout.decode(errors='replace')}\nexit code: {done.returncode}"

    def _task(self, prompt: str) -> str:
        """The last words of a sub-agent: this program again, which asks the same model."""
        if "lost" in self._faults:
            subprocess.run([*self._start, json.dumps({"dies": "yes"}), prompt], check=False)
            return str(self._faults["lost"])
        faults = {name: fault for name, fault in self._faults.items() if name != "asks"}
        done = subprocess.run([*self._start, json.dumps(faults), prompt], stdout=subprocess.PIPE, check=False)
        return done.stdout.decode().rstrip("\n").rpartition("\n\f\n")[2]

    def _write(self, path: str, content: str) -> str:
        if path not in self._drop:
            Path(path).write_text("# later\n" if path in self._spoil else content)
        return f"Wrote {len(content)} characters to {path}."


def chat(connection: http.client.HTTPSConnection, history: list[Json]) -> tuple[str, list[Json]]:
    """One turn in Chat Completions: what was said, and the calls as (id, name, arguments)."""
    functions = [
        {"name": name, "parameters": {"type": "object", "properties": {key: {} for key in keys}}}
        for name, keys in TOOLS.items()
    ]
    answer = ask(
        connection,
        "/v1/chat/completions",
        {
            "model": "tiny",
            "messages": history,
            "tools": [{"type": "function", "function": f} for f in functions],
        },
    )
    message = json.loads(answer)["choices"][0]["message"]
    history.append(message)
    return message.get("content") or "", [
        {
            "id": call["id"],
            "name": call["function"]["name"],
            "input": json.loads(call["function"]["arguments"]),
        }
        for call in message.get("tool_calls") or []
    ]


def messages(connection: http.client.HTTPSConnection, history: list[Json]) -> tuple[str, list[Json]]:
    """One turn in Anthropic Messages, out of its events."""
    answer = ask(
        connection,
        "/v1/messages",
        {
            "model": "tiny",
            "max_tokens": 1000,
            "stream": True,
            "messages": history,
            "tools": [
                {
                    "name": name,
                    "input_schema": {"type": "object", "properties": {key: {} for key in keys}},
                }
                for name, keys in TOOLS.items()
            ],
        },
    )
    blocks: list[Json] = []
    for line in answer.decode().splitlines():
        event = json.loads(line[6:]) if line.startswith("data: ") else {}
        if event.get("type") == "content_block_start":
            blocks.append(event["content_block"] | {"parts": []})
        elif event.get("type") == "content_block_delta":
            delta = event["delta"]
            blocks[-1]["parts"].append(delta.get("text") or delta.get("partial_json") or "")
    content: list[Json] = []
    for block in blocks:
        whole = "".join(block.pop("parts"))
        content.append(
            block | ({"text": whole} if block["type"] == "text" else {"input": json.loads(whole or "{}")})
        )
    history.append({"role": "assistant", "content": content})
    said = "".join(block["text"] for block in content if block["type"] == "text")
    return said, [block for block in content if block["type"] == "tool_use"]


def ask(connection: http.client.HTTPSConnection, path: str, body: Json) -> bytes:
    """The body of the response. What is refused for a while, or breaks off, is asked again a few times."""
    for _ in range(TRIES):
        try:
            connection.request("POST", path, json.dumps(body), {"content-type": "application/json"})
            response = connection.getresponse()
            content = response.read()
        except (http.client.HTTPException, ConnectionError):
            connection.close()  # the next request opens it again
            continue
        if response.status == 200:
            return content
        if response.status not in BUSY:
            raise SystemExit(f"the model answered {response.status}: {content!r}")
    raise SystemExit("the model does not answer")


def results(wire: str, calls: list[Json], told: list[str]) -> list[Json]:
    """The tools' results as messages."""
    if wire == "chat":
        return [
            {"role": "tool", "tool_call_id": call["id"], "content": text}
            for call, text in zip(calls, told, strict=True)
        ]
    blocks = [
        {"type": "tool_result", "tool_use_id": call["id"], "content": text}
        for call, text in zip(calls, told, strict=True)
    ]
    return [{"role": "user", "content": blocks}]


def before(wire: str, command: str | None) -> list[Json]:
    """What was said before this session: a tool call and its result."""
    if command is None:
        return []
    call = {"id": "call_before", "name": "bash", "input": {"command": command}}
    if wire == "chat":
        function = {"name": "bash", "arguments": json.dumps(call["input"])}
        asked: Json = {"tool_calls": [{"id": call["id"], "type": "function", "function": function}]}
    else:
        asked = {"content": [{"type": "tool_use", **call}]}
    return [
        {"role": "assistant", **asked},
        *results(wire, [call], ["exit code: 0"]),
        {"role": "user", "content": "Go on."},
    ]


def main(url: str, ca_file: str, wire: str, faults: str, prompt: str = "") -> None:
    """Asks until the model calls no tool and the user says no more; ``prompt``: of a sub-agent."""
    if "dies" in json.loads(faults):
        raise SystemExit("the sub-agent's quota is used up")
    where = urlsplit(url)
    context = ssl.create_default_context(cafile=ca_file)
    connection = http.client.HTTPSConnection(where.hostname or "", where.port, context=context)
    wrong = json.loads(faults)
    history: list[Json] = [{"role": "user", "content": prompt or wrong.get("ask", "Do the work.")}]
    history += before(wire, wrong.get("earlier"))
    asks: list[str] = list(wrong.get("asks", ()))
    tools = Tools(wrong, [sys.executable, __file__, url, ca_file, wire])
    turn = chat if wire == "chat" else messages
    with ThreadPoolExecutor() as pool:
        while True:
            said, calls = turn(connection, history)
            print("\f", said, sep="\n", flush=True)  # noqa: T201
            if calls:
                told = list(pool.map(lambda call: tools.call(call["name"], call["input"]), calls))
                history += results(wire, calls, told)
            elif asks:
                history.append({"role": "user", "content": asks.pop(0)})
            else:
                break


if __name__ == "__main__":
    main(*sys.argv[1:])
