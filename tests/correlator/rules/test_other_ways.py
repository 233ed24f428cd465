"""Other ways in which a model may have seen a file that nobody opened: tools, git, and work that was given away."""

from __future__ import annotations

from typing import Any

import pytest

from polygraph import events as e
from tests.correlator.scenario import STEP, Scenario, refuted, unverifiable
from tests.correlator.test_delegation import delegates, hands
from tests.correlator.test_reads import B

NOT_READ = refuted("not_read")
FORM_UNKNOWN = unverifiable("form_unknown")
HANDED_OFF = unverifiable("handed_off")


def read(s: Scenario, **when: Any) -> tuple[str, str | None]:
    finds = {"src/a.py": True}
    return s.says(s.claims("file_read", targets=("src/a.py",), finds=finds, **when))


def begun() -> Scenario:
    s = Scenario()
    s.reads(s.agent, B)
    return s


@pytest.mark.parametrize(("before", "word"), [(0, HANDED_OFF), (STEP, NOT_READ)])
def test_work_given_away_in_the_moment_of_the_claim_counts_and_later_work_does_not(
    before: int, word: tuple[str, str]
) -> None:
    s = begun()
    intent = s.asks("make", hand_off="docker")
    assert read(s, ts=intent.ts - before) == word


def test_a_later_call_does_not_hide_an_earlier_one() -> None:
    s = begun()
    s.intent("read", ts=s.now + 99 * STEP)
    s.now += STEP
    s.asks("make", hand_off="docker")
    assert read(s) == HANDED_OFF


@pytest.mark.parametrize(
    ("asked", "observed"),
    [
        (True, "work was given to docker, outside the lineage"),
        (False, "docker run --rm image ls worked outside the lineage: docker"),
    ],
)
def test_a_container_that_was_followed_opens_files_by_paths_of_its_own(asked: bool, observed: str) -> None:
    s = begun()
    argv = ("docker", "run", "--rm", "image", "ls")
    if asked:
        hands(s, argv, "docker", "ls")
    else:  # by a script of which nothing tells that
        client = s.program(None, *argv)
        delegates(s, client, "docker", "ls")
        s.exits(client)
    verdict = s.on(s.claims("file_read", targets=("src/a.py",), finds={"src/a.py": True}))
    assert (verdict.verdict, verdict.reason) == HANDED_OFF
    assert verdict.observed == observed


@pytest.mark.parametrize(
    ("kind", "how", "word"),
    [
        ("other", {"tool": "get_file_contents"}, FORM_UNKNOWN),
        ("other", {"tool": "TodoWrite"}, NOT_READ),
        ("other", {"tool": "x", "executions": (e.Execution(program="ls"),)}, NOT_READ),
        ("other", {"tool": "x", "files": (e.ExpectedFile(path=B, op="read"),)}, NOT_READ),
        ("other", {"tool": "x", "hosts": ("a.test",)}, NOT_READ),
        ("other", {"tool": "x", "command_digest": "k"}, NOT_READ),
        ("fetch", {"tool": "x"}, NOT_READ),
    ],
)
def test_a_tool_of_which_nothing_is_known_may_show_it(
    kind: str, how: dict[str, Any], word: tuple[str, str]
) -> None:
    s = begun()
    s.answers(s.intent(kind, **how))
    assert read(s) == word
