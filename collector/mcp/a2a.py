"""A2A: what agents ask of each other over HTTP (Agent2Agent protocol 1.0, and the names of 0.3). Pure.

Two bindings: JSON-RPC (``SendMessage`` …; ``message/send`` … before 1.0) and HTTP+JSON (``POST /message:send`` …,
bodies of ``application/a2a+json``). Read are ids and the task's state, no text.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import msgspec

from collector.llm.values import Json, clean, loads, mapping, string
from collector.mcp.jsonrpc import Message
from polygraph.events import ProcessKey

#: specification 1.0, "JSON-RPC protocol binding", with the names of 0.3
_METHODS = {
    "SendMessage": "SendMessage",
    "message/send": "SendMessage",
    "SendStreamingMessage": "SendStreamingMessage",
    "message/stream": "SendStreamingMessage",
    "GetTask": "GetTask",
    "tasks/get": "GetTask",
    "ListTasks": "ListTasks",
    "CancelTask": "CancelTask",
    "tasks/cancel": "CancelTask",
    "SubscribeToTask": "SubscribeToTask",
    "tasks/resubscribe": "SubscribeToTask",
}
#: the same, "HTTP+JSON/REST protocol binding"
_PATHS = (
    ("POST", re.compile(r"/message:send\Z"), "SendMessage"),
    ("POST", re.compile(r"/message:stream\Z"), "SendStreamingMessage"),
    ("POST", re.compile(r"/tasks/(?P<task>[^/:]+):cancel\Z"), "CancelTask"),
    ("POST", re.compile(r"/tasks/(?P<task>[^/:]+):subscribe\Z"), "SubscribeToTask"),
    ("GET", re.compile(r"/tasks/(?P<task>[^/:]+):subscribe\Z"), "SubscribeToTask"),
    ("GET", re.compile(r"/tasks/(?P<task>[^/:]+)\Z"), "GetTask"),
)
_TAIL = 512
MEDIA_TYPE = "application/a2a+json"


class A2aSeen(msgspec.Struct, frozen=True, kw_only=True):
    """One operation is over. Ids are the other side's own words; ``state`` is the last one told (TASK_STATE_…)."""

    ts: int
    request_ts: int
    process: ProcessKey
    serves: bool
    method: str
    message_id: str = ""
    task_id: str = ""
    context_id: str = ""
    state: str = ""
    is_error: bool = False
    complete: bool = False


class Told(NamedTuple):
    """What one object of an answer says; empty where it does not."""

    task_id: str = ""
    context_id: str = ""
    state: str = ""


def operation_of_path(method: str, target: str) -> tuple[str, str] | None:
    """(operation, task id) of a request of the HTTP+JSON binding, by its path alone."""
    path = target.partition("?")[0][-_TAIL:]
    for verb, form, operation in _PATHS:
        found = form.search(path) if verb == method else None
        if found is not None:
            return operation, found.groupdict().get("task") or ""
    return None


def asked(message: Message) -> tuple[str, dict[str, Json]] | None:
    """(operation, parameters) of a request of JSON-RPC, None if it is none of A2A's."""
    operation = _METHODS.get(message.method)
    return (operation, message.params) if operation is not None and message.id is not None else None


def ids(parameters: dict[str, Json]) -> tuple[str, str, str]:
    """(message id, task id, context id) of a request's parameters."""
    message = mapping(parameters.get("message"))
    return (
        _word(message.get("messageId")),
        _word(message.get("taskId")) or _word(parameters.get("id")),
        _word(message.get("contextId")),
    )


def told(data: bytes) -> Told:
    """What a body of the HTTP+JSON binding, or one event of its stream, says."""
    return told_by(loads(data))


def told_by(result: Json) -> Told:
    """The same, of a result: a task, a message, or an update of one, wrapped by its kind or not (0.3)."""
    value = mapping(result)
    for kind in ("task", "message", "statusUpdate", "artifactUpdate"):
        if isinstance(value.get(kind), dict):
            value = mapping(value[kind])
            break
    is_task = "status" in value and "taskId" not in value
    return Told(
        _word(value.get("taskId")) or (_word(value.get("id")) if is_task else ""),
        _word(value.get("contextId")),
        _word(mapping(value.get("status")).get("state")),
    )


def _word(value: Json) -> str:
    return clean(string(value))
