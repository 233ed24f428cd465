"""Floods: more than the rings hold. All that happened was either delivered or counted as lost, in its own session.

The reader does not read until the flood is over, and the rings are small, so what is lost is lost for certain.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from collector.collect import Collector
from collector.kernel import wire
from collector.kernel.source import Loading, SourceSettings
from collector.launch import Launched
from collector.tls.streams import TlsClose, TlsData, TlsStreams
from correlator.engine import Engine
from polygraph.events import (
    AnyEvent,
    Claim,
    Exec,
    Exit,
    File,
    Fork,
    LlmCall,
    Loss,
    Net,
    Reads,
    SessionEnd,
    Tick,
    Wait,
)
from tests.live.conftest import KEY, MISSED, PREEMPTED, Gate
from tests.live.test_ipc import PRELUDE
from tests.live.test_tls import HANDSHAKE, TALK

#: rings that hold a few hundred records
TIGHT = SourceSettings(effects_ring=64 << 10, plaintext_ring=64 << 10, opened_ring=64 << 10)
#: one for a few dozen waits
FEW = SourceSettings(waited_ring=4 << 10)
#: a record that has no event of its own: the lineage has ended
IDLE = -1
WORKERS, ROUNDS = 4, 150
CALLS = 1500
OPENINGS = 4000
WAITS = 150

#: forks, files and refused connects by several processes at once: `-c FLOOD gate folder port`
FLOOD = f"""
import _socket, os, sys
gate, folder, port = sys.argv[1:]
open(gate).read()
for worker in range({WORKERS}):
    if os.fork() == 0:
        for number in range({ROUNDS}):
            path = f'{{folder}}/{{worker}}-{{number}}'
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
            os.unlink(path)
            connection = _socket.socket()
            try:
                connection.connect(('127.0.0.1', int(port)))
            except ConnectionRefusedError:
                pass
            connection.close()
            if os.fork() == 0:
                os._exit(0)
            os.wait()
        os._exit(0)
for _ in range({WORKERS}):
    os.wait()
os._exit(0)
"""

#: records of each dimension that FLOOD makes after its gate: forks and exits, the root's exit, the session's end;
#: a create and an unlink of each file; a connect
GENERATED = Counter(
    {
        "process": 2 * WORKERS * (ROUNDS + 1) + 2,
        "file": 2 * WORKERS * ROUNDS,
        "network": WORKERS * ROUNDS,
    }
)
DIMENSION_OF = {Fork: "process", Exit: "process", File: "file", Net: "network"}


class Flooded:
    """Commands that wait at their gates under one collector; what arrived of them, record by record."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector
        self._launched: dict[str, Launched] = {}
        self.events: dict[str, list[AnyEvent]] = {}
        #: by handle: the sequence numbers that arrived, IDLE for the record of the session's end
        self.arrived: dict[int, list[int]] = {}
        #: a fork was missed: what its child did was nobody's
        self.adrift = False
        source = collector.source
        drain = source.drain
        #: until when all was told, as the last round says
        self._told = 0

        def tap(timeout_ms: int, quiet_ms: int | None = None) -> tuple[list[bytes], int]:
            records, until = drain(timeout_ms, quiet_ms)
            self._told = until
            for record in records:
                _size, kind, _pad, _ts, handle, seq, *_process = wire.HDR.unpack_from(record)
                if seq:  # plaintext has none: its offsets show what is missing
                    seen = self.arrived.setdefault(handle, [])
                    seen.append(IDLE if kind == wire.Type.PG_SESSION_IDLE else seq)
            return records, until

        source.drain = tap  # type: ignore[method-assign]

    def start(self, gate: Gate, code: str, *arguments: str, flags: Sequence[str] = ("-S", "-E")) -> str:
        """A Python program, observed to the moment in which it waits at ``gate``: its session."""
        argv = [sys.executable, *flags, "-c", code, gate.path, *arguments]
        launched = Launched(argv)
        session = self._collector.enrol(launched.pid, "run", argv, os.getcwd())
        self._launched[session] = launched
        self.events[session] = []
        launched.release()
        while not gate.reached():
            self._round(20)
        reached = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        while self._told < reached:  # a round leaves its last millisecond to the next
            self._round(1)
        return session

    def let_go(self, session: str, gate: Gate) -> None:
        """Opens the gate and reads nothing before the command has ended."""
        gate.open()
        os.waitid(os.P_PID, self._launched[session].pid, os.WEXITED | os.WNOWAIT)

    def finish(self, session: str) -> None:
        """Reads to the session's end."""
        while not self._collector.ended(session):
            self._round(20)
        self.events[session] += self._collector.finish(session)
        assert self._launched[session].wait() == 0

    def handle(self, session: str) -> int:
        return self._collector._of(session).handle

    def counted(self, handle: int) -> tuple[int, int]:
        """The kernel's own numbers: records given out, records lost."""
        row = self._collector.source.session(handle)
        assert row is not None
        return row.emitted, sum(row.lost.values())

    def lost(self, session: str) -> Counter[str]:
        """What of the session's own was told as lost, by dimension."""
        lost: Counter[str] = Counter()
        for event in self.events[session]:
            if isinstance(event, Loss) and event.cause not in MISSED:
                assert event.cause in ("ring", "scratch")
                lost[event.dimension] += event.count
        return lost

    def missed(self, session: str) -> Counter[str]:
        """Runs that the kernel left out, by dimension: those of all sessions, and of nobody's."""
        missed: Counter[str] = Counter()
        for event in self.events[session]:
            if isinstance(event, Loss) and event.cause in MISSED:
                missed[event.dimension] += event.count
                self.adrift = self.adrift or event.cause == "missed_fork"
        return missed

    def _round(self, timeout_ms: int) -> None:
        for event in self._collector.round(timeout_ms):
            self.events[event.session].append(event)


@pytest.fixture
def rings(request: pytest.FixtureRequest) -> SourceSettings:
    """Sizes of the rings; a test may ask for others by a parameter."""
    return getattr(request, "param", TIGHT)


@pytest.fixture
def flooded(rings: SourceSettings) -> Iterator[Flooded]:
    with Collector("metadata", KEY, Loading(rings)) as collector:
        collector.start(sys.executable)
        yield Flooded(collector)


@pytest.fixture
def port() -> Iterator[str]:
    """A TCP port at which nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield str(held.getsockname()[1])


@pytest.mark.parametrize("rings", [SourceSettings(), TIGHT], indirect=True, ids=["ample", "tight"])
def test_what_was_generated_was_delivered_or_counted(
    flooded: Flooded, rings: SourceSettings, gate: Gate, tmp_path: Path, port: str, kernel: tuple[int, int]
) -> None:
    quiet_gate = Gate(tmp_path / "quiet")
    quiet = flooded.start(quiet_gate, "import sys; open(sys.argv[1]).read()")
    noisy = flooded.start(gate, FLOOD, str(tmp_path), port)
    handle, since = flooded.handle(noisy), len(flooded.events[noisy])
    flooded.let_go(noisy, gate)
    emitted, lost_in_kernel = flooded.counted(handle)
    flooded.finish(noisy)

    lost, arrived = flooded.lost(noisy), flooded.arrived[handle]
    got = Counter(
        DIMENSION_OF[type(event)]
        for event in flooded.events[noisy][since:]
        # Touches that are only counted in the kernel are no records.
        if type(event) in DIMENSION_OF and not (isinstance(event, File) and event.first_ts)
    )
    got["process"] += arrived.count(IDLE)
    missed = flooded.missed(noisy)
    # An exit that was left out takes the record of the session's end with it: the kernel counts one more as living.
    missed["process"] += bool(missed["process"]) and IDLE not in arrived
    if flooded.adrift:
        assert got + lost <= GENERATED
    else:
        assert got + lost <= GENERATED <= got + lost + missed
    if rings == TIGHT:
        assert set(lost) == set(GENERATED)
    else:
        assert kernel >= PREEMPTED or not lost + missed
    # The kernel's own numbers agree: each was given out once, and arrived or is counted.
    assert len(set(arrived)) == len(arrived)
    assert emitted == len(arrived) + lost_in_kernel and lost_in_kernel == sum(lost.values())

    # The other session lost nothing: its counters are its own.
    assert flooded.counted(flooded.handle(quiet)) == (len(flooded.arrived[flooded.handle(quiet)]), 0)
    quiet_gate.open()
    flooded.finish(quiet)
    assert not flooded.lost(quiet)


@pytest.mark.parametrize("rings", [SourceSettings(), TIGHT], indirect=True, ids=["ample", "tight"])
def test_openings_were_delivered_or_counted(
    flooded: Flooded, rings: SourceSettings, gate: Gate, tmp_path: Path
) -> None:
    """Ordinary files opened for reading have a ring and rows of their own."""
    (tmp_path / "file").write_text("x")
    often = f"for _ in range({OPENINGS}):\n os.close(os.open(sys.argv[2], 0))"
    program = f"import os, sys\nopen(sys.argv[1]).read()\n{often}"
    session = flooded.start(gate, program, str(tmp_path / "file"))
    flooded.let_go(session, gate)
    flooded.finish(session)
    inode = (tmp_path / "file").stat().st_ino
    told = [event for event in flooded.events[session] if isinstance(event, Reads)]
    got = sum(one.ino == inode for event in told for one in event.openings())
    lost = flooded.lost(session)
    assert got + lost["file"] == OPENINGS
    assert (lost["file"] > 0) == (rings == TIGHT)


@pytest.mark.parametrize("rings", [SourceSettings(), FEW], indirect=True, ids=["ample", "tight"])
def test_waits_were_delivered_or_counted(
    flooded: Flooded, rings: SourceSettings, gate: Gate, tmp_path: Path
) -> None:
    """So have waits. Only those for the child come after the gate."""
    waits = f"""
r, w = os.pipe()
done(*wait_for(lambda: os.read(r, 1), lambda: os.write(w, b'x'), times={WAITS}, seconds=0.002))
"""
    program = f"import sys\nopen(sys.argv.pop(1)).read()\n{PRELUDE}{waits}"
    session = flooded.start(gate, program, str(tmp_path / "told"))
    flooded.let_go(session, gate)
    flooded.finish(session)
    told = [event for event in flooded.events[session] if isinstance(event, Wait) and event.on]
    got = sum(event.count for event in told if event.kind == "pipe")
    lost = flooded.lost(session)
    assert got + lost["ipc"] == WAITS and got == sum(event.count for event in told)
    assert (lost["ipc"] > 0) == (rings == FEW)


@pytest.mark.parametrize("rings", [SourceSettings(), TIGHT], indirect=True, ids=["ample", "tight"])
def test_plaintext_was_delivered_or_counted(
    flooded: Flooded, rings: SourceSettings, gate: Gate, tmp_path: Path, records: list[TlsData | TlsClose]
) -> None:
    """Each write and each read is one record, each end of the two connections another."""
    program = f"{HANDSHAKE}\nopen(sys.argv.pop(1)).read()\n{TALK}"
    quiet_gate = Gate(tmp_path / "quiet")
    quiet = flooded.start(quiet_gate, program, "5", flags=())
    noisy = flooded.start(gate, program, *["100"] * CALLS, flags=())
    assert not records
    flooded.let_go(noisy, gate)
    flooded.finish(noisy)
    lost = flooded.lost(noisy)
    assert len(records) + lost["tls"] == 2 * CALLS + 2
    assert (lost["tls"] > 0) == (rings == TIGHT)

    # What is missing shows in the stream as well, up to the last record that came.
    streams = TlsStreams()
    for record in records:
        if isinstance(record, TlsData):
            chunks = streams.data(record)
            assert all(chunk.offset + len(chunk.data) == record.offset + 100 for chunk in chunks)
            assert sum(chunk.missing for chunk in chunks) % 100 == 0

    records.clear()
    quiet_gate.open()
    flooded.finish(quiet)
    assert not flooded.lost(quiet)
    assert [len(record.data) for record in records if isinstance(record, TlsData)] == [5, 5]


@pytest.mark.parametrize(
    ("rings", "expected"),
    [(SourceSettings(), ("refuted", "not_written")), (TIGHT, ("unverifiable", "records_lost"))],
    indirect=["rings"],
    ids=["ample", "tight"],
)
def test_a_flood_excuses_what_it_may_hide(
    flooded: Flooded,
    gate: Gate,
    tmp_path: Path,
    port: str,
    expected: tuple[str, str],
    kernel: tuple[int, int],
) -> None:
    """The agent says that it wrote a file, and nobody did, in a window of which records were lost."""
    session = flooded.start(gate, FLOOD, str(tmp_path), port)
    flooded.let_go(session, gate)
    flooded.finish(session)
    log = flooded.events[session]
    root = next(event.process for event in log if isinstance(event, Exec))
    end = next(event for event in log if isinstance(event, SessionEnd))
    target = str(tmp_path / "report.txt")
    said = {"session": session, "ts": end.ts, "process": root, "call": "c1"}
    log += [
        LlmCall(**said, api="openai.chat", host="api.test", request_ts=end.ts, status=200),
        Claim(**said, claim="k1", source="model", kind="occurrence", topic="file_created", targets=(target,)),
        Tick(session=session, ts=end.ts + 1),
        SessionEnd(session=session, ts=end.ts + 1),
    ]
    engine = Engine()
    (verdict,) = [verdict for event in log if event is not end for verdict in engine.feed(event).verdicts]
    if kernel >= PREEMPTED and flooded.lost(session) + flooded.missed(session):
        expected = ("unverifiable", "records_lost")
    assert (verdict.verdict, verdict.reason) == expected
