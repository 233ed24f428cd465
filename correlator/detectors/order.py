"""Contradictions of order: what the tests said last was about something else than what was committed, pushed or left.

Said at the end of the session, since a later run may put it right. One finding for a session, the one that reaches
furthest: pushed, else committed, else left as it is. Each needs that the last test run before that point went well;
that a file which it had opened was changed afterwards, by no tool; for a commit and a push, that git took the changed
file in (it opened it, in `git add` or `git commit -a`); that no run went well afterwards; that nothing unknown could
have been one; and that it would have been seen.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from correlator.facts import command, ending, fact
from correlator.paths import basename
from correlator.programs import git_takes_in, identify
from correlator.rules import staleness
from correlator.runs import Run, find_runs
from correlator.session import Session, Touch
from correlator.suspects import could_have_done
from polygraph.events import AnyEvent, Exec
from polygraph.findings import Finding, Step
from polygraph.ids import derived_id
from polygraph.verdicts import Window

DETECTOR = "order_contradiction"
#: files that a finding names, and cites
_NAMED = 3
_THEN = {
    "pushed_other_than_tested": "changed, committed and pushed",
    "committed_before_tests": "changed, committed",
    "tested_before_last_edit": "changed",
}


class _Point(NamedTuple):
    """Up to when the tests should have been about what there was."""

    kind: str
    ts: int
    #: the push or commit
    run: Run | None = None
    #: the commit by which it came into what was pushed
    commit: Run | None = None


class _Taken(NamedTuple):
    """A change that git took in."""

    touch: Touch
    by: Exec


class Order:
    """Asks once, at the end: the session holds all that is needed."""

    def see(self, session: Session, event: AnyEvent) -> None:
        """Nothing is kept."""

    def due(self, session: Session, now: int, *, final: bool) -> Iterable[Finding]:
        """At most one, when the session is over."""
        if not final:
            return ()
        tests = find_runs(session, "test", session.began, now)
        if not tests:
            return ()
        for point in _points(session, now):
            found = _at(session, point, tests, now)
            if found is not None:
                return (found,)
        return ()


def _points(session: Session, now: int) -> Iterable[_Point]:
    """The last push, the last commit, the end."""
    pushes = [run for run in find_runs(session, "push", session.began, now) if run.word == "ok"]
    commits = [run for run in find_runs(session, "commit", session.began, now) if run.word == "ok"]
    if pushes:
        push = pushes[-1]
        before = [commit for commit in commits if commit.ended <= push.image.ts]
        if before:
            yield _Point("pushed_other_than_tested", push.image.ts, push, before[-1])
    if commits:
        commit = commits[-1]
        yield _Point("committed_before_tests", commit.ended, commit, commit)
    yield _Point("tested_before_last_edit", now)


def _at(session: Session, point: _Point, tests: list[Run], now: int) -> Finding | None:
    began = point.commit.image.ts if point.commit is not None else point.ts
    before = [run for run in tests if run.image.ts < began]
    after = [run for run in tests if run.image.ts >= began]
    if not before or before[-1].word != "ok" or any(run.word in ("ok", "running") for run in after):
        return None
    last = before[-1]
    until = point.commit.ended if point.commit is not None else point.ts
    changed = [
        change.touch
        for change in staleness.changes(session, last, before[:-1], until)
        if change.certain and not _by_tool(session, change.touch)
    ]
    taken: list[_Taken] = []
    if point.commit is not None:
        taken = [
            _Taken(touch, by)
            for touch in changed
            if (by := _taken_in(session, touch, point.commit)) is not None
        ]
        changed = [one.touch for one in taken]
    if not changed:
        return None
    first = min(touch.ts for touch in changed)
    ours = session.tree.subtrees(run.process for run in tests)
    if could_have_done(session, "test", first, now, explained=ours, well=False) is not None:
        return None
    if session.coverage.gate(("process", "file"), last.image.ts, now) is not None:
        return None
    return _finding(session, point, last, changed, taken, now)


def _by_tool(session: Session, touch: Touch) -> bool:
    """Whether a known tool wrote it: a formatter changes how a file looks."""
    image = session.tree.image(touch.event.process, touch.ts)
    return image is not None and identify(image) is not None


def _taken_in(session: Session, touch: Touch, commit: Run) -> Exec | None:
    """The git that read the changed file in order to commit it: before the commit began, or the commit itself."""
    own = session.tree.subtree(commit.process)
    for inode in sorted(session.inodes_of(touch.path, commit.ended)):
        for read in session.reads.get(inode, ()):
            in_time = read.ts <= commit.image.ts or (read.process in own and read.ts <= commit.ended)
            image = session.tree.image(read.process, read.ts) if touch.ts < read.ts and in_time else None
            if image is not None and git_takes_in(image):
                return image
    return None


def _finding(
    session: Session, point: _Point, last: Run, changed: list[Touch], taken: list[_Taken], now: int
) -> Finding:
    first = {touch.path: touch for touch in reversed(changed)}  # of each file, the first change
    shown = [first[path] for path in sorted(first)[:_NAMED]]
    named = ", ".join(basename(touch.path) for touch in shown)
    more = f" and {len(first) - _NAMED} more" if len(first) > _NAMED else ""
    tests = command(last.image)
    git = [one.by for one in taken if one.touch in shown]
    git += [run.image for run in (point.commit, point.run) if run is not None]
    images = sorted({image.id: image for image in git}.values(), key=lambda image: (image.ts, image.seq))
    steps = [
        Step(ts=last.ended, what=f"{tests} {ending(last.exit)}", id=last.image.id),
        *(Step(ts=t.ts, what=f"{t.event.op} {t.path}", id=t.event.id, grade="strong") for t in shown),
        *(Step(ts=image.ts, what=command(image), id=image.id, grade="strong") for image in images),
    ]
    events: list[AnyEvent] = [last.image, *(t.event for t in shown), *images]
    if last.exit is not None:
        events.insert(1, last.exit)
    return Finding(
        id=derived_id("f", session.id, DETECTOR, point.kind, last.image.id),
        session=session.id,
        ts=now,
        detector=DETECTOR,
        kind=point.kind,
        summary=f"{named}{more}, which {tests} had opened, was {_THEN[point.kind]} and not tested again",
        evidence=tuple(fact(event) for event in events),
        window=Window(open=last.image.ts, close=point.ts),
        path=tuple(sorted(steps, key=lambda step: step.ts)),
        figures={"files": float(len(first))},
    )
