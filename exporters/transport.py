"""One OTLP request over gRPC or HTTP: the wire's messages and service are OpenTelemetry's generated code.

The SDK's own span exporters are not used because they answer only success or failure: what a receiver refused
(``partial_success``) and why a request failed would be lost.
"""

from __future__ import annotations

import errno
import http.client
import ssl
import time
from typing import Any, NamedTuple, Protocol

import grpc
import orjson
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from exporters.endpoint import Receiver
from polygraph.text import printable

#: bytes of an answer that are read
_MAX_ANSWER = 64 * 1024
_MAX_MESSAGE = 300
_MAX_DIGITS = 9
_SUCCESS, _REDIRECT = 2, 3  # first digits of HTTP statuses
# OTLP specification, "Failures": the codes after which a client may send again
_RETRY_HTTP = frozenset({429, 502, 503, 504})
_RETRY_GRPC = frozenset(
    {
        "CANCELLED",
        "DEADLINE_EXCEEDED",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNAVAILABLE",
        "DATA_LOSS",
        "RESOURCE_EXHAUSTED",
    }
)

LISTENING = "see that a receiver listens there: gRPC is mostly on port 4317, HTTP on 4318"
AUTHENTICATE = "set OTEL_EXPORTER_OTLP_HEADERS to what the receiver wants, as key=value"
PLACE = "something answers there, but it takes no OTLP traces: check port and path"
TRUST = "check the host's name, or set OTEL_EXPORTER_OTLP_CERTIFICATE to its authority's certificate file"
RECEIVER = "look at the receiver's log"


class Answer(NamedTuple):
    """What became of one request. ``message`` is empty when all was taken; ``rejected`` spans were not."""

    delivered: bool
    rejected: int = 0
    message: str = ""
    retry: bool = False


class Sender(Protocol):
    """Sends requests to one receiver. Network failures are answers, never exceptions."""

    def send(self, request: ExportTraceServiceRequest, timeout: float) -> Answer:
        """Sends once, in at most ``timeout`` seconds."""

    def close(self) -> None:
        """Ends the connection."""


def connect(receiver: Receiver) -> Sender:
    """A sender; nothing is sent yet."""
    return GrpcSender(receiver) if receiver.endpoint.protocol == "grpc" else HttpSender(receiver)


class GrpcSender:
    """OTLP/gRPC."""

    def __init__(self, receiver: Receiver) -> None:
        address, pem = receiver.endpoint.address, receiver.authorities
        self._metadata = tuple(receiver.headers.items())
        # gRPC has one code for a port that is closed and for a handshake that failed
        self._unreachable = f"{LISTENING}; {TRUST}" if receiver.endpoint.tls else LISTENING
        if receiver.endpoint.tls:
            credentials = grpc.ssl_channel_credentials(pem.encode() if pem is not None else None)
            self._channel = grpc.secure_channel(address, credentials)
        else:
            self._channel = grpc.insecure_channel(address)
        stub: Any = trace_service_pb2_grpc.TraceServiceStub
        self._export = stub(self._channel).Export

    def send(self, request: ExportTraceServiceRequest, timeout: float) -> Answer:
        """Sends once, in at most ``timeout`` seconds."""
        try:
            response = self._export(request, timeout=timeout, metadata=self._metadata)
        except grpc.RpcError as error:
            code = error.code().name
            advice = {
                "UNIMPLEMENTED": PLACE,
                "UNAUTHENTICATED": AUTHENTICATE,
                "PERMISSION_DENIED": AUTHENTICATE,
            }
            default = self._unreachable if code in ("UNAVAILABLE", "DEADLINE_EXCEEDED") else RECEIVER
            return _failed(f"{code}: {error.details()}", advice.get(code, default), code in _RETRY_GRPC)
        return _partial(response)

    def close(self) -> None:
        """Ends the connection."""
        self._channel.close()


class HttpSender:
    """OTLP/HTTP with protobuf bodies. A connection per request: there are few."""

    def __init__(self, receiver: Receiver) -> None:
        self._endpoint = receiver.endpoint
        self._headers = {**receiver.headers, "content-type": "application/x-protobuf"}
        self._context: ssl.SSLContext | None = None
        if receiver.endpoint.tls:
            self._context = ssl.create_default_context(cadata=receiver.authorities)

    def send(self, request: ExportTraceServiceRequest, timeout: float) -> Answer:
        """Sends once, in at most about ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        connection = self._connection(timeout)
        try:
            connection.request("POST", self._endpoint.path, request.SerializeToString(), self._headers)
            response = connection.getresponse()
            body = _read(response, deadline)
        except ssl.SSLError as error:
            return _failed(f"TLS: {error.reason or error}", TRUST)
        except ConnectionRefusedError:
            return _failed("connection refused", LISTENING)
        except http.client.HTTPException as error:
            return _failed(
                f"no HTTP answer ({type(error).__name__})", "a gRPC receiver is written grpc://HOST:PORT"
            )
        except OSError as error:
            return _failed(error.strerror or str(error) or type(error).__name__, LISTENING, retry=True)
        finally:
            connection.close()
        return _http_answer(response, body)

    def close(self) -> None:
        """Nothing is open between requests."""

    def _connection(self, timeout: float) -> http.client.HTTPConnection:
        host, port = self._endpoint.host, self._endpoint.port
        if self._context is not None:
            return http.client.HTTPSConnection(host, port, timeout=timeout, context=self._context)
        return http.client.HTTPConnection(host, port, timeout=timeout)


def _http_answer(response: http.client.HTTPResponse, body: bytes) -> Answer:
    status = response.status
    kind = (response.getheader("content-type") or "").partition(";")[0].strip().lower()
    if status // 100 == _SUCCESS:
        try:
            if not body or kind == "application/x-protobuf":
                return _partial(ExportTraceServiceResponse.FromString(body))
            if kind == "application/json":
                return _partial_json(orjson.loads(body))
        except (DecodeError, orjson.JSONDecodeError):
            return _failed(f"HTTP {status} with an answer that cannot be read", PLACE)
        return _failed(f"HTTP {status} with {kind or 'an unknown type'} for an answer", PLACE)
    advice = {401: AUTHENTICATE, 403: AUTHENTICATE, 404: PLACE, 405: PLACE, 415: PLACE}
    # a redirect could go anywhere, so it is not followed
    default = PLACE if status // 100 == _REDIRECT else RECEIVER
    return _failed(f"HTTP {status} {response.reason}", advice.get(status, default), status in _RETRY_HTTP)


def _read(response: http.client.HTTPResponse, deadline: float) -> bytes:
    """The answer's body as far as it is wanted; raises TimeoutError when it takes too long."""
    body = b""
    while len(body) < _MAX_ANSWER:
        piece = response.read1(_MAX_ANSWER - len(body))
        if not piece:
            break
        body += piece
        if time.monotonic() > deadline:
            raise TimeoutError(errno.ETIMEDOUT, "the answer took too long")
    return body


def _partial(response: Any) -> Answer:
    partial = response.partial_success
    return _answer(partial.rejected_spans, partial.error_message)


def _partial_json(response: object) -> Answer:
    partial = response.get("partialSuccess") if isinstance(response, dict) else None
    if not isinstance(partial, dict):
        return Answer(delivered=True)
    # JSON of protobuf writes 64-bit numbers as strings
    rejected = str(partial.get("rejectedSpans", 0))
    message = partial.get("errorMessage")
    return _answer(
        int(rejected) if rejected.isascii() and rejected.isdigit() and len(rejected) <= _MAX_DIGITS else 0,
        message if isinstance(message, str) else "",
    )


def _answer(rejected: int, message: str) -> Answer:
    if rejected <= 0:
        return Answer(delivered=True)
    return Answer(
        delivered=True, rejected=rejected, message=_said(message or "the receiver rejected spans", RECEIVER)
    )


def _failed(message: str, advice: str, retry: bool = False) -> Answer:
    return Answer(delivered=False, message=_said(message, advice), retry=retry)


def _said(message: str, advice: str) -> str:
    return f"{printable(message[: _MAX_MESSAGE + 1], _MAX_MESSAGE)}; {advice}"
