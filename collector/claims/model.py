"""What a claim is before it has a session: :class:`ClaimDraft`."""

from __future__ import annotations

from typing import Literal

import msgspec

from polygraph.events import ClaimKind, ClaimTell, ClaimTopic

__all__ = ["PURPOSE_TOPICS", "ClaimDraft", "ClaimKind", "ClaimTell", "ClaimTopic", "ResultReading"]

Outcome = Literal["ok", "failed"]


class ClaimDraft(msgspec.Struct, frozen=True):
    """A claim as the words make it; fields as in :class:`polygraph.events.Claim`.

    ``tool`` is a row of polygraph/data/tools.toml, ``text`` the sentence or line that says it.
    """

    kind: ClaimKind
    topic: ClaimTopic
    outcome: Outcome | None = None
    tool: str | None = None
    targets: tuple[str, ...] = ()
    counts: dict[str, int] = {}
    text: str = ""
    #: in the order of :data:`~polygraph.events.ClaimTell`
    tells: tuple[ClaimTell, ...] = ()


class ResultReading(msgspec.Struct, frozen=True):
    """What a tool's result says. ``reported_status``: the exit status that its text reports, if it does."""

    claims: tuple[ClaimDraft, ...] = ()
    reported_status: int | None = None


#: purpose of a tool (polygraph.tools) to the topic of "I ran it"; others are ``command_run``
PURPOSE_TOPICS: dict[str, ClaimTopic] = {
    "test": "tests_run",
    "build": "build",
    "lint": "lint",
    "typecheck": "typecheck",
    "install": "install",
    "commit": "commit",
    "push": "push",
    "deploy": "deployed",
}
