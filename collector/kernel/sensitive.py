"""data/sensitive_paths.toml in the form in which bpf/reads.h compares: struct pg_rule."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources
from typing import NamedTuple

import msgspec

from collector.kernel import wire

#: PG_RULE_NAME: bytes of a name that are compared; and of its end, after a leading ``*``
_HEAD = 32
_TAIL = 8


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One row: ``file`` is a file name, which may begin or end with ``*``; ``parent`` its directory's name."""

    name: str
    file: str
    parent: str = ""


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    rule: tuple[Rule, ...]


class Rules(NamedTuple):
    """What the kernel is given. ``names[i]`` is the name of ``rows[i]``; the sets are bitmaps of 256 bits."""

    names: tuple[str, ...]
    rows: tuple[bytes, ...]
    first: bytes
    last: bytes


@cache
def rules() -> Rules:
    """The table. Raises ValueError for a row that the kernel could not compare."""
    raw = tomllib.loads(resources.files("collector").joinpath("data/sensitive_paths.toml").read_text("utf-8"))
    return compile_rules(msgspec.convert(raw, _Table).rule)


def compile_rules(table: tuple[Rule, ...]) -> Rules:
    """Raises ValueError for a row that the kernel could not compare."""
    if len(table) > wire.RULES:
        raise ValueError(f"{len(table)} sensitive paths, of which the kernel compares {wire.RULES}")
    first, last = bytearray(32), bytearray(32)
    rows = []
    for rule in table:
        name = rule.file.encode()
        parent = rule.parent.encode()
        head, tail, length = name, b"", len(name)
        if name.startswith(b"*"):
            head, tail, length = b"", name[1:], 0
        elif name.endswith(b"*"):
            head, length = name[:-1], 0
        if b"*" in head + tail + parent or not head + tail or len(tail) > _TAIL:
            raise ValueError(f"sensitive path {rule.name}: {rule.file!r} cannot be compared in the kernel")
        if max(len(head), len(parent)) > _HEAD and not length:
            raise ValueError(f"sensitive path {rule.name}: {rule.file!r} is too long")
        if head:
            first[head[0] >> 3] |= 1 << (head[0] & 7)
        else:
            last[tail[-1] >> 3] |= 1 << (tail[-1] & 7)
        rows.append(
            wire.RULE.pack(
                *_words(head, _HEAD),
                *_words(b"\xff" * len(head), _HEAD),
                *_words(parent, _HEAD),
                *_words(b"\xff" * len(parent), _HEAD),
                int.from_bytes(tail.rjust(_TAIL, b"\0"), "little"),
                int.from_bytes((b"\xff" * len(tail)).rjust(_TAIL, b"\0"), "little"),
                length,
                len(parent),
            )
        )
    return Rules(tuple(rule.name for rule in table), tuple(rows), bytes(first), bytes(last))


def _words(text: bytes, size: int) -> tuple[int, ...]:
    padded = text[:size].ljust(size, b"\0")
    return tuple(int.from_bytes(padded[at : at + 8], "little") for at in range(0, size, 8))
