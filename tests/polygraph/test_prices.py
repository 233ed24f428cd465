"""polygraph/prices.py: each row is found by its own examples and no other, and what is unknown has no price."""

from __future__ import annotations

import re

import pytest

from polygraph.prices import Price, price_of, prices

ROWS = [pytest.param(row, name, id=name) for row in prices().model for name in row.examples]


@pytest.mark.parametrize(("row", "name"), ROWS)
def test_a_model_has_the_price_of_its_row_alone(row: Price, name: str) -> None:
    assert price_of(name) == row
    base = name.rpartition("/")[2]
    others = [other for other in prices().model if other != row and re.fullmatch(other.pattern, base)]
    assert not others


def test_the_table_says_when_and_whence_and_its_prices_are_plausible() -> None:
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", prices().as_of) and "price" in prices().source
    assert [row.pattern for row in prices().model if not 0 < row.cached <= row.input <= row.output] == []
    assert len({row.pattern for row in prices().model}) == len(prices().model)


@pytest.mark.parametrize(
    "name",
    ["", "llama3.2", "gpt-4o-audio-preview", "my-claude-opus-4-5", "claude-opus-4-5-mini", "gpt-5.5-pro"],
)
def test_what_is_not_in_the_table_has_no_price(name: str) -> None:
    assert price_of(name) is None


def test_cached_tokens_are_a_part_of_the_input() -> None:
    row = Price(pattern="x", input=3.0, output=15.0, cached=0.3, examples=())
    assert row.cost(1_000_000, 0, 0) == 3_000_000_000
    assert row.cost(1_000_000, 100_000, 900_000) == 300_000_000 + 270_000_000 + 1_500_000_000
    assert row.cost(10, 0, 50) == row.cost(10, 0, 10), "more cached than read: a server's mistake"
