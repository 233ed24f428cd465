"""Files that a command writes: opened before anything is started, so that a bad path is said at once."""

from __future__ import annotations

from pathlib import Path
from typing import IO

from polygraph.errors import PolygraphError


def open_json(path: Path | None) -> IO[bytes] | None:
    """The file for verdicts; ``-`` is standard output. Raises PolygraphError when it cannot be written."""
    if path is None:
        return None
    try:
        return (Path("/dev/stdout") if str(path) == "-" else path).open("wb", buffering=0)
    except OSError as error:
        raise PolygraphError(
            f"cannot write verdicts to {path}: {error.strerror}", "choose another path for --json"
        ) from error
