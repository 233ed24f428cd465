"""Ids for tool calls of APIs that give them none (Gemini, Ollama), and which result belongs to which call.

Such an API tells calls apart by name and order within one turn, and each request carries the whole conversation.
So an id is made of where the call stands: how many turns came before, what was said just before, the call's place,
name and arguments. The answer that brings a call and every later request that repeats it make the same id of it,
also where the client gave the call an id of its own in between, as Gemini CLI does.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from collector.llm.model import ModelResponse, ToolCall, ToolResultItem
from collector.llm.values import Json, dumps

#: hexadecimal digits of an id
_DIGITS = 24


def named_answer(response: ModelResponse, turn: str) -> ModelResponse:
    """The answer to a request of that turn, its calls without ids named; of a request that was not read, as it is."""
    if not turn or all(call.id for call in response.tool_calls):
        return response
    idents = _idents(response.tool_calls, turn)
    return msgspec.structs.replace(
        response,
        tool_calls=tuple(
            call if call.id or not ident else msgspec.structs.replace(call, id=ident)
            for call, ident in zip(response.tool_calls, idents, strict=True)
        ),
    )


def _idents(calls: Sequence[ToolCall], turn: str) -> list[str]:
    """What the calls of one turn are called; empty for those that the provider runs, which get no results."""
    idents = []
    place = 0
    for call in calls:
        if call.kind == "builtin":
            idents.append("")
            continue
        idents.append(f"call_{_digest(turn, str(place), call.name, call.arguments)}")
        place += 1
    return idents


class Result(msgspec.Struct, frozen=True):
    """A result as a request carries it: ``item.call_id`` is what it says itself, if anything."""

    name: str
    item: ToolResultItem


class History:
    """The turns of a conversation, message by message: what the model says without a break, and what it gets."""

    def __init__(self) -> None:
        #: all calls and results up to the last turn that is over
        self.calls: list[ToolCall] = []
        self.results: list[ToolResultItem] = []
        self._number = 0
        self._before: Json = None
        self._speaking = False
        #: the calls of the last turn, and the results that came after it
        self._turn = ""
        self._made: list[ToolCall] = []
        self._got: list[Result] = []

    @property
    def next_turn(self) -> str:
        """The name of the turn that the model is asked for."""
        return _digest(str(self._number), dumps(self._before) or "")

    def model(self, calls: Iterable[ToolCall | None]) -> None:
        """A message of the model. Its calls, None for one that could not be read."""
        if not self._speaking:
            self.close()
            self._turn = self.next_turn
            self._number += 1
            self._speaking = True
        self._made += (call for call in calls if call is not None)

    def other(self, message: Json, results: Iterable[Result] = ()) -> None:
        """A message of anybody else, and the results in it."""
        self._speaking = False
        self._before = message
        self._got += results

    def close(self) -> None:
        """No more results of the last turn will come."""
        self.calls += self._made
        self.results += paired(self._made, _idents(self._made, self._turn), self._got)
        self._made, self._got = [], []


def paired(
    calls: Sequence[ToolCall], idents: Sequence[str], results: Sequence[Result]
) -> list[ToolResultItem]:
    """The results that one turn's ``calls`` got, each with the id of its call as far as that is certain.

    ``idents`` are what the calls are called here. A result that names a call's own id is that call's. Others go to
    the calls of their name, in order, if there are as many as such calls without a result; else who got what is not
    known, and a result keeps what it says of itself.
    """
    own = {call.id: place for place, call in enumerate(calls) if call.id and call.kind != "builtin"}
    places = [own.get(result.item.call_id) for result in results]
    waiting: dict[str, list[int]] = {}
    for place, call in enumerate(calls):
        if place not in places and call.kind != "builtin":
            waiting.setdefault(call.name, []).append(place)
    loose = Counter(result.name for result, place in zip(results, places, strict=True) if place is None)
    certain = {name: iter(found) for name, found in waiting.items() if len(found) == loose[name]}
    items = []
    for result, known in zip(results, places, strict=True):
        at = known if known is not None else next(certain.get(result.name, iter(())), None)
        items.append(
            result.item
            if at is None
            else msgspec.structs.replace(result.item, call_id=calls[at].id or idents[at], made_id=idents[at])
        )
    return items


def _digest(*parts: str) -> str:
    hashed = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        hashed.update(b"%d:" % len(data) + data)
    return hashed.hexdigest()[:_DIGITS]
