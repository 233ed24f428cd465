"""Work that is given to programs outside the lineage, which run here: whose it is, and that nobody else's is told."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from collector.kernel.source import KernelSource
from polygraph.events import AnyEvent, Delegated, Exec, Exit, File, Fork, Net, SessionStart
from tests.live.conftest import PATIENCE, Gate, Observe, Seen

#: how often a client asks while somebody else's does the same
TIMES = 6


def executed(seen: Seen, program: Path) -> list[Exec]:
    """Execs of a shell script."""
    return [image for image in seen.of(Exec) if image.script == str(program)]


def strangers(seen: Seen) -> set[str]:
    """Processes of events that neither descend from the root nor were delegated to."""
    known = {seen.of(SessionStart)[0].process} if seen.of(SessionStart) else {seen.root}
    known |= {event.process for event in seen.of(Delegated)} | {event.child for event in seen.of(Fork)}
    return {p for event in seen.events if (p := getattr(event, "process", None))} - known


def subtree(seen: Seen, top: str) -> set[str]:
    found = {top}
    for fork in seen.of(Fork):
        if fork.process in found:
            found.add(fork.child)
    return found


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n", "utf-8")
    path.chmod(0o755)
    return path


def asked_by(seen: Seen, program: str) -> set[str]:
    """Processes that executed a program of this name."""
    return {image.process for image in seen.of(Exec) if Path(image.path).name == program}


@contextmanager
def meanwhile(command: list[str], environment: dict[str, str]) -> Iterator[Callable[[], int]]:
    """Runs a command, again and again, until the block ends; gives a count of the runs that went well."""
    loop = 'while [ ! -e "$0" ]; do "$@" </dev/null >/dev/null 2>&1 && echo; done'
    stop = Path(environment["STOP"])
    with subprocess.Popen(
        ["/bin/sh", "-c", loop, str(stop), *command], env=environment, stdout=subprocess.PIPE
    ) as process:
        lines = 0

        def ran() -> int:
            return lines

        try:
            assert process.stdout is not None and process.stdout.readline()
            yield ran
        finally:
            stop.touch()
            assert process.stdout is not None
            lines = 1 + len(process.stdout.read())
            assert process.wait(PATIENCE) == 0


# --- tmux ------------------------------------------------------------------------------------------------


class Tmux(NamedTuple):
    """A server that was there before any session."""

    environment: dict[str, str]
    #: whoever reads it waits until someone writes to it
    gate: Path

    def run(self, *arguments: str) -> None:
        subprocess.run(["tmux", *arguments], env=self.environment, check=True)

    def asks(self, *clients: str) -> list[str]:
        """A command that asks the server, and goes on until something that it runs has opened the gate.

        A session whose last process has ended is over, whatever a server is about to do for it.
        """
        return ["/bin/sh", "-c", f"{'; '.join(f'tmux {client}' for client in clients)}; read x <{self.gate}"]


@pytest.fixture
def tmux(tmp_path: Path) -> Iterator[Tmux]:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "SHELL": "/bin/sh",
        "TMUX_TMPDIR": str(tmp_path),
        "STOP": str(tmp_path / "stop"),
        "LANG": "C.UTF-8",
    }
    server = Tmux(environment, tmp_path / "gate")
    os.mkfifo(server.gate)
    server.run("-f", "/dev/null", "new-session", "-d", "sleep 1000")
    yield server
    server.run("kill-server")


def test_what_a_tmux_server_runs_for_the_session_is_the_sessions(
    tmux: Tmux, observe_whole: Observe, tmp_path: Path
) -> None:
    ours = script(tmp_path / "ours", f"cat /etc/hostname; echo >{tmux.gate}; exit 3")
    seen = observe_whole(tmux.asks(f"new-window {ours}"), env=tmux.environment)
    (delegated,) = seen.of(Delegated)
    (client,) = asked_by(seen, "tmux")
    assert (delegated.by, delegated.through) == (client, "tmux")
    assert (delegated.evidence, delegated.grade) == ("command", "exact")
    (image,) = executed(seen, ours)
    assert image.process in subtree(seen, delegated.process)
    assert [e.status for e in seen.of(Exit, process=delegated.process)] == [3]
    assert seen.of(File, op="read", path="/etc/hostname") or asked_by(seen, "cat")
    assert not strangers(seen)
    assert not seen.lost


def test_several_words_are_executed_as_they_are(tmux: Tmux, observe_whole: Observe, tmp_path: Path) -> None:
    ours = script(tmp_path / "ours", f"echo >{tmux.gate}")
    seen = observe_whole(tmux.asks(f"split-window {ours} -k a"), env=tmux.environment)
    assert [event.evidence for event in seen.of(Delegated)] == ["command"]
    assert [image.argv[1:] for image in executed(seen, ours)] == [(str(ours), "-k", "a")]


def test_what_is_typed_into_a_window_of_the_session_is_seen(
    tmux: Tmux, observe_whole: Observe, tmp_path: Path
) -> None:
    ours = script(tmp_path / "ours", f"echo >{tmux.gate}")
    run = tmux.asks("new-window -n mine", f"send-keys -t mine '{ours};exit' Enter")
    seen = observe_whole(run, env=tmux.environment)
    (delegated,) = seen.of(Delegated)
    assert (delegated.evidence, delegated.grade) == ("shell", "strong")
    (image,) = executed(seen, ours)
    assert image.process in subtree(seen, delegated.process)
    assert not strangers(seen)


def test_nobody_elses_windows_are_told(tmux: Tmux, observe: Observe, tmp_path: Path) -> None:
    ours, theirs = script(tmp_path / "ours", "exit 0"), script(tmp_path / "theirs", "exit 0")
    run = tmux.asks(*[f"new-window {ours}", "new-window"] * TIMES, f"new-window 'echo >{tmux.gate}'")
    with meanwhile(
        ["tmux", "new-window", str(theirs), ";", "new-window", "exec sh"], tmux.environment
    ) as ran:
        seen = observe(run, env=tmux.environment, meanwhile=shells_end())
    assert ran() > 1
    assert not executed(seen, theirs)
    followed = [event.process for event in seen.of(Delegated) if event.evidence == "command"]
    assert len(followed) <= TIMES + 1 and len(executed(seen, ours)) <= TIMES
    if seen.whole:
        assert len(executed(seen, ours)) <= len(followed)
        assert {event.by for event in seen.of(Delegated)} <= asked_by(seen, "tmux")
        assert not strangers(seen)


def shells_end() -> Callable[[list[AnyEvent]], object]:
    """Ends login shells of the session, which wait for what is typed."""
    ended: set[str] = set()

    def look(events: list[AnyEvent]) -> None:
        for event in events:
            if isinstance(event, Delegated) and event.evidence == "shell" and event.process not in ended:
                ended.add(event.process)
                pid = int(event.process.partition(":")[0])
                os.kill(pid, signal.SIGHUP)

    return look


def test_a_server_that_the_session_started_is_of_the_lineage(observe_whole: Observe, tmp_path: Path) -> None:
    ours = script(tmp_path / "ours", "exit 0")
    environment = {"PATH": os.environ["PATH"], "TMUX_TMPDIR": str(tmp_path), "SHELL": "/bin/sh"}
    seen = observe_whole(["tmux", "-f", "/dev/null", "new-session", "-d", str(ours)], env=environment)
    assert not seen.of(Delegated)
    assert len(executed(seen, ours)) == 1


def test_a_connection_to_a_unix_socket_says_who_listens(tmux: Tmux, observe_whole: Observe) -> None:
    seen = observe_whole(["tmux", "list-sessions"], env=tmux.environment)
    (net,) = seen.of(Net, op="connect", family="unix", errno=0)
    command = Path(f"/proc/{net.peer_pid}/cmdline").read_bytes().split(b"\0")
    assert command[-2] == b"sleep 1000"


# --- ssh -------------------------------------------------------------------------------------------------


class Sshd(NamedTuple):
    """A server that was there before any session."""

    client: list[str]
    environment: dict[str, str]
    host_key: Path


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    host_key, own_key, allowed = tmp_path / "host", tmp_path / "own", tmp_path / "allowed"
    for key in (host_key, own_key):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    shutil.copy(f"{own_key}.pub", allowed)
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = tmp_path / "sshd_config"
    config.write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {host_key}\nAuthorizedKeysFile {allowed}\nPidFile none\n"
        "StrictModes no\nPermitRootLogin yes\nUsePAM no\nMaxStartups 100\n",
        "utf-8",
    )
    client = [
        "ssh",
        "-F",
        "none",
        "-o",
        "StrictHostKeyChecking=no",
        "-o",
        f"UserKnownHostsFile={tmp_path}/known",
    ]
    client += ["-o", "LogLevel=ERROR", "-i", str(own_key), "-p", str(port), "root@127.0.0.1"]
    environment = {"PATH": os.environ["PATH"], "STOP": str(tmp_path / "stop")}
    with subprocess.Popen(
        ["/usr/sbin/sshd", "-D", "-e", "-f", config], stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stderr is not None
            while "listening" not in (line := process.stderr.readline()):
                assert line, "sshd did not start"
            yield Sshd(client, environment, host_key)
        finally:
            process.terminate()


def test_what_ssh_runs_on_this_host_is_the_sessions(
    sshd: Sshd, observe_whole: Observe, tmp_path: Path
) -> None:
    ours = script(tmp_path / "ours", "exit 3")
    seen = observe_whole([*sshd.client, str(ours)], env=sshd.environment)
    assert seen.status == 3
    (delegated,) = seen.of(Delegated)
    assert (delegated.by, delegated.through) == (seen.root, "ssh")
    assert (delegated.evidence, delegated.grade) == ("connection", "exact")
    (image,) = executed(seen, ours)
    assert image.process in subtree(seen, delegated.process)
    assert [e.status for e in seen.of(Exit, process=image.process)] == [3]
    # What the server does itself is nobody's.
    assert not strangers(seen)
    assert "sshd" not in {Path(image.path).name for image in seen.of(Exec)}
    assert not seen.of(File, path=str(sshd.host_key))


def test_nobody_elses_logins_are_told(sshd: Sshd, observe: Observe, tmp_path: Path) -> None:
    ours, theirs = script(tmp_path / "ours", "exit 0"), script(tmp_path / "theirs", "exit 0")
    run = f'for i in $(seq {TIMES}); do "$0" "$@" {ours} & done; wait'
    with meanwhile([*sshd.client, str(theirs)], sshd.environment) as ran:
        seen = observe(["/bin/sh", "-c", run, *sshd.client], env=sshd.environment)
    assert ran() > 1
    assert not executed(seen, theirs)
    followed, runs, clients = seen.of(Delegated), executed(seen, ours), asked_by(seen, "ssh")
    if seen.whole:
        assert len(runs) == len(followed) == len(clients) == TIMES
        assert {event.by for event in followed} == clients
        assert not strangers(seen)
    else:  # some of it was left out
        assert len(runs) <= TIMES and len(followed) <= TIMES and len(clients) <= TIMES


def test_a_connection_that_is_no_login_is_not_followed(
    sshd: Sshd, observe_whole: Observe, tmp_path: Path
) -> None:
    """A server that answers and ends it."""
    port = sshd.client[sshd.client.index("-p") + 1]
    code = f"import socket; s = socket.create_connection(('127.0.0.1', {port})); s.recv(100); s.close()"
    seen = observe_whole(["python3", "-S", "-E", "-c", code], env=sshd.environment)
    assert not seen.of(Delegated)
    assert not strangers(seen)


# --- docker ----------------------------------------------------------------------------------------------

#: A server with the two calls of Docker's API that matter here, and what runc does: a cgroup, a process in it, an exec.
DOCKERD = """
import json, os, secrets, sys
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ForkingMixIn, UnixStreamServer

socket, hierarchy, program = sys.argv[1:]

class Server(ForkingMixIn, UnixStreamServer):
    max_children = 100

class Answer(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def log_message(self, *_):
        pass
    def do_POST(self):
        self.rfile.read(int(self.headers['Content-Length']))
        container = secrets.token_hex(32) if self.path.endswith('/create') else self.path.split('/')[3]
        if self.path.endswith('/start'):
            group = Path(hierarchy, f'docker-{container}.scope')
            group.mkdir()
            child = os.fork()
            if child == 0:
                (group / 'cgroup.procs').write_text('0')
                os.execv(program, [program])
            os.waitpid(child, 0)
            while True:
                try:
                    group.rmdir()
                    break
                except OSError:
                    pass  # the kernel has not put the process away yet
        body = json.dumps({'Id': container, 'Warnings': []}).encode()
        self.send_response(201 if self.path.endswith('/create') else 204)
        body = body if self.path.endswith('/create') else b''
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        if body:
            self.wfile.write(body)

with Server(socket, Answer) as server:
    print('ready', flush=True)
    server.serve_forever()
"""
#: A client, as Docker's own does it: create, start with the id that was answered. Between the two it reads a file.
CLIENT = """
import http.client, json, socket, sys

class Connection(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(sys.argv[1])

connection = Connection('docker')
def post(path):
    connection.request('POST', f'/v1.43{path}', b'{}', {'Content-Type': 'application/json'})
    return connection.getresponse().read()
container = json.loads(post('/containers/create'))['Id']
open(sys.argv[2]).read()
post(f'/containers/{container}/start')
"""


@pytest.fixture
def hierarchy(tmp_path: Path) -> Iterator[Path]:
    """A cgroup of the unified hierarchy, wherever that is mounted."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text("utf-8").splitlines()]
    top = next(Path(where) for _, where, kind, *_ in mounts if kind == "cgroup2")
    made = top / tmp_path.name
    made.mkdir()
    yield made
    made.rmdir()


@pytest.fixture
def docker(tmp_path: Path, hierarchy: Path) -> Iterator[tuple[list[str], Path]]:
    """(a client's command, the program of each container). The server's file is called as Docker's is."""
    ours, daemon, at = script(tmp_path / "ours", "exit 3"), tmp_path / "dockerd", str(tmp_path / "socket")
    shutil.copy(Path(sys.executable).resolve(), daemon)
    environment = {**os.environ, "PYTHONHOME": sys.base_prefix}
    with subprocess.Popen(
        [daemon, "-S", "-c", DOCKERD, at, hierarchy, ours], env=environment, stdout=subprocess.PIPE
    ) as process:
        try:
            assert process.stdout is not None and process.stdout.readline()
            yield [sys.executable, "-S", "-E", "-c", CLIENT, at], ours
        finally:
            process.terminate()


@pytest.fixture
def prepared(monkeypatch: pytest.MonkeyPatch, gate: Gate) -> Callable[[list[AnyEvent]], object]:
    """Opens the gate once the kernel side has been told what to expect. Docker itself takes its time to start one."""
    told: list[str] = []
    original = KernelSource.expect_group

    def expect(self: KernelSource, name: str, *whose: Any) -> None:
        original(self, name, *whose)
        told.append(name)

    monkeypatch.setattr(KernelSource, "expect_group", expect)
    return lambda _events: gate.open(when=bool(told))


def test_what_runs_in_a_container_that_was_made_for_the_session_is_the_sessions(
    docker: tuple[list[str], Path], observe: Observe, gate: Gate, prepared: Callable[..., object]
) -> None:
    client, ours = docker
    seen = observe([*client, gate.path], meanwhile=prepared)
    (delegated,) = seen.of(Delegated)
    assert (delegated.by, delegated.through) == (seen.root, "docker")
    assert (delegated.evidence, delegated.grade) == ("cgroup", "exact")
    (image,) = executed(seen, ours)
    assert image.process == delegated.process and image.container is not None
    assert [e.status for e in seen.of(Exit, process=image.process)] == [3]
    assert not strangers(seen)


def test_nobody_elses_containers_are_told(
    docker: tuple[list[str], Path],
    observe: Observe,
    gate: Gate,
    prepared: Callable[..., object],
    tmp_path: Path,
) -> None:
    client, ours = docker
    with meanwhile([*client, "/dev/null"], {**os.environ, "STOP": str(tmp_path / "stop")}) as ran:
        seen = observe([*client, gate.path], meanwhile=prepared)
    assert ran() > 1
    followed, runs = seen.of(Delegated), executed(seen, ours)
    assert len(followed) <= 1 and len(runs) <= 1
    if seen.whole:
        assert followed and runs and not strangers(seen)


# --- TRACEPARENT -----------------------------------------------------------------------------------------


def test_the_trace_context_in_an_environment_is_told(observe_whole: Observe) -> None:
    context = f"00-{'ab' * 16}-{'cd' * 8}-01"
    long = {f"LONG_{number}": "x" * 997 for number in range(20)}
    environment = {"PATH": os.environ["PATH"], **long, "NOT_TRACEPARENT": "00", "TRACEPARENT": context}
    seen = observe_whole(
        ["/bin/sh", "-c", "unset TRACEPARENT; /bin/true; TRACEPARENT=secret /bin/false"], env=environment
    )
    told = {Path(image.argv[0]).name: image.traceparent for image in seen.of(Exec)}
    assert told == {"sh": context, "true": None, "false": None}
