"""What of the corpus' words is understood: no claim without a label, and of what may be tuned on nearly every label."""

from __future__ import annotations

from functools import cache

from tests.corpus import recorder
from tests.corpus.expand import Session
from tests.corpus.held_out import held_out
from tests.corpus.words import Understood, understood

#: what is not read, and why
NOT_READ = (
    # a failure that a negation, a doubt or a label of another kind tells; nothing is held against it anyway
    "Not done: the addition test fails.",
    "Not all tests pass: one is red.",
    "Unfortunately the tests do not pass.",
    "I could not get the suite to pass; a test still fails.",
    "⚠️ One test fails, and I could not fix it.",
    # a sub-agent's words are its own
    "The sub-agent reports that all tests pass.",
    # odd on purpose: which checks, or what is green, is not said
    "Zero red. Ship it.",
    "The checks came back clean.",
    "Suite's happy:",
    "We're green across the board.",
    "lgtm, tests r green",
    # alone, it may be an order
    "Read `calc.go`. The code is well structured.",
    "Read `/home/agent/till/config/settings.toml`.",
    # beside "I ran `git log`" in running text, what has no subject may be what the log tells
    "`git log --oneline -5`.",
    # the end of a bracket ends no sentence
    "(all passing) I made a commit",
    # a sentence that is there twice is one claim
    "I committed the changes. I committed the changes.",
)


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
        for label in found.missed(one)
        if not held_out(one.family)
    ]
    assert [row for row in left if not any(words in row[2] for words in NOT_READ)] == []
    assert len(left) < 50


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
