"""scripts/housekeeping.py: what agents did in recorded sessions that no row of the table explains."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import zstandard

from polygraph import events as e
from tests.correlator.scenario import Scenario

ROOT = Path(__file__).parent.parent


def _session(name: str, number: int) -> Scenario:
    s = Scenario(name, agent=("/opt/@openai/codex/bin/codex",), cwd=f"/srv/run{number}/project")
    s.file(s.agent, "write", "/var/lib/early")
    s.call()
    s.file(s.agent, "write", f"/home/u{number}/.codex/x")
    s.file(s.agent, "write", f"/home/u{number}/.other/0{number}3f5b7a9-1.json")
    s.file(s.agent, "write", f"/srv/run{number}/project/notes.md")
    s.file(s.program(None, "curl", "http://x.test"), "read", "/etc/motd")
    return s


def _said(*arguments: str | Path) -> list[str]:
    command = [sys.executable, "-B", "scripts/housekeeping.py", *map(str, arguments)]
    env = {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_it_says_what_belongs_to_nothing_without_what_varies(tmp_path: Path) -> None:
    logs = [tmp_path / "one.jsonl", tmp_path / "two.jsonl.zst"]
    for number, path in enumerate(logs):
        data = b"".join(e.encode(event) + b"\n" for event in _session(f"s{number}", number).log)
        path.write_bytes(zstandard.compress(data) if path.suffix == ".zst" else data)
    assert _said(*logs) == [
        "# codex: 2 logs",
        "   2  program curl http://x.test",
        "   2  read /etc/motd",
        "   2  write ./notes.md",
        "   2  write ~/.other/*-1.json",
    ]
    assert "   2  write /var/lib/early" in _said("--startup", *logs)
