"""TLS libraries that a command is likely to load: probed before it starts, so that its first bytes are seen.

Everything else is found when it is mapped (collector/tls/probes.py), which is a moment later.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

#: where the dynamic linker's own libraries lie, multiarch folders first
_FOLDERS = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib")
#: OpenSSL, GnuTLS, and both libraries of NSS: a command speaks a few milliseconds after it began
_LIBRARIES = ("libssl.so.*", "libgnutls.so.*", "libssl3.so", "libnspr4.so")
_SHEBANG = 256  # BINPRM_BUF_SIZE, include/uapi/linux/binfmts.h


def candidates(command: str, path: str | None = None) -> list[Path]:
    """Files worth a look, each once: the system's libraries, ours, and the program that ``command`` comes down to.

    ``path`` is the PATH in which ``#!/usr/bin/env NAME`` is looked up.
    """
    found: dict[tuple[int, int], Path] = {}
    for candidate in (*_system(), *_own(), *_programs(command, path)):
        try:
            state = candidate.stat()
        except OSError:
            continue
        if stat.S_ISREG(state.st_mode):
            found.setdefault((state.st_dev, state.st_ino), candidate)
    return list(found.values())


def _system() -> Iterator[Path]:
    for folder in _FOLDERS:
        root = Path(folder)
        if root.is_dir():
            for library in _LIBRARIES:
                yield from sorted(root.glob(library))
                yield from sorted(root.glob(f"*-linux-gnu*/{library}"))


def _own() -> Iterator[Path]:
    """What holds the TLS of this very interpreter: the canary speaks through it."""
    import _ssl  # noqa: F401 - mapped by its import

    for line in Path("/proc/self/maps").read_text("utf-8", "replace").splitlines():
        fields = line.split(None, 5)
        if len(fields) == 6 and "x" in fields[1] and _may_hold_tls(fields[5]):
            yield Path(fields[5])


def _may_hold_tls(path: str) -> bool:
    name = path.rsplit("/", 1)[-1]
    return path.startswith("/") and name.startswith(("libssl", "_ssl", "libpython", "python"))


def _programs(command: str, path: str | None) -> Iterable[Path]:
    """The program itself and, for a script, its interpreter."""
    program = Path(command)
    yield program
    try:
        with program.open("rb") as file:
            first = file.read(_SHEBANG)
    except OSError:
        return
    if not first.startswith(b"#!"):
        return
    words = os.fsdecode(first[2:].split(b"\n", 1)[0]).split()
    if not words:
        return
    yield Path(words[0])
    if words[0].rsplit("/", 1)[-1] == "env":
        for word in words[1:]:
            if not word.startswith("-") and "=" not in word:
                interpreter = shutil.which(word, path=path)
                if interpreter:
                    yield Path(interpreter)
                return
