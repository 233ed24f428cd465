"""A scripted model behind TLS on loopback: :class:`Endpoint`.

It answers every main request of the client with the next turn of a :class:`Script`, in whichever API
it was asked, streamed or not, and keeps what it was sent.
"""

from __future__ import annotations

import gzip
import json
import socket
import ssl
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.agents import pki
from tests.agents.frames import Frame
from tests.agents.script import Answer, Script
from tests.agents.wire import Wire, body, content_type, events, streamed, wire_of

Json = dict[str, Any]
#: a request body may be this long; agents send well below a MiB
MAX_BODY = 16 << 20
#: a connection that is silent for so long is closed
PATIENCE = 120.0


class BodyTooLongError(Exception):
    """More than MAX_BODY; the connection is closed."""


@dataclass(frozen=True)
class Request:
    """A request that arrived. ``turn``: index of the answer that it got, None for a side request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    wire: Wire | None
    streamed: bool
    turn: int | None
    status: int

    @property
    def json(self) -> Json:
        """The body. Raises ValueError when it is no JSON object."""
        value: Json = dict(json.loads(self.body))
        return value


def has_tools(request: Json) -> bool:
    """The usual test for a main request: it offers tools."""
    return bool(request.get("tools"))


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64
    endpoint: Endpoint

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up or refuses the certificate is noted, not printed."""
        self.endpoint.note_failure()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = PATIENCE
    server: _Server

    def setup(self) -> None:
        # the handshake belongs in the connection's own thread: a client that stalls must not stop the rest
        self.request.settimeout(PATIENCE)
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.request = self.server.endpoint.context.wrap_socket(self.request, server_side=True)
        super().setup()

    def finish(self) -> None:
        super().finish()
        self.request.close()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Requests are kept, not printed."""

    def do_GET(self) -> None:
        self._answer_plainly(404, {"error": {"message": "unknown", "type": "not_found_error"}})

    do_HEAD = do_GET  # noqa: N815

    def do_POST(self) -> None:
        size = int(self.headers.get("content-length") or 0)
        if "chunked" in self.headers.get("transfer-encoding", "").lower():
            sent = self._read_chunks()
        elif size > MAX_BODY:
            raise BodyTooLongError
        else:
            sent = self.rfile.read(size)
        wire = wire_of(self.path)
        if wire is None:
            counts = ("count_tokens", ":countTokens")
            if self.path.partition("?")[0].endswith(counts):
                self._answer_plainly(200, {"input_tokens": 100, "totalTokens": 100}, sent)
            else:
                self._answer_plainly(404, {"error": {"message": "unknown", "type": "not_found_error"}}, sent)
            return
        try:
            request = json.loads(sent)
        except ValueError:
            self._answer_plainly(400, {"error": {"message": "no JSON", "type": "invalid_request"}}, sent)
            return
        answer, turn, name = self.server.endpoint.next_answer(request, sent)
        stream = streamed(wire, self.path, request)
        self.server.endpoint.record(self._request(sent, wire, stream, turn, 200))
        if stream:
            self._stream(content_type(wire), list(events(wire, answer, request, name)))
        else:
            self._send(200, json.dumps(body(wire, answer, request, name)).encode())
        self.server.endpoint.answered(answer)

    def _read_chunks(self) -> bytes:
        parts: list[bytes] = []
        total = 0
        while True:
            length = int(self.rfile.readline(64).partition(b";")[0], 16)
            total += length
            if total > MAX_BODY:
                raise BodyTooLongError
            if not length:
                while self.rfile.readline(8192).strip():
                    continue
                return b"".join(parts)
            parts.append(self.rfile.read(length))
            self.rfile.readline(8)

    def _request(
        self, sent: bytes, wire: Wire | None, stream: bool, turn: int | None, status: int
    ) -> Request:
        headers = {name.lower(): value for name, value in self.headers.items()}
        return Request(self.command, self.path, headers, sent, wire, stream, turn, status)

    def _answer_plainly(self, status: int, value: Json, sent: bytes = b"") -> None:
        self.server.endpoint.record(self._request(sent, None, False, None, status))
        self._send(status, json.dumps(value).encode())

    def _send(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/json")
        if "gzip" in self.headers.get("accept-encoding", ""):
            content = gzip.compress(content, mtime=0)
            self.send_header("content-encoding", "gzip")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _stream(self, kind: str, happenings: list[Frame]) -> None:
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("cache-control", "no-cache")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for event in happenings:
            content = event.encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(content), content))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")


class Endpoint:
    """The server; a context manager, with everything that it started ended at its exit.

    ``release_folder`` is where a turn's ``release`` file is made. ``is_main`` tells the requests that the script
    answers from titles, summaries and the like.
    """

    def __init__(
        self,
        script: Script,
        *,
        release_folder: Path | None = None,
        is_main: Callable[[Json], bool] = has_tools,
    ) -> None:
        self._script = script
        self._release_folder = release_folder
        self._is_main = is_main
        self._lock = threading.Lock()
        self._requests: list[Request] = []
        self._last: bytes | None = None
        self._next = 0
        self._side = 0
        self._failures = 0
        self._timers: list[threading.Timer] = []
        self._folder = tempfile.TemporaryDirectory(prefix="endpoint-")
        certificates = pki.make(Path(self._folder.name))
        self.ca_file = certificates.authority
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificates.chain, certificates.key)
        self.context.set_alpn_protocols(["http/1.1"])
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.endpoint = self
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    @property
    def url(self) -> str:
        """``https://localhost:PORT``; the APIs' own paths follow it."""
        return f"https://localhost:{self.port}"

    @property
    def requests(self) -> tuple[Request, ...]:
        """What has arrived so far, in order."""
        with self._lock:
            return tuple(self._requests)

    @property
    def failures(self) -> int:
        """Connections that broke: handshakes refused, clients that hung up in the middle."""
        with self._lock:
            return self._failures

    @property
    def turns_served(self) -> int:
        """How much of the script was said."""
        with self._lock:
            return self._next

    @property
    def finished(self) -> bool:
        """Whether the whole script was said."""
        return self.turns_served == len(self._script.answers)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for timer in self._timers:
            timer.cancel()
            timer.join()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._folder.cleanup()

    def next_answer(self, request: Json, sent: bytes) -> tuple[Answer, int | None, str]:
        """The answer to ``request``, its turn, and a name for ids. The same bytes again are a retry."""
        with self._lock:
            if self._is_main(request):
                answers = self._script.answers
                if self._last is not None and sent == self._last:
                    return answers[self._next - 1], self._next - 1, f"t{self._next - 1}"
                if self._next < len(answers):
                    turn = self._next
                    self._next, self._last = turn + 1, sent
                    return answers[turn], turn, f"t{turn}"
            self._side += 1
            return self._script.side, None, f"s{self._side}"

    def record(self, request: Request) -> None:
        """Keep ``request``."""
        with self._lock:
            self._requests.append(request)

    def note_failure(self) -> None:
        """A connection broke."""
        with self._lock:
            self._failures += 1

    def answered(self, answer: Answer) -> None:
        """``answer`` was sent whole: what waits for it may go on."""
        if answer.release is None or self._release_folder is None:
            return
        timer = threading.Timer(answer.release_after, (self._release_folder / answer.release).touch)
        with self._lock:
            self._timers.append(timer)
        timer.start()
