"""A model without TLS for the live tests: OpenAI Chat Completions over HTTP/1.1, on IPv4, IPv6 or a Unix socket."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.agents.script import Answer
from tests.agents.wire import body, events

#: what it says, with what that took, whether a stream is asked for it or not
SAID = Answer("The local model says so.")
_USAGE = {"stream_options": {"include_usage": True}}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if request.get("stream"):
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            for event in events("openai.chat", SAID, request | _USAGE, "1"):
                part = event.encode()
                self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            self.wfile.write(b"0\r\n\r\n")
        else:
            content = json.dumps(body("openai.chat", SAID, request, "1")).encode()
            self._send(content, "application/json")

    def do_GET(self) -> None:
        self._send(b"x" * 3_000_000)

    def _send(self, content: bytes, kind: str | None = None) -> None:
        self.send_response(200)
        if kind is not None:
            self.send_header("content-type", kind)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def address_string(self) -> str:
        return "client"

    def log_message(self, *_words: Any) -> None:
        """Says nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def server_bind(self) -> None:
        """Without looking its own name up."""
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()


@contextmanager
def model(family: socket.AddressFamily, address: str) -> Iterator[str]:
    """Serves until the end of the block: the port, or the path of the Unix socket."""
    kind = type("_Of", (_Server,), {"address_family": family})
    where: Any = address if family == socket.AF_UNIX else (address, 0)
    with kind(where, _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield address if family == socket.AF_UNIX else str(server.server_address[1])
        finally:
            server.shutdown()
            thread.join()
            if family == socket.AF_UNIX:
                Path(address).unlink()
