"""The timeline: lanes of marks at horizontal percentages, so that the page can zoom by widening.

Vertical places are CSS pixels. Nothing is placed outside 0 to 100 per cent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from console.report.model import Limits, Process, Session
from console.words import GLYPHS, blind_spot, command, counted, duration, errno_name, signal_name
from polygraph.events import File, Flow, LlmCall, Net
from polygraph.text import printable

ROW = 26
_PAD = 14
#: width of a label's character, in per cent of a timeline about 1,000 px wide
_CHAR = 0.68
_GAP = 0.4
#: rows of a lane at most
_ROWS = 14
#: the scale runs on beyond the session's end by this factor, so that the last labels have room
_MARGIN = 1.12


class Mark(NamedTuple):
    """A bar (``width`` > 0), tick or flag. ``label_width`` is the room for its label, in per cent."""

    shape: str
    x: float
    width: float
    row: int
    label: str
    label_width: float
    title: str
    style: str
    verdicts: str
    href: str


class Lane(NamedTuple):
    """``y`` is the top, ``height`` the whole height, ``note`` says what was aggregated."""

    name: str
    y: int
    height: int
    marks: list[Mark]
    note: str


class AxisTick(NamedTuple):
    """``level``: the zoom factor from which on it is shown."""

    x: float
    label: str
    level: int


class Timeline(NamedTuple):
    lanes: list[Lane]
    axis: list[AxisTick]
    height: int
    notes: list[str]


class _Item(NamedTuple):
    start: int
    end: int
    label: str
    title: str
    style: str
    verdicts: str = ""
    href: str = ""
    shape: str = "bar"


def timeline(session: Session, limits: Limits) -> Timeline:
    """All lanes that hold something."""
    sources: list[
        tuple[str, list[_Item], Callable[[Session, list[_Item], Limits], tuple[list[Mark], int, str]]]
    ] = [
        ("LLM calls", _calls(session), _packed),
        ("Intents", _intents(session), _packed),
        ("Claims", _claims(session), _packed),
        ("Processes", _processes(session), _packed),
        ("Files", _files(session), _ticks),
        ("Network", _network(session), _ticks),
        ("Not seen", _unseen(session), _packed),
    ]
    lanes: list[Lane] = []
    y = 30
    for name, items, place in sources:
        if not items:
            continue
        marks, rows, note = place(session, items, limits)
        height = rows * ROW + _PAD
        lanes.append(Lane(name, y, height, marks, note))
        y += height
    return Timeline(
        lanes, _axis(session), y + 4, [f"{lane.name}: {lane.note}" for lane in lanes if lane.note]
    )


def percent(session: Session, ts: int) -> float:
    """Place of a time, 0 to 100."""
    share = (ts - session.begin) / ((session.end - session.begin) * _MARGIN)
    return round(100 * min(1.0, max(0.0, share)), 3)


def _style(session: Session, kind: str, subject: str) -> tuple[str, str, str]:
    place = session.by_subject.get((kind, subject))
    if place is None:
        return "none", "", ""
    return session.verdicts[place].verdict, str(place), f"#v{place}"


def _calls(session: Session) -> list[_Item]:
    return [
        _Item(
            call.request_ts or call.ts,
            call.ts,
            printable(call.model or call.api, 60),
            f"{printable(call.model or 'model not stated', 80)} at {printable(call.host, 120)}: "
            f"{duration(call.ts - (call.request_ts or call.ts))}, {call.input_tokens:,} tokens in, "
            f"{call.output_tokens:,} out{'' if call.complete else ', not seen whole'}{_over(call)}{_tried(call)}",
            "call" if call.complete else "call gap",
        )
        for call in session.calls
    ]


_TRANSPORTS = {"http/1.1": "HTTP/1.1", "h2": "HTTP/2", "websocket": "WebSocket"}


def _over(call: LlmCall) -> str:
    through = f" through {call.tls}" if call.tls else ""
    return f", {_TRANSPORTS[call.transport]}{through}"


def _tried(call: LlmCall) -> str:
    fate = f", {call.fate}" if call.fate != "answered" else ""
    return fate + (f", try {call.attempt}" if call.attempt > 1 else "")


def _intents(session: Session) -> list[_Item]:
    items = []
    for intent in session.intents.values():
        verdict, places, href = _style(session, "intent", intent.intent)
        result = session.results.get(intent.intent)
        end = result.ts if result is not None else session.end
        declared = session.verdicts[int(places)].declared if places else intent.tool
        mark = f"{GLYPHS[verdict]} " if verdict in GLYPHS else ""
        window = duration(end - intent.ts)
        title = f"{printable(declared, 200)}: {verdict if places else 'no verdict'}, window {window}"
        if result is None:
            title += " (no result was seen)"
        items.append(_Item(intent.ts, end, mark + printable(intent.tool, 60), title, verdict, places, href))
    return items


def _claims(session: Session) -> list[_Item]:
    items = []
    for claim in session.claims.values():
        verdict, places, href = _style(session, "claim", claim.claim)
        topic = claim.topic.replace("_", " ")
        declared = session.verdicts[int(places)].declared if places else topic
        mark = f"{GLYPHS[verdict]} " if verdict in GLYPHS else ""
        title = f"{printable(declared, 200)}: {verdict if places else 'no verdict'}"
        items.append(_Item(claim.ts, claim.ts, mark + topic, title, verdict, places, href, "flag"))
    return items


def _processes(session: Session) -> list[_Item]:
    return [
        _Item(
            process.start,
            process.end if process.end is not None else session.end,
            program(process),
            f"{command(process.argv, 200) or 'no exec of its own'} ({process.pid}): {outcome(process)}",
            "process bad" if process.signal or process.status else "process",
            " ".join(map(str, session.process_verdicts.get(process.key, [])[:50])),
        )
        for process in session.processes.values()
    ]


def program(process: Process) -> str:
    """Base name of what it runs."""
    return printable(process.argv[0].rsplit("/", 1)[-1], 60) if process.argv else "(fork)"


def outcome(process: Process) -> str:
    """How it ended, in words."""
    if process.signal is not None:
        return f"ended by {signal_name(process.signal)}"
    if process.status is not None:
        return f"exit {process.status}"
    return "not ended" if process.end is None else "ended, status unknown"


def _files(session: Session) -> list[_Item]:
    return [_Item(e.ts, e.ts, e.op, _file_title(e), _file_style(e), shape="tick") for e in session.files]


def _file_style(event: File) -> str:
    return "tick failed" if event.errno else "tick read" if event.op == "read" else "tick write"


def _file_title(event: File) -> str:
    failed = f" failed: {errno_name(event.errno)}" if event.errno else ""
    other = f" → {printable(event.new_path, 160)}" if event.new_path else ""
    return f"{event.op} {printable(event.path, 160)}{other}{failed}"


def _network(session: Session) -> list[_Item]:
    items = []
    for event in session.nets:
        where = f"{printable(event.address, 120)}{f':{event.port}' if event.port else ''}"
        if isinstance(event, Net):
            failed = event.errno not in (0, 115)
            title = f"{event.op} {where}{f' failed: {errno_name(event.errno)}' if failed else ''}"
            items.append(
                _Item(
                    event.ts,
                    event.ts,
                    event.op,
                    title,
                    "tick failed" if failed else "tick write",
                    shape="tick",
                )
            )
        elif isinstance(event, Flow):
            title = f"{where}: {event.sent:,} bytes sent, {event.received:,} received"
            items.append(_Item(event.ts, event.ts, "flow", title, "tick read", shape="tick"))
    return items


def _unseen(session: Session) -> list[_Item]:
    items = [
        _Item(
            e.since,
            e.ts,
            f"{counted(e.count, 'record')} lost",
            f"{e.dimension}: {counted(e.count, 'record')} lost, {printable(e.cause, 80)}",
            "loss",
        )
        for e in session.losses
    ]
    items += [
        _Item(e.ts, session.end, printable(e.name, 60), f"{e.dimension}: {blind_spot(e.name)}", "loss")
        for e in session.blind
    ]
    items += [
        _Item(
            e.ts,
            e.ts,
            printable(e.cause, 60),
            f"LLM traffic to {printable(e.host, 120)}: {printable(e.cause, 120)}, "
            f"{e.missing_bytes:,} bytes missing",
            "loss",
        )
        for e in session.stream_gaps
    ]
    return items


_WEIGHT = {"refuted": 2, "unverifiable": 1}


def _packed(session: Session, items: list[_Item], limits: Limits) -> tuple[list[Mark], int, str]:
    """Bars in the rows that they and their labels need; what has no room and no verdict is counted."""
    chosen = items
    if len(items) > limits.bars:
        weighed = sorted(items, key=lambda i: (-_WEIGHT.get(i.style, 0), not i.verdicts, i.start - i.end))
        chosen = weighed[: limits.bars]
    chosen = sorted(chosen, key=lambda i: (i.start, i.start - i.end))
    by_label: list[float] = []
    by_bar: list[float] = []
    placed: list[tuple[_Item, float, float, int]] = []
    for item in chosen:
        x = percent(session, item.start)
        width = max(0.0, round(percent(session, item.end) - x, 3))
        row = _row_for(item, x, by_label, by_bar)
        if row is None:
            continue
        by_label[row] = max(by_label[row], x + max(width, _label_width(item)) + _GAP)
        by_bar[row] = max(by_bar[row], x + width + _GAP)
        placed.append((item, x, width, row))
    hidden = len(items) - len(placed)
    note = f"{hidden:,} shorter or unremarkable ones are not drawn" if hidden else ""
    return _labelled(placed), max(1, len(by_label)), note


def _row_for(item: _Item, x: float, by_label: list[float], by_bar: list[float]) -> int | None:
    """The first row with room for bar and label, else a new one, else one with room for the bar alone.

    None when there is no room and no verdict is about the item; one with a verdict may overlap another.
    """
    # a model's name is the same on every call: it may be cut, and never makes a row
    free = by_bar if item.style.startswith("call") else by_label
    row = next((place for place, end in enumerate(free) if end <= x), None)
    if row is not None:
        return row
    if len(by_label) < _ROWS:
        by_label.append(0.0)
        by_bar.append(0.0)
        return len(by_label) - 1
    row = next((place for place, end in enumerate(by_bar) if end <= x), None)
    if row is None and item.verdicts:
        row = min(range(len(by_bar)), key=by_bar.__getitem__)
    return row


def _label_width(item: _Item) -> float:
    return min(24, len(item.label)) * _CHAR


def _labelled(placed: Sequence[tuple[_Item, float, float, int]]) -> list[Mark]:
    """Each label has the room up to the next mark of its row; where that is too little, there is none."""
    marks: list[Mark] = []
    following: dict[int, float] = {}
    for item, x, width, row in reversed(placed):
        room = max(0.0, following.get(row, 100.0) - x - _GAP)
        following[row] = x
        label = item.label if room >= 0.8 * _label_width(item) else ""
        mark = Mark(
            item.shape, x, width, row, label, round(room, 3), item.title, item.style, item.verdicts, item.href
        )
        marks.append(mark)
    marks.reverse()
    return marks


def _ticks(session: Session, items: list[_Item], limits: Limits) -> tuple[list[Mark], int, str]:
    """Ticks; where there are too many, those that fall on the same spot become one that says how many."""
    if len(items) <= limits.ticks:
        groups: Iterable[list[_Item]] = ([item] for item in items)
        note = ""
    else:
        bins: dict[tuple[int, str], list[_Item]] = {}
        for item in items:
            spot = int(percent(session, item.start) * limits.ticks / 300)
            bins.setdefault((spot, item.style), []).append(item)
        groups = bins.values()
        note = f"{len(items):,} operations drawn as {counted(len(bins), 'tick')}"
    marks = []
    for group in groups:
        title = "; ".join(item.title for item in group[:3])
        if len(group) > 3:
            title += f"; and {len(group) - 3:,} more"
        marks.append(
            Mark("tick", percent(session, group[0].start), 0, 0, "", 0, title, group[0].style, "", "")
        )
    return marks, 1, note


def _axis(session: Session) -> list[AxisTick]:
    span = max(1, int((session.end - session.begin) * _MARGIN))
    ticks: dict[int, AxisTick] = {}
    for level in (1, 4, 16):
        step = _nice(span / (7 * level))
        for number in range(int(span // step) + 1):
            at = number * step
            ticks.setdefault(at, AxisTick(round(100 * at / span, 3), _clock(at, step), level))
    return [ticks[at] for at in sorted(ticks)]


def _nice(raw: float) -> int:
    magnitude = 1
    while magnitude * 10 <= raw:
        magnitude *= 10
    return max(1, next(m * magnitude for m in (1, 2, 5, 10) if m * magnitude >= raw))


def _clock(at: int, step: int) -> str:
    """Offset from the session's start, only as fine as the step needs."""
    if at == 0:
        return "0"
    if step >= 60_000_000_000:
        return f"{at // 60_000_000_000} min"
    if step >= 1_000_000_000:
        minutes, seconds = divmod(at // 1_000_000_000, 60)
        return f"{minutes}:{seconds:02d}" if minutes else f"{seconds} s"
    digits = 1 if step >= 100_000_000 else 2 if step >= 10_000_000 else 3
    return f"{at / 1e9:.{digits}f} s" if step >= 1_000_000 else f"{at / 1e6:.3f} ms"
