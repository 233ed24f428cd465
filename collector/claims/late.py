"""Regular expressions that are compiled when they are first asked."""

from __future__ import annotations

import re
from typing import Any, cast


class _Late:
    """Stands for a compiled pattern. Its methods become its own, so that later calls cost what they always cost."""

    def __init__(self, pattern: str, flags: int) -> None:
        self.pattern = pattern
        self.flags = flags

    def __getattr__(self, name: str) -> Any:
        found = getattr(re.compile(self.pattern, self.flags), name)
        setattr(self, name, found)
        return found


def late(pattern: str, flags: int = 0) -> re.Pattern[str]:
    """As :func:`re.compile`, which raises re.error for a malformed ``pattern`` only at the first use.

    The tables hold some two hundred patterns, whose compilation takes a tenth of a second, and most texts need a
    dozen of them.
    """
    return cast("re.Pattern[str]", _Late(pattern, flags))
