"""polygraph/log/retention.py: what is beyond a limit goes, whole and noted; what is being written stays."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polygraph.audit import AuditLog
from polygraph.errors import PolygraphError
from polygraph.events import SessionEnd
from polygraph.log.retention import DAY, Limits, choose, limits_of, prune
from polygraph.log.store import SessionRow, Store
from tests.polygraph.test_store import exits, finding, start, verdict

NAMES = [f"{n:016x}" for n in range(1, 6)]
NOW = 100 * DAY


def row(name: str, days: float, content: str = "metadata") -> SessionRow:
    """A session that ended so many days ago."""
    ended = NOW - int(days * DAY)
    return SessionRow(
        id=name, started=ended - 1, ended=ended, command=("a",), content=content, status=0,
        verified=0, refuted=0, unverifiable=0, lost=0,
    )  # fmt: skip


ROWS = [row(name, days) for name, days in zip(NAMES, (1, 2, 3, 4, 5), strict=True)]


@pytest.mark.parametrize(
    ("limits", "gone"),
    [
        (Limits(), []),
        (Limits(days=3.5), [(NAMES[4], "age"), (NAMES[3], "age")]),
        (Limits(sessions=4), [(NAMES[4], "sessions")]),
        (Limits(sessions=0), [(name, "sessions") for name in reversed(NAMES)]),
        (Limits(megabytes=0.0021), [(name, "size") for name in (NAMES[4], NAMES[3], NAMES[2])]),
        (Limits(days=4.5, sessions=2), [(NAMES[4], "age"), (NAMES[3], "sessions"), (NAMES[2], "sessions")]),
        (Limits(content_days=1.5), []),
    ],
)
def test_what_a_limit_chooses(limits: Limits, gone: list[tuple[str, str]]) -> None:
    chosen = choose(ROWS, dict.fromkeys(NAMES, 1000), limits, NOW)
    assert [(item.session, item.why) for item in chosen] == gone


def test_content_may_be_kept_for_less_time() -> None:
    rows = [
        row(NAMES[0], 2, "full"),
        row(NAMES[1], 2),
        row(NAMES[2], 2, "redacted"),
        row(NAMES[3], 1, "full"),
    ]
    chosen = choose(rows, {}, Limits(days=30, content_days=1.5), NOW)
    assert [(item.session, item.why) for item in chosen] == [
        (NAMES[2], "content_age"),
        (NAMES[0], "content_age"),
    ]


@given(st.lists(st.floats(0, 90), max_size=8), st.integers(0, 9), st.floats(0, 90))
def test_what_is_kept_is_within_the_limits(ages: list[float], sessions: int, days: float) -> None:
    rows = [row(f"{n:016x}", age) for n, age in enumerate(sorted(ages))]
    gone = {item.session for item in choose(rows, {}, Limits(sessions=sessions, days=days), NOW)}
    kept = [item for item in rows if item.id not in gone]
    assert len(kept) <= sessions and all(NOW - (item.ended or 0) <= days * DAY + 1 for item in kept)
    assert kept == rows[: len(kept)]  # the newest


def test_limits_of_the_environment() -> None:
    names = {"POLYGRAPH_KEEP_DAYS": "1.5", "POLYGRAPH_KEEP_SESSIONS": "7", "POLYGRAPH_KEEP_MB": ""}
    assert limits_of(names) == Limits(days=1.5, sessions=7)
    assert not limits_of({}).any


@pytest.mark.parametrize("text", ["-1", "many", "nan", "1e99", "1.5.2"])
def test_a_limit_that_is_none_is_an_error(text: str) -> None:
    with pytest.raises(PolygraphError, match="POLYGRAPH_KEEP_DAYS"):
        limits_of({"POLYGRAPH_KEEP_DAYS": text})


def fill(store: Store, *names: str) -> None:
    for number, name in enumerate(names):
        store.append([start(name, ts=10 + number), *[e for e in exits(3) if e.session == name]])
        store.append([SessionEnd(session=name, ts=50, seq=9)])
        store.add([verdict(f"v{name}", session=name)])
        store.add_findings([finding(f"f{name}", session=name)])
        store.finish(name, ended=1_000 + number, status=0, lost=0)


def test_a_session_goes_whole_and_the_audit_log_says_so(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        fill(store, *NAMES[:3])
        would = prune(store, Limits(sessions=1), NOW, "prune", dry_run=True)
        assert [item.session for item in would.gone] == NAMES[:2] and len(store.sessions()) == 3
        pruned = prune(store, Limits(sessions=1), NOW, "prune")
        assert [item.session for item in pruned.gone] == NAMES[:2] and pruned.busy == ()
        assert [item.id for item in store.sessions()] == [NAMES[2]]
        assert [item.id for item in store.verdicts()] == [f"v{NAMES[2]}"]
        assert [item.id for item in store.findings()] == [f"f{NAMES[2]}"]
    assert [path.name for path in (tmp_path / "events").iterdir()] == [f"{NAMES[2]}.jsonl.zst"]
    (entry,) = AuditLog(tmp_path).entries()
    assert (entry.what, entry.sessions, entry.reason) == ("pruned", tuple(NAMES[:2]), "sessions")


def test_what_was_removed_is_in_no_file_of_the_store(tmp_path: Path) -> None:
    word = "zebracrossing"
    with Store(tmp_path) as store:
        store.append([start(NAMES[0])])
        store.append([SessionEnd(session=NAMES[0], ts=50, seq=9)])
        store.add([verdict(word, session=NAMES[0])])
        store.add_findings([finding(word, session=NAMES[0])])
        store.finish(NAMES[0], ended=1, status=0, lost=0)
        prune(store, Limits(sessions=0), NOW, "prune")
        left = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert word.encode() not in left


def test_a_session_that_is_being_written_stays(tmp_path: Path) -> None:
    with Store(tmp_path) as writer, Store(tmp_path) as other:
        writer.append([start(NAMES[0])])
        pruned = prune(other, Limits(sessions=0), NOW, "prune")
        assert pruned.gone == () and [item.session for item in pruned.busy] == [NAMES[0]]
        assert [item.id for item in other.sessions()] == [NAMES[0]]
        writer.append([SessionEnd(session=NAMES[0], ts=50, seq=9)])
        assert [item.session for item in prune(other, Limits(sessions=0), NOW, "prune").gone] == [NAMES[0]]


def test_what_a_crash_left_behind_goes_with_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Store(tmp_path) as store:
        fill(store, *NAMES[:2])

        def crash(*_args: Any, **_options: Any) -> None:
            raise OSError("crash")

        with monkeypatch.context() as patch:
            patch.setattr(Path, "unlink", crash)
            with pytest.raises(OSError, match="crash"):
                store.delete(NAMES[0])
    with Store(tmp_path) as store:
        assert [item.id for item in store.sessions()] == [NAMES[1]] and store.orphans() == [NAMES[0]]
        pruned = prune(store, Limits(days=1e6), NOW, "run")
        assert [(item.session, item.why) for item in pruned.gone] == [(NAMES[0], "orphan")]
        assert store.orphans() == [] and len(list((tmp_path / "events").iterdir())) == 1


def test_a_deletion_that_fails_in_the_database_removes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store(tmp_path) as store, sqlite3.connect(tmp_path / "polygraph.db", isolation_level=None) as other:
        fill(store, NAMES[0])
        store._db.execute("PRAGMA busy_timeout=1")
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.OperationalError):
            store.delete(NAMES[0])
        other.execute("ROLLBACK")
        assert len(store.sessions()) == len(list(store.verdicts())) == 1 and store.orphans() == []


def test_a_deletion_that_fails_half_way_is_taken_back_and_the_store_goes_on(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        fill(store, NAMES[0])
        store._db.execute(
            "CREATE TEMP TRIGGER full BEFORE DELETE ON sessions BEGIN SELECT RAISE(ABORT, 'no room'); END"
        )
        with pytest.raises(sqlite3.Error, match="no room"):
            store.delete(NAMES[0])
        fill(store, NAMES[1])
    with Store(tmp_path) as store:
        assert sorted(row.id for row in store.sessions()) == NAMES[:2]
        assert len(list(store.verdicts())) == 2
