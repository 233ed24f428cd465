"""Which processes belong to a tool call: by command digest, by program and arguments, by window."""

from __future__ import annotations

from dataclasses import dataclass, field

from correlator.matching import is_of
from correlator.session import IntentState, Session
from correlator.windows import Span
from polygraph.events import Exec, Execution, ProcessKey


@dataclass(slots=True)
class Joined:
    """What was found of one tool call."""

    #: shells whose script is the command itself
    shells: list[Exec] = field(default_factory=list)
    #: expected program -> the image that ran
    found: list[tuple[Execution, Exec]] = field(default_factory=list)
    missing: list[Execution] = field(default_factory=list)
    #: processes of other tool calls in the same window
    others: set[ProcessKey] = field(default_factory=set)

    @property
    def processes(self) -> list[ProcessKey]:
        """Roots of the subtrees that belong to the call."""
        if self.shells:
            return [shell.process for shell in self.shells]
        return [image.process for _, image in self.found]


def join(session: Session, state: IntentState, span: Span) -> Joined:
    """Finds the processes of a tool call in its window."""
    joined = Joined(others=claimed_by_others(session, state, span))
    images = [
        image for image in session.executed(span.early, span.until) if image.process not in joined.others
    ]
    digest = state.intent.command_digest
    if digest is not None:
        joined.shells = [image for image in images if image.command_digest == digest]
    if joined.shells:  # of several the last is judged, and what ran in it is shown
        below = session.tree.subtree(joined.shells[-1].process)
        images = [image for image in images if image.process in below]
    used: set[tuple[int, int]] = set()
    for expected in state.intent.executions:
        if expected.builtin:
            continue
        image = next((i for i in images if (i.ts, i.seq) not in used and is_of(expected, i)), None)
        if image is None:
            joined.missing.append(expected)
        else:
            used.add((image.ts, image.seq))
            joined.found.append((expected, image))
    return joined


def claimed_by_others(session: Session, state: IntentState, span: Span) -> set[ProcessKey]:
    """Processes below a shell that another tool call's command names exactly."""
    others: set[ProcessKey] = set()
    own = state.intent.command_digest
    for image in session.executed(span.early, span.until):
        if image.command_digest in (None, own) or image.process in others:
            continue
        if session.graph.shell_of(image) is not None:
            others |= session.tree.subtree(image.process)
    return others
