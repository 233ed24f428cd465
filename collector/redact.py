"""Removal of credentials from text that leaves the collector, at every content level.

The patterns are data (data/credentials.toml). A removed value becomes ``[NAME]``; what names it stays.
"""

from __future__ import annotations

import re
import tomllib
from functools import cache, partial
from importlib import resources

import msgspec

#: flags whose next argument is a credential, and those whose next argument is NAME:PASSWORD, for argv
_SECRET_FLAG = re.compile(
    r"--?(?:[a-z0-9-]*-)?(?:token|password|passwd|secret|api-key|apikey|access-key)", re.IGNORECASE
)


_USER_FLAG = frozenset({"-u", "--user", "--proxy-user"})
_USER = re.compile(r"([A-Za-z][^:]{0,80}:).+", re.DOTALL)


class Credential(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A row of data/credentials.toml."""

    name: str
    needs: tuple[str, ...]
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
def _compiled() -> tuple[tuple[re.Pattern[str], str, tuple[str, ...]], ...]:
    return tuple((re.compile(row.pattern), row.name, row.needs) for row in credentials())


def redact(text: str) -> str:
    """``text`` without credentials; the same object where it has none."""
    for pattern, name, needs in _compiled():
        for need in needs:
            if need in text:
                text = pattern.sub(partial(_named, name), text)
                break
    return text


def redact_path(path: str) -> str:
    """``path`` without credentials, name by name: of two paths that join, the redacted ones join as well."""
    whole = redact(path)
    return whole if whole == path or "://" in path else "/".join(map(redact, path.split("/")))


def _named(name: str, match: re.Match[str]) -> str:
    return f"{match.groupdict().get('keep') or ''}[{name}]"


def redact_argv(argv: tuple[str, ...]) -> tuple[str, ...]:
    """Arguments without credentials, those that follow a flag like ``--token`` included."""
    shown: list[str] = []
    before = ""
    for argument in argv:
        if _SECRET_FLAG.fullmatch(before) and not argument.startswith("-"):
            shown.append("[argument]")
        elif before in _USER_FLAG and (user := _USER.fullmatch(argument)):
            shown.append(f"{user[1]}[argument]")
        else:
            shown.append(redact(argument) if len(argument) >= 8 else argument)
        before = argument
    return tuple(shown)
