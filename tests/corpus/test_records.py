"""The recorded sessions: they are those that are defined, name no machine, and replay."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import msgspec
import pytest

from bench._score import replay
from polygraph.events import Claim, SessionEnd, SessionStart, Tick
from tests.corpus import place, recorder, records, schema

RECORDED = sorted(path.stem for path in records.FOLDER.glob("*.zst"))


@cache
def defined() -> dict[str, str]:
    return {session.name: session.digest for session in recorder.every()}


def test_only_families_that_are_there_are_recorded() -> None:
    assert RECORDED
    assert set(RECORDED) <= set(schema.families())


@pytest.mark.parametrize("family", RECORDED)
def test_a_record_is_of_the_session_as_it_is_defined(family: str) -> None:
    kept = {record.session: record.digest for record in records.load(family)}
    assert kept
    assert kept.items() <= defined().items()


@pytest.mark.parametrize("family", RECORDED)
def test_a_log_is_whole_and_every_claim_of_the_model_has_a_label(family: str) -> None:
    for record in records.load(family):
        events = list(record.events())
        assert isinstance(events[0], SessionStart), record.session
        ends = [position for position, event in enumerate(events) if isinstance(event, SessionEnd)]
        assert len(ends) == 1, record.session
        assert all(isinstance(event, Tick) for event in events[ends[0] + 1 :]), record.session
        assert [event.seq for event in events] == list(range(len(events))), record.session
        claims = {event.claim for event in events if isinstance(event, Claim) and event.source == "model"}
        assert {label.claim for label in record.labels} - {""} == claims, record.session


@pytest.mark.parametrize("family", RECORDED)
def test_it_replays_and_every_claim_gets_a_verdict(family: str) -> None:
    for record in records.load(family):
        judged = {verdict.subject.id for verdict in replay(record)}
        assert {label.claim for label in record.labels} - {""} <= judged, record.session


@pytest.mark.parametrize("family", RECORDED)
def test_nothing_of_the_recording_machine_is_in_it(family: str) -> None:
    names = [f"{place.ROOT}/", "/root/"]
    for record in records.load(family):
        # curl looks for its settings in the home of root that the list of users has, not in the session's
        log = msgspec.json.encode(record).replace(b"/root/.curlrc", b"")
        assert [name for name in names if name.encode() in log] == [], record.session


@pytest.mark.parametrize("family", RECORDED)
def test_host_and_boot_are_the_places_own(family: str) -> None:
    for record in records.load(family):
        start = next(record.events())
        assert isinstance(start, SessionStart)
        assert (start.host, start.boot) == (place.MACHINE, place.BOOT)


def test_an_archive_gives_back_what_was_put_into_it(tmp_path: Path) -> None:
    (family, *_) = RECORDED
    kept = records.load(family)
    records.save("copy", reversed(kept), tmp_path)
    assert records.load("copy", tmp_path) == kept


def test_the_archives_are_small() -> None:
    sessions = sum(len(records.load(family)) for family in RECORDED)
    size = sum(records.path(family).stat().st_size for family in RECORDED)
    assert size / sessions < 20_000
