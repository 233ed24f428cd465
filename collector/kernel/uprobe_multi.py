"""Many probes on one file in one step: bpf(2)'s uprobe_multi link, from Linux 6.6 on.

A probe made through perf takes the lock of all trace events and a copy of the arguments; while something else is
attached or let go of on the host, a library's eleven probes then take seconds, in which the process speaks unseen.
The link takes neither. libbpf has a function for it from 1.3 on; Debian 12 has 1.1, so it is called here.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Sequence

from collector.kernel.libbpf import KernelError

#: include/uapi/linux/bpf.h: enum bpf_attach_type, expected of the programs when they are loaded
BPF_TRACE_UPROBE_MULTI = 48

# enum bpf_cmd, enum bpf_prog_type and BPF_F_UPROBE_MULTI_RETURN of the same file; bpf(2)'s number of x86-64.
_PROG_LOAD = 5
_LINK_CREATE = 28
_PROG_TYPE_KPROBE = 2
_RETURN = 1
_NR_BPF = 321
#: attr.link_create: prog_fd, target_fd, attach_type, flags; uprobe_multi: path, offsets, ref_ctr_offsets, cookies,
#: cnt, flags, pid
_CREATE = struct.Struct("=IIIIQQQQIII4x")
#: attr of PROG_LOAD as far as expected_attach_type: prog_type, insn_cnt, insns, license, log_level, log_size,
#: log_buf, kern_version, prog_flags, prog_name, prog_ifindex, expected_attach_type
_LOAD = struct.Struct("=IIQQIIQII16sII")
#: struct bpf_insn: r0 = 0; exit
_NOTHING = struct.pack("=BBhi", 0xB7, 0, 0, 0) + struct.pack("=BBhi", 0x95, 0, 0, 0)


class MultiLink:
    """Probes of one program at several offsets of one file; ``close`` takes them away."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def close(self) -> None:
        """Detaches."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def attach(
    program: int, binary: bytes, offsets: Sequence[int], cookie: int = 0, *, at_return: bool
) -> MultiLink:
    """Probes the file offsets of ``binary`` for all processes; ``program`` is its descriptor. Raises KernelError.

    The program is told ``cookie`` when it runs (bpf_get_attach_cookie).
    """
    path = ctypes.create_string_buffer(binary)
    places = (ctypes.c_uint64 * len(offsets))(*offsets)
    cookies = (ctypes.c_uint64 * len(offsets))(*[cookie] * len(offsets))
    attributes = _CREATE.pack(
        *(program, 0, BPF_TRACE_UPROBE_MULTI, 0),
        *(ctypes.addressof(path), ctypes.addressof(places), 0, ctypes.addressof(cookies)),
        *(len(offsets), _RETURN if at_return else 0, 0),
    )
    fd = _bpf(_LINK_CREATE, attributes)
    if fd < 0:
        raise KernelError(f"cannot attach to {os.fsdecode(binary)}", -fd)
    return MultiLink(fd)


def supported() -> bool:
    """Whether this kernel has such links, found by asking for one on a folder: EBADF says that it looked there."""
    code, licence = ctypes.create_string_buffer(_NOTHING), ctypes.create_string_buffer(b"GPL")
    program = _bpf(
        _PROG_LOAD,
        _LOAD.pack(
            *(_PROG_TYPE_KPROBE, len(_NOTHING) // 8, ctypes.addressof(code), ctypes.addressof(licence)),
            *(0, 0, 0, 0, 0, b"", 0, BPF_TRACE_UPROBE_MULTI),
        ),
    )
    if program < 0:
        return False
    try:
        attach(program, b"/", [0], at_return=False).close()
    except KernelError as error:
        return error.errno == errno.EBADF
    finally:
        os.close(program)
    return False


def _bpf(command: int, attributes: bytes) -> int:
    """bpf(2): its result, or the negative errno."""
    libc = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    result = int(libc.syscall(_NR_BPF, command, buffer, len(attributes)))
    return result if result >= 0 else -ctypes.get_errno()
