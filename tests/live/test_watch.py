"""`polygraph watch` as a user starts it: what becomes a session, and what does not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from collector.collect import Collector
from polygraph.events import AnyEvent, Exec, SessionEnd, SessionStart
from polygraph.log.store import Store
from tests.live.conftest import PATIENCE

POLYGRAPH = (sys.executable, "-m", "polygraph")


class Watching:
    """A running `polygraph watch` whose probes are in."""

    def __init__(self, process: subprocess.Popen[str], home: Path) -> None:
        self.process = process
        self._home = home
        self.until("watching")

    def until(self, word: str) -> str:
        """The next line of stderr with ``word``."""
        assert self.process.stderr is not None
        while word not in (line := self.process.stderr.readline()):
            assert line, f"it ended before it said {word!r}"
        return line

    def end(self, *, interrupt: bool = True) -> list[list[AnyEvent]]:
        """The events of each session, after an interrupt or after its own end."""
        if interrupt:
            self.process.send_signal(signal.SIGINT)
        assert self.process.wait(PATIENCE) == 0
        with Store(self._home) as store:
            return [list(store.events(row.id)) for row in store.sessions()]


@contextmanager
def watch(home: Path, *arguments: str) -> Iterator[Watching]:
    environment = {**os.environ, "POLYGRAPH_HOME": str(home)}
    with subprocess.Popen(
        [*POLYGRAPH, "watch", *arguments], env=environment, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Watching(process, home)
        finally:
            process.kill()


@contextmanager
def waiting(*argv: str | Path) -> Iterator[subprocess.Popen[str]]:
    """A process that has said a line and now reads its stdin, as all that it made do; its end opens them all."""
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None and process.stdout.readline()
            yield process
        finally:
            process.kill()


def let_go(process: subprocess.Popen[str]) -> None:
    """Opens what waits for stdin's end, and waits for the process."""
    close(process.stdin)
    assert process.wait(PATIENCE) == 0


def close(file: IO[str] | None) -> None:
    assert file is not None
    file.close()


def started(sessions: Sequence[Sequence[AnyEvent]]) -> list[tuple[str, ...]]:
    """The command lines of sessions, as they began."""
    begins = [events[0] for events in sessions]
    assert all(isinstance(begin, SessionStart) and begin.origin == "watch" for begin in begins)
    return [begin.argv for begin in begins if isinstance(begin, SessionStart)]


def executed(events: Sequence[AnyEvent]) -> list[tuple[str, ...]]:
    return [event.argv for event in events if isinstance(event, Exec)]


# --- --exe -----------------------------------------------------------------------------------------------


def test_each_exec_of_a_file_that_matches_is_a_session(tmp_path: Path) -> None:
    tool = tmp_path / "agent-tool"
    tool.write_bytes(Path("/bin/echo").read_bytes())
    tool.chmod(0o755)
    with watch(tmp_path / "store", "--exe", f"{tmp_path}/agent-*") as watching:
        for number in range(3):
            subprocess.run([tool, str(number)], check=True, stdout=subprocess.DEVNULL)
        subprocess.run(["true"], check=True)
        sessions = watching.end()
    commands = [(str(tool), str(number)) for number in range(3)]
    assert sorted(started(sessions)) == sorted(command for (command,) in map(executed, sessions)) == commands
    assert all(isinstance(events[-2], SessionEnd) and events[-2].live == 0 for events in sessions)


# --- --pid -----------------------------------------------------------------------------------------------

#: a thread, a child, and a grandchild whose parent has ended; each executes `echo WORD` when stdin ends, one after the
#: other: a kernel that preempts tracepoints may leave out what several do at once
TREE = """
import os, threading

def says(word):
    child = os.fork()
    if child == 0:
        os.execv('/bin/echo', ['echo', word])
    os.waitpid(child, 0)

ended, lives = os.pipe()
middle = os.fork()
if middle == 0:
    if os.fork() == 0:
        os.read(0, 1)
        says('orphan')
    os._exit(0)
os.close(lives)
os.waitpid(middle, 0)
child = os.fork()
if child == 0:
    os.read(ended, 1)  # until the orphan's end, which holds the other one
    says('child')
    os._exit(0)

def follows():
    os.waitpid(child, 0)
    says('thread')

thread = threading.Thread(target=follows)
thread.start()
print('ready', flush=True)
thread.join()
"""


def test_a_pid_brings_the_threads_and_children_that_it_has(tmp_path: Path) -> None:
    """A grandchild whose parent has ended is nobody's descendant any more, as far as the kernel knows."""
    with (
        waiting(sys.executable, "-c", TREE) as process,
        watch(tmp_path / "store", "--content", "redacted", "--pid", str(process.pid)) as watching,
    ):
        let_go(process)
        (events,) = watching.end(interrupt=False)  # ends with its last session
    assert started([events]) == [(sys.executable, "-c", TREE)]
    assert sorted(executed(events)) == [("echo", "child"), ("echo", "thread")]


def test_a_pid_that_does_not_exist_is_said_to_be_none(tmp_path: Path) -> None:
    done = subprocess.run(
        [*POLYGRAPH, "watch", "--pid", "4194303"],  # the largest of all, PID_MAX_LIMIT - 1
        env={**os.environ, "POLYGRAPH_HOME": str(tmp_path)},
        check=False,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0 and "process 4194303 cannot be enrolled" in done.stderr


# --- --cgroup --------------------------------------------------------------------------------------------


@pytest.fixture
def cgroup() -> Iterator[Path]:
    """A new cgroup, wherever this host has its unified hierarchy."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    root = next(Path(where) for _device, where, kind, *_ in mounts if kind == "cgroup2")
    folder = root / f"polygraph-test-{os.getpid()}"
    folder.mkdir()
    yield folder
    for pid in (folder / "cgroup.procs").read_text().split():
        (root / "cgroup.procs").write_text(pid)
    folder.rmdir()


#: executes `echo WORD` when stdin ends: `sh -c ECHO sh WORD`
ECHO = "echo ready; cat >/dev/null; /bin/echo $1"


def test_a_cgroup_has_the_tasks_of_now_and_of_later(collector: Collector, cgroup: Path) -> None:
    with (
        waiting("sh", "-c", ECHO, "sh", "now") as first,
        waiting("sh", "-c", ECHO, "sh", "later") as second,
        waiting("sh", "-c", ECHO, "sh", "never") as third,
    ):
        (cgroup / "cgroup.procs").write_text(str(first.pid))
        session = collector.enrol_cgroup(cgroup.stat().st_ino, str(cgroup))
        (cgroup / "cgroup.procs").write_text(str(second.pid))
        collector.look_again()
        for process in (first, second, third):
            let_go(process)
        assert not collector.ended(session)  # it may fill again
        events = collector.finish(session)
    assert sorted(executed(events)) == [("/bin/echo", "later"), ("/bin/echo", "now")]


def test_a_cgroup_is_named_by_its_folder(tmp_path: Path, cgroup: Path) -> None:
    with waiting("sh", "-c", ECHO, "sh", "found") as process:
        (cgroup / "cgroup.procs").write_text(str(process.pid))
        with watch(tmp_path / "store", "--cgroup", str(cgroup)) as watching:
            let_go(process)
            (events,) = watching.end()
    assert started([events]) == [(str(cgroup),)]
    assert ("/bin/echo", "found") in executed(events)


def test_a_folder_that_is_no_cgroup_is_refused(tmp_path: Path) -> None:
    done = subprocess.run(
        [*POLYGRAPH, "watch", "--cgroup", str(tmp_path)],
        env={**os.environ, "POLYGRAPH_HOME": str(tmp_path / "store")},
        check=False,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 1 and f"{tmp_path} is no cgroup" in done.stderr


# --- --auto ----------------------------------------------------------------------------------------------

#: asks a name server of its own for a name, connects to the address, waits: `-c RESOLVE name address`
RESOLVE = """
import socket, sys
name, address = sys.argv[1:]
listening = socket.create_server((address, 443))
server = socket.socket(type=socket.SOCK_DGRAM)
server.bind(('127.0.0.1', 53))
client = socket.socket(type=socket.SOCK_DGRAM)
client.connect(('127.0.0.1', 53))
labels = b''.join(bytes([len(label)]) + label for label in name.encode().split(b'.')) + bytes(1)
question = labels + bytes([0, 1, 0, 1])
client.send(bytes([0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]) + question)
asked, peer = server.recvfrom(512)
record = bytes([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]) + socket.inet_aton(address)
server.sendto(asked[:2] + bytes([0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]) + question + record, peer)
client.recv(512)
socket.create_connection((address, 443))
print('ready', flush=True)
sys.stdin.read()
"""

#: gives a name to TLS, waits: `-c INDICATE name`
INDICATE = """
import ssl, sys
ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname=sys.argv[1])
print('ready', flush=True)
sys.stdin.read()
"""

#: in a network namespace of its own, so that the ports are free and nothing leaves the machine
ALONE = ("unshare", "-n", "sh", "-c", 'ip link set lo up && exec "$@"', "sh", sys.executable, "-c")


@pytest.mark.parametrize(
    ("stranger", "agent"),
    [
        (
            (*ALONE, RESOLVE, "www.example.test", "127.0.0.2"),
            (*ALONE, RESOLVE, "api.anthropic.com", "127.0.0.3"),
        ),
        (
            (sys.executable, "-c", INDICATE, "www.example.test"),
            (sys.executable, "-c", INDICATE, "api.openai.com"),
        ),
    ],
    ids=["resolved", "indicated"],
)
def test_whoever_connects_to_a_model_becomes_a_session(
    tmp_path: Path, stranger: tuple[str, ...], agent: tuple[str, ...]
) -> None:
    with watch(tmp_path / "store", "--auto", "--content", "redacted") as watching:
        with waiting(*stranger) as other, waiting(*agent) as process:
            assert f"process {process.pid} " in watching.until("session ")
            let_go(process)
            let_go(other)
        (events,) = watching.end()
    assert started([events])[0][-len(agent) :][-2:] == agent[-2:]
