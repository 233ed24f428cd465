"""`polygraph verdicts`, `sessions` and `report`, over a store that a run has left."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from polygraph import findings
from polygraph.cli import cli
from polygraph.events import BlindSpot, SessionStart
from polygraph.log.store import Store
from polygraph.verdicts import decode
from tests.console.sample import BASE, SESSION, Sample, looped, sample


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sample:
    monkeypatch.setenv("POLYGRAPH_HOME", str(tmp_path / "store"))
    made = sample()
    with Store() as store:
        store.append(made.events)
        store.add(made.verdicts)
    return made


def polygraph(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


def test_verdicts_say_whose_they_are_and_what_they_come_to(stored: Sample) -> None:
    shown = polygraph("verdicts").stdout
    assert shown.startswith(f"session {SESSION}: python agent.py")
    assert shown.endswith("\n4 refuted, 1 unverifiable, 2 verified\n")
    assert "Edit writes basket.py" in shown and "/home/ada/shop" not in shown


def test_json_is_lines_of_verdicts_and_nothing_else(stored: Sample) -> None:
    lines = polygraph("verdicts", "--json").stdout.encode().splitlines()
    assert sorted(decode(line).id for line in lines) == sorted(verdict.id for verdict in stored.verdicts)
    assert len(polygraph("verdicts", "--all", "--json").stdout.splitlines()) == len(lines)


@pytest.fixture
def found(stored: Sample) -> Sample:
    made = looped()
    with Store() as store:
        store.add_findings(made.findings)
    return made


def test_findings_say_whose_they_are_and_what_was_found(found: Sample) -> None:
    shown = polygraph("findings").stdout
    assert shown.startswith(f"session {SESSION}: python agent.py") and shown.count("◆") == 2
    assert "/home/ada/shop" not in shown
    assert polygraph("findings", SESSION[:6]).stdout == shown
    assert shown.endswith(polygraph("findings", "--all").stdout)


def test_json_is_lines_of_findings_and_a_detector_chooses(found: Sample) -> None:
    lines = polygraph("findings", "--json").stdout.encode().splitlines()
    assert [findings.decode(line) for line in lines] == list(found.findings)
    assert polygraph("findings", "--json", "--detector", "reasoning_loop").stdout.splitlines()
    unknown = polygraph("findings", "--detector", "nobody")
    assert unknown.exit_code == 2 and "reasoning_loop" in unknown.stderr


def test_a_session_in_which_nothing_was_found_says_so(stored: Sample) -> None:
    assert polygraph("findings").stdout.endswith("\nno findings\n")
    assert polygraph("findings", "ffff").exception is not None


def test_the_report_has_the_findings(found: Sample, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    polygraph("report", "--output", str(page))
    assert "asked 5 times in a row" in page.read_text("utf-8")


def test_a_session_without_verdicts_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POLYGRAPH_HOME", str(tmp_path / "store"))
    start = next(event for event in sample().events if isinstance(event, SessionStart))
    spot = BlindSpot(session=SESSION, ts=BASE, seq=1, dimension="tls", name="go_tls")
    with Store() as store:
        store.append([start, spot])
    assert "No call of a model could be read: a Go program's own TLS" in polygraph("verdicts").stdout
    assert polygraph("verdicts", "--all").stdout == "no verdicts\n"


def test_verdicts_without_their_events_are_shown_all_the_same(stored: Sample, tmp_path: Path) -> None:
    (segment,) = (tmp_path / "store/events").iterdir()
    segment.unlink()
    done = polygraph("verdicts")
    assert done.exit_code == 0 and "/home/ada/shop/" in done.stdout, "absolute: the folder is not known"


def test_the_report_is_written_where_it_is_wanted(stored: Sample, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    done = polygraph("report", "--output", str(page))
    assert done.exit_code == 0 and f"{page}: session {SESSION}" in done.stderr
    assert "4 of 7 statements" in page.read_text("utf-8")
    missing = polygraph("report", "--output", str(tmp_path / "none/page.html"))
    assert "cannot write the report" in str(missing.exception)
