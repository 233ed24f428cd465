"""Where the two functions of rustls that plaintext goes through are, in a program without names: by how they begin.

The signatures are data (collector/data/rustls_signatures.toml). A wrong place would be probed without a trace of doubt,
so each must be the only one, and one at which a function begins by the program's own account.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources
from typing import Literal, NamedTuple

import msgspec

from collector.tls.elf import Elf
from collector.tls.signatures import Code, NotRareError, compile_code, search

FUNCTIONS = ("rustls::CommonState::buffer_plaintext", "rustls::CommonState::take_received_plaintext")
#: its name stands in the paths of its source files, which panics mention
MENTION = b"/rustls-0.23."
_MAX_CANDIDATES = 64


class Signature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One row of rustls_signatures.toml."""

    function: Literal["rustls::CommonState::buffer_plaintext", "rustls::CommonState::take_received_plaintext"]
    pattern: str
    seen: tuple[str, ...]


class Build(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A program that was searched before: its size in bytes, and the file offset of each function."""

    name: str
    size: int
    buffer_plaintext: int
    take_received_plaintext: int


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    signature: tuple[Signature, ...]
    build: tuple[Build, ...]


class Shape(NamedTuple):
    """A signature as it is searched."""

    function: str
    code: Code


@cache
def _table() -> _Table:
    text = resources.files("collector").joinpath("data/rustls_signatures.toml").read_text("utf-8")
    return msgspec.convert(tomllib.loads(text), _Table)


@cache
def shapes() -> tuple[Shape, ...]:
    """The signatures. Raises ValueError when the data has another form."""
    return tuple(Shape(row.function, compile_code(row.pattern)) for row in _table().signature)


def builds() -> tuple[Build, ...]:
    """Programs that need no search."""
    return _table().build


def functions(elf: Elf) -> dict[str, tuple[int, ...]] | str:
    """File offset of each function, or why it is not certain."""
    for build in builds():
        if build.size == elf.size:
            known = dict(zip(FUNCTIONS, (build.buffer_plaintext, build.take_received_plaintext), strict=True))
            if all(_fits(elf, name, offset) for name, offset in known.items()):
                return {name: (offset,) for name, offset in known.items()}
    return searched(elf)


def searched(elf: Elf) -> dict[str, tuple[int, ...]] | str:
    """The same by a search of all code: a second for 250 MB."""
    places: dict[str, set[int]] = {name: set() for name in FUNCTIONS}
    too_many = "rustls is in it, and too many places look like its functions"
    try:
        candidates = search(elf, [shape.code for shape in shapes()])
        for count, (number, offset) in enumerate(candidates):
            if count == _MAX_CANDIDATES:
                return too_many
            if elf.begins_function(offset):
                places[shapes()[number].function].add(offset)
    except NotRareError:
        return too_many
    for name in FUNCTIONS:
        if len(places[name]) != 1:
            return f"rustls is in it, and {len(places[name])} places look like {name}"
    return {name: tuple(places[name]) for name in FUNCTIONS}


def _fits(elf: Elf, name: str, offset: int) -> bool:
    return any(
        shape.function == name
        and shape.code.expression.match(elf.read(offset, shape.code.length, short=True))
        and elf.begins_function(offset)
        for shape in shapes()
    )
