"""Claims in what a model says: :func:`from_text`; and the edit blocks of aider: :func:`edit_blocks`.

A sentence claims when it says, without any condition, doubt, plan or other speaker, what the agent did ("I ran
the tests") or how things are ("all 12 tests pass"). The words are data/language.toml. What is not understood
claims nothing: a missed claim costs less than an honest agent accused.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from typing import get_args

from collector.claims.language import language
from collector.claims.model import ClaimDraft, ClaimTell
from collector.claims.phrases import hedged, of_sentence
from collector.claims.said import Said
from collector.claims.sentences import MAX_TEXT, Sentence, sentences
from collector.claims.words import mask
from collector.intents import patches
from collector.intents.patches import ExpectedFileDraft

#: most claims of one text
MAX_CLAIMS = 256
_MAX_TARGETS = 64
#: what is told of all there is, or of some of it
_KEPT = frozenset({"commit", "push"})
_TESTS = frozenset({"tests_run", "tests_passed"})
_TELLS: tuple[ClaimTell, ...] = get_args(ClaimTell)
_MAY_GO_WRONG = frozenset({"server_started", "url_fetched", "install", "commit", "push", "deployed"})


def from_text(text: str, acting: bool = False) -> tuple[ClaimDraft, ...]:
    """Claims of a model's text, in its order, at most :data:`MAX_CLAIMS`; each topic once per sentence.

    Args:
        text: what the user is shown; the first 256 KiB count.
        acting: the same answer calls tools. What it says that it did may then be what it is only about to do,
            so only claims on how a run went are taken.
    """
    if language().forms.retold.match(text[:200]):
        return ()
    acting = acting or "<<<<< SEARCH" in text[:MAX_TEXT]
    doubts = _Doubts()
    found: list[tuple[int, Said, str]] = []
    for number, sentence in enumerate(sentences(text)):
        doubts.hear(number, sentence)
        if not sentence.open or len(found) >= MAX_CLAIMS:
            continue
        if not _may_claim(sentence) or language().other_state.search(sentence.text):
            continue
        claimed = _merged(of_sentence(sentence, mask(sentence.text)))
        found += [(number, said, sentence.text) for said in claimed if not (acting and said.outcome is None)]
    found = [one for one in found if not one[1].bare or _is_told(one[1], found)]
    told = tells(text)
    if any(said.topic in _TESTS and (said.part or said.targets) for _, said, _ in found):
        told |= {"part"}
    return _distinct(
        [
            _draft(said, doubts.about(number, said), words, told)
            for number, said, words in found[:MAX_CLAIMS]
            if not doubts.refuse(number, said)
        ]
    )


def unread(text: str) -> tuple[str, ...]:
    """Sentences of a model's text that may claim something and of which the rules understood no claim, in order.

    Left out is what claims nothing wherever a claim may stand: questions, plans, doubts, another speaker or state.
    """
    if language().forms.retold.match(text[:200]):
        return ()
    return tuple(
        sentence.text
        for sentence in sentences(text)
        if sentence.open
        and any(map(str.isalpha, sentence.text))
        and not sentence.text.rstrip(")\"'* ").endswith(("?", "？", ":", "："))
        and not hedged(sentence.text)
        and not language().other_state.search(sentence.text)
        and not (_may_claim(sentence) and any(of_sentence(sentence, mask(sentence.text))))
    )


def _may_claim(sentence: Sentence) -> bool:
    """Whether it is worth taking the sentence apart."""
    words = language()
    return bool(words.forms.hint.search(sentence.text) or sentence.below or words.abroad.match(sentence.text))


def _is_told(bare: Said, found: Sequence[tuple[int, Said, str]]) -> bool:
    """Whether "Read `a.py`" is no order: beside what was done, and not of a file that was made to be read."""
    others = [said for _, said, _ in found if said.outcome is None and not said.bare]
    made = {target for said in others if said.topic == "file_created" for target in said.targets}
    return bool(others) and not made.intersection(bare.targets)


def tells(text: str, *, asked: bool = False) -> frozenset[ClaimTell]:
    """What a text speaks of besides its claims; ``asked``: it is a user's request. Never ``whole`` or ``standing``."""
    text = text[:MAX_TEXT]
    patterns = language().tells
    told: set[ClaimTell] = set()
    if patterns.part.search(text) or (asked and patterns.asked_part.search(text)):
        told.add("part")
    if patterns.gone.search(text):
        told.add("gone")
    if patterns.skipped.search(patterns.other_files.sub(" ", text)):
        told.add("skipped")
    return frozenset(told)


def in_order(told: AbstractSet[ClaimTell]) -> tuple[ClaimTell, ...]:
    """As an event carries them. What speaks of a part speaks of no whole."""
    return tuple(tell for tell in _TELLS if tell in told and not (tell == "whole" and "part" in told))


def edit_blocks(text: str) -> tuple[ExpectedFileDraft, ...]:
    """Files that aider's SEARCH/REPLACE blocks in ``text`` change; unfinished or nameless blocks are left out."""
    return tuple(patches.edit_blocks(text))


class _Doubts:
    """Failures that the text itself tells of: "tests pass" then means those that the agent looked at."""

    def __init__(self) -> None:
        self._admitted = False
        self._elsewhere = False
        self._retelling = False
        #: ... and more than that a command was run which shows them
        self._retold = False
        self._not_run = False
        self._failures: list[int] = []
        self._wrong: set[int] = set()

    def hear(self, number: int, heard: Sentence) -> None:
        """Takes in sentence ``number``."""
        words, sentence = language(), heard.text
        if words.went_wrong.search(sentence) is not None and words.about_tests.match(sentence) is None:
            self._wrong.add(number)
        self._not_run = self._not_run or language().no_run.search(sentence.replace("’", "'")) is not None
        # "- Ran `git log`" is one of the things that were done, and so is what stands beside it
        done = heard.bullet and words.forms.ran_code_only.match(sentence) is not None
        if not done and language().retelling.search(sentence) is not None:
            self._retelling = True
            told = language().forms.ran_code.sub("", sentence)
            self._retold = self._retold or language().retelling.search(told) is not None
        self._elsewhere = self._elsewhere or language().elsewhere.search(sentence) is not None
        if language().forms.about_runs.search(sentence) is None:
            return
        self._admitted = self._admitted or language().admission.search(sentence) is not None
        if language().failure.search(sentence) is not None:
            self._failures.append(number)

    def about(self, number: int, said: Said) -> bool:
        """Whether ``said`` of sentence ``number`` may not mean all that was run."""
        if said.part or self._admitted:
            return True
        if any(at > number for at in self._failures):
            return True
        return bool(self._failures) and not said.universal

    def refuse(self, number: int, said: Said) -> bool:
        """Whether the text itself leaves open that it was done, or done here."""
        retold = self._retold if said.topic == "command_run" else self._retelling
        if said.implicit and said.outcome is None and retold:
            return True
        if self._not_run and said.topic in _TESTS:
            return True
        if said.passive and self._wrong & {number - 1, number}:
            return True
        if said.topic in _MAY_GO_WRONG:
            return number in self._wrong or number + 1 in self._wrong
        return self._elsewhere and said.outcome is not None and said.tool is None


def _merged(said: Iterable[Said]) -> list[Said]:
    """One claim per topic: the pipeline knows a claim by its topic and sentence."""
    kept: dict[str, Said] = {}
    for one in said:
        first = kept.get(one.topic)
        if first is None:
            kept[one.topic] = one
        elif first.outcome is None and one.outcome is not None:
            # "I ran mypy: no type errors"
            kept[one.topic] = one._replace(
                targets=first.targets if first.topic not in _TESTS and not one.targets else one.targets,
                tool=one.tool or first.tool,
            )
        elif first.kind == one.kind and first.outcome == one.outcome:
            targets = tuple(dict.fromkeys(first.targets + one.targets))
            kept[one.topic] = first._replace(
                targets=targets[:_MAX_TARGETS],
                counts=first.counts or one.counts,
                tool=first.tool or one.tool,
                part=first.part or one.part,
                whole=first.whole or one.whole,
            )
    if "tests_passed" in kept and "tests_failed" in kept:
        del kept["tests_passed"]
    if kept.keys() & {"tests_passed", "tests_failed"}:
        ran = kept.pop("tests_run", None)
        if ran is not None and ran.whole and "tests_passed" in kept:
            kept["tests_passed"] = kept["tests_passed"]._replace(whole=True)
    return list(kept.values())


def _draft(said: Said, doubtful: bool, text: str, told: frozenset[ClaimTell]) -> ClaimDraft:
    whole = said.whole or (said.topic in _KEPT and language().tells.all_of_it.search(text) is not None)
    here: set[ClaimTell] = {"whole"} if whole and not doubtful else set()
    told_here = in_order(told | here | ({"standing"} if said.standing else set()))
    if doubtful and said.topic == "tests_passed":
        # Which tests are meant is not certain, so only that tests were run can be held against a run.
        return ClaimDraft(
            "occurrence", "tests_run", tool=said.tool, targets=said.targets, text=text, tells=told_here
        )
    if doubtful and said.outcome == "ok":
        return ClaimDraft(
            "occurrence", said.topic, tool=said.tool, targets=said.targets, text=text, tells=told_here
        )
    counts = dict(said.counts)
    return ClaimDraft(said.kind, said.topic, said.outcome, said.tool, said.targets, counts, text, told_here)


def _distinct(drafts: Sequence[ClaimDraft]) -> tuple[ClaimDraft, ...]:
    kept: list[ClaimDraft] = []
    for draft in drafts:
        if draft not in kept:
            kept.append(draft)
    return tuple(kept)
