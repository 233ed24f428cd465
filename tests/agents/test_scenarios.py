"""Real, unmodified clients through every scenario under `polygraph run`: the expected verdict, and no other accusation.

What they show is the table of clients in docs/coverage.md, which is held against this very run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec
import pytest

from polygraph import verdicts as codec
from tests.agents.clients import CLIENTS
from tests.agents.coverage import PAGE, keep, told
from tests.agents.edges import GRADES, grades_of_tests, unexplained
from tests.agents.facts import HEAD, Fact, fact_of, row
from tests.agents.observe import Observation, observe
from tests.agents.observe import told as verdicts_told
from tests.agents.scenarios import HONEST, SCENARIOS, UNSEEN, Scenario

pytestmark = pytest.mark.timeout(900)

Observe = Callable[[str, Scenario], tuple[Observation, Fact]]


@pytest.fixture(scope="session")
def observed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Observe]:
    """Each client through each scenario once in a session, whoever asks; a whole session's facts are kept."""
    known: dict[tuple[str, str], tuple[Observation, Fact]] = {}

    def once(name: str, scenario: Scenario) -> tuple[Observation, Fact]:
        if (name, scenario.name) not in known:
            client = CLIENTS[name]
            observation = observe(client, scenario, tmp_path_factory.mktemp("agent"))
            known[name, scenario.name] = (observation, fact_of(client, scenario, observation))
        return known[name, scenario.name]

    yield once
    if len(known) == len(CLIENTS) * len(SCENARIOS):
        keep([fact for _, fact in known.values()])


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_gets_the_verdict_it_deserves(
    client: str, scenario: Scenario, observed: Observe, report_used: Callable[[str, str], None]
) -> None:
    observation, fact = observed(client, scenario)
    report_used(client, CLIENTS[client].version)
    faults = observation.outcome.faults(scenario)
    assert not faults, f"{faults}\n{observation.outcome.output[-3000:]}"
    if client in UNSEEN:
        assert not observation.calls, "it is seen: UNSEEN is wrong"
        accused = [verdict for verdict in observation.verdicts if verdict.verdict == "refuted"]
        assert not accused, verdicts_told(accused)
        return
    assert not fact.wrong, "\n".join([*fact.wrong, verdicts_told(observation.verdicts)])
    for verdict in observation.verdicts:
        assert codec.decode(codec.encode(verdict)) == verdict
        assert msgspec.to_builtins(verdict)["session"] == observation.verdicts[0].session


@pytest.mark.parametrize("client", CLIENTS)
def test_what_an_honest_client_does_belongs_to_something(client: str, observed: Observe) -> None:
    observation, _ = observed(client, HONEST)
    assert unexplained(client, observation.events) == []
    if CLIENTS[client].shows_intents and client not in UNSEEN:
        assert set(grades_of_tests(observation.events)) == {GRADES.get(client, "exact")}


@pytest.mark.parametrize("client", CLIENTS)
def test_the_table_of_clients_is_what_this_run_shows(client: str, observed: Observe) -> None:
    facts = [observed(client, scenario)[1] for scenario in SCENARIOS]
    lines = told(PAGE.read_text("utf-8"))
    assert row(CLIENTS[client], facts) in lines, "run: python -m tests.agents.coverage"


def test_the_table_has_a_row_for_every_client_and_no_other() -> None:
    lines = told(PAGE.read_text("utf-8"))
    assert tuple(lines[:2]) == HEAD
    told_clients = [tuple(line.split(" | ")[:2]) for line in lines[2:]]
    assert told_clients == [(f"| {client.title}", client.version) for client in CLIENTS.values()]
