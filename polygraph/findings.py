"""The finding: what a detector says of a session, beside the verdicts in ``log(verdicts)``.

A verdict answers to something that was said; a finding speaks of what nobody claimed. It is made of facts and of
figures held against documented thresholds, never of a guess. Detectors, their kinds and thresholds are
data/detectors.toml, one row each.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources

import msgspec

from polygraph.verdicts import Evidence, Window


class Kind(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One kind of finding of a detector: what it says, in one sentence."""

    sentence: str


class Threshold(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A number that a detector holds something against, with its unit and why it is that number."""

    value: float
    unit: str
    why: str


class DetectorRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One row of data/detectors.toml."""

    sentence: str
    kinds: dict[str, Kind]
    thresholds: dict[str, Threshold] = {}


class Step(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One step of the path that a finding tells: ``what`` in polygraph's words, with the id of its event."""

    ts: int
    what: str
    #: id of an event, an intent or an LLM call
    id: str
    #: how sure the edge to the step before is; None for the first
    grade: str | None = None


class Finding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a detector found. One of the same id replaces an earlier one: it was seen to go on."""

    id: str
    session: str
    ts: int
    detector: str
    kind: str
    #: one sentence of facts: "read ~/.aws/credentials, which no tool call asked for"
    summary: str
    evidence: tuple[Evidence, ...]
    window: Window
    #: from cause to effect, where the finding tells of a path
    path: tuple[Step, ...] = ()
    #: what was measured, by name: bytes, calls, tokens, seconds
    figures: dict[str, float] = {}
    version: int = 1


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Finding)


def encode(finding: Finding) -> bytes:
    """The finding as one line of JSON, without the newline."""
    return _encoder.encode(finding)


def decode(line: bytes) -> Finding:
    """The finding of a line. Raises msgspec.ValidationError if it is none."""
    return _decoder.decode(line)


@cache
def detectors() -> dict[str, DetectorRow]:
    """All detectors by name. Raises msgspec.ValidationError when the table is malformed."""
    raw = tomllib.loads(resources.files("polygraph").joinpath("data/detectors.toml").read_text("utf-8"))
    return msgspec.convert(raw, dict[str, DetectorRow])
