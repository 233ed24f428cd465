"""What the scripted model says: a list of turns, in words that no client knows. Adapters translate them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

#: what may happen to a try at a turn: refused with 429, refused as overloaded (529, 503), broken off after its first
#: words, broken off in the middle
Trouble = Literal["rate_limited", "overloaded", "dropped", "cut"]


@dataclass(frozen=True)
class Shell:
    """Run ``command`` in the project."""

    command: str


@dataclass(frozen=True)
class Write:
    """Write the whole file ``path``, relative to the project."""

    path: str
    content: str


@dataclass(frozen=True)
class Edit:
    """Replace ``old``, which is there once, by ``new`` in ``path``, relative to the project."""

    path: str
    old: str
    new: str


@dataclass(frozen=True)
class Read:
    """Look at ``path``, relative to the project."""

    path: str


Action = Shell | Write | Edit | Read


@dataclass(frozen=True)
class Turn:
    """One answer of the model: ``text`` and tool calls. ``release``: a file made after it was sent.

    ``thinking`` comes before, where the API has a form for it. ``troubles`` happen to the first tries.
    The file comes ``release_after`` seconds after the answer, from outside of the agent's processes, in the
    folder that the endpoint was given: a background command can wait for it, so that it certainly outlives
    what was said.
    """

    text: str = ""
    actions: tuple[Action, ...] = ()
    release: str | None = None
    release_after: float = 1.0
    thinking: str = ""
    troubles: tuple[Trouble, ...] = ()


@dataclass(frozen=True)
class ToolCall:
    """A tool call as a client knows it. ``id`` is given by the endpoint.

    ``arguments`` as text: a custom tool of the Responses API, whose input is free text.
    """

    name: str
    arguments: dict[str, Any] | str


@dataclass(frozen=True)
class Answer:
    """A turn in a client's own words: what the endpoint sends."""

    text: str = ""
    calls: tuple[ToolCall, ...] = ()
    release: str | None = None
    release_after: float = 1.0
    thinking: str = ""
    troubles: tuple[Trouble, ...] = ()
    #: False: the calls have no ids, where an API allows that
    with_ids: bool = True


@dataclass(frozen=True)
class Script:
    """The answers to the main requests, in order. ``side`` answers the rest: titles, commit messages.

    After the last answer, ``side`` is repeated, so that a client that asks on comes to an end.
    """

    answers: tuple[Answer, ...]
    side: Answer = field(default_factory=lambda: Answer(text="ok"))
