"""Functions of an ELF file by name, as file offsets: what a uprobe needs. Bounded, for files of any size and kind.

Any process may map a file that it made for us, so everything is read here by hand, in pieces of limited size: a
general reader follows counts and unterminated names to the end of a file of gigabytes. The file is read, never
mapped: one that is cut short meanwhile would end us with SIGBUS.

The exported functions are found as the dynamic linker finds them, through PT_DYNAMIC and its hash table; section
headers are only asked for what is nowhere else (.symtab, names of sections). Only x86-64 is read: the argument
registers in bpf/tls.h are its own. Formats: System V gABI, chapters 4 and 5; psABI x86-64; DT_GNU_HASH as in
glibc, elf/dl-lookup.c.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator
from functools import cached_property
from typing import BinaryIO, Literal, NamedTuple

#: bytes of one symbol table or one table of names that are read at most
MAX_TABLE = 96 << 20
#: bytes of a file
MAX_SIZE = 1 << 30
#: symbols of one name, and links of one chain of a hash table, that are followed
MAX_SAME = 4096
#: bytes that are searched for constants
MAX_SEARCH = 256 << 20
_WINDOW = 1 << 20
_MAX_SEGMENTS = 256
_MAX_SECTIONS = 4096
_MAX_NOTES = 64 << 10
_MAX_DYNAMIC = 64 << 10
_MAX_NAME = 4096

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SEGMENT = struct.Struct("<IIQQQQQQ")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_DYNAMIC = struct.Struct("<QQ")
_NOTE = struct.Struct("<III")
_GNU_HASH = struct.Struct("<IIII")
_PAIR = struct.Struct("<II")
_WORD = struct.Struct("<I")
#: version, three encodings (DW_EH_PE_*), address of .eh_frame, rows; a row: function, its description
_FRAME_INDEX = struct.Struct("<BBBBiI")
_FRAME_ROW = struct.Struct("<ii")

_ET_EXEC, _ET_DYN, _EM_386, _EM_X86_64 = 2, 3, 3, 62
_PT_LOAD, _PT_DYNAMIC, _PT_INTERP, _PT_NOTE = 1, 2, 3, 4
_PT_GNU_EH_FRAME = 0x6474E550
_PF_X, _PF_W = 1, 2
_SHT_SYMTAB, _SHF_COMPRESSED = 2, 0x800
_STT_FUNC = 2
_DT_HASH, _DT_STRTAB, _DT_SYMTAB, _DT_STRSZ, _DT_SYMENT, _DT_SONAME = 4, 5, 6, 10, 11, 14
_DT_GNU_HASH, _DT_FLAGS_1 = 0x6FFFFEF5, 0x6FFFFFFB
_DF_1_PIE = 0x08000000
_NT_GNU_BUILD_ID = 3

Table = Literal["dynsym", "symtab", "debug"]


class ElfError(ValueError):
    """The file is none that can be read, and why."""


class OtherMachineError(ElfError):
    """An ELF file, of another machine than x86-64 with 64 bit."""


class Symbol(NamedTuple):
    """A function: its virtual address, size and place in the file, and which table named it."""

    address: int
    size: int
    file_offset: int
    table: Table


class Section(NamedTuple):
    """What of a section header is needed."""

    name: int
    kind: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    entry_size: int


class _Segment(NamedTuple):
    kind: int
    flags: int
    offset: int
    address: int
    size: int


class Span(NamedTuple):
    """A part of the file that is loaded: where it lies in the file, and at which address of the image."""

    offset: int
    address: int
    size: int


class Elf:
    """A file, read on demand. Every method raises ElfError for a file that contradicts itself."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        size = file.seek(0, 2)
        if size > MAX_SIZE:
            raise ElfError("larger than 1 GiB")
        self._size = size
        head = self.read(0, _HEADER.size, short=True)
        if head[:4] != b"\x7fELF":
            raise ElfError("not an ELF file")
        if (
            len(head) < 20
            or head[4] != 2
            or head[5] != 1
            or int.from_bytes(head[18:20], "little") != _EM_X86_64
        ):
            raise OtherMachineError(_machine(head))
        if len(head) < _HEADER.size:
            raise ElfError("ends within its header")
        (_, self._type, _, version, _, self._phoff, self._shoff, _, _, phentsize, self._phnum, shentsize,
         self._shnum, self._shstrndx) = _HEADER.unpack(head)  # fmt: skip
        if version != 1 or self._type not in (_ET_EXEC, _ET_DYN):
            raise ElfError("neither a program nor a shared library")
        if phentsize != _SEGMENT.size or (self._shnum and shentsize != _SECTION.size):
            raise ElfError("headers of another size")
        if self._phnum > _MAX_SEGMENTS or self._shnum > _MAX_SECTIONS:
            raise ElfError("too many headers")

    def read(self, offset: int, size: int, *, short: bool = False) -> bytes:
        """``size`` bytes at ``offset``; fewer only if ``short``."""
        if offset < 0 or size < 0 or size > MAX_TABLE or (not short and offset + size > self._size):
            raise ElfError("points outside of itself")
        try:
            self._file.seek(offset)
            data = self._file.read(size)
        except (OSError, ValueError, OverflowError) as error:
            raise ElfError(f"cannot be read: {error}") from error
        if len(data) < size and not short:
            raise ElfError("ends too early")
        return data

    @cached_property
    def soname(self) -> str:
        """The name it gives itself as a shared library, or ``""``."""
        name, strings = self._dynamic.get(_DT_SONAME), self._dynamic.get(_DT_STRTAB)
        if name is None or strings is None:
            return ""
        return _text(self.read(self._mapped(strings + name), _MAX_NAME, short=True))

    @cached_property
    def build_id(self) -> str:
        """GNU build id in hex, or ``""``."""
        for segment in self._segments:
            if segment.kind != _PT_NOTE or segment.size > _MAX_NOTES:
                continue
            notes = self.read(segment.offset, segment.size)
            at = 0
            while at + _NOTE.size <= len(notes):
                name_size, size, kind = _NOTE.unpack_from(notes, at)
                name_at = at + _NOTE.size
                at = name_at + (name_size + 3 & ~3)
                if kind == _NT_GNU_BUILD_ID and notes[name_at : name_at + name_size] == b"GNU\0":
                    return notes[at : at + size].hex()
                at += size + 3 & ~3
        return ""

    @cached_property
    def is_program(self) -> bool:
        """Something that is executed, not a library; a library that can also be executed is a library."""
        if self._type == _ET_EXEC:
            return True
        if self._dynamic.get(_DT_FLAGS_1, 0) & _DF_1_PIE:
            return True
        return not self.soname and any(segment.kind == _PT_INTERP for segment in self._segments)

    @cached_property
    def sections(self) -> dict[str, Section]:
        """Sections by name; of several of one name the first."""
        headers = self._section_headers
        if not self._shstrndx < len(headers):
            return {}
        names = headers[self._shstrndx]
        if names.size > _MAX_SECTIONS * 256:
            raise ElfError("names of sections too long")
        text = self.read(names.offset, names.size)
        found: dict[str, Section] = {}
        for section in headers[1:]:
            found.setdefault(_text(text[section.name : section.name + 256]), section)
        return found

    def symbols(
        self, names: frozenset[str], needed: frozenset[str] = frozenset()
    ) -> dict[str, tuple[Symbol, ...]]:
        """Functions of these ``names`` that it exports; of its own symbol table, if ``needed`` are not exported.

        Several for a name that stands for several places. A name whose place is no code of the file has none.
        """
        found = {name: self._placed(name, self._exported(name), "dynsym") for name in names}
        if not needed <= {name for name in names if found[name]}:
            local = self._local(frozenset(name for name in names if not found[name]))
            for name, rows in local.items():
                found[name] = self._placed(name, rows, "symtab")
        return {name: rows for name, rows in found.items() if rows}

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self._size

    def begins_function(self, offset: int) -> bool:
        """Whether its own table for unwinding says that a function begins at a file offset of its code.

        .eh_frame_hdr: a sorted table (Linux Standard Base 5.0, Core, section 10.6.2), as all linkers write it.
        """
        index = next((segment for segment in self._segments if segment.kind == _PT_GNU_EH_FRAME), None)
        code = self._code_address(offset)
        if index is None or code is None:
            return False
        version, frames, counted, form, _, count = _FRAME_INDEX.unpack(
            self.read(index.offset, _FRAME_INDEX.size)
        )
        if (version, counted, form) != (1, 0x03, 0x3B) or frames & 0x0F not in (0x0B, 0x03):
            return False
        low, high = 0, count
        while low < high:
            middle = (low + high) // 2
            at = index.offset + _FRAME_INDEX.size + middle * _FRAME_ROW.size
            (start, _) = _FRAME_ROW.unpack(self.read(at, _FRAME_ROW.size))
            start += index.address
            if start == code:
                return True
            low, high = (middle + 1, high) if start < code else (low, middle)
        return False

    def placed_by(self, debug: Elf, names: frozenset[str]) -> dict[str, tuple[Symbol, ...]]:
        """Functions that the symbol table of another file names, ``debug``, which was split off from this one."""
        found = {name: self._placed(name, rows, "debug") for name, rows in debug._local(names).items()}
        return {name: rows for name, rows in found.items() if rows}

    def holds(self, constants: Collection[bytes]) -> bool:
        """Whether all ``constants`` stand in what it loads and does not write: read-only data first, then code."""
        unwritten = self._spans(_PF_W | _PF_X, 0) + self._spans(_PF_W | _PF_X, _PF_X)
        return self._standing(constants, unwritten) == set(constants)

    def naming(self, texts: Collection[bytes]) -> set[bytes]:
        """Those of ``texts`` that stand in its constants."""
        return self._standing(texts, self.constants)

    def _standing(self, texts: Collection[bytes], spans: Collection[Span]) -> set[bytes]:
        missing, overlap = set(texts), max(map(len, texts), default=1) - 1
        for _, _, data in self.windows(spans, overlap):
            missing -= {text for text in missing if text in data}
            if not missing:
                break
        return set(texts) - missing

    @property
    def moves(self) -> bool:
        """It is loaded at any address, so its code cannot name one by its value."""
        return bool(self._type != _ET_EXEC)

    @cached_property
    def code(self) -> tuple[Span, ...]:
        """What it executes."""
        return self._spans(_PF_X, _PF_X)

    @cached_property
    def constants(self) -> tuple[Span, ...]:
        """What it neither writes nor executes; of a file that has no such part (old linkers), its code."""
        return self._spans(_PF_W | _PF_X, 0) or self.code

    def _spans(self, mask: int, flags: int) -> tuple[Span, ...]:
        return tuple(
            Span(segment.offset, segment.address, min(segment.size, self._size - segment.offset))
            for segment in self._segments
            if segment.kind == _PT_LOAD
            and segment.flags & mask == flags
            and segment.offset < self._size
            and segment.address + segment.size < 1 << 64
        )

    def windows(self, spans: Collection[Span], overlap: int) -> Iterator[tuple[int, int, bytes]]:
        """(offset in the file, address, bytes) of ``spans`` in pieces, each with ``overlap`` bytes of the next.

        Ends after :data:`MAX_SEARCH` bytes.
        """
        left = MAX_SEARCH
        for span in spans:
            size = min(span.size, left)
            left -= size
            for at in range(0, size, _WINDOW):
                data = self.read(span.offset + at, min(_WINDOW + overlap, span.size - at))
                yield span.offset + at, span.address + at, data

    def code_offset(self, address: int, size: int = 1) -> int:
        """Where ``size`` bytes of code at an address of the image are in the file."""
        for span in self.code:
            if span.address <= address and address + size <= span.address + span.size:
                return address - span.address + span.offset
        raise ElfError("points outside of its code")

    def executes(self, offset: int, size: int) -> bool:
        """Whether ``size`` bytes at a file offset are code."""
        return self._code_address(offset, size) is not None

    def _code_address(self, offset: int, size: int = 1) -> int | None:
        """At which address of the image ``size`` bytes of code at a file offset are."""
        for span in self.code:
            if span.offset <= offset and offset + size <= span.offset + span.size:
                return offset - span.offset + span.address
        return None

    @cached_property
    def _segments(self) -> tuple[_Segment, ...]:
        raw = self.read(self._phoff, self._phnum * _SEGMENT.size)
        return tuple(
            _Segment(kind, flags, offset, address, size)
            for kind, flags, offset, address, _, size, _, _ in _SEGMENT.iter_unpack(raw)
        )

    @cached_property
    def _section_headers(self) -> tuple[Section, ...]:
        if not self._shoff or not self._shnum:
            return ()
        raw = self.read(self._shoff, self._shnum * _SECTION.size)
        return tuple(
            Section(name, kind, flags, address, offset, size, link, entry_size)
            for name, kind, flags, address, offset, size, link, _, _, entry_size in _SECTION.iter_unpack(raw)
        )

    @cached_property
    def _dynamic(self) -> dict[int, int]:
        for segment in self._segments:
            if segment.kind == _PT_DYNAMIC:
                raw = self.read(
                    segment.offset, min(segment.size, _MAX_DYNAMIC) // _DYNAMIC.size * _DYNAMIC.size
                )
                found: dict[int, int] = {}
                for tag, value in _DYNAMIC.iter_unpack(raw):
                    if tag == 0:
                        break
                    found.setdefault(tag, value)
                return found
        return {}

    def _mapped(self, address: int) -> int:
        """Where in the file the bytes of an address of the image are."""
        for segment in self._segments:
            if segment.kind == _PT_LOAD and segment.address <= address < segment.address + segment.size:
                return address - segment.address + segment.offset
        raise ElfError("points outside of what is loaded")

    def _exported(self, name: str) -> list[tuple[int, int]]:
        """(address, size) of the functions that the dynamic linker would find."""
        tags = self._dynamic
        if _DT_SYMTAB not in tags or _DT_STRTAB not in tags:
            return []
        if tags.get(_DT_SYMENT, _SYMBOL.size) != _SYMBOL.size:
            raise ElfError("symbols of another size")
        table, strings = self._mapped(tags[_DT_SYMTAB]), self._mapped(tags[_DT_STRTAB])
        limit = tags.get(_DT_STRSZ, 0)
        wanted = name.encode() + b"\0"
        found: list[tuple[int, int]] = []
        for index in self._candidates(wanted[:-1]):
            st_name, info, _, shndx, value, size = _SYMBOL.unpack(
                self.read(table + index * _SYMBOL.size, _SYMBOL.size)
            )
            if (
                st_name + len(wanted) <= limit
                and _is_function(info, shndx, value)
                and self.read(strings + st_name, len(wanted)) == wanted
            ):
                found.append((value, size))
        return found

    def _candidates(self, name: bytes) -> Iterator[int]:
        """Indexes of symbols that may have this name: those with its hash, or in its bucket."""
        if _DT_GNU_HASH in self._dynamic:
            at = self._mapped(self._dynamic[_DT_GNU_HASH])
            buckets, first, bloom, _ = _GNU_HASH.unpack(self.read(at, _GNU_HASH.size))
            if not buckets:
                return
            value = _gnu_hash(name)
            at += _GNU_HASH.size + bloom * 8
            index = self._word(at + value % buckets * 4)
            chain = at + buckets * 4
            for _ in range(MAX_SAME):
                if index < first:  # an empty bucket is 0
                    return
                link = self._word(chain + (index - first) * 4)
                if link | 1 == value | 1:
                    yield index
                if link & 1:
                    return
                index += 1
            raise ElfError("a chain of its hash table is too long")
        if _DT_HASH in self._dynamic:
            at = self._mapped(self._dynamic[_DT_HASH])
            buckets, _ = _PAIR.unpack(self.read(at, _PAIR.size))
            if not buckets:
                return
            index = self._word(at + _PAIR.size + _sysv_hash(name) % buckets * 4)
            for _ in range(MAX_SAME):
                if not index:
                    return
                yield index
                index = self._word(at + _PAIR.size + (buckets + index) * 4)
            raise ElfError("a chain of its hash table is too long")

    def _word(self, offset: int) -> int:
        return int(_WORD.unpack(self.read(offset, _WORD.size))[0])

    def _local(self, names: frozenset[str]) -> dict[str, list[tuple[int, int]]]:
        """(address, size) of functions in .symtab.

        Only their names are looked at one by one: a large program has 100,000 symbols and more.
        """
        headers = self._section_headers
        table = next((section for section in headers if section.kind == _SHT_SYMTAB), None)
        if table is None or not table.link < len(headers):
            return {}
        strings = headers[table.link]
        if (table.flags | strings.flags) & _SHF_COMPRESSED or table.entry_size != _SYMBOL.size:
            raise ElfError("a symbol table that cannot be read")
        text = self.read(strings.offset, strings.size)
        symbols = self.read(table.offset, table.size // _SYMBOL.size * _SYMBOL.size)
        named = {place: name for name in names for place in _places(text, name.encode() + b"\0")}
        found: dict[str, list[tuple[int, int]]] = {}
        for count, index in enumerate(_having(symbols, named.keys())):
            if count == MAX_SAME:
                raise ElfError("a name too often")
            st_name, info, _, shndx, value, size = _SYMBOL.unpack_from(symbols, index * _SYMBOL.size)
            if _is_function(info, shndx, value):
                found.setdefault(named[st_name], []).append((value, size))
        return found

    def _placed(self, name: str, rows: list[tuple[int, int]], table: Table) -> tuple[Symbol, ...]:
        found: dict[int, Symbol] = {}
        for address, size in rows:
            offsets = {
                address - segment.address + segment.offset
                for segment in self._segments
                if segment.kind == _PT_LOAD
                and segment.flags & _PF_X
                and segment.address <= address < segment.address + segment.size
            }
            if len(offsets) > 1:
                raise ElfError(f"{name} lies in two segments")
            for offset in offsets:
                if offset < self._size:
                    found.setdefault(offset, Symbol(address, size, offset, table))
        return tuple(found.values())


def _machine(head: bytes) -> str:
    if len(head) < 20 or head[4] not in (1, 2) or head[5] not in (1, 2):
        return "of no machine that is known"
    number = int.from_bytes(head[18:20], "little" if head[5] == 1 else "big")
    bits = 32 if head[4] == 1 else 64
    name = {_EM_386: "i386", 40: "arm", 183: "aarch64", _EM_X86_64: "x86-64"}.get(number, f"number {number}")
    return f"of another machine ({name}, {bits} bit)"


def _is_function(info: int, shndx: int, value: int) -> bool:
    """Defined in a section (below SHN_LORESERVE), and a function: no indirect one, whose address is a resolver's."""
    return info & 0xF == _STT_FUNC and 0 < shndx < 0xFF00 and value > 0


def occurrences(data: bytes, wanted: bytes) -> Iterator[int]:
    """Where ``wanted`` stands in ``data``, in order, overlapping ones as well."""
    at = data.find(wanted)
    while at >= 0:
        yield at
        at = data.find(wanted, at + 1)


def _places(text: bytes, wanted: bytes) -> Iterator[int]:
    """Where ``wanted`` stands: a name may also be the end of a longer one, linkers merge such strings."""
    for count, at in enumerate(occurrences(text, wanted)):
        yield at
        if count == MAX_SAME:
            raise ElfError("a name too often")


def _having(symbols: bytes, st_names: Collection[int]) -> Iterator[int]:
    """Indexes of the symbols whose name begins at one of these places."""
    column = memoryview(symbols).cast("I")[:: _SYMBOL.size // _WORD.size]
    return (index for index, st_name in enumerate(column) if st_name in st_names)


def _text(raw: bytes) -> str:
    return raw.split(b"\0", 1)[0].decode("utf-8", "replace")


def _gnu_hash(name: bytes) -> int:
    value = 5381
    for byte in name:
        value = (value * 33 + byte) & 0xFFFFFFFF
    return value


def _sysv_hash(name: bytes) -> int:
    value = 0
    for byte in name:
        value = (value << 4) + byte
        value = (value ^ (value & 0xF0000000) >> 24) & 0x0FFFFFFF
    return value
