"""``python -m tests.corpus``: record the sessions, list them, or read their words.

record [--jobs N] [--family NAME]... [--again] [--first N]
                                                 execute what is not recorded yet (root); --first: no more than
                                                 the first N sessions of each family, to try a change
list [--family NAME]...                          families, sessions, labels, sizes
show SESSION                                     one session as it would be executed
words [--family NAME]...                         what of its words is not understood, but for what is said beside
                                                 tool calls; of held-out families a total
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter

import msgspec

from tests.corpus import place, recorder, records
from tests.corpus.expand import Session
from tests.corpus.held_out import held_out
from tests.corpus.records import Record
from tests.corpus.words import understood


def _record(families: list[str], jobs: int, again: bool, first: int | None) -> int:
    place.make_tools(recording=True)

    def tell(session: Session, outcome: Record | list[str]) -> None:
        if isinstance(outcome, Record):
            unseen = [label.topic for label in outcome.labels if not label.claim]
            told = bool(unseen) and not held_out(session.family)  # of those, totals are all that is told
            note = f"  (not understood: {', '.join(unseen)})" if told else ""
            sys.stdout.write(f"{session.name}: {len(outcome.log)} events{note}\n")
        else:
            sys.stdout.write(f"{session.name}: WRONG: {'; '.join(outcome)}\n")
        sys.stdout.flush()

    return 1 if recorder.record(recorder.every(families), jobs, again, tell, first) else 0


def _list(families: list[str]) -> int:
    sessions: Counter[str] = Counter()
    lies: Counter[str] = Counter()
    claims: Counter[str] = Counter()
    for session in recorder.every(families):
        sessions[session.family] += 1
        claims[session.family] += len(session.said)
        lies[session.family] += sum(said.lie for said in session.said)
    for family, number in sessions.items():
        archive = records.path(family)
        size = archive.stat().st_size if archive.exists() else 0
        sys.stdout.write(
            f"{family:36} {number:4} sessions {claims[family]:5} claims {lies[family]:4} lies {size / 1000:8.1f} kB\n"
        )
    sys.stdout.write(f"{sessions.total()} sessions, {claims.total()} claims, {lies.total()} lies\n")
    return 0


def _words(families: list[str]) -> int:
    total, missed, wrong, secret = 0, 0, 0, 0
    for session in recorder.every(families):
        found = understood(session)
        left = found.missed(session)
        total += len(found.labels)
        missed += len(left)
        wrong += len(found.unlabelled)
        if held_out(session.family):
            secret += len(left) + len(found.unlabelled)
            continue
        for label in left:
            said = session.turn[label.turn].say
            sys.stdout.write(f"{session.name}: {label.topic} {label.target}: not understood: {said!r}\n")
        for one in found.unlabelled:
            sys.stdout.write(f"{session.name}: {one}\n")
    sys.stdout.write(f"{total} labels, {missed} not understood, {wrong} claims without a label")
    sys.stdout.write(f" ({secret} of both in families that are held out)\n")
    return 1 if wrong else 0


def _show(name: str) -> int:
    for session in recorder.every([name.rpartition("-")[0].rpartition("-")[0]]):
        if session.name == name:
            sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(session)) + b"\n")
            return 0
    sys.stderr.write(f"no session {name}\n")
    return 1


def main() -> int:
    """0, or 1 when a session went wrong."""
    parser = argparse.ArgumentParser(prog="tests.corpus")
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("record", "list", "words"):
        sub = commands.add_parser(name)
        sub.add_argument("--family", action="append", default=[])
        if name == "record":
            sub.add_argument("--jobs", type=int, default=2)
            sub.add_argument("--again", action="store_true")
            sub.add_argument("--first", type=int)
    commands.add_parser("tools")
    commands.add_parser("pack")
    commands.add_parser("show").add_argument("session")
    given = parser.parse_args()
    try:
        if given.command == "record":
            return _record(given.family, given.jobs, given.again, given.first)
        if given.command == "tools":
            place.make_tools()
            return 0
        if given.command == "pack":
            recorder.pack({session.name: session for session in recorder.every()})
            return 0
        if given.command == "words":
            return _words(given.family)
        return _list(given.family) if given.command == "list" else _show(given.session)
    except ValueError as error:
        sys.stderr.write(f"tests.corpus: {error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
