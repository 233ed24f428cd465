"""The live view."""

from __future__ import annotations

import io
import re
import subprocess
import sys

import msgspec
import pytest

from console.live import LiveView, Summary
from polygraph.events import SessionStart
from tests.console.hostile import HOSTILE, poisoned
from tests.console.sample import looped, sample

SUMMARY = Summary(
    "0123456789abcdef", 1, 8_000_000_000, "/tmp/report.html", ("3 events did not reach the disk",)
)


def shown(color: bool = False) -> str:
    stream = io.StringIO()
    view = LiveView(stream, color)
    for verdict in sample().verdicts:
        view.verdict(verdict)
    view.note("watching pid 12")
    view.finish(SUMMARY)
    return stream.getvalue()


def test_each_verdict_has_its_line_as_it_comes() -> None:
    stream = io.StringIO()
    view = LiveView(stream, False)
    for number, verdict in enumerate(sample().verdicts, 1):
        view.verdict(verdict)
        lines = stream.getvalue().splitlines()
        assert len(lines) == number and verdict.declared in lines[-1] and verdict.verdict in lines[-1]
        assert (f"({verdict.reason})" in lines[-1]) == (verdict.reason is not None)
    assert "polygraph ✗ refuted  Bash runs mypy . → no process was started in the window" in stream.getvalue()


def test_a_verdict_delivered_twice_is_shown_once() -> None:
    stream = io.StringIO()
    view = LiveView(stream, False)
    view.verdict(sample().verdicts[0])
    view.verdict(sample().verdicts[0])
    view.finish(SUMMARY)
    assert len(re.findall("^polygraph ", stream.getvalue(), re.MULTILINE)) == 1
    assert "0 refuted, 0 unverifiable, 1 verified" in stream.getvalue()


def test_the_summary_has_counts_reasons_coverage_and_the_report() -> None:
    text = shown()
    assert "4 refuted, 1 unverifiable, 2 verified  (session 0123456789abcdef, 8.0 s, exit status 1)" in text
    assert "not_written: The file was not created" in text
    assert "files: 37 records lost" in text and "3 events did not reach the disk" in text
    assert text.endswith("report: /tmp/report.html\n")
    assert "\x1b" not in text


def test_full_coverage_is_said_only_where_it_was_full() -> None:
    stream = io.StringIO()
    view = LiveView(stream, False)
    view.verdict(sample().verdicts[0])
    view.finish(SUMMARY._replace(notes=()))
    assert "coverage was complete for every verdict" in stream.getvalue()
    assert "coverage was complete" not in shown()


def test_no_verdicts_is_said() -> None:
    stream = io.StringIO()
    LiveView(stream, False).finish(SUMMARY._replace(notes=(), report=None))
    assert stream.getvalue().strip().startswith("no verdicts") and "complete" not in stream.getvalue()


def test_a_finding_has_a_line_when_it_is_said_first_and_its_last_word_at_the_end() -> None:
    stream = io.StringIO()
    view = LiveView(stream, False)
    view.began(next(event for event in looped().events if isinstance(event, SessionStart)))
    first, other = looped().findings
    view.finding(first)
    view.finding(msgspec.structs.replace(first, summary="asked 9 times"))
    view.finding(other)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("polygraph ◆ reasoning_loop  asked 5 times in a row for Bash in tests;")
    assert lines[0].endswith("(same_call)")
    view.finish(SUMMARY)
    assert "2 findings:\n  ◆ reasoning_loop  asked 9 times  (same_call)\n  ◆" in stream.getvalue()
    assert "finding" not in shown()


def test_very_many_findings_are_cut_and_it_says_so() -> None:
    stream = io.StringIO()
    view = LiveView(stream, False)
    for number in range(30):
        view.finding(msgspec.structs.replace(looped().findings[0], id=f"f{number}"))
    view.finish(SUMMARY)
    assert "and 10 findings more: polygraph findings lists them all" in stream.getvalue()


def test_only_colour_is_ever_sent_to_a_terminal_and_always_reset() -> None:
    text = shown(color=True)
    assert set(re.findall(r"\x1b\[[0-9;]*([^0-9;])", text)) == {"m"}
    for line in text.splitlines():
        codes = re.findall(r"\x1b\[([0-9;]*)m", line)
        assert not codes or codes[-1] == "0"


def test_a_long_list_is_cut_and_says_so() -> None:
    stream = io.StringIO()
    view = LiveView(stream, False)
    for number in range(60):
        view.verdict(msgspec.structs.replace(sample().verdicts[number % 7], id=f"v{number}"))
    view.finish(SUMMARY)
    assert "and 20 verdicts more: polygraph verdicts lists them all" in stream.getvalue()


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_crafted_string_stays_on_its_line(text: str) -> None:
    stream = io.StringIO()
    view = LiveView(stream, False)
    made = poisoned(looped(), text)
    for verdict in made.verdicts:
        view.verdict(verdict)
    for finding in made.findings:
        view.finding(finding)
    view.note(text)
    lines = stream.getvalue().split("\n")
    assert len(lines) == 11 and all(line.startswith("polygraph ") for line in lines[:-1])
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2028\u2029]", stream.getvalue())


def test_a_stream_that_fails_is_left_alone() -> None:
    class Broken(io.StringIO):
        def write(self, _: str, /) -> int:
            raise BrokenPipeError

    view = LiveView(Broken(), False)
    for verdict in sample().verdicts:
        view.verdict(verdict)
    view.finish(SUMMARY)
    assert view.muted
    closed = io.StringIO()
    closed.close()
    view = LiveView(closed)
    view.note("x")
    assert view.muted


def test_a_latin_terminal_gets_ascii() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    view = LiveView(stream, False)
    for verdict in poisoned(sample(), "é→").verdicts:
        view.verdict(verdict)
    view.finish(SUMMARY)
    assert b"X refuted" in raw.getvalue() and not view.muted


def test_importing_and_a_live_line_do_not_import_rich() -> None:
    code = (
        "import sys, io; from console.live import LiveView; LiveView(io.StringIO()).note('x');"
        "sys.exit(any(name.split('.')[0] in ('rich', 'jinja2') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_paths_are_shown_from_the_folder_that_the_session_began_in() -> None:
    stream = io.StringIO()
    view = LiveView(stream, False)
    made = sample()
    for event in made.events:
        if isinstance(event, SessionStart):
            view.began(event)
    for verdict in made.verdicts:
        view.verdict(verdict)
    view.finish(SUMMARY)
    assert "/home/ada/shop/" not in stream.getvalue()
    assert stream.getvalue().count("Edit writes basket.py") == 2


def test_a_run_without_verdicts_says_why() -> None:
    stream = io.StringIO()
    LiveView(stream, False).finish(SUMMARY._replace(silence="No call of a model was seen."))
    assert "\n  No call of a model was seen.\n" in stream.getvalue()
    assert "No call" not in shown()
