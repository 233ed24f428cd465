"""An agent whose calls share one connection of HTTP/2 within TLS: each is seen whole, what one said is verified."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypercorn.asyncio import serve
from hypercorn.config import Config

from correlator.engine import Engine
from polygraph.events import BlindSpot, Intent, LlmCall, StreamGap, ToolResult
from tests.agents import pki
from tests.agents.script import Answer, ToolCall
from tests.agents.wire import events
from tests.live.conftest import Observe

COMMAND = "echo from the model > made.txt && test -s made.txt"
TOLD = Answer(calls=(ToolCall("shell", {"command": COMMAND}),))
AT_ONCE = 30

#: python -c AGENT URL AUTHORITY: asks many things at once, runs the command that one answer holds, gives its result
AGENT = f"""
import asyncio, json, ssl, subprocess, sys
import httpx

async def ask(client, *messages):
    body = {{'model': 'm-1', 'stream': True, 'messages': list(messages)}}
    calls = {{}}
    async with client.stream('POST', '/v1/chat/completions', json=body) as answer:
        assert answer.http_version == 'HTTP/2'
        async for line in answer.aiter_lines():
            if line.startswith('data: {{'):
                for choice in json.loads(line[6:])['choices']:
                    for call in choice['delta'].get('tool_calls', []):
                        known = calls.setdefault(call['index'], {{'id': '', 'arguments': ''}})
                        known['id'] += call.get('id') or ''
                        known['arguments'] += call['function'].get('arguments') or ''
    return calls

async def main():
    context = ssl.create_default_context(cafile=sys.argv[2])
    async with httpx.AsyncClient(http1=False, http2=True, verify=context, base_url=sys.argv[1]) as client:
        asked = [ask(client, {{'role': 'user', 'content': f'Say {{n}}.'}}) for n in range({AT_ONCE})]
        told, *_ = await asyncio.gather(ask(client, {{'role': 'user', 'content': 'Make the file.'}}), *asked)
        done = subprocess.run(['sh', '-c', json.loads(told[0]['arguments'])['command']])
        function = {{'name': 'shell', 'arguments': told[0]['arguments']}}
        call = {{'id': told[0]['id'], 'type': 'function', 'function': function}}
        await ask(
            client,
            {{'role': 'assistant', 'tool_calls': [call]}},
            {{'role': 'tool', 'tool_call_id': told[0]['id'], 'content': f'exit {{done.returncode}}'}},
        )

asyncio.run(main())
"""


async def _model(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    asked = json.loads(body)
    last = asked["messages"][-1]["content"]
    said = TOLD if last == "Make the file." else Answer(text=f"It is {last}")
    headers = [(b"content-type", b"text/event-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for event in events("openai.chat", said, asked, last):
        await send({"type": "http.response.body", "body": event.encode(), "more_body": True})
        await asyncio.sleep(0)
    await send({"type": "http.response.body", "body": b""})


@pytest.fixture
def model(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The URL of a model outside the session, and the authority that vouches for it."""
    certificates = pki.make(tmp_path)
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"https://localhost:{listener.getsockname()[1]}"
    config = Config()
    config.bind = [f"fd://{listener.detach()}"]
    config.certfile, config.keyfile = str(certificates.chain), str(certificates.key)
    config.alpn_protocols = ["h2"]
    config.accesslog = config.errorlog = None
    loop = asyncio.new_event_loop()
    over = asyncio.Event()
    serving = threading.Thread(
        target=loop.run_until_complete,
        args=(serve(_model, config, shutdown_trigger=over.wait),),  # type: ignore[arg-type]
    )
    serving.start()
    yield url, certificates.authority
    loop.call_soon_threadsafe(over.set)
    serving.join()
    loop.close()


def test_calls_at_once_on_one_connection_are_seen_and_what_was_told_is_verified(
    observe: Observe, model: tuple[str, Path], tmp_path: Path
) -> None:
    url, authority = model
    seen = observe([sys.executable, "-c", AGENT, url, str(authority)], cwd=tmp_path)
    assert seen.status == 0 and (tmp_path / "made.txt").read_text() == "from the model\n"
    assert not seen.lost and seen.of(StreamGap) == []
    assert [spot.name for spot in seen.of(BlindSpot) if spot.dimension == "tls"] == []
    calls = seen.of(LlmCall)
    assert len(calls) == len({call.call for call in calls}) == AT_ONCE + 2
    assert all(call.complete and call.streamed and call.status == 200 for call in calls)
    (intent,), (result,) = seen.of(Intent), seen.of(ToolResult)
    assert result.intent == intent.intent and intent.call in {call.call for call in calls}
    engine = Engine()
    verdicts = [verdict for event in seen.events for verdict in engine.feed(event)]
    assert [v.verdict for v in verdicts if v.subject.kind == "intent"] == ["verified"]
