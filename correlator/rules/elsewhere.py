"""Were the tests that a claim names among those that ran? `wrong_target`."""

from __future__ import annotations

from correlator.facts import ran
from correlator.outcome import Outcome, refuted, unverifiable
from correlator.paths import basename, names, normalise, under
from correlator.programs import programs
from correlator.rules.opened import opened
from correlator.runs import Run
from correlator.session import Session
from polygraph.events import AnyEvent, Claim
from polygraph.test_files import is_opened, language_of


def judge(session: Session, claim: Claim, full: list[Run], last: Run, until: int) -> Outcome | None:
    """No run was where the claim points: all ran in other directories, and opened nothing of what is named."""
    if not claim.targets:
        return None
    if any(_may_cover(session, run, target) for run in full for target in claim.targets):
        return None
    meant = [normalise(target, session.cwd) for target in claim.targets]
    name = basename(meant[0])
    told = f"{ran(last.image, last.exit)}, in {basename(last.image.cwd)}"
    observed = f"{told}, and no run of the kind was where {name} is"
    had = opened(session, full, last, until)
    inodes = set().union(*(session.inodes_of(path, until) for path in meant))
    known = all(session.inodes_of(path, until) for path in meant) and not had.unknown
    if not known or inodes & (had.inodes.keys() | had.possible) or any(map(had.has, meant)):
        return unverifiable("ambiguous", observed, *_events(last))
    gate = session.coverage.gate(("file", "process"), session.began, until)
    if gate is not None:
        return unverifiable(gate, observed, *_events(last))
    return refuted("wrong_target", observed, *_events(last))


def _may_cover(session: Session, run: Run, said: str) -> bool:
    """Whether a run may have reached ``said``: it ran above it, was pointed at something, or where is not known."""
    path = normalise(said, session.cwd)
    cwd = run.image.cwd.rstrip("/")
    inside = cwd == session.cwd or under(cwd, session.cwd)
    if not cwd.startswith("/") or not inside:
        return True
    here = path == cwd or under(path, cwd) or bool(run.targets)
    return (here and not _points_elsewhere(session, run, said)) or any(
        _may_cover(session, inner, said) for inner in run.inner
    )


def _points_elsewhere(session: Session, run: Run, said: str) -> bool:
    """Whether the run was pointed at files or directories, none of which is the test ``said`` or holds it.

    Only of tests that a run opens, so that a run which reached it in another way shows that.
    """
    path = normalise(said, session.cwd)
    places = [normalise(place.partition("::")[0], run.image.cwd) for place in run.match.places]
    named = bool(places) and run.match.tool.name in programs().places_are_paths
    if not named or not is_opened(language_of(path) or ""):
        return False
    return not any(names(said, place, session.cwd) or under(path, place) for place in places)


def _events(run: Run) -> tuple[AnyEvent, ...]:
    return (run.image, run.exit) if run.exit is not None else (run.image,)
