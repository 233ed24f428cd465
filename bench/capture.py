"""Model calls over TLS under `polygraph run` and alone: bytes a second, and what is added to each call.

    python -m bench.capture [--runs N] [--calls N]

The calls of tests/load/conversation.py: streamed answers that carry a tool call, requests that carry its result, the
client in Python, the model in a process that is not observed. Two loads: one connection, whose calls follow each other
(latency), and fifty at once (throughput). Arms in turn: alone, alone again (the control), traced. A traced run counts
only when every call was captured whole: a collector that falls behind would be quick otherwise.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import NamedTuple

from bench._harness import BenchError, environment, measured, traced, workplace
from bench._result import Part, compared, line, part, result
from bench._statistics import estimate, interleaved, paired_difference, paired_ratio
from polygraph.events import LlmCall
from polygraph.log.store import Store
from tests.load import conversation
from tests.load.conversation import Took

RUNS = 9
CALLS = 200
CONNECTIONS = 50
#: the design's mark for calls back to back, which it asks for CPU time
MARK = 1.3


class Load(NamedTuple):
    """``connections`` conversations at once, of ``calls`` each."""

    connections: int
    calls: int


def run(model: list[str], load: Load, place: Path, *, observed: bool) -> Took:
    """One run. Raises BenchError when a call was not captured whole."""
    note, store = place / "note", place / "store"
    command = (*conversation.PROGRAM, "call", *model, *map(str, load), str(note))
    measured(traced(command) if observed else command, conversation.ROOT, environment(store))
    if observed:
        with Store(store) as opened:
            events = opened.events(opened.find(None).id)
            whole = sum(isinstance(event, LlmCall) and event.complete for event in events)
        if whole != load.connections * load.calls:
            raise BenchError(f"{whole} of {load.connections * load.calls} calls were captured whole")
    return conversation.took(note)


def measure(model: list[str], load: Load, place: Path, runs: int) -> dict[str, list[Took]]:
    """The arms, after one run that is thrown away."""
    arm: Callable[..., Took] = partial(run, model, load, place)
    arm(observed=False)
    return interleaved(
        [
            ("alone", partial(arm, observed=False)),
            ("traced", partial(arm, observed=True)),
            ("control", partial(arm, observed=False)),
        ],
        runs,
    )


def latency_parts(arms: dict[str, list[Took]]) -> tuple[Part, ...]:
    """Seconds of a call, from its first byte to the answer's last: the median of a run's calls."""
    each = {name: [median(took.calls) for took in found] for name, found in arms.items()}
    control = paired_ratio(each["control"], each["alone"])
    ratio = paired_ratio(each["traced"], each["alone"])
    alone = estimate(each["alone"]).value
    added = paired_difference(each["traced"], each["alone"])
    return (
        compared("a call, one connection", ratio, control, MARK),
        part("added to a call, one connection", added, "s", None, baseline=alone),
    )


def throughput_parts(arms: dict[str, list[Took]]) -> tuple[Part, ...]:
    """Bytes of requests and answers a second."""
    rate = {name: [took.size / took.seconds / 1e6 for took in found] for name, found in arms.items()}
    control = paired_ratio(rate["control"], rate["alone"])
    ratio = paired_ratio(rate["alone"], rate["traced"])
    alone = estimate(rate["alone"]).value
    name = f"{CONNECTIONS} connections"
    return (
        compared(f"time for the same bytes, {name}", ratio, control, MARK),
        part(f"captured, {name}", estimate(rate["traced"]), "MB/s", None, baseline=alone),
    )


def main() -> int:
    """0, whatever was measured; 1 when it could not be."""
    arguments = argparse.ArgumentParser(prog="bench.capture")
    arguments.add_argument("--runs", type=int, default=RUNS)
    arguments.add_argument(
        "--calls", type=int, default=CALLS, help="of one connection; fifty share five times as many"
    )
    given = arguments.parse_args()
    try:
        with workplace() as place, conversation.served(place) as model:
            one = measure(model, Load(1, given.calls), place, given.runs)
            many = measure(model, Load(CONNECTIONS, max(1, given.calls // 10)), place, given.runs)
    except BenchError as error:
        sys.stderr.write(f"bench.capture: {error}\n")
        return 1
    found = (*latency_parts(one), *throughput_parts(many))
    sys.stdout.write(line(result("capture", found, given.runs, "make bench-capture")) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
