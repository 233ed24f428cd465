"""A directory entry as a number, as bpf/reads.h makes it of a file that is opened: pg_entry_of()."""

from __future__ import annotations

from collector.kernel import wire

#: PG_RULE_NAME + 8: bytes of a name that the kernel side looks at; a longer one has no number
_NAME = 40
_SEED, _FACTOR, _MASK = 0xCBF29CE484222325, 0x9E3779B97F4A7C15, (1 << 64) - 1


def entry(dev: int, ino: int, name: bytes) -> int:
    """The entry ``name`` of the directory (``dev`` as stat(2) tells it, ``ino``); 0 if it has no number."""
    if len(name) > _NAME:
        return 0
    padded = name[:32].ljust(32, b"\0")
    words = [ino, wire.kernel_dev(dev) << 32 | len(name)]
    words += [int.from_bytes(padded[at : at + 8], "little") for at in range(0, 32, 8)]
    words.append(int.from_bytes(name[-8:].rjust(8, b"\0"), "little"))
    mixed = _SEED
    for word in words:
        mixed = (mixed ^ word) * _FACTOR & _MASK
        mixed ^= mixed >> 29
    return mixed >> 1 | 1
