"""TLS libraries that a command is likely to load: probed before it starts, so that its first bytes are seen.

Everything else is found when it is mapped (collector/tls/probes.py), which is a moment later: milliseconds, and about
a second for an executable of 100 MB whose functions have to be searched for.
"""

from __future__ import annotations

import os
import platform
import shutil
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

#: where the dynamic linker's own libraries lie, multiarch folders first
_FOLDERS = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib")
#: OpenSSL, GnuTLS, and both libraries of NSS: a command speaks a few milliseconds after it began
_LIBRARIES = ("libssl.so.*", "libgnutls.so.*", "libssl3.so", "libnspr4.so")
_SHEBANG = 256  # BINPRM_BUF_SIZE, include/uapi/linux/binfmts.h
#: bytes of a package.json, folders above a script in which it is looked for
_MANIFEST, _LEVELS = 64 << 10, 8
#: entries of a package that are looked at
_ENTRIES = 4096
#: how npm packages name the machine they are for (process.platform, process.arch)
_PLATFORM = f"linux-{ {'x86_64': 'x64', 'aarch64': 'arm64'}.get(platform.machine(), platform.machine()) }"


def candidates(command: str, path: str | None = None) -> list[Path]:
    """Files worth a look, each once: the system's libraries, ours, and the program that ``command`` comes down to.

    That is the program itself, a script's interpreter, and what a script of an npm package starts in its place.

    ``path`` is the PATH in which ``#!/usr/bin/env NAME`` is looked up.
    """
    found: dict[tuple[int, int], Path] = {}
    for candidate in (*_system(), *_own(), *programs(command, path)):
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


def programs(command: str, path: str | None) -> Iterable[Path]:
    """The program itself; for a script, also what it may start in its place, and its interpreter."""
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
    yield from _native(program)
    yield Path(words[0])
    if words[0].rsplit("/", 1)[-1] == "env":
        for word in words[1:]:
            if not word.startswith("-") and "=" not in word:
                interpreter = shutil.which(word, path=path)
                if interpreter:
                    yield Path(interpreter)
                return


class _Manifest(msgspec.Struct, frozen=True):
    """What of a package.json is needed."""

    optional: dict[str, str] = msgspec.field(name="optionalDependencies", default_factory=dict)


def _native(script: Path) -> Iterator[Path]:
    """Executables of the package for this machine that the script's npm package may start.

    A package with a native build for each platform names them all as optional (Claude Code, Codex); npm installs the
    one that fits, beside it or above.
    """
    try:
        folders = script.resolve().parents[:_LEVELS]
    except (OSError, RuntimeError):  # a loop of links
        return
    manifest = next(
        (folder / "package.json" for folder in folders if (folder / "package.json").is_file()), None
    )
    if manifest is None:
        return
    try:
        with manifest.open("rb") as file:
            names = msgspec.json.decode(file.read(_MANIFEST), type=_Manifest).optional
    except (OSError, msgspec.MsgspecError):
        return
    for name in names:
        if name.endswith(_PLATFORM) and ".." not in name:
            for folder in folders:
                yield from _executables(folder / "node_modules" / name)


def _executables(package: Path) -> Iterator[Path]:
    """Programs among the files of a package, not its libraries."""
    left = _ENTRIES
    for folder, _folders, files in os.walk(package):
        for name in files:
            left -= 1
            if left < 0:
                return
            path = Path(folder, name)
            if ".so" not in name and _is_program(path):
                yield path


def _is_program(path: Path) -> bool:
    try:
        state = path.lstat()
        if not (stat.S_ISREG(state.st_mode) and state.st_mode & stat.S_IXUSR):
            return False
        with path.open("rb") as file:
            return file.read(4) == b"\x7fELF"
    except OSError:
        return False
