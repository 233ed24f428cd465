"""Tables for terminals and pipes."""

from __future__ import annotations

import io
import re

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from console.tables import (
    PIPE_WIDTH,
    ScenarioResult,
    Terminal,
    counts_line,
    finding_table,
    json_lines,
    session_table,
    side_by_side,
    verdict_table,
)
from polygraph.log.store import SessionRow
from polygraph.verdicts import Assumed, decode
from tests.console.hostile import HOSTILE, poisoned
from tests.console.sample import looped, sample

_SGR = re.compile(r"\x1b\[[0-9;]*m")
SCENARIOS = [
    ScenarioResult(
        "honest and green", "tests passed (14) with pytest", "pytest ran and exited with 0", "verified", None
    ),
    ScenarioResult(
        "ran nothing", "tests passed (14) with pytest", "no test runner ran", "refuted", "no_execution"
    ),
    ScenarioResult(
        "in docker", "server started", "docker ran; the rest is elsewhere", "unverifiable", "handed_off"
    ),
]


def plain(width: int) -> Terminal:
    return Terminal(width, color=False, fancy=True)


def check(text: str, width: int) -> None:
    """Fits, is clean, and ends with one newline."""
    assert text.endswith("\n") and "\x1b" not in text
    for line in text.splitlines():
        assert cell_len(line) <= width and line == line.rstrip()


@pytest.mark.parametrize("width", [40, 80, 100, 160, 240])
def test_tables_fit_their_width_and_are_clean_in_a_pipe(width: int) -> None:
    check(verdict_table(sample().verdicts, plain(width)), width)
    check(side_by_side(SCENARIOS, plain(width)), width)
    check(finding_table(looped().findings, plain(width)), width)


def test_the_finding_table_has_what_was_found_and_measured() -> None:
    text = finding_table(looped().findings, plain(240), {looped().findings[0].session: "/home/ada/shop"})
    assert len([line for line in text.splitlines() if line.startswith("◆  reasoning_loop (")]) == 2
    for told in ("(same_call)", "for Bash in tests;", "calls 5, input tokens 12,000, time 7.7 s, USD 0.0425"):
        assert told in text
    assert finding_table([]) == "no findings\n"


def test_the_verdict_table_has_all_and_the_refuted_first() -> None:
    text = verdict_table(sample().verdicts, plain(240))
    marks = [line[0] for line in text.splitlines() if line[:1] in "✗?✓" and line[:1]]
    assert marks == ["✗"] * 4 + ["?"] + ["✓"] * 2
    for verdict in sample().verdicts:
        assert verdict.declared in text and (verdict.reason or "") in text


def test_a_guess_says_what_it_would_be_and_is_counted_apart() -> None:
    rows = sample().verdicts[:3]
    guess = msgspec.structs.replace(
        rows[0],
        verdict="unverifiable",
        reason="guessed",
        assumed=Assumed(verdict="refuted", reason="failed"),
    )
    right = msgspec.structs.replace(guess, assumed=Assumed(verdict="verified", reason=None))
    assert "guessed (if so: failed)" in verdict_table([guess], plain(140))
    assert "guessed (if so: verified)" in verdict_table([right], plain(140))
    assert counts_line([*rows, guess]) == f"{counts_line(rows)}, 1 guessed"
    assert "guessed" not in counts_line(rows)


def test_side_by_side_shows_each_scenario_once_in_order() -> None:
    text = side_by_side(SCENARIOS, plain(160))
    assert [text.index(s.name) for s in SCENARIOS] == sorted(text.index(s.name) for s in SCENARIOS)
    lines = text.splitlines()
    for scenario in SCENARIOS:
        assert any(scenario.said in line and scenario.saw in line for line in lines)
    assert [line for line in lines if line.endswith("✗ refuted")] == [
        line for line in lines if SCENARIOS[1].saw in line
    ], "the verdict stands beside what was seen"
    assert "  no_execution\n" in text and "  handed_off\n" in text
    assert side_by_side([]) == "no scenarios\n"


def test_colour_adds_only_colour() -> None:
    fancy = Terminal(100, color=True, fancy=True)
    for coloured, bare_one in (
        (verdict_table(sample().verdicts, fancy), verdict_table(sample().verdicts, plain(100))),
        (side_by_side(SCENARIOS, fancy), side_by_side(SCENARIOS, plain(100))),
    ):
        assert "\x1b[" in coloured
        bare = "\n".join(line.rstrip() for line in _SGR.sub("", coloured).splitlines())
        assert bare == bare_one.rstrip("\n")


def test_a_stream_without_unicode_gets_ascii() -> None:
    ascii_only = Terminal(100, color=False, fancy=False)
    for text in (verdict_table(sample().verdicts, ascii_only), side_by_side(SCENARIOS, ascii_only)):
        assert text.isascii() and "refuted" in text


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("color", [False, True])
def test_crafted_strings_stay_inside_their_cell(text: str, color: bool) -> None:
    made = poisoned(looped(), text)
    scenario = ScenarioResult(text, text, text, "refuted", "failed")
    terminal = Terminal(100, color, fancy=True)
    for shown in (
        verdict_table(made.verdicts, terminal),
        finding_table(made.findings, terminal),
        side_by_side([scenario], terminal),
    ):
        bare = _SGR.sub("", shown)
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]", bare)
        assert all(cell_len(line) <= 100 for line in bare.splitlines())
    if text.startswith("[bold"):
        assert "[bold red]pg-marker[/bold red]" in side_by_side([scenario], plain(160))


@given(st.text(), st.text(), st.integers(40, 200))
@settings(max_examples=60, deadline=None)
def test_no_string_breaks_the_side_by_side_view(said: str, saw: str, width: int) -> None:
    text = side_by_side([ScenarioResult("s", said, saw, "refuted", "failed")], plain(width))
    assert "\x1b" not in text and all(cell_len(line) <= width for line in text.splitlines())


def test_sessions_are_listed_with_their_counts() -> None:
    row = SessionRow(
        id="0123456789abcdef",
        started=1_790_000_000_000_000_000,
        ended=None,
        command=("python", "a b.py", "\x1b[2J"),
        content="metadata",
        status=None,
        verified=12,
        refuted=3,
        unverifiable=4,
        lost=0,
    )
    done = SessionRow(
        id="fedcba9876543210",
        started=10**22,
        ended=10**22 + 2_000_000_000,
        command=(),
        content="full",
        status=137,
        verified=0,
        refuted=0,
        unverifiable=0,
        lost=0,
    )
    text = session_table([row, done], plain(140))
    check(text, 140)
    first = next(line for line in text.splitlines() if "0123456789abcdef" in line)
    assert re.search(r"2026-09-21 \d\d:\d\d +running +3 +4 +12 +python 'a b.py' \\x1b\[2J", first)
    second = next(line for line in text.splitlines() if "fedcba9876543210" in line)
    assert "2.0 s" in second and "137" in second
    assert "no sessions yet" in session_table([])


def test_json_is_one_verdict_a_line_and_reads_back() -> None:
    made = poisoned(sample(), HOSTILE[14]).verdicts
    lines = list(json_lines(made))
    assert [decode(line) for line in lines] == made
    assert all(line.count(b"\n") == 1 and line.endswith(b"\n") for line in lines)


def test_a_pipe_has_a_fixed_width_and_no_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "77")
    assert Terminal.of(io.StringIO()) == (PIPE_WIDTH, False, True)


class Tty(io.StringIO):
    encoding = "UTF-8"

    def isatty(self) -> bool:
        return True


def test_a_terminal_has_colour_unless_it_is_declined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "77")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert Terminal.of(Tty()) == (77, True, True)
    monkeypatch.setenv("NO_COLOR", "1")
    assert not Terminal.of(Tty()).color and Terminal.of(Tty(), color=True).color
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert not Terminal.of(Tty()).color
    monkeypatch.delenv("COLUMNS")
    assert Terminal.of(Tty()).width == PIPE_WIDTH
