"""The programs that serve or launch for others."""

from __future__ import annotations

from pathlib import Path

from collector.kernel.delegators import delegator_files, delegators
from collector.kernel.wire import Service


def test_the_table_holds_absolute_paths_once() -> None:
    table = delegators()
    paths = [*table.ssh, *table.tmux, *table.launcher]
    assert len(paths) == len(set(paths)) > 10
    assert all(Path(path).is_absolute() for path in paths)


def test_those_of_this_host_are_told_as_the_kernel_knows_files() -> None:
    """tmux and sshd are among what the tests need (scripts/install-system.sh)."""
    files = {(dev, ino): service for dev, ino, service in delegator_files()}
    for path, service in (
        ("/usr/bin/tmux", Service.PG_SERVICE_TMUX),
        ("/usr/sbin/sshd", Service.PG_SERVICE_SSH),
    ):
        found = Path(path).stat()
        assert files[found.st_dev, found.st_ino] is service
