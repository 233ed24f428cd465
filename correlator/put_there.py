"""Builds and installations by programs that only copy: `cat a.js b.js > dist/app.js`, `cp x /usr/local/bin/`.

Such a program runs nothing, so it is no suspect by what it is. But where a project keeps what is built, or a machine
what is installed, to have put a file there is all that there is to do.
"""

from __future__ import annotations

from collections.abc import Callable

from correlator.paths import under
from correlator.places import is_temporary
from correlator.processes import Node
from correlator.programs import program_name, programs
from correlator.session import Session, Touch
from polygraph.events import Exec

#: no files of a disk
_NO_FILES = ("/dev", "/proc", "/sys", "/run")


def put_there(
    session: Session,
    purpose: str | None,
    since: int,
    until: int,
    *,
    also: Callable[[Exec], bool] = lambda _: False,
) -> Touch | None:
    """A file that such a program, or one of ``also``, put, in [since, until], where such work leaves its own."""
    if purpose not in ("build", "install"):
        return None
    for touch in session.written(since, until):
        if touch.gone or touch.event.op in ("mkdir", "unlink"):
            continue
        here = _is_built if purpose == "build" else _is_installed
        if here(session, touch.path) and _by_a_copy(session, touch, also):
            return touch
    return None


def _by_a_copy(session: Session, touch: Touch, also: Callable[[Exec], bool]) -> bool:
    """Whether it was made out of another file by a program that only copies; `> file` is opened before that is one."""
    node = session.tree.get(touch.event.process)
    return (
        node is not None
        and not session.is_agent(node.key, touch.first)
        and (_copies(node) or any(map(also, node.images)))
    )


def _copies(node: Node) -> bool:
    return any(
        program_name(image) in programs().assembles
        and any(not argument.startswith("-") for argument in image.argv[1:])
        for image in node.images
    )


def _is_built(session: Session, path: str) -> bool:
    inside = next((path[len(root) :] for root in session.roots if under(path, root)), "")
    folders = inside.split("/")[:-1]
    return bool(inside) and (
        not programs().built_into.isdisjoint(folders) or inside.endswith(tuple(programs().archives))
    )


def _is_installed(session: Session, path: str) -> bool:
    if any(under(path, root) for root in session.roots):
        return not (programs().brought | programs().taken_in).isdisjoint(path.split("/")[:-1])
    return not is_temporary(path) and not any(under(path, top) for top in _NO_FILES)
