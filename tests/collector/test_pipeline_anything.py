"""collector/pipeline.py, whatever comes in: any text, any bytes in any order give a log that encodes."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from collector.http.events import Direction
from collector.tls.streams import ConnectionKey
from polygraph.content import ContentLevel
from polygraph.events import (
    AnyEvent,
    Api,
    Intent,
    LlmCall,
    StreamGap,
    ToolResult,
)
from tests.agents.script import Answer, ToolCall
from tests.collector.llm.http import PATHS, answer, ask, question
from tests.collector.said import ROOT, Talk, encoded
from tests.collector.test_pipeline import APIS, LEVELS, of

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
