"""What real SDKs send and read (record_sdks.py): calls and results are told, each once and nothing else."""

from __future__ import annotations

import json

import pytest

from polygraph.events import Claim, Intent, LlmCall, StreamGap, ToolResult
from tests.collector.llm.http import Json, answer, ask
from tests.collector.llm.record_sdks import DATA, LAST, OUTPUTS, SDKS, reply
from tests.collector.said import Talk

RECORDED: list[Json] = json.loads(DATA.read_text())


def test_every_sdk_is_recorded_whole_and_streamed() -> None:
    assert {(one["sdk"], one["streamed"]) for one in RECORDED} == {
        (sdk, s) for sdk in SDKS for s in (False, True)
    }
    assert all(len(one["requests"]) == 2 for one in RECORDED)


@pytest.mark.parametrize(
    "one", RECORDED, ids=lambda one: f"{one['sdk']}-{'streamed' if one['streamed'] else 'whole'}"
)
def test_what_an_sdk_says_is_told_once_and_results_find_their_calls(one: Json) -> None:
    talk = Talk(content="full")
    for number, request in enumerate(one["requests"]):
        kind, content = reply(request["path"], request["body"], number, one["sdk"])
        talk.bytes("sent", ask(request["path"], request["body"]))
        talk.bytes("received", answer(content, kind=kind, chunk=37))
    log = talk.log()
    calls = [event for event in log if isinstance(event, LlmCall)]
    assert [(call.complete, call.streamed, bool(call.model)) for call in calls] == [
        (True, one["streamed"], True)
    ] * 2
    intents = [event for event in log if isinstance(event, Intent)]
    results = [event for event in log if isinstance(event, ToolResult)]
    assert [result.intent for result in results] == [intent.intent for intent in intents]
    assert [(intent.tool, result.text) for intent, result in zip(intents, results, strict=True)] == [
        ("bash", text) for text in OUTPUTS
    ]
    said = [event.text for event in log if isinstance(event, Claim) and event.source == "model"]
    assert said == [LAST.text]
    assert not [event for event in log if isinstance(event, StreamGap)]
