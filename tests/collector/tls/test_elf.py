"""collector/tls/elf.py: the same functions that others find, and nothing but ElfError out of any bytes."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from hypothesis import given
from hypothesis import strategies as st

from collector.tls import elf as elf_module
from collector.tls.discover import PROBED
from collector.tls.elf import MAX_SAME, MAX_SIZE, MAX_TABLE, Elf, ElfError, OtherMachineError, Symbol
from tests.collector.tls.elfs import LIBRARY, build, functions, installed, library, reference, strip

NEEDED = frozenset({"SSL_read", "SSL_write"})


def symbols(
    path: Path, names: frozenset[str] = PROBED, needed: frozenset[str] = NEEDED
) -> dict[str, tuple[Symbol, ...]]:
    with path.open("rb") as file:
        return Elf(file).symbols(names, needed)


def addresses(found: dict[str, tuple[Symbol, ...]]) -> dict[str, set[int]]:
    return {name: {symbol.address for symbol in rows} for name, rows in found.items()}


# --- the same as others ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["libssl", "libcrypto", "_ssl", "cygrpc"])
def test_every_exported_function_of_a_real_library_is_found_where_pyelftools_finds_it(name: str) -> None:
    path = installed()[name]
    exported = functions(path, ".dynsym")
    assert exported
    found = symbols(path, frozenset(exported), frozenset())
    assert addresses(found) == exported
    assert {symbol.table for rows in found.values() for symbol in rows} == {"dynsym"}


@pytest.mark.parametrize("name", ["node", "libssl", "libcrypto", "cygrpc", "libc"])
def test_the_functions_to_probe_are_those_that_pyelftools_finds(name: str) -> None:
    path = installed()[name]
    names = PROBED | {"malloc", "SSL_new", "EVP_EncryptInit", "no_such_function"}
    assert addresses(symbols(path, names, frozenset())) == reference(path, names)


def test_where_a_function_is_in_the_file_is_where_its_code_is(tmp_path: Path) -> None:
    path = library(tmp_path / "library.so")
    with path.open("rb") as file:
        text = ELFFile(file).get_section_by_name(".text")
        code, start, end = text.data(), text["sh_offset"], text["sh_offset"] + text["sh_size"]
        address = text["sh_addr"]
    for (symbol,) in symbols(path).values():
        assert start <= symbol.file_offset and symbol.file_offset + symbol.size <= end
        assert symbol.file_offset - start == symbol.address - address
        assert code[symbol.file_offset - start]


def test_soname_build_id_and_sections_are_those_that_pyelftools_reads() -> None:
    for path in installed().values():
        with path.open("rb") as file:
            mine, other = Elf(file), ELFFile(file)
            assert set(mine.sections) == {section.name for section in other.iter_sections()} - {""}
            note = other.get_section_by_name(".note.gnu.build-id")
            assert mine.build_id == (next(note.iter_notes())["n_desc"] if note is not None else "")
            dynamic = other.get_section_by_name(".dynamic")
            assert mine.soname == next((tag.soname for tag in dynamic.iter_tags("DT_SONAME")), "")


# --- every form of a file --------------------------------------------------------------------------------


@pytest.mark.parametrize("style", ["sysv", "gnu", "both"])
@pytest.mark.parametrize("stripped", [False, True])
def test_exported_functions_are_found_by_either_hash_stripped_or_not(
    tmp_path: Path, style: str, stripped: bool
) -> None:
    path = library(tmp_path / "library.so", LIBRARY, f"-Wl,--hash-style={style}")
    if stripped:
        path = strip(path)
    names = PROBED | {"SSL_hidden", "SSL_data", "SSL_rea", "SSL_read_", ""}
    expected = {name: places for name, places in functions(path, ".dynsym").items() if name in names}
    assert len(expected) == 6
    found = symbols(path, names)
    assert addresses(found) == expected
    assert {rows[0].table for rows in found.values()} == {"dynsym"}


def test_section_headers_are_not_needed(tmp_path: Path) -> None:
    data = bytearray(library(tmp_path / "library.so").read_bytes())
    data[40:48] = bytes(8)  # e_shoff
    data[60:64] = bytes(4)  # e_shnum, e_shstrndx
    elf = Elf(io.BytesIO(data))
    assert len(elf.symbols(PROBED, NEEDED)) == 6
    assert elf.sections == {} and elf.build_id


@pytest.mark.parametrize("flags", [["-static"], ["-static-pie"], ["-no-pie"], ["-pie"]])
def test_a_program_names_its_functions_in_its_own_table_until_it_is_stripped(
    tmp_path: Path, flags: list[str]
) -> None:
    path = build(tmp_path / "program", LIBRARY + "int main(void) { return use(); }", *flags)
    found = symbols(path)
    expected = functions(path, ".symtab")
    assert addresses(found) == {name: expected[name] for name in PROBED if name in expected}
    assert {rows[0].table for rows in found.values()} == {"symtab"} and len(found) == 6
    assert symbols(strip(path)) == {}
    with path.open("rb") as file:
        assert Elf(file).is_program


def test_what_is_exported_is_enough_or_the_own_table_adds_the_rest(tmp_path: Path) -> None:
    path = library(tmp_path / "library.so")
    assert "SSL_hidden" not in symbols(path, frozenset({"SSL_read", "SSL_hidden"}), frozenset({"SSL_read"}))
    needed = frozenset({"SSL_hidden"})
    (hidden,) = symbols(path, frozenset({"SSL_read", "SSL_hidden"}), needed)["SSL_hidden"]
    assert hidden.table == "symtab"
    assert {hidden.address} == functions(path, ".symtab")["SSL_hidden"]


def test_a_name_that_stands_for_two_places_has_both(tmp_path: Path) -> None:
    twice = "static int SSL_read(int x) { return x * %d; } int %s(int x) { return SSL_read(x); }"
    objects = []
    for number, user in ((3, "one"), (5, "two")):
        objects.append(str(build(tmp_path / f"{user}.o", twice % (number, user), "-c", "-fPIC", "-O0")))
    path = tmp_path / "library.so"
    subprocess.run(["cc", "-shared", "-o", str(path), *objects], check=True, timeout=60)
    rows = symbols(path, frozenset({"SSL_read"}))["SSL_read"]
    assert {symbol.address for symbol in rows} == functions(path, ".symtab")["SSL_read"] and len(rows) == 2


def test_an_indirect_function_and_a_variable_are_no_functions(tmp_path: Path) -> None:
    source = """
    static int real(void) { return 1; }
    static int (*pick(void))(void) { return real; }
    int SSL_read(void) __attribute__((ifunc("pick")));
    int SSL_write = 3;
    """
    assert symbols(library(tmp_path / "library.so", source)) == {}


# --- constants -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("window", [20, 21, 64, 1 << 20])
def test_constants_are_found_wherever_a_window_cuts_them(
    tmp_path: Path, window: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(elf_module, "_WINDOW", window)
    source = 'const char one[] = "constant number one"; const char two[] = "constant number two";'
    with library(tmp_path / "library.so", source).open("rb") as file:
        elf = Elf(file)
        assert elf.holds([b"constant number one", b"constant number two"])
        assert not elf.holds([b"constant number one", b"constant number six"])


def test_what_a_program_writes_is_no_constant(tmp_path: Path) -> None:
    with library(tmp_path / "library.so", 'char one[] = "constant number one";').open("rb") as file:
        assert not Elf(file).holds([b"constant number one"])


def test_the_search_for_constants_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = library(tmp_path / "library.so", 'const char one[] = "constant number one";')
    monkeypatch.setattr(elf_module, "MAX_SEARCH", 64)
    with path.open("rb") as file:
        assert not Elf(file).holds([b"constant number one"])


# --- files that are none, or hostile ---------------------------------------------------------------------


def test_files_that_are_none_are_refused_with_the_reason(tmp_path: Path) -> None:
    real = library(tmp_path / "library.so").read_bytes()
    wrong = {
        "not an ELF file": b"#!/bin/sh\n",
        "ends within its header": real[:40],
        "of another machine (i386, 32 bit)": real[:4] + b"\x01" + real[5:18] + b"\x03\0" + real[20:],
        "of another machine (aarch64, 64 bit)": real[:18] + b"\xb7\0" + real[20:],
        "neither a program nor a shared library": real[:16] + b"\x01\0" + real[18:],
        "headers of another size": real[:54] + b"\x20\0" + real[56:],
        "too many headers": real[:56] + b"\xff\xff" + real[58:],
    }
    for reason, data in wrong.items():
        with pytest.raises(ElfError, match="^" + reason.replace("(", r"\(").replace(")", r"\)")):
            Elf(io.BytesIO(data))
    with pytest.raises(OtherMachineError):
        Elf(io.BytesIO(b"\x7fELF\x01\x01"))
    with pytest.raises(ElfError):
        Elf(io.BytesIO(b""))


def test_a_huge_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "huge"
    with path.open("w+b") as file:
        file.truncate(MAX_SIZE + 1)
        with pytest.raises(ElfError, match="larger than 1 GiB"):
            Elf(file)


class Counted(io.BytesIO):
    """Counts reads and refuses large ones."""

    def __init__(self, data: bytes, size: int) -> None:
        super().__init__(data)
        self._size = size
        self.reads = 0

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._size if whence == 2 else super().seek(offset)

    def read(self, size: int | None = -1) -> bytes:
        assert size is not None and 0 <= size <= MAX_TABLE
        self.reads += 1
        return super().read(size)


def read_all(data: bytes, size: int | None = None) -> None:
    """All that is asked of an ELF file; each may end in ElfError and in nothing else."""
    file = Counted(data, len(data) if size is None else size)
    try:
        elf = Elf(file)
    except ElfError:
        return
    for question in (
        lambda: elf.symbols(PROBED, NEEDED),
        lambda: elf.soname,
        lambda: elf.build_id,
        lambda: elf.sections,
        lambda: elf.is_program,
        lambda: elf.holds([b"c hs traffic"]),
    ):
        try:
            question()
        except ElfError:
            continue
    # Each name follows one chain, of at most MAX_SAME links with three reads each.
    assert file.reads <= 3 * len(PROBED) * MAX_SAME + 64 + elf_module.MAX_SEARCH // (1 << 20)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    where = tmp_path_factory.mktemp("elf")
    gnu = library(where / "gnu.so")
    sysv = library(where / "sysv.so", LIBRARY, "-Wl,--hash-style=sysv", "-Wl,-soname,libssl.so.9")
    program = build(where / "program", LIBRARY + "int main(void) { return use(); }")
    parts = {"gnu": gnu, "sysv": sysv, "program": program, "stripped": strip(gnu)}
    return {name: path.read_bytes() for name, path in (parts | {"libssl": installed()["libssl"]}).items()}


KINDS = st.sampled_from(["gnu", "sysv", "program", "stripped", "libssl"])
#: where a flipped byte matters: the header, the program headers, tables at the beginning, tables at the end
PLACES = st.one_of(
    st.integers(0, 63), st.integers(64, 1000), st.integers(0, 16_000), st.integers(-6000, -1), st.integers(0)
)


@given(kind=KINDS, flips=st.lists(st.tuples(PLACES, st.integers(0, 255)), min_size=1, max_size=6))
def test_flipped_bytes_never_do_more_than_refuse(
    made: dict[str, bytes], kind: str, flips: list[tuple[int, int]]
) -> None:
    data = bytearray(made[kind])
    for place, value in flips:
        data[place % len(data)] = value
    read_all(bytes(data))


@given(kind=KINDS, end=st.floats(0, 1), pretended=st.booleans())
def test_a_file_cut_off_anywhere_is_never_more_than_refused(
    made: dict[str, bytes], kind: str, end: float, pretended: bool
) -> None:
    data = made[kind]
    cut = data[: int(len(data) * end)]
    read_all(cut, len(data) if pretended else None)  # pretended: it became shorter while it was read


@given(head=st.binary(max_size=400))
def test_a_header_before_anything_never_does_more_than_refuse(made: dict[str, bytes], head: bytes) -> None:
    read_all(made["gnu"][:64] + head)
    read_all(made["gnu"][:20] + head + made["gnu"][20 + len(head) :], 1 << 29)


@pytest.mark.parametrize(
    ("style", "tag", "head"),
    [
        ("gnu", "DT_GNU_HASH", "1, 1, 0, 0, 1, 0"),  # one bucket, no filter; a chain of even links has no end
        ("sysv", "DT_HASH", "1, 9000, 1, 0, 1"),  # one bucket; symbol 1 follows itself
    ],
)
def test_a_chain_without_an_end_is_given_up(tmp_path: Path, style: str, tag: str, head: str) -> None:
    source = f"{LIBRARY} const unsigned table[9000] = {{{head}}};"
    path = library(tmp_path / "library.so", source, f"-Wl,--hash-style={style}")
    data = bytearray(path.read_bytes())
    with path.open("rb") as file:
        other = ELFFile(file)
        table = other.get_section_by_name(".dynsym").get_symbol_by_name("table")[0]["st_value"]
        dynamic = other.get_section_by_name(".dynamic")
        number = [entry.entry.d_tag for entry in dynamic.iter_tags()].index(tag)
        at = dynamic["sh_offset"] + 16 * number + 8
    assert len(Elf(io.BytesIO(data)).symbols(PROBED, NEEDED)) == 6
    data[at : at + 8] = table.to_bytes(8, "little")
    with pytest.raises(ElfError, match="a chain of its hash table is too long"):
        Elf(io.BytesIO(data)).symbols(PROBED, NEEDED)
