"""collector/kernel/rodata.py reads in the object what pyelftools reads in it."""

from __future__ import annotations

import io
import subprocess
from importlib import resources
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from collector.kernel.rodata import variables


def reference(data: bytes) -> dict[str, tuple[int, int]]:
    elf = ELFFile(io.BytesIO(data))
    index = elf.get_section_index(".rodata")
    return {
        symbol.name: (symbol["st_value"], symbol["st_size"])
        for symbol in elf.get_section_by_name(".symtab").iter_symbols()
        if symbol["st_shndx"] == index and symbol["st_info"]["type"] == "STT_OBJECT"
    }


def test_the_variables_of_the_built_object() -> None:
    data = resources.files("collector.kernel").joinpath("polygraph.bpf.o").read_bytes()
    assert variables(data) == reference(data)
    assert {"pg_exes", "pg_auto", "pg_rules"} <= variables(data).keys()


def test_the_variables_of_any_object(tmp_path: Path) -> None:
    source = (
        b"const long first = 1; const char second[7] = {2}; int written = 3; int code(void) { return 4; }"
    )
    subprocess.run(["cc", "-c", "-x", "c", "-o", tmp_path / "o", "-"], input=source, check=True, timeout=60)
    data = (tmp_path / "o").read_bytes()
    assert variables(data) == reference(data) and variables(data).keys() == {"first", "second"}
    assert variables(data, ".data").keys() == {"written"}


def test_what_is_no_object_is_refused() -> None:
    with pytest.raises(ValueError, match="not a 64 bit"):
        variables(b"#!/bin/sh\n" + bytes(100))
