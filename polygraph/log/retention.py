"""What the store keeps, and for how long: limits, what they choose, and its removal.

Without a limit nothing is deleted. A session goes whole, events, verdicts and findings, the oldest first; one that is
being written stays. The limits are applied when ``run`` or ``watch`` begins and by ``polygraph prune``; each removal
is in the audit log before it happens. :meth:`polygraph.log.store.Store.delete` has the recovery rule.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import msgspec

from polygraph.audit import AuditLog
from polygraph.errors import PolygraphError
from polygraph.log.store import SessionRow, Store

DAY = 86_400_000_000_000  # ns
MEGABYTE = 1_000_000

#: variable of the environment -> field of :class:`Limits`
VARIABLES = {
    "POLYGRAPH_KEEP_DAYS": "days",
    "POLYGRAPH_KEEP_CONTENT_DAYS": "content_days",
    "POLYGRAPH_KEEP_SESSIONS": "sessions",
    "POLYGRAPH_KEEP_MB": "megabytes",
}

Why = Literal["age", "content_age", "sessions", "size", "orphan"]


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """None: no limit. All of them hold at once."""

    #: since the end of a session, or its beginning if that was not seen
    days: float | None = None
    #: the same for sessions captured at ``redacted`` or ``full``
    content_days: float | None = None
    #: of the newest sessions
    sessions: int | None = None
    #: events, verdicts and findings on disk, 10^6 bytes
    megabytes: float | None = None

    @property
    def any(self) -> bool:
        """Whether there is a limit at all."""
        return any(getattr(self, field) is not None for field in self.__struct_fields__)


class Doomed(msgspec.Struct, frozen=True, kw_only=True):
    """A session that a limit chooses."""

    session: str
    why: Why
    bytes: int


class Pruned(NamedTuple):
    """What was removed, and what should have been and is being written."""

    gone: tuple[Doomed, ...]
    busy: tuple[Doomed, ...]


def limits_of(environment: Mapping[str, str]) -> Limits:
    """The limits that the environment sets. Raises PolygraphError when one is no positive number."""
    found: dict[str, float] = {}
    for variable, field in VARIABLES.items():
        if text := environment.get(variable):
            try:
                found[field] = int(text) if field == "sessions" else float(text)
            except ValueError:
                found[field] = -1
            if not 0 <= found[field] < 1e12:
                raise PolygraphError(f"{variable} is {text!r}, which is no limit", "give a number, 0 or more")
    return msgspec.convert(found, Limits)


def choose(rows: Sequence[SessionRow], sizes: Mapping[str, int], limits: Limits, now: int) -> list[Doomed]:
    """The sessions that the limits choose, oldest first. ``rows``: newest first; ``now``: Unix time, ns."""
    doomed: list[Doomed] = []
    kept = kept_bytes = 0
    for row in rows:
        size = sizes.get(row.id, 0)
        why = _why(row, limits, now, kept, kept_bytes + size)
        if why is None:
            kept += 1
            kept_bytes += size
        else:
            doomed.append(Doomed(session=row.id, why=why, bytes=size))
    return doomed[::-1]


def _why(row: SessionRow, limits: Limits, now: int, kept: int, with_it: int) -> Why | None:
    age = (now - (row.ended or row.started)) / DAY
    if limits.days is not None and age > limits.days:
        return "age"
    if limits.content_days is not None and row.content in ("redacted", "full") and age > limits.content_days:
        return "content_age"
    if limits.sessions is not None and kept >= limits.sessions:
        return "sessions"
    if limits.megabytes is not None and with_it > limits.megabytes * MEGABYTE:
        return "size"
    return None


def prune(store: Store, limits: Limits, now: int, by: str, *, dry_run: bool = False) -> Pruned:
    """Applies the limits, and removes what an earlier removal left behind.

    ``by``: the command that asks, for the audit log. ``dry_run``: says what would go, and removes nothing.
    ``now``: Unix time, ns. Raises PolygraphError (the audit log), OSError, sqlite3.Error.
    """
    chosen = choose(store.sessions(), store.sizes(), limits, now)
    chosen += [Doomed(session=name, why="orphan", bytes=0) for name in store.orphans()]
    if dry_run or not chosen:
        return Pruned(tuple(chosen), ())
    audit = AuditLog(store.root)
    for why in sorted({item.why for item in chosen}):
        names = tuple(item.session for item in chosen if item.why == why)
        audit.append("pruned", by=by, sessions=names, reason=why)
    gone = [item for item in chosen if store.delete(item.session)]
    store.forget()
    return Pruned(tuple(gone), tuple(item for item in chosen if item not in gone))
