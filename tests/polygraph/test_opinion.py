"""The second opinion is off until it is asked for twice, and whoever turns it on is noted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from polygraph.audit import AuditError, AuditLog
from polygraph.cli import cli
from polygraph.commands._content import Audited
from polygraph.commands._opinion import ENDPOINT, asking, opinion, state
from polygraph.commands.run import _observe
from polygraph.content import LEVELS, ContentLevel
from polygraph.errors import PolygraphError
from polygraph.log.store import Store

SET = {
    ENDPOINT: "https://models.test/v1",
    "POLYGRAPH_CLAIMS_MODEL": "small",
    "POLYGRAPH_CLAIMS_KEY": "sk-of-the-operator",
}
TOLD = "https://models.test:443/v1 small"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store of this test's own, not yet made, and nothing set."""
    for name in ("POLYGRAPH_CONTENT", *SET):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("POLYGRAPH_HOME", str(tmp_path / "store"))
    return tmp_path / "store"


def turn_on(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SET.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("source", ["default", "environment", "flag"])
@pytest.mark.parametrize("level", LEVELS)
def test_it_is_off_by_default(level: ContentLevel, source: str) -> None:
    held = opinion(level, source, {"POLYGRAPH_CLAIMS_MODEL": "small", "POLYGRAPH_CLAIMS_KEY": "k"})
    assert held == (None, "") and state(held) == "nobody"
    with asking(held) as asker:
        assert asker is None


def test_where_it_is_off_nothing_of_it_is_even_loaded() -> None:
    program = (
        "import sys; import collector.collect, polygraph.commands.run, polygraph.commands.watch as watch;"
        "held = watch.opinion('full', 'flag', {});"
        "watch.asking(held).__enter__();"
        "print('collector.second_opinion' in sys.modules, 'http.client' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["False", "False"]


@pytest.mark.parametrize(
    ("level", "source", "told"),
    [
        ("off", "flag", None),
        ("off", "environment", None),
        ("metadata", "default", None),
        ("metadata", "flag", TOLD),
        ("metadata", "environment", TOLD),
        ("redacted", "flag", TOLD),
        ("full", "environment", TOLD),
    ],
)
def test_it_needs_a_level_that_was_set(level: ContentLevel, source: str, told: str | None) -> None:
    held = opinion(level, source, SET)
    assert held.told == told and bool(held.why) == (told is None)
    with asking(held) as asker:
        assert (asker is not None) == (told is not None)
    assert (told or "nobody (") in state(held) and "sk-of-the-operator" not in state(held)


def test_a_setting_that_cannot_work_is_said_before_anything_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PolygraphError):
        opinion("off", "flag", {ENDPOINT: "https://models.test/v1"})
    monkeypatch.setenv(ENDPOINT, "ftp://models.test")
    for command in (["run", "--", "/bin/true"], ["watch", "--pid", "1"], ["content", "show"]):
        refused = CliRunner().invoke(cli, command).exception
        assert isinstance(refused, PolygraphError) and ENDPOINT in str(refused)


def test_content_show_states_it(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    def shown(*arguments: str) -> tuple[str | None, str]:
        done = CliRunner().invoke(cli, ["content", "show", "--json", *arguments])
        found = json.loads(done.stdout)
        return found["second_opinion"], found["second_opinion_state"]

    assert shown() == (None, "nobody")
    turn_on(monkeypatch)
    assert shown()[0] is None and "only the default" in shown()[1]
    assert shown("--content", "metadata")[0] == TOLD
    assert shown("--content", "off")[0] is None
    printed = CliRunner().invoke(cli, ["content", "show", "--content", "metadata"]).output
    assert f"go to {TOLD}" in printed and "sk-of-the-operator" not in printed
    assert not home.exists()


# --- the audit log -----------------------------------------------------------------------------------------


def test_the_audit_log_says_that_it_was_on_and_where_to(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    turn_on(monkeypatch)
    held = opinion("metadata", "flag", SET)
    with Store() as store:
        for told in (None, held.told):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("polygraph.commands._content.source_of_level", lambda: "flag")
                with Audited(store, "run", "metadata", second_opinion=told):
                    pass
    begun = [entry.second_opinion for entry in AuditLog(home).entries() if entry.what == "capture_begin"]
    assert begun == [None, TOLD]
    assert b"sk-of-the-operator" not in (home / "audit.jsonl").read_bytes()
    lines = CliRunner().invoke(cli, ["content", "audit"]).output.splitlines()
    assert [f"second opinion {TOLD}" in line for line in lines if "capture_begin" in line] == [False, True]


@pytest.mark.parametrize("told", [None, TOLD])
def test_where_words_are_sent_nothing_is_captured_unnoted(
    told: str | None, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    monkeypatch.setattr("polygraph.commands._content.source_of_level", lambda: "flag")
    notes: list[str] = []
    with Store() as store:
        (home / "audit.jsonl").mkdir()  # it cannot be written
        audited = Audited(store, "watch", "metadata", second_opinion=told, note=notes.append)
        if told is None:
            with audited:
                assert notes  # no free text is kept: it goes on, and says so
        else:
            with pytest.raises(AuditError):
                audited.__enter__()


# --- the end of a command ----------------------------------------------------------------------------------


class _Collector:
    """A session whose lineage does not end, and of which something is asked for some rounds."""

    def __init__(self, rounds: int) -> None:
        self.left, self.rounds = rounds, 0

    def ended(self, _session: str) -> bool:
        return False

    def asks(self, _session: str) -> bool:
        return self.left > 0

    def round(self, *_: int) -> list[object]:
        self.left, self.rounds = self.left - 1, self.rounds + 1
        return []

    def finish(self, _session: str) -> list[object]:
        assert not self.asks("s")
        return []


class _Launched:
    def poll(self) -> int:
        return 0

    def wait(self) -> int:
        return 7


class _Recorder:
    def take(self, _events: object) -> None:
        """Nothing is kept."""


def test_the_end_of_a_command_waits_for_what_is_asked_about_it() -> None:
    collector = _Collector(5)
    status = _observe(collector, _Recorder(), _Launched(), "s", 0.0)  # type: ignore[arg-type]
    assert (status, collector.rounds) == (7, 5)
    collector = _Collector(0)
    _observe(collector, _Recorder(), _Launched(), "s", 0.0)  # type: ignore[arg-type]
    assert collector.rounds == 2  # the root has ended, the time is up
