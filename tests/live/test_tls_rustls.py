"""bpf/tls_rustls.h: what Codex CLI says through the rustls inside it, stripped, over each of its transports."""

from __future__ import annotations

import os
import ssl
import subprocess
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from collector.collect import Collector
from collector.tls.rustls import RustlsConnections
from collector.tls.streams import Chunk, ConnectionKey, TlsData, TlsStreams
from polygraph.events import AnyEvent
from tests.agents import project as projects
from tests.agents.clients import CLIENTS
from tests.agents.clients.base import Client, Command, Job
from tests.agents.clients.store import ensure
from tests.agents.endpoint import Endpoint
from tests.agents.scenarios import BY_NAME
from tests.live.conftest import Observe
from tests.live.tls_stacks import Records

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


@contextmanager
def prepared(client: Client, folder: Path) -> Iterator[tuple[Command, projects.Project, Endpoint]]:
    """A project, a model and the command that works in the one with the other."""
    project = projects.make(folder, broken=SCENARIO.broken, slow=SCENARIO.slow)
    script = client.script(Job(project, SCENARIO, "", Path()))
    with Endpoint(script, is_main=client.is_main, offers=client.offers) as endpoint:
        job = Job(project, SCENARIO, endpoint.url, endpoint.ca_file)
        yield client.command(ensure(client.package), job), project, endpoint


def streams(records: Records) -> dict[ConnectionKey, tuple[bytes, bytes]]:
    """(sent, received) of each connection. Fails where something is missing."""
    found: dict[ConnectionKey, dict[str, bytes]] = defaultdict(lambda: {"sent": b"", "received": b""})
    chunks, connections = TlsStreams(), RustlsConnections()
    for record in records:
        for chunk in chunks.data(record) if isinstance(record, TlsData) else ():
            for step in connections.follow(chunk):
                if isinstance(step, Chunk):
                    assert not step.missing
                    found[step.connection][step.direction] += step.data
    return {key: (said["sent"], said["received"]) for key, said in found.items()}


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
        command, project, endpoint = stack.enter_context(prepared(client, tmp_path / "mine"))
        theirs, place, elsewhere = stack.enter_context(prepared(client, tmp_path / "theirs"))
        assert collector.tls.preload(Path(command.argv[0])).library == "rustls"
        outside: list[subprocess.Popen[bytes]] = []

        def others(_events: list[AnyEvent]) -> None:
            """The same program, outside of the session, while it is observed."""
            if not outside:
                env = projects.environment(place.home) | theirs.env
                quiet = subprocess.DEVNULL
                outside.append(
                    subprocess.Popen(theirs.argv, cwd=place.root, env=env, stdin=quiet, stdout=quiet)
                )

        env = projects.environment(project.home) | command.env
        argv = ["sh", "-c", 'exec "$@" < /dev/null > /dev/null', "sh", *command.argv]
        seen = observe(argv, cwd=project.root, env=env, meanwhile=others)
        assert outside[0].wait(120) == 0 and elsewhere.finished
    assert seen.status == 0 and endpoint.finished and not seen.lost
    found = streams(records)
    assert {key.library for key in found} == {"rustls"}
    assert {key.process for key in found} == {seen.root}
    assert Counter(map(_read, found.values())) == Counter(map(_read, spoken.of(endpoint.port).elements()))
    assert os.fspath(command.argv[0]) in collector.tls.libraries
