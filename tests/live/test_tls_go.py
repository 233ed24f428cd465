"""bpf/tls_go.h: what Go programs say through crypto/tls, stripped or not, from many goroutines at once."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from collector.collect import Collector
from polygraph.events import AnyEvent
from tests.agents import pki
from tests.live.conftest import Observe
from tests.live.go import Go
from tests.live.tls_stacks import Records, Talk, talks

#: HTTP/2, RFC 9113: the client's preface, and the type of frames that carry a body
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA = 0

Build = Callable[..., Path]


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory, report_used: Callable[[str, str], None]) -> Build:
    """``build(*flags)``: the program of tests/live/gotls."""
    go = Go(tmp_path_factory.mktemp("go"))
    report_used("Go", go.version)
    return go.build


@contextmanager
def running(program: Path, mode: str, folder: Path) -> Iterator[tuple[str, Path]]:
    """The server half of the program, outside of any session: its address and the authority to trust."""
    folder.mkdir()
    certificates = pki.make(folder)
    argv = [str(program), mode, str(certificates.chain), str(certificates.key)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield server.stdout.readline().strip(), certificates.authority
        server.kill()


def content(number: int) -> bytes:
    """What call ``number`` sends and is answered, cf. tests/live/gotls/main.go."""
    return b"%08d|" % number * (1 + number * 977 % 5000)


def bodies(talk: Talk) -> Iterator[bytes]:
    """Bodies of HTTP/1.1 requests, and of the responses, in order."""
    for stream in (talk.sent, talk.received):
        at = 0
        while at < len(stream):
            head, found, _rest = stream[at:].partition(b"\r\n\r\n")
            assert found
            at += len(head) + 4
            length = re.search(rb"\r\nContent-Length: (\d+)", head)
            if length is not None:
                yield stream[at : at + int(length[1])]
                at += int(length[1])
            else:
                assert b"Transfer-Encoding: chunked" in head
                body = b""
                while True:
                    size, _, _ = stream[at:].partition(b"\r\n")
                    at += len(size) + 2 + int(size, 16) + 2
                    if not int(size, 16):
                        break
                    body += stream[at - int(size, 16) - 2 : at - 2]
                yield body


def framed(stream: bytes) -> Iterator[bytes]:
    """Bodies in a direction of an HTTP/2 connection, which is whole frames to the end (RFC 9113, section 4.1)."""
    found: dict[int, bytes] = {}
    at = 0
    while at < len(stream):
        length, kind, flags = int.from_bytes(stream[at : at + 3]), stream[at + 3], stream[at + 4]
        number = int.from_bytes(stream[at + 5 : at + 9])
        at += 9 + length
        assert at <= len(stream)
        if kind == DATA:
            assert not flags & 8, "padding"
            found[number] = found.get(number, b"") + stream[at - length : at]
    yield from found.values()


@pytest.mark.parametrize("flags", [(), ("-ldflags=-s -w",), ("-buildmode=pie", "-ldflags=-s -w")])
def test_http_of_many_goroutines(
    flags: tuple[str, ...],
    build: Build,
    observe: Observe,
    collector: Collector,
    records: Records,
    tmp_path: Path,
) -> None:
    program = build(*flags)
    assert collector.tls.preload(program).probed  # as `polygraph run PROGRAM` does
    for mode, proto in (("http1", "HTTP/1.1"), ("http2", "HTTP/2.0")):
        records.clear()
        with running(program, "serve", tmp_path / mode) as (address, authority):
            seen = observe([str(program), mode, address, str(authority), "40"])
        assert seen.status == 0 and not seen.lost, proto
        said: Counter[bytes] = Counter()
        for talk in talks(records):
            assert talk.key.library == "go" and talk.key.process == seen.root
            if mode == "http2":
                assert talk.sent.startswith(PREFACE)
                said.update(framed(talk.sent.removeprefix(PREFACE)))
                said.update(framed(talk.received))
            else:
                said.update(bodies(talk))
        assert said == Counter({content(number): 2 for number in range(40)})


def test_buffers_on_stacks_that_move_and_nothing_of_a_process_outside(
    build: Build, observe: Observe, collector: Collector, records: Records, tmp_path: Path
) -> None:
    program = build("-ldflags=-s -w")
    assert collector.tls.preload(program).probed
    outside: list[int] = []
    with running(program, "echo", tmp_path / "echo") as (address, authority):
        client = [str(program), "raw", address, str(authority)]

        def others(_events: list[AnyEvent]) -> None:
            """The same program file, outside of the session, while it is observed."""
            if not outside:
                outside.append(subprocess.run([*client, "3"], check=False, timeout=60).returncode)

        seen = observe([*client, "60"], meanwhile=others)
    assert seen.status == 0 and outside == [0] and not seen.lost
    found = talks(records)
    assert {talk.key.process for talk in found} == {seen.root}
    assert Counter(talk.sent for talk in found) == Counter(map(content, range(60)))
    assert Counter(talk.received for talk in found) == Counter(map(content, range(60)))
