"""What the live tests of TLS stacks share: a server that says what it got, and streams put together from records."""

from __future__ import annotations

import socket
import ssl
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from collector.tls.streams import Chunk, ConnectionKey, TlsClose, TlsData, TlsStreams
from tests.exporters.certificates import Identity, self_signed

Records = list[TlsData | TlsClose]


class Talk(NamedTuple):
    """The plaintext of one connection, as far as it was recorded."""

    key: ConnectionKey
    sent: bytes
    received: bytes


def _as_it_is(chunk: Chunk) -> Iterable[Chunk]:
    return (chunk,)


def talks(
    records: Records, follow: Callable[[Chunk], Iterable[Chunk | ConnectionKey]] = _as_it_is
) -> list[Talk]:
    """The connections in ``records``, each byte at its place. Fails where one is missing.

    ``follow``: what puts chunks into the connections to which they belong, where their address is not enough.
    """
    streams = TlsStreams()
    found: dict[ConnectionKey, dict[str, bytes]] = defaultdict(lambda: {"sent": b"", "received": b""})
    for record in records:
        for chunk in streams.data(record) if isinstance(record, TlsData) else ():
            for step in follow(chunk):
                if isinstance(step, Chunk):
                    assert not step.missing, f"{step.missing} bytes are missing at {step.offset}"
                    found[step.connection][step.direction] += step.data
    return [Talk(key, **said) for key, said in found.items()]


def identity(folder: Path) -> tuple[Path, Path]:
    """Files of a certificate for 127.0.0.1 and of its key."""
    made: Identity = self_signed("polygraph test")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    certificate.write_text(made.certificate)
    key.write_text(made.key)
    return certificate, key


class Server:
    """Reads ``expect`` bytes of each connection, answers with ``answer`` and closes. ``got``: what came, in order."""

    def __init__(self, certificate: Path, key: Path, expect: int, answer: bytes) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self._context, self._expect, self._answer = context, expect, answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.got: list[bytes] = []
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            connection, _address = self._listener.accept()
            with connection:
                connection.settimeout(60)
                if not connection.recv(1, socket.MSG_PEEK):
                    return  # the end: nobody else says nothing
                with self._context.wrap_socket(connection, server_side=True) as tls:
                    got = b""
                    while len(got) < self._expect:
                        part = tls.recv(65536)
                        if not part:
                            break
                        got += part
                    self.got.append(got)
                    tls.sendall(self._answer)
                    # A socket that is closed with something unread takes back what the client has not read yet.
                    with tls.unwrap() as plain:
                        while plain.recv(4096):
                            continue

    def close(self) -> None:
        """Waits for the connection that is being served."""
        socket.create_connection(("127.0.0.1", self.port)).close()
        self._thread.join(60)
        self._listener.close()


@contextmanager
def serving(folder: Path, expect: int, answer: bytes) -> Iterator[Server]:
    """A server with a certificate of its own (``folder``/certificate.pem)."""
    server = Server(*identity(folder), expect, answer)
    try:
        yield server
    finally:
        server.close()
