"""What all events have in common."""

from __future__ import annotations

import msgspec

SCHEMA_VERSION = 1

ProcessKey = str
"""``"<pid>:<start>"``: thread group id and start time in ns since boot. Never a bare pid."""


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", omit_defaults=True):
    """What all events share.

    Attributes:
        session: id of the session (see :func:`polygraph.ids.session_id`).
        ts: when the fact became true, ns since boot.
        seq: position in the session's log, assigned by the collector, dense from 0.
    """

    session: str
    ts: int
    seq: int = 0

    @property
    def id(self) -> str:
        """Id of the event inside its session, a function of its position in the log."""
        return f"{self.session}/{self.seq}"
