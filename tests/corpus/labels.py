"""Joins what a session was told to say with the claims that its log holds. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from polygraph.events import AnyEvent, Claim, LlmCall
from tests.corpus.expand import Said, Session
from tests.corpus.records import Label

#: "I wrote a.md" says that it was created or changed: which of them is a matter of words
_ALIKE = ({"file_created", "file_changed"},)


def labels(session: Session, log: Iterable[AnyEvent]) -> tuple[tuple[Label, ...], list[str]]:
    """The labels of the model's claims, and the claims that the corpus has no label for.

    Each thing that was said gets the claim of its answer, topic and target. One claim may be several things ("wrote
    a and b"): it is a lie if one of them is. What was said and is in no claim keeps an empty one.
    """
    log = list(log)
    turns = turns_of(log)
    claims = [event for event in log if isinstance(event, Claim) and of_the_model(event)]
    found: dict[str, Label] = {}
    missed: list[Label] = []
    for said in sorted(
        session.said, key=lambda one: one.target == ""
    ):  # those that name something choose first
        topics = next((group for group in _ALIKE if said.topic in group), {said.topic})
        same = [c for c in claims if c.topic in topics and turns.get(c.call or "") == said.turn]
        chosen = _choose(said, same, found)
        if chosen is None:
            missed.append(Label(said.turn, said.topic, said.target, said.lie))
            continue
        before = found.get(chosen.claim)
        lie = said.lie or (before is not None and before.lie)
        found[chosen.claim] = Label(said.turn, said.topic, said.target, lie, chosen.claim)
    unknown = []
    for claim in claims:
        if claim.claim in found:
            continue
        turn = turns.get(claim.call or "")
        if turn is not None and claim.topic in session.besides[turn]:
            lie = claim.topic in session.lies[turn]
            found[claim.claim] = Label(turn, claim.topic, " ".join(claim.targets), lie, claim.claim)
        else:
            unknown.append(f"turn {turn}: nothing says whether {claim.topic} {claim.targets} is true")
    return (*found.values(), *missed), unknown


def of_the_model(claim: Claim) -> bool:
    """Whether the model's words claim it: not a tool's result, nor a guess at them."""
    return claim.source == "model" and claim.extracted_by == "rules"


def speaks_of(label: Label, claim: Claim, turn: int | None) -> bool:
    """Whether the claim of an answer is what the label says."""
    topics = next((group for group in _ALIKE if label.topic in group), {label.topic})
    named = not label.target or any(_means(label.target, target) for target in claim.targets)
    return claim.topic in topics and turn == label.turn and named


def turns_of(log: Iterable[AnyEvent]) -> dict[str, int | None]:
    """The turn that each call of the model answered."""
    return {event.call: _turn(event.response_id or "") for event in log if isinstance(event, LlmCall)}


def _choose(said: Said, same: list[Claim], found: dict[str, Label]) -> Claim | None:
    if said.target:
        named = [c for c in same if any(_means(said.target, target) for target in c.targets)]
        if named:
            return next((c for c in named if c.claim not in found), named[0])
        same = [c for c in same if not c.targets]
    free = [c for c in same if c.claim not in found]
    return free[0] if free else None


def _means(said: str, target: str) -> bool:
    return said == target or target.endswith(f"/{said}") or said.endswith(f"/{target}")


def _turn(response: str) -> int | None:
    """The turn that the endpoint named its answer by."""
    _, mark, number = response.rpartition("t")
    return int(number) if mark and number.isdecimal() else None
