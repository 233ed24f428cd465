"""collector.launch: the command starts when it is released, as it would have without polygraph."""

import os
import signal
import time
from pathlib import Path

import pytest

from collector.launch import Launched, LaunchError


def test_nothing_runs_before_the_release(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    launched = Launched(["/bin/sh", "-c", f"touch {mark}"])
    time.sleep(0.05)
    assert not mark.exists() and launched.poll() is None
    launched.release()
    assert launched.wait() == 0 and mark.exists()


@pytest.mark.parametrize(
    ("script", "status"), [("exit 0", 0), ("exit 3", 3), ("kill -9 $$", 137), ("kill -TERM $$", 143)]
)
def test_exit_status_is_the_commands(script: str, status: int) -> None:
    launched = Launched(["/bin/sh", "-c", script])
    launched.release()
    assert launched.wait() == status
    assert launched.poll() == status


def test_an_abandoned_command_never_runs(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    launched = Launched(["/bin/sh", "-c", f"touch {mark}"])
    launched.abandon()
    launched.abandon()
    assert not mark.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(launched.pid, 0)


def test_no_descriptor_of_ours_is_inherited(tmp_path: Path) -> None:
    out = tmp_path / "out"
    mine = sorted((path.name for path in Path("/proc/self/fd").iterdir()), key=int)
    launched = Launched(["/bin/sh", "-c", f"ls /proc/self/fd > {out}"])
    launched.release()
    assert launched.wait() == 0
    inheritable = {fd for fd in mine if Path(f"/proc/self/fd/{fd}").exists() and os.get_inheritable(int(fd))}
    listed = set(out.read_text().split())
    assert {"0", "1", "2"} <= listed
    assert listed - inheritable - {"0", "1", "2"} <= {"3"}, "beyond ours there is only the listing itself"


def test_sigpipe_is_deadly_again() -> None:
    launched = Launched(["/bin/sh", "-c", "kill -PIPE $$; exit 9"])
    launched.release()
    assert launched.wait() == 128 + signal.SIGPIPE


def test_a_command_that_does_not_exist_is_refused_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(LaunchError, match="command not found") as caught:
        Launched(["no-such-command-here"])
    assert caught.value.status == 127
    plain = tmp_path / "plain"
    plain.write_text("hello")
    with pytest.raises(LaunchError, match="not executable") as caught:
        Launched([str(plain)])
    assert caught.value.status == 126


def test_a_file_that_the_kernel_will_not_execute_says_so(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.write_bytes(b"\x7fELF and no more")
    broken.chmod(0o755)
    launched = Launched([str(broken)])
    with pytest.raises(LaunchError, match="Exec format error") as caught:
        launched.release()
    assert caught.value.status == 126


def test_what_is_abandoned_ends_though_a_fork_of_ours_lives_on() -> None:
    launched = Launched(["true"])
    ended, held = os.pipe()
    fork = os.fork()
    if fork == 0:
        os.close(held)
        os.read(ended, 1)
        os._exit(0)
    try:
        launched.abandon()
        assert launched.poll() == 0
    finally:
        os.close(held)
        os.waitpid(fork, 0)
