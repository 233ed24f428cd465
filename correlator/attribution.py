"""The edge of the causal graph: what an effect belongs to, how surely, and why in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from polygraph.events import FileOp
from polygraph.reasons import Grade

Cause = Literal["intent", "housekeeping", "nothing"]


@dataclass(frozen=True, slots=True)
class Attribution:
    """What one effect belongs to. ``grade`` is None for nothing: there is no edge to grade.

    ``why`` is made of polygraph's own words, never of what an observed process chose.
    """

    cause: Cause
    why: str
    grade: Grade | None = None
    #: id of the intent
    intent: str | None = None
    #: the row of data/housekeeping.toml, as ``agent/row``; a rule of the graph itself has no agent
    rule: str | None = None
    #: other intents that it may as well belong to: their windows were open too, and nothing tells them apart
    rivals: tuple[str, ...] = ()
    #: the arguments of the intent name the very file, host or program
    named: bool = False


@dataclass(frozen=True, slots=True)
class Arguments:
    """What of an effect may tell tool calls apart. Empty: only the process and the time are known."""

    #: paths of a file operation, any of which may have been meant
    paths: tuple[str, ...] = ()
    op: FileOp = "read"
    #: the file is a credential, by the collector's table
    sensitive: bool = False
    #: the address of a connection
    address: str | None = None
    port: int = 0

    @property
    def writes(self) -> bool:
        """Whether a file operation changes something."""
        return self.op != "read"


NO_ARGUMENTS = Arguments()


def to_intent(
    intent: str, grade: Grade, why: str, *, rivals: tuple[str, ...] = (), named: bool = False
) -> Attribution:
    """It belongs to a tool call."""
    return Attribution("intent", why, grade, intent=intent, rivals=rivals, named=named)


def to_housekeeping(rule: str, grade: Grade, why: str) -> Attribution:
    """The agent did it of itself."""
    return Attribution("housekeeping", why, grade, rule=rule)


def to_nothing(why: str) -> Attribution:
    """Nothing that was seen explains it."""
    return Attribution("nothing", why)
