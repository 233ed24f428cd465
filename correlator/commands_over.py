"""Runs of commands that are over: worked out once and kept, so that a claim pays for what is new since the last one.

A command is what the agent starts: the outermost process that is not the agent, and everything below it. When all of
it has ended, what is told of its runs depends on nothing that is still to come, unless the log tells late of what was
before: then all is worked out anew (:attr:`ProcessTree.moved`, :attr:`ProcessTree.revised`). What gives work away to
others, or may be forged, is never kept: that may come to light at any time.

A claim still gets the list of all runs, by reference: a copy of a list, which takes microseconds for thousands of runs.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from correlator.forged import may_be_forged
from correlator.programs import hand_off_to, programs
from correlator.session import Known, Session
from polygraph.events import ProcessKey

if TYPE_CHECKING:  # runs are found by means of this module
    from correlator.runs import Run

#: the runs among known images, as they stood at a time
Build = Callable[[Session, Sequence[Known], int], "list[Run]"]


class _Over(NamedTuple):
    """A command that is over: when it had ended, when the first known image of it began, and its runs."""

    ended: int
    first: int
    images: tuple[Known, ...]
    runs: tuple[Run, ...]


@dataclass(slots=True)
class _Purpose:
    """Commands with known images of one purpose."""

    #: how many known images of the session were sorted
    taken: int = 0
    #: those that go on, or may yet turn out to be something else, by their outermost process
    going: dict[ProcessKey, list[Known]] = field(default_factory=dict)
    #: in order of their ends
    over: list[_Over] = field(default_factory=list)
    #: all runs of them in order of their beginnings
    runs: list[Run] = field(default_factory=list)
    first: int = 1 << 63
    #: the agent itself is one of these tools, so that all is below one run
    agent: bool = False


class CommandsOver:
    """The commands of one session, by purpose of the tools in them."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._purposes: dict[str, _Purpose] = {}
        self._version = (0, 0)
        #: images and processes that were looked at: all claims of a session together cost as much as its log
        self.steps = 0

    def runs(self, purpose: str, since: int, until: int, build: Build) -> list[Run]:
        """Runs of tools of ``purpose`` that began in [since, until], in order, as they stood at ``until``."""
        tree = self._session.tree
        version = (tree.moved, tree.revised)
        if version != self._version:
            self._purposes.clear()
            self._version = version
        known = self._purposes.setdefault(purpose, _Purpose())
        self._take(purpose, known)
        if known.agent:
            every = [image for image in self._session.known if is_of(image, purpose)]
            return self._built(every, since, until, build)
        for top in list(known.going):
            self._end(known, top, until, build)
        return self._all(known, since, until, build)

    def _take(self, purpose: str, known: _Purpose) -> None:
        images = self._session.known
        for image in images[known.taken :]:
            self.steps += 1
            if not is_of(image, purpose):
                continue
            process = image.image.process
            if self._session.is_agent(process):
                known.agent = True
            known.going.setdefault(self._session.top_of(process), []).append(image)
        known.taken = len(images)

    def _end(self, known: _Purpose, top: ProcessKey, until: int, build: Build) -> None:
        """Puts the command by if it is over, and nothing about it can come to light but late."""
        session, images = self._session, known.going[top]
        ended, looked = session.tree.over(top, until)
        self.steps += looked
        if ended is None or self._gives_away(top):
            return
        doubts = [may_be_forged(session, image) for image in images]
        if any(doubt.found for doubt in doubts):
            return
        del known.going[top]
        session.runner_files.update(*(doubt.files for doubt in doubts))
        runs = self._built(images, 0, until, build)
        first = min(image.image.ts for image in images)
        insort(known.over, _Over(ended, first, tuple(images), tuple(runs)), key=lambda one: one.ended)
        for run in runs:
            insort(known.runs, run, key=lambda one: (one.image.ts, one.image.seq))
        known.first = min(known.first, first)

    def _gives_away(self, top: ProcessKey) -> bool:
        below = self._session.tree.subtree(top)
        self.steps += len(below)
        nodes = (self._session.tree.get(key) for key in below)
        return any(
            hand_off_to(image) is not None for node in nodes if node is not None for image in node.images
        )

    def _all(self, known: _Purpose, since: int, until: int, build: Build) -> list[Run]:
        low = bisect_left(known.over, since, key=lambda one: one.ended)
        high = bisect_right(known.over, until, key=lambda one: one.ended)
        again = [image for one in known.over[high:] for image in one.images]
        again += [image for images in known.going.values() for image in images]
        if low == 0 and high == len(known.over) and since <= known.first:
            found = list(known.runs)
        else:
            found = []
            for one in known.over[low:high]:
                if since <= one.first:
                    found += one.runs
                else:
                    again += one.images
        found += self._built(again, since, until, build)
        found.sort(key=lambda run: (run.image.ts, run.image.seq))
        return found

    def _built(self, images: Sequence[Known], since: int, until: int, build: Build) -> list[Run]:
        self.steps += len(images)
        chosen = [image for image in images if since <= image.image.ts <= until]
        return build(self._session, chosen, until) if chosen else []


def is_of(known: Known, purpose: str) -> bool:
    """Whether the image is one of a tool of that purpose."""
    tool = known.match.tool
    return tool.purpose == purpose or tool.name in programs().also.get(purpose, ())
