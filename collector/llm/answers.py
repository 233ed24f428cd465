"""The answers of a session by the ids that their provider gave them, within bounds.

OpenAI's Responses API refers to earlier answers by id: a request goes on from one, one that broke off is
asked for again from where it did, and one that is being made may be cancelled.
"""

from __future__ import annotations

from collections import OrderedDict

from collector.bounded import put
from collector.llm.call import AnswerStream

#: most ids that are remembered, most answers that may be gone on with, and their bytes; the oldest go first
MAX_IDS = 65_536
MAX_UNFINISHED = 64
MAX_UNFINISHED_SIZE = 32 << 20
#: an id that is longer is none
MAX_ID = 256


class Answers:
    """What a session knows of its answers."""

    def __init__(self) -> None:
        self._ids: OrderedDict[str, None] = OrderedDict()
        self._unfinished: OrderedDict[str, AnswerStream | None] = OrderedDict()
        self._size = 0
        self._cancelled: OrderedDict[str, None] = OrderedDict()

    def __contains__(self, ident: object) -> bool:
        """Whether an answer of that id was seen, whole or in part."""
        return ident in self._ids

    def told(self, ident: str) -> None:
        """An answer has this id."""
        if ident and len(ident) <= MAX_ID:
            put(self._ids, ident, None, MAX_IDS)

    def unfinished(self, ident: str) -> bool:
        """Whether the rest of this answer may still come."""
        return ident in self._unfinished

    def leave(self, ident: str, stream: AnswerStream | None) -> None:
        """The answer is not over: the rest may come in another message. ``stream``: what was said so far."""
        if ident not in self._ids:
            return
        self.take(ident)
        self._unfinished[ident] = stream
        self._size += stream.size if stream is not None else 0
        while len(self._unfinished) > MAX_UNFINISHED or self._size > MAX_UNFINISHED_SIZE:
            self.take(next(iter(self._unfinished)))

    def take(self, ident: str) -> AnswerStream | None:
        """What was said so far of an answer; whoever takes it reads the rest."""
        stream = self._unfinished.pop(ident, None)
        self._size -= stream.size if stream is not None else 0
        return stream

    def cancel(self, ident: str) -> None:
        """The client asked its provider to make this answer no further."""
        if len(ident) <= MAX_ID:
            put(self._cancelled, ident, None, MAX_UNFINISHED)

    def cancelled(self, ident: str | None) -> bool:
        """Whether the client asked for that."""
        return ident in self._cancelled
