"""collector/bounded.py: of too many entries the oldest go."""

from __future__ import annotations

from collections import OrderedDict

from collector.bounded import put


def test_the_newest_stay_and_what_is_put_again_is_new() -> None:
    memory: OrderedDict[str, int] = OrderedDict()
    for number, name in enumerate("abcad"):
        put(memory, name, number, 3)
    assert list(memory.items()) == [("c", 2), ("a", 3), ("d", 4)]
