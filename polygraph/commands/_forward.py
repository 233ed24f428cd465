"""The collector of a fleet: events into the log that it shares with others. What `watch` does with them otherwise."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import structlog

from polygraph.commands._content import Audited
from polygraph.events import AnyEvent, SessionEnd, SessionStart
from polygraph.log.kafka.publisher import Publisher
from polygraph.log.outgoing import Outgoing
from polygraph.log.spool import Spool
from polygraph.metrics import Values
from polygraph.serving import Pulse

#: ns between two notes of how far sessions are numbered
_NOTE = 5_000_000_000
_log = structlog.get_logger()


class Numbers(msgspec.Struct, frozen=True):
    """What the next collector of this host has to know."""

    boot: str
    sessions: dict[str, int]


class Forwarder:
    """Takes a collector's rounds. ``notes``: file that keeps :class:`Numbers`."""

    def __init__(
        self, publisher: Publisher, spool: Spool, notes: Path, boot: str, audited: Audited, pulse: Pulse
    ) -> None:
        self._publisher, self._spool, self._notes, self._boot = publisher, spool, notes, boot
        self._audited, self._pulse = audited, pulse
        known = _known(notes, boot)
        self._outgoing = Outgoing(known)
        self._noted_at = 0
        self._noted: dict[str, int] | None = None
        self.began = self.ended = self.events = 0
        #: it was given a round: whoever is to be observed is
        self.observes = False

    def take(self, events: Sequence[AnyEvent]) -> None:
        """Publishes events. Raises AuditError when a session may not be captured unnoted."""
        self._pulse.beat()
        self.observes = True
        for event in events:
            if isinstance(event, SessionStart):
                self._audited.session(event)
                self.began += 1
            self.ended += isinstance(event, SessionEnd)
        self.events += len(events)
        now = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        batches = self._outgoing.take(events)
        self._note(now)  # before it is sent: a number that was sent is never given out again
        self._publisher.publish([*batches, *self._outgoing.heartbeats(now)])

    def end(self, session: str, ended: int, status: int | None) -> None:  # noqa: ARG002  as Recorder.end
        """Notes the end of a session."""
        self._audited.session_end(session)
        _log.info("session_ended", session=session)

    def note(self, text: str) -> None:
        """A line for whoever looks after it."""
        _log.info("note", text=text)

    def rows(self) -> dict[str, Values]:
        """The collector's rows of data/metrics.toml."""
        done, spool = self._publisher.published, self._spool
        plain = {
            "events": self.events,
            "sessions_began": self.began,
            "sessions_ended": self.ended,
            "records_sent": done.records,
            "events_sent": done.events,
            "events_dropped": spool.dropped.total(),
            "events_too_large": done.too_large,
            "broker_failures": done.failures,
            "spool_damaged_bytes": spool.damaged,
        }
        rows: dict[str, Values] = {f"collector_{name}_total": {(): value} for name, value in plain.items()}
        rows["collector_spool_bytes"] = {(): spool.size}
        rows["collector_connected"] = {(): self._publisher.connected}
        return rows

    def _note(self, now: int) -> None:
        """Writes the numbers when sessions came or went, and every few seconds."""
        numbers = self._outgoing.numbers
        if self._noted is not None and (
            numbers == self._noted or (numbers.keys() == self._noted.keys() and now < self._noted_at + _NOTE)
        ):
            return
        self._noted, self._noted_at = numbers, now
        new = self._notes.with_suffix(".new")
        try:
            new.write_bytes(msgspec.json.encode(Numbers(self._boot, numbers)))
            new.replace(self._notes)
        except OSError as error:
            _log.error(
                "notes_failed",
                error=error.strerror,
                advice="sessions that go on over a restart of the collector will be left out",
            )


def _known(notes: Path, boot: str) -> Mapping[str, int]:
    """Sessions that an earlier collector had begun on this boot and not ended."""
    try:
        read = msgspec.json.decode(notes.read_bytes(), type=Numbers)
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.DecodeError) as error:
        _log.error("notes_unreadable", error=str(error))
        return {}
    return read.sessions if read.boot == boot else {}
