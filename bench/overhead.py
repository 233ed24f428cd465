"""CPU time of work under `polygraph run` over that of the same work alone, the collector's own included.

    python -m bench.overhead [--runs N] [WORKLOAD...]

Arms in turn: alone, alone again (the control: what this machine's noise makes of no difference at all), alone while
programs that do nothing sit on polygraph's hooks (the floor: what lies above it is ours to remove), traced, and a
command that does nothing, alone and traced. What starting and stopping cost is a fixed amount, so a ratio
that held it would say nothing but how long the workload is: it is taken out of the first figure, measured in the
same rounds on the command that does nothing, and told beside it; the second figure is the ratio with it.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path
from typing import NamedTuple

from bench._floor import floor
from bench._harness import BenchError, environment, inside, measured, timed, traced, workplace
from bench._result import Part, compared, line, part, result
from bench._statistics import estimate, interleaved, paired_ratio
from bench.workloads import WORKLOADS, Workload

RUNS = 9


class Sample(NamedTuple):
    """CPU seconds of one run: in all, and of the work itself."""

    whole: float
    work: float


def run(workload: Workload, folder: Path, place: Path, *, observed: bool) -> Sample:
    """One run of a workload in ``folder``."""
    note = place / "timed"
    with workload.around(folder) as words:
        command = timed((*workload.argv, *words), note)
        cost = measured(traced(command) if observed else command, folder, environment(place / "store"))
    return Sample(cost.cpu, inside(note).cpu)


def run_on_floor(workload: Workload, folder: Path, place: Path) -> Sample:
    """One untraced run while programs that do nothing sit on polygraph's hooks."""
    with floor(workload.argv[0]):
        return run(workload, folder, place, observed=False)


def parts(name: str, mark: float, samples: dict[str, list[Sample]]) -> tuple[Part, ...]:
    """The figures of a workload from its arms ``alone``, ``control``, ``floor``, ``traced``, ``nothing``, ``start``."""
    whole = {arm: [one.whole for one in found] for arm, found in samples.items()}
    work = {arm: [one.work for one in found] for arm, found in samples.items()}
    control = paired_ratio(whole["control"], whole["alone"])
    fixed = [start - nothing for start, nothing in zip(whole["start"], whole["nothing"], strict=True)]
    running = [cost - once for cost, once in zip(whole["traced"], fixed, strict=True)]
    own = [cost - inner for cost, inner in zip(running, work["traced"], strict=True)]
    ratio = paired_ratio(running, whole["alone"])
    floor_ratio = paired_ratio(whole["floor"], whole["alone"])
    return (
        compared(name, ratio, control, mark),
        part(f"{name}, floor: empty programs on the same hooks", floor_ratio, "x", None),
        part(f"{name}, with start and stop", paired_ratio(whole["traced"], whole["alone"]), "x", None),
        part(f"{name}, the work's own CPU", paired_ratio(work["traced"], work["alone"]), "x", None),
        part(f"{name}, the collector's CPU meanwhile", estimate(own), "s", None),
        part(f"{name}, CPU of start and stop", estimate(fixed), "s", None),
        part(f"{name}, CPU of the work alone", estimate(whole["alone"]), "s", None),
    )


def measure(workload: Workload, place: Path, runs: int) -> dict[str, list[Sample]]:
    """The arms of one workload, after one run that warms the caches and is thrown away."""
    folder = place / workload.name.replace(" ", "-")
    folder.mkdir()
    workload.prepare(folder)
    run(workload, folder, place, observed=False)
    nothing = Workload("nothing", workload.prepare, ("true",), workload.mark)
    return interleaved(
        [
            ("alone", partial(run, workload, folder, place, observed=False)),
            ("nothing", partial(run, nothing, folder, place, observed=False)),
            ("floor", partial(run_on_floor, workload, folder, place)),
            ("traced", partial(run, workload, folder, place, observed=True)),
            ("start", partial(run, nothing, folder, place, observed=True)),
            ("control", partial(run, workload, folder, place, observed=False)),
        ],
        runs,
    )


def main() -> int:
    """0, whatever was measured; 1 when it could not be."""
    names = [workload.name for workload in WORKLOADS]
    arguments = argparse.ArgumentParser(prog="bench.overhead")
    arguments.add_argument("--runs", type=int, default=RUNS)
    arguments.add_argument("workloads", nargs="*", metavar="WORKLOAD", help=f"of {', '.join(names)}")
    given = arguments.parse_args()
    wanted = given.workloads or names
    if unknown := set(wanted) - set(names):
        arguments.error(f"no such workload: {', '.join(sorted(unknown))}")
    found: list[Part] = []
    try:
        with workplace() as place:
            for workload in WORKLOADS:
                if workload.name in wanted:
                    fresh = parts(workload.name, workload.mark, measure(workload, place, given.runs))
                    for one in fresh:
                        spread = f"[{one.low}, {one.high}] {one.note}"
                        sys.stderr.write(f"{one.name}: {one.value} {one.unit} {spread}\n")
                    found += fresh
    except BenchError as error:
        sys.stderr.write(f"bench.overhead: {error}\n")
        return 1
    sys.stdout.write(line(result("overhead", tuple(found), given.runs, "make bench-overhead")) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
