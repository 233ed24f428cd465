"""ELF files that are made here, and what the collector finds and pyelftools reads in any."""

from __future__ import annotations

import _ssl
import os
import subprocess
import sysconfig
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import grpc
import playwright
from elftools.elf.elffile import ELFFile
from elftools.elf.hash import GNUHashTable
from elftools.elf.sections import SymbolTableSection

from collector.tls.debugfile import Where
from collector.tls.discover import BlindTls, Finding, find

#: a library with the interface of OpenSSL, and a function that nobody exports
LIBRARY = """
#define API(NAME) int NAME(void *ssl) { volatile int seen = 0; for (int i = 0; i < 9; i++) seen += i; return seen; }
API(SSL_read) API(SSL_write) API(SSL_read_ex) API(SSL_write_ex) API(SSL_free) API(SSL_ctrl)
__attribute__((visibility("hidden"))) API(SSL_hidden)
int SSL_data = 3;
int use(void) { return SSL_hidden(0); }
"""


def build(where: Path, source: str, *flags: str) -> Path:
    """Compiles C text to the file ``where``."""
    subprocess.run(
        ["cc", "-x", "c", "-O1", "-o", str(where), "-", *flags],
        input=source,
        text=True,
        check=True,
        timeout=60,
    )
    return where


def library(where: Path, source: str = LIBRARY, *flags: str) -> Path:
    """A shared library of C text."""
    return build(where, source, "-shared", "-fPIC", *flags)


def strip(path: Path) -> Path:
    """A copy without .symtab."""
    stripped = path.with_name(f"{path.name}.stripped")
    subprocess.run(["strip", "-o", str(stripped), str(path)], check=True, timeout=60)
    return stripped


@contextmanager
def opened(path: Path) -> Iterator[int]:
    """A descriptor of anything that can be read, a folder too."""
    fd = os.open(path, os.O_RDONLY)
    try:
        yield fd
    finally:
        os.close(fd)


def found(path: Path, *where: Where) -> Finding | BlindTls | None:
    """What collector/tls/discover.py finds in a file."""
    with opened(path) as fd:
        return find(fd, *where)


@cache
def installed() -> dict[str, Path]:
    """Files that every machine with the development requirements has, by a name for each."""
    system = Path("/usr/lib", sysconfig.get_config_var("MULTIARCH") or "x86_64-linux-gnu")
    found = {
        "libssl": next(system.glob("libssl.so.*")),
        "libcrypto": next(system.glob("libcrypto.so.*")),
        "cygrpc": next(Path(grpc.__file__).parent.glob("_cython/cygrpc*.so")),
        "node": Path(playwright.__file__).parent / "driver/node",
        "libc": system / "libc.so.6",
    }
    if getattr(_ssl, "__file__", None):
        found["_ssl"] = Path(_ssl.__file__)
    return found


def reference(path: Path, names: Iterable[str]) -> dict[str, set[int]]:
    """Addresses of the functions that pyelftools finds for ``names``: exported ones, through the hash table."""
    found: dict[str, set[int]] = {}
    with path.open("rb") as file:
        elf = ELFFile(file)
        table = elf.get_section_by_name(".dynsym")
        hashes = GNUHashTable(elf, elf.get_section_by_name(".gnu.hash")["sh_offset"], table)
        for name in names:
            symbol = hashes.get_symbol(name)
            if (
                symbol is not None
                and symbol["st_info"]["type"] == "STT_FUNC"
                and symbol["st_shndx"] != "SHN_UNDEF"
            ):
                found[name] = {symbol["st_value"]}
    return found


def functions(path: Path, table: str) -> dict[str, set[int]]:
    """All defined functions of a symbol table and their addresses, as pyelftools reads them."""
    found: dict[str, set[int]] = {}
    with path.open("rb") as file:
        symbols = ELFFile(file).get_section_by_name(table)
        if not isinstance(symbols, SymbolTableSection):
            return {}
        for symbol in symbols.iter_symbols():
            if (
                symbol["st_info"]["type"] == "STT_FUNC"
                and isinstance(symbol["st_shndx"], int)
                and symbol.name
            ):
                found.setdefault(symbol.name, set()).add(symbol["st_value"])
    return found
