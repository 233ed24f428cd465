"""collector/kernel/wire.py says of every struct and enum of bpf/wire.h what the compiler says of it."""

from __future__ import annotations

import re
import struct
import subprocess
from pathlib import Path

import pytest

from collector.kernel import wire
from polygraph.reasons import DIMENSIONS
from tests.collector.kernel.btf import Btf, Field, Struct

BPF = Path(__file__).parents[3] / "bpf"
WIRE_H = (BPF / "wire.h").read_text("utf-8")
STRUCTS = re.findall(r"^struct (pg_\w+) \{", WIRE_H, re.MULTILINE)
ENUMS = re.findall(r"^enum (pg_\w+) \{", WIRE_H, re.MULTILINE)
_TYPES = "".join(
    f"typedef {sign} {plain} __{letter}{bits};\n"
    for sign, letter in (("unsigned", "u"), ("signed", "s"))
    for plain, bits in (("char", 8), ("short", 16), ("int", 32), ("long long", 64))
)


@pytest.fixture(scope="module")
def btf(tmp_path_factory: pytest.TempPathFactory) -> Btf:
    """bpf/wire.h as clang lays it out, each of its types used once."""
    folder = tmp_path_factory.mktemp("wire")
    used = "".join(f"struct {name} of_{name};\n" for name in STRUCTS)
    used += "".join(f"enum {name} value_of_{name};\n" for name in ENUMS)
    source = folder / "wire.c"
    source.write_text(f'{_TYPES}#include "wire.h"\n{used}', "utf-8")
    out = folder / "wire.o"
    command = ["clang", "-g", "-O2", "-target", "bpf", f"-I{BPF}", "-c", str(source), "-o", str(out)]
    subprocess.run(command, check=True, timeout=60)
    return Btf(out)


def mirrored(name: str) -> Struct:
    """What the mirror says of a struct."""
    fields, at = [], 0
    for field, form in wire.LAYOUTS[name]:
        size = struct.calcsize("=" + form)
        fields.append(Field(field, at, size, form[-1] in "bhiq"))
        at += size
    return Struct(at, tuple(fields))


def unsigned_text(one: Struct) -> Struct:
    """``char`` is signed for a compiler, and bytes for the mirror."""
    return Struct(one.size, tuple(f._replace(signed=f.signed and f.name != "comm") for f in one.fields))


def test_the_header_is_understood() -> None:
    """Types that the pattern misses would not be compared."""
    assert len(STRUCTS) == len(re.findall(r"\bstruct\s*\w*\s*\{", WIRE_H)) > 20
    assert len(ENUMS) == len(re.findall(r"\benum\s*\w*\s*\{", WIRE_H)) > 9


def test_nothing_is_missing_and_nothing_is_left_over() -> None:
    assert set(wire.LAYOUTS) == set(STRUCTS)
    assert set(wire.ENUMS) == set(ENUMS)


@pytest.mark.parametrize("name", STRUCTS)
def test_each_field_has_the_offset_the_size_and_the_sign_that_the_compiler_gives_it(
    btf: Btf, name: str
) -> None:
    assert mirrored(name) == unsigned_text(btf.structs([name])[name])


@pytest.mark.parametrize("name", ENUMS)
def test_each_enumerator_has_its_value(btf: Btf, name: str) -> None:
    """The number of enumerators, where an enum ends with it, is a constant of the mirror."""
    values = btf.enums()[name]
    counts = {key for key in values if key in ("PG_LOSS_CAUSES", "PG_DIMENSIONS")}
    assert {member.name: member.value for member in wire.ENUMS[name]} == {
        key: value for key, value in values.items() if key not in counts
    }
    for key in counts:
        assert getattr(wire, key) == values[key]


def test_the_object_that_is_loaded_was_built_of_this_header(btf: Btf) -> None:
    """A type that no program uses is not in it; one that is must be the header's."""
    built = Btf(Path(wire.__file__).with_name("polygraph.bpf.o")).structs(STRUCTS)
    assert {"pg_session", "pg_touch", "pg_rule", "pg_request"} <= set(built)
    assert built == btf.structs(built)


def test_the_compiled_formats_have_the_sizes_of_their_structs() -> None:
    """The module's struct.Struct of each layout, by its name."""
    for name, fields in wire.LAYOUTS.items():
        compiled = getattr(wire, name.removeprefix("pg_").upper(), None)
        if compiled is not None:
            assert compiled.format == "=" + "".join(form for _field, form in fields)


def test_numbers_that_are_no_types_agree() -> None:
    assert re.search(rf"#define PG_RULES {wire.RULES}\b", WIRE_H)


def test_dimensions_and_causes_are_in_the_order_of_their_enums() -> None:
    assert tuple(member.name.removeprefix("PG_DIM_").lower() for member in wire.Dimension) == DIMENSIONS
    assert wire.LOSS_CAUSES == ("ring", "scratch", "storage", "map", "read")


def test_a_device_is_told_as_stat_tells_it() -> None:
    """259:4 is a partition of an NVMe disk; minors above 255 are stored in two parts by stat(2)."""
    assert wire.user_dev(259 << 20 | 4) == 0x10304
    assert wire.user_dev(8 << 20 | 0x12345) == 0x12300845
    assert wire.kernel_dev(0x12300845) == 8 << 20 | 0x12345
