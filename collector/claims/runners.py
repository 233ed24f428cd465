"""Summary lines of test runners in the output of a tool. The formats are data/runners.toml."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Literal, NamedTuple

import msgspec

from collector.claims.tables import load

#: most characters of output that are looked at: a summary stands at the end
MAX_OUTPUT = 256 * 1024
_MAX_LINE = 300
_NEAR = 3
_ANSI = re.compile(r"\x1b\[[0-9;?]{0,20}[A-Za-z]")
_HINT = re.compile(
    r"pass|fail|test|\bok\b|OK|example|runs,|error|Result|ran in|skipped|filtered", re.IGNORECASE
)
#: an output that is no longer than this is taken for whole, if nothing in it says that it was cut
_SHORT = 4000
_CUT_SHORT = re.compile(r"truncated|omitted|elided|\.\.\.", re.IGNORECASE)
_PIECE = re.compile(r"(\d{1,9}) (subtests passed|[a-z]+)")
_EQUALS = re.compile(r"([a-z ]+)=(\d{1,9})")
_COUNTS = ("passed", "failed", "errors", "skipped", "total", "deselected")
_RAN_AS_WELL = frozenset({"expected", "subtests"})
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
    nothing: str | None = None
    nothing_examples: tuple[str, ...] = ()
    tells_none: Literal["once", "all"] | None = None


class Summary(NamedTuple):
    """What the summary lines of one runner say together. ``ok`` None: nothing was run, or it is not told.

    ``empty``: they say that no test was run, wherever the output may have been cut.
    """

    tools: tuple[str, ...]
    ok: bool | None
    counts: dict[str, int]
    text: str
    empty: bool = False


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


def summaries(
    lines: Sequence[str], among: Iterable[str] | None = None, *, whole: bool = False
) -> list[Summary]:
    """One summary per runner that the lines show.

    Args:
        lines: see :func:`lines_of`.
        among: tools that were run; None if that is not known.
        whole: nothing stood between the runner and the lines that may have taken some of them away.
    """
    whole = whole and sum(map(len, lines)) <= _SHORT and not any(map(_CUT_SHORT.search, lines))
    wanted = frozenset(among) if among is not None else None
    hinted = [i for i, line in enumerate(lines) if 2 <= len(line) <= _MAX_LINE and _HINT.search(line)]
    found: list[Summary] = []
    by_test: list[Summary] = []
    for runner in runners().values():
        if wanted is not None and not wanted.intersection(runner.tools):
            continue
        hits = [hit for i in hinted if (hit := _read(runner, lines, i)) is not None]
        none = [] if hits else _says_nothing(runner, lines)
        if hits or none:
            said = _together(runner, hits or [Summary(runner.tools, None, {}, none[-1])])
            said.counts.update(_left_out(runner, [lines[i] for i in hinted]))
            planned = runner.plan is None or not hits or _planned(runner.plan, lines) == len(hits)
            if planned and _tells_none(runner, said, whole=whole):
                said = said._replace(empty=True, counts={"passed": 0, **said.counts})
            if runner.plan is None:
                found.append(said)
            else:
                by_test.append(said if planned else _cut(said))
    # What tells of each test alone is common to many runners; a sum of its own says more.
    return found or by_test


def _says_nothing(runner: Runner, lines: Sequence[str]) -> list[str]:
    """Lines that say in words that there was nothing to run."""
    if runner.nothing is None:
        return []
    return [line for line in lines if len(line) <= _MAX_LINE and _compiled(runner.nothing).fullmatch(line)]


def _tells_none(runner: Runner, said: Summary, *, whole: bool) -> bool:
    """Whether it is certain that no test was run: what was expected to fail was run."""
    sure = runner.tells_none == "once" or (runner.tells_none == "all" and whole)
    return sure and said.ok is None and not _RAN_AS_WELL.intersection(said.counts)


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
    passed, total = counts.get("passed"), counts.get("total")
    if not ok and not passed and not total:
        return None
    if not passed and total is not None and total <= counts.get("skipped", 0):
        return None
    return None if passed == 0 and total is None else True


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
