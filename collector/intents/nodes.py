"""Questions about the nodes of tree-sitter's bash grammar, and the statements that it puts elsewhere."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import NamedTuple

from tree_sitter import Node

from collector.intents import wrappers
from collector.intents.words import UNKNOWN, Scope, expand, text_of, value_of

#: names of a loop's body that are looked at
_MAX_NAMES = 1000
#: nodes of a text that are looked at
_MAX_SEEN = 60_000


class Pipe(NamedTuple):
    """Stages that belong together, where the grammar's tree has the first one elsewhere."""

    stages: tuple[Node | Redirected, ...]


class Redirected(NamedTuple):
    """The redirections of ``node``, on another body than the grammar's tree says."""

    node: Node
    body: Node


Statement = Node | Pipe | Redirected


def words_of(node: Node) -> list[str]:
    return [text_of(child) for child in node.named_children] if node.type == "command" else []


def keeps_status(node: Node) -> bool:
    """``exit``, ``exit $?``: ends with the status of what came before."""
    return words_of(node) in (["exit"], ["exit", "$?"], ["return"], ["return", "$?"])


def fails(node: Statement) -> bool:
    """Whether a statement that follows ``||`` surely ends in failure."""
    if isinstance(node, Redirected):
        node = node.body
    if isinstance(node, Pipe):
        return False
    while node.type in ("compound_statement", "subshell", "list") and node.named_child_count:
        node = node.named_children[-1]
    words = words_of(node)
    if not words or words[0] not in ("exit", "return", "false"):
        return False
    return (
        words[0] == "false"
        or len(words) == 1
        or (words[1].isdigit() and int(words[1]) % 256 != 0)
        or words[1] == "$?"
    )


def shell_reads_stdin(node: Node) -> bool:
    """``… | bash``: the commands come through the pipe."""
    command = node.child_by_field_name("body") if node.type == "redirected_statement" else node
    words = words_of(command) if command is not None else []
    if not words or words[0].rsplit("/", 1)[-1] not in wrappers.table().shell.shells:
        return False
    return all(word.startswith("-") and "c" not in word for word in words[1:])


def sides(node: Node) -> tuple[Node, str, Node]:
    """Left, operator and right of a ``list``."""
    operator = next((child.type for child in node.children if child.type in ("&&", "||")), "&&")
    return node.named_children[0], operator, node.named_children[-1]


def stops(node: Node) -> bool:
    """``CMD || exit 1``: the shell ends with a failure if CMD fails."""
    if node.type != "list":
        return False
    _, operator, right = sides(node)
    while right.type == "compound_statement" and right.named_child_count:
        right = right.named_children[-1]
    return operator == "||" and fails(right) and words_of(right)[:1] == ["exit"]


def misplaced(root: Node, reserved: AbstractSet[str]) -> bool:
    """Whether a reserved word stands where a program is named: a syntax error that the grammar does not see."""
    stack = [root]
    for _ in range(_MAX_SEEN):
        if not stack:
            return False
        current = stack.pop()
        if current.type == "command_name" and text_of(current) in reserved:
            return True
        stack.extend(current.named_children)
    return True  # more than anybody looks at


def leaves(node: Node) -> bool:
    """Whether the shell surely ends with a statement: ``exit 1``, ``{ echo bad; exit; }``."""
    while node.type == "compound_statement" and node.named_child_count:
        node = node.named_children[-1]
    return words_of(node)[:1] == ["exit"]


def identifiers(node: Node) -> list[str]:
    """Names in an arithmetic expression, any of which it may set."""
    names: list[str] = []
    stack = [node]
    while stack and len(names) < _MAX_NAMES:
        current = stack.pop()
        if current.type in ("variable_name", "word"):
            names.append(text_of(current))
        if current.type != "do_group":
            stack.extend(current.named_children)
    return names


def moves(body: Node) -> bool:
    """Whether a loop's body changes the directory, so that a later round starts elsewhere."""
    return any(word in (body.text or b"") for word in (b"cd", b"pushd", b"popd", b"eval", b"source", b". "))


def makes_readonly(node: Node) -> bool:
    """``readonly x``, ``declare -r x``."""
    words = text_of(node).split()
    return words[:1] == ["readonly"] or any(word.startswith("-") and "r" in word for word in words[1:3])


def words_after_redirect(node: Node, scope: Scope) -> list[str]:
    """``a > f b``: the grammar takes ``b`` for a second destination."""
    return [word for extra in node.children_by_field_name("destination")[1:] for word in expand(extra, scope)]


def assigned(body: Node) -> list[str]:
    """Variables that a loop's body sets: their values differ between rounds."""
    names: list[str] = []
    stack = [body]
    while stack and len(names) < _MAX_NAMES:
        current = stack.pop()
        if (
            current.type == "variable_assignment"
            and (name := current.child_by_field_name("name")) is not None
        ):
            names.append(text_of(name))
        stack.extend(current.named_children)
    return names


def file_redirect(node: Node, scope: Scope) -> tuple[str, str, str | None]:
    """Path, operator and descriptor of ``2> path``."""
    descriptor = node.child_by_field_name("descriptor")
    destination = node.child_by_field_name("destination")
    operator = next((child.type for child in node.children if not child.is_named), ">")
    path = value_of(destination, scope) if destination is not None else UNKNOWN
    return path, operator, text_of(descriptor) if descriptor is not None else None


def after_heredoc(node: Node) -> list[tuple[str, Node]]:
    """What the grammar puts inside a heredoc's redirection although it follows it: ``| tail``, ``&& ls``."""
    found: list[tuple[str, Node]] = []
    operator = "|"
    for child in node.children:
        if child.type in ("&&", "||"):
            operator = child.type
        elif (
            child.is_named
            and not child.type.startswith(("heredoc_", "file_"))
            and child.type != "file_descriptor"
        ):
            found.append((operator, child))
    return found


def heredoc(node: Node) -> str | None:
    """The text of a heredoc; None where the shell would have to expand it."""
    start = next((child for child in node.children if child.type == "heredoc_start"), None)
    body = next((child for child in node.children if child.type == "heredoc_body"), None)
    if start is None:
        return None
    text = text_of(body) if body is not None else ""
    quoted = any(char in text_of(start) for char in "'\"\\")
    if not quoted and any(char in text for char in "$`\\"):
        return None
    if any(child.type == "<<-" for child in node.children):
        text = "".join(line.lstrip("\t") for line in text.splitlines(keepends=True))
    return text


def herestring(node: Node, scope: Scope) -> str | None:
    value = value_of(node, scope)
    return None if UNKNOWN in value else value + "\n"
