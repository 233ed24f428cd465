"""What the live tests of transports share: a model's command, and that it was seen, carried out and verified."""

from __future__ import annotations

import sys
from pathlib import Path

from correlator.engine import Engine
from polygraph.events import BlindSpot, Intent, StreamGap, ToolResult
from tests.agents.script import Answer, ToolCall
from tests.live.conftest import Observe, Seen

#: what the model tells the agent to run, and says so
COMMAND = "echo from the model > made.txt && test -s made.txt"
TOLD = Answer(calls=(ToolCall("shell", {"command": COMMAND}),))


def carried_out(
    observe: Observe, agent: str, url: str, authority: Path, folder: Path
) -> tuple[Seen, Intent, ToolResult]:
    """Runs ``python -c agent URL AUTHORITY`` in ``folder``: what was seen, the one intent and the one result in it.

    Fails unless the agent did as it was told, everything was read, and the intent is verified.
    """
    seen = observe([sys.executable, "-c", agent, url, str(authority)], cwd=folder)
    assert seen.status == 0 and (folder / "made.txt").read_text() == "from the model\n"
    assert not seen.lost and seen.of(StreamGap) == []
    assert [spot.name for spot in seen.of(BlindSpot) if spot.dimension == "tls"] == []
    (intent,), (result,) = seen.of(Intent), seen.of(ToolResult)
    engine = Engine()
    verdicts = [verdict for event in seen.events for verdict in engine.feed(event).verdicts]
    assert [v.verdict for v in verdicts if v.subject.kind == "intent"] == ["verified"]
    return seen, intent, result
