"""bpf/tls.h: every program on a function of user space runs on its task's own stack."""

from __future__ import annotations

import io
from importlib import resources

import pytest
from elftools.elf.elffile import ELFFile

from collector.kernel.programs import TLS_PROGRAMS

#: BPF_JMP | BPF_CALL of helper 12, bpf_tail_call (include/uapi/linux/bpf.h)
TAIL_CALL = bytes.fromhex("8500 0000 0c00 0000")
INSTRUCTION = 8


@pytest.fixture(scope="module")
def code() -> dict[str, bytes]:
    """The instructions of each function of the object."""
    elf = ELFFile(io.BytesIO(resources.files("collector.kernel").joinpath("polygraph.bpf.o").read_bytes()))
    found = {}
    for symbol in elf.get_section_by_name(".symtab").iter_symbols():
        if symbol["st_info"]["type"] == "STT_FUNC":
            data = elf.get_section(symbol["st_shndx"]).data()
            found[symbol.name] = data[symbol["st_value"] : symbol["st_value"] + symbol["st_size"]]
    return found


@pytest.mark.parametrize("program", sorted(TLS_PROGRAMS))
def test_it_has_a_tail_call_and_so_no_stack_that_two_tasks_share(
    program: str, code: dict[str, bytes]
) -> None:
    body = code[program]
    assert any(body[at : at + INSTRUCTION] == TAIL_CALL for at in range(0, len(body), INSTRUCTION))
