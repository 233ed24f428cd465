"""What tokens cost by the vendors' lists: data/prices.toml, with its date and its source. Pure."""

from __future__ import annotations

import re
import tomllib
from functools import cache, lru_cache
from importlib import resources

import msgspec

#: what a gateway or a cloud puts before a model's name, and a date or version at its end
_BEFORE = re.compile(r"\A.*/|\A(?:[a-z-]+\.)*(?:anthropic|openai|mistral|deepseek|meta|cohere)\.(?=[a-z])")
_AFTER = re.compile(r"(?:[-@](?:\d{8}|\d{4}-\d\d-\d\d|\d{4}))?(?:-v\d+(?::\d+)?)?\Z", re.ASCII)


class Price(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A row: US dollars for a million tokens."""

    pattern: str
    input: float
    output: float
    cached: float
    examples: tuple[str, ...]

    def cost(self, input_tokens: int, output_tokens: int, cached_tokens: int) -> int:
        """What tokens cost, in billionths of a dollar. ``input_tokens`` include the cached ones."""
        cached = min(cached_tokens, input_tokens)
        dollars = (input_tokens - cached) * self.input + cached * self.cached + output_tokens * self.output
        return round(dollars * 1000)


class Prices(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The table. ``as_of``: the day at which its prices were looked up; ``source``: where, in words."""

    as_of: str
    source: str
    model: tuple[Price, ...]


@cache
def prices() -> Prices:
    """The table. Raises msgspec.ValidationError when it is malformed."""
    raw = tomllib.loads(resources.files("polygraph").joinpath("data/prices.toml").read_text("utf-8"))
    return msgspec.convert(raw, Prices)


@lru_cache(maxsize=256)
def price_of(model: str) -> Price | None:
    """The row of a model; None if there is none, so that its price is not known."""
    name = _BEFORE.sub("", model.lower(), count=1)
    base = _AFTER.sub("", name, count=1)
    for wanted in (name, base):
        for row in prices().model:
            if re.fullmatch(row.pattern, wanted):
                return row
    return None
