"""What a connection speaks is told by its first bytes, and what is inside a proxy's tunnel by its own."""

from __future__ import annotations

import pytest

from collector.http.connection import HttpConnection, Protocol, protocol_of
from collector.http.events import ConnectionLost, Gap, HttpEvent, RequestDone, ResponseDone
from collector.http.frames import PREFACE
from tests.collector.http.h2_peers import Said, Talk, Write, cut, exchanges, joined, read, told

GET = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CONNECT = b"CONNECT api.example:443 HTTP/1.1\r\nHost: api.example:443\r\n\r\n"
ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"
TALK = Talk().say(Said(), Said(path="/b"))

STARTS: list[tuple[bytes, Protocol | None]] = [
    (b"", None),
    (b"P", None),
    (b"PO", "http/1.1"),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r", None),
    (PREFACE, "h2"),
    (PREFACE + b"\0", "h2"),
    (b"PRI * HTTP/1.1", "http/1.1"),
    (GET, "http/1.1"),
    (b"\r\nGET", "http/1.1"),
    (b"HTT", None),
    (OK, "http/1.1"),
    (b"\0\0\0\4\0\0\0\0", None),
    (b"\0\0\0\4\0\0\0\0\0", "h2"),
    (b"\0\0\0\4\0\0\0\0\1", ""),
    (b"\x16\x03\x01", ""),
    (b"data: {}", ""),
    (b"{", ""),
]


@pytest.mark.parametrize(("start", "protocol"), STARTS)
def test_first_bytes_tell_the_protocol(start: bytes, protocol: Protocol | None) -> None:
    assert protocol_of(start) == protocol


@pytest.mark.parametrize("step", [1, 2, 5, 1 << 30])
def test_either_version_is_read_however_it_is_cut(step: int) -> None:
    for writes, protocol, whole in (
        ([Write("sent", GET), Write("received", OK)] * 2, "http/1.1", 2),
        ([Write("received", GET), Write("sent", OK)], "http/1.1", 1),
        (TALK.writes, "h2", 2),
        ([Write("received" if way == "sent" else "sent", data) for way, data in TALK.writes], "h2", 2),
    ):
        connection = HttpConnection()
        assert connection.protocol == ""
        events = read(cut(writes, step), connection)
        assert connection.protocol == protocol
        assert [said.whole for said in exchanges(events)] == [True] * whole and not told(events)


def test_a_server_that_speaks_first_is_seen_from_the_beginning() -> None:
    sent, received = TALK.wire("sent"), TALK.wire("received")
    settings = received.index(b"\0\0\0\4\1")  # its first frame, before it acknowledges the client's
    writes = [
        Write("received", received[:settings]),
        Write("sent", sent),
        Write("received", received[settings:]),
    ]
    for step in (1, 4, 1 << 30):
        events = read(cut(writes, step))
        assert exchanges(events) == exchanges(read(TALK.writes)) and not told(events)


def test_reads_that_begin_within_a_frame_are_passed_over_and_told() -> None:
    talk = Talk().say(Said(path="/before"))
    late = len(talk.writes)
    talk.say(Said(path="/after"))
    within = [Write("received", b'"text": "the rest of a frame"}')]
    events = read([*within, *talk.writes[late:]])
    assert [event.missing for event in events if isinstance(event, Gap)] == [len(within[0].data)]
    assert [(said.target, said.answer) for said in exchanges(events)] == [("/after", b"ok")]


@pytest.mark.parametrize("data", [b"\x16\x03\x01", b"data: x\n\n", b"EHLO me\r\n", b"\x00\x01\x02"])
def test_what_is_neither_is_given_up_with_its_cause(data: bytes) -> None:
    for steps in (1, 100):
        connection = HttpConnection()
        events: list[HttpEvent] = []
        for _ in range(steps):
            events += connection.feed("sent", data, 7)
        if steps == 100:  # it need not wait for the end
            assert [event.cause for event in events if isinstance(event, ConnectionLost)] == ["not_http"]
            assert connection.held < 1024
        events += connection.close(8)
        assert [event.cause for event in events if isinstance(event, ConnectionLost)] == ["not_http"]


def test_nothing_is_nothing() -> None:
    assert HttpConnection().close(1) == []


def test_one_large_read_that_is_neither_is_not_kept() -> None:
    connection = HttpConnection()
    (lost,) = connection.feed("received", b"{" + bytes(1 << 20), 7)
    assert isinstance(lost, ConnectionLost) and connection.held < 1 << 16


# --- through a proxy -----------------------------------------------------------------------------------


def tunnel(*writes: Write) -> list[HttpEvent]:
    """What is read of them within a tunnel."""
    return read([Write("sent", CONNECT), Write("received", ESTABLISHED), *writes])


def test_tls_within_a_tunnel_is_left_to_its_library() -> None:
    records: list[Write] = [Write("sent", b"\x16\x03\x01\0\4abcd"), Write("received", b"\x16\x03\x03\0\1x")]
    events = tunnel(*records, *[Write("sent", b"\x17\x03\x03\0\1x" * 100)] * 50)
    assert [type(event) for event in events] == [RequestDone, ResponseDone]


@pytest.mark.parametrize("step", [1, 1 << 30])
def test_http_within_a_tunnel_goes_on_counting(step: int) -> None:
    for inner in ([Write("sent", GET), Write("received", OK)] * 2, TALK.writes):
        events = tunnel(*cut(inner, step))
        assert [event.index for event in events if isinstance(event, RequestDone)] == [0, 1, 2]
        assert [event.request_index for event in events if isinstance(event, ResponseDone)] == [0, 1, 2]
        assert not told(events)


def test_the_first_bytes_of_a_tunnel_may_come_with_its_answer() -> None:
    events = read(
        [
            Write("sent", CONNECT),
            Write("received", ESTABLISHED + b"\0\0\0\4\0\0\0\0\0"),
            Write("sent", TALK.wire("sent")),
        ]
    )
    assert [event.target for event in joined(events) if isinstance(event, RequestDone)][1:] == [
        "/v1/messages",
        "/b",
    ]


def test_another_protocol_within_a_tunnel_is_no_failure_of_http() -> None:
    greeting = [Write("received", b"SSH-2.0-OpenSSH_9\r\n"), Write("sent", b"SSH-2.0-x\r\n")] * 10
    (lost,) = [event for event in tunnel(*greeting) if isinstance(event, ConnectionLost)]
    assert lost.cause == "upgraded"


def test_what_goes_wrong_within_a_tunnel_is_told_as_it_is() -> None:
    events = tunnel(Write("sent", GET), Write("received", OK[:-1]))
    assert [event.cause for event in events if isinstance(event, ResponseDone)] == [None, "closed"]


def test_tunnels_within_tunnels_end() -> None:
    layers = [Write("sent", CONNECT), Write("received", ESTABLISHED)] * 2_000
    events = read(layers)
    assert [event.cause for event in events if isinstance(event, ConnectionLost)] == ["upgraded"]
    assert len(events) < 20


def test_a_tunnel_that_was_refused_is_none() -> None:
    refused = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
    events = read(
        [Write("sent", CONNECT), Write("received", refused), Write("sent", GET), Write("received", OK)]
    )
    assert [event.status for event in events if isinstance(event, ResponseDone)] == [407, 200]
    assert not told(events)


def test_bytes_of_a_connection_that_is_over_are_nothing() -> None:
    connection = HttpConnection()
    connection.feed("sent", GET, 1)
    assert not connection.close(2) and not connection.close(3) and not connection.feed("received", OK, 4)
