"""The collector and ``observe`` of tests/live, on the host: an emulated machine has no load to speak of."""

from tests.live.conftest import collector, observe

__all__ = ["collector", "observe"]
