"""Cohere Chat, version 2: https://docs.cohere.com/reference/chat and …/chat-stream.

Field names as in cohere-python, ``types/``. The plan that a model makes before it calls tools is thinking, no text.
"""

from __future__ import annotations

from collector.http.sse import SseEvent
from collector.llm.model import MAX_CALLS, ModelRequest, ModelResponse, ToolCall, ToolResultItem, Usage
from collector.llm.values import (
    Json,
    arguments_text,
    clean,
    count,
    dumps,
    loads,
    mapping,
    objects,
    parts_text,
    string,
    text_or_none,
)
from polygraph.events import Api

_API: Api = "cohere.chat"
_INSTRUCTIONS = ("system", "developer")


def parse_request(body: bytes) -> ModelRequest | None:
    """The request of ``body``, None if it is none."""
    request = mapping(loads(body))
    if not isinstance(request.get("messages"), list):
        return None
    results: list[ToolResultItem] = []
    history: list[ToolCall] = []
    user_text = ""
    instructions_size = 0
    told: list[str] = []
    messages = list(objects(request["messages"]))
    for message in messages:
        role = message.get("role")
        if role == "assistant":
            history += filter(None, map(_call, objects(message.get("tool_calls"))))
        elif role == "tool":
            call_id = clean(string(message.get("tool_call_id")))
            results.append(ToolResultItem(call_id, _result_text(message.get("content"))))
        else:
            text = parts_text(message.get("content"))
            told.append(text)
            if role in _INSTRUCTIONS:
                instructions_size += len(text)
            else:
                user_text = text or user_text
    return ModelRequest(
        api=_API,
        model=clean(string(request.get("model"))),
        stream=request.get("stream") is True,
        tool_results=tuple(results),
        tool_calls_in_history=tuple(history),
        user_text=user_text,
        told=tuple(told),
        instructions_size=instructions_size,
        message_count=len(messages),
    )


def parse_response(body: bytes) -> ModelResponse | None:
    """The answer of a JSON ``body``, None if it is none."""
    whole = mapping(loads(body))
    message = whole.get("message")
    if not isinstance(message, dict):  # an error's message is a text
        return None
    calls = [_call(call) for call in objects(message.get("tool_calls"))]
    return ModelResponse(
        api=_API,
        response_id=text_or_none(whole.get("id")),
        text=_answer_text(message.get("content")),
        tool_calls=tuple(call for call in calls if call is not None),
        finish=text_or_none(whole.get("finish_reason")),
        usage=_usage(mapping(whole.get("usage"))),
        complete=None not in calls,
    )


class StreamParser:
    """Events message-start … message-end; texts and calls have numbers of their own."""

    def __init__(self) -> None:
        self._id = ""
        #: the pieces of each text
        self._texts: list[list[str]] = []
        self._calls: dict[int, _Call] = {}
        self._finish: str | None = None
        self._usage = Usage()
        self._error: str | None = None
        self._broken = False
        self.done = False

    def feed(self, event: SseEvent) -> None:
        """Takes the next event."""
        if self.done:
            return
        data = mapping(loads(event.data))
        kind = data.get("type")
        delta = mapping(data.get("delta"))
        message = mapping(delta.get("message"))
        if kind in ("content-start", "content-delta"):
            text = string(mapping(message.get("content")).get("text"))
            if kind == "content-start" or not self._texts:
                self._texts.append([])
            self._texts[-1].append(text)
        elif kind in ("tool-call-start", "tool-call-delta", "tool-call-end"):
            self._call(kind, count(data.get("index")), mapping(message.get("tool_calls")))
        elif kind == "message-start":
            self._id = string(data.get("id"))
        elif kind == "message-end":
            self._finish = string(delta.get("finish_reason")) or "COMPLETE"
            self._usage = _usage(mapping(delta.get("usage")))
            if delta.get("error") or self._finish == "ERROR":
                self._error = self._finish
            self.done = True
        elif not data and event.data.strip() != b"[DONE]":
            self._broken = True

    def _call(self, kind: str, index: int, call: dict[str, Json]) -> None:
        known = self._calls.get(index)
        function = mapping(call.get("function"))
        if kind == "tool-call-start":
            if len(self._calls) >= MAX_CALLS or known is not None:
                self._broken = True
                return
            known = self._calls[index] = _Call(string(call.get("id")), string(function.get("name")))
        if known is None:
            self._broken = True
        elif kind == "tool-call-end":
            known.whole = True
        else:
            known.parts.append(string(function.get("arguments")))

    def result(self, *, ended: bool) -> ModelResponse:  # noqa: ARG002
        """What was seen so far; only :attr:`done` makes it complete, since every stream has an end mark."""
        calls = list(self._calls.values())
        return ModelResponse(
            api=_API,
            response_id=text_or_none(self._id),
            text=clean("\n\n".join(text for pieces in self._texts if (text := "".join(pieces)))),
            tool_calls=tuple(call.value() for call in calls if call.whole),
            finish=text_or_none(self._finish),
            usage=self._usage,
            complete=self.done
            and not self._broken
            and self._error is None
            and all(call.whole for call in calls),
            error=text_or_none(self._error),
        )


class _Call:
    def __init__(self, ident: str, name: str) -> None:
        self.id = ident
        self.name = name
        self.parts: list[str] = []
        self.whole = False

    def value(self) -> ToolCall:
        return ToolCall(clean(self.id), clean(self.name), clean("".join(self.parts)) or "{}")


def _call(call: dict[str, Json]) -> ToolCall | None:
    """A tool call, None if its arguments are too deep."""
    function = mapping(call.get("function"))
    arguments = arguments_text(function.get("arguments"))
    if arguments is None:
        return None
    return ToolCall(clean(string(call.get("id"))), clean(string(function.get("name"))), arguments or "{}")


def _answer_text(content: Json) -> str:
    if isinstance(content, str):
        return clean(content)
    return clean("\n\n".join(string(part["text"]) for part in objects(content) if string(part.get("text"))))


def _result_text(content: Json) -> str:
    """A tool's output: text, or documents whose data is a text or an object."""
    if isinstance(content, str):
        return clean(content)
    texts = []
    for part in objects(content):
        data = mapping(part.get("document")).get("data")
        if isinstance(part.get("text"), str):
            texts.append(string(part["text"]))
        elif data is not None:
            texts.append(string(data) or dumps(data) or "")
    return clean("\n".join(texts))


def _usage(usage: dict[str, Json]) -> Usage:
    tokens = mapping(usage.get("tokens"))
    return Usage(
        input=count(tokens.get("input_tokens")),
        output=count(tokens.get("output_tokens")),
        cached=count(usage.get("cached_tokens")),
    )
