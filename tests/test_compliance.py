"""docs/compliance.md: every statement names a test, and every test that is named exists and is run."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "compliance.md").read_text("utf-8")
_NODE = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def functions(path: Path) -> set[str]:
    """The tests of a module, as pytest would collect them."""
    return {
        node.name
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def test_every_test_that_is_named_exists() -> None:
    named = _NODE.findall(PAGE)
    missing = [
        f"{path}::{name}"
        for path, name in named
        if not (ROOT / path).is_file() or name not in functions(ROOT / path)
    ]
    assert missing == [] and len(named) > 25


def test_every_statement_names_one() -> None:
    rows = [
        line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith("| statement")
    ]
    rows = [row for row in rows if not set(row) <= set("|- ")]
    assert [row for row in rows if not _NODE.search(row)] == []


def test_it_claims_no_proof() -> None:
    assert "nothing here is legal advice or a proof of" in PAGE
