"""bpf/ipc.h: what a process waits for, and for whom. Each wait is held against clocks that both sides read themselves.

The one that is waited for looks until the other one sleeps, reads the clock (``slept``), lets time pass, reads it
again (``acted``) and ends the wait. The one that waits reads it before and after. So a wait lies within the one's
readings, and spans the other's.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from polygraph.events import Fork, Net, Wait
from tests.live.conftest import Observe, Seen

#: what all programs here begin with. ``wait_for(wait, end)``: a child calls ``end`` once its parent sleeps in ``wait``
PRELUDE = """
import ctypes, fcntl, json, os, select, signal, socket, struct, sys, threading, time
libc = ctypes.CDLL(None, use_errno=True)

def clock():
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)
def asleep(pid):
    while open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[0] != "S":
        time.sleep(0.001)
    time.sleep(0.02)  # it has that state a moment before it sleeps
def wait_for(wait, end, times, seconds=0.12):
    back, here = os.pipe()
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        told = []
        for _ in range(times):
            asleep(parent)
            slept = clock()
            time.sleep(seconds)
            told.append((slept, clock()))
            end()
            time.sleep(0.02)
        os.write(here, json.dumps(told).encode())
        os._exit(0)
    readings = []
    for _ in range(times):
        before = clock()
        wait()
        readings.append((before, clock()))
    return pid, readings, lambda: json.loads(os.read(back, 1 << 16))
def done(pid, readings, told, reap=True):
    time.sleep(0.1 + 0.03 * len(readings))  # not in a call that would be told
    if reap:
        os.waitpid(pid, 0)
    json.dump({"pid": pid, "outer": readings, "inner": told()}, open(sys.argv[1], "w"))
"""

PIPE = "r, w = os.pipe()"
PAIR = "a, b = socket.socketpair()"
#: kind, what comes before, how the parent waits, how the child ends it
WAYS: dict[str, tuple[str, str, str, str]] = {
    "pipe": ("pipe", PIPE, "os.read(r, 1)", "os.write(w, b'x')"),
    "pipe that is full": (
        "pipe",
        f"{PIPE}; fcntl.fcntl(w, 1031, 4096); os.write(w, bytes(4096))",
        "os.write(w, bytes(4096))",
        "os.read(r, 4096)",
    ),
    "pipe, by poll": (
        "pipe",
        f"{PIPE}; p = select.poll(); p.register(r, select.POLLIN)",
        "(p.poll(), os.read(r, 1))",
        "os.write(w, b'x')",
    ),
    "pipe, by select": ("pipe", PIPE, "(select.select([r], [], []), os.read(r, 1))", "os.write(w, b'x')"),
    "unix": ("unix", PAIR, "a.recv(1)", "b.send(b'x')"),
    "unix datagrams": (
        "unix",
        "a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)",
        "a.recv(1)",
        "b.send(b'x')",
    ),
    "unix, by epoll": (
        "unix",
        f"{PAIR}; e = select.epoll(); e.register(a, select.EPOLLIN)",
        "(e.poll(), a.recv(1))",
        "b.send(b'x')",
    ),
    "futex": (
        "futex",
        "import mmap; m = mmap.mmap(-1, 4096); at = ctypes.addressof(ctypes.c_char.from_buffer(m))",
        "libc.syscall(202, ctypes.c_void_p(at), 0, 0, None)",
        "libc.syscall(202, ctypes.c_void_p(at), 1, 1)",
    ),
    "semaphore": (
        "semaphore",
        "i = libc.semget(0, 1, 0o600)",
        "libc.semop(i, struct.pack('Hhh', 0, -1, 0), 1)",
        "libc.semop(i, struct.pack('Hhh', 0, 1, 0), 1)",
    ),
    "queue": (
        "queue",
        "i = libc.msgget(0, 0o600); box = ctypes.create_string_buffer(16)",
        "libc.msgrcv(i, box, 8, 0, 0)",
        "libc.msgsnd(i, struct.pack('ll', 1, 0), 8, 0)",
    ),
}


@pytest.fixture
def observe(observe_whole: Observe) -> Observe:
    """Until nothing was left out."""
    return observe_whole


def run(python: Observe, tmp_path: Path, code: str, *arguments: str) -> tuple[Seen, dict[str, Any]]:
    """What was seen of a program, and what it says itself."""
    told = tmp_path / "told.json"
    seen = python(PRELUDE + code, str(told), *arguments)
    assert seen.status == 0 and not seen.lost
    return seen, json.loads(told.read_text("ascii"))


def check(waits: list[Wait], told: dict[str, Any]) -> None:
    """Each wait is told, alone, within what the program read itself."""
    assert len(waits) == len(told["outer"])
    for wait, (before, after), (slept, acted) in zip(waits, told["outer"], told["inner"], strict=True):
        assert before <= wait.first_ts <= slept < acted <= wait.last_ts <= after
        assert wait.count == 1 and wait.total == wait.longest == wait.last_ts - wait.first_ts


def child_of(seen: Seen, told: dict[str, Any]) -> str:
    """The process that the program says was waited for."""
    return next(fork.child for fork in seen.of(Fork) if fork.child.startswith(f"{told['pid']}:"))


@pytest.mark.parametrize("way", WAYS)
def test_whom_a_process_waits_for_and_how_long(python: Observe, tmp_path: Path, way: str) -> None:
    kind, before, wait, end = WAYS[way]
    code = f"{before}\ndone(*wait_for(lambda: {wait}, lambda: {end}, times=3))"
    seen, told = run(python, tmp_path, code)
    child = child_of(seen, told)
    waits = seen.of(Wait, process=seen.root, on=child)
    check([wait for wait in waits if wait.kind == kind], told)
    assert {wait.kind for wait in waits} <= {kind, "child"}


@pytest.mark.parametrize("call", ["fcntl.flock", "fcntl.lockf"])
def test_who_holds_the_lock_that_a_process_waits_for(python: Observe, tmp_path: Path, call: str) -> None:
    code = f"""
path = sys.argv[2]
back, here = os.pipe()
parent = os.getpid()
pid = os.fork()
if pid == 0:
    with open(path, "w") as mine:
        {call}(mine, fcntl.LOCK_EX)
        os.write(here, b"x")
        asleep(parent)
        time.sleep(0.02)  # it read that, and now waits for the lock
        asleep(parent)
        slept = clock()
        time.sleep(0.12)
        acted = clock()
    os.write(here, json.dumps([(slept, acted)]).encode())
    os._exit(0)
os.read(back, 1)
with open(path, "r+") as mine:
    before = clock()
    {call}(mine, fcntl.LOCK_EX)
    after = clock()
done(pid, [(before, after)], lambda: json.loads(os.read(back, 1 << 16)))
"""
    lock = tmp_path / "lock"
    lock.touch()
    seen, told = run(python, tmp_path, code, str(lock))
    (wait,) = seen.of(Wait, kind="lock")
    check([wait], told)
    assert wait.process == seen.root and wait.on == child_of(seen, told)
    assert wait.object == lock.stat().st_ino and not wait.theirs


@pytest.mark.parametrize(
    "wait",
    [
        "os.waitpid(pid, 0)",
        "os.waitid(os.P_PID, pid, os.WEXITED)",
        "select.select([os.pidfd_open(pid)], [], [])",
        "(signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD}), signal.sigwait({signal.SIGCHLD}))",
        "(signal.signal(signal.SIGCHLD, lambda *_: None), signal.pause())",
    ],
)
def test_a_child_that_is_waited_for(python: Observe, tmp_path: Path, wait: str) -> None:
    code = f"""
back, here = os.pipe()
parent = os.getpid()
pid = os.fork()
if pid == 0:
    asleep(parent)
    slept = clock()
    time.sleep(0.12)
    os.write(here, json.dumps([(slept, clock())]).encode())
    os._exit(0)
before = clock()
{wait}
after = clock()
done(pid, [(before, after)], lambda: json.loads(os.read(back, 1 << 16)), reap=False)
"""
    seen, told = run(python, tmp_path, code)
    check(seen.of(Wait, kind="child"), told)
    (found,) = seen.of(Wait, kind="child")
    assert found.process == seen.root and found.on == child_of(seen, told)
    assert seen.of(Wait) == [found]


TCP = """
server = socket.create_server((sys.argv[2], 0), family=socket.AF_INET6 if ":" in sys.argv[2] else socket.AF_INET)
ready, go = os.pipe()
parent = os.getpid()
back, here = os.pipe()
pid = os.fork()
if pid == 0:
    peer, _ = server.accept()
    told = []
    for _ in range(3):
        asleep(parent)
        slept = clock()
        time.sleep(0.12)
        told.append((slept, clock()))
        peer.send(b"x")
        time.sleep(0.02)
    os.write(here, json.dumps(told).encode())
    time.sleep(0.3)
    os._exit(0)
mine = socket.create_connection(server.getsockname()[:2])
server.close()
several = select.epoll()
several.register(mine, select.EPOLLIN)
readings = []
for _ in range(3):
    before = clock()
    WAIT
    readings.append((before, clock()))
done(pid, readings, lambda: json.loads(os.read(back, 1 << 16)))
"""


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("wait", ["mine.recv(1)", "several.poll(); mine.recv(1)"])
def test_who_is_at_the_other_end_of_a_loopback_connection(
    python: Observe, tmp_path: Path, address: str, wait: str
) -> None:
    seen, told = run(python, tmp_path, TCP.replace("WAIT", wait), address)
    child = child_of(seen, told)
    found = seen.of(Wait, kind="loopback", process=seen.root)
    check(found, told)
    assert {one.on for one in found} == {child}
    (accepted,) = seen.of(Net, op="accept")
    (connected,) = seen.of(Net, op="connect")
    by_several = "several" in wait
    assert {(one.object, one.theirs) for one in found} == {
        (accepted.socket if by_several else connected.socket, by_several)
    }


def test_what_is_no_wait_for_another_process_is_not_told(python: Observe, tmp_path: Path) -> None:
    """Time, threads of one's own, private futexes, a server that nobody asks."""
    code = """
r, w = os.pipe()
threading.Thread(target=lambda: (time.sleep(0.05), os.write(w, b"x"))).start()
os.read(r, 1)
event = threading.Event()
threading.Thread(target=lambda: (time.sleep(0.05), event.set())).start()
event.wait()
time.sleep(0.05)
server = socket.create_server(("127.0.0.1", 0))
threading.Thread(target=lambda: (time.sleep(0.05), socket.create_connection(server.getsockname()))).start()
server.accept()
json.dump({}, open(sys.argv[1], "w"))
"""
    seen, _told = run(python, tmp_path, code)
    assert seen.of(Wait) == []


def test_a_timer_is_nobody_though_others_are_busy(python: Observe, tmp_path: Path) -> None:
    """What ends by itself is not put down to a process that ran on that processor, be it in a call or not."""
    code = """
r, w = os.pipe()
busy = []
for number in range(2 * os.cpu_count()):
    pid = os.fork()
    if pid == 0:
        a, b = os.pipe()
        while number % 2:
            pass
        while True:
            os.write(b, bytes(4096))
            os.read(a, 4096)
    busy.append(pid)
p = select.poll()
p.register(r, select.POLLIN)
for _ in range(100):
    p.poll(3)
for pid in busy:
    os.kill(pid, signal.SIGKILL)
time.sleep(0.1)
for pid in busy:
    os.waitpid(pid, 0)
json.dump({}, open(sys.argv[1], "w"))
"""
    seen, _told = run(python, tmp_path, code)
    assert {(wait.kind, wait.on) for wait in seen.of(Wait, process=seen.root)} == {("several", None)}
    # On a busy machine some of them are over before the process sleeps at all.
    assert 0 < sum(wait.count for wait in seen.of(Wait, process=seen.root)) <= 100


def test_short_waits_are_told_together(python: Observe, tmp_path: Path) -> None:
    """None is told twice, and none left out, whenever the list was taken."""
    code = """
r, w = os.pipe()
def one(): os.read(r, 1)
def end(): os.write(w, b"x")
done(*wait_for(one, end, times=60, seconds=0.004))
"""
    seen, told = run(python, tmp_path, code)
    waits = seen.of(Wait, process=seen.root, kind="pipe", on=child_of(seen, told))
    assert sum(wait.count for wait in waits) == 60
    assert sum(wait.total for wait in waits) <= sum(after - before for before, after in told["outer"])
    assert sum(wait.total for wait in waits) >= sum(acted - slept for slept, acted in told["inner"])
