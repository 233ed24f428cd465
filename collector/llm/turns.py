"""Ids for tool calls of APIs that give them none (Gemini, Ollama), and which result belongs to which call.

Such an API tells calls apart by name and order within one turn, and each request carries the whole conversation. So an
id is made of where the call stands: how many turns came before, what was said just before, the call's place, name and
arguments. The answer that brings a call and every later request that repeats it make the same id of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import msgspec

from collector.llm.model import ModelResponse, ToolCall, ToolResultItem

#: hexadecimal digits of an id
_DIGITS = 24


def turn_name(number: int, before: str) -> str:
    """The name of a conversation's turn ``number``; ``before``: JSON of the message that it answers."""
    return _digest(str(number), before)


def named(calls: Iterable[ToolCall], turn: str) -> tuple[ToolCall, ...]:
    """The calls of one turn in order, those without an id given one."""
    return tuple(
        call
        if call.id or call.kind == "builtin"
        else msgspec.structs.replace(call, id=f"call_{_digest(turn, str(place), call.name, call.arguments)}")
        for place, call in enumerate(calls)
    )


def named_answer(response: ModelResponse, turn: str) -> ModelResponse:
    """The answer to a request of that turn, its calls named; of a request that was not read, as it is."""
    if not turn or all(call.id for call in response.tool_calls):
        return response
    return msgspec.structs.replace(response, tool_calls=named(response.tool_calls, turn))


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
        self._before = ""
        self._speaking = False
        #: the calls of the last turn, and the results that came after it
        self._turn = ""
        self._made: list[ToolCall] = []
        self._got: list[Result] = []

    @property
    def next_turn(self) -> str:
        """The name of the turn that the model is asked for."""
        return turn_name(self._number, self._before)

    def model(self, calls: Iterable[ToolCall | None]) -> None:
        """A message of the model. Its calls, None for one that could not be read."""
        if not self._speaking:
            self.close()
            self._turn = self.next_turn
            self._number += 1
            self._speaking = True
        self._made += (call for call in calls if call is not None)

    def other(self, message: str, results: Iterable[Result] = ()) -> None:
        """A message of anybody else, as JSON, and the results in it."""
        self._speaking = False
        self._before = message
        self._got += results

    def close(self) -> None:
        """No more results of the last turn will come."""
        calls = named(self._made, self._turn)
        given = frozenset(call.id for call in self._made if call.id)
        self.calls += calls
        self.results += paired(calls, self._got, given)
        self._made, self._got = [], []


def paired(
    calls: Sequence[ToolCall], results: Sequence[Result], given: frozenset[str]
) -> list[ToolResultItem]:
    """The results that one turn's ``calls`` got, each with the id of its call as far as that is certain.

    ``given``: the ids that the API itself gave to calls of this turn. A result that names one of them is its result.
    Others (clients make up ids too) go to the calls without an id by name and order, but only if there are as many
    as such calls of that name; else who got what is not known, and the result keeps what it says of itself.
    """
    waiting: dict[str, list[str]] = {}
    for call in calls:
        if call.id not in given and call.kind != "builtin":
            waiting.setdefault(call.name, []).append(call.id)
    loose: dict[str, int] = {}
    for result in results:
        if result.item.call_id not in given:
            loose[result.name] = loose.get(result.name, 0) + 1
    seen: dict[str, int] = {}
    items = []
    for result in results:
        item = result.item
        known = waiting.get(result.name, [])
        if item.call_id not in given and len(known) == loose[result.name]:
            place = seen.get(result.name, 0)
            seen[result.name] = place + 1
            item = msgspec.structs.replace(item, call_id=known[place])
        items.append(item)
    return items


def _digest(*parts: str) -> str:
    hashed = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        hashed.update(b"%d:" % len(data) + data)
    return hashed.hexdigest()[:_DIGITS]
