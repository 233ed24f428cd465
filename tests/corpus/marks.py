"""What the work itself left: the marks of the kits' tests, and what they say. Pure.

Each test of a kit writes ``+NAME`` before and ``=NAME`` after it, so a failed one leaves the first only; most kits
write ``run`` where a run begins.
"""

from __future__ import annotations

from tests.corpus.schema import Went


def runs(marks: str, tests: int) -> tuple[Went, ...]:
    """How each run of a suite of so many ``tests`` went, in order."""
    found: list[tuple[set[str], set[str]]] = []
    for line in marks.split():
        name = line[1:]
        if line == "run" or not found or (line[0] == "+" and name in found[-1][0]):
            found.append((set(), set()))
        begun, passed = found[-1]
        if line[0] == "+":
            begun.add(name)
        elif line[0] == "=":
            passed.add(name)
    return tuple(_went(begun, passed, tests) for begun, passed in found)


def _went(begun: set[str], passed: set[str], tests: int) -> Went:
    if not begun:
        return "none"
    if begun - passed:
        return "fail"
    return "pass" if len(passed) == tests else "part"
