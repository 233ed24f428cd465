"""What comes of events in embedded mode: findings are stored and shown as verdicts are."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

from console.live import LiveView
from polygraph.commands._record import Recorder
from polygraph.events import SessionEnd
from polygraph.log.store import Store
from tests.correlator.detectors.talk import Talk, failing
from tests.correlator.scenario import STEP, Scenario

SESSION = "0123456789abcdef"


def test_a_finding_is_stored_and_shown_and_its_last_word_counts(tmp_path: Path) -> None:
    story = Scenario(SESSION)
    talk = Talk(story)
    shown = StringIO()
    with Store(tmp_path) as store, Recorder(store, LiveView(shown), None) as recorder:
        for _ in range(9):
            talk.does("pytest -q", "1 failed", failing(story))
        talk.says("I give up.")
        story.add(SessionEnd, ts=story.now + STEP)
        for event in story.log:
            recorder.take([event])
        recorder.summary(SESSION, 0, STEP, None)
        (found,) = store.findings(SESSION)
    assert (found.kind, found.figures["calls"]) == ("same_call", 9)
    lines = [line for line in shown.getvalue().splitlines() if "reasoning_loop" in line]
    assert ["asked 5 times" in lines[0], "asked 9 times" in lines[1], len(lines)] == [True, True, 2]
