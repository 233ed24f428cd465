"""collector/pipeline.py, what cannot be read any more: no call after it is lost without a word."""

from __future__ import annotations

import json

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection

from collector.llm import exchange
from polygraph.events import BlindSpot, LlmCall, StreamGap
from tests.collector.http.h2_peers import Talk as Http2
from tests.collector.llm.http import PATHS, answer, ask, question, stream, streamed_answer
from tests.collector.llm.test_http2 import call
from tests.collector.llm.test_responses_socket import Socket
from tests.collector.said import Talk
from tests.collector.test_pipeline import of

CALL = ask(PATHS["openai.chat"], question("openai.chat", True))
ANSWER = stream(streamed_answer("openai.chat"))
BROKEN = {"http/1.1": b"HTTP/9", "h2": b"\x00\x00\x01\x00\x08\x00\x00\x00\x01\x09", "websocket": b"\xf7\x00"}


def conversation(transport: str) -> list[tuple[str, bytes]]:
    """A call and its answer, twice: what is said the second time begins at the second half."""
    if transport == "http/1.1":
        return [("sent", CALL), ("received", ANSWER)] * 2
    if transport == "h2":
        talk = Http2().say(call("openai.chat", True))
        return [tuple(write) for write in talk.writes] + [("sent", b"\x00" * 200)]  # type: ignore[list-item]
    socket = Socket(compressed=False)
    socket.create()
    socket.answer()
    socket.create()
    socket.answer()
    return [(cut.direction, cut.data) for cut in socket.cuts]


@pytest.mark.parametrize("transport", BROKEN)
def test_a_client_that_goes_on_with_a_connection_that_is_lost_is_told_once(transport: str) -> None:
    talk = Talk()
    said = conversation(transport)
    first = next(number for number, (way, _) in enumerate(said) if way == "sent" and number >= len(said) // 2)
    for way, data in said[:first]:
        talk.bytes(way, data)  # type: ignore[arg-type]
    talk.bytes("received", BROKEN[transport])
    before = talk.tick()
    assert of(StreamGap, before) and not of(BlindSpot, before)
    for way, data in said[first:]:
        for at in range(0, len(data), 50):
            talk.bytes(way, data[at : at + 50])  # type: ignore[arg-type]
    assert [(spot.dimension, spot.name) for spot in of(BlindSpot, talk.log())] == [
        ("tls", "unread_connection")
    ]


def test_the_last_words_of_a_connection_are_no_call() -> None:
    talk = Talk()
    for way, data in (("sent", CALL), ("received", ANSWER), ("received", BROKEN["http/1.1"])):
        talk.bytes(way, data)  # type: ignore[arg-type]
    talk.bytes("sent", b"x" * exchange.FAREWELL)
    assert of(BlindSpot, talk.log()) == []


def test_a_connection_without_calls_that_cannot_be_read_is_no_lasting_gap() -> None:
    talk = Talk()
    talk.bytes("sent", b"\x00\x00\x00\x08\x04\xd2\x16\x2f" * 8)
    talk.bytes("received", b"N" * 99)
    talk.bytes("sent", b"\x00" * 500)
    assert of(BlindSpot, talk.log()) == []


@pytest.mark.parametrize("protocol", ["h2c", "other"])
def test_a_call_that_is_answered_by_another_protocol_is_not_whole(protocol: str) -> None:
    talk = Talk()
    talk.bytes("sent", CALL)
    talk.bytes("received", f"HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: {protocol}\r\n\r\n".encode())
    events = talk.log()
    assert [(made.fate, made.complete) for made in of(LlmCall, events)] == [("unanswered", False)]
    assert [gap.cause for gap in of(StreamGap, events)] == ["response_incomplete"]


def test_after_an_upgrade_to_http2_its_first_answer_is_a_gap_and_later_calls_are_read() -> None:
    talk = Talk()
    client = H2Connection(H2Configuration(client_side=True))
    server = H2Connection(H2Configuration(client_side=False))
    settings = client.initiate_upgrade_connection()
    server.initiate_upgrade_connection(settings)
    talk.bytes("sent", b"OPTIONS * HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
    talk.bytes("received", b"HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
    server.send_headers(1, [(":status", "200")], end_stream=True)
    body = json.dumps(question("openai.chat", True)).encode()
    number = client.get_next_available_stream_id()
    head = [(":method", "POST"), (":authority", "h"), (":scheme", "http"), (":path", PATHS["openai.chat"])]
    client.send_headers(number, head)
    client.send_data(number, body, end_stream=True)
    asked = client.data_to_send()
    talk.bytes("sent", asked)
    server.receive_data(asked)
    server.send_headers(number, [(":status", "200"), ("content-type", "text/event-stream")])
    server.send_data(number, streamed_answer("openai.chat"), end_stream=True)
    talk.bytes("received", server.data_to_send())
    events = talk.log()
    assert [(made.complete, made.transport) for made in of(LlmCall, events)] == [(True, "h2")]
    assert [gap.cause for gap in of(StreamGap, events)] == ["gap"]


def test_a_socket_beyond_the_limit_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "MAX_SOCKETS", 0)
    talk = Talk()
    for cut in Socket().cuts:
        talk.bytes(cut.direction, cut.data)
    assert [spot.name for spot in of(BlindSpot, talk.log())] == ["unread_connection"]


def test_an_error_page_needs_no_reading() -> None:
    talk = Talk()
    for _ in range(2):
        talk.bytes("sent", CALL)
        talk.bytes("received", answer({"error": {}}, 503))
    assert [type(event) for event in talk.log() if isinstance(event, BlindSpot | StreamGap)] == []
