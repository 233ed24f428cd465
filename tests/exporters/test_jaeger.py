"""Against a real Jaeger: what is sent is found by the queries of docs/otlp.md, with what is documented."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from exporters.attributes import table
from exporters.otlp import ExportResult, OtlpExporter
from polygraph.events import SessionStart
from polygraph.verdicts import Verdict
from tests.exporters import jaeger
from tests.exporters.jaeger import Jaeger, tags
from tests.exporters.sample import (
    BASE,
    BOOTED,
    MS,
    REFUTED,
    START,
    TRACEPARENT,
    UNVERIFIABLE,
    VERIFIED,
    spans,
)

#: what Jaeger adds of its own
JAEGERS = {"span.kind", "error", "otel.status_code", "otel.status_description", "otel.scope.name"}
JAEGERS |= {"otel.scope.version", "internal.span.format", "event"}


def session(name: str, *verdicts: Verdict) -> tuple[SessionStart, list[Verdict]]:
    """A session of its own with these verdicts, as a test on a shared server needs it."""
    start = msgspec.structs.replace(START, session=name)
    return start, [
        msgspec.structs.replace(verdict, session=name, id=f"{name}-{number}")
        for number, verdict in enumerate(verdicts)
    ]


def trace_id(start: SessionStart) -> str:
    (span,) = spans(start)
    return span.trace_id.hex()


def search(server: Jaeger, **wanted: str) -> list[dict[str, Any]]:
    """Traces of polygraph with a span that has these tags, around the time of the sample."""
    status, answer = server.get(
        "/api/traces",
        service="polygraph",
        tags=json.dumps({name.replace("_", "."): value for name, value in wanted.items()}),
        start=(BOOTED + BASE) // 1000 - 1_000_000,
        end=(BOOTED + BASE) // 1000 + 60_000_000,
        limit=1000,
    )
    assert status == 200, answer
    return list(answer["data"])


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_refuted_verdicts_are_found_by_tag_and_nothing_else_is(server: Jaeger, protocol: str) -> None:
    url = f"{protocol}://127.0.0.1:{server.grpc if protocol == 'grpc' else server.http}"
    honest = session(f"honest-{protocol}", VERIFIED, UNVERIFIABLE)
    lying = session(f"lying-{protocol}", REFUTED, VERIFIED, REFUTED, UNVERIFIABLE)
    for start, verdicts in (honest, lying):
        assert OtlpExporter(url, environ={}).export(start, verdicts) == ExportResult(len(verdicts) + 1, 0, "")
        server.trace(trace_id(start), len(verdicts) + 1)
    found = [
        tags(span)
        for trace in search(server, effect_verified="false")
        for span in trace["spans"]
        if tags(span).get("effect.verified") is False
    ]
    ours = [item for item in found if item["effect.session"].endswith(protocol)]
    assert {item["effect.verdict"] for item in found} == {"refuted"}
    assert sorted(item["effect.verdict.id"] for item in ours) == [
        f"lying-{protocol}-0",
        f"lying-{protocol}-2",
    ]
    assert trace_id(honest[0]) not in {trace["traceID"] for trace in search(server, effect_verified="false")}
    assert trace_id(honest[0]) in {trace["traceID"] for trace in search(server, effect_verified="true")}


def test_a_span_has_what_is_documented_and_nothing_else(server: Jaeger) -> None:
    start, verdicts = session("documented", REFUTED)
    OtlpExporter(f"grpc://127.0.0.1:{server.grpc}", environ={}).export(start, verdicts)
    sent = server.trace(trace_id(start), 2)
    assert sorted(span["operationName"] for span in sent) == ["session claude", "verify Bash"]
    (verdict,) = (span for span in sent if span["operationName"] == "verify Bash")
    found = tags(verdict)
    assert set(found) - JAEGERS <= set(table())
    assert found["effect.reason"] == "failed"
    assert found["effect.declared"] == REFUTED.declared
    assert found["effect.observed"] == REFUTED.observed
    assert found["gen_ai.tool.call.id"] == "toolu_1"
    assert found["effect.coverage.file"] == "attached"
    assert found["effect.coverage.file.lost"] == 3
    assert found["error"] is True
    assert [tags(log).get("effect.evidence.fact") for log in verdict["logs"]] == [
        None,
        "exec /usr/bin/pytest",
        "exit 1",
    ]
    assert verdict["startTime"] == (BOOTED + BASE + 100 * MS) // 1000
    assert verdict["duration"] == 700 * MS // 1000
    references = {item["refType"]: item for item in verdict["references"]}
    (root,) = (span for span in sent if span["operationName"] == "session claude")
    assert references["CHILD_OF"]["spanID"] == root["spanID"]
    assert references["FOLLOWS_FROM"]["traceID"] == TRACEPARENT.split("-")[1]


def test_sending_again_changes_nothing(server: Jaeger) -> None:
    """Both are in order: once the marker that was sent last is there, so is all that came before it."""
    exporter = OtlpExporter(f"grpc://127.0.0.1:{server.grpc}", environ={})
    start, verdicts = session("twice", REFUTED, VERIFIED)
    exporter.export(start, verdicts)
    exporter.export(start, verdicts)
    marker, _ = session("marker")
    exporter.export(marker, ())
    server.trace(trace_id(marker), 1)
    sent = server.trace(trace_id(start), 3)
    assert len({span["spanID"] for span in sent}) == len(sent) == 3


def test_hostile_strings_arrive_as_escapes(server: Jaeger) -> None:
    start, verdicts = session(
        "hostile", msgspec.structs.replace(REFUTED, observed="\x1b]0;x\x07\u202e\ud800")
    )
    result = OtlpExporter(f"http://127.0.0.1:{server.http}", environ={}).export(start, verdicts)
    assert result.failed == 0
    (verdict,) = (span for span in server.trace(trace_id(start), 2) if span["references"])
    assert tags(verdict)["effect.observed"] == "\\x1b]0;x\\x07\\u202e\\ud800"


def test_the_version_here_is_the_one_that_is_built() -> None:
    module = (Path(__file__).parents[2] / "scripts/jaeger/go.mod").read_text("utf-8")
    assert f"jaegertracing/jaeger v{jaeger.VERSION}\n" in module
