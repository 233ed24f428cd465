"""What a rule concludes, before it is dressed as a verdict."""

from __future__ import annotations

from dataclasses import dataclass

from polygraph.events import AnyEvent
from polygraph.reasons import GRADES, Grade, VerdictWord, reasons

#: most events that a verdict shows
MAX_EVIDENCE = 16
#: most parts whose words it has
_TOLD = 4


@dataclass(frozen=True, slots=True)
class Outcome:
    """Verdict word, reason, grade, what was seen and the events that decided."""

    verdict: VerdictWord
    reason: str | None
    observed: str
    evidence: tuple[AnyEvent, ...] = ()
    grade: Grade | None = None


def verified(observed: str, grade: Grade, *evidence: AnyEvent) -> Outcome:
    """It is so."""
    return Outcome("verified", None, observed, evidence[:MAX_EVIDENCE], grade)


def refuted(reason: str, observed: str, *evidence: AnyEvent, grade: Grade = "strong") -> Outcome:
    """It is not so. Raises ValueError when ``reason`` is no refuting one."""
    _check(reason, "refuted")
    return Outcome("refuted", reason, observed, evidence[:MAX_EVIDENCE], grade)


def unverifiable(reason: str, observed: str, *evidence: AnyEvent, grade: Grade | None = None) -> Outcome:
    """It cannot be told. Raises ValueError when ``reason`` is no unverifiable one."""
    _check(reason, "unverifiable")
    return Outcome("unverifiable", reason, observed, evidence[:MAX_EVIDENCE], grade)


def combine(parts: list[Outcome]) -> Outcome:
    """Several parts, one at least, that must all hold: the worst decides, the others add what was seen."""
    for word in ("refuted", "unverifiable"):
        for part in parts:
            if part.verdict == word:
                return part
    grades = [part.grade for part in parts if part.grade is not None]
    evidence = [event for part in parts for event in part.evidence]
    grade = max(grades, key=GRADES.index)
    return verified("; ".join(part.observed for part in parts[:_TOLD]), grade, *evidence)


def _check(reason: str, word: VerdictWord) -> None:
    row = reasons().get(reason)
    if row is None or row.verdict != word:
        raise ValueError(f"{reason!r} is not a reason for {word}")
