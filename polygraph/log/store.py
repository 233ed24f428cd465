"""The store of embedded mode: sessions, verdicts and findings in SQLite, events in segments beside it.

``ROOT/polygraph.db`` (WAL), ``ROOT/events/<session>.jsonl.zst``, ``ROOT/key`` (32 bytes for keyed digests,
so that digests join within one store and mean nothing elsewhere). ROOT is created 0700.
"""

from __future__ import annotations

import fcntl
import os
import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from polygraph import findings as finding_codec
from polygraph import verdicts as verdict_codec
from polygraph.errors import PolygraphError
from polygraph.events import AnyEvent, SessionEnd, SessionStart
from polygraph.findings import Finding
from polygraph.log.segments import SegmentWriter, read_segment
from polygraph.verdicts import Verdict

SCHEMA_VERSION = 1

_SCHEMA = """
CREATE TABLE IF NOT EXISTS sessions (
    id TEXT PRIMARY KEY, started INTEGER NOT NULL, ended INTEGER, command TEXT NOT NULL,
    content TEXT NOT NULL, status INTEGER, lost INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE IF NOT EXISTS verdicts (
    id TEXT PRIMARY KEY, session TEXT NOT NULL REFERENCES sessions(id), ts INTEGER NOT NULL,
    verdict TEXT NOT NULL, reason TEXT, line BLOB NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS verdicts_by_session ON verdicts(session, ts);
CREATE TABLE IF NOT EXISTS findings (
    id TEXT PRIMARY KEY, session TEXT NOT NULL REFERENCES sessions(id), ts INTEGER NOT NULL,
    detector TEXT NOT NULL, kind TEXT NOT NULL, line BLOB NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS findings_by_session ON findings(session, ts);
"""

_SUFFIX = ".jsonl.zst"
_KEY_BYTES = 32
_SESSION_ID = re.compile(r"[0-9a-f]{16}")


class StoreError(PolygraphError):
    """The store cannot be used: the message says which path and why."""


class SessionRow(msgspec.Struct, frozen=True, kw_only=True):
    """One session as ``polygraph sessions`` lists it."""

    id: str
    #: Unix time, ns
    started: int
    ended: int | None
    command: tuple[str, ...]
    content: str
    #: exit status of the root process, 128 + signal if a signal ended it; None while unknown
    status: int | None
    verified: int
    refuted: int
    unverifiable: int
    #: events that could not be written to disk
    lost: int


def default_root() -> Path:
    """``$POLYGRAPH_HOME``, else ``$XDG_STATE_HOME/polygraph``, else ``~/.local/state/polygraph``."""
    if home := os.environ.get("POLYGRAPH_HOME"):
        return Path(home)
    state = os.environ.get("XDG_STATE_HOME")
    return (Path(state) if state else Path.home() / ".local" / "state") / "polygraph"


class Store:
    """Implements EventLog and VerdictLog. One writer, any number of readers."""

    def __init__(self, root: Path | None = None) -> None:
        """Opens or creates the store. Raises StoreError."""
        self.root = root or default_root()
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            (self.root / "events").mkdir(mode=0o700, exist_ok=True)
            self.key = _load_key(self.root / "key")
            _private(self.root / "polygraph.db")
            self._db = sqlite3.connect(self.root / "polygraph.db", timeout=10, isolation_level=None)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._check_version()
            self._db.executescript(_SCHEMA)
            self._db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        except (OSError, sqlite3.Error) as error:
            raise StoreError(
                f"cannot use the store at {self.root}: {error}", "set POLYGRAPH_HOME to a writable folder"
            ) from error
        self._writers: dict[str, SegmentWriter] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def append(self, events: Sequence[AnyEvent]) -> None:
        """Adds events to their sessions' segments. Raises OSError (disk full): then none of them is there."""
        by_session: dict[str, list[AnyEvent]] = {}
        for event in events:
            by_session.setdefault(event.session, []).append(event)
            if isinstance(event, SessionStart):
                self._begin(event)
        for session, group in by_session.items():
            self._writer(session).append(group)
            if isinstance(group[-1], SessionEnd):
                self._writers.pop(session).close()

    def _begin(self, start: SessionStart) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO sessions (id, started, command, content) VALUES (?, ?, ?, ?)",
            (
                start.session,
                start.ts + start.wall_offset,
                msgspec.json.encode(start.argv).decode(),
                start.content,
            ),
        )

    def finish(self, session: str, ended: int, status: int | None, lost: int) -> None:
        """Notes the end of a session: Unix time in ns, exit status of the root, events that did not reach the disk."""
        self._db.execute(
            "UPDATE sessions SET ended = ?, status = ?, lost = ? WHERE id = ?", (ended, status, lost, session)
        )

    def events(self, session: str) -> Iterator[AnyEvent]:
        """Events of a session, in order. Raises StoreError if there is none of that id."""
        path = self._segment(session)
        if not path.exists():
            raise StoreError(
                f"no events of session {session} in {self.root}", "polygraph sessions lists them"
            )
        yield from read_segment(path)

    def add(self, verdicts: Iterable[Verdict]) -> None:
        """Adds verdicts, replacing those of the same id. Raises sqlite3.Error."""
        self._db.executemany(
            "INSERT OR REPLACE INTO verdicts (id, session, ts, verdict, reason, line) VALUES (?, ?, ?, ?, ?, ?)",
            [(v.id, v.session, v.ts, v.verdict, v.reason, verdict_codec.encode(v)) for v in verdicts],
        )

    def verdicts(self, session: str | None = None) -> Iterator[Verdict]:
        """Verdicts of one session, or of all, oldest first."""
        query = "SELECT v.line FROM verdicts v JOIN sessions s ON s.id = v.session"
        if session is None:
            rows = self._db.execute(query + " ORDER BY s.started, v.ts, v.rowid")
        else:
            rows = self._db.execute(query + " WHERE v.session = ? ORDER BY v.ts, v.rowid", (session,))
        for (line,) in rows:
            yield verdict_codec.decode(line)

    def add_findings(self, findings: Iterable[Finding]) -> None:
        """Adds findings, replacing those of the same id. Raises sqlite3.Error."""
        self._db.executemany(
            "INSERT OR REPLACE INTO findings (id, session, ts, detector, kind, line) VALUES (?, ?, ?, ?, ?, ?)",
            [(f.id, f.session, f.ts, f.detector, f.kind, finding_codec.encode(f)) for f in findings],
        )

    def findings(self, session: str | None = None) -> Iterator[Finding]:
        """Findings of one session, or of all, oldest first."""
        query = "SELECT f.line FROM findings f JOIN sessions s ON s.id = f.session"
        if session is None:
            rows = self._db.execute(query + " ORDER BY s.started, f.ts, f.rowid")
        else:
            rows = self._db.execute(query + " WHERE f.session = ? ORDER BY f.ts, f.rowid", (session,))
        for (line,) in rows:
            yield finding_codec.decode(line)

    def sessions(self) -> list[SessionRow]:
        """All sessions, newest first."""
        rows = self._db.execute(
            """SELECT s.id, s.started, s.ended, s.command, s.content, s.status, s.lost,
                      sum(v.verdict = 'verified'), sum(v.verdict = 'refuted'),
                      sum(v.verdict = 'unverifiable' AND v.reason IS NOT 'guessed')
               FROM sessions s LEFT JOIN verdicts v ON v.session = s.id GROUP BY s.id ORDER BY s.started DESC"""
        )
        return [
            SessionRow(
                id=row[0],
                started=row[1],
                ended=row[2],
                command=msgspec.json.decode(row[3], type=tuple[str, ...]),
                content=row[4],
                status=row[5],
                lost=row[6],
                verified=row[7] or 0,
                refuted=row[8] or 0,
                unverifiable=row[9] or 0,
            )
            for row in rows
        ]

    def find(self, prefix: str | None) -> SessionRow:
        """The session whose id begins with ``prefix``, or the newest one. Raises StoreError if none or several do."""
        rows = self.sessions()
        if not rows:
            raise StoreError(
                f"the store at {self.root} holds no session yet", "polygraph run -- CMD makes one"
            )
        if prefix is None:
            return rows[0]
        found = [row for row in rows if row.id.startswith(prefix)]
        if len(found) != 1:
            what = "no session" if not found else f"{len(found)} sessions"
            raise StoreError(
                f"{what} with an id that begins with {prefix!r}", "polygraph sessions lists them"
            )
        return found[0]

    def sizes(self) -> dict[str, int]:
        """Bytes on disk of each session: its events, and the lines of its verdicts and findings."""
        rows = self._db.execute(
            "SELECT s.id, (SELECT coalesce(sum(length(line)), 0) FROM verdicts WHERE session = s.id)"
            " + (SELECT coalesce(sum(length(line)), 0) FROM findings WHERE session = s.id) FROM sessions s"
        )
        sizes = dict(rows)
        for name in sizes:
            with suppress(FileNotFoundError):  # nothing was written of it (a full disk)
                sizes[name] += self._segment(name).stat().st_size
        return sizes

    def orphans(self) -> list[str]:
        """Sessions of which only events are left: a deletion was cut short (see :meth:`delete`)."""
        known = {row[0] for row in self._db.execute("SELECT id FROM sessions")}
        names = (path.name.removesuffix(_SUFFIX) for path in (self.root / "events").glob(f"*{_SUFFIX}"))
        return sorted(name for name in names if _SESSION_ID.fullmatch(name) and name not in known)

    def delete(self, session: str) -> bool:
        """Removes a session with its events, verdicts and findings; False, and nothing, while it is being written.

        Recovery rule. The rows go first, in one transaction, then the file. A crash between the two leaves a file of
        no session, which no command shows and the next :func:`polygraph.log.retention.prune` removes: a row is made
        before its file, so a file without one is always such a rest. Freed pages are overwritten. Raises OSError,
        sqlite3.Error.
        """
        path = self._segment(session)
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            fd = -1
        try:
            if fd >= 0:
                try:
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    return False
            self._db.execute("PRAGMA secure_delete=ON")
            with self._db:  # committed, or rolled back
                self._db.execute("BEGIN IMMEDIATE")
                self._db.execute("DELETE FROM verdicts WHERE session = ?", (session,))
                self._db.execute("DELETE FROM findings WHERE session = ?", (session,))
                self._db.execute("DELETE FROM sessions WHERE id = ?", (session,))
            path.unlink(missing_ok=True)
        finally:
            if fd >= 0:
                os.close(fd)
        return True

    def forget(self) -> None:
        """Overwrites what the write-ahead log still holds of deleted rows. Raises sqlite3.Error."""
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Closes files; the store can be opened again."""
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()
        self._db.close()

    def _check_version(self) -> None:
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            raise StoreError(
                f"the store at {self.root} was made by a newer polygraph (schema {version})",
                "use that version, or another folder through POLYGRAPH_HOME",
            )

    def _writer(self, session: str) -> SegmentWriter:
        if session not in self._writers:
            self._writers[session] = SegmentWriter(self._segment(session))
        return self._writers[session]

    def _segment(self, session: str) -> Path:
        if not _SESSION_ID.fullmatch(session):
            raise StoreError(f"{session!r} is no session id", "an id is 16 hexadecimal digits")
        return self.root / "events" / f"{session}{_SUFFIX}"


def _private(path: Path) -> None:
    """Makes the file 0600 before SQLite would make it by the umask; its journals take its mode."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))


def _load_key(path: Path) -> bytes:
    """The secret of the store, made when there is none: whole or not at all, one for all who begin at once."""
    if not path.exists():
        made = path.with_name(f"key.{os.getpid()}.new")
        fd = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            os.write(fd, os.urandom(_KEY_BYTES))
            os.fsync(fd)
        finally:
            os.close(fd)
        with suppress(FileExistsError):  # another was quicker: its key is the store's
            path.hardlink_to(made)
        made.unlink()
    key = path.read_bytes()
    if len(key) != _KEY_BYTES:
        raise OSError(f"{path} does not hold {_KEY_BYTES} bytes: remove it, and a new secret is made")
    return key
