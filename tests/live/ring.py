"""A program of the live tests: operations through an io_uring, with system calls only.

    ring.py [sqpoll] [async] OPERATION[=ARGUMENT]...

Ends with 0 when the ring was made and each operation completed, whatever its result, which it prints.
"""

import ctypes
import mmap
import os
import struct
import sys

SETUP, ENTER = 425, 426
SQPOLL, SINGLE_MMAP = 2, 1
GETEVENTS, SQ_WAKEUP = 1, 2
ASYNC = 16
AT_FDCWD = -100
ENTRIES = 8
LIBC = ctypes.CDLL(None, use_errno=True)
KEPT: list[object] = []


class Ring:
    """One ring; one operation at a time."""

    def __init__(self, flags: int) -> None:
        parameters = bytearray(120)
        struct.pack_into("=IIIII", parameters, 0, 0, 0, flags, 0, 1000)
        area = (ctypes.c_char * len(parameters)).from_buffer(parameters)
        self.fd = LIBC.syscall(SETUP, ENTRIES, area)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "io_uring_setup")
        self.flags = flags
        entries, completions = struct.unpack_from("=II", parameters)
        (self.head, self.tail, _mask, _size, _flags, _dropped, self.array) = struct.unpack_from(
            "=7I", parameters, 40
        )
        (self.done_head, self.done_tail, _mask, _size, _over, self.done) = struct.unpack_from(
            "=6I", parameters, 80
        )
        size = max(self.array + entries * 4, self.done + completions * 16)
        self.memory = mmap.mmap(self.fd, size, offset=0)
        self.requests = mmap.mmap(self.fd, entries * 64, offset=0x10000000)
        self.mask, self.done_mask = entries - 1, completions - 1

    def run(self, opcode: int, fd: int, flags: int = 0, off: int = 0, addr: int = 0, length: int = 0) -> int:
        """Submits one operation and waits for it: its result."""
        (tail,) = struct.unpack_from("=I", self.memory, self.tail)
        slot = tail & self.mask
        struct.pack_into(
            "=BBHiQQI36s", self.requests, slot * 64, opcode, flags, 0, fd, off, addr, length, b""
        )
        struct.pack_into("=I", self.memory, self.array + slot * 4, slot)
        struct.pack_into("=I", self.memory, self.tail, tail + 1)
        how = GETEVENTS | (SQ_WAKEUP if self.flags & SQPOLL else 0)
        if LIBC.syscall(ENTER, self.fd, 1, 1, how, None, 0) < 0:
            raise OSError(ctypes.get_errno(), "io_uring_enter")
        (head,) = struct.unpack_from("=I", self.memory, self.done_head)
        _user, result, _flags = struct.unpack_from(
            "=QiI", self.memory, self.done + (head & self.done_mask) * 16
        )
        struct.pack_into("=I", self.memory, self.done_head, head + 1)
        return int(result)


def address_of(data: bytes) -> int:
    """Address of a copy of ``data`` that stays."""
    buffer = ctypes.create_string_buffer(data, len(data) + 1)
    KEPT.append(buffer)
    return ctypes.addressof(buffer)


def perform(ring: Ring, word: str, flags: int) -> int:
    """One operation, by its name in the kernel."""
    name, _, argument = word.partition("=")
    path = address_of(os.fsencode(argument))
    if name == "epoll_ctl":
        epoll, (reading, _writing) = LIBC.epoll_create1(0), os.pipe()
        event = address_of(struct.pack("=IQ", 1, 0))
        return ring.run(29, epoll, flags, off=reading, addr=event, length=1)
    if name == "read":
        return ring.run(22, os.open(argument, os.O_RDONLY), flags, addr=address_of(bytes(64)), length=64)
    if name == "connect":
        to = struct.pack("=H2s4s8x", 2, int(argument).to_bytes(2, "big"), bytes([127, 0, 0, 1]))
        return ring.run(16, LIBC.socket(2, 1, 0), flags, off=len(to), addr=address_of(to))
    codes = {"nop": 0, "unlinkat": 36, "openat": 18}
    return ring.run(codes[name] if name in codes else int(name), AT_FDCWD, flags, addr=path)


def main(words: list[str]) -> None:
    """Runs them in order."""
    ring = Ring(SQPOLL if "sqpoll" in words else 0)
    for word in words:
        if word not in ("sqpoll", "async"):
            result = perform(ring, word, ASYNC if "async" in words else 0)
            sys.stdout.write(f"{word} {result}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
