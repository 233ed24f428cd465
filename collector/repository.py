"""What configures the repository that a session works in: a bounded look at its files, once, when it begins.

The files are untrusted as any: opened only if they are regular, and seen as the root process sees them (look.py).
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from functools import cache
from importlib import resources
from pathlib import Path

import msgspec

from collector.look import look_at
from polygraph.text import from_bytes

#: larger files are no configuration
_MAX_SIZE = 256 * 1024


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    files: tuple[str, ...]


@cache
def repository_files() -> tuple[str, ...]:
    """The table. Raises msgspec.ValidationError when it is malformed."""
    raw = tomllib.loads(
        resources.files("collector").joinpath("data/repository_files.toml").read_text("utf-8")
    )
    return msgspec.convert(raw, _Table).files


def configuration(root: bytes | None, cwd: str, home: str) -> Iterator[bytes]:
    """Contents of the files that configure what lies in ``cwd``; ``root`` as in :func:`collector.look.look_at`."""
    for name in repository_files():
        if name.startswith("~/") and not home:
            continue
        path = f"{home}/{name[2:]}" if name.startswith("~/") else name
        if not path.startswith("/") and not cwd.startswith("/"):
            continue
        looked = look_at(root, cwd, path, limit=_MAX_SIZE)
        if looked is not None and looked.content is not None:
            yield looked.content


def home_of(pid: int) -> str:
    """HOME of a process's environment; "" where it cannot be read or says none. Nothing else of it is kept."""
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return ""
    for row in environment.split(b"\0"):
        if row.startswith(b"HOME=/"):
            return from_bytes(row[5:]).rstrip("/")
    return ""
