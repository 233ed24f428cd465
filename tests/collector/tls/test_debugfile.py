"""collector/tls/debugfile.py: symbols that were split off, taken only if they are of this very file."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from collector.tls import debugfile
from collector.tls.debugfile import Where
from collector.tls.discover import PROBED, BlindTls, Finding
from collector.tls.elf import Elf
from tests.collector.tls.elfs import LIBRARY, build, found, functions, strip

MAIN = "int main(void) { return use(); }"


def split(path: Path, to: Path) -> Path:
    """The symbols of ``path`` in a file of their own."""
    to.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["objcopy", "--only-keep-debug", str(path), str(to)], check=True, timeout=60)
    return to


def linked(stripped: Path, debug: Path) -> Path:
    """``stripped`` with the name and checksum of ``debug``."""
    subprocess.run(["objcopy", f"--add-gnu-debuglink={debug}", str(stripped)], check=True, timeout=60)
    return stripped


def by_build_id(root: Path, path: Path) -> Path:
    with path.open("rb") as file:
        number = Elf(file).build_id
    return root / f"usr/lib/debug/.build-id/{number[:2]}/{number[2:]}.debug"


@pytest.fixture
def program(tmp_path: Path) -> Path:
    return build(tmp_path / "program", LIBRARY + MAIN, "-Wl,--build-id=sha1")


def is_placed(seen: Finding | BlindTls | None, program: Path) -> None:
    """Where the symbols of ``program`` say, as far as a file offset and an address differ."""
    assert isinstance(seen, Finding) and seen.reason is None and seen.rung == "debug_file"
    table = functions(program, ".symtab")
    with program.open("rb") as file:
        elf = Elf(file)
        expected = {name: tuple(map(elf.code_offset, table[name])) for name in PROBED & table.keys()}
    assert seen.functions == expected and len(expected) == 6


def test_it_is_found_by_the_build_id_in_the_root_of_the_process(program: Path, tmp_path: Path) -> None:
    stripped = strip(program)
    assert found(stripped, Where(str(tmp_path / "root"), "/bin/program")) is None
    split(program, by_build_id(tmp_path / "root", program))
    is_placed(found(stripped, Where(str(tmp_path / "root"), "/bin/program")), program)


@pytest.mark.parametrize("place", ["bin", "bin/.debug", "usr/lib/debug/bin"])
def test_it_is_found_by_its_link(program: Path, tmp_path: Path, place: str) -> None:
    root = tmp_path / "root"
    debug = split(program, root / place / "program.debug")
    stripped = linked(strip(program), debug)
    is_placed(found(stripped, Where(str(root), "/bin/program")), program)
    debug.write_bytes(debug.read_bytes() + b"x")  # another checksum
    assert found(stripped, Where(str(root), "/bin/program")) is None


def test_that_of_another_build_is_not_taken(program: Path, tmp_path: Path) -> None:
    other = build(tmp_path / "other", LIBRARY + MAIN.replace("use()", "use() + 1"), "-Wl,--build-id=sha1")
    split(other, by_build_id(tmp_path / "root", program))
    assert found(strip(program), Where(str(tmp_path / "root"), "/bin/program")) is None


def test_symbols_that_lead_to_no_code_are_not_taken(program: Path, tmp_path: Path) -> None:
    """The build-id says that they fit, and the places say that they do not."""
    split(program, by_build_id(tmp_path / "root", program))
    stripped = strip(program)
    data = bytearray(stripped.read_bytes())
    with program.open("rb") as file:
        (span,) = Elf(file).code
    data[span.offset : span.offset + span.size] = b"\xcc" * span.size
    stripped.write_bytes(data)
    assert found(stripped, Where(str(tmp_path / "root"), "/bin/program")) is None


@pytest.mark.parametrize("by", [0, 1, 5])
def test_a_symbol_that_leads_into_a_function_is_not_taken(program: Path, tmp_path: Path, by: int) -> None:
    """An observed process may write such a file, for a program that others run as well."""
    debug = split(program, by_build_id(tmp_path / "root", program))
    with program.open("rb") as file:
        text = Elf(file).sections[".text"].address
    (address,) = functions(program, ".symtab")["SSL_read"]
    moved = f"--add-symbol=SSL_read=.text:{address - text + by:#x},function,global"
    subprocess.run(["objcopy", "--strip-symbol=SSL_read", moved, str(debug)], check=True, timeout=60)
    seen = found(strip(program), Where(str(tmp_path / "root"), "/bin/program"))
    assert isinstance(seen, Finding) == (by == 0)


def test_what_is_no_file_is_not_waited_for(program: Path, tmp_path: Path) -> None:
    place = by_build_id(tmp_path / "root", program)
    place.parent.mkdir(parents=True)
    os.mkfifo(place)
    stripped = strip(program)
    where = Where(str(tmp_path / "root"), "/bin/program")
    assert found(stripped, where) is None
    place.unlink()
    for content in (b"", b"\x7fELF", b"text", program.read_bytes()[:5000]):
        place.write_bytes(content)
        assert found(stripped, where) is None


@pytest.mark.parametrize("name", [b"../program.debug", b"..", b"", b"a\0b/c"])
def test_a_link_that_leads_elsewhere_is_not_followed(
    program: Path, tmp_path: Path, name: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(debugfile, "_open", opened.append)
    section = tmp_path / "section"
    section.write_bytes((name + b"\0").ljust(12, b"\0") + b"\1\2\3\4")
    stripped = strip(program)
    subprocess.run(
        ["objcopy", "--add-section", f".gnu_debuglink={section}", str(stripped)], check=True, timeout=60
    )
    found(stripped, Where("/root-of-it", "/bin/program"))
    assert not [path for path in opened if ".build-id" not in path and ".." in path]
    assert len([path for path in opened if ".build-id" not in path]) == (6 if name == b"a\0b/c" else 0)


def test_the_checksum_of_a_large_file_is_not_taken(
    program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    debug = split(program, tmp_path / "root/bin/program.debug")
    stripped = linked(strip(program), debug)
    monkeypatch.setattr(debugfile, "MAX_CHECKED", 1000)
    assert found(stripped, Where(str(tmp_path / "root"), "/bin/program")) is None
