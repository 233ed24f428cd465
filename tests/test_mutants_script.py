"""scripts/mutants.py: its list of changes that change no verdict fits the code. That they are all is `make mutants`."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.mutants import GROUPS, LISTED, Row, lost, mutated, rows


def test_each_row_is_about_code_that_is_there() -> None:
    listed = rows()
    assert lost(listed) == []
    assert {row.file for row in listed} <= {file for group in GROUPS for file in mutated(group)}


@pytest.mark.parametrize("group", GROUPS)
def test_each_pattern_finds_something(group: str) -> None:
    assert len(mutated(group)) >= len(GROUPS[group])


def test_a_row_whose_line_has_changed_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(
        "class C:\n    def f(self):\n        if (\n            x\n        ):\n            pass\n"
    )
    there = Row("a.py", "C.f", "if ( x ):", ("if ( y ):",), "…")
    assert lost([there], tmp_path) == []
    gone = [
        Row("b.py", "C.f", "if ( x ):", ("…",), "…"),
        Row("a.py", "C.g", "if ( x ):", ("…",), "…"),
        Row("a.py", "f", "if ( x ):", ("…",), "…"),
        Row("a.py", "C.f", "if ( z ):", ("…",), "…"),
    ]
    assert lost([there, *gone], tmp_path) == gone


@pytest.mark.parametrize("leave_out", ["file", "function", "was", "now", "why"])
def test_a_row_says_all(tmp_path: Path, leave_out: str) -> None:
    row = {"file": '"a.py"', "function": '"f"', "was": '"x"', "now": '["y"]', "why": '"…"'}
    listed = tmp_path / LISTED.name

    def write(words: dict[str, str]) -> None:
        text = "\n".join(f"{name} = {value}" for name, value in words.items())
        listed.write_text(f"[[changes_no_verdict]]\n{text}\n", "utf-8")

    write(row)
    assert rows(listed) == [Row("a.py", "f", "x", ("y",), "…")]
    write({name: value for name, value in row.items() if name != leave_out})
    with pytest.raises(ValueError, match=LISTED.name):
        rows(listed)
