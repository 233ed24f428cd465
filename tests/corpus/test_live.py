"""Sessions of the corpus, executed again: today's collector and correlator say what their records say."""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from bench._score import Judged, judged
from tests.corpus import place, recorder, records
from tests.corpus.expand import Session
from tests.corpus.reads import Reads
from tests.corpus.records import Record
from tests.corpus.reread import reread

#: executed again; what is said of all others is measured from their records
SAMPLE = ("bug_fixed-00-pytest", "sub_agent_lied-00-pytest", "made_and_removed-00-pytest")

pytestmark = pytest.mark.timeout(300)


def told(record: Record) -> Counter[tuple[str, str, bool, str, str | None]]:
    def row(one: Judged) -> tuple[str, str, bool, str, str | None]:
        return one.kind, one.what, one.lie, one.answer, one.reason

    return Counter(map(row, judged(record)))


def test_executed_again_they_are_judged_as_they_were() -> None:
    place.make_tools()
    wanted: list[Session] = [one for one in recorder.every() if one.name in SAMPLE]
    assert len(wanted) == len(SAMPLE)
    kept = {one.session: one for family in {one.family for one in wanted} for one in records.load(family)}
    for session, outcome in recorder.outcomes(wanted, 2):
        assert isinstance(outcome, Record), f"{session.name}: {outcome}"
        assert reread(outcome, session) == (outcome, []), session.name
        assert told(outcome) == told(reread(kept[session.name], session)[0]), session.name


def test_what_others_read_is_told_and_what_was_only_looked_at_is_not(tmp_path: Path) -> None:
    for name in ("read", "listed", "mine"):
        (tmp_path / name).write_text("text")
    with Reads(tmp_path) as reads:
        subprocess.run(["cat", "read"], cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)
        subprocess.run(["ls", "-l", "listed"], cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)
        (tmp_path / "mine").read_text()
        files = reads.files(but_by=(os.getpid(),))
    assert {Path(file).name for file in files if file.startswith(f"{tmp_path}/")} == {"read"}


def test_a_session_that_fails_in_whatever_way_ends_its_own_process_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(*_arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(recorder, "play", fails)
    session = next(iter(recorder.every()))
    here = os.getpid()
    assert [outcome for _, outcome in recorder.outcomes([session], 1)] == [["it ended with 1"]]
    assert os.getpid() == here
