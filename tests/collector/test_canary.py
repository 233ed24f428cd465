"""collector/canary.py: what proves that it is told how far files are read. The rest: tests/live."""

from __future__ import annotations

import pytest
import zstandard

from collector.canary import PAGES, READ, reading_shown
from polygraph.openings import Extent, Opening, packed

OTHER = Extent("5:6", 1, 9, 7, 1, 20)


@pytest.mark.parametrize(
    "rows, shown",
    [
        ([], False),
        ([Opening("5:6", 1, 2, 3), OTHER], False),
        ([Opening("5:6", 1, 2, 3), OTHER, Extent("5:6", 1, 2, 3, READ, PAGES)], True),
        ([Extent("5:6", 1, 2, 3, READ - 1, PAGES)], False),
        ([Extent("5:6", 1, 2, 3, READ, PAGES), Extent("5:6", 1, 2, 4, READ - 1, PAGES)], False),
        ([Extent("5:6", 1, 2, 3, None, PAGES)], False),
    ],
)
def test_how_far_is_believed_only_where_the_canary_was_told_exactly(
    rows: list[Opening | Extent], shown: bool
) -> None:
    """Its last read is a short one, which a kernel may answer past the hook."""
    raw = zstandard.ZstdDecompressor().decompress(packed(rows)) if rows else b""
    assert reading_shown(raw) is shown
