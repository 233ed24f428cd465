"""Starts a command that waits until it is observed.

The child is forked first and blocks on a pipe, so it can be enrolled before its first instruction; then it
becomes the command by one exec. What it inherits is what it would have had without polygraph: terminal,
process group, signal dispositions, environment, open files.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from errno import ENOENT
from pathlib import Path

from polygraph.errors import PolygraphError

#: signals that Python changes at start and a program must find as they were (cf. subprocess.Popen)
_RESTORED = (signal.SIGPIPE, signal.SIGXFSZ)


class LaunchError(PolygraphError):
    """The command cannot be started. ``status`` is what a shell would return: 127 not found, 126 not executable."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message, "check the command after `--`")
        self.status = status


class Launched:
    """A forked child that has not become the command yet."""

    def __init__(self, argv: Sequence[str], env: Mapping[str, str] | None = None) -> None:
        """Forks. Raises LaunchError when the command does not exist."""
        environment = dict(os.environ if env is None else env)
        self.argv = tuple(argv)
        self.path = _resolve(argv[0], environment)
        gate_read, self._gate = os.pipe2(os.O_CLOEXEC)
        self._failure, failure_write = os.pipe2(os.O_CLOEXEC)
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._gate)
            _become(gate_read, failure_write, self.path, self.argv, environment)
        os.close(gate_read)
        os.close(failure_write)
        self._status: int | None = None
        self._released = False

    def release(self) -> None:
        """Lets the child become the command. Raises LaunchError when the exec is refused."""
        self._released = True
        with suppress(BrokenPipeError):  # it was ended while it waited: its status says so
            os.write(self._gate, b"x")
        os.close(self._gate)
        with os.fdopen(self._failure, "rb") as pipe:
            failure = pipe.read(16)  # ends with the exec: the pipe is close-on-exec
        if failure:
            errno = int(failure)
            os.waitpid(self.pid, 0)
            self._status = 127 if errno == ENOENT else 126
            missing = errno == ENOENT and Path(self.path).exists()
            why = "its interpreter is missing" if missing else os.strerror(errno)
            raise LaunchError(f"cannot run {self.path}: {why}", self._status)

    def abandon(self) -> None:
        """Ends the child without its ever becoming the command; nothing if it was released."""
        if self._released:
            return
        self._released = True
        with suppress(BrokenPipeError):  # an interrupt from the terminal has ended the child already
            os.write(
                self._gate, b"-"
            )  # its end alone is not enough: a fork of ours may hold another end of it
        os.close(self._gate)
        os.close(self._failure)
        self._status = 0
        os.waitpid(self.pid, 0)

    def wait(self) -> int:
        """Waits for the command's end: its exit status, 128 + N for signal N."""
        if self._status is None:
            self._note(os.waitpid(self.pid, 0)[1])
        assert self._status is not None
        return self._status

    def poll(self) -> int | None:
        """Exit status once it ended (128 + N for signal N), else None."""
        if self._status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._note(status)
        return self._status

    def _note(self, status: int) -> None:
        code = os.waitstatus_to_exitcode(status)
        self._status = code if code >= 0 else 128 - code


def _resolve(command: str, environment: Mapping[str, str]) -> str:
    # Found here, so that the search leaves no failed exec among the agent's effects.
    found = shutil.which(command, path=environment.get("PATH", os.defpath))
    if found is not None:
        return os.path.abspath(found)  # noqa: PTH100 - resolve() would follow links: argv[0] decides what runs
    if "/" in command and Path(command).exists():
        raise LaunchError(f"{command} is not executable", 126)
    raise LaunchError(f"{command}: command not found", 127)


def _become(
    gate: int, failure: int, path: str, argv: tuple[str, ...], environment: dict[str, str]
) -> None:  # pragma: no cover - runs in the child
    try:
        if os.read(gate, 1) != b"x":
            os._exit(0)  # abandoned, or polygraph has ended
        for number in _RESTORED:
            signal.signal(number, signal.SIG_DFL)
        os.execve(path, argv, environment)
    except OSError as error:
        os.write(failure, str(error.errno).encode())
    finally:
        os._exit(127)
