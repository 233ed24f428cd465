"""An :class:`Answer` as the bytes of each API: one JSON body, or the events of a stream.

Formats: the providers' public references (Anthropic Messages, OpenAI Chat Completions and Responses; the rest is in
wire_native.py). Ids are functions of the turn, so that two runs of one script say the same.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from typing import Any, Literal

from tests.agents import wire_native as native
from tests.agents.frames import (
    INPUT_TOKENS,
    LINES,
    MESSAGES,
    OUTPUT_TOKENS,
    SSE,
    Event,
    Frame,
    Json,
    dump,
    pieces,
)
from tests.agents.script import Answer, ToolCall

Wire = Literal[
    "anthropic.messages",
    "openai.chat",
    "openai.responses",
    "gemini.generate_content",
    "bedrock.converse",
    "ollama.chat",
    "cohere.chat",
]
#: what a provider signs its model's thinking with; clients send it back
SIGNATURE = "c2lnbmVk"

_PATHS: tuple[tuple[str, Wire], ...] = (
    (r"/messages", "anthropic.messages"),
    (r"/chat/completions", "openai.chat"),
    (r"/responses", "openai.responses"),
    (r":(?:g|streamG)enerateContent", "gemini.generate_content"),
    (r"/model/[^/]+/converse(?:-stream)?", "bedrock.converse"),
    (r"/api/chat", "ollama.chat"),
    (r"/v2/chat", "cohere.chat"),
)


def wire_of(path: str) -> Wire | None:
    """Which API a request path belongs to, None for any other."""
    bare = path.partition("?")[0].rstrip("/")
    return next((wire for suffix, wire in _PATHS if re.search(suffix + r"\Z", bare)), None)


def streamed(wire: Wire, path: str, request: Json) -> bool:
    """Whether the request asks for a stream."""
    if wire in ("gemini.generate_content", "bedrock.converse"):
        return ":streamGenerateContent" in path or "/converse-stream" in path
    return request.get("stream", wire == "ollama.chat") is True


def content_type(wire: Wire) -> str:
    """Of a stream."""
    return {"bedrock.converse": MESSAGES, "ollama.chat": LINES}.get(wire, SSE)


# --- Anthropic Messages ------------------------------------------------------------------------------


def _anthropic(answer: Answer, model: str, turn: str) -> Json:
    blocks: list[Json] = []
    if answer.thinking:
        blocks.append({"type": "thinking", "thinking": answer.thinking, "signature": SIGNATURE})
    if answer.text:
        blocks.append({"type": "text", "text": answer.text})
    blocks += [
        {"type": "tool_use", "id": f"toolu_{turn}_{n}", "name": call.name, "input": call.arguments}
        for n, call in enumerate(answer.calls)
    ]
    return {
        "id": f"msg_{turn}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": blocks,
        "stop_reason": "tool_use" if answer.calls else "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": INPUT_TOKENS, "output_tokens": OUTPUT_TOKENS},
    }


def _anthropic_events(answer: Answer, model: str, turn: str) -> Iterator[Event]:
    def event(kind: str, **fields: Any) -> Event:
        return Event(kind, dump({"type": kind, **fields}))

    whole = _anthropic(answer, model, turn)
    start = whole | {"content": [], "stop_reason": None, "usage": whole["usage"] | {"output_tokens": 1}}
    yield event("message_start", message=start)
    yield event("ping")
    for index, block in enumerate(whole["content"]):
        if block["type"] == "thinking":
            empty = {"type": "thinking", "thinking": "", "signature": ""}
            yield event("content_block_start", index=index, content_block=empty)
            for piece in pieces(block["thinking"]):
                delta = {"type": "thinking_delta", "thinking": piece}
                yield event("content_block_delta", index=index, delta=delta)
            yield event("ping")
            delta = {"type": "signature_delta", "signature": SIGNATURE}
            yield event("content_block_delta", index=index, delta=delta)
        elif block["type"] == "text":
            yield event("content_block_start", index=index, content_block={"type": "text", "text": ""})
            for piece in pieces(block["text"]):
                yield event("content_block_delta", index=index, delta={"type": "text_delta", "text": piece})
        else:
            yield event("content_block_start", index=index, content_block=block | {"input": {}})
            for piece in ["", *pieces(dump(block["input"]))]:
                delta = {"type": "input_json_delta", "partial_json": piece}
                yield event("content_block_delta", index=index, delta=delta)
        yield event("content_block_stop", index=index)
    yield event(
        "message_delta",
        delta={"stop_reason": whole["stop_reason"], "stop_sequence": None},
        usage={"output_tokens": OUTPUT_TOKENS},
    )
    yield event("message_stop")


# --- OpenAI Chat Completions -------------------------------------------------------------------------

_CHAT_USAGE = {
    "prompt_tokens": INPUT_TOKENS,
    "completion_tokens": OUTPUT_TOKENS,
    "total_tokens": INPUT_TOKENS + OUTPUT_TOKENS,
}


def _chat_calls(answer: Answer, turn: str) -> list[Json]:
    return [
        {
            "id": f"call_{turn}_{n}",
            "type": "function",
            "function": {"name": call.name, "arguments": dump(call.arguments)},
        }
        for n, call in enumerate(answer.calls)
    ]


def _chat(answer: Answer, model: str, turn: str) -> Json:
    message: Json = {"role": "assistant", "content": answer.text or None, "refusal": None}
    if answer.calls:
        message["tool_calls"] = _chat_calls(answer, turn)
    return {
        "id": f"chatcmpl-{turn}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model,
        "choices": [
            {
                "index": 0,
                "message": message,
                "logprobs": None,
                "finish_reason": "tool_calls" if answer.calls else "stop",
            }
        ],
        "usage": _CHAT_USAGE,
    }


def _chat_events(answer: Answer, model: str, turn: str, request: Json) -> Iterator[Event]:
    head = {
        "id": f"chatcmpl-{turn}",
        "object": "chat.completion.chunk",
        "created": int(time.time()),
        "model": model,
    }

    def chunk(delta: Json, finish: str | None = None) -> Event:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return Event(None, dump(head | {"choices": [choice]}))

    yield chunk({"role": "assistant", "content": ""})
    for piece in pieces(answer.text):
        yield chunk({"content": piece})
    for index, call in enumerate(_chat_calls(answer, turn)):
        arguments = call["function"]["arguments"]
        first = call | {"index": index, "function": call["function"] | {"arguments": ""}}
        yield chunk({"tool_calls": [first]})
        for piece in pieces(arguments):
            yield chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
    yield chunk({}, "tool_calls" if answer.calls else "stop")
    if (request.get("stream_options") or {}).get("include_usage"):
        yield Event(None, dump(head | {"choices": [], "usage": _CHAT_USAGE}))
    yield Event(None, "[DONE]")


# --- OpenAI Responses --------------------------------------------------------------------------------


def _text_part(text: str) -> Json:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _responses_call(call: ToolCall, number: str) -> Json:
    head = {"call_id": f"call_{number}", "name": call.name, "status": "completed"}
    if isinstance(call.arguments, str):
        return {"type": "custom_tool_call", "id": f"ctc_{number}", "input": call.arguments, **head}
    return {"type": "function_call", "id": f"fc_{number}", "arguments": dump(call.arguments), **head}


def _responses(answer: Answer, model: str, turn: str) -> Json:
    items: list[Json] = []
    if answer.thinking:
        summary = [{"type": "summary_text", "text": answer.thinking}]
        items.append(
            {"type": "reasoning", "id": f"rs_{turn}", "summary": summary, "encrypted_content": SIGNATURE}
        )
    if answer.text:
        items.append(
            {
                "type": "message",
                "id": f"msg_{turn}",
                "status": "completed",
                "role": "assistant",
                "content": [_text_part(answer.text)],
            }
        )
    items += [_responses_call(call, f"{turn}_{n}") for n, call in enumerate(answer.calls)]
    return {
        "id": f"resp_{turn}",
        "object": "response",
        "created_at": int(time.time()),
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "model": model,
        "output": items,
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": {
            "input_tokens": INPUT_TOKENS,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": OUTPUT_TOKENS,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": INPUT_TOKENS + OUTPUT_TOKENS,
        },
    }


def _message_events(item: Json, index: int) -> Iterator[Json]:
    where = {"item_id": item["id"], "output_index": index, "content_index": 0}
    text = item["content"][0]["text"]
    yield {"type": "response.content_part.added", **where, "part": _text_part("")}
    for piece in pieces(text):
        yield {"type": "response.output_text.delta", **where, "delta": piece, "logprobs": []}
    yield {"type": "response.output_text.done", **where, "text": text, "logprobs": []}
    yield {"type": "response.content_part.done", **where, "part": item["content"][0]}


def _reasoning_events(item: Json, index: int) -> Iterator[Json]:
    where = {"item_id": item["id"], "output_index": index, "summary_index": 0}
    text = item["summary"][0]["text"]
    part = {"type": "summary_text", "text": ""}
    yield {"type": "response.reasoning_summary_part.added", **where, "part": part}
    for piece in pieces(text):
        yield {"type": "response.reasoning_summary_text.delta", **where, "delta": piece}
    yield {"type": "response.reasoning_summary_text.done", **where, "text": text}
    yield {"type": "response.reasoning_summary_part.done", **where, "part": item["summary"][0]}


def _custom_events(item: Json, index: int) -> Iterator[Json]:
    where = {"item_id": item["id"], "output_index": index}
    for piece in pieces(item["input"]):
        yield {"type": "response.custom_tool_call_input.delta", **where, "delta": piece}
    yield {"type": "response.custom_tool_call_input.done", **where, "input": item["input"]}


def _call_events(item: Json, index: int) -> Iterator[Json]:
    where = {"item_id": item["id"], "output_index": index}
    for piece in pieces(item["arguments"]):
        yield {"type": "response.function_call_arguments.delta", **where, "delta": piece}
    yield {
        "type": "response.function_call_arguments.done",
        **where,
        "name": item["name"],
        "arguments": item["arguments"],
    }


#: by the type of an item: its events, and what it has not got when it is added
_ITEMS: dict[str, tuple[Callable[[Json, int], Iterator[Json]], Json]] = {
    "message": (_message_events, {"content": []}),
    "reasoning": (_reasoning_events, {"summary": []}),
    "function_call": (_call_events, {"arguments": ""}),
    "custom_tool_call": (_custom_events, {"input": ""}),
}


def _responses_objects(answer: Answer, model: str, turn: str) -> Iterator[Json]:
    whole = _responses(answer, model, turn)
    start = whole | {"status": "in_progress", "output": [], "usage": None}
    yield {"type": "response.created", "response": start}
    yield {"type": "response.in_progress", "response": start}
    for index, item in enumerate(whole["output"]):
        parts, empty = _ITEMS[item["type"]]
        added = item | empty | {"status": "in_progress"}
        yield {"type": "response.output_item.added", "output_index": index, "item": added}
        yield from parts(item, index)
        yield {"type": "response.output_item.done", "output_index": index, "item": item}
    yield {"type": "response.completed", "response": whole}


def _responses_events(answer: Answer, model: str, turn: str) -> Iterator[Event]:
    for number, value in enumerate(_responses_objects(answer, model, turn)):
        yield Event(value["type"], dump(value | {"sequence_number": number}))


def prewarmed(request: Json) -> Iterator[Event]:
    """The answer to a ``response.create`` with ``generate`` false, which only loads the model: no output."""
    whole = _responses(Answer(), str(request.get("model", "scripted")), "warm")
    for kind, status in (("response.created", "in_progress"), ("response.completed", "completed")):
        yield Event(kind, dump({"type": kind, "response": whole | {"status": status}}))


# --- all ---------------------------------------------------------------------------------------------


def body(wire: Wire, answer: Answer, request: Json, turn: str) -> Json:
    """The whole answer as one JSON value. ``turn`` goes into the ids."""
    model = str(request.get("model", "scripted"))
    if wire == "anthropic.messages":
        return _anthropic(answer, model, turn)
    if wire == "openai.chat":
        return _chat(answer, model, turn)
    if wire == "openai.responses":
        return _responses(answer, model, turn)
    if wire == "gemini.generate_content":
        return native.gemini(answer, turn)
    if wire == "bedrock.converse":
        return native.converse(answer, turn)
    if wire == "ollama.chat":
        return native.ollama(answer, model, turn)
    return native.cohere(answer, turn)


def events(wire: Wire, answer: Answer, request: Json, turn: str) -> Iterator[Frame]:
    """The answer as the events of a stream."""
    model = str(request.get("model", "scripted"))
    if wire == "anthropic.messages":
        return _anthropic_events(answer, model, turn)
    if wire == "openai.chat":
        return _chat_events(answer, model, turn, request)
    if wire == "openai.responses":
        return _responses_events(answer, model, turn)
    if wire == "gemini.generate_content":
        return native.gemini_events(answer, turn)
    if wire == "bedrock.converse":
        return native.converse_events(answer, turn)
    if wire == "ollama.chat":
        return native.ollama_lines(answer, model, turn)
    return native.cohere_events(answer, turn)
