"""Sessions for bench/correlator, made out of recorded ones: many at once, and long ones. Pure.

Many: the same recorded sessions again and again under other ids, so their mix is the same whatever their number.
Long: what one recorded session did since its model was first asked, again and again in the same session, as by an agent
that goes on with like work on the same files. Nobody looks at what is true of them.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Any

import msgspec

from polygraph.events import AnyEvent, Exit, Fork, LlmCall, Reads, SessionEnd
from polygraph.openings import packed

#: fields of events that are times, ns since boot
_TIMES = frozenset({"ts", "request_ts", "first_ts", "last_ts", "said_ts", "since"})
#: fields that are names within the session, or join what is of one round
_NAMES = frozenset({"intent", "call", "call_id", "claim", "follows", "command_digest"})
#: fields that are processes
_PROCESSES = frozenset({"process", "parent", "child", "by", "on", "peer"})


def prolonged(log: Sequence[AnyEvent], rounds: int) -> list[AnyEvent]:
    """A session in which what happened in ``log`` happens ``rounds`` times, one round after the other.

    The agent, its paths and its inodes are the same in each round; the processes that it starts, its calls and its
    claims are others. Raises StopIteration for a log in which no model is asked.
    """
    asked = next(event.request_ts for event in log if isinstance(event, LlmCall))
    begin = next(place for place, event in enumerate(log) if event.ts >= asked)
    started = {event.child for event in log[begin:] if isinstance(event, Fork)}
    length = max(event.ts for event in log) - asked + 1
    made = list(log[:begin])
    for number in range(rounds):
        last = number == rounds - 1
        made += (
            _moved(event, number, number * length, started)
            for event in log[begin:]
            if last or not _is_last(event, started)
        )
    return [msgspec.structs.replace(event, seq=seq) for seq, event in enumerate(made)]


def _is_last(event: AnyEvent, started: Container[str]) -> bool:
    """Whether nothing of the session can follow it: its end, or that of the agent."""
    return isinstance(event, SessionEnd) or (isinstance(event, Exit) and event.process not in started)


def _moved(event: AnyEvent, number: int, later: int, started: Container[str]) -> AnyEvent:
    """The event as it is in a later round; ``started`` are processes that each round has of its own."""

    def process(key: str) -> str:
        pid, _, start = key.partition(":")
        return f"{pid}:{int(start) + later}" if key in started else key

    changed: dict[str, Any] = {}
    for field in event.__struct_fields__:
        value = getattr(event, field)
        if not value or not number:
            continue
        if field in _TIMES:
            changed[field] = value + later
        elif field in _PROCESSES:
            changed[field] = process(value)
        elif field in _NAMES:
            changed[field] = f"{value}~{number}"
    if isinstance(event, Reads) and number:
        changed["rows"] = packed(
            row._replace(process=process(row.process), ts=row.ts + later) for row in event.all_rows()
        )
    moved: AnyEvent = msgspec.structs.replace(event, **changed)
    return moved
