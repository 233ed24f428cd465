"""Which files hold tests, by name: data/test_files.toml, whose only reader this is.

A name proves nothing by itself. What a name is not known to be is no test file here, and no rule may conclude more
from that than that it does not know.
"""

from __future__ import annotations

import re
import tomllib
from functools import cache
from importlib import resources

import msgspec


class Language(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A row; the columns are explained in the table."""

    names: str
    defines: str
    opened: bool
    examples: tuple[str, ...]


class TestFiles(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The table."""

    __test__ = False  # no test class of pytest's

    skip: frozenset[str]
    folders: frozenset[str]
    settings: frozenset[str]
    config: str
    helpers: str
    languages: dict[str, Language]


@cache
def table() -> TestFiles:
    """The table. Raises msgspec.ValidationError when it is malformed."""
    text = resources.files("polygraph").joinpath("data", "test_files.toml").read_text("utf-8")
    return msgspec.convert(tomllib.loads(text), TestFiles)


def language_of(path: str) -> str | None:
    """The language whose tests a file of this name holds; None if it is not known to hold any."""
    name = path.rpartition("/")[2]
    if _helpers().fullmatch(name):
        return None
    return next((found for found, names in _names() if names.fullmatch(name)), None)


def defined_in(path: str, content: bytes) -> int:
    """How many tests a file of this name and content defines, by its lines; 0 if that is not known.

    What runs may be more (parameters) and, where a line is part of a string or of a class that is not collected, less.
    """
    language = language_of(path)
    if language is None:
        return 0
    return len(_defines(language).findall(content.decode("utf-8", "replace")))


def is_opened(language: str) -> bool:
    """Whether a run opens the files of this language's tests; no language is ``""``."""
    row = table().languages.get(language)
    return row is not None and row.opened


def sets_up(path: str) -> bool:
    """Whether a file of this name is code that sets a test runner up."""
    return path.rpartition("/")[2] in table().settings


def configures(path: str) -> bool:
    """Whether a file of this name may configure a test runner."""
    return _config().fullmatch(path.rpartition("/")[2]) is not None


def is_in_folder(path: str) -> bool:
    """Whether the file lies in a directory that is called as those of tests are."""
    return not table().folders.isdisjoint(path.split("/")[:-1])


def is_searched(directory: str) -> bool:
    """Whether a directory of this name may hold the project's own tests."""
    return not directory.startswith(".") and directory not in table().skip


@cache
def _names() -> tuple[tuple[str, re.Pattern[str]], ...]:
    return tuple((name, re.compile(row.names)) for name, row in table().languages.items())


@cache
def _defines(language: str) -> re.Pattern[str]:
    return re.compile(rf"^[ \t]*(?:{table().languages[language].defines})", re.MULTILINE)


@cache
def _config() -> re.Pattern[str]:
    return re.compile(table().config)


@cache
def _helpers() -> re.Pattern[str]:
    return re.compile(table().helpers)
