"""Symbols of a stripped file that lie in a file of their own, as distributions ship them.

It is found as debuggers find it: by the build-id below /usr/lib/debug/.build-id, or by the name and checksum that
section .gnu_debuglink gives (gdb manual, "Debugging Information in Separate Files"). Both are looked for where the
observed process would look, and on this host. It is taken only if it has the same build-id, or that checksum, and
functions begin where it says by the stripped file's own account (its table for unwinding); its addresses are those
of the stripped file, whose segments say where in the file they are.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import BinaryIO, NamedTuple

from collector.tls.elf import Elf, ElfError, Symbol
from collector.tls.opening import open_regular

#: bytes of a file whose checksum is taken
MAX_CHECKED = 256 << 20
_FOLDER = "/usr/lib/debug"
_LINK = ".gnu_debuglink"
_MAX_LINK = 4096
_PIECE = 1 << 20
#: paddings, and bytes that were never written: no function begins so
_NO_CODE = (b"\xcc" * 4, b"\x90" * 4, b"\0" * 4)


class Where(NamedTuple):
    """Where a file was met: its path as a process sees it whose root is ``root`` (empty: this host's)."""

    root: str = ""
    path: str = ""


def symbols(elf: Elf, where: Where, names: frozenset[str]) -> dict[str, tuple[Symbol, ...]]:
    """Functions of these ``names``, placed in ``elf``; empty where no file has them."""
    link = _debug_link(elf)
    for path, checksum in _candidates(elf, where, link):
        fd = open_regular(path)
        if fd is None:
            continue
        with os.fdopen(fd, "rb") as file:
            try:
                found = _read(elf, file, names, checksum)
            except ElfError:
                continue
        if found:
            return found
    return {}


def _candidates(elf: Elf, where: Where, link: tuple[str, int] | None) -> Iterator[tuple[str, int | None]]:
    """(path, checksum; None: the build-id must agree)."""
    roots = (where.root, "") if where.root else ("",)
    if len(elf.build_id) > 2:
        name = f"{_FOLDER}/.build-id/{elf.build_id[:2]}/{elf.build_id[2:]}.debug"
        for root in roots:
            yield root + name, None
    if link is not None and where.path.startswith("/"):
        folder = str(PurePosixPath(where.path).parent)
        for root in roots:
            for place in (folder, f"{folder}/.debug", _FOLDER + folder):
                yield f"{root}{place}/{link[0]}", link[1]


def _debug_link(elf: Elf) -> tuple[str, int] | None:
    """The name and CRC-32 of a file with its symbols."""
    section = elf.sections.get(_LINK)
    if section is None or not 8 < section.size <= _MAX_LINK:
        return None
    data = elf.read(section.offset, section.size)
    name = data[:-4].split(b"\0", 1)[0]
    if not name or b"/" in name or name in (b".", b".."):
        return None
    return os.fsdecode(name), int.from_bytes(data[-4:], "little")


def _read(
    elf: Elf, file: BinaryIO, names: frozenset[str], checksum: int | None
) -> dict[str, tuple[Symbol, ...]]:
    debug = Elf(file)
    if checksum is None:
        if debug.build_id != elf.build_id:
            return {}
    elif _checksum(file) != checksum:
        return {}
    found = elf.placed_by(debug, names)
    for rows in found.values():
        for symbol in rows:
            # Whoever the process is may have written it, and others may run the same program: a probe within an
            # instruction would end them.
            begins = elf.begins_function(symbol.file_offset)
            if not begins or elf.read(symbol.file_offset, 4, short=True) in _NO_CODE:
                raise ElfError("its symbols are of another file")
    return found


def _checksum(file: BinaryIO) -> int | None:
    value = read = 0
    file.seek(0)
    while piece := file.read(_PIECE):
        read += len(piece)
        if read > MAX_CHECKED:
            return None
        value = zlib.crc32(piece, value)
    return value
