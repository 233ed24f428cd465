"""Loops in conversations as clients send them: bytes through the collector, then the correlator."""

from __future__ import annotations

import pytest

from collector.tls.streams import ConnectionKey
from polygraph.content import FIELDS, KINDS, LEVELS, ContentLevel
from polygraph.events import Coverage, Exec, Exit, Fork, SessionEnd
from polygraph.findings import Finding
from polygraph.reasons import Dimension
from tests.agents.script import Answer, ToolCall
from tests.agents.wire import Wire
from tests.collector.llm.http import PATHS
from tests.collector.said import ROOT, Talk
from tests.collector.test_content_levels import PROSE, SECRETS, WORD, held, strings
from tests.correlator.scenario import found

APIS = [api for api in PATHS if api not in ("ollama.generate", "bedrock.invoke")]
#: what the model wants again and again, and what it says to it
AGAIN = ToolCall("bash", {"command": "cd /repo && pytest -q", "description": "Run the tests"})
RESULT = "1 failed, 2 passed in 0.{}s\n{}"
DIMENSIONS: tuple[Dimension, ...] = ("process", "file", "network", "tls")


def begun(level: ContentLevel, api: Wire = "openai.chat", streamed: bool = False) -> Talk:
    talk = Talk(level, api, streamed=streamed)
    for dimension in DIMENSIONS:
        talk.effect(Coverage, dimension=dimension, state="attached", canary=True)
    return talk


def ends(talk: Talk) -> list[Finding]:
    talk.effect(SessionEnd)
    return found(talk.log())


def failing(talk: Talk, number: int) -> None:
    child = f"{100 + number}:{number}"
    talk.effect(Fork, process=ROOT, child=child)
    talk.effect(Exec, process=child, parent=ROOT, path="/usr/bin/pytest", argv=("pytest", "-q"), cwd="/repo")
    talk.effect(Exit, process=child, status=1)


def loop(talk: Talk, times: int, words: str = "FAILED test_a.py::test_total") -> list[Finding]:
    """The model runs the same tests ``times`` times, and says something else about it each time."""
    for number in range(times):
        talk.works(AGAIN, RESULT.format(number, words), text=f"Attempt {number}: I look at it again.")
        failing(talk, number)
    talk.says(Answer(text="I could not fix it."))
    return ends(talk)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("api", APIS)
def test_a_loop_is_heard_in_every_api(api: Wire, streamed: bool) -> None:
    (finding,) = loop(begun("metadata", api, streamed), 7)
    assert (finding.kind, finding.figures["calls"]) == ("same_call", 7)
    assert "asked 7 times in a row for bash" in finding.summary


@pytest.mark.parametrize("api", APIS)
def test_a_loop_without_tools_is_heard_in_every_api(api: Wire) -> None:
    """The client sends what was said with each request, and the same words of the user."""
    talk = begun("metadata", api)
    for number in range(8):
        talk.says(Answer(text=f"I will now fix the bug in the parser. It took {number} minutes."))
    (finding,) = ends(talk)
    assert (finding.kind, finding.figures["calls"]) == ("same_answer", 7)


@pytest.mark.parametrize("api", APIS)
def test_work_that_goes_on_is_none(api: Wire) -> None:
    talk = begun("metadata", api)
    for number in range(8):
        edit = {"path": "/repo/a.py", "old_string": f"a{number}", "new_string": f"a{number + 1}"}
        talk.works(ToolCall("edit", edit), "ok")
        talk.works(AGAIN, RESULT.format(number, "FAILED test_a.py::test_total"))
        failing(talk, number)
    talk.says(Answer(text="Done."))
    assert ends(talk) == []


def test_a_benchmark_that_asks_one_question_many_times_is_none() -> None:
    talk = begun("metadata")
    for number in range(10):
        talk.says(Answer(text="42"), ConnectionKey(ROOT, 0x8000 + number, 1))
        talk._history.clear()
    assert ends(talk) == []


def test_a_level_changes_no_finding_and_none_holds_more_than_its_table_says() -> None:
    told = []
    for level in LEVELS[1:]:
        (finding,) = loop(begun(level), 6, words=f"{PROSE} {' '.join(SECRETS)}")
        told.append(finding)
        for name, field, value in held(finding):
            first = KINDS[FIELDS[name][field]].free_text
            may = first is not None and LEVELS.index(level) >= LEVELS.index(first)
            assert may or not any(WORD in text for text in strings(value)), (name, field)
            assert not any(secret in text for text in strings(value) for secret in SECRETS.values())
    assert told[0] == told[1] == told[2]
