"""The mapping of verdicts to spans: names, ids, times, and nothing hostile or confidential in them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from exporters.attributes import MAX_ITEMS, PLACES, table
from exporters.spans import MAX_EVIDENCE, MAX_SPAN_NAME
from polygraph.reasons import DIMENSIONS
from polygraph.verdicts import DimensionCoverage, Evidence, Subject, Window
from tests.exporters.sample import (
    BASE,
    BOOTED,
    GUESSED,
    MS,
    REFUTED,
    START,
    TRACEPARENT,
    UNVERIFIABLE,
    VERDICTS,
    VERIFIED,
    encoded,
    spans,
)

DOCS = Path(__file__).parents[2] / "docs" / "otlp.md"
ROW = re.compile(r"^\| `([a-z_.0-9]+)` \| ([^|]+) \| ([^|]+) \| ([^|]+) \| [^|]+ \|$", re.MULTILINE)
TYPES = {str: "string", int: "int", bool: "bool", tuple: "string[]"}
UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff\uef80-\uefff]"
)
HOSTILE = st.text(st.characters(exclude_categories=()), max_size=40) | st.sampled_from(
    ["\x1b]0;x\x07", "\x00", "a" * 5000, "\u202e" * 600, "\ud800", "\uefff", "=,;\n\r"]
)


def value(any_value: AnyValue) -> Any:
    kind = any_value.WhichOneof("value")
    assert kind is not None
    if kind == "array_value":
        return tuple(value(item) for item in any_value.array_value.values)
    return getattr(any_value, kind)


def attributes(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    pairs = list(pairs)
    found = {pair.key: value(pair.value) for pair in pairs}
    assert len(found) == len(pairs), "an attribute is there twice"
    return found


def everywhere(*verdicts: Any, start: Any = START) -> list[tuple[str, dict[str, Any]]]:
    """(place, attributes) of all that is sent."""
    request = encoded(start, *verdicts)
    (resource,) = request.resource_spans
    found = [("resource", attributes(resource.resource.attributes))]
    (scope,) = resource.scope_spans
    for span in scope.spans:
        found.append(("verdict span" if span.parent_span_id else "session span", attributes(span.attributes)))
        found += [(event.name, attributes(event.attributes)) for event in span.events]
        found += [("link", attributes(link.attributes)) for link in span.links]
    return found


def verdict_span(verdict: Any, start: Any = START) -> Span:
    return spans(start, verdict)[1]


def test_every_attribute_sent_is_in_the_table_at_its_place_and_of_its_type() -> None:
    for place, sent in everywhere(*VERDICTS):
        for name, item in sent.items():
            assert place in table()[name].places
            assert type(item) is table()[name].type


def test_every_row_of_the_table_is_sent() -> None:
    sent = {(place, name) for place, found in everywhere(*VERDICTS, GUESSED) for name in found}
    assert sent == {(place, row.name) for row in table().values() for place in row.places}
    assert {place for place, _ in sent} == set(PLACES)


def test_the_documentation_has_exactly_the_rows_of_the_table() -> None:
    documented = ROW.findall(DOCS.read_text("utf-8"))
    expected = [
        (row.name, ", ".join(row.places), TYPES[row.type], str(row.limit or "-")) for row in table().values()
    ]
    assert sorted(documented) == sorted(expected)


def test_effect_verified_is_absent_when_unverifiable() -> None:
    found = [attributes(span.attributes) for span in spans(START, *VERDICTS)[1:]]
    assert [item.get("effect.verified") for item in found] == [False, True, None]
    assert [item["effect.verdict"] for item in found] == ["refuted", "verified", "unverifiable"]


def test_only_a_refuted_verdict_is_an_error_and_says_why() -> None:
    session, *rest = spans(START, *VERDICTS)
    assert [span.status.code for span in (session, *rest)] == [
        Status.STATUS_CODE_UNSET,
        Status.STATUS_CODE_ERROR,
        Status.STATUS_CODE_UNSET,
        Status.STATUS_CODE_UNSET,
    ]
    assert rest[0].status.message == "failed: pytest ran and exited with 1"


def test_a_guess_is_no_error_and_in_no_count() -> None:
    session, span = spans(START, GUESSED)
    sent = attributes(session.attributes)
    assert [sent[f"effect.session.{word}"] for word in ("verified", "refuted", "unverifiable")] == [0, 0, 0]
    assert span.status.code == Status.STATUS_CODE_UNSET
    sent = attributes(span.attributes)
    assert (sent["effect.verdict"], sent["effect.assumed.verdict"]) == ("unverifiable", "refuted")
    assert "effect.verified" not in sent


def test_verdicts_stand_below_the_span_of_their_session() -> None:
    session, *rest = spans(START, *VERDICTS)
    assert session.name == "session claude"
    assert not session.parent_span_id
    assert [span.name for span in rest] == ["verify Bash", "verify Write", "verify Bash"]
    for span in rest:
        assert span.trace_id == session.trace_id
        assert span.parent_span_id == session.span_id
    assert len({span.span_id for span in (session, *rest)}) == 4


def test_times_are_those_of_the_window_in_unix_time() -> None:
    session, refuted, still_open, _ = spans(START, *VERDICTS)
    unix = BOOTED + BASE
    assert (refuted.start_time_unix_nano, refuted.end_time_unix_nano) == (unix + 100 * MS, unix + 800 * MS)
    assert (still_open.start_time_unix_nano, still_open.end_time_unix_nano) == (
        unix + 200 * MS,
        unix + 900 * MS,
    )
    assert (session.start_time_unix_nano, session.end_time_unix_nano) == (unix, unix + 900 * MS)
    assert [event.time_unix_nano - unix for event in refuted.events] == [900 * MS, 500 * MS, 700 * MS]
    assert attributes(still_open.attributes)["effect.window.closed"] is False


def test_ids_depend_on_session_and_verdict_only() -> None:
    again = msgspec.structs.replace(REFUTED, observed="something else", ts=REFUTED.ts + 1)
    other = msgspec.structs.replace(START, session="fedcba9876543210")
    first, second, third = verdict_span(REFUTED), verdict_span(again), verdict_span(REFUTED, other)
    assert (first.trace_id, first.span_id) == (second.trace_id, second.span_id)
    assert first.trace_id != third.trace_id
    assert first.span_id != third.span_id


def test_the_same_verdicts_give_the_same_bytes() -> None:
    assert encoded(START, *VERDICTS).SerializeToString() == encoded(START, *VERDICTS).SerializeToString()


def test_the_environment_adds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """OTEL_RESOURCE_ATTRIBUTES could put any name and any secret into every span."""
    before = encoded(START, *VERDICTS)
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.name=agent,secret=1")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "agent")
    assert encoded(START, *VERDICTS) == before


def test_the_span_of_the_agent_is_linked_and_never_a_parent() -> None:
    span = verdict_span(REFUTED)
    (link,) = span.links
    _, trace, parent, _ = TRACEPARENT.split("-")
    assert (link.trace_id.hex(), link.span_id.hex()) == (trace, parent)
    assert span.trace_id != link.trace_id


@pytest.mark.parametrize(
    "traceparent",
    [
        None,
        "",
        "00-" + "0" * 32 + "-00f067aa0ba902b7-01",
        "ff" + TRACEPARENT[2:],
        "x" * 10_000,
        TRACEPARENT + "\n-",
    ],
)
def test_an_invalid_trace_context_gives_no_link(traceparent: str | None) -> None:
    assert not verdict_span(msgspec.structs.replace(REFUTED, traceparent=traceparent)).links


@pytest.mark.parametrize(("content", "there"), [("off", 0), ("metadata", 0), ("redacted", 1), ("full", 1)])
def test_words_are_sent_only_at_the_levels_that_allow_them(content: str, there: int) -> None:
    start = msgspec.structs.replace(START, content=content)
    sent = encoded(start, *VERDICTS).SerializeToString()
    assert sent.count(b"All tests pass.") == 2 * there


def test_arguments_of_the_root_process_are_not_sent() -> None:
    """``claude -p "..."`` has the user's words in them."""
    assert b"words of the user" not in encoded(START, *VERDICTS).SerializeToString()


def test_evidence_is_bounded_and_its_number_is_told() -> None:
    facts = tuple(Evidence(id=f"s/{number}", ts=BASE, fact="f") for number in range(1000))
    span = verdict_span(msgspec.structs.replace(REFUTED, evidence=facts))
    assert [event.name for event in span.events].count("effect.evidence") == MAX_EVIDENCE
    assert attributes(span.attributes)["effect.evidence.count"] == 1000


def test_lists_are_bounded() -> None:
    coverage = {"file": DimensionCoverage(state="attached", blind=tuple(map(str, range(100))))}
    span = verdict_span(msgspec.structs.replace(REFUTED, coverage=coverage))
    assert len(attributes(span.attributes)["effect.coverage.file.blind"]) == MAX_ITEMS


def test_a_session_without_verdicts_is_sent() -> None:
    (session,) = spans(START)
    assert session.start_time_unix_nano == session.end_time_unix_nano == BOOTED + BASE


@given(HOSTILE, st.integers(-(2**80), 2**80), st.integers(-(2**80), 2**80))
def test_hostile_strings_and_numbers_stay_harmless(text: str, number: int, other: int) -> None:
    """Anything an observed process chose: no control character, bounded size, and OTLP can carry it."""
    start = msgspec.structs.replace(
        START, argv=(text,), cwd=text, host=text, process=text, wall_offset=other, session=text
    )
    verdict = msgspec.structs.replace(
        REFUTED,
        id=text,
        session=text,
        ts=number,
        subject=Subject(kind="intent", id=text, tool=text, call_id=text, topic=text, text=text, digest=text),
        declared=text,
        observed=text,
        evidence=(Evidence(id=text, ts=number, fact=text),) * 40,
        coverage={
            name: DimensionCoverage(state="attached", lost=number, blind=(text,) * 40) for name in DIMENSIONS
        }
        | {text: DimensionCoverage(state="failed")},
        window=Window(open=other, close=number),
        traceparent=text,
    )
    request = encoded(start, verdict, UNVERIFIABLE, VERIFIED)
    assert request.ByteSize() < 100_000
    for place, sent in everywhere(verdict, start=start):
        for name, item in sent.items():
            row = table()[name]
            assert place in row.places
            for piece in item if isinstance(item, tuple) else (item,):
                if isinstance(piece, str):
                    assert len(piece) <= row.limit
                    assert not UNSAFE.search(piece)
    for span in spans(start, verdict):
        assert len(span.name) <= MAX_SPAN_NAME
        assert not UNSAFE.search(span.name + span.status.message)
        assert span.start_time_unix_nano <= span.end_time_unix_nano
