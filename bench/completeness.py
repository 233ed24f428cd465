"""A known list of operations at full speed, and how many of them polygraph reports exactly or counts as lost.

    python -m bench.completeness [--runs N] [--number N]

bench/native/operations.c performs the list: forks without exec, double forks and setsid, execs and failed
execs, files made, read, linked, renamed and removed, failed opens, v4 and v6 connections made and refused. Each
must be there with its path, its result and its place in the lineage. What was told and never done counts against.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

from bench._facts import Operations, Score, losses, performed, score, told
from bench._harness import BenchError, environment, measured, native, traced, workplace
from bench._result import line, part, result
from bench._statistics import estimate
from polygraph.log.store import Store

RUNS = 5
NUMBER = 500


def run(place: Path, turn: int, n: int) -> Score:
    """One run of the operations, compared."""
    folder, store = place / f"work{turn}", place / f"store{turn}"
    folder.mkdir()
    program = native("operations")
    measured(traced((str(program), str(folder), str(n))), place, environment(store))
    with Store(store) as opened:
        events = list(opened.events(opened.find(None).id))
    four, six = (int(port) for port in (folder / "ports").read_text().split())
    true = str(Path("/bin/true").resolve())
    ran = Operations(str(program), true, str(folder), n, {"inet": four, "inet6": six})
    return score(performed(ran), told(events, str(folder)), losses(events))


def main() -> int:
    """0, whatever was measured; 1 when it could not be."""
    arguments = argparse.ArgumentParser(prog="bench.completeness")
    arguments.add_argument("--runs", type=int, default=RUNS)
    arguments.add_argument("--number", type=int, default=NUMBER, help="of operations of each kind")
    given = arguments.parse_args()
    try:
        with workplace() as place:
            scores = [run(place, turn, given.number) for turn in range(given.runs)]
    except BenchError as error:
        sys.stderr.write(f"bench.completeness: {error}\n")
        return 1
    for one in scores:
        sys.stderr.write(f"{one.exact} of {one.done} exact, {one.lost} counted as lost\n")
    missing: Counter[str] = sum((one.missing for one in scores), Counter())
    invented: Counter[str] = sum((one.invented for one in scores), Counter())
    for kind in sorted({*missing, *invented}):
        sys.stderr.write(f"  {kind}: {missing[kind]} missing, not counted; {invented[kind]} told, not done\n")
    share = estimate([one.share for one in scores])
    parts = (
        part("reported exactly or counted as lost", share, "", 1.0, wants="more"),
        part("reported exactly", estimate([one.exact / one.done for one in scores]), "", None),
        part("operations a run", estimate([float(one.done) for one in scores]), "", None),
    )
    sys.stdout.write(line(result("completeness", parts, given.runs, "make bench-completeness")) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
