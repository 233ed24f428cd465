"""Batches: events of one session as one record of a log that several processes share.

A batch is the events' lines of JSON (docs/events.md) behind one another, in the order of their ``seq``; its key is the
session. One record for many events is what lets a client in Python reach the speed of the broker.

The schema. A record says beside its value which :data:`~polygraph.events.SCHEMA_VERSION` its writer had. A field that
is new has a default, so an old reader leaves it out and a new one does without: neither needs another number. Another
type of event, or another meaning, does: an older reader cannot know what it leaves out, and says so
(:class:`UnreadableError`, ``newer_schema``). So readers are updated before writers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from polygraph.events import SCHEMA_VERSION, AnyEvent, encode

#: bytes of one batch, uncompressed; one event may be larger, and is then a batch of its own
FULL = 256 * 1024

#: header of a record: its writer's schema, in digits
SCHEMA_HEADER = "polygraph.schema"
#: header and value of what this writer makes
HEADERS: Mapping[str, bytes] = {SCHEMA_HEADER: str(SCHEMA_VERSION).encode()}

_decoder = msgspec.json.Decoder(AnyEvent)


class UnreadableError(Exception):
    """A record that is no batch. ``reason``: ``newer_schema``, ``malformed``, ``other_session``, ``empty``."""

    def __init__(self, reason: str, what: str = "") -> None:
        super().__init__(f"{reason}: {what}" if what else reason)
        self.reason = reason


def pack(events: Sequence[AnyEvent], full: int = FULL) -> Iterator[bytes]:
    """Batches of events of one session, each of at most ``full`` bytes or of one event."""
    lines: list[bytes] = []
    size = 0
    for event in events:
        line = encode(event)
        if lines and size + len(line) + 1 > full:
            yield b"\n".join(lines)
            lines, size = [], 0
        lines.append(line)
        size += len(line) + 1
    if lines:
        yield b"\n".join(lines)


def schema_of(header: bytes | None) -> int:
    """The schema that a record's header tells; without one it is the first. Raises UnreadableError (``malformed``)."""
    if header is None:
        return 1
    if not header.isdigit() or len(header) > 9:
        raise UnreadableError("malformed", f"schema {header[:20]!r}")
    return int(header)


def unpack(session: str, value: bytes, schema: int = SCHEMA_VERSION) -> list[AnyEvent]:
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
