"""Any JSON value in any place of any API's request, answer or stream: nothing raises, and no call is made up."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.llm.exchange import ResponseSeen
from tests.agents.frames import Event, Frame, Line, Message
from tests.agents.wire import Wire, body, events
from tests.collector.llm.http import ANSWER, CALLS, PATHS, Json, answer, ask, of, question, read, stream
from tests.collector.said import HISTORY, repeated, results

Place = tuple[str | int, ...]
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | st.just("\ud83e"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


def places(value: Any, at: Place = ()) -> Iterator[Place]:
    """Every place in a JSON value."""
    yield at
    for key, inner in (
        value.items() if isinstance(value, dict) else enumerate(value if isinstance(value, list) else ())
    ):
        yield from places(inner, (*at, key))


def put(whole: Any, at: Place, value: object) -> Any:
    """``whole`` with ``value`` in a place."""
    if not at:
        return value
    whole = copy.deepcopy(whole)
    inside = whole
    for key in at[:-1]:
        inside = inside[key]
    inside[at[-1]] = value
    return whole


def conversation(api: Wire) -> Json:
    """A request that carries calls and their results."""
    asked = question(api, True)
    field = HISTORY.get(api, "messages")
    first = asked[field] if isinstance(asked[field], list) else []
    said = repeated(api, body(api, ANSWER, asked, "0"))
    return asked | {field: [*first, *said, *results(api, [("call_0_0", "x"), ("call_0_1", "y")])]}


def framed(event: Frame, data: str) -> Frame:
    """The event with other data."""
    assert isinstance(event, Event | Line | Message)
    return event._replace(data=data)


@pytest.mark.parametrize("api", PATHS)
@given(st.data())
def test_any_value_in_any_place_never_raises(api: Wire, data: st.DataObject) -> None:
    asked = conversation(api)
    whole = body(api, ANSWER, asked, "1")
    changed = put(asked, data.draw(st.sampled_from(list(places(asked)))), data.draw(ANY))
    other = put(whole, data.draw(st.sampled_from(list(places(whole)))), data.draw(ANY))
    read(
        [
            ("sent", ask(PATHS[api], json.dumps(changed).encode())),
            ("received", answer(json.dumps(other).encode())),
        ]
    )


@pytest.mark.parametrize("api", PATHS)
@given(st.data())
def test_any_value_in_any_place_of_a_stream_never_raises_and_makes_no_more_calls(
    api: Wire, data: st.DataObject
) -> None:
    made = [event for event in events(api, ANSWER, question(api, True), "1") if event_json(event) is not None]
    at = data.draw(st.integers(0, len(made) - 1))
    value = event_json(made[at])
    value = put(value, data.draw(st.sampled_from(list(places(value)))), data.draw(ANY))
    made[at] = framed(made[at], json.dumps(value))
    raw = stream(b"".join(event.encode() for event in made), api=api)
    (answered,) = of(ResponseSeen, read([("sent", ask(PATHS[api], question(api, True))), ("received", raw)]))
    if answered.response is not None:
        assert len(answered.response.tool_calls) <= len(CALLS) + 1
        answered.response.text.encode()


def event_json(event: Frame) -> Any:
    """The data of an event, None for an end mark that is none."""
    assert isinstance(event, Event | Line | Message)
    return json.loads(event.data) if event.data != "[DONE]" else None
