"""collector/tls/rustls_find.py: one place for each function, at which a function begins; else none."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from collector.kernel.programs import TLS_FUNCTIONS
from collector.tls import signatures
from collector.tls.discover import BlindTls, find
from collector.tls.elf import Elf
from collector.tls.rustls_find import (
    FUNCTIONS,
    MENTION,
    builds,
    functions,
    shapes,
)
from tests.agents.clients.codex import BINARY
from tests.agents.clients.store import ensure
from tests.collector.tls.elfs import build

WRITE, READ = FUNCTIONS


def code(function: str) -> str:
    """Assembler of a function that begins as the first signature of ``function`` says, zero where any byte will do."""
    shape = next(shape for shape in shapes() if shape.function == function)
    data = re.sub(
        rb"\\(.)", rb"\1", shape.code.expression.pattern.replace(b"\\.", b"\x00any\x00"), flags=re.DOTALL
    )
    raw = bytearray(data.replace(b"\x00any\x00", b"."))
    assert shape.code.expression.fullmatch(bytes(raw))
    return ".byte " + ",".join(map(str, raw))


def program(where: Path, *bodies: str, described: bool = True) -> Path:
    """A program with these functions, one after the other, and a mention of rustls."""
    start, end = (".cfi_startproc", ".cfi_endproc") if described else ("", "")
    text = "".join(
        f".globl f{number}\n.type f{number},@function\nf{number}:\n{start}\n{body}\nret\n{end}\n"
        for number, body in enumerate(bodies)
    )
    quoted = text.replace("\n", "\\n")
    source = (
        f'asm(".text\\n.p2align 4\\n{quoted}");\n'
        'const char *mention = "/root/rustls-0.23.46/src/conn.rs";\nint main(void) { return mention[0]; }\n'
    )
    return build(where, source)


def found_in(path: Path) -> dict[str, tuple[int, ...]] | str:
    with path.open("rb") as file:
        elf = Elf(file)
        assert elf.naming((MENTION,))
        return functions(elf)


def test_a_place_for_each_function(tmp_path: Path) -> None:
    found = found_in(program(tmp_path / "one", code(WRITE), code(READ)))
    assert isinstance(found, dict) and found.keys() == {WRITE, READ}
    raw = (tmp_path / "one").read_bytes()
    for shape in shapes():
        (place,) = found[shape.function]
        if shape.code.expression.match(raw, place):
            break
    else:
        pytest.fail("no signature is at its place")


@pytest.mark.parametrize(
    ("bodies", "said"),
    [
        ((WRITE,), f"0 places look like {READ}"),
        ((WRITE, WRITE, READ), f"2 places look like {WRITE}"),
        ((WRITE, READ, READ), f"2 places look like {READ}"),
        ((WRITE, *[READ] * 70), "too many places"),
    ],
)
def test_none_or_several_are_not_certain(bodies: tuple[str, ...], said: str, tmp_path: Path) -> None:
    found = found_in(program(tmp_path / "program", *map(code, bodies)))
    assert isinstance(found, str) and said in found


def test_a_program_that_is_full_of_what_is_searched_for_first_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rare = next(shape.code.rare for shape in shapes() if shape.function == WRITE)
    filler = ".byte " + ",".join(map(str, rare * 20))
    path = program(tmp_path / "program", code(WRITE), code(READ), filler)
    assert isinstance(found_in(path), dict)
    monkeypatch.setattr(signatures, "_MAX_HITS", 20)
    assert found_in(path) == "rustls is in it, and too many places look like its functions"


def test_a_place_where_no_function_begins_is_none(tmp_path: Path) -> None:
    found = found_in(program(tmp_path / "within", f"nop; {code(WRITE)}", code(READ)))
    assert found == f"rustls is in it, and 0 places look like {WRITE}"
    found = found_in(program(tmp_path / "undescribed", code(WRITE), code(READ), described=False))
    assert found == f"rustls is in it, and 0 places look like {WRITE}"


def test_a_program_that_does_not_speak_of_rustls_is_not_searched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched = list[Elf]()
    monkeypatch.setattr("collector.tls.rustls_find.functions", lambda elf: searched.append(elf) or "searched")
    program(tmp_path / "some", code(WRITE), code(READ))
    build(tmp_path / "other", "int main(void) { return 0; }")
    for name, found in (("other", None), ("some", BlindTls("rustls", "searched"))):
        with (tmp_path / name).open("rb") as file:
            assert find(file.fileno()) == found
    assert len(searched) == 1


def test_codex_is_known_and_a_search_finds_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    path = ensure("codex") / BINARY
    known = found_in(path)
    assert path.stat().st_size in {one.size for one in builds()}
    monkeypatch.setattr("collector.tls.rustls_find.builds", tuple)
    assert found_in(path) == known
    assert isinstance(known, dict)


def test_the_data_names_functions_that_have_programs_and_where_each_row_was_seen() -> None:
    for shape in shapes():
        assert shape.function in FUNCTIONS and shape.function in TLS_FUNCTIONS
        assert len(shape.code.rare) >= 8 and shape.code.length >= 24
    assert {shape.function for shape in shapes()} == set(FUNCTIONS)
    assert len({one.size for one in builds()}) == len(builds())
