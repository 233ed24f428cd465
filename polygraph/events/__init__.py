"""The event model: every record that may enter ``log(events)``.

An event is a fact that a collector observed, either of the kernel (an effect), of the LLM traffic (a
call, an intent, a claim) or of the observation itself (coverage, loss). Events are immutable, typed and
ordered by ``(ts, seq)`` within a session. They carry no free text below content level ``redacted``: the
fields ``text`` are ``None`` there, and an argument with white space is ``text:`` and a keyed digest. Each
field's row is in polygraph/content.py.

Times are nanoseconds of CLOCK_BOOTTIME on the host that the session runs on. Paths are absolute, in the
mount namespace of the process. Bytes of paths and arguments that are not UTF-8 are kept, as private
characters that :func:`polygraph.text.to_bytes` turns back (see polygraph/text.py).

This package is the single source of the names; docs/events.md is generated from its modules (scripts/docs.py).
"""

from __future__ import annotations

import msgspec

from polygraph.events.base import SCHEMA_VERSION, Event, ProcessKey
from polygraph.events.effects import (
    Delegated,
    Exec,
    ExecFailed,
    Exit,
    File,
    FileOp,
    FileState,
    Flow,
    Fork,
    Name,
    Net,
    Reads,
    Service,
    Wait,
    WaitKind,
)
from polygraph.events.observation import BlindSpot, Coverage, Loss, StreamGap
from polygraph.events.said import (
    A2aMessage,
    Api,
    Claim,
    ClaimExtractor,
    ClaimKind,
    ClaimTell,
    ClaimTopic,
    EditMark,
    Execution,
    ExpectedFile,
    Fate,
    Intent,
    LlmCall,
    McpCall,
    Mention,
    MentionOrigin,
    MentionsLost,
    ToolResult,
    Transport,
)
from polygraph.events.session import SessionEnd, SessionStart, Tick

__all__ = [
    "SCHEMA_VERSION",
    "A2aMessage",
    "AnyEvent",
    "Api",
    "BlindSpot",
    "Claim",
    "ClaimExtractor",
    "ClaimKind",
    "ClaimTell",
    "ClaimTopic",
    "Coverage",
    "Delegated",
    "EditMark",
    "Event",
    "Exec",
    "ExecFailed",
    "Execution",
    "Exit",
    "ExpectedFile",
    "Fate",
    "File",
    "FileOp",
    "FileState",
    "Flow",
    "Fork",
    "Intent",
    "LlmCall",
    "Loss",
    "McpCall",
    "Mention",
    "MentionOrigin",
    "MentionsLost",
    "Name",
    "Net",
    "ProcessKey",
    "Reads",
    "Service",
    "SessionEnd",
    "SessionStart",
    "StreamGap",
    "Tick",
    "ToolResult",
    "Transport",
    "Wait",
    "WaitKind",
    "decode",
    "encode",
]

AnyEvent = (
    SessionStart
    | SessionEnd
    | Tick
    | Fork
    | Exec
    | Delegated
    | ExecFailed
    | Exit
    | File
    | Reads
    | FileState
    | Net
    | Flow
    | Name
    | Wait
    | LlmCall
    | McpCall
    | A2aMessage
    | Intent
    | ToolResult
    | Claim
    | Mention
    | MentionsLost
    | Coverage
    | Loss
    | BlindSpot
    | StreamGap
)

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(AnyEvent)


def encode(event: Event) -> bytes:
    """The event as one line of JSON (no newline)."""
    return _encoder.encode(event)


def decode(line: bytes) -> AnyEvent:
    """The event of a line. Raises msgspec.ValidationError if it is none."""
    event: AnyEvent = _decoder.decode(line)
    return event
