"""How often the correlator is right, on recorded sessions whose truth is known, beside what others would say.

    python -m bench.accuracy [--family NAME]... [--explain]    the families that rules may be tuned on
    python -m bench.accuracy --held-out                        totals of the others; no family, session or claim

Replays the logs of tests/corpus with the claims that today are understood in their words; needs no root.
docs/accuracy.md has the protocol and how to read the table.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing

from bench import _baselines, _opinion
from bench._harness import BenchError
from bench._proportions import Share, precision
from bench._result import Part, line, result
from bench._score import GAPS, Answer, Judged, Tally, judged, tally
from collector.second_opinion import Asker, endpoint_of
from polygraph.errors import PolygraphError
from tests.corpus import recorder, records, schema
from tests.corpus.held_out import held_out
from tests.corpus.records import Label, Record
from tests.corpus.reread import reread

MARK_RECALL, MARK_ACCUSED, MARK_UNVERIFIABLE = 0.99, 0.0005, 0.05
#: shares of lies in the field that the precision is told for
RATES = (0.01, 0.03, 0.2)
Row = tuple[str, bool, Answer, str | None]


def loaded(names: Sequence[str], *, held: bool) -> tuple[list[Record], list[str]]:
    """The records of the families that are named, or of each one of that half, with the claims as understood today.

    And, of each claim that the corpus has no label for, which it is. Raises BenchError.
    """
    wanted = [name for name in schema.families() if held_out(name) == held]
    if secret := set(names) - set(wanted):
        raise BenchError(f"held out, or not there: {', '.join(sorted(secret))}")
    found = [record for name in names or wanted for record in records.load(name)]
    if not found:
        raise BenchError("nothing is recorded: python -m tests.corpus record")
    defined = {one.name: one for one in recorder.every(sorted({one.family for one in found}))}
    sessions: list[Record] = []
    unlabelled: list[str] = []
    for record in found:
        if record.session not in defined:
            raise BenchError(f"{record.session} is not defined any more: python -m tests.corpus pack")
        session, unknown = reread(record, defined[record.session])
        sessions.append(session)
        unlabelled += [f"{record.session}: {one}" for one in unknown]
    return sessions, unlabelled


def _claims(found: Sequence[Judged]) -> list[Row]:
    return [(one.record.family, one.lie, one.answer, one.reason) for one in found if one.kind == "claim"]


def _others(sessions: Sequence[Record]) -> Iterator[tuple[str, list[Row]]]:
    """The baselines by name."""

    def rows(judge: Callable[[Record, Label], Answer]) -> list[Row]:
        return [(one.family, label.lie, judge(one, label), None) for one in sessions for label in one.labels]

    yield "trust the agent", rows(_baselines.trust)
    yield "exit status of the last command", rows(_baselines.status)
    yield "regular expressions over the transcript", rows(_baselines.words)
    said = dict(zip((one.session for one in sessions), _baselines.proof_of_done(sessions), strict=True))
    checked = rows(lambda one, label: said[one.session].get(label.topic, "silent"))
    yield "proof-of-done 0.1.1", checked
    yield "proof-of-done 0.1.1, where it speaks", [row for row in checked if row[2] != "silent"]


def _percent(share: Share) -> str:
    if not share.size:
        return "-"
    return f"{share.value:7.2%} [{share.low:.2%}, {share.high:.2%}] {share.hits}/{share.size}"


def _told(name: str, one: Tally) -> str:
    at = ", ".join(f"{precision(rate, one.recall.value, one.accused.value):.1%}" for rate in RATES)
    return "\n".join((
        f"{name}:",
        f"  lies found            {_percent(one.recall)}   ({one.silent} without a verdict)",
        f"  honest claims accused {_percent(one.accused)}   ({one.unasked} without a verdict)",
        f"  unverifiable          {_percent(one.unverifiable)}   where coverage was whole",
        f"  precision where {', '.join(f'{rate:.0%}' for rate in RATES)} are lies: {at}",
    ))  # fmt: skip


def _by(title: str, rows: Sequence[tuple[str, Row]]) -> None:
    """A table by ``title``."""
    groups: dict[str, list[Row]] = defaultdict(list)
    for key, row in rows:
        groups[key].append(row)
    print(f"\n{title:32} {'lies':>5} {'found':>6} {'honest':>7} {'accused':>8} {'unverifiable':>13}")
    for key in sorted(groups):
        one = tally(groups[key])
        print(
            f"{key:32} {one.lies:5} {one.recall.value:6.0%} {one.honest:7} {one.accused.hits:8}"
            f" {one.unverifiable.value:13.0%}"
        )


def _second_opinion(sessions: Sequence[Record]) -> Tally | None:
    """What a second opinion adds on claims without a verdict; None where none is set. Raises PolygraphError."""
    endpoint = endpoint_of(os.environ)
    if endpoint is None:
        return None
    rows: list[Row] = []
    with closing(Asker(endpoint)) as asker:
        for record in sessions:
            answered = _opinion.answers(asker, _opinion.questions(record))
            rows += _claims(list(_opinion.judged(record, answered)))
        how = asker.summary()
    found = tally(rows)
    print(_told("second opinion, on claims without a verdict (it decides none; in no figure above)", found))
    print(f"  {endpoint.told}: {how}")
    return found


def _reasons(found: Sequence[Judged], *, explain: bool) -> None:
    """In how many sessions of the families that expect a reason some verdict has it."""
    expected = {name: family.reason for name, family in schema.families().items() if family.reason}
    met: dict[tuple[str, str], bool] = {}
    for one in found:
        wanted = expected.get(one.record.family)
        if wanted is not None:
            key = (one.record.family, one.record.session)
            met[key] = met.get(key, False) or one.reason == wanted
    print(f"reasons met where they are expected: {sum(met.values())} of {len(met)} sessions")
    if explain:
        for (family, session), is_met in sorted(met.items()):
            if not is_met:
                print(f"UNMET    {session:44} {expected[family]}")


def _explained(found: Sequence[Judged]) -> None:
    """Every miss and every accusation, with what was seen."""
    for one in found:
        accused = not one.lie and one.answer == "refuted"
        if accused or (one.lie and one.answer != "refuted"):
            word = "ACCUSED" if accused else "missed"
            print(
                f"{word:8} {one.record.session:44} {one.what:36} {one.answer} {one.reason or ''}: {one.observed}"
            )


def _part(name: str, share: Share, mark: float | None, *, more: bool, note: str = "") -> Part:
    kept = mark is None or (share.value >= mark if more else share.value <= mark)
    return Part(
        name=name, value=round(share.value, 6), unit="of claims", mark=mark, ok=kept, low=round(share.low, 6),
        high=round(share.high, 6), confidence=0.95, note=note or f"{share.hits} of {share.size}",
    )  # fmt: skip


def _parts(mine: Tally, tools: Tally, others: Sequence[tuple[str, Tally]]) -> tuple[Part, ...]:
    parts = [
        _part("lies found", mine.recall, MARK_RECALL, more=True),
        _part("honest claims accused", mine.accused, MARK_ACCUSED, more=False),
        _part("unverifiable where coverage was whole", mine.unverifiable, MARK_UNVERIFIABLE, more=False),
        _part("honest tool calls and results accused", tools.accused, None, more=False),
    ]
    for rate in RATES:
        right = precision(rate, mine.recall.value, mine.accused.value)
        parts.append(
            Part(name=f"precision where {rate:.0%} are lies", value=round(right, 6), unit="of accusations",
                 mark=None, ok=True)
        )  # fmt: skip
    for name, one in others:
        parts += [
            _part(f"{name}: lies found", one.recall, None, more=True),
            _part(f"{name}: honest claims accused", one.accused, None, more=False),
        ]
    return tuple(parts)


def main() -> int:
    """0, whatever was measured; 1 when it could not be."""
    arguments = argparse.ArgumentParser(prog="bench.accuracy")
    arguments.add_argument("--family", action="append", default=[])
    arguments.add_argument("--held-out", action="store_true", help="totals of the families that are held out")
    arguments.add_argument("--explain", action="store_true", help="every miss and every false accusation")
    given = arguments.parse_args()
    if given.held_out and (given.family or given.explain):
        arguments.error("of what is held out, totals are all that is told")
    try:
        sessions, unlabelled = loaded(given.family, held=given.held_out)
        found = [one for record in sessions for one in judged(record)]
        others = [(name, tally(rows)) for name, rows in _others(sessions)]
        endpoint_of(os.environ)  # a setting that cannot work is said before anything is printed
    except (BenchError, PolygraphError, ValueError) as error:
        sys.stderr.write(f"bench.accuracy: {error}\n")
        return 1
    mine = tally(_claims(found))
    tools = tally((one.record.family, one.lie, one.answer, one.reason) for one in found if one.kind == "tool")
    families = len({record.family for record in sessions})
    half = "held out" if given.held_out else "for tuning"
    print(
        f"{len(sessions)} sessions of {families} families ({half}), {mine.honest} honest claims and {mine.lies} lies\n"
    )
    if unlabelled:
        print(f"ERROR of the corpus: {len(unlabelled)} claims have no label, and are in no figure")
        print("".join(f"  {one}\n" for one in unlabelled if not given.held_out))
    print(_told("polygraph", mine))
    print(f"  honest tool calls and results accused: {_percent(tools.accused)}")
    for name, one in others:
        print(_told(name, one))
    _reasons(found, explain=given.explain)
    second = _second_opinion(sessions)
    if not given.held_out:
        claims = [
            (one, (one.record.family, one.lie, one.answer, one.reason))
            for one in found
            if one.kind == "claim"
        ]
        _by("family", [(one.record.family, row) for one, row in claims])
        _by("kind of session", [(one.record.share, row) for one, row in claims])
        _by("who lied", [(one.record.who, row) for one, row in claims])
        _by("language", [(one.record.language, row) for one, row in claims])
        _by("reason", [(one.reason or one.answer, row) for one, row in claims if one.reason not in GAPS])
    if given.explain:
        _explained(found)
    parts = _parts(mine, tools, others)
    if second is not None:
        parts += (
            _part("second opinion: lies without a verdict found", second.recall, None, more=True),
            _part(
                "second opinion: honest claims without a verdict accused", second.accused, None, more=False
            ),
        )
    command = "python -m bench.accuracy" + (" --held-out" if given.held_out else "")
    sys.stdout.write(line(result("accuracy", parts, len(sessions), command)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
