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
from polygraph.test_files import language_of

#: characters of each text that are looked at
MAX_TEXT = 256 * 1024
#: what sets up a test runner
_SETTINGS = frozenset({"conftest.py", "sitecustomize.py", "usercustomize.py"})
_MARKS: tuple[EditMark, ...] = get_args(EditMark)


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A row; the columns are explained in the table. ``others`` look like it and are none."""

    mark: EditMark
    pattern: str
    examples: tuple[str, ...]
    others: tuple[str, ...]
    where: Literal["tests", "settings"] = "tests"
    languages: tuple[str, ...] = ()


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    rows: tuple[Row, ...]


class _Compiled(NamedTuple):
    row: Row
    pattern: re.Pattern[str]


@cache
def table() -> tuple[Row, ...]:
    """The rows. Raises msgspec.ValidationError when the table is malformed."""
    text = resources.files("collector.intents").joinpath("data/weakening.toml").read_text("utf-8")
    return msgspec.convert(tomllib.loads(text), _Table).rows


@cache
def _compiled() -> tuple[_Compiled, ...]:
    return tuple(_Compiled(row, re.compile(row.pattern, re.MULTILINE)) for row in table())


def marks_of(path: str, old: str, new: str) -> tuple[EditMark, ...]:
    """What ``new`` has more often than ``old``, which it replaces, in a test file or in what sets a runner up."""
    where = "settings" if path.rpartition("/")[2] in _SETTINGS else "tests"
    language = language_of(path)
    if where == "tests" and language is None:
        return ()
    old, new = old[:MAX_TEXT], new[:MAX_TEXT]
    found = {
        row.mark
        for row, pattern in _compiled()
        if row.where == where
        and (not row.languages or language in row.languages)
        and len(pattern.findall(new)) > len(pattern.findall(old))
    }
    return tuple(mark for mark in _MARKS if mark in found)
