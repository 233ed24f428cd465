"""bpf/uring.h: an io_uring hides only what the other probes would have seen, and only then marks the session."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from collector.kernel.uring import uring_ops
from polygraph.events import BlindSpot, Exit, Fork
from tests.collector.kernel.btf import Btf
from tests.live.conftest import Observe, Seen

RING = str(Path(__file__).with_name("ring.py"))


def ring(observe: Observe, *words: str) -> Seen:
    """Operations through a ring, all of them completed."""
    seen = observe([sys.executable, "-S", "-E", RING, *words])
    assert seen.status == 0 and not seen.lost
    # A thread that io_uring made for the process may be its last; the process ends all the same.
    assert [event.process for event in seen.of(Exit)] == [seen.root]
    return seen


def hidden(seen: Seen) -> list[tuple[str, str]]:
    return [(spot.dimension, spot.detail) for spot in seen.of(BlindSpot, name="io_uring")]


@pytest.mark.parametrize("way", [(), ("async",), ("sqpoll",)])
def test_a_ring_that_only_waits_and_reads_hides_nothing(
    observe: Observe, tmp_path: Path, way: tuple[str, ...]
) -> None:
    (tmp_path / "open").write_text("x")
    assert not hidden(ring(observe, *way, "nop", "epoll_ctl", f"read={tmp_path}/open"))


@pytest.mark.parametrize("way", [(), ("async",), ("sqpoll",)])
def test_a_file_operation_hides_files(observe: Observe, tmp_path: Path, way: tuple[str, ...]) -> None:
    (tmp_path / "gone").write_text("x")
    seen = ring(observe, *way, "nop", f"unlinkat={tmp_path}/gone", f"openat={tmp_path}/absent")
    assert not (tmp_path / "gone").exists()
    assert hidden(seen) == [("file", "unlinkat went through an io_uring")]
    assert [spot.process for spot in seen.of(BlindSpot)] == [seen.root]


def test_a_network_operation_hides_network(observe: Observe) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        seen = ring(observe, f"connect={listening.getsockname()[1]}")
        listening.accept()[0].close()
    assert hidden(seen) == [("network", "connect went through an io_uring")]


def test_what_the_driver_of_a_file_does_hides_both(observe: Observe) -> None:
    # refused before it is submitted where the file has no such commands: then nothing was done, and nothing is hidden
    assert hidden(ring(observe, "46")) in (
        [],
        [(where, "uring_cmd went through an io_uring") for where in ("file", "network")],
    )


def test_threads_of_the_kernel_do_not_hide_the_end_of_their_process(python: Observe) -> None:
    """The last thread of a process may be one that io_uring made for it, with no storage of its own."""
    seen = python(
        f"""
        import os, runpy
        for _ in range(60):
            if os.fork() == 0:
                ring = runpy.run_path({RING!r})
                ring['main'](['async', 'nop', 'nop'])
                os._exit(7)
            os.wait()
        """
    )
    children = {event.child for event in seen.of(Fork)}
    assert len(children) == 60 and not hidden(seen)
    assert {event.process for event in seen.of(Exit, status=7)} == children


def test_the_table_has_the_numbers_of_this_kernel() -> None:
    """Operations that are newer than the table hide all, so they need no row."""
    kernel = Btf(Path("/sys/kernel/btf/vmlinux")).enums()["io_uring_op"]
    names = {opcode: f"IORING_OP_{name.upper()}" for opcode, name in uring_ops().names.items()}
    known = {name: opcode for name, opcode in kernel.items() if opcode in names and name != "IORING_OP_LAST"}
    assert len(known) > 40 and known == {names[opcode]: opcode for opcode in known.values()}
