"""bpf/tls.h: what a process writes and reads through its TLS library, byte for byte, and nothing of others."""

from __future__ import annotations

import hashlib
import shutil
import ssl as _library_is_mapped  # noqa: F401
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

from collector.collect import Collector
from collector.kernel import uprobe_multi
from collector.tls.streams import TlsClose, TlsData, TlsStreams
from polygraph.events import AnyEvent, Coverage, Name
from polygraph.reasons import DIMENSIONS
from tests.live.conftest import Gate, Observe

CALL_MAX = 4 << 20

#: a client and a server in one process, through memory, anonymous
HANDSHAKE = """
import ssl, sys
pipes = ssl.MemoryBIO(), ssl.MemoryBIO()
ends = []
for server in (False, True):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers('AECDH-AES256-SHA:@SECLEVEL=0')
    name = None if server else 'api.example.test'
    ends.append(context.wrap_bio(pipes[server], pipes[not server], server_side=server, server_hostname=name))
for _ in range(6):
    for end in ends:
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            pass
client, server = ends
"""

#: each size is one SSL_write
TALK = """
def content(size):
    return (b'%08x' % size) * (size // 8 + 1)
for size in map(int, sys.argv[1:]):
    sent = content(size)[:size]
    assert client.write(sent) == size
    got = b''
    while len(got) < size:
        got += server.read(1 << 20)
    assert got == sent
"""
PROGRAM = HANDSHAKE + TALK


def content(size: int) -> bytes:
    return ((b"%08x" % size) * (size // 8 + 1))[:size]


def test_every_byte_of_every_size(observe: Observe, records: list[TlsData | TlsClose]) -> None:
    sizes = [1, 511, 512, 513, 4096, 4097, 16_384, 16_385, 100_000, 1 << 20, CALL_MAX, 7]
    seen = observe([sys.executable, "-c", PROGRAM, *map(str, sizes)])
    assert seen.status == 0 and not seen.lost
    streams, bytes_of = TlsStreams(), defaultdict(bytes)
    for record in records:
        if isinstance(record, TlsData):
            assert record.process == seen.root and not record.missing
            for chunk in streams.data(record):
                assert not chunk.missing
                bytes_of[chunk.connection, chunk.direction] += chunk.data
    whole = hashlib.sha256(b"".join(map(content, sizes))).digest()
    assert {hashlib.sha256(data).digest() for data in bytes_of.values()} == {whole}
    assert sorted(direction for _connection, direction in bytes_of) == ["received", "sent"]
    assert len({record for record in records if isinstance(record, TlsClose)}) == 2


def test_beyond_four_mebibytes_a_call_is_marked(observe: Observe, records: list[TlsData | TlsClose]) -> None:
    size = CALL_MAX + 123_456
    seen = observe([sys.executable, "-c", PROGRAM, str(size), "5"])
    assert seen.status == 0
    sent = [record for record in records if isinstance(record, TlsData) and record.direction == 0]
    assert sum(len(record.data) for record in sent) == CALL_MAX + 5
    assert [record.missing for record in sent if record.missing] == [123_456]
    assert sent[-1].offset == size and sent[-1].data == content(5)


def test_the_name_given_to_tls(observe: Observe) -> None:
    seen = observe([sys.executable, "-c", PROGRAM, "3"])
    assert [name.name for name in seen.of(Name, source="sni")] == ["api.example.test"]


def test_nothing_of_others_is_copied(observe: Observe, records: list[TlsData | TlsClose], gate: Gate) -> None:
    """A process of no session uses the same library while a session is observed, and to its end."""

    def speak(_events: list[AnyEvent]) -> None:
        if not gate.is_open:
            subprocess.run([sys.executable, "-c", PROGRAM, *["1000"] * 50], check=True)
            gate.open()

    observe(["head", "-c1", gate.path], meanwhile=speak)
    assert gate.is_open and not records


def test_two_use_one_library_at_once_and_only_the_session_is_recorded(
    observe: Observe, records: list[TlsData | TlsClose], gate: Gate
) -> None:
    """The scope is the lineage: the file of the library is one and the same, and its functions carry probes."""
    inside, outside = 1234, 4321
    program = f"open(sys.argv.pop(1)).read()\n{TALK}"
    strangers: list[int] = []

    def speak(_events: list[AnyEvent]) -> None:
        if not gate.is_open and gate.reached():
            done = subprocess.run([sys.executable, "-c", PROGRAM, *[str(outside)] * 20], check=True)
            strangers.append(done.returncode)
            gate.open()

    seen = observe([sys.executable, "-c", HANDSHAKE + program, gate.path, str(inside)], meanwhile=speak)
    assert seen.status == 0 and strangers == [0]
    data = [record for record in records if isinstance(record, TlsData)]
    assert {record.process for record in data} == {seen.root}
    assert b"".join(record.data for record in data if record.direction == 0) == content(inside)
    assert not any(content(outside)[:16] in record.data for record in data)


# --- libraries that come late ----------------------------------------------------------------------------

#: loads a copy of libssl, waits until the gate opens, says a name: `-c LATE library gate name`
LATE = """
import ctypes, sys
library = ctypes.CDLL(sys.argv[1])
open(sys.argv[2]).read()
f = ctypes.c_void_p
library.TLS_method.restype = library.SSL_CTX_new.restype = library.SSL_new.restype = f
ssl = library.SSL_new(f(library.SSL_CTX_new(f(library.TLS_method()))))
library.SSL_ctrl(f(ssl), 55, ctypes.c_long(0), sys.argv[3].encode())
"""


def own_library() -> str:
    """The libssl that this interpreter has mapped."""
    mapped = Path("/proc/self/maps").read_text()
    return next(line.split()[-1] for line in mapped.splitlines() if "libssl.so" in line)


def test_a_copy_of_the_library_is_found_when_it_is_mapped(
    collector: Collector, observe: Observe, gate: Gate, tmp_path: Path
) -> None:
    """A libssl that nobody has seen before, loaded after the process began (dlopen)."""
    copy = str(shutil.copy(own_library(), tmp_path / "libssl-of-a-wheel.so.3"))
    seen = observe(
        [sys.executable, "-c", LATE, copy, gate.path, "late.example.test"],
        meanwhile=lambda _events: gate.open(when=copy in collector.tls.libraries),
    )
    assert seen.status == 0
    assert [name.name for name in seen.of(Name, source="sni")] == ["late.example.test"]


def test_another_mount_namespace(collector: Collector, observe: Observe, gate: Gate) -> None:
    """The library lies at a path that exists only in the process's own mount namespace."""
    inside = "/mnt/libssl-inside.so.3"
    script = 'mount -t tmpfs none /mnt && cp "$1" "$2" && shift 2 && exec "$@"'
    late = [sys.executable, "-c", LATE, inside, gate.path, "inside.example.test"]
    seen = observe(
        ["unshare", "-m", "sh", "-c", script, "sh", own_library(), inside, *late],
        meanwhile=lambda _events: gate.open(when=inside in collector.tls.libraries),
    )
    assert seen.status == 0 and not Path(inside).exists()
    assert [name.name for name in seen.of(Name, source="sni")] == ["inside.example.test"]


def test_a_library_is_probed_in_one_step_where_the_kernel_can(kernel: tuple[int, int]) -> None:
    """uprobe_multi came with Linux 6.6 (commit 89ae89f53d20); before, each probe is an event of perf."""
    assert uprobe_multi.supported() == (kernel >= (6, 6))


def test_the_probes_are_proven_and_said_to_be(collector: Collector, observe: Observe) -> None:
    assert collector.proven == set(DIMENSIONS)
    seen = observe(["/bin/true"])
    told = {event.dimension: (event.state, event.canary) for event in seen.of(Coverage)}
    assert told == dict.fromkeys(DIMENSIONS, ("attached", True))
