"""Rows of the ring `waited` (struct pg_waited of bpf/wire.h) as events. Pure."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import get_args

from polygraph.events import ProcessKey, Wait, WaitKind

#: header of the ring, handle of the session, starts of the two processes (ns), object, begin and end (ns), pid, thread,
#: pid of the other process, kind, whose object it is
ROW = struct.Struct("=8xQQQQQQIIIBB2x")

#: names of enum pg_wait_kind
KINDS: tuple[WaitKind, ...] = get_args(WaitKind)

#: ns from which on a wait for a known process is an event of its own: its place in time may matter
LONG = 100_000_000

_Group = tuple[ProcessKey, WaitKind, ProcessKey | None, int, bool]


def waits(rows: bytes, session: str, ts: int) -> Iterator[Wait]:
    """What the rows of a session say: long waits one by one, others summed up. ``ts``: when they were looked at."""
    groups: dict[_Group, list[tuple[int, int]]] = {}
    for _session, start, on_start, number, since, until, pid, _tid, on_pid, kind, theirs in ROW.iter_unpack(
        rows
    ):
        on = f"{on_pid}:{on_start}" if on_pid else None
        group = (f"{pid}:{start}", KINDS[kind], on, number, bool(theirs))
        if on is not None and until - since >= LONG:
            yield _wait(group, [(since, until)], session, ts)
        else:
            groups.setdefault(group, []).append((since, until))
    for group, times in groups.items():
        yield _wait(group, times, session, ts)


def _wait(group: _Group, times: list[tuple[int, int]], session: str, ts: int) -> Wait:
    process, kind, on, number, theirs = group
    lengths = [until - since for since, until in times]
    return Wait(
        session=session,
        ts=ts,
        process=process,
        kind=kind,
        on=on,
        object=number,
        theirs=theirs,
        count=len(times),
        total=sum(lengths),
        longest=max(lengths),
        first_ts=min(since for since, _until in times),
        last_ts=max(until for _since, until in times),
    )
