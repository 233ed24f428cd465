"""Arguments and names that are free text, told below content level ``redacted`` by a keyed digest.

``git commit -m "…"``, ``claude -p "…"``, ``sh -c "…"``: an argument with white space in it is text that somebody wrote.
It becomes ``text:`` and 16 hexadecimal digits of its keyed digest, so that equal texts still join, then marks: the
answers to what rules ask of an argument, out of closed lists, so that a verdict is the same at every level.
"""

from __future__ import annotations

import re
from functools import cache

from collector.redact import redact
from polygraph.ids import keyed_digest
from polygraph.text import to_bytes
from polygraph.tools import telling_words, tools

#: ``--message=some text``, ``-m some text`` in one argument, ``NAME=some text``: what names the text stays
_NAMED = re.compile(r"--[A-Za-z0-9][\w-]{0,60}=?|-[A-Za-z0-9]|-+|[A-Za-z_]\w{0,60}=", re.ASCII)
_SPACE = re.compile(r"\s")
#: what a shell may have changed, so that it is not compared (correlator/join.py)
_SHELL = frozenset("$*?[]{}~`'\"\\<>")
#: with these in its command line a run goes on until somebody ends it (correlator/rules/outcomes.py)
_LASTING = ("watch",)
_DIGITS = 16


def is_free_text(argument: str) -> bool:
    """Whether somebody wrote it: words, not a word."""
    return _SPACE.search(argument) is not None


def untold(argument: str, key: bytes) -> str:
    """What stands for a free text."""
    named = _NAMED.match(argument)
    name = named.group() if named is not None else ""
    text = argument[len(name) :]
    digest = keyed_digest(key, to_bytes(text))[:_DIGITS]
    return f"{name}text:{digest}{''.join(_marks(text))}"


def untold_argv(argv: tuple[str, ...], key: bytes, path: str) -> tuple[str, ...]:
    """Arguments, those told by their digest that are free text; the program's name stays if ``path`` has it too."""
    if not any(map(is_free_text, argv)):
        return argv
    named = argv[0].rpartition("/")[2] == path.rpartition("/")[2]
    return tuple(
        untold(argument, key) if is_free_text(argument) and not (number == 0 and named) else argument
        for number, argument in enumerate(argv)
    )


def _marks(text: str) -> list[str]:
    marks = ["~"] if _SHELL.intersection(text) or redact(text) != text else []
    if "/" in text or "." in text or "::" in text:
        marks.append(".")  # names a part of a project, perhaps (correlator/runs.py)
    lower = text.lower()
    marks += [f",{word}" for word in _telling() if word in lower]
    has, ends = _parts_of_tests()
    marks += [part for part in has if part in text]
    marks += [end for end in ends if text.endswith(end)][:1]
    return marks


@cache
def _telling() -> tuple[str, ...]:
    return tuple(sorted({word for words in (*telling_words().values(), _LASTING) for word in words}))


@cache
def _parts_of_tests() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What data/tools.toml looks for in an argument that selects a part, and at its end, the longest first."""
    has = {part for tool in tools().values() for part in tool.subset_has}
    ends = {part for tool in tools().values() for part in tool.subset_ends}
    return tuple(sorted(has)), tuple(sorted(ends, key=lambda part: (-len(part), part)))
