"""Many conversations at once over TLS, each streamed: what was said is a function of who spoke and when.

``python -m tests.load.conversation serve FOLDER`` serves until its input ends, after it wrote its port;
``… call PORT AUTHORITY CONNECTIONS CALLS NOTE`` holds CONNECTIONS conversations of CALLS calls each, all at once, and
writes to NOTE what it took. API: Anthropic Messages with server-sent events. Every answer but a conversation's last
carries one tool call.
"""

from __future__ import annotations

import http.client
import json
import random
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

from tests.agents import pki

ROOT = Path(__file__).parents[2]
PROGRAM = (sys.executable, "-m", "tests.load.conversation")
#: what streams, JSON and HTTP are made of, and what they must not be mistaken for
_ALPHABET = 'abcdefghij \n\r\t"\\{}[]:,0123456789éß漢字🙂\u2028data: event: 0\r\n\r\n'
_PIECE = 180
_PATIENCE = 170


def _said(*who: object) -> str:
    """1 to 6,000 characters that nothing else is."""
    chance = random.Random(repr(who))  # noqa: S311
    return f"{who!r} " + "".join(chance.choices(_ALPHABET, k=chance.randrange(6000)))


def call_id(connection: int, call: int) -> str:
    """Id of the tool call that an answer carries."""
    return f"toolu_{connection}_{call}"


def arguments(connection: int, call: int) -> str:
    """Its arguments, as JSON text."""
    return json.dumps({"text": _said("call", connection, call)}, ensure_ascii=call % 2 == 0)


def result(connection: int, call: int) -> str:
    """What the next request says was its result."""
    return _said("result", connection, call)


# --- the model ---------------------------------------------------------------------------------------


class _Model(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = _PATIENCE
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Says nothing."""

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        connection, call, calls = map(int, request["metadata"]["user_id"].split())
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for kind, fields in _events(connection, call, last=call == calls - 1):
            event = f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
        self.wfile.write(b"0\r\n\r\n")


def _events(connection: int, call: int, *, last: bool) -> list[tuple[str, dict[str, Any]]]:
    message = {
        "id": f"msg_{connection}_{call}",
        "role": "assistant",
        "model": "m",
        "content": [],
        "usage": {"input_tokens": 1, "output_tokens": 1},
    }
    events: list[tuple[str, dict[str, Any]]] = [("message_start", {"message": message})]
    if not last:
        block = {"type": "tool_use", "id": call_id(connection, call), "name": "note", "input": {}}
        events.append(("content_block_start", {"index": 0, "content_block": block}))
        text = arguments(connection, call)
        for at in range(0, len(text), _PIECE):
            delta = {"type": "input_json_delta", "partial_json": text[at : at + _PIECE]}
            events.append(("content_block_delta", {"index": 0, "delta": delta}))
        events.append(("content_block_stop", {"index": 0}))
    reason = {"stop_reason": "end_turn" if last else "tool_use"}
    return [*events, ("message_delta", {"delta": reason}), ("message_stop", {})]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256


def serve(folder: Path) -> None:
    """Serves until standard input ends; the authority's certificate lies in ``folder`` before the port is told."""
    certificates = pki.make(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.chain, certificates.key)
    server = _Server(("127.0.0.1", 0), _Model)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdout.write(f"{server.server_address[1]} {certificates.authority}\n")
    sys.stdout.flush()
    sys.stdin.read()
    server.shutdown()


@contextmanager
def served(folder: Path) -> Iterator[list[str]]:
    """The model in a process of its own: its port, and the authority to trust. Raises RuntimeError when it failed."""
    with subprocess.Popen(
        [*PROGRAM, "serve", str(folder)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdin is not None and server.stdout is not None
        yield server.stdout.readline().split()
        server.stdin.close()
    if server.returncode:
        raise RuntimeError(f"the model ended with {server.returncode}")


# --- the agent ---------------------------------------------------------------------------------------


class Took(NamedTuple):
    """What the conversations took: bytes of all requests and answers, seconds in all and for each call."""

    size: int
    seconds: float
    calls: list[float]


def took(note: Path) -> Took:
    """What ``call`` wrote."""
    return Took(*json.loads(note.read_text()))


def _converse(port: int, context: ssl.SSLContext, connection: int, calls: int) -> list[tuple[int, float]]:
    """(bytes, seconds) of each call."""
    costs: list[tuple[int, float]] = []
    wire = http.client.HTTPSConnection("localhost", port, context=context, timeout=_PATIENCE)
    messages: list[dict[str, Any]] = [{"role": "user", "content": "begin"}]
    for call in range(calls):
        body = {
            "model": "m",
            "max_tokens": 9,
            "stream": True,
            "metadata": {"user_id": f"{connection} {call} {calls}"},
            "messages": messages,
        }
        sent = json.dumps(body).encode()
        began = time.perf_counter()
        wire.request("POST", "/v1/messages", sent, {"content-type": "application/json"})
        got = wire.getresponse().read()
        costs.append((len(sent) + len(got), time.perf_counter() - began))
        heard = "".join(
            event["delta"].get("partial_json", "")
            for event in map(_event, got.split(b"\n\n"))
            if event.get("type") == "content_block_delta"
        )
        if call == calls - 1:
            break
        if heard != arguments(connection, call):
            raise ValueError(f"call {call} of {connection} was heard otherwise than it was said")
        ident = call_id(connection, call)
        use = {"type": "tool_use", "id": ident, "name": "note", "input": json.loads(heard)}
        told = {"type": "tool_result", "tool_use_id": ident, "content": result(connection, call)}
        messages = [messages[0], {"role": "assistant", "content": [use]}, {"role": "user", "content": [told]}]
    wire.close()
    return costs


def _event(raw: bytes) -> dict[str, Any]:
    data = raw.partition(b"\ndata: ")[2]
    event: dict[str, Any] = json.loads(data) if data else {}
    return event


def call(port: int, authority: str, connections: int, calls: int, note: Path) -> int:
    """0 when every conversation was held to its end."""
    context = ssl.create_default_context(cafile=authority)
    done: list[list[tuple[int, float]]] = []

    def one(connection: int) -> None:
        done.append(_converse(port, context, connection, calls))

    began = time.perf_counter()
    threads = [threading.Thread(target=one, args=(connection,)) for connection in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    costs = [cost for conversation in done for cost in conversation]
    size, seconds = sum(size for size, _ in costs), time.perf_counter() - began
    note.write_text(json.dumps(Took(size, seconds, [each for _, each in costs])))
    return 0 if len(done) == connections else 1


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(Path(sys.argv[2]))
    else:
        _verb, port, authority, connections, calls, note = sys.argv[1:]
        sys.exit(call(int(port), authority, int(connections), int(calls), Path(note)))
