"""polygraph.log.kafka.topics against a broker."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from polygraph.log.kafka import topics
from polygraph.log.kafka.connect import arguments
from polygraph.settings import Kafka
from tests.kafka.broker import PASSWORD, USER, Broker


def test_what_is_there_is_told_and_never_changed(kafka: Kafka) -> None:
    rows = topics.wanted({"events": 8, "verdicts": 2, "dead_letters": 1}, replicas=1)
    for _ in range(2):
        states = asyncio.run(topics.apply(arguments(kafka), kafka.topic_prefix, rows))
        assert [(state.state, state.partitions) for state in states] == [
            ("there", 4),
            ("there", 2),
            ("there", 1),
        ]
        assert "4 partitions, not 8" in states[0].problems[0]
        assert states[1].problems == ()


def test_over_tls_and_by_name(tmp_path: Path) -> None:
    broker = Broker(tmp_path / "kafka", secure=True)
    broker.start()
    try:
        right = Kafka(
            bootstrap=(broker.bootstrap,),
            security="sasl_tls",
            ca_file=str(tmp_path / "kafka" / "ca.pem"),
            sasl_user=USER,
            sasl_password=PASSWORD,
        )
        environment = {
            **os.environ,
            **{f"POLYGRAPH_KAFKA_{field.upper()}": str(getattr(right, field)) for field in
               ("security", "ca_file", "sasl_user", "sasl_password")},
            "POLYGRAPH_KAFKA_BOOTSTRAP": broker.bootstrap,
        }  # fmt: skip
        done = _topics("apply", environment)
        assert (
            done.returncode == 0
            and [json.loads(line)["state"] for line in done.stdout.splitlines()] == ["created"] * 3
        ), done.stderr
        assert _topics("check", environment).returncode == 0
        for wrong in ({"POLYGRAPH_KAFKA_SASL_PASSWORD": "another"}, {"POLYGRAPH_KAFKA_CA_FILE": ""}):
            done = _topics("check", environment | wrong)
            assert done.returncode == 1 and "the broker could not be asked" in done.stderr
            assert PASSWORD not in done.stdout + done.stderr
    finally:
        broker.stop()


def _topics(what: str, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "polygraph", "topics", what, "--replicas", "1", "--json"],
        env=environment,
        check=False,
        capture_output=True,
        text=True,
    )


def test_what_is_missing_is_told_by_the_exit_status(broker: Broker) -> None:
    environment = {
        **os.environ,
        "POLYGRAPH_KAFKA_BOOTSTRAP": broker.bootstrap,
        "POLYGRAPH_KAFKA_TOPIC_PREFIX": "missing.",
    }
    done = _topics("check", environment)
    assert done.returncode == 1
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(row["topic"], row["state"]) for row in rows] == [
        (f"missing.{name}", "missing") for name in topics.topics()
    ]
