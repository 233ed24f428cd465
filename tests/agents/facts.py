"""What is known of each client from its observed runs, and the table of it (docs/coverage.md). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from tests.agents.clients.base import Client
from tests.agents.observe import Observation, complaints
from tests.agents.scenarios import LIMITS, UNSEEN, Scenario

HEAD = (
    "| client | version | TLS stack | transport | format | scenarios | seen |",
    "| --- | --- | --- | --- | --- | --- | --- |",
)
_STACKS = {"openssl": "OpenSSL", "boringssl": "BoringSSL", "rustls": "rustls"}
_TRANSPORTS = {"http/1.1": "HTTP/1.1", "h2": "HTTP/2", "websocket": "WebSocket"}


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """One observed run. ``wrong`` is what was not as demanded."""

    client: str
    scenario: str
    apis: tuple[str, ...]
    wrong: tuple[str, ...] = ()


def fact_of(client: Client, scenario: Scenario, observation: Observation) -> Fact:
    """What the run shows."""
    return Fact(
        client=client.name,
        scenario=scenario.name,
        apis=tuple(sorted({call.api for call in observation.calls})),
        wrong=tuple(complaints(client, scenario, observation)),
    )


def row(client: Client, facts: Sequence[Fact]) -> str:
    """The line of ``client`` in the table, from its run through every scenario."""
    seen = [fact for fact in facts if not fact.wrong and (client.name, fact.scenario) not in LIMITS]
    apis = sorted({api for fact in facts for api in fact.apis})
    cells = (
        client.title,
        client.version,
        f"{_STACKS[client.stack]}, {client.built}",
        _TRANSPORTS[client.transport],
        ", ".join(f"`{api}`" for api in apis) or "not read",
        f"{len(seen)} of {len(facts)}",
        _word(client, facts, len(seen)),
    )
    return f"| {' | '.join(cells)} |"


def _word(client: Client, facts: Sequence[Fact], seen: int) -> str:
    if client.name in UNSEEN:
        return f"not seen: {UNSEEN[client.name]}"
    if seen == len(facts):
        return "seen"
    whys = dict.fromkeys(
        limit.why for (name, _), limit in LIMITS.items() if name == client.name
    )  # each reason once
    return f"seen in part: {'; '.join(whys) or 'see the tests that fail'}"


def table(clients: Iterable[Client], facts: Sequence[Fact]) -> list[str]:
    """The lines of the whole table, in the order of ``clients``."""
    return [*HEAD, *(row(client, [f for f in facts if f.client == client.name]) for client in clients)]
