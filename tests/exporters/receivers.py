"""Receivers on loopback that answer what a test says, and ports where nobody listens."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from tempfile import NamedTemporaryFile
from typing import Any, NamedTuple

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)

from tests.exporters.certificates import Identity


class Reply(NamedTuple):
    """An HTTP answer."""

    status: int = 200
    body: bytes = b""
    kind: str | None = "application/x-protobuf"


class Request(NamedTuple):
    """An HTTP request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes


def rejecting(count: int, message: str) -> ExportTraceServiceResponse:
    """The response that takes all but ``count`` spans."""
    response = ExportTraceServiceResponse()
    response.partial_success.rejected_spans = count
    response.partial_success.error_message = message
    return response


def closed_port() -> int:
    """A port of loopback on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def silent_port() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


@contextmanager
def http_receiver(*replies: Reply, tls: Identity | None = None) -> Iterator[tuple[int, list[Request]]]:
    """A port and the requests that came; the last of ``replies`` is given for ever."""
    seen: list[Request] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            reply = replies[min(len(seen), len(replies) - 1)]
            body = self.rfile.read(int(self.headers["content-length"]))
            seen.append(Request(self.path, {key.lower(): item for key, item in self.headers.items()}, body))
            self.send_response(reply.status)
            if reply.kind is not None:
                self.send_header("content-type", reply.kind)
            self.send_header("content-length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base class names it)
            """Says nothing."""

    class Server(ThreadingHTTPServer):
        def get_request(self) -> tuple[socket.socket, Any]:
            connection, address = super().get_request()
            return (connection if context is None else context.wrap_socket(connection, True)), address

        def handle_error(self, request: Any, client_address: Any) -> None:
            """Says nothing."""

    context = _server_context(tls) if tls is not None else None
    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1], seen
        finally:
            server.shutdown()
            thread.join()


def _server_context(tls: Identity) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with NamedTemporaryFile("w") as file:
        file.write(tls.certificate + tls.key)
        file.flush()
        context.load_cert_chain(file.name)
    return context


Answering = Callable[[ExportTraceServiceRequest, grpc.ServicerContext], ExportTraceServiceResponse]


@contextmanager
def grpc_receiver(answer: Answering, tls: Identity | None = None) -> Iterator[int]:
    """A port of a gRPC receiver that answers with ``answer``."""

    class Servicer(TraceServiceServicer):
        def Export(  # noqa: N802 (the service names it)
            self, request: ExportTraceServiceRequest, context: grpc.ServicerContext
        ) -> ExportTraceServiceResponse:
            return answer(request, context)

    with ThreadPoolExecutor(2) as pool:
        server = grpc.server(pool)
        add: Any = add_TraceServiceServicer_to_server
        add(Servicer(), server)
        if tls is None:
            port = server.add_insecure_port("127.0.0.1:0")
        else:
            pair = (tls.key.encode(), tls.certificate.encode())
            port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
        server.start()
        try:
            yield port
        finally:
            server.stop(0).wait()
