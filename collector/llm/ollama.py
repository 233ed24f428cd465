"""Ollama's own API, ``/api/chat`` and ``/api/generate``: https://docs.ollama.com/api/chat and …/generate.

Field names as in ollama-python, ``_types.py``. A stream is a JSON object a line, the last with ``done``; it is
asked for unless ``stream`` is false. Arguments are objects, and calls may come without ids (see turns.py).
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from collector.http.sse import SseEvent
from collector.llm.model import MAX_CALLS, ModelRequest, ModelResponse, ToolCall, ToolResultItem, Usage
from collector.llm.turns import History, Result
from collector.llm.values import (
    Json,
    arguments_text,
    clean,
    count,
    loads,
    mapping,
    objects,
    parts_text,
    string,
    text_or_none,
)
from polygraph.events import Api

_CHAT: Api = "ollama.chat"
_GENERATE: Api = "ollama.generate"


def parse_chat(body: bytes) -> ModelRequest | None:
    """The request of a chat, None if it is none: other servers have a path of that name too."""
    request = mapping(loads(body))
    if not isinstance(request.get("messages"), list) or not isinstance(request.get("model"), str):
        return None
    history = History()
    user_text = ""
    instructions_size = 0
    told: list[str] = []
    messages = list(objects(request["messages"]))
    for message in messages:
        role = message.get("role")
        if role == "assistant":
            history.model(map(_call, objects(message.get("tool_calls"))))
            continue
        history.other(message, (_result(message),) if role == "tool" else ())
        if role == "tool":
            continue
        text = parts_text(message.get("content"))
        told.append(text)
        if role == "system":
            instructions_size += len(text)
        else:
            user_text = text or user_text
    history.close()
    return ModelRequest(
        api=_CHAT,
        model=clean(string(request["model"])),
        stream=request.get("stream") is not False,
        tool_results=tuple(history.results),
        tool_calls_in_history=tuple(history.calls),
        user_text=user_text,
        told=tuple(told),
        instructions_size=instructions_size,
        message_count=len(messages),
        turn=history.next_turn,
    )


def parse_generate(body: bytes) -> ModelRequest | None:
    """The request of a text that goes on, None if it is none; an empty prompt only loads the model."""
    request = mapping(loads(body))
    if not string(request.get("prompt")) or not isinstance(request.get("model"), str):
        return None
    return ModelRequest(
        api=_GENERATE,
        model=clean(string(request["model"])),
        stream=request.get("stream") is not False,
        user_text=clean(string(request["prompt"])),
        told=(clean(string(request.get("system"))), clean(string(request["prompt"]))),
        instructions_size=len(string(request.get("system"))),
        message_count=1,
    )


def parse_chat_response(body: bytes) -> ModelResponse | None:
    """The answer of a JSON ``body``, None if it is none."""
    return _whole(ChatParser(), body)


def parse_generate_response(body: bytes) -> ModelResponse | None:
    """The answer of a JSON ``body``, None if it is none."""
    return _whole(GenerateParser(), body)


def _whole(parser: _Parser, body: bytes) -> ModelResponse | None:
    value = mapping(loads(body))
    if not (value.get("error") or "done" in value):
        return None
    parser.feed(SseEvent("", body, 0))
    return parser.result(ended=True)


class _Parser(ABC):
    """Lines up to the one with ``done``."""

    _api: Api

    def __init__(self) -> None:
        self._model = ""
        self._texts: list[str] = []
        self._calls: list[ToolCall] = []
        self._finish: str | None = None
        self._usage = Usage()
        self._error: str | None = None
        self._broken = False
        self.done = False

    def feed(self, event: SseEvent) -> None:
        """Takes the next event."""
        if self.done:
            return
        line = mapping(loads(event.data))
        if not line:
            self._broken = True
            return
        if line.get("error"):
            self._error = "error"  # a sentence for people, without a code
            self.done = True
            return
        self._model = self._model or string(line.get("model"))
        self._line(line)
        if line.get("done") is True:
            self._finish = string(line.get("done_reason")) or "stop"
            self._usage = Usage(
                input=count(line.get("prompt_eval_count")), output=count(line.get("eval_count"))
            )
            self.done = True

    @abstractmethod
    def _line(self, line: dict[str, Json]) -> None:
        """What a line adds to the answer."""

    def result(self, *, ended: bool) -> ModelResponse:  # noqa: ARG002
        """What was seen so far; only :attr:`done` makes it complete, since every answer has an end mark."""
        return ModelResponse(
            api=self._api,
            model=clean(self._model),
            text=clean("".join(self._texts)),
            tool_calls=tuple(self._calls),
            finish=text_or_none(self._finish),
            usage=self._usage,
            complete=self.done and not self._broken and self._error is None,
            error=self._error,
        )


class ChatParser(_Parser):
    """Lines of ``/api/chat``; each tool call is whole in one of them."""

    _api = _CHAT

    def _line(self, line: dict[str, Json]) -> None:
        message = mapping(line.get("message"))
        self._texts.append(string(message.get("content")))
        for made in map(_call, objects(message.get("tool_calls"))):
            if made is None or len(self._calls) >= MAX_CALLS:
                self._broken = True
            else:
                self._calls.append(made)


class GenerateParser(_Parser):
    """Lines of ``/api/generate``: text only."""

    _api = _GENERATE

    def _line(self, line: dict[str, Json]) -> None:
        self._texts.append(string(line.get("response")))


def _call(call: dict[str, Json]) -> ToolCall | None:
    """A tool call, None if its arguments are too deep."""
    function = mapping(call.get("function"))
    arguments = arguments_text(function.get("arguments"))
    if arguments is None:
        return None
    return ToolCall(clean(string(call.get("id"))), clean(string(function.get("name"))), arguments)


def _result(message: dict[str, Json]) -> Result:
    name = string(message.get("tool_name")) or string(message.get("name"))
    item = ToolResultItem(clean(string(message.get("tool_call_id"))), parts_text(message.get("content")))
    return Result(clean(name), item)
