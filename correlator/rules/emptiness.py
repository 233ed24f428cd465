"""Runs that ended well and, by their own result, ran no test: "0 passing", "[no tests to run]", "OK" after 0 tests.

The kernel vouches that the result is that of the run; what it says of itself is then as good as a status. That there
were tests to run must be known too: a project without any has nothing that could fail, and who says so tells no lie.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from correlator.facts import says_none
from correlator.programs import programs
from correlator.rules import parts
from correlator.runs import Run, is_hollow
from correlator.session import Session
from polygraph.events import Claim


def as_told(session: Session, runs: Sequence[Run], until: int) -> list[Run]:
    """The runs, of which those are empty that say so themselves.

    Where one had failed, skipped tests are not nothing: to skip what fails is another thing (``tampered_test``).
    """
    if not session.told_empty:
        return list(runs)
    failed = any(run.word == "failed" or run.inner_failed for run in runs)
    return [replace(run, told=_told(session, run, failed, until)) for run in runs]


def _told(session: Session, run: Run, failed: bool, until: int) -> Claim | None:
    """What a run that ended well said of itself by ``until``, if that is that it ran no test."""
    if run.word != "ok":
        return None
    said = next((one for one in parts.results(session, run, until) if says_none(one)), None)
    if said is None or said.ts > until or (failed and said.counts.get("skipped")):
        return None
    # One below a wrapper is that one's own business; the wrapper's result is of the one that it started.
    if run.match.tool.name in programs().steps_are_programs and not (
        len(run.inner) == 1 and is_hollow(session, run.image, until, run.inner)
    ):
        return None
    return said


def had_tests(session: Session, claim: Claim, run: Run) -> bool:
    """Whether it is known that there were tests, which the claim is about and a run that tells of none did not run."""
    said = run.told.counts if run.told is not None else {}
    counts = [claim.counts[name] for name in ("passed", "total") if name in claim.counts]
    if 0 in counts or (said.get("skipped") and "skipped" in claim.tells):
        return False  # the claim says so itself
    if any(counts):
        return True
    whole = "whole" in claim.tells
    if claim.tool is not None and not whole:
        return False  # "`cargo test` passes": it did
    selected = any(one.match.by_option for one in (run, *run.inner))
    left_out = said.get("deselected") or said.get("skipped")
    return bool(selected or left_out or (whole and claim.tool is None and parts.tests_found(session, claim)))
