"""Claims that a model guessed: judged aside, never deciding, and of no influence on anything else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from correlator.engine import Engine
from polygraph import events as e
from polygraph.findings import Finding
from polygraph.reasons import reasons
from polygraph.verdicts import Assumed, Verdict, decode, encode
from tests.correlator.scenario import STEP, Scenario
from tests.correlator.test_reasons import EXAMPLES


def guess(s: Scenario, topic: str, outcome: str | None = None, **fields: Any) -> e.Claim:
    return s.claims(topic, outcome, extracted_by="model", **fields)


def judged(s: Scenario, claim: e.Claim) -> Verdict:
    (verdict,) = [verdict for verdict in s.verdicts() if verdict.subject.id == claim.claim]
    return verdict


def _passed(s: Scenario, status: int) -> Verdict:
    s.does("pytest", status=status)
    return judged(s, guess(s, "tests_passed", "ok"))


def test_it_is_verified_only_by_assumption() -> None:
    verdict = _passed(Scenario(), 0)
    assert (verdict.verdict, verdict.reason, verdict.grade) == ("unverifiable", "guessed", "weak")
    assert verdict.assumed == Assumed(verdict="verified", reason=None)
    assert verdict.guessed


def test_it_is_refuted_only_by_assumption_and_only_by_what_was_seen() -> None:
    verdict = _passed(Scenario(), 1)
    assert (verdict.verdict, verdict.reason) == ("unverifiable", "guessed")
    assert verdict.assumed == Assumed(verdict="refuted", reason="failed")
    assert verdict.evidence and "1" in verdict.observed


def test_silence_refutes_no_guess() -> None:
    s = Scenario()
    assert s.says(s.passed()) == ("refuted", "no_execution")
    verdict = judged(s, guess(s, "tests_passed", "ok"))
    assert verdict.assumed == Assumed(verdict="unverifiable", reason="guessed")


def test_what_cannot_be_told_keeps_its_reason() -> None:
    s = Scenario()
    s.does("docker", "exec", "c", "pytest")
    assert judged(s, guess(s, "tests_passed", "ok")).assumed == Assumed(
        verdict="unverifiable", reason="handed_off"
    )


def test_a_claim_that_was_read_by_the_rules_has_no_assumption() -> None:
    s = Scenario()
    s.does("pytest")
    claim = s.passed()
    verdict = judged(s, claim)
    assert not verdict.guessed and b"assumed" not in encode(verdict)
    assert decode(encode(verdict)) == verdict


def test_an_assumption_survives_the_log() -> None:
    verdict = _passed(Scenario(), 1)
    assert decode(encode(verdict)) == verdict


#: reasons whose story ends with a claim
_OF_CLAIMS = sorted(
    reason
    for reason, make in EXAMPLES.items()
    if reason != "guessed" and isinstance(make(Scenario()), e.Claim)
)


@pytest.mark.parametrize("reason", _OF_CLAIMS)
def test_whatever_is_found_a_guess_refutes_and_verifies_nothing(reason: str) -> None:
    s = Scenario()
    subject = EXAMPLES[reason](s)
    assert isinstance(subject, e.Claim) and len(_OF_CLAIMS) > 15
    s.log = [
        msgspec.structs.replace(event, extracted_by="model") if event is subject else event for event in s.log
    ]
    (verdict,) = [verdict for verdict in s.verdicts() if verdict.subject.id == subject.claim]
    assert (verdict.verdict, verdict.reason) == ("unverifiable", "guessed")
    assert isinstance(verdict.assumed, Assumed)
    row = reasons()[reason]
    if row.verdict == "refuted" and not row.present_fact:
        assert verdict.assumed.reason == "guessed"
    else:
        assert (verdict.assumed.verdict, verdict.assumed.reason) == (row.verdict, reason)


# --- when it was said ------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [0, 1])
def test_it_is_judged_as_of_the_moment_in_which_it_was_said(status: int) -> None:
    """The answer may come when everything is different: a later run, a later edit."""
    at_once, late = Scenario(), Scenario()
    for s in (at_once, late):
        s.does("pytest", status=status, reads=["/repo/a.py"])
    first = guess(at_once, "tests_passed", "ok")
    said_ts = late.now + 2 * STEP  # the call that `claims` makes comes first
    late.call()
    late.writes("/repo/a.py")
    late.does("pytest", status=1 - status)
    second = guess(late, "tests_passed", "ok", said_ts=said_ts)
    one, other = judged(at_once, first), judged(late, second)
    assert one.assumed == other.assumed
    assert isinstance(one.assumed, Assumed) and one.assumed.verdict == ("refuted" if status else "verified")
    assert other.window.close == other.ts == said_ts < second.ts


# --- and nothing else knows of it ------------------------------------------------------------------------

_ASSERTIONS: tuple[tuple[str, str | None, tuple[str, ...]], ...] = (
    ("tests_run", None, ()),
    ("tests_passed", "ok", ()),
    ("tests_failed", "failed", ()),
    ("build", "ok", ()),
    ("commit", None, ()),
    ("file_created", None, ("notes.md",)),
    ("file_read", None, ("a.py",)),
    ("url_fetched", None, ("https://x.test",)),
    ("nothing_else_changed", None, ()),
)


def _said(log: list[Any]) -> tuple[list[Verdict], list[Finding]]:
    engine = Engine()
    said = [engine.feed(event) for event in log]
    verdicts = [verdict for one in said for verdict in one.verdicts if not verdict.guessed]
    return verdicts, [found for one in said for found in one.findings]


@pytest.mark.parametrize("make", EXAMPLES.values(), ids=EXAMPLES.keys())
def test_a_log_full_of_guesses_gives_the_same_verdicts_and_findings(
    make: Callable[[Scenario], object],
) -> None:
    s = Scenario()
    make(s)
    s.add(e.SessionEnd)
    plain = [msgspec.structs.replace(event, seq=event.seq * 100) for event in s.log]
    full: list[Any] = []
    for event in plain:
        full.append(event)
        if not isinstance(event, e.SessionEnd):
            full += [
                e.Claim(
                    session=event.session,
                    ts=event.ts,
                    seq=event.seq + number,
                    claim=f"g{event.seq}.{number}",
                    source="model",
                    kind="outcome" if outcome else "occurrence",
                    topic=topic,  # type: ignore[arg-type]
                    outcome=outcome,  # type: ignore[arg-type]
                    targets=targets,
                    process=s.agent,
                    extracted_by="model",
                )
                for number, (topic, outcome, targets) in enumerate(_ASSERTIONS, 1)
            ]
    assert len(full) > 5 * len(plain)
    assert _said(full) == _said(plain)
