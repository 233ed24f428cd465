"""Bedrock Converse: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html.

Field names as in botocore's service model of ``bedrock-runtime``. Amazon Nova speaks the same through InvokeModel.
"""

from __future__ import annotations

from collections.abc import Iterable

from collector.http.sse import SseEvent
from collector.llm.model import MAX_BLOCKS, ModelRequest, ModelResponse, ToolCall, ToolResultItem, Usage
from collector.llm.values import (
    Json,
    clean,
    count,
    dumps,
    loads,
    mapping,
    objects,
    string,
    text_or_none,
    visible_text,
)
from polygraph.events import Api

_API: Api = "bedrock.converse"
_SERVER_SIDE = "server_tool_use"


def parse_request(body: bytes) -> ModelRequest | None:
    """The request of ``body``, None if it is none. The model is in the path."""
    request = mapping(loads(body))
    if not isinstance(request.get("messages"), list):
        return None
    results: list[ToolResultItem] = []
    history: list[ToolCall] = []
    user_text = ""
    told = [_lines(objects(request.get("system")))]
    messages = list(objects(request["messages"]))
    for message in messages:
        blocks = list(objects(message.get("content")))
        if message.get("role") == "assistant":
            history += filter(None, map(_call, blocks))
            continue
        results += filter(None, map(_result, blocks))
        told.append(_lines(blocks))
        user_text = told[-1] or user_text
    return ModelRequest(
        api=_API,
        tool_results=tuple(results),
        tool_calls_in_history=tuple(history),
        user_text=user_text,
        told=tuple(told),
        instructions_size=len(told[0]),
        message_count=len(messages),
    )


def parse_response(body: bytes) -> ModelResponse | None:
    """The answer of a JSON ``body``, None if it is none."""
    whole = mapping(loads(body))
    message = mapping(mapping(whole.get("output")).get("message"))
    if not isinstance(message.get("content"), list):
        return None
    blocks = list(objects(message["content"]))
    calls = [_call(block) for block in blocks if isinstance(block.get("toolUse"), dict)]
    return ModelResponse(
        api=_API,
        text=visible_text(map(_shown, blocks)),
        tool_calls=tuple(call for call in calls if call is not None),
        finish=text_or_none(whole.get("stopReason")),
        usage=_usage(mapping(whole.get("usage"))),
        complete=None not in calls,
    )


class StreamParser:
    """Events messageStart … messageStop, then metadata with the usage, which is the last."""

    def __init__(self) -> None:
        self._blocks: dict[int, _Block] = {}
        self._usage = Usage()
        self._finish: str | None = None
        self._error: str | None = None
        self._broken = False
        self.done = False

    def feed(self, event: SseEvent) -> None:
        """Takes the next event; its type is the event's name."""
        data = loads(event.data)
        if event.event.startswith("!"):
            self.fail(event.event[1:])
        elif isinstance(data, dict):
            self.take(event.event, data)
        else:
            self._broken = True

    def fail(self, error: str) -> None:
        """The stream ends with an exception of that name."""
        self._error = error or "error"
        self.done = True

    def take(self, kind: str, data: dict[str, Json]) -> None:
        """Takes an event of that type."""
        if self.done:
            return
        index = count(data.get("contentBlockIndex"))
        if kind == "contentBlockStart":
            self._block(index).start = mapping(mapping(data.get("start")).get("toolUse"))
        elif kind == "contentBlockDelta":
            self._delta(self._block(index), mapping(data.get("delta")))
        elif kind == "contentBlockStop":
            self._block(index).whole = True
        elif kind == "messageStop":
            self._finish = string(data.get("stopReason")) or "stop"
        elif kind == "metadata":
            self._usage = _usage(mapping(data.get("usage")))
            self.done = self._finish is not None

    def _block(self, index: int) -> _Block:
        if index not in self._blocks and len(self._blocks) >= MAX_BLOCKS:
            self._broken = True
            return _Block()
        return self._blocks.setdefault(index, _Block())

    def _delta(self, block: _Block, delta: dict[str, Json]) -> None:
        if isinstance(delta.get("toolUse"), dict):
            block.input.append(string(mapping(delta["toolUse"]).get("input")))
        elif isinstance(delta.get("text"), str):
            block.text.append(string(delta["text"]))

    def result(self, *, ended: bool) -> ModelResponse:
        """What was seen so far."""
        blocks = [self._blocks[index] for index in sorted(self._blocks)]
        calls = [block.call() for block in blocks if block.start and block.whole]
        return ModelResponse(
            api=_API,
            text=visible_text("".join(block.text) or None for block in blocks),
            tool_calls=tuple(call for call in calls if call is not None),
            finish=text_or_none(self._finish),
            usage=self._usage,
            complete=(self.done or (ended and self._finish is not None))
            and not self._broken
            and self._error is None
            and None not in calls
            and all(block.whole for block in blocks),
            error=text_or_none(self._error),
        )


class _Block:
    def __init__(self) -> None:
        self.start: dict[str, Json] = {}
        self.text: list[str] = []
        self.input: list[str] = []
        self.whole = False

    def call(self) -> ToolCall | None:
        return _call({"toolUse": self.start}, clean("".join(self.input)))


def _call(block: dict[str, Json], streamed: str = "") -> ToolCall | None:
    """The call of a toolUse block, None if it is none or its input is too deep."""
    made = block.get("toolUse")
    if not isinstance(made, dict):
        return None
    arguments = streamed or dumps(made.get("input") or {})
    if arguments is None:
        return None
    kind: Json = made.get("type")
    return ToolCall(
        clean(string(made.get("toolUseId"))),
        clean(string(made.get("name"))),
        arguments,
        "builtin" if kind == _SERVER_SIDE else "function",
    )


def _result(block: dict[str, Json]) -> ToolResultItem | None:
    result = block.get("toolResult")
    if not isinstance(result, dict):
        return None
    texts = []
    for part in objects(result.get("content")):
        if isinstance(part.get("text"), str):
            texts.append(string(part["text"]))
        elif "json" in part:
            texts.append(dumps(part["json"]) or "")
    return ToolResultItem(
        clean(string(result.get("toolUseId"))), clean("\n".join(texts)), result.get("status") == "error"
    )


def _shown(block: dict[str, Json]) -> str | None:
    """What the user is shown of a block: text, also where it has citations; no reasoning."""
    cited = mapping(block.get("citationsContent")).get("content")
    texts = (string(part.get("text")) for part in (block, *objects(cited)))
    return "".join(texts) or None


def _lines(blocks: Iterable[dict[str, Json]]) -> str:
    return clean("\n".join(string(block["text"]) for block in blocks if isinstance(block.get("text"), str)))


def _usage(usage: dict[str, Json]) -> Usage:
    cached = count(usage.get("cacheReadInputTokens"))
    written = count(usage.get("cacheWriteInputTokens"))
    return Usage(
        input=count(usage.get("inputTokens")) + cached + written,
        output=count(usage.get("outputTokens")),
        cached=cached,
    )
