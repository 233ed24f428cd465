"""Functions of an ELF file by name, as file offsets: what a uprobe needs. Bounded, for files of any size and kind.

Only x86-64 is read: the argument registers in bpf/tls.h are its own. Format: System V gABI, chapter 4 and 5.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from elftools.common.exceptions import ELFError
from elftools.construct.core import ConstructError
from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.hash import GNUHashTable
from elftools.elf.sections import NoteSection, SymbolTableSection

#: symbols of a table without a hash that are walked
MAX_SYMBOLS = 200_000
_MAX_HEADERS = 4096
_MACHINE = "EM_X86_64"
#: Elf64_Sym and its type of functions
_SYMBOL = struct.Struct("<IBBHQQ")
_STT_FUNC = 2


class ElfError(ValueError):
    """The file is no ELF file that can be read, and why."""


class Function(NamedTuple):
    """A function: its place in the file and which table named it."""

    offset: int
    table: str


class Elf:
    """A file, read on demand. Every method raises ElfError for a file that contradicts itself."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        file.seek(0)
        if file.read(4) != b"\x7fELF":
            raise ElfError("not an ELF file")
        file.seek(0)
        with _Checked():
            self._elf = ELFFile(file)
            if self._elf.get_machine_arch() != "x64" or self._elf.header["e_machine"] != _MACHINE:
                raise ElfError(f"of another machine ({self._elf.header['e_machine']})")
            if self._elf.num_sections() > _MAX_HEADERS or self._elf.num_segments() > _MAX_HEADERS:
                raise ElfError("too many headers")

    def sections(self) -> frozenset[str]:
        """Names of its sections."""
        with _Checked():
            return frozenset(section.name for section in self._elf.iter_sections())

    def soname(self) -> str:
        """The name it gives itself as a shared library, or ``""``."""
        with _Checked():
            dynamic = self._elf.get_section_by_name(".dynamic")
            if isinstance(dynamic, DynamicSection):
                for tag in dynamic.iter_tags("DT_SONAME"):
                    return str(tag.soname)  # type: ignore[attr-defined]  # set by the kind of tag
            return ""

    def build_id(self) -> str:
        """GNU build id in hex, or ``""``."""
        with _Checked():
            section = self._elf.get_section_by_name(".note.gnu.build-id")
            if isinstance(section, NoteSection):
                for note in section.iter_notes():
                    if note["n_type"] == "NT_GNU_BUILD_ID":
                        return str(note["n_desc"])
            return ""

    def functions(self, names: frozenset[str], needed: frozenset[str]) -> dict[str, Function]:
        """Those of ``names`` that it exports; with its own symbol table's, if ``needed`` are not exported."""
        found: dict[str, Function] = {}
        with _Checked():
            for name, address in self._exported(names):
                self._keep(found, name, address, "dynsym")
            missing = names - found.keys()
            if not needed <= found.keys():
                table = self._elf.get_section_by_name(".symtab")
                if isinstance(table, SymbolTableSection):
                    for name, address in self._walk(table, missing):
                        self._keep(found, name, address, "symtab")
        return found

    def _exported(self, names: frozenset[str]) -> Iterator[tuple[str, int]]:
        table = self._elf.get_section_by_name(".dynsym")
        if not isinstance(table, SymbolTableSection):
            return
        hashes = self._elf.get_section_by_name(".gnu.hash")
        if hashes is None:
            yield from self._walk(table, names)
            return
        lookup = GNUHashTable(self._elf, hashes["sh_offset"], table)
        for name in names:
            symbol = lookup.get_symbol(name)
            if symbol is not None and symbol["st_shndx"] != "SHN_UNDEF" and symbol["st_value"]:
                yield name, symbol["st_value"]

    @staticmethod
    def _walk(table: SymbolTableSection, names: frozenset[str]) -> Iterator[tuple[str, int]]:
        """By hand: a program like node has 100,000 symbols, and an object for each would take seconds."""
        if table.num_symbols() > MAX_SYMBOLS or table["sh_entsize"] != _SYMBOL.size:
            return
        strings: bytes = table.stringtable.data()
        at = {}
        for name in names:
            # A name may be the end of a longer one: linkers merge such strings.
            encoded = name.encode() + b"\0"
            found = strings.find(encoded)
            while found >= 0:
                at[found] = name
                found = strings.find(encoded, found + 1)
        symbols: bytes = table.data()
        for st_name, info, _other, shndx, value, _size in _SYMBOL.iter_unpack(
            symbols[: len(symbols) // _SYMBOL.size * _SYMBOL.size]
        ):
            if st_name in at and info & 0xF == _STT_FUNC and shndx and value:
                yield at[st_name], value

    def _keep(self, found: dict[str, Function], name: str, address: int, table: str) -> None:
        for segment in self._elf.iter_segments("PT_LOAD"):
            start = segment["p_vaddr"]
            if segment["p_flags"] & 1 and start <= address < start + segment["p_filesz"]:
                found.setdefault(name, Function(address - start + segment["p_offset"], table))


class _Checked:
    """Turns what a contradictory file does to the parser into ElfError."""

    _ERRORS = (ELFError, ConstructError, ValueError, KeyError, IndexError, TypeError, AttributeError, OSError,
               OverflowError, MemoryError, struct.error, AssertionError, UnicodeError, ZeroDivisionError)  # fmt: skip

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, self._ERRORS) and not isinstance(error, ElfError):
            raise ElfError(f"contradicts itself: {error}") from error
