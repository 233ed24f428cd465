"""A session and verdicts with every field filled, for the exporters' tests."""

from __future__ import annotations

import msgspec
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from exporters.spans import session_spans
from polygraph.events import SessionStart
from polygraph.reasons import DIMENSIONS
from polygraph.verdicts import Assumed, DimensionCoverage, Evidence, Subject, Verdict, Window

MS = 1_000_000
BOOTED = 1_790_000_000_000_000_000
BASE = 81_234_000_000_000
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

START = SessionStart(
    session="0123456789abcdef",
    ts=BASE,
    host="3f2a",
    boot="b1",
    kernel="6.18.5",
    process=f"4242:{BASE}",
    argv=("/usr/bin/claude", "-p", "words of the user"),
    cwd="/home/ada/shop",
    origin="run",
    wall_offset=BOOTED,
    content="full",
)

REFUTED = Verdict(
    id="v1",
    session=START.session,
    ts=BASE + 900 * MS,
    subject=Subject(
        kind="claim",
        id="c1",
        tool="Bash",
        call_id="toolu_1",
        call="l1",
        digest="d1",
        source="model",
        claim_kind="outcome",
        topic="tests_passed",
        text="All tests pass.",
    ),
    verdict="refuted",
    reason="failed",
    grade="strong",
    declared="tests passed (3) with pytest",
    observed="pytest ran and exited with 1",
    evidence=(
        Evidence(id="0123456789abcdef/7", ts=BASE + 500 * MS, fact="exec /usr/bin/pytest"),
        Evidence(id="0123456789abcdef/9", ts=BASE + 700 * MS, fact="exit 1"),
    ),
    coverage={
        name: DimensionCoverage(state="attached", canary=True, lost=3, blind=("io_uring",))
        for name in DIMENSIONS
    },
    window=Window(open=BASE + 100 * MS, close=BASE + 800 * MS),
    traceparent=TRACEPARENT,
    rule="claim.tests_passed",
    version=1,
)

VERIFIED = msgspec.structs.replace(
    REFUTED,
    id="v2",
    subject=Subject(kind="intent", id="i2", tool="Write", call_id="toolu_2"),
    verdict="verified",
    reason=None,
    observed="a.py was written",
    traceparent=None,
    window=Window(open=BASE + 200 * MS, close=None),
)

UNVERIFIABLE = msgspec.structs.replace(
    REFUTED, id="v3", verdict="unverifiable", reason="handed_off", grade=None, evidence=(), coverage={}
)

#: on a claim that a model guessed
GUESSED = msgspec.structs.replace(
    UNVERIFIABLE, id="v4", reason="guessed", assumed=Assumed(verdict="refuted", reason="failed")
)

VERDICTS = (REFUTED, VERIFIED, UNVERIFIABLE)


def encoded(start: SessionStart, *verdicts: Verdict) -> ExportTraceServiceRequest:
    """The request as a receiver reads it."""
    request = encode_spans(list(session_spans(start, verdicts)))
    return ExportTraceServiceRequest.FromString(request.SerializeToString())


def spans(start: SessionStart, *verdicts: Verdict) -> list[Span]:
    """The spans as a receiver reads them: the session's, then the verdicts'."""
    (resource,) = encoded(start, *verdicts).resource_spans
    (scope,) = resource.scope_spans
    return list(scope.spans)
