"""collector/observed.py: who speaks TLS unseen to a model is named, and nobody else."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest

from collector.kernel.entry import entry
from collector.observed import Counted, ObservedSession
from collector.tls.streams import TlsData
from polygraph.events import AnyEvent, BlindSpot, Event, File, Flow, Fork, Name, Net, SessionStart, StreamGap

ROOT, CHILD, OTHER = "10:1", "11:2", "12:3"
MODEL, ELSEWHERE = "203.0.113.1", "203.0.113.2"
BUILT_IN = ("static_tls", "TLS is built into the program")


class Watched:
    """A session in which a model's and another host's address are known."""

    def __init__(self, *built_in: int, content: Literal["off", "metadata"] = "metadata") -> None:
        self.asked: list[tuple[int, int | None]] = []
        self._built_in = built_in
        start = SessionStart(
            session="s",
            ts=1,
            host="h",
            boot="b",
            kernel="6",
            process=ROOT,
            argv=(),
            cwd="/",
            origin="run",
            wall_offset=0,
            content=content,
        )
        self.session = ObservedSession(1, start, b"key", self._look)
        self._ts = 1
        self.saw(Name, process=ROOT, source="dns", name="API.anthropic.com.", addresses=(MODEL,))
        self.saw(Name, process=ROOT, source="dns", name="example.org", addresses=(ELSEWHERE,))

    def _look(self, pid: int, ino: int | None) -> tuple[str, str] | None:
        self.asked.append((pid, ino))
        return BUILT_IN if pid in self._built_in else None

    def saw(self, kind: type[Event], **fields: object) -> None:
        self._ts += 1
        self.session.kernel(kind(session="s", ts=self._ts, **fields))

    def connects(self, process: str, address: str = MODEL, errno: int = 0) -> None:
        self.saw(Net, process=process, op="connect", family="inet", address=address, port=443, errno=errno)

    def spots(self) -> list[tuple[str, str | None]]:
        events: list[AnyEvent] = self.session.round(self._ts, Counted(), None)
        return [(event.name, event.process) for event in events if isinstance(event, BlindSpot)]


@pytest.mark.parametrize("errno", [0, 115])
def test_a_process_with_a_stack_that_is_not_seen_is_named_when_it_connects_to_a_model(errno: int) -> None:
    watched = Watched()
    watched.session.blind_tls(ROOT, "gnutls", "libgnutls.so.30: no probes")
    watched.connects(ROOT, ELSEWHERE)
    assert watched.spots() == []
    watched.connects(ROOT, errno=errno)
    watched.connects(ROOT)
    assert watched.spots() == [("gnutls", ROOT)]


def test_a_connect_that_failed_is_none() -> None:
    watched = Watched(10)
    watched.connects(ROOT, errno=111)
    assert watched.spots() == [] and watched.asked == []


def test_a_program_is_searched_only_when_it_connects_to_a_model() -> None:
    watched = Watched(11)
    watched.session.became(CHILD, 77)
    watched.connects(CHILD, ELSEWHERE)
    assert watched.asked == []
    watched.connects(CHILD)
    watched.connects(ROOT)
    assert watched.asked == [(11, 77), (10, None)]
    assert watched.spots() == [("static_tls", CHILD)]


def test_the_name_given_to_tls_counts_as_well() -> None:
    watched = Watched()
    watched.session.blind_tls(ROOT, "tls_library_refused", "two places")
    watched.saw(Name, process=ROOT, source="sni", name="api.openai.com")
    assert watched.spots() == [("tls_library_refused", ROOT)]


def test_a_child_has_its_parents_stack_until_it_executes_something() -> None:
    watched = Watched()
    watched.session.blind_tls(ROOT, "go_tls", "a Go program")
    watched.saw(Fork, process=ROOT, child=CHILD)
    watched.session.became(OTHER, 5)  # told before the records of the round
    watched.saw(Fork, process=ROOT, child=OTHER)
    watched.connects(OTHER)
    assert watched.spots() == []
    watched.connects(CHILD)
    assert watched.spots() == [("go_tls", CHILD)]
    watched.session.became(ROOT, 6)
    watched.connects(ROOT)
    assert watched.spots() == []


def test_what_was_sent_by_a_call_that_took_long_is_not_told_of_a_time_that_is_over() -> None:
    """It has the time at which the call began (bpf/tls.h)."""
    watched = Watched()
    assert watched.session.round(500, Counted(), None)[-1].ts == 500
    watched.session.plaintext(TlsData(ROOT, 1, 1, 0, 0, b"POST /v1/messages", 9, 400, "openssl"))
    gap, _tick = watched.session.round(700, Counted(), None)
    assert isinstance(gap, StreamGap) and gap.ts == 500


class Flowing(Watched):
    """A session in which a process exchanges bytes with the model's host over a socket."""

    def flows(
        self, process: str = ROOT, address: str = MODEL, sent: int = 2000, received: int = 5000
    ) -> None:
        self.connects_by(process, 7, address)
        self.saw(
            Flow, process=process, socket=7, address=address, port=443, family="inet", sent=sent,
            received=received, established=True, closed=True,
        )  # fmt: skip

    def connects_by(self, process: str, socket: int, address: str = MODEL, protocol: str = "tcp") -> None:
        self.saw(
            Net, process=process, op="connect", family="inet", address=address, port=443, socket=socket,
            protocol=protocol,
        )  # fmt: skip

    def establishes(self, process: str, socket: int) -> None:
        self.saw(
            Flow, process=process, socket=socket, address=MODEL, port=443, family="inet", established=True
        )

    def hears(self, process: str) -> None:
        self.session.plaintext(TlsData(process, 1, 1, 0, 0, b"x", 0, self._ts, "openssl"))

    def finished(self) -> list[tuple[str, str | None]]:
        events = self.session.finish(self._ts, Counted(), None)
        return [(event.name, event.process) for event in events if isinstance(event, BlindSpot)]


def test_bytes_that_went_to_a_model_past_every_probe_are_named() -> None:
    watched = Flowing()
    watched.flows()
    watched.flows()
    assert watched.spots() == [("tls_silent", ROOT)] and watched.finished() == []


def test_nothing_is_silent_that_was_heard_said_nothing_or_went_elsewhere() -> None:
    watched = Flowing()
    watched.flows(CHILD, ELSEWHERE)
    watched.flows(CHILD, sent=0)
    watched.flows(CHILD, received=0)
    watched.connects_by(ROOT, 8)
    watched.hears(ROOT)
    watched.flows(ROOT)
    assert watched.spots() == [] and watched.finished() == []


def test_a_connection_that_is_still_open_at_the_end_and_was_never_heard_is_named() -> None:
    watched = Flowing()
    watched.connects_by(CHILD, 9)
    watched.establishes(CHILD, 9)
    assert watched.spots() == []
    assert watched.finished() == [("tls_silent", CHILD)]


def test_nothing_is_silent_that_never_was_connected() -> None:
    """A resolver connects datagram sockets and sends nothing; a connection that nobody answers says nothing."""
    watched = Flowing()
    watched.connects_by(CHILD, 8, protocol="udp")
    watched.connects_by(CHILD, 9)
    assert watched.spots() == [] and watched.finished() == []


def test_nobody_is_silent_where_nobody_listens() -> None:
    watched = Flowing(content="off")
    watched.flows()
    assert watched.finished() == []


def test_a_stack_inside_a_library_is_named_if_nothing_that_is_seen_spoke() -> None:
    watched = Flowing()
    watched.session.may_speak(ROOT, "static_tls", "/x/other.so: built in")
    watched.saw(Fork, process=ROOT, child=CHILD)
    watched.connects(ROOT)
    watched.connects(CHILD)
    assert watched.spots() == []
    watched.flows(ROOT)
    watched.flows(CHILD)
    assert watched.spots() == [("static_tls", ROOT), ("static_tls", CHILD)]
    watched.session.became(CHILD, 5)
    watched.connects(CHILD)
    watched.flows(CHILD)
    assert watched.spots() == [("tls_silent", CHILD)]


class Folder:
    """A directory in which files come and go, as the kernel side tells of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.watched = Watched()
        self.watched.session._roots[ROOT] = b""

    def tell(self, op: str, name: str, **fields: object) -> File:
        path = self.folder / name
        inode = path.stat().st_ino if path.exists() and op == "create" else 0
        dev = path.stat().st_dev if inode else 0
        self.watched.saw(File, process=ROOT, op=op, path=str(path), ino=inode, dev=dev, **fields)
        events = self.watched.session.round(self.watched._ts, Counted(), None)
        return next(event for event in events if isinstance(event, File))

    def entry(self, name: str) -> int:
        state = self.folder.stat()
        return entry(state.st_dev, state.st_ino, name.encode())


def test_a_removal_has_the_entry_that_went_and_what_is_made_under_the_name_takes_it(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    assert folder.tell("unlink", "calc.py").left == folder.entry("calc.py")
    (tmp_path / "calc.py").write_text("x\n")
    assert folder.tell("create", "calc.py").entry == folder.entry("calc.py")
    (tmp_path / "new.py").write_text("x\n")
    assert folder.tell("create", "new.py").entry == 0
    moved = folder.tell("rename", "old.py", new_path=str(tmp_path / "lib.py"))
    assert (moved.left, moved.entry) == (folder.entry("old.py"), 0)


def test_what_failed_or_lies_nowhere_has_no_entry(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    assert folder.tell("unlink", "calc.py", errno=2).left == 0
    assert folder.tell("unlink", "gone/calc.py").left == 0
    (tmp_path / "calc.py").write_text("x\n")
    assert folder.tell("create", "calc.py").entry == 0


def test_who_removes_whole_trees_is_told_of_the_first_files_only(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    told = [folder.tell("unlink", f"{number}.py").left for number in range(70)]
    assert [bool(left) for left in told] == [True] * 64 + [False] * 6
