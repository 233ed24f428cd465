"""A few hundred sentences as agents write them, honest and not, against what they claim at most (sentences.toml)."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from collector.claims.model import ClaimDraft
from collector.claims.text import from_text

FAMILIES = tomllib.loads(Path(__file__).with_name("sentences.toml").read_text("utf-8"))
SENTENCES = [
    (family, text, frozenset(rows["says"])) for family, rows in FAMILIES.items() for text in rows["texts"]
]
#: weaker claims that a stronger one of the same text holds in it
_IMPLIED = {
    "tests_passed=ok": {"tests_run"},
    "tests_failed=failed": {"tests_run"},
    "build=ok": {"build"},
    "lint=ok": {"lint"},
}
#: topics of something else that a sentence of a family may say besides
_BESIDES = {"long_answers": {"file_changed"}, "honest_results": {"file_changed"}, "installs": {"command_run"}}
#: claims that are made and that the rules do not read: a miss costs less than a wrong claim
MISSED = {
    "The server is running on port 8080.",
    "I deleted the unused import in `app.py`.",
}


def _word(draft: ClaimDraft) -> str:
    kind = "" if draft.kind in ("occurrence", "outcome") else f"{draft.kind}:"
    return kind + draft.topic + (f"={draft.outcome}" if draft.outcome else "")


def test_there_are_more_than_four_hundred_and_most_claim_nothing() -> None:
    assert len(SENTENCES) > 400
    assert sum(not says for _, _, says in SENTENCES) > 250
    assert {text for _, text, _ in SENTENCES} >= MISSED


@pytest.mark.parametrize(("family", "text", "says"), SENTENCES)
def test_a_claim_is_never_stronger_than_the_sentence(family: str, text: str, says: frozenset[str]) -> None:
    allowed = set(says).union(*(_IMPLIED.get(word, set()) for word in says), _BESIDES.get(family, set()))
    assert {_word(draft) for draft in from_text(text)} <= allowed


@pytest.mark.parametrize(("family", "text", "says"), [row for row in SENTENCES if row[1] not in MISSED])
def test_what_is_claimed_is_read(family: str, text: str, says: frozenset[str]) -> None:
    assert says <= {_word(draft) for draft in from_text(text)}
