"""MCP between the official SDK's own client and server: each tool call once, its digests those of what was said."""

from __future__ import annotations

import json
import os
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from polygraph.events import AnyEvent, Exec, McpCall, StreamGap
from polygraph.ids import keyed_digest
from tests.live.conftest import KEY, Gate, Observe, Seen

FOLDER = Path(__file__).parent
CLIENT = [sys.executable, str(FOLDER / "mcp_client.py")]
SERVER = [sys.executable, str(FOLDER / "mcp_server.py")]
#: calls one after the other, and the same at once
CALLS = 10
#: the last version with sessions, and the one without
MODES = ("legacy", "2026-07-28")


def expected(number: int) -> tuple[str, str, int, str, bool]:
    """What is told of call ``number``: mcp_client.py has the texts, the SDK its own words for an error."""
    text = f"{number} ☃ " * (1 + number * 100)
    failed = number % 5 == 4
    arguments = json.dumps({"text": text}, ensure_ascii=False, separators=(",", ":")).encode()
    result = f"Error executing tool fail: {text}" if failed else text
    return (
        "fail" if failed else "echo",
        keyed_digest(KEY, arguments),
        len(arguments),
        keyed_digest(KEY, result.encode()),
        failed,
    )


def check(seen: Seen, transport: str) -> list[McpCall]:
    """That each call was told, once and whole."""
    told = seen.of(McpCall)
    assert seen.status == 0 and not seen.lost and not seen.of(StreamGap)
    assert sorted(
        (one.tool, one.arguments_digest, one.arguments_size, one.result_digest, one.is_error) for one in told
    ) == sorted(2 * [expected(number) for number in range(CALLS)])
    assert all(one.complete and one.transport == transport and one.request_ts < one.ts for one in told)
    assert len({one.id_digest for one in told}) == 2 * CALLS
    return told


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def wait_for(port: int) -> None:
    """Until someone listens; pytest's own limit ends it."""
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            continue
        return


@contextmanager
def http_server() -> Iterator[int]:
    """A server outside of any session: its port."""
    port = free_port()
    with subprocess.Popen([*SERVER, "http", str(port)], stderr=subprocess.DEVNULL) as server:
        try:
            wait_for(port)
            yield port
        finally:
            server.terminate()


@pytest.mark.parametrize("mode", MODES)
def test_over_standard_input_and_output(observe: Observe, mode: str) -> None:
    """The server is a child of the client: both sides are known."""
    told = check(observe([*CLIENT, mode, shlex.join([*SERVER, "stdio"]), str(CALLS)]), "stdio")
    ((client, server),) = {(one.process, one.peer) for one in told}
    assert client != server is not None and {one.side for one in told} == {"client"}


def test_through_a_shell(observe: Observe) -> None:
    """As `npx` and `uv run` do, which hand their descriptors on."""
    server = shlex.join(["sh", "-c", f"true; {shlex.join([*SERVER, 'stdio'])}; true"])
    check(observe([*CLIENT, "legacy", server, str(CALLS)]), "stdio")


@pytest.mark.parametrize("mode", MODES)
def test_over_http_to_a_server_elsewhere(observe: Observe, mode: str) -> None:
    with http_server() as port:
        seen = observe([*CLIENT, mode, f"http://127.0.0.1:{port}/mcp", str(CALLS)])
    assert {(one.process, one.side) for one in check(seen, "http")} == {(seen.root, "client")}


#: starts the server, then the client: `-c BOTH port mode calls`
BOTH = """
import os, subprocess, sys
from tests.live.test_mcp import CLIENT, SERVER, wait_for
port, mode, calls = sys.argv[1:]
with subprocess.Popen([*SERVER, 'http', port], stderr=subprocess.DEVNULL) as server:
    wait_for(int(port))
    done = subprocess.run([*CLIENT, mode, f'http://127.0.0.1:{port}/mcp', calls])
    server.terminate()
sys.exit(done.returncode)
"""


def test_over_http_to_a_server_of_the_lineage(observe: Observe) -> None:
    """Both ends are seen, and the call is one: the client's."""
    env = {**os.environ, "PYTHONPATH": str(FOLDER.parents[1])}
    seen = observe([sys.executable, "-c", BOTH, str(free_port()), "legacy", str(CALLS)], env=env)
    assert {one.side for one in check(seen, "http")} == {"client"}


#: serves until the gate opens: `-c SERVES port gate`
SERVES = """
import subprocess, sys
from tests.live.test_mcp import SERVER
with subprocess.Popen([*SERVER, 'http', sys.argv[1]], stderr=subprocess.DEVNULL) as server:
    open(sys.argv[2]).read()
    server.terminate()
"""


def test_a_server_of_the_lineage_that_others_ask(observe: Observe, gate: Gate) -> None:
    """What it was asked is told as the server's. Of who asked nothing is."""
    port = free_port()

    def ask(_events: list[AnyEvent]) -> None:
        if not gate.is_open and gate.reached():
            wait_for(port)
            url = f"http://127.0.0.1:{port}/mcp"
            subprocess.run([*CLIENT, "2026-07-28", url, str(CALLS)], check=True)
            gate.open()

    env = {**os.environ, "PYTHONPATH": str(FOLDER.parents[1])}
    seen = observe([sys.executable, "-c", SERVES, str(port), gate.path], env=env, meanwhile=ask)
    ((side, server),) = {(one.side, one.process) for one in check(seen, "http")}
    assert side == "server" and server in {event.process for event in seen.of(Exec)}


#: a server that was forked and not executed: `-c FORKED`
FORKED = """
import json, os
(asked, asks), (answers, answered) = os.pipe(), os.pipe()
if os.fork() == 0:
    os.dup2(asked, 0), os.dup2(answered, 1)
    for number in range(50):
        request = json.loads(os.read(0, 65536))
        content = [{'type': 'text', 'text': request['params']['arguments']['text']}]
        result = {'jsonrpc': '2.0', 'id': request['id'], 'result': {'content': content}}
        os.write(1, json.dumps(result).encode() + b'\\n')
    os._exit(0)
for number in range(50):
    params = {'name': 'echo', 'arguments': {'text': str(number)}}
    request = {'jsonrpc': '2.0', 'id': number, 'method': 'tools/call', 'params': params}
    os.write(asks, json.dumps(request).encode() + b'\\n')
    os.read(answers, 65536)
assert os.wait()[1] == 0
"""


def test_a_server_that_was_only_forked(observe: Observe) -> None:
    """It has its descriptors where they belong; each answer is joined with its own question."""
    seen = observe([sys.executable, "-S", "-c", FORKED])
    told = seen.of(McpCall)
    assert seen.status == 0 and not seen.lost and len(told) == 50
    assert all(
        one.complete and one.process == seen.root and one.peer not in (None, seen.root) for one in told
    )
    assert [one.result_digest for one in told] == [keyed_digest(KEY, b"%d" % n) for n in range(50)]
