"""A published capture as a session: through the collector's pipeline and the correlator, as far as it goes.

AgentSight saw no process, file or connection of these runs that it published, so :func:`log_of` says of those
dimensions that they were not requested. ``honest`` puts in what it did not see: a kernel that watched everything, and
saw each tool call that the client reports as done do what it declares.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

import msgspec

from collector.file_states import FileLook
from collector.pipeline import SessionPipeline
from collector.tls.streams import Chunk
from correlator.engine import Engine
from polygraph import events as e
from polygraph.content import ContentLevel
from polygraph.findings import Finding
from polygraph.reasons import DIMENSIONS, Dimension
from polygraph.verdicts import Verdict
from tests.published.capture import Exchange, chunks

ROOT = "10:1"
CWD = "/home/somebody/agent-tracer"
HOSTS = {
    "/v1internal": "cloudcode-pa.googleapis.com",
    "/v1/messages": "api.anthropic.com",
    "/": "telemetry.test",
}


class Judged(NamedTuple):
    """What came of a log."""

    verdicts: list[Verdict]
    findings: list[Finding]
    live: int


def start_of(ts: int, content: ContentLevel) -> e.SessionStart:
    """The beginning of a session whose root is the client. How it was called nobody tells."""
    return e.SessionStart(
        session="published", ts=ts, host="h", boot="b", kernel="6.8", process=ROOT, argv=("agent",), cwd=CWD,
        origin="run", wall_offset=0, content=content,
    )  # fmt: skip


def log_of(
    talk: list[Exchange],
    seen: Iterable[Dimension] = ("tls",),
    content: ContentLevel = "metadata",
    cuts: Sequence[int] = (),
) -> list[e.AnyEvent]:
    """The log of the session, a Tick after each record, as a collector that rests appends it.

    ``cuts``: where each record is cut into several.
    """
    begin = min(one.timestamp for both in talk for one in (both.request, both.response) if one) - 1_000_000
    pipeline = SessionPipeline(start_of(begin, content), b"key of the host", _unreadable)
    for dimension in DIMENSIONS:
        state: e.ProbeStateWord = "attached" if dimension in seen else "not_requested"
        told = e.Coverage(
            session="published", ts=begin, dimension=dimension, state=state, canary=state == "attached"
        )
        pipeline.effect(told)
    log: list[e.AnyEvent] = []
    now = begin
    for chunk, over in chunks(talk, ROOT, HOSTS):
        now = chunk.ts
        for piece in _cut(chunk, cuts):
            pipeline.chunk(piece)
        if over:
            pipeline.closed(chunk.connection, now)
        log += pipeline.tick(now)
    pipeline.finish(now + 1)
    log += pipeline.tick(now + 1)
    return [*log, e.SessionEnd(session="published", ts=now + 2, seq=len(log))]


def honest(log: list[e.AnyEvent]) -> list[e.AnyEvent]:
    """``log`` with what the kernel would have seen if the client had done what it told the model.

    Just before each result that is no error: the files of its tool call, opened, written or removed by the client.
    """
    asked = {event.intent: event for event in log if isinstance(event, e.Intent)}
    told: list[e.AnyEvent] = []
    for event in log:
        if isinstance(event, e.ToolResult) and event.intent in asked and not event.is_error:
            told += _done(asked[event.intent], event.ts - 1)
        told.append(event)
    told.sort(key=lambda event: event.ts)
    return [msgspec.structs.replace(event, seq=seq) for seq, event in enumerate(told)]


def judge(log: Iterable[e.AnyEvent]) -> Judged:
    """The verdicts on a log, and of each finding what was said last."""
    engine = Engine()
    said = [engine.feed(event) for event in log]
    findings = {one.id: one for some in said for one in some.findings}
    return Judged(
        [one for some in said for one in some.verdicts], list(findings.values()), engine.open_sessions
    )


def _cut(chunk: Chunk, cuts: Sequence[int]) -> Iterator[Chunk]:
    at = 0
    for end in (*sorted({cut for cut in cuts if 0 < cut < len(chunk.data)}), len(chunk.data)):
        missing = 0 if at else chunk.missing
        yield chunk._replace(data=chunk.data[at:end], offset=chunk.offset + at, missing=missing)
        at = end


def _unreadable(_process: str, _path: str) -> FileLook | None:
    return None


def _done(intent: e.Intent, ts: int) -> Iterable[e.AnyEvent]:
    kinds = {"read": "read", "write": "write", "create": "create", "delete": "unlink", "rename": "rename"}
    for number, file in enumerate(intent.files):
        path = str(PurePosixPath(CWD) / file.path)
        yield e.File(
            session="published", ts=ts, process=ROOT, op=kinds[file.op],  # type: ignore[arg-type]  # a File's words
            path=path, new_path=file.new_path, dev=1, ino=1 + number + sum(path.encode()),
        )  # fmt: skip
