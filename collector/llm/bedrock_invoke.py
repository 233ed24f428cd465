"""Bedrock InvokeModel: the body is that of the model's maker, told apart by its shape; a stream brings it in chunks.

https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters.html. Anthropic's Messages, Nova's (which are
Converse's) and bodies with ``choices`` (OpenAI's open models, Mistral's) go to the API that they are; of prompts, as
Llama's, Mistral's and Titan's older models take them, the text is told.
"""

from __future__ import annotations

import base64
import binascii

import msgspec

from collector.http.sse import SseEvent
from collector.llm import anthropic, bedrock_converse, openai_chat
from collector.llm.model import ModelRequest, ModelResponse, Usage
from collector.llm.values import Json, clean, count, loads, mapping, objects, string, text_or_none
from polygraph.events import Api

_API: Api = "bedrock.invoke"
_PROMPTS = ("prompt", "inputText")
_TEXTS = ("generation", "outputText", "text")
_FINISHES = ("stop_reason", "completionReason", "finish_reason")
_CONVERSE = frozenset(
    {"messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata"}
)


def parse_request(body: bytes) -> ModelRequest | None:
    """The request of ``body`` in the API that it belongs to, None if it is none."""
    request = mapping(loads(body))
    if isinstance(request.get("messages"), list):
        if "anthropic_version" in request:
            return anthropic.parse_request(body)
        return (
            bedrock_converse.parse_request(body) if _is_converse(request) else openai_chat.parse_request(body)
        )
    prompt = next((string(request[key]) for key in _PROMPTS if isinstance(request.get(key), str)), None)
    if prompt is None:
        return None
    return ModelRequest(api=_API, user_text=clean(prompt), told=(clean(prompt),), message_count=1)


def _is_converse(request: dict[str, Json]) -> bool:
    """Whether the messages are Nova's: their parts have no ``type``."""
    if "schemaVersion" in request or "inferenceConfig" in request or "toolConfig" in request:
        return True
    parts = [part for message in objects(request["messages"]) for part in objects(message.get("content"))]
    return bool(parts) and not any("type" in part for part in parts)


def parse_response(body: bytes) -> ModelResponse | None:
    """The answer of a JSON ``body`` in the API that it belongs to, None if it is none."""
    whole = mapping(loads(body))
    if whole.get("type") == "message":
        return anthropic.parse_response(body)
    if isinstance(whole.get("output"), dict):
        return bedrock_converse.parse_response(body)
    if isinstance(whole.get("choices"), list):
        return openai_chat.parse_response(body)
    parser = _TextParser()
    parser.feed(SseEvent("", body, 0))
    return parser.result(ended=True) if parser.heard else None


class StreamParser:
    """Chunks, each ``{"bytes": …}`` with an event of the model's own stream; an exception ends it."""

    def __init__(self) -> None:
        self._inner: (
            anthropic.StreamParser | openai_chat.StreamParser | bedrock_converse.StreamParser | None
        ) = None
        self._text = _TextParser()
        self._error: str | None = None
        self._broken = False

    @property
    def done(self) -> bool:
        """See :class:`collector.llm.values.StreamParser`."""
        return self._error is not None or (self._inner is not None and self._inner.done)

    def feed(self, event: SseEvent) -> None:
        """Takes the next event."""
        if self.done:
            return
        if event.event.startswith("!"):
            self._error = event.event[1:] or "error"
            return
        if event.event != "chunk":
            return
        data = _decoded(mapping(loads(event.data)).get("bytes"))
        chunk = None if data is None else loads(data)
        if data is None or not isinstance(chunk, dict):
            self._broken = True
            return
        self._take(SseEvent("", data, event.end), chunk)

    def _take(self, event: SseEvent, chunk: dict[str, Json]) -> None:
        if self._inner is None:
            if isinstance(chunk.get("type"), str):
                self._inner = anthropic.StreamParser()
            elif isinstance(chunk.get("choices"), list) and not _TextParser.knows(chunk):
                self._inner = openai_chat.StreamParser()
            elif _CONVERSE & chunk.keys():
                self._inner = bedrock_converse.StreamParser()
        if isinstance(self._inner, bedrock_converse.StreamParser):
            for kind in chunk.keys() & _CONVERSE:
                self._inner.take(kind, mapping(chunk[kind]))
        elif self._inner is not None:
            self._inner.feed(event)
        else:
            self._text.feed(event)

    def result(self, *, ended: bool) -> ModelResponse:
        """What was seen so far."""
        whole = ended and not self._broken
        answer = (self._inner or self._text).result(ended=whole)
        if self._error is None and not self._broken:
            return answer
        error = text_or_none(self._error) or answer.error
        return msgspec.structs.replace(answer, finish=None, complete=False, error=error)


class _TextParser:
    """Text of the models that are given a prompt, whole or in pieces; the last piece says why it ends."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._finish = ""
        self._usage = Usage()
        self.heard = False

    @staticmethod
    def knows(chunk: dict[str, Json]) -> bool:
        """Whether it has a text in a place that is known."""
        inside = [chunk, *objects(chunk.get("outputs")), *objects(chunk.get("results"))]
        return any(isinstance(part.get(key), str) for part in inside for key in _TEXTS)

    def feed(self, event: SseEvent) -> None:
        """Takes the next piece."""
        chunk = mapping(loads(event.data))
        self.heard = self.heard or self.knows(chunk)
        for part in (chunk, *objects(chunk.get("outputs")), *objects(chunk.get("results"))):
            self._texts += [string(part[key]) for key in _TEXTS if isinstance(part.get(key), str)][:1]
            self._finish = next(
                (string(part[key]) for key in _FINISHES if string(part.get(key))), self._finish
            )
        if "prompt_token_count" in chunk or "generation_token_count" in chunk:
            self._usage = Usage(
                input=count(chunk.get("prompt_token_count")) or self._usage.input,
                output=count(chunk.get("generation_token_count")),
            )

    def result(self, *, ended: bool) -> ModelResponse:
        """What was seen so far."""
        return ModelResponse(
            api=_API,
            text=clean("".join(self._texts)),
            finish=text_or_none(self._finish),
            usage=self._usage,
            complete=ended and self.heard and bool(self._finish),
        )


def _decoded(value: Json) -> bytes | None:
    try:
        return base64.b64decode(string(value), validate=True) or None
    except (binascii.Error, ValueError):
        return None
