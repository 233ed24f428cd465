"""The scripted endpoint alone: every API over TLS, streamed and not, says what the script says."""

from __future__ import annotations

import gzip
import http.client
import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from collector.http.framing import StreamFramer
from collector.llm import detect
from collector.llm.model import ModelResponse
from tests.agents.endpoint import Endpoint
from tests.agents.script import Answer, Script, ToolCall
from tests.agents.wire import Wire, content_type

TEXT = "I look at it first — naïvely, over more than one delta."
CALL = ToolCall("run_shell", {"command": "printf 'a\\n\"b\"' | cat", "n": 3})
ANSWERS = (Answer(text=TEXT, calls=(CALL, CALL)), Answer(text="Done."))
PATHS: dict[Wire, str] = {
    "anthropic.messages": "/v1/messages",
    "openai.chat": "/v1/chat/completions",
    "openai.responses": "/any/prefix/v1/responses",
    "gemini.generate_content": "/v1beta/models/m-1:generateContent",
    "bedrock.converse": "/model/m-1/converse",
    "ollama.chat": "/api/chat",
    "cohere.chat": "/v2/chat",
}
#: where the path says that a stream is wanted
STREAM_PATHS: dict[Wire, str] = {
    "gemini.generate_content": "/v1beta/models/m-1:streamGenerateContent?alt=sse",
    "bedrock.converse": "/model/m-1/converse-stream",
}
TOOLS: list[dict[str, Any]] = [{"name": "run_shell"}]


@contextmanager
def connected(endpoint: Endpoint) -> Iterator[http.client.HTTPSConnection]:
    context = ssl.create_default_context(cafile=str(endpoint.ca_file))
    connection = http.client.HTTPSConnection("localhost", endpoint.port, context=context, timeout=30)
    try:
        yield connection
    finally:
        connection.close()


def ask(
    connection: http.client.HTTPSConnection, path: str, request: dict[str, Any], **headers: str
) -> tuple[int, dict[str, str], bytes]:
    connection.request("POST", path, json.dumps(request), {"content-type": "application/json", **headers})
    answer = connection.getresponse()
    return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()


def question(number: int, **more: Any) -> dict[str, Any]:
    return {
        "model": "m-1",
        "messages": [{"role": "user", "content": f"q{number}"}],
        "input": f"q{number}",
        "max_tokens": 9,
        "tools": TOOLS,
        **more,
    }


def parse_stream(api: Wire, stream: bytes) -> ModelResponse:
    parser = detect.stream_parser(api)
    for event in StreamFramer().feed(stream):
        parser.feed(event)
    return parser.result(ended=True)


def check(response: ModelResponse | None) -> None:
    assert response is not None
    assert response.complete
    assert response.text == TEXT
    assert [call.name for call in response.tool_calls] == ["run_shell", "run_shell"]
    assert [json.loads(call.arguments) for call in response.tool_calls] == [CALL.arguments] * 2
    assert len({call.id for call in response.tool_calls}) == 2
    assert (response.usage.input, response.usage.output) == (100, 20)


@pytest.mark.parametrize("api", PATHS)
def test_a_whole_answer_is_read_as_the_script_says_it(api: Wire) -> None:
    with Endpoint(Script(ANSWERS)) as endpoint, connected(endpoint) as connection:
        status, headers, content = ask(connection, PATHS[api], question(0, stream=False))
        assert (status, headers["content-type"]) == (200, "application/json")
        check(detect.parse_response(api, content))
        _, _, last = ask(connection, PATHS[api], question(1, stream=False))
        ended = detect.parse_response(api, last)
        assert ended is not None
        assert (ended.text, ended.tool_calls) == ("Done.", ())
        assert endpoint.finished


@pytest.mark.parametrize("api", PATHS)
def test_a_streamed_answer_is_read_as_the_script_says_it(api: Wire) -> None:
    with Endpoint(Script(ANSWERS)) as endpoint, connected(endpoint) as connection:
        request = question(0, stream=True, stream_options={"include_usage": True})
        path = STREAM_PATHS.get(api, PATHS[api])
        status, headers, content = ask(connection, path, request)
        assert (status, headers["transfer-encoding"]) == (200, "chunked")
        assert headers["content-type"] == content_type(api)
        check(parse_stream(api, content))
        _, _, last = ask(connection, path, question(1, stream=True))
        assert parse_stream(api, last).text == "Done."


def test_side_requests_and_retries_do_not_move_the_script() -> None:
    with Endpoint(Script(ANSWERS)) as endpoint, connected(endpoint) as connection:
        path = PATHS["openai.chat"]

        def said(request: dict[str, Any]) -> str:
            answer = detect.parse_response("openai.chat", ask(connection, path, request)[2])
            assert answer is not None
            return answer.text

        title = question(7) | {"tools": []}
        assert said(title) == "ok"
        assert said(question(0)) == TEXT
        assert said(question(0)) == TEXT
        assert said(title) == "ok"
        assert said(question(1)) == "Done."
        assert said(question(2)) == "ok", "after the end every request is a side request"
        assert [request.turn for request in endpoint.requests] == [None, 0, 0, None, 1, None]
        assert endpoint.requests[1].json["messages"] == question(0)["messages"]


def test_a_whole_answer_is_compressed_for_who_accepts_it() -> None:
    with Endpoint(Script(ANSWERS)) as endpoint, connected(endpoint) as connection:
        _, headers, content = ask(
            connection, PATHS["openai.chat"], question(0), **{"accept-encoding": "gzip, br"}
        )
        assert headers["content-encoding"] == "gzip"
        check(detect.parse_response("openai.chat", gzip.decompress(content)))


def test_a_request_in_chunks_is_read_whole() -> None:
    with Endpoint(Script(ANSWERS)) as endpoint, connected(endpoint) as connection:
        text = json.dumps(question(0)).encode()
        connection.request(
            "POST", PATHS["openai.chat"], iter([text[:9], text[9:]]), {"transfer-encoding": "chunked"},
            encode_chunked=True,
        )  # fmt: skip
        check(detect.parse_response("openai.chat", connection.getresponse().read()))
        assert endpoint.requests[0].body == text


def test_what_is_no_call_is_refused_and_the_connection_goes_on() -> None:
    with Endpoint(Script(ANSWERS)) as endpoint, connected(endpoint) as connection:
        assert ask(connection, "/v1/embeddings", {})[0] == 404
        connection.request("POST", PATHS["openai.chat"], b"{")
        refused = connection.getresponse()
        refused.read()
        assert refused.status == 400
        assert ask(connection, PATHS["openai.chat"], question(0))[0] == 200
        assert [request.status for request in endpoint.requests] == [404, 400, 200]


def test_a_client_that_does_not_trust_the_authority_is_answered_nothing() -> None:
    with Endpoint(Script(ANSWERS)) as endpoint:
        stranger = http.client.HTTPSConnection("localhost", endpoint.port, timeout=30)
        with pytest.raises(ssl.SSLCertVerificationError):
            stranger.request("POST", PATHS["openai.chat"], "{}")
        stranger.close()
        with connected(endpoint) as connection:
            assert ask(connection, PATHS["openai.chat"], question(0))[0] == 200
        assert len(endpoint.requests) == 1


def test_a_release_file_is_made_only_after_its_answer(tmp_path: Path) -> None:
    script = Script((Answer(text="Done.", release="go", release_after=0.0),))
    with Endpoint(script, release_folder=tmp_path) as endpoint, connected(endpoint) as connection:
        assert not (tmp_path / "go").exists()
        ask(connection, PATHS["openai.chat"], question(0))
        while not (tmp_path / "go").exists():
            continue
        assert endpoint.finished
