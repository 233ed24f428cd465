"""Is what an installer had put there gone again when it is told to be installed? `not_persisted`.

Looked at is what stands directly in a folder of packages (`node_modules/x`, `site-packages/x`, or where the command
line said): one name of these that is left is enough, and of an installer that was not seen to put any nothing is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from correlator.facts import ran
from correlator.outcome import Outcome, refuted, unverifiable
from correlator.paths import normalise
from correlator.runs import Run
from correlator.session import Session, Touch
from correlator.suspects import could_have_done
from polygraph.events import Claim

_FOLDERS = frozenset({"node_modules", "site-packages", "dist-packages"})
_TARGETS = ("--target", "-t")
_PUTS = frozenset({"create", "mkdir", "symlink", "link", "rename"})


def judge(session: Session, claim: Claim, runs: Sequence[Run], until: int) -> Outcome | None:
    """``not_persisted``, or why that cannot be told; None: something of what was installed is left, or may be."""
    good = [run for run in runs if run.good]
    if claim.source != "model" or "gone" in claim.tells or not good:
        return None
    puts = [_put(session, run) for run in good]
    if not all(puts):
        return None
    every = [touch for put in puts for touch in put.values()]
    gone = [end for touch in every if (end := _end(session, touch, until)) is not None]
    if len(gone) < len(every):
        return None
    last, run = max(gone, key=lambda touch: touch.ts), good[-1]
    observed = f"{ran(run.image, run.exit)}, and what it had put there was removed: {last.path}"
    suspect = could_have_done(session, "install", last.ts, until, well=True)
    if suspect is not None:
        return suspect
    gate = session.coverage.gate(("process", "file"), run.image.ts, until)
    if gate is not None:
        return unverifiable(gate, observed, run.image, last.event)
    return refuted("not_persisted", observed, run.image, last.event)


def _put(session: Session, run: Run) -> dict[str, Touch]:
    """What the installer made in folders of packages, by path."""
    below = session.tree.subtree(run.process)
    argv = run.image.argv
    targets = {normalise(word, run.image.cwd) for flag, word in pairwise(argv) if flag in _TARGETS}
    found: dict[str, Touch] = {}
    for touch in session.written(run.image.ts, run.ended):
        folder = touch.path.rpartition("/")[0]
        packages = folder.rpartition("/")[2] in _FOLDERS or folder in targets
        if packages and touch.event.process in below and touch.event.op in _PUTS and not touch.gone:
            found[touch.path] = touch
    return {path: touch for path, touch in found.items() if _end(session, touch, run.ended) is None}


def _end(session: Session, put: Touch, until: int) -> Touch | None:
    """The removal of what was put there, or None if it is there."""
    last = next(touch for touch in reversed(session.touches[put.path]) if touch.ts <= until)
    return last if last.gone else None
