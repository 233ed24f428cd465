"""polygraph/audit.py: nothing is taken out or changed unseen, whoever writes, wherever it tears."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polygraph.audit import AuditError, AuditLog, _backwards, actor


def filled(root: Path, count: int = 5) -> AuditLog:
    log = AuditLog(root)
    for number in range(count):
        log.append("session_begin", by="run", session=f"{number:016x}", level="metadata", command=("agent",))
    return log


def test_entries_come_back_in_order_and_say_who(tmp_path: Path) -> None:
    log = filled(tmp_path)
    entries = list(log.entries())
    assert [entry.session for entry in entries] == [f"{n:016x}" for n in range(5)]
    assert {entry.actor.uid for entry in entries} == {os.geteuid()}
    assert {entry.actor.pid for entry in entries} == {os.getpid()}
    assert log.path.stat().st_mode & 0o777 == 0o600
    checked = log.verify()
    assert checked.ok and checked.count == 5


def test_sudo_and_login_are_told_apart() -> None:
    assert actor({"SUDO_USER": "ada"}).sudo_user == "ada"
    assert actor({}).sudo_user is None and actor({}).user


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("what", ["removed", "changed", "swapped", "repeated"])
def test_a_line_that_is_touched_is_seen(tmp_path: Path, number: int, what: str) -> None:
    log = filled(tmp_path)
    lines = log.path.read_bytes().splitlines(keepends=True)
    if what == "removed":
        del lines[number]
    elif what == "changed":
        lines[number] = lines[number].replace(b"metadata", b"off")
    elif what == "swapped":
        lines[number], lines[number + 1] = lines[number + 1], lines[number]
    else:
        lines.insert(number, lines[number])
    log.path.write_bytes(b"".join(lines))
    assert not log.verify().ok


def test_a_cut_end_is_seen_against_the_digest_that_was_kept(tmp_path: Path) -> None:
    log = filled(tmp_path)
    kept = log.verify()
    log.path.write_bytes(b"".join(log.path.read_bytes().splitlines(keepends=True)[:-1]))
    cut = log.verify()
    assert cut.ok and (cut.count, cut.last) != (kept.count, kept.last)


@given(st.integers(1, 400))
def test_a_torn_line_costs_itself_only(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    log = filled(tmp_path_factory.mktemp("audit"), 3)
    data = log.path.read_bytes()
    last = len(data.splitlines(keepends=True)[-1])
    log.path.write_bytes(data[: -min(cut, last - 1)])
    log.append("capture_end", by="run")
    assert [entry.what for entry in log.entries()][-1] == "capture_end"
    assert len(list(log.entries())) in (3, 4)  # only the newline was lost: then the line is whole
    broken = log.verify().broken
    assert broken in ((), ((3, "the line is damaged"),))


def test_many_writers_at_once_make_one_chain(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from polygraph.audit import AuditLog\n"
        "for n in range(20): AuditLog(Path(sys.argv[1])).append('session_begin', by='run')"
    )
    writers = [subprocess.Popen([sys.executable, "-c", program, str(tmp_path)]) for _ in range(4)]
    assert [writer.wait() for writer in writers] == [0] * 4
    checked = AuditLog(tmp_path).verify()
    assert checked.ok and checked.count == 80


def test_the_level_of_the_last_capture(tmp_path: Path) -> None:
    log = AuditLog(tmp_path)
    assert log.level_before() is None
    log.append("capture_begin", level="full")
    log.append("session_begin", level="full")
    log.append("capture_begin", level="off")
    log.append("capture_end", level="off")
    assert log.level_before() == "off"


@given(st.lists(st.integers(0, 9000), max_size=5), st.booleans())
def test_lines_are_read_from_the_end_as_from_the_beginning(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[int], torn: bool
) -> None:
    lines = [b"%x" % number * length for number, length in enumerate(lengths)]
    data = b"\n".join(lines if torn else [*lines, b""])
    path = tmp_path_factory.getbasetemp() / "lines"
    path.write_bytes(data)
    with path.open("rb") as file:
        assert list(_backwards(file.fileno())) == (data.split(b"\n")[::-1] if data else [])


def test_what_cannot_be_written_says_where_and_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(AuditError, match=r"none/audit\.jsonl") as caught:
        AuditLog(tmp_path / "none").append("capture_begin")
    assert "--content metadata" in caught.value.advice


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "audit.jsonl").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(AuditError):
        AuditLog(tmp_path).append("capture_begin")
    assert not (tmp_path / "elsewhere").exists()


def test_a_full_disk_is_an_error_and_the_next_entry_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = filled(tmp_path, 2)
    real = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda fd, data: real(fd, data[:10]))
        with pytest.raises(AuditError, match="full"):
            log.append("capture_begin")
        patch.setattr(os, "write", lambda fd, data: (_ for _ in ()).throw(OSError(errno.ENOSPC, "no space")))
        with pytest.raises(AuditError, match="no space"):
            log.append("capture_begin")
    log.append("capture_end")
    assert [entry.what for entry in log.entries()] == ["session_begin", "session_begin", "capture_end"]
    assert log.verify().broken == ((3, "the line is damaged"),)
