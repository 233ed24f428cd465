"""A scripted model behind TLS on loopback: :class:`Endpoint`.

One port serves what clients speak: HTTP/1.1, HTTP/2 to those that choose it in the handshake (ALPN), and
WebSocket to those that ask for the upgrade. What is answered is in model.py.
"""

from __future__ import annotations

import gzip
import socket
import ssl
import tempfile
import threading
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.agents import http2, pki, websocket
from tests.agents.model import Asked, Json, Model, Reply, Request, has_tools
from tests.agents.script import Script

#: a request body may be this long; agents send well below a MiB
MAX_BODY = 16 << 20
#: a connection that is silent for so long is closed
PATIENCE = 120.0


class BodyTooLongError(Exception):
    """More than MAX_BODY; the connection is closed."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64
    endpoint: Endpoint

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up or refuses the certificate is not printed."""


class _Handler(BaseHTTPRequestHandler):
    """One connection: HTTP/1.1 itself, or the way to the others."""

    protocol_version = "HTTP/1.1"
    timeout = PATIENCE
    server: _Server

    def setup(self) -> None:
        # the handshake belongs in the connection's own thread: a client that stalls must not stop the rest
        self.request.settimeout(PATIENCE)
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.request = self.server.endpoint.context.wrap_socket(self.request, server_side=True)
        super().setup()

    def handle(self) -> None:
        if self.request.selected_alpn_protocol() == "h2":
            http2.serve(self.request, self.server.endpoint.model, MAX_BODY)
        else:
            super().handle()

    def finish(self) -> None:
        super().finish()
        self.request.close()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Requests are kept, not printed."""

    def do_GET(self) -> None:
        if self.headers.get("upgrade", "").lower() == "websocket":
            websocket.serve(self.request, self.server.endpoint.model, self.path, list(self.headers.items()))
            self.close_connection = True
        else:
            self._answer(b"")

    do_HEAD = do_GET  # noqa: N815

    def do_POST(self) -> None:
        size = int(self.headers.get("content-length") or 0)
        if "chunked" in self.headers.get("transfer-encoding", "").lower():
            sent = self._read_chunks()
        elif size > MAX_BODY:
            raise BodyTooLongError
        else:
            sent = self.rfile.read(size)
        self._answer(sent)

    def _answer(self, sent: bytes) -> None:
        model = self.server.endpoint.model
        headers = {name.lower(): value for name, value in self.headers.items()}
        reply = model.reply(Asked(self.command, self.path, headers, sent, "http/1.1"))
        if reply.events is not None:
            self._stream(reply)
        else:
            self._send(reply)
        if reply.cut:
            self._break_off()
        model.said(reply)

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

    def _send(self, reply: Reply) -> None:
        content = reply.content
        self.send_response(reply.status)
        self.send_header("content-type", reply.kind)
        for name, value in reply.headers:
            self.send_header(name, value)
        if "gzip" in self.headers.get("accept-encoding", ""):
            content = gzip.compress(content, mtime=0)
            self.send_header("content-encoding", "gzip")
        self.send_header("content-length", str(len(content) + reply.cut))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _stream(self, reply: Reply) -> None:
        self.send_response(200)
        self.send_header("content-type", reply.kind)
        self.send_header("cache-control", "no-cache")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for event in reply.events or ():
            content = event.encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(content), content))
            self.wfile.flush()
        if not reply.cut:
            self.wfile.write(b"0\r\n\r\n")

    def _break_off(self) -> None:
        """The end of the connection without the end of the answer, as when a proxy gives up."""
        self.wfile.flush()
        self.close_connection = True
        self.request.shutdown(socket.SHUT_RDWR)


class Endpoint:
    """The server; a context manager, with everything that it started ended at its exit.

    ``release_folder`` is where a turn's ``release`` file is made. ``is_main`` tells the requests that the script
    answers from titles, summaries and the like. ``offers`` are the protocols that a client may choose from.
    ``before`` is called with a turn's number before it is answered.
    """

    def __init__(
        self,
        script: Script,
        *,
        release_folder: Path | None = None,
        is_main: Callable[[Json], bool] = has_tools,
        offers: Sequence[str] = ("h2", "http/1.1"),
        before: Callable[[int], None] | None = None,
    ) -> None:
        self.model = Model(script, release_folder, is_main, before)
        self._folder = tempfile.TemporaryDirectory(prefix="endpoint-")
        certificates = pki.make(Path(self._folder.name))
        self.ca_file = certificates.authority
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificates.chain, certificates.key)
        self.context.set_alpn_protocols(list(offers))
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
        """See :class:`Model`."""
        return self.model.requests

    @property
    def turns_served(self) -> int:
        """See :class:`Model`."""
        return self.model.turns_served

    @property
    def finished(self) -> bool:
        """See :class:`Model`."""
        return self.model.finished

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.model.stop()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._folder.cleanup()
