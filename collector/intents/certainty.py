"""What in a shell's text need not happen: statements that may fail, expansions and redirections that may.

A failing statement ends the shell under ``set -e``, an expansion under ``set -u``, a redirection keeps its
command from being run. Where the answer is not known it is that it may.
"""

from __future__ import annotations

import re

from tree_sitter import Node

from collector.intents.state import State, resolve
from collector.intents.words import UNKNOWN, text_of

#: builtins that succeed whatever they are given
_SUCCEED = frozenset({"echo", "printf", "true", ":", "set", "export", "alias", "exit"})
_COMPOUND = frozenset(
    {
        "if_statement", "while_statement", "for_statement", "c_style_for_statement", "case_statement",
        "function_definition", "comment", "negated_command",
    }
)  # fmt: skip
_WRITABLE = frozenset({"/tmp", "/var/tmp"})  # noqa: S108  (paths that are read in a command, none is opened)
_ALWAYS_SET = frozenset({"HOME", "PATH", "PWD"})
_ENDS_SHELL = re.compile(rb"\$\{(?:!|[A-Za-z_0-9@*#]+(?:\[[^\]]*\])?:?\?)")
_HAS_DEFAULT = re.compile(rb"\$\{[A-Za-z_0-9]+:?[-+=]")
_SETS_DEFAULT = re.compile(rb"\$\{([A-Za-z_][A-Za-z_0-9]*):?=")
#: names that only have a meaning elsewhere: bash reports a syntax error, the grammar takes them for programs
RESERVED = frozenset(
    {"then", "else", "elif", "fi", "do", "done", "esac", "in", "}", ")", "{", "function", "select", "coproc"}
)


def is_safe_path(operator: str, path: str, state: State) -> bool:
    """Whether the shell surely can open ``path``: in the directory where it is, or where everybody may write."""
    if operator.endswith("&") and (path.isdigit() or path == "-"):
        return True
    if UNKNOWN in path or not path:
        return False
    if path in ("/dev/null", "/dev/stdout", "/dev/stderr"):
        return True
    if operator not in (">", ">>", ">|", "&>", "&>>", ">&") or state.noclobber:
        return False
    if "/" not in path.removeprefix("./"):
        return state.cwd is not None and path not in (".", "..")
    directory = (resolve(path, state.cwd) or "").rpartition("/")[0]
    return directory in _WRITABLE


def may_fail(node: Node, state: State) -> bool:
    """Whether ``set -e`` may end the shell after this statement. What is in compound ones is asked by itself."""
    kind = node.type
    if kind in _COMPOUND:
        return False
    if kind in ("compound_statement", "do_group"):
        return False
    if kind == "list":
        return may_fail(node.named_children[-1], state)
    if kind in ("variable_assignment", "variable_assignments"):
        return _substitutes(node)
    if kind == "declaration_command":
        return not text_of(node).startswith("export")
    if kind == "pipeline" and not state.may_pipefail and node.named_child_count:
        return may_fail(node.named_children[-1], state)
    if kind == "command":
        name = node.child_by_field_name("name")
        return name is None or text_of(name) not in _SUCCEED or _substitutes(name)
    return True


def may_end(node: Node, state: State) -> bool:
    """Whether expanding the words of ``node`` may end the shell: ``${x?}``, ``1/0``, unset under ``set -u``."""
    stack = [node]
    while stack:
        current = stack.pop()
        kind = current.type
        source = current.text or b""
        if kind in ("command_substitution", "process_substitution", "heredoc_redirect"):
            continue
        if kind == "arithmetic_expansion" and any(char in source for char in b"/%["):
            return True
        if kind == "expansion" and _ENDS_SHELL.match(source):
            return True
        if state.may_nounset and kind in ("simple_expansion", "expansion") and not _HAS_DEFAULT.match(source):
            names = [text_of(c) for c in current.named_children if c.type.endswith("variable_name")]
            if any(not _is_set(name, state) for name in names):
                return True
        if (
            state.may_failglob
            and kind in ("word", "concatenation")
            and any(char in source for char in b"*?[")
        ):
            return True
        stack.extend(current.named_children)
    return False


def defaults(node: Node) -> list[str]:
    """Variables that ``${x:=…}`` may set."""
    text = node.text or b""
    return [name.decode() for name in _SETS_DEFAULT.findall(text)] if b"=" in text and b"${" in text else []


def _is_set(name: str, state: State) -> bool:
    return name in state.variables or name in _ALWAYS_SET or name in ("?", "$", "#", "@", "*", "-", "0")


def _substitutes(node: Node) -> bool:
    stack = [node]
    while stack:
        current = stack.pop()
        if current.type == "command_substitution":
            return True
        stack.extend(current.named_children)
    return False
