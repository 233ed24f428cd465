"""An agent whose calls share one connection of HTTP/2 within TLS: each is seen whole, what one said is verified."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from polygraph.events import LlmCall
from tests.agents import pki
from tests.agents.script import Answer
from tests.agents.wire import events
from tests.collector.http.asgi import Send, serving
from tests.live.carried_out import TOLD, carried_out
from tests.live.conftest import Observe

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


async def _model(_scope: dict[str, Any], body: bytes, send: Send) -> None:
    asked = json.loads(body)
    last = asked["messages"][-1]["content"]
    said = TOLD if last == "Make the file." else Answer(text=f"It is {last}")
    headers = [(b"content-type", b"text/event-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for event in events("openai.chat", said, asked, last):
        await send({"type": "http.response.body", "body": event.encode(), "more_body": True})
        await asyncio.sleep(0)
    await send({"type": "http.response.body", "body": b""})


def test_calls_at_once_on_one_connection_are_seen_and_what_was_told_is_verified(
    observe: Observe, tmp_path: Path
) -> None:
    certificates = pki.make(tmp_path)
    with serving(_model, certificates) as port:
        url = f"https://localhost:{port}"
        seen, intent, result = carried_out(observe, AGENT, url, certificates.authority, tmp_path)
    calls = seen.of(LlmCall)
    assert len(calls) == len({call.call for call in calls}) == AT_ONCE + 2
    assert all(call.complete and call.streamed and call.status == 200 for call in calls)
    assert result.intent == intent.intent and intent.call in {call.call for call in calls}
