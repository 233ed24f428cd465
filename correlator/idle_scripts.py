"""Scripts of the session that did nothing of the kind: they wrote nothing, reached nobody, opened none of the code.

A script of an unknown name may run tests or check files in its own process. One that the kernel saw do nothing but
open other files than these, and whose command line has no word of such work, has not done it.
"""

from __future__ import annotations

from correlator.paths import normalise
from correlator.places import is_code, is_project_file
from correlator.programs import identify, may_speak_of, plain, programs, script_of
from correlator.session import IN_PROGRESS, Session, Touch
from polygraph.events import Exec
from polygraph.reasons import Dimension
from polygraph.tools import telling_words

_DIMENSIONS: tuple[Dimension, ...] = ("process", "file", "network")
#: what these do is left in files, or listens
_LEAVE_TRACES = frozenset({"build", "install", "commit", "server"})


def is_idle(session: Session, image: Exec, purpose: str | None, until: int) -> bool:
    """Whether the image is such a script. What it started is looked at by itself.

    Files that are known to be code are tests that the collector found, and what the session changed. Where none are,
    nothing can be said of what only reads; a build, an installation and a commit write something, a server listens.
    """
    script = script_of(image)
    words = telling_words().get(purpose or "", () if purpose == "server" else None)
    if script is None or words is None or plain(image.path) not in programs().interpreters:
        return False
    itself = normalise(script, image.cwd)
    if (
        may_speak_of(image, words)
        or identify(image) is not None
        or not _made_and_opened(session, image, itself)
    ):
        return False
    node = session.tree.get(image.process)
    if node is None or node.exit is None or not node.ended(until):
        return False
    if _wrote(session, image, node.exit.ts) or _reached_others(session, image):
        return False
    if session.coverage.gate(_DIMENSIONS, image.ts, until) is not None:
        return False
    if purpose in _LEAVE_TRACES:
        return True
    if purpose == "test":
        known = bool(session.test_inodes)
    else:
        known = any(path != itself and _is_code(session, path) for path in session.touches)
    return known and not _opened_code(session, image, itself)


def _made_and_opened(session: Session, image: Exec, path: str) -> bool:
    """Whether the session had made the script, and its process opened it: so what it opened was seen.

    What a tool made (a bundle) may hold what it would have opened.
    """
    creations = [
        touch
        for touch in session.touches.get(path, ())
        if touch.event.op == "create" and touch.first < image.ts
    ]
    made = bool(creations) and not any(_by_tool(session, touch) for touch in creations)
    inodes = session.inodes_of(path, image.ts)
    opened = session.process_reads.get(image.process, ())
    return made and any(inode in inodes for inode, _ in opened)


def _by_tool(session: Session, touch: Touch) -> bool:
    above = session.tree.line(touch.event.process)
    return any(identify(made) is not None for node in above if (made := node.image(touch.first)) is not None)


def _wrote(session: Session, image: Exec, end: int) -> bool:
    """Whether its process wrote anything but caches."""
    return any(
        touch.event.process == image.process
        and not touch.path.startswith("/dev/")
        and "__pycache__" not in touch.path.split("/")
        for touch in session.written(image.ts, end)
    )


def _reached_others(session: Session, image: Exec) -> bool:
    return any(net.process == image.process and net.errno in (0, IN_PROGRESS) for net in session.nets)


def _opened_code(session: Session, image: Exec, itself: str) -> bool:
    for inode, _ in session.process_reads.get(image.process, ()):
        names = session.inode_paths.get(inode, {})
        if inode in session.test_inodes or any(path != itself and _is_code(session, path) for path in names):
            return True
    return False


def _is_code(session: Session, path: str) -> bool:
    return is_code(path) and is_project_file(path, session.roots)
