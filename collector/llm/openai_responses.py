"""OpenAI Responses: https://platform.openai.com/docs/api-reference/responses.

Field names as in openai-python, ``types/responses/``.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from collector.http.sse import SseEvent
from collector.llm.model import ModelRequest, ModelResponse, ToolCall, ToolKind, ToolResultItem, Usage
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
    whole_number,
)
from polygraph.events import Api

_API: Api = "openai.responses"

#: item type -> kind, tool name where the item has none, field of its arguments
_CALLS: dict[str, tuple[ToolKind, str, str]] = {
    "function_call": ("function", "", "arguments"),
    "custom_tool_call": ("custom", "", "input"),
    "local_shell_call": ("local_shell", "local_shell", "action"),
    "shell_call": ("shell", "shell", "action"),
    "apply_patch_call": ("apply_patch", "apply_patch", "operation"),
    "computer_call": ("function", "computer", "action"),
    "mcp_call": ("builtin", "", "arguments"),
    "web_search_call": ("builtin", "web_search", "action"),
    "file_search_call": ("builtin", "file_search", "queries"),
    "code_interpreter_call": ("builtin", "code_interpreter", "code"),
    "image_generation_call": ("builtin", "image_generation", "status"),
    "tool_search_call": ("builtin", "tool_search", "arguments"),
    "program": ("builtin", "program", "code"),
}
#: a shell call in a container of the provider's
_CONTAINER = "container_reference"
_ENDS = {"response.completed", "response.done", "response.incomplete", "response.failed"}
_FAILED = ("failed", "incomplete")
#: most output items of one answer
MAX_ITEMS = 4096


def parse_request(body: bytes) -> ModelRequest | None:
    """The request of ``body``, None if it is none."""
    request = mapping(loads(body))
    sent = request.get("input")
    if isinstance(sent, str):
        given: list[dict[str, Json]] = [{"role": "user", "content": sent}]
    elif isinstance(sent, list):
        given = list(objects(sent))
    elif sent is None and (request.get("previous_response_id") or request.get("prompt")):
        given = []
    else:
        return None
    results = [_result(item) for item in given if string(item.get("type")).endswith("_call_output")]
    told = [parts_text(request.get("instructions"))]
    instructions_size = len(told[0])
    user_text = ""
    for item in given:
        if item.get("role") not in ("system", "developer", "user"):
            continue
        text = parts_text(item.get("content"))
        told.append(text)
        if item.get("role") == "user":
            user_text = text or user_text
        else:
            instructions_size += len(text)
    return ModelRequest(
        api=_API,
        model=clean(string(request.get("model"))),
        stream=request.get("stream") is True,
        tool_results=tuple(results),
        tool_calls_in_history=tuple(filter(None, map(_call, given))),
        user_text=user_text,
        told=tuple(told),
        instructions_size=instructions_size,
        message_count=len(given),
        previous_response_id=text_or_none(request.get("previous_response_id")),
    )


def parse_response(body: bytes) -> ModelResponse | None:
    """The answer of a JSON ``body``, None if it is none."""
    response = mapping(loads(body))
    if response.get("object") != "response" and not isinstance(response.get("output"), list):
        return None
    return _answer(response, list(objects(response.get("output"))), ended=True)


class StreamParser:
    """Events response.created … response.completed; the items of response.output_item.done are the answer."""

    def __init__(self) -> None:
        self._response: dict[str, Json] = {}
        self._items: dict[int, dict[str, Json]] = {}
        self._deltas: dict[int, list[str]] = {}
        self._error: str | None = None
        self._broken = False
        self._number = -1
        self._resumed = False
        self.done = False

    def resume(self, after: int | None) -> None:
        """What follows was asked for anew, from the event after number ``after`` on, or from the first.

        Nothing is taken twice then, and a number that is left out is a hole.
        """
        self._resumed = True
        self._broken = self._broken or (after is not None and after > self._number)

    def feed(self, event: SseEvent) -> None:
        """Takes the next event."""
        if self.done:
            return
        data = mapping(loads(event.data))
        number = data.get("sequence_number")
        if isinstance(number, int):
            if self._resumed and number <= self._number:
                return
            self._broken = self._broken or (self._resumed and number > self._number + 1)
            self._number = number
        kind = string(data.get("type"))
        index = count(data.get("output_index"))
        if kind in ("response.output_text.delta", "response.refusal.delta"):
            if index < MAX_ITEMS:
                self._deltas.setdefault(index, []).append(string(data.get("delta")))
        elif kind == "response.output_item.done":
            if index < MAX_ITEMS:
                self._items[index] = mapping(data.get("item"))
                self._deltas.pop(index, None)
            else:
                self._broken = True
        elif kind == "response.created" or kind in _ENDS:
            self._response = mapping(data.get("response")) or self._response
            self.done = kind in _ENDS
        elif kind == "error":
            error = mapping(data.get("error")) or data
            self._error = string(error.get("code")) or string(error.get("type")) or "error"
            self.done = True
        elif not data and event.data.strip() != b"[DONE]":
            self._broken = True

    def result(self, *, ended: bool) -> ModelResponse:  # noqa: ARG002
        """What was seen so far; only :attr:`done` makes it complete, since every stream has an end mark."""
        given = dict(self._items)
        for index, parts in self._deltas.items():
            given[index] = {"type": "message", "content": [{"type": "output_text", "text": "".join(parts)}]}
        output = [given[index] for index in sorted(given)]
        whole = list(objects(self._response.get("output"))) if self.done else []
        # Some servers send items only with the end. What was told one by one must be among them: then they are all.
        if _idents(whole) >= _idents(output) and len(whole) >= len(output):
            output = whole
        answer = _answer(self._response, output, ended=self.done and not self._broken)
        if self._error is None:
            return answer
        return msgspec.structs.replace(answer, finish=None, complete=False, error=clean(self._error))


def _answer(response: dict[str, Json], output: Iterable[dict[str, Json]], ended: bool) -> ModelResponse:
    output = list(output)
    calls = [_call(item) for item in output if string(item.get("type")) in _CALLS]
    status = string(response.get("status"))
    why = string(mapping(response.get("incomplete_details")).get("reason"))
    error = mapping(response.get("error"))
    usage = mapping(response.get("usage"))
    return ModelResponse(
        api=_API,
        response_id=text_or_none(response.get("id")),
        model=clean(string(response.get("model"))),
        text=clean("\n\n".join(filter(None, map(_message_text, output)))),
        tool_calls=tuple(call for call in calls if call is not None),
        finish=text_or_none(why or status) if ended else None,
        usage=Usage(
            input=count(usage.get("input_tokens")),
            output=count(usage.get("output_tokens")),
            cached=count(mapping(usage.get("input_tokens_details")).get("cached_tokens")),
        ),
        complete=ended
        and status not in ("failed", "in_progress", "queued", "cancelled")
        and None not in calls,
        error=clean(string(error.get("code")) or "error") if error else None,
    )


def _message_text(item: dict[str, Json]) -> str:
    if item.get("type") != "message":
        return ""
    if isinstance(item.get("content"), str):
        return string(item["content"])
    return "".join(
        string(part.get("text")) or string(part.get("refusal")) for part in objects(item.get("content"))
    )


def _call(item: dict[str, Json]) -> ToolCall | None:
    """The call of an output item, None if it is none or its arguments are too deep."""
    known = _CALLS.get(string(item.get("type")))
    if known is None:
        return None
    kind, name, field = known
    if kind == "shell" and mapping(item.get("environment")).get("type") == _CONTAINER:
        kind = "builtin"
    value = item.get(field, item.get("actions") if kind == "function" else None)
    arguments = arguments_text(value)
    if arguments is None:
        return None
    call_id = string(item.get("call_id")) or string(item.get("id"))
    return ToolCall(clean(call_id), clean(string(item.get("name")) or name), arguments, kind)


def _idents(output: Iterable[dict[str, Json]]) -> set[str]:
    return {
        string(item.get("call_id")) or string(item.get("id"))
        for item in output
        if string(item.get("type")) in _CALLS
    }


def _result(item: dict[str, Json]) -> ToolResultItem:
    call_id = clean(string(item.get("call_id")) or string(item.get("id")))
    output = item.get("output")
    failed = item.get("status") in _FAILED
    if item.get("type") == "shell_call_output":
        return _shell_result(call_id, output, failed)
    code: int | None = None
    if isinstance(output, str) and output.startswith("{") and "exit_code" in output:
        # codex and the local_shell examples put {"output": …, "metadata": {"exit_code": n}} into the string
        told = mapping(loads(output.encode("utf-8", "surrogatepass")))
        metadata = mapping(told.get("metadata"))
        code = whole_number(metadata.get("exit_code", told.get("exit_code")))
    return ToolResultItem(call_id, parts_text(output), failed, code)


def _shell_result(call_id: str, output: Json, failed: bool) -> ToolResultItem:
    """One entry per command: stdout, stderr, outcome. The exit code is that of the first that failed."""
    if isinstance(output, str):
        return ToolResultItem(call_id, clean(output), failed)
    texts: list[str] = []
    codes: list[int] = []
    for entry in objects(output):
        texts += filter(None, (string(entry.get("stdout")), string(entry.get("stderr"))))
        outcome = mapping(entry.get("outcome"))
        code = whole_number(outcome.get("exit_code"))
        failed = failed or outcome.get("type") == "timeout"
        if code is not None:
            codes.append(code)
    wrong = next((code for code in codes if code), None)
    return ToolResultItem(
        call_id, clean("\n".join(texts)), failed, wrong if wrong is not None else 0 if codes else None
    )
