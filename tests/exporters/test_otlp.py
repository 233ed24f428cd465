"""Sending: what a receiver does not take is counted and said with advice; nothing is raised."""

from __future__ import annotations

from pathlib import Path

import grpc
import msgspec
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from exporters.otlp import BATCH, ExportResult, OtlpExporter
from polygraph.errors import PolygraphError
from tests.exporters.certificates import Identity, self_signed
from tests.exporters.receivers import (
    Reply,
    closed_port,
    grpc_receiver,
    http_receiver,
    rejecting,
    silent_port,
)
from tests.exporters.sample import REFUTED, START, VERDICTS

SPANS = 1 + len(VERDICTS)
MANY = [msgspec.structs.replace(REFUTED, id=f"v{number}") for number in range(2 * BATCH)]


def export(url: str, timeout: float = 10.0, **environ: str) -> ExportResult:
    return OtlpExporter(url, timeout=timeout, environ=environ).export(START, VERDICTS)


def test_http_sends_protobuf_with_the_operators_headers_to_the_path_of_traces() -> None:
    with http_receiver(Reply()) as (port, seen):
        result = export(f"http://127.0.0.1:{port}/base", OTEL_EXPORTER_OTLP_HEADERS="x-api-key=k")
    assert result == ExportResult(SPANS, 0, "")
    (request,) = seen
    assert request.path == "/base/v1/traces"
    assert request.headers["content-type"] == "application/x-protobuf"
    assert request.headers["x-api-key"] == "k"
    sent = ExportTraceServiceRequest.FromString(request.body)
    assert len(sent.resource_spans[0].scope_spans[0].spans) == SPANS


def test_grpc_sends_with_the_operators_headers() -> None:
    seen: list[tuple[ExportTraceServiceRequest, dict[str, str | bytes]]] = []

    def answer(
        request: ExportTraceServiceRequest, context: grpc.ServicerContext
    ) -> ExportTraceServiceResponse:
        seen.append((request, {item[0]: item[1] for item in context.invocation_metadata()}))
        return ExportTraceServiceResponse()

    with grpc_receiver(answer) as port:
        result = export(f"grpc://127.0.0.1:{port}", OTEL_EXPORTER_OTLP_HEADERS="x-api-key=k")
    assert result == ExportResult(SPANS, 0, "")
    ((request, metadata),) = seen
    assert len(request.resource_spans[0].scope_spans[0].spans) == SPANS
    assert metadata["x-api-key"] == "k"


def test_a_long_session_is_sent_in_bounded_requests_below_one_session_span() -> None:
    with http_receiver(Reply()) as (port, seen):
        result = OtlpExporter(f"http://127.0.0.1:{port}", environ={}).export(START, MANY)
    assert result == ExportResult(len(MANY) + 1, 0, "")
    sent = [ExportTraceServiceRequest.FromString(request.body).resource_spans[0] for request in seen]
    spans = [span for resource in sent for span in resource.scope_spans[0].spans]
    assert all(len(resource.scope_spans[0].spans) <= BATCH for resource in sent)
    assert len({span.span_id for span in spans}) == len(MANY) + 1
    assert [span.name for span in spans if not span.parent_span_id] == ["session claude"]


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_a_port_where_nobody_listens_is_counted_and_said(scheme: str) -> None:
    result = export(f"{scheme}://127.0.0.1:{closed_port()}")
    assert result.sent == 0
    assert result.failed == SPANS
    assert "receiver listens" in result.error
    assert "refused" in result.error


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_a_receiver_that_never_answers_does_not_hold_up(scheme: str) -> None:
    with silent_port() as port:
        result = export(f"{scheme}://127.0.0.1:{port}", timeout=1.0)
    assert (result.sent, result.failed) == (0, SPANS)
    assert result.error


def test_spans_that_a_receiver_rejects_are_counted_over_http() -> None:
    body = rejecting(2, "too\x1b[31m old").SerializeToString()
    with http_receiver(Reply(body=body)) as (port, _):
        result = export(f"http://127.0.0.1:{port}")
    assert (result.sent, result.failed) == (SPANS - 2, 2)
    assert result.error.startswith("too\\x1b[31m old; ")


def test_spans_that_a_receiver_rejects_are_counted_in_json() -> None:
    body = b'{"partialSuccess": {"rejectedSpans": "2", "errorMessage": "too old"}}'
    with http_receiver(Reply(body=body, kind="application/json; charset=utf-8")) as (port, _):
        result = export(f"http://127.0.0.1:{port}")
    assert (result.sent, result.failed) == (SPANS - 2, 2)
    assert result.error.startswith("too old; ")


@pytest.mark.parametrize(("rejected", "failed"), [(1, 1), (10**12, SPANS), (-5, 0)])
def test_spans_that_a_receiver_rejects_are_counted_over_grpc(rejected: int, failed: int) -> None:
    with grpc_receiver(lambda _request, _context: rejecting(rejected, "too old")) as port:
        result = export(f"grpc://127.0.0.1:{port}")
    assert (result.sent, result.failed) == (SPANS - failed, failed)
    assert result.error.startswith("too old; ") == bool(failed)


@pytest.mark.parametrize(
    ("reply", "message", "advice"),
    [
        (Reply(401), "HTTP 401", "OTEL_EXPORTER_OTLP_HEADERS"),
        (Reply(404), "HTTP 404", "check port and path"),
        (Reply(302), "HTTP 302", "check port and path"),
        (Reply(500), "HTTP 500", "receiver's log"),
        (Reply(200, b"<html>", "text/html"), "text/html", "check port and path"),
        (Reply(200, b"\xff\xff", "application/x-protobuf"), "cannot be read", "check port and path"),
        (Reply(200, b"{", "application/json"), "cannot be read", "check port and path"),
    ],
)
def test_an_answer_that_is_no_success_is_said_with_advice(reply: Reply, message: str, advice: str) -> None:
    with http_receiver(reply) as (port, seen):
        result = export(f"http://127.0.0.1:{port}")
    assert (result.sent, result.failed) == (0, SPANS)
    assert message in result.error
    assert advice in result.error
    assert len(seen) == 1


def test_a_grpc_refusal_is_said_with_advice() -> None:
    def answer(
        _request: ExportTraceServiceRequest, context: grpc.ServicerContext
    ) -> ExportTraceServiceResponse:
        context.abort(grpc.StatusCode.UNAUTHENTICATED, "no key")

    with grpc_receiver(answer) as port:
        result = export(f"grpc://127.0.0.1:{port}")
    assert (result.sent, result.failed) == (0, SPANS)
    assert "UNAUTHENTICATED: no key" in result.error
    assert "OTEL_EXPORTER_OTLP_HEADERS" in result.error


def test_a_passing_failure_is_tried_again_with_the_same_bytes() -> None:
    with http_receiver(Reply(503), Reply(429), Reply()) as (port, seen):
        result = export(f"http://127.0.0.1:{port}")
    assert result == ExportResult(SPANS, 0, "")
    assert len(seen) == 3
    assert len({request.body for request in seen}) == 1


def test_tries_are_bounded() -> None:
    with http_receiver(Reply(503)) as (port, seen):
        result = export(f"http://127.0.0.1:{port}")
    assert (result.sent, result.failed) == (0, SPANS)
    assert len(seen) == 3


def test_after_a_failure_nothing_more_is_tried_and_all_the_rest_is_counted() -> None:
    with http_receiver(Reply(), Reply(500)) as (port, seen):
        result = OtlpExporter(f"http://127.0.0.1:{port}", environ={}).export(START, MANY)
    assert (result.sent, result.failed) == (BATCH, len(MANY) + 1 - BATCH)
    assert len(seen) == 2


def test_http_to_a_grpc_receiver_is_said_with_advice() -> None:
    with grpc_receiver(lambda _request, _context: ExportTraceServiceResponse()) as port:
        result = export(f"http://127.0.0.1:{port}")
    assert (result.sent, result.failed) == (0, SPANS)
    assert "grpc://" in result.error


def test_grpc_to_an_http_receiver_is_counted() -> None:
    with http_receiver(Reply()) as (port, _):
        result = export(f"grpc://127.0.0.1:{port}", timeout=3.0)
    assert (result.sent, result.failed) == (0, SPANS)
    assert result.error


@pytest.mark.parametrize("scheme", ["https", "grpcs"])
def test_tls_to_a_plain_receiver_is_counted(scheme: str) -> None:
    with http_receiver(Reply()) as (port, _):
        result = export(f"{scheme}://127.0.0.1:{port}", timeout=3.0)
    assert (result.sent, result.failed) == (0, SPANS)
    assert result.error


@pytest.fixture(scope="module")
def identity() -> Identity:
    return self_signed("127.0.0.1")


def test_https_is_sent_to_a_trusted_receiver_only(identity: Identity, tmp_path: Path) -> None:
    authority = tmp_path / "authority.pem"
    authority.write_text(identity.certificate)
    with http_receiver(Reply(), tls=identity) as (port, seen):
        untrusted = export(f"https://127.0.0.1:{port}")
        assert not seen
        trusted = export(f"https://127.0.0.1:{port}", OTEL_EXPORTER_OTLP_CERTIFICATE=str(authority))
    assert (untrusted.sent, untrusted.failed) == (0, SPANS)
    assert "OTEL_EXPORTER_OTLP_CERTIFICATE" in untrusted.error
    assert trusted == ExportResult(SPANS, 0, "")


def test_grpcs_is_sent_to_a_trusted_receiver_only(identity: Identity, tmp_path: Path) -> None:
    authority = tmp_path / "authority.pem"
    authority.write_text(identity.certificate)
    seen: list[ExportTraceServiceRequest] = []

    def answer(
        request: ExportTraceServiceRequest, _context: grpc.ServicerContext
    ) -> ExportTraceServiceResponse:
        seen.append(request)
        return ExportTraceServiceResponse()

    with grpc_receiver(answer, tls=identity) as port:
        untrusted = export(f"grpcs://127.0.0.1:{port}")
        assert not seen
        trusted = export(f"grpcs://127.0.0.1:{port}", OTEL_EXPORTER_OTLP_CERTIFICATE=str(authority))
    assert (untrusted.sent, untrusted.failed) == (0, SPANS)
    assert "OTEL_EXPORTER_OTLP_CERTIFICATE" in untrusted.error
    assert trusted == ExportResult(SPANS, 0, "")


def test_a_malformed_url_is_an_error_before_anything_is_sent() -> None:
    with pytest.raises(PolygraphError):
        OtlpExporter("localhost", environ={})
