"""HTTP/2 of programs in use, recorded on the loopback: httpx with hypercorn, and gRPC's own implementation."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent import futures
from typing import Any

import grpc
import httpx
import pytest

from collector.http.connection import HttpConnection
from collector.http.events import Gap, RequestDone
from tests.collector.http.asgi import Send, serving
from tests.collector.http.h2_peers import Write, cut, exchanges, read, told
from tests.collector.http.relay import Relay

CALLS = 40
PARTS = 25


async def _answer(scope: dict[str, Any], body: bytes, send: Send) -> None:
    """Answers with what it was sent, or with a stream of events if asked to."""
    streamed = scope["path"] == "/stream"
    kind = b"text/event-stream" if streamed else b"application/json"
    headers = [(b"content-type", kind), (b"x-path", scope["path"].encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    if streamed:
        for n in range(PARTS):
            await send({"type": "http.response.body", "body": b"data: %d\n\n" % n, "more_body": True})
            await asyncio.sleep(0)
    await send({"type": "http.response.body", "body": b"" if streamed else body})


@pytest.fixture
def port() -> Iterator[int]:
    """hypercorn on a port of its own."""
    with serving(_answer) as number:
        yield number


async def _ask(port: int) -> None:
    """Calls at once on one connection, every other one streamed."""
    async with httpx.AsyncClient(http1=False, http2=True, base_url=f"http://127.0.0.1:{port}") as client:
        first = await client.post("/echo", content=b"first")
        assert first.http_version == "HTTP/2"
        calls = [
            client.post("/stream" if n % 2 else "/echo", content=b"%d" % n * 500, headers={"x-n": str(n)})
            for n in range(CALLS)
        ]
        for answer in await asyncio.gather(*calls):
            assert answer.status_code == 200


def test_calls_of_httpx_at_once_are_read_as_they_were_made(port: int) -> None:
    with Relay(port) as relay:
        asyncio.run(_ask(relay.port))
    (writes,) = relay.connections
    for pieces in (writes, cut(writes, 1)):
        events = read(pieces)
        seen = exchanges(events)
        assert all(said.whole for said in seen) and not told(events)
        assert (seen[0].target, seen[0].body, seen[0].answer) == ("/echo", b"first", b"first")
        by_number = {dict(said.headers)["x-n"]: said for said in seen[1:]}
        assert len(by_number) == CALLS
        for n in range(CALLS):
            said = by_number[str(n)]
            assert said.body == b"%d" % n * 500
            assert (said.target, said.headers[0]) == (
                "/stream" if n % 2 else "/echo",
                ("host", f"127.0.0.1:{relay.port}"),
            )
            assert said.answer == (
                b"".join(b"data: %d\n\n" % part for part in range(PARTS)) if n % 2 else said.body
            )


def _bytes(data: bytes) -> bytes:
    return data


class _Service(grpc.GenericRpcHandler):
    """Echo, and a stream of what it was sent."""

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[bytes, bytes] | None:
        if handler_call_details.method == "/test.Echo/One":
            return grpc.unary_unary_rpc_method_handler(lambda request, _context: request)
        return grpc.unary_stream_rpc_method_handler(lambda request, _context: iter([request] * 5))


def grpc_talk() -> list[Write]:
    """Calls of gRPC, whose HPACK, padding and pings are its own."""
    server = grpc.server(futures.ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((_Service(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with Relay(port) as relay:
        with grpc.insecure_channel(f"127.0.0.1:{relay.port}") as channel:
            one = channel.unary_unary("/test.Echo/One", _bytes, _bytes)
            many = channel.unary_stream("/test.Echo/Many", _bytes, _bytes)
            for n in range(12):
                said = b"%02d" % n * (1 + 900 * (n % 3))
                metadata = (("x-n", str(n)), ("x-same", "always"))
                assert one(said, metadata=metadata) == said
                assert list(many(said, metadata=metadata)) == [said] * 5
        server.stop(None).wait()
    (writes,) = relay.connections
    return writes


def framed(message: bytes) -> bytes:
    """A message of gRPC: not compressed, its length, itself."""
    return b"\0" + len(message).to_bytes(4, "big") + message


def test_calls_of_grpc_are_read_as_they_were_made_with_their_trailers() -> None:
    writes = grpc_talk()
    for pieces in (writes, cut(writes, 1)):
        events = read(pieces)
        seen = exchanges(events)
        assert len(seen) == 24 and all(said.whole for said in seen) and not told(events)
        for n, said in enumerate(seen):
            sent = framed(b"%02d" % (n // 2) * (1 + 900 * (n // 2 % 3)))
            assert (said.target, said.body) == (f"/test.Echo/{'Many' if n % 2 else 'One'}", sent)
            assert said.answer == sent * (5 if n % 2 else 1)
            assert (
                dict(said.headers)["x-n"] == str(n // 2) and dict(said.answer_headers)["grpc-status"] == "0"
            )


def test_joined_late_calls_of_grpc_are_read_as_far_as_they_are_known_or_told() -> None:
    writes = grpc_talk()
    known = exchanges(read(writes))
    whole = HttpConnection()
    given = [number for number, write in enumerate(writes) if read([write], whole, close=False)]
    for late in range(1, len(writes)):
        events = read(writes[late:])
        for event in events:
            if isinstance(event, RequestDone) and event.complete:
                assert (event.target, event.body) in [(said.target, said.body) for said in known]
        rest = [said for said in exchanges(events) if said.whole]
        assert {said.answer for said in rest} <= {said.answer for said in known}
        # After the last message there are pings, of which there is nothing to tell.
        assert told(events) or len(rest) == len(known) or late > given[-1]
        # Each call is there, or something says that it may not be.
        ends = [event for event in events if isinstance(event, RequestDone | Gap)]
        assert ends or not any(write.direction == "sent" and len(write.data) > 60 for write in writes[late:])
