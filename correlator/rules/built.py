"""What a program was built of, where the session saw it: who wrote it, and who wrote what that one read.

A test binary that an earlier command had compiled opens no source when it runs. Its sources are what the compiler of
its objects had opened, and the linker tells which objects: the outermost compiler or linker above whoever wrote a file.
A make above these is not asked, since it builds other things as well.
"""

from __future__ import annotations

from itertools import takewhile

from correlator.processes import Node
from correlator.programs import compiles
from correlator.session import Session
from polygraph.events import Exec, ProcessKey

#: files that are followed: objects, archives, programs
_MAX_FILES = 64


def makers(session: Session, image: Exec) -> set[ProcessKey]:
    """The processes that compiled and linked the program, as far as the session saw it; none for what was there."""
    found: set[ProcessKey] = set()
    todo, seen = [(image.path, image.ts)], {image.path}
    while todo and len(seen) <= _MAX_FILES:
        path, at = todo.pop()
        maker = _maker(session, path, at)
        if maker is None:
            continue
        below = session.tree.subtree(maker)
        found |= below
        for process in below:
            for inode, read in session.process_reads.get(process, ()):
                for name in session.inode_paths.get(inode, {}):
                    if name not in seen and name in session.touches:
                        seen.add(name)
                        todo.append((name, read.ts))
    return found


def _maker(session: Session, path: str, at: int) -> ProcessKey | None:
    """The compiler's or linker's driver that wrote the file last before ``at``."""
    wrote = [touch for touch in session.touches.get(path, ()) if touch.first < at]
    if not wrote or wrote[-1].gone:
        return None
    at = wrote[-1].first
    drivers = list(takewhile(lambda node: _compiles(node, at), session.tree.line(wrote[-1].event.process)))
    return drivers[-1].key if drivers else None


def _compiles(node: Node, at: int) -> bool:
    image = node.image(at)
    return image is not None and compiles(image)
