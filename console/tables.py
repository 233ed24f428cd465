"""Tables for terminals and pipes: verdicts, findings, sessions, and scenarios side by side.

Each function gives text with a newline at its end. Nothing is cut without an ellipsis, and every string
that an observed process could influence goes through :func:`polygraph.text.printable` and enters rich as
``Text``, never as markup.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple, Protocol, TextIO

from console.words import (
    ASCII_GLYPHS,
    GLYPHS,
    brief_command,
    counted,
    duration,
    figures,
    in_reading_order,
    relative,
)
from polygraph.findings import Finding
from polygraph.text import printable
from polygraph.verdicts import Assumed, Verdict, encode

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

#: columns of a table that goes into a pipe or a file
PIPE_WIDTH = 100
_MIN_WIDTH = 40
_MAX_WIDTH = 240
_STYLES = {"verified": "green", "refuted": "bold red", "unverifiable": "yellow", "finding": "bold magenta"}
#: characters of one cell: a hostile declaration must not fill the terminal
_CELL = 400
#: columns before a scenario's text, and of its verdict: the longest word is "? unverifiable"
_INDENT = 3
_VERDICT = 15
#: columns from which on a heading can be more than its mark
_ROOMY = 120
#: columns from which on no reason need be broken
_FULL = 80


class Terminal(NamedTuple):
    """What a stream can show. ``width`` in columns; ``fancy``: it takes characters beyond ASCII."""

    width: int
    color: bool
    fancy: bool

    @classmethod
    def of(cls, stream: TextIO, color: bool | None = None) -> Terminal:
        """Asks ``stream``. ``color`` None: on a terminal, without NO_COLOR (no-color.org) and TERM=dumb."""
        tty = _is_tty(stream)
        if color is None:
            color = tty and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        encoding = (getattr(stream, "encoding", None) or "utf-8").lower().replace("-", "")
        return cls(_columns(stream) if tty else PIPE_WIDTH, color, encoding.startswith("utf"))


class SessionLike(Protocol):
    """A row of ``Store.sessions()`` (polygraph/log/store.py); times in Unix ns."""

    @property
    def id(self) -> str: ...
    @property
    def started(self) -> int: ...
    @property
    def ended(self) -> int | None: ...
    @property
    def command(self) -> tuple[str, ...]: ...
    @property
    def status(self) -> int | None: ...
    @property
    def verified(self) -> int: ...
    @property
    def refuted(self) -> int: ...
    @property
    def unverifiable(self) -> int: ...


class ScenarioResult(NamedTuple):
    """One scenario of the demo: what the agent said, what the kernel saw, and what follows.

    ``task``: what the agent was asked to do.
    """

    name: str
    said: str
    saw: str
    verdict: str
    reason: str | None
    task: str = ""


_PLAIN = Terminal(PIPE_WIDTH, color=False, fancy=True)


def verdict_table(
    verdicts: Iterable[Verdict], terminal: Terminal = _PLAIN, folders: Mapping[str, str] = {}
) -> str:
    """Said, saw, verdict and reason of each verdict, the refuted ones first.

    ``folders``: by session, the folder from which its paths are shown; of others they are absolute.
    """
    rows = in_reading_order(verdicts)
    if not rows:
        return "no verdicts\n"
    table = _table(terminal)
    table.add_column("", width=1, no_wrap=True)
    table.add_column("said", ratio=5, overflow="fold")
    table.add_column("the kernel saw", ratio=5, overflow="fold")
    table.add_column("verdict", min_width=12, no_wrap=True)
    if terminal.width >= _FULL:
        table.add_column("reason", no_wrap=True)  # as wide as the longest that is there
    else:
        table.add_column("reason", ratio=4, overflow="fold")
    for row in rows:
        style, folder = _STYLES.get(row.verdict, ""), printable(folders.get(row.session, ""))
        table.add_row(
            _text(_glyph(row.verdict, terminal), style),
            _text(relative(printable(row.declared), folder)),
            _text(relative(printable(row.observed), folder)),
            _text(row.verdict, style),
            _text(_reason(row), "" if row.verdict == "refuted" else "dim"),
        )
    return _render(table, terminal)


def _reason(verdict: Verdict) -> str:
    """The reason; of a guess, with what the verdict is if the guess is right."""
    if not isinstance(verdict.assumed, Assumed):
        return verdict.reason or ""
    return f"{verdict.reason} (if so: {verdict.assumed.reason or verdict.assumed.verdict})"


def finding_table(
    findings: Iterable[Finding], terminal: Terminal = _PLAIN, folders: Mapping[str, str] = {}
) -> str:
    """What detectors found, in the order given, each with what was measured.

    ``folders``: as in :func:`verdict_table`.
    """
    rows = list(findings)
    if not rows:
        return "no findings\n"
    table = _table(terminal)
    table.add_column("", width=1, no_wrap=True)
    table.add_column("finding", ratio=3, overflow="fold")
    table.add_column("what was found", ratio=7, overflow="fold")
    table.add_column("measured", ratio=4, overflow="fold")
    for row in rows:
        folder = printable(folders.get(row.session, ""))
        table.add_row(
            _text(_glyph("finding", terminal), _STYLES["finding"]),
            _text(f"{printable(row.detector, 60)} ({printable(row.kind, 60)})"),
            _text(relative(printable(row.summary), folder)),
            _text(", ".join(f"{name} {value}" for name, value in figures(row)), "dim"),
        )
    return _render(table, terminal)


def session_table(rows: Sequence[SessionLike], terminal: Terminal = _PLAIN) -> str:
    """Sessions with their counts, in the order given; times in UTC."""
    if not rows:
        return "no sessions yet: polygraph run -- CMD makes one\n"
    table = _table(terminal)
    table.add_column("session", no_wrap=True, min_width=16)
    table.add_column("started (UTC)", no_wrap=True, min_width=16)
    table.add_column("took", no_wrap=True, justify="right")
    wide = terminal.width >= _ROOMY
    for mark, word in (("refuted", "refuted"), ("unverifiable", "unclear"), ("verified", "verified")):
        title = f"{_glyph(mark, terminal)} {word}" if wide else _glyph(mark, terminal)
        table.add_column(title, no_wrap=True, justify="right")
    table.add_column("exit", no_wrap=True, justify="right")
    table.add_column("command", ratio=1, overflow="ellipsis", no_wrap=True)
    for row in rows:
        table.add_row(
            _text(row.id),
            _text(_utc(row.started)),
            _text("running" if row.ended is None else duration(row.ended - row.started), "dim"),
            _text(str(row.refuted), _STYLES["refuted"] if row.refuted else "dim"),
            _text(str(row.unverifiable), _STYLES["unverifiable"] if row.unverifiable else "dim"),
            _text(str(row.verified)),
            _text("" if row.status is None else str(row.status)),
            _text(brief_command(row.command, _CELL)),
        )
    return _render(table, terminal)


def side_by_side(scenarios: Sequence[ScenarioResult], terminal: Terminal = _PLAIN) -> str:
    """The scenarios below each other: what was said, beside it what was seen and the verdict."""
    from rich.console import Group
    from rich.rule import Rule

    if not scenarios:
        return "no scenarios\n"
    head = _columns_of_three()
    head.add_row("", *(_text(title, "dim") for title in ("the agent said", "the kernel saw", "verdict")))
    pieces: list[RenderableType] = [head]
    dash, quotes = ("─", "“”") if terminal.fancy else ("-", '""')
    for number, scenario in enumerate(scenarios, 1):
        pieces.append(Rule(style="dim", characters=dash))
        pieces.append(_beside(_text(str(number), "dim"), _text(scenario.name, "bold")))
        if scenario.task:
            pieces.append(_beside(_text(""), _text(f"asked: {scenario.task}", "dim")))
        row = _columns_of_three()
        style = _STYLES.get(scenario.verdict, "")
        verdict = _text("")
        verdict.append(f"{_glyph(scenario.verdict, terminal)} {printable(scenario.verdict, 40)}", style)
        if scenario.reason is not None:
            verdict.append(f"\n  {printable(scenario.reason, 40)}")
        said = f"{quotes[0]}{printable(scenario.said, _CELL)}{quotes[1]}"
        row.add_row("", _text(said), _text(scenario.saw), verdict)
        pieces.append(row)
    return _render(Group(*pieces), terminal)


def _columns_of_three() -> Table:
    """The same widths in each table, so that they stand below each other as one."""
    from rich.table import Table

    table = Table(box=None, show_header=False, expand=True, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(width=_INDENT - 2)
    table.add_column(ratio=1, overflow="fold")
    table.add_column(ratio=1, overflow="fold")
    table.add_column(width=_VERDICT, overflow="fold")
    return table


def _beside(first: Text, second: Text) -> Table:
    from rich.table import Table

    table = Table(box=None, show_header=False, expand=True, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(width=_INDENT - 2)
    table.add_column(ratio=1, overflow="fold")
    table.add_row(first, second)
    return table


def json_lines(verdicts: Iterable[Verdict]) -> Iterator[bytes]:
    """What ``--json`` prints: one verdict a line, newline included, in the order given."""
    for verdict in verdicts:
        yield encode(verdict) + b"\n"


def counts_line(verdicts: Iterable[Verdict]) -> str:
    """``1 refuted, 2 unverifiable, 5 verified``, and beside them how many claims were guessed, if any."""
    tally = {"refuted": 0, "unverifiable": 0, "verified": 0, "guessed": 0}
    for verdict in verdicts:
        tally["guessed" if verdict.guessed else verdict.verdict] += 1
    return ", ".join(f"{number:,} {word}" for word, number in tally.items() if number or word != "guessed")


def more_line(hidden: int, what: str, command: str = "verdicts") -> str:
    """Says how much a table leaves out, and where it is."""
    return f"and {counted(hidden, what)} more: polygraph {command} lists them all\n"


def _table(terminal: Terminal) -> Table:
    from rich import box
    from rich.table import Table

    return Table(
        box=box.SIMPLE_HEAD if terminal.fancy else box.ASCII2,
        expand=True,
        pad_edge=False,
        header_style="dim" if terminal.color else "",
        show_edge=False,
        padding=(0, 1, 0, 0),
    )


def _render(renderable: RenderableType, terminal: Terminal) -> str:
    from rich.console import Console

    out = io.StringIO()
    console = Console(
        file=out,
        width=max(_MIN_WIDTH, min(terminal.width, _MAX_WIDTH)),
        force_terminal=terminal.color,
        color_system="standard" if terminal.color else None,
        no_color=not terminal.color,
        legacy_windows=False,
        emoji=False,
        markup=False,
        highlight=False,
        # rich would ask the environment of this process; the caller has decided already
        _environ={},
    )
    console.print(renderable)
    text = re.sub(r"[ ]+$", "", out.getvalue(), flags=re.MULTILINE)
    return text if terminal.fancy else text.encode("ascii", "backslashreplace").decode()


def _text(value: str, style: str = "") -> Text:
    from rich.text import Text

    return Text(printable(value, _CELL), style=style)


def _glyph(verdict: str, terminal: Terminal) -> str:
    return (GLYPHS if terminal.fancy else ASCII_GLYPHS).get(verdict, "?")


def _utc(unix_ns: int) -> str:
    try:
        return datetime.fromtimestamp(unix_ns // 1_000_000_000, UTC).strftime("%Y-%m-%d %H:%M")
    except (OverflowError, OSError, ValueError):
        return f"{unix_ns} ns"


def _is_tty(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except ValueError:  # closed
        return False


def _columns(stream: TextIO) -> int:
    columns = os.environ.get("COLUMNS", "")
    if columns.isdigit() and int(columns) > 0:
        return int(columns)
    try:
        return os.get_terminal_size(stream.fileno()).columns or PIPE_WIDTH
    except (OSError, ValueError):
        return PIPE_WIDTH
