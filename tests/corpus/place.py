"""Where a session runs: namespaces of mounts, network and host name, in which nothing is this machine's own.

Every session sees the same names (home, project, marks, tools, host), so a recorded log tells nothing of where it was
made, and sessions can run side by side. What is below the names is a folder of the recorder's.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
#: this machine's, and needed wherever it lies: this tree, and its interpreter
KEPT = (ROOT, Path(sys.base_prefix).resolve())
BUILT = ROOT / "build" / "corpus"
TOOLS = BUILT / "tools"
#: Go's standard library, compiled: a developer's machine has that
GO_CACHE = BUILT / "go-cache"
PYCACHE = BUILT / "pycache"
AGENT = ROOT / "tests" / "truth" / "agent.py"

HOME, PROJECT, TRUTH_FOLDER = Path("/home/agent"), Path("/home/agent/till"), Path("/var/tmp/truth")
HOST, MACHINE = "devbox", "0123456789abcdef0123456789abcdef"
BOOT = "00000000-1111-2222-3333-444444444444"
#: the secret of every session's store: the same words have the same digest in each of them
KEY = bytes(range(32))
PYTHON = "/usr/bin/python3"
GO = Path("/usr/local/go")
#: names are asked for on this host: nobody answers, unless a family brings a server of names
HOSTS, RESOLVER = f"127.0.0.1 localhost\n127.0.1.1 {HOST}\n", "nameserver 127.0.0.1\n"

# linux/sched.h
_CLONE_NEWNS, _CLONE_NEWUTS, _CLONE_NEWNET = 0x20000, 0x4000000, 0x40000000


def environment(extra: dict[str, str]) -> dict[str, str]:
    """A plain environment, nothing of the caller's."""
    return {
        "PATH": f"/opt/tools/bin:{GO}/bin:/opt/rust/bin:/usr/local/bin:/usr/bin:/bin",
        "HOME": str(HOME),
        "LANG": "C.UTF-8",
        "TERM": "dumb",
        "USER": "agent",
        "SHELL": "/bin/bash",
        **extra,
    }


def unshare() -> None:
    """Gives this process namespaces of its own. Raises OSError."""
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNS | _CLONE_NEWUTS | _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "unshare")
    _mount("--make-rprivate", "/")


def enter(folder: Path) -> None:
    """Makes the place over ``folder``; only after :func:`unshare`, mounts are changed for good.

    Raises OSError and subprocess.CalledProcessError when it cannot be made.
    """
    for name in ("home", "var_tmp", "tmp"):
        (folder / name).mkdir(parents=True)
    (folder / "machine-id").write_text(MACHINE + "\n")
    (folder / "boot_id").write_text(BOOT + "\n")
    (folder / "hosts").write_text(HOSTS)
    (folder / "resolv.conf").write_text(RESOLVER)
    for where in ("/opt", "/home"):
        _cover(where, "-t", "tmpfs", "none")
    for path in ("/opt/tools", "/opt/agent", "/opt/rust", HOME):
        Path(path).mkdir()
    _mount("--bind", TOOLS, "/opt/tools")
    if (rust := _rust()) is not None:
        _mount("--bind", rust, "/opt/rust")
    shutil.copy(AGENT, "/opt/agent/agent.py")
    _mount("--bind", folder / "home", HOME)
    _cover("/var/tmp", "--bind", folder / "var_tmp")
    _cover("/tmp", "--bind", folder / "tmp")
    _mount("--bind", folder / "machine-id", "/etc/machine-id")
    _mount("--bind", folder / "hosts", "/etc/hosts")
    _mount("--bind", folder / "resolv.conf", "/etc/resolv.conf")
    _mount("--bind", folder / "boot_id", "/proc/sys/kernel/random/boot_id")
    TRUTH_FOLDER.mkdir()
    PROJECT.mkdir()
    if GO_CACHE.is_dir():
        (folder / "go").mkdir()
        (folder / "go_work").mkdir()
        cache = HOME / ".cache" / "go-build"
        cache.mkdir(parents=True)
        layers = f"lowerdir={GO_CACHE},upperdir={folder / 'go'},workdir={folder / 'go_work'}"
        _mount("-t", "overlay", "-o", layers, "overlay", cache)
    socket.sethostname(HOST)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def leave() -> None:
    """Ends what the session left running: every other process of these namespaces."""
    here = Path("/proc/self/ns/mnt").readlink()
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has just ended
            if int(folder.name) != os.getpid() and (folder / "ns" / "mnt").readlink() == here:
                os.kill(int(folder.name), signal.SIGKILL)


def _mount(*arguments: str | Path) -> None:
    subprocess.run(["mount", *arguments], check=True)


def _cover(where: str, *mounted: str | Path) -> None:
    """Mounts over ``where``; of what lies below, only :data:`KEPT` is there afterwards as well."""
    kept = [path for path in KEPT if path.is_relative_to(where)]
    before = [os.open(path, os.O_PATH) for path in kept]
    _mount(*mounted, where)
    for path, descriptor in zip(kept, before, strict=True):
        path.mkdir(parents=True, exist_ok=True)
        again = ["mount", "--no-canonicalize", "--bind", f"/proc/self/fd/{descriptor}", path]
        subprocess.run(again, check=True, pass_fds=[descriptor])
        os.close(descriptor)


def _rust() -> Path | None:
    """The folder of the Rust toolchain in use, without rustup's own programs."""
    if shutil.which("rustc") is None:
        return None
    said = subprocess.run(["rustc", "--print", "sysroot"], check=True, capture_output=True, text=True)
    return Path(said.stdout.strip())


def make_tools(recording: bool = False) -> None:
    """Installs what the projects use under the names that it has in the place, unless it is there.

    What the suite executes again needs tools.txt; ``recording`` anything else needs recording.txt, too.
    Raises subprocess.CalledProcessError.
    """
    if _is_missing("tools.txt"):
        _install("tools.txt", f"{PYTHON} -m venv --clear /opt/tools")
        if (GO / "bin" / "go").exists():
            _warm_go()
        _note("tools.txt")
    if recording and _is_missing("recording.txt"):
        _install("recording.txt", "true")
        _note("recording.txt")


def _is_missing(names: str) -> bool:
    wanted, done = Path(__file__).parent / names, TOOLS / names
    return not done.exists() or done.read_bytes() != wanted.read_bytes()


def _note(names: str) -> None:
    shutil.copy(Path(__file__).parent / names, TOOLS / names)


def _install(names: str, first: str) -> None:
    """Installs the packages of that list, after a command."""
    TOOLS.mkdir(parents=True, exist_ok=True)
    script = (
        'mount -t tmpfs none /opt && mkdir /opt/tools && mount --bind "$1" /opt/tools'
        f' && {first} && /opt/tools/bin/python -m pip install -q -r "$2"'
    )
    wanted = Path(__file__).parent / names
    subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", TOOLS, wanted],
        check=True,
    )


def _warm_go() -> None:
    GO_CACHE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "go.mod").write_text("module warm\n\ngo 1.21\n")
        (folder / "warm_test.go").write_text(
            'package warm\n\nimport (\n\t"fmt"\n\t"os"\n\t"testing"\n)\n\n'
            "func TestWarm(t *testing.T) { fmt.Fprintln(os.Stderr) }\n"
        )
        env = environment(
            {"GOCACHE": str(GO_CACHE), "GOTOOLCHAIN": "local", "GOTELEMETRY": "off", "HOME": name}
        )
        subprocess.run(["go", "test", "./..."], cwd=folder, env=env, check=True, stdout=subprocess.DEVNULL)


def boot(command: str) -> list[str]:
    """The command line of polygraph out of this tree, which leaves nothing in the environment of what it starts."""
    start = (
        f"import sys; sys.path[0] = {json.dumps(str(ROOT))}; sys.pycache_prefix = {json.dumps(str(PYCACHE))};"
        " from polygraph.cli import main; main()"
    )
    return [sys.executable, "-c", start, command]
