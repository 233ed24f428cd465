"""Reads the tables of collector/claims/data, checked against their types."""

from __future__ import annotations

import tomllib
from importlib import resources
from typing import TypeVar

import msgspec

T = TypeVar("T")


def load(name: str, as_type: type[T]) -> T:
    """The table ``name``. Raises msgspec.ValidationError when it is malformed."""
    text = resources.files("collector.claims").joinpath("data", name).read_text("utf-8")
    return msgspec.convert(tomllib.loads(text), as_type)
