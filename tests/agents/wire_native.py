"""An :class:`Answer` in the APIs that are neither Anthropic's nor OpenAI's: Gemini, Bedrock, Ollama, Cohere.

Formats: the providers' public references and SDKs (google-genai, botocore, ollama, cohere).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.agents.frames import INPUT_TOKENS, OUTPUT_TOKENS, Event, Json, Line, Message, dump, pieces
from tests.agents.script import Answer

# --- Gemini ------------------------------------------------------------------------------------------


def _gemini_chunk(parts: list[Json], turn: str, finish: str | None) -> Json:
    candidate: Json = {"content": {"role": "model", "parts": parts}, "index": 0}
    if finish:
        candidate["finishReason"] = finish
    return {
        "candidates": [candidate],
        "usageMetadata": {
            "promptTokenCount": INPUT_TOKENS,
            "candidatesTokenCount": OUTPUT_TOKENS,
            "totalTokenCount": INPUT_TOKENS + OUTPUT_TOKENS,
        },
        "responseId": f"gen_{turn}",
    }


def _gemini_calls(answer: Answer, turn: str) -> list[Json]:
    calls: list[Json] = [{"name": call.name, "args": call.arguments} for call in answer.calls]
    if answer.with_ids:
        calls = [{"id": f"call_{turn}_{n}"} | call for n, call in enumerate(calls)]
    return [{"functionCall": call} for call in calls]


def gemini(answer: Answer, turn: str) -> Json:
    """The whole answer."""
    text: list[Json] = [{"text": answer.text}] if answer.text or not answer.calls else []
    return _gemini_chunk(text + _gemini_calls(answer, turn), turn, "STOP")


def gemini_events(answer: Answer, turn: str) -> Iterator[Event]:
    """Chunks, each like a whole answer; none is marked as the last."""
    for piece in pieces(answer.thinking):
        yield Event(None, dump(_gemini_chunk([{"text": piece, "thought": True}], turn, None)))
    for piece in pieces(answer.text):
        yield Event(None, dump(_gemini_chunk([{"text": piece}], turn, None)))
    yield Event(None, dump(_gemini_chunk(_gemini_calls(answer, turn) or [{"text": ""}], turn, "STOP")))


# --- Bedrock Converse --------------------------------------------------------------------------------

_CONVERSE_USAGE = {
    "inputTokens": INPUT_TOKENS,
    "outputTokens": OUTPUT_TOKENS,
    "totalTokens": INPUT_TOKENS + OUTPUT_TOKENS,
}


def converse(answer: Answer, turn: str) -> Json:
    """The whole answer."""
    content: list[Json] = [{"text": answer.text}] if answer.text else []
    content += [
        {"toolUse": {"toolUseId": f"call_{turn}_{n}", "name": call.name, "input": call.arguments}}
        for n, call in enumerate(answer.calls)
    ]
    return {
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": "tool_use" if answer.calls else "end_turn",
        "usage": _CONVERSE_USAGE,
        "metrics": {"latencyMs": 1},
    }


def converse_events(answer: Answer, turn: str) -> Iterator[Message]:
    """The events; a text block has no start of its own."""
    whole = converse(answer, turn)
    yield Message("messageStart", dump({"role": "assistant"}))
    for index, block in enumerate(whole["output"]["message"]["content"]):

        def event(name: str, index: int = index, **fields: Any) -> Message:
            return Message(name, dump({"contentBlockIndex": index, **fields}))

        if "text" in block:
            for piece in pieces(block["text"]):
                yield event("contentBlockDelta", delta={"text": piece})
        else:
            call = block["toolUse"]
            named = {"toolUseId": call["toolUseId"], "name": call["name"]}
            yield event("contentBlockStart", start={"toolUse": named})
            for piece in pieces(dump(call["input"])):
                yield event("contentBlockDelta", delta={"toolUse": {"input": piece}})
        yield event("contentBlockStop")
    yield Message("messageStop", dump({"stopReason": whole["stopReason"]}))
    yield Message("metadata", dump({"usage": _CONVERSE_USAGE, "metrics": {"latencyMs": 1}}))


# --- Ollama ------------------------------------------------------------------------------------------


def _ollama_line(model: str, message: Json, **fields: Any) -> Json:
    head = {"model": model, "created_at": "2026-11-27T12:00:00.000000Z"}
    return head | {"message": {"role": "assistant", "content": ""} | message, "done": False} | fields


def _ollama_calls(answer: Answer, turn: str) -> list[Json]:
    return [
        ({"id": f"call_{turn}_{n}"} if answer.with_ids else {})
        | {"function": {"index": n, "name": call.name, "arguments": call.arguments}}
        for n, call in enumerate(answer.calls)
    ]


_OLLAMA_END: Json = {
    "done": True,
    "done_reason": "stop",
    "total_duration": 1,
    "prompt_eval_count": INPUT_TOKENS,
    "eval_count": OUTPUT_TOKENS,
}


def ollama(answer: Answer, model: str, turn: str) -> Json:
    """The whole answer."""
    calls = {"tool_calls": _ollama_calls(answer, turn)} if answer.calls else {}
    return _ollama_line(model, {"content": answer.text} | calls, **_OLLAMA_END)


def ollama_lines(answer: Answer, model: str, turn: str) -> Iterator[Line]:
    """The lines; a call is whole in one."""
    for piece in pieces(answer.text):
        yield Line(dump(_ollama_line(model, {"content": piece})))
    for call in _ollama_calls(answer, turn):
        yield Line(dump(_ollama_line(model, {"tool_calls": [call]})))
    yield Line(dump(_ollama_line(model, {}, **_OLLAMA_END)))


# --- Cohere ------------------------------------------------------------------------------------------

_COHERE_USAGE = {
    "billed_units": {"input_tokens": 7.0, "output_tokens": float(OUTPUT_TOKENS)},
    "tokens": {"input_tokens": float(INPUT_TOKENS), "output_tokens": float(OUTPUT_TOKENS)},
}


def cohere(answer: Answer, turn: str) -> Json:
    """The whole answer."""
    message: Json = {"role": "assistant"}
    if answer.text:
        message["content"] = [{"type": "text", "text": answer.text}]
    if answer.calls:
        message["tool_plan"] = "I will do it."
        message["tool_calls"] = [
            {
                "id": f"call_{turn}_{n}",
                "type": "function",
                "function": {"name": call.name, "arguments": dump(call.arguments)},
            }
            for n, call in enumerate(answer.calls)
        ]
    return {
        "id": f"chat_{turn}",
        "finish_reason": "TOOL_CALL" if answer.calls else "COMPLETE",
        "message": message,
        "usage": _COHERE_USAGE,
    }


def cohere_events(answer: Answer, turn: str) -> Iterator[Event]:
    """The events; texts and calls are numbered apart."""

    def event(kind: str, **fields: Any) -> Event:
        return Event(kind, dump({"type": kind, **fields}))

    whole = cohere(answer, turn)
    start = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
    yield event("message-start", id=whole["id"], delta={"message": start})
    if answer.text:
        opened = {"message": {"content": {"type": "text", "text": ""}}}
        yield event("content-start", index=0, delta=opened)
        for piece in pieces(answer.text):
            yield event("content-delta", index=0, delta={"message": {"content": {"text": piece}}})
        yield event("content-end", index=0)
    if answer.calls:
        yield event("tool-plan-delta", delta={"message": {"tool_plan": "I will do it."}})
    for index, call in enumerate(whole["message"].get("tool_calls", ())):
        begun = call | {"function": call["function"] | {"arguments": ""}}
        yield event("tool-call-start", index=index, delta={"message": {"tool_calls": begun}})
        for piece in pieces(call["function"]["arguments"]):
            given = {"function": {"arguments": piece}}
            yield event("tool-call-delta", index=index, delta={"message": {"tool_calls": given}})
        yield event("tool-call-end", index=index)
    end = {"finish_reason": whole["finish_reason"], "usage": _COHERE_USAGE}
    yield event("message-end", id=whole["id"], delta=end)
