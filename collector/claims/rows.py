"""Rows of a Markdown table that tell what was done: "| Tests | ✅ 34 passed |" as "Tests: ✅ 34 passed"."""

from __future__ import annotations

import re

from collector.claims.language import language

_RULE = re.compile(r"\s*\|?(?:\s*:?-{2,}:?\s*\|?)+\s*")
_BAR = re.compile(r"(?<!\\)\|")
#: a mark or a number, without which a cell may tell what is to be
_TOLD = re.compile(r"[✅✓✔☑]|\d")
_MAX_CELLS = 6


class Table:
    """Reads the lines of a text one after the other; a heading counts only above its rule ("|---|---|")."""

    def __init__(self) -> None:
        self._head = ""
        self._ruled = False

    def row(self, line: str) -> str | None:
        """What a line says as a row of a table that is read; None of any other line."""
        if not line.lstrip().startswith("|"):
            self._head, self._ruled = "", False
            return None
        if not self._head:
            self._head = "|".join(cell.strip(" *_").lower() for cell in _cells(line))
            return None
        if not self._ruled:
            self._ruled = _RULE.fullmatch(line) is not None
            return None
        rows = language().rows
        name, *told = _cells(line)
        if not told or not name:
            return None
        if rows.files.fullmatch(self._head) or (rows.checks.fullmatch(self._head) and _TOLD.search(told[0])):
            return f"{name.strip('*_ ')}: {told[0]}"
        return None


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in _BAR.split(line.strip().strip("|"))][:_MAX_CELLS]
