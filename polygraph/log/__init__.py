"""The log: where events and verdicts go, and where they are read again.

One interface for every transport. Embedded mode wires a collector to a correlator in one process and keeps
both logs in a :class:`polygraph.log.store.Store`; a Kafka log will implement the same two protocols.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from polygraph.events import AnyEvent
from polygraph.verdicts import Verdict


class EventLog(Protocol):
    """``log(events)``: append-only, ordered within a session."""

    def append(self, events: Sequence[AnyEvent]) -> None:
        """Adds events; those of one session in the order of their ``seq``."""

    def events(self, session: str) -> Iterator[AnyEvent]:
        """The events of a session, in order."""


class VerdictLog(Protocol):
    """``log(verdicts)``: idempotent by verdict id."""

    def add(self, verdicts: Iterable[Verdict]) -> None:
        """Adds verdicts; one whose id is known replaces it."""

    def verdicts(self, session: str | None = None) -> Iterator[Verdict]:
        """Verdicts of one session or of all, oldest first."""
