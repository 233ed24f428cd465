"""Patches to expected files: Codex's ``*** Begin Patch`` form, unified diffs and aider's edit blocks.

Formats: the apply_patch grammar of OpenAI's Codex CLI; POSIX diff -u; aider's "diff" edit format.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from typing import Literal, NamedTuple

from collector.intents.weakening import marks_of
from polygraph.events import EditMark

#: files of one patch that are taken
MAX_FILES = 256
#: characters of text that are looked at
MAX_TEXT = 4 * 1024 * 1024

_FENCE = re.compile(r"^(?:`{3,}|~{3,})[\w.+-]*\s*$")
_SEARCH = re.compile(r"^<{5,9} SEARCH>?\s*$")
_DIVIDER = re.compile(r"^={5,9}\s*$")
_REPLACE = re.compile(r"^>{5,9} REPLACE\s*$")


class ExpectedFileDraft(NamedTuple):
    """A file effect that an intent should have, contents still in the clear (they stay in the collector).

    ``content`` is the whole content where it is declared; ``fragment`` is a line that must be part of it.
    """

    path: str
    op: Literal["read", "write", "create", "delete", "rename"]
    new_path: str | None = None
    content: bytes | None = None
    fragment: bytes | None = None
    #: of an edit: what its new text has and its old one has not
    marks: tuple[EditMark, ...] = ()


def edited(path: str, old: str, new: str) -> ExpectedFileDraft:
    """A file in which ``old`` is replaced by ``new``."""
    return ExpectedFileDraft(
        path, "write", fragment=fragment_of(new) if new else None, marks=marks_of(path, old, new)
    )


def fragment_of(text: str) -> bytes | None:
    """The longest line of ``text``, without indentation: what an edit must have left in the file.

    One line only, since tools adapt line ends and trailing white space; None when there is nothing to find.
    """
    longest = max((line.strip() for line in text.splitlines()), key=len, default="")
    return longest.encode("utf-8", "replace") if longest else None


def last_of_each(files: list[ExpectedFileDraft]) -> list[ExpectedFileDraft]:
    """Where a patch comes to a file again, only what it says last can be held against the file."""
    later: set[str] = set()
    found: list[ExpectedFileDraft] = []
    for draft in reversed(files):
        path = draft.new_path or draft.path
        if path in later or draft.path in later:
            found.append(draft._replace(content=None, fragment=None))
        else:
            found.append(draft)
        later.update((path, draft.path))
    return list(dict.fromkeys(reversed(found)))


def from_patch(text: str) -> list[ExpectedFileDraft]:
    """Files of a patch in either form. Empty when it is neither."""
    text = text[:MAX_TEXT]
    if "*** Begin Patch" in text or text.lstrip().startswith(
        ("*** Add File", "*** Update File", "*** Delete File")
    ):
        return last_of_each(_codex(text.splitlines()))
    return last_of_each(_unified(text.splitlines()))


def _codex(lines: Iterable[str]) -> list[ExpectedFileDraft]:
    files: list[ExpectedFileDraft] = []
    added: list[str] = []
    removed: list[str] = []
    current: ExpectedFileDraft | None = None

    def close() -> None:
        if current is None or len(files) >= MAX_FILES:
            return
        if current.op == "create":
            content = "".join(line + "\n" for line in added).encode("utf-8", "replace")
            files.append(current._replace(content=content))
        elif current.op == "delete":
            files.append(current)
        else:
            old, new = "\n".join(removed), "\n".join(added)
            marks = marks_of(current.new_path or current.path, old, new)
            files.append(current._replace(fragment=fragment_of(new), marks=marks))

    for line in lines:
        if line.startswith("*** "):
            head, _, name = line[4:].partition(": ")
            name = name.strip()
            if head in ("Add File", "Update File", "Delete File") and name:
                close()
                added, removed = [], []
                ops: dict[str, Literal["create", "write", "delete"]] = {
                    "Add File": "create",
                    "Update File": "write",
                    "Delete File": "delete",
                }
                current = ExpectedFileDraft(name, ops[head])
            elif head == "Move to" and name and current is not None:
                current = current._replace(op="rename", new_path=name)
            elif head == "End Patch":
                break
        elif line.startswith("+"):
            added.append(line[1:])
        elif line.startswith("-"):
            removed.append(line[1:])
    close()
    return files


def _unified(lines: list[str]) -> list[ExpectedFileDraft]:
    files: list[ExpectedFileDraft] = []
    position = 0
    while position + 1 < len(lines) and len(files) < MAX_FILES:
        if not (lines[position].startswith("--- ") and lines[position + 1].startswith("+++ ")):
            position += 1
            continue
        old, new = _diff_path(lines[position], "a/"), _diff_path(lines[position + 1], "b/")
        position += 2
        added: list[str] = []
        removed: list[str] = []
        whole = True
        while position < len(lines) and not lines[position].startswith(("--- ", "diff --git ")):
            line = lines[position]
            if line.startswith("+"):
                added.append(line[1:])
            elif line.startswith("-"):
                removed.append(line[1:])
            elif line.startswith("\\"):
                whole = False
            elif line and not line.startswith((" ", "@@")):
                break
            position += 1
        if not new:
            if old:
                files.append(ExpectedFileDraft(old, "delete"))
        elif not old:
            content = "".join(line + "\n" for line in added) if whole else "\n".join(added)
            files.append(ExpectedFileDraft(new, "create", content=content.encode("utf-8", "replace")))
        elif old != new:
            files.append(ExpectedFileDraft(old, "rename", new, fragment=fragment_of("\n".join(added))))
        else:
            files.append(edited(new, "\n".join(removed), "\n".join(added)))
    return files


def _diff_path(line: str, prefix: str) -> str:
    path = line[4:].split("\t", 1)[0].strip()
    if path == "/dev/null":
        return ""
    return posixpath.normpath(path.removeprefix(prefix)) if path else ""


def edit_blocks(text: str) -> list[ExpectedFileDraft]:
    """Files of aider's SEARCH/REPLACE blocks in model text; unfinished or nameless blocks are left out."""
    files: list[ExpectedFileDraft] = []
    if "<<<<< SEARCH" not in text:
        return files
    state: Literal["out", "search", "replace"] = "out"
    before: list[str] = []
    search: list[str] = []
    replaced: list[str] = []
    path = ""
    for line in text[:MAX_TEXT].splitlines():
        if state == "out":
            if _SEARCH.match(line):
                path = _block_path(before) or path
                state, search, replaced = "search", [], []
            else:
                before = [*before[-3:], line]
        elif state == "search":
            if _DIVIDER.match(line):
                state = "replace"
            else:
                search.append(line)
        elif _REPLACE.match(line):
            state, before = "out", []
            if path and len(files) < MAX_FILES:
                files.append(_block(path, search, replaced))
        else:
            replaced.append(line)
    return files


def _block(path: str, search: list[str], replaced: list[str]) -> ExpectedFileDraft:
    if not any(line.strip() for line in search):
        # An empty SEARCH makes a file, or appends to one that exists: only a part is certain.
        return ExpectedFileDraft(path, "write", fragment=fragment_of("\n".join(replaced)))
    return edited(path, "\n".join(search), "\n".join(replaced))


def _block_path(before: list[str]) -> str:
    """The name on the line above the block, or above the fence that holds it."""
    for line in reversed(before):
        if _FENCE.match(line) or not line.strip():
            continue
        name = line.strip().strip("`*#: ").removeprefix("File ").strip()
        return name if name and " " not in name and ("." in name or "/" in name) else ""
    return ""
