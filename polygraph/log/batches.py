"""Batches: events of one session as one record of a log that several processes share.

A batch is the events' lines of JSON (docs/events.md) behind one another, in the order of their ``seq``; its key is the
session. One record for many events is what lets a client in Python reach the speed of the broker. Beside it stands
which numbers it covers: a hole between two batches of a session is something that was lost.

The schema. A record says beside its value which :data:`~polygraph.events.SCHEMA_VERSION` its writer had. A field that
is new has a default, so an old reader leaves it out and a new one does without: neither needs another number. Another
type of event, or another meaning, does: an older reader cannot know what it leaves out, and says so
(:class:`UnreadableError`, ``newer_schema``). So readers are updated before writers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from polygraph.events import SCHEMA_VERSION, AnyEvent, encode

#: bytes of one batch, uncompressed; one event may be larger, and is then a batch of its own
FULL = 256 * 1024

#: headers of a record, in digits: its writer's schema; the numbers of its events, the second not included
SCHEMA_HEADER, FIRST_HEADER, NEXT_HEADER = "polygraph.schema", "polygraph.first", "polygraph.next"

_decoder = msgspec.json.Decoder(AnyEvent)


class UnreadableError(Exception):
    """A record that is no batch. ``reason``: ``newer_schema``, ``malformed``, ``other_session``, ``empty``."""

    def __init__(self, reason: str, what: str = "") -> None:
        super().__init__(f"{reason}: {what}" if what else reason)
        self.reason = reason


class Batch(NamedTuple):
    """Events of one session, numbered ``first`` to ``next`` (not included); the next batch begins there."""

    session: str
    value: bytes
    events: int
    first: int
    next: int


def pack(events: Sequence[AnyEvent], first: int, following: int, full: int = FULL) -> Iterator[Batch]:
    """Batches of events of one session, each of at most ``full`` bytes or of one event."""
    lines: list[bytes] = []
    size = 0
    for event in events:
        line = encode(event)
        if lines and size + len(line) + 1 > full:
            yield Batch(event.session, b"\n".join(lines), len(lines), first, event.seq)
            lines, size, first = [], 0, event.seq
        lines.append(line)
        size += len(line) + 1
    if lines:
        yield Batch(event.session, b"\n".join(lines), len(lines), first, following)


def headers(first: int, following: int) -> dict[str, bytes]:
    """Headers of a record that this writer makes."""
    return {
        SCHEMA_HEADER: b"%d" % SCHEMA_VERSION,
        FIRST_HEADER: b"%d" % first,
        NEXT_HEADER: b"%d" % following,
    }


def numbers_of(told: Mapping[str, bytes]) -> tuple[int, int, int]:
    """(schema, first, next) as headers tell them. Raises UnreadableError (``malformed``) without them."""
    found = []
    for name in (SCHEMA_HEADER, FIRST_HEADER, NEXT_HEADER):
        digits = told.get(name, b"")
        if not digits.isdigit() or len(digits) > 18:
            raise UnreadableError("malformed", f"{name} is {digits[:20]!r}")
        found.append(int(digits))
    schema, first, following = found
    return schema, first, following


def unpack(session: str, value: bytes, schema: int) -> list[AnyEvent]:
    """The events of a batch that is keyed by ``session``, which a writer of ``schema`` made. Raises UnreadableError."""
    if schema > SCHEMA_VERSION:
        raise UnreadableError("newer_schema", f"{schema}, this is {SCHEMA_VERSION}")
    try:
        events: list[AnyEvent] = _decoder.decode_lines(value)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:  # one that is not valid is a DecodeError, too
        raise UnreadableError("malformed", str(error)) from error
    if not events:
        raise UnreadableError("empty")
    if any(event.session != session for event in events):
        raise UnreadableError("other_session")
    return events
