"""Every reason is documented and given by a rule."""

from collections.abc import Callable
from pathlib import Path

import pytest

from correlator.outcome import refuted as make_refuted
from correlator.outcome import unverifiable as make_unverifiable
from polygraph import events as e
from polygraph.reasons import reasons
from tests.correlator.scenario import Scenario, expect

PAGE = (Path(__file__).parents[2] / "docs" / "verdicts.md").read_text()
GIVEN = set(reasons())
WRITE = (e.ExpectedFile(path="/repo/src/a.py", op="write", digest="w", size=100),)

Subject = e.Intent | e.Claim


def _nothing(s: Scenario) -> Subject:
    return s.passed()


def _failed(s: Scenario) -> Subject:
    s.does("pytest", status=1)
    return s.passed()


def _masked(s: Scenario) -> Subject:
    intent = s.asks(expect("pytest", masked=True), "tail")
    shell = s.shell(intent)
    s.runs(shell, "pytest", status=1)
    s.runs(shell, "tail")
    s.exits(shell, 0)
    s.answers(intent)
    return s.passed()


def _empty(s: Scenario) -> Subject:
    s.does("pytest", status=5)
    return s.passed()


def _shadowed(s: Scenario) -> Subject:
    s.does("pytest", path="/usr/bin/dash", script="/repo/bin/pytest")
    return s.passed()


def _stale(s: Scenario) -> Subject:
    s.does("pytest", reads=["/repo/a.py"])
    s.writes("/repo/a.py")
    return s.passed()


def _superseded(s: Scenario) -> Subject:
    s.does("pytest")
    s.does("pytest", status=1)
    return s.passed()


def _wrong_target(s: Scenario) -> Subject:
    intent = s.intent("write", files=WRITE)
    s.file(s.agent, "write", "/repo/lib/a.py")
    s.answers(intent)
    s.looks(intent, "/repo/src/a.py", exists=False)
    return intent


def _not_written(s: Scenario) -> Subject:
    return s.claims("file_created", targets=("notes.md",))


def _content_differs(s: Scenario) -> Subject:
    intent = s.intent("write", files=WRITE)
    s.file(s.agent, "write", "/repo/src/a.py")
    s.answers(intent)
    s.looks(intent, "/repo/src/a.py", matches=False, size=9)
    return intent


def _not_read(s: Scenario) -> Subject:
    s.reads(s.agent, "/repo/b.py")
    intent = s.intent("read", files=(e.ExpectedFile(path="/repo/a.py", op="read"),))
    s.answers(intent)
    s.looks(intent, "/repo/a.py")
    return intent


def _not_connected(s: Scenario) -> Subject:
    return s.claims("url_fetched", targets=("https://x.test",))


def _undisclosed(s: Scenario) -> Subject:
    s.file(s.agent, "write", "/repo/b.py")
    return s.claims("nothing_else_changed", kind="absence")


def _form_unknown(s: Scenario) -> Subject:
    s.does("python3", "all.py")
    return s.passed()


def _running(s: Scenario) -> Subject:
    intent = s.asks("pytest", background=True)
    s.program(s.shell(intent), "pytest")
    s.answers(intent)
    return s.passed()


def _handed_off(s: Scenario) -> Subject:
    s.does("docker", "exec", "c", "pytest")
    return s.passed()


def _tls(s: Scenario) -> Subject:
    s.add(e.BlindSpot, dimension="tls", name="no_symbols")
    return s.passed()


def _gap(s: Scenario) -> Subject:
    s.add(e.StreamGap, process=s.agent, host="h", cause="missing")
    return s.passed()


def _lost(s: Scenario) -> Subject:
    s.add(e.Loss, dimension="process", cause="ring", count=1, since=s.now)
    return s.passed()


def _no_probe(s: Scenario) -> Subject:
    s.add(e.Coverage, dimension="process", state="failed")
    return s.passed()


def _late(s: Scenario) -> Subject:
    s.log = s.log[1:]
    return s.passed()


def _ambiguous(s: Scenario) -> Subject:
    s.does("pytest")
    return s.claims("tests_failed", "failed")


def _subset(s: Scenario) -> Subject:
    s.does("pytest", status=1)
    s.does("pytest", "--lf")
    return s.passed(tells=("whole",))


def _not_persisted(s: Scenario) -> Subject:
    s.file(s.agent, "create", "/repo/notes.md")
    s.add(e.File, process=s.agent, op="unlink", path="/repo/notes.md")
    return s.claims("file_created", targets=("notes.md",), finds={"notes.md": False})


def _not_transferred(s: Scenario) -> Subject:
    s.does("git", "push", "--dry-run")
    return s.claims("push")


def _tampered(s: Scenario) -> Subject:
    s.does("pytest", status=1)
    s.add(e.File, process=s.agent, op="unlink", path="/repo/test_a.py")
    s.does("pytest")
    return s.passed()


def _guessed(s: Scenario) -> Subject:
    s.does("pytest")
    return s.claims("tests_passed", "ok", extracted_by="model")


EXAMPLES: dict[str, Callable[[Scenario], Subject]] = {
    "no_execution": _nothing,
    "failed": _failed,
    "masked_exit": _masked,
    "empty_run": _empty,
    "shadowed_tool": _shadowed,
    "subset": _subset,
    "stale": _stale,
    "superseded_by_failure": _superseded,
    "wrong_target": _wrong_target,
    "tampered_test": _tampered,
    "not_written": _not_written,
    "content_differs": _content_differs,
    "not_persisted": _not_persisted,
    "not_transferred": _not_transferred,
    "not_read": _not_read,
    "not_connected": _not_connected,
    "undisclosed_effect": _undisclosed,
    "form_unknown": _form_unknown,
    "still_running": _running,
    "handed_off": _handed_off,
    "tls_not_seen": _tls,
    "stream_incomplete": _gap,
    "records_lost": _lost,
    "probe_missing": _no_probe,
    "late_enrolment": _late,
    "ambiguous": _ambiguous,
    "guessed": _guessed,
}


def test_there_is_an_example_of_each_reason() -> None:
    assert set(EXAMPLES) == GIVEN


@pytest.mark.parametrize("reason", sorted(GIVEN))
def test_a_rule_gives_it(reason: str) -> None:
    s = Scenario()
    subject = EXAMPLES[reason](s)
    assert s.says(subject) == (reasons()[reason].verdict, reason)


@pytest.mark.parametrize("reason", sorted(GIVEN))
def test_it_is_documented_in_its_own_section(reason: str) -> None:
    section = PAGE.split(f"\n### {reason}\n", 1)
    assert len(section) == 2 and len(section[1].split("\n#", 1)[0].strip()) > 40


def test_a_documented_reason_is_in_the_list_and_given() -> None:
    documented = {line[4:] for line in PAGE.splitlines() if line.startswith("### ")}
    assert documented == GIVEN


@pytest.mark.parametrize("make", [make_refuted, make_unverifiable])
def test_a_reason_that_is_not_in_the_list_or_of_the_other_word_cannot_be_given(
    make: Callable[..., object],
) -> None:
    for reason in ("bored", "ambiguous" if make is make_refuted else "stale"):
        with pytest.raises(ValueError, match=reason):
            make(reason, "")


def test_each_topic_of_a_claim_has_its_row() -> None:
    rows = PAGE.split("## Claims, by topic", 1)[1].split("\n## ", 1)[0]
    first = [line.split("|")[1] for line in rows.splitlines() if line.startswith("| `")]
    assert sorted(topic.strip(" `") for cell in first for topic in cell.split(",")) == sorted(
        e.ClaimTopic.__args__
    )
