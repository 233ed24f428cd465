"""Fixtures for every test, and the list of what the run really used."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from hypothesis import settings

# The same examples on every run, so that a red suite is red for its commit. `POLYGRAPH_EXAMPLES=2000 pytest …` looks
# further, at random: what it finds becomes a test of its own.
settings.register_profile("fixed", derandomize=True, database=None, deadline=None)
settings.register_profile(
    "search", max_examples=int(os.environ.get("POLYGRAPH_EXAMPLES", "100")), database=None, deadline=None
)
settings.load_profile("search" if "POLYGRAPH_EXAMPLES" in os.environ else "fixed")

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
