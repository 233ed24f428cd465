"""Several tries of one call of a model are one call, whose fate is the last one's."""

from __future__ import annotations

import pytest

from correlator import windows
from correlator.session import Session
from polygraph import events as e
from tests.correlator.scenario import STEP, Scenario


def tried(s: Scenario, attempt: int, fate: str, asked: int) -> e.LlmCall:
    return s.add(
        e.LlmCall,
        call="c1",
        process=s.agent,
        api="openai.chat",
        host="api.test",
        request_ts=asked,
        fate=fate,
        attempt=attempt,
    )


@pytest.mark.parametrize("order", [(1, 2, 3), (2, 3, 1)])
def test_the_last_try_stands_for_the_call_however_late_an_earlier_one_is_told(order: tuple[int, ...]) -> None:
    s = Scenario()
    for attempt in order:
        tried(s, attempt, "answered" if attempt == 3 else "refused", s.now)
    session = Session("s1")
    for event in s.log:
        session.add(event)
    assert [(call.attempt, call.fate) for call in session.calls.values()] == [(3, "answered")]


@pytest.mark.parametrize("number", [0, 1])
def test_the_window_of_a_tool_call_begins_with_the_try_that_brought_it(number: int) -> None:
    s = Scenario()
    asked = []
    for attempt, fate in ((1, "interrupted"), (2, "answered")):
        asked.append(s.now + STEP)
        s.now += 3 * STEP
        call = tried(s, attempt, fate, asked[-1])
        s.add(
            e.Intent,
            ts=call.ts,
            intent=f"i{attempt}",
            call="c1",
            process=s.agent,
            call_id=f"t{attempt}",
            tool="bash",
            kind="shell",
            digest="d",
        )
    session = Session("s1")
    for event in s.log:
        session.add(event)
    span = windows.of_intent(session, session.intents[f"i{number + 1}"], s.now)
    assert (span.early, span.open) == (asked[number], session.intents[f"i{number + 1}"].intent.ts)
