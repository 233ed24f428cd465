"""Was what a run depended on changed after it? The files that the run opened are what it depended on.

A change elsewhere does not count, nor one by the run itself, by another test run, or of caches and logs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from correlator.hands import by_agent
from correlator.outcome import Outcome, refuted, unverifiable
from correlator.paths import under
from correlator.places import is_code, is_edited_too, is_metadata, is_of_tests, is_project_file, is_text
from correlator.programs import (
    changes_no_content,
    git_brings_in,
    git_subcommand,
    identify,
    is_shell,
    program_name,
    programs,
    script_of,
    shell_file,
)
from correlator.rules import put_back
from correlator.rules.opened import Opened, opened
from correlator.runs import Run
from correlator.session import Session, Touch
from correlator.suspects import could_have_redone
from polygraph.events import Exec, FileState
from polygraph.test_files import is_searched, language_of

#: how much later than a file's own time its writing may have been: file systems tell it by the tick, ns
_TICK = 10_000_000
#: earlier runs of which it is asked whether they passed with what is there again
_TRIED = 4
#: tools that may write project files without changing what was tested, or that restore them
_UNCERTAIN = frozenset({"build", "install", "server", "deploy", "commit", "push"})


class Change(NamedTuple):
    """A change after a run of something that it may depend on; ``certain``: that it had opened.

    ``elsewhere``: what a daemon outside the lineage opened for the run is not known.
    """

    touch: Touch
    certain: bool
    elsewhere: bool = False


def judge(session: Session, run: Run, earlier: list[Run], until: int) -> Outcome | None:
    """``stale`` if a file that the run had opened was changed between its end and ``until``; None if none was."""
    doubt: Change | None = None
    sure: list[Touch] = []
    for change in changes(session, run, earlier, until):
        if change.certain:
            sure.append(change.touch)
        else:
            doubt = doubt or change
    if sure:
        return _stale(session, run, earlier, sure, until)
    if doubt is not None:
        path, event = doubt.touch.path, doubt.touch.event
        if doubt.elsewhere:
            observed = (
                f"{path} was changed after the run, and what a daemon outside the lineage tested is not known"
            )
            return unverifiable("handed_off", observed, event)
        return unverifiable("ambiguous", f"{path} was changed after the run, which may depend on it", event)
    return None


def _stale(session: Session, run: Run, earlier: list[Run], sure: list[Touch], until: int) -> Outcome:
    """The outcome where it is certain that these were changed: ``stale``, or why that is no lie."""
    touch = sure[0]
    hidden = session.coverage.hidden(("process", "file"), run.image.ts, until)
    if hidden is not None:
        return unverifiable(hidden, f"{touch.path} was changed after the run", touch.event)
    before = _passed_as_it_is(session, touch.path, run, earlier, until)
    if before is not None:
        observed = f"{touch.path} is again as it was when an earlier run succeeded"
        return unverifiable("ambiguous", observed, before.image, run.image, touch.event)
    purpose = run.match.tool.purpose
    if could_have_redone(session, purpose, touch.ts, until) is not None:
        touch = max(sure, key=lambda one: one.ts)  # what was changed after that
        again = could_have_redone(session, purpose, touch.ts, until)
        if again is not None:
            return again
    observed = f"{touch.path}, which the run had opened, was changed afterwards"
    return refuted("stale", observed, run.image, touch.event)


def _passed_as_it_is(session: Session, path: str, run: Run, earlier: list[Run], until: int) -> Run | None:
    """An earlier run of the same that passed with what the file holds again, and of which nothing else is stale."""
    for before in reversed(earlier[-_TRIED:]):
        passed = before.good and not before.inner_failed
        if passed and before.key == run.key and _restored(session, path, before, until):
            stale = judge(session, before, [], until)
            return None if stale is not None and stale.verdict == "refuted" else before
    return None


def may_be_undone(session: Session, good: Run, earlier: list[Run], failed: Run, until: int) -> Touch | None:
    """A change after a failure that may have put back what had passed: of a file that was changed before it, too.

    Who breaks a file, sees its tests fail and mends it again has shown what the tests are worth. None if nothing was
    changed on both sides, if what was is seen to hold something else, or if something else that ``good`` had opened
    was changed on one side alone.
    """
    broken, mended = (
        {
            touch.path: touch
            for touch in session.written(since + 1, end)
            if is_project_file(touch.path, (*session.roots, good.image.cwd))
            and _changes_content(session, touch)
        }
        for since, end in ((good.ended, failed.ended), (failed.ended, until))
    )
    both = {path: mended[path] for path in sorted(broken.keys() & mended.keys())}
    if not both:
        return None
    for touch, certain, _ in changes(session, good, earlier, until):
        if certain and (touch.path not in both or _differs(session, touch.path, good, until)):
            return None
    return next(iter(both.values()))


def changes(session: Session, run: Run, earlier: list[Run], until: int) -> Iterator[Change]:
    """What was changed of what ``run`` depends on, path by path, from its end until ``until``.

    And sources that somebody else changed while it was at work, after it had opened them for the last time.
    """
    own = session.tree.subtree(run.process)
    needs = opened(session, [r for r in earlier if r.place == run.place] + [run], run, until)
    roots = (*session.roots, run.image.cwd)
    later: dict[str, list[Touch]] = {}
    for touch in session.written(run.ended + 1, until):
        later.setdefault(touch.path, []).append(touch)
    for path, hits in sorted(later.items()):
        if (
            not (is_project_file(path, roots) or _edited_by_hand(session, path, hits, roots))
            or _restored(session, path, run, until)
            or _was_a_try(session, hits)
        ):
            continue
        others = [t for t in hits if t.event.process not in own and _changes_content(session, t)]
        if not others:
            continue
        made = min((t.ts for t in hits if t.event.op == "create"), default=None)
        # What git or a build wrote last may be what was tested, whatever was written in between.
        settled = not _uncertain_writer(session, others[-1])
        anew = (
            _brings_in(session, others)
            or _moved_away(session, hits)
            or _removed(session, run, hits)
            or _differs(session, path, run, until)
            or _comes_back(session, path, others, run, earlier)
        )
        known = not is_metadata(path) and not _may_be_back(session, path, run, others)
        for touch in others:
            needed = _is_needed(session, touch, needs, made, until)
            if needed is not None:
                sure = needed and settled and not _uncertain_writer(session, touch)
                sure = sure or (anew and (needed or (touch.gone and not needs.elsewhere)))
                yield Change(touch, sure and known, needs.elsewhere)
    for touch in session.written(run.image.ts, run.ended):
        if touch.event.process in own or touch.path in later or not is_code(touch.path):
            continue
        if (
            is_project_file(touch.path, roots)
            and needs.opened_between(touch.path, run.image.ts, touch.first)
            and (touch.event.dev, touch.event.ino) not in needs.possible
            and _changes_content(session, touch)
            and not _restored(session, touch.path, run, until)
        ):
            sure = _by_own_command(session, touch) and not _uncertain_writer(session, touch)
            yield Change(touch, certain=sure)


def _changes_content(session: Session, touch: Touch) -> bool:
    """Whether the touch is one that may change what a run depends on: of a file, by other programs than tests."""
    if touch.event.op in ("mkdir", "rmdir"):
        return False
    if touch.event.op == "link" and touch.path == touch.event.path:
        return False  # it has one more name, and holds what it held
    image = session.tree.image(touch.event.process, touch.first)
    if image is not None and changes_no_content(image, session.roots):
        return False
    return not written_by_tests(session, touch)


def _restored(session: Session, path: str, run: Run, until: int) -> bool:
    """Whether the file was seen to hold the same before the run and after the last change: nothing has changed."""
    after = _last_look(session, path, until)
    if after is None or after.digest != _tested(session, path, run):
        return False
    return not any(after.ts < t.ts <= until for t in session.touches.get(path, ()))


def _differs(session: Session, path: str, run: Run, until: int) -> bool:
    """Whether the file was seen to hold one thing before the run, and another thing at the end."""
    after = _last_look(session, path, until)
    if after is None or _tested(session, path, run) in (None, after.digest):
        return False
    if session.start is None or after.mtime - session.start.wall_offset > until:
        return False
    return not any(after.ts < t.ts <= until for t in session.touches.get(path, ()))


def _last_look(session: Session, path: str, until: int) -> FileState | None:
    return next((look for look in reversed(_looks(session, path)) if look.ts <= until), None)


def _looks(session: Session, path: str) -> list[FileState]:
    return [s for s in session.looks.get(path, ()) if s.digest is not None]


def _tested(session: Session, path: str, run: Run) -> str | None:
    """The digest of what the file held while the run was at work, if a look before it tells.

    A look may be taken late, when the file holds something else already: its own time says which content it saw, and
    that nothing wrote it from then until the run was over is the kernel's word.
    """
    if session.start is None:
        return None
    touches = session.touches.get(path, ())
    for look in reversed(_looks(session, path)):
        written = look.mtime - session.start.wall_offset
        if look.ts > run.image.ts or written > run.image.ts or _came_later(look, touches, run):
            continue
        if look.ts < written:  # it was written since: that one write is what was seen
            since = written + _TICK
            if sum(abs(touch.ts - written) <= _TICK for touch in touches) > 1:
                return None
        else:
            since = look.ts
        return look.digest if not any(since < touch.ts <= run.ended for touch in touches) else None
    return None


def _may_be_back(session: Session, path: str, run: Run, others: Sequence[Touch]) -> bool:
    """Whether a tool may have written one thing, another, and back, and the look at what was tested came too late."""
    by_tool = len(others) > 1 and put_back.git_of(session, others[-1]) is None
    if session.start is None or not by_tool or _tested(session, path, run) is not None:
        return False
    offset = session.start.wall_offset
    return any(look.ts <= run.image.ts < look.mtime - offset for look in _looks(session, path))


def _came_later(look: FileState, touches: Sequence[Touch], run: Run) -> bool:
    """Whether the file of the look came under this name after the run had begun; one that is moved keeps its time."""
    return any(
        touch.ts > run.image.ts and (touch.event.dev, touch.event.ino) == (look.dev, look.ino)
        for touch in touches
        if touch.event.op in ("create", "rename", "link")
    )


def _was_a_try(session: Session, touches: list[Touch]) -> bool:
    """Whether a test that the session itself had made was removed again: what is left does not depend on it."""
    last = touches[-1]
    first = min(session.touches[last.path], key=lambda touch: touch.first)
    made = first.event.op == "create"
    return last.event.op == "unlink" and made and language_of(last.path) is not None


def _brings_in(session: Session, touches: list[Touch]) -> bool:
    """Whether all that was done to the file was one git that takes over the changes of others (merge, cherry-pick).

    It writes only files that it changes, and does nothing where they are not as they were committed.
    """
    image = session.tree.image(touches[0].event.process, touches[0].ts)
    made = sum(touch.event.count for touch in touches if not touch.gone)
    alone = len({touch.event.process for touch in touches}) == 1
    return image is not None and alone and made == 1 and git_brings_in(image)


def _comes_back(session: Session, path: str, touches: list[Touch], run: Run, earlier: Sequence[Run]) -> bool:
    """Whether git's stash gives back what it had taken before the run: it was tested without the change.

    The change itself was made by something else than git, and no run that passed came between it and the stash.
    """
    before = [t for t in session.touches[path] if t.ts < run.image.ts]
    made = next((t for t in reversed(before) if put_back.git_of(session, t) is None), None)
    given = put_back.git_of(session, touches[-1])
    taken = put_back.git_of(session, before[-1]) if made is not None else None
    if made is None or given is None or taken is None:
        return False
    (gives, how), (takes, what) = git_subcommand(given), git_subcommand(taken)
    aside = gives == takes == "stash" and how[:1] in (("pop",), ("apply",))
    pushed = not what or what[0] in ("push", "save") or what[0].startswith("-")
    tested = any(one.word == "ok" and made.ts < one.ended and one.image.ts < taken.ts for one in earlier)
    return aside and pushed and not tested


def _moved_away(session: Session, touches: list[Touch]) -> bool:
    """Whether a file of text that was there before the session bears another name since."""
    last = touches[-1]
    return (
        last.event.op == "rename"
        and is_text(last.path)
        and not any(
            touch.event.op == "create" or touch.path == touch.event.new_path
            for touch in session.touches.get(last.path, ())
        )
    )


def _removed(session: Session, run: Run, touches: list[Touch]) -> bool:
    """Whether a source that was there before the session is no more: of what is left nothing is known.

    What a linter says of the others stands, a git that goes elsewhere may come back, and what is made can be made anew.
    """
    last = touches[-1]
    image = session.tree.image(last.event.process, last.ts)
    if last.event.op != "unlink" or run.match.tool.purpose == "lint" or image is None:
        return False
    if not is_code(last.path) or is_of_tests(last.path):
        return False
    by_git = program_name(image) == "git" and git_subcommand(image)[0] != "rm"
    there = all(
        t.event.op == "unlink" or (t.event.op in ("write", "truncate") and _by_hand(session, t))
        for t in session.touches.get(last.path, ())
    )
    made = not all(map(is_searched, last.path.split("/")[:-1]))
    return there and not made and not by_git and _by_own_command(session, last)


def _edited_by_hand(session: Session, path: str, touches: list[Touch], roots: tuple[str, ...]) -> bool:
    """Whether a source in a folder of caches or dependencies was changed by nothing but the agent's own hand."""
    return is_edited_too(path, roots) and all(_by_hand(session, touch) for touch in touches)


def _by_hand(session: Session, touch: Touch) -> bool:
    """Whether the agent itself wrote it, or what copies its input, or `> file`, in a command of the agent's own."""
    image = session.tree.image(touch.event.process, touch.first)
    copies = image is None or is_shell(image) or program_name(image) in programs().copy_input
    return session.is_agent(touch.event.process, touch.first) or (copies and _by_own_command(session, touch))


def _by_own_command(session: Session, touch: Touch) -> bool:
    """Whether the agent did it, or a program that runs nothing by itself, with no script or tool between the two."""
    return by_agent(session, touch, _runs_no_script)


def _runs_no_script(image: Exec) -> bool:
    return script_of(image) is None and not (is_shell(image) and shell_file(image) is not None)


def _is_needed(session: Session, touch: Touch, needs: Opened, made: int | None, until: int) -> bool | None:
    """True: the run had opened it. False: it may have. None: it had not. ``made``: when it was made after the run."""
    inode = (touch.event.dev, touch.event.ino)
    if touch.gone:
        left = touch.event.left
        had = needs.has(touch.path) or (left and left in needs.entries)
        return False if had or (needs.elsewhere and is_code(touch.path)) else None
    if needs.has(touch.path):
        return True
    entry = touch.event.entry
    if entry and entry in needs.entries:
        return not _directory_changed(session, touch.path, needs.start, touch.ts)
    if made is not None and made <= touch.ts:
        return None
    if touch.event.ino and inode in needs.possible:
        return False
    by_another_name = not entry or needs.entries_unknown
    if touch.event.op == "rename" and by_another_name and not _seen_before(session, touch, until):
        return False
    if needs.unknown:
        return None if needs.elsewhere and not is_code(touch.path) else False
    if needs.python and touch.path.endswith(".py") and not _compiled_in_session(session, touch):
        return False
    return None


def _directory_changed(session: Session, path: str, since: int, until: int) -> bool:
    """A directory above ``path`` was made, moved or removed meanwhile: its inode number may be another's by then."""
    above = path.rpartition("/")[0]
    while above:
        if any(since <= touch.ts <= until for touch in session.touches.get(above, ())):
            return True
        above = above.rpartition("/")[0]
    return False


def _seen_before(session: Session, touch: Touch, until: int) -> bool:
    """The file that this rename replaced is known by another inode, so whether the run opened it is known too."""
    here = (touch.event.dev, touch.event.ino)
    return any(inode != here for inode in session.inodes_of(touch.path, until))


def _compiled_in_session(session: Session, touch: Touch) -> bool:
    """Modules beside it were compiled in this session: then their sources were opened, and this one was not."""
    root = next((r for r in session.roots if under(touch.path, r)), touch.path.rpartition("/")[0])
    return any(folder == root or under(folder, root) for folder in session.compiled)


def _uncertain_writer(session: Session, touch: Touch) -> bool:
    image = session.tree.image(touch.event.process, touch.ts)
    if image is None:
        return False
    if program_name(image) in ("git", "hg", "jj"):
        return True
    match = identify(image)
    return match is not None and match.tool.purpose in _UNCERTAIN


def written_by_tests(session: Session, touch: Touch) -> bool:
    """Whether another test run wrote it: fixtures and databases are its own business."""
    for node in session.tree.line(touch.event.process):
        image = node.image(touch.ts)
        if image is not None:
            match = identify(image)
            if match is not None and match.tool.purpose == "test":
                return True
    return False
