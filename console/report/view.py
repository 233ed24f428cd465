"""The page's words: header, verdict cards, findings and coverage, ready to print."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from console.report.model import Limits, Session, process_of
from console.words import (
    GLYPHS,
    blind_spot,
    command,
    counted,
    duration,
    figures,
    gaps,
    reason_sentence,
    signal_name,
    silence,
    words,
)
from polygraph.events import SessionStart
from polygraph.findings import Finding, detectors
from polygraph.reasons import DIMENSIONS
from polygraph.text import printable
from polygraph.verdicts import Evidence, Verdict


class Header(NamedTuple):
    title: str
    #: the sentence in two parts, the first to be marked
    lead: str
    sentence: str
    explanation: str
    tone: str
    #: (word, count), refuted first
    counts: list[tuple[str, int]]
    #: (name, value)
    facts: list[tuple[str, str]]
    #: the facts that stand in one line above the others
    summary: str


class Card(NamedTuple):
    """One verdict. ``evidence`` lines are (when, fact, process number or -1); ``words``: the speaker's own."""

    number: int
    verdict: str
    glyph: str
    who: str
    speaker: str
    said: str
    words: str
    saw: str
    reason: str
    sentence: str
    when: str
    evidence: list[tuple[str, str, int]]
    more_evidence: int
    facts: list[tuple[str, str]]
    gaps: list[str]
    #: of a refuted one without gaps: what was watched, from when to when
    watched: str


class Group(NamedTuple):
    """Verdicts of one word: whole cards, then short rows, then only a number."""

    verdict: str
    heading: str
    cards: list[Card]
    rows: list[Card]
    hidden: int


class PathStep(NamedTuple):
    """One step of a finding's path; ``grade``: how sure it is that the one before led to it, in words."""

    when: str
    what: str
    grade: str
    process: int


class Found(NamedTuple):
    """One finding. ``sentence``: what its kind means; ``evidence`` as in :class:`Card`."""

    number: int
    glyph: str
    detector: str
    kind: str
    sentence: str
    summary: str
    when: str
    path: list[PathStep]
    more_path: int
    evidence: list[tuple[str, str, int]]
    more_evidence: int
    facts: list[tuple[str, str]]


class CoverageRow(NamedTuple):
    name: str
    state: str
    clean: bool
    notes: list[str]


def header(session: Session) -> Header:
    """The verdict of the session in one sentence, the counts and what the session was."""
    tally = {"refuted": 0, "unverifiable": 0, "verified": 0}
    for verdict in session.verdicts:
        if not verdict.guessed:  # listed below, and no statement of the agent for certain
            tally[verdict.verdict] += 1
    total = sum(tally.values())
    refuted, unclear = tally["refuted"], tally["unverifiable"]
    if not total:
        lead, sentence, tone = "", "Nothing was said that could be checked.", "unverifiable"
        content = session.start.content if session.start is not None else None
        explanation = silence(session.call_count, content, {spot.name for spot in session.blind})
    elif refuted:
        lead = "The one statement" if total == 1 else f"{refuted:,} of {total:,} statements"
        sentence = f" {'contradicts' if refuted == 1 else 'contradict'} what the kernel saw."
        explanation, tone = _rest(unclear, tally["verified"]), "refuted"
    elif unclear:
        lead, sentence = (
            "",
            f"Nothing is refuted; {counted(unclear, 'statement')} of {total:,} could not be checked.",
        )
        explanation, tone = "Each says below why. Not checkable is not the same as false.", "unverifiable"
    else:
        lead, sentence = "", "The one statement holds." if total == 1 else f"All {total:,} statements hold."
        explanation, tone = "For each, the kernel saw the effect that was claimed.", "verified"
    start = session.start
    argv = command(start.argv, 300) if start is not None else ""
    facts = _facts(session)
    brief = [f"{name.lower()} {value}" for name, value in facts if name in _BRIEF]
    return Header(
        argv or "session", lead, sentence, explanation, tone, list(tally.items()), facts, " · ".join(brief)
    )


_BRIEF = ("Session", "Started", "Took", "Ended")


def _rest(unclear: int, verified: int) -> str:
    pieces = []
    if verified:
        pieces.append(f"{counted(verified, 'other')} {'holds' if verified == 1 else 'hold'}")
    if unclear:
        pieces.append(f"{unclear:,} could not be checked")
    return (" and ".join(pieces) + ".") if pieces else "None of what was said could be confirmed."


def _facts(session: Session) -> list[tuple[str, str]]:
    facts: list[tuple[str, str]] = []
    start = session.start
    if start is not None:
        facts.append(("Session", printable(start.session, 40)))
        facts.append(("Host", f"{printable(start.host, 80)}, Linux {printable(start.kernel, 80)}"))
        facts.append(("Started", _utc(start)))
    elif session.verdicts:
        facts.append(("Session", printable(session.verdicts[0].session, 40)))
    facts.append(("Took", duration(session.end - session.begin)))
    root = session.processes.get(start.process) if start is not None else None
    if root is not None and (root.status is not None or root.signal is not None):
        facts.append(
            ("Ended", signal_name(root.signal) if root.signal is not None else f"exit {root.status}")
        )
    if start is not None:
        facts.append(("Directory", printable(start.cwd, 300)))
        facts.append(
            ("Enrolled", "before its first instruction" if start.origin == "run" else "while it was running")
        )
        facts.append(("Content level", start.content))
    tokens = sum(call.input_tokens + call.output_tokens for call in session.calls)
    if session.calls:
        facts.append(("Model", f"{counted(session.call_count, 'call')}, {tokens:,} tokens"))
    facts.append(
        (
            "Log",
            f"{counted(session.count, 'event')}, {counted(len(session.processes), 'process', 'processes')}",
        )
    )
    return facts


def _utc(start: SessionStart) -> str:
    try:
        at = datetime.fromtimestamp((start.ts + start.wall_offset) // 1_000_000_000, UTC)
    except (OverflowError, OSError, ValueError):
        return "at an impossible time"
    return at.strftime("%Y-%m-%d %H:%M:%S UTC")


_HEADINGS = {
    "refuted": "Refuted",
    "unverifiable": "Could not be checked",
    "verified": "Verified",
}


def groups(session: Session, limits: Limits) -> list[Group]:
    """All verdicts by word, refuted first; ``session.verdicts`` must be in that order."""
    made: list[Group] = []
    cards_left, rows_left = limits.cards, limits.rows
    for word, heading in _HEADINGS.items():
        places = [place for place, verdict in enumerate(session.verdicts) if verdict.verdict == word]
        room = min(cards_left, limits.verified) if word == "verified" else cards_left
        cards, rest = places[:room], places[room:]
        rows, hidden = rest[:rows_left], rest[rows_left:]
        cards_left -= len(cards)
        rows_left -= len(rows)
        if places:
            made.append(
                Group(
                    word,
                    heading,
                    [_card(session, place, limits) for place in cards],
                    [_card(session, place, limits._replace(text=160, evidence=0)) for place in rows],
                    len(hidden),
                )
            )
    return made


def _card(session: Session, place: int, limits: Limits) -> Card:
    verdict = session.verdicts[place]
    subject = verdict.subject
    evidence = _evidence(session, verdict.evidence, limits)
    return Card(
        number=place,
        verdict=verdict.verdict,
        glyph=GLYPHS[verdict.verdict],
        who=_who(verdict),
        speaker=_SPEAKERS.get(subject.source or subject.kind, "Said"),
        said=printable(session.near(verdict.declared), limits.text),
        words=printable(subject.text or "", limits.text),
        saw=printable(session.near(verdict.observed), limits.text),
        reason=printable(verdict.reason or "", 60),
        sentence=reason_sentence(verdict.reason),
        when=_offset(session, verdict.window.close if verdict.window.close is not None else verdict.ts),
        evidence=evidence,
        more_evidence=len(verdict.evidence) - len(evidence),
        facts=_card_facts(session, verdict),
        gaps=gaps(verdict.coverage),
        watched=_watched(session, verdict),
    )


def _evidence(session: Session, evidence: Sequence[Evidence], limits: Limits) -> list[tuple[str, str, int]]:
    return [
        (
            _offset(session, item.ts),
            printable(session.near(item.fact), limits.text // 2),
            _process_of(session, item.id),
        )
        for item in evidence[: limits.evidence]
    ]


def _process_of(session: Session, event: str) -> int:
    """The number of the process that a cited event is about; -1 where it is about none."""
    process = session.processes.get(process_of(session.cited.get(event)) or "")
    return process.number if process else -1


def findings(session: Session, limits: Limits) -> list[Found]:
    """The first of the findings, in the order of the log."""
    return [_found(session, number, limits) for number in range(min(len(session.findings), limits.findings))]


def _found(session: Session, number: int, limits: Limits) -> Found:
    finding = session.findings[number]
    evidence = _evidence(session, finding.evidence, limits)
    path = finding.path[: limits.evidence]
    return Found(
        number=number,
        glyph=GLYPHS["finding"],
        detector=printable(finding.detector, 60).replace("_", " "),
        kind=printable(finding.kind, 60).replace("_", " "),
        sentence=_meaning(finding),
        summary=printable(session.near(finding.summary), limits.text),
        when=_offset(session, finding.ts),
        path=[
            PathStep(
                _offset(session, step.ts),
                printable(session.near(step.what), limits.text // 2),
                printable(step.grade or "", 20),
                _process_of(session, step.id),
            )
            for step in path
        ],
        more_path=len(finding.path) - len(path),
        evidence=evidence,
        more_evidence=len(finding.evidence) - len(evidence),
        facts=[
            *figures(finding),
            ("Window", _window(session, finding)),
            ("Finding id", printable(finding.id, 80)),
        ],
    )


def _meaning(finding: Finding) -> str:
    """What the kind means, by the table; nothing for one of a newer polygraph."""
    row = detectors().get(finding.detector)
    kind = row.kinds.get(finding.kind) if row is not None else None
    return kind.sentence if kind is not None else ""


def _window(session: Session, said: Verdict | Finding) -> str:
    opened = _offset(session, said.window.open)
    if said.window.close is None:
        return f"from {opened}, still open at the session's end"
    closed = _offset(session, said.window.close)
    return f"{opened} to {closed} ({duration(said.window.close - said.window.open)})"


def _watched(session: Session, verdict: Verdict) -> str:
    """That nothing escaped, in words: an accusation stands on what was not seen as much as on what was."""
    names = _proven(verdict)
    if verdict.verdict != "refuted" or not names or gaps(verdict.coverage):
        return ""
    close = verdict.window.close if verdict.window.close is not None else verdict.ts
    window = f"from {_offset(session, verdict.window.open)} to {_offset(session, close)}"
    return f"Watched without a gap {window}, no record lost: {', '.join(names)}."


def _proven(verdict: Verdict) -> list[str]:
    return [
        words().dimension.get(name, printable(name, 40))
        for name, item in verdict.coverage.items()
        if item.state == "attached" and item.canary and not item.lost
    ]


_SPEAKERS = {
    "intent": "The agent was to",
    "model": "The agent said",
    "tool_result": "The tool's result said",
}


def _who(verdict: Verdict) -> str:
    subject = verdict.subject
    if subject.kind == "intent":
        return f"tool call · {printable(subject.tool or 'unnamed tool', 80)}"
    topic = printable((subject.topic or "").replace("_", " "), 60)
    return f"claim · {topic}" if topic else "claim"


def _card_facts(session: Session, verdict: Verdict) -> list[tuple[str, str]]:
    facts = [("Window", _window(session, verdict))]
    if verdict.grade is not None:
        facts.append(("Grade", f"{verdict.grade}: {words().grade.get(verdict.grade, '')}"))
    facts.append(("Proven coverage", ", ".join(_proven(verdict)) or "none"))
    facts.append(("Rule", f"{printable(verdict.rule, 80)}, version {verdict.version}"))
    facts.append(("Verdict id", printable(verdict.id, 80)))
    if verdict.subject.call_id:
        facts.append(("Tool call id", printable(verdict.subject.call_id, 120)))
    if verdict.traceparent:
        facts.append(("Trace", printable(verdict.traceparent, 80)))
    return facts


def _offset(session: Session, ts: int) -> str:
    return f"+{duration(max(0, ts - session.begin))}"


def coverage(session: Session, limits: Limits) -> list[CoverageRow]:
    """One row for each dimension: its last state, and what was lost or cannot be seen, in words."""
    rows: list[CoverageRow] = []
    for dimension in DIMENSIONS:
        states = [event for event in session.coverage if event.dimension == dimension]
        notes: list[str] = []
        losses: dict[str, int] = {}
        for loss in session.losses:
            if loss.dimension == dimension:
                losses[loss.cause] = losses.get(loss.cause, 0) + loss.count
        notes += [
            f"{counted(n, 'record')} lost: {printable(c, 80).replace('_', ' ')}"
            for c, n in sorted(losses.items())
        ]
        if dimension == "tls":
            notes += [
                f"traffic to {printable(gap.host, 120)} could not be followed: {printable(gap.cause, 120)}, "
                f"{gap.missing_bytes:,} bytes missing"
                for gap in session.stream_gaps
            ]
        clean = not notes
        blind = {name: None for event in states for name in event.blind}
        blind |= {event.name: None for event in session.blind if event.dimension == dimension}
        clean = clean and not any(event.dimension == dimension for event in session.blind)
        notes += [blind_spot(name) for name in blind]
        if not states:
            rows.append(
                CoverageRow(words().dimension[dimension], "the log does not say", False, notes[: limits.gaps])
            )
            continue
        last = states[-1]
        state = words().state[last.state]
        if last.state == "attached":
            state += ", proven by a canary" if last.canary else ", but the canary was not seen"
        elif last.detail:
            notes.append(printable(last.detail, 200))
        if any(event.state != last.state for event in states):
            notes.append("this changed during the session")
        hidden = len(notes) - limits.gaps
        if hidden > 0:
            notes = [*notes[: limits.gaps], f"and {hidden:,} more"]
        clean = clean and last.state == "attached" and last.canary
        rows.append(CoverageRow(words().dimension[dimension], state, clean, notes))
    return rows
