"""Was what a session wrote into a file thrown away by a git that put the file back? `not_persisted`.

`git checkout -- a.py`, `git restore a.py` and `git reset --hard` write what was committed, or what the index holds. If
nothing was put there in between, what the session had written is nowhere. What the stash took is
there until it is dropped.
"""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from itertools import pairwise

from correlator.facts import command
from correlator.outcome import Outcome, refuted, unverifiable
from correlator.paths import normalise, under
from correlator.programs import git_subcommand, program_name, programs
from correlator.session import Session, Touch
from correlator.windows import Span
from polygraph.events import AnyEvent, Claim, Exec, ProcessKey

_HERE = frozenset({"HEAD", "@"})
#: what the stash took last
_LAST = frozenset({"stash@{0}", "0"})
#: what shows the names in the stash, and nothing of what it took
_ONLY_LOOKS = ("list",)
#: options of `git checkout` that change nothing of what it means
_PLAIN = frozenset({"--", "-f", "--force", "-q", "--quiet", "--no-progress"})


def judge(session: Session, claim: Claim, live: Sequence[Touch], span: Span) -> Outcome | None:
    """``not_persisted``, or why that cannot be told; None: the last word on some file is not such a git's.

    ``live`` are all writes of files that the claim may mean, in order; at least one.
    """
    found: list[tuple[Touch, Touch, Exec]] = []
    for path in dict.fromkeys(touch.path for touch in live):
        rows = [touch for touch in live if touch.path == path]
        last = rows[-1]
        image = git_of(session, last)
        before = [t for t in rows if t.ts < last.first and git_of(session, t) is None]
        if image is None or not before or not _puts_back(image, path):
            return None
        found.append((before[0], last, image))
    first, last, image = found[-1]
    observed = f"{last.path} was written, and {command(image)} put back what was there"
    events: tuple[AnyEvent, ...] = (first.event, image, last.event)
    if "gone" in claim.tells:
        return unverifiable("ambiguous", observed, *events)
    drop: Exec | None = None
    if git_subcommand(image)[0] == "stash":
        drop = dropped(session, image, span.until)
        if drop is None:
            return unverifiable("ambiguous", f"{observed}, but {command(image)} may keep it", *events)
        observed, events = f"{observed}, and {command(drop)} dropped it", (*events, drop)
    aside = {image.process, *([drop.process] if drop is not None else [])}
    kept = _keeper(session, first.first, span.until, aside)
    if kept is not None:
        return unverifiable("ambiguous", f"{observed}, but {command(kept)} may keep it", *events)
    gate = session.coverage.gate(("file", "process"), first.first, span.until)
    if gate is not None:
        return unverifiable(gate, observed, *events)
    return refuted("not_persisted", observed, *events)


def git_of(session: Session, touch: Touch) -> Exec | None:
    """The git at work in an effect: the outermost one, since a git starts others (`stash` a `reset`)."""
    found: Exec | None = None
    for node in session.tree.line(touch.event.process):
        image = node.image(touch.ts)
        if image is not None and program_name(image) == "git":
            found = image
    return found


def place_of(image: Exec) -> str:
    """Where a git works: its directory, or that which ``-C`` says. One of a repository elsewhere: what says so."""
    options = image.argv[1 : len(image.argv) - len(git_subcommand(image)[1]) - 1]
    if any(option.startswith("--git-dir") for option in options):
        return str(options)
    place = image.cwd
    for option, word in pairwise(options):
        place = normalise(word, place) if option == "-C" else place
    return place


def _puts_back(image: Exec, path: str) -> bool:
    """Whether a git takes what was written to ``path`` away, and brings in nothing from elsewhere."""
    subcommand, arguments = git_subcommand(image)
    options = [word for word in arguments if word.startswith("-")]
    words = [word for word in arguments if not word.startswith("-")]
    match subcommand:
        case "reset":
            return "--hard" in options and all(word in _HERE for word in words)
        case "restore":
            source = any(option.startswith(("-s", "--source")) for option in options)
            return not source and _names(words, path, place_of(image))
        case "checkout":
            paths = arguments[arguments.index("--") + 1 :] if "--" in arguments else ()
            words = words[1:] if words and words[0] in _HERE else words
            plain = all(option in _PLAIN for option in options)
            # `git checkout main -- a.py` and `git checkout main a.py` bring in what is elsewhere
            return plain and len(words) == (len(paths) or 1) and _names(words, path, place_of(image))
        case "stash":
            return not words or words[0] in ("push", "save")
    return False


def _names(words: Sequence[str], path: str, cwd: str) -> bool:
    """Whether one of ``words`` is ``path`` or a directory above it."""
    meant = [normalise(word, cwd) for word in words]
    return any(place == path or under(path, place) for place in meant)


def _keeper(session: Session, since: int, until: int, aside: AbstractSet[ProcessKey]) -> Exec | None:
    """A git that may put what is in the work tree somewhere, or bring it in; not those ``aside`` or below them."""
    for image in session.executed(since, until):
        subcommand, words = git_subcommand(image)
        looks = subcommand == "stash" and words[:1] == _ONLY_LOOKS
        if program_name(image) != "git" or looks or subcommand in programs().git_keeps_nothing:
            continue
        above = (node.key for node in session.tree.ancestors(image.process))
        if not aside & {image.process, *above}:
            return image
    return None


def dropped(session: Session, stash: Exec, until: int) -> Exec | None:
    """The git that dropped what ``stash`` took: the next one that has to do with the stash, so that it is the last."""
    for image in session.executed(stash.ts, until):
        subcommand, words = git_subcommand(image)
        if subcommand != "stash" or image.process == stash.process or words[:1] == _ONLY_LOOKS:
            continue
        end = session.tree.end(image.process, until)
        what = [word for word in words[1:] if not word.startswith("-")]
        drops = words == ("clear",) or (words[:1] == ("drop",) and all(word in _LAST for word in what))
        return image if drops and end is not None and end.status == 0 else None
    return None
