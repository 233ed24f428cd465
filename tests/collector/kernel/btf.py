"""Structs and enums out of the BTF of an ELF object or of a kernel (Documentation/bpf/btf.rst of Linux)."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from elftools.elf.elffile import ELFFile

_HEADER = struct.Struct("=HBBIIIII")
_TYPE = struct.Struct("=III")

_INT, _PTR, _ARRAY, _STRUCT, _UNION, _ENUM = 1, 2, 3, 4, 5, 6
_FWD, _TYPEDEF, _VOLATILE, _CONST, _RESTRICT, _FUNC, _FUNC_PROTO, _VAR, _DATASEC = (
    7,
    8,
    9,
    10,
    11,
    12,
    13,
    14,
    15,
)
_FLOAT, _DECL_TAG, _TYPE_TAG, _ENUM64 = 16, 17, 18, 19
#: bytes behind a type, for each of its members and once
_EACH = {_STRUCT: 12, _UNION: 12, _ENUM: 8, _FUNC_PROTO: 8, _DATASEC: 12, _ENUM64: 12}
_ONCE = {_INT: 4, _ARRAY: 12, _VAR: 4, _DECL_TAG: 4}


class Field(NamedTuple):
    """A field of plain type; of a nested struct each one, as ``outer.inner``. In bytes."""

    name: str
    offset: int
    size: int
    signed: bool


class Struct(NamedTuple):
    """A struct's size in bytes and its fields."""

    size: int
    fields: tuple[Field, ...]


class _Type(NamedTuple):
    name: str
    kind: int
    word: int
    behind: bytes


class Btf:
    """The types of one object, or of the running kernel (/sys/kernel/btf/vmlinux, which is nothing but BTF)."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            if file.read(4) == b"\x7fELF":
                section = ELFFile(file).get_section_by_name(".BTF")
                assert section is not None, f"{path} has no BTF"
                raw = section.data()
            else:
                raw = path.read_bytes()
        magic, _version, _flags, head, type_at, type_len, text_at, text_len = _HEADER.unpack_from(raw)
        assert magic == 0xEB9F
        self._text = raw[head + text_at : head + text_at + text_len]
        self._types = [_Type("void", 0, 0, b"")]
        at, end = head + type_at, head + type_at + type_len
        while at < end:
            name, info, word = _TYPE.unpack_from(raw, at)
            kind, members = info >> 24 & 0x1F, info & 0xFFFF
            assert kind <= _ENUM64, f"BTF kind {kind}"
            length = _EACH.get(kind, 0) * members + _ONCE.get(kind, 0)
            at += _TYPE.size
            self._types.append(_Type(self._name(name), kind, word, raw[at : at + length]))
            at += length

    def _name(self, at: int) -> str:
        return self._text[at : self._text.index(b"\0", at)].decode()

    def structs(self, names: Iterable[str]) -> dict[str, Struct]:
        """Those of the named structs that are there."""
        wanted = set(names)
        return {
            one.name: Struct(one.word, tuple(self._flat(one, "", 0)))
            for one in self._types
            if one.kind == _STRUCT and one.name in wanted
        }

    def enums(self) -> dict[str, dict[str, int]]:
        """Named enums: enumerator -> value."""
        return {
            one.name: {self._name(name): value for name, value in struct.iter_unpack("=Ii", one.behind)}
            for one in self._types
            if one.kind == _ENUM and one.name
        }

    def _flat(self, outer: _Type, prefix: str, base: int) -> list[Field]:
        fields = []
        for name_at, type_id, bits in struct.iter_unpack("=III", outer.behind):
            name, inner = prefix + self._name(name_at), self._plain(type_id)
            offset = base + (bits & 0xFFFFFF) // 8
            if inner.kind == _STRUCT:
                fields += self._flat(inner, name + ".", offset)
            else:
                fields.append(Field(name, offset, self._size(inner), self._signed(inner)))
        return fields

    def _plain(self, type_id: int) -> _Type:
        """The type without its qualifiers and other names."""
        one = self._types[type_id]
        while one.kind in (_TYPEDEF, _VOLATILE, _CONST, _RESTRICT, _TYPE_TAG):
            one = self._types[one.word]
        return one

    def _element(self, array: _Type) -> tuple[_Type, int]:
        element, _index, count = struct.unpack("=III", array.behind)
        return self._plain(element), count

    def _size(self, one: _Type) -> int:
        if one.kind == _ARRAY:
            element, count = self._element(one)
            return self._size(element) * count
        assert one.kind in (_INT, _ENUM, _STRUCT), f"{one.name} has BTF kind {one.kind}: no plain type"
        return one.word

    def _signed(self, one: _Type) -> bool:
        while one.kind == _ARRAY:
            one = self._element(one)[0]
        return one.kind == _INT and bool(struct.unpack("=I", one.behind)[0] >> 24 & 1)
