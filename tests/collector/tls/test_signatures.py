"""collector/tls/signatures.py and scripts/tls_signatures.py: rows of data, and that they say what is there."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.tls import elf as elf_module
from collector.tls import signatures
from collector.tls.discover import PROBED, Finding
from collector.tls.elf import Elf
from collector.tls.signatures import Signatures, compile_code, compile_signatures
from tests.collector.tls import elfs
from tests.collector.tls.boring import boring
from tests.collector.tls.elfs import strip

ROOT = Path(__file__).parents[3]
NEEDED = {"SSL_read", "SSL_write", "SSL_do_handshake"}
FIXED = ("-no-pie", "-fno-pic", "-Wl,--build-id=sha1")


def script(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "scripts/tls_signatures.py"), *arguments],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


def found(path: Path) -> Finding:
    seen = elfs.found(path)
    assert isinstance(seen, Finding)
    return seen


@pytest.fixture
def program(tmp_path: Path) -> Path:
    return strip(boring(tmp_path / "program", *FIXED))


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An empty table, unless the test puts one in its place with :func:`use`."""
    monkeypatch.setattr(signatures, "signatures", lambda: Signatures({}, ()))
    monkeypatch.setattr(signatures, "_text", lambda: "")
    return monkeypatch


def use(table: pytest.MonkeyPatch, text: str) -> None:
    rows = compile_signatures({"build": [], "pattern": []} | tomllib.loads(text))
    table.setattr(signatures, "signatures", lambda: rows)
    table.setattr(signatures, "_text", lambda: text)


# --- the table that is shipped ---------------------------------------------------------------------------


def test_each_row_names_functions_that_are_probed_and_all_that_is_needed() -> None:
    rows = signatures.signatures()
    assert len(rows.builds) >= 2 and len(rows.patterns) >= 2
    for row in (*rows.builds.values(), *rows.patterns):
        assert row.functions.keys() >= NEEDED and row.library == "boringssl"
        assert row.functions.keys() <= PROBED | NEEDED


def test_no_two_functions_of_a_row_are_the_same() -> None:
    rows = signatures.signatures()
    for build in rows.builds.values():
        assert len({offset for offset, _ in build.functions.values()}) == len(build.functions)
    for pattern in rows.patterns:
        assert len({code.expression for code in pattern.functions.values()}) == len(pattern.functions)


# --- what a row may be -----------------------------------------------------------------------------------

CODE = " ".join(["55"] * 16)
BUILD = {"build_id": "ab" * 20, "what": "x", "library": "boringssl", "functions": {}}


@pytest.mark.parametrize(
    "rows",
    [
        {},
        {"build": []},
        {"build": [], "pattern": [], "more": []},
        {"build": [BUILD, BUILD], "pattern": []},
        {"build": [BUILD | {"build_id": "xyz"}], "pattern": []},
        {"build": [BUILD | {"functions": {"SSL_read": {"offset": 1, "code": "55"}}}], "pattern": []},
        {"build": [], "pattern": [{"seen": ["x"], "library": "boringssl", "functions": {"SSL_read": "55"}}]},
    ],
)
def test_a_table_that_says_too_little_or_too_much_is_refused(rows: object) -> None:
    with pytest.raises(ValueError, match=r".+"):
        compile_signatures(rows)


@pytest.mark.parametrize(
    "code", ["", "55", " ".join(["??"] * 20), CODE + " 5", CODE + " zz", " ".join(["55"] * 600)]
)
def test_code_that_is_none_or_says_nothing_is_refused(code: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        compile_code(code)


@given(
    st.lists(st.one_of(st.integers(0, 255), st.none()), min_size=8, max_size=60),
    st.binary(min_size=8, max_size=8),
)
def test_code_matches_itself_whatever_stands_at_the_wildcards(words: list[int | None], rare: bytes) -> None:
    whole = [*words, *rare]
    code = compile_code(" ".join("??" if word is None else f"{word:02x}" for word in whole))
    for filling in (0, 0x0A, 255):
        data = bytes(filling if word is None else word for word in whole)
        assert code.expression.fullmatch(data)
        assert data[code.at : code.at + len(code.rare)] == code.rare
    assert code.length == len(whole) and len(code.rare) >= 8


# --- deriving, checking, finding -------------------------------------------------------------------------


def test_a_row_of_a_build_finds_that_build_and_no_other(
    program: Path, tmp_path: Path, table: pytest.MonkeyPatch
) -> None:
    by_errors = found(program)
    row = script("--build", "a build", str(program))
    assert row.returncode == 0, row.stderr
    use(table, row.stdout)
    seen = found(program)
    assert (by_errors.rung, seen.rung) == ("errors", "build_id")
    assert seen.functions == by_errors.functions and seen.prologue == by_errors.prologue
    other = strip(boring(tmp_path / "other", *FIXED, file="elsewhere/ssl/ssl_lib.cc"))
    assert found(other).rung == "errors"


def test_a_known_build_whose_code_is_another_is_not_believed(
    program: Path, table: pytest.MonkeyPatch
) -> None:
    use(table, script("--build", "a build", str(program)).stdout)
    data = bytearray(program.read_bytes())
    (place,) = found(program).functions["SSL_write"]
    data[place + 20] ^= 0xFF
    program.write_bytes(data)
    with program.open("rb") as file:
        assert signatures.known_build(Elf(file)) is None


@pytest.mark.parametrize("window", [64, 1000, 1 << 20])
def test_a_pattern_finds_what_another_linking_made_of_the_same_source(
    program: Path, tmp_path: Path, table: pytest.MonkeyPatch, window: int
) -> None:
    """Other addresses, other distances, another name of the file: wherever a window cuts it."""
    row = script("--pattern", "a build", str(program))
    assert row.returncode == 0, row.stderr
    use(table, row.stdout)
    more = "int filler[5000] = {1}; __attribute__((used)) int more(int x) { return x * filler[x]; }"
    other = strip(boring(tmp_path / "other", *FIXED, file="b/ssl/ssl_lib.cc", more=more))
    expected = found(other)
    assert expected.rung == "signature"
    table.setattr(elf_module, "_WINDOW", window)
    assert found(other).functions == expected.functions
    use(table, "")
    assert found(other).rung == "errors" and found(other).functions == expected.functions


def test_code_that_stands_twice_is_not_taken(program: Path, tmp_path: Path) -> None:
    with program.open("rb") as file:
        elf = Elf(file)
        (place,) = found(program).functions["SSL_read"]
        assert signatures.find_code(elf, compile_code(elf.read(place, 32).hex(" "))) == {place}
        twice = bytearray(program.read_bytes())
        (span,) = elf.code
        assert not span.offset <= place < span.offset + 32
        twice[span.offset : span.offset + 32] = elf.read(place, 32)
    (tmp_path / "twice").write_bytes(twice)
    with (tmp_path / "twice").open("rb") as file:
        code = compile_code(bytes(twice[place : place + 32]).hex(" "))
        assert signatures.find_code(Elf(file), code) == {span.offset, place}


def test_the_check_says_which_rungs_find_a_file_and_whether_they_agree(tmp_path: Path) -> None:
    path = boring(tmp_path / "program", *FIXED)
    both = script("--check", str(path))
    assert both.returncode == 0 and "symbols:" in both.stdout and "-> 2 agree" in both.stdout, both
    alone = script("--check", str(strip(path)))
    assert alone.returncode == 0 and "-> 1 agree" in alone.stdout
    none = script("--check", str(path), "/bin/true")
    assert none.returncode == 1 and "found by no rung" in none.stdout
    nothing = script("--build", "x", "/bin/true")
    assert nothing.returncode == 1 and "there is no BoringSSL in it" in nothing.stderr
