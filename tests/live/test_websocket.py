"""An agent that talks to its model over a compressed WebSocket within TLS: what it was told to run is verified."""

from __future__ import annotations

from pathlib import Path

from polygraph.events import LlmCall
from tests.agents.endpoint import Endpoint
from tests.agents.script import Answer, Script
from tests.live.carried_out import TOLD, carried_out
from tests.live.conftest import Observe

TURNS = (TOLD, Answer(text="I ran the command."))

#: python -c AGENT URL AUTHORITY: warms up, asks, runs the command that it is told, gives its result. The client of
#: websockets that has threads reads and writes one connection at the same time, which OpenSSL does not allow.
AGENT = """
import asyncio, json, ssl, subprocess, sys
from websockets.asyncio.client import connect
async def work():
    context = ssl.create_default_context(cafile=sys.argv[2])
    async with connect(sys.argv[1], ssl=context, compression='deflate') as socket:
        async def ask(**fields):
            await socket.send(json.dumps({'type': 'response.create', 'model': 'm-1', **fields}))
            while (event := json.loads(await socket.recv()))['type'] != 'response.completed':
                pass
            return event['response']
        warm = await ask(generate=False, input='Be ready.')
        told = await ask(previous_response_id=warm['id'], input='Make the file.')
        call = next(item for item in told['output'] if item['type'] == 'function_call')
        done = subprocess.run(['sh', '-c', json.loads(call['arguments'])['command']])
        result = {'type': 'function_call_output', 'call_id': call['call_id'], 'output': f'exit {done.returncode}'}
        await ask(previous_response_id=told['id'], input=[result])
asyncio.run(work())
"""


def test_a_command_that_came_over_a_socket_is_verified(observe: Observe, tmp_path: Path) -> None:
    with Endpoint(Script(TURNS), is_main=lambda _request: True) as endpoint:
        url = f"wss://localhost:{endpoint.port}/v1/responses"
        seen, intent, result = carried_out(observe, AGENT, url, endpoint.ca_file, tmp_path)
    calls = seen.of(LlmCall, transport="websocket")
    assert [(call.fate, call.complete, call.attempt) for call in calls] == [("answered", True, 1)] * 2
    assert (intent.call, result.call, result.intent) == (calls[0].call, calls[1].call, intent.intent)
