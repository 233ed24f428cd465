"""Content levels on a real kernel: off reads no plaintext, and content that cannot be noted is not captured."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from collector.collect import Collector
from collector.kernel.source import Loading, SourceSettings
from collector.observed import ObservedSession
from collector.plain.streams import PlainData
from collector.tls.streams import TlsClose, TlsData
from polygraph.audit import AuditLog
from polygraph.content import ContentLevel
from polygraph.events import Coverage, Exec
from polygraph.log.store import Store
from tests.live.conftest import KEY, PATIENCE, observed
from tests.live.test_tls import PROGRAM

WORD = "zebracrossing"


def run(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "polygraph", "run", "--quiet", *arguments],
        env=os.environ | {"POLYGRAPH_HOME": str(home)},
        check=False,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


@pytest.mark.parametrize(("level", "read"), [("off", False), ("metadata", True)])
def test_plaintext_is_read_unless_the_level_is_off(
    level: ContentLevel, read: bool, records: list[TlsData | TlsClose]
) -> None:
    with Collector(level, KEY) as collector:
        collector.start(sys.executable)
        seen = observed(collector, [sys.executable, "-c", PROGRAM, "1000", "2000"])
    assert seen.status == 0
    # That a connection closed is no content.
    assert any(isinstance(record, TlsData) for record in records) == read
    tls = seen.of(Coverage, dimension="tls")[0]
    assert (tls.state == "not_requested") != read


@pytest.mark.parametrize(("level", "read"), [("off", False), ("metadata", True)])
def test_the_level_holds_for_sessions_that_the_kernel_makes(
    level: ContentLevel, read: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``watch --exe``: nobody opens such a session before its first bytes."""
    taken: list[object] = []
    monkeypatch.setattr(ObservedSession, "plaintext", lambda _self, record: taken.append(record))
    monkeypatch.setattr(ObservedSession, "plain", lambda _self, record: taken.append(record))
    agent = tmp_path / "agent"
    agent.write_bytes(Path("/bin/sh").read_bytes())
    agent.chmod(0o755)
    with Collector(level, KEY, Loading(SourceSettings(exes=True))) as collector:
        collector.start(sys.executable)
        state = agent.stat()
        collector.watch_file(state.st_dev, state.st_ino)
        source = PROGRAM + "\nimport os; os.write(os.pipe()[1], b'{\"jsonrpc\"')"
        argv = [agent, "-c", 'exec "$@"', "sh", sys.executable, "-c", source, "1000", "2000"]
        with subprocess.Popen(argv) as process:
            deadline = time.monotonic() + PATIENCE
            while not any(map(collector.ended, collector.sessions())) and time.monotonic() < deadline:
                collector.round(20)
            assert process.wait() == 0
        collector.finish(*collector.sessions())
    kinds = {type(record) for record in taken if not isinstance(record, TlsClose)}
    assert kinds == ({TlsData, PlainData} if read else set())


@pytest.mark.parametrize("level", ["off", "metadata", "redacted", "full"])
def test_a_prompt_among_the_arguments_is_content(tmp_path: Path, level: str) -> None:
    done = run(tmp_path / "s", "--content", level, "--", "sh", "-c", f"true the {WORD} && echo about {WORD}")
    assert done.returncode == 0 and done.stdout == f"about {WORD}\n"
    with Store(tmp_path / "s") as store:
        (row,) = store.sessions()
        executed = [event.argv for event in store.events(row.id) if isinstance(event, Exec)]
    assert executed[0][:2] == ("sh", "-c")
    told = json.dumps([row.command, executed])
    assert (WORD in told) == (level in ("redacted", "full"))


def test_content_that_cannot_be_noted_is_not_captured_and_the_command_does_not_start(tmp_path: Path) -> None:
    home, mark = tmp_path / "store", tmp_path / "mark"
    home.mkdir(mode=0o700)
    (home / "audit.jsonl").mkdir()
    done = run(home, "--content", "full", "--", "touch", str(mark))
    assert done.returncode == 1 and "audit.jsonl" in done.stderr and not mark.exists()
    done = run(home, "--", "touch", str(mark))
    assert done.returncode == 0 and "audit.jsonl" in done.stderr and mark.exists()


def test_who_captured_what_is_noted_before_and_after(tmp_path: Path) -> None:
    assert run(tmp_path, "--content", "redacted", "--json", "/dev/null", "--", "true").returncode == 0
    entries = list(AuditLog(tmp_path).entries())
    assert [entry.what for entry in entries] == [
        *("capture_begin", "session_begin", "session_end", "capture_end"),
    ]
    assert {(entry.by, entry.level, entry.actor.uid) for entry in entries} == {
        ("run", "redacted", os.geteuid())
    }
    assert (entries[0].source, entries[0].exports) == ("flag", ("json /dev/null",))
    with Store(tmp_path) as store:
        assert entries[1].session == store.sessions()[0].id
