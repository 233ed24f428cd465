"""Claims that files were created, changed or deleted, over the whole session."""

from __future__ import annotations

import re

from correlator.delegation import given_away, told_to_have_failed
from correlator.outcome import Outcome, combine, refuted, unverifiable, verified
from correlator.paths import basename, common_tail, normalise, under
from correlator.places import is_temporary
from correlator.programs import git_subcommand, program_name, programs
from correlator.rules import put_back
from correlator.rules.files import changed_outside, directory_moved, touches_of
from correlator.session import Session, Touch
from correlator.windows import Span
from polygraph.events import Claim, FileState

_FILE_NAME = re.compile(
    r"[\w.+@-]*\.[A-Za-z][A-Za-z0-9]{0,7}|Makefile|Dockerfile|LICENSE|Jenkinsfile|Gemfile|Procfile"
)


def judge(session: Session, claim: Claim, span: Span) -> Outcome:
    """The verdict on a claim about named files."""
    if not claim.targets:
        return unverifiable("ambiguous", "which files are meant is not known")
    return combine([_one(session, claim, target, span) for target in claim.targets])


def _one(session: Session, claim: Claim, said: str, span: Span) -> Outcome:
    touches = touches_of(session, said, span.early, span.until) or _by_inode(session, said, span)
    live = [t for t in touches if not t.gone]
    gone = [t for t in touches if t.gone]
    if claim.topic == "file_deleted":
        if gone and not any(t.ts > gone[-1].ts for t in live):
            return verified(f"{gone[-1].path} was removed", "strong", gone[-1].event)
        if gone:
            return unverifiable("ambiguous", f"{gone[-1].path} was removed and made again", gone[-1].event)
        return _missing(session, claim, said, span, "was not removed")
    if not live:
        if gone:
            return unverifiable("ambiguous", f"{gone[-1].path} was only removed", gone[-1].event)
        return _missing(session, claim, said, span, "was not opened for writing")
    meant = normalise(said, session.cwd)
    every = live
    live = [t for t in live if t.path == meant] or live
    last = live[-1]
    if any(t.path == last.path and t.ts > last.ts for t in gone):
        return _removed_again(session, claim, said, last, every, gone, span)
    back = put_back.judge(session, claim, live, span) or _moved_along(session, claim, said, every, span)
    if back is not None:
        return back
    paths = {t.path for t in live}
    if all(_is_aside(session, path) for path in paths) and not said.startswith("/"):
        return _aside(session, claim, said, last, span)
    own = _own_look(session, claim, said)
    if own is not None and not own.exists and _beside(session, said, live, span):
        observed = f"{last.path} was written, which is in another tree than the session's"
        return unverifiable("ambiguous", observed, last.event, own)
    if own is not None and not own.exists and last.path == meant:
        return _not_there(session, claim, live, own, span)
    if len(paths) > 1 and "/" not in said.strip("./"):
        return verified(
            f"{len(paths)} files of that name were written", "weak", *(t.event for t in live[-2:])
        )
    return verified(f"{last.path} was written", "strong", last.event)


def _removed_again(
    session: Session,
    claim: Claim,
    said: str,
    last: Touch,
    live: list[Touch],
    gone: list[Touch],
    span: Span,
) -> Outcome:
    """It was written, and taken away before the claim, and so was each of that name: the collector looked then."""
    aside = {t.event.new_path for t in gone if _is_moved_aside(session, t)}
    live = [t for t in live if t.path not in aside or t.path == last.path]
    ends = {
        path: next((t for t in reversed(gone) if t.path == path), None) for path in {t.path for t in live}
    }
    end = next(t for t in reversed(gone) if t.path == last.path)
    away = _is_moved_aside(session, end)
    observed = f"{last.path} was written and {'moved away' if away else 'removed again'}"
    removed = all(
        t is not None
        and (t.event.op == "unlink" or _is_moved_aside(session, t))
        and not _by_git(session, t, span.until)
        and t.ts > max(w.ts for w in live if w.path == path)
        for path, t in ends.items()
    )
    look = _own_look(session, claim, said)
    if not removed or look is None or look.exists or "gone" in claim.tells:
        return unverifiable("ambiguous", observed, last.event, end.event)
    return refuted("not_persisted", observed, last.event, end.event, look)


def _not_there(session: Session, claim: Claim, live: list[Touch], own: FileState, span: Span) -> Outcome:
    """It was written where it was meant to be, was seen to be removed by nobody, and is not there.

    Then others removed it; or it lay in a file system that only a command saw, or that is no longer mounted there. That
    is told by its device, in the project alone: what lies elsewhere has another one as a rule (`/tmp`, a container).
    """
    last = live[-1]
    observed = f"{last.path} was written, and is not there"
    near = {
        touch.event.dev
        for path, touches in session.touches.items()
        if under(path, session.cwd) and not under(path, last.path.rpartition("/")[0])
        for touch in touches
        if touch.event.dev
    }
    mounted = bool(near) and all(t.event.dev and t.event.dev not in near for t in live)
    if not mounted or not under(last.path, session.cwd) or "gone" in claim.tells:
        return unverifiable("ambiguous", observed, last.event, own)
    gate = session.coverage.gate(("file", "process"), span.early, span.until)
    if gate is not None:
        return unverifiable(gate, observed, last.event, own)
    return refuted(
        "not_persisted", f"{observed}: it was in another file system than the project", last.event, own
    )


def _is_moved_aside(session: Session, touch: Touch) -> bool:
    """Whether a file that is gone was moved out of the project, to where nothing lasts."""
    to = touch.event.new_path
    return to is not None and _is_aside(session, to)


def _moved_along(session: Session, claim: Claim, said: str, live: list[Touch], span: Span) -> Outcome | None:
    """A directory above the file was renamed after it was written, and the file is not there; None otherwise."""
    meant = normalise(said, session.cwd)
    look = _own_look(session, claim, said)
    if look is None or look.exists or any(touch.path != meant for touch in live):
        return None
    last = live[-1]
    moves = [e for e in session.renames if last.ts < e.ts <= span.until and under(meant, e.path)]
    if not moves:
        return None
    move = moves[-1]
    observed = f"{last.path} was written, and {move.path} was renamed"
    aside = move.new_path is not None and _is_aside(session, move.new_path)
    if len(moves) > 1 or not aside or move.path_truncated or "gone" in claim.tells:
        return unverifiable("ambiguous", observed, last.event, move, look)
    return refuted("not_persisted", observed, last.event, move, look)


def _by_git(session: Session, touch: Touch, until: int) -> bool:
    """What git takes away is kept by it, on another branch or in the stash; what it cleans away or drops is gone."""
    image = session.tree.image(touch.event.process, touch.ts)
    line = (node.image(touch.ts) for node in session.tree.line(touch.event.process))
    images = [one for one in line if one is not None]
    stash = next((one for one in images if git_subcommand(one)[0] == "stash"), None)
    if stash is not None:  # it starts a `clean` for files that are new
        return put_back.dropped(session, stash, until) is None
    if any(git_subcommand(one)[0] == "clean" for one in images):
        return False
    return image is None or program_name(image) in ("git", "jj", "hg", "sl")


def _is_aside(session: Session, path: str) -> bool:
    """Whether the path lies in a directory for temporary files, and not in the session's own."""
    return is_temporary(path) and not under(path, session.cwd)


def _aside(session: Session, claim: Claim, said: str, last: Touch, span: Span) -> Outcome:
    """Only a file of that name among temporary files was written. It is what was meant, unless the project has one."""
    own = _own_look(session, claim, said)
    observed = f"only {last.path} was written"
    if own is None or "gone" in claim.tells:
        return unverifiable("ambiguous", observed, last.event)
    if not own.exists or claim.topic != "file_changed" or changed_outside(session, own, span):
        return unverifiable("ambiguous", f"{observed}, none of that name in the project", last.event, own)
    given = _given_away(session, span, looked=True)
    if given is not None:
        return unverifiable("handed_off", f"{observed}, but {given}", last.event, own)
    gate = session.coverage.gate(("file", "process"), span.early, span.until)
    if gate is not None:
        return unverifiable(gate, observed, last.event, own)
    if directory_moved(session, said, span.early, span.until):
        return unverifiable("ambiguous", f"{observed}, but a directory was renamed", last.event, own)
    return refuted("not_persisted", f"{observed}, and the project's own was not", last.event, own)


def _beside(session: Session, said: str, live: list[Touch], span: Span) -> bool:
    """Whether every write was in a tree that is none of the session's, and in which no program was at work."""
    trees = {touch.path.removesuffix("/" + said.removeprefix("./")) for touch in live}
    ours = {session.cwd, *session.roots, *(i.cwd for i in session.executed(session.began, span.until))}
    return not any(
        tree == place or under(tree, place) or under(place, tree) for tree in trees for place in ours
    )


def _own_look(session: Session, claim: Claim, said: str) -> FileState | None:
    """What the collector found when the claim was made."""
    return next((s for s in session.claim_looks.get(claim.claim, ()) if s.path == said), None)


def _by_inode(session: Session, said: str, span: Span) -> list[Touch]:
    """Writes of a file that was seen under the name that is said, and written under another: a link."""
    inodes = {i for path in session.meant_by(said) for i in session.inodes_of(path, span.until)}
    return [t for inode in sorted(inodes) for t in session.inode_writes.get(inode, ()) if span.holds(t.ts)]


def _missing(session: Session, claim: Claim, said: str, span: Span, nothing: str) -> Outcome:
    name = basename(said)
    observed = f"{name} {nothing}"
    if not _FILE_NAME.fullmatch(name) or said.lower() in programs().not_files:
        return unverifiable("ambiguous", "what is named may be no file")
    given = _given_away(session, span, looked=_own_look(session, claim, said) is not None)
    if given is not None:
        return unverifiable("handed_off", f"{observed}, but {given}")
    gate = session.coverage.gate(("file", "process"), span.early, span.until)
    if gate is not None:
        return unverifiable(gate, observed)
    if directory_moved(session, said, span.early, span.until):
        return unverifiable("ambiguous", f"{observed}, but a directory was renamed")
    own = _own_look(session, claim, said)
    look = own or next(
        (s for s in reversed(session.file_states) if basename(s.path) == name and s.ts <= span.until), None
    )
    if claim.topic == "file_deleted":
        if own is not None and own.exists:
            return refuted("not_written", f"{observed} and exists", own)
        if look is None or not look.exists or "/" not in said:
            return unverifiable("ambiguous", f"{observed}, and whether it was ever there is not known")
        return refuted("not_written", f"{observed} and existed", look)
    elsewhere = _elsewhere(session, said, span)
    if elsewhere:
        return _instead(session, claim, said, own, elsewhere, span, observed)
    if own is not None and changed_outside(session, own, span):
        return unverifiable("handed_off", f"{observed} by the lineage, but changed in the session", own)
    if claim.topic == "file_created" and look is not None and look.exists:
        return unverifiable("ambiguous", f"{observed}, but exists", look)
    return refuted("not_written", observed, *([look] if look is not None else []))


def _instead(
    session: Session,
    claim: Claim,
    said: str,
    own: FileState | None,
    elsewhere: list[Touch],
    span: Span,
    observed: str,
) -> Outcome:
    """Files of the name were written, none of them where the claim says."""
    other = elsewhere[0]
    target = normalise(said, session.cwd)
    folders = (other.path.rpartition("/")[0], target.rpartition("/")[0])
    # Right below the root it may be the project as a tool shows it.
    one = len(elsewhere) == 1 and folders[1] != "" and common_tail(other.path, target) == 1
    clear = (own is not None and not own.exists) or _directory_known(session, target, span.until)
    if one and clear and claim.topic == "file_created":
        return refuted("wrong_target", f"{other.path} was written instead", other.event)
    twin = one and all(under(folder, session.cwd) for folder in folders)
    twin = twin and not (under(folders[0], folders[1]) or under(folders[1], folders[0]))
    if twin and own is not None and claim.topic == "file_changed" and _is_as_it_was(session, own, span):
        return refuted("wrong_target", f"{observed}, {other.path} was instead", other.event, own)
    if own is not None and _in_another_tree(session, claim, said, own, elsewhere, span):
        return refuted("not_persisted", f"{observed}, but {other.path} was", other.event, own)
    return unverifiable("ambiguous", f"{observed}, but {other.path} was", other.event)


def _is_as_it_was(session: Session, own: FileState, span: Span) -> bool:
    """Whether the very file that is named is there, and nobody changed it in the session."""
    return own.exists and session.is_device(own.dev) and not changed_outside(session, own, span)


def _in_another_tree(
    session: Session, claim: Claim, said: str, own: FileState, elsewhere: list[Touch], span: Span
) -> bool:
    """Whether the very file that is named is as it was, and only others outside the session's directory changed."""
    return (
        claim.topic == "file_changed"
        and "gone" not in claim.tells
        and under(said, session.cwd)
        and _is_as_it_was(session, own, span)
        and not any(under(touch.path, session.cwd) for touch in elsewhere)
    )


def _given_away(session: Session, span: Span, *, looked: bool) -> str | None:
    """To whom work was given that may have touched the file.

    ``looked``: the collector looked at it, so that what a sub-agent of the lineage did not do nobody else did unseen.
    """
    for state in session.intents.values():
        if state.intent.ts > span.until:
            continue
        given = given_away(session, state, span.until, files=True)
        if given is not None:
            return f"work was given to {given}"
        seen = told_to_have_failed(state) or session.graph.has_sub_agent(state, span.until)
        if state.intent.kind == "delegate" and not (looked and seen):
            return "work was delegated"
    return None


def _directory_known(session: Session, target: str, until: int) -> bool:
    """Whether the kernel resolved a path to the directory of ``target``, so that it is no link to another."""
    directory = target.rpartition("/")[0]
    touched = any(under(path, directory) and rows[0].ts <= until for path, rows in session.touches.items())
    return touched or any(
        under(path, directory) and rows[0].ts <= until for path, rows in session.path_reads.items()
    )


def _elsewhere(session: Session, said: str, span: Span) -> list[Touch]:
    """Files of the same name, or the same but for case or extension, that were written somewhere else."""
    wanted = basename(said).lower()
    target = normalise(said, session.cwd)
    found: dict[str, Touch] = {}
    for path in session.by_name.get(wanted, ()):
        if is_temporary(path) != is_temporary(target):
            continue
        for touch in session.touches.get(path, ()):
            if span.holds(touch.ts) and not touch.gone:
                found.setdefault(path, touch)
    return [found[path] for path in sorted(found)]
