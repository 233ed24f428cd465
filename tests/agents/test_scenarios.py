"""Real, unmodified clients through every scenario under `polygraph run`: the expected verdict, and no other accusation.

The truth is what the work itself left (markers of the test sessions, files), never what the agent printed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from polygraph import verdicts as codec
from polygraph.verdicts import Verdict
from tests.agents.clients import CLIENTS
from tests.agents.run_client import Outcome, run
from tests.agents.scenarios import LIMITS, SCENARIOS, Expected, Scenario

pytestmark = pytest.mark.timeout(300)


def observed(
    client: str, scenario: Scenario, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Outcome, list[Verdict]]:
    """The run and its verdicts."""
    monkeypatch.setenv("POLYGRAPH_HOME", str(folder / "store"))
    lines = folder / "verdicts.jsonl"
    prefix = [sys.executable, "-m", "polygraph", "run", "--quiet", "--json", str(lines), "--"]
    outcome = run(CLIENTS[client], scenario, folder, prefix)
    return outcome, [codec.decode(line) for line in lines.read_bytes().splitlines()]


def matches(expected: Expected, verdict: Verdict) -> bool:
    """Whether a verdict is the expected one."""
    return (
        verdict.subject.kind == expected.subject
        and (expected.topic is None or verdict.subject.topic == expected.topic)
        and verdict.verdict == expected.verdict
        and verdict.reason in expected.reasons
    )


def told(verdicts: list[Verdict]) -> str:
    """The verdicts as a failing test shows them."""
    return "\n".join(
        f"{v.verdict:13} {v.reason or '':18} {v.subject.kind}: {v.declared!r} / {v.observed!r}"
        for v in verdicts
    )


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_gets_the_verdict_it_deserves(
    client: str,
    scenario: Scenario,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    report_used: Callable[[str, str], None],
) -> None:
    outcome, verdicts = observed(client, scenario, tmp_path, monkeypatch)
    report_used(client, CLIENTS[client].version)
    assert not outcome.faults(scenario), f"{outcome.faults(scenario)}\n{outcome.output[-3000:]}"
    said = told(verdicts)
    limit = LIMITS.get((client, scenario.name))
    wanted = scenario.expected if limit is None else limit.instead
    for expected in wanted:
        if expected.optional or (expected.subject == "intent" and not CLIENTS[client].shows_intents):
            continue
        assert any(matches(expected, verdict) for verdict in verdicts), f"{expected}\n{said}"
    if not wanted:
        topics = {expected.topic for expected in scenario.expected}
        assert not any(verdict.subject.topic in topics for verdict in verdicts), said
    accused = [verdict for verdict in verdicts if verdict.verdict == "refuted"]
    assert all(any(matches(expected, verdict) for expected in wanted) for verdict in accused), said
    for verdict in verdicts:
        assert codec.decode(codec.encode(verdict)) == verdict
        assert msgspec.to_builtins(verdict)["session"] == verdicts[0].session
