"""Words of a shell command: quoting and the expansions whose value is certain.

:data:`UNKNOWN` stands for text that only the shell knew (a glob, a command's output, an unset variable).
NUL cannot occur in an argument, so it can be nobody's text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from tree_sitter import Node

UNKNOWN = "\x00"

_ESCAPE = re.compile(rb"\\(.)", re.DOTALL)
_GLOB = re.compile(r"[*?\[]")
_STRING_ESCAPE = re.compile(r'\\([$`"\\])')
_ANSI = re.compile(
    r"\\(n|t|r|a|b|e|E|f|v|\\|'|\"|\?|x[0-9A-Fa-f]{1,2}|[0-7]{1,3}|u[0-9A-Fa-f]{1,4}|.)", re.DOTALL
)
_ANSI_CHARS = {
    "n": "\n",
    "t": "\t",
    "r": "\r",
    "a": "\a",
    "b": "\b",
    "e": "\x1b",
    "E": "\x1b",
    "f": "\f",
    "v": "\v",
}


class Scope(NamedTuple):
    """What is known of the shell's state: variables (None: set to something unknown) and directory."""

    variables: Mapping[str, str | None]
    cwd: str | None


def text_of(node: Node) -> str:
    """The source of a node."""
    return (node.text or b"").decode("utf-8", "replace").replace(UNKNOWN, "\ufffd")


def expand(node: Node, scope: Scope) -> list[str]:
    """The arguments that a word becomes: none, one, or several when a known value splits."""
    kind = node.type
    if kind in ("simple_expansion", "expansion"):
        value = _variable(node, scope)
        return [UNKNOWN] if UNKNOWN in value else value.split()
    if kind in ("command_substitution", "process_substitution"):
        return [UNKNOWN]
    return [value_of(node, scope)]


def value_of(node: Node, scope: Scope) -> str:
    """A word as one string, unknown parts as :data:`UNKNOWN`."""
    kind = node.type
    if kind in ("word", "number", "variable_name", "special_variable_name", "file_descriptor"):
        return _word(node)
    if kind == "raw_string":
        return text_of(node)[1:-1]
    if kind == "string":
        return _string(node, scope)
    if kind == "ansi_c_string":
        return _ANSI.sub(_ansi, text_of(node)[2:-1]).replace(UNKNOWN, "\ufffd")
    if kind == "concatenation":
        return _concatenation(node, scope)
    if kind in ("command_name", "herestring_redirect") and node.named_child_count == 1:
        return value_of(node.named_children[0], scope)
    if kind in ("simple_expansion", "expansion"):
        return _variable(node, scope)
    return UNKNOWN


def _word(node: Node) -> str:
    raw = text_of(node)
    if raw.startswith("~"):
        return UNKNOWN + raw.partition("/")[1] + raw.partition("/")[2]
    if _GLOB.search(raw) and "\\" not in raw and raw not in ("[", "[["):
        return UNKNOWN
    if "\\" in raw:
        return _ESCAPE.sub(rb"\1", (node.text or b"").replace(b"\\\n", b"")).decode("utf-8", "replace")
    return raw


def _string(node: Node, scope: Scope) -> str:
    # The children do not cover white space at the seams, so the gaps are taken from the source.
    source = node.text or b""
    pieces: list[str] = []
    position = 1
    for child in node.named_children:
        start, end = child.start_byte - node.start_byte, child.end_byte - node.start_byte
        pieces.append(_unescape(source[position:start]))
        position = end
        pieces.append(
            _unescape(source[start:end]) if child.type == "string_content" else value_of(child, scope)
        )
    pieces.append(_unescape(source[position:-1]))
    return "".join(pieces)


def _concatenation(node: Node, scope: Scope) -> str:
    pieces: list[str] = []
    for child in node.children:
        if child.type in ("{", "}", "`"):
            return UNKNOWN
        piece = value_of(child, scope)
        if child.type == "word" and _GLOB.search(text_of(child)):
            return UNKNOWN
        if child.type == "word" and ("{" in piece or "}" in piece):
            return UNKNOWN  # brace expansion
        pieces.append(piece)
    return "".join(pieces)


def _variable(node: Node, scope: Scope) -> str:
    names = [child for child in node.children if child.type == "variable_name"]
    if len(names) != 1 or (node.type == "expansion" and node.named_child_count != 1):
        return UNKNOWN
    if node.type == "expansion" and any(not c.is_named and c.type not in ("${", "}") for c in node.children):
        return UNKNOWN
    name = text_of(names[0])
    if name == "PWD" and scope.cwd and scope.cwd.startswith("/"):
        return scope.cwd
    value = scope.variables.get(name)
    return UNKNOWN if value is None else value


def _unescape(raw: bytes) -> str:
    text = raw.replace(b"\\\n", b"").decode("utf-8", "replace").replace(UNKNOWN, "\ufffd")
    return _STRING_ESCAPE.sub(r"\1", text)


def _ansi(match: re.Match[str]) -> str:
    code = match.group(1)
    if code in _ANSI_CHARS:
        return _ANSI_CHARS[code]
    if code[0] in "xu" and len(code) > 1:
        char = chr(int(code[1:], 16))
        return "\ufffd" if "\ud800" <= char <= "\udfff" else char
    if code[0] in "01234567":
        return chr(int(code, 8) & 0xFF)
    return code if code in "\\'\"?" else "\\" + code
