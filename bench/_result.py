"""The result of a benchmark: one line of JSON, and its rows in README.md."""

from __future__ import annotations

import os
import platform
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec

from bench._statistics import Estimate

RESULTS_BEGIN, RESULTS_END = "<!-- results -->", "<!-- end of results -->"


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of a benchmark.

    ``baseline`` is the same figure without polygraph, from the same run (of a ratio: that of two untraced
    arms); None where there is no such thing. ``low`` and ``high``: interval of ``value`` with ``confidence``.
    """

    name: str
    value: float
    unit: str
    #: what the design asks for; None: a figure that explains another one
    mark: float | None
    ok: bool
    baseline: float | None = None
    low: float | None = None
    high: float | None = None
    confidence: float | None = None
    note: str = ""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What a benchmark prints last: its decisive part, and all of them."""

    name: str
    value: float
    unit: str
    mark: float | None
    ok: bool
    baseline: float | None
    runs: int
    machine: str
    date: str
    command: str
    parts: tuple[Part, ...] = ()


def part(
    name: str,
    measured: Estimate,
    unit: str,
    mark: float | None,
    *,
    wants: Literal["less", "more"] = "less",
    baseline: float | None = None,
    note: str = "",
) -> Part:
    """A part that is ok when its median keeps to the mark."""
    kept = mark is None or (measured.value <= mark if wants == "less" else measured.value >= mark)
    return Part(
        name=name,
        value=_rounded(measured.value),
        unit=unit,
        mark=mark,
        ok=kept,
        baseline=None if baseline is None else _rounded(baseline),
        low=_rounded(measured.low),
        high=_rounded(measured.high),
        confidence=_rounded(measured.confidence),
        note=note,
    )


def compared(name: str, ratio: Estimate, control: Estimate, mark: float) -> Part:
    """The ratio of a traced arm, beside that of two untraced ones, from which it may not be told apart."""
    hidden = "" if ratio.low > control.high else "not told apart from the control"
    return part(name, ratio, "x", mark, baseline=control.value, note=hidden)


def result(name: str, parts: tuple[Part, ...], runs: int, command: str) -> Result:
    """``parts`` as one result. Its value is that of the worst part: furthest beyond its mark, or next to it.

    Raises ValueError when no part has a mark.
    """
    marked = [one for one in parts if one.mark is not None]
    if not marked:
        raise ValueError(f"{name}: no part has a mark")
    worst = max(marked, key=lambda one: _beyond(one.value, one.mark or 1.0, ok=one.ok))
    return Result(
        name=name,
        value=worst.value,
        unit=worst.unit,
        mark=worst.mark,
        ok=all(one.ok for one in marked),
        baseline=worst.baseline,
        runs=runs,
        machine=machine(),
        date=datetime.now(UTC).strftime("%Y-%m-%d"),
        command=command,
        parts=parts,
    )


def _beyond(value: float, mark: float, *, ok: bool) -> float:
    """How far ``value`` lies on the wrong side of its mark, in marks; negative where it keeps to it."""
    distance = abs(value - mark) / mark
    return -distance if ok else distance


def line(result: Result) -> str:
    """The result as one line of JSON."""
    return msgspec.json.encode(result).decode()


def machine() -> str:
    """The machine in words: processor, kernel, load at this moment."""
    model = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    load = os.getloadavg()[0]
    processor = model[1].strip() if model else platform.machine()
    return f"{os.cpu_count()} x {processor}, Linux {platform.release()}, load {load:.1f}"


def table(results: list[Result]) -> str:
    """The results as a Markdown table, one row a part."""
    rows = [
        ("figure", "measured", "interval", "mark", "kept", "without polygraph"),
        ("---",) * 6,
        *(_row(result, one) for result in results for one in result.parts),
    ]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines += [f"\n`{one.command}`: {one.runs} runs, {one.date}, {one.machine}." for one in results]
    return "\n".join(lines)


def _row(result: Result, one: Part) -> tuple[str, ...]:
    interval = "" if one.low is None else f"{one.low:.4g} to {one.high:.4g} ({one.confidence:.0%})"
    mark = "" if one.mark is None else f"{one.mark:g}"
    kept = "" if one.mark is None else "yes" if one.ok else "no"
    baseline = "" if one.baseline is None else f"{one.baseline:.4g}"
    name = f"{result.name}: {one.name}" + (f" ({one.note})" if one.note else "")
    return name, f"{one.value:.5g} {one.unit}".strip(), interval, mark, kept, baseline


def with_table(readme: str, text: str) -> str:
    """``readme`` with ``text`` between its two marks. Raises ValueError when they are not there."""
    before, begin, rest = readme.partition(RESULTS_BEGIN)
    _old, end, after = rest.partition(RESULTS_END)
    if not begin or not end:
        raise ValueError(f"no {RESULTS_BEGIN} … {RESULTS_END}")
    return f"{before}{begin}\n{text}\n{end}{after}"


def _rounded(value: float) -> float:
    """Six significant digits: more than any of these measurements has."""
    return float(f"{value:.6g}")
