"""Where a Go program's crypto/tls reads, writes and returns: from the table that its runtime needs.

Every Go program carries, stripped or not, the names and places of its functions (pclntab: runtime/symtab.go,
debug/gosym/pclntab.go; cmd/link/internal/ld/pcln.go writes it). Versions 1.18 to 1.19 and from 1.20 on are read, whose
functions pass arguments in registers (bpf/tls_go.h); the code found must begin as functions of these versions do.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from collector.tls.elf import MAX_TABLE, Elf, ElfError, Section

READ, WRITE = "crypto/tls.(*Conn).Read", "crypto/tls.(*Conn).Write"
#: probed at their entries where they exist: after the one nothing more is said, before the other nothing was
ENDS = ("crypto/tls.(*Conn).Close", "crypto/tls.(*Conn).clientHandshake")

#: magic numbers of Go 1.18 and 1.20
_MAGIC = (0xFFFFFFF0, 0xFFFFFFF1)
#: magic, padding, smallest instruction, size of a pointer; functions, files, text (until 1.25), offsets of the names,
#: of three tables that are not needed, and of the functions
_HEADER = struct.Struct("<IHBB8Q")
_TABLES = (".gopclntab", ".data.rel.ro.gopclntab")
#: runtime.moduledata.text in section .go.module (from Go 1.26 on)
_MODULE_TEXT = 22 * 8
_MAX_FUNCTIONS = 1 << 20
#: bytes of the code of one function
_MAX_CODE = 64 << 10
#: how a function that may have to grow its stack begins: cmp 0x10(%r14), %rsp; with a large frame lea -N(%rsp), %r12
#: before and %r12 in its place (cmd/internal/obj/x86/obj6.go, stacksplit)
_STACK_CHECKS = (b"\x49\x3b\x66\x10", b"\x4d\x3b\x66\x10")
_LEA_R12 = (b"\x4c\x8d\x64\x24", b"\x4c\x8d\xa4\x24")
_RET = b"\xc3"


class GoError(ValueError):
    """A Go program whose functions cannot be placed with certainty, and why."""


class _Function(NamedTuple):
    start: int  # from the beginning of the text
    end: int


def is_go(elf: Elf) -> bool:
    """Whether a Go linker made it."""
    return ".go.buildinfo" in elf.sections or any(name in elf.sections for name in _TABLES)


def functions(elf: Elf) -> dict[str, tuple[int, ...]]:
    """File offsets, of returns under the name with ``RET`` behind it; empty where it has no crypto/tls.

    Raises GoError, and ElfError for a file that contradicts itself.
    """
    table = next((elf.sections[name] for name in _TABLES if name in elf.sections), None)
    if table is None:
        raise GoError("its table of functions has no section")
    if table.size > MAX_TABLE:
        raise GoError("its table of functions is too large")
    data = elf.read(table.offset, table.size)
    found = _named(data, (READ, WRITE, *ENDS))
    if READ not in found and WRITE not in found:
        return {}
    if READ not in found or WRITE not in found:
        raise GoError("it has only one of crypto/tls.(*Conn).Read and Write")
    text = _text_address(elf, data, found)
    placed: dict[str, tuple[int, ...]] = {}
    for name, place in found.items():
        size = place.end - place.start
        offset = elf.code_offset(text + place.start, size)
        placed[name] = (offset,)
        if name in (READ, WRITE):
            placed[f"{name} RET"] = tuple(offset + at for at in _returns(elf.read(offset, size), name))
    return placed


def _named(data: bytes, names: tuple[str, ...]) -> dict[str, _Function]:
    """Functions of these names. Raises GoError."""
    if len(data) < _HEADER.size:
        raise GoError("its table of functions is too short")
    magic, padding, quantum, pointer, count, _, _, names_at, _, _, _, functions_at = _HEADER.unpack_from(data)
    if magic not in _MAGIC or padding or quantum != 1 or pointer != 8:
        raise GoError("of a version of Go that is not known")
    rows = 2 * count + 1
    if count > _MAX_FUNCTIONS or names_at > len(data) or functions_at + 4 * rows > len(data):
        raise GoError("its table of functions ends too early")
    wanted: dict[int, str] = {}
    for name in names:
        at = data.find(b"\0" + name.encode() + b"\0", names_at)
        if at >= 0:
            wanted[at + 1 - names_at] = name
    index = memoryview(data)[functions_at : functions_at + 4 * rows].cast("I")
    found: dict[str, _Function] = {}
    for row in range(count if wanted else 0):
        at = functions_at + index[2 * row + 1] + 4
        name_at = data[at : at + 4]
        named = wanted.get(int.from_bytes(name_at, "little")) if len(name_at) == 4 else None
        if named is None:
            continue
        place = _Function(index[2 * row], index[2 * row + 2])
        if named in found or not 0 < place.end - place.start <= _MAX_CODE:
            raise GoError(f"{named} cannot be placed")
        found[named] = place
    return found


def _text_address(elf: Elf, data: bytes, found: dict[str, _Function]) -> int:
    """The address from which functions are counted: the one at which all of them begin as Go's do. Raises GoError."""
    candidates: list[int] = [_HEADER.unpack_from(data)[6]]
    module = elf.sections.get(".go.module")
    if module is not None and module.size >= _MODULE_TEXT + 8:
        candidates.append(int.from_bytes(elf.read(module.offset + _MODULE_TEXT, 8), "little"))
    text: Section | None = elf.sections.get(".text")
    if text is not None:
        candidates.append(text.address)
    for address in candidates:
        if address and all(_begins(elf, address + place.start) for place in found.values()):
            return address
    raise GoError("the code is not where its table of functions says")


def _begins(elf: Elf, address: int) -> bool:
    try:
        code = elf.read(elf.code_offset(address, 16), 16)
    except ElfError:
        return False
    if code.startswith(_LEA_R12):
        code = code[5 if code[2] == 0x64 else 8 :]
    return code.startswith(_STACK_CHECKS)


def _returns(code: bytes, name: str) -> list[int]:
    """Where the RET instructions of a function are. Raises GoError where it is not made of whole instructions."""
    # 4 MB and tens of milliseconds that only a program of Go should cost.
    from iced_x86 import Code, Decoder, FlowControl

    found: list[int] = []
    for instruction in Decoder(64, code):
        if instruction.code == Code.INVALID:
            raise GoError(f"{name} has an instruction that is none")
        if instruction.flow_control == FlowControl.RETURN:
            if code[instruction.ip : instruction.ip + instruction.len] != _RET:
                raise GoError(f"{name} returns in an unknown way")
            found.append(instruction.ip)
    if not found:
        raise GoError(f"{name} never returns")
    return found
