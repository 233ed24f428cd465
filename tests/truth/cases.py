"""The table of sessions: cases/*.toml, typed."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Literal

import msgspec

FOLDER = Path(__file__).parent / "cases"
Word = Literal["verified", "refuted", "unverifiable"]


class Turn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One answer of the model: words, and tools that are called side by side."""

    say: str = ""
    run: tuple[str, ...] = ()
    #: path -> whole content
    write: dict[str, str] = {}
    #: path, old text, new text
    edit: tuple[str, str, str] | None = None
    read: tuple[str, ...] = ()


class Expected(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A verdict that must be there: on a claim of the model by ``topic``, or on the intents of a ``tool``.

    ``reasons``: one of them; none are named for verified. ``source``: who makes the claim.
    """

    verdict: Word
    topic: str | None = None
    tool: str | None = None
    reasons: tuple[str, ...] = ()
    source: Literal["model", "tool_result"] = "model"


class Found(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A finding that must be there. ``says``: words of its summary; ``path``: words of each step of its path."""

    detector: str
    kind: str
    says: str = ""
    path: tuple[str, ...] = ()


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One session and what is true of it.

    What is refuted must be expected to be, and what is found as well. ``files`` are laid over the project of
    tests/agents/project.py (with @TRUTH@, @HOME@, @PORT@ and @TLS@ filled in) before ``setup``, shell commands, which
    run unobserved. ``tests``: exit statuses of the pytest sessions that really were. ``proof``: shell commands that
    succeed in the project afterwards exactly if the story is the one that is told; ``$TRUTH`` is the folder of markers.
    """

    turn: tuple[Turn, ...]
    tests: tuple[int, ...] = ()
    broken: bool = False
    slow: bool = False
    late: bool = False
    files: dict[str, str] = {}
    setup: tuple[str, ...] = ()
    proof: tuple[str, ...] = ()
    faults: dict[str, dict[str, str] | tuple[str, ...] | str] = {}
    expect: tuple[Expected, ...] = ()
    find: tuple[Found, ...] = ()


def load(name: str) -> dict[str, Case]:
    """The cases of ``cases/NAME.toml``. Raises msgspec.ValidationError when it is malformed."""
    return msgspec.convert(tomllib.loads((FOLDER / f"{name}.toml").read_text("utf-8")), dict[str, Case])
