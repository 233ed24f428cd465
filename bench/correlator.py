"""What the correlator costs as sessions become many and long, beside joins of two stream processors on the same events.

    python -m bench.correlator [--runs N] [--up-to COUNT]

Sessions are recorded ones of tests/corpus, the short ones for the sake of memory (bench/_sessions.py); all of them are
open at once, and their events come in turn (bench/_arms.py, which also says what the others do). Every round runs every
arm with every number of sessions, each in a process of its own; the largest numbers only in the first round. An arm
of the others that has taken _PATIENCE is stopped, and told as slower than that. The growth exponent is the slope of CPU
time over the number of sessions, or over the length of one, both as logarithms: 1 where the cost grows as the log does.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from math import log
from pathlib import Path

import msgspec

from bench._arms import ARMS, Figures
from bench._harness import BUILT, ROOT, BenchError, workplace
from bench._result import Part, line, part, result
from bench._sessions import prolonged
from bench._statistics import Estimate, estimate, interleaved
from polygraph.events import AnyEvent, encode
from tests.corpus import records, schema

RUNS = 3
COUNTS = (1, 10, 100, 1_000, 10_000, 100_000)
#: numbers of sessions from which on a growth exponent says something: below, a process's own cost decides
_FROM = 100
#: numbers of sessions that one round is enough for
_ONCE = 10_000
#: s of CPU that an arm may take
_PATIENCE = 1_800
ROUNDS = (4, 8, 16, 32, 64)
#: a session of at most so many events is a short one; the long one is made of that family
_SHORT, _LONG = 100, "bug_fixed"
OURS = "polygraph"
#: events/s, exponent, s
MARK_SPEED, MARK_GROWTH, MARK_LATENCY = 150_000, 1.1, 0.25
STREAMS = ("quixstreams==3.28.1", "bytewax==0.21.1")
_PLACE = BUILT / "streams"

Arm = tuple[str, str, int]


def short() -> list[list[AnyEvent]]:
    """The logs of all short recorded sessions. Raises BenchError when there is none."""
    found = [
        list(record.events())
        for family in schema.families()
        for record in records.load(family)
        if len(record.log) <= _SHORT
    ]
    if not found:
        raise BenchError("nothing is recorded: python -m tests.corpus record")
    return found


def write(path: Path, logs: Sequence[Sequence[AnyEvent]]) -> Path:
    """Writes logs as bench/_arms.py reads them."""
    rows = [(events[0].session, [encode(event).decode() for event in events]) for events in logs]
    path.write_text(json.dumps(rows))
    return path


def run(arm: str, sources: Path, count: int, python: Path, patience: int = _PATIENCE) -> Figures | None:
    """One arm in a process of its own; None for one of the others that is not done in ``patience`` s of CPU.

    Raises BenchError.
    """
    interpreter = Path(sys.executable) if arm == OURS else python
    command: list[str | Path] = [
        interpreter,
        "-B",
        "-W",
        "ignore",
        "-m",
        "bench._arms",
        arm,
        str(sources),
        str(count),
    ]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        if arm != OURS:
            resource.prlimit(child.pid, resource.RLIMIT_CPU, (patience, patience))
        out, errors = child.communicate()
    if arm != OURS and child.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
        return None
    if child.returncode:
        raise BenchError(f"{arm}, {count} sessions: {errors[-2000:]}")
    return msgspec.json.decode(out.splitlines()[-1], type=Figures)


def streams() -> Path:
    """The interpreter that has the stream processors, installed in a place of its own. Raises BenchError."""
    python = _PLACE / "bin" / "python"
    if not (_PLACE / "ok").exists():
        pip: list[str | Path] = [python, "-m", "pip", "install", "-q", *STREAMS]
        made: list[str | Path] = [sys.executable, "-m", "venv", "--clear", _PLACE]
        for command in (made, pip):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise BenchError(f"{' '.join(STREAMS)} cannot be installed: {done.stderr[-2000:]}")
        (_PLACE / "ok").touch()
    return python


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """Slope of the least squares line through both, as logarithms. Raises ValueError for fewer than two sizes."""
    return statistics.linear_regression([log(size) for size in sizes], [log(cost) for cost in costs]).slope


def _single(value: float) -> Estimate:
    return Estimate(value, value, value, 0)


def _where(arm: str, count: int) -> str:
    return f"{arm}, {count:,} session{'s' if count > 1 else ''}"


def _stopped(arm: str, count: int, events: int) -> Part:
    """``events``: of that many sessions, as another arm had them."""
    slower = f"{_where(arm, count)}: stopped after {_PATIENCE:,} s of CPU, so slower than"
    return part(slower, _single(events / _PATIENCE), "events/s", None)


def _of_count(arm: str, count: int, found: Sequence[Figures]) -> Iterator[Part]:
    where = _where(arm, count)
    ours = arm == OURS
    if all(one.cpu > 0 for one in found):  # else a single session took less than can be told
        speed = estimate([one.events / one.cpu for one in found])
        yield part(f"{where}: speed", speed, "events/s", MARK_SPEED if ours else None, wants="more")
    if count >= _FROM:  # of a few, the allocator's steps are all that is seen
        yield part(
            f"{where}: memory of an open one", estimate([one.memory / count for one in found]), "bytes", None
        )
    if ours:
        yield part(f"{where}: verdict, p99", estimate([one.latency for one in found]), "s", MARK_LATENCY)


def parts(found: Mapping[Arm, Sequence[Figures | None]]) -> tuple[Part, ...]:
    """The figures, by (arm, ``many`` or ``long``, number of sessions or rounds)."""
    made: list[Part] = []
    costs: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    for (arm, shape, size), tried in found.items():
        figures = [one for one in tried if one is not None]
        if len(figures) < len(tried):
            if shape == "many":
                others = (one for other in ARMS for one in found.get((other, shape, size), ()))
                made.append(_stopped(arm, size, max(one.events for one in others if one is not None)))
            continue
        if shape == "many":
            made += _of_count(arm, size, figures)
        elif size == max(ROUNDS):
            speed = estimate([one.events / one.cpu for one in figures])
            made.append(
                part(f"{arm}, one session of {figures[0].events:,} events: speed", speed, "events/s", None)
            )
        if shape == "long" or size >= _FROM:
            cpu = statistics.median(one.cpu for one in figures)
            costs[arm, shape].append((figures[0].events, cpu))
    over = {"many": "number of sessions", "long": "length of a session"}
    for (arm, shape), rows in costs.items():
        if len(rows) > 1:
            slope = exponent(*zip(*rows, strict=True))
            mark = MARK_GROWTH if arm == OURS else None
            made.append(part(f"{arm}: growth exponent in the {over[shape]}", _single(slope), "", mark))
    return tuple(made)


def measure(runs: int, up_to: int, python: Path, place: Path) -> dict[Arm, list[Figures | None]]:
    """Runs every arm. Raises BenchError."""
    many = write(place / "many.json", short())
    seed = list(records.load(_LONG)[0].events())
    arms = [
        (("many", count), partial(run, sources=many, count=count, python=python))
        for count in COUNTS
        if count <= up_to
    ]
    for rounds in ROUNDS:
        long = write(place / f"{rounds}.json", [prolonged(seed, rounds)])
        arms.append((("long", rounds), partial(run, sources=long, count=1, python=python)))
    every = [
        (json.dumps((arm, *shape)), partial(how, arm))
        for shape, how in arms
        for arm in ARMS
    ]  # fmt: skip
    once = {name for name, _ in every if json.loads(name)[2] >= _ONCE}
    found = interleaved([one for one in every if one[0] not in once], runs)
    if once:
        found |= interleaved([one for one in every if one[0] in once], 1)
    return {(arm, shape, size): found[name] for name, _ in every for arm, shape, size in [json.loads(name)]}


def main() -> int:
    """0, whatever was measured; 1 when it could not be."""
    arguments = argparse.ArgumentParser(prog="bench.correlator")
    arguments.add_argument("--runs", type=int, default=RUNS)
    arguments.add_argument("--up-to", type=int, default=max(COUNTS), help="the largest number of sessions")
    given = arguments.parse_args()
    try:
        with workplace() as place:
            found = measure(given.runs, given.up_to, streams(), place)
    except BenchError as error:
        sys.stderr.write(f"bench.correlator: {error}\n")
        return 1
    bounded = (given.runs, given.up_to) != (RUNS, max(COUNTS))
    arguments_given = f" --runs {given.runs} --up-to {given.up_to}" if bounded else ""
    command = "python -m bench.correlator" + arguments_given
    sys.stdout.write(line(result("correlator", parts(found), given.runs, command)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
