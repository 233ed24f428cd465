"""What `polygraph run` adds around a command that does nothing: wall time before and after it, memory.

    python -m bench.startup [--runs N]

The command notes the time at its first instruction and at its end (CLOCK_BOOTTIME). What the same command costs
without polygraph, in the same rounds, is taken from that. Memory is the largest resident set of any process of
`polygraph run` over a program that does thousands of operations and needs next to none itself.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path
from typing import NamedTuple

from bench._harness import BenchError, environment, inside, measured, native, timed, traced, workplace
from bench._result import line, part, result
from bench._statistics import estimate, interleaved, paired_difference

RUNS = 9
MARK_BEFORE = 0.3
MARK_AFTER = 0.3
MARK_MEMORY = 80.0
OPERATIONS = 500


class Around(NamedTuple):
    """Seconds before the command's first instruction and after its end; CPU seconds of all."""

    before: float
    after: float
    cpu: float


def run(place: Path, *, observed: bool) -> Around:
    """One run of a command that does nothing."""
    command = timed((), place / "timed")
    cost = measured(traced(command) if observed else command, place, environment(place / "store"))
    seen = inside(place / "timed")
    return Around((seen.began - cost.began) / 1e9, (cost.ended - seen.ended) / 1e9, cost.cpu)


def memory(place: Path) -> float:
    """Resident MB of polygraph, at most."""
    folder = place / "work"
    folder.mkdir()
    argv = (str(native("operations")), str(folder), str(OPERATIONS))
    return measured(traced(argv), place, environment(place / "store")).memory / 1e6


def main() -> int:
    """0, whatever was measured; 1 when it could not be."""
    arguments = argparse.ArgumentParser(prog="bench.startup")
    arguments.add_argument("--runs", type=int, default=RUNS)
    given = arguments.parse_args()
    try:
        with workplace() as place:
            run(place, observed=True)  # the caches are warm from here on
            alone, with_it = partial(run, place, observed=False), partial(run, place, observed=True)
            found = interleaved([("alone", alone), ("traced", with_it)], given.runs)
            used = memory(place)
    except BenchError as error:
        sys.stderr.write(f"bench.startup: {error}\n")
        return 1
    before, after, cpu = (
        {arm: [one[field] for one in samples] for arm, samples in found.items()} for field in range(3)
    )
    parts = (
        part("added before the command starts", paired_difference(before["traced"], before["alone"]), "s",
             MARK_BEFORE, baseline=estimate(before["alone"]).value),
        part("added after it ended", paired_difference(after["traced"], after["alone"]), "s",
             MARK_AFTER, baseline=estimate(after["alone"]).value),
        part("memory", estimate([used]), "MB", MARK_MEMORY, note="one run"),
        part("CPU of start and stop", paired_difference(cpu["traced"], cpu["alone"]), "s", None),
    )  # fmt: skip
    sys.stdout.write(line(result("startup", parts, given.runs, "make bench-startup")) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
