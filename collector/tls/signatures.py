"""data/tls_signatures.toml: where known builds have their TLS functions, and what those look like in unknown ones.

A build is known by its build-id, which its linker made of all of its bytes; its offsets are taken if the code there
is what the table says. A pattern is code with wildcards; it is taken if each of its functions is found exactly once.
scripts/tls_signatures.py derives both and checks them.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import resources
from typing import NamedTuple

import msgspec

from collector.tls.elf import Elf, occurrences

#: bytes of code that a row must have to say anything
MIN_CODE = 16
MAX_CODE = 512
#: hits that are looked at in one search
_MAX_HITS = 4096
_WILDCARD = "??"
_BYTE = re.compile(r"[0-9a-f]{2}|\?\?")

#: function -> file offsets
Places = dict[str, tuple[int, ...]]


class _Place(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    offset: int
    code: str


class _Build(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    build_id: str
    what: str
    library: str
    functions: dict[str, _Place]


class _Pattern(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    seen: tuple[str, ...]
    library: str
    functions: dict[str, str]


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    build: tuple[_Build, ...]
    pattern: tuple[_Pattern, ...]


class NotRareError(ValueError):
    """What is looked for begins to stand almost everywhere: a file that is made to waste our time."""


class Build(NamedTuple):
    """A known build: function -> (file offset, the code there)."""

    what: str
    library: str
    functions: Mapping[str, tuple[int, bytes]]


class Code(NamedTuple):
    """Code with wildcards: ``rare`` is its longest part without, which stands ``at`` bytes behind its beginning."""

    expression: re.Pattern[bytes]
    length: int
    rare: bytes
    at: int


class Pattern(NamedTuple):
    """Function -> its code; ``seen``: in which builds."""

    seen: tuple[str, ...]
    library: str
    functions: Mapping[str, Code]


class Signatures(NamedTuple):
    """The table: builds by build-id, patterns in order."""

    builds: Mapping[str, Build]
    patterns: tuple[Pattern, ...]


@cache
def signatures() -> Signatures:
    """The table. Raises ValueError when it is malformed."""
    return compile_signatures(tomllib.loads(_text()))


@cache
def _text() -> str:
    return resources.files("collector").joinpath("data/tls_signatures.toml").read_text("utf-8")


def compile_signatures(raw: object) -> Signatures:
    """Raises ValueError (or a kind of it) for what is no table, a build that is there twice, code that says little."""
    table = msgspec.convert(raw, _Table)
    builds: dict[str, Build] = {}
    for row in table.build:
        if row.build_id in builds or not re.fullmatch(r"[0-9a-f]{16,64}", row.build_id):
            raise ValueError(f"{row.what}: {row.build_id} is no build-id, or there twice")
        places = {name: (place.offset, _bytes(place.code)) for name, place in row.functions.items()}
        builds[row.build_id] = Build(row.what, row.library, places)
    patterns = tuple(
        Pattern(row.seen, row.library, {name: compile_code(code) for name, code in row.functions.items()})
        for row in table.pattern
    )
    return Signatures(builds, patterns)


def _bytes(code: str) -> bytes:
    found = bytes.fromhex(code)
    if not MIN_CODE <= len(found) <= MAX_CODE:
        raise ValueError(f"{len(found)} bytes of code: from {MIN_CODE} to {MAX_CODE} are needed")
    return found


def compile_code(code: str) -> Code:
    """``55 48 ?? e5``: bytes in hexadecimal, and any byte. Raises ValueError."""
    words = code.split()
    if not all(map(_BYTE.fullmatch, words)) or not MIN_CODE <= len(words) <= MAX_CODE:
        raise ValueError(f"no code: {code!r}")
    expression = b"".join(b"." if word == _WILDCARD else re.escape(bytes.fromhex(word)) for word in words)
    at = best = length = 0
    run = 0
    for index, word in enumerate(words):
        run = 0 if word == _WILDCARD else run + 1
        if run > length:
            best, length = index + 1 - run, run
    at = best
    rare = bytes.fromhex("".join(words[at : at + length])) if length else b""
    if len(rare) < MIN_CODE // 2:
        raise ValueError(f"{len(rare)} bytes without a wildcard are too few to search for: {code!r}")
    return Code(re.compile(expression, re.DOTALL), len(words), rare, at)


def known_build(elf: Elf) -> tuple[Build, Places] | None:
    """The build that this file is, with its places; None if it is none, or its code is another."""
    if not elf.build_id or elf.build_id not in _text():  # most files: the table is not taken apart for them
        return None
    build = signatures().builds.get(elf.build_id)
    if build is None:
        return None
    for offset, code in build.functions.values():
        if not elf.executes(offset, len(code)) or elf.read(offset, len(code)) != code:
            return None
    return build, {name: (offset,) for name, (offset, _) in build.functions.items()}


def matching(elf: Elf) -> list[tuple[Pattern, Places]]:
    """The patterns each of whose functions stands in this file's code exactly once, with those places."""
    found: list[tuple[Pattern, Places]] = []
    for pattern in signatures().patterns:
        places: Places = {}
        for name, code in pattern.functions.items():
            offsets = find_code(elf, code)
            if len(offsets) != 1:
                break
            places[name] = tuple(offsets)
        else:
            found.append((pattern, places))
    return found


def find_code(elf: Elf, code: Code) -> set[int]:
    """The file offsets at which ``code`` stands, two at most; also two where its rare part is none."""
    found: set[int] = set()
    try:
        for _, offset in search(elf, (code,)):
            found.add(offset)
            if len(found) == 2:
                break
    except NotRareError:
        return {0, 1}
    return found


def search(elf: Elf, codes: Sequence[Code]) -> Iterator[tuple[int, int]]:
    """(number of the code, file offset) of each place at which one of ``codes`` stands, in one pass.

    A place where two windows overlap is told twice. Raises NotRareError.
    """
    hits = 0
    for offset, _, data in elf.windows(elf.code, max(code.length for code in codes)):
        for number, code in enumerate(codes):
            for at in occurrences(data, code.rare):
                hits += 1
                if hits > _MAX_HITS:
                    raise NotRareError("the rare part of a signature is none in it")
                # What begins in the window before is whole there: the windows overlap by the length of the code.
                if at >= code.at and code.expression.match(data, at - code.at):
                    yield number, offset + at - code.at
