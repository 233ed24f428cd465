"""What agents claim in their own ways and what they only speak of (claimed.toml, unclaimed.toml), against the rules."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from collector.claims.model import ClaimDraft
from collector.claims.text import from_text


def _table(name: str) -> dict[str, Any]:
    return tomllib.loads(Path(__file__).with_name(name).read_text("utf-8"))


CLAIMED = _table("claimed.toml")
#: claims that are made and that the rules do not read; each in doubt, or too rare
NOT_READ = frozenset(CLAIMED.pop("not_read")["texts"])
UNCLAIMED = _table("unclaimed.toml")
#: weaker claims that a stronger one holds in it
_IMPLIED = {
    "tests_passed=ok": {"tests_run"},
    "exhaustive:tests_passed=ok": {"tests_run"},
    "tests_failed=failed": {"tests_run"},
    "build=ok": {"build"},
    "lint=ok": {"lint"},
    "typecheck=ok": {"typecheck"},
}


class Row(NamedTuple):
    """A text, what it claims, and the targets of that where they are told."""

    text: str
    says: frozenset[str]
    targets: frozenset[str] | None


def _rows(family: dict[str, Any]) -> list[Row]:
    rows = []
    for given in family["texts"]:
        text, *rest = [given] if isinstance(given, str) else given
        if "says" not in family:
            rows.append(Row(text, frozenset(rest), None))
        else:
            rows.append(Row(text, frozenset(family["says"]), frozenset(rest) if rest else None))
    return rows


def _word(draft: ClaimDraft) -> str:
    kind = "" if draft.kind in ("occurrence", "outcome") else f"{draft.kind}:"
    return kind + draft.topic + (f"={draft.outcome}" if draft.outcome else "")


def _read(row: Row) -> bool:
    drafts = from_text(row.text)
    if not row.says <= {_word(draft) for draft in drafts}:
        return False
    found = {target for draft in drafts if _word(draft) in row.says for target in draft.targets}
    return row.targets is None or found == row.targets


@pytest.mark.parametrize("family", CLAIMED)
def test_what_is_claimed_is_read(family: str) -> None:
    missed = {row.text for row in _rows(CLAIMED[family]) if not _read(row)}
    assert missed == {row.text for row in _rows(CLAIMED[family])} & NOT_READ


@pytest.mark.parametrize("family", CLAIMED)
def test_a_claim_is_never_stronger_than_the_text(family: str) -> None:
    told = []
    for row in _rows(CLAIMED[family]):
        allowed = row.says.union(*(_IMPLIED.get(word, set()) for word in row.says))
        told += [(row.text, word) for word in map(_word, from_text(row.text)) if word not in allowed]
    assert told == []


@pytest.mark.parametrize("family", UNCLAIMED)
def test_what_is_only_spoken_of_claims_nothing(family: str) -> None:
    may = frozenset(UNCLAIMED[family].get("may", ()))
    told = [(text, word) for text in UNCLAIMED[family]["texts"] for word in map(_word, from_text(text))]
    assert [row for row in told if row[1] not in may] == []


def test_nine_of_ten_claims_are_read() -> None:
    claims = sum(len(family["texts"]) for family in CLAIMED.values())
    nothing = sum(len(family["texts"]) for family in UNCLAIMED.values())
    assert (claims, nothing, len(NOT_READ)) == (1163, 773, 99)
