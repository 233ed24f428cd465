"""bpf/plain.h: what is said without TLS, byte for byte, told once, and nothing of others or of anything else."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from collector.observed import ObservedSession
from collector.plain.streams import PlainClose, PlainData, PlainStreams
from polygraph.events import AnyEvent, LlmCall, StreamGap
from tests.live.conftest import Gate, Observe, Seen
from tests.live.model import model

FAMILIES = [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"), (socket.AF_UNIX, "model.sock")]


@pytest.fixture
def records(monkeypatch: pytest.MonkeyPatch) -> list[PlainData | PlainClose]:
    """Records of connections without TLS as they reach a session."""
    taken: list[PlainData | PlainClose] = []
    original = ObservedSession.plain

    def keep(self: ObservedSession, value: PlainData | PlainClose) -> None:
        taken.append(value)
        original(self, value)

    monkeypatch.setattr(ObservedSession, "plain", keep)
    return taken


@pytest.fixture(params=FAMILIES, ids=["inet", "inet6", "unix"])
def serving(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """A model: (family, its port or path)."""
    family, address = request.param
    where = str(tmp_path / address) if family == socket.AF_UNIX else address
    with model(family, where) as found:
        yield request.node.callspec.id.split("-")[0], found


def bytes_of(records: list[PlainData | PlainClose]) -> dict[tuple[int, str], bytes]:
    """What each direction of each connection said. Fails where something is missing."""
    streams, found = PlainStreams(), dict[tuple[int, str], bytes]()
    for record in records:
        if isinstance(record, PlainData):
            for chunk in streams.data(record):
                assert not chunk.missing
                key = chunk.connection.generation, chunk.direction
                found[key] = found.get(key, b"") + chunk.data
    assert not streams.finish()
    return found


def calls(seen: Seen) -> list[tuple[str, int, bool, bool, int]]:
    return [
        (call.model, call.status, call.streamed, call.complete, call.output_tokens)
        for call in seen.of(LlmCall)
    ]


# --- a local model -------------------------------------------------------------------------------------------

#: asks twice over one connection, the second time streamed: `-c HTTPX inet|inet6|unix where`
HTTPX = """
import httpx, sys
family, where = sys.argv[1:]
transport = httpx.HTTPTransport(uds=where) if family == 'unix' else None
host = {'inet': '127.0.0.1:' + where, 'inet6': '[::1]:' + where, 'unix': 'model'}[family]
with httpx.Client(transport=transport, trust_env=False) as client:
    for stream in (False, True):
        body = {'model': 'local', 'stream': stream, 'messages': [{'role': 'user', 'content': 'hi'}]}
        answer = client.post(f'http://{host}/v1/chat/completions', json=body)
        assert answer.status_code == 200 and 'local' in answer.text
"""
#: the same, a connection for each: `-c URLLIB where`
URLLIB = """
import json, sys, urllib.request
for stream in (False, True):
    body = {'model': 'local', 'stream': stream, 'messages': [{'role': 'user', 'content': 'hi'}]}
    url = f'http://{sys.argv[1]}/v1/chat/completions'
    request = urllib.request.Request(url, json.dumps(body).encode(), {'Content-Type': 'application/json'})
    assert b'local' in urllib.request.urlopen(request).read()
"""
NODE = """
const http = require('http'), [family, where] = process.argv.slice(1);
const of = {inet: {host: '127.0.0.1', port: where}, inet6: {host: '::1', port: where}, unix: {socketPath: where}};
const at = of[family];
const agent = new http.Agent({keepAlive: true, maxSockets: 1});
const ask = stream => new Promise(done => {
  const body = JSON.stringify({model: 'local', stream, messages: [{role: 'user', content: 'hi'}]});
  const request = http.request({...at, agent, method: 'POST', path: '/v1/chat/completions',
                                headers: {'content-type': 'application/json'}}, answer => {
    let text = '';
    answer.on('data', part => text += part).on('end', () => { if (!text.includes('local')) process.exit(1); done(); });
  });
  request.end(body);
});
ask(false).then(() => ask(true)).then(() => agent.destroy());
"""
BOTH = [("local", 200, False, True, 5), ("local", 200, True, True, 5)]


def test_a_python_client(observe: Observe, serving: tuple[str, str]) -> None:
    seen = observe([sys.executable, "-c", HTTPX, *serving])
    assert seen.status == 0 and not seen.lost and not seen.of(StreamGap)
    assert calls(seen) == BOTH
    assert {call.process for call in seen.of(LlmCall)} == {seen.root}


def test_a_node_client(observe: Observe, serving: tuple[str, str]) -> None:
    node = shutil.which("node")
    assert node is not None
    seen = observe([node, "-e", NODE, *serving])
    assert seen.status == 0 and not seen.lost and not seen.of(StreamGap)
    assert calls(seen) == BOTH


def test_a_client_of_the_standard_library(observe: Observe) -> None:
    with model(socket.AF_INET, "127.0.0.1") as port:
        seen = observe([sys.executable, "-c", URLLIB, f"127.0.0.1:{port}"])
    assert seen.status == 0 and not seen.lost and not seen.of(StreamGap)
    assert calls(seen) == BOTH


def test_a_process_outside_asks_the_same_model(
    observe: Observe, records: list[PlainData | PlainClose], gate: Gate
) -> None:
    with model(socket.AF_INET, "127.0.0.1") as port:

        def ask(_events: list[AnyEvent]) -> None:
            if not gate.is_open:
                subprocess.run([sys.executable, "-c", URLLIB, f"127.0.0.1:{port}"], check=True)
                gate.open()

        seen = observe(["head", "-c1", gate.path], meanwhile=ask)
    assert gate.is_open and not records and not seen.of(LlmCall)
