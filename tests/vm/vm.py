"""Runs a command under another kernel: QEMU boots it with the host's root file system as the guest's.

The kernels come from scripts/kernels.sh, the boot from virtme-ng. The guest is emulated (TCG), never
accelerated, so that it works where nested virtualisation does not; a boot takes about 15 s.
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
import threading
import time
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
RESULTS_VARIABLE = "POLYGRAPH_RESULTS"
"""Names, in the guest, the folder whose files come back as `VmResult.files`."""

_GUEST_SCRIPT = Path(__file__).with_name("guest.sh")
_BOOT_SECONDS = 180
_CONSOLE_BYTES = 1 << 16
_DISK_BYTES = 4 << 30
_QEMU = (
    "-accel tcg,thread=multi,tb-size=512"
    " -virtfs local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap"
)
_LSM = "landlock,lockdown,yama,bpf"


class VmError(Exception):
    """The kernel is missing, did not boot, or died before the command ended."""

    def __init__(self, version: str, what: str) -> None:
        super().__init__(f"kernel {version}: {what}")


@dataclass(frozen=True)
class VmResult:
    """What a command left behind. `kernel_release` is the guest's `uname -r`, `output` stdout and stderr.

    `status` is the exit status; 124 or 137 also says that the command was ended at its timeout.
    """

    kernel_release: str
    status: int
    output: str
    files: dict[str, str]


def kernel_folder(version: str) -> Path:
    """Where scripts/kernels.sh puts the kernel of a series such as "6.12"."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "polygraph" / "kernels" / version


def run_in_kernel(
    version: str, command: list[str], timeout: float, stop: threading.Event | None = None
) -> VmResult:
    """Boots kernel series `version`, runs `command` there as root in the repository, returns what it left.

    `timeout` is in seconds, for the command alone. The guest has tracefs, bpffs, securityfs and cgroup2
    mounted, loopback up, this Python first on PATH, this tree first to be imported, and HOME, /tmp and /var/tmp
    empty on an ext4; the rest of the file system is the host's, read only. Of what it writes, only the files in
    the folder `$POLYGRAPH_RESULTS` come back. Setting `stop` ends the guest within a second. Raises VmError.
    """
    image = kernel_folder(version) / "vmlinuz"
    if not image.is_file():
        raise VmError(version, f"not in {image.parent}: run scripts/kernels.sh")
    shared = REPOSITORY / "build" / "vm"
    shared.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{version}-", dir=shared) as folder:
        results = Path(folder) / "results"
        results.mkdir()
        path = _path()
        environment = f"export PATH={shlex.quote(path)} PYTHONPATH={shlex.quote(str(REPOSITORY))}"
        (results / "command").write_text(f"{environment}\nexec {shlex.join(command)}\n")
        disk = _disk(Path(folder) / "disk", path)
        console = _boot(image, results, disk, path, timeout, stop or threading.Event())
        return _read(version, results, console)


def _path() -> str:
    return os.pathsep.join(
        [str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"]
    )


def _disk(image: Path, path: str) -> Path:
    """An empty ext4 in a sparse file: where the guest works."""
    with image.open("wb") as file:
        file.truncate(_DISK_BYTES)
    environment = {**os.environ, "PATH": path}
    subprocess.run(["mkfs.ext4", "-q", str(image)], check=True, env=environment, stdin=subprocess.DEVNULL)
    return image


def _boot(image: Path, results: Path, disk: Path, path: str, timeout: float, stop: threading.Event) -> str:
    """One boot; returns the end of the console. vng insists on a terminal; its exit status means nothing."""
    guest = ["bash", str(_GUEST_SCRIPT), str(results), str(timeout)]
    arguments = ["--disable-kvm", "--user=root", "--cpus=2", "--memory=2G", f"--append=lsm={_LSM}"]
    arguments += [f"--rwdir={results}", f"--qemu-opts={_QEMU} -drive if=virtio,format=raw,file={disk}"]
    terminal, end = pty.openpty()
    try:
        process = subprocess.Popen(
            ["vng", *arguments, "--run", str(image), "--", *map(shlex.quote, guest)],
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
        console = _console(terminal, time.monotonic() + _BOOT_SECONDS + timeout, stop)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        os.close(terminal)
    return console.decode(errors="replace")


def _console(terminal: int, deadline: float, stop: threading.Event) -> bytes:
    """Reads until the other side closes (a terminal then gives EIO on Linux), the deadline or `stop`."""
    kept = b""
    ready = select.poll()  # no select(), which ends at descriptor 1023: the tests before may hold more
    ready.register(terminal, select.POLLIN)
    while time.monotonic() < deadline and not stop.is_set():
        if not ready.poll(1000):
            continue
        try:
            chunk = os.read(terminal, 1 << 14)
        except OSError:
            break
        kept = (kept + chunk)[-_CONSOLE_BYTES:]
    return kept


def _read(version: str, results: Path, console: str) -> VmResult:
    files = {
        str(file.relative_to(results)): file.read_text(errors="replace")
        for file in results.rglob("*")
        if file.is_file()
    }
    if not files.get("status"):
        seen = "\n".join(f"{name}:\n{files.get(name, 'none')}" for name in ("setup", "output"))
        raise VmError(version, f"the command did not end.\n{seen}\nconsole:\n{console}")
    return VmResult(files["release"].strip(), int(files["status"]), files["output"], files)
