"""data/uring_ops.toml: what an operation through an io_uring hides, and its name."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Literal, NamedTuple

import msgspec

#: opcodes are one byte, and the kernel side holds them in bitmaps (bpf/uring.h)
_OPCODES = 256


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """name -> opcode, by what is hidden."""

    nothing: dict[str, int]
    file: dict[str, int]
    network: dict[str, int]
    both: dict[str, int]


class UringOps(NamedTuple):
    """Opcode -> its name, and those that hide nothing from a dimension."""

    names: Mapping[int, str]
    quiet: Mapping[Literal["file", "network"], frozenset[int]]

    def name(self, opcode: int) -> str:
        """What the operation is called in the kernel, or its number."""
        return self.names.get(opcode, f"operation {opcode}")

    def hiding(self, dimension: Literal["file", "network"]) -> bytes:
        """Bitmap of the opcodes that hide something from ``dimension``; those without a row do."""
        bits = bytearray(b"\xff" * (_OPCODES // 8))
        for opcode in self.quiet[dimension]:
            bits[opcode >> 3] &= ~(1 << (opcode & 7))
        return bytes(bits)


@cache
def uring_ops() -> UringOps:
    """The table. Raises ValueError when it is malformed."""
    raw = tomllib.loads(resources.files("collector").joinpath("data/uring_ops.toml").read_text("utf-8"))
    return compile_ops(raw)


def compile_ops(raw: object) -> UringOps:
    """Raises ValueError for an opcode that has two names or cannot be."""
    table = msgspec.convert(raw, _Table)
    names: dict[int, str] = {}
    for rows in (table.nothing, table.file, table.network, table.both):
        for name, opcode in rows.items():
            if not 0 <= opcode < _OPCODES or opcode in names:
                raise ValueError(f"io_uring operation {name}: opcode {opcode} is taken or no opcode")
            names[opcode] = name
    nothing = table.nothing.values()
    return UringOps(
        names,
        {
            "file": frozenset((*nothing, *table.network.values())),
            "network": frozenset((*nothing, *table.file.values())),
        },
    )
