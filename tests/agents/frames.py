"""What the adapters of all APIs share: events in the framing of their API, and answers cut into pieces."""

from __future__ import annotations

import json
import struct
import zlib
from typing import Any, NamedTuple, Protocol

Json = dict[str, Any]

#: characters in one delta: small, so that every answer is spread over several events
PIECE = 23
INPUT_TOKENS, OUTPUT_TOKENS = 100, 20
SSE = "text/event-stream; charset=utf-8"
LINES = "application/x-ndjson"
MESSAGES = "application/vnd.amazon.eventstream"


class Frame(Protocol):
    """An event of a stream."""

    def encode(self) -> bytes:
        """The event on the wire."""


class Event(NamedTuple):
    """One server-sent event. ``name`` None: no ``event:`` line."""

    name: str | None
    data: str

    def encode(self) -> bytes:
        """The event on the wire."""
        head = f"event: {self.name}\n" if self.name else ""
        return f"{head}data: {self.data}\n\n".encode()


class Line(NamedTuple):
    """One JSON value of a stream of lines."""

    data: str

    def encode(self) -> bytes:
        """The line on the wire."""
        return f"{self.data}\n".encode()


class Message(NamedTuple):
    """One Amazon event stream message, of an event or an exception."""

    name: str
    data: str
    kind: str = "event"

    def encode(self) -> bytes:
        """The message on the wire."""
        headers = b"".join(
            bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
            for name, value in (
                (f":{self.kind}-type", self.name),
                (":content-type", "application/json"),
                (":message-type", self.kind),
            )
        )
        payload = self.data.encode()
        prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
        framed = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + payload
        return framed + struct.pack(">I", zlib.crc32(framed))


def pieces(text: str) -> list[str]:
    """``text`` in deltas."""
    return [text[at : at + PIECE] for at in range(0, len(text), PIECE)]


def dump(value: Json | str) -> str:
    """JSON as the endpoint sends it."""
    return json.dumps(value, separators=(",", ":"))
