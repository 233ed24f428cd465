"""Facts in words: the glyphs, sentences and units that the live view, the tables and the report share.

Everything here takes untrusted text and gives text that is safe on one line (see polygraph/text.py).
"""

from __future__ import annotations

import errno
import re
import signal
import tomllib
from collections.abc import Collection, Iterable, Mapping
from functools import cache
from importlib import resources

import msgspec

from polygraph.findings import Finding
from polygraph.reasons import reasons
from polygraph.text import printable
from polygraph.verdicts import DimensionCoverage, Verdict

GLYPHS: Mapping[str, str] = {"verified": "✓", "refuted": "✗", "unverifiable": "?", "finding": "◆"}
ASCII_GLYPHS: Mapping[str, str] = {"verified": "+", "refuted": "X", "unverifiable": "?", "finding": "!"}

#: refuted first: the order in which people should read verdicts
ORDER: Mapping[str, int] = {"refuted": 0, "unverifiable": 1, "verified": 2}


class Words(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """data/words.toml: names of the model, in words."""

    dimension: dict[str, str]
    state: dict[str, str]
    grade: dict[str, str]
    blind: dict[str, str]
    #: file operations, as participles
    op: dict[str, str]


@cache
def words() -> Words:
    """The table. Raises msgspec.ValidationError when it is malformed."""
    raw = tomllib.loads(resources.files("console").joinpath("data/words.toml").read_text("utf-8"))
    return msgspec.convert(raw, Words)


def in_reading_order(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """Refuted first, then unverifiable, then verified; in each, oldest first."""
    return sorted(verdicts, key=lambda v: (ORDER.get(v.verdict, 3), v.ts, v.id))


def reason_sentence(reason: str | None) -> str:
    """The sentence of a reason; of a reason that is not in the closed list, its name; ``""`` for none."""
    if reason is None:
        return ""
    row = reasons().get(reason)
    return row.sentence if row is not None else printable(reason, 80)


def counted(number: int, singular: str, plural: str | None = None) -> str:
    """``counted(2, "process", "processes")`` is ``"2 processes"``."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def duration(ns: int) -> str:
    """A duration in nanoseconds, in the unit that fits: ``180 µs``, ``12 ms``, ``3.4 s``, ``2 min 5 s``."""
    if ns < 0:
        return "-" + duration(-ns)
    if ns < 1_000_000:
        return f"{ns // 1000} µs"
    if ns < 1_000_000_000:
        return f"{ns / 1e6:.3g} ms" if ns < 99_500_000 else f"{ns // 1_000_000} ms"
    if ns < 60_000_000_000:
        return f"{ns / 1e9:.1f} s"
    minutes, seconds = divmod(ns // 1_000_000_000, 60)
    if minutes < 60:
        return f"{minutes} min {seconds} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def figures(finding: Finding) -> list[tuple[str, str]]:
    """What a finding measured, each with its name, in the units that fit."""
    shown = []
    for name, value in finding.figures.items():
        if name == "seconds":
            shown.append(("time", duration(round(value * 1e9))))
        elif name == "usd":
            shown.append(("USD", f"{value:,.4f}"))
        else:
            told = f"{value:,.0f}" if float(value).is_integer() else f"{value:,.3g}"
            shown.append((printable(name, 60).replace("_", " "), told))
    return shown


def size(count: int) -> str:
    """Bytes, in the unit that fits (powers of 1024)."""
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.3g} {unit}"
        value /= 1024
    return f"{value:.4g} TiB"


def relative(text: str, cwd: str) -> str:
    """``text`` with the paths below ``cwd`` as they are from there; a path that only contains ``cwd`` stays.

    Both printable already. Reads better, and says the same to whoever knows ``cwd``.
    """
    folder = cwd.rstrip("/")
    return re.sub(rf"(?<![^\s'\"(=]){re.escape(folder)}/(?=[^\s/])", "", text) if folder else text


def errno_name(number: int) -> str:
    """``ENOENT`` for 2; ``errno 4095`` for a number without a name."""
    return errno.errorcode.get(number, f"errno {number}")


def signal_name(number: int) -> str:
    """``SIGKILL`` for 9; ``signal 63`` for a number without a name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def command(argv: Iterable[str], limit: int = 200) -> str:
    """The arguments as a line to read (not for a shell), at most ``limit`` long."""
    pieces: list[str] = []
    length = 0
    for argument in argv:
        shown = printable(argument, limit)
        pieces.append(f"'{shown}'" if not shown or " " in shown else shown)
        length += len(pieces[-1]) + 1
        if length > limit:
            break
    return printable(" ".join(pieces), limit)


def brief_command(argv: Iterable[str], limit: int = 200) -> str:
    """The same with programs and files by their names alone: where the whole does not fit, that tells most."""
    return command((argument.rstrip("/").rpartition("/")[2] or argument for argument in argv), limit)


def gaps(coverage: Mapping[str, DimensionCoverage]) -> list[str]:
    """What a verdict's coverage could not show, one sentence for each dimension that is not clean."""
    sentences: list[str] = []
    for name, item in coverage.items():
        dimension = words().dimension.get(name, printable(name, 40))
        if item.state == "not_requested":
            continue
        problems: list[str] = []
        if item.state != "attached":
            problems.append(words().state.get(item.state, printable(item.state, 40)))
        elif not item.canary:
            problems.append("the probes did not show their canary")
        if item.lost:
            problems.append(f"{counted(item.lost, 'record')} lost")
        problems += [blind_spot(spot) for spot in item.blind]
        if problems:
            sentences.append(f"{dimension}: {'; '.join(problems)}")
    return sentences


#: blind spots that leave a model's traffic unread
_UNREAD = (
    "static_tls",
    "tls_library_refused",
    "gnutls",
    "nss",
    "wolfssl",
    "mbedtls",
    "go_tls",
    "rustls",
    "tls_silent",
    "unread_connection",
    "quic",
)


def silence(calls: int, content: str | None, blind: Collection[str]) -> str:
    """Why a session has no verdict. ``calls``: of a model, that were read; ``content``: the session's level."""
    if content == "off":
        return "The content level was off: the model's traffic was not read, so nothing said is judged."
    if calls:
        return f"{counted(calls, 'call')} of a model, and in them no tool call and no claim of a kind that is checked."
    unread = [blind_spot(name) for name in _UNREAD if name in blind]
    if unread:
        return f"No call of a model could be read: {'; '.join(unread)}."
    return "No call of a model was seen: no TLS traffic in the form of an API that is known."


def blind_spot(name: str) -> str:
    """A blind spot in words, or its name when the table has none for it."""
    return words().blind.get(name) or printable(name, 120).replace("_", " ")
