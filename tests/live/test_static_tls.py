"""TLS libraries linked into other files, with their symbols or without: every byte of real clients, both ways."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hyperframe.frame import Frame

from collector.collect import Collector
from collector.tls import discover
from collector.tls.streams import TlsClose, TlsData
from tests.collector.tls.elfs import library
from tests.live.conftest import Gate, Observe
from tests.live.terminator import Peer, Terminated, forwarding, terminator
from tests.live.tls_stacks import Records, talks

BODY = bytes(range(256)) * 300


def is_all(records: Records, server: Terminated) -> None:
    """Byte for byte what the server saw, of one connection."""
    assert len({(record.ssl, record.generation) for record in records}) == 1
    (talk,) = talks(records)
    assert talk.sent == server.received and talk.received == server.sent
    assert server.received and server.sent


def probed(collector: Collector, part: str) -> bool:
    """Whether a file with ``part`` in its path has probes."""
    return any(part in path for path in collector.tls.libraries)


def rung_of(collector: Collector, part: str) -> tuple[str, str]:
    """(library, rung) of the file with probes whose path has ``part`` in it."""
    return next((row.library, row.rung) for row in collector.tls.probed if part in row.path)


def echo(peer: Peer) -> None:
    """Back what came, until as much as BODY did."""
    size = 0
    while size < len(BODY) and (data := peer.receive()):
        size += len(data)
        peer.send(data)


#: waits for the gate once its library is mapped, so that probes are there before the first byte
WAIT = "import sys\nport, authority, gate = sys.argv[1:4]\nbody = bytes(range(256)) * 300\n"

PYOPENSSL = (
    WAIT
    + """
import socket
from OpenSSL import SSL
open(gate).read()
context = SSL.Context(SSL.TLS_CLIENT_METHOD)
context.load_verify_locations(authority)
connection = SSL.Connection(context, socket.create_connection(("127.0.0.1", int(port))))
connection.set_tlsext_host_name(b"localhost")
connection.set_connect_state()
connection.do_handshake()
connection.sendall(body)
got = b""
while len(got) < len(body):
    got += connection.recv(65536)
assert got == body
"""
)


def test_cryptographys_wheel_openssl_with_local_symbols(
    collector: Collector, observe: Observe, gate: Gate, records: Records, tmp_path: Path
) -> None:
    """Its _rust.abi3.so holds OpenSSL, whose functions only .symtab names."""
    with terminator(tmp_path, echo) as server:
        seen = observe(
            [sys.executable, "-c", PYOPENSSL, str(server.port), str(server.authority), gate.path],
            meanwhile=lambda _events: gate.open(when=probed(collector, "_rust.abi3.so")),
        )
    assert seen.status == 0 and not seen.lost
    assert rung_of(collector, "_rust.abi3.so") == ("openssl", "symbols")
    is_all(records, server)


CURL = (
    WAIT
    + """
from curl_cffi import requests
open(gate).read()
answer = requests.post(f"https://localhost:{port}/echo", data=body, verify=authority, impersonate="chrome")
assert answer.content == body
"""
)


def answer_http(peer: Peer) -> None:
    """Back what was posted."""
    request = b""
    while b"\r\n\r\n" not in request or len(request.split(b"\r\n\r\n", 1)[1]) < len(BODY):
        request += peer.receive()
    head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(BODY)}\r\n\r\n".encode()
    peer.send(head + request.split(b"\r\n\r\n", 1)[1])
    peer.receive()


def test_curl_cffis_wheel_boringssl_in_libcurl(
    collector: Collector, observe: Observe, gate: Gate, records: Records, tmp_path: Path
) -> None:
    with terminator(tmp_path, answer_http, alpn=("http/1.1",)) as server:
        seen = observe(
            [sys.executable, "-c", CURL, str(server.port), str(server.authority), gate.path],
            meanwhile=lambda _events: gate.open(when=probed(collector, "curl_cffi/")),
        )
    assert seen.status == 0 and not seen.lost
    assert rung_of(collector, "curl_cffi/") == ("boringssl", "symbols")
    assert BODY in server.received
    is_all(records, server)


POSTGRES = (
    WAIT
    + """
import psycopg
open(gate).read()
try:
    where = f"host=localhost port={port} sslmode=verify-full sslrootcert={authority}"
    psycopg.connect(f"{where} user=someone dbname=ledger")
except psycopg.OperationalError as error:
    assert "no such ledger" in str(error), error
else:
    raise AssertionError
"""
)


def refuse_login(peer: Peer) -> None:
    """ErrorResponse of PostgreSQL's protocol (chapter 54.7)."""
    peer.receive()
    fields = b"SFATAL\0C3D000\0Mno such ledger\0\0"
    peer.send(b"E" + (len(fields) + 4).to_bytes(4, "big") + fields)
    peer.receive()


def accept_tls(plain: socket.socket) -> None:
    """SSLRequest, and the answer that is yes."""
    assert len(plain.recv(8)) == 8
    plain.sendall(b"S")


def test_psycopgs_wheel_a_libssl_of_its_own(
    collector: Collector, observe: Observe, gate: Gate, records: Records, tmp_path: Path
) -> None:
    with terminator(tmp_path, refuse_login, alpn=("postgresql",), before=accept_tls) as server:
        seen = observe(
            [sys.executable, "-c", POSTGRES, str(server.port), str(server.authority), gate.path],
            meanwhile=lambda _events: gate.open(when=probed(collector, "psycopg_binary.libs/libssl")),
        )
    assert seen.status == 0 and not seen.lost
    assert rung_of(collector, "psycopg_binary.libs/libssl") == ("openssl", "exported")
    assert b"someone" in server.received
    is_all(records, server)


GRPC_SERVER = """
import grpc, sys
from concurrent.futures import ThreadPoolExecutor
class Echo(grpc.GenericRpcHandler):
    def service(self, details):
        return grpc.unary_unary_rpc_method_handler(lambda request, _context: request)
server = grpc.server(ThreadPoolExecutor(2), handlers=[Echo()])
print(server.add_insecure_port("127.0.0.1:0"), flush=True)
server.start()
sys.stdin.read()
"""

GRPC = (
    WAIT
    + """
import grpc
open(gate).read()
credentials = grpc.ssl_channel_credentials(open(authority, "rb").read())
with grpc.secure_channel(f"localhost:{port}", credentials) as channel:
    assert channel.unary_unary("/test.Echo/Echo")(body, timeout=60) == body
"""
)


@contextmanager
def grpc_server() -> Iterator[int]:
    """Echoes, without TLS; its port."""
    with subprocess.Popen(
        [sys.executable, "-c", GRPC_SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.communicate(timeout=60)


def frames(said: bytes) -> Iterator[tuple[int, int]]:
    """(where it ends, its stream) of each HTTP/2 frame (RFC 9113, section 4.1)."""
    at = 0
    while at < len(said):
        frame, length = Frame.parse_frame_header(memoryview(said[at : at + 9]))
        at += 9 + length
        yield at, frame.stream_id
    assert at == len(said)


def test_grpcs_wheel_boringssl_without_symbols(
    collector: Collector, observe: Observe, gate: Gate, records: Records, tmp_path: Path
) -> None:
    """HTTP/2 over BoringSSL in cygrpc.so, which is stripped: found by the errors that it reports."""
    with grpc_server() as port, terminator(tmp_path, forwarding(port), alpn=("h2",)) as server:
        seen = observe(
            [sys.executable, "-c", GRPC, str(server.port), str(server.authority), gate.path],
            meanwhile=lambda _events: gate.open(when=probed(collector, "cygrpc")),
        )
    assert seen.status == 0 and not seen.lost
    assert rung_of(collector, "cygrpc") == ("boringssl", "errors")
    assert server.received.startswith(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    (talk,) = talks(records)
    assert talk.sent == server.received and server.sent.startswith(talk.received)
    # the client leaves when it has its answer: what was said later is of the connection, not of the call
    read = len(talk.received)
    assert all(end <= read or stream == 0 for end, stream in frames(server.sent))


# --- one address, one connection after the other ---------------------------------------------------------

#: what of a library is needed without its SSL_free: the second of two connections has the address of the first
REUSED = """
int SSL_do_handshake(void *ssl) { return 1; }
int SSL_write(void *ssl, const void *data, int size) { return size; }
int SSL_read(void *ssl, void *data, int size) { return size; }
"""
REUSES = """
import ctypes, sys
library = ctypes.CDLL(sys.argv[1])
open(sys.argv[2]).read()
ssl = ctypes.create_string_buffer(64)
for text in (b"first, cut off", b"second"):
    library.SSL_do_handshake(ssl)
    library.SSL_do_handshake(ssl)
    assert library.SSL_write(ssl, text, len(text)) == len(text)
    assert library.SSL_read(ssl, text, len(text)) == len(text)
"""


def test_a_connection_at_the_address_of_another_is_another_one(
    collector: Collector,
    observe: Observe,
    gate: Gate,
    records: Records,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where SSL_free is not found, the handshake of the second connection ends the first."""
    names = frozenset({"SSL_read", "SSL_write", "SSL_do_handshake"})
    monkeypatch.setattr(discover, "PROBED", names)
    path = library(tmp_path / "static.so", REUSED)
    looked = collector.tls.preload(path)
    assert looked.probed
    seen = observe(
        [sys.executable, "-c", REUSES, str(path), gate.path], meanwhile=lambda _events: gate.open()
    )
    assert seen.status == 0
    told = [(type(record), record.generation) for record in records]
    first, second = dict.fromkeys(generation for _kind, generation in told)
    assert told == [*[(TlsData, first)] * 2, (TlsClose, first), *[(TlsData, second)] * 2]
    assert [record.offset for record in records if isinstance(record, TlsData)] == [0, 0, 0, 0]


#: its SSL_write returns when the answer was read: `AT_ONCE`
FULL_DUPLEX = """
#include <unistd.h>
int written[2], answered[2];
int begin(void) { return pipe(written) || pipe(answered); }
int SSL_do_handshake(void *ssl) { return 1; }
int SSL_write(void *ssl, const void *data, int size) { char one = 0;
    return write(written[1], &one, 1) == 1 && read(answered[0], &one, 1) == 1 ? size : -1; }
int SSL_read(void *ssl, void *data, int size) { char one = 0; return read(written[0], &one, 1) == 1 ? size : -1; }
int let_go(void) { char one = 0; return write(answered[1], &one, 1) != 1; }
"""
#: python -c AT_ONCE LIBRARY GATE: a thread reads an answer while another is still in its write
AT_ONCE = """
import ctypes, sys, threading
library = ctypes.CDLL(sys.argv[1])
open(sys.argv[2]).read()
ssl = ctypes.create_string_buffer(64)
assert library.begin() == 0 and library.SSL_do_handshake(ssl)
request, answer = b"a request", ctypes.create_string_buffer(b"an answer")
def read():
    assert library.SSL_read(ssl, answer, 9) == 9
    assert library.let_go() == 0
thread = threading.Thread(target=read)
thread.start()
assert library.SSL_write(ssl, request, 9) == 9
thread.join()
"""


def test_a_request_has_a_time_before_its_answer_that_another_thread_read_first(
    collector: Collector, observe: Observe, gate: Gate, records: Records, tmp_path: Path
) -> None:
    """As in clients that have a thread for each direction: the call that sent may return last."""
    path = library(tmp_path / "duplex.so", FULL_DUPLEX)
    assert collector.tls.preload(path).probed
    seen = observe(
        [sys.executable, "-c", AT_ONCE, str(path), gate.path], meanwhile=lambda _events: gate.open()
    )
    assert seen.status == 0
    told = {record.data: record.ts for record in records if isinstance(record, TlsData)}
    assert told[b"a request"] < told[b"an answer"]
