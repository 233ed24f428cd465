"""What a simple command writes, where the text says it whole: ``echo``, ``printf``, ``cat`` of a heredoc."""

from __future__ import annotations

from tree_sitter import Node

from collector.intents.words import UNKNOWN, Scope, expand


def output_of(body: Node, scope: Scope, stdin: str | None) -> bytes | None:
    """Standard output of ``body``, or None where it is not certain (another program, unknown arguments)."""
    if body.type != "command":
        return None
    argv: list[str] = []
    for child in body.named_children:
        if child.type in ("herestring_redirect", "variable_assignment", "file_redirect"):
            continue
        word = child.named_children[0] if child.type == "command_name" and child.named_child_count else child
        argv.extend(expand(word, scope))
    if not argv or any(UNKNOWN in word for word in argv):
        return None
    text = _text(argv, stdin)
    return None if text is None else text.encode("utf-8", "replace")


def _text(argv: list[str], stdin: str | None) -> str | None:
    program, args = argv[0], argv[1:]
    if program == "cat" and args in ([], ["-"]):
        return stdin
    if any("\\" in argument for argument in args) and program == "echo":
        return None  # dash interprets backslashes, bash does not
    if program == "echo":
        if args and args[0] == "-n":
            return " ".join(args[1:]) if not args[1:2] or not args[1].startswith("-") else None
        return None if args and args[0].startswith("-") else " ".join(args) + "\n"
    if program == "printf" and args:
        return _printf(args)
    return None


def _printf(args: list[str]) -> str | None:
    pattern = args[0].replace("\\n", "\n")
    if "\\" in pattern:
        return None
    if "%" not in pattern:
        return pattern if len(args) == 1 else None
    if pattern in ("%s", "%s\n") and len(args) > 1:
        return "".join(pattern.replace("%s", argument) for argument in args[1:])
    return None
