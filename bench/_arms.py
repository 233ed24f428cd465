"""The arms of bench/correlator: polygraph's correlator, and the joins of two stream processors, on the same events.

    python -m bench._arms ARM SOURCES COUNT       prints the figures as one line of JSON

SOURCES is a file of recorded sessions; COUNT of them are made out of these, under ids of their own, and fed event by
event in turn, their ends after everything else, so that all are open at once. What an arm takes is the CPU time of its
process without that of decoding, which is not the join's. Each arm is a process of its own: the two others are
installed elsewhere, under the same Python, so this module imports nothing but the standard library beforehand.

The others do not judge. They join, by session, each effect of the kernel with the tool calls that were asked for in the
minute before: the nearest that they offer to the causal window. Events of other kinds pass them by.

- Quix Streams: ``join_interval``, as an application runs it, on its own state store (RocksDB), with a checkpoint every
  five seconds. No broker: messages are handed to it as its consumer would, and nothing is produced.
- Bytewax: ``join_window`` over tumbling windows, all pairs, in process; one worker, no recovery store.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

_CHUNK = 1000
#: how long before an effect a tool call may have been asked for, s: the timer that stands for the causal window
_WINDOW = 60
_EFFECTS = frozenset({"fork", "exec", "exec_failed", "exit", "file", "reads", "net", "flow", "name"})


class Source(NamedTuple):
    """A recorded session: its id, and its events as lines of JSON."""

    session: str
    lines: list[str]


@dataclass
class Figures:
    """What an arm took."""

    events: int
    #: seconds of CPU
    cpu: float
    #: resident memory that all sessions together added when all were open
    memory: int
    #: what came out: verdicts, or pairs
    out: int
    #: slowest but for one in a hundred of the calls that gave a verdict, s; 0 where there is no such thing
    latency: float = 0.0


class Input:
    """The events of ``count`` sessions, decoded, in turn."""

    def __init__(self, sources: list[Source], count: int, decode: Callable[[str], Any]) -> None:
        self._sources, self._count, self._decode = sources, count, decode
        self.events = 0
        #: CPU time that went into the events themselves, s
        self.own = 0.0
        #: resident memory before the first event, and before the first end of a session
        self.before = self.full = 0

    def __iter__(self) -> Iterator[Any]:
        self.before = _resident()
        chunk: list[str] = []
        for line in self._body():
            chunk.append(line)
            if len(chunk) == _CHUNK:
                yield from self._decoded(chunk)
                chunk.clear()
        yield from self._decoded(chunk)
        self.full = _resident()
        yield from self._decoded(list(self._ends()))

    def _body(self) -> Iterator[str]:
        for place in range(max(len(source.lines) for source in self._sources) - 1):
            for number in range(self._count):
                source = self._sources[number % len(self._sources)]
                if place < len(source.lines) - 1:
                    yield source.lines[place].replace(source.session, f"{number:016x}")

    def _ends(self) -> Iterator[str]:
        for number in range(self._count):
            source = self._sources[number % len(self._sources)]
            yield source.lines[-1].replace(source.session, f"{number:016x}")

    def _decoded(self, lines: list[str]) -> list[Any]:
        began = time.process_time()
        events = [self._decode(line) for line in lines]
        self.events += len(events)
        self.own += time.process_time() - began
        return events


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def correlator(sources: list[Source], count: int) -> Figures:
    """Polygraph's: one engine."""
    from correlator.engine import Engine
    from polygraph.events import SessionEnd, Tick, decode

    engine = Engine()
    given = Input(sources, count, lambda line: decode(line.encode()))
    taken = array("d")
    out = 0
    began = time.process_time()
    for event in given:
        if not isinstance(event, Tick | SessionEnd):
            engine.feed(event)
            continue
        start = time.perf_counter()
        said = engine.feed(event)
        if said.verdicts:
            taken.append(time.perf_counter() - start)
            out += len(said.verdicts)
    cpu = time.process_time() - began - given.own
    latency = sorted(taken)[max(0, -(-99 * len(taken) // 100) - 1)] if taken else 0.0
    return Figures(given.events, cpu, given.full - given.before, out, latency)


def quix(sources: list[Source], count: int) -> Figures:
    """Quix Streams: an interval join of two topics, keyed by session."""
    from quixstreams.context import set_message_context
    from quixstreams.models import MessageContext

    out = 0

    def sink(_value: object, _key: object, _timestamp: int, _headers: object) -> None:
        nonlocal out
        out += 1

    with _quix_join(sink) as (context, branches):
        given = Input(sources, count, json.loads)
        began = time.process_time()
        for offset, event in enumerate(given):
            kind = event["type"]
            topic = "intents" if kind == "intent" else "effects" if kind in _EFFECTS else None
            if topic is None:
                continue
            set_message_context(MessageContext(topic=topic, partition=0, offset=offset, size=0))
            branches[topic](event, event["session"].encode(), event["ts"] // 1_000_000, [])
            context.store_offset(topic=topic, partition=0, offset=offset)
            context.commit_checkpoint()
        cpu = time.process_time() - began - given.own
    return Figures(given.events, cpu, given.full - given.before, out)


class _NoBroker:
    """Producer and consumer of an application that nothing is sent to."""

    offsets: dict[tuple[str, int], int] = {}  # noqa: RUF012

    def flush(self, timeout: float | None = None) -> int:  # noqa: ARG002
        """Nothing is waiting."""
        return 0

    def commit(self, offsets: object, *, asynchronous: bool) -> None:
        """Nobody is told."""


@contextmanager
def _quix_join(sink: Callable[..., None]) -> Iterator[tuple[Any, Any]]:
    """The composed join, and what an application holds of its state."""
    from quixstreams.dataframe import DataFrameRegistry, StreamingDataFrame
    from quixstreams.models.topics import Topic, TopicConfig, TopicManager
    from quixstreams.processing import ProcessingContext
    from quixstreams.sinks import SinkManager
    from quixstreams.state import StateStoreManager

    nobody: Any = _NoBroker()
    nowhere: Any = None
    with tempfile.TemporaryDirectory() as folder:
        state = StateStoreManager(group_id="bench", state_dir=folder)
        registry = DataFrameRegistry()
        context = ProcessingContext(
            commit_interval=5.0,
            producer=nobody,
            consumer=nobody,
            state_manager=state,
            sink_manager=SinkManager(),
            dataframe_registry=registry,
        )
        frames = {}
        for name in ("effects", "intents"):
            topic = Topic(name)
            topic.broker_config = TopicConfig(1, 1, {"retention.ms": "-1", "retention.bytes": "-1"})
            frames[name] = StreamingDataFrame(
                topic,
                topic_manager=TopicManager(nowhere, "bench"),
                registry=registry,
                processing_context=context,
            )
            registry.register_root(frames[name])
        joined = frames["effects"].join_interval(
            frames["intents"],
            how="inner",
            on_merge=lambda effect, intent: (effect["seq"], intent["seq"]),
            backward_ms=_WINDOW * 1000,
            grace_ms=_WINDOW * 1000,
        )
        for frame in frames.values():
            state.on_partition_assign(stream_id=frame.stream_id, partition=0, committed_offsets={})
        context.init_checkpoint()
        try:
            yield context, joined.compose(sink=sink)
        finally:
            state.close()


def bytewax(sources: list[Source], count: int) -> Figures:
    """Bytewax: a join over tumbling windows, keyed by session."""
    import bytewax.operators as op
    import bytewax.operators.windowing as win
    from bytewax.dataflow import Dataflow
    from bytewax.testing import TestingSink, TestingSource, run_main

    given = Input(sources, count, json.loads)
    zero = datetime(2000, 1, 1, tzinfo=UTC)
    clock: Any = win.EventClock(
        ts_getter=lambda event: zero + timedelta(microseconds=event["ts"] // 1000),
        wait_for_system_duration=timedelta(0),
    )
    windows = win.TumblingWindower(length=timedelta(seconds=_WINDOW), align_to=zero)
    flow = Dataflow("bench")
    events = op.input("in", flow, TestingSource(given, batch_size=_CHUNK))
    effects = op.filter("effects", events, lambda event: event["type"] in _EFFECTS)
    intents = op.filter("intents", events, lambda event: event["type"] == "intent")
    sides = [op.key_on(f"by-{name}", side, lambda event: event["session"]) for name, side in
             (("effects", effects), ("intents", intents))]  # fmt: skip
    joined = win.join_window("join", clock, windows, *sides, insert_mode="product", emit_mode="final")
    pairs: list[Any] = []
    op.output("out", op.map("count", joined.down, lambda _pair: 1), TestingSink(pairs))
    began = time.process_time()
    run_main(flow)
    cpu = time.process_time() - began - given.own
    return Figures(given.events, cpu, given.full - given.before, len(pairs))


ARMS: dict[str, Callable[[list[Source], int], Figures]] = {
    "polygraph": correlator,
    "Quix Streams": quix,
    "Bytewax": bytewax,
}


def main() -> None:
    """Runs one arm: first on few sessions, so that nothing of what is loaded once is in the figures."""
    arm, path, count = ARMS[sys.argv[1]], Path(sys.argv[2]), int(sys.argv[3])
    sources = [Source(*row) for row in json.loads(path.read_text())]
    arm([Source(source.session, source.lines[:200] + source.lines[-1:]) for source in sources[:3]], 3)
    print(json.dumps(asdict(arm(sources, count))))


if __name__ == "__main__":
    main()
