"""The second opinion in the pipeline: who is asked about what, and what an answer becomes in the log."""

from __future__ import annotations

from typing import Any

import pytest

from collector.claims.model import ClaimDraft
from collector.claims.opinion import MAX_SENTENCES, Question
from collector.collect import Collector
from collector.pipeline import SessionPipeline
from collector.redact import credentials, redact
from collector.second_opinion import Answered, Asker
from correlator.engine import Engine
from polygraph.content import LEVELS, ContentLevel
from polygraph.events import AnyEvent, Claim, Exec, Exit, FileState, Fork, SessionEnd, Tick
from polygraph.verdicts import Assumed
from tests.agents.script import Answer, ToolCall
from tests.collector.claims.test_opinion import GREEN, WROTE, answer, claim
from tests.collector.said import HOST_KEY, ROOT, Talk, encoded, start
from tests.collector.test_second_opinion import asking, cause, sends, serving, until

TESTS = ToolCall("bash", {"command": "pytest -q"})


class Asked(Talk):
    """A conversation whose unread sentences are asked about; ``questions`` has them."""

    def __init__(self, content: ContentLevel = "metadata", **fields: Any) -> None:
        super().__init__(content, **fields)
        self.questions: list[Question] = []
        self.pipeline = SessionPipeline(start(content), HOST_KEY, self._look, ask=self.questions.append)


def claims(events: list[AnyEvent]) -> list[Claim]:
    return [event for event in events if isinstance(event, Claim)]


def draft(question: Question, topic: Any = "tests_passed", **fields: Any) -> ClaimDraft:
    text = question.sentences[0]
    return ClaimDraft("outcome", topic, "ok", text=text, tells=question.tells, **fields)


# --- what is asked -----------------------------------------------------------------------------------------


def test_who_is_not_asked_says_the_same_and_sends_nothing() -> None:
    """Off by default: the log of a session without a port is that of one whose answers never come."""
    logs = []
    for talk in (Talk(), Asked()):
        talk.works(TESTS, "12 passed in 1s")
        talk.says(Answer(f"All 12 tests pass. {GREEN} {WROTE}"))
        logs.append(encoded(talk.log()))
    assert logs[0] == logs[1]
    assert isinstance(talk, Asked) and [one.sentences for one in talk.questions] == [(GREEN, WROTE)]


def test_the_question_says_what_the_user_and_the_text_speak_of() -> None:
    talk = Asked()
    talk.asks("Run only the unit tests.")
    talk.says(Answer(f"{GREEN} Some tests are skipped for now."))
    (question,) = talk.questions
    assert set(question.tells) == {"part", "skipped"}
    assert (question.session, question.process) == ("s1", "10:1")


def test_what_is_said_beside_tool_calls_may_be_a_plan_and_is_not_asked_about() -> None:
    talk = Asked()
    talk.says(Answer(GREEN, calls=(TESTS,)))
    assert talk.questions == []


def test_what_broke_off_is_not_asked_about() -> None:
    talk = Asked()
    talk.says(Answer(GREEN), status=529)
    assert talk.questions == []


def test_beyond_the_limits_it_says_how_much_is_left_out() -> None:
    talk = Asked()
    talk.says(Answer(" ".join(f"It holds {number} times." for number in range(MAX_SENTENCES + 9))))
    (question,) = talk.questions
    assert (len(question.sentences), question.left_out) == (MAX_SENTENCES, 9)


def test_at_off_nobody_is_asked() -> None:
    """There is no plaintext then; if there were, it would stay here."""
    asked = []
    for level in LEVELS:
        talk = Asked(level)
        talk.says(Answer(GREEN))
        asked.append(len(talk.questions))
    assert dict(zip(LEVELS, asked, strict=True)) == {"off": 0, "metadata": 1, "redacted": 1, "full": 1}


@pytest.mark.parametrize("row", credentials(), ids=lambda row: row.name)
def test_no_credential_is_asked_about(row: Any) -> None:
    for example in row.examples:
        talk = Asked()
        talk.says(Answer(f"{GREEN}\n\nThe key of the shop is this one: {example}\n\nIt sits where it was."))
        asked = "\n".join(sentence for question in talk.questions for sentence in question.sentences)
        assert GREEN in asked
        assert redact(asked) == asked and example not in asked


# --- what an answer becomes --------------------------------------------------------------------------------


@pytest.mark.parametrize("content", ["metadata", "redacted", "full"])
def test_a_guess_is_a_claim_that_says_so(content: ContentLevel) -> None:
    talk = Asked(content)
    talk.says(Answer(GREEN))
    (question,) = talk.questions
    before = talk.tick()
    assert isinstance(before[-1], Tick) and claims(before) == []
    later = before[-1].ts + 50
    talk.pipeline.guessed(question, [draft(question, counts={"passed": 12})], later)
    talk.ts = later
    (claim,) = claims(talk.tick())
    assert (claim.extracted_by, claim.source, claim.topic, claim.counts) == (
        "model", "model", "tests_passed", {"passed": 12},
    )  # fmt: skip
    assert claim.ts == later > before[-1].ts >= claim.said_ts == question.ts
    assert claim.text == (None if content == "metadata" else GREEN)
    assert claim.call == question.call


def test_an_answer_that_comes_twice_is_one() -> None:
    talk = Asked()
    talk.says(Answer(GREEN))
    (question,) = talk.questions
    for _ in range(2):
        talk.pipeline.guessed(question, [draft(question)], talk.ts + 1)
    assert len(claims(talk.log())) == 1


def test_the_files_of_a_guess_are_not_looked_at() -> None:
    talk = Asked()
    talk.says(Answer(WROTE))
    (question,) = talk.questions
    told = ClaimDraft("occurrence", "file_created", targets=("notes.md",), text=WROTE)
    talk.pipeline.guessed(question, [told], talk.ts + 1)
    events = talk.log()
    assert len(claims(events)) == 1 and talk.looked == []
    assert not any(isinstance(event, FileState) for event in events)


def test_a_guess_reaches_a_verdict_that_decides_nothing() -> None:
    talk = Asked()
    talk.says(Answer(GREEN))
    (question,) = talk.questions
    log = talk.tick()
    talk.pipeline.guessed(question, [draft(question)], talk.ts + 1)
    talk.ts += 2
    talk.effect(SessionEnd)
    log += talk.log()
    engine = Engine()
    verdicts = [verdict for event in log for verdict in engine.feed(event).verdicts]
    assert [(verdict.verdict, verdict.reason) for verdict in verdicts] == [("unverifiable", "guessed")]


def test_from_the_words_to_the_verdict_over_a_real_connection() -> None:
    """The whole way but the kernel's: the model says it, an endpoint is asked, the runner had failed."""
    said = answer(claim(passed=12), claim(topic="push", kind="occurrence", outcome=None, sentence=1))
    with serving(sends(said)) as fake, asking(fake.endpoint) as asker:
        talk = Asked()
        talk.pipeline = SessionPipeline(start(), HOST_KEY, talk._look, ask=asker.ask)
        for event in (
            {"kind": Fork, "process": ROOT, "child": "11:2"},
            {"kind": Exec, "process": "11:2", "parent": ROOT, "path": "/usr/bin/pytest", "argv": ("pytest",)},
            {"kind": Exit, "process": "11:2", "status": 1},
        ):
            talk.effect(event.pop("kind"), **event, **({"cwd": "/repo"} if "argv" in event else {}))  # type: ignore[arg-type]
        talk.says(Answer(f"{GREEN} It is on its way to the origin."))
        log = talk.tick()
        assert claims(log) == []
        until(lambda: not asker._waiting and asker._current is None)
        for answered in asker.take():
            talk.ts += 5
            talk.pipeline.guessed(answered.question, answered.claims, talk.ts)
        log += talk.log()
        assert cause(asker) == {}
    assert len(fake.asked) == 1
    engine = Engine()
    verdicts = [verdict for event in log for verdict in engine.feed(event).verdicts]
    assert [(one.subject.topic, one.verdict, one.reason, one.assumed) for one in verdicts] == [
        ("tests_passed", "unverifiable", "guessed", Assumed(verdict="refuted", reason="failed")),
        ("push", "unverifiable", "guessed", Assumed(verdict="unverifiable", reason="probe_missing")),
    ]


# --- the collector's loop ----------------------------------------------------------------------------------


class _Answers(Asker):
    """An asker whose answers a test gives."""

    def __init__(self, *answers: Answered) -> None:
        self.given = list(answers)
        self.too_late: list[Answered] = []

    def take(self) -> list[Answered]:
        given, self.given = self.given, []
        return given

    def late(self, answer: Answered) -> None:
        self.too_late.append(answer)

    def waits(self, session: str) -> bool:
        return any(answer.question.session == session for answer in self.given)


class _Session:
    """What the collector needs of a session here."""

    def __init__(self, name: str) -> None:
        self.id, self.handle, self.idle = name, 16, True
        self.heard: list[tuple[Answered, int]] = []

    def guessed(self, answered: Answered, ts: int) -> None:
        self.heard.append((answered, ts))


def test_an_answer_goes_to_its_session_or_is_late() -> None:
    mine, gone = (Answered(Question(name, "c", "1:1", 5, (GREEN,)), ()) for name in ("s", "gone"))
    asker, session = _Answers(mine, gone), _Session("s")
    collector = Collector("metadata", b"key", asker=asker)
    collector._sessions[16] = session  # type: ignore[assignment]
    assert collector.asks("s") and not collector.ended(
        "s"
    )  # its lineage is over, its last words are asked about
    collector._hear(77)
    assert session.heard == [(mine, 77)] and asker.too_late == [gone]
    assert not collector.asks("s") and collector.ended("s")


def test_a_collector_without_an_asker_asks_nobody() -> None:
    collector = Collector("metadata", b"key")
    collector._sessions[16] = _Session("s")  # type: ignore[assignment]
    collector._hear(77)
    assert not collector.asks("s") and collector.ended("s")
