"""Anthropic Messages: https://docs.anthropic.com/en/api/messages and …/messages-streaming.

Field names as in anthropic-sdk-python, ``types/message.py``, ``types/raw_*_event.py``, ``types/usage.py``.
"""

from __future__ import annotations

from collector.http.sse import SseEvent
from collector.llm.model import (
    MAX_BLOCKS,
    ModelRequest,
    ModelResponse,
    ToolCall,
    ToolKind,
    ToolResultItem,
    Usage,
)
from collector.llm.values import (
    Json,
    clean,
    count,
    dumps,
    loads,
    mapping,
    objects,
    parts_text,
    string,
    text_or_none,
    visible_text,
)
from polygraph.events import Api

_API: Api = "anthropic.messages"
_CALLS: dict[str, ToolKind] = {
    "tool_use": "function",
    "server_tool_use": "builtin",
    "mcp_tool_use": "builtin",
}


def parse_request(body: bytes) -> ModelRequest | None:
    """The request of ``body``, None if it is none."""
    request = mapping(loads(body))
    if not isinstance(request.get("messages"), list):
        return None
    results: list[ToolResultItem] = []
    history: list[ToolCall] = []
    user_text = ""
    told = [parts_text(request.get("system"))]
    messages = list(objects(request["messages"]))
    for message in messages:
        if message.get("role") == "assistant":
            history += filter(None, map(_call, objects(message.get("content"))))
            continue
        results += map(_tool_result, _of_type(message.get("content"), "tool_result"))
        told.append(_own_text(message.get("content")))
        user_text = told[-1] or user_text
    return ModelRequest(
        api=_API,
        model=clean(string(request.get("model"))),
        stream=request.get("stream") is True,
        tool_results=tuple(results),
        tool_calls_in_history=tuple(history),
        user_text=user_text,
        told=tuple(told),
        instructions_size=len(told[0]),
        message_count=len(messages),
    )


def parse_response(body: bytes) -> ModelResponse | None:
    """The answer of a JSON ``body``, None if it is none (an error among them)."""
    message = mapping(loads(body))
    if message.get("type") != "message" or not isinstance(message.get("content"), list):
        return None
    blocks = list(objects(message["content"]))
    calls = [_call(block) for block in blocks if string(block.get("type")) in _CALLS]
    return ModelResponse(
        api=_API,
        response_id=text_or_none(message.get("id")),
        model=clean(string(message.get("model"))),
        text=visible_text(_shown(block, string(block.get("text"))) for block in blocks),
        tool_calls=tuple(call for call in calls if call is not None),
        finish=text_or_none(message.get("stop_reason")),
        usage=_usage(mapping(message.get("usage"))),
        complete=None not in calls,
    )


class StreamParser:
    """Events message_start … message_stop. Usage of message_delta is cumulative, so the last one counts."""

    def __init__(self) -> None:
        self._message: dict[str, Json] = {}
        self._blocks: dict[int, _Block] = {}
        self._usage: dict[str, Json] = {}
        self._finish: str | None = None
        self._error: str | None = None
        self._broken = self._started = False
        self.done = False

    def feed(self, event: SseEvent) -> None:
        """Takes the next event."""
        if self.done:
            return
        data = mapping(loads(event.data))
        kind = data.get("type")
        if kind == "content_block_delta":
            self._delta(count(data.get("index")), mapping(data.get("delta")))
        elif kind == "content_block_start":
            index = count(data.get("index"))
            if len(self._blocks) < MAX_BLOCKS and index not in self._blocks:
                self._blocks[index] = _Block(mapping(data.get("content_block")))
            else:
                self._broken = True
        elif kind == "content_block_stop":
            stopped = self._blocks.get(count(data.get("index")))
            if stopped is not None:
                stopped.whole = True
        elif kind == "message_start":
            self._broken = self._broken or self._started
            self._started = True
            self._message = mapping(data.get("message"))
            self._usage.update(mapping(self._message.get("usage")))
        elif kind == "message_delta":
            self._finish = string(mapping(data.get("delta")).get("stop_reason")) or self._finish
            self._usage.update(mapping(data.get("usage")))
        elif kind == "message_stop":
            self.done = True
        elif kind == "error":
            self._error = string(mapping(data.get("error")).get("type")) or "error"
            self.done = True
        elif not data:
            self._broken = True

    def _delta(self, index: int, delta: dict[str, Json]) -> None:
        block = self._blocks.get(index)
        if block is None:
            self._broken = True
        elif delta.get("type") == "text_delta":
            block.parts.append(string(delta.get("text")))
        elif delta.get("type") == "input_json_delta":
            block.parts.append(string(delta.get("partial_json")))

    def result(self, *, ended: bool) -> ModelResponse:  # noqa: ARG002
        """What was seen so far; only :attr:`done` makes it complete, since every stream has an end mark."""
        blocks = [self._blocks[index] for index in sorted(self._blocks)]
        calls = [_call(block.start, block.text()) for block in blocks if block.is_call() and block.whole]
        return ModelResponse(
            api=_API,
            response_id=text_or_none(self._message.get("id")),
            model=clean(string(self._message.get("model"))),
            text=visible_text(_shown(block.start, block.text()) for block in blocks),
            tool_calls=tuple(call for call in calls if call is not None),
            finish=text_or_none(self._finish),
            usage=_usage(self._usage),
            complete=self.done
            and self._started
            and not self._broken
            and self._error is None
            and None not in calls
            and all(block.whole for block in blocks),
            error=text_or_none(self._error),
        )


class _Block:
    def __init__(self, start: dict[str, Json]) -> None:
        self.start = start
        self.parts: list[str] = []
        self.whole = False

    def is_call(self) -> bool:
        return string(self.start.get("type")) in _CALLS

    def text(self) -> str:
        return string(self.start.get("text")) + "".join(self.parts)


def _call(block: dict[str, Json], streamed: str = "") -> ToolCall | None:
    """The call of a tool_use block, None if it is none or its input is too deep."""
    kind = _CALLS.get(string(block.get("type")))
    arguments = clean(streamed) or dumps(block.get("input", {}))
    if kind is None or arguments is None:
        return None
    return ToolCall(clean(string(block.get("id"))), clean(string(block.get("name"))), arguments, kind)


def _tool_result(block: dict[str, Json]) -> ToolResultItem:
    return ToolResultItem(
        call_id=clean(string(block.get("tool_use_id"))),
        text=parts_text(block.get("content")),
        is_error=block.get("is_error") is True,
    )


def _of_type(content: Json, kind: str) -> list[dict[str, Json]]:
    return [block for block in objects(content) if block.get("type") == kind]


def _own_text(content: Json) -> str:
    return parts_text(content if isinstance(content, str) else list(_of_type(content, "text")))


def _usage(usage: dict[str, Json]) -> Usage:
    cached = count(usage.get("cache_read_input_tokens"))
    written = count(usage.get("cache_creation_input_tokens"))
    return Usage(
        input=count(usage.get("input_tokens")) + cached + written,
        output=count(usage.get("output_tokens")),
        cached=cached,
    )


def _shown(block: dict[str, Json], text: str) -> str | None:
    return text if block.get("type") == "text" else None
