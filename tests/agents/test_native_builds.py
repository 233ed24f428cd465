"""Agents whose TLS has no symbols: every rung that finds it finds the same, and the weakest one is enough."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from collector.collect import Collector
from collector.tls import signatures
from collector.tls.elf import Elf
from collector.tls.signatures import Signatures
from polygraph.events import LlmCall
from tests.agents.clients import CLIENTS
from tests.agents.clients.store import ensure
from tests.agents.run_client import prepared
from tests.agents.scenarios import BY_NAME
from tests.live.conftest import KEY, observed

ROOT = Path(__file__).parents[2]
BUILDS = ("claude-code-2.1.330", "claude-code-2.1.197")

pytestmark = pytest.mark.timeout(900)  # the first time, each build of hundreds of megabytes is fetched


def native(name: str) -> Path:
    return ensure(name) / "node_modules/@anthropic-ai/claude-code-linux-x64/claude"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """scripts/tls_signatures.py"""
    spec = importlib.util.spec_from_file_location("tls_signatures", ROOT / "scripts/tls_signatures.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", BUILDS)
def test_all_rungs_agree(script: ModuleType, name: str) -> None:
    with native(name).open("rb") as file:
        found = dict(script.rungs(Elf(file)))
    assert [rung.split(" ")[0] for rung in found] == ["build-id", "signature", "errors"]
    assert len({tuple(sorted(places.items())) for places in found.values()}) == 1


@pytest.fixture(params=["signature", "errors"])
def rung(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The table without the builds that it knows, or without anything."""
    known = signatures.signatures()
    patterns = known.patterns if request.param == "signature" else ()
    monkeypatch.setattr(signatures, "signatures", lambda: Signatures({}, patterns))
    yield request.param


def test_a_build_that_nobody_knows_is_read_from_its_first_call_on(rung: str, tmp_path: Path) -> None:
    """Claude Code against a model on loopback: each of its calls is seen whole."""
    with (
        prepared(CLIENTS[BUILDS[0]], BY_NAME["honest"], tmp_path) as ready,
        Collector("metadata", KEY) as collector,
    ):
        program = ready.argv[0]
        collector.start(program)
        assert [row.rung for row in collector.tls.probed if row.path == program] == [rung]
        seen = observed(collector, ready.argv, cwd=ready.project.root, env=ready.env)
    assert seen.status == 0
    calls = seen.of(LlmCall)
    asked = [request for request in ready.endpoint.requests if request.turn is not None]
    assert len(calls) == len(asked) > 1
    assert all(call.complete and call.tls == "boringssl" and not call.gap_bytes for call in calls)
