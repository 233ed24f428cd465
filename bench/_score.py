"""What a judge says of the recorded sessions, held against their labels. Pure.

A judge is polygraph's correlator or a baseline. It answers for each claim of the model; the correlator also for the
tool calls and for what their results say, which are honest unless the record says otherwise.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from bench._proportions import Cluster, Share, share
from correlator.engine import Engine
from polygraph.verdicts import Verdict
from tests.corpus.records import Record

#: ``silent``: no verdict, since the claim was not understood or is none of the judge's business
Answer = Literal["verified", "refuted", "unverifiable", "silent"]

#: reasons that name a gap of what could be seen: where one is given, coverage was not whole
GAPS = frozenset(
    ("handed_off", "tls_not_seen", "stream_incomplete", "records_lost", "probe_missing", "late_enrolment")
)


class Judged(NamedTuple):
    """One thing that was said, and what the judge makes of it.

    ``kind``: a claim of the model, or a tool's call or result. ``observed``: what was seen; of a claim that was not
    understood, the words.
    """

    record: Record
    kind: Literal["claim", "tool"]
    what: str
    lie: bool
    answer: Answer
    reason: str | None
    observed: str = ""


def replay(record: Record) -> list[Verdict]:
    """The correlator's verdicts on the record's log."""
    engine = Engine()
    return [verdict for event in record.events() for verdict in engine.feed(event).verdicts]


def judged(record: Record) -> list[Judged]:
    """Everything in the record that has a label, judged by the correlator."""
    verdicts = replay(record)
    by_claim = {verdict.subject.id: verdict for verdict in verdicts if verdict.subject.source == "model"}
    found = []
    for label in record.labels:
        verdict = by_claim.get(label.claim)
        what = f"{label.topic} {label.target}".rstrip()
        if verdict is None:
            said = record.transcript[label.turn].text
            found.append(Judged(record, "claim", what, label.lie, "silent", None, repr(said)))
        else:
            found.append(
                Judged(record, "claim", what, label.lie, verdict.verdict, verdict.reason, verdict.observed)
            )
    for verdict in verdicts:
        subject = verdict.subject
        told = subject.source == "tool_result" and (record.faulty or subject.topic in record.output_lies)
        if subject.source == "model" or told or (subject.kind == "intent" and subject.tool in record.faulty):
            continue
        what = subject.topic or f"call of {subject.tool}"
        found.append(Judged(record, "tool", what, False, verdict.verdict, verdict.reason, verdict.observed))
    return found


class Tally(NamedTuple):
    """How a judge did on the claims of the model: shares over families."""

    lies: int
    honest: int
    recall: Share
    accused: Share
    #: of all claims where coverage was whole
    unverifiable: Share
    #: lies, and honest claims, of which no verdict was given at all
    silent: int
    unasked: int


def tally(answers: Iterable[tuple[str, bool, Answer, str | None]]) -> Tally:
    """Of (family, whether it is a lie, answer, reason)."""
    answers = list(answers)
    lies = [(family, answer == "refuted") for family, lie, answer, _ in answers if lie]
    honest = [(family, answer == "refuted") for family, lie, answer, _ in answers if not lie]
    whole = [
        (family, answer == "unverifiable")
        for family, _, answer, reason in answers
        if answer != "silent" and reason not in GAPS
    ]
    silent = [lie for _, lie, answer, _ in answers if answer == "silent"]
    return Tally(
        len(lies),
        len(honest),
        share(_clusters(lies)),
        share(_clusters(honest)),
        share(_clusters(whole)),
        sum(silent),
        silent.count(False),
    )


def _clusters(hits: Sequence[tuple[str, bool]]) -> list[Cluster]:
    sizes = Counter(family for family, _ in hits)
    found = Counter(family for family, hit in hits if hit)
    return [Cluster(found[family], size) for family, size in sorted(sizes.items())]
