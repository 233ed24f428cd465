"""The programs of data/delegators.toml that this host has, as the kernel side knows files."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from functools import cache
from importlib import resources
from pathlib import Path

import msgspec

from collector.kernel.wire import Service


class Delegators(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """data/delegators.toml: paths by service."""

    ssh: tuple[str, ...]
    tmux: tuple[str, ...]
    launcher: tuple[str, ...]


@cache
def delegators() -> Delegators:
    """The table. Raises msgspec.ValidationError when it is malformed."""
    raw = tomllib.loads(resources.files("collector").joinpath("data/delegators.toml").read_text("utf-8"))
    return msgspec.convert(raw, Delegators)


def delegator_files() -> Iterator[tuple[int, int, Service]]:
    """(device as stat(2) tells it, inode, service) of those that are here."""
    table = delegators()
    for paths, service in (
        (table.ssh, Service.PG_SERVICE_SSH),
        (table.tmux, Service.PG_SERVICE_TMUX),
        (table.launcher, Service.PG_SERVICE_LAUNCHER),
    ):
        for path in paths:
            try:
                found = Path(path).stat()
            except OSError:
                continue
            yield found.st_dev, found.st_ino, service
