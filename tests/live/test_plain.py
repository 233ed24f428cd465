"""bpf/plain.h: what is said without TLS, byte for byte, told once, and nothing of others or of anything else."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from collector.collect import Collector
from collector.kernel.programs import PROGRAMS
from collector.kernel.source import SourceSettings
from collector.launch import Launched
from collector.observed import ObservedSession
from collector.plain.streams import PlainClose, PlainData, PlainStreams
from polygraph.events import AnyEvent, LlmCall, Loss, Net, StreamGap
from tests.live.conftest import KEY, MISSED, PREEMPTED, Gate, Observe, Seen, kept, observed
from tests.live.model import model
from tests.live.test_flood import TIGHT, Flooded, flooded, rings

__all__ = ["flooded", "rings"]  # fixtures

ROOT = Path(__file__).parents[2]
#: PG_TRIAL_ANSWERED of bpf/plain.h
ON_TRIAL = 1 << 20

FAMILIES = {
    "inet": (socket.AF_INET, "127.0.0.1"),
    "inet6": (socket.AF_INET6, "::1"),
    "unix": (socket.AF_UNIX, "model.sock"),
}


@pytest.fixture
def records(monkeypatch: pytest.MonkeyPatch) -> list[PlainData | PlainClose]:
    """Records of connections without TLS as they reach a session."""
    return kept(monkeypatch, "plain")


@pytest.fixture(params=FAMILIES)
def serving(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """A model: (family, its port or path)."""
    name: str = request.param
    family, address = FAMILIES[name]
    where = str(tmp_path / address) if family == socket.AF_UNIX else address
    with model(family, where) as found:
        yield name, found


def bytes_of(records: list[PlainData | PlainClose]) -> dict[tuple[int, str], bytes]:
    """What each direction of each connection said. Fails where something is missing."""
    streams, found = PlainStreams(), dict[tuple[int, str], bytes]()
    for record in records:
        if isinstance(record, PlainData):
            for chunk in streams.data(record):
                assert not chunk.missing
                key = chunk.connection.generation, chunk.direction
                found[key] = found.get(key, b"") + chunk.data
    assert not streams.finish()
    return found


def calls(seen: Seen) -> list[tuple[str, int, bool, bool, int]]:
    return [
        (call.model, call.status, call.streamed, call.complete, call.output_tokens)
        for call in seen.of(LlmCall)
    ]


# --- a local model -------------------------------------------------------------------------------------------

#: asks twice over one connection, the second time streamed: `-c HTTPX inet|inet6|unix where`
HTTPX = """
import httpx, sys
family, where = sys.argv[1:]
transport = httpx.HTTPTransport(uds=where) if family == 'unix' else None
host = {'inet': '127.0.0.1:' + where, 'inet6': '[::1]:' + where, 'unix': 'model'}[family]
with httpx.Client(transport=transport, trust_env=False) as client:
    for stream in (False, True):
        body = {'model': 'local', 'stream': stream, 'messages': [{'role': 'user', 'content': 'hi'}]}
        answer = client.post(f'http://{host}/v1/chat/completions', json=body)
        assert answer.status_code == 200 and 'local' in answer.text
"""
#: the same, a connection for each: `-c URLLIB where`
URLLIB = """
import json, sys, urllib.request
for stream in (False, True):
    body = {'model': 'local', 'stream': stream, 'messages': [{'role': 'user', 'content': 'hi'}]}
    url = f'http://{sys.argv[1]}/v1/chat/completions'
    request = urllib.request.Request(url, json.dumps(body).encode(), {'Content-Type': 'application/json'})
    assert b'local' in urllib.request.urlopen(request).read()
"""
NODE = """
const http = require('http'), [family, where] = process.argv.slice(1);
const of = {inet: {host: '127.0.0.1', port: where}, inet6: {host: '::1', port: where}, unix: {socketPath: where}};
const at = of[family];
const agent = new http.Agent({keepAlive: true, maxSockets: 1});
const ask = stream => new Promise(done => {
  const body = JSON.stringify({model: 'local', stream, messages: [{role: 'user', content: 'hi'}]});
  const request = http.request({...at, agent, method: 'POST', path: '/v1/chat/completions',
                                headers: {'content-type': 'application/json'}}, answer => {
    let text = '';
    answer.on('data', part => text += part).on('end', () => { if (!text.includes('local')) process.exit(1); done(); });
  });
  request.end(body);
});
ask(false).then(() => ask(true)).then(() => agent.destroy());
"""
BOTH = [("local", 200, False, True, 20), ("local", 200, True, True, 20)]


def test_a_python_client(observe: Observe, serving: tuple[str, str]) -> None:
    seen = observe([sys.executable, "-c", HTTPX, *serving])
    assert seen.status == 0 and not seen.lost and not seen.of(StreamGap)
    assert calls(seen) == BOTH
    assert {call.process for call in seen.of(LlmCall)} == {seen.root}


def test_a_node_client(observe: Observe, serving: tuple[str, str]) -> None:
    node = shutil.which("node")
    assert node is not None
    seen = observe([node, "-e", NODE, *serving])
    assert seen.status == 0 and not seen.lost and not seen.of(StreamGap)
    assert calls(seen) == BOTH


def test_a_client_of_the_standard_library(observe: Observe) -> None:
    with model(socket.AF_INET, "127.0.0.1") as port:
        seen = observe([sys.executable, "-c", URLLIB, f"127.0.0.1:{port}"])
    assert seen.status == 0 and not seen.lost and not seen.of(StreamGap)
    assert calls(seen) == BOTH


def test_a_process_outside_asks_the_same_model(
    observe: Observe, records: list[PlainData | PlainClose], gate: Gate
) -> None:
    with model(socket.AF_INET, "127.0.0.1") as port:

        def ask(_events: list[AnyEvent]) -> None:
            if not gate.is_open:
                subprocess.run([sys.executable, "-c", URLLIB, f"127.0.0.1:{port}"], check=True)
                gate.open()

        seen = observe(["head", "-c1", gate.path], meanwhile=ask)
    assert gate.is_open and not records and not seen.of(LlmCall)


# --- told once, and no more than is wanted -------------------------------------------------------------------

#: a server of the lineage and its client: `-c BOTH_ENDS inet|inet6|unix path`
BOTH_ENDS = """
import os, socket, sys
from tests.live.model import model
name, path = sys.argv[1:]
family, address = {'inet': (socket.AF_INET, '127.0.0.1'), 'inet6': (socket.AF_INET6, '::1'),
                   'unix': (socket.AF_UNIX, path)}[name]
with model(family, address) as where:
    pid = os.fork()
    if not pid:
        os.execv(sys.executable, [sys.executable, '-c', os.environ['CLIENT'], name, where])
    assert os.waitpid(pid, 0)[1] == 0
"""


@pytest.mark.parametrize("name", FAMILIES)
def test_a_call_between_two_of_the_lineage_is_told_once(
    observe: Observe, records: list[PlainData | PlainClose], tmp_path: Path, name: str
) -> None:
    """By the one that connected, whose process is the caller."""
    env = {**os.environ, "CLIENT": HTTPX, "PYTHONPATH": str(ROOT)}
    seen = observe([sys.executable, "-c", BOTH_ENDS, name, str(tmp_path / "socket")], env=env)
    assert seen.status == 0 and not seen.lost
    assert calls(seen) == BOTH
    assert (
        {record.process for record in records} == {call.process for call in seen.of(LlmCall)} != {seen.root}
    )
    assert len(bytes_of(records)) == 2


def test_who_is_asked_from_outside_makes_no_call(observe: Observe, tmp_path: Path, gate: Gate) -> None:
    """What the lineage answers to others is nothing that a model said to it."""
    asked: list[int] = []
    program = (
        "import socket, sys\nfrom tests.live.model import model\n"
        "with model(socket.AF_UNIX, sys.argv[1]):\n open(sys.argv[2]).read()\n"
    )
    path = str(tmp_path / "socket")

    def ask(_events: list[AnyEvent]) -> None:
        if not gate.is_open and gate.reached():
            asked.append(subprocess.run([sys.executable, "-c", HTTPX, "unix", path], check=True).returncode)
            gate.open()

    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    seen = observe([sys.executable, "-c", program, path, gate.path], env=env, meanwhile=ask)
    assert seen.status == 0 and asked == [0]
    assert not seen.of(LlmCall) and not seen.of(StreamGap)


def test_a_download_is_copied_in_part_only(observe: Observe, records: list[PlainData | PlainClose]) -> None:
    """And a call over the same connection afterwards is read whole."""
    program = HTTPX.replace(
        "    for stream",
        "    assert len(client.get(f'http://{host}/big').content) == 3000000\n    for stream",
    )
    with model(socket.AF_INET, "127.0.0.1") as port:
        seen = observe([sys.executable, "-c", program, "inet", port])
    assert seen.status == 0 and not seen.lost and not seen.of(StreamGap)
    assert calls(seen) == BOTH
    copied = sum(len(record.data) for record in records if isinstance(record, PlainData))
    assert ON_TRIAL <= copied < ON_TRIAL + 10_000


#: writes of what is no JSON and no HTTP, to a pipe, a socket pair, over TCP: `-c OTHERS port`
OTHERS = """
import os, socket, subprocess, sys
reading, writing = os.pipe()
one, other = socket.socketpair()
client = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
for said in (b'\\x16\\x03\\x01\\x02\\x00\\x01', b'SSH-2.0-x\\r\\n', b'Content-Length: 5\\r\\n'):
    os.write(writing, said), one.send(said), client.send(said)
    os.read(reading, 100), other.recv(100)
datagram = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
datagram.sendto(b'GET / HTTP/1.1\\r\\n', ('127.0.0.1', 9))
os.write(os.open(os.devnull, os.O_WRONLY), b'{"jsonrpc":"2.0"}')
"""


def test_of_anything_else_nothing_is_copied(observe: Observe, records: list[PlainData | PlainClose]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        seen = observe([sys.executable, "-c", OTHERS, str(listening.getsockname()[1])])
    assert seen.status == 0 and not records


def test_searching_files_makes_no_records(observe: Observe, records: list[PlainData | PlainClose]) -> None:
    """Into a pipe, as an agent's tool does."""
    seen = observe(
        ["sh", "-c", f"grep -rn import {ROOT / 'collector'} | tail -n1; cat {ROOT}/bpf/*.h | wc -l"]
    )
    assert seen.status == 0 and not records


def test_at_level_off_nothing_is_copied(records: list[PlainData | PlainClose]) -> None:
    with model(socket.AF_INET, "127.0.0.1") as port, Collector("off", KEY) as collector:
        collector.start(sys.executable)
        seen = observed(collector, [sys.executable, "-c", URLLIB, f"127.0.0.1:{port}"])
    assert seen.status == 0 and not records and not seen.of(LlmCall)
    assert seen.of(Net)  # it was observed


#: a call whose body goes out by sendfile: `-c SENDFILE port folder`
SENDFILE = """
import os, socket, sys
body = b'{"model": "local", "messages": [{"role": "user", "content": "hi"}]}'
path = sys.argv[2] + '/body'
with open(path, 'wb') as file:
    file.write(body)
with socket.create_connection(('127.0.0.1', int(sys.argv[1]))) as client, open(path, 'rb') as file:
    client.sendall(b'POST /v1/chat/completions HTTP/1.1\\r\\nHost: h\\r\\nContent-Length: %d\\r\\n\\r\\n' % len(body))
    assert os.sendfile(client.fileno(), file.fileno(), 0, len(body)) == len(body)
    assert b'200' in client.recv(65536)
"""


def test_what_the_kernel_sends_itself_is_missing_and_not_forgotten(observe: Observe, tmp_path: Path) -> None:
    with model(socket.AF_INET, "127.0.0.1") as port:
        seen = observe([sys.executable, "-c", SENDFILE, port, str(tmp_path)])
    assert seen.status == 0 and len(seen.of(LlmCall)) == 1
    assert "request_incomplete" in {gap.cause for gap in seen.of(StreamGap)}


# --- every byte ----------------------------------------------------------------------------------------------

WRITERS, WRITES, SIZE = 4, 2500, 100
#: lines of JSON-RPC to one pipe by several processes at once, after the gate: `-c LINES gate`
LINES = f"""
import os, sys
reading, writing = os.pipe()
def line(writer, number):
    head = '{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progress":' + str(writer * 10000 + number)
    return (head.ljust({SIZE} - 3) + '}}}}\\n').encode()
os.write(writing, line(9, 0))
open(sys.argv[1]).read()
for writer in range({WRITERS}):
    if os.fork() == 0:
        for number in range({WRITES}):
            assert os.write(writing, line(writer, number)) == {SIZE}
        os._exit(0)
got = 0
while got < {WRITERS * WRITES + 1} * {SIZE}:
    got += len(os.read(reading, 65536))
for _ in range({WRITERS}):
    os.wait()
"""


@pytest.mark.parametrize("rings", [SourceSettings(), TIGHT], indirect=True, ids=["ample", "tight"])
def test_each_write_was_delivered_or_counted(
    flooded: Flooded,
    rings: SourceSettings,
    gate: Gate,
    records: list[PlainData | PlainClose],
    kernel: tuple[int, int],
) -> None:
    session = flooded.start(gate, LINES)
    assert [len(record.data) for record in records if isinstance(record, PlainData)] == [SIZE]
    flooded.let_go(session, gate)
    flooded.finish(session)
    lost = flooded.lost(session)
    got = [record for record in records if isinstance(record, PlainData)]
    assert (
        len(got) + lost["tls"]
        <= WRITERS * WRITES + 1
        <= len(got) + lost["tls"] + flooded.missed(session)["tls"]
    )
    assert (lost["tls"] > 0) == (rings == TIGHT)
    assert kernel >= PREEMPTED or not flooded.missed(session)["tls"]
    assert all(len(record.data) == SIZE and not record.missing for record in got)
    assert (
        len({record.offset for record in got}) == len(got) and len({record.generation for record in got}) == 1
    )
    # What is missing shows in the stream as well, up to the last record that came.
    streams, told, missing = PlainStreams(), Counter[bytes](), 0
    chunks = [chunk for record in got for chunk in streams.data(record)] + streams.finish()
    for chunk in chunks:
        told[chunk.data] += 1
        missing += chunk.missing
    assert len(told) == len(got) == told.total()
    assert missing == max(record.offset for record in got) + SIZE - len(got) * SIZE


#: each size is one write over a socket pair, in one of the ways that there are: `-c WAYS`
WAYS = """
import os, socket, sys
one, other = socket.socketpair()
one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)
other.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)
def whole(size, at):
    return (b'%08x' % at * (size // 8 + 1))[:size]
def halves(data):
    return [data[:len(data) // 2], data[len(data) // 2:]]
sends = [lambda d: os.write(one.fileno(), d), lambda d: os.writev(one.fileno(), halves(d)), one.send,
         lambda d: one.sendmsg(halves(d)), lambda d: one.sendmsg([d[:1], d[1:]])]
def readv(size):
    parts = [bytearray(size // 3 + 1) for _ in range(3)]
    return os.readv(one.fileno(), parts)
reads = [lambda s: len(os.read(one.fileno(), s)), readv, lambda s: len(one.recv(s)), lambda s: len(one.recvmsg(s)[0]),
         lambda s: one.recvmsg_into([bytearray(s // 2), bytearray(s)])[0]]
one.send(b'POST ')
assert other.recv(5) == b'POST '
for at, size in enumerate((1, 511, 512, 513, 4097, 16385, 60000)):
    for way, (send, read) in enumerate(zip(sends, reads)):
        data = whole(size, at * 10 + way)
        assert send(data) == size
        got = b''
        while len(got) < size:
            got += other.recv(1 << 20)
        assert got == data
        other.sendall(data)
        assert one.recv(1, socket.MSG_PEEK) == data[:1]
        left = size
        while left:
            left -= read(left)
"""


@pytest.mark.parametrize("fallback", [False, True], ids=["socket layer", "system calls"])
def test_every_way_to_move_bytes(
    fallback: bool,
    monkeypatch: pytest.MonkeyPatch,
    records: list[PlainData | PlainClose],
    kernel: tuple[int, int],
) -> None:
    """Byte for byte, and by the hooks of older kernels as well. What is only looked at (MSG_PEEK) was not read.

    A kernel that preempts tracepoints leaves runs out of either, and counts them.
    """
    if fallback:
        older = tuple(one for one in PROGRAMS if one.name not in ("pg_on_plain_sent", "pg_on_plain_received"))
        monkeypatch.setattr("collector.kernel.source.PROGRAMS", older)
    # what begins as a request and never is one is left alone as soon as that is seen: not in this test
    monkeypatch.setattr(ObservedSession, "take_choices", lambda _session: {})
    with Collector("metadata", b"test key") as collector:
        collector.start(sys.executable)
        assert "tls" in collector.proven
        argv = [sys.executable, "-S", "-c", WAYS]
        launched = Launched(argv)
        session = collector.enrol(launched.pid, "run", argv, "/")
        launched.release()
        events: list[AnyEvent] = []
        while not collector.ended(session):
            events += collector.round(20)
        events += collector.finish(session)
        assert launched.wait() == 0
    calls = [
        (b"%08x" % (at * 10 + way) * (size // 8 + 1))[:size]
        for at, size in enumerate((1, 511, 512, 513, 4097, 16385, 60000))
        for way in range(5)
    ]
    heard, sent = sorted(bytes_of(records).values(), key=lambda one: one.startswith(b"POST "))
    left_out = without(heard, calls) + without(sent, [b"POST ", *calls])
    missed = sum(event.count for event in events if isinstance(event, Loss) and event.cause in MISSED)
    assert left_out <= (missed if kernel >= PREEMPTED else 0)


def without(told: bytes, calls: list[bytes]) -> int:
    """How many of ``calls`` were left out of ``told``. Fails where it holds anything else."""
    left_out = 0
    for call in calls:
        if told.startswith(call):
            told = told.removeprefix(call)
        else:
            left_out += 1
    assert not told
    return left_out


#: says and hears 68 slices at once (gRPC sends 29 to begin a call), then what only the error queue has: `-c SLICES`
SLICES = """
import socket
one, other = socket.socketpair()
one.sendmsg([b'POST '] + [b'%02d' % at for at in range(68)])
other.sendall(b'x' * 136)
assert one.recvmsg_into([bytearray(2) for _ in range(68)])[0] == 136
server = socket.create_server(('127.0.0.1', 0))
client = socket.create_connection(server.getsockname())
accepted, _ = server.accept()
client.setsockopt(socket.SOL_SOCKET, 60, 1)  # SO_ZEROCOPY
client.send(b'GET / HTTP/1.1', 0x4000000)  # MSG_ZEROCOPY
while True:
    try:
        assert client.recvmsg(1, 1024, 0x2000)[0] == b''  # MSG_ERRQUEUE: which buffers are free again
        break
    except BlockingIOError:
        accepted.recv(1024)
client.send(b'again')
"""


def test_what_lies_beyond_the_slices_that_are_followed_is_missing_and_an_error_queue_ends_nothing(
    observe: Observe, records: list[PlainData | PlainClose]
) -> None:
    observe([sys.executable, "-S", "-c", SLICES])
    streams, said, missing = PlainStreams(), Counter[bytes](), Counter[tuple[str, str]]()
    for record in records:
        assert isinstance(record, PlainData)
        for chunk in streams.data(record):
            said[chunk.data] += 1
            missing[record.kind, chunk.direction] += chunk.missing
    assert missing == {("unix", "sent"): 10, ("unix", "received"): 8, ("tcp", "sent"): 0}
    assert said[b"GET / HTTP/1.1"] == said[b"again"] == 1


#: how connections begin that are told, and those that nobody reads
TOLD = (
    "POST /",
    "GET /",
    "HEAD /",
    "PUT /",
    "DELETE /",
    "PATCH /",
    "OPTIONS *",
    "CONNECT a:1",
    "PRI * HTTP/2.0",
)
TOLD += ("HTTP/1.1 200", "GE", '{"a": 1}', "P", "OPTIO")
UNTOLD = ("POSTS /", "GETS /", "post /", "PRI * HELP", "HTTP/2", " {", "[1]", "\x16\x03\x01")


def test_the_first_bytes_decide(observe: Observe, records: list[PlainData | PlainClose]) -> None:
    source = (
        "import socket, sys\nends = [socket.socketpair() for _ in sys.argv[1:]]\n"
        "for (one, other), first in zip(ends, sys.argv[1:]): one.send(first.encode())"
    )
    observe([sys.executable, "-S", "-c", source, *TOLD, *UNTOLD])
    told = [record.data.decode() for record in records if isinstance(record, PlainData)]
    assert sorted(told) == sorted(TOLD)  # what is short may become one
