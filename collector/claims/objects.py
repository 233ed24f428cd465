"""What a phrase is about: files, URLs, packages, and which tests."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from collector.claims.language import OPEN, language, listing
from collector.claims.words import MARK, Masked, Token, Tool, is_package

_FILES = re.compile(listing("P"))
_PACKAGES = re.compile(listing("CTP"))
_IN = re.compile(r" (?:in|inside|from)(?: (?:the|file|module)){0,2} ?$", re.IGNORECASE)
_WORD = re.compile(r"\s+([A-Za-z][A-Za-z-]*)")
_TO_FILE = re.compile(rf"\s+to (?:the )?{OPEN}[PC]")
_ADDED = re.compile(r"added\b", re.IGNORECASE)
#: a path whose last component is no file's
_FOLDER = re.compile(r"(?:\.{0,2}/)?(?:[\w@+-][\w@+.-]{0,99}/){0,30}[\w@+-]{1,100}/?")
_MAX_TARGETS = 64


class Files(NamedTuple):
    """Files that a phrase names, and where in the text it ends."""

    targets: tuple[str, ...]
    end: int


class Scope(NamedTuple):
    """Which tests are meant. ``part``: maybe not all of those that were run."""

    part: bool
    universal: bool = False
    exhaustive: bool = False
    tool: str | None = None
    targets: tuple[str, ...] = ()
    counts: tuple[tuple[str, int], ...] = ()
    #: all tests that there are, by the words alone
    whole: bool = False
    #: a part only for want of an "all": "the tests in `test_a.py`"
    pointed: bool = False
    #: nothing says which: "the tests"
    general: bool = False

    @classmethod
    def everything(cls, tool: str | None = None, *, general: bool = False) -> Scope:
        """All that were run."""
        return cls(part=False, tool=tool, general=general)

    @classmethod
    def some(cls) -> Scope:
        """Some of them."""
        return cls(part=True)


def tokens(marks: str, masked: Masked) -> Iterator[Token]:
    """The tokens in a piece of masked text."""
    for mark in MARK.finditer(marks):
        yield masked.at(mark[0])


def script_of(token: Token) -> tuple[Tool, ...]:
    """The program that a path is when it is said to have been run."""
    runs = token.value.startswith(("./", "/")) or token.value.endswith(".sh")
    return (Tool(token.value.rsplit("/", 1)[-1], None, None),) if token.kind == "P" and runs else ()


def values(marks: str, masked: Masked) -> tuple[str, ...]:
    """The paths in a piece of masked text, each once."""
    named = (token.value for token in tokens(marks, masked) if token.kind == "P")
    return tuple(dict.fromkeys(named))[:_MAX_TARGETS]


def files_at(text: str, at: int, masked: Masked) -> Files | None:
    """The list of files that begins at ``at``."""
    match = _FILES.match(text, at)
    return Files(values(match[0], masked), match.end()) if match is not None else None


def folder_at(text: str, at: int, masked: Masked) -> tuple[str, ...]:
    """The directory whose files "all files" are, if it is named at ``at``: with a slash at its end."""
    match = language().forms.folder_after.match(text, at)
    token = masked.at(match["folder"]) if match is not None else None
    if token is None or _FOLDER.fullmatch(token.value) is None:
        return ()
    return (token.value.rstrip("/") + "/",)


def skip_nouns(text: str) -> int:
    """Where "the new file " ends."""
    match = language().forms.file_nouns.match(text)
    return match.end() if match is not None else 0


def follows(text: str, at: int, verb: str, *, inside: bool) -> bool:
    """Whether what follows the files leaves the verb with them: not "deleted the `a.py` entry"."""
    if not inside and language().forms.of_project.match(text, at) is not None:
        return True
    if _TO_FILE.match(text, at) is not None:
        return False  # "changed `a.py` to `b.py`"
    if text.startswith("'s", at):
        return False  # "changed `a.py`'s import"
    if language().forms.file_end.match(text, at) is not None:
        return True
    word = _WORD.match(text, at)
    if word is None:
        return inside
    if _ADDED.match(verb) is not None and word[1].lower() == "to" and not inside:
        return False  # "added `a.py` to the index"
    # "changed the default in `a.toml` from 10 to 20"
    return word[1].lower() in language().words.follow or (inside and word[1].lower() == "from")


def may_be_elsewhere(verb_phrase: str, targets: tuple[str, ...]) -> bool:
    """Whether "… in FILE" may tell where something is, not where it was changed."""
    if _IN.search(verb_phrase) is None or language().forms.not_inside.search(verb_phrase) is None:
        return False
    return any(is_code(path) and not is_test(path) for path in targets)


def is_code(path: str) -> bool:
    """Whether a path is a source file by its extension."""
    return path.rsplit(".", 1)[-1].lower() in language().words.code_extensions


def is_order(path: str) -> bool:
    """Whether a path, by its name, tells what is to be done: what is fixed "in" it may be elsewhere."""
    return path.rsplit("/", 1)[-1].partition(".")[0].lower() in language().words.orders


def is_test(path: str) -> bool:
    """Whether a path is a test by its name; a failing one may be fixed elsewhere."""
    return language().forms.test_name.search(path) is not None


def packages_at(text: str, at: int, masked: Masked) -> bool:
    """Whether names of packages stand at ``at``, and nothing named after them."""
    match = _PACKAGES.match(text, at)
    if match is None or language().forms.package_end.match(text, match.end()) is None:
        return False
    return all(is_package(token.value) for token in tokens(match[0], masked))


def urls_in(text: str, masked: Masked) -> tuple[str, ...]:
    """URLs of a piece of masked text."""
    named = (token.value for token in tokens(text, masked) if token.kind == "U")
    return tuple(dict.fromkeys(named))[:_MAX_TARGETS]


def ratio(text: str) -> int | None:
    """12 of "12/12" or "12 of 12"; None of "3/12" and of "0/0"."""
    numbers = {int(number) for number in re.findall(r"\d+", text)}
    return max(numbers) or None if len(numbers) == 1 else None


def scope_of(match: re.Match[str], masked: Masked) -> Scope | None:
    """Scope of a match of the macro TESTS; None if it says that it is not all ("most tests")."""
    scope = (match["scope"] or "").split()
    noun, where = match["noun"].lower(), match["where"] or ""
    before = match.string[: match.start("noun")]
    words = language().words
    if language().forms.another_first.match(" ".join(scope)) is not None:
        return None
    tool: str | None = None
    targets: tuple[str, ...] = ()
    counts: dict[str, int] = {}
    part = noun in ("test", "test case")
    lowered: set[str] = set()
    for word in scope:
        if MARK.fullmatch(word):
            token = masked.at(word)
            tested = next((t for t in token.tools if t.purpose == "test"), None)
            if tested is not None:
                tool = tested.tool
            else:
                part = True
        elif word.isdigit():
            counts["passed"] = int(word)
        else:
            lowered.add(word.lower())
    opening = {w.lower() for w in before.split()} | lowered
    part = part and not opening & {"every", "each"}
    if lowered & words.partial or counts.get("passed") == 0:
        return None
    if match["ratio"]:
        all_of = ratio(match["ratio"])
        if all_of is None:
            return None
        counts = {"passed": all_of, "total": all_of}
    if "and" in lowered and opening & words.universal and lowered & {"existing", "old"}:
        lowered -= {"and", "new", "old"}  # "all existing and new tests"
    part = part or bool(lowered - words.whole_scopes)
    all_of_them = re.match(r" all\b", match.string[match.end("noun") :]) is not None  # "the tests all pass"
    universal = bool(opening & words.universal) or bool(match["ratio"]) or all_of_them
    pointed = False
    if where and language().forms.whole_places.search(where) is None:
        targets = values(where, masked)
        pointed = bool(targets) and not part
        part = part or not (targets and universal)
    general = not (part or where or counts or tool) and lowered <= words.of_everything
    whole = general and (universal or "suite" in noun or not words.of_all_there_is.isdisjoint(lowered))
    return Scope(
        part,
        universal,
        bool(opening & words.exhaustive) and "suite" in noun,
        tool,
        targets,
        tuple(counts.items()),
        whole,
        pointed,
        general,
    )
