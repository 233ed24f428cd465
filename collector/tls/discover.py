"""Does this file hold a TLS library, and where are the functions to probe? Certain, or not at all.

Functions of the OpenSSL interface, exported or named by the file's own symbol table: libssl, copies of it in
Python wheels, executables such as node. OpenSSL's SSL_read and SSL_read_ex both call an internal function, so
they do not nest; where a library nests them, bpf/tls.h tells the call once. Stacks that are recognised but cannot
be probed are named, so that a session whose agent uses them says so: other libraries by their soname, Go by its
section, and what is linked into a program without symbols by the constants that TLS 1.3 needs.
"""

from __future__ import annotations

import os
import stat
from typing import NamedTuple

from collector.tls import golang, rustls_find
from collector.tls.elf import Elf, ElfError, Symbol
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
#: labels of the key schedule (RFC 8446, section 7.1): whoever speaks TLS 1.3 derives its keys from these four
_LABELS = (b"c hs traffic", b"s hs traffic", b"c ap traffic", b"s ap traffic")

#: libraries with an interface of their own that they export: name, functions that must be there, and that may be
_INTERFACES: tuple[tuple[str, frozenset[str], frozenset[str]], ...] = (
    (
        "gnutls",
        frozenset({"gnutls_record_recv", "gnutls_record_send", "gnutls_deinit"}),
        frozenset(
            {
                "gnutls_record_send2",
                "gnutls_record_send_range",
                "gnutls_record_uncork",
                "gnutls_server_name_set",
            }
        ),
    ),
    ("nss", frozenset({"SSL_ImportFD"}), frozenset({"SSL_SetURL"})),
    (
        "nss",
        frozenset({"PR_Read", "PR_Write", "PR_Recv", "PR_Send", "PR_Close"}),
        frozenset({"PR_Writev"}),
    ),
)
#: GnuTLS behind names of OpenSSL: what it does is told by GnuTLS
_WRAPPERS = ("libgnutls-openssl.so",)

#: sonames of TLS libraries that are recognised and not read
_OTHER_LIBRARIES = {
    "libgnutls.so": ("gnutls", "a GnuTLS that exports none of the functions that are probed"),
    "libssl3.so": ("nss", "an NSS that exports none of the functions that are probed"),
    "libwolfssl.so": ("wolfssl", "wolfSSL has no probes in this version"),
    "libmbedtls.so": ("mbedtls", "Mbed TLS has no probes in this version"),
}


class Finding(NamedTuple):
    """A TLS library. ``functions``: name -> file offsets (mostly one), with the first bytes at each in ``prologue``.

    ``reason`` says why it is not to be probed, None where it may be.
    """

    build_id: str
    library: str
    functions: dict[str, tuple[int, ...]]
    prologue: dict[int, bytes]
    reason: str | None = None


class BlindTls(NamedTuple):
    """A TLS stack that this version cannot see into."""

    name: str
    detail: str


def find(fd: int) -> Finding | BlindTls | None:
    """What the open file ``fd`` holds; None: no TLS that we know of."""
    if not _is_elf(fd):
        return None
    try:
        with os.fdopen(os.dup(fd), "rb") as file:
            elf = Elf(file)
            if elf.soname.startswith(_WRAPPERS):
                return None
            found = elf.symbols(PROBED, _NEEDED)
            missing = _NEEDED - found.keys()
            if missing == _NEEDED:  # at most something that shares a name, such as SSL_free of a wrapper
                return _other(fd, elf)
            return _finding(fd, elf.build_id, found, missing)
    except ElfError:
        return None


def static_tls(fd: int) -> BlindTls | None:
    """Whether the program ``fd``, in which :func:`find` finds nothing, has TLS 1.3 built in.

    Searches up to ``elf.MAX_SEARCH`` bytes: for a program that is known to talk to a model, not for every one.
    """
    if not _is_elf(fd):
        return None
    try:
        with os.fdopen(os.dup(fd), "rb") as file:
            if not Elf(file).holds(_LABELS):
                return None
    except ElfError:
        return None
    return BlindTls("static_tls", "TLS is built into the program, which has no symbols for it")


def _is_elf(fd: int) -> bool:
    return stat.S_ISREG(os.fstat(fd).st_mode) and os.pread(fd, 4, 0) == b"\x7fELF"


def _finding(
    fd: int, build_id: str, found: dict[str, tuple[Symbol, ...]], missing: frozenset[str]
) -> Finding:
    functions: dict[str, tuple[int, ...]] = {
        name: (symbols[0].file_offset,) for name, symbols in found.items()
    }
    prologue = {offset: os.pread(fd, _PROLOGUE, offset) for places in functions.values() for offset in places}
    reason = None
    if missing:
        reason = f"{', '.join(sorted(missing))} is not in it"
    elif any(len(code) < _PROLOGUE for code in prologue.values()):
        reason = "a function lies at the end of the file"
    for name in sorted(found):
        if len(found[name]) > 1:  # two copies of a library in one file, or a name that is given to two things
            reason = f"{name} stands for {len(found[name])} places in it"
    library = "boringssl" if "SSL_set_tlsext_host_name" in found else "openssl"
    return Finding(build_id, library, functions, prologue, reason)


def _other(fd: int, elf: Elf) -> Finding | BlindTls | None:
    """A stack without OpenSSL's interface."""
    for library, needed, more in _INTERFACES:
        found = elf.symbols(needed | more)
        if needed & found.keys():
            finding = _finding(fd, elf.build_id, found, needed - found.keys())
            return finding._replace(library=library)
    if golang.is_go(elf):
        try:
            functions = golang.functions(elf)
        except golang.GoError as error:
            return BlindTls("go_tls", f"a Go program: {error}")
        return _placed(fd, elf, "go", functions) if functions else None
    if rustls_find.mentions(elf):
        places = rustls_find.functions(elf)
        if isinstance(places, str):
            return BlindTls("rustls", places)
        return _placed(fd, elf, "rustls", places)
    return _blind(elf)


def _placed(fd: int, elf: Elf, library: str, functions: dict[str, tuple[int, ...]]) -> Finding:
    """Functions that were found otherwise than by name; a return instruction is one byte."""
    prologue = {
        offset: os.pread(fd, 1 if name.endswith(" RET") else _PROLOGUE, offset)
        for name, places in functions.items()
        for offset in places
    }
    return Finding(elf.build_id, library, functions, prologue)


def _blind(elf: Elf) -> BlindTls | None:
    for prefix, (name, detail) in _OTHER_LIBRARIES.items():
        if elf.soname.startswith(prefix):
            return BlindTls(name, detail)
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
