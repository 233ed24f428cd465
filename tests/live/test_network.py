"""bpf/net.h: addresses as the kernel has them, results, bytes of each flow, names."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from polygraph.events import Flow, Name, Net
from tests.live.conftest import Observe

REFUSED, IN_PROGRESS, ABSENT = 111, 115, 2


@contextmanager
def server(family: socket.AddressFamily, address: str) -> Iterator[int]:
    """Takes connections, reads to their end, answers 3000 bytes. The port."""
    with socket.socket(family) as listening:
        listening.bind((address, 0))
        listening.listen(64)

        def serve() -> None:
            while True:
                try:
                    accepted, _peer = listening.accept()
                except OSError:
                    return
                with accepted:
                    while accepted.recv(65536):
                        pass
                    accepted.sendall(b"y" * 3000)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


CLIENT = """
    import _socket, sys
    client = _socket.socket(int(sys.argv[1]), _socket.SOCK_STREAM)
    client.connect((sys.argv[2], int(sys.argv[3])))
    client.send(b'x' * 12345)
    client.shutdown(_socket.SHUT_WR)
    while client.recv(65536):
        pass
    client.close()
    """


@pytest.mark.parametrize(
    ("family", "address", "name"),
    [(socket.AF_INET, "127.0.0.1", "inet"), (socket.AF_INET6, "::1", "inet6")],
)
def test_a_connection_has_its_address_and_its_bytes(
    python: Observe, family: socket.AddressFamily, address: str, name: str
) -> None:
    with server(family, address) as port:
        seen = python(CLIENT, str(int(family)), address, str(port))
    connect = seen.of(Net, op="connect")[0]
    assert (connect.family, connect.protocol, connect.address, connect.port, connect.errno) == (
        *(name, "tcp", address, port),
        0,
    )
    assert connect.local_address == address and connect.local_port
    flows = seen.of(Flow, socket=connect.socket)
    assert flows[0].established and not flows[0].closed
    assert (flows[-1].sent, flows[-1].received, flows[-1].address, flows[-1].port) == (
        12345,
        3000,
        address,
        port,
    )
    assert flows[-1].process == seen.root


def test_a_refused_connection_is_no_success(python: Observe) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening
        seen = python(
            """
            import _socket, sys
            try:
                _socket.socket().connect(('127.0.0.1', int(sys.argv[1])))
            except ConnectionRefusedError:
                pass
            """,
            str(taken.getsockname()[1]),
        )
    assert [event.errno for event in seen.of(Net, op="connect")] == [REFUSED] and not seen.of(Flow)


@pytest.mark.parametrize("listening", [True, False])
def test_a_connection_in_progress_tells_how_it_went(python: Observe, listening: bool) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        if listening:
            other.listen()
        seen = python(
            """
            import _socket, sys, time
            client = _socket.socket()
            client.setblocking(False)
            print(client.connect_ex(('127.0.0.1', int(sys.argv[1]))))
            time.sleep(0.05)
            """,
            str(other.getsockname()[1]),
        )
    connect = seen.of(Net, op="connect")[0]
    flows = seen.of(Flow, socket=connect.socket)
    assert connect.errno == IN_PROGRESS and flows[0].established == listening
    assert flows[-1].closed != listening or flows[-1].established


def test_servers_of_a_lineage(python: Observe) -> None:
    seen = python(
        """
        import _socket, os, sys
        listening = _socket.socket()
        listening.bind(('127.0.0.1', 0))
        listening.listen(5)
        port = listening.getsockname()[1]
        if os.fork() == 0:
            client = _socket.socket()
            client.connect(('127.0.0.1', port))
            client.send(b'hello')
            client.recv(1)
            os._exit(0)
        fd, peer = listening._accept()
        os.read(fd, 5)
        os.close(fd)
        os.wait()
        sys.exit(port % 256)
        """
    )
    bound, listened, accepted = (seen.of(Net, op=op)[0] for op in ("bind", "listen", "accept"))
    port = listened.local_port
    assert bound.local_address == listened.local_address == "127.0.0.1" and port % 256 == seen.status
    connect = seen.of(Net, op="connect")[0]
    assert accepted.port == connect.local_port and accepted.local_port == port == connect.port
    assert seen.of(Flow, socket=accepted.socket)[-1].received == 5
    assert not seen.lost


def test_hundreds_of_connections_are_each_told(python_whole: Observe) -> None:
    with server(socket.AF_INET, "127.0.0.1") as four, server(socket.AF_INET6, "::1") as six:
        seen = python_whole(
            """
            import _socket, sys
            for _ in range(200):
                for family, address, port in ((2, '127.0.0.1', sys.argv[1]), (10, '::1', sys.argv[2])):
                    client = _socket.socket(family)
                    client.connect((address, int(port)))
                    client.close()
            """,
            str(four),
            str(six),
        )
    assert len(seen.of(Net, op="connect", address="127.0.0.1", port=four, errno=0)) == 200
    assert len(seen.of(Net, op="connect", address="::1", port=six, errno=0)) == 200


def test_unix_sockets_have_paths(python: Observe, tmp_path: Path) -> None:
    seen = python(
        """
        import _socket, sys
        path = sys.argv[1] + '/socket'
        listening = _socket.socket(_socket.AF_UNIX)
        listening.bind(path)
        listening.listen(1)
        _socket.socket(_socket.AF_UNIX).connect(path)
        _socket.socket(_socket.AF_UNIX).bind('\\0polygraph-abstract')
        try:
            _socket.socket(_socket.AF_UNIX).connect(sys.argv[1] + '/absent')
        except FileNotFoundError:
            pass
        """,
        str(tmp_path),
    )
    assert [(net.family, net.local_address) for net in seen.of(Net, op="bind")] == [
        ("unix", f"{tmp_path}/socket"),
        ("unix", "@polygraph-abstract"),
    ]
    assert [(net.address, net.errno) for net in seen.of(Net, op="connect")] == [
        (f"{tmp_path}/socket", 0),
        (f"{tmp_path}/absent", ABSENT),
    ]


def test_vsock_has_its_context_id_and_port(python: Observe) -> None:
    """The address of this machine itself, where it has the transport for that; refused or timed out where not."""
    seen = python(
        """
        import _socket, sys
        listening = _socket.socket(_socket.AF_VSOCK)
        listening.bind((_socket.VMADDR_CID_ANY, 70_000))
        listening.listen(1)
        try:
            _socket.socket(_socket.AF_VSOCK).connect((1, 70_000))
        except OSError as error:
            sys.exit(error.errno)
        """
    )
    (bound,), (connect,) = seen.of(Net, op="bind"), seen.of(Net, op="connect")
    assert (bound.family, bound.local_address, bound.local_port, bound.errno) == (
        "vsock",
        str(socket.VMADDR_CID_ANY),
        70_000,
        0,
    )
    assert (connect.family, connect.address, connect.port) == ("vsock", "1", 70_000)
    assert connect.errno == seen.status


def test_a_name_that_was_resolved_belongs_to_its_address(python: Observe) -> None:
    """A name server of ours on port 53 of a loopback address that nobody else has."""
    question = bytes.fromhex("0abc01000001000000000000") + b"\x03api\x07example\x04test\0" + b"\0\x01\0\x01"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as answering:
        answering.bind(("127.53.53.53", 53))

        def answer() -> None:
            asked, peer = answering.recvfrom(512)
            records = b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04" + bytes([192, 0, 2, 7])
            answering.sendto(
                asked[:2] + b"\x81\x80" + asked[4:6] + b"\0\x01\0\0\0\0" + asked[12:] + records, peer
            )

        thread = threading.Thread(target=answer)
        thread.start()
        seen = python(
            f"""
            import _socket
            client = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM)
            client.connect(('127.53.53.53', 53))
            client.send({question!r})
            client.recv(512)
            """
        )
        thread.join()
    assert [(name.name, name.addresses) for name in seen.of(Name, source="dns")] == [
        ("api.example.test", ("192.0.2.7",))
    ]


def test_whom_a_datagram_names_is_told_once_for_each_address(python: Observe, tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one, socket.socket(socket.AF_INET6, 2) as six:
        one.bind(("127.0.0.1", 0))
        six.bind(("::1", 0))
        seen = python(
            """
            import _socket, sys
            local = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM)
            local.bind(sys.argv[1] + '/log')
            client, other = _socket.socket(2, 2), _socket.socket(10, 2)
            for _ in range(50):
                client.sendto(b'x', ('127.0.0.1', int(sys.argv[2])))
                other.sendmsg([b'x'], [], 0, ('::1', int(sys.argv[3])))
            _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM).sendto(b'x', sys.argv[1] + '/log')
            """,
            str(tmp_path),
            str(one.getsockname()[1]),
            str(six.getsockname()[1]),
        )
        expected = [
            ("127.0.0.1", one.getsockname()[1], "udp", 0),
            ("::1", six.getsockname()[1], "udp", 0),
        ]
    told = [event for event in seen.of(Net, op="connect") if event.family != "unix"]
    assert [(event.address, event.port, event.protocol, event.errno) for event in told] == expected
    assert [event.address for event in seen.of(Net, op="connect", family="unix")] == [f"{tmp_path}/log"]


def test_a_send_that_opens_a_connection_is_a_connect(python: Observe) -> None:
    with server(socket.AF_INET, "127.0.0.1") as port:
        seen = python(
            """
            import _socket, sys
            client = _socket.socket()
            client.sendto(b'x' * 100, 0x20000000, ('127.0.0.1', int(sys.argv[1])))
            client.shutdown(_socket.SHUT_WR)
            while client.recv(65536):
                pass
            client.close()
            """,
            str(port),
        )
    connect = seen.of(Net, op="connect")[0]
    assert (connect.address, connect.port, connect.protocol, connect.errno) == ("127.0.0.1", port, "tcp", 0)
    last = seen.of(Flow, socket=connect.socket)[-1]
    assert (last.sent, last.received) == (100, 3000)
