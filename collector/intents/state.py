"""What is known of a shell while its text is walked: directory, variables, functions, options."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from tree_sitter import Node

from collector.intents.words import UNKNOWN, Scope


@dataclass
class State:
    """Of the options two things are asked: whether they are surely on, and whether they may be."""

    #: "" is the unknown directory that the text starts in, None one that is not known relative to it
    cwd: str | None = ""
    #: a ``cd`` that may have failed came before
    may_be_elsewhere: bool = False
    variables: dict[str, str | None] = field(default_factory=dict)
    #: None: it may be defined, or may be defined so
    functions: dict[str, Node | None] = field(default_factory=dict)
    aliases: set[str] = field(default_factory=set)
    errexit: bool = False
    may_errexit: bool = False
    pipefail: bool = False
    may_pipefail: bool = False
    may_nounset: bool = False
    may_failglob: bool = False
    noclobber: bool = False
    #: the shell may have ended before this point
    exits: bool = False
    #: the function may have been left before this point; how many loops around it may have been
    returns: bool = False
    breaks: int = 0
    #: a trap may change the status that the shell ends with
    trapped: bool = False
    #: programs may not be found: PATH is another one
    path_lost: bool = False
    #: some variable is read-only: setting it ends the shell
    readonly: bool = False

    @property
    def doubt(self) -> bool:
        """Whether what comes next may not be reached."""
        return self.exits or self.returns or self.breaks > 0

    def copy(self) -> State:
        """For a subshell, or to compare with later."""
        return replace(
            self, variables=dict(self.variables), functions=dict(self.functions), aliases=set(self.aliases)
        )

    def maybe(self, other: State) -> None:
        """This or ``other`` is how things are: what differs is unknown from now on."""
        if self.cwd != other.cwd:
            self.cwd = None
        for name in self.variables.keys() | other.variables.keys():
            if name not in other.variables or self.variables.get(name, UNKNOWN) != other.variables[name]:
                self.variables[name] = None
        for name in self.functions.keys() | other.functions.keys():
            if self.functions.get(name) is not other.functions.get(name):
                self.functions[name] = None
        self.aliases |= other.aliases
        self.errexit = self.errexit and other.errexit
        self.pipefail = self.pipefail and other.pipefail
        for flag in _POSSIBLE:
            setattr(self, flag, getattr(self, flag) or getattr(other, flag))
        self.breaks = max(self.breaks, other.breaks)

    def forget(self) -> None:
        """Text that is not known was run in this shell: it may have changed anything, and may have ended it."""
        self.cwd = None
        self.variables = dict.fromkeys(self.variables)
        self.functions = dict.fromkeys(self.functions)
        self.errexit = self.pipefail = False
        self.may_errexit = self.exits = True

    def scope(self) -> Scope:
        """For the expansion of words."""
        return Scope(self.variables, self.cwd)


_POSSIBLE = (
    "may_be_elsewhere", "may_errexit", "may_pipefail", "may_nounset", "may_failglob", "noclobber",
    "exits", "returns", "trapped", "path_lost", "readonly",
)  # fmt: skip


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
    """``set -o name``, ``shopt -s name``."""
    if name == "pipefail":
        state.pipefail = on
        state.may_pipefail = state.may_pipefail or on
    elif name == "errexit":
        state.errexit = on
        state.may_errexit = on
    elif name == "nounset":
        state.may_nounset = on
    elif name == "failglob":
        state.may_failglob = state.may_failglob or on
    elif name == "noclobber":
        state.noclobber = state.noclobber or on
    elif name in ("noexec", "onecmd"):
        state.exits = True


_LETTERS = {"e": "errexit", "u": "nounset", "C": "noclobber", "n": "noexec", "t": "onecmd"}


def set_options(state: State, args: Sequence[str]) -> None:
    """The arguments of ``set``."""
    for position, argument in enumerate(args):
        if argument == "--" or argument[:1] not in ("-", "+"):
            return
        on = argument[0] == "-"
        for letter in argument[1:]:
            if letter in _LETTERS:
                set_option(state, _LETTERS[letter], on)
        if "o" in argument[1:] and position + 1 < len(args):
            set_option(state, args[position + 1], on)
            set_options(state, args[position + 2 :])
            return
