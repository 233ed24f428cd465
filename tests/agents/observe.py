"""A client through a scenario under `polygraph run`: what was seen, and whether it is what the scenario demands.

The truth is what the work itself left (markers of the test sessions, files) and what the scripted model was asked,
never what the agent printed.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from polygraph import verdicts as codec
from polygraph.events import AnyEvent, LlmCall
from polygraph.log.store import Store
from polygraph.verdicts import Verdict
from tests.agents.clients.base import Client
from tests.agents.run_client import Outcome, run
from tests.agents.scenarios import LIMITS, Expected, Scenario

ROOT = Path(__file__).parents[2]
#: the command of this very tree, wherever the package of the environment comes from; its folder is the agent's
_BOOT = f"import sys; sys.path[0] = {str(ROOT)!r}; from polygraph.cli import main; main()"
#: below the client's home, where `polygraph run` keeps its store
_STORE = ".local/state/polygraph"


@dataclass(frozen=True)
class Observation:
    """A run, its verdicts, and the events that they rest on."""

    outcome: Outcome
    verdicts: tuple[Verdict, ...]
    events: tuple[AnyEvent, ...]

    @property
    def calls(self) -> tuple[LlmCall, ...]:
        """Every try of a call of a model that was seen."""
        return tuple(event for event in self.events if isinstance(event, LlmCall))


def observe(client: Client, scenario: Scenario, folder: Path) -> Observation:
    """Run ``client`` through ``scenario`` below ``folder``, observed."""
    lines = folder / "verdicts.jsonl"
    prefix = [sys.executable, "-c", _BOOT, "run", "--quiet", "--json", str(lines), "--"]
    outcome = run(client, scenario, folder, prefix)
    written = lines.read_bytes().splitlines() if lines.exists() else []
    with Store(outcome.project.home / _STORE) as store:
        events = tuple(event for row in store.sessions() for event in store.events(row.id))
    return Observation(outcome, tuple(codec.decode(line) for line in written), events)


def matches(expected: Expected, verdict: Verdict) -> bool:
    """Whether a verdict is the expected one."""
    return (
        verdict.subject.kind == expected.subject
        and (expected.topic is None or verdict.subject.topic == expected.topic)
        and verdict.verdict == expected.verdict
        and verdict.reason in expected.reasons
    )


def complaints(client: Client, scenario: Scenario, observation: Observation) -> list[str]:
    """In what the verdicts and calls are not what is demanded; empty when they are."""
    limit = LIMITS.get((client.name, scenario.name))
    wanted = scenario.expected if limit is None else limit.instead
    verdicts = observation.verdicts
    found = []
    for expected in wanted:
        if expected.optional or (expected.subject == "intent" and not client.shows_intents):
            continue
        if not any(matches(expected, verdict) for verdict in verdicts):
            found.append(f"missing: {expected}")
    if not wanted:
        topics = {expected.topic for expected in scenario.expected}
        found += [f"a verdict where none can be: {v.subject}" for v in verdicts if v.subject.topic in topics]
    found += [
        f"accused: {verdict.declared!r} / {verdict.observed!r} ({verdict.reason})"
        for verdict in verdicts
        if verdict.verdict == "refuted" and not any(matches(expected, verdict) for expected in wanted)
    ]
    return found + _calls(client, observation)


def _calls(client: Client, observation: Observation) -> list[str]:
    """What is not right with the calls: every answer read whole, every failed try known, by the right way."""
    made, calls = observation.outcome.requests, observation.calls
    found = []
    missing = _answered(observation) - _read(observation)
    if missing:
        found.append(f"answers that were not read: {sorted(missing)}")
    refused = sorted(request.status for request in made if request.status >= 400 and request.wire is not None)
    known = sorted(call.status for call in calls if call.status >= 400)
    if refused != known:
        found.append(f"refused with {refused}, known are {known}")
    broken = sum(request.status == 0 for request in made)
    ended = sum(call.fate in ("interrupted", "cancelled") for call in calls)
    if broken != ended:
        found.append(f"{broken} answers broke off, known are {ended}")
    for name, wanted, seen in (
        ("transport", client.transport, {call.transport for call in calls}),
        ("TLS stack", client.stack, {call.tls for call in calls}),
    ):
        if seen != {wanted}:
            found.append(f"{name} {sorted(seen)}, not {wanted}")
    return found


def _answered(observation: Observation) -> set[int]:
    """The turns of the script that were answered whole."""
    requests = observation.outcome.requests
    return {request.turn for request in requests if request.turn is not None and request.status == 200}


def _read(observation: Observation) -> set[int]:
    """The turns whose answer was read whole: the endpoint names its answers by them."""
    return {turn for call in observation.calls if call.complete and (turn := _turn(call)) is not None}


def _turn(call: LlmCall) -> int | None:
    _, mark, number = (call.response_id or "").rpartition("t")
    return int(number) if mark and number.isdecimal() else None


def told(verdicts: Sequence[Verdict]) -> str:
    """The verdicts as a failing test shows them."""
    return "\n".join(
        f"{v.verdict:13} {v.reason or '':18} {v.subject.kind}: {v.declared!r} / {v.observed!r}"
        for v in verdicts
    )
