"""Files that a command writes: opened before anything is started, so that a bad path is said at once."""

from __future__ import annotations

import os
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


def check_report(path: Path | None) -> None:
    """Raises PolygraphError when the report cannot be written to ``path``; what is there now stays."""
    if path is None:
        return
    if path.is_dir():
        problem = "it is a folder"
    elif not path.absolute().parent.is_dir():
        problem = "its folder does not exist"
    elif not os.access(path if path.exists() else path.absolute().parent, os.W_OK):
        problem = "it may not be written"
    else:
        return
    raise PolygraphError(f"cannot write the report to {path}: {problem}", "choose another path for --report")
