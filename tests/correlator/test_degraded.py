"""Each refutation under coverage that is degraded one dimension at a time.

What rests on silence vanishes with the coverage of the very dimensions that it is silent of; a contradiction by a
present fact stays, unless what was lost may have followed it and put it right.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import pytest

from polygraph import events as e
from polygraph.reasons import reasons
from tests.correlator.scenario import STEP, Scenario
from tests.correlator.test_reasons import EXAMPLES

SEEN = ("process", "file", "network", "tls")
WAYS = tuple(f"{way} {dimension}" for way in ("lost", "never", "canary", "blind") for dimension in SEEN)
WAYS += ("gap", "late", "continued")


def _all(*dimensions: str) -> set[str]:
    return {f"{way} {dimension}" for way in ("lost", "never", "canary", "blind") for dimension in dimensions}


#: the LLM traffic was read whole; whether the canary came through TLS is no matter, as calls were read
HEARD = {"lost tls", "never tls", "blind tls", "gap"}
BEGUN = {"late", "continued"}

#: by reason: under what its example is no refutation any more
VANISHES: dict[str, set[str]] = {
    "no_execution": _all("process") | HEARD | BEGUN,
    "empty_run": _all("process") | HEARD | BEGUN,
    "shadowed_tool": _all("process") | HEARD | BEGUN,
    "not_transferred": _all("process") | HEARD | BEGUN,
    # the whole had failed in the session: what followed must have been seen
    "subset": _all("process") | HEARD,
    "tampered_test": _all("process", "file") | HEARD,
    "not_written": _all("process", "file") | HEARD | BEGUN,
    "not_read": _all("process", "file") | HEARD | BEGUN,
    "not_connected": _all("network") | HEARD | BEGUN,
    # a tool call's window lies inside the session
    "wrong_target": _all("process", "file") | HEARD,
    "content_differs": _all("process", "file") | HEARD,
    # the change was seen, so io_uring hides nothing; what explains it must have been visible
    "undisclosed_effect": (_all("process", "file") - {"blind file"}) | HEARD | BEGUN,
    # present facts: only a loss that lasts until the claim may hide what put it right
    "failed": {"lost process"},
    "masked_exit": {"lost process"},
    "superseded_by_failure": {"lost process"},
    "stale": {"lost process", "lost file"},
    # the collector looked when the claim was made
    "not_persisted": set(),
}


def degrade(s: Scenario, how: str) -> None:
    """Takes something away from the whole session."""
    way, _, dimension = how.partition(" ")
    first = {"session": s.name, "ts": s.log[0].ts}
    match way:
        case "lost":
            told = {"dimension": dimension, "cause": "ring", "count": 1, "since": 0}
            s.log.insert(1, e.Loss(**{**first, "ts": s.now}, **told))  # type: ignore[arg-type]
        case "never":
            s.log = [x for x in s.log if not (isinstance(x, e.Coverage) and x.dimension == dimension)]
        case "canary":
            s.log = [
                msgspec.structs.replace(x, canary=False)
                if isinstance(x, e.Coverage) and x.dimension == dimension
                else x
                for x in s.log
            ]
        case "blind":
            s.log.insert(1, e.BlindSpot(**first, dimension=dimension, name="x"))  # type: ignore[arg-type]
        case "continued":
            s.log.insert(1, e.BlindSpot(**first, dimension="tls", name="earlier_conversation"))
        case "gap":
            s.log.insert(
                1, e.StreamGap(**{**first, "ts": s.now - STEP}, process=s.agent, host="h", cause="missing")
            )
        case "late":
            s.log[0] = msgspec.structs.replace(s.log[0], origin="watch")


def cases() -> Iterable[tuple[str, str]]:
    for reason, row in sorted(reasons().items()):
        if row.verdict == "refuted":
            yield from ((reason, how) for how in WAYS)


def test_every_refutation_is_in_the_table() -> None:
    assert {reason for reason, _ in cases()} == set(VANISHES)


@pytest.mark.parametrize(("reason", "how"), list(cases()))
def test_a_refutation_needs_the_coverage_that_it_rests_on_and_no_other(reason: str, how: str) -> None:
    s = Scenario()
    subject = EXAMPLES[reason](s)
    degrade(s, how)
    verdict, given = s.says(subject)
    if how in VANISHES[reason]:
        assert verdict == "unverifiable"
        assert reasons()[given or ""].verdict == "unverifiable" and given != "ambiguous"
    else:
        assert (verdict, given) == ("refuted", reason)


@pytest.mark.parametrize(
    "reason", sorted(r for r, ways in VANISHES.items() if reasons()[r].present_fact and len(ways) < 3)
)
@pytest.mark.parametrize("dimension", SEEN)
def test_what_was_lost_before_it_leaves_a_present_fact_standing(reason: str, dimension: str) -> None:
    s = Scenario()
    s.add(e.Loss, dimension=dimension, cause="ring", count=1, since=s.now)
    subject = EXAMPLES[reason](s)
    assert s.says(subject) == ("refuted", reason)
