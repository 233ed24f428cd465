"""Detectors: what is said of a session without anybody having claimed something. One a file.

A detector keeps what it needs of each event, so that its cost is the event's and not the session's, and is asked at
each Tick what has come due. ``ALL`` is the only list of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from correlator.detectors.bottleneck import Bottlenecks
from correlator.detectors.exfiltration import ExfiltrationPath
from correlator.detectors.injection import Injection
from correlator.detectors.loop import Loops
from correlator.detectors.order import Order
from correlator.detectors.unexplained import UnexplainedEffects
from correlator.session import Session
from polygraph.events import AnyEvent
from polygraph.findings import Finding


class Detector(Protocol):
    """One detector over one session. Pure: no clock, no global, bounded memory for each open session."""

    def see(self, session: Session, event: AnyEvent) -> None:
        """Takes an event that ``session`` has taken in already."""
        ...

    def due(self, session: Session, now: int, *, final: bool) -> Iterable[Finding]:
        """Findings that are ready at the watermark ``now``. ``final``: the session is over."""
        ...


#: makes one detector for a new session
ALL: tuple[Callable[[], Detector], ...] = (
    UnexplainedEffects,
    Injection,
    ExfiltrationPath,
    Loops,
    Bottlenecks,
    Order,
)
