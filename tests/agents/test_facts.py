"""The table of clients: a row says what was seen, in part with its reasons, or not; another table replaces it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tests.agents.clients import CLIENTS
from tests.agents.coverage import BEGIN, END, keep, told, with_table
from tests.agents.facts import HEAD, Fact, row, table
from tests.agents.scenarios import LIMITS, SCENARIOS, UNSEEN

CODEX, CODE = CLIENTS["codex-http2"], CLIENTS["codex-code-mode"]


def seen(client: str, **wrong: tuple[str, ...]) -> list[Fact]:
    return [
        Fact(
            client=client,
            scenario=scenario.name,
            apis=("openai.responses",),
            wrong=wrong.get(scenario.name, ()),
        )
        for scenario in SCENARIOS
    ]


def cells(line: str) -> list[str]:
    return line.strip("| ").split(" | ")


def test_a_client_that_is_seen_in_every_scenario() -> None:
    assert cells(row(CODEX, seen(CODEX.name))) == [
        "Codex CLI, own provider",
        CODEX.version,
        "rustls, static, without symbols",
        "HTTP/2",
        "`openai.responses`",
        f"{len(SCENARIOS)} of {len(SCENARIOS)}",
        "seen",
    ]


def test_what_was_wrong_and_what_is_a_limit_is_not_counted_and_each_reason_stands_once() -> None:
    assert cells(row(CODEX, seen(CODEX.name, honest=("accused",))))[-2:] == [
        f"{len(SCENARIOS) - 1} of {len(SCENARIOS)}",
        "seen in part: see the tests that fail",
    ]
    limits = [limit.why for (client, _), limit in LIMITS.items() if client == CODE.name]
    number, word = cells(row(CODE, seen(CODE.name)))[-2:]
    assert number == f"{len(SCENARIOS) - len(limits)} of {len(SCENARIOS)}"
    assert word == f"seen in part: {'; '.join(dict.fromkeys(limits))}"


def test_a_client_that_is_not_seen_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(UNSEEN, CODEX.name, "it whispers")
    lost = [msgspec.structs.replace(fact, apis=(), wrong=("unread",)) for fact in seen(CODEX.name)]
    assert cells(row(CODEX, lost))[-3:] == ["not read", f"0 of {len(SCENARIOS)}", "not seen: it whispers"]


def test_the_table_of_a_page_is_replaced_and_read_again(tmp_path: Path) -> None:
    lines = table([CODEX, CODE], [*seen(CODEX.name), *seen(CODE.name)])
    assert tuple(lines[:2]) == HEAD and len(lines) == 4
    page = with_table(f"a\n\n{BEGIN}\nold\n{END}\n\nb\n", lines)
    assert told(page) == lines
    assert (page[:4], page[-4:]) == ("a\n\n<", "\n\nb\n")
    with pytest.raises(ValueError, match="no place"):
        with_table("a page", lines)
    keep(seen(CODEX.name), tmp_path / "facts.json")
    assert msgspec.json.decode((tmp_path / "facts.json").read_bytes(), type=list[Fact]) == seen(CODEX.name)
