"""polygraph/findings.py: the table of detectors, and its documentation."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from polygraph.findings import Finding, decode, detectors, encode
from polygraph.verdicts import Evidence, Window

_DOCS = Path(__file__).parents[2] / "docs" / "findings.md"


def _sections() -> dict[str, str]:
    parts = re.split(r"^## (\w+)$", _DOCS.read_text("utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_each_detector_has_its_section() -> None:
    assert set(detectors()) <= set(_sections())


@pytest.mark.parametrize("name", detectors())
def test_a_section_has_the_kinds_and_thresholds_of_its_row(name: str) -> None:
    row, section = detectors()[name], _sections()[name]
    assert row.sentence in " ".join(section.split())
    for kind, entry in row.kinds.items():
        assert f"`{kind}`" in section and entry.sentence in " ".join(section.split()), kind
    for threshold in row.thresholds:
        assert f"`{threshold}`" in section, threshold


def test_a_finding_is_written_and_read() -> None:
    finding = Finding(
        id="f1",
        session="s",
        ts=1,
        detector="d",
        kind="k",
        summary="words",
        evidence=(Evidence(id="e1", ts=1, fact="fact"),),
        window=Window(open=0, close=None),
        figures={"files": 2.0},
    )
    assert decode(encode(finding)) == finding
