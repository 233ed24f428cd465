"""A TLS server that keeps every byte of plaintext it was sent and sent itself: what an observer must have seen."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.agents import pki

#: s that a peer may take
PATIENCE = 60


class Terminated:
    """``received``: plaintext from the client, ``sent``: to it. ``port`` on loopback; ``authority``: whom to trust."""

    def __init__(self, port: int, authority: Path) -> None:
        self.port = port
        self.authority = authority
        self.received = b""
        self.sent = b""


Serve = Callable[["Peer"], None]


class Peer:
    """One client, after the handshake; each call is remembered."""

    def __init__(self, connection: ssl.SSLSocket, kept: Terminated) -> None:
        self.connection = connection
        self._kept = kept

    def receive(self) -> bytes:
        """What comes next, empty at the end."""
        try:
            data = self.connection.recv(1 << 16)
        except (ssl.SSLError, ConnectionError):  # a client that goes without a word
            data = b""
        self._kept.received += data
        return data

    def send(self, data: bytes) -> None:
        """All of it."""
        self.connection.sendall(data)
        self._kept.sent += data


@contextmanager
def terminator(
    folder: Path,
    serve: Serve,
    *,
    alpn: tuple[str, ...] = (),
    before: Callable[[socket.socket], None] | None = None,
) -> Iterator[Terminated]:
    """Serves one client; ``before`` is what is said in the clear before TLS begins."""
    certificates = pki.make(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.chain, certificates.key)
    if alpn:
        context.set_alpn_protocols(list(alpn))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE)
        kept = Terminated(listener.getsockname()[1], certificates.authority)

        def work() -> None:
            plain, _ = listener.accept()
            with plain:
                plain.settimeout(PATIENCE)
                if before is not None:
                    before(plain)
                with context.wrap_socket(plain, server_side=True) as connection:
                    serve(Peer(connection, kept))

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield kept
        finally:
            thread.join(PATIENCE)


def answering(size: int, answer: bytes) -> Serve:
    """Says ``answer`` after ``size`` bytes, and that it is the end."""

    def serve(peer: Peer) -> None:
        left = size
        while left > 0 and (data := peer.receive()):
            left -= len(data)
        try:
            peer.send(answer)
            # A socket that is closed with something unread takes back what the client has not read yet.
            plain = peer.connection.unwrap()
        except (ssl.SSLError, ConnectionError):
            return  # a client that did not wait for it: whoever needs all of the answer looks at what was read
        while plain.recv(4096):
            continue

    return serve


def forwarding(port: int) -> Serve:
    """Hands everything on to a server on loopback that speaks without TLS, and back.

    By one thread: OpenSSL does not allow a read and a write of one connection at the same time.
    """

    def serve(peer: Peer) -> None:
        with socket.create_connection(("127.0.0.1", port)) as inner:
            while True:
                # what was decrypted already makes no socket readable
                at_once = 0 if peer.connection.pending() else PATIENCE
                ready, _, _ = select.select([peer.connection, inner], [], [], at_once)
                if inner in ready:
                    if not (data := inner.recv(1 << 16)):
                        return
                    with contextlib.suppress(OSError):  # it has gone
                        peer.send(data)
                if not at_once or peer.connection in ready:
                    if not (data := peer.receive()):
                        return
                    inner.sendall(data)
                elif not ready:
                    return

    return serve
