"""A relay on the loopback that keeps what it passes on, in the order in which it came: what an observer sees."""

from __future__ import annotations

import socket
import threading
from types import TracebackType
from typing import Self

from collector.http.events import Direction
from tests.collector.http.h2_peers import Write


class Relay:
    """Connections to ``port`` are passed on to ``target``; ``connections`` holds the bytes of each."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.connections: list[list[Write]] = []
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._over = False

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over = True
        with socket.create_connection(("127.0.0.1", self.port)):  # wakes the one that accepts
            self._threads[0].join()
        for end in self._sockets:
            _shut(end)
        for thread in self._threads[1:]:
            thread.join()
        for end in (self._listener, *self._sockets):
            end.close()

    def _accept(self) -> None:
        while True:
            client, _ = self._listener.accept()
            self._sockets.append(client)
            if self._over:
                return
            server = socket.create_connection(("127.0.0.1", self._target))
            self._sockets.append(server)
            writes: list[Write] = []
            self.connections.append(writes)
            ways: tuple[tuple[socket.socket, socket.socket, Direction], ...] = (
                (client, server, "sent"),
                (server, client, "received"),
            )
            for source, sink, direction in ways:
                thread = threading.Thread(target=self._pump, args=(source, sink, direction, writes))
                self._threads.append(thread)
                thread.start()

    def _pump(
        self, source: socket.socket, sink: socket.socket, direction: Direction, writes: list[Write]
    ) -> None:
        try:
            while data := source.recv(1 << 14):
                with self._lock:
                    writes.append(Write(direction, data))
                sink.sendall(data)
        except OSError:
            return  # an end has hung up: what came before is kept
        finally:
            _shut(sink)


def _shut(end: socket.socket) -> None:
    try:
        end.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # it is not connected any more
