"""A connection that began before its probes: what was missed is a gap that is told, and nothing is made up.

The kernel counts the bytes of a connection from the first call that it sees, so a connection joined late begins at
offset 0 like any other; what it holds must show that it is not the beginning.
"""

from __future__ import annotations

import pytest

from collector.http.events import Direction
from collector.llm.exchange import LlmEvent, RequestSeen, ResponseSeen, Unreadable
from tests.agents.wire import Wire, body
from tests.collector.llm.http import ANSWER, PATHS, answer, ask, of, question, read, stream, streamed_answer

#: bytes of one call of the TLS library
CALL = 24
APIS = list(PATHS)


def exchange(api: Wire, streamed: bool, chunk: int) -> list[tuple[Direction, bytes]]:
    """One call, in the writes and reads that it is made of."""
    request = ask(PATHS[api], question(api, streamed))
    if streamed:
        response = stream(streamed_answer(api), chunk=chunk or 37, api=api)
    else:
        response = answer(body(api, ANSWER, question(api), "1"), chunk=chunk)
    return [
        (direction, whole[at : at + CALL])
        for direction, whole in (("sent", request), ("received", response))
        for at in range(0, len(whole), CALL)
    ]  # type: ignore[return-value]


def joins(writes: list[tuple[Direction, bytes]]) -> list[int]:
    """Where one may join so that something of the call is left: empty lines may stand before any message."""
    return [at for at in range(1, len(writes)) if b"".join(data for _, data in writes[at:]).strip()]


def told(seen: list[LlmEvent]) -> bool:
    """Whether what was seen says that something was missed."""
    return bool(of(Unreadable, seen)) or any(not answered.complete for answered in of(ResponseSeen, seen))


@pytest.mark.parametrize("chunk", [0, 50])
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("api", APIS)
def test_joined_within_a_call_it_is_told_and_no_part_is_taken_for_a_call(
    api: Wire, streamed: bool, chunk: int
) -> None:
    one = exchange(api, streamed, chunk)
    for join in joins(one):
        seen = read(one[join:])
        assert told(seen), f"joined at call {join} of {len(one)}"
        assert not of(RequestSeen, seen)
        assert not any(answered.complete for answered in of(ResponseSeen, seen))


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("api", APIS)
def test_the_next_call_of_the_connection_is_told_as_it_is_or_not_at_all(api: Wire, streamed: bool) -> None:
    one = exchange(api, streamed, 0)
    (whole,) = of(ResponseSeen, read(one))
    for join in joins(one):
        seen = read(one[join:] + one)
        assert told(seen), f"joined at call {join} of {len(one)}"
        for answered in of(ResponseSeen, seen):
            assert not answered.complete or answered.response == whole.response


@pytest.mark.parametrize("api", APIS)
def test_joined_between_two_calls_nothing_is_missed(api: Wire) -> None:
    one = exchange(api, False, 0)
    assert [type(event) for event in read(one)] == [RequestSeen, ResponseSeen]
    assert not told(read(one))


def test_a_server_that_hangs_up_unasked_is_no_gap() -> None:
    assert not read([("received", answer(b"", 408))])
