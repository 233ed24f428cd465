"""collector/tls/code.py: who names an address and who calls it, against a search of every byte."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.tls import code
from collector.tls.elf import Elf
from tests.collector.tls.elfs import build, functions, library, strip

SOURCE = """
const char text[] = "what is mentioned";
__attribute__((noipa)) int called(const char *from) { return from[3]; }
__attribute__((noipa)) int other(const char *from) { return called(from + 1) + called(text); }
__attribute__((noipa)) int stores(int *to) { *to = 3; return called(text); }
__attribute__((noipa)) int keeps(int x) { volatile int y[9] = {x}; return y[x & 7] + called(text); }
__attribute__((noipa)) int constants(const char *from, int a, int b) { return called(from) + a + b; }
int use(int x) { int y; return constants(text, 4711, 66) + other(text) + stores(&y) + keeps(x); }
"""


def elf_of(path: Path) -> Elf:
    return Elf(io.BytesIO(path.read_bytes()))


@pytest.fixture(scope="module", params=["library", "fixed"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("code") / "file"
    if request.param == "library":
        return library(where, SOURCE, "-Wl,-Bsymbolic", "-O2")
    return build(where, SOURCE + "int main(int x) { return use(x); }", "-no-pie", "-fno-pic", "-O2")


def at(path: Path, name: str) -> int:
    (address,) = functions(path, ".symtab")[name]
    return address


def test_what_names_an_address_is_found_and_its_constants_are_read(made: Path) -> None:
    elf = elf_of(strip(made))
    offset = made.read_bytes().index(b"what is mentioned\0")
    (span,) = [span for span in elf.constants if span.offset <= offset < span.offset + span.size]
    named = code.mentions(elf, offset - span.offset + span.address)
    function = code.body(elf, at(made, "use"))
    mine = [mention for mention in named if mention in function.instructions]
    assert mine and len(named) > len(mine)
    told = [code.arguments(function, mention) for mention in mine]
    assert any(values.get("RSI") == 4711 and values.get("RDX") == 66 for values in told)
    guessed = [code.arguments(code.nearby(elf, mention), mention) for mention in mine]
    assert any(values.get("RSI") == 4711 and values.get("RDX") == 66 for values in guessed)


def test_a_function_is_what_is_reached_from_its_beginning(made: Path) -> None:
    elf = elf_of(strip(made))
    other = code.body(elf, at(made, "other"))
    table = functions(made, ".symtab")
    starts = {address for addresses in table.values() for address in addresses}
    assert not (other.instructions.keys() & starts) - {at(made, "other"), at(made, "called")}
    assert at(made, "stores") not in code.body(elf, at(made, "use")).instructions
    assert code.stores(code.body(elf, at(made, "stores"), frozenset(starts)))
    assert not code.stores(code.body(elf, at(made, "keeps"), frozenset(starts)))  # its own stack


def test_nothing_is_read_outside_of_the_code(made: Path) -> None:
    elf = elf_of(made)
    for address in (0, 1 << 40, elf.code[0].address - 1, elf.code[0].address + elf.code[0].size):
        assert not code.body(elf, address).instructions
        assert not code.nearby(elf, address).instructions


class Bytes:
    """Code at an address, as far as the searches ask for it."""

    moves = True
    code = ()

    def __init__(self, data: bytes, base: int, window: int) -> None:
        self._data, self._base, self._window = data, base, window

    def windows(self, _spans: object, overlap: int) -> list[tuple[int, int, bytes]]:
        return [
            (at, self._base + at, self._data[at : at + self._window + overlap])
            for at in range(0, len(self._data), self._window)
        ]


@given(
    base=st.integers(1 << 20, 1 << 40),
    filler=st.sampled_from([b"\xe8", b"\x00", b"\xff", b"\xe8\x00\x00", b"\x48\x8d\x05\x00"]),
    places=st.lists(st.integers(0, 190_000), min_size=1, max_size=6),
    target=st.integers(-300_000, 300_000),
    window=st.sampled_from([1000, 65_536, 65_537, 1 << 20]),
)
def test_all_that_leads_to_a_place_is_found_and_nothing_else(
    base: int, filler: bytes, places: list[int], target: int, window: int
) -> None:
    data = bytearray((filler * 200_000)[:200_000])
    wanted = base + target
    for place in places:
        data[place] = 0xE8
        data[place + 1 : place + 5] = (wanted - (base + place + 5)).to_bytes(4, "little", signed=True)
    first, last = wanted - 50, wanted + 50
    expected = set()
    place = data.find(0xE8)
    while 0 <= place <= len(data) - 5:
        goes = base + place + 5 + int.from_bytes(data[place + 1 : place + 5], "little", signed=True)
        if first <= goes < last:
            expected.add(goes)
        place = data.find(0xE8, place + 1)
    found = code.called(Bytes(bytes(data), base, window), first, last)  # type: ignore[arg-type]
    assert found == expected
