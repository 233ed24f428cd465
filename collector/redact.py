"""Removal of credentials from text that leaves the collector, at every content level.

The patterns are data (data/credentials.toml). A removed value becomes ``[NAME]``; what names it stays.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from functools import cache, partial
from importlib import resources
from typing import TYPE_CHECKING, NamedTuple

import msgspec

if TYPE_CHECKING:  # imported where it is used: the start does not wait for it
    from ahocorasick_rs import AhoCorasick

#: flags whose next argument is a credential, and those whose next argument is NAME:PASSWORD, for argv
_SECRET_FLAG = re.compile(
    r"--?(?:[a-z0-9-]*-)?(?:token|password|passwd|passphrase|secret|api-key|apikey|access-key|secret-key|account-key|cookie)",
    re.IGNORECASE | re.ASCII,
)
#: what stands where a credential stood, and fewer characters than any credential has
_REMOVED = re.compile(r"\[[a-z-]{3,40}\]")
_SHORTEST = 3
#: a header that lost its quotes: name, scheme and value are words of their own. What looks like a path is one.
_HEADER = re.compile(
    r"(?:(?:proxy-)?authorization|(?:[\w-]{0,40}-)?(?:api-?key|token|secret|subscription-key|security-token)):",
    re.IGNORECASE | re.ASCII,
)
_SCHEME = re.compile(
    r"(?:basic|bearer|digest|negotiate|ntlm|token|apikey|aws4-[a-z0-9-]+)", re.IGNORECASE | re.ASCII
)
_NO_PATH = re.compile(r"[^/.\s]{6,}", re.ASCII)
_USER_FLAG = frozenset({"-u", "--user", "--proxy-user"})
_USER = re.compile(r"([A-Za-z][^:]{0,80}:).+", re.DOTALL)
#: characters of the shortest argument that may hold a credential and its name
_LEAST = 8

#: a text of more characters is looked at near needs only; how far before a need a match may begin, and how far
#: after one it is known to be a match
_LONG = 4096
_BACK = 320
_AHEAD = 1024


class Credential(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A row of data/credentials.toml."""

    name: str
    needs: tuple[str, ...]
    pattern: str
    examples: tuple[str, ...]
    keeps: tuple[str, ...]

    @property
    def compiled(self) -> re.Pattern[str]:
        """The pattern. ASCII classes: no letter of another script passes for one of a key, or for its border."""
        return re.compile(self.pattern, re.ASCII)


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    credential: tuple[Credential, ...]


@cache
def credentials() -> tuple[Credential, ...]:
    """The table. Raises msgspec.ValidationError when it is malformed."""
    raw = tomllib.loads(resources.files("collector").joinpath("data/credentials.toml").read_text("utf-8"))
    return msgspec.convert(raw, _Table).credential


@cache
def _compiled(row: Credential) -> re.Pattern[str]:
    """Compiled when a text needs it first: to compile all of them would delay the start."""
    return row.compiled


class _Index(NamedTuple):
    """All needs of all rows as one automaton: what a text holds is known after one pass over it."""

    needs: AhoCorasick
    #: for each need, by its number in the automaton, the rows that have it
    rows: tuple[tuple[int, ...], ...]


@cache
def _index() -> _Index:
    from ahocorasick_rs import AhoCorasick

    rows_of: dict[str, list[int]] = {}
    for number, row in enumerate(credentials()):
        for need in row.needs:
            rows_of.setdefault(need, []).append(number)
    return _Index(AhoCorasick(rows_of), tuple(map(tuple, rows_of.values())))


def redact(text: str) -> str:
    """``text`` without credentials; the same object where it has none."""
    near = _near(text)
    for number, row in enumerate(credentials() if near else ()):
        if number not in near:
            continue
        shown = _without(row, text, near[number])
        if shown != text:
            text, near = shown, _near(shown)
    return text


def _near(text: str) -> dict[int, list[int]]:
    """The rows whose needs ``text`` holds, and where; nowhere in particular in a short text."""
    index = _index()
    near: dict[int, list[int]] = {}
    lower = text.lower()
    places = len(text) > _LONG and len(lower) == len(text)  # else a place in the one is none in the other
    for need, start, _end in index.needs.find_matches_as_indexes(lower, overlapping=True):
        for row in index.rows[need]:
            found = near.setdefault(row, [])
            if places:
                found.append(start)
    return near


def _without(row: Credential, text: str, near: list[int]) -> str:
    """``text`` without what the row names: looked for around places where a need stands, if any are given."""
    pattern = _compiled(row)
    if not near:
        return pattern.sub(partial(_named, row.name), text)
    pieces: list[str] = []
    last = 0
    for begin, end in _windows(near):
        position = max(begin, last)
        # A match is found by its beginning, then taken whole, however far it goes beyond the window.
        while position < end and (found := pattern.search(text, position, end)) is not None:
            match = pattern.match(text, found.start())
            if match is None:  # what follows the window makes it none
                position = found.start() + 1
                continue
            pieces += (text[last : match.start()], _named(row.name, match))
            position = last = match.end()
    return "".join((*pieces, text[last:]))


def _windows(near: list[int]) -> Iterator[tuple[int, int]]:
    """Where a match may begin and be seen to, around these places; windows do not overlap."""
    begin, end = 0, -1
    for position in sorted(near):
        if position - _BACK > end:
            if end >= 0:
                yield begin, end
            begin = max(0, position - _BACK)
        end = position + _AHEAD
    if end >= 0:
        yield begin, end


def redact_path(path: str) -> str:
    """``path`` without credentials, name by name: of two paths that join, the redacted ones join as well."""
    whole = redact(path)
    return whole if whole == path or "://" in path else "/".join(map(redact, path.split("/")))


def _named(name: str, match: re.Match[str]) -> str:
    """What stays, and the name. A pattern with several forms has a ``keep`` of its own in each."""
    kept = next((text for group, text in match.groupdict().items() if group.startswith("keep") and text), "")
    removed = _REMOVED.match(match.group(), len(kept))
    if removed is not None and match.end() - match.start() - removed.end() < _SHORTEST:
        return match.group()  # an earlier row was here
    return f"{kept}[{name}]"


def redact_argv(argv: tuple[str, ...]) -> tuple[str, ...]:
    """Arguments without credentials, those that follow a flag like ``--token`` included."""
    shown: list[str] = []
    before = earlier = ""
    for argument in argv:
        if _is_secret(earlier, before, argument):
            shown.append("[argument]")
        elif before in _USER_FLAG and (user := _USER.fullmatch(argument)):
            shown.append(f"{user[1]}[argument]")
        else:
            shown.append(redact(argument) if len(argument) >= _LEAST else argument)
        earlier, before = before, argument
    return tuple(shown)


def _is_secret(earlier: str, before: str, argument: str) -> bool:
    """Whether an argument is a credential for the two that stand before it."""
    if _SECRET_FLAG.fullmatch(before):
        return not argument.startswith("-")
    if _SCHEME.fullmatch(before) and _HEADER.fullmatch(earlier):
        return True
    return bool(_HEADER.fullmatch(before) and _NO_PATH.fullmatch(argument))
