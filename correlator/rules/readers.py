"""Who opened a file, and whether what is in it was for the model to see."""

from __future__ import annotations

from correlator.programs import identify, is_inert, programs
from correlator.session import Read, Session
from polygraph.events import Exec


def for_itself(session: Session, read: Read) -> Exec | None:
    """The test run, compiler or type checker that opened a file in order to work on it, and shows it to nobody."""
    if read.shared:
        return None
    for node in session.tree.line(read.process):
        if node.key == session.tree.root:
            return None
        image = node.image(read.ts)
        match = identify(image) if image is not None else None
        if match is not None:
            by_itself = match.tool.purpose in programs().opens_for_itself and not match.tool.wraps
            return image if by_itself else None
    return None


def shows(session: Session, read: Read) -> bool:
    """Whether who opened it gives on what it reads and does nothing else with it: the agent's own tool, cat, sed, head.

    A program of another kind may have read all of a file, as it was asked to, and have told what it found.
    """
    image = session.tree.image(read.process, read.ts)
    return session.is_agent(read.process, read.ts) or (image is not None and is_inert(image, session.roots))
