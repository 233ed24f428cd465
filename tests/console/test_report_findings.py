"""Findings on the report page."""

from __future__ import annotations

import msgspec
import pytest

from console.report import MAX_BYTES, ReportInput, render
from tests.console.hostile import HOSTILE, poisoned
from tests.console.page import Page
from tests.console.sample import looped, sample
from tests.console.test_report import page_of


def test_a_finding_has_its_sentence_path_evidence_and_figures() -> None:
    made = looped()
    page = page_of(made)
    first, second = page.having("finding")
    for told in (
        "reasoning loop",
        "same call",
        "asked 5 times in a row for Bash in tests;",
        "The model asked for the same with the same arguments",
        "first call: asks for Bash",
        "call 5: asks for Bash",
        "exact",
        "exec python -m pytest -q",
        "12,000",
        "7.7 s",
        "0.0425",
    ):
        assert told in first.text
    assert "of a newer release" in second.text and "still open at the session's end" in second.text
    assert len(page.having("way")) == 1
    assert [a for a in page.elements if a.attributes.get("href") == "#findings"]


def test_evidence_and_steps_lead_to_the_process_they_are_about() -> None:
    page = page_of(looped())
    links = [
        e.attributes["href"] for e in page.elements if e.tag == "a" and "article" in e.path and "ol" in e.path
    ]
    assert len(links) == 3 and all(f"{link}"[1:] in page.ids() for link in links)


def test_without_findings_there_is_no_section() -> None:
    page = page_of(sample())
    assert not page.having("finding") and "h-findings" not in page.ids()
    assert not [e for e in page.elements if e.attributes.get("href") == "#findings"]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_crafted_string_changes_no_markup(text: str) -> None:
    clean = page_of(poisoned(looped(), "x"))
    page = page_of(poisoned(looped(), text))
    assert page.shape() == clean.shape()


def test_very_many_are_counted_and_the_page_stays_small() -> None:
    made = looped()
    long = msgspec.structs.replace(made.findings[0], summary="x" * 5000, path=made.findings[0].path * 400)
    many = [msgspec.structs.replace(long, id=f"f{number}") for number in range(500)]
    source = render(ReportInput(made.events, made.verdicts, many))
    page = Page(source)
    assert len(source.encode()) <= MAX_BYTES and page.problems == []
    shown = len(page.having("finding"))
    assert 0 < shown < 500 and f"{500 - shown} more are not listed here" in page.text
    assert "and 1,188 more steps" in page.text
