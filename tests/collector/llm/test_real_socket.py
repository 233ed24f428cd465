"""The Responses API over a WebSocket as openai-python speaks it, the bytes taken off between the two ends."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock, Thread

import pytest
from openai import OpenAI
from websockets.sync.server import ServerConnection, serve

from collector.http.events import Direction
from collector.llm.exchange import LlmConnection, LlmEvent, RequestSeen, ResponseSeen, Unreadable
from tests.agents.script import Answer
from tests.agents.wire import events
from tests.collector.llm.http import ANSWER, CALLS, TEXT, of

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


class Relay:
    """Passes bytes between a client and a server and keeps them in the order in which they came."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.passed: list[tuple[Direction, bytes]] = []
        self._lock = Lock()
        self._threads = [Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        server = socket.create_connection(("127.0.0.1", self._to))
        back = Thread(target=self._pass, args=("received", server, client))
        back.start()
        self._pass("sent", client, server)
        back.join()
        client.close()
        server.close()

    def _pass(self, way: Direction, source: socket.socket, target: socket.socket) -> None:
        while data := source.recv(1 << 16):
            with self._lock:
                self.passed.append((way, data))
                target.sendall(data)
        target.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Waits until both ends are done."""
        for thread in self._threads:
            thread.join(30)
        self._listener.close()


@contextmanager
def relayed() -> Iterator[Relay]:
    with serve(_answers, "127.0.0.1", 0) as server:
        serving = Thread(target=server.serve_forever)
        serving.start()
        relay = Relay(server.socket.getsockname()[1])
        try:
            yield relay
        finally:
            relay.close()
            server.shutdown()
            serving.join(30)


# The client itself connects as websockets no longer recommends.
@pytest.mark.filterwarnings("ignore:connect\\(\\) must be used:DeprecationWarning")
@pytest.mark.parametrize("compression", [None, "deflate"])
def test_a_conversation_of_the_real_client_is_read_whole(compression: str | None) -> None:
    with relayed() as relay:
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
        event for ts, (way, data) in enumerate(relay.passed) for event in reader.feed(way, data, ts)
    ]
    seen += reader.close(len(relay.passed))
    upgrade = next(data for way, data in relay.passed if way == "received")
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
