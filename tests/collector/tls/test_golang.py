"""collector/tls/golang.py: the places that the Go toolchain itself names, in programs that have no names for it."""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.tls import golang
from collector.tls.elf import Elf, ElfError
from collector.tls.golang import ENDS, READ, WRITE, GoError, functions
from tests.live.go import Go

STRIPPED = "-ldflags=-s -w"


@pytest.fixture(scope="module")
def go(tmp_path_factory: pytest.TempPathFactory) -> Go:
    return Go(tmp_path_factory.mktemp("go"))


def found_in(path: Path) -> dict[str, tuple[int, ...]]:
    with path.open("rb") as file:
        return functions(Elf(file))


@pytest.mark.parametrize("flags", [(), ("-buildmode=pie",)])
def test_the_places_are_those_of_the_symbol_table_and_of_the_disassembler(
    go: Go, flags: tuple[str, ...]
) -> None:
    program = go.build(*flags)
    found = found_in(program)
    assert found.keys() == {READ, WRITE, f"{READ} RET", f"{WRITE} RET", *ENDS}
    table = dict(
        re.findall(r"^ *([0-9a-f]+) T (crypto/tls.*)$", go.run("tool", "nm", str(program)), re.MULTILINE)
    )
    addresses = {name: int(address, 16) for address, name in table.items()}
    with program.open("rb") as file:
        text = Elf(file).sections[".text"]
    moved = text.address - text.offset
    for name in (READ, WRITE, *ENDS):
        assert found[name] == (addresses[name] - moved,)
    for name in (READ, WRITE):
        listing = go.run("tool", "objdump", "-s", f"^{re.escape(name)}$", str(program))
        returns = re.findall(r"\t0x([0-9a-f]+)\t\tc3\t+RET", listing)
        assert returns and found[f"{name} RET"] == tuple(int(one, 16) - moved for one in returns)


def test_without_symbols_it_is_the_same_code(go: Go) -> None:
    """Only data lies elsewhere: the functions are the same bytes in the same order."""
    whole, stripped = go.build(), go.build(STRIPPED)
    first, second = found_in(whole), found_in(stripped)
    assert first == second
    assert b"\0.symtab\0" in whole.read_bytes() and b"\0.symtab\0" not in stripped.read_bytes()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda data: b"\xfb" + data[1:], "version of Go"),
        (lambda data: data[:40], "too short"),
        (lambda data: data[:8] + struct.pack("<Q", 1 << 40) + data[16:], "ends too early"),
        (
            lambda data: data.replace(b"\0crypto/tls.(*Conn).Read\0", b"\0crypto/tls.(*Conn).Reed\0"),
            "only one",
        ),
    ],
)
def test_a_table_that_is_another_is_refused(go: Go, change: Callable[[bytes], bytes], why: str) -> None:
    with go.build(STRIPPED).open("rb") as file:
        elf = Elf(file)
        table = elf.sections[".gopclntab"]
        data = change(elf.read(table.offset, table.size))
        with pytest.raises(GoError, match=why):
            functions(cast(Elf, Changed(elf, table.offset, data)))


def test_code_that_begins_otherwise_is_refused(go: Go) -> None:
    with go.build(STRIPPED).open("rb") as file:
        elf = Elf(file)
        place = functions(elf)[READ][0]
        with pytest.raises(GoError, match="not where its table"):
            functions(cast(Elf, Changed(elf, place, b"\x90" * 16)))


def test_a_program_without_tls_has_nothing(go: Go) -> None:
    with go.build(STRIPPED).open("rb") as file:
        elf = Elf(file)
        table = elf.sections[".gopclntab"]
        data = elf.read(table.offset, table.size).replace(b"crypto/tls.(*Conn)", b"crypto/tlx.(*Conn)")
        assert functions(cast(Elf, Changed(elf, table.offset, data))) == {}


class Changed:
    """A file with other bytes at one place. What is cut off reads short."""

    def __init__(self, elf: Elf, at: int, data: bytes) -> None:
        self._elf, self._at, self._data = elf, at, data
        self.sections = {
            name: section._replace(size=len(data))
            if section.offset == at and name == ".gopclntab"
            else section
            for name, section in elf.sections.items()
        }

    def read(self, offset: int, size: int) -> bytes:
        raw = bytearray(self._elf.read(offset, size))
        begin, end = max(offset, self._at), min(offset + size, self._at + len(self._data))
        if begin < end:
            raw[begin - offset : end - offset] = self._data[begin - self._at : end - self._at]
        return bytes(raw)

    def code_offset(self, address: int, size: int = 1) -> int:
        return self._elf.code_offset(address, size)


@given(st.binary(max_size=400))
def test_whatever_stands_in_the_table_nothing_else_is_raised(data: bytes) -> None:
    head = golang._HEADER.pack(0xFFFFFFF1, 0, 1, 8, 3, 0, 0, 72, 0, 0, 0, 100)
    for table in (data, head + data, head + b"\0crypto/tls.(*Conn).Read\0" + data):
        try:
            found = golang._named(table, (READ, WRITE))
        except GoError:
            continue
        assert found.keys() <= {READ, WRITE}


@given(st.binary(min_size=1, max_size=200))
def test_whatever_the_code_is_returns_are_whole_instructions(code: bytes) -> None:
    try:
        found = golang._returns(code, "f")
    except GoError:
        return
    assert found and all(code[place] == 0xC3 for place in found)


def test_a_file_of_another_kind_is_none() -> None:
    with pytest.raises(ElfError):
        Elf(io.BytesIO(b"\x7fELF"))
