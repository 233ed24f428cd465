"""``polygraph correlator``: the correlator of a fleet, a member of a consumer group."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from polygraph.commands._services import config_option

if TYPE_CHECKING:
    from polygraph.settings import Settings


@click.command("correlator")
@config_option
def command(config: Path | None) -> None:
    """Judge what the collectors of a fleet publish: events from Kafka in, verdicts and findings out.

    Any number of them share the work, by partitions. It runs until SIGTERM or SIGINT, and may be killed at any moment:
    who takes over says the same.
    """
    from polygraph import logs
    from polygraph.settings import load

    settings = load(config, os.environ)
    logs.configure()
    asyncio.run(serve(settings))


async def serve(settings: Settings, on_step: Callable[[str], None] = lambda _step: None) -> None:
    """Until a signal ends it. ``on_step``: of :class:`polygraph.log.kafka.group.Member`."""
    import structlog

    from polygraph.commands._correlation import Correlation, Told, read
    from polygraph.log.kafka.connect import arguments, told
    from polygraph.log.kafka.group import Member
    from polygraph.log.kafka.topics import EVENTS
    from polygraph.log.progress import Progress
    from polygraph.serving import Pulse, serving

    chosen, kafka = settings.correlator, settings.kafka
    counted, pulse = Told(), Pulse()
    idle_ms = int(chosen.idle_hours * 3_600_000)

    def work(partition: int, progress: Progress) -> Correlation:
        return Correlation(partition, progress, kafka.topic_prefix, idle_ms, counted)

    member = Member(
        kafka.topic_prefix + EVENTS,
        chosen.group,
        work,
        arguments(kafka),
        instance=chosen.instance or None,
        commit_every=chosen.commit_seconds,
        on_round=pulse.beat,
        on_step=on_step,
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, member.stop)
    log = structlog.get_logger()
    with ExitStack() as stack:
        address = None
        if chosen.listen:
            served = serving(
                chosen.listen,
                pulse,
                lambda: member.ready,
                lambda: read(member.counted, counted, member.works),
            )
            address = stack.enter_context(served)
        log.info("correlator_started", group=chosen.group, listen=address, **told(kafka))
        await member.run()
        log.info("correlator_stopped", records=member.counted.records, sent=member.counted.sent)
