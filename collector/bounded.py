"""Memories that observed processes fill: the newest entries are kept. Pure."""

from __future__ import annotations

from collections import OrderedDict
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


def put(memory: OrderedDict[K, V], key: K, value: V, most: int) -> None:
    """``key`` is the newest entry now; of more than ``most`` entries the oldest go."""
    memory[key] = value
    memory.move_to_end(key)
    while len(memory) > most:
        memory.popitem(last=False)
