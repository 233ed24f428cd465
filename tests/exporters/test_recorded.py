"""From events to a receiver: what the correlator says of a whole session is what a receiver gets."""

from __future__ import annotations

from collections import Counter
from io import StringIO
from pathlib import Path

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from console.live import LiveView
from polygraph.commands._record import Recorder
from polygraph.events import SessionStart
from polygraph.log.store import Store
from tests.console.sample import sample
from tests.exporters.receivers import Reply, closed_port, http_receiver


def record(root: Path, url: str) -> tuple[list[str], str]:
    """What the correlator says of a session with lies, and what was shown of its export."""
    events = sample().events
    start = next(event for event in events if isinstance(event, SessionStart))
    shown = StringIO()
    with Store(root) as store, Recorder(store, LiveView(shown), None) as recorder:
        recorder.take(events)
        recorder.export(start.session, url)
        return [verdict.verdict for verdict in store.verdicts(start.session)], shown.getvalue()


def word(span: Span) -> str:
    """The verdict of a span."""
    return next(item.value.string_value for item in span.attributes if item.key == "effect.verdict")


def test_a_receiver_gets_each_verdict_once(tmp_path: Path) -> None:
    with http_receiver(Reply()) as (port, seen):
        words, shown = record(tmp_path, f"http://127.0.0.1:{port}")
    (request,) = seen
    (resource,) = ExportTraceServiceRequest.FromString(request.body).resource_spans
    _, *spans = resource.scope_spans[0].spans
    assert Counter(words) == Counter(word(span) for span in spans)
    assert {"verified", "refuted", "unverifiable"} <= set(words)
    assert f"{len(words) + 1} spans sent" in shown
    assert "not sent" not in shown


def test_what_was_not_sent_is_shown_with_advice(tmp_path: Path) -> None:
    port = closed_port()
    words, shown = record(tmp_path, f"http://127.0.0.1:{port}")
    plain = " ".join(shown.split())
    assert f"{len(words) + 1} spans not sent to http://127.0.0.1:{port}: connection refused" in plain
    assert "4317" in plain
