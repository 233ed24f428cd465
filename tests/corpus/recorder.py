"""Executes what is not recorded yet, some sessions at a time, and keeps each in its family's archive."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from tests.corpus import expand, place, records, schema
from tests.corpus.expand import Session
from tests.corpus.play import PATIENCE, play
from tests.corpus.records import Record

Outcome = Record | list[str]


def every(only: Sequence[str] = ()) -> Iterator[Session]:
    """All sessions of the corpus, or of the families that are named. Raises ValueError for one that is not there."""
    families, kits, steps, phrases = schema.families(), schema.kits(), schema.steps(), schema.phrases()
    if unknown := set(only) - set(families):
        raise ValueError(f"no family {', '.join(sorted(unknown))}")
    for name, family in families.items():
        if not only or name in only:
            yield from expand.sessions(name, family, kits, steps, phrases)


def outcomes(sessions: Iterable[Session], jobs: int) -> Iterator[tuple[Session, Outcome]]:
    """Plays each session in a place of its own, ``jobs`` at a time; gives them as they end.

    Each is a fork of this process, which spares it the start of an interpreter; so there must be no other thread.
    """
    waiting = iter(sessions)
    running: dict[int, tuple[Session, Path]] = {}
    while True:
        while len(running) < jobs and (session := next(waiting, None)) is not None:
            running.update([_started(session)])
        if not running:
            return
        pid, status = os.wait()
        session, folder = running.pop(pid)
        try:
            yield session, _outcome(folder, status)
        finally:
            shutil.rmtree(folder)


def _started(session: Session) -> tuple[int, tuple[Session, Path]]:
    place.BUILT.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="play-", dir=place.BUILT))
    child = os.fork()
    if child:
        return child, (session, folder)
    signal.alarm(4 * PATIENCE)  # nothing outlives this
    try:
        place.unshare()
        try:
            outcome: Outcome = play(session, folder)
        finally:
            place.leave()
    except Exception:  # noqa: BLE001 # told by the parent
        outcome = [traceback.format_exc()]
    name = "record.json" if isinstance(outcome, Record) else "faults.json"
    (folder / name).write_bytes(msgspec.json.encode(outcome))
    os._exit(0)


def _outcome(folder: Path, status: int) -> Outcome:
    if (folder / "record.json").exists():
        return msgspec.json.decode((folder / "record.json").read_bytes(), type=Record)
    if (folder / "faults.json").exists():
        return msgspec.json.decode((folder / "faults.json").read_bytes(), type=list[str])
    return [f"it ended with {os.waitstatus_to_exitcode(status)}"]


def record(
    sessions: Iterable[Session], jobs: int, again: bool, tell: Callable[[Session, Outcome], None]
) -> int:
    """Records what has no record of the very same definition; the number of sessions that went wrong.

    The first sessions of every family come first. When it is broken off, what was recorded is put by, not lost.
    """
    wanted = {session.name: session for session in sessions}
    families = sorted({session.family for session in wanted.values()})
    there = {
        one.session: one.digest
        for family in families
        for one in (*records.load(family), *records.kept(family))
    }
    to_do = [one for one in wanted.values() if again or there.get(one.name) != one.digest]
    to_do.sort(key=lambda one: (one.position, one.family))
    wrong = 0
    for session, outcome in outcomes(to_do, jobs):
        if isinstance(outcome, Record):
            records.keep(outcome)
        else:
            wrong += 1
        tell(session, outcome)
    pack(wanted)
    return wrong


def pack(wanted: Mapping[str, Session]) -> None:
    """Writes the archives of the families of which sessions were put by; they hold what is ``wanted``, and no more."""
    for family in sorted({session.family for session in wanted.values()}):
        if next(records.kept(family), None) is not None:
            records.pack(
                family, lambda one: one.session in wanted and wanted[one.session].digest == one.digest
            )
