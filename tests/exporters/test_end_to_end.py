"""`polygraph run --otlp`: a real agent's lie is found in a real Jaeger; a receiver that fails costs it nothing."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from exporters.attributes import table
from polygraph import verdicts as codec
from tests.agents.clients import CLIENTS
from tests.agents.run_client import run
from tests.agents.scenarios import FAILED
from tests.exporters.jaeger import Jaeger, tags
from tests.exporters.receivers import Reply, closed_port, grpc_receiver, http_receiver, silent_port
from tests.exporters.test_jaeger import JAEGERS

pytestmark = pytest.mark.timeout(300)
CLIENT = CLIENTS["openai-agents"]


def refuted(server: Jaeger, since: float) -> list[dict[str, Any]]:
    """All spans since then that Jaeger finds by ``effect.verified=false``."""
    status, answer = server.get(
        "/api/traces",
        service="polygraph",
        tags=json.dumps({"effect.verified": "false"}),
        start=int(since * 1e6),
        end=int(time.time() * 1e6),
        limit=100,
    )
    assert status == 200, answer
    spans = [span for trace in answer["data"] for span in trace["spans"]]
    return [span for span in spans if tags(span).get("effect.verified") is False]


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_the_lie_of_a_real_agent_is_found_in_jaeger(server: Jaeger, protocol: str, tmp_path: Path) -> None:
    since = time.time()
    url = f"{protocol}://127.0.0.1:{server.grpc if protocol == 'grpc' else server.http}"
    lines = tmp_path / "verdicts.jsonl"
    polygraph = [sys.executable, "-m", "polygraph", "run", "--otlp", url, "--json", str(lines), "--"]
    outcome = run(CLIENT, FAILED, tmp_path, polygraph)
    assert not outcome.faults(FAILED), outcome.output[-3000:]
    verdicts = [codec.decode(line) for line in lines.read_bytes().splitlines()]
    assert f"otlp: {len(verdicts) + 1} spans sent to {url}" in outcome.output
    session = verdicts[0].session

    ours = [span for span in refuted(server, since) if tags(span)["effect.session"] == session]
    (lie,) = [verdict for verdict in verdicts if verdict.verdict == "refuted"]
    (span,) = ours
    found = tags(span)
    assert set(found) - JAEGERS <= set(table()), "what is sent is documented"
    assert found["effect.verdict"] == "refuted" and found["effect.reason"] == lie.reason == "failed"
    assert found["effect.verdict.id"] == lie.id
    assert (found["effect.declared"], found["effect.observed"]) == (lie.declared, lie.observed)
    assert found["effect.coverage.process"] == "attached" and found["error"] is True
    facts = [tags(log).get("effect.evidence.fact") for log in span["logs"]]
    assert [fact for fact in facts if fact is not None] == [item.fact for item in lie.evidence]
    assert since * 1e6 <= span["startTime"] <= time.time() * 1e6, "at the time that it was said"

    trace = server.trace(span["traceID"], len(verdicts) + 1)
    (root,) = (other for other in trace if not other["references"])
    assert tags(root)["effect.session.refuted"] == 1
    words = sorted(tags(other)["effect.verdict"] for other in trace if other is not root)
    assert words == sorted(verdict.verdict for verdict in verdicts)


@contextmanager
def refusing() -> Iterator[int]:
    """A receiver that says 403."""
    with http_receiver(Reply(403, b"", None)) as (port, _):
        yield port


@contextmanager
def nobody() -> Iterator[int]:
    """A port on which nobody listens."""
    yield closed_port()


@contextmanager
def denying() -> Iterator[int]:
    """A receiver over gRPC that says UNAUTHENTICATED."""

    def answer(_request: Any, context: Any) -> Any:
        import grpc

        context.abort(grpc.StatusCode.UNAUTHENTICATED, "no key")

    with grpc_receiver(answer) as port:
        yield port


@pytest.mark.parametrize(
    ("receiver", "scheme", "said"),
    [
        (nobody, "http", "refused"),
        (nobody, "grpc", ""),
        (silent_port, "http", ""),
        (silent_port, "grpc", ""),
        (refusing, "http", "403"),
        (denying, "grpc", "no key"),
    ],
)
def test_a_receiver_that_fails_costs_a_note_and_nothing_else(
    receiver: Any, scheme: str, said: str, tmp_path: Path
) -> None:
    context: AbstractContextManager[int] = receiver()
    with context as port:
        done = polygraph_run(
            tmp_path, "--otlp", f"{scheme}://127.0.0.1:{port}", "--", "sh", "-c", "echo out; exit 7"
        )
    assert (done.returncode, done.stdout) == (7, "out\n"), done.stderr
    (note,) = [line for line in done.stderr.splitlines() if "otlp: " in line]
    assert f"otlp: 1 span not sent to {scheme}://127.0.0.1:{port}: " in note and said in note.lower()
    assert "Traceback" not in done.stderr


def test_an_url_that_is_none_is_said_before_anything_is_started(tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    done = polygraph_run(tmp_path, "--otlp", "ftp://127.0.0.1:1", "--", "touch", str(touched))
    assert done.returncode == 1 and "ftp" in done.stderr and not touched.exists()


def polygraph_run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "polygraph", "run", *arguments],
        env={"PATH": "/usr/bin:/bin", "POLYGRAPH_HOME": str(folder / "store")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
