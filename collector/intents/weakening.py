"""What an edit does to a test so that it passes without work: :func:`marks_of`. The table is data/weakening.toml.

The text stays in the collector; a closed list of marks leaves it, at every content level.
"""

from __future__ import annotations

import re
import tomllib
from functools import cache
from importlib import resources
from typing import Literal, NamedTuple, get_args

import msgspec

from polygraph.events import EditMark
from polygraph.test_files import configures, is_in_folder, language_of, sets_up

#: characters of each text that are looked at
MAX_TEXT = 256 * 1024
_MARKS: tuple[EditMark, ...] = get_args(EditMark)


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A row; the columns are explained in the table. ``others`` look like it and are none."""

    mark: EditMark
    pattern: str
    examples: tuple[str, ...]
    others: tuple[str, ...]
    where: Literal["tests", "settings", "config"] = "tests"
    languages: tuple[str, ...] = ()
    loses: str | None = None


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """data/weakening.toml."""

    in_folders: frozenset[str]
    rows: tuple[Row, ...]


class _Compiled(NamedTuple):
    row: Row
    pattern: re.Pattern[str]
    loses: re.Pattern[str] | None

    def added(self, old: str, new: str) -> bool:
        """Whether ``new`` has more of it than ``old``, and less of what it loses."""
        if _count(self.pattern, new) <= _count(self.pattern, old):
            return False
        return self.loses is None or _count(self.loses, new) < _count(self.loses, old)


def _count(pattern: re.Pattern[str], text: str) -> int:
    return sum(1 for _ in pattern.finditer(text))


@cache
def table() -> Table:
    """The table. Raises msgspec.ValidationError when it is malformed."""
    text = resources.files("collector.intents").joinpath("data/weakening.toml").read_text("utf-8")
    return msgspec.convert(tomllib.loads(text), Table)


@cache
def _compiled() -> tuple[_Compiled, ...]:
    return tuple(
        _Compiled(
            row,
            re.compile(row.pattern, re.MULTILINE),
            re.compile(row.loses, re.MULTILINE) if row.loses is not None else None,
        )
        for row in table().rows
    )


def _where(path: str, language: str | None) -> str | None:
    """What a file is to a test runner, by its name and where it lies; None: nothing that is known."""
    if sets_up(path):
        return "settings"
    if configures(path):
        return "config"
    inside = is_in_folder(path) and path.rpartition("/")[2].rpartition(".")[2] in table().in_folders
    return "tests" if inside or language is not None else None


def marks_of(path: str, old: str, new: str) -> tuple[EditMark, ...]:
    """What ``new`` has more often than ``old``, which it replaces, in a test file or in what sets a runner up."""
    language = language_of(path)
    where = _where(path, language)
    if where is None:
        return ()
    old, new = old[:MAX_TEXT], new[:MAX_TEXT]
    found = {
        form.row.mark
        for form in _compiled()
        if form.row.where == where
        and (not form.row.languages or language in form.row.languages)
        and form.added(old, new)
    }
    return tuple(mark for mark in _MARKS if mark in found)
