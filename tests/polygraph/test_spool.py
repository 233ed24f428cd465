"""polygraph.log.spool: after a crash at any byte, on a full disk, for whatever room: whole, in order, or counted."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from polygraph.log.spool import Entry, Spool, SpoolError

ROOT = Path(__file__).parents[2]
LIMIT = 1 << 20
rows = st.lists(
    st.tuples(st.text(max_size=8), st.binary(max_size=60), st.integers(0, 9)), min_size=1, max_size=30
)
fresh = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def filled(spool: Spool, some: list[tuple[str, bytes, int]]) -> None:
    for number, (key, value, events) in enumerate(some):
        assert spool.append(key, value, events, number, number + events)


def told(entries: list[Entry]) -> list[tuple[str, bytes, int]]:
    return [(entry.key, entry.value, entry.events) for entry in entries]


def empty(folder: Path) -> Path:
    for path in folder.glob("*.spool"):
        path.unlink()
    return folder


@fresh
@given(rows, st.integers(60, 400), st.integers(1, 7))
def test_what_was_written_is_read_in_order_by_whoever_opens_it_next(
    tmp_path: Path, some: list[tuple[str, bytes, int]], segment: int, most: int
) -> None:
    folder = empty(tmp_path)
    with Spool(folder, LIMIT, segment) as spool:
        filled(spool, some)
    with Spool(folder, LIMIT, segment) as spool:
        found: list[Entry] = []
        while more := spool.read(len(found), most):
            found += more
            assert len(more) <= most
        assert told(found) == some and [entry.number for entry in found] == list(range(len(some)))
        assert [(entry.first, entry.next) for entry in found] == [
            (number, number + events) for number, (_, _, events) in enumerate(some)
        ]
        assert (spool.cut_off, spool.damaged, spool.dropped) == (0, 0, Counter())


@fresh
@given(rows, st.integers(60, 400), st.data())
def test_after_a_crash_at_any_byte_all_whole_records_are_there(
    tmp_path: Path, some: list[tuple[str, bytes, int]], segment: int, data: Any
) -> None:
    folder = empty(tmp_path)
    with Spool(folder, LIMIT, segment) as spool:
        filled(spool, some)
    newest = max(folder.glob("*.spool"))
    whole = newest.stat().st_size
    os.truncate(newest, data.draw(st.integers(0, whole)))
    left = newest.stat().st_size
    with Spool(folder, LIMIT, segment) as spool:
        found = told(spool.read(0, 99))
        assert found == some[: len(found)] and spool.damaged == 0
        before = int(newest.name.split(".")[0])
        assert len(found) >= before
        assert left - spool.cut_off == (newest.stat().st_size if newest.exists() else 0)
        spool.append("after", b"x", 1, 0, 1)
        assert told(spool.read(0, 99))[-1] == ("after", b"x", 1)


@fresh
@given(rows, st.integers(1, 40), st.integers(0, 60))
def test_what_the_broker_has_goes_and_nothing_else(
    tmp_path: Path, some: list[tuple[str, bytes, int]], done: int, more: int
) -> None:
    folder = empty(tmp_path)
    with Spool(folder, LIMIT, 100) as spool:
        filled(spool, some)
        done = min(done, len(some))
        spool.done(done)
        assert told(spool.read(done, 99)) == some[done:]
        filled(spool, some[:more])
        assert told(spool.read(done, 999)) == [*some[done:], *some[:more]]
        spool.done(spool.next)
        assert spool.size == 0 and list(folder.iterdir()) == []


@fresh
@given(rows, st.integers(0, 1 << 30), st.integers(1, 255))
def test_damage_costs_what_follows_it_in_its_segment_and_is_counted(
    tmp_path: Path, some: list[tuple[str, bytes, int]], place: int, flip: int
) -> None:
    folder = empty(tmp_path)
    with Spool(folder, LIMIT, 120) as spool:
        filled(spool, some)
    files = sorted(folder.glob("*.spool"))
    hurt = files[place % len(files)]
    data = bytearray(hurt.read_bytes())
    at = place % len(data)
    data[at] ^= flip
    hurt.write_bytes(data)
    with Spool(folder, LIMIT, 120) as spool:
        found = {entry.number: (entry.key, entry.value, entry.events) for entry in spool.read(0, 99)}
        assert all(some[number] == row for number, row in found.items())
        missing = set(range(len(some))) - found.keys()
        assert missing and spool.cut_off + spool.damaged > 0
        begin = int(hurt.name.split(".")[0])
        following = [int(path.name.split(".")[0]) for path in files if path > hurt]
        assert missing <= set(range(begin, following[0] if following else len(some)))


@fresh
@given(rows, st.integers(300, 900))
def test_without_room_the_oldest_goes_and_each_event_is_counted(
    tmp_path: Path, some: list[tuple[str, bytes, int]], limit: int
) -> None:
    with Spool(empty(tmp_path), limit, 100) as spool:
        kept = [spool.append(key, value, events, 0, events) for key, value, events in some]
        left = spool.read(0, 99)
        assert spool.size <= limit
        tail = [row for row, was in zip(some, kept, strict=True) if was]
        assert told(left) == tail[len(tail) - len(left) :]
        there = Counter[str]()
        for entry in left:
            there[entry.key] += entry.events
        all_of = Counter[str]()
        for key, _, events in some:
            all_of[key] += events
        assert there + spool.dropped == +all_of


def test_what_the_broker_has_is_not_counted_when_it_is_dropped(tmp_path: Path) -> None:
    with Spool(tmp_path, 1000, 500) as spool:
        for number in range(3):
            spool.append("s", bytes(100), 1, number, number + 1)
        spool.done(2)
        assert [entry.number for entry in spool.read(2, 9)] == [2]
        while not spool.dropped:
            spool.append("t", bytes(100), 1, 0, 1)
        assert spool.dropped["s"] == 1


def test_a_record_that_is_larger_than_the_room_is_dropped_and_counted(tmp_path: Path) -> None:
    with Spool(tmp_path, 1000, 100) as spool:
        spool.append("small", b"x", 1, 0, 1)
        assert not spool.append("large", b"x" * 2000, 7, 0, 7)
        assert spool.dropped == {"small": 1, "large": 7} and spool.read(0, 9) == []
        assert spool.append("next", b"y", 2, 0, 2)
        assert told(spool.read(0, 9)) == [("next", b"y", 2)]


FULL = """
import resource, sys
from collections import Counter
from pathlib import Path
from polygraph.log.spool import Spool
spool = Spool(Path(sys.argv[1]), 1 << 30, 1 << 20)
written = Counter()
for number in range(600):
    spool.append("s", bytes(1000), 1, number, number + 1)
left = spool.read(0, 9999)
assert [entry.number for entry in left] == list(range(left[0].number, spool.next))
assert len(left) + spool.dropped["s"] == 600 and spool.dropped["s"] > 0, (len(left), spool.dropped)
print(len(left))
"""


def test_on_a_full_disk_it_makes_room_by_itself(tmp_path: Path) -> None:
    """A file system of 256 kB of this process' own."""
    disk = tmp_path / "disk"
    disk.mkdir()
    script = f'mount -t tmpfs -o size=256k none "{disk}" && exec "{sys.executable}" -c "$1" "{disk}/spool"'
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script, "sh", FULL],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 0


def test_an_append_that_fails_midway_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, broken = os.pwrite, {"left": 0}

    def pwrite(fd: int, data: bytes, offset: int) -> int:
        if broken["left"]:
            broken["left"] -= 1
            if broken["left"] == 0:
                raise OSError(errno.EIO, "broken")
            return real(fd, data[:5], offset)
        return real(fd, data, offset)

    monkeypatch.setattr(os, "pwrite", pwrite)
    with Spool(tmp_path, LIMIT) as spool:
        spool.append("a", b"1", 1, 0, 1)
        broken["left"] = 2
        assert not spool.append("b", b"2", 4, 0, 4)
        spool.append("c", b"3", 1, 0, 1)
        assert told(spool.read(0, 9)) == [("a", b"1", 1), ("c", b"3", 1)] and spool.dropped == {"b": 4}
    with Spool(tmp_path, LIMIT) as spool:
        assert told(spool.read(0, 9)) == [("a", b"1", 1), ("c", b"3", 1)] and spool.cut_off == 0


def test_a_writer_and_a_reader_at_once(tmp_path: Path) -> None:
    count, found = 2000, list[Entry]()
    with Spool(tmp_path, LIMIT, 4096) as spool:

        def write() -> None:
            for number in range(count):
                spool.append("s", str(number).encode(), 1, number, number + 1)

        writer = threading.Thread(target=write)
        writer.start()
        while len(found) < count:
            found += spool.read(len(found), 50)
            spool.done(len(found))
        writer.join()
        assert [int(entry.value) for entry in found] == list(range(count)) and not spool.dropped


def test_a_folder_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SpoolError, match="cannot use the spool"):
        Spool(tmp_path / "file" / "spool", LIMIT)


def test_it_is_the_owners_alone(tmp_path: Path) -> None:
    with Spool(tmp_path / "spool", LIMIT) as spool:
        spool.append("s", b"x", 1, 0, 1)
        assert {path.stat().st_mode & 0o777 for path in (tmp_path / "spool").iterdir()} == {0o600}
        assert (tmp_path / "spool").stat().st_mode & 0o777 == 0o700
