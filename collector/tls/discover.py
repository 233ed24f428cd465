"""Does this file hold a TLS library, and where are the functions to probe? Certain, or not at all.

Functions of the OpenSSL interface are looked for by a ladder, and the first rung that holds is taken:

1. ``exported``: the dynamic symbols (libssl, copies of it in wheels, node);
2. ``symbols``: the file's own symbol table (cryptography's wheel);
3. ``debug_file``: symbols in a file of their own (collector/tls/debugfile.py);
4. ``build_id``: a build that is known (collector/tls/signatures.py, as the next);
5. ``signature``: code that is known, exactly once;
6. ``errors``: BoringSSL by the errors that it reports (collector/tls/boringssl.py).

Libraries with an interface of their own (GnuTLS, NSS) are found by the first two rungs, Go's by the table that its
runtime needs (``go_table``, collector/tls/golang.py), rustls by signatures (collector/tls/rustls_find.py).

OpenSSL's SSL_read and SSL_read_ex both call an internal function, so they do not nest; where a library nests them,
bpf/tls.h tells the call once. From the fourth rung on SSL_free is not found, and a connection ends where a handshake
begins another one at the same address. Stacks that are recognised but cannot be probed are named, so that a session
whose agent uses them says so: other libraries by their soname, and what is linked into a file without symbols by the
constants that TLS 1.3 needs.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from typing import Literal, NamedTuple

from collector.tls import boringssl, debugfile, golang, rustls_find, signatures
from collector.tls.debugfile import Where
from collector.tls.elf import Elf, ElfError, Symbol

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

#: sonames of TLS libraries with another interface
_OTHER_LIBRARIES = {
    "libgnutls.so": ("gnutls", "a GnuTLS that exports none of the functions that are probed"),
    "libssl3.so": ("nss", "an NSS that exports none of the functions that are probed"),
    "libwolfssl.so": ("wolfssl", "wolfSSL has no probes in this version"),
    "libmbedtls.so": ("mbedtls", "Mbed TLS has no probes in this version"),
}

Rung = Literal["exported", "symbols", "debug_file", "build_id", "signature", "errors", "go_table"]
_RUNG_OF: dict[str, Rung] = {"dynsym": "exported", "symtab": "symbols", "debug": "debug_file"}
_STATIC = "TLS is built in, without symbols, and its functions were not found"


#: names of stacks that are built into something else; a library may have one and never speak through it
BUILT_IN = frozenset({"static_tls", "rustls"})


class Finding(NamedTuple):
    """A TLS library. ``functions``: name -> file offsets (mostly one), with the first bytes at each in ``prologue``.

    ``rung``: by what they were found. ``reason`` says why it is not to be probed, None where it may be.
    """

    library: str
    functions: dict[str, tuple[int, ...]]
    prologue: dict[int, bytes]
    rung: Rung
    reason: str | None = None


class BlindTls(NamedTuple):
    """A TLS stack that this version cannot see into."""

    name: str
    detail: str


_NOWHERE = Where()


def find(fd: int, where: Where = _NOWHERE) -> Finding | BlindTls | None:
    """What the open file ``fd`` holds, which was met at ``where``; None: no TLS that we know of.

    A program that has TLS 1.3 built in may be None as well: see :func:`static_tls`.
    """
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
                return _interface(fd, elf) or _go(fd, elf) or _blind(elf) or _without_symbols(fd, elf, where)
            return _finding(fd, found, missing)
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
    return BlindTls("static_tls", _STATIC)


def _is_elf(fd: int) -> bool:
    return stat.S_ISREG(os.fstat(fd).st_mode) and os.pread(fd, 4, 0) == b"\x7fELF"


def _finding(fd: int, found: dict[str, tuple[Symbol, ...]], missing: frozenset[str]) -> Finding:
    functions = {name: (symbols[0].file_offset,) for name, symbols in found.items()}
    telling = _NEEDED & found.keys() or found.keys()
    tables = {found[name][0].table for name in telling}
    rung = _RUNG_OF["dynsym" if tables == {"dynsym"} else min(tables - {"dynsym"})]
    library = "boringssl" if "SSL_set_tlsext_host_name" in found else "openssl"
    finding = _placed(fd, library, functions, rung)
    reason = finding.reason
    if missing:
        reason = f"{', '.join(sorted(missing))} is not in it"
    for name in sorted(found):
        if len(found[name]) > 1:  # two copies of a library in one file, or a name that is given to two things
            reason = f"{name} stands for {len(found[name])} places in it"
    return finding._replace(reason=reason)


def _placed(fd: int, library: str, functions: Mapping[str, tuple[int, ...]], rung: Rung) -> Finding:
    """With the code at each place, which is compared before it is probed; a return instruction is one byte."""
    sizes = {
        offset: 1 if name.endswith(" RET") else _PROLOGUE
        for name, places in functions.items()
        for offset in places
    }
    prologue = {offset: os.pread(fd, size, offset) for offset, size in sizes.items()}
    cut = any(len(code) < sizes[offset] for offset, code in prologue.items())
    reason = "a function lies at the end of the file" if cut else None
    return Finding(library, dict(functions), prologue, rung, reason)


def _without_symbols(fd: int, elf: Elf, where: Where) -> Finding | BlindTls | None:
    """The rungs below the file's own symbols."""
    symbols = debugfile.symbols(elf, where, PROBED)
    if symbols.keys() >= _NEEDED:
        return _finding(fd, symbols, frozenset())
    known = signatures.known_build(elf)
    if known is not None:
        build, places = known
        return _placed(fd, build.library, places, "build_id")
    named = elf.naming((boringssl.FILE, rustls_find.MENTION, _LABELS[0]))
    boring = _boringssl(fd, elf) if boringssl.FILE in named else None
    rust = _rustls(fd, elf) if rustls_find.MENTION in named else None
    if boring is not None and rust is not None:
        return boring._replace(reason="both BoringSSL and rustls are built in, and only one can be probed")
    if boring is not None or rust is not None:
        return boring or rust
    if _LABELS[0] in named and not elf.is_program and elf.naming(_LABELS) == set(_LABELS):
        return BlindTls("static_tls", _STATIC)
    return None


def _interface(fd: int, elf: Elf) -> Finding | None:
    """A library with another interface, which it exports."""
    for library, needed, more in _INTERFACES:
        found = elf.symbols(needed | more)
        if needed & found.keys():
            finding = _finding(fd, found, needed - found.keys())
            return finding._replace(library=library)
    return None


def _go(fd: int, elf: Elf) -> Finding | BlindTls | None:
    if not golang.is_go(elf):
        return None
    try:
        functions = golang.functions(elf)
    except golang.GoError as error:
        return BlindTls("go_tls", f"a Go program: {error}")
    return _placed(fd, "go", functions, "go_table") if functions else None


def _rustls(fd: int, elf: Elf) -> Finding | BlindTls:
    places = rustls_find.functions(elf)
    if isinstance(places, str):
        return BlindTls("rustls", places)
    return _placed(fd, "rustls", places, "signature")


def _boringssl(fd: int, elf: Elf) -> Finding | None:
    """By signatures that are known, or by its errors."""
    matching = signatures.matching(elf)
    if matching and all(places == matching[0][1] for _pattern, places in matching):
        pattern, places = matching[0]
        return _placed(fd, pattern.library, places, "signature")
    try:
        addresses = boringssl.functions(elf)
    except boringssl.NotCertainError as error:
        return Finding("boringssl", {}, {}, "errors", str(error))
    if not addresses:
        return None
    placed = {name: tuple(map(elf.code_offset, places)) for name, places in addresses.items()}
    return _placed(fd, "boringssl", placed, "errors")


def _blind(elf: Elf) -> BlindTls | None:
    for prefix, (name, detail) in _OTHER_LIBRARIES.items():
        if elf.soname.startswith(prefix):
            return BlindTls(name, detail)
    return None
