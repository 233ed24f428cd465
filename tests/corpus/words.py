"""What of the corpus' words is understood, before anything is recorded: :func:`understood`. Pure."""

from __future__ import annotations

from typing import NamedTuple

from polygraph.events import LlmCall, SessionStart
from tests.corpus import place, play
from tests.corpus.expand import Session
from tests.corpus.records import Label
from tests.corpus.reread import reread
from tests.corpus.schema import Turn

_PROCESS = "1:1"
#: topics that tell how a run went; of the others, words beside tool calls may announce what these are to do
_OUTCOMES = frozenset(("tests_passed", "tests_failed"))


class Understood(NamedTuple):
    """``labels``: those that no claim was understood for have none. ``unlabelled``: claims of which nothing is said."""

    labels: tuple[Label, ...]
    unlabelled: list[str]

    def missed(self, session: Session) -> tuple[Label, ...]:
        """The labels without a claim that could have one. What was done is not read beside tool calls."""
        return tuple(
            label
            for label in self.labels
            if not label.claim and (label.topic in _OUTCOMES or not _acting(session.turn[label.turn]))
        )


def _acting(turn: Turn) -> bool:
    return bool(turn.run or turn.write or turn.edit or turn.read or turn.task)


def understood(session: Session) -> Understood:
    """The session's labels, joined with the claims in its words."""
    start = SessionStart(
        session="0" * 16, ts=0, host=place.MACHINE, boot=place.BOOT, kernel="", process=_PROCESS, argv=(),
        cwd=str(place.PROJECT), origin="run", wall_offset=0, content="metadata",
    )  # fmt: skip
    calls = [
        LlmCall(
            session=start.session, ts=turn + 1, call=f"c{turn}", process=_PROCESS, api="openai.chat", host="",
            request_ts=turn, response_id=f"t{turn}",
        )
        for turn in range(len(session.turn))
    ]  # fmt: skip
    record = play.record(session, play.transcript(session, {}), (start, *calls))
    again, unlabelled = reread(record, session)
    return Understood(again.labels, unlabelled)
