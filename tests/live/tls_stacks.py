"""What the live tests of TLS stacks share: the plaintext of connections, put together from records."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import NamedTuple

from collector.tls.streams import Chunk, ConnectionKey, TlsClose, TlsData, TlsStreams

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
