"""polygraph.log: what was appended is read again; damage costs the tail and nothing else."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polygraph import findings, verdicts
from polygraph.audit import AuditLog
from polygraph.events import AnyEvent, Exit, SessionEnd, SessionStart
from polygraph.findings import Finding
from polygraph.log.segments import SegmentWriter, read_segment
from polygraph.log.store import Store, StoreError
from polygraph.verdicts import Subject, Verdict, Window

SESSION = "0123456789abcdef"


def start(session: str = SESSION, ts: int = 10) -> SessionStart:
    return SessionStart(
        session=session,
        ts=ts,
        host="h",
        boot="b",
        kernel="6.18",
        process="7:9",
        argv=("agent", "it's"),
        cwd="/w",
        origin="run",
        wall_offset=1_000,
    )


def finding(name: str, session: str = SESSION, summary: str = "It was so.") -> Finding:
    return Finding(
        id=name,
        session=session,
        ts=5,
        detector="d",
        kind="k",
        summary=summary,
        evidence=(),
        window=Window(open=1, close=2),
    )


def exits(count: int, first: int = 1) -> list[AnyEvent]:
    return [
        Exit(session=SESSION, ts=n, seq=n, process=f"{n}:1", status=0) for n in range(first, first + count)
    ]


def verdict(name: str, word: str = "verified", session: str = SESSION) -> Verdict:
    return Verdict(
        id=name,
        session=session,
        ts=5,
        subject=Subject(kind="intent", id="i"),
        verdict=word,  # type: ignore[arg-type]
        reason=None if word == "verified" else "failed",
        grade=None,
        declared="",
        observed="",
        evidence=(),
        coverage={},
        window=Window(open=1, close=2),
        traceparent=None,
        rule="r",
        version=1,
    )


def test_a_verdict_on_a_guess_is_in_no_count(tmp_path: Path) -> None:
    guess = msgspec.structs.replace(verdict("g", "unverifiable"), reason="guessed")
    nameless = msgspec.structs.replace(verdict("n", "unverifiable"), reason=None)
    with Store(tmp_path) as store:
        store.append([start()])
        store.add([guess, nameless, verdict("u", "unverifiable")])
        (row,) = store.sessions()
        assert (row.verified, row.refuted, row.unverifiable) == (0, 0, 2)
        assert len(list(store.verdicts(SESSION))) == 3


def test_events_and_verdicts_are_read_again_after_a_restart(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.append([start(), *exits(3)])
        store.append([*exits(2, first=4), SessionEnd(session=SESSION, ts=9, seq=6)])
        store.add([verdict("a"), verdict("b", "refuted")])
        store.finish(SESSION, ended=77, status=3, lost=0)
    with Store(tmp_path) as store:
        assert [event.seq for event in store.events(SESSION)] == [0, 1, 2, 3, 4, 5, 6]
        assert [v.id for v in store.verdicts(SESSION)] == ["a", "b"]
        (row,) = store.sessions()
        assert (row.verified, row.refuted, row.unverifiable) == (1, 1, 0)
        assert (row.started, row.ended, row.status, row.command) == (1_010, 77, 3, ("agent", "it's"))


def test_a_verdict_given_twice_is_there_once(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.append([start()])
        store.add([verdict("a")])
        store.add([verdict("a", "refuted")])
        assert [v.verdict for v in store.verdicts()] == ["refuted"]


def test_findings_are_read_again_and_the_last_word_on_each_stays(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.append([start()])
        store.add_findings([finding("a"), finding("b")])
        store.add_findings([finding("b", summary="It went on.")])
    with Store(tmp_path) as store:
        assert [f.summary for f in store.findings(SESSION)] == ["It was so.", "It went on."]
        assert list(store.findings()) == list(store.findings(SESSION)) and not list(store.findings("0" * 16))


def test_the_size_of_a_session_is_all_that_is_kept_of_it(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.append([start()])
        sizes = [store.sizes()[SESSION]]
        store.add([verdict("a"), verdict("b")])
        sizes.append(store.sizes()[SESSION])
        store.add_findings([finding("f"), finding("g")])
        sizes.append(store.sizes()[SESSION])
        judged = sum(len(verdicts.encode(verdict)) for verdict in store.verdicts())
        found = sum(len(findings.encode(finding)) for finding in store.findings())
    assert [sizes[1] - sizes[0], sizes[2] - sizes[1]] == [judged, found] and judged and found


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(min_value=0, max_value=2_000), flip=st.booleans())
def test_a_segment_torn_or_damaged_at_any_byte_gives_whole_appends_only(
    tmp_path_factory: pytest.TempPathFactory, cut: int, flip: bool
) -> None:
    path = tmp_path_factory.mktemp("segment") / "s.zst"
    writer = SegmentWriter(path)
    for n in range(5):
        writer.append(exits(4, first=1 + 4 * n))
    writer.close()
    data = bytearray(path.read_bytes())
    cut %= len(data)
    if flip:
        data[cut] ^= 0x55
    else:
        del data[cut:]
    path.write_bytes(data)
    read = list(read_segment(path))
    assert len(read) % 4 == 0
    assert read == exits(20)[: len(read)]


def test_a_full_disk_takes_back_the_half_written_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = SegmentWriter(tmp_path / "s.zst")
    writer.append(exits(2))
    real = os.write

    def full(fd: int, data: bytes) -> int:
        if len(data) > 8:
            return real(fd, data[:8])
        raise OSError(errno.ENOSPC, "no space")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(OSError, match="no space"):
            # the short write leaves less than 8 bytes at the end only when the frame is longer than that
            while True:
                writer.append(exits(1, first=3))
    writer.append(exits(1, first=3))
    writer.close()
    assert [event.seq for event in read_segment(tmp_path / "s.zst")][:2] == [1, 2]
    assert [event.seq for event in read_segment(tmp_path / "s.zst")][-1] == 3


def test_the_store_is_private(tmp_path: Path) -> None:
    root = tmp_path / "store"
    with Store(root) as store:
        store.append([start()])
    assert root.stat().st_mode & 0o077 == 0
    assert (root / "key").stat().st_mode & 0o077 == 0
    assert (root / "events" / f"{SESSION}.jsonl.zst").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_it_is_private_under_any_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        with Store(tmp_path / "store") as store:
            store.append([start()])
            AuditLog(store.root).append("capture_begin", level="metadata")
            files = [path for path in (tmp_path / "store").rglob("*") if path.is_file()]
            modes = {path.name: path.stat().st_mode & 0o077 for path in files}
    finally:
        os.umask(before)
    assert {"polygraph.db", "polygraph.db-wal", "key", "audit.jsonl"} <= modes.keys()
    assert not any(modes.values()) and (tmp_path / "store").stat().st_mode & 0o077 == 0


def test_stores_that_begin_at_once_share_one_key(tmp_path: Path) -> None:
    program = "import sys; from pathlib import Path; from polygraph.log.store import _load_key\n"
    program += "print(_load_key(Path(sys.argv[1])).hex())"
    started = [
        subprocess.Popen([sys.executable, "-c", program, str(tmp_path / "key")], stdout=subprocess.PIPE)
        for _ in range(6)
    ]
    keys = {process.communicate()[0] for process in started}
    assert len(keys) == 1 and len(keys.pop().strip()) == 64
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_the_key_stays_the_same(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        key = store.key
    with Store(tmp_path) as store:
        assert store.key == key and len(key) == 32


@pytest.mark.parametrize("name", ["../../etc/passwd", "", "0123456789ABCDEF", "x" * 16])
def test_a_session_id_cannot_name_another_file(tmp_path: Path, name: str) -> None:
    with Store(tmp_path) as store, pytest.raises(StoreError):
        list(store.events(name))


def test_a_store_that_cannot_be_made_says_where_and_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="file/store") as caught:
        Store(tmp_path / "file" / "store")
    assert "POLYGRAPH_HOME" in caught.value.advice


def test_find_takes_a_prefix_and_refuses_an_ambiguous_one(tmp_path: Path) -> None:
    other = "0123456789abcdee"
    with Store(tmp_path) as store:
        with pytest.raises(StoreError, match="no session yet"):
            store.find(None)
        store.append([start()])
        store.append([start(other, ts=20)])
        assert store.find(None).id == other
        assert store.find(SESSION).id == SESSION
        with pytest.raises(StoreError, match="2 sessions"):
            store.find("0123")
        with pytest.raises(StoreError, match="no session"):
            store.find("ffff")
