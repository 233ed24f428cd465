"""``python -m tests.agents.coverage``: writes the table of clients in docs/coverage.md from build/coverage.json.

A run of tests/agents/test_scenarios.py leaves that file; the same run compares the table in the page with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from tests.agents.clients import CLIENTS
from tests.agents.facts import Fact, table
from tests.agents.observe import ROOT

PAGE = ROOT / "docs" / "coverage.md"
FACTS = ROOT / "build" / "coverage.json"
BEGIN, END = "<!-- clients: begin -->", "<!-- clients: end -->"


def told(page: str) -> list[str]:
    """The lines of the table in the text of the page."""
    return page.partition(BEGIN)[2].partition(END)[0].strip().splitlines()


def with_table(page: str, lines: Sequence[str]) -> str:
    """The text of the page with another table. Raises ValueError when the page has no place for it."""
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError("the page has no place for the table")
    return "\n".join([head + begin, *lines, end]) + tail


def keep(facts: Sequence[Fact], path: Path = FACTS) -> None:
    """Write the facts of a whole run."""
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(facts)))


def main() -> None:
    """Writes the page."""
    facts = msgspec.json.decode(FACTS.read_bytes(), type=list[Fact])
    PAGE.write_text(with_table(PAGE.read_text("utf-8"), table(CLIENTS.values(), facts)), "utf-8")


if __name__ == "__main__":
    main()
