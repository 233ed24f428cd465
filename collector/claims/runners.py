"""Summary lines of test runners in the output of a tool. The formats are data/runners.toml."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache
from typing import NamedTuple

import msgspec

from collector.claims.tables import load

#: most characters of output that are looked at: a summary stands at the end
MAX_OUTPUT = 256 * 1024
_MAX_LINE = 300
_NEAR = 3
_ANSI = re.compile(r"\x1b\[[0-9;?]{0,20}[A-Za-z]")
_HINT = re.compile(r"pass|fail|test|\bok\b|OK|example|runs,|error|Result|ran in|skipped", re.IGNORECASE)
_PIECE = re.compile(r"(\d{1,9}) (subtests passed|[a-z]+)")
_EQUALS = re.compile(r"([a-z ]+)=(\d{1,9})")
_COUNTS = ("passed", "failed", "errors", "skipped", "total", "deselected")
#: more failures than this are nobody's count
_LARGEST = 10**9


class Runner(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A row of data/runners.toml; the columns are explained there."""

    tools: tuple[str, ...]
    line: str
    examples: tuple[str, ...]
    words: dict[str, str] = {}
    after: str | None = None
    above: str | None = None
    below: str | None = None
    equals: bool = False
    adds: bool = False
    each: bool = False
    plan: str | None = None
    left_out: str | None = None
    numbered: str | None = None


class Summary(NamedTuple):
    """What the summary lines of one runner say together. ``ok`` None: nothing was run."""

    tools: tuple[str, ...]
    ok: bool | None
    counts: dict[str, int]
    text: str


@cache
def runners() -> dict[str, Runner]:
    """The table. Raises msgspec.ValidationError when it is malformed."""
    return load("runners.toml", dict[str, Runner])


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def lines_of(text: str) -> list[str]:
    """Lines without colours and outer white space; only the last :data:`MAX_OUTPUT` characters."""
    tail = _ANSI.sub("", text[-MAX_OUTPUT:])
    return [line.strip() for line in tail.split("\n")]


def summaries(lines: Sequence[str], among: Iterable[str] | None = None) -> list[Summary]:
    """One summary per runner that the lines show.

    Args:
        lines: see :func:`lines_of`.
        among: tools that were run; None if that is not known.
    """
    wanted = frozenset(among) if among is not None else None
    hinted = [i for i, line in enumerate(lines) if 2 <= len(line) <= _MAX_LINE and _HINT.search(line)]
    found: list[Summary] = []
    by_test: list[Summary] = []
    for runner in runners().values():
        if wanted is not None and not wanted.intersection(runner.tools):
            continue
        hits = [hit for i in hinted if (hit := _read(runner, lines, i)) is not None]
        if hits:
            whole = _together(runner, hits)
            whole.counts.update(_left_out(runner, [lines[i] for i in hinted]))
            if runner.plan is None:
                found.append(whole)
            else:
                by_test.append(whole if _planned(runner.plan, lines) == len(hits) else _cut(whole))
    # What tells of each test alone is common to many runners; a sum of its own says more.
    return found or by_test


def _planned(plan: str, lines: Sequence[str]) -> int:
    """How many tests the lines say that there will be, or were."""
    told = (_compiled(plan).fullmatch(line) for line in lines if len(line) <= _MAX_LINE)
    return sum(_groups(match).get("total", 0) for match in told if match is not None)


def _cut(whole: Summary) -> Summary:
    """Of lines of which some are missing nothing but a failure is certain."""
    return whole._replace(ok=False if whole.ok is False else None, counts={})


def _left_out(runner: Runner, lines: Sequence[str]) -> dict[str, int]:
    """How many tests were there and not run, as far as the lines show it: at least so many."""
    number = 0
    if runner.left_out is not None:
        number = sum(_compiled(runner.left_out).fullmatch(line) is not None for line in lines)
    if runner.numbered is not None:
        for line in lines:
            match = _compiled(runner.numbered).fullmatch(line)
            if match is not None:
                number = max(number, int(match["number"]) - int(match["of"]))
    return {"deselected": number} if number > 0 else {}


def _read(runner: Runner, lines: Sequence[str], at: int) -> Summary | None:
    match = _compiled(runner.line).fullmatch(lines[at])
    if match is None:
        return None
    if runner.each:
        word = next(name for name in ("skipped", "expected", "failed", "passed") if match[name])
        return Summary(runner.tools, _went({word: 1}, None, None), {word: 1}, lines[at])
    counts = _groups(match)
    if runner.words:
        pieces = _EQUALS.findall(lines[at]) if runner.equals else _PIECE.findall(lines[at])
        for one, other in pieces:
            word, number = (one.strip(), other) if runner.equals else (other, one)
            if word in runner.words:
                counts[runner.words[word]] = int(number)
    sides = ((runner.after, -1), (runner.above, -1), (runner.below, 1))
    for pattern, direction in sides:
        if pattern is None:
            continue
        beside = _beside(lines, at, direction, pattern)
        if beside is None and pattern is runner.after:
            return None
        if beside is not None:
            counts.update(_groups(beside))
    named = match.groupdict()
    return Summary(runner.tools, _went(counts, named.get("ok"), named.get("bad")), counts, lines[at])


def _beside(lines: Sequence[str], at: int, direction: int, pattern: str) -> re.Match[str] | None:
    seen = 0
    position = at + direction
    while 0 <= position < len(lines) and seen < _NEAR * 2 and abs(position - at) <= _NEAR * 2:
        line = lines[position]
        if len(line) <= _MAX_LINE and (match := _compiled(pattern).fullmatch(line)) is not None:
            return match
        seen += bool(line)
        position += direction
    return None


def _groups(match: re.Match[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for name, value in match.groupdict().items():
        key = "total" if name == "all" else name
        if key in _COUNTS and value is not None and len(value) <= len(str(_LARGEST)):
            counts[key] = int(value)
    return counts


def _went(counts: dict[str, int], ok: str | None, bad: str | None) -> bool | None:
    if bad or counts.get("failed") or counts.get("errors"):
        return False
    if not ok and not counts.get("passed") and not counts.get("total"):
        return None
    return None if counts.get("total") == 0 and not counts.get("passed") else True


def _together(runner: Runner, hits: Sequence[Summary]) -> Summary:
    """Several lines are several runs or packages: one failure fails them all, counts add up."""
    bad = [hit for hit in hits if hit.ok is False]
    good = [hit for hit in hits if hit.ok]
    summed: dict[str, int] = {}
    for hit in hits if runner.adds or len(hits) == 1 else (bad or good):
        for name, count in hit.counts.items():
            summed[name] = summed.get(name, 0) + count
    counts = {name: count for name, count in _plain(summed).items() if count or name == "failed"}
    shown = (bad or good or list(hits))[-1]
    return Summary(runner.tools, False if bad else True if good else None, counts, shown.text)


def _plain(counts: dict[str, int]) -> dict[str, int]:
    """Errors count as failures; passes follow from the total where the runner prints only that."""
    failed = counts.get("failed", 0) + counts.get("errors", 0)
    result = dict(counts)
    result.pop("errors", None)
    if failed or "failed" in counts:
        result["failed"] = failed
    if "passed" not in result and "total" in result:
        result["passed"] = max(0, result["total"] - failed - result.get("skipped", 0))
    return result
