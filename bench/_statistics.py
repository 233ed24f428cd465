"""Medians, ratios and intervals of repeated measurements. Pure.

Intervals are those of order statistics: they assume nothing of the distribution but that the runs are
independent (H. A. David, H. N. Nagaraja, Order Statistics, 3rd ed., section 7.1). A few runs allow no 95 %
interval; then the widest one is given, with the confidence that it has.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil, comb
from statistics import median
from typing import NamedTuple, TypeVar

T = TypeVar("T")

CONFIDENCE = 0.95


class Estimate(NamedTuple):
    """A median with the interval that holds the true one with probability ``confidence``."""

    value: float
    low: float
    high: float
    confidence: float


def estimate(values: Sequence[float]) -> Estimate:
    """The median of independent measurements. Raises ValueError for none."""
    if not values:
        raise ValueError("no measurement")
    ordered, size = sorted(values), len(values)
    rank, confidence = 0, _coverage(size, 0)
    while rank + 1 <= (size - 1) // 2 and _coverage(size, rank + 1) >= CONFIDENCE:
        rank += 1
        confidence = _coverage(size, rank)
    return Estimate(median(ordered), ordered[rank], ordered[size - 1 - rank], confidence)


def _coverage(size: int, rank: int) -> float:
    """Probability that the median lies between the values of that rank (from 0) from below and from above."""
    outside: int = sum(comb(size, below) for below in range(rank + 1))
    return max(0.0, 1 - outside / 2.0 ** (size - 1))


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least ``share`` of them do not exceed. Raises ValueError for none."""
    if not values:
        raise ValueError("no measurement")
    ordered = sorted(values)
    return ordered[max(0, ceil(share * len(ordered)) - 1)]


def paired_ratio(above: Sequence[float], below: Sequence[float]) -> Estimate:
    """Median of the ratios within each round. Raises ValueError when there are none, or not equally many."""
    return estimate([one / other for one, other in zip(above, below, strict=True)])


def paired_difference(minuend: Sequence[float], subtrahend: Sequence[float]) -> Estimate:
    """Median of the differences within each round. Raises ValueError as :func:`paired_ratio` does."""
    return estimate([one - other for one, other in zip(minuend, subtrahend, strict=True)])


def interleaved(arms: Sequence[tuple[str, Callable[[], T]]], runs: int) -> dict[str, list[T]]:
    """Runs every arm once a round, each round beginning with another one: arm -> what it gave, by round."""
    found: dict[str, list[T]] = {name: [] for name, _run in arms}
    for turn in range(runs):
        first = turn % len(arms)
        for name, run in (*arms[first:], *arms[:first]):
            found[name].append(run())
    return found
