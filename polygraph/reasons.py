"""The closed vocabularies: verdict words, reasons, grades and dimensions.

Reasons live in data/reasons.toml, one row each; this module is their only reader.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources
from typing import Literal, get_args

import msgspec

VerdictWord = Literal["verified", "refuted", "unverifiable"]
Grade = Literal["exact", "strong", "weak"]
Dimension = Literal["process", "file", "network", "tls", "ipc"]
ProbeStateWord = Literal["attached", "not_requested", "unavailable", "failed", "unsupported"]

VERDICTS: tuple[str, ...] = get_args(VerdictWord)
GRADES: tuple[str, ...] = get_args(Grade)
DIMENSIONS: tuple[Dimension, ...] = get_args(Dimension)


class Reason(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One row of data/reasons.toml."""

    verdict: VerdictWord
    sentence: str
    #: the reason states something that was seen, so it needs no proof of coverage
    present_fact: bool = False


@cache
def reasons() -> dict[str, Reason]:
    """All reasons by name. Raises msgspec.ValidationError when the table is malformed."""
    raw = tomllib.loads(resources.files("polygraph").joinpath("data/reasons.toml").read_text("utf-8"))
    return msgspec.convert(raw, dict[str, Reason])
