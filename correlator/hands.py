"""Whose hand was it: did the agent change a file, by itself or by programs that do nothing of their own?"""

from __future__ import annotations

from collections.abc import Callable

from correlator.programs import is_inert
from correlator.session import Session, Touch
from polygraph.events import Exec


def by_agent(session: Session, touch: Touch, passes: Callable[[Exec], bool]) -> bool:
    """Whether the agent did it, and what stands between the two is inert and ``passes``."""
    for node in session.tree.line(touch.event.process):
        if session.is_agent(node.key, touch.first):
            return True
        image = node.image(touch.first)
        # None: a subshell, or the child that opens what `> file` names
        if image is not None and not (is_inert(image, session.roots) and passes(image)):
            return False
    return False
