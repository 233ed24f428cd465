"""One Jaeger for the tests of a module."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.exporters import jaeger
from tests.exporters.jaeger import VERSION, Jaeger


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, report_used: Callable[[str, str], None]
) -> Iterator[Jaeger]:
    """It runs, and has nothing in it."""
    with jaeger.running(tmp_path_factory.mktemp("jaeger")) as running:
        report_used("jaeger", VERSION)
        yield running
