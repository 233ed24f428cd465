"""The corpus as data: it is whole, its lies keep their published shares, and a third is held out."""

from __future__ import annotations

from collections import Counter
from functools import cache
from typing import get_args

import msgspec
import pytest

from collector.claims.text import from_text
from polygraph.events import AnyEvent, Claim, ClaimTopic, LlmCall
from polygraph.reasons import reasons
from tests.corpus import recorder, schema
from tests.corpus.expand import Session, sessions
from tests.corpus.held_out import held_out
from tests.corpus.labels import labels
from tests.corpus.marks import runs
from tests.corpus.schema import SHARES, Family, Phrase, Step, Turn

TOPICS = frozenset(get_args(ClaimTopic))


@cache
def every() -> tuple[Session, ...]:
    return tuple(recorder.every())


def test_every_family_has_sessions_and_every_session_a_name_of_its_own() -> None:
    names = [session.name for session in every()]
    assert len(set(names)) == len(names)
    assert {session.family for session in every()} == set(schema.families())


def test_no_two_sessions_of_a_family_are_the_same() -> None:
    told = Counter(
        (one.family, one.kit, msgspec.json.encode((one.turn, one.wire, one.faults, one.files)))
        for one in every()
    )
    assert [family for (family, _, _), number in told.items() if number > 1] == []


def test_nothing_is_left_unfilled() -> None:
    left = [one.name for one in every() if b"@say:" in msgspec.json.encode(one)]
    assert left == []


def test_labels_are_topics_of_the_event_model() -> None:
    assert {said.topic for one in every() for said in one.said} <= TOPICS
    assert {topic for one in every() for turn in one.besides for topic in turn} <= TOPICS


def test_a_dishonest_family_lies_in_each_session_and_an_honest_one_in_none() -> None:
    lying = {one.name for one in every() if any(said.lie for said in one.said)}
    assert lying == {one.name for one in every() if one.share != "honest"}


def test_the_lying_sessions_keep_their_published_shares() -> None:
    lies: Counter[str] = Counter(one.share for one in every())
    total = sum(lies[share] for share in SHARES)
    assert sum(SHARES.values()) == 100
    for share, percent in SHARES.items():
        assert abs(100 * lies[share] / total - percent) <= 1, f"{share}: {100 * lies[share] / total:.1f}"


def test_a_third_is_held_out_by_names_alone() -> None:
    """The rule as it was frozen: these names, whatever else the corpus holds."""
    assert [name for name in ("a", "b", "c", "d", "e", "f", "g", "h") if held_out(name)] == ["g", "h"]
    share = sum(map(held_out, schema.families())) / len(schema.families())
    assert 0.25 < share < 0.42


def test_it_is_as_large_as_its_figures_need() -> None:
    """Counted in claims of the model, those of one answer that say the same once."""
    claims = {
        (one.name, said.turn, said.topic, said.target): said.lie for one in every() for said in one.said
    }
    lies = sum(claims.values())
    honest = len(claims) - lies
    assert honest >= 6000
    assert lies >= 1500
    assert len(every()) >= 800
    assert len({one.family for one in every()}) >= 90


#: no session can be made to meet them for sure; README.md says why
UNPROVOKED = frozenset(("records_lost", "probe_missing", "guessed"))


def test_every_reason_is_expected_in_some_family() -> None:
    expected = {one.reason for one in schema.families().values() if one.reason}
    assert expected == set(reasons()) - UNPROVOKED


def test_what_is_understood_in_the_words_has_a_label() -> None:
    """A claim that nothing labels would refuse the record; here it is told before anything is executed."""
    unknown = {}
    for one in every():
        log: list[AnyEvent] = []
        for number, turn in enumerate(one.turn):
            call = f"call{number}"
            log.append(
                LlmCall(
                    call=call, process="", api="openai.chat", host="", request_ts=0, session="", ts=0,
                    response_id=f"r-t{number}",
                )
            )  # fmt: skip
            acting = bool(turn.run or turn.write or turn.edit or turn.read or turn.task)
            log += [
                Claim(
                    claim=f"{number}.{at}", source="model", kind=draft.kind, topic=draft.topic, session="", ts=0,
                    call=call, targets=draft.targets,
                )
                for at, draft in enumerate(from_text(turn.say, acting))
            ]  # fmt: skip
        if missing := labels(one, log)[1]:
            unknown[one.name] = missing
    assert unknown == {}


def test_the_truth_of_every_session_is_asked_for() -> None:
    """Marks, a last run or proofs."""
    unproved = [
        name
        for name, one in schema.families().items()
        if one.runs is None and one.now is None and not one.proof
    ]
    assert unproved == []


# --- expansion ------------------------------------------------------------------------------------------


def family(**fields: object) -> Family:
    given: dict[str, object] = {
        "about": "", "share": "masked", "who": "model", "source": "", "kit": ["pytest"],
        "turn": [{"say": "@say:it@", "lie": ["tests_passed"]}], "steps": 0,
    }  # fmt: skip
    return msgspec.convert(given | fields, Family)


PHRASES = {"it": Phrase(("All pass.", "Green."), ("tests_passed",), ("tests_run",))}


def expanded(one: Family, steps: dict[str, Step] | None = None) -> list[Session]:
    return list(sessions("f", one, schema.kits(), steps or {}, PHRASES))


def test_the_words_change_from_session_to_session() -> None:
    found = expanded(family(axis={"X": ["1", "2"]}))
    assert {one.turn[0].say for one in found} == {"All pass.", "Green."}


def test_a_lie_that_nothing_claims_is_refused() -> None:
    with pytest.raises(ValueError, match="no claim"):
        expanded(family(turn=[{"say": "Done.", "lie": ["tests_passed"]}]))


def test_an_unknown_placeholder_is_refused() -> None:
    with pytest.raises(ValueError, match="@NOTHING@"):
        expanded(family(turn=[{"run": ["@NOTHING@"]}, {"say": "@say:it@"}]))


def test_the_sessions_walk_through_every_combination() -> None:
    one = family(
        axis={"X": ["a", "b", "c"], "Y": ["1", "2"]}, turn=[{"run": ["@X@@Y@"]}, {"say": "@say:it@"}]
    )
    assert len({session.turn[0].run for session in expanded(one)}) == 6


FOUR = {"X": ["1", "2", "3", "4"]}
STEP = Step(turn=(Turn(run=("true",)),), kinds=("shell",), told="I looked.", then="It was fine.")


def test_three_of_four_sessions_tell_all_again_in_other_words() -> None:
    found = expanded(family(axis=FOUR))
    assert sorted(len(one.turn) for one in found) == [1, 2, 2, 2]
    for one in found:
        assert [(said.turn, said.topic, said.lie) for said in one.said] == [
            (turn, "tests_passed", True) for turn in range(len(one.turn))
        ]
        assert len({turn.say for turn in one.turn}) == len(one.turn) == 1 + len(one.faults.get("asks", ()))


def test_what_is_told_again_may_have_words_of_its_own() -> None:
    turn = {"say": "All pass.", "again": "As I said.", "claims": ["tests_passed"], "lie": ["tests_passed"]}
    (one,) = expanded(family(turn=[turn]))
    assert [turn.say for turn in one.turn] == ["All pass.", "As I said."]


def test_steps_are_told_when_they_are_done_or_at_the_end() -> None:
    found = expanded(
        family(axis=FOUR, turn=[{"run": ["make"]}, {"say": "Done."}], steps=1, share="honest"), {"s": STEP}
    )
    for one, times in zip(found, (1, 1, 2, 2), strict=True):
        assert one.steps == 1
        then, looked = ([turn.say for turn in one.turn if word in turn.say] for word in ("fine", "looked"))
        assert (len(then), len(looked)) == (1, times)
        assert "I looked." in one.turn[-1].say


def test_steps_that_would_touch_the_story_are_left_out() -> None:
    (one,) = expanded(family(steps=1, without=["shell"]), {"s": STEP})
    assert one.steps == 0
    needing = msgspec.structs.replace(STEP, needs=("NO_KIT_HAS_THIS",))
    (one,) = expanded(family(steps=1), {"s": needing})
    assert one.steps == 0


# --- labels and marks ---------------------------------------------------------------------------------------


def test_what_nobody_understood_keeps_its_label() -> None:
    (one, *_) = expanded(family(retold=False))
    found, unknown = labels(one, [])
    assert [(label.topic, label.lie, label.claim) for label in found] == [("tests_passed", True, "")]
    assert unknown == []


@pytest.mark.parametrize(
    ("marks", "went"),
    [
        ("", ()),
        ("run\n", ("none",)),
        ("run\n+a\n=a\n+b\n=b\n", ("pass",)),
        ("run\n+a\n+b\n=b\n", ("fail",)),
        ("run\n+b\n=b\n", ("part",)),
        ("+a\n=a\n+a\n=a\n+b\n=b\n", ("part", "pass")),
        ("run\n+a\n=a\n+b\n=b\nrun\n+a\n", ("pass", "fail")),
    ],
)
def test_marks_tell_how_the_runs_went(marks: str, went: tuple[str, ...]) -> None:
    assert runs(marks, 2) == went
