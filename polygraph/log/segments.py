"""Event segments on disk: JSON Lines in zstd frames.

Recovery rule. Every append is one whole zstd frame with a checksum. A reader takes frames from the start
and stops at the first one that is torn or damaged: what follows is treated as if it had never been
written. So a crash at any byte costs the last append at most, and never yields a half event.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import zstandard

from polygraph.events import AnyEvent, decode, encode

_FRAME_LIMIT = 256 * 1024 * 1024  # bytes of one decompressed frame that a reader accepts


class SegmentWriter:
    """Appends events to one file. Not safe for two writers."""

    def __init__(self, path: Path) -> None:
        """Opens ``path`` for appending, mode 0600. Raises OSError."""
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        fcntl.flock(self._fd, fcntl.LOCK_SH)  # until it is closed: nobody deletes what is being written
        self._compressor = zstandard.ZstdCompressor(level=1, write_checksum=True)

    def append(self, events: Sequence[AnyEvent]) -> None:
        """Writes one frame, or nothing: a write that stops half-way (disk full) is taken back. Raises OSError."""
        if not events:
            return
        frame = self._compressor.compress(b"".join(encode(event) + b"\n" for event in events))
        before = os.lseek(self._fd, 0, os.SEEK_END)
        try:
            written = 0
            while written < len(frame):
                written += os.write(self._fd, frame[written:])
        except OSError:
            os.ftruncate(self._fd, before)
            raise

    def close(self) -> None:
        os.close(self._fd)


def read_segment(path: Path) -> Iterator[AnyEvent]:
    """The events of a segment, up to the first damage. Raises OSError if the file cannot be opened."""
    with path.open("rb") as file:
        data = file.read()
    position = 0
    while position < len(data):
        decompressor = zstandard.ZstdDecompressor().decompressobj()
        try:
            lines = decompressor.decompress(data[position : position + _FRAME_LIMIT])
        except zstandard.ZstdError:
            return
        if not decompressor.eof:
            return
        position = min(len(data), position + _FRAME_LIMIT) - len(decompressor.unused_data)
        try:
            for line in lines.splitlines():
                yield decode(line)
        except msgspec.MsgspecError:
            return
