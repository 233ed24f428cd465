"""Markdown of a model to the sentences that may claim something: :func:`sentences`.

Left out: fenced and indented code, quotations, most tables (rows.py), tagged blocks, open check boxes, and what
stands below a heading or an intro line that speaks of plans, examples or other people's work.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from collector.claims.language import Compiled, language
from collector.claims.rows import Table

#: most characters of a text that are looked at, and of a sentence
MAX_TEXT = 256 * 1024
MAX_SENTENCE = 600
#: characters of a line that are looked at
MAX_LINE = 8000
#: most sentences of a text
MAX_SENTENCES = 4000

#: a short line without a full stop may be a heading
_MAX_TITLE = 50
_FENCE = re.compile(r"\s{0,20}(?:[-*+] {1,4})?(`{3,}|~{3,})")
_HEADING = re.compile(r"#{1,6}\s+(.{1,200}?)\s*#*")
_BOLD_LINE = re.compile(r"(?:\*\*|__)([^*_]{1,120}?)(?:\*\*|__):?|(?:\*\*|__)([^*_]{1,120}?):(?:\*\*|__)")
#: a list may begin within an item of another: "- - Created `a.py`"
_BULLET = re.compile(r"(\s{0,24})(?:(?:[-*+•–]|\d{1,3}[.)])\s{1,4}){1,3}(?:\[([ xX])\]\s)?")
_OPEN_MARK = re.compile(r"[☐⬜❌✗✘🔲⏳🚧⚠❗]")
#: "❌ 2 tests fail" is no open point, but says so
_FAILURE_MARK = re.compile(
    r"[❌✗✘⚠]️?\s{0,4}(?=(?:[1-9]\d{0,5}|[Oo]ne|[Tt]wo|[Tt]hree)(?: of \d{1,6})? tests? (?:is |are )?(?:still )?fail)"
)
_DONE_MARK = re.compile(r"^[\s✅✓✔☑🎉➡→👍🟢️]{1,8}")
_TAG = re.compile(r"\s{0,8}<([A-Za-z][\w-]{0,40})(?:\s[^<>]{0,200})?>")
_CODE = re.compile(r"`[^`]{1,200}`")
_ABBREVIATION = re.compile(r"(?:\b(?:e\.g|i\.e|etc|vs|approx|cf|No|Mr|Dr)|\s[A-Z])\.$")
_TERMINAL = re.compile(r"[.!?:;][)*_\"”'`]{0,3}$")
_EMPHASIS = re.compile(r"(?<![\w`])(?:\*{1,3}|_{1,3})(?=\S)|(?<=\S)(?:\*{1,3}|_{1,3})(?![\w`])")
_HTML_TAGS = frozenset({"br", "b", "i", "em", "strong", "p", "ul", "li", "ol", "div", "span", "a", "code"})


class Sentence(NamedTuple):
    """A sentence that may claim. ``below``: the list that it stands in ("Files created:")."""

    text: str
    #: it stands first in its line or bullet, so that its subject may be left out
    bullet: bool
    below: Compiled | None
    #: False for what stands where nothing is claimed; it may still admit a failure
    open: bool = True
    #: its box is checked: "[x] Run the tests"
    done: bool = False


class _Line(NamedTuple):
    text: str
    bullet: bool
    below: Compiled | None
    open: bool = True
    done: bool = False


def _aside(text: str) -> _Line:
    return _Line(text.strip(" >|*_#-"), True, None, open=False)


def sentences(text: str) -> Iterator[Sentence]:
    """Sentences in order, at most :data:`MAX_SENTENCES`."""
    text = text[:MAX_TEXT].replace("\r\n", "\n").replace("\ue000", " ").replace("\ue001", " ")
    if text.lstrip()[:1] in ("{", "["):
        return  # a structured answer, not prose
    count = 0
    for line in _paragraphs(_lines(text)):
        for piece in _split(line.text):
            if count >= MAX_SENTENCES:
                return
            count += 1
            if len(piece) <= MAX_SENTENCE:
                yield Sentence(piece, line.bullet, line.below, line.open, line.done)


def _split(text: str) -> Iterator[str]:
    """Sentences; what is done without a full stop before the next one is a sentence too: "Created `a.py` I ran …"."""
    for sentence in _sentences(text):
        rest = sentence
        while (item := language().forms.item.match(rest)) is not None:
            yield item[0].strip()
            rest = rest[item.end() :].strip()
            if (bullet := _BULLET.match(rest)) is not None:
                rest = rest[bullet.end() :]
        yield rest


def _sentences(text: str) -> Iterator[str]:
    start, words = 0, language()
    for match in words.split.finditer(text):
        before = text[start : match.start()]
        if match["mark"] is not None and (words.hedge.search(before) or words.closed.search(before)):
            continue  # "you should see ✅ All tests pass"
        if _ABBREVIATION.search(before[-8:]) or before.count("`") % 2:
            continue
        yield before.strip()
        start = match.end()
    if rest := text[start:].strip():
        yield rest


class _Section:
    """What the headings and intro lines above the current line allow."""

    def __init__(self) -> None:
        self.heading_closed = False
        self.intro_closed = False
        #: the intro ended with a colon and an empty line: it speaks of the next paragraph
        self.carries = False
        self.heading_list: Compiled | None = None
        #: what stands below was checked: a mark before it is an outcome
        self.checks = False
        self.intro_list: Compiled | None = None

    def heading(self, title: str) -> None:
        self.heading_closed = is_closed(title)
        self.heading_list = list_of(title)
        self.checks = _plain(title, language().forms.checks_heading)
        self.intro("", closed=False)

    def intro(self, line: str, *, closed: bool | None = None) -> None:
        self.intro_closed = is_closed(line) if closed is None else closed
        self.carries = self.intro_closed and line.rstrip("*_ ").endswith(":")
        self.intro_list = list_of(line)
        self.checks = self.checks or _plain(line, language().forms.checks_heading)

    @property
    def closed(self) -> bool:
        return self.heading_closed or self.intro_closed

    @property
    def below(self) -> Compiled | None:
        return self.intro_list or self.heading_list


def is_closed(title: str) -> bool:
    """Whether what stands below this heading or intro line speaks of something else than what was done."""
    words = language()
    title = title[:MAX_SENTENCE]
    if words.closed.search(title) or "?" in title:
        return True
    return bool(words.weak.search(title)) and not words.settled.search(title)


def list_of(title: str) -> Compiled | None:
    """The kind of list that an intro line opens, if it is one of files."""
    return next((compiled for compiled in language().lists if _plain(title, compiled.pattern)), None)


def _plain(title: str, pattern: re.Pattern[str]) -> bool:
    """Whether a heading is, without its marks, all that a pattern says."""
    return pattern.fullmatch(_EMPHASIS.sub("", title).strip(" :*_✅📁📝✨").strip()) is not None


def _visible(text: str) -> Iterator[str]:
    """Lines outside fences and tagged blocks; one empty line stands for each of these."""
    fence = ""
    tag = ""
    for raw in text.split("\n"):
        if fence:
            stripped = raw.strip()
            if stripped.startswith(fence) and not stripped.strip(fence[0]):
                fence = ""
            continue
        if tag:
            if f"</{tag}>" in raw:
                tag = ""
            continue
        line = raw[:MAX_LINE].rstrip()
        opened = _FENCE.match(line)
        tagged = _TAG.match(line)
        if opened is not None:
            fence = opened[1]
            yield ""
        elif tagged is not None and tagged[1].lower() not in _HTML_TAGS:
            tag = "" if f"</{tagged[1]}>" in raw else tagged[1]
            yield ""
        else:
            yield line


def _lines(text: str) -> Iterator[_Line | None]:
    """Lines that may claim; None where a paragraph ends."""
    section = _Section()
    table = Table()
    after_blank = True
    in_list = False
    for line in _visible(text):
        if not line.strip():
            after_blank = True
            yield None
            continue
        was_blank, after_blank = after_blank, False
        bullet = _BULLET.match(line)
        row = table.row(line)
        if row is not None and not section.closed:
            yield None
            yield _Line(row, True, None)
            yield None
            continue
        quoted = bullet is None and line.lstrip().startswith((">", "|"))
        if quoted or (bullet is None and not in_list and line.startswith(("    ", "\t"))):
            yield _aside(line)  # quotation, table, indented code
            continue
        title = _title(line)
        if title is not None:
            in_list = False
            section.heading(title)
            yield None
            if not line.lstrip().startswith("#") and not section.closed:
                yield _Line(_DONE_MARK.sub("", title), True, None)  # a sentence in bold
                yield None
            continue
        if bullet is None and was_blank and not line.startswith(" ") and section.carries:
            section.carries = False
        elif bullet is None and was_blank and not line.startswith(" "):
            section.intro("", closed=False)
            in_list = False
        in_list = in_list or bullet is not None
        yield from _body(line, bullet, section, after_blank=was_blank)


def _body(
    line: str, bullet: re.Match[str] | None, section: _Section, *, after_blank: bool
) -> Iterator[_Line | None]:
    """A line that is no heading."""
    body = line[bullet.end() :].strip() if bullet is not None else line.strip()
    if (
        bullet is None
        and after_blank
        and len(body) < _MAX_TITLE
        and not _TERMINAL.search(body)
        and language().forms.numbers.match(body) is None
        and is_closed(_CODE.sub("", body))  # "Created `plan.md`" is no plan
        and not (": " in body and not language().closed.search(body))  # "Ran the linter: no issues"
    ):
        section.intro(body)  # a heading without marks: "Next steps"
        yield None
        return
    body = _FAILURE_MARK.sub("", body, count=1)
    if (bullet is not None and bullet[2] == " ") or _OPEN_MARK.search(body[:4]):
        yield _aside(body)
        return
    without = _DONE_MARK.sub("", body)
    body = f"✓ {without}" if without != body and section.checks else without
    if body.rstrip("*_").endswith(":") and not section.heading_closed:
        last = next(reversed(list(_split(body))), body)
        section.intro(_EMPHASIS.sub("", last))
    if section.closed:
        yield _aside(body)
        return
    if bullet is not None:
        yield None
    checked = bullet is not None and bullet[2] is not None
    yield _Line(body, bullet is not None, section.below if bullet is not None else None, done=checked)


def _title(line: str) -> str | None:
    stripped = line.strip()
    match = _HEADING.fullmatch(stripped)
    if match is not None:
        return match[1]
    match = _BOLD_LINE.fullmatch(stripped)
    return (match[1] or match[2]) if match is not None else None


def _paragraphs(lines: Iterator[_Line | None]) -> Iterator[_Line]:
    """Joins lines that a line break only wraps."""
    pending: _Line | None = None
    for line in lines:
        if line is None:
            if pending is not None:
                yield pending
            pending = None
        elif pending is None:
            pending = line
        elif len(pending.text) < MAX_SENTENCE * 8 and _continues(pending.text, line):
            pending = pending._replace(text=f"{pending.text} {line.text}")
        else:
            yield pending
            pending = line
    if pending is not None:
        yield pending


def _continues(before: str, line: _Line) -> bool:
    if line.bullet or not line.open or _TERMINAL.search(before):
        return bool(not line.bullet and line.open and line.text[:1].islower() and not before.endswith(":"))
    last = before.rsplit("\n", 1)[-1]
    return line.text[:1].islower() or line.text[:1] in "`(,0123456789" or len(last) >= 60
