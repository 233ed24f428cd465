"""Executes what is not recorded yet, some sessions at a time, and keeps each in its family's archive."""

from __future__ import annotations

import os
import select
import shutil
import signal
import tempfile
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

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
    running: dict[int, _Running] = {}
    while True:
        while len(running) < jobs and (session := next(waiting, None)) is not None:
            one = _started(session)
            running[os.pidfd_open(one.pid)] = one
        if not running:
            return
        ready, _, _ = select.select(list(running), [], [])
        for descriptor in ready:
            one = running.pop(descriptor)
            os.close(descriptor)
            _, status = os.waitpid(one.pid, 0)
            try:
                yield one.session, _outcome(one.folder, status)
            finally:
                shutil.rmtree(one.folder)


class _Running(NamedTuple):
    pid: int
    session: Session
    folder: Path


def _started(session: Session) -> _Running:
    place.BUILT.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="play-", dir=place.BUILT))
    child = os.fork()
    if child:
        return _Running(child, session, folder)
    status = 1
    try:  # whatever happens, nothing of this process goes on here
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
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
        status = 0
    finally:
        os._exit(status)


def _outcome(folder: Path, status: int) -> Outcome:
    if (folder / "record.json").exists():
        return msgspec.json.decode((folder / "record.json").read_bytes(), type=Record)
    if (folder / "faults.json").exists():
        return msgspec.json.decode((folder / "faults.json").read_bytes(), type=list[str])
    return [f"it ended with {os.waitstatus_to_exitcode(status)}"]


def record(
    sessions: Iterable[Session],
    jobs: int,
    again: bool,
    tell: Callable[[Session, Outcome], None],
    first: int | None = None,
) -> int:
    """Records what has no record of the very same definition; the number of sessions that went wrong.

    Of each family no more than the ``first`` ones, if that is given.

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
    to_do = [one for one in to_do if first is None or one.position < first]
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
    """Writes the families' archives anew where sessions were put by or are no longer ``wanted`` as they are."""

    def is_wanted(one: Record) -> bool:
        return one.session in wanted and wanted[one.session].digest == one.digest

    for family in sorted({session.family for session in wanted.values()}):
        put_by = next(records.kept(family), None) is not None
        if put_by or not all(map(is_wanted, records.load(family))):
            records.pack(family, is_wanted)
