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

#: what it says
WORDS = "The local model says so."


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if request.get("stream"):
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            for part in [*_parts(), b"data: [DONE]\n\n"]:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            self.wfile.write(b"0\r\n\r\n")
        else:
            body = json.dumps(_answer(message={"role": "assistant", "content": WORDS})).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def do_GET(self) -> None:
        body = b"x" * 3_000_000
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        return "client"

    def log_message(self, *_words: Any) -> None:
        """Says nothing."""


def _answer(**choice: object) -> dict[str, object]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "local",
        "choices": [{"index": 0, "finish_reason": "stop", **choice}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 5},
    }


def _parts() -> Iterator[bytes]:
    for word in WORDS.split(" "):
        part = {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "model": "local",
            "choices": [{"index": 0, "delta": {"content": word + " "}, "finish_reason": None}],
        }
        yield b"data: " + json.dumps(part).encode() + b"\n\n"
    yield b"data: " + json.dumps(_answer(delta={})).encode() + b"\n\n"


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
