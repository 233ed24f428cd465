"""Paths that a command will write to, judged before anything is started."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from polygraph.commands._output import check_report, open_json
from polygraph.errors import PolygraphError


def test_a_report_that_can_be_written_is_let_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "old.html"
    old.write_text("of the last run")
    check_report(old)
    check_report(tmp_path / "new.html")
    check_report(None)
    monkeypatch.chdir(tmp_path)
    check_report(Path("new.html"))
    assert [path.name for path in tmp_path.iterdir()] == ["old.html"] and old.read_text() == "of the last run"


@pytest.mark.parametrize(("name", "why"), [(".", "it is a folder"), ("none/page.html", "does not exist")])
def test_a_report_that_cannot_be_written_is_said(name: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(PolygraphError, match=why) as caught:
        check_report(tmp_path / name)
    assert "--report" in caught.value.advice


def test_a_report_where_nothing_may_be_written_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    monkeypatch.setattr(
        os, "access", lambda path, _mode: asked.append(path)
    )  # root may write nearly everywhere
    for name, judged in (("new.html", tmp_path), ("old.html", tmp_path / "old.html")):
        (tmp_path / "old.html").touch()
        with pytest.raises(PolygraphError, match="it may not be written"):
            check_report(tmp_path / name)
        assert asked[-1] == judged


def test_verdicts_that_cannot_be_written_are_said(tmp_path: Path) -> None:
    with pytest.raises(PolygraphError, match="cannot write verdicts"):
        open_json(tmp_path)
