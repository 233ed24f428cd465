"""OpenAI Chat Completions, also spoken by Mistral, vLLM, llama.cpp, LM Studio, LiteLLM, OpenRouter and most gateways.

Field names as in openai-python, ``types/chat/``: https://platform.openai.com/docs/api-reference/chat. What servers
call ``reasoning_content``, ``reasoning`` or a part of type ``thinking`` is no text. Mistral's content may be in parts.
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

_API: Api = "openai.chat"
_INSTRUCTIONS = ("system", "developer")
#: mistralai's stand-in for an id that is not there
_NO_ID = "null"


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
            history += [call for call in _calls(message) if call is not None]
        elif role in ("tool", "function"):
            call_id = clean(string(message.get("tool_call_id")))
            results.append(ToolResultItem(call_id, parts_text(message.get("content"))))
        else:
            text = parts_text(message.get("content"))
            told.append(text)
            if role in _INSTRUCTIONS:
                instructions_size += len(text)
            else:
                user_text = text or user_text
    return ModelRequest(
        api=_API,
        model=clean(string(request.get("model")) or string(request.get("agent_id"))),
        stream=request.get("stream") is True,
        tool_results=tuple(results),
        tool_calls_in_history=tuple(history),
        user_text=user_text,
        told=tuple(told),
        instructions_size=instructions_size,
        message_count=len(messages),
    )


def parse_response(body: bytes) -> ModelResponse | None:
    """The answer of a JSON ``body``, None if it is none. Of several choices the first is read.

    Which one the agent goes on with is not known, so it is not complete then.
    Routers tell an error under status 200 too.
    """
    completion = mapping(loads(body))
    choices = completion.get("choices")
    error = _error(completion)
    if error is not None:
        return ModelResponse(api=_API, complete=False, error=clean(error))
    if not isinstance(choices, list):
        return None
    choice = next((choice for choice in objects(choices) if count(choice.get("index")) == 0), {})
    message = mapping(choice.get("message"))
    calls = _calls(message)
    return ModelResponse(
        api=_API,
        response_id=text_or_none(completion.get("id")),
        model=clean(string(completion.get("model"))),
        text=clean(_text(message)),
        tool_calls=tuple(call for call in calls if call is not None),
        finish=text_or_none(choice.get("finish_reason")),
        usage=_usage(mapping(completion.get("usage"))),
        complete=bool(choice) and None not in calls and not _has_others(choices),
    )


class StreamParser:
    """Chunks up to ``[DONE]``. Some servers leave that out: then a finish reason and a whole body will do."""

    def __init__(self) -> None:
        self._id = self._model = ""
        self._text: list[str] = []
        #: calls by the order in which they began, and which one an index of the server means now
        self._calls: dict[int, _Call] = {}
        self._slots: dict[int, int] = {}
        self._last = -1
        self._finish: str | None = None
        self._usage = Usage()
        self._error: str | None = None
        self._broken = False
        #: the server makes several answers
        self._others = False
        self.done = False

    def feed(self, event: SseEvent) -> None:
        """Takes the next event."""
        if self.done:
            return
        if event.data.strip() == b"[DONE]":
            self.done = True
            return
        chunk = mapping(loads(event.data))
        if not chunk:
            self._broken = True
            return
        self._error = _error(chunk)
        if self._error is not None:
            self.done = True
            return
        self._id = self._id or string(chunk.get("id"))
        self._model = self._model or string(chunk.get("model"))
        if isinstance(chunk.get("usage"), dict):
            self._usage = _usage(mapping(chunk["usage"]))
        self._others = self._others or _has_others(chunk.get("choices"))
        for choice in objects(chunk.get("choices")):
            if count(choice.get("index")) == 0:
                self._delta(mapping(choice.get("delta")))
                self._finish = string(choice.get("finish_reason")) or self._finish

    def _delta(self, delta: dict[str, Json]) -> None:
        text = _text(delta)
        if text:
            self._text.append(text)
        legacy = delta.get("function_call")
        if isinstance(legacy, dict):
            self._call(0, {"function": legacy})
        for call in objects(delta.get("tool_calls")):
            index = call.get("index")
            if not isinstance(index, int) or isinstance(index, bool):
                # Some servers give no index: an id begins a call, what has none goes on with the last.
                slot = len(self._calls) if _ident(call) else max(self._last, 0)
            elif index not in self._slots or self._begins_another(self._slots[index], call):
                slot = len(self._calls)
                if slot < MAX_CALLS:
                    self._slots[index] = slot
            else:
                slot = self._slots[index]
            self._call(slot, call)

    def _begins_another(self, slot: int, delta: dict[str, Json]) -> bool:
        """Some servers give parallel calls one index: a new id with a name is a new call.

        A new id alone is none: others make up an id for each delta.
        """
        known = self._calls.get(slot)
        ident = _ident(delta)
        named = mapping(delta.get("function")).get("name") or mapping(delta.get("custom")).get("name")
        return known is not None and bool(known.id and ident and named) and ident != known.id

    def _call(self, slot: int, delta: dict[str, Json]) -> None:
        call = self._calls.get(slot)
        if call is None:
            if len(self._calls) >= MAX_CALLS:
                self._broken = True
                return
            call = self._calls[slot] = _Call()
        self._last = slot
        call.id = call.id or _ident(delta)
        kind = "custom" if isinstance(delta.get("custom"), dict) else "function"
        call.custom = call.custom or kind == "custom"
        body = mapping(delta.get(kind))
        name = string(body.get("name"))
        if name != call.name:  # some servers say the name again with each delta
            call.name += name
        given = body.get("input" if kind == "custom" else "arguments")
        # Some servers send the object itself, at once.
        written = given if isinstance(given, str) else dumps(given) if given else ""
        if written is None:
            call.unreadable = self._broken = True
        else:
            call.parts.append(written)

    def result(self, *, ended: bool) -> ModelResponse:
        """What was seen so far."""
        complete = self.done or (ended and self._finish is not None)
        complete = complete and not self._broken and not self._others
        finished = self._finish is not None
        return ModelResponse(
            api=_API,
            response_id=text_or_none(self._id),
            model=clean(self._model),
            text=clean("".join(self._text)),
            tool_calls=tuple(
                call.value()
                for slot, call in self._calls.items()
                if not call.unreadable and (finished or call.whole(slot == self._last))
            ),
            finish=text_or_none(self._finish),
            usage=self._usage,
            complete=complete and self._error is None and (finished or not self._calls),
            error=text_or_none(self._error),
        )


class _Call:
    def __init__(self) -> None:
        self.id = self.name = ""
        self.custom = self.unreadable = False
        self.parts: list[str] = []

    def whole(self, last: bool) -> bool:
        """Whether all of it was seen, as far as that can be told before the answer is finished.

        No part of a JSON object is one. What a custom tool is given ends where the next call begins.
        """
        return (
            not last if self.custom else bool(mapping(loads("".join(self.parts).encode("utf-8", "replace"))))
        )

    def value(self) -> ToolCall:
        arguments = clean("".join(self.parts))
        return ToolCall(clean(self.id), clean(self.name), arguments, "custom" if self.custom else "function")


def _has_others(choices: Json) -> bool:
    return any(count(choice.get("index")) > 0 for choice in objects(choices))


def _calls(message: dict[str, Json]) -> list[ToolCall | None]:
    calls: list[ToolCall | None] = []
    for call in objects(message.get("tool_calls")):
        if isinstance(call.get("custom"), dict):
            custom = mapping(call["custom"])
            name, arguments = string(custom.get("name")), arguments_text(custom.get("input"))
        else:
            function = mapping(call.get("function"))
            name, arguments = string(function.get("name")), arguments_text(function.get("arguments"))
        kind = "custom" if "custom" in call else "function"
        known = ToolCall(
            clean(_ident(call)),
            clean(name),
            arguments or "",
            "custom" if kind == "custom" else "function",
        )
        calls.append(None if arguments is None else known)
    legacy = message.get("function_call")
    if isinstance(legacy, dict):
        arguments = arguments_text(legacy.get("arguments"))
        name = clean(string(legacy.get("name")))
        calls.append(None if arguments is None else ToolCall("", name, arguments, "function"))
    return calls


def _ident(call: dict[str, Json]) -> str:
    ident = string(call.get("id"))
    return "" if ident == _NO_ID else ident


def _text(message: dict[str, Json]) -> str:
    """What the user is shown. Parts are apart, but what a reference cuts belongs together (Mistral)."""
    content = message.get("content")
    if isinstance(content, str):
        return content or string(message.get("refusal"))
    text = ""
    between = ""
    for part in objects(content):
        shown = string(part.get("text"))
        if shown:
            text += between + shown
        between = "" if part.get("type") == "reference" or not text else "\n"
    return text or string(message.get("refusal"))


def _error(value: dict[str, Json]) -> str | None:
    """The word for an error that is told instead of an answer, None if none is."""
    if value.get("error"):
        error = mapping(value["error"])
    elif value.get("object") == "error":  # vLLM
        error = value
    else:
        return None
    return string(error.get("type")) or string(error.get("code")) or "error"


def _usage(usage: dict[str, Json]) -> Usage:
    return Usage(
        input=count(usage.get("prompt_tokens")),
        output=count(usage.get("completion_tokens")),
        cached=count(mapping(usage.get("prompt_tokens_details")).get("cached_tokens")),
    )
