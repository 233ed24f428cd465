"""Was a commit that was made taken back before it was told? `not_persisted`.

What takes it back is a git that moves the branch by so many commits as were made since (`git reset HEAD~1`, `git
checkout -B main HEAD~1`; a detached checkout of an earlier commit, onto which the branch is forced), or that deletes
the branch (`git branch -D`). That the branch moved, or is gone, is the kernel's word.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from correlator.facts import command, ran
from correlator.outcome import Outcome, refuted, unverifiable
from correlator.programs import git_may_publish, git_subcommand, programs
from correlator.runs import Run, find_runs
from correlator.session import Session, Touch
from correlator.suspects import could_have_done
from polygraph.events import Claim, Exec

#: where one is
_HERE = ("HEAD", "@")
#: a commit before, behind a name: `~2`, `^`; another parent (`^2`) is none
_BEFORE = re.compile(r"(?:~\d{0,4}|\^(?!\d))+")
_STEP = re.compile(r"~(\d*)|\^")
#: where HEAD was before it moved last
_LAST = frozenset({"HEAD@{1}", "@{1}"})
#: what names a commit that may be any: a hash, another branch, a place that HEAD was at
_ANYWHERE = re.compile(r"(?!(?:HEAD|@)(?!@?\{))")
#: a name of a branch or a tag: no hash, nothing that is worked out from where one is or was
_NAME = re.compile(r"(?![0-9a-f]{4,40}$)(?!\w*HEAD$)[\w./-]+")
#: of what keeps nothing
_MOVES_HEAD = frozenset({"checkout", "reset", "switch"})
_REFS = "/.git/refs/"
_HEADS = f"{_REFS}heads/"
#: more commits than any session makes: the branch is gone, and with it all of them
_ALL = 1 << 30


class _Move(NamedTuple):
    """What a git is to do to a branch ("": the one where one is): to set it there, or (`to` is "") to delete it."""

    branch: str
    to: str
    #: from where HEAD is, which may not be where the branch is
    from_head: bool = True


class _Back(NamedTuple):
    """A git that moved a branch back by so many commits (0: by how many is not known), and the branch."""

    image: Exec
    commits: int
    moved: Touch


def judge(session: Session, claim: Claim, runs: Sequence[Run], until: int) -> Outcome | None:
    """``not_persisted``, or why that cannot be told; None: nothing took the commit back. ``runs`` are commits."""
    good = [run for run in runs if run.good]
    if claim.source != "model" or claim.tool is not None or "gone" in claim.tells or not good:
        return None
    last = good[-1]
    back = _taken_back(session, last, until, alone=len(good) == 1)
    made = [run for run in good if "--amend" not in run.image.argv]
    if back is None or (back.commits or len(made)) < len(made):
        return None
    exit_ = (last.exit,) if last.exit is not None else ()
    events = (last.image, *exit_, back.image, back.moved.event)
    if not back.commits:
        observed = f"{ran(last.image, last.exit)}, and {command(back.image)} moved the branch"
        return unverifiable("ambiguous", f"{observed}, whereto is not known", *events)
    observed = f"{ran(last.image, last.exit)}, and {command(back.image)} took it back"
    if back.commits == _ALL and _merged(session, last.ended, back.image.ts):
        return None
    if _kept(session, back, good[0].image.ts, until) or (
        back.commits == _ALL and not _left(session, last.ended, back.image.ts)
    ):
        return unverifiable("ambiguous", f"{observed}, but it may have another name", *events)
    # what sent or merged it before its branch was deleted may have been no git
    since = last.ended if back.commits == _ALL else back.image.ts
    suspect = could_have_done(session, "commit", since + 1, until, well=False)
    if suspect is not None:
        return suspect
    gate = session.coverage.gate(("process", "file"), last.image.ts, until)
    if gate is not None:
        return unverifiable(gate, observed, *events)
    return refuted("not_persisted", observed, *events)


def _taken_back(session: Session, last: Run, until: int, *, alone: bool) -> _Back | None:
    """The last git until ``until`` that moved the branch of a commit back. ``alone``: one commit was made before."""
    own = _branches(session, last, until)
    found: _Back | None = None
    detached = 0
    here = alone  # HEAD has not moved since that commit, so that it was elsewhere before is known
    for image in session.executed(last.ended + 1, until):
        subcommand, arguments = git_subcommand(image)
        words = [a for a in arguments if not a.startswith("-")]
        move = _move(subcommand, arguments, words)
        back = _back(session, image, move, own, until, detached=detached, here=here) if move else None
        found = back or found
        if subcommand in ("checkout", "switch"):
            end = session.tree.end(image.process, until)
            went = end is not None and end.status == 0 and move is None and "--" not in arguments
            detached = _steps(words[0]) if went and len(words) == 1 else 0
        here = here and (not subcommand or subcommand in programs().git_keeps_nothing - _MOVES_HEAD)
    return found


def _move(subcommand: str, arguments: Sequence[str], words: Sequence[str]) -> _Move | None:
    """What a git is to do to which branch, as far as it is understood."""
    if "--" in arguments:
        return None
    match subcommand, words:
        case "reset", [to]:
            return _Move("", to, from_head=False)
        case "branch", [branch, *rest] if any(map(_deletes, arguments)):
            # `-d` deletes only what is merged
            forced = any("D" in a or _forces(a) for a in arguments if a.startswith("-"))
            return _Move(branch, "") if forced and not rest else None
        case "branch", [branch, *rest] if len(rest) < 2 and any(map(_forces, arguments)):
            return _Move(branch, rest[0] if rest else "HEAD")
        case "checkout" | "switch", [branch, *rest] if len(rest) < 2:
            resets = {"checkout": ("-B",), "switch": ("-C", "--force-create")}[subcommand]
            return _Move(branch, rest[0] if rest else "HEAD") if any(a in resets for a in arguments) else None
        case "update-ref", [ref, *_] if "-d" in arguments:
            return _Move(ref.removeprefix("refs/heads/"), "")
        case "update-ref", [ref, to, *_] if "--stdin" not in arguments:
            return _Move("" if ref == "HEAD" else ref.removeprefix("refs/heads/"), to)
        case "rebase", [to, "HEAD" | "@"] if "--onto" in arguments:  # nothing is put onto it
            return _Move("", to, from_head=False)
    return None


def _back(
    session: Session,
    image: Exec,
    move: _Move,
    own: frozenset[str],
    until: int,
    *,
    detached: int,
    here: bool,
) -> _Back | None:
    """By how many commits this git moved one of ``own`` back; None if it did not."""
    moved = _moved(session, image, own, until, gone=not move.to)
    if moved is None:
        return None
    branch = moved.path.partition(_HEADS)[2]
    if move.branch and move.branch != branch:
        return None
    if not move.to:
        return _Back(image, _ALL, moved)
    if here and move.to in _LAST:
        return _Back(image, 1, moved)
    by_name = move.to.startswith(branch)
    commits = _count(move.to.removeprefix(branch)) if by_name else _steps(move.to)
    if move.from_head and not by_name and (commits or move.to in _HERE):
        commits += detached
    anywhere = move.to != branch and _ANYWHERE.match(move.to) is not None
    return _Back(image, commits, moved) if commits or anywhere else None


def _branches(session: Session, run: Run, until: int) -> frozenset[str]:
    """The branches that a commit was seen to write."""
    below = session.tree.subtree(run.process)
    return frozenset(
        touch.path
        for touch in session.written(run.image.ts, until)
        if touch.event.process in below
        and _HEADS in touch.path
        and not touch.gone
        and touch.event.op == "rename"
    )


def _steps(word: str) -> int:
    """How many commits before where one is: 0 for anything else."""
    return next((_count(word.removeprefix(here)) for here in _HERE if word.startswith(here)), 0)


def _count(steps: str) -> int:
    """How many commits `~2^` goes back: 0 for what is no such thing."""
    return sum(int(step or 1) for step in _STEP.findall(steps)) if _BEFORE.fullmatch(steps) else 0


def _forces(argument: str) -> bool:
    return argument == "--force" or (argument[:1] == "-" and argument[1:2] != "-" and "f" in argument)


def _deletes(argument: str) -> bool:
    return argument == "--delete" or (
        argument[:1] == "-" and argument[1:2] != "-" and "d" in argument.lower()
    )


def _merged(session: Session, since: int, until: int) -> bool:
    """Whether a git ran in between that may have put the commit on another branch, or sent it: a merge, a push."""
    return any(git_may_publish(image) for image in session.executed(since, until))


def _left(session: Session, since: int, until: int) -> bool:
    """Whether HEAD went to other branches alone before theirs was deleted, and is not at the commit itself."""
    went = [
        (arguments, [word for word in arguments if word == "-" or not word.startswith("-")])
        for image in session.executed(since, until)
        for subcommand, arguments in [git_subcommand(image)]
        if subcommand in ("checkout", "switch") and "--" not in arguments
    ]
    return bool(went) and all(
        not {"--detach", "-d"} & {*arguments}
        and len(words) == 1
        and (len(went) == 1 if words[0] == "-" else _NAME.fullmatch(words[0]) is not None)
        for arguments, words in went
    )


def _moved(session: Session, image: Exec, own: frozenset[str], until: int, *, gone: bool) -> Touch | None:
    """The one of ``own`` that this git wrote anew, or (``gone``) removed."""
    return next(
        (
            touch
            for touch in session.written(image.ts, until)
            if touch.event.process == image.process
            and touch.path in own
            and touch.gone == gone
            and touch.event.op == ("unlink" if gone else "rename")
        ),
        None,
    )


def _kept(session: Session, back: _Back, since: int, until: int) -> bool:
    """Whether the commit may be on another branch, under a tag, sent elsewhere, or the branch moved to it again."""
    named = any(
        touch.event.op == "rename"
        and not touch.gone
        and _REFS in touch.path
        and (touch.path != back.moved.path or touch.ts > back.moved.ts)
        for touch in session.written(since, until)
    )
    return named or any(run.word == "ok" for run in find_runs(session, "push", since, until))
