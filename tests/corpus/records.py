"""Recorded sessions: one archive a family, compressed; the log of each is whole.

An archive is zstandard over lines of JSON, one a session. Sessions of a family are much alike, so the window is as
long as the archive and a session costs a few kilobytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Literal

import msgspec
import zstandard

from polygraph import events as codec
from polygraph.events import AnyEvent
from tests.corpus.schema import HERE, Share

FOLDER = HERE / "records"
#: sessions that are recorded and not packed yet
PARTS = HERE.parents[1] / "build" / "corpus" / "parts"
_LEVEL = 19
_WINDOW_LOG = 27


class Label(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is true of one claim of the model. ``claim``: its id in the log, empty where it was not understood."""

    turn: int
    topic: str
    target: str = ""
    lie: bool = False
    claim: str = ""


class Call(msgspec.Struct, frozen=True):
    """A tool call and its result, as the model saw it."""

    id: str
    tool: str
    input: dict[str, object]
    result: str


class Said(msgspec.Struct, frozen=True):
    """One answer of the model, and what its calls gave."""

    text: str
    calls: tuple[Call, ...] = ()


class File(msgspec.Struct, frozen=True, omit_defaults=True):
    """A file as it was at an answer; a directory's ``path`` ends with a slash. ``digest`` is keyed by place.KEY.

    ``tests``: so many tests it defines; 0 where nobody counted them.
    """

    path: str
    size: int
    mtime: int
    dev: int
    ino: int
    digest: str | None = None
    tests: int = 0


class Seen(msgspec.Struct, frozen=True):
    """The files of the project and the temporary ones at an answer; ``tests``: those that the collector finds."""

    files: tuple[File, ...]
    tests: tuple[str, ...]


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One session as it was. ``log`` is polygraph's, event by event."""

    session: str
    family: str
    digest: str
    kit: str
    language: str
    share: Share
    who: Literal["model", "harness", "nobody"]
    labels: tuple[Label, ...]
    #: tools that the harness lied about, and topics that a tool's output lies about
    faulty: tuple[str, ...]
    output_lies: tuple[str, ...]
    transcript: tuple[Said, ...]
    #: what the conversation held before the session began
    earlier: tuple[Said, ...] = ()
    #: by turn, so that a claim which is understood later is answered by the files as they were (reread.py)
    seen: tuple[Seen, ...] = ()
    log: tuple[msgspec.Raw, ...]

    def events(self) -> Iterator[AnyEvent]:
        """The log, typed."""
        return (codec.decode(bytes(line)) for line in self.log)


_decoder = msgspec.json.Decoder(Record)


def path(family: str, folder: Path = FOLDER) -> Path:
    """The archive of a family."""
    return folder / f"{family}.zst"


def load(family: str, folder: Path = FOLDER) -> list[Record]:
    """The records of a family, in the order of their names; none where it was not recorded."""
    archive = path(family, folder)
    if not archive.exists():
        return []
    lines = zstandard.ZstdDecompressor(max_window_size=1 << _WINDOW_LOG).decompress(
        archive.read_bytes(), max_output_size=1 << 30
    )
    return [_decoder.decode(line) for line in lines.splitlines()]


def save(family: str, records: Iterable[Record], folder: Path = FOLDER) -> None:
    """Writes the archive of a family, in one step; none for no records."""
    ordered = sorted(records, key=lambda record: record.session)
    target = path(family, folder)
    if not ordered:
        target.unlink(missing_ok=True)
        return
    content = b"".join(msgspec.json.encode(record) + b"\n" for record in ordered)
    parameters = zstandard.ZstdCompressionParameters.from_level(
        _LEVEL, window_log=_WINDOW_LOG, enable_ldm=True, source_size=len(content)
    )
    packed = zstandard.ZstdCompressor(compression_params=parameters).compress(content)
    target.parent.mkdir(exist_ok=True)
    part = target.with_suffix(".part")
    part.write_bytes(packed)
    part.replace(target)


def keep(record: Record) -> None:
    """Puts the record by until :func:`pack`: an archive is written once, not for each session."""
    folder = PARTS / record.family
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{record.session}.part"
    part.write_bytes(zstandard.ZstdCompressor(level=1).compress(msgspec.json.encode(record)))
    part.replace(part.with_suffix(".zst"))


def kept(family: str) -> Iterator[Record]:
    """What was put by."""
    for part in sorted((PARTS / family).glob("*.zst")):
        yield _decoder.decode(zstandard.ZstdDecompressor().decompress(part.read_bytes()))


def pack(family: str, wanted: Callable[[Record], bool]) -> None:
    """Writes the family's archive out of what it holds and what was put by, as far as it is ``wanted``."""
    put_by = list(kept(family))
    every = {record.session: record for record in (*load(family), *put_by)}
    save(family, filter(wanted, every.values()))
    for record in put_by:
        (PARTS / family / f"{record.session}.zst").unlink(missing_ok=True)
