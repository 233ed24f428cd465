"""Runs a command under another kernel: QEMU boots it with the host's root file system as the guest's.

The kernels come from scripts/kernels.sh, the boot from virtme-ng. The guest is emulated (TCG), never accelerated,
so that it works where nested virtualisation does not; a boot takes about 20 s on one core.
"""

from __future__ import annotations

import os
import pty
import select
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
RESULTS_VARIABLE = "POLYGRAPH_RESULTS"
"""Names, in the guest, the folder whose files come back as `VmResult.files`."""

_GUEST_SCRIPT = Path(__file__).with_name("guest.sh")
_BOOT_SECONDS = 180
_CONSOLE_BYTES = 1 << 16
_LSM = "landlock,lockdown,yama,bpf"


class VmError(Exception):
    """The kernel is missing, did not boot, or the command did not end in time."""


@dataclass(frozen=True)
class VmResult:
    """What a command left behind. `kernel_release` is the guest's `uname -r`; `output` is stdout and stderr."""

    kernel_release: str
    status: int
    output: str
    files: dict[str, str]


def kernel_folder(version: str) -> Path:
    """Where scripts/kernels.sh puts the kernel of a series such as "6.12"."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "polygraph" / "kernels" / version


def run_in_kernel(version: str, command: list[str], timeout: float) -> VmResult:
    """Boots kernel series `version`, runs `command` there as root in the repository, returns what it left.

    `timeout` is in seconds, for the command alone. The guest has tracefs, bpffs, securityfs and cgroup2 mounted,
    loopback up, this Python first on PATH, and HOME and TMPDIR on a tmpfs. Of what it writes, only the files in the
    folder `$POLYGRAPH_RESULTS` come back. Raises VmError.
    """
    image = kernel_folder(version) / "vmlinuz"
    if not image.is_file():
        raise VmError(f"kernel {version} is not in {image.parent}: run scripts/kernels.sh")
    shared = REPOSITORY / "build" / "vm"
    shared.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{version}-", dir=shared) as folder:
        results = Path(folder)
        path = _path()
        (results / "command").write_text(
            f"cd {shlex.quote(str(REPOSITORY))}\nexport PATH={shlex.quote(path)}\nexec {shlex.join(command)}\n"
        )
        console = _boot(image, results, path, timeout)
        return _read(version, results, console)


def _path() -> str:
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])


def _boot(image: Path, results: Path, path: str, timeout: float) -> str:
    """One boot; returns the end of the console. vng insists on a terminal, and its exit status means nothing."""
    guest = ["bash", str(_GUEST_SCRIPT), str(results), str(timeout)]
    arguments = ["--disable-kvm", "--user", "root", "--cpus", "2", "--memory", "2G", "--append", f"lsm={_LSM}"]
    terminal, end = pty.openpty()
    try:
        process = subprocess.Popen(
            ["vng", *arguments, f"--rwdir={results}", "--run", str(image), "--", *map(shlex.quote, guest)],
            cwd=REPOSITORY,
            env={**os.environ, "PATH": path},
            stdin=end,
            stdout=end,
            stderr=end,
            start_new_session=True,
        )
    finally:
        os.close(end)
    try:
        console = _console(terminal, time.monotonic() + _BOOT_SECONDS + timeout)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        os.close(terminal)
    return console.decode(errors="replace")


def _console(terminal: int, deadline: float) -> bytes:
    """Reads until the other side closes (a terminal then gives EIO on Linux) or until the deadline."""
    kept = b""
    while (left := deadline - time.monotonic()) > 0:
        if not select.select([terminal], [], [], left)[0]:
            break
        try:
            chunk = os.read(terminal, 1 << 14)
        except OSError:
            break
        kept = (kept + chunk)[-_CONSOLE_BYTES:]
    return kept


def _read(version: str, results: Path, console: str) -> VmResult:
    files = {
        str(file.relative_to(results)): file.read_text(errors="replace") for file in results.rglob("*") if file.is_file()
    }
    if not files.get("status"):
        seen = files.get("output") or "nothing"
        raise VmError(f"kernel {version}: the command did not end. Its output:\n{seen}\nConsole:\n{console}")
    return VmResult(files["release"].strip(), int(files["status"]), files["output"], files)
