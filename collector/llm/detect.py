"""Is a request a call of a model, and in which API? By path suffix and body, never by host: a gateway has any."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import unquote

import msgspec

from collector.llm import (
    anthropic,
    bedrock_converse,
    bedrock_invoke,
    cohere,
    gemini,
    ollama,
    openai_chat,
    openai_responses,
)
from collector.llm.model import ModelRequest, ModelResponse
from collector.llm.values import StreamParser
from polygraph.events import Api


def _row(suffix: str, api: Api) -> tuple[re.Pattern[str], Api]:
    return re.compile(suffix + r"\Z"), api


#: path suffixes; ``model`` and ``stream`` are what the path says where the body does not
_SUFFIXES = (
    # Azure OpenAI: the deployment is in the path
    _row(r"/deployments/(?P<model>[^/]+)/chat/completions/?", "openai.chat"),
    # also Mistral, the OpenAI endpoints of Gemini and Vertex AI, and most gateways
    _row(r"/chat/completions/?", "openai.chat"),
    # Mistral's agents
    _row(r"/agents/completions/?", "openai.chat"),
    _row(r"/responses/?", "openai.responses"),
    _row(r"/messages/?", "anthropic.messages"),
    # Anthropic models on Vertex AI
    _row(
        r"/publishers/anthropic/models/(?P<model>[^/:]+):(?:(?P<stream>streamR)|r)awPredict",
        "anthropic.messages",
    ),
    # Mistral's on Vertex AI
    _row(
        r"/publishers/mistralai/models/(?P<model>[^/:]+):(?:(?P<stream>streamR)|r)awPredict",
        "openai.chat",
    ),
    # Gemini, on Vertex AI too (models of a publisher, tuned ones, endpoints)
    _row(
        r"/(?:models|tunedModels|endpoints)/(?P<model>[^/:]+):(?:(?P<stream>streamG)|g)enerateContent",
        "gemini.generate_content",
    ),
    # Code Assist: the model is in the body
    _row(r"/v1internal:(?:(?P<stream>streamG)|g)enerateContent", "gemini.generate_content"),
    # an ARN as model may have a slash that its client did not encode
    _row(r"/model/(?P<model>[^/]+(?:/[^/]+)?)/converse(?P<stream>-stream)?", "bedrock.converse"),
    _row(r"/model/(?P<model>[^/]+(?:/[^/]+)?)/invoke(?P<stream>-with-response-stream)?", "bedrock.invoke"),
    _row(r"/api/chat/?", "ollama.chat"),
    _row(r"/api/generate/?", "ollama.generate"),
    _row(r"/v2/chat/?", "cohere.chat"),
)
#: longer than any real suffix; only the end of the path is looked at
_TAIL = 1024


class _Format(NamedTuple):
    request: Callable[[bytes], ModelRequest | None]
    response: Callable[[bytes], ModelResponse | None]
    stream: Callable[[], StreamParser]


_FORMATS: dict[Api, _Format] = {
    "anthropic.messages": _Format(anthropic.parse_request, anthropic.parse_response, anthropic.StreamParser),
    "openai.chat": _Format(openai_chat.parse_request, openai_chat.parse_response, openai_chat.StreamParser),
    "openai.responses": _Format(
        openai_responses.parse_request, openai_responses.parse_response, openai_responses.StreamParser
    ),
    "gemini.generate_content": _Format(gemini.parse_request, gemini.parse_response, gemini.StreamParser),
    "bedrock.converse": _Format(
        bedrock_converse.parse_request, bedrock_converse.parse_response, bedrock_converse.StreamParser
    ),
    "bedrock.invoke": _Format(
        bedrock_invoke.parse_request, bedrock_invoke.parse_response, bedrock_invoke.StreamParser
    ),
    "ollama.chat": _Format(ollama.parse_chat, ollama.parse_chat_response, ollama.ChatParser),
    "ollama.generate": _Format(ollama.parse_generate, ollama.parse_generate_response, ollama.GenerateParser),
    "cohere.chat": _Format(cohere.parse_request, cohere.parse_response, cohere.StreamParser),
}
#: APIs of which a whole body may be a stream of another form than lines and events
STREAM_ARRAYS: frozenset[Api] = frozenset({"gemini.generate_content"})


def api_of_path(method: str, target: str) -> Api | None:
    """The API that ``POST target`` may be a call of, by its path alone; None: it is certainly no call."""
    found = _match(method, target)
    return found[1] if found is not None else None


def detect(method: str, target: str, body: bytes) -> ModelRequest | None:
    """The call that the request is, None if it is none (token counts, batches, embeddings, telemetry…).

    Its ``api`` may be another than the path's: InvokeModel carries the bodies of several.
    """
    found = _match(method, target)
    if found is None:
        return None
    match, api = found
    request = _FORMATS[api].request(body)
    if request is None:
        return None
    told = match.groupdict()
    return msgspec.structs.replace(
        request,
        model=request.model or unquote(told.get("model") or ""),
        stream=request.stream or told.get("stream") is not None,
    )


def _match(method: str, target: str) -> tuple[re.Match[str], Api] | None:
    if method != "POST":
        return None
    path = target.partition("?")[0].partition("#")[0][-_TAIL:]
    for suffix, api in _SUFFIXES:
        match = suffix.search(path)
        if match is not None:
            return match, api
    return None


def parse_response(api: Api, body: bytes) -> ModelResponse | None:
    """The answer of a JSON ``body``, None if it is none."""
    return _FORMATS[api].response(body)


def stream_parser(api: Api) -> StreamParser:
    """A parser for one streamed answer of ``api``."""
    return _FORMATS[api].stream()
