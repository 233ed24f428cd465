"""What the observation says of itself: how far it sees, and what it missed."""

from __future__ import annotations

from polygraph.events.base import Event, ProcessKey
from polygraph.reasons import Dimension, ProbeStateWord

# --- the observation itself --------------------------------------------------------------------------


class Coverage(Event, frozen=True, tag="coverage"):
    """State of one dimension from ``ts`` on. Measured: ``canary`` is True only after a known operation was seen."""

    dimension: Dimension
    state: ProbeStateWord
    canary: bool = False
    #: what this dimension cannot show here, by name (docs/coverage.md lists them)
    blind: tuple[str, ...] = ()
    detail: str = ""


class Loss(Event, frozen=True, tag="loss"):
    """``count`` records of ``dimension`` did not arrive between ``since`` and ``ts``, for ``cause``."""

    dimension: Dimension
    cause: str
    count: int
    since: int


class BlindSpot(Event, frozen=True, tag="blind_spot"):
    """From ``ts`` on, something of this session cannot be seen: io_uring, a TLS library without probes…"""

    dimension: Dimension
    name: str
    process: ProcessKey | None = None
    detail: str = ""


class StreamGap(Event, frozen=True, tag="stream_gap"):
    """LLM traffic of ``process`` to ``host`` could not be followed: bytes missing, or not understood."""

    process: ProcessKey
    host: str
    cause: str
    missing_bytes: int = 0
