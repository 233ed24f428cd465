"""The files that a session can speak of, as they are now: :func:`files`. Only in the place of a session."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from collector.look import look_at, project_tests
from polygraph.ids import keyed_digest
from tests.corpus import place
from tests.corpus.records import File, Seen

#: folders that a session may write into, and names of those below them that hold too much and are never spoken of
ROOTS = (str(place.HOME), "/tmp", "/var/tmp")  # the session's own
LEFT_OUT = frozenset((".git", ".cache", "node_modules", "target", "truth"))
#: most files of a session
_MAX_FILES = 2000


def files() -> Seen:
    """As the collector would find them. Raises ValueError where they are too many to be kept."""
    found: list[File] = []
    for path in (path for root in ROOTS for path in _below(root)):
        look = look_at(b"", None, path)
        if look is not None and look.exists:
            digest = keyed_digest(place.KEY, look.content) if look.content is not None else None
            found.append(File(path, look.size, look.mtime, look.dev, look.ino, digest, look.tests))
        if len(found) > _MAX_FILES:
            raise ValueError(f"more than {_MAX_FILES} files")
    return Seen(tuple(found), tuple(path for path, _ in project_tests(b"", str(place.PROJECT))))


def _below(root: str) -> Iterator[str]:
    """Files, and directories with a slash at their end, in the order of their names."""
    for folder, below, names in os.walk(root):
        below[:] = sorted(
            name for name in below if name not in LEFT_OUT and Path(folder, name) not in place.KEPT
        )
        yield f"{folder}/"
        yield from (f"{folder}/{name}" for name in sorted(names))
