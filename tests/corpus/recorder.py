"""Executes what is not recorded yet, some sessions at a time, and keeps each in its family's archive."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
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
        outcome: Outcome = play(session, folder)
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
    """Records what has no record of the very same definition; the number of sessions that went wrong."""
    wanted: dict[str, dict[str, Session]] = {}
    for session in sessions:
        wanted.setdefault(session.family, {})[session.name] = session
    kept = {
        family: {
            one.session: one
            for one in records.load(family)
            if not again and one.session in named and one.digest == named[one.session].digest
        }
        for family, named in wanted.items()
    }
    to_do = [
        one for family, named in wanted.items() for name, one in named.items() if name not in kept[family]
    ]
    wrong = 0
    for session, outcome in outcomes(to_do, jobs):
        if isinstance(outcome, Record):
            kept[session.family][session.name] = outcome
            records.save(session.family, kept[session.family].values())
        else:
            wrong += 1
        tell(session, outcome)
    return wrong
