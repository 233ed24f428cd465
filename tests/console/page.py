"""Reads a report as a browser's parser would, without one."""

from __future__ import annotations

from dataclasses import dataclass
from html.parser import HTMLParser

_VOID = {"meta", "link", "img", "br", "hr", "input", "base"}


@dataclass
class Element:
    tag: str
    attributes: dict[str, str | None]
    path: tuple[str, ...]
    pieces: list[str]
    first: int
    end: int

    @property
    def text(self) -> str:
        """All text inside, that of its children too."""
        return "".join(self.pieces[self.first : self.end])

    @property
    def classes(self) -> list[str]:
        return (self.attributes.get("class") or "").split()


class Page(HTMLParser):
    """``elements`` in order; ``text`` is all text outside of script and style; ``problems`` must be empty."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[Element] = []
        self._pieces: list[str] = []
        self._shown: list[str] = []
        self.problems: list[str] = []
        self._open: list[Element] = []
        self.feed(source)
        self.close()
        self.text = "".join(self._shown)
        if self._open:
            self.problems.append(f"left open: {[e.tag for e in self._open]}")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        if len(set(names)) != len(names):
            self.problems.append(f"attribute twice on {tag}")
        element = self._element(tag, attrs)
        self.elements.append(element)
        if tag not in _VOID:
            self._open.append(element)

    def _element(self, tag: str, attrs: list[tuple[str, str | None]]) -> Element:
        at = len(self._pieces)
        return Element(tag, dict(attrs), tuple(e.tag for e in self._open), self._pieces, at, at)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(self._element(tag, attrs))

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open[-1].tag != tag:
            self.problems.append(f"</{tag}> closes {self._open[-1].tag if self._open else 'nothing'}")
            return
        self._open.pop().end = len(self._pieces)

    def handle_data(self, data: str) -> None:
        self._pieces.append(data)
        if not self._open or self._open[-1].tag not in ("script", "style"):
            self._shown.append(data)

    def handle_comment(self, data: str) -> None:
        self.problems.append(f"comment: {data[:40]}")

    def shape(self) -> list[tuple[str, tuple[str, ...], tuple[str, ...]]]:
        """Tags, attribute names and nesting: what a hostile string must not be able to change."""
        return [(e.tag, tuple(e.attributes), e.path) for e in self.elements]

    def having(self, name: str) -> list[Element]:
        return [element for element in self.elements if name in element.classes]

    def ids(self) -> list[str]:
        return [value for e in self.elements if (value := e.attributes.get("id"))]
