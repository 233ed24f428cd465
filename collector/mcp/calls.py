"""MCP tool calls: a request ``tools/call`` and its response, joined on the id of JSON-RPC. Pure.

Model Context Protocol 2025-11-25 and 2026-07-28, ``server/tools``: ``params.name``, ``params.arguments``;
``result.content``, ``result.structuredContent``, ``result.isError``, and since 2026-07-28 ``result.resultType``: a
server that needs more input does not answer with ``complete``, and the client calls again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Literal, NamedTuple

import msgspec

from collector.llm.values import Json, clean, dumps, mapping, parts_text, string
from collector.mcp.jsonrpc import Message
from polygraph.events import ProcessKey

#: most calls that wait for their answer; the oldest is given up beyond it
MAX_PENDING = 4096

Digest = Callable[[bytes], str]
Transport = Literal["stdio", "http"]


class CallSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A tool call is over. ``ts``: of its answer, or of the moment in which it was given up.

    ``process`` is the one whose side was seen: it ``serves`` the tool, else it called it. ``peer``: the other one,
    where it is known. Digests are of the id's JSON, of the arguments as compact JSON, and of the result's text (of its
    structured content where it has no text; of an error's message).
    """

    ts: int
    request_ts: int
    process: ProcessKey
    serves: bool
    transport: Transport
    tool: str
    id_digest: str
    arguments_digest: str
    arguments_size: int
    result_digest: str = ""
    result_size: int = 0
    is_error: bool = False
    complete: bool = False
    peer: ProcessKey | None = None


class Answer(NamedTuple):
    """What a response says. ``final`` False: the server asks for something first."""

    digest: str
    size: int
    is_error: bool
    final: bool


class Calls:
    """Calls that wait for their answers, by any key in which an id of JSON-RPC is unique."""

    def __init__(self, digest: Digest) -> None:
        self._digest = digest
        self._pending: OrderedDict[Hashable, CallSeen] = OrderedDict()

    def asked(
        self,
        key: Hashable,
        message: Message,
        ts: int,
        *,
        process: ProcessKey,
        serves: bool,
        transport: Transport,
        peer: ProcessKey | None = None,
    ) -> list[CallSeen]:
        """A request. The same one again, while it waits, is a retry. Gives what was given up for want of room."""
        if message.method != "tools/call" or message.id is None:
            return []
        arguments = (dumps(message.params.get("arguments", {})) or "").encode()
        call = CallSeen(
            ts=ts,
            request_ts=ts,
            process=process,
            serves=serves,
            transport=transport,
            tool=clean(string(message.params.get("name"))),
            id_digest=self._digest(message.id.encode()),
            arguments_digest=self._digest(arguments),
            arguments_size=len(arguments),
            peer=peer,
        )
        before = self._pending.get(key)
        if (
            before is not None
            and before.tool == call.tool
            and before.arguments_digest == call.arguments_digest
        ):
            return []
        self._pending[key] = call
        self._pending.move_to_end(key)
        given_up = [before] if before is not None else []
        if len(self._pending) > MAX_PENDING:
            given_up.append(self._pending.popitem(last=False)[1])
        return given_up

    def waits(self, key: Hashable) -> bool:
        """Whether a call of that key has no answer yet."""
        return key in self._pending

    def answer(self, message: Message) -> Answer:
        """What a response says."""
        if message.error is not None:
            said = string(message.error.get("message")).encode("utf-8", "replace")
            return Answer(self._digest(said), len(said), True, True)
        result = mapping(message.result)
        said = _text(result).encode()
        final = result.get("resultType", "complete") == "complete"
        return Answer(self._digest(said), len(said), result.get("isError") is True, final)

    def answered(
        self, key: Hashable, answer: Answer, ts: int, peer: ProcessKey | None = None
    ) -> CallSeen | None:
        """The call of that key, which is over; None if none waits."""
        call = self._pending.pop(key, None)
        if call is None:
            return None
        peer = peer if peer != call.process else None
        return msgspec.structs.replace(
            call,
            ts=ts,
            result_digest=answer.digest,
            result_size=answer.size,
            is_error=answer.is_error,
            complete=answer.final,
            peer=peer or call.peer,
        )

    def give_up(self, ts: int) -> list[CallSeen]:
        """All that wait: nothing more will come."""
        calls = [msgspec.structs.replace(call, ts=ts) for call in self._pending.values()]
        self._pending.clear()
        return calls


def _text(result: dict[str, Json]) -> str:
    text = parts_text(result.get("content"))
    return text if text or "structuredContent" not in result else dumps(result["structuredContent"]) or ""
