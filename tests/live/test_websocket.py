"""An agent that talks to its model over a compressed WebSocket within TLS: what it was told to run is verified."""

from __future__ import annotations

import json
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest
from websockets.sync.server import ServerConnection, serve

from correlator.engine import Engine
from polygraph.events import BlindSpot, Intent, LlmCall, StreamGap, ToolResult
from tests.agents import pki
from tests.agents.script import Answer, ToolCall
from tests.agents.wire import events
from tests.live.conftest import Observe

COMMAND = "echo from the model > made.txt && test -s made.txt"
TURNS = (Answer(calls=(ToolCall("shell", {"command": COMMAND}),)), Answer(text="I ran the command."))

#: python -c AGENT URL AUTHORITY: warms up, asks, runs the command that it is told, gives its result
AGENT = """
import json, ssl, subprocess, sys
from websockets.sync.client import connect
context = ssl.create_default_context(cafile=sys.argv[2])
with connect(sys.argv[1], ssl=context, compression='deflate') as socket:
    def ask(**fields):
        socket.send(json.dumps({'type': 'response.create', 'model': 'm-1', **fields}))
        while (event := json.loads(socket.recv()))['type'] != 'response.completed':
            pass
        return event['response']
    warm = ask(generate=False, input='Be ready.')
    told = ask(previous_response_id=warm['id'], input='Make the file.')
    call = next(item for item in told['output'] if item['type'] == 'function_call')
    done = subprocess.run(['sh', '-c', json.loads(call['arguments'])['command']])
    result = {'type': 'function_call_output', 'call_id': call['call_id'], 'output': f'exit {done.returncode}'}
    ask(previous_response_id=told['id'], input=[result])
"""


def _model(server: ServerConnection) -> None:
    turn = 0
    for message in server:
        asked = json.loads(message)
        if asked.get("generate") is False:
            warm = {"id": "resp_warm", "object": "response", "status": "completed", "output": []}
            server.send(json.dumps({"type": "response.completed", "response": warm}))
            continue
        turn += 1
        for event in events("openai.responses", TURNS[turn - 1], asked, str(turn)):
            server.send(event.data)


@pytest.fixture
def model(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The URL of a model outside the session, and the authority that vouches for it."""
    certificates = pki.make(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.chain, certificates.key)
    with serve(_model, "127.0.0.1", 0, ssl=context) as server:
        serving = Thread(target=server.serve_forever)
        serving.start()
        try:
            yield f"wss://localhost:{server.socket.getsockname()[1]}/v1/responses", certificates.authority
        finally:
            server.shutdown()
            serving.join()


def test_a_command_that_came_over_a_socket_is_verified(
    observe: Observe, model: tuple[str, Path], tmp_path: Path
) -> None:
    url, authority = model
    seen = observe([sys.executable, "-c", AGENT, url, str(authority)], cwd=tmp_path)
    assert seen.status == 0 and (tmp_path / "made.txt").read_text() == "from the model\n"
    assert not seen.lost and seen.of(StreamGap) == []
    assert [spot.name for spot in seen.of(BlindSpot) if spot.dimension == "tls"] == []
    calls = seen.of(LlmCall, transport="websocket")
    assert [(call.fate, call.complete, call.attempt) for call in calls] == [("answered", True, 1)] * 2
    (intent,), (result,) = seen.of(Intent), seen.of(ToolResult)
    assert (intent.call, result.call, result.intent) == (calls[0].call, calls[1].call, intent.intent)
    engine = Engine()
    verdicts = [verdict for event in seen.events for verdict in engine.feed(event)]
    assert [v.verdict for v in verdicts if v.subject.kind == "intent"] == ["verified"]
