"""x86-64 machine code of a file without symbols: who mentions an address, who calls a place, what a function does.

Searching is done on bytes, disassembling only where something was found: an executable has 100 MB of code. A
reference to an address is relative to where it stands (``call rel32``, ``lea r, [rip+disp32]``), so it cannot be
searched for as it is; but within 64 KiB of code its upper half has two values at most, and those can.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from collector.tls.elf import Elf, occurrences

if TYPE_CHECKING:  # imported where it is used: most hosts never need it
    from iced_x86 import Instruction

#: bytes between the beginning of a function and any of its instructions that is looked at
SPAN = 8 << 10
#: instructions of one function that are followed
MAX_INSTRUCTIONS = 4096
#: places that are taken from one search; a file with more is not what it seems
MAX_FOUND = 512
_BLOCK = 64 << 10
#: bytes before and after a block: the longest instruction that is searched for, lea with its prefix
_MARGIN = 8
# Opcodes and prefixes; ModR/M without its register (Intel SDM, volume 2, chapter 2 and appendix A).
_LEA, _CALL, _MOV = 0x8D, 0xE8, 0xB8
_REX_W, _REX_B, _RIP = 0x48, 0x41, 0x05


class Body(NamedTuple):
    """A function: its instructions by address, all that is reached from its first without a call."""

    start: int
    instructions: Mapping[int, Instruction]


def mentions(elf: Elf, address: int) -> list[int]:
    """Addresses of the instructions that name ``address``: all by its value, or else all relative to themselves.

    ``mov r32, imm32`` of a program at a fixed address; where there is none, ``lea r64, [rip+disp32]``.
    """
    return _by_value(elf, address) or _by_distance(elf, address)


def _by_value(elf: Elf, address: int) -> list[int]:
    if elf.moves or address >= 1 << 31:
        return []
    wanted = address.to_bytes(4, "little")
    found: set[int] = set()
    for _, base, data in elf.windows(elf.code, _MARGIN):
        for at in occurrences(data, wanted):
            if at >= 2 and data[at - 1] & 0xF8 == _MOV:
                found.add(base + at - (2 if data[at - 2] == _REX_B else 1))
        if len(found) > MAX_FOUND:
            return []
    return sorted(found)


def _by_distance(elf: Elf, address: int) -> list[int]:
    found: set[int] = set()
    for _, base, data in elf.windows(elf.code, _MARGIN):
        for at in _relative(base, data, address, address + 1):
            if (
                at >= 3
                and data[at - 3] & 0xF8 == _REX_W
                and data[at - 2] == _LEA
                and data[at - 1] & 0xC7 == _RIP
            ):
                found.add(base + at - 3)
        if len(found) > MAX_FOUND:
            return []
    return sorted(found)


def called(elf: Elf, first: int, last: int) -> set[int]:
    """Addresses from ``first`` up to ``last`` (at most 64 KiB) that some ``call rel32`` of the file goes to."""
    found: set[int] = set()
    for _, base, data in elf.windows(elf.code, _MARGIN):
        for at in _relative(base, data, first, last):
            if at and data[at - 1] == _CALL:
                found.add(base + at + 4 + int.from_bytes(data[at : at + 4], "little", signed=True))
    return found


def _relative(base: int, data: bytes, first: int, last: int) -> Iterator[int]:
    """Where in ``data``, which lies at address ``base``, 4 bytes lead from their end to ``first`` .. ``last``."""
    for block in range(0, len(data), _BLOCK):
        end = min(block + _BLOCK, len(data))
        low = first - (base + end) - 4 >> 16
        high = last - (base + block) - 4 >> 16
        for upper in range(low, high + 1):
            half = (upper & 0xFFFF).to_bytes(2, "little")
            at = data.find(half, block, end + 4)
            while at >= 0:
                place = at - 2
                if place >= 0 and place + 4 <= len(data):
                    target = base + place + 4 + int.from_bytes(data[place : place + 4], "little", signed=True)
                    if first <= target < last:
                        yield place
                at = data.find(half, at + 1, end + 4)


def body(elf: Elf, start: int, entries: set[int] | frozenset[int] = frozenset()) -> Body:
    """The function that begins at address ``start``; it ends where another of ``entries`` begins.

    Instructions further than :data:`SPAN` away are not followed, nor more than :data:`MAX_INSTRUCTIONS`.
    """
    from iced_x86 import Code, Decoder, FlowControl

    low, high = start - SPAN, start + SPAN
    instructions: dict[int, Instruction] = {}
    pending = [start]
    text = _Text(elf)
    while pending and len(instructions) < MAX_INSTRUCTIONS:
        at = pending.pop()
        while at not in instructions and low <= at < high and (at == start or at not in entries):
            code = text.at(at)
            instruction = Decoder(64, code, ip=at).decode() if code else None
            if instruction is None or instruction.code == Code.INVALID:
                break
            if len(instructions) >= MAX_INSTRUCTIONS:
                break
            instructions[at] = instruction
            flow = instruction.flow_control
            if flow == FlowControl.CONDITIONAL_BRANCH:
                pending.append(instruction.near_branch_target)
            elif flow == FlowControl.UNCONDITIONAL_BRANCH:
                at = instruction.near_branch_target
                continue
            elif flow not in (FlowControl.NEXT, FlowControl.CALL, FlowControl.INDIRECT_CALL):
                break
            at = instruction.next_ip
    return Body(start, instructions)


class _Text:
    """Code by address, read in pieces: the file is asked once for many instructions."""

    _PIECE = 4096
    _LONGEST = 15

    def __init__(self, elf: Elf) -> None:
        self._elf = elf
        self._pieces: dict[int, bytes] = {}

    def at(self, address: int) -> bytes:
        """The bytes from ``address`` on, enough for an instruction where the code does not end; none outside."""
        piece = address - address % self._PIECE
        data = self._pieces.get(piece)
        if data is None:
            data = b""
            for span in self._elf.code:
                # A piece may begin before its segment does: filled up, so that places in it stay what they are.
                begin, end = (
                    max(piece, span.address),
                    min(piece + self._PIECE + self._LONGEST, span.address + span.size),
                )
                if begin < end and begin - piece < self._PIECE:
                    data = bytes(begin - piece) + self._elf.read(
                        span.offset + begin - span.address, end - begin
                    )
                    break
            self._pieces[piece] = data
        code = data[address - piece : address - piece + self._LONGEST]
        return (
            code
            if any(span.address <= address < span.address + span.size for span in self._elf.code)
            else b""
        )


def calls(function: Body) -> set[int]:
    """Where it calls to directly."""
    from iced_x86 import FlowControl

    return {
        instruction.near_branch_target
        for instruction in function.instructions.values()
        if instruction.flow_control == FlowControl.CALL and instruction.near_branch_target
    }


def nearby(elf: Elf, mention: int) -> Body:
    """The straight line of code around ``mention``, as if it began a little before: a guess where nothing is known.

    Code that is read from a wrong place soon falls into step; of all beginnings the most distant one that does is
    taken.
    """
    from iced_x86 import Code, Decoder

    span = next((span for span in elf.code if span.address <= mention < span.address + span.size), None)
    if span is None:
        return Body(mention, {})
    first, last = max(span.address, mention - 32), min(mention + 64, span.address + span.size)
    text = elf.read(span.offset + first - span.address, last - first)
    for start in range(first, mention + 1):
        instructions: dict[int, Instruction] = {}
        for instruction in Decoder(64, text[start - first :], ip=start):
            if instruction.code == Code.INVALID:
                break
            instructions[instruction.ip] = instruction
        if mention in instructions:
            return Body(start, instructions)
    return Body(mention, {})


def arguments(function: Body, mention: int) -> dict[str, int]:
    """Constants that stand in registers when the straight line of code around ``mention`` comes to its end.

    By the register's 64-bit name; the line ends with the first call or jump, and begins behind the one before.
    """
    from iced_x86 import FlowControl, Mnemonic, OpKind

    code = function.instructions
    if mention not in code:
        return {}
    before = {instruction.next_ip: at for at, instruction in code.items()}
    line = [mention]
    # Backwards as the code is read: an instruction that others jump to may be reached without what stands before it.
    while (at := before.get(line[0])) is not None and code[at].flow_control == FlowControl.NEXT:
        line.insert(0, at)
        if len(line) > 64:
            break
    while code[line[-1]].flow_control == FlowControl.NEXT and code[line[-1]].next_ip in code:
        line.append(code[line[-1]].next_ip)
        if len(line) > 128:
            break
    values: dict[str, int] = {}
    for at in line:
        instruction = code[at]
        register = destination(instruction)
        if not register:
            continue
        constant = instruction.mnemonic == Mnemonic.MOV and instruction.op1_kind in (
            OpKind.IMMEDIATE32,
            OpKind.IMMEDIATE32TO64,
            OpKind.IMMEDIATE64,
        )
        if constant:
            values[register] = instruction.immediate(1) & 0xFFFFFFFF
        elif instruction.mnemonic not in (Mnemonic.CMP, Mnemonic.TEST, Mnemonic.PUSH):
            values.pop(register, None)
    return values


def changing(raw: bytes, address: int, function: Body) -> list[int]:
    """Where in ``raw``, the instruction at ``address``, 4 bytes stand that another build may have otherwise.

    Distances to what is not in ``function``, addresses, and numbers from 256 on, such as those of lines.
    """
    from iced_x86 import Decoder, FlowControl, Register

    decoder = Decoder(64, raw, ip=address)
    instruction = decoder.decode()
    places = decoder.get_constant_offsets(instruction)
    found: list[int] = []
    branches = (FlowControl.CALL, FlowControl.UNCONDITIONAL_BRANCH, FlowControl.CONDITIONAL_BRANCH)
    if places.has_immediate and places.immediate_size == 4:
        if instruction.flow_control in branches:
            if instruction.near_branch_target not in function.instructions:
                found.append(places.immediate_offset)
        elif 256 <= instruction.immediate(instruction.op_count - 1) & 0xFFFFFFFF < 0xFFFFFF00:
            found.append(places.immediate_offset)
    if places.has_displacement and places.displacement_size == 4 and instruction.memory_base == Register.RIP:
        found.append(places.displacement_offset)
    return found


def destination(instruction: Instruction) -> str:
    """The 64-bit name of the register that an instruction's first operand is."""
    from iced_x86 import OpKind, RegisterInfo

    if instruction.op_count < 1 or instruction.op0_kind != OpKind.REGISTER:
        return ""
    return _register_names()[RegisterInfo(instruction.op0_register).full_register]


@cache
def _register_names() -> dict[int, str]:
    from iced_x86 import Register

    return {value: name for name, value in vars(Register).items() if isinstance(value, int)}


def stores(function: Body) -> bool:
    """Whether it writes to memory that is not its own stack, other than through functions that it calls."""
    from iced_x86 import FlowControl, InstructionInfoFactory, Mnemonic, OpAccess, Register

    framed = any(
        instruction.mnemonic == Mnemonic.MOV
        and (instruction.op0_register, instruction.op1_register) == (Register.RBP, Register.RSP)
        for instruction in function.instructions.values()
    )
    own = (Register.RSP, Register.RBP) if framed else (Register.RSP,)
    writes = (OpAccess.WRITE, OpAccess.READ_WRITE, OpAccess.COND_WRITE, OpAccess.READ_COND_WRITE)
    factory = InstructionInfoFactory()
    return any(
        memory.access in writes and memory.base not in own
        for instruction in function.instructions.values()
        if instruction.flow_control == FlowControl.NEXT
        for memory in factory.info(instruction).used_memory()
    )
