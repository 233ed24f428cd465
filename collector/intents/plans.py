"""What a command line should do, as it is found while its text is walked: :class:`ShellPlan`, :class:`Recorder`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import msgspec

from collector.intents import wrappers
from collector.intents.state import State, resolve
from polygraph import tools
from polygraph.events import Execution

_MAX_EXECUTIONS = 256

Project = Callable[[str, str, str | None], str | None]
"""``project(kind, name, cwd)``: the text of a script that a project file defines (kind npm, make, just)."""


class Redirect(NamedTuple):
    """A file that the shell itself opens (or ``tee`` writes). ``content`` where the text says it whole.

    Opening it may fail, as every program may: the kernel shows that as an attempt with its errno.
    """

    path: str
    op: Literal["read", "write", "append"]
    content: bytes | None = None
    conditional: bool = False
    #: of an edit in place: the texts that it looks for, and those that it puts there
    edit: tuple[str, str] = ("", "")


class ShellPlan(NamedTuple):
    """What a command line should do. ``executions`` are in the order of the text."""

    executions: tuple[Execution, ...] = ()
    redirects: tuple[Redirect, ...] = ()
    parsed: bool = True
    note: str | None = None
    hand_off: str | None = None
    background: bool = False


class TooMuchError(Exception):
    """A bound was reached; the message says which."""


class Context(NamedTuple):
    """What holds for a statement because of where it stands."""

    conditional: bool = False
    masked: bool = False
    background: bool = False
    #: the status of this statement is the one of the text
    tail: bool = True
    stdin: str | None = None
    depth: int = 0
    nested: int = 0
    #: number of executions at which a ``timeout`` began: only the first one under it is sure to be reached
    timed: int | None = None
    #: where the output goes on to
    feeds: Literal["pipe", "words"] | None = None


class Recorder:
    """Collects what is expected, and what is not certain."""

    def __init__(self) -> None:
        self._executions: list[Execution] = []
        self._redirects: list[Redirect] = []
        self._note: str | None = None
        self._hand_off: str | None = None
        self._doubtful = False

    def plan(self) -> ShellPlan:
        """What was found."""
        executions = tuple(self._executions)
        if self._doubtful:  # after a syntax error nothing is sure to run
            executions = tuple(msgspec.structs.replace(e, conditional=True) for e in executions)
        return ShellPlan(
            executions,
            () if self._doubtful else tuple(self._redirects),
            self._note is None,
            self._note,
            self._hand_off,
            any(execution.background for execution in executions),
        )

    def unknown(self, note: str) -> None:
        """The plan is not whole."""
        self._note = self._note or note

    def doubt(self, note: str) -> None:
        """Nothing of the text is sure to run."""
        self._doubtful = True
        self.unknown(note)

    def handed(self, target: str) -> None:
        """Work is done outside the lineage."""
        self._hand_off = self._hand_off or target

    def redirect(
        self,
        path: str,
        operator: str,
        content: bytes | None,
        state: State,
        context: Context,
        edit: tuple[str, str] = ("", ""),
    ) -> None:
        """The shell opens ``path``, or a program does that edits it."""
        resolved = resolve(path, state.cwd)
        if (
            resolved is None
            or resolved.startswith(("/dev/", "/proc/"))
            or ("&" in operator and path.isdigit())
        ):
            return
        elsewhere = state.may_be_elsewhere and not path.startswith("/")
        late = context.timed is not None and len(self._executions) > context.timed
        conditional = context.conditional or state.doubt or elsewhere or late
        if operator == "<":
            self._redirects.append(Redirect(resolved, "read", None, conditional))
            return
        if operator in (">>", "&>>"):
            self._redirects.append(Redirect(resolved, "append", content, conditional))
        elif operator in (">", ">|", "&>", ">&"):
            whole = content if operator in (">", ">|") else None
            self._redirects.append(Redirect(resolved, "write", whole, conditional, edit))

    def emit(self, argv: tuple[str, ...], state: State, context: Context) -> None:
        """A program (or a builtin of the shell) is run."""
        if len(self._executions) >= _MAX_EXECUTIONS:
            raise TooMuchError("the command runs too many programs")
        program = argv[0].rsplit("/", 1)[-1]
        builtin = "/" not in argv[0] and program in wrappers.table().shell.builtins
        match = None if builtin else tools.recognise(argv[0], None, argv)
        lost = state.path_lost and "/" not in argv[0]
        late = context.timed is not None and len(self._executions) > context.timed
        known = state.cwd is not None and state.cwd.startswith("/") and not state.may_be_elsewhere
        self._executions.append(
            Execution(
                program=program,
                args=argv[1:],
                tool=match.tool.name if match is not None else None,
                purpose=match.tool.purpose if match is not None and not match.runs_nothing else None,
                cwd=state.cwd if known else None,
                conditional=context.conditional or state.doubt or lost or late,
                masked=context.masked or state.trapped,
                background=context.background,
                builtin=builtin,
                feeds=context.feeds,
            )
        )
