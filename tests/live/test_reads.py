"""bpf/reads.h: how far files were read. Each way of reading is told exactly in pages, or not told at all.

The work is done on a ramfs, which every kernel has and which reads through the page cache; tmpfs does not.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from collector.collect import Collector
from polygraph.events import Reads
from polygraph.openings import PAGE
from tests.live.conftest import Observe, Seen

#: pages of the file
WHOLE = 64
#: since when the kernel says what is asked of the page cache (mm_filemap_get_pages)
PAGES_TOLD = (6, 12)


@pytest.fixture
def observe(observe_whole: Observe) -> Observe:
    """Until nothing was left out."""
    return observe_whole


def test_the_canary_proves_that_it_is_told_how_far_files_are_read(
    collector: Collector, kernel: tuple[int, int]
) -> None:
    assert collector.source.tells_pages == (kernel >= PAGES_TOLD)


BEGIN = """
import mmap, os, sys, threading
os.chdir(sys.argv[1])
PAGE = 4096
fd = os.open('big', os.O_RDONLY)
"""
#: opens another file, so that the one before is over
OVER = """
os.close(fd)
os.close(os.open('next', os.O_RDONLY))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A file of :data:`WHOLE` pages and one after it, new for each test: the kernel tells once of each file that it was
    read in a way that is not followed."""
    subprocess.run(["mount", "-t", "ramfs", "none", tmp_path], check=True)
    try:
        (tmp_path / "big").write_bytes(b"x" * WHOLE * PAGE)
        (tmp_path / "next").write_bytes(b"")
        yield tmp_path
    finally:
        subprocess.run(["umount", "--lazy", tmp_path], check=True)


def told(seen: Seen, path: Path) -> list[tuple[int | None, int]]:
    """(pages, of how many) as each row about the file has it."""
    state = path.stat()
    return [
        (row.pages, row.of)
        for event in seen.of(Reads)
        for row in event.extents()
        if (row.dev, row.ino) == (state.st_dev, state.st_ino)
    ]


UNKNOWN = [(None, 0)]

#: way of reading -> what is told of it; no row: it was read whole, or nothing is known
WAYS: dict[str, tuple[str, list[tuple[int | None, int]]]] = {
    "whole": ("while os.read(fd, 10000): pass", []),
    "nothing of it": ("pass", []),
    "half": ("os.read(fd, 32 * PAGE)", [(32, WHOLE)]),
    "half in small bites": ("for _ in range(32 * 256): os.read(fd, 16)", [(32, WHOLE)]),
    "the first byte": ("os.read(fd, 1)", [(1, WHOLE)]),
    "over the edge of a page": ("os.read(fd, PAGE + 1)", [(2, WHOLE)]),
    "pread beyond the position": ("os.pread(fd, 10, 40 * PAGE)", [(41, WHOLE)]),
    "pread of the last page": ("os.pread(fd, 10, 63 * PAGE)", []),
    "whole, and back to the start": ("os.read(fd, 64 * PAGE); os.lseek(fd, 0, 0); os.read(fd, 9)", []),
    "a seek that reads nothing": ("os.read(fd, 9); os.lseek(fd, 0, 2)", [(1, WHOLE)]),
    "readv": ("os.readv(fd, [bytearray(PAGE), bytearray(3 * PAGE)])", [(4, WHOLE)]),
    "preadv": ("os.preadv(fd, [bytearray(PAGE), bytearray(PAGE)], 8 * PAGE)", [(10, WHOLE)]),
    "sendfile": ("r, w = os.pipe(); os.sendfile(w, fd, 0, 5 * PAGE)", [(5, WHOLE)]),
    "splice": ("r, w = os.pipe(); os.splice(fd, w, 3 * PAGE)", [(3, WHOLE)]),
    "a map": ("os.read(fd, 9); mmap.mmap(fd, 0, prot=mmap.PROT_READ)[:9]", []),
    "by a thread that had not opened it": (
        "os.read(fd, 9); t = threading.Thread(target=os.read, args=(fd, 9)); t.start(); t.join()",
        [*UNKNOWN, (1, WHOLE)],
    ),
    "by a child that had not opened it": (
        "os.read(fd, 9)\nif not os.fork():\n    os.read(fd, PAGE)\n    os._exit(0)\nos.wait()",
        [*UNKNOWN, (1, WHOLE)],
    ),
    "with another file in between": (
        "other = os.open('next', os.O_RDONLY); os.read(fd, 9)",
        UNKNOWN,
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_way_of_reading(way: str, python: Observe, folder: Path, kernel: tuple[int, int]) -> None:
    code, expected = WAYS[way]
    seen = python(BEGIN + code + OVER, str(folder))
    assert seen.status == 0 and not seen.lost
    found = told(seen, folder / "big")
    assert sorted(found, key=str) == (sorted(expected, key=str) if kernel >= PAGES_TOLD else [])


def test_head_reads_a_part_and_says_so_when_it_ends(
    observe: Observe, folder: Path, kernel: tuple[int, int]
) -> None:
    """The last file of a process has none after it."""
    (folder / "big").write_bytes((b"x" * 99 + b"\n") * 2621)
    seen = observe(["head", "-n", "20", str(folder / "big")])
    found = told(seen, folder / "big")
    assert [of for _, of in found] == ([WHOLE] if kernel >= PAGES_TOLD else [])
    assert all(pages is not None and pages < WHOLE for pages, _ in found)


def test_tmpfs_tells_nothing(python: Observe, tmp_path: Path) -> None:
    """It reads past that part of the page cache: nothing is said, so nothing rests on it."""
    subprocess.run(["mount", "-t", "tmpfs", "none", tmp_path], check=True)
    try:
        (tmp_path / "big").write_bytes(b"x" * WHOLE * PAGE)
        (tmp_path / "next").write_bytes(b"")
        seen = python(BEGIN + "os.read(fd, 9)" + OVER, str(tmp_path))
        assert told(seen, tmp_path / "big") == []
    finally:
        subprocess.run(["umount", "--lazy", tmp_path], check=True)
