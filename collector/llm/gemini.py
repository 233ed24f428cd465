"""Gemini generateContent: https://ai.google.dev/api/generate-content, on Vertex AI and behind Code Assist too.

Field names as in python-genai, ``types.py``; requests may use snake case, as protobuf's JSON does. Code Assist wraps
both ways: ``{"model": …, "request": {…}}``, ``{"response": {…}}``. Calls may come without ids (see turns.py).
"""

from __future__ import annotations

from collections.abc import Iterable

from collector.http.sse import SseEvent
from collector.llm.gemini_args import PartialArguments
from collector.llm.model import MAX_CALLS, ModelRequest, ModelResponse, ToolCall, ToolResultItem, Usage
from collector.llm.turns import History, Result
from collector.llm.values import Json, clean, count, dumps, loads, mapping, objects, string, text_or_none
from polygraph.events import Api

_API: Api = "gemini.generate_content"
#: between what is said before and after a call
_BREAK = "\n\n"
#: keys that hold a function's own words, as python-genai and Gemini CLI write them
_OUTPUTS = ("output", "result", "content", "error")


def parse_request(body: bytes) -> ModelRequest | None:
    """The request of ``body``, None if it is none."""
    sent = mapping(loads(body))
    request = mapping(sent["request"]) if isinstance(sent.get("request"), dict) else sent
    if not isinstance(request.get("contents"), list):
        return None
    contents = list(objects(request["contents"]))
    history = History()
    user_text = ""
    instruction = mapping(_field(request, "systemInstruction", "system_instruction"))
    told = [_text(objects(instruction.get("parts")))]
    for content in contents:
        parts = list(objects(content.get("parts")))
        if content.get("role") == "model":
            history.model(call for part in parts for call in _calls(part))
        else:
            history.other(content, filter(None, map(_result, parts)))
            told.append(_text(parts))
            user_text = told[-1] or user_text
    history.close()
    return ModelRequest(
        api=_API,
        model=clean(string(sent.get("model"))).removeprefix("models/"),
        tool_results=tuple(history.results),
        tool_calls_in_history=tuple(history.calls),
        user_text=user_text,
        told=tuple(told),
        instructions_size=len(told[0]),
        message_count=len(contents),
        turn=history.next_turn,
    )


def parse_response(body: bytes) -> ModelResponse | None:
    """The answer of a JSON ``body``, None if it is none. Of several candidates the first is read, as incomplete."""
    whole = loads(body)
    if not _is_answer(mapping(whole)):
        return None
    parser = StreamParser()
    parser.take(mapping(whole))
    return parser.result(ended=True)


class StreamParser:
    """Chunks, each an answer of its own with more parts. None is marked as the last: one gives the finish reason."""

    def __init__(self) -> None:
        self._id = self._model = ""
        self._texts: list[str] = []
        self._calls: list[ToolCall] = []
        self._open: _PartialCall | None = None
        self._finish: str | None = None
        self._usage = Usage()
        self._error: str | None = None
        self._broken = False
        self.done = False

    def feed(self, event: SseEvent) -> None:
        """Takes the next event."""
        if event.data.strip() != b"[DONE]":
            self.take(mapping(loads(event.data)))

    def take(self, chunk: dict[str, Json]) -> None:
        """Takes the next chunk."""
        if self.done:
            return
        if isinstance(chunk.get("response"), dict):
            chunk = mapping(chunk["response"])
        if not chunk:
            self._broken = True
        error = chunk.get("error")
        if error:
            self._error = string(mapping(error).get("status")) or "error"
            self.done = True
            return
        self._id = self._id or string(chunk.get("responseId"))
        self._model = self._model or string(chunk.get("modelVersion"))
        if isinstance(chunk.get("usageMetadata"), dict):
            self._usage = _usage(mapping(chunk["usageMetadata"]))
        blocked = string(mapping(chunk.get("promptFeedback")).get("blockReason"))
        self._finish = blocked or self._finish
        taken = False
        for candidate in objects(chunk.get("candidates")):
            if count(candidate.get("index")) == 0 and not taken:
                self._candidate(candidate)
                taken = True
            else:
                self._broken = True  # which one the agent goes on with is not known

    def _candidate(self, candidate: dict[str, Json]) -> None:
        for part in objects(mapping(candidate.get("content")).get("parts")):
            call = part.get("functionCall")
            if isinstance(call, dict) and self._is_partial(call):
                self._partial(call)
                continue
            if _is_text(part):
                self._texts.append(string(part.get("text")))
            for made in _calls(part):
                self._tell(made)
                if self._texts and self._texts[-1] != _BREAK:
                    self._texts.append(_BREAK)
        self._finish = string(candidate.get("finishReason")) or self._finish

    def _is_partial(self, call: dict[str, Json]) -> bool:
        begins = call.get("willContinue") is True or isinstance(call.get("partialArgs"), list)
        return begins or (self._open is not None and not string(call.get("name")))

    def _partial(self, call: dict[str, Json]) -> None:
        if (
            self._open is not None
            and string(call.get("name"))
            and string(call.get("name")) != self._open.name
        ):
            self._broken = True  # another begins, and this one never ended
            self._open = None
        if self._open is None:
            self._open = _PartialCall(string(call.get("id")), string(call.get("name")))
        self._open.arguments.add(call.get("partialArgs"))
        if call.get("willContinue") is not True:
            self._tell(self._open.value())
            self._open = None

    def _tell(self, call: ToolCall | None) -> None:
        if call is None or len(self._calls) >= MAX_CALLS:
            self._broken = True
        else:
            self._calls.append(call)

    def result(self, *, ended: bool) -> ModelResponse:
        """What was seen so far."""
        whole = ended and self._finish is not None and not self._broken and self._open is None
        return ModelResponse(
            api=_API,
            response_id=text_or_none(self._id),
            model=clean(self._model),
            text=clean("".join(self._texts).removesuffix(_BREAK)),
            tool_calls=tuple(self._calls),
            finish=text_or_none(self._finish),
            usage=self._usage,
            complete=whole and self._error is None,
            error=text_or_none(self._error),
        )


class _PartialCall:
    """A call whose arguments come piece by piece."""

    def __init__(self, ident: str, name: str) -> None:
        self.ident = ident
        self.name = name
        self.arguments = PartialArguments()

    def value(self) -> ToolCall | None:
        """The call; None if its arguments could not be put together."""
        whole = self.arguments.value()
        arguments = None if whole is None else dumps(whole)
        return None if arguments is None else ToolCall(clean(self.ident), clean(self.name), arguments)


def _is_answer(value: dict[str, Json]) -> bool:
    value = mapping(value["response"]) if isinstance(value.get("response"), dict) else value
    return isinstance(value.get("candidates"), list) or isinstance(value.get("promptFeedback"), dict)


def _calls(part: dict[str, Json]) -> Iterable[ToolCall | None]:
    """The calls of a part; None where the arguments are too deep."""
    function = _field(part, "functionCall", "function_call")
    if isinstance(function, dict):
        yield _call(function, string(function.get("name")), function.get("args"), builtin=False)
    code = _field(part, "executableCode", "executable_code")
    if isinstance(code, dict):
        yield _call(code, "code_execution", {"code": string(code.get("code"))}, builtin=True)
    remote = _field(part, "toolCall", "tool_call")
    if isinstance(remote, dict):
        kind = string(_field(remote, "toolType", "tool_type")).lower()
        yield _call(remote, kind, remote.get("args"), builtin=True)


def _call(value: dict[str, Json], name: str, arguments: Json, *, builtin: bool) -> ToolCall | None:
    written = dumps({} if arguments is None else arguments)
    if written is None:
        return None
    return ToolCall(
        clean(string(value.get("id"))), clean(name), written, "builtin" if builtin else "function"
    )


def _result(part: dict[str, Json]) -> Result | None:
    answered = _field(part, "functionResponse", "function_response")
    if not isinstance(answered, dict):
        return None
    response = mapping(answered.get("response"))
    text = next((string(response[key]) for key in _OUTPUTS if string(response.get(key))), None)
    if text is None:
        text = dumps(response) or ""
    failed = bool(response.get("error")) and "output" not in response
    item = ToolResultItem(clean(string(answered.get("id"))), clean(text), failed)
    return Result(clean(string(answered.get("name"))), item)


def _is_text(part: dict[str, Json]) -> bool:
    return isinstance(part.get("text"), str) and part.get("thought") is not True


def _text(parts: Iterable[dict[str, Json]]) -> str:
    return clean("\n".join(string(part["text"]) for part in parts if _is_text(part)))


def _field(value: dict[str, Json], camel: str, snake: str) -> Json:
    return value[camel] if camel in value else value.get(snake)


def _usage(usage: dict[str, Json]) -> Usage:
    return Usage(
        input=count(usage.get("promptTokenCount")),
        output=count(usage.get("candidatesTokenCount")) + count(usage.get("thoughtsTokenCount")),
        cached=count(usage.get("cachedContentTokenCount")),
    )
