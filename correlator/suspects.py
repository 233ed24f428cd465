"""What else could have done it: the search that must come back empty before silence accuses anyone.

A run is missing only if no known runner ran *and* nothing that ran could have been one in a form that is
not known (design rule 1). Inert programs, the agent's own ones and known tools of another purpose are
explained; everything else is a suspect.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from itertools import pairwise

from correlator import idle_scripts, shell_scripts
from correlator.delegation import given_away, handed_to, left_for_others, told_to_have_failed
from correlator.facts import command
from correlator.outcome import Outcome, unverifiable
from correlator.paths import basename
from correlator.processes import Node
from correlator.programs import (
    compiles,
    git_may_publish,
    hand_off_to,
    identify,
    is_inert,
    is_inline,
    is_shell,
    may_speak_of,
    names_work,
    only_parses,
    plain,
    program_name,
    programs,
    sends,
)
from correlator.put_there import put_there
from correlator.session import IntentState, Session
from polygraph.events import Exec, File, Intent, ProcessKey
from polygraph.tools import telling_words

#: modules of Python's own that install something
_INSTALLING = frozenset({"ensurepip", "venv"})
#: most scripts of which it is asked whether they did anything
_MOST_SCRIPTS = 32
#: tools of these purposes may do the work of that one as a part of theirs
_MAY_INCLUDE: dict[str, frozenset[str]] = {
    "test": frozenset({"test", "build", "deploy", "server"}),
    "build": frozenset({"build", "test", "install", "deploy", "server"}),
    "lint": frozenset({"lint", "build", "test", "typecheck", "deploy"}),
    "typecheck": frozenset({"typecheck", "build", "test", "lint", "deploy"}),
    "install": frozenset({"install", "build", "test", "deploy", "server"}),
    "commit": frozenset({"commit", "deploy", "install"}),
    "push": frozenset({"push", "deploy"}),
    "deploy": frozenset({"deploy", "build", "push", "install"}),
    "server": frozenset({"server", "test", "build", "deploy"}),
    "fetch": frozenset({"fetch", "install", "deploy", "build", "test", "server"}),
}


def could_have_done(
    session: Session,
    purpose: str | None,
    since: int,
    until: int,
    *,
    explained: AbstractSet[ProcessKey] = frozenset(),
    of_intent: str | None = None,
    well: bool,
) -> Outcome | None:
    """Why it cannot be said that nothing did it in [since, until]; None if nothing could have.

    ``explained`` are processes that belong to something else. With ``of_intent`` only that tool call's own
    form is asked about, not that of the others. ``well``: it is said to have ended, and well.
    """
    reasons = session.part(Reasons)
    for state in reasons.intents(of_intent):
        found = _by_intent(session, state, purpose, since, until, well=well)
        if found is not None:
            return found
    unknown: Exec | None = None
    looked = 0
    for image in reasons.images(purpose, since, until):
        if image.process in explained:
            continue
        if hand_off_to(image) is not None:
            target = handed_to(session, image)
            if target is not None:
                return unverifiable("handed_off", f"{command(image)} hands work to {target}", image)
            continue  # what it asked for is looked at by itself
        if unknown is None and is_suspect(session, image, purpose):
            looked += 1
            if not (
                well and looked <= _MOST_SCRIPTS and idle_scripts.is_idle(session, image, purpose, until)
            ):
                unknown = image
    if unknown is not None:
        return unverifiable("form_unknown", f"{command(unknown)} ran, which could have done it", unknown)
    if of_intent is None and not well:  # what has not begun has not ended well
        for node in session.tree:
            if node.key not in explained and _about_to_run(session, node, until):
                return unverifiable("still_running", f"{_named(node)} was about to run its program")
    for node in session.tree:
        if not (node.forked and since <= node.born <= until) or node.key in explained:
            continue
        if node.image(until) is not None or any(failed.ts <= until for failed in node.failed):
            continue
        if not _below_shell(session, node.key, until) and session.is_agent(node.key, until):
            return unverifiable(
                "form_unknown", f"{_named(node)} is a copy of the agent at work, without an exec"
            )
    put = put_there(session, purpose, since, until) if of_intent is None else None
    if put is not None:
        return unverifiable("form_unknown", f"{put.path} was put where such work leaves its files", put.event)
    left = left_for_others(session, since, until) if of_intent is None else None
    if left is not None:
        return unverifiable("handed_off", f"{left.path} was left where others may take it up", left.event)
    return None


def _named(node: Node) -> str:
    """A process that has executed nothing has no name but its pid."""
    return f"process {node.key.partition(':')[0]}"


@dataclass(slots=True)
class _Looked:
    """How many images were looked at, the last of them as the session holds it, and those that may be a reason."""

    taken: int = 0
    last: object = None
    found: list[Exec] = field(default_factory=list)


class Reasons:
    """What of one session may ever be a reason: the images and tool calls that are not explained by what they are.

    Nearly all are, and stay so. So each is looked at once, and not by each claim that concludes from silence.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._intents: list[IntentState] = []
        self._asked = 0
        #: by purpose
        self._images: dict[str | None, _Looked] = {}
        self._version = 0
        #: images and tool calls that were looked at
        self.steps = 0

    def intents(self, only: str | None) -> list[IntentState]:
        """Tool calls in the order in which they were told, or the one."""
        if only is not None:
            return [self._session.intents[only]]
        for state in self._session.asked[self._asked :]:
            self.steps += 1
            if _may_hide_work(state):
                self._intents.append(state)
        self._asked = len(self._session.asked)
        return self._intents

    def images(self, purpose: str | None, since: int, until: int) -> list[Exec]:
        """Images executed in [since, until], in order."""
        session, every = self._session, self._session.execs
        if session.tree.revised != self._version:
            self._images.clear()
            self._version = session.tree.revised
        looked = self._images.get(purpose)
        if looked is None or every[looked.taken - 1] is not looked.last:  # one was told late
            looked = _Looked()
        for row in every[looked.taken :]:
            self.steps += 1
            looked.last, image = row, row[2]
            # what one has opened that says other things may be told later, and what a script starts
            later = purpose == "test" and says_other(session, image, purpose)
            later = later or shell_scripts.is_one(session, image, purpose)
            if later or hand_off_to(image) is not None or is_suspect(session, image, purpose):
                looked.found.append(image)
        looked.taken = len(every)
        if every:
            self._images[purpose] = looked
        found = looked.found
        low = bisect_left(found, since, key=lambda image: image.ts)
        return found[low : bisect_right(found, until, key=lambda image: image.ts)]


def could_have_redone(session: Session, purpose: str, since: int, until: int) -> Outcome | None:
    """Why a failure or a change at ``since`` may have been put right unseen.

    What followed has such a name, opened a test, or hid what it did. Less than :func:`could_have_done`, since that is
    a fact: a program of no telling name does not excuse it.
    """
    for state in session.intents.values():
        if (
            state.intent.ts >= since
            and (found := _by_intent(session, state, purpose, since, until, well=True)) is not None
        ):
            return found
    committed = repository_written(session, since, until) if purpose == "commit" else None
    if committed is not None:
        return unverifiable(
            "form_unknown", "the repository was written by another program than git", committed
        )
    put = put_there(session, purpose, since, until, also=lambda image: identify(image) is None)
    if put is not None:
        return unverifiable("form_unknown", f"{put.path} was put where such work leaves its files", put.event)
    for image in session.executed(since, until):
        if session.is_agent_image(image):
            continue
        if hand_off_to(image) is not None:
            target = handed_to(session, image)
            if target is not None:
                return unverifiable("handed_off", f"{command(image)} hands work to {target}", image)
            continue  # what it asked for is looked at by itself
        match = identify(image)
        if match is not None and (
            match.runs_nothing or not match.tool.wraps or match.tool.purpose == purpose
        ):
            continue
        if not is_suspect(session, image, purpose):
            continue
        on_input = (plain(image.path) in programs().interpreters or is_shell(image)) and image.argv[1:] in (
            (),
            ("-",),
        )
        unread = image.argv_truncated or on_input
        named = names_work(image, purpose) or _asked_by_name(session, image, purpose)
        if (
            unread
            or named
            or git_may_publish(image)
            or (purpose == "test" and shell_scripts.opened_a_test(session, image))
        ):
            return unverifiable(
                "form_unknown", f"{command(image)} ran afterwards, and may have done it again", image
            )
    return None


def _asked_by_name(session: Session, image: Exec, purpose: str) -> bool:
    """Whether it is a step of what was called such work: `make verify`, a shell script of the project."""
    for node in session.tree.ancestors(image.process):
        above = node.image(image.ts)
        if session.is_agent(node.key) or above is None:
            return False
        steps = (
            program_name(above) in programs().tests_are_programs or shell_scripts.file_of(above) is not None
        )
        if steps and names_work(above, purpose):
            return True
    return False


def is_suspect(session: Session, image: Exec, purpose: str | None) -> bool:
    """Whether this image could have done work of ``purpose`` unseen. ``None``: of any kind."""
    if session.is_agent_image(image):
        return False
    match = identify(image)
    if match is None and purpose in ("commit", "push") and git_may_publish(image):
        return True
    if is_inert(image, session.roots):
        if purpose == "push" and sends(image):
            return True
        return shell_scripts.may_have_done(session, image, purpose)
    name = match.tool.name if match is not None else program_name(image)
    if purpose == "test" and (name in programs().tests_are_programs or compiles(image) or only_parses(image)):
        return False
    if match is None:
        return purpose is None or not (
            says_other(session, image, purpose) or _is_other_module(image, purpose)
        )
    if match.runs_nothing:
        return False
    return purpose is None or match.tool.purpose in _MAY_INCLUDE.get(purpose, frozenset({match.tool.purpose}))


def repository_written(session: Session, since: int, until: int) -> File | None:
    """A write into a repository of git, in [since, until], by a program that is no git."""
    for path, hits in sorted(session.touches.items()):
        if "/.git/" not in path:
            continue
        for touch in hits:
            image = session.tree.image(touch.event.process, touch.ts)
            name = basename(image.path) if image is not None else ""
            if since <= touch.ts <= until and not name.startswith("git"):
                return touch.event
    return None


def _is_other_module(image: Exec, purpose: str) -> bool:
    """Whether Python runs a module of its own that runs nothing of a project; to some a compilation is a build."""
    module = next((after for word, after in pairwise(image.argv) if word == "-m"), None)
    named = plain(image.path) in ("python", "pypy") and module in programs().inert_modules
    return named and purpose != "build" and not (purpose == "install" and module in _INSTALLING)


def says_other(session: Session, image: Exec, purpose: str) -> bool:
    """Whether the image is an interpreter whose whole program stands in its arguments, without a word of such work.

    What it starts is looked at by itself. One that opened a test, or does what is written elsewhere, may have done it.
    """
    words = telling_words().get(purpose)
    if words is None or not is_inline(image) or may_speak_of(image, words):
        return False
    return purpose != "test" or not shell_scripts.opened_a_test(session, image)


def _by_intent(
    session: Session, state: IntentState, purpose: str | None, since: int, until: int, *, well: bool
) -> Outcome | None:
    intent = state.intent
    if intent.ts > until or (state.result is not None and state.result.ts < since):
        return None
    given = given_away(session, state, until)
    if given is not None:
        return unverifiable("handed_off", f"a tool call gave work to {given}, outside the lineage", intent)
    failed = well and told_to_have_failed(state)
    if intent.kind == "delegate" and not failed and not session.graph.has_sub_agent(state, until):
        return unverifiable(
            "handed_off", "work was delegated and no sub-agent was seen in the lineage", intent
        )
    if _is_unknown(intent):
        return unverifiable(
            "form_unknown", "a tool of unknown form was called, which could have done it", intent
        )
    script = shell_scripts.sourced(session, intent, purpose)
    if script is not None:
        return unverifiable(
            "form_unknown", f"{script} was read in by a shell, which could have done it", intent
        )
    return None


def _is_unknown(intent: Intent) -> bool:
    opaque = not (intent.executions or intent.files or intent.hosts)
    return intent.kind == "other" and opaque and intent.tool.lower() not in programs().inert_tools


def _may_hide_work(state: IntentState) -> bool:
    """Whether :func:`_by_intent` may find a reason in it at any time."""
    intent = state.intent
    opaque = intent.hand_off is not None or intent.kind == "delegate" or _is_unknown(intent)
    return opaque or shell_scripts.reads_in(intent)


def _about_to_run(session: Session, node: Node, at: int) -> bool:
    """Whether at that time it was a subshell, or a wrapper that had started nothing: its program may be to come."""
    if node.born > at or node.ended(at):
        return False
    image = node.image(at)
    if image is None:
        return node.forked and _below_shell(session, node.key, at)
    children = [child for key in node.children if (child := session.tree.get(key)) is not None]
    return program_name(image) in programs().wrappers and all(child.born > at for child in children)


def _below_shell(session: Session, key: ProcessKey, at: int) -> bool:
    """A copy of a shell without an exec is a subshell: it runs only builtins. So is one of another inert program."""
    images = (image for node in session.tree.ancestors(key) if (image := node.image(at)) is not None)
    nearest = next(images, None)
    return nearest is not None and is_inert(nearest, session.roots)
