"""What of the corpus' words is understood: no claim without a label, and of what may be tuned on nearly every label."""

from __future__ import annotations

from functools import cache

from tests.corpus import recorder
from tests.corpus.expand import Session
from tests.corpus.held_out import held_out
from tests.corpus.words import Understood, understood

#: a family whose words are odd on purpose, and what is not read: the label of "not done: the addition test fails"
#: closes what follows, and a sentence that is there twice is one claim
LEFT_OUT = ("odd_words",)
NOT_READ = ("Not done:", "I committed the changes. I committed the changes.")


@cache
def read() -> tuple[tuple[Session, Understood], ...]:
    return tuple((one, understood(one)) for one in recorder.every())


def test_no_claim_is_without_a_label() -> None:
    told = [f"{one.name}: {what}" for one, found in read() for what in found.unlabelled]
    assert [line for line in told if not held_out(line.partition("-")[0])] == []
    assert len(told) == 0


def test_the_labels_of_what_may_be_tuned_on_are_understood() -> None:
    left = [
        (one.name, label.topic, one.turn[label.turn].say)
        for one, found in read()
        for label in found.labels
        if not label.claim and not held_out(one.family) and one.family not in LEFT_OUT
    ]
    assert [row for row in left if not any(words in row[2] for words in NOT_READ)] == []


def test_plans_denials_and_questions_claim_nothing_beyond_what_is_labelled() -> None:
    """Every topic that the corpus lists for them is listed because it is none: nothing of it may be understood."""
    told = [
        (one.name, label.topic)
        for one, found in read()
        if one.family == "plans_and_denials"
        for label in found.labels
        if label.claim and not any(said.topic == label.topic for said in one.said)
    ]
    assert told == []
