"""Calls as openai-python makes them, over a WebSocket and again after an error, read beside it."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from threading import Lock, Thread

import pytest
from openai import OpenAI
from websockets.sync.server import Server, ServerConnection, serve

from collector.http.events import Direction
from collector.llm.exchange import LlmConnection, LlmEvent, RequestSeen, ResponseSeen, Unreadable
from collector.tls.streams import ConnectionKey
from polygraph.events import LlmCall
from tests.agents.script import Answer
from tests.agents.wire import body, events
from tests.collector.llm.http import ANSWER, CALLS, TEXT, of
from tests.collector.said import ROOT, Talk

TURNS = (ANSWER, Answer(text="All of them pass."))


def _answers(server: ServerConnection) -> None:
    turn = 0
    for message in server:
        asked = json.loads(message)
        if asked.get("generate") is False:
            warm = {"id": "resp_warm", "object": "response", "status": "completed", "output": []}
            server.send(json.dumps({"type": "response.completed", "sequence_number": 0, "response": warm}))
            continue
        turn += 1
        for event in events("openai.responses", TURNS[turn - 1], asked, str(turn)):
            server.send(event.data)


class Tries(BaseHTTPRequestHandler):
    """Refuses two requests, and answers the third."""

    protocol_version = "HTTP/1.1"
    asked = 0

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        Tries.asked += 1
        status = (429, 503, 200)[(Tries.asked - 1) % 3]
        told = body("openai.chat", ANSWER, request, "1") if status == 200 else {"error": {"message": "later"}}
        raw = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(raw)))
        self.send_header("retry-after-ms", "1")
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_: object) -> None:
        """Nothing."""


class Relay:
    """Passes bytes between clients and a server, and keeps them as they came, with their connection."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.passed: list[tuple[int, Direction, bytes]] = []
        self._lock = Lock()
        self._threads: list[Thread] = []
        self._accepting = self._start(self._accept)

    def _start(self, target: Callable[..., None], *given: object) -> Thread:
        thread = Thread(target=target, args=given)
        thread.start()
        return thread

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # closed
                return
            self._threads.append(self._start(self._connected, client, len(self._threads)))

    def _connected(self, client: socket.socket, number: int) -> None:
        with client, socket.create_connection(("127.0.0.1", self._to)) as server:
            back = self._start(self._pass, number, "received", server, client)
            self._pass(number, "sent", client, server)
            back.join()

    def _pass(self, number: int, way: Direction, source: socket.socket, target: socket.socket) -> None:
        while data := source.recv(1 << 16):
            with self._lock:
                self.passed.append((number, way, data))
                target.sendall(data)
        with suppress(OSError):  # the other end may be gone
            target.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Waits until all ends are done."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in (self._accepting, *self._threads):
            thread.join(30)


@contextmanager
def relayed(server: Server | HTTPServer) -> Iterator[Relay]:
    serving = Thread(target=server.serve_forever)
    serving.start()
    relay = Relay(server.socket.getsockname()[1])
    try:
        yield relay
    finally:
        relay.close()
        server.shutdown()
        serving.join(30)


def test_a_request_that_the_real_client_sends_again_is_one_call() -> None:
    with (
        ThreadingHTTPServer(("127.0.0.1", 0), Tries) as server,
        relayed(server) as relay,
        OpenAI(base_url=f"http://127.0.0.1:{relay.port}/v1", api_key="none", max_retries=3) as client,
    ):
        given = client.chat.completions.create(model="m-1", messages=[{"role": "user", "content": "Go."}])
    assert given.choices[0].message.content == TEXT
    talk = Talk()
    for number, way, data in relay.passed:
        talk.bytes(way, data, ConnectionKey(ROOT, number, 1))
    calls = [event for event in talk.log() if isinstance(event, LlmCall)]
    assert [(call.attempt, call.fate, call.status) for call in calls] == [
        (1, "refused", 429),
        (2, "refused", 503),
        (3, "answered", 200),
    ]
    assert len({call.call for call in calls}) == 1


# The client itself connects as websockets no longer recommends.
@pytest.mark.filterwarnings("ignore:connect\\(\\) must be used:DeprecationWarning")
@pytest.mark.parametrize("compression", [None, "deflate"])
def test_a_conversation_of_the_real_client_is_read_whole(compression: str | None) -> None:
    with serve(_answers, "127.0.0.1", 0) as server, relayed(server) as relay:
        client = OpenAI(base_url=f"http://127.0.0.1:{relay.port}/v1", api_key="none", max_retries=0)
        with client.responses.connect(
            websocket_connection_options={"compression": compression}
        ) as connection:
            previous = "resp_warm"
            connection.response.create(model="m-1", generate=False, input="Be ready.")
            assert connection.recv().type == "response.completed"
            for asked in ("Run the tests.", "And?"):
                connection.response.create(model="m-1", input=asked, previous_response_id=previous)
                while (event := connection.recv()).type != "response.completed":
                    pass
                previous = event.response.id
        client.close()
    reader = LlmConnection()
    seen: list[LlmEvent] = [
        event for ts, (_, way, data) in enumerate(relay.passed) for event in reader.feed(way, data, ts)
    ]
    seen += reader.close(len(relay.passed))
    upgrade = next(data for _, way, data in relay.passed if way == "received")
    assert (b"permessage-deflate" in upgrade) is (compression is not None)
    assert of(Unreadable, seen) == []
    assert [event.prewarm for event in of(RequestSeen, seen)] == [True, False, False]
    assert [event.follows for event in of(RequestSeen, seen)] == [False, True, True]
    first, second = of(ResponseSeen, seen)
    assert (first.fate, first.complete, second.fate, second.complete) == ("answered", True, "answered", True)
    assert first.response is not None and second.response is not None
    assert (first.response.text, second.response.text) == (TEXT, "All of them pass.")
    assert [json.loads(made.arguments) for made in first.response.tool_calls] == [
        made.arguments for made in CALLS
    ]
