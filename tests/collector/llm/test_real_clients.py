"""Calls as openai-python makes them, over a WebSocket and again after an error, read beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from threading import Thread

import pytest
from openai import OpenAI
from websockets.sync.server import Server, ServerConnection, serve

from collector.llm.exchange import LlmConnection, LlmEvent, RequestSeen, ResponseSeen, Unreadable
from collector.tls.streams import ConnectionKey
from polygraph.events import LlmCall
from tests.agents.script import Answer
from tests.agents.wire import body, events
from tests.collector.http.relay import Relay
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


@contextmanager
def relayed(server: Server | HTTPServer) -> Iterator[Relay]:
    """``server``, which serves meanwhile, behind a relay."""
    serving = Thread(target=server.serve_forever)
    serving.start()
    try:
        with Relay(server.socket.getsockname()[1]) as relay:
            yield relay
    finally:
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
    for number, writes in enumerate(relay.connections):
        for write in writes:
            talk.bytes(write.direction, write.data, ConnectionKey(ROOT, number, 1))
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
    (writes,) = relay.connections
    seen: list[LlmEvent] = [
        event for ts, (way, data) in enumerate(writes) for event in reader.feed(way, data, ts)
    ]
    seen += reader.close(len(writes))
    upgrade = next(data for way, data in writes if way == "received")
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
