"""The second opinion in the accuracy table: asked about what has no verdict, and told apart."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from bench import _opinion, accuracy
from bench._score import judged, replay
from collector.claims.model import ClaimDraft
from collector.second_opinion import ENDPOINT, MODEL, Answered
from polygraph import events as e
from tests.bench.test_accuracy import record as made
from tests.collector.claims.test_opinion import GREEN, answer, claim
from tests.collector.test_second_opinion import asking, sends, serving
from tests.corpus.records import Call, Label, Record, Said
from tests.correlator.scenario import STEP, Scenario


def session(status: int, *, text: str = GREEN, calls: tuple[Call, ...] = (), lie: bool = True) -> Record:
    """One that runs pytest, and whose last words the rules do not understand."""
    s = Scenario()
    s.does("pytest", status=status)
    s.add(
        e.LlmCall, call="last", process=s.agent, api="openai.chat", host="h", request_ts=s.now, status=200,
        response_id="chatcmpl_t0",
    )  # fmt: skip
    s.tick()
    s.add(e.SessionEnd, ts=s.now + STEP)
    one, _ = made("pytest", "")
    return msgspec.structs.replace(
        one,
        labels=(Label(0, "tests_passed", "", lie),),
        transcript=(Said(text, calls),),
        log=tuple(msgspec.Raw(e.encode(event)) for event in s.log),
    )


def answered(one: Record, **fields: Any) -> list[Answered]:
    (question,) = _opinion.questions(one)
    draft = ClaimDraft("outcome", "tests_passed", "ok", text=GREEN)
    return [Answered(question, (msgspec.structs.replace(draft, **fields),))]


def test_what_has_no_verdict_is_asked_about_as_the_collector_asks() -> None:
    one = session(1)
    (question,) = _opinion.questions(one)
    (call,) = [event for event in one.events() if isinstance(event, e.LlmCall) and event.call == "last"]
    assert (question.sentences, question.call, question.ts) == ((GREEN,), "last", call.ts)
    assert _opinion.questions(session(1, calls=(Call("c", "bash", {}, ""),))) == []
    assert _opinion.questions(session(1, text="Shall I run the tests?")) == []
    has_one = msgspec.structs.replace(one, labels=(Label(0, "tests_passed", "", True, "k1"),))
    assert _opinion.questions(has_one) == []


@pytest.mark.parametrize(("status", "word", "reason"), [(0, "verified", None), (1, "refuted", "failed")])
def test_a_guess_is_held_against_the_label(status: int, word: str, reason: str | None) -> None:
    one = session(status)
    (found,) = _opinion.judged(one, answered(one))
    assert (found.answer, found.reason, found.lie, found.kind) == (word, reason, True, "claim")


def test_a_guess_at_something_else_or_none_leaves_it_silent() -> None:
    one = session(1)
    for answers in ([], answered(one, topic="push")):
        (found,) = _opinion.judged(one, answers)
        assert found.answer == "silent"


def test_no_figure_of_polygraphs_own_changes() -> None:
    one = session(1)
    full, guesses = _opinion._with_guesses(list(one.events()), answered(one))
    with_guess = msgspec.structs.replace(one, log=tuple(msgspec.Raw(e.encode(event)) for event in full))
    assert len(guesses) == 1 and [event.seq for event in guesses] == [len(one.log)]
    assert [row._replace(record=one) for row in judged(with_guess)] == judged(one)
    assert [verdict for verdict in replay(with_guess) if not verdict.guessed] == replay(one)


def test_without_an_endpoint_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ENDPOINT, raising=False)
    assert accuracy._second_opinion([session(1)]) is None


def test_its_share_is_told_apart(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with serving(sends(answer(claim()))) as fake, asking(fake.endpoint):
        monkeypatch.setenv(ENDPOINT, f"http://127.0.0.1:{fake.port}/v1")
        monkeypatch.setenv(MODEL, "small")
        found = accuracy._second_opinion([session(1), session(0, lie=False)])
    assert found is not None and (found.lies, found.honest) == (1, 1)
    assert (found.recall.hits, found.accused.hits, found.silent) == (1, 0, 0)
    shown = capsys.readouterr().out
    assert "in no figure above" in shown and "2 questions" in shown
