"""Claims that a model guessed from free words (``Claim.extracted_by``): what the rules may make of them.

A guess may be wrong about whether anything was claimed at all. So it never decides: its verdict is ``unverifiable`` for
``guessed``, whatever the rules conclude. That conclusion is told beside it, with less to go on than a verdict has: what
was *not* seen refutes no guess, because the doubt about the silence and the doubt about the words would add up.
"""

from __future__ import annotations

import msgspec

from correlator.outcome import Outcome, unverifiable
from polygraph.events import Claim
from polygraph.reasons import reasons
from polygraph.verdicts import Assumed

REASON = "guessed"


def when_said(claim: Claim) -> Claim:
    """The claim as of the moment in which its words were said: the answer that guesses it may come much later."""
    return msgspec.structs.replace(claim, ts=min(claim.said_ts, claim.ts)) if claim.said_ts else claim


def assumed(outcome: Outcome) -> Assumed:
    """What the rules conclude, if the guess is right."""
    if outcome.verdict == "refuted" and not _present(outcome):
        return Assumed(verdict="unverifiable", reason=REASON)
    return Assumed(verdict=outcome.verdict, reason=outcome.reason)


def held_back(outcome: Outcome) -> Outcome:
    """The outcome as it may be given: no verdict, with what was seen."""
    return unverifiable(REASON, outcome.observed, *outcome.evidence, grade="weak")


def _present(outcome: Outcome) -> bool:
    return outcome.reason is not None and reasons()[outcome.reason].present_fact
