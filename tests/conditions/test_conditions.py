"""Bad conditions: a clear message or a marked gap, never a crash, and the agent is never disturbed.

What happens here does not depend on the kernel's version, so it is tested on the host's alone.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from polygraph.events import Exec, File
from polygraph.log.store import Store
from polygraph.text import to_bytes
from tests.live.conftest import PATIENCE, Gate, gate

__all__ = ["gate"]  # a fixture

POLYGRAPH = (sys.executable, "-m", "polygraph")
Polygraph = Callable[..., "subprocess.CompletedProcess[bytes]"]


@pytest.fixture
def polygraph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Polygraph:
    """Runs the command line with a store of its own, below the command ``inside`` if that is given."""
    monkeypatch.setenv("POLYGRAPH_HOME", str(tmp_path / "store"))

    def run(*arguments: str | bytes, inside: tuple[str, ...] = ()) -> subprocess.CompletedProcess[bytes]:
        command = [*inside, *POLYGRAPH, *arguments]
        return subprocess.run(command, check=False, capture_output=True, timeout=PATIENCE)

    return run


def beneath(mounts: str) -> tuple[str, ...]:
    """Runs what follows in a mount namespace in which ``mounts``, a shell command, was done."""
    return ("unshare", "-m", "sh", "-c", f'{mounts} && exec "$@"', "sh")


def test_without_btf_it_says_so_and_starts_nothing(polygraph: Polygraph, tmp_path: Path) -> None:
    hidden = beneath("mount -t tmpfs none /sys/kernel/btf")
    done = polygraph("run", "--", "touch", str(tmp_path / "started"), inside=hidden)
    assert done.returncode == 1 and not (tmp_path / "started").exists()
    assert b"BTF" in done.stderr and b"CONFIG_DEBUG_INFO_BTF" in done.stderr
    assert b"Traceback" not in done.stderr
    doctor = polygraph("doctor", inside=hidden)
    assert doctor.returncode == 1 and b"BTF missing" in doctor.stdout


# --- the agent ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["script", "program"])
def test_a_missing_interpreter_is_told_as_a_shell_does(
    polygraph: Polygraph, tmp_path: Path, kind: str
) -> None:
    agent = tmp_path / "agent"
    if kind == "script":
        agent.write_text("#!/nonexistent/interpreter\n")
    else:
        true = Path("/bin/true").read_bytes()
        assert true.count(b"/lib64/ld-linux-x86-64.so.2\0") == 1
        agent.write_bytes(true.replace(b"/lib64/ld-linux", b"/lib00/ld-linux"))
    agent.chmod(0o755)
    done = polygraph("run", "--", str(agent))
    assert done.returncode == 127
    assert f"cannot run {agent}: its interpreter is missing".encode() in done.stderr


def test_an_interrupt_at_the_terminal_is_the_agents(polygraph: Polygraph, gate: Gate) -> None:
    """A terminal sends it to the whole process group: the agent decides, polygraph stays to the end."""
    program = f"trap 'exit 42' INT; cat {gate.path}; exit 1"
    # What a shell runs in the background is to ignore interrupts, and a shell cannot trap what it was told to ignore.
    listening = ["env", "--default-signal=INT"]
    with subprocess.Popen(
        [*listening, *POLYGRAPH, "run", "--", "sh", "-c", program],
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        wait_at(gate, process)
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(PATIENCE) == 42
        assert process.stderr is not None and b"exit status 42" in process.stderr.read()


def test_an_agent_outlives_a_polygraph_that_is_killed(
    polygraph: Polygraph, gate: Gate, tmp_path: Path
) -> None:
    """The work goes on, observed or not: a marker proves it. The pipe tells when the agent has ended."""
    program = (
        f"cat {gate.path}; mkdir {tmp_path}/one; /bin/true && touch {tmp_path}/one/marker; exec echo done"
    )
    with subprocess.Popen(
        [*POLYGRAPH, "run", "--quiet", "--", "sh", "-c", program], stdout=subprocess.PIPE
    ) as process:
        wait_at(gate, process)
        process.kill()
        process.wait(PATIENCE)
        gate.open()
        assert process.stdout is not None and process.stdout.read() == b"done\n"
    assert (tmp_path / "one" / "marker").exists()


def wait_at(gate: Gate, process: subprocess.Popen[bytes]) -> None:
    while not gate.reached():
        assert process.poll() is None, "it ended before the agent waited"


# --- where it writes ------------------------------------------------------------------------------------


def test_a_disk_that_is_full_costs_history_and_nothing_else(polygraph: Polygraph, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    full = beneath(f"mount -t tmpfs -o size=256k none {tmp_path}/store")
    # Names that do not compress, more than the disk holds.
    program = """
import os, sys
for number in range(3000):
    os.mkdir(sys.argv[1] + '/' + os.urandom(100).hex())
sys.exit(5)
"""
    (tmp_path / "work").mkdir()
    command = (sys.executable, "-S", "-E", "-c", program, str(tmp_path / "work"))
    done = polygraph("run", "--", *command, inside=full)
    assert done.returncode == 5 and len(list((tmp_path / "work").iterdir())) == 3000
    assert b"not being stored any more" in done.stderr and b"events did not reach the disk" in done.stderr
    assert b"Traceback" not in done.stderr


def test_a_disk_without_any_room_is_said_before_the_start(polygraph: Polygraph, tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    full = beneath(
        f"mount -t tmpfs -o size=64k none {store} && ! dd if=/dev/zero of={store}/full 2>/dev/null"
    )
    done = polygraph("run", "--", "touch", str(tmp_path / "started"), inside=full)
    assert done.returncode == 1 and not (tmp_path / "started").exists()
    assert b"No space left" in done.stderr and b"POLYGRAPH_HOME" in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("option", ["--json", "--report"])
@pytest.mark.parametrize("target", ["/nonexistent/folder/file", "/proc"])
def test_a_file_that_cannot_be_written_is_said_before_the_start(
    polygraph: Polygraph, tmp_path: Path, option: str, target: str
) -> None:
    done = polygraph("run", option, target, "--", "touch", str(tmp_path / "started"))
    assert done.returncode == 1 and target.encode() in done.stderr and b"Traceback" not in done.stderr
    assert not (tmp_path / "started").exists()


def test_a_report_that_can_no_longer_be_written_is_a_note(polygraph: Polygraph, tmp_path: Path) -> None:
    folder = tmp_path / "reports"
    folder.mkdir()
    done = polygraph("run", "--report", f"{folder}/a.html", "--", "sh", "-c", f"rmdir {folder}; exit 6")
    assert done.returncode == 6 and f"{folder}/a.html".encode() in done.stderr
    assert b"Traceback" not in done.stderr


# --- hostile names --------------------------------------------------------------------------------------

HOSTILE = (
    b"new\nline",
    b"\x1b]0;title\x07\x1b[31mred\x1b[0m",
    b"\xff\xfe\xc3(",
    b"</script><script>alert(1)</script>",
    b"\xe2\x80\xae\xe2\x80\x8bbidi",
)


def test_hostile_names_come_through_whole_and_never_reach_the_terminal(
    polygraph: Polygraph, tmp_path: Path
) -> None:
    deep = os.fsencode(tmp_path) + b"/" + b"/".join([b"d" * 250] * 14)
    program = (
        "import os, sys\n"
        "for name in sys.argv[2:]: os.close(os.open(os.fsencode(name).replace(b'/', b'|'), os.O_CREAT | os.O_WRONLY))\n"
        "os.makedirs(sys.argv[1]); os.close(os.open(sys.argv[1] + '/end', os.O_CREAT | os.O_WRONLY))"
    )
    work = tmp_path / "work"
    work.mkdir()
    report, lines = tmp_path / "report.html", tmp_path / "verdicts.jsonl"
    done = polygraph(
        *("run", "--content", "redacted", "--report", str(report), "--json", str(lines)),
        *("--", "env", "-C", str(work)),
        *(sys.executable, "-S", "-E", "-c", program, deep, *HOSTILE),
    )
    assert done.returncode == 0, done.stderr

    listed = json.loads(polygraph("sessions", "--json").stdout)
    with Store(tmp_path / "store") as store:
        events = list(store.events(listed["id"]))
    made = {to_bytes(event.path) for event in events if isinstance(event, File) and event.op == "create"}
    expected = {os.fsencode(work) + b"/" + name.replace(b"/", b"|") for name in HOSTILE}
    assert made == {*expected, deep + b"/end"}
    argv = next(event.argv for event in events if isinstance(event, Exec) and "python" in event.path)
    assert tuple(map(to_bytes, argv[-len(HOSTILE) :])) == HOSTILE

    shown = [done.stderr, polygraph("sessions").stdout, polygraph("verdicts").stdout]
    for text in shown:
        assert b"\x1b]" not in text and b"\x1b[31m" not in text and b"\x07" not in text
        text.decode()  # valid UTF-8, whatever the agent's is
    page = report.read_bytes().decode()
    assert "<script>alert(1)" not in page and "\x1b" not in page
    assert all(json.loads(line) for line in lines.read_bytes().splitlines())
