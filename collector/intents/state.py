"""What is known of a shell while its text is walked: directory, variables, functions, options."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from tree_sitter import Node

from collector.intents.words import UNKNOWN, Scope


@dataclass
class State:
    #: "" is the unknown directory that the text starts in, None one that is not known relative to it
    cwd: str | None = ""
    variables: dict[str, str | None] = field(default_factory=dict)
    functions: dict[str, Node] = field(default_factory=dict)
    aliases: set[str] = field(default_factory=set)
    errexit: bool = False
    pipefail: bool = False

    def copy(self) -> State:
        return replace(
            self, variables=dict(self.variables), functions=dict(self.functions), aliases=set(self.aliases)
        )

    def maybe(self, before: State) -> None:
        """What changed since ``before`` may or may not have: it is unknown from now on."""
        if self.cwd != before.cwd:
            self.cwd = None
        for name, value in self.variables.items():
            if name not in before.variables or before.variables[name] != value:
                self.variables[name] = None

    def scope(self) -> Scope:
        return Scope(self.variables, self.cwd)


def resolve(path: str, cwd: str | None) -> str | None:
    """``path`` from ``cwd`` ("" is where the text starts): absolute or relative to that; None if unknown."""
    if UNKNOWN in path or not path:
        return None
    if path.startswith("/"):
        return posixpath.normpath(path)
    if cwd is None:
        return None
    return posixpath.normpath(posixpath.join(cwd, path))


def set_option(state: State, name: str, on: bool) -> None:
    if name == "pipefail":
        state.pipefail = on
    elif name == "errexit":
        state.errexit = on


def set_options(state: State, args: Sequence[str]) -> None:
    for position, argument in enumerate(args):
        if argument == "--":
            return
        if argument[:1] in ("-", "+"):
            on = argument[0] == "-"
            if "e" in argument[1:]:
                state.errexit = on
            if "o" in argument[1:] and position + 1 < len(args):
                set_option(state, args[position + 1], on)
