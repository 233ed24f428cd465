"""What a service tells of itself over HTTP: /healthz, /readyz, /metrics. Nothing else, and nothing can be changed.

Healthy: its loop has gone round within a minute. Ready: it has its work. Both are 200 or 503 with one word.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CONTENT_TYPE_LATEST

from polygraph.errors import PolygraphError
from polygraph.metrics import Values, exposition

#: s without a round of the loop until it is called dead
_STUCK = 60.0


class ServingError(PolygraphError):
    """The address cannot be listened at."""


class Pulse:
    """When the loop went round last."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def beat(self) -> None:
        """It has gone round."""
        self._last = time.monotonic()

    @property
    def alive(self) -> bool:
        """Whether it was within a minute."""
        return time.monotonic() - self._last < _STUCK


@contextmanager
def serving(
    listen: str, pulse: Pulse, ready: Callable[[], bool], read: Callable[[], Mapping[str, Values]]
) -> Iterator[str]:
    """Serves at ``listen`` (`host:port`, port 0: any) meanwhile; gives the address. Raises ServingError."""

    class Handler(BaseHTTPRequestHandler):
        timeout = 10

        def do_GET(self) -> None:
            if self.path == "/healthz":
                self._word(pulse.alive, "alive", "stuck")
            elif self.path == "/readyz":
                self._word(ready(), "ready", "not ready")
            elif self.path == "/metrics":
                self._answer(200, exposition(read), CONTENT_TYPE_LATEST)
            else:
                self._answer(404, b"/healthz, /readyz, /metrics\n")

        def _word(self, good: bool, yes: str, no: str) -> None:
            self._answer(200 if good else 503, f"{yes if good else no}\n".encode())

        def _answer(self, status: int, body: bytes, kind: str = "text/plain; charset=utf-8") -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's name
            """A look at a metric is no event."""

    host, _, port = listen.rpartition(":")
    try:
        server = ThreadingHTTPServer((host.strip("[]"), int(port)), Handler)
    except (OSError, ValueError, OverflowError) as error:
        raise ServingError(f"cannot listen at {listen}: {error}", "choose another with `listen`") from error
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True, name="serving")
    thread.start()
    try:
        yield f"{host}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
