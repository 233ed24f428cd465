"""How far a reader of one partition has come, so that the next one goes on without a store of its own.

The recovery rule. What a reader knows is a function of the records since ``low``, the first one of the oldest session
that was open. So the group commits ``low`` as its offset, and beside it ``emit_from``, where it had stopped, and
``watermark``, the time that had been reached there. Who takes over reads from ``low`` on, silently up to
``emit_from``, and then says what the one before would have said: the same verdicts under the same ids. What was sent
and not committed is sent again, byte for byte. An offset alone would not do: read from there, an effect whose tool call
came earlier would belong to nothing, under the id of the verdict that was right.

Whoever sets the group's offset with a tool of the broker leaves no metadata: then everything from there on is said.
"""

from __future__ import annotations

import msgspec


class Progress(msgspec.Struct, frozen=True):
    """Offsets of one partition, ``low`` <= ``emit_from``; ``watermark``: ms since the epoch, as the broker stamps."""

    low: int = 0
    emit_from: int = 0
    watermark: int = 0


class _Metadata(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    v: int
    emit_from: int
    watermark: int


_VERSION = 1


def to_metadata(progress: Progress) -> str:
    """What is committed beside the offset ``low``: some 60 bytes (a broker takes 4,096)."""
    made = _Metadata(_VERSION, progress.emit_from, progress.watermark)
    return msgspec.json.encode(made).decode()


def from_committed(offset: int, metadata: str) -> Progress:
    """What was committed. Metadata that is none of ours tells nothing: all from ``offset`` on is to be said."""
    try:
        read = msgspec.json.decode(metadata, type=_Metadata)
    except msgspec.DecodeError:
        return Progress(offset, offset)
    if read.v != _VERSION or read.emit_from < offset or read.watermark < 0:
        return Progress(offset, offset)
    return Progress(offset, read.emit_from, read.watermark)
