"""What ``sed -i`` and ``perl -pi`` put into a file, by their script: :func:`texts`.

Only what stands in the script is told: a substitution may match nothing. After the manual of GNU sed 4.9, and of
``s///`` perlop. What is not understood ends the reading; what was read until then counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

#: characters of all scripts of one command that are read
MAX_SCRIPT = 64 * 1024
#: characters of what was found, and how often it is put in
_MAX_MATCH = 1024
_MAX_MATCHES = 64
#: before a command: which lines it is for
_ADDRESS = re.compile(
    r"""\s*(?:\d+(?:~\d+)?|\$|\+\d+|/(?:[^/\\\n]|\\.)*/[IM]*|\\(?P<c>[^\\\n])(?:(?!(?P=c))[^\\\n]|\\.)*(?P=c)[IM]*)\s*"""
)
_REST = re.compile(r"[^;}\n]*")
_LINE = re.compile(r"(?:[^\\\n]|\\.|\\\n)*", re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_MATCH = re.compile(r"\\.|&", re.DOTALL)
_CHARACTERS = {"n": "\n", "t": "\t"}


def texts(program: str, args: Sequence[str]) -> tuple[str, str]:
    """The texts that the scripts in ``args`` look for, and those that they put there, each on lines of their own."""
    script = "\n".join(_scripts(program, args))[:MAX_SCRIPT]
    pairs = list(_edits(script))
    return "\n".join(old for old, _ in pairs), "\n".join(new for _, new in pairs)


def _scripts(program: str, args: Sequence[str]) -> Iterator[str]:
    """The arguments of options that end with an e (``-e``, ``-pie``, ``--expression``); of sed else the first word."""
    told = False
    for option, script in pairwise(args):
        if re.fullmatch(r"-[a-zA-Z0-9]*e|--expression", option):
            told = True
            yield script
    for option in args:
        if option.startswith("--expression="):
            told = True
            yield option.partition("=")[2]
    if not told and program == "sed":
        yield from [word for word in args if not word.startswith("-")][:1]


def _edits(script: str) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(script):
        if script[at] in " \t\n;{}!":
            at += 1
            continue
        address = _ADDRESS.match(script, at)
        if address is not None and address.end() > at:
            at = address.end() + (script[address.end() : address.end() + 1] == ",")
            continue
        command = script[at]
        at += 1
        if command in "sy":
            parts = _delimited(script, at)
            if parts is None:
                return
            old, new, at = parts
            if command == "s":
                yield _plain(old), _plain(_with_match(new, old))
            at = _end(_REST, script, at)
        elif command in "aic":
            end = _end(_LINE, script, at)
            text = script[at:end].lstrip(" \t").removeprefix("\\").removeprefix("\n")
            yield "", _plain(text)
            at = end
        elif command in "dDpPnNgGhHxlqQ=zFbtT:rRwW":
            at = _end(_REST, script, at)
        else:
            return


def _end(pattern: re.Pattern[str], script: str, at: int) -> int:
    match = pattern.match(script, at)
    return match.end() if match is not None else at


def _delimited(script: str, at: int) -> tuple[str, str, int] | None:
    """``/old/new/`` at ``at``, with any character in place of the slash, and where it ends."""
    delimiter = script[at : at + 1]
    if not delimiter or delimiter in "\\\n":
        return None
    parts: list[str] = []
    start = at = at + 1
    while at < len(script) and len(parts) < 2:
        if script[at] == "\\":
            at += 1
        elif script[at] == delimiter:
            parts.append(script[start:at])
            start = at + 1
        at += 1
    return (parts[0], parts[1], at) if len(parts) == 2 else None


def _with_match(new: str, old: str) -> str:
    """``&`` stands for what was found."""
    found = old[:_MAX_MATCH]
    return _MATCH.sub(lambda match: found if match[0] == "&" else match[0], new, count=_MAX_MATCHES)


def _plain(text: str) -> str:
    """Without escapes. A pattern that is no plain text stays as it is written."""
    return _ESCAPED.sub(lambda match: _CHARACTERS.get(match[1], match[1]), text)
