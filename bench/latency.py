"""How long after an answer the verdict on what it claims can be read.

    python -m bench.latency [--runs N] [--turns N]

A model says in each of its answers that all tests pass, and asks for a command. The clock runs from the moment at
which the last byte of the answer was handed to the kernel (CLOCK_BOOTTIME, in the server's process) to that at which
the verdict's line was read from the other end of `--json`. Both ends are on this machine, so nothing travels.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench._harness import POLYGRAPH, BenchError, environment, measured, workplace
from bench._model import Model, claiming_script
from bench._result import line, part, result
from bench._statistics import Estimate, estimate, quantile
from bench.workloads import AGENT
from polygraph import verdicts as codec

RUNS = 3
TURNS = 60
MARK = 0.25
#: seconds that the model takes for an answer: no multiple of the time over which the collector gathers records
THINKING = 0.13


@contextmanager
def reader(fifo: Path, lines: list[tuple[int, bytes]]) -> Iterator[None]:
    """Makes ``fifo`` and reads it to its end: each line with the time (CLOCK_BOOTTIME, ns) at which it was there."""
    os.mkfifo(fifo)
    end = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)  # a writer's open finds a reader
    os.set_blocking(end, True)
    keep = os.open(fifo, os.O_WRONLY)  # and a reader is not at the end before the first writer came

    def read() -> None:
        with os.fdopen(end, "rb") as file:
            lines.extend((time.clock_gettime_ns(time.CLOCK_BOOTTIME), one) for one in file)

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield
    finally:
        os.close(keep)
        thread.join()


def run(place: Path, turn: int, turns: int) -> list[float]:
    """Seconds from each answer to the verdict on its claim. Raises BenchError when there is not one for each."""
    lines: list[tuple[int, bytes]] = []
    fifo = place / f"verdicts{turn}"
    with Model(claiming_script(turns), THINKING) as model, reader(fifo, lines):
        agent = (*AGENT, model.url, str(model.ca_file))
        argv = (*POLYGRAPH, "run", "--quiet", "--json", str(fifo), "--", *agent)
        measured(argv, place, environment(place / "store"))
    read = [at for at, one in lines if codec.decode(one).subject.source == "model"]
    if len(read) != len(model.sent):
        raise BenchError(f"{len(model.sent)} answers and {len(read)} verdicts on what they claim")
    return [(at - sent) / 1e9 for at, sent in zip(read, model.sent, strict=True)]


def main() -> int:
    """0, whatever was measured; 1 when it could not be."""
    arguments = argparse.ArgumentParser(prog="bench.latency")
    arguments.add_argument("--runs", type=int, default=RUNS)
    arguments.add_argument("--turns", type=int, default=TURNS)
    given = arguments.parse_args()
    try:
        with workplace() as place:
            found = [one for turn in range(given.runs) for one in run(place, turn, given.turns)]
    except BenchError as error:
        sys.stderr.write(f"bench.latency: {error}\n")
        return 1
    ninety_nine = quantile(found, 0.99)
    parts = (
        part("answer to verdict, p99", Estimate(ninety_nine, ninety_nine, max(found), 0), "s", MARK,
             note=f"of {len(found)}; up to the slowest"),
        part("answer to verdict, median", estimate(found), "s", None),
    )  # fmt: skip
    sys.stdout.write(line(result("latency", parts, given.runs, "make bench-latency")) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
