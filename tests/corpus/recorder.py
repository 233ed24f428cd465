"""Executes what is not recorded yet, some sessions at a time, and keeps each in its family's archive."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import msgspec

from tests.corpus import expand, place, records, schema
from tests.corpus.expand import Session
from tests.corpus.play import PATIENCE
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


def execute(session: Session) -> Outcome:
    """Plays the session in a place of its own; what is wrong, if it is not as it tells itself."""
    place.BUILT.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="play-", dir=place.BUILT))
    try:
        (folder / "session.json").write_bytes(msgspec.json.encode(session))
        done = subprocess.run(
            [*place.UNSHARE, sys.executable, "-B", "-m", "tests.corpus.play", folder],
            cwd=place.ROOT, capture_output=True, text=True, check=False, timeout=3 * PATIENCE,
        )  # fmt: skip
        if (folder / "record.json").exists():
            return msgspec.json.decode((folder / "record.json").read_bytes(), type=Record)
        if (folder / "faults.json").exists():
            return msgspec.json.decode((folder / "faults.json").read_bytes(), type=list[str])
        return [f"exit status {done.returncode}: {done.stderr[-2000:]}"]
    except subprocess.TimeoutExpired:
        return ["it did not come to an end"]
    finally:
        shutil.rmtree(folder)


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
    with ThreadPoolExecutor(jobs) as pool:
        running = {pool.submit(execute, session): session for session in to_do}
        for done in as_completed(running):
            session, outcome = running[done], done.result()
            if isinstance(outcome, Record):
                kept[session.family][session.name] = outcome
                records.save(session.family, kept[session.family].values())
            else:
                wrong += 1
            tell(session, outcome)
    return wrong
