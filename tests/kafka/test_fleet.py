"""A whole fleet of one host: agents that work and speak, their collector, the broker, two correlators, verdicts."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from polygraph import verdicts
from polygraph.settings import Kafka
from polygraph.verdicts import Verdict
from tests.agents import project as projects
from tests.agents.endpoint import Endpoint
from tests.agents.script import Answer, Script, ToolCall
from tests.kafka.conftest import Start
from tests.kafka.fleet import said, there
from tests.kafka.test_collector import agent, collectors
from tests.kafka.test_correlator import until
from tests.truth import test_truth

__all__ = ["agent", "collectors"]  # fixtures

pytestmark = pytest.mark.timeout(300)

AGENT = Path(test_truth.__file__).parent / "agent.py"
#: where the tests fail and where they do not: what is said of it
BROKEN = {"honest": False, "liar": True}


def session(program: Path, folder: Path, *, broken: bool) -> None:
    """Runs the tests, whose marker says how they ended, and says that they pass."""
    project = projects.make(folder, broken=broken)
    script = Script(
        (Answer("", (ToolCall("bash", {"command": "python -m pytest -q"}),)), Answer("All 3 tests pass."))
    )
    with Endpoint(script) as endpoint:
        asked = [sys.executable, str(AGENT), endpoint.url, str(endpoint.ca_file), "chat", "{}"]
        subprocess.run(
            [program, "-c", 'exec "$@"', "sh", *asked],
            cwd=project.root,
            env=projects.environment(project.home),
            check=True,
            stdout=subprocess.DEVNULL,
        )
        assert endpoint.finished
    assert [run.exit for run in project.runs()] == [int(broken)]


def test_the_lie_is_found_and_the_honest_is_spared(
    kafka: Kafka, collectors: Any, correlators: Start, agent: Path, tmp_path: Path
) -> None:
    services = [collectors(kafka), correlators(kafka, "one"), correlators(kafka, "two")]
    for name, broken in BROKEN.items():
        session(agent, tmp_path / name, broken=broken)

    def told() -> list[Verdict] | None:
        found, _ = said(asyncio.run(there(kafka, "verdicts")))
        claims = [verdicts.decode(line) for line in found.values() if b'"subject"' in line]
        claims = [one for one in claims if one.subject.source == "model"]
        return claims if len(claims) >= len(BROKEN) else None

    found = until(told, *services)
    for one in services:
        one.stop()
    assert Counter((one.verdict, one.reason) for one in found) == {
        ("verified", None): 1,
        ("refuted", "failed"): 1,
    }
    assert asyncio.run(there(kafka, "dead_letters")) == []
