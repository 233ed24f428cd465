"""The command inside what an agent puts around it before a shell runs it: data/shell_wrappers.toml.

The command that was asked for and the script that a shell was given are joined by their digests, so the one must be
found in the other. What looks like a wrapper and is none can only make a script look like the command in it, which
whoever can run the script could have run as well.
"""

from __future__ import annotations

import re
import shlex
import tomllib
from functools import cache
from importlib import resources

import msgspec

#: one word of a shell: pieces in quotes, pieces that need none. No two alternatives begin alike, so that matching is
#: linear in the text
_WORD = r"""(?:'[^']*'|"[^"$`\\]*"|\\.|[A-Za-z0-9_@%+=:,./-])++"""


class Wrapper(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One row: ``before``, the command, ``after``."""

    seen: str
    before: str
    after: str
    quoted: bool

    @property
    def pattern(self) -> re.Pattern[str]:
        """Matches a whole script."""
        command = _WORD if self.quoted else ".+"
        return re.compile(f"{self.before}(?P<command>{command}){self.after}", re.DOTALL)


@cache
def wrappers() -> dict[str, Wrapper]:
    """The table. Raises msgspec.ValidationError when it is malformed."""
    raw = tomllib.loads(resources.files("collector").joinpath("data/shell_wrappers.toml").read_text("utf-8"))
    return msgspec.convert(raw, dict[str, Wrapper])


@cache
def _patterns() -> tuple[tuple[re.Pattern[str], bool], ...]:
    return tuple((row.pattern, row.quoted) for row in wrappers().values())


def unwrapped(script: str) -> str:
    """The command in ``script``; ``script`` where no wrapper is known."""
    for pattern, quoted in _patterns():
        found = pattern.fullmatch(script)
        if found is not None:
            return "".join(shlex.split(found["command"])) if quoted else found["command"]
    return script
