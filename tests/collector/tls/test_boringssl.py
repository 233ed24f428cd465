"""collector/tls/boringssl.py: each function where the symbols say that it is, once they are gone; or a reason."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.tls import boringssl
from collector.tls.boringssl import NotCertainError
from collector.tls.discover import BlindTls, Finding
from collector.tls.elf import Elf, ElfError
from tests.collector.tls.boring import FUNCTIONS, boring
from tests.collector.tls.elfs import found, functions, installed, strip

#: how programs are linked: at a fixed address, at any, as a library; with and without frame pointers
LINKED = {
    "fixed": ("-no-pie", "-fno-pic"),
    "anywhere": ("-pie", "-fPIE"),
    "library": ("-shared", "-fPIC"),
    "framed": ("-pie", "-fPIE", "-fno-omit-frame-pointer", "-fcf-protection=none"),
    "protected": ("-no-pie", "-fno-pic", "-fstack-protector-all"),
}


def addresses(path: Path) -> dict[str, tuple[int, ...]]:
    with path.open("rb") as file:
        return boringssl.functions(Elf(file))


def named(path: Path, *names: str) -> dict[str, tuple[int, ...]]:
    """What .symtab says, before it is gone."""
    table = functions(path, ".symtab")
    return {name: tuple(table[name]) for name in names or FUNCTIONS}


@pytest.mark.parametrize("dropped", [False, True], ids=["five arguments", "four"])
@pytest.mark.parametrize("linked", LINKED)
def test_stripped_code_is_placed_as_its_symbols_did(tmp_path: Path, linked: str, dropped: bool) -> None:
    path = boring(tmp_path / "program", *LINKED[linked], dropped=dropped)
    assert addresses(strip(path)) == named(path)
    seen = found(strip(path))
    assert isinstance(seen, Finding) and seen.reason is None
    assert (seen.library, seen.rung) == ("boringssl", "errors") and seen.functions.keys() == set(FUNCTIONS)


def test_a_handshake_that_was_built_into_another_function_is_probed_there_as_well(tmp_path: Path) -> None:
    path = boring(tmp_path / "program", *LINKED["fixed"], connect=True)
    both = named(path, "SSL_do_handshake", "SSL_connect")
    assert addresses(strip(path))["SSL_do_handshake"] == tuple(sorted(sum(both.values(), ())))


# --- what is not certain ---------------------------------------------------------------------------------


def test_a_reader_that_calls_what_peeks_is_not_taken_for_it(tmp_path: Path) -> None:
    """SSL_read reports nothing itself then; what reports takes nothing away."""
    path = boring(tmp_path / "program", *LINKED["fixed"], peek="__attribute__((noipa))")
    seen = found(strip(path))
    assert isinstance(seen, Finding) and seen.reason is not None and not seen.functions
    assert "take what they read" in seen.reason


READ_AGAIN = """
__attribute__((noinline)) int callback(SSL *ssl, char *to) {
    int done = peek(ssl, to, 7);
    if (done > 0) { ssl->data += done; ssl->pending -= done; }
    return done;
}
int (*volatile registered)(SSL *, char *) = callback;
"""


def test_a_reader_that_was_built_into_a_callback_as_well_is_refused(tmp_path: Path) -> None:
    """What the callback reads would be missed, and nobody calls it, so it is no function that is known."""
    path = boring(tmp_path / "program", *LINKED["fixed"], more=READ_AGAIN)
    with pytest.raises(NotCertainError, match="SSL_read may be built into other functions"):
        addresses(strip(path))


def test_a_writer_that_was_built_into_a_callback_as_well_is_refused(tmp_path: Path) -> None:
    more = """
    int callback(SSL *ssl, int size) { return size < 0 ? FAIL(111, 981) : 3; }
    int (*volatile registered)(SSL *, int) = callback;
    """
    path = boring(tmp_path / "program", *LINKED["fixed"], more=more)
    with pytest.raises(NotCertainError, match="SSL_write may be built into other functions"):
        addresses(strip(path))


def test_errors_in_another_order_are_refused(tmp_path: Path) -> None:
    more = "int other(SSL *ssl) { return ssl->init ? 1 : FAIL(66, 940); }"
    path = boring(tmp_path / "program", *LINKED["fixed"], more=more)
    with pytest.raises(NotCertainError, match="not in the order"):
        addresses(strip(path))


def test_a_version_without_the_last_error_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotCertainError, match="0 functions of it report BAD_LENGTH"):
        addresses(strip(boring(tmp_path / "program", *LINKED["fixed"], last=112)))


def test_a_library_whose_file_has_another_name_is_only_recognised(tmp_path: Path) -> None:
    path = strip(boring(tmp_path / "library.so", *LINKED["library"], file="ssl/other.cc"))
    assert addresses(path) == {}
    seen = found(path)
    assert isinstance(seen, BlindTls) and seen.name == "static_tls"


def test_a_file_that_only_mentions_it_has_none(tmp_path: Path) -> None:
    assert addresses(installed()["libssl"]) == {}


# --- the real thing --------------------------------------------------------------------------------------


def test_grpcs_wheel() -> None:
    seen = found(installed()["cygrpc"])
    assert isinstance(seen, Finding) and seen.reason is None and seen.rung == "errors"
    assert seen.functions.keys() == set(FUNCTIONS)
    assert all(code.startswith((b"\x41", b"\x55", b"\x53")) for code in seen.prologue.values())  # push


def test_curl_cffis_wheel_whose_symbols_say_the_same() -> None:
    import curl_cffi

    path = next(Path(curl_cffi.__file__).parent.glob("_wrapper*.so"))
    with path.open("rb") as file:
        elf = Elf(file)
        symbols = elf.symbols(frozenset(FUNCTIONS), frozenset({"SSL_read"}))
        assert {
            name: tuple(symbol.address for symbol in rows) for name, rows in symbols.items()
        } == boringssl.functions(elf)


# --- hostile files ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    where = tmp_path_factory.mktemp("boring")
    paths = {linked: strip(boring(where / linked, *LINKED[linked])) for linked in ("fixed", "library")}
    return {linked: path.read_bytes() for linked, path in paths.items()}


@given(
    linked=st.sampled_from(["fixed", "library"]),
    flips=st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), min_size=1, max_size=12),
)
def test_flipped_bytes_never_do_more_than_refuse(
    made: dict[str, bytes],
    tmp_path_factory: pytest.TempPathFactory,
    linked: str,
    flips: list[tuple[int, int]],
) -> None:
    data = bytearray(made[linked])
    for place, value in flips:
        data[place % len(data)] = value
    path = tmp_path_factory.getbasetemp() / "flipped"
    path.write_bytes(data)
    with contextlib.suppress(ElfError, NotCertainError):
        addresses(path)
    seen = found(path)
    assert not isinstance(seen, Finding) or seen.reason or len(seen.prologue) >= 3


@pytest.mark.parametrize("unit", [b"\xe8\x00\x00\x00\x00", b"\xeb\xfe", b"\x74\x00", b"\x0f", b"\xc3"])
def test_code_of_nothing_but_one_instruction_is_given_up(
    made: dict[str, bytes], tmp_path: Path, unit: bytes
) -> None:
    """Calls of the next instruction, loops, branches: all of the file but what names the functions."""
    data = bytearray(made["fixed"])
    with (tmp_path / "file").open("w+b") as file:
        file.write(data)
        file.flush()
        (span,) = Elf(file).code
        size = span.size // len(unit) * len(unit)
        data[span.offset : span.offset + size] = unit * (size // len(unit))
        file.seek(0)
        file.write(data)
        file.flush()
        assert boringssl.functions(Elf(file)) == {}


@pytest.mark.parametrize("address", [0, 1 << 31, 1 << 63, (1 << 64) - (1 << 16), (1 << 64) - 1])
@pytest.mark.parametrize("which", range(4))
def test_segments_at_any_address_never_do_more_than_refuse(
    made: dict[str, bytes], tmp_path: Path, which: int, address: int
) -> None:
    data = bytearray(made["fixed"])
    first, size = int.from_bytes(data[32:40], "little"), 56
    loads = [at for at in range(first, first + size * data[56], size) if data[at] == 1]
    data[loads[which] + 16 : loads[which] + 24] = address.to_bytes(8, "little")
    (tmp_path / "file").write_bytes(data)
    with contextlib.suppress(ElfError, NotCertainError):
        assert addresses(tmp_path / "file").keys() <= set(FUNCTIONS)
    seen = found(tmp_path / "file")
    assert not isinstance(seen, Finding) or seen.reason or len(seen.prologue) >= 3
