"""``polygraph collector``: what the kernel saw is in the topic, once and whole, or known to be missing.

Each agent is a copy of a shell that makes a known number of files; the verdicts are those of the correlator.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from polygraph import events as e
from polygraph.log.batches import numbers_of, unpack
from polygraph.log.outgoing import LEAP
from polygraph.settings import Kafka
from tests.kafka.broker import Broker
from tests.kafka.conftest import made
from tests.kafka.fleet import Collector, there
from tests.kafka.test_correlator import until
from tests.live.test_watch import cgroup

__all__ = ["cgroup"]  # a fixture

pytestmark = pytest.mark.timeout(300)

FILES = 20


@pytest.fixture
def agent(tmp_path: Path) -> Path:
    """A program that is observed whoever starts it."""
    path = tmp_path / "agent"
    shutil.copy("/bin/dash", path)
    return path


@pytest.fixture
def collectors(tmp_path: Path, agent: Path) -> Iterator[Any]:
    started: list[Collector] = []

    def start(kafka: Kafka, **settings: str) -> Collector:
        started.append(Collector(kafka, tmp_path, agent, **settings).start())
        until(lambda: started[-1].told("collector_started"), started[-1])
        until(lambda: started[-1].asked("/readyz")[0] == 200, started[-1])
        return started[-1]

    yield start
    for one in started:
        one.kill()


def work(agent: Path, folder: Path, name: str) -> None:
    """One session: ``FILES`` files of that name."""
    script = f'for n in $(seq {FILES}); do : > "{folder}/{name}-$n"; done'
    subprocess.run([agent, "-c", script], check=True)


def sessions(kafka: Kafka) -> dict[str, list[tuple[int, int, list[e.AnyEvent]]]]:
    """Batches of each session, in their order: first, next, events."""
    found: dict[str, list[tuple[int, int, list[e.AnyEvent]]]] = defaultdict(list)
    for row in asyncio.run(there(kafka, "events")):
        schema, first, following = numbers_of(dict(row.headers))
        session = row.key.decode()
        found[session].append((first, following, unpack(session, row.value, schema)))
    return found


def ended(kafka: Kafka, count: int) -> dict[str, list[tuple[int, int, list[e.AnyEvent]]]] | None:
    """All sessions, once so many have ended."""
    found = sessions(kafka)
    ends = [
        session
        for session, batches in found.items()
        if any(isinstance(event, e.SessionEnd) for *_, events in batches for event in events)
    ]
    return found if len(ends) >= count else None


def whole(batches: list[tuple[int, int, list[e.AnyEvent]]]) -> list[e.AnyEvent]:
    """The events of a session, each once. Fails where one is missing or comes before another."""
    expected, events = 0, []
    for first, following, some in batches:
        assert first <= expected, "something is missing"
        events += [event for event in some if event.seq >= expected]
        expected = max(expected, following)
    assert [event.seq for event in events] == list(range(expected))
    return events


def files_of(events: list[e.AnyEvent], name: str) -> Counter[str]:
    return Counter(
        Path(event.path).name
        for event in events
        if isinstance(event, e.File) and event.op == "create" and Path(event.path).name.startswith(name)
    )


def test_each_session_is_in_the_topic_once_and_whole(
    kafka: Kafka, collectors: Any, agent: Path, tmp_path: Path
) -> None:
    collector = collectors(kafka)
    names = [f"file{n}" for n in range(6)]
    for name in names:
        work(agent, tmp_path, name)
    found = until(lambda: ended(kafka, len(names)), collector)
    assert _metric(collector, "connected") == 1
    collector.stop()
    assert len(found) == len(names)
    logs = [whole(batches) for batches in found.values()]
    assert all(isinstance(events[0], e.SessionStart) for events in logs)
    made_of = sorted(sorted(files_of(events, "file").elements()) for events in logs)
    assert made_of == [sorted(f"{name}-{n}" for n in range(1, FILES + 1)) for name in names]
    assert list((tmp_path / "spool").glob("*.spool")) == []
    noted = [json.loads(line) for line in (tmp_path / "home" / "audit.jsonl").read_text().splitlines()]
    (begin,) = [row for row in noted if row["what"] == "capture_begin"]
    assert (begin["by"], begin["exports"]) == ("collector", [f"kafka {kafka.bootstrap[0]}"])
    assert sum(row["what"] == "session_begin" for row in noted) == len(names)


def test_while_the_broker_is_away_it_waits_in_the_spool(
    mortal: Broker, collectors: Any, agent: Path, tmp_path: Path
) -> None:
    kafka = made(mortal, "away.")
    collector = collectors(kafka)
    work(agent, tmp_path, "before")
    until(lambda: ended(kafka, 1), collector)
    mortal.kill()
    work(agent, tmp_path, "during")
    until(lambda: list((tmp_path / "spool").glob("*.spool")), collector)
    collector.kill()  # and what was in the spool outlives it
    again = collectors(kafka)
    work(agent, tmp_path, "after")
    mortal.start()
    found = until(lambda: ended(kafka, 3), again)
    again.stop()
    files = sorted(sorted(files_of(whole(batches), "").keys()) for batches in found.values())
    assert [{name.split("-")[0] for name in names if "-" in name} for names in files] == [
        {"after"},
        {"before"},
        {"during"},
    ]
    assert all(len([name for name in names if "-" in name]) == FILES for names in files)


def test_what_there_was_no_room_for_is_counted_and_known_to_its_session(
    mortal: Broker, collectors: Any, agent: Path, tmp_path: Path
) -> None:
    kafka = made(mortal, "room.")
    collector = collectors(kafka, spool_mb="1")
    mortal.kill()
    script = f'cd "{tmp_path}"; n=0; while [ ! -e stop ]; do n=$((n+1)); : > x-$n; rm x-$n; done'
    going = subprocess.Popen([agent, "-c", script])
    dropped = until(lambda: _metric(collector, "events_dropped_total"), collector)
    (tmp_path / "stop").touch()
    going.wait()
    assert dropped > 0
    mortal.start()
    found = until(lambda: ended(kafka, 1), collector)
    lost = _metric(collector, "events_dropped_total")
    seen = _metric(collector, "events_total")
    collector.stop()
    ((_, batches),) = found.items()
    holes, expected, got = 0, 0, 0
    for first, following, events in batches:
        holes += max(first - expected, 0)
        expected = max(expected, following)
        got += len(events)
    assert got + holes == seen  # each event is there, or in a hole
    assert (
        0 < holes <= lost
    )  # what was under way when the broker died may have come, and is counted all the same


def _metric(collector: Collector, name: str) -> float:
    lines = collector.asked("/metrics")[1].splitlines()
    return next(float(line.split()[-1]) for line in lines if line.startswith(f"polygraph_collector_{name} "))


def test_a_session_goes_on_over_the_death_of_its_collector(
    kafka: Kafka, collectors: Any, agent: Path, tmp_path: Path, cgroup: Path
) -> None:
    """What it did in between is not known, and nobody takes the numbers behind it for a repetition."""
    script = (
        f'cd "{tmp_path}"; read x; : > two-before; read x; : > two-between; read x; : > two-after; read x'
    )
    going = subprocess.Popen([agent, "-c", script], stdin=subprocess.PIPE)
    assert going.stdin is not None
    (cgroup / "cgroup.procs").write_text(str(going.pid))

    def goes_on() -> None:
        assert going.stdin is not None
        going.stdin.write(b"\n")
        going.stdin.flush()

    first = collectors(kafka, exe="", cgroup=str(cgroup))
    goes_on()
    until(lambda: _told(kafka, "two-before"), first)
    first.kill()
    goes_on()
    until((tmp_path / "two-between").exists)
    second = collectors(kafka, exe="", cgroup=str(cgroup))
    goes_on()
    until(lambda: _told(kafka, "two-after"), second)
    going.communicate(b"\n")
    second.stop()
    ((_, batches),) = sessions(kafka).items()
    expected, holes = 0, []
    for begin, following, _ in batches:
        holes += [begin - expected] if begin > expected else []
        expected = max(expected, following)
    assert len(holes) == 1 and holes[0] > LEAP // 2  # what it had noted is some seconds old
    events = [event for *_, some in batches for event in some]
    assert files_of(events, "two") == {"two-before": 1, "two-after": 1}
    assert len({event.seq for event in events if event.seq}) == len([event for event in events if event.seq])
    assert isinstance(events[-1], e.SessionEnd | e.Tick)


def _told(kafka: Kafka, name: str) -> bool:
    return any(files_of(events, name) for batches in sessions(kafka).values() for *_, events in batches)
