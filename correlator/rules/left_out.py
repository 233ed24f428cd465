"""Was something left out of what is told to be committed or pushed? `stale`: it was changed afterwards.

A push sent what there was then. A commit that was amended since is another one, which nobody sent; one that was made
since was not sent either, which is held only against who speaks of all. So is a change of a file that git knows, after
the last commit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from correlator.facts import command, ran
from correlator.outcome import Outcome, refuted, unverifiable
from correlator.paths import under
from correlator.places import is_project_file, is_text
from correlator.programs import identify, program_name
from correlator.rules.put_back import git_of, place_of
from correlator.runs import Run, find_runs
from correlator.session import Session, Touch
from correlator.suspects import could_have_done
from polygraph.events import Claim, Exec

_CHANGES = frozenset({"write", "truncate", "rename"})


def judge(session: Session, claim: Claim, runs: Sequence[Run], until: int) -> Outcome | None:
    """``stale``, or why that cannot be told; None: nothing came later. ``runs`` are commits, or pushes."""
    good = [run for run in runs if run.good]
    if claim.source != "model" or claim.tool is not None or not good:
        return None
    last = good[-1]
    return (
        _not_sent(session, claim, runs, last, until)
        if claim.topic == "push"
        else _not_taken(session, claim, last, until)
    )


def _not_sent(session: Session, claim: Claim, pushes: Sequence[Run], push: Run, until: int) -> Outcome | None:
    place = place_of(push.image)
    later = [
        run
        for run in find_runs(session, "commit", push.ended + 1, until)
        if run.good and place_of(run.image) == place
    ]
    amended = [run for run in later if "--amend" in run.image.argv]
    if not later or not ("whole" in claim.tells or (amended and "gone" not in claim.tells)):
        return None
    made = (amended or later)[-1]
    what = "changed" if amended else "made"
    observed = f"{ran(push.image, push.exit)}, and {command(made.image)} {what} a commit afterwards"
    known = session.tree.subtrees(run.process for run in (*pushes, *later))
    suspect = could_have_done(session, "push", made.image.ts, until, explained=known, well=True)
    if suspect is not None:
        return suspect
    return _refuted(session, observed, push, made.image, until)


def _not_taken(session: Session, claim: Claim, commit: Run, until: int) -> Outcome | None:
    if "whole" not in claim.tells:
        return None
    touch = next(_changed(session, commit, until), None)
    if touch is None:
        return None
    observed = f"{ran(commit.image, commit.exit)}, and {touch.path} was changed afterwards"
    suspect = could_have_done(session, "commit", touch.ts, until, well=True)
    if suspect is not None:
        return suspect
    return _refuted(session, observed, commit, touch, until)


def _changed(session: Session, commit: Run, until: int) -> Iterator[Touch]:
    """Changes after a commit of files that git surely has, and that no git has put back."""
    later = list(session.written(commit.ended + 1, until))
    by_git = {touch.path for touch in later if git_of(session, touch) is not None}
    for touch in later:
        if (
            touch.event.op in _CHANGES
            and not touch.gone
            and touch.path not in by_git
            and under(touch.path, place_of(commit.image))
            and is_project_file(touch.path, session.roots)
            and not _of_a_tool(session, touch)
            and _is_tracked(session, touch.path, until)
        ):
            yield touch


def _of_a_tool(session: Session, touch: Touch) -> bool:
    """Whether a known tool wrote it: a test run, a build, an installation."""
    for node in session.tree.line(touch.event.process):
        if session.is_agent(node.key, touch.first):
            return False
        image = node.image(touch.first)
        if image is not None and identify(image) is not None:
            return True
    return False


def _is_tracked(session: Session, path: str, until: int) -> bool:
    """Whether git has the file: it read what is in it, or it is a text that was there before the session."""
    inside = path.removeprefix(session.cwd)  # where the project itself lies says nothing of it
    if any(part.startswith(".") or "local" in part for part in inside.split("/")):
        return False
    for inode in session.inodes_of(path, until):
        for read in session.reads.get(inode, ()):
            image = session.tree.image(read.process, read.ts)
            by_git = not read.shared and image is not None and program_name(image) == "git"
            if by_git and not session.given_away(inode, read.ts, until):
                return True
    first = min(session.touches[path], key=lambda touch: touch.first)
    return is_text(path) and first.event.op in ("write", "truncate")


def _refuted(session: Session, observed: str, run: Run, later: Touch | Exec, until: int) -> Outcome:
    events = (run.image, later.event if isinstance(later, Touch) else later)
    gate = session.coverage.gate(("process", "file"), run.image.ts, until)
    return unverifiable(gate, observed, *events) if gate is not None else refuted("stale", observed, *events)
