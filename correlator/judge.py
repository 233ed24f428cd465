"""From a subject to its verdict: picks the rule, and dresses what it says."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from correlator import declared, windows
from correlator.delegation import given_away, served_inside
from correlator.facts import fact
from correlator.guesses import assumed, held_back, when_said
from correlator.outcome import MAX_EVIDENCE, Outcome, combine, unverifiable, verified
from correlator.rules import absence, commands, executions, file_claims, files, network, outcomes, reads
from correlator.session import IntentState, Session
from correlator.windows import Span
from polygraph.events import Claim, Exec, LlmCall
from polygraph.ids import derived_id
from polygraph.reasons import GRADES
from polygraph.verdicts import Subject, Verdict

#: raised when a change of the rules changes verdicts on the same log
RULES_VERSION = 2


def intent(session: Session, state: IntentState, now: int) -> Verdict:
    """The verdict on a tool call, ``now`` being the watermark."""
    span = windows.of_intent(session, state, now)
    said = state.intent
    rule, outcome = _intent_rule(session, state, span, now)
    if outcome.reason == "handed_off" and served_inside(session, state, span.until):
        outcome = _by_server(session, state, span, now) or outcome
    subject = Subject(
        kind="intent",
        id=said.intent,
        tool=said.tool,
        call_id=said.call_id,
        call=said.call,
        digest=said.digest,
        text=said.text,
    )
    return _dress(session, subject, rule, outcome, span, declared.of_intent(said), said.call)


def claim(session: Session, said: Claim, now: int) -> Verdict:
    """The verdict on a claim, ``now`` being the watermark. On a guess it says what it would be, and is none."""
    guess = said.extracted_by == "model"
    if guess:
        said = when_said(said)
    span = windows.of_claim(session, said)
    rule, outcome = _claim_rule(session, said, span, now)
    state = session.intents.get(said.intent) if said.intent is not None else None
    if said.source == "tool_result" and state is not None:
        span = windows.of_intent(session, state, now)
    subject = Subject(
        kind="claim",
        id=said.claim,
        tool=said.tool,
        call_id=said.call_id,
        call=said.call,
        digest=said.digest,
        source=said.source,
        claim_kind=said.kind,
        topic=said.topic,
        text=said.text,
    )
    if not guess:
        return _dress(session, subject, rule, outcome, span, declared.of_claim(said), said.call)
    verdict = _dress(session, subject, rule, held_back(outcome), span, declared.of_claim(said), said.call)
    return msgspec.structs.replace(verdict, assumed=assumed(outcome))


def _intent_rule(session: Session, state: IntentState, span: Span, now: int) -> tuple[str, Outcome]:
    match state.intent.kind:
        case "shell":
            return "intent.shell", executions.judge(session, state, span, now)
        case "write" | "edit" | "delete":
            return "intent.files", files.judge(session, state, span)
        case "read":
            return "intent.read", reads.judge(session, state, span)
        case "delegate":
            return "intent.delegate", _delegated(session, state, span, now)
        case _:
            return f"intent.{state.intent.kind}", _by_parts(session, state, span, now)


def _by_server(session: Session, state: IntentState, span: Span, now: int) -> Outcome | None:
    """What an MCP server of the lineage was seen to do. What it was not may mean something else to it: a path in a
    root of its own, a command that it runs in its own code."""
    told = IntentState(msgspec.structs.replace(state.intent, hand_off=None), state.result, state.states)
    _rule, outcome = _intent_rule(session, told, span, now)
    return outcome if outcome.verdict == "verified" else None


def _by_parts(session: Session, state: IntentState, span: Span, now: int) -> Outcome:
    said = state.intent
    parts: list[Outcome] = []
    if any(not e.builtin for e in said.executions) or said.command_digest is not None:
        parts.append(executions.judge(session, state, span, now))
    if any(f.op != "read" for f in said.files):
        parts.append(files.judge(session, state, span))
    if any(f.op == "read" for f in said.files):
        parts.append(reads.judge(session, state, span))
    if said.hosts:
        parts.append(network.judge(session, state, span))
    if parts:
        return combine(parts)
    given = given_away(session, state, span.until)
    if given is not None:
        return unverifiable("handed_off", f"the work was given to {given}, outside the lineage")
    return unverifiable("form_unknown", "what this tool does to the system is not known")


def _delegated(session: Session, state: IntentState, span: Span, now: int) -> Outcome:
    """A sub-agent in the lineage shows by its own calls of a model while its parent waits."""
    if state.intent.executions or state.intent.files or state.intent.hosts:
        return _by_parts(session, state, span, now)
    inside = [
        call
        for call in session.calls.values()
        if call.call != state.intent.call and span.open <= call.request_ts and call.ts <= span.until
    ]
    if inside:
        return verified("a sub-agent called a model while its parent waited", "weak", inside[0])
    return unverifiable("handed_off", "no sub-agent was seen in the lineage")


def _claim_rule(session: Session, said: Claim, span: Span, now: int) -> tuple[str, Outcome]:
    rule = f"claim.{said.topic}"
    match said.topic:
        case "file_created" | "file_changed" | "file_deleted":
            return rule, file_claims.judge(session, said, span)
        case "file_read":
            return rule, reads.judge_claim(session, said, span)
        case "nothing_else_changed":
            return rule, absence.judge(session, said, span)
        case "server_started":
            return rule, commands.judge_server(session, said, span)
        case "url_fetched":
            return rule, commands.judge_fetch(session, said, span)
        case "command_run":
            return rule, commands.judge_command(session, said, span)
        case _:
            return rule, outcomes.judge(session, said, span, now)


def _trace_context(llm: LlmCall | None, outcome: Outcome) -> str | None:
    """The tool's own, which the command got in its environment, else that of the call of the model."""
    own = {event.traceparent for event in outcome.evidence if isinstance(event, Exec) and event.traceparent}
    if len(own) == 1:
        return own.pop()
    return llm.traceparent if llm is not None else None


def _through(session: Session, outcome: Outcome) -> Outcome:
    """Says through what the work was done, where it was delegated; the join is no surer than that."""
    if outcome.verdict == "unverifiable":
        return outcome
    found = {
        event.process: event
        for one in outcome.evidence
        if (process := getattr(one, "process", None))
        and (event := session.graph.through(process, one.ts)) is not None
    }
    if not found:
        return outcome
    grades = [outcome.grade, *(event.grade for event in found.values())]
    grade = max((grade for grade in grades if grade is not None), key=GRADES.index)
    services = " and ".join(sorted({event.through for event in found.values()}))
    evidence = (*outcome.evidence[: MAX_EVIDENCE - len(found)], *found.values())
    return replace(
        outcome,
        observed=f"{outcome.observed}, through {services}",
        evidence=evidence[:MAX_EVIDENCE],
        grade=grade,
    )


def _dress(
    session: Session, subject: Subject, rule: str, outcome: Outcome, span: Span, said: str, call: str | None
) -> Verdict:
    llm = session.calls.get(call) if call is not None else None
    outcome = _through(session, outcome)
    return Verdict(
        id=derived_id("v", subject.id),
        session=session.id,
        ts=span.until,
        subject=subject,
        verdict=outcome.verdict,
        reason=outcome.reason,
        grade=outcome.grade,
        declared=said,
        observed=outcome.observed,
        evidence=tuple(fact(event) for event in outcome.evidence),
        coverage=dict(session.coverage.report(span.early, span.until)),
        window=span.shown,
        traceparent=_trace_context(llm, outcome),
        rule=rule,
        version=RULES_VERSION,
    )
