"""correlator/detectors/bottleneck.py on sessions that happen: agents that call a model, and whom they wait for."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from correlator.detectors import bottleneck
from polygraph.events import LlmCall
from polygraph.findings import Finding
from tests.correlator.scenario import found
from tests.live.conftest import Observe
from tests.live.model import model

#: ``agent(work)``: a process that asks the model, then works
PRELUDE = """
import fcntl, json, os, sys, time, urllib.request
url, folder = sys.argv[1:]
def ask():
    said = {"model": "m", "messages": [{"role": "user", "content": "What next?"}]}
    request = urllib.request.Request(url, json.dumps(said).encode(), {"content-type": "application/json"})
    urllib.request.urlopen(request).read()
def agent(work):
    pid = os.fork()
    if pid == 0:
        ask()
        work()
        os._exit(0)
    return pid
"""

TURNS = """
def build():
    for _ in range(4):
        with open(f"{folder}/lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            time.sleep(0.2)
ONE = agent(build), agent(build)
for pid in ONE:
    os.waitpid(pid, 0)
"""

PIPELINE = """
r, w = os.pipe()
def produce():
    for _ in range(3):
        time.sleep(0.3)
        os.write(w, b"x")
def consume():
    for _ in range(3):
        os.read(r, 1)
for pid in agent(produce), agent(consume):
    os.waitpid(pid, 0)
"""

DELEGATION = """
ask()
r, w = os.pipe()
pid = agent(lambda: (time.sleep(0.5), os.write(w, b"x"), time.sleep(0.5)))
os.read(r, 1)
os.waitpid(pid, 0)
"""

CREW = """
ask()
for pid in [agent(lambda seconds=seconds: time.sleep(seconds)) for seconds in (0.1, 0.1, 1.5)]:
    os.waitpid(pid, 0)
"""


@pytest.fixture
def url() -> Iterator[str]:
    """Where the model is."""
    with model(socket.AF_INET, "127.0.0.1") as served:
        yield f"http://127.0.0.1:{served}/v1/chat/completions"


@pytest.fixture(autouse=True)
def _patience_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions of seconds, most of which may go by before an agent asks, on an emulated machine."""
    short = bottleneck.thresholds()._replace(least=300_000_000, share=0.03, path_share=0.05)
    monkeypatch.setattr(bottleneck, "thresholds", lambda: short)


@pytest.mark.parametrize(
    ("code", "agents", "expected"),
    [
        (TURNS, 2, ["serialised"]),
        (PIPELINE, 2, ["waits_on_peer"]),
        (DELEGATION, 2, []),
        (CREW, 4, ["critical_path"]),
    ],
    ids=["turns", "pipeline", "delegation", "crew"],
)
def test_what_holds_agents_up(
    python: Observe, tmp_path: Path, url: str, code: str, agents: int, expected: list[str]
) -> None:
    seen = python(PRELUDE + code, url, str(tmp_path))
    assert seen.status == 0 and not seen.lost
    assert len({call.process for call in seen.of(LlmCall)}) == agents
    findings: list[Finding] = found(seen.events)
    assert [finding.kind for finding in findings] == expected
    for finding in findings:
        assert finding.evidence and finding.figures["seconds"] >= 0.3
        assert bool(finding.path) == (finding.kind == "critical_path")
