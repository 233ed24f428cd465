"""Is a request a call of a model, and in which API? By path suffix and body: a gateway has any host."""

from __future__ import annotations

import re
from collections.abc import Callable

from collector.llm import anthropic, openai_chat, openai_responses
from collector.llm.model import ModelRequest, ModelResponse
from collector.llm.values import StreamParser
from polygraph.events import Api

_SUFFIXES: tuple[tuple[re.Pattern[str], Api], ...] = (
    (re.compile(r"/chat/completions/?\Z"), "openai.chat"),
    (re.compile(r"/responses/?\Z"), "openai.responses"),
    (re.compile(r"/messages/?\Z"), "anthropic.messages"),
    # Anthropic models on Vertex AI: the model is in the path, the body is the same
    (re.compile(r"/publishers/anthropic/models/[^/]+:(?:streamR|r)awPredict\Z"), "anthropic.messages"),
)
#: as long as any real suffix; only the end of the path is looked at
_TAIL = 512

_REQUESTS: dict[Api, Callable[[bytes], ModelRequest | None]] = {
    "anthropic.messages": anthropic.parse_request,
    "openai.chat": openai_chat.parse_request,
    "openai.responses": openai_responses.parse_request,
}
_RESPONSES: dict[Api, Callable[[bytes], ModelResponse | None]] = {
    "anthropic.messages": anthropic.parse_response,
    "openai.chat": openai_chat.parse_response,
    "openai.responses": openai_responses.parse_response,
}
_PARSERS: dict[Api, Callable[[], StreamParser]] = {
    "anthropic.messages": anthropic.StreamParser,
    "openai.chat": openai_chat.StreamParser,
    "openai.responses": openai_responses.StreamParser,
}


def api_of_path(method: str, target: str) -> Api | None:
    """The API that ``POST target`` may be a call of, by its path alone; None: it is certainly no call."""
    if method != "POST":
        return None
    path = target.partition("?")[0].partition("#")[0][-_TAIL:]
    return next((api for suffix, api in _SUFFIXES if suffix.search(path)), None)


def detect(method: str, target: str, body: bytes) -> ModelRequest | None:
    """The call that the request is, None if it is none (token counts, batches, embeddings, telemetry…)."""
    api = api_of_path(method, target)
    return _REQUESTS[api](body) if api is not None else None


def parse_response(api: Api, body: bytes) -> ModelResponse | None:
    """The answer of a JSON ``body``, None if it is none."""
    return _RESPONSES[api](body)


def stream_parser(api: Api) -> StreamParser:
    """A parser for one streamed answer of ``api``."""
    return _PARSERS[api]()
