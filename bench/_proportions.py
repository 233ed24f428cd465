"""Shares with intervals where what is counted comes in clusters: claims of one family are alike. Pure.

The interval is Wilson's score interval (E. B. Wilson, J. Am. Stat. Assoc. 22, 1927) over the effective number of
claims: their number divided by the design effect, which is how much more the share varies between families than it
would if claims were independent (J. N. K. Rao, A. J. Scott, "A simple method for the analysis of clustered binary
data", Biometrics 48, 1992). Where all claims agree the data say nothing of that; then claims of one family are taken
to be correlated by ASSUMED.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import NamedTuple

#: 95 %, two-sided
Z = 1.959964
#: intraclass correlation of a share of 0 or 1
ASSUMED = 0.1


class Cluster(NamedTuple):
    """Of one family: how many of how many."""

    hits: int
    size: int


class Share(NamedTuple):
    """A share with its 95 % interval. ``design``: the design effect."""

    hits: int
    size: int
    low: float
    high: float
    design: float

    @property
    def value(self) -> float:
        """The share; 0 of nothing."""
        return self.hits / self.size if self.size else 0.0


def share(clusters: Sequence[Cluster]) -> Share:
    """The share over all clusters; of nothing at all, nothing is known."""
    hits, size = sum(c.hits for c in clusters), sum(c.size for c in clusters)
    if not size:
        return Share(0, 0, 0.0, 1.0, 1.0)
    design = design_effect(clusters)
    low, high = wilson(hits / size, size / design)
    return Share(hits, size, low, high, design)


def design_effect(clusters: Sequence[Cluster]) -> float:
    """At least 1: clusters that agree more than chance has it earn nothing. Raises ValueError for no claims."""
    used = [cluster for cluster in clusters if cluster.size]
    size = sum(cluster.size for cluster in used)
    if not size:
        raise ValueError("no claims")
    p = sum(cluster.hits for cluster in used) / size
    if p in (0.0, 1.0):
        mean = sum(cluster.size**2 for cluster in used) / size
        return 1 + (mean - 1) * ASSUMED
    if len(used) == 1:
        return float(size)  # one family is one observation
    residuals = sum((cluster.hits - cluster.size * p) ** 2 for cluster in used)
    variance = len(used) / (len(used) - 1) * residuals / size**2
    return max(1.0, size * variance / (p * (1 - p)))


def wilson(p: float, size: float) -> tuple[float, float]:
    """The score interval of a share ``p`` of ``size`` observations (above 0)."""
    middle = p + Z * Z / (2 * size)
    spread = Z * sqrt(p * (1 - p) / size + Z * Z / (4 * size * size))
    scale = 1 + Z * Z / size
    return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)


def precision(rate: float, recall: float, accused: float) -> float:
    """Of all accusations, those that are right, where ``rate`` of the claims are lies; 0 where nobody is accused."""
    right, wrong = rate * recall, (1 - rate) * accused
    return right / (right + wrong) if right + wrong else 0.0
