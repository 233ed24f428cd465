"""Removal of credentials from text that leaves the collector, at every content level.

The patterns are data (data/credentials.toml). A removed value becomes ``[NAME]``; what names it stays.
"""

from __future__ import annotations

import re
import tomllib
from functools import cache, partial
from importlib import resources

import msgspec

#: flags whose next argument is a credential, for argv
_SECRET_FLAG = re.compile(
    r"--?(?:[a-z0-9-]*-)?(?:token|password|passwd|secret|api-key|apikey|access-key)", re.IGNORECASE
)


class Credential(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A row of data/credentials.toml."""

    name: str
    pattern: str
    examples: tuple[str, ...]


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    credential: tuple[Credential, ...]


@cache
def credentials() -> tuple[Credential, ...]:
    """The table. Raises msgspec.ValidationError when it is malformed."""
    raw = tomllib.loads(resources.files("collector").joinpath("data/credentials.toml").read_text("utf-8"))
    return msgspec.convert(raw, _Table).credential


@cache
def _compiled() -> tuple[tuple[re.Pattern[str], str], ...]:
    return tuple((re.compile(row.pattern), row.name) for row in credentials())


def redact(text: str) -> str:
    """``text`` without credentials."""
    for pattern, name in _compiled():
        text = pattern.sub(partial(_named, name), text)
    return text


def _named(name: str, match: re.Match[str]) -> str:
    return f"{match.groupdict().get('keep') or ''}[{name}]"


def redact_argv(argv: tuple[str, ...]) -> tuple[str, ...]:
    """Arguments without credentials, those that follow a flag like ``--token`` included."""
    shown: list[str] = []
    after_flag = False
    for argument in argv:
        if after_flag and not argument.startswith("-"):
            shown.append("[argument]")
        else:
            shown.append(redact(argument) if len(argument) >= 8 else argument)
        after_flag = _SECRET_FLAG.fullmatch(argument) is not None
    return tuple(shown)
