"""The rim of the second opinion, against an endpoint on loopback: it asks, waits for nobody, and counts what fails."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from collector import second_opinion
from collector.claims.opinion import Question
from collector.second_opinion import KEY, MAX_WAITING, MODEL, Answered, Asker, Cause, Endpoint, endpoint_of
from polygraph.commands import _opinion
from polygraph.errors import PolygraphError
from tests.agents.endpoint import Endpoint as Scripted
from tests.agents.script import Answer, Script
from tests.collector.claims.test_opinion import GREEN, answer, claim

#: seconds in which a loopback answer certainly comes; a test that waits so long fails
LONG = 60.0

Serve = Callable[[BaseHTTPRequestHandler, bytes], None]


def question(session: str = "s", **fields: Any) -> Question:
    return Question(session, "c", "1:1", 5, (GREEN,))._replace(**fields)


def sends(body: bytes, status: int = 200, **headers: str) -> Serve:
    def serve(handler: BaseHTTPRequestHandler, _asked: bytes) -> None:
        handler.send_response(status)
        for name, value in {"content-length": str(len(body)), **headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return serve


class Fake:
    """An endpoint that does what a test wants, and keeps what it was sent."""

    def __init__(self, serve: Serve) -> None:
        self.asked: list[tuple[str, dict[str, str], bytes]] = []
        self.let_go = threading.Event()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                fake.asked.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                serve(self, body)

            do_GET = do_POST  # noqa: N815

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                """Nothing is printed."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.block_on_close = False
        self.server.handle_error = lambda *_: None  # type: ignore[method-assign] # it is hung up on
        self.port = int(self.server.server_address[1])

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint("127.0.0.1", self.port, "/v1", False, "small", "sk-of-the-operator")


@contextmanager
def serving(serve: Serve) -> Iterator[Fake]:
    fake = Fake(serve)
    thread = threading.Thread(target=fake.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield fake
    finally:
        fake.let_go.set()
        fake.server.shutdown()
        thread.join()
        fake.server.server_close()


@contextmanager
def asking(endpoint: Endpoint, **how: Any) -> Iterator[Asker]:
    asker = Asker(endpoint, **how)
    try:
        yield asker
    finally:
        asker.close()


def until(holds: Callable[[], bool]) -> None:
    """Waits for another thread. Raises AssertionError if it never gets there."""
    pause = threading.Event()
    for _ in range(int(LONG / 0.01)):
        if holds():
            return
        pause.wait(0.01)
    raise AssertionError("it never came")


def outcome(asker: Asker, *questions: Question) -> list[Answered]:
    """Asks, and what came of it when nothing is waited for any more."""
    for one in questions:
        asker.ask(one)
    until(lambda: asker._current is None and not asker._waiting)
    return asker.take()


def cause(asker: Asker) -> dict[Cause, int]:
    return {name: count for name, count in asker.dropped.items() if count}


# --- it asks -----------------------------------------------------------------------------------------------


def test_it_asks_what_it_was_given_and_hands_back_claims() -> None:
    with serving(sends(answer(claim(passed=12)))) as fake, asking(fake.endpoint) as asker:
        assert asker.take() == [] and not asker.waits("s")
        (answered,) = outcome(asker, question())
        assert (answered.question, answered.claims[0].counts) == (question(), {"passed": 12})
        assert asker.take() == [] and cause(asker) == {}
    ((path, headers, body),) = fake.asked
    assert path == "/v1/chat/completions"
    assert headers["authorization"] == "Bearer sk-of-the-operator"
    assert json.loads(body)["model"] == "small" and GREEN in json.loads(body)["messages"][1]["content"]


def test_over_tls_against_the_scripted_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    said = json.dumps({"claims": [claim()]})
    with Scripted(Script((Answer(said),)), is_main=lambda _request: True) as scripted:
        monkeypatch.setenv("SSL_CERT_FILE", str(scripted.ca_file))
        endpoint = endpoint_of({second_opinion.ENDPOINT: f"{scripted.url}/v1/", MODEL: "m", KEY: "k"})
        assert endpoint is not None
        with asking(endpoint) as asker:
            (answered,) = outcome(asker, question())
        assert [draft.topic for draft in answered.claims] == ["tests_passed"]
        (request,) = scripted.requests
        assert (request.path, request.wire) == ("/v1/chat/completions", "openai.chat")


def test_a_certificate_that_nobody_vouches_for_gets_no_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    with Scripted(Script((Answer("{}"),)), is_main=lambda _request: True) as scripted:
        endpoint = Endpoint("localhost", scripted.port, "/v1", True, "m")
        with asking(endpoint) as asker:
            assert outcome(asker, question()) == []
            assert cause(asker) == {"unreachable": 1}
        assert scripted.requests == ()


def test_no_proxy_out_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(sends(answer())) as proxy, serving(sends(answer(claim()))) as fake:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        with asking(fake.endpoint) as asker:
            assert len(outcome(asker, question())) == 1
        assert proxy.asked == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(status: int) -> None:
    with serving(sends(answer(claim()))) as other:
        elsewhere = f"http://127.0.0.1:{other.port}/v1/chat/completions"
        with serving(sends(b"", status, location=elsewhere)) as fake, asking(fake.endpoint) as asker:
            assert outcome(asker, question()) == []
            assert cause(asker) == {"refused": 1}
        assert other.asked == []


# --- what fails --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("serve", "expected"),
    [
        (sends(b"no", 500), "refused"),
        (sends(b"", 401), "refused"),
        (sends(b"", 429), "refused"),
        (sends(b"", 204), "refused"),
        (sends(b"garbage"), "malformed"),
        (sends(b""), "malformed"),
        (sends(b"\x1f\x8b" + b"\x00" * 50, **{"content-encoding": "gzip"}), "malformed"),
        (sends(b'{"choices": []}' + b" " * (1 << 20)), "malformed"),
        (sends(b"{}", **{"content-length": "500"}), "malformed"),
        (sends(b"{}", **{"transfer-encoding": "chunked"}), "unreachable"),
        (lambda handler, _: handler.connection.close(), "unreachable"),
        (lambda handler, _: handler.wfile.write(b"\x00\xff" * 400 + b"\n"), "unreachable"),
        (sends(answer(claim(passed=99))), "misfit"),
    ],
)
def test_what_fails_is_counted_and_not_asked_again(serve: Serve, expected: Cause) -> None:
    with serving(serve) as fake, asking(fake.endpoint) as asker:
        assert outcome(asker, question()) == []
        assert cause(asker) == {expected: 1}
        assert not asker.waits("s") and len(fake.asked) == 1


def test_it_goes_on_after_a_failure() -> None:
    turns = iter((sends(b"garbage"), sends(answer(claim()))))

    def serve(handler: BaseHTTPRequestHandler, asked: bytes) -> None:
        next(turns)(handler, asked)

    with serving(serve) as fake, asking(fake.endpoint) as asker:
        (answered,) = outcome(asker, question("a"), question("b"))
        assert answered.question.session == "b" and cause(asker) == {"malformed": 1}
        assert asker.summary() == "2 questions, dropped: 1 malformed"


def test_nobody_there_is_unreachable() -> None:
    with serving(sends(b"")) as fake:
        gone = fake.endpoint
    with asking(gone) as asker:
        assert outcome(asker, question()) == []
        assert cause(asker) == {"unreachable": 1}


def _hangs(fake: list[Fake]) -> Serve:
    return lambda _handler, _asked: bool(fake[0].let_go.wait(LONG)) and None


def _drips(fake: list[Fake]) -> Serve:
    def serve(handler: BaseHTTPRequestHandler, _asked: bytes) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nx: ")
        while not fake[0].let_go.wait(0.02):
            handler.wfile.write(b"x")
            handler.wfile.flush()

    return serve


@pytest.mark.parametrize("slow", [_hangs, _drips])
def test_one_that_is_slow_is_given_up(slow: Callable[[list[Fake]], Serve]) -> None:
    made: list[Fake] = []
    with serving(slow(made)) as fake:
        made.append(fake)
        with asking(fake.endpoint, patience=0.3) as asker:
            assert outcome(asker, question()) == []
            assert cause(asker) == {"timeout": 1}


def test_what_waited_too_long_in_the_queue_is_not_asked() -> None:
    made: list[Fake] = []
    now = [100.0]
    with serving(_hangs(made)) as fake:
        made.append(fake)
        with asking(fake.endpoint, patience=2.0, clock=lambda: now[0]) as asker:
            asker.ask(question("a"))
            asker.ask(question("b"))
            until(lambda: len(fake.asked) == 1)
            now[0] += LONG
            assert outcome(asker) == []
            assert cause(asker) == {"timeout": 2} and len(fake.asked) == 1


def test_nobody_is_waited_for_beyond_the_patience() -> None:
    made: list[Fake] = []
    now = [100.0]
    with serving(_hangs(made)) as fake:
        made.append(fake)
        with asking(fake.endpoint, patience=LONG, clock=lambda: now[0]) as asker:
            asker.ask(question("a"))
            assert asker.waits("a") and not asker.waits("b")
            now[0] += LONG
            assert not asker.waits("a")


def test_the_queue_is_bounded_and_asking_never_waits() -> None:
    made: list[Fake] = []
    with serving(_hangs(made)) as fake:
        made.append(fake)
        with asking(fake.endpoint) as asker:
            asker.ask(question())
            until(lambda: len(fake.asked) == 1)
            for _ in range(MAX_WAITING + 5):
                asker.ask(question(left_out=2))
            assert cause(asker) == {"too_many": 5, "too_long": 2 * (MAX_WAITING + 5)}
            assert len(asker._waiting) == MAX_WAITING
            asker.close()
            assert cause(asker)["late"] == MAX_WAITING + 1 and not asker._waiting
            asker.close()
            assert cause(asker)["late"] == MAX_WAITING + 1
            asker.ask(question())
            assert cause(asker)["too_many"] == 6


def test_an_answer_that_was_not_taken_is_still_to_come() -> None:
    with serving(sends(answer(claim()))) as fake, asking(fake.endpoint) as asker:
        asker.ask(question())
        until(lambda: asker._current is None and not asker._waiting)
        assert asker.waits("s")
        (answered,) = asker.take()
        assert not asker.waits("s")
        asker.late(answered)
        assert cause(asker) == {"late": 1}


def test_nothing_is_connected_before_something_is_asked() -> None:
    with serving(sends(b"")) as fake, asking(fake.endpoint) as asker:
        assert asker._thread is None and asker.summary() == "0 questions"


# --- settings ----------------------------------------------------------------------------------------------


def test_without_an_endpoint_there_is_none() -> None:
    assert endpoint_of({}) is None
    assert endpoint_of({MODEL: "m", KEY: "k", second_opinion.ENDPOINT: ""}) is None
    assert second_opinion.ENDPOINT == _opinion.ENDPOINT


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("https://api.openai.com/v1", "https://api.openai.com:443/v1 m"),
        ("http://127.0.0.1:11434/v1/", "http://127.0.0.1:11434/v1 m"),
        ("http://[::1]:8000", "http://[::1]:8000 m"),
    ],
)
def test_it_is_told_without_its_key(url: str, told: str) -> None:
    endpoint = endpoint_of({second_opinion.ENDPOINT: url, MODEL: "m", KEY: "sk-secret"})
    assert endpoint is not None and endpoint.told == told


def test_without_a_key_none_is_sent() -> None:
    with serving(sends(answer())) as fake, asking(fake.endpoint._replace(key="")) as asker:
        outcome(asker, question())
    assert "authorization" not in fake.asked[0][1]


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("api.openai.com", "no http"),
        ("ftp://h/v1", "no http"),
        ("https://", "no http"),
        ("https://h h/", "no http"),
        ("https://h\n/", "no http"),
        ("https://[x/", "no URL"),
        ("https://h:99999/", "no URL"),
        ("https://u:hunter22@h/v1", "credentials"),
        ("https://h/v1?key=hunter22", "more than a path"),
        ("https://h/v1#x", "more than a path"),
        ("http://models.example/v1", "in the clear"),
    ],
)
def test_an_endpoint_that_cannot_be_used_is_refused_without_its_secrets(url: str, why: str) -> None:
    with pytest.raises(PolygraphError, match=why) as refused:
        endpoint_of({second_opinion.ENDPOINT: url, MODEL: "m", KEY: "sk-secret"})
    assert "hunter22" not in str(refused.value) and "sk-secret" not in str(refused.value)


@pytest.mark.parametrize("settings", [{MODEL: ""}, {MODEL: "a\nb"}, {KEY: "a\r\nX: y"}, {KEY: "schlüssel"}])
def test_a_model_and_a_key_must_be_ones(settings: dict[str, str]) -> None:
    with pytest.raises(PolygraphError):
        endpoint_of({second_opinion.ENDPOINT: "https://h/v1", MODEL: "m"} | settings)
