"""Does this file hold a TLS library, and where are the functions to probe? Certain, or not at all.

Functions of the OpenSSL interface, exported or named by the file's own symbol table: libssl, copies of it in
Python wheels, executables such as node. OpenSSL's SSL_read and SSL_read_ex both call an internal function, so
they do not nest; where a library nests them, bpf/tls.h tells the call once. Stacks that are recognised but cannot
be probed are named, so that a session whose agent uses them says so.
"""

from __future__ import annotations

import os
import stat
from typing import NamedTuple

from collector.tls.elf import Elf, ElfError
from polygraph.text import to_bytes

#: functions that are probed where they exist (bpf/tls.h)
PROBED = frozenset(
    {
        "SSL_read",
        "SSL_write",
        "SSL_read_ex",
        "SSL_write_ex",
        "SSL_free",
        "SSL_ctrl",
        "SSL_set_tlsext_host_name",
    }
)
_NEEDED = frozenset({"SSL_read", "SSL_write"})
_PROLOGUE = 16
_MAX_SIZE = 1 << 30

#: sonames of TLS libraries with another interface
_OTHER_LIBRARIES = {
    "libgnutls.so": ("gnutls", "GnuTLS has no probes in this version"),
    "libssl3.so": ("nss", "NSS has no probes in this version"),
    "libwolfssl.so": ("wolfssl", "wolfSSL has no probes in this version"),
    "libmbedtls.so": ("mbedtls", "Mbed TLS has no probes in this version"),
}


class Finding(NamedTuple):
    """A TLS library. ``functions``: name -> file offset, with the first bytes there in ``prologue``.

    ``reason`` says why it is not to be probed, None where it may be.
    """

    build_id: str
    library: str
    functions: dict[str, int]
    prologue: dict[str, bytes]
    reason: str | None = None


class BlindTls(NamedTuple):
    """A TLS stack that this version cannot see into."""

    name: str
    detail: str


def find(fd: int) -> Finding | BlindTls | None:
    """What the open file ``fd`` holds; None: no TLS that we know of."""
    state = os.fstat(fd)
    if not stat.S_ISREG(state.st_mode) or state.st_size > _MAX_SIZE or os.pread(fd, 4, 0) != b"\x7fELF":
        return None
    try:
        with os.fdopen(os.dup(fd), "rb") as file:
            elf = Elf(file)
            found = elf.functions(PROBED, _NEEDED)
            if not found:
                return _blind(elf)
            build_id = elf.build_id()
    except ElfError:
        return None
    functions = {name: function.offset for name, function in found.items()}
    library = "boringssl" if "SSL_set_tlsext_host_name" in found else "openssl"
    prologue = {name: os.pread(fd, _PROLOGUE, offset) for name, offset in functions.items()}
    missing = _NEEDED - functions.keys()
    if missing == _NEEDED:
        return None  # something that merely shares a name, such as SSL_free of a wrapper
    reason = f"{', '.join(sorted(missing))} is not in it" if missing else None
    if any(len(code) < _PROLOGUE for code in prologue.values()):
        reason = "a function lies at the end of the file"
    return Finding(build_id, library, functions, prologue, reason)


def _blind(elf: Elf) -> BlindTls | None:
    soname = elf.soname()
    for prefix, (name, detail) in _OTHER_LIBRARIES.items():
        if soname.startswith(prefix):
            return BlindTls(name, detail)
    if ".go.buildinfo" in elf.sections():
        return BlindTls("go_tls", "a Go program, whose crypto/tls has no probes in this version")
    return None


def open_mapped(pid: int, path: str, ino: int) -> int | None:
    """Opens the very file that process ``pid`` mapped from ``path``; None when it is out of reach or another one.

    The path is looked up in the process's own root; the inode number must agree. The device is not compared: stat
    tells another one than the kernel's on btrfs and overlayfs.
    """
    if not path.startswith("/"):
        return None
    name = f"/proc/{pid}/root".encode() + to_bytes(path)
    try:
        fd = os.open(name, os.O_PATH | os.O_CLOEXEC)
    except (OSError, ValueError):
        return None
    try:
        state = os.fstat(fd)
        if not stat.S_ISREG(state.st_mode) or state.st_ino != ino:
            return None
        return os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    finally:
        os.close(fd)
