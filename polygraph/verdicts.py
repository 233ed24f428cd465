"""The verdict: what ``log(verdicts)`` holds, one for each intent and each claim.

Field names are design.md's; JSON output, OTLP attributes and the report use the same ones.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from polygraph.reasons import Grade, ProbeStateWord, VerdictWord


class Subject(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the verdict is about."""

    kind: Literal["intent", "claim"]
    id: str
    tool: str | None = None
    call_id: str | None = None
    call: str | None = None
    digest: str | None = None
    #: of a claim: who says it, its kind and topic
    source: Literal["tool_result", "model"] | None = None
    claim_kind: str | None = None
    topic: str | None = None
    #: the words themselves; only at content level ``redacted`` or ``full``
    text: str | None = None


class Evidence(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One fact: the id of the event and a line that says it. ``fact`` holds kernel facts, never what was said."""

    id: str
    ts: int
    fact: str


class DimensionCoverage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Coverage of one dimension over the verdict's window."""

    state: ProbeStateWord
    canary: bool = False
    lost: int = 0
    blind: tuple[str, ...] = ()


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """The causal window, ns since boot. ``close`` is None when it was still open at the session's end."""

    open: int
    close: int | None


class Assumed(msgspec.Struct, frozen=True, kw_only=True):
    """What the rules say of a guessed claim, if it was said: no verdict, and counted as none.

    ``reason`` is None exactly when ``verdict`` is ``verified``. ``refuted`` rests on a present fact, never on silence.
    """

    verdict: VerdictWord
    reason: str | None


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """A verdict. ``reason`` is None exactly when ``verdict`` is ``verified``.

    On a claim that a model guessed it is ``unverifiable`` for ``guessed``, and ``assumed`` is set; else it is absent.
    """

    id: str
    session: str
    ts: int
    subject: Subject
    verdict: VerdictWord
    reason: str | None
    grade: Grade | None
    #: what was said, in polygraph's words: "tests passed (3) with pytest"
    declared: str
    #: what the kernel saw: "pytest ran and exited with 1"
    observed: str
    evidence: tuple[Evidence, ...]
    coverage: dict[str, DimensionCoverage]
    window: Window
    traceparent: str | None
    rule: str
    version: int
    assumed: Assumed | msgspec.UnsetType = msgspec.UNSET

    @property
    def guessed(self) -> bool:
        """Whether it is on a claim that a model guessed: reported apart, in no count of verdicts."""
        return self.assumed is not msgspec.UNSET


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Verdict)


def encode(verdict: Verdict) -> bytes:
    """The verdict as one line of JSON, without the newline."""
    return _encoder.encode(verdict)


def decode(line: bytes) -> Verdict:
    """The verdict of a line. Raises msgspec.ValidationError if it is none."""
    return _decoder.decode(line)
