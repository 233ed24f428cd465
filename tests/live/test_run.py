"""`polygraph run` and `doctor` as a user starts them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from polygraph.events import Exec, SessionEnd, SessionStart
from polygraph.log.store import Store
from polygraph.reasons import DIMENSIONS
from tests.collector.tls.elfs import build, installed, strip
from tests.collector.tls.test_discover import LABELS, constants
from tests.live.conftest import PATIENCE

#: the command line
POLYGRAPH = (sys.executable, "-m", "polygraph")

Polygraph = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def polygraph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Polygraph:
    """Runs the command line with a store of its own."""
    monkeypatch.setenv("POLYGRAPH_HOME", str(tmp_path / "store"))

    def run(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # type: ignore[call-overload,no-any-return]
            [*POLYGRAPH, *arguments],
            check=False,
            **{"capture_output": True, "text": True, "timeout": PATIENCE, **options},
        )

    return run


def test_the_command_keeps_its_streams_and_status(polygraph: Polygraph) -> None:
    done = polygraph("run", "--", "sh", "-c", "cat; echo out; echo err >&2; exit 7", input="in\n")
    assert done.returncode == 7 and done.stdout == "in\nout\n"
    assert "err\n" in done.stderr and "exit status 7" in done.stderr


def test_quiet_is_silent(polygraph: Polygraph) -> None:
    done = polygraph("run", "--quiet", "--", "sh", "-c", "echo out; echo err >&2")
    assert (done.returncode, done.stdout, done.stderr) == (0, "out\n", "err\n")


@pytest.mark.parametrize(("command", "status"), [("/no/such/command", 127), ("/etc/hostname", 126)])
def test_a_command_that_cannot_run_is_told_as_a_shell_does(
    polygraph: Polygraph, command: str, status: int
) -> None:
    done = polygraph("run", "--", command)
    assert done.returncode == status and command in done.stderr


def test_a_signal_becomes_a_status(polygraph: Polygraph) -> None:
    assert polygraph("run", "--quiet", "--", "sh", "-c", "kill -9 $$").returncode == 137


def test_a_request_to_end_is_passed_on(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    program = f"trap 'exit 9' TERM; touch {ready}; while :; do sleep 0.05; done"
    with subprocess.Popen(
        [*POLYGRAPH, "run", "--quiet", "--", "sh", "-c", program],
        env={**os.environ, "POLYGRAPH_HOME": str(tmp_path / "store")},
    ) as process:
        while not ready.exists():
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 9


def test_the_session_is_stored_and_can_be_read(polygraph: Polygraph) -> None:
    polygraph("run", "--quiet", "--", "sh", "-c", "/bin/true; /bin/echo hello", cwd="/")
    sessions = [json.loads(line) for line in polygraph("sessions", "--json").stdout.splitlines()]
    assert len(sessions) == 1 and sessions[0]["status"] == 0
    with Store() as store:
        events = list(store.events(sessions[0]["id"]))
    assert isinstance(events[0], SessionStart) and any(isinstance(event, SessionEnd) for event in events)
    assert [event.argv for event in events if isinstance(event, Exec)][1:] == [
        ("/bin/true",),
        ("/bin/echo", "hello"),
    ]
    assert [event.seq for event in events] == list(range(len(events)))


def test_the_run_ends_with_the_lineage_and_not_before(polygraph: Polygraph, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    done = polygraph(
        *("run", "--quiet", "--linger", "30", "--", "sh", "-c"),
        f"(setsid sh -c 'sleep 0.3; touch {mark}' &) ; exit 5",
    )
    assert done.returncode == 5 and mark.exists()


def test_a_process_left_behind_does_not_hold_the_run(polygraph: Polygraph, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    done = polygraph("run", "--quiet", "--", "sh", "-c", f"sleep 300 >/dev/null 2>&1 & echo $! > {pid}")
    os.kill(int(pid.read_text()), signal.SIGKILL)  # it still runs
    assert done.returncode == 0


def test_without_privilege_it_says_what_to_do(polygraph: Polygraph) -> None:
    done = subprocess.run(
        ["setpriv", "--bounding-set=-bpf,-perfmon,-sys_admin,-sys_ptrace", *POLYGRAPH, "run", "--", "true"],
        check=False,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 1 and "refused" in done.stderr and "CAP_BPF" in done.stderr


def test_doctor_proves_this_host(polygraph: Polygraph) -> None:
    done = polygraph("doctor", "--json")
    health = json.loads(done.stdout)
    assert done.returncode == 0 and health["ok"] and health["tls_libraries"], health
    assert [row["dimension"] for row in health["dimensions"] if row["canary"]] == list(DIMENSIONS)
    assert "seen to work" in polygraph("doctor").stdout


def test_doctor_says_whether_the_tls_of_a_program_can_be_seen(polygraph: Polygraph, tmp_path: Path) -> None:
    seen = json.loads(polygraph("doctor", "--json", str(installed()["node"])).stdout)
    (node,) = seen["program"]
    assert (node["library"], node["found"], node["blind"], seen["ok"]) == ("openssl", "exported", None, True)
    blind = strip(build(tmp_path / "blind", constants(LABELS)))
    done = polygraph("doctor", str(blind))
    assert done.returncode == 1 and f"✗ {blind}: not seen: static_tls" in done.stdout
    gone = polygraph("doctor", str(tmp_path / "gone"))
    assert gone.returncode == 1 and "no program that can be found" in gone.stderr
