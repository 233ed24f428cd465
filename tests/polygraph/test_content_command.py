"""polygraph content, polygraph prune, and what run and watch note: what is said is what is so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from polygraph.audit import AuditError, AuditLog
from polygraph.cli import cli
from polygraph.commands._content import Audited
from polygraph.content import LEVELS, ContentLevel
from polygraph.log.retention import DAY
from polygraph.log.store import Store
from tests.polygraph.test_retention import NAMES, fill
from tests.polygraph.test_store import SESSION, start


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store of this test's own, not yet made."""
    for name in ("POLYGRAPH_CONTENT", "POLYGRAPH_KEEP_DAYS", "POLYGRAPH_KEEP_SESSIONS", "POLYGRAPH_KEEP_MB"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("POLYGRAPH_HOME", str(tmp_path / "store"))
    return tmp_path / "store"


def asked(*arguments: str, status: int = 0) -> Any:
    """What a command prints as JSON."""
    done = CliRunner().invoke(cli, [*arguments, "--json"])
    assert done.exit_code == status, done.output
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return lines[0] if len(lines) == 1 else lines


def test_it_states_the_default_and_makes_nothing(home: Path) -> None:
    shown = asked("content", "show")
    assert (shown["level"], shown["source"], shown["ok"]) == ("metadata", "default", True)
    assert not home.exists()


def test_the_flag_outranks_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POLYGRAPH_CONTENT", "full")
    shown = asked("content", "show")
    assert (shown["level"], shown["source"]) == ("full", "environment")
    shown = asked("content", "show", "--content", "off")
    assert (shown["level"], shown["source"], shown["tls_plaintext_captured"]) == ("off", "flag", False)


def test_a_level_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POLYGRAPH_CONTENT", "everything")
    assert CliRunner().invoke(cli, ["content", "show"]).exit_code == 2


@pytest.mark.parametrize("level", LEVELS)
def test_it_says_which_kinds_of_field_may_hold_free_text(level: ContentLevel) -> None:
    kinds = {
        field["kind"]
        for field in asked("content", "show", "--content", level)["fields"]
        if field["free_text"]
    }
    assert kinds == {
        "off": set(),
        "metadata": set(),
        "redacted": {"name", "argv", "text"},
        "full": {"name", "argv", "text", "body"},
    }[level]  # fmt: skip


@pytest.mark.parametrize("name", [".", "polygraph.db", "events", "key"])
def test_what_others_can_read_is_said_and_fails(home: Path, name: str) -> None:
    with Store() as store:
        store.append([start()])
        assert asked("content", "show")["ok"]
        (home / name).chmod(0o755)
        shown = asked("content", "show", status=1)
    (problem,) = [place["problem"] for place in shown["places"] if place.get("problem")]
    assert "chmod" in problem and str(home) in problem
    assert "✗" in CliRunner().invoke(cli, ["content", "show"]).output


def test_a_broken_chain_is_said_and_fails(home: Path) -> None:
    with Store() as store:
        for _ in range(3):
            AuditLog(store.root).append("capture_begin", level="metadata")
    assert asked("content", "audit", "--verify")["count"] == 3
    log = home / "audit.jsonl"
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[1:]))
    assert asked("content", "audit", "--verify", status=1)["broken"] == [
        [1, "the line before it was changed, removed or put in"]
    ]
    assert asked("content", "show", status=1)["audit_ok"] is False


def test_the_limits_are_shown_and_prune_keeps_to_them(monkeypatch: pytest.MonkeyPatch) -> None:
    with Store() as store:
        fill(store, *NAMES[:3])
    assert CliRunner().invoke(cli, ["prune"]).exit_code == 1  # no limit, so nothing is removed
    monkeypatch.setenv("POLYGRAPH_KEEP_SESSIONS", "2")
    assert asked("content", "show")["limits"]["sessions"] == 2
    would = asked("prune", "--dry-run")
    assert (would["session"], would["removed"]) == (NAMES[0], False)
    assert asked("prune")["removed"] is True
    with Store() as store:
        assert [row.id for row in store.sessions()] == [NAMES[2], NAMES[1]]
    assert "1 removed" in CliRunner().invoke(cli, ["prune", "--keep-sessions", "1"]).output


# --- what a capture notes --------------------------------------------------------------------------------


def audited(store: Store, level: ContentLevel, by: str, notes: list[str]) -> Audited:
    return Audited(
        store, by, level, scope=("auto",), exports=("otlp http://u:hunter22@h",), note=notes.append
    )


def capture(level: ContentLevel, by: str, notes: list[str]) -> None:
    with (
        CliRunner().isolation(),
        Store() as store,
        cli.make_context("polygraph", ["content", "audit"]),
        audited(store, level, by, notes) as noted,
    ):
        for _ in range(2):
            noted.session(start())
        noted.session_end(SESSION)


def test_a_capture_is_noted_from_its_beginning_to_its_end(home: Path) -> None:
    capture("metadata", "run", [])
    capture("full", "watch", [])
    entries = list(AuditLog(home).entries())
    assert [entry.what for entry in entries] == [
        *("capture_begin", "session_begin", "session_end", "capture_end"),
        *("level_changed", "capture_begin", "session_begin", "session_end", "capture_end"),
    ]
    assert (entries[4].before, entries[4].level) == ("metadata", "full")
    assert entries[1].command == ("agent",) and entries[1].session == SESSION and entries[1].host == "h"
    assert entries[5].exports == ("otlp http://u:[url-password]@h",) and entries[5].scope == ("auto",)
    assert AuditLog(home).verify().ok


@pytest.mark.parametrize("level", ["redacted", "full"])
@pytest.mark.parametrize("by", ["run", "watch"])
def test_content_is_not_captured_where_it_cannot_be_noted(home: Path, level: ContentLevel, by: str) -> None:
    home.mkdir(mode=0o700)
    (home / "audit.jsonl").mkdir()
    with pytest.raises(AuditError) as caught:
        capture(level, by, [])
    assert "--content metadata" in caught.value.advice


@pytest.mark.parametrize("level", ["off", "metadata"])
def test_below_it_the_gap_is_said_and_observation_goes_on(home: Path, level: ContentLevel) -> None:
    home.mkdir(mode=0o700)
    (home / "audit.jsonl").mkdir()
    notes: list[str] = []
    capture(level, "watch", notes)
    assert len(notes) == 4 and all("audit.jsonl" in note for note in notes)


def test_the_limits_are_applied_when_a_capture_begins(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Store() as store:
        fill(store, *NAMES[:2])
    monkeypatch.setenv("POLYGRAPH_KEEP_DAYS", str(1 / DAY))
    capture("metadata", "run", [])
    with Store() as store:
        assert [row.id for row in store.sessions()] == []
    (pruned,) = [entry for entry in AuditLog(home).entries() if entry.what == "pruned"]
    assert (pruned.by, pruned.reason, len(pruned.sessions)) == ("run", "age", 2)
