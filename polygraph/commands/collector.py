"""``polygraph collector``: the collector of a fleet on one host, as a service."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from polygraph.commands._content import Audited, content_option
from polygraph.commands._services import config_option

if TYPE_CHECKING:
    from polygraph.content import ContentLevel
    from polygraph.settings import Settings

#: s for which it goes on sending when it is told to end; what is left waits for the next one
_PATIENCE = 10.0


@click.command("collector")
@config_option
@content_option
def command(config: Path | None, content: ContentLevel) -> None:
    """Observe this host's agents and publish what they say and do to Kafka, until SIGTERM or SIGINT.

    What the broker does not take waits in the spool. Verdicts are given by `polygraph correlator`.
    """
    from polygraph import logs
    from polygraph.settings import load

    settings = load(config, os.environ)
    logs.configure()
    _serve(settings, content)


def _serve(settings: Settings, content: ContentLevel) -> None:
    import structlog

    from collector.collect import Collector, boot_id
    from collector.kernel.source import Loading, SourceSettings
    from polygraph.commands._forward import Forwarder
    from polygraph.commands.watch import observe, scope_of
    from polygraph.log.kafka.connect import arguments, told
    from polygraph.log.kafka.publisher import Publisher
    from polygraph.log.kafka.topics import EVENTS
    from polygraph.log.spool import Spool
    from polygraph.log.store import Store
    from polygraph.serving import Pulse, serving

    chosen, kafka = settings.collector, settings.kafka
    client = arguments(kafka)
    folder, pulse = Path(chosen.spool), Pulse()
    cgroups = tuple(map(Path, chosen.cgroup))
    loading = Loading(SourceSettings(auto=chosen.auto, exes=bool(chosen.exe)))
    log = structlog.get_logger()
    with ExitStack() as stack:
        store = stack.enter_context(Store())
        audited = stack.enter_context(
            Audited(
                store,
                "collector",
                content,
                scope=scope_of((), cgroups, chosen.exe, auto=chosen.auto),
                exports=(f"kafka {told(kafka)['bootstrap']}",),
            )
        )
        spool = stack.enter_context(Spool(folder, chosen.spool_mb * 1_000_000))
        publisher = Publisher(client, kafka.topic_prefix + EVENTS, spool)
        try:
            collector = stack.enter_context(Collector(content, store.key, loading))
            forwarder = Forwarder(publisher, spool, folder / "sessions.json", boot_id(), audited, pulse)
            collector.start()
            address = None
            if chosen.listen:
                served = serving(chosen.listen, pulse, lambda: forwarder.observes, forwarder.rows)
                address = stack.enter_context(served)
            log.info("collector_started", listen=address, spool=chosen.spool, **told(kafka))
            observe(collector, forwarder, (), cgroups, chosen.exe, auto=chosen.auto)
        finally:
            sent = publisher.close(_PATIENCE)
            log.info("collector_stopped", all_sent=sent, spool_bytes=spool.size)
