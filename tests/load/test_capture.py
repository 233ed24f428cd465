"""Under load: a thousand streamed calls over fifty connections at once, each tool call and result byte for byte."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from polygraph.events import Intent, LlmCall, StreamGap, ToolResult
from polygraph.ids import keyed_digest
from tests.live.conftest import KEY, Observe
from tests.load import conversation

CONNECTIONS, CALLS = 50, 20


@pytest.mark.timeout(600)
def test_a_thousand_streamed_calls_over_fifty_connections(observe: Observe, tmp_path: Path) -> None:
    many = (str(CONNECTIONS), str(CALLS), str(tmp_path / "note"))
    with conversation.served(tmp_path) as model:
        seen = observe([*conversation.PROGRAM, "call", *model, *many], cwd=conversation.ROOT)
    assert seen.status == 0
    assert not seen.lost and not seen.of(StreamGap)
    calls = seen.of(LlmCall)
    assert len(calls) == len({call.call for call in calls}) == CONNECTIONS * CALLS
    assert all(call.complete and call.streamed and call.status == 200 for call in calls)
    said = [(connection, call) for connection in range(CONNECTIONS) for call in range(CALLS - 1)]
    intents = Counter((intent.call_id, intent.digest) for intent in seen.of(Intent))
    assert intents == Counter(
        (conversation.call_id(*which), keyed_digest(KEY, conversation.arguments(*which).encode()))
        for which in said
    )
    results = Counter((result.call_id, result.digest) for result in seen.of(ToolResult))
    assert results == Counter(
        (conversation.call_id(*which), keyed_digest(KEY, conversation.result(*which).encode()))
        for which in said
    )
