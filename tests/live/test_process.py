"""bpf/process.h: who descends from whom, what runs, how it ends. Counted, never sampled."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from collector.free_text import untold
from polygraph.events import Exec, ExecFailed, Exit, Fork, SessionEnd
from tests.live.conftest import KEY, Observe


def test_forks_without_exec_are_each_seen_and_ended(python_whole: Observe) -> None:
    seen = python_whole(
        """
        import os
        for number in range(200):
            if os.fork() == 0:
                os._exit(number % 100)
            os.wait()
        """
    )
    forks = seen.of(Fork, process=seen.root)
    assert len(forks) == 200
    assert [seen.of(Exit, process=fork.child)[0].status for fork in forks] == [n % 100 for n in range(200)]
    assert not seen.lost and seen.of(SessionEnd)[0].live == 0


def test_a_daemon_that_forks_twice_and_leaves_its_session_is_followed(
    python: Observe, tmp_path: Path
) -> None:
    seen = python(
        """
        import os, sys
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                os.setsid()
                os.execv('/bin/sh', ['sh', '-c', 'exec sleep 0.1'])
            os._exit(0)
        os.wait()
        """
    )
    sleep = seen.of(Exec)[-1]
    assert sleep.argv == ("sleep", "0.1")
    grandchild = next(fork for fork in seen.of(Fork) if fork.child == sleep.process)
    child = next(fork for fork in seen.of(Fork) if fork.child == grandchild.process)
    assert child.process == seen.root
    # The session ends with the daemon, not with the command that was started.
    assert seen.of(Exit)[-1].process == sleep.process


def test_threads_are_no_processes(python: Observe) -> None:
    seen = python(
        """
        import threading
        threads = [threading.Thread(target=int) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        """
    )
    assert not seen.of(Fork) and len(seen.of(Exit)) == 1


def test_a_process_that_threads_fork_is_in_the_lineage(python: Observe) -> None:
    seen = python(
        """
        import os, threading
        def child():
            if os.fork() == 0:
                os._exit(7)
        threads = [threading.Thread(target=child) for _ in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        """
    )
    assert len(seen.of(Fork)) == 10 and len(seen.of(Exit, status=7)) == 10


def test_every_exec_has_its_file_arguments_and_folder(observe: Observe, tmp_path: Path) -> None:
    argument = "with space, 'quotes' and \u00fc\n"
    seen = observe(["sh", "-c", 'cd "$1" && exec /bin/echo "$2"', "sh", str(tmp_path), argument])
    echo = seen.of(Exec)[-1]
    # An argument with white space is content: told by its digest, which has every byte of it.
    assert echo.argv == ("/bin/echo", untold(argument, KEY)) and echo.cwd == str(tmp_path)
    assert echo.path == str(Path("/bin/echo").resolve()) and echo.ino == Path("/bin/echo").stat().st_ino
    assert echo.dev == Path("/bin/echo").stat().st_dev and not echo.argv_truncated
    assert seen.of(Exec)[0].process == echo.process  # an exec replaces, it does not fork


def test_a_script_is_told_with_its_interpreter(observe: Observe, tmp_path: Path) -> None:
    script = tmp_path / "tool"
    script.write_text("#!/bin/sh -e\nexit 4\n")
    script.chmod(0o755)
    seen = observe([str(script), "one"])
    ran = seen.of(Exec)[0]
    assert ran.script == str(script) and ran.path == str(Path("/bin/sh").resolve())
    assert ran.argv == ("/bin/sh", "-e", str(script), "one") and seen.status == 4


@pytest.mark.parametrize("size", [60_000, 200_000])
def test_long_argument_lists_are_whole_or_marked(observe: Observe, size: int) -> None:
    arguments = ["x" * 999] * (size // 1000)
    seen = observe(["/bin/true", *arguments])
    ran = seen.of(Exec)[0]
    assert ran.argv_bytes == size + len("/bin/true") + 1
    assert ran.argv_truncated == (size > 65_536)
    assert ran.argv[:2] == ("/bin/true", "x" * 999)
    if not ran.argv_truncated:
        assert ran.argv == ("/bin/true", *arguments)


def test_an_exec_that_fails_is_no_exec(python: Observe, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("no program")
    seen = python(
        """
        import os, sys
        for path in ('/nonexistent/tool', sys.argv[1]):
            try:
                os.execv(path, ['tool'])
            except OSError as error:
                pass
        """,
        str(tmp_path / "data"),
    )
    assert [(failed.path, failed.errno) for failed in seen.of(ExecFailed)] == [
        ("/nonexistent/tool", 2),
        (str(tmp_path / "data"), 13),
    ]
    assert len(seen.of(Exec)) == 1


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_a_signal_is_told_apart_from_a_status(python: Observe, number: signal.Signals) -> None:
    seen = python(f"import os; os.kill(os.getpid(), {int(number)})")
    end = seen.of(Exit, process=seen.root)[0]
    assert end.signal == number and end.status is None and seen.status == 128 + number


@pytest.mark.parametrize("status", [0, 1, 5, 127, 255])
def test_an_exit_status_is_what_the_parent_gets(observe: Observe, status: int) -> None:
    seen = observe(["sh", "-c", f"exit {status}"])
    assert seen.of(Exit)[0].status == status == seen.status and seen.of(Exit)[0].signal is None


def test_a_process_of_a_millisecond_leaves_nothing_out(observe: Observe) -> None:
    seen = observe(["sh", "-c", "i=0; while [ $i -lt 100 ]; do /bin/true; i=$((i+1)); done"])
    assert len(seen.of(Exec, argv=("/bin/true",))) == 100
    assert len(seen.of(Fork)) == 100 and len(seen.of(Exit)) == 101


def test_the_identity_of_a_process_comes_with_its_exec(observe: Observe) -> None:
    seen = observe(
        [sys.executable, "-S", "-E", "-c", "import os; os.setuid(65534); os.execv('/bin/true', ['true'])"]
    )
    ran = seen.of(Exec)[-1]
    assert ran.uid == 65534 and ran.comm == "true"
    own = {name: Path(f"/proc/self/ns/{name}").stat().st_ino for name in ("mnt", "net", "user", "uts", "ipc")}
    assert {name: ran.namespaces[name] for name in own} == own


def test_threads_that_end_together_end_their_process_once(python_whole: Observe) -> None:
    seen = python_whole(
        """
        import _thread, os
        for _ in range(200):
            if os.fork() == 0:
                locks = [_thread.allocate_lock() for _ in range(24)]
                for lock in locks:
                    lock.acquire()
                    _thread.start_new_thread(lock.acquire, ())
                os._exit(3)
            os.wait()
        """
    )
    ends = [event.process for event in seen.of(Exit)]
    assert len(seen.of(Fork)) == 200 and len(ends) == 201 and len(set(ends)) == 201
