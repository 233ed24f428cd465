"""Verdicts as spans: pure, so that the same verdicts always give the same spans under the same ids.

One trace per session, of polygraph's own: a span for the session, below it one for each verdict over the
verdict's window. The agent's own span, where its trace context was seen, is linked and never a parent: that
id is the agent's word, and a backend may drop a span whose parent it never gets.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

import polygraph
from exporters import attributes as names
from exporters.attributes import Attribute, Value
from polygraph.events import SessionStart
from polygraph.reasons import DIMENSIONS
from polygraph.verdicts import Assumed, Evidence, Verdict

#: evidence that becomes span events; ``effect.evidence.count`` says how much there is
MAX_EVIDENCE = 16
#: characters of a span's name
MAX_SPAN_NAME = 100
#: content levels at which words of the conversation may leave the collector (design rule 7)
_WITH_TEXT = frozenset({"redacted", "full"})
_LABELS = {"verified": "pass", "refuted": "fail", "unverifiable": "unverifiable"}
_MAX_INT = 2**63 - 1
_SCOPE = InstrumentationScope("polygraph", polygraph.__version__)
_PROPAGATOR = TraceContextTextMapPropagator()


def session_spans(start: SessionStart, verdicts: Sequence[Verdict]) -> Iterator[ReadableSpan]:
    """The span of the session, then that of each verdict."""
    resource = _resource(start)
    root = _context(start.session, start.session)
    yield _session_span(start, verdicts, root, resource)
    for verdict in verdicts:
        yield _verdict_span(start, verdict, root, resource)


def _session_span(
    start: SessionStart, verdicts: Sequence[Verdict], root: SpanContext, resource: Resource
) -> ReadableSpan:
    program = start.argv[0].rpartition("/")[2] if start.argv else ""
    words = [verdict.verdict for verdict in verdicts if not verdict.guessed]
    ends = [start.ts]
    for verdict in verdicts:
        ends += (verdict.ts, verdict.window.close or 0)
    return ReadableSpan(
        name=names.clean(f"session {program}", MAX_SPAN_NAME),
        context=root,
        resource=resource,
        instrumentation_scope=_SCOPE,
        attributes=_attributes(
            (names.SESSION, start.session),
            (names.ORIGIN, start.origin),
            (names.BOOT, start.boot),
            (names.KERNEL, start.kernel),
            (names.CONTENT, start.content),
            (names.VERIFIED_COUNT, words.count("verified")),
            (names.REFUTED_COUNT, words.count("refuted")),
            (names.UNVERIFIABLE_COUNT, words.count("unverifiable")),
            (names.PROCESS_PID, _pid(start)),
            (names.PROCESS_NAME, program or None),
            (names.PROCESS_CWD, start.cwd),
        ),
        start_time=_unix(start, start.ts),
        end_time=_unix(start, max(ends)),
    )


def _verdict_span(
    start: SessionStart, verdict: Verdict, root: SpanContext, resource: Resource
) -> ReadableSpan:
    subject = verdict.subject
    opened = _unix(start, verdict.window.open)
    closed = _unix(start, verdict.ts if verdict.window.close is None else verdict.window.close)
    return ReadableSpan(
        name=names.clean(f"verify {subject.tool or subject.topic or subject.kind}", MAX_SPAN_NAME),
        context=_context(start.session, verdict.id),
        parent=root,
        resource=resource,
        instrumentation_scope=_SCOPE,
        kind=SpanKind.INTERNAL,
        attributes=_attributes(*_of_verdict(start, verdict), *_of_coverage(verdict)),
        events=_events(start, verdict),
        links=_links(verdict.traceparent),
        status=_status(verdict),
        start_time=opened,
        end_time=max(opened, closed),
    )


def _of_verdict(start: SessionStart, verdict: Verdict) -> Iterator[tuple[Attribute, Value | None]]:
    subject = verdict.subject
    yield names.SESSION, verdict.session
    yield names.VERDICT_ID, verdict.id
    yield names.VERDICT, verdict.verdict
    yield names.VERIFIED, None if verdict.verdict == "unverifiable" else verdict.verdict == "verified"
    yield names.REASON, verdict.reason
    if isinstance(verdict.assumed, Assumed):
        yield names.ASSUMED_VERDICT, verdict.assumed.verdict
        yield names.ASSUMED_REASON, verdict.assumed.reason
    yield names.GRADE, verdict.grade
    yield names.DECLARED, verdict.declared
    yield names.OBSERVED, verdict.observed
    yield names.RULE, verdict.rule
    yield names.RULE_VERSION, verdict.version
    yield names.WINDOW_CLOSED, verdict.window.close is not None
    yield names.EVIDENCE_COUNT, len(verdict.evidence)
    yield names.SUBJECT_KIND, subject.kind
    yield names.SUBJECT_ID, subject.id
    yield names.SUBJECT_CALL, subject.call
    yield names.SUBJECT_DIGEST, subject.digest
    yield names.SUBJECT_TEXT, subject.text if start.content in _WITH_TEXT else None
    yield names.CLAIM_SOURCE, subject.source
    yield names.CLAIM_KIND, subject.claim_kind
    yield names.CLAIM_TOPIC, subject.topic
    yield names.TOOL_NAME, subject.tool
    yield names.TOOL_CALL_ID, subject.call_id


def _of_coverage(verdict: Verdict) -> Iterator[tuple[Attribute, Value | None]]:
    for dimension in DIMENSIONS:
        coverage = verdict.coverage.get(dimension)
        if coverage is not None:
            yield names.COVERAGE_STATE[dimension], coverage.state
            yield names.COVERAGE_CANARY[dimension], coverage.canary
            yield names.COVERAGE_LOST[dimension], coverage.lost
            yield names.COVERAGE_BLIND[dimension], coverage.blind or None


def _events(start: SessionStart, verdict: Verdict) -> list[Event]:
    return [
        _evaluation(start, verdict),
        *(_evidence(start, item) for item in verdict.evidence[:MAX_EVIDENCE]),
    ]


def _evaluation(start: SessionStart, verdict: Verdict) -> Event:
    said = (
        (names.EVALUATION_NAME, "effect_verified"),
        (names.EVALUATION_LABEL, _LABELS[verdict.verdict]),
        (names.EVALUATION_EXPLANATION, verdict.observed),
    )
    return Event("gen_ai.evaluation.result", _attributes(*said), _unix(start, verdict.ts))


def _evidence(start: SessionStart, evidence: Evidence) -> Event:
    said = ((names.EVIDENCE_ID, evidence.id), (names.EVIDENCE_FACT, evidence.fact))
    return Event("effect.evidence", _attributes(*said), _unix(start, evidence.ts))


def _status(verdict: Verdict) -> Status:
    if verdict.verdict != "refuted":
        return Status(StatusCode.UNSET)
    return Status(StatusCode.ERROR, names.clean(f"{verdict.reason}: {verdict.observed}", names.LINE))


def _links(traceparent: str | None) -> tuple[Link, ...]:
    """The agent's span, if ``traceparent`` is a valid W3C trace context; it is untrusted."""
    if traceparent is None:
        return ()
    carrier = {"traceparent": traceparent[: names.NAME]}
    context = get_current_span(_PROPAGATOR.extract(carrier)).get_span_context()
    if not context.is_valid:
        return ()
    return (Link(context, _attributes((names.LINK_TYPE, "agent"))),)


def _resource(start: SessionStart) -> Resource:
    # Resource.create would mix in OTEL_RESOURCE_ATTRIBUTES, which are the agent's as much as ours
    return Resource(
        _attributes(
            (names.SERVICE_NAME, "polygraph"),
            (names.SERVICE_VERSION, polygraph.__version__),
            (names.HOST_ID, start.host),
            (names.OS_TYPE, "linux"),
        )
    )


def _pid(start: SessionStart) -> int | None:
    pid = start.process.partition(":")[0][:20]
    return int(pid) if pid.isascii() and pid.isdigit() else None


def _attributes(*pairs: tuple[Attribute, Value | None]) -> Mapping[str, Value]:
    return {attribute.name: attribute.of(value) for attribute, value in pairs if value is not None}


def _context(session: str, subject: str) -> SpanContext:
    return SpanContext(
        trace_id=_number(16, "trace", session),
        span_id=_number(8, "span", session, subject),
        is_remote=False,
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
    )


def _number(size: int, *parts: str) -> int:
    """A number of ``size`` bytes that depends on ``parts`` only; never 0, which OTLP forbids as an id."""
    digest = hashlib.blake2b(digest_size=size, person=b"polygraph-otlp")
    for part in parts:
        raw = part.encode("utf-8", "surrogatepass")
        digest.update(len(raw).to_bytes(8, "big") + raw)
    return int.from_bytes(digest.digest(), "big") or 1


def _unix(start: SessionStart, ts: int) -> int:
    """Unix time in ns of boot time ``ts``, inside what backends take as a signed 64-bit number."""
    return min(max(ts + start.wall_offset, 0), _MAX_INT)
