"""polygraph/findings.py: the table of detectors, and docs/findings.md, which explains it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from polygraph.findings import DetectorRow, Finding, decode, detectors, encode
from polygraph.verdicts import Evidence, Window

PAGE = (Path(__file__).parents[2] / "docs" / "findings.md").read_text("utf-8")
SECTIONS = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE))


def test_each_detector_has_its_section() -> None:
    assert detectors() and detectors().keys() == SECTIONS.keys()


@pytest.mark.parametrize("name", detectors())
def test_a_section_names_each_kind_and_each_threshold_with_its_value(name: str) -> None:
    row: DetectorRow = detectors()[name]
    assert row.sentence.endswith(".") and row.kinds
    missing = [kind for kind in row.kinds if f"`{kind}`" not in SECTIONS[name]]
    missing += [
        key
        for key, threshold in row.thresholds.items()
        if f"`{key}` = {threshold.value:g}" not in SECTIONS[name] or not threshold.why or not threshold.unit
    ]
    assert missing == []


def test_a_finding_is_a_line() -> None:
    finding = Finding(
        id="f1",
        session="s",
        ts=1,
        detector="d",
        kind="k",
        summary="It was so.",
        evidence=(Evidence(id="e1", ts=1, fact="fact"),),
        window=Window(open=0, close=None),
        figures={"files": 2.0},
    )
    assert decode(encode(finding)) == finding and b"\n" not in encode(finding)
