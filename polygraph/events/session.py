"""A session's beginning and end, and how far its log reaches."""

from __future__ import annotations

from typing import Literal

from polygraph.events.base import SCHEMA_VERSION, Event, ProcessKey

# --- the session -------------------------------------------------------------------------------------


class SessionStart(Event, frozen=True, tag="session_start"):
    """A root process was enrolled."""

    host: str
    boot: str
    kernel: str
    process: ProcessKey
    argv: tuple[str, ...]
    cwd: str
    #: ``run``: enrolled before its first instruction. ``watch``: it existed before us, so effects and
    #: traffic from before ``ts`` are unknown (reason ``late_enrolment``).
    origin: Literal["run", "watch"]
    #: wall clock minus boot clock at ``ts``, ns: turns any ``ts`` into Unix time.
    wall_offset: int
    content: Literal["off", "metadata", "redacted", "full"] = "metadata"
    schema: int = SCHEMA_VERSION


class SessionEnd(Event, frozen=True, tag="session_end"):
    """The session is over for the observer.

    ``live`` processes of the lineage were still running then (0 when the lineage ended by itself).
    """

    live: int = 0


class Tick(Event, frozen=True, tag="tick"):
    """Everything that happened before ``ts`` is in the log: the watermark of the session's host."""
