"""collector/llm/detect.py: calls are known by path and body, behind any host and any prefix."""

from __future__ import annotations

import pytest

from collector.llm.detect import api_of_path
from collector.llm.exchange import RequestSeen
from polygraph.events import Api
from tests.collector.llm.http import Json, ask, of, read

CHAT: Json = {"messages": [{"role": "user", "content": "Go."}]}
GEMINI: Json = {"contents": [{"role": "user", "parts": [{"text": "Go."}]}]}
CONVERSE: Json = {"messages": [{"role": "user", "content": [{"text": "Go."}]}]}
VERTEX = "/v1/projects/p/locations/eu/publishers"
ARN = "arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3A"

#: target, body, API, the model that it names and whether it wants a stream
CALLS: list[tuple[str, Json, Api, str, bool]] = [
    ("/v1/messages", CHAT, "anthropic.messages", "", False),
    ("/anthropic/v1/messages?beta=true", CHAT | {"stream": True}, "anthropic.messages", "", True),
    (f"{VERTEX}/anthropic/models/claude-x@1:rawPredict", CHAT, "anthropic.messages", "claude-x@1", False),
    (
        f"{VERTEX}/anthropic/models/claude-x@1:streamRawPredict",
        CHAT,
        "anthropic.messages",
        "claude-x@1",
        True,
    ),
    (f"{VERTEX}/mistralai/models/mistral-x:rawPredict", CHAT, "openai.chat", "mistral-x", False),
    (f"{VERTEX}/mistralai/models/mistral-x:streamRawPredict", CHAT, "openai.chat", "mistral-x", True),
    ("/v1/chat/completions", CHAT | {"model": "m"}, "openai.chat", "m", False),
    ("/openai/deployments/d-1/chat/completions?api-version=2024-10-21", CHAT, "openai.chat", "d-1", False),
    ("/openai/deployments/d-1/chat/completions", CHAT | {"model": "m"}, "openai.chat", "m", False),
    ("/v1/projects/p/locations/eu/endpoints/openapi/chat/completions", CHAT, "openai.chat", "", False),
    ("/v1beta/openai/chat/completions", CHAT, "openai.chat", "", False),
    ("/v1/agents/completions", CHAT | {"agent_id": "a"}, "openai.chat", "a", False),
    ("/v1/agents/completions#stream", CHAT | {"stream": True}, "openai.chat", "", True),
    ("/openai/v1/responses?api-version=preview", {"input": "Go."}, "openai.responses", "", False),
    ("/openai/responses?api-version=2025-03-01", {"input": "Go."}, "openai.responses", "", False),
    ("/v1beta/models/gemini-x:generateContent", GEMINI, "gemini.generate_content", "gemini-x", False),
    (
        "/v1beta/models/gemini-x:streamGenerateContent?alt=sse",
        GEMINI,
        "gemini.generate_content",
        "gemini-x",
        True,
    ),
    ("/v1beta/tunedModels/t:generateContent", GEMINI, "gemini.generate_content", "t", False),
    (
        f"{VERTEX}/google/models/gemini-x:streamGenerateContent",
        GEMINI,
        "gemini.generate_content",
        "gemini-x",
        True,
    ),
    (
        "/v1/projects/p/locations/eu/endpoints/12:generateContent",
        GEMINI,
        "gemini.generate_content",
        "12",
        False,
    ),
    (
        "/v1internal:streamGenerateContent?alt=sse",
        {"model": "gemini-x", "request": GEMINI},
        "gemini.generate_content",
        "gemini-x",
        True,
    ),
    (
        "/model/eu.amazon.nova-lite-v1%3A0/converse",
        CONVERSE,
        "bedrock.converse",
        "eu.amazon.nova-lite-v1:0",
        False,
    ),
    (
        f"/model/{ARN}inference-profile%2Feu.m-1/converse-stream",
        CONVERSE,
        "bedrock.converse",
        "arn:aws:bedrock:us-east-1:123456789012:inference-profile/eu.m-1",
        True,
    ),
    (
        f"/model/{ARN}inference-profile/eu.m-1/invoke",
        CHAT | {"anthropic_version": "bedrock-2023-05-31"},
        "anthropic.messages",
        "arn:aws:bedrock:us-east-1:123456789012:inference-profile/eu.m-1",
        False,
    ),
    ("/model/meta.l/invoke-with-response-stream", {"prompt": "Go."}, "bedrock.invoke", "meta.l", True),
    ("/model/openai.gpt-oss/invoke", CHAT, "openai.chat", "openai.gpt-oss", False),
    ("/model/amazon.nova/invoke", CONVERSE, "bedrock.converse", "amazon.nova", False),
    ("/api/chat", CHAT | {"model": "m"}, "ollama.chat", "m", True),
    ("/api/generate", {"model": "m", "prompt": "Go.", "stream": False}, "ollama.generate", "m", False),
    ("/v2/chat", CHAT | {"model": "m"}, "cohere.chat", "m", False),
]


@pytest.mark.parametrize(("target", "body", "api", "model", "stream"), CALLS)
@pytest.mark.parametrize("prefix", ["", "/proxy/eu"])
def test_a_call_is_known_behind_any_prefix(
    prefix: str, target: str, body: Json, api: Api, model: str, stream: bool
) -> None:
    (seen,) = of(RequestSeen, read([("sent", ask(prefix + target, body))]))
    assert (seen.api, seen.request.api) == (api, api)
    assert (seen.request.model, seen.request.stream, seen.request.user_text) == (model, stream, "Go.")


OTHERS = """
/v1/messages/count_tokens /v1/messages/batches /v1/chat/completions/chatcmpl-1 /v1/embeddings /v1/completions
/v1/fim/completions /v1/responses/resp_1/cancel /v1/responses/input_tokens /v1beta/models/m:countTokens
/v1beta/models/m:embedContent /v1beta/models/m:batchGenerateContent /v1internal:loadCodeAssist
/model/m/count-tokens /model/m/invoke-with-bidirectional-stream /guardrail/g/version/1/apply /api/embed /api/pull
/api/tags /v2/embed /v2/rerank /v1/chat /v1/traces /publishers/google/models/m:predict
"""


@pytest.mark.parametrize("path", OTHERS.split())
def test_what_asks_a_model_for_no_answer_is_no_call(path: str) -> None:
    assert api_of_path("POST", path) is None


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_only_a_post_is_a_call(method: str) -> None:
    assert all(api_of_path(method, target) is None for target, *_ in CALLS)


def test_a_path_of_any_length_is_looked_at_once_and_from_its_end() -> None:
    assert api_of_path("POST", "/x" * 500_000 + "/v1/messages") == "anthropic.messages"
    assert api_of_path("POST", "/model/" * 200_000 + "/converse") is None
