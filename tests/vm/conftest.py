"""Boots the guests that the chosen tests ask for as soon as they are known, beside the tests that come first."""

from __future__ import annotations

import pytest

from tests.vm.lane import GUESTS, VERSIONS, Lane


def pytest_collection_finish(session: pytest.Session) -> None:
    asked = {
        item.callspec.params.get("boot")
        for item in session.items
        if isinstance(item, pytest.Function) and hasattr(item, "callspec")
    }
    versions = [version for version in VERSIONS if version in asked]
    if versions and not session.config.option.collectonly:
        session.config.stash[GUESTS] = Lane(versions)


def pytest_unconfigure(config: pytest.Config) -> None:
    lane = config.stash.get(GUESTS, None)
    if lane is not None:
        lane.close()
