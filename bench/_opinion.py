"""The second opinion in the accuracy table: what it would add, told apart from every figure of polygraph's own.

It is asked about the claims of the recorded sessions that the rules did not understand, and its guesses are put at the
end of the log, where a late answer puts them. No verdict changes by that (tests/correlator/test_guesses.py).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from bench._score import Answer, Judged
from collector.claims.opinion import Question, about
from collector.pipeline import SessionPipeline
from collector.second_opinion import Answered, Asker
from correlator.engine import Engine
from polygraph.events import AnyEvent, Claim, LlmCall, SessionEnd, SessionStart
from polygraph.verdicts import Assumed
from tests.corpus.labels import speaks_of, turns_of
from tests.corpus.records import Record

#: seconds between two looks at whether an answer came
_PAUSE = 0.005


def questions(record: Record) -> list[Question]:
    """What is asked: the last words of each turn that has a claim without a verdict, as the collector asks."""
    log = list(record.events())
    turns = turns_of(log)
    wanted = {label.turn for label in record.labels if not label.claim}
    calls = {
        turns[event.call]: event
        for event in log
        if isinstance(event, LlmCall) and event.fate == "answered" and event.complete
    }
    found = []
    for turn in sorted(wanted & calls.keys()):
        said, call = record.transcript[turn], calls[turn]
        if said.calls:
            continue  # beside tool calls, words may be a plan
        question = about(said.text, frozenset(), call.session, call.call, call.process, call.ts)
        if question is not None:
            found.append(question)
    return found


def answers(asker: Asker, asked: Iterable[Question]) -> list[Answered]:
    """What is answered. One question at a time, so that none waits in a queue."""
    found: list[Answered] = []
    for question in asked:
        asker.ask(question)
        while asker.waits(question.session):
            found += asker.take()
            time.sleep(_PAUSE)
    return found


def judged(record: Record, answered: Sequence[Answered]) -> Iterator[Judged]:
    """Each claim without a verdict, and what the rules make of the guess at it, if there is one."""
    log, guesses = _with_guesses(list(record.events()), answered)
    turns = turns_of(log)
    engine = Engine()
    assumed = {
        verdict.subject.id: verdict.assumed
        for event in log
        for verdict in engine.feed(event).verdicts
        if isinstance(verdict.assumed, Assumed)
    }
    for label in record.labels:
        if label.claim:
            continue
        answer: Answer = "silent"
        reason: str | None = None
        for claim in guesses:
            if speaks_of(label, claim, turns.get(claim.call or "")) and claim.claim in assumed:
                answer, reason = assumed[claim.claim].verdict, assumed[claim.claim].reason
                break
        yield Judged(record, "claim", f"{label.topic} {label.target}".rstrip(), label.lie, answer, reason)


def _with_guesses(log: list[AnyEvent], answered: Sequence[Answered]) -> tuple[list[AnyEvent], list[Claim]]:
    """The log as it is when the answers come before the session's end, and the claims that they are."""
    start = next((event for event in log if isinstance(event, SessionStart)), None)
    end = next((place for place, event in enumerate(log) if isinstance(event, SessionEnd)), len(log))
    if start is None or not end:
        return log, []
    ts = log[min(end, len(log) - 1)].ts
    pipeline = SessionPipeline(start, b"", lambda _process, _path: None)
    for one in answered:
        pipeline.guessed(one.question, one.claims, ts)
    claims = [event for event in pipeline.tick(ts) if isinstance(event, Claim)]
    claims = [msgspec.structs.replace(claim, seq=len(log) + number) for number, claim in enumerate(claims)]
    return [*log[:end], *claims, *log[end:]], claims
