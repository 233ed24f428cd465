"""bpf/tls_rustls.h: what Codex CLI says through the rustls inside it, stripped, over each of its transports."""

from __future__ import annotations

import ssl
import subprocess
from collections import Counter, defaultdict
from contextlib import ExitStack
from pathlib import Path

import pytest

from collector.collect import Collector
from collector.tls.rustls import RustlsConnections
from polygraph.events import AnyEvent
from tests.agents.clients import CLIENTS
from tests.agents.run_client import prepared
from tests.agents.scenarios import BY_NAME
from tests.live.conftest import Observe
from tests.live.tls_stacks import Records, talks

SCENARIO = BY_NAME["honest"]


class Spoken:
    """What the servers of this process read and wrote through TLS, by connection and port."""

    def __init__(self) -> None:
        self.sent: dict[tuple[int, int], bytes] = defaultdict(bytes)
        self.received: dict[tuple[int, int], bytes] = defaultdict(bytes)

    def of(self, port: int) -> Counter[tuple[bytes, bytes]]:
        """(what the client sent, what it was sent) of each connection that said something."""
        keys = [key for key in self.received if key[0] == port]
        return Counter((self.received[key], self.sent[key]) for key in keys)


@pytest.fixture
def spoken(monkeypatch: pytest.MonkeyPatch) -> Spoken:
    """The truth, from the other end of each connection."""
    said = Spoken()
    read, send = ssl.SSLSocket.read, ssl.SSLSocket.send

    def reads(self: ssl.SSLSocket, len: int = 1024, buffer: bytearray | None = None) -> bytes | int:  # noqa: A002
        got = read(self, len, buffer)
        data = bytes(memoryview(buffer)[:got]) if buffer is not None and isinstance(got, int) else bytes(got)
        if data:
            said.received[self.getsockname()[1], self.getpeername()[1]] += data
        return got

    def sends(self: ssl.SSLSocket, data: bytes, flags: int = 0) -> int:
        count = send(self, data, flags)
        said.sent[self.getsockname()[1], self.getpeername()[1]] += bytes(data)[:count]
        return count

    monkeypatch.setattr(ssl.SSLSocket, "read", reads)
    monkeypatch.setattr(ssl.SSLSocket, "send", sends)
    return said


def _read(said: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
    """Without the end of a chunked answer: Codex may leave once the model has said its last, and not read it."""
    sent, received = said
    return sent, received.removesuffix(b"0\r\n\r\n")


@pytest.mark.parametrize("name", ["codex-http1", "codex-http2", "codex-websocket"])
def test_every_byte_of_both_directions_and_none_of_a_process_outside(
    name: str,
    observe: Observe,
    collector: Collector,
    records: Records,
    spoken: Spoken,
    tmp_path: Path,
) -> None:
    client = CLIENTS[name]
    with ExitStack() as stack:
        mine = stack.enter_context(prepared(client, SCENARIO, tmp_path / "mine"))
        theirs = stack.enter_context(prepared(client, SCENARIO, tmp_path / "theirs"))
        program = mine.argv[0]
        assert collector.tls.preload(Path(program)).library == "rustls"
        outside: list[subprocess.Popen[bytes]] = []

        def others(_events: list[AnyEvent]) -> None:
            """The same program, outside of the session, while it is observed."""
            if not outside:
                quiet = subprocess.DEVNULL
                where = theirs.project.root
                outside.append(
                    subprocess.Popen(theirs.argv, cwd=where, env=theirs.env, stdin=quiet, stdout=quiet)
                )

        argv = ["sh", "-c", 'exec "$@" < /dev/null > /dev/null', "sh", *mine.argv]
        seen = observe(argv, cwd=mine.project.root, env=mine.env, meanwhile=others)
        assert outside[0].wait(120) == 0 and theirs.endpoint.finished
    assert seen.status == 0 and mine.endpoint.finished and not seen.lost
    found = talks(records, RustlsConnections().follow)
    assert {talk.key.library for talk in found} == {"rustls"}
    assert {talk.key.process for talk in found} == {seen.root}
    said = Counter(_read((talk.sent, talk.received)) for talk in found)
    assert said == Counter(map(_read, spoken.of(mine.endpoint.port).elements()))
    assert program in collector.tls.libraries
