"""The scripted endpoint over HTTP/2 and WebSocket, and its troubles, against well-known clients."""

from __future__ import annotations

import http.client
import json
import ssl
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from collector.http.framing import StreamFramer
from collector.llm import detect
from tests.agents.endpoint import Endpoint
from tests.agents.script import Answer, Script, ToolCall, Trouble
from tests.agents.wire import SIGNATURE

PATH = "/v1/responses"
CALL = ToolCall("exec_command", {"cmd": "true"})
PATCH = ToolCall("apply_patch", "*** Begin Patch\n*** End Patch")
LONG = "A long answer. " * 9000


def client(endpoint: Endpoint) -> httpx.Client:
    context = ssl.create_default_context(cafile=str(endpoint.ca_file))
    return httpx.Client(http2=True, verify=context, base_url=endpoint.url, timeout=30, trust_env=False)


def socket_of(endpoint: Endpoint, path: str = PATH) -> ClientConnection:
    context = ssl.create_default_context(cafile=str(endpoint.ca_file))
    return connect(f"wss://localhost:{endpoint.port}{path}", ssl=context, open_timeout=30, max_size=None)


def question(number: int, **more: Any) -> dict[str, Any]:
    return {"model": "m", "input": f"q{number}", "tools": [{"name": "exec_command"}], "stream": True, **more}


def said(connection: ClientConnection, request: dict[str, Any]) -> list[dict[str, Any]]:
    """The events that a message is answered with, up to the last."""
    connection.send(json.dumps({"type": "response.create", **request}))
    events: list[dict[str, Any]] = []
    while not events or events[-1]["type"] not in ("response.completed", "error"):
        events.append(json.loads(connection.recv(timeout=30)))
    return events


def test_http2_is_spoken_with_who_chooses_it_and_windows_are_kept() -> None:
    with (
        Endpoint(Script((Answer(LONG, (CALL, PATCH)), Answer("Done.")))) as endpoint,
        client(endpoint) as asker,
    ):
        first = asker.post(PATH, json=question(0))
        assert (first.http_version, first.status_code) == ("HTTP/2", 200)
        parser = detect.stream_parser("openai.responses")
        for event in StreamFramer().feed(first.content):
            parser.feed(event)
        answer = parser.result(ended=True)
        assert answer.text == LONG
        assert [call.name for call in answer.tool_calls] == ["exec_command", "apply_patch"]
        assert asker.post("/v1/embeddings", json={}).status_code == 404
        last = asker.post(PATH, json=question(1, stream=False))
        assert last.json()["output"][0]["content"][0]["text"] == "Done."
        assert [request.transport for request in endpoint.requests] == ["h2"] * 3


def test_a_client_that_is_not_offered_http2_speaks_http1() -> None:
    with Endpoint(Script((Answer("Hi."),)), offers=("http/1.1",)) as endpoint, client(endpoint) as asker:
        assert asker.post(PATH, json=question(0)).http_version == "HTTP/1.1"
        assert endpoint.requests[0].transport == "http/1.1"


def test_a_websocket_is_compressed_warmed_and_goes_on_from_answer_to_answer() -> None:
    answers = (Answer("First.", (CALL, PATCH), thinking="Hm."), Answer(LONG))
    with Endpoint(Script(answers)) as endpoint, socket_of(endpoint) as connection:
        response = connection.response
        assert response is not None
        assert response.headers["sec-websocket-extensions"].startswith("permessage-deflate")
        warm = said(connection, question(0, generate=False))
        assert [event["type"] for event in warm] == ["response.created", "response.completed"]
        assert warm[-1]["response"]["output"] == []
        first = said(connection, question(0, previous_response_id=warm[-1]["response"]["id"]))
        output = first[-1]["response"]["output"]
        assert [item["type"] for item in output] == [
            "reasoning",
            "message",
            "function_call",
            "custom_tool_call",
        ]
        assert output[0]["encrypted_content"] == SIGNATURE
        assert output[3]["input"] == PATCH.arguments
        second = said(connection, question(1, previous_response_id=first[-1]["response"]["id"]))
        assert second[-1]["response"]["output"][0]["content"][0]["text"] == LONG
        assert [(r.transport, r.turn) for r in endpoint.requests] == [
            ("websocket", None),
            ("websocket", 0),
            ("websocket", 1),
        ]


def test_a_websocket_elsewhere_is_refused() -> None:
    with Endpoint(Script((Answer("Hi."),))) as endpoint, pytest.raises(InvalidStatus) as refused:
        socket_of(endpoint, "/v1/realtime")
    assert refused.value.response.status_code == 404


@pytest.mark.parametrize(("trouble", "status"), [("rate_limited", 429), ("overloaded", 503)])
def test_a_refused_turn_is_said_to_who_asks_again(trouble: Trouble, status: int) -> None:
    with Endpoint(Script((Answer("Hi.", troubles=(trouble,)),))) as endpoint:
        with client(endpoint) as asker:
            refused = asker.post(PATH, json=question(0))
            assert (refused.status_code, endpoint.finished) == (status, False)
            assert asker.post(PATH, json=question(0)).status_code == 200
        assert endpoint.finished
        assert [(r.turn, r.status) for r in endpoint.requests] == [(0, status), (0, 200)]
    with (
        Endpoint(Script((Answer("Hi.", troubles=(trouble,)),))) as endpoint,
        socket_of(endpoint) as connection,
    ):
        (error,) = said(connection, question(0))
        assert (error["type"], error["status"]) == ("error", status)
        assert said(connection, question(0))[-1]["type"] == "response.completed"


@pytest.mark.parametrize("trouble", ["dropped", "cut"])
def test_an_answer_that_breaks_off_is_said_whole_to_who_asks_again(trouble: Trouble) -> None:
    answers = (Answer("A text in several deltas, and a call.", (CALL,), troubles=(trouble,)),)
    with Endpoint(Script(answers)) as endpoint:
        context = ssl.create_default_context(cafile=str(endpoint.ca_file))
        for stream in (True, False):
            plain = http.client.HTTPSConnection("localhost", endpoint.port, context=context, timeout=30)
            plain.request("POST", PATH, json.dumps(question(0, stream=stream)))
            answer = plain.getresponse()
            if stream:
                with pytest.raises(http.client.IncompleteRead):
                    answer.read()
            else:
                assert json.loads(answer.read())["status"] == "completed"
            plain.close()
        assert [(r.turn, r.status) for r in endpoint.requests] == [(0, 0), (0, 200)]
    with Endpoint(Script(answers)) as endpoint, client(endpoint) as asker:
        with pytest.raises(httpx.RemoteProtocolError):
            asker.post(PATH, json=question(0))
        assert asker.post(PATH, json=question(0)).status_code == 200
    with Endpoint(Script(answers)) as endpoint:
        with socket_of(endpoint) as connection, pytest.raises(ConnectionClosed):
            said(connection, question(0))
        with socket_of(endpoint) as connection:
            assert said(connection, question(0))[-1]["type"] == "response.completed"
        assert [(r.turn, r.status) for r in endpoint.requests] == [(0, 0), (0, 200)]
