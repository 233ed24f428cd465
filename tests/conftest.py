"""Fixtures for every test, and the list of what the run really used."""

from __future__ import annotations

from collections.abc import Callable

import pytest

_USED = pytest.StashKey[set[tuple[str, str]]]()


def pytest_configure(config: pytest.Config) -> None:
    used: set[tuple[str, str]] = set()
    config.stash[_USED] = used


@pytest.fixture(scope="session")
def report_used(pytestconfig: pytest.Config) -> Callable[[str, str], None]:
    """`report_used("kernel", "6.1.0-50-amd64")` prints `used: kernel 6.1.0-50-amd64` at the end of the run.

    For versions that no lock file fixes: kernels, browsers, clients, servers, as they name themselves.
    """

    def report(name: str, version: str) -> None:
        pytestconfig.stash[_USED].add((name, version))

    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    used = config.stash[_USED]
    for name, version in sorted(used):
        terminalreporter.write_line(f"used: {name} {version}")
