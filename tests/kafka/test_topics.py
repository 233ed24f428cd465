"""polygraph.log.kafka.topics against a broker."""

from __future__ import annotations

import asyncio

from polygraph.log.kafka import topics
from polygraph.log.kafka.connect import arguments
from polygraph.settings import Kafka


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
