"""JSON-RPC 2.0 messages (jsonrpc.org/specification), as MCP and A2A use them. Pure, and bounded as in ``llm``."""

from __future__ import annotations

from typing import NamedTuple

from collector.llm.values import Json, dumps, loads, mapping

#: most messages of one batch (MCP 2025-03-26 allows them); the rest is not read
MAX_BATCH = 256
#: most characters of an id; a message with a longer one is none
_MAX_ID = 256


class Message(NamedTuple):
    """One message. ``id`` is its JSON text (``1`` and ``"1"`` differ), None for a notification.

    A request or notification has a ``method``; a response has none, and a ``result`` or an ``error``.
    """

    id: str | None
    method: str
    params: dict[str, Json]
    result: Json
    error: dict[str, Json] | None


def parse(data: bytes) -> list[Message]:
    """The messages that ``data`` is: one, a batch, or none. Never raises."""
    value = loads(data)
    values = value[:MAX_BATCH] if isinstance(value, list) else [value]
    return [message for message in map(_message, values) if message is not None]


def _message(value: Json) -> Message | None:
    if not isinstance(value, dict) or value.get("jsonrpc") != "2.0":
        return None
    given = value.get("id")
    ident = dumps(given) if isinstance(given, int | str) and not isinstance(given, bool) else None
    if ident is not None and len(ident) > _MAX_ID:
        return None
    method = value.get("method")
    if isinstance(method, str):
        return Message(ident, method, mapping(value.get("params")), None, None)
    if ident is None or ("result" in value) == ("error" in value):
        return None
    error = mapping(value["error"]) if "error" in value else None
    return Message(ident, "", {}, value.get("result"), error)
