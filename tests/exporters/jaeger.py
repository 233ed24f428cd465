"""A real Jaeger on loopback, and what its query API says."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

from tests.exporters.receivers import closed_port

#: module version, as pinned in scripts/jaeger/go.mod
VERSION = "1.76.0"
BINARY = (
    Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / f"polygraph/jaeger-{VERSION}/jaeger"
)
PATIENCE = 60.0


class Jaeger(NamedTuple):
    """Its ports on 127.0.0.1."""

    grpc: int
    http: int
    query: int

    def get(self, path: str, **query: str | int) -> tuple[int, Any]:
        """Status and JSON of the query API."""
        connection = http.client.HTTPConnection("127.0.0.1", self.query, timeout=PATIENCE)
        try:
            connection.request("GET", f"{path}?{urlencode(query)}")
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def trace(self, trace_id: str, spans: int) -> list[dict[str, Any]]:
        """The spans of a trace, as soon as there are ``spans`` of them."""
        deadline = time.monotonic() + PATIENCE
        while True:
            status, answer = self.get(f"/api/traces/{trace_id}")
            found = answer["data"][0]["spans"] if status == 200 and answer["data"] else []
            if len(found) >= spans or time.monotonic() > deadline:
                assert len(found) >= spans, f"{len(found)} of {spans} spans arrived"
                return list(found)
            time.sleep(0.05)


@contextmanager
def running(folder: Path) -> Iterator[Jaeger]:
    """Starts Jaeger with memory for storage, and ends it."""
    assert BINARY.exists(), f"{BINARY} is not there: run scripts/build-jaeger.sh"
    ports = Jaeger(*(closed_port() for _ in range(3)))
    health = closed_port()
    config = folder / "jaeger.json"
    config.write_text(json.dumps(_config(ports, health)))
    log = folder / "jaeger.log"
    # always_off: else it traces itself to port 4317 and takes long to end
    environ = {"PATH": "/usr/bin:/bin", "OTEL_TRACES_SAMPLER": "always_off"}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [BINARY, "--config", config], stdout=output, stderr=output, env=environ, cwd=folder
        )
    try:
        _wait(process, health, log)
        yield ports
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def tags(span: dict[str, Any]) -> dict[str, Any]:
    """The attributes of a span or of one of its logs."""
    return {tag["key"]: tag["value"] for tag in span.get("tags", span.get("fields", []))}


def _wait(process: subprocess.Popen[bytes], health: int, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while not _healthy(health):
        alive = process.poll() is None and time.monotonic() < deadline
        assert alive, f"Jaeger did not start: {log.read_text(errors='replace')[-2000:]}"
        time.sleep(0.05)


def _healthy(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request("GET", "/status")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def _config(ports: Jaeger, health: int) -> dict[str, Any]:
    def at(port: int) -> dict[str, str]:
        return {"endpoint": f"127.0.0.1:{port}"}

    return {
        "service": {
            "extensions": ["jaeger_storage", "jaeger_query", "healthcheckv2"],
            "telemetry": {"metrics": {"level": "none"}},
            "pipelines": {
                "traces": {
                    "receivers": ["otlp"],
                    "processors": ["batch"],
                    "exporters": ["jaeger_storage_exporter"],
                }
            },
        },
        "extensions": {
            "healthcheckv2": {"use_v2": True, "http": at(health)},
            "jaeger_storage": {"backends": {"store": {"memory": {"max_traces": 1000}}}},
            "jaeger_query": {"storage": {"traces": "store"}, "http": at(ports.query), "grpc": at(0)},
        },
        "receivers": {"otlp": {"protocols": {"grpc": at(ports.grpc), "http": at(ports.http)}}},
        "processors": {"batch": {"timeout": "50ms"}},
        "exporters": {"jaeger_storage_exporter": {"trace_storage": "store"}},
    }
