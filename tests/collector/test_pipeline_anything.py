"""collector/pipeline.py, whatever comes in: any text, any bytes in any order give a log that encodes."""

from __future__ import annotations

from itertools import repeat

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.http.events import Direction
from collector.tls.streams import ConnectionKey
from polygraph.content import ContentLevel
from polygraph.events import (
    AnyEvent,
    Api,
    BlindSpot,
    Claim,
    Intent,
    LlmCall,
    StreamGap,
    ToolResult,
)
from tests.agents.script import Answer, ToolCall
from tests.collector.llm.http import PATHS, answer, ask, question
from tests.collector.said import ROOT, Talk, encoded
from tests.collector.test_pipeline import APIS, LEVELS, of
from tests.collector.transports import TRANSPORTS, log_of, pieces

_WORDS = st.sampled_from(
    [
        "3 passed in 0.1s",
        "All tests passed.",
        "I created a.py",
        "rm -rf /",
        "a\0b",
        "\x1b[31m",
        "",
        "<<<<<<< SEARCH",
        "é🦊",
    ]
)
_TEXT = st.text(max_size=30) | _WORDS | st.lists(_WORDS, max_size=4).map("\n".join)
_VALUES = st.recursive(
    _TEXT | st.integers() | st.booleans() | st.none(), lambda v: st.lists(v, max_size=3), max_leaves=5
)
_KEYS = st.sampled_from(
    ["command", "cmd", "path", "file_path", "content", "old_string", "new_string", "url", "input", "edits"]
)
_NAMES = (
    st.sampled_from(
        ["bash", "write_file", "edit", "apply_patch", "WebFetch", "read_file", "delete", "x" * 500, ""]
    )
    | _TEXT
)
_CALLS = st.builds(ToolCall, _NAMES | _TEXT, st.dictionaries(_KEYS | _TEXT, _VALUES, max_size=4))


@given(
    st.sampled_from(APIS),
    st.sampled_from(LEVELS),
    st.lists(st.tuples(_TEXT, st.lists(_CALLS, max_size=2), _TEXT), max_size=4),
)
def test_whatever_is_said_it_becomes_a_log_that_encodes(
    api: Api, level: ContentLevel, turns: list[tuple[str, list[ToolCall], str]]
) -> None:
    talk = Talk(level, api)
    for text, calls, result in turns:
        talk.results([(ident, result) for ident in talk.says(Answer(text=text, calls=tuple(calls)))])
    events = talk.log()
    assert (
        msgspec.json.decode(b"[" + encoded(events).replace(b"\n", b",") + b"]", type=list[AnyEvent]) == events
    )
    calls_made = {intent.intent for intent in of(Intent, events)}
    assert {result.intent for result in of(ToolResult, events)} <= calls_made
    assert of(StreamGap, events) == []


_PIECES = st.binary(max_size=60) | st.sampled_from(
    [
        ask(PATHS["openai.chat"], question("openai.chat")),
        answer({"id": "x", "choices": [{"index": 0, "message": {"content": "All tests passed."}}]}),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n\r\n5\r\nabcde\r\n",
        b"\r\n\r\n",
    ]
)
_STEPS = st.tuples(
    st.sampled_from(("sent", "received", "closed")),
    _PIECES,
    st.sampled_from([0, 0, 0, 7, 1 << 40]),
    st.integers(0, 2),
)


@given(st.lists(_STEPS, max_size=14))
def test_any_bytes_in_any_order_never_raise(steps: list[tuple[str, bytes, int, int]]) -> None:
    talk = Talk()
    for way, data, missing, number in steps:
        key = ConnectionKey(ROOT, number, 1)
        if way == "closed":
            talk.pipeline.closed(key, talk.ts)
        else:
            direction: Direction = "sent" if way == "sent" else "received"
            talk.bytes(direction, data, key, missing)
    events = talk.log()
    assert msgspec.json.decode(encoded(events).split(b"\n")[-1], type=AnyEvent) == events[-1]
    assert len({call.call for call in of(LlmCall, events)}) == len(of(LlmCall, events))


# --- the same over every transport, whole, in pieces, and damaged ----------------------------------------------

#: what depends on the transport and its cuts: times, and ids that are made of a call's place
_PLACES = frozenset({"ts", "seq", "call", "intent", "claim", "request_ts"})


def _heard(events: list[AnyEvent]) -> list[dict[str, object]]:
    """What an agent and its model said, apart from where and when."""
    return [
        {name: getattr(event, name) for name in event.__struct_fields__ if name not in _PLACES}
        for event in events
        if isinstance(event, Intent | ToolResult | Claim)
    ]


_HEARD = _heard(log_of(TRANSPORTS["http/1.1"]))


def test_the_conversation_has_a_call_its_result_and_claims_of_both() -> None:
    kinds = [
        type(event) for event in log_of(TRANSPORTS["http/1.1"]) if isinstance(event, Intent | ToolResult)
    ]
    assert kinds == [Intent, ToolResult]
    assert sorted(str(said.get("source")) for said in _HEARD if "source" in said) == [
        "model", "model", "tool_result",
    ]  # fmt: skip


def _same(events: list[AnyEvent]) -> None:
    assert _heard(events) == _HEARD
    made = of(LlmCall, events)
    assert [(call.complete, call.fate, call.attempt, call.finish) for call in made] == [
        (True, "answered", 1, "completed")
    ] * 2
    assert of(StreamGap, events) == of(BlindSpot, events) == []


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_conversation_is_the_same_over_every_transport_byte_by_byte_too(
    transport: str, plain: bool
) -> None:
    writes = TRANSPORTS[transport]
    for cuts in (writes, pieces(writes, repeat(1))):
        _same(log_of(cuts, plain=plain))


@given(st.sampled_from(list(TRANSPORTS)), st.booleans(), st.lists(st.integers(1, 3000), max_size=20))
def test_a_conversation_is_the_same_in_any_pieces(transport: str, plain: bool, sizes: list[int]) -> None:
    _same(log_of(pieces(TRANSPORTS[transport], sizes), plain=plain))


_DAMAGE = st.lists(
    st.tuples(
        st.floats(0, 1, exclude_max=True),
        st.sampled_from(["put", "take", "change", "again"]),
        st.binary(min_size=1, max_size=12) | st.just(b"\xff\xff\xff\xff"),
    ),
    min_size=1,
    max_size=5,
)


@given(st.sampled_from(list(TRANSPORTS)), st.booleans(), _DAMAGE, st.lists(st.integers(1, 3000), max_size=20))
def test_damaged_traffic_of_any_transport_never_raises(
    transport: str, plain: bool, damage: list[tuple[float, str, bytes]], sizes: list[int]
) -> None:
    writes = list(TRANSPORTS[transport])
    for place, kind, data in damage:
        number = int(place * len(writes))
        way, whole = writes[number]
        at = int((place * len(writes) - number) * len(whole))
        kept, put = {
            "put": (at, data),
            "take": (at + len(data), b""),
            "change": (at + len(data), data),
            "again": (at, whole[max(0, at - 40) : at]),
        }[kind]
        writes[number] = (way, whole[:at] + put + whole[kept:])
    events = log_of(pieces(writes, sizes), plain=plain)
    assert (
        msgspec.json.decode(b"[" + encoded(events).replace(b"\n", b",") + b"]", type=list[AnyEvent]) == events
    )
    tries = [(call.call, call.attempt) for call in of(LlmCall, events)]
    assert len(tries) == len(set(tries))
    assert {intent.call for intent in of(Intent, events)} <= {call for call, _ in tries}
