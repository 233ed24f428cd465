"""Tokens in a sentence: code spans, paths, URLs and quotations, replaced so that rules see their kind only."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from collector.claims.language import CLOSE, OPEN, language
from collector.intents import shell

#: tokens of one sentence; what follows is left as it is
_MAX_TOKENS = 200
_MAX_COMMAND = 300
_CODE = re.compile(r"(`{1,2})(?!`)([^`\n]{1,400}?)\1(?!`)")
_LINK = re.compile(r"\[([^\[\]\n]{1,300})\]\(([^()\s]{1,500})\)")
_URL = re.compile(
    r"https?://[^\s<>()\"'`\ue000\ue001]{1,1000}|(?<![\w.])(?:localhost|127\.0\.0\.1|0\.0\.0\.0):\d{2,5}(?:/[\w./-]{0,200})?"
)
_QUOTED = re.compile(r"\"([^\"\n]{1,400})\"|“([^”\n]{1,400})”|(?<![\w'])'([^'\n]{1,300})'(?![\w'])")
_BARE = re.compile(r"(?<![\w@/.\ue000-])(?:~|\.{1,2})?/?(?:[\w@+.-]{1,100}/){0,12}[\w@+.-]{1,100}(?![\w/])")
_PATH = re.compile(r"(?:~|\.{1,2})?/?(?:[\w@+. \[\]()-]{1,100}/){0,30}[\w@+.\[\]-]{1,120}")
_POSITION = re.compile(r"(?:::?\d{1,7}(?:[-:]\d{1,7})?|#L\d{1,7}(?:-L?\d{1,7})?)$")
_MARKS = re.compile("[✅✓✔☑🎉👍🟢✨🚀\ufe0f]")
#: as ``forms.marked`` looks for it
_DONE = re.compile("[✅✔☑✓]\ufe0f?")
#: what a runner printed: "`pytest -q` → `91 passed`"
_PASSED = re.compile(r"[1-9]\d{0,5} passed(?:, 0 failed)?(?: in [\d.]{1,8} ?s)?")
_PACKAGE = re.compile(r"@?[a-zA-Z0-9][\w./-]{0,80}(?:\[[\w,-]{1,60}\])?(?:[=~<>!@^]{1,2}[\w.^*-]{1,30})?")


class Tool(NamedTuple):
    """A command that a code span or a phrase names. ``tool`` is a row of polygraph/data/tools.toml or None."""

    program: str
    tool: str | None
    purpose: str | None
    #: files among its arguments
    paths: tuple[str, ...] = ()


class Token(NamedTuple):
    """``kind``: P path, U URL, T a known tool's command, C other code, Q quotation."""

    kind: str
    value: str
    tools: tuple[Tool, ...] = ()


class Masked(NamedTuple):
    """A sentence with tokens in place of code, and the tokens by number."""

    text: str
    tokens: tuple[Token, ...]
    #: what a check mark behind its name says went well: tokens and words
    marked: tuple[str, ...] = ()

    def at(self, mark: str) -> Token:
        """The token of a mark as it stands in ``text``."""
        return self.tokens[int(mark[2:-1])]


MARK = re.compile(rf"{OPEN}[PUTCQ]\d{{1,4}}{CLOSE}")


def mask(sentence: str) -> Masked:
    """Replaces, in this order: links, code spans, URLs, quotations, bare paths, bare tool names."""
    tokens: list[Token] = []

    def put(token: Token) -> str:
        tokens.append(token)
        return f"{OPEN}{token.kind}{len(tokens) - 1}{CLOSE}"

    def code(match: re.Match[str]) -> str:
        if match.start() and _PASSED.fullmatch(match[2].strip()):
            return match[2].strip()
        return put(_code(match[2].strip())) if len(tokens) < _MAX_TOKENS else " "

    def link(match: re.Match[str]) -> str:
        inner = match[1].strip("`*_ ")
        path = _as_path(inner)
        if len(tokens) >= _MAX_TOKENS:
            return " "
        if path is not None:
            return put(Token("P", path))
        return put(Token("U", match[2])) if match[2].startswith(("http://", "https://")) else match[1]

    def url(match: re.Match[str]) -> str:
        value = match[0].rstrip(".,;:!?*_")
        return put(Token("U", value)) + match[0][len(value) :] if len(tokens) < _MAX_TOKENS else " "

    def quoted(match: re.Match[str]) -> str:
        inner = next(group for group in match.groups() if group is not None).strip()
        path = _as_path(inner) if " " not in inner else None
        if len(tokens) >= _MAX_TOKENS:
            return " "
        return put(Token("P", path)) if path is not None else put(Token("Q", inner))

    def bare(match: re.Match[str]) -> str:
        value = match[0].rstrip(".")
        path = _as_path(value)
        if path is None or len(tokens) >= _MAX_TOKENS:
            return match[0]
        return put(Token("P", path)) + match[0][len(value) :]

    def command(match: re.Match[str]) -> str:
        if len(tokens) >= _MAX_TOKENS:
            return match[0]
        known = commands_of(language().commands[match[0]])
        return put(Token("T", match[0], known)) if known else match[0]

    text = _LINK.sub(link, sentence)
    text = _CODE.sub(code, text)
    text = _URL.sub(url, text)
    text = _QUOTED.sub(quoted, text)
    text = _outside(_BARE, bare, text)
    text = _outside(language().command, command, text)
    text = text.replace("’", "'").replace("**", "").replace("__", "").replace("*", "")
    marked: tuple[str, ...] = ()
    if _DONE.search(text):
        with_marks = " ".join(_DONE.sub("✓", text).split())
        forms = language().forms
        first = forms.marked_first.match(with_marks)
        marked = tuple(match["what"] for match in (first, *forms.marked.finditer(with_marks)) if match)
    text = _MARKS.sub(" ", text)
    return Masked(" ".join(text.split()), tuple(tokens), marked)


def _outside(pattern: re.Pattern[str], replace: object, text: str) -> str:
    """Substitutes between marks only."""
    pieces: list[str] = []
    start = 0
    assert callable(replace)
    for mark in MARK.finditer(text):
        pieces.append(pattern.sub(replace, text[start : mark.start()]))
        pieces.append(mark[0])
        start = mark.end()
    pieces.append(pattern.sub(replace, text[start:]))
    return "".join(pieces)


def _code(inner: str) -> Token:
    path = _as_path(inner)
    if path is not None:
        return Token("P", path)
    if _URL.fullmatch(inner):
        return Token("U", inner)
    known = commands_of(inner)
    return Token("T", inner, known) if known and any(t.purpose for t in known) else Token("C", inner, known)


def _as_path(text: str) -> str | None:
    """The path that a word is, without its line number; None if it may be something else."""
    text = _POSITION.sub("", text.strip()).removeprefix("~/")
    if not 2 <= len(text) <= 400 or not _PATH.fullmatch(text) or " " in text:
        return None
    words = language().words
    name = text.rsplit("/", 1)[-1]
    if name in words.file_names:
        return text
    stem, dot, extension = name.rpartition(".")
    if (
        not dot
        or extension.lower() not in words.extensions
        or not (stem or "/" in text or len(extension) > 2)
    ):
        return None
    if f"{stem.lower()}.*" in words.not_files or name.lower() in words.not_files:
        return None
    if stem[:1].isdigit() and stem.replace(".", "").isdigit():
        return None
    return text if "/" in text or _looks_named(stem, extension) else None


def _looks_named(stem: str, extension: str) -> bool:
    """A bare name: no attribute of an object. One letter is an extension only after a name that is a file's."""
    return not stem.startswith("-") and not (len(stem) <= 1 and len(extension) <= 1)


@lru_cache(maxsize=1024)
def commands_of(text: str) -> tuple[Tool, ...]:
    """The programs of a command; empty if ``text`` is none or cannot be read whole."""
    if not text or len(text) > _MAX_COMMAND or (text[0] in "<([{\"'#@*=.|&-$" and not text.startswith("./")):
        return ()
    if text.endswith(("()", ":", ",")) or "\n" in text:
        return ()
    parsed = shell.parse(text)
    if not parsed.parsed:
        return ()
    return tuple(
        Tool(e.program, e.tool, e.purpose, tuple(a for a in e.args[:32] if _as_path(a) == a))
        for e in parsed.executions
        if not e.builtin
    )


def is_package(text: str) -> bool:
    """Whether a code span can be the name of a package."""
    return _PACKAGE.fullmatch(text) is not None
