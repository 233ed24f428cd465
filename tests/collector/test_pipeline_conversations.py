"""Which call goes on from which, and what is told of what each one adds."""

from __future__ import annotations

import pytest

from collector import conversations as conversations_module
from collector.llm.model import ModelRequest
from collector.llm.seen import RequestSeen
from collector.tls.streams import ConnectionKey
from polygraph.content import LEVELS, ContentLevel
from polygraph.events import AnyEvent, Intent, LlmCall
from tests.agents.script import Answer, ToolCall
from tests.agents.wire import Wire
from tests.collector.llm.http import PATHS
from tests.collector.said import ROOT, Talk

#: APIs whose requests carry the conversation, and whose tool calls Talk can write
APIS = [api for api in PATHS if api not in ("ollama.generate", "bedrock.invoke")]
LOOK = ToolCall("bash", {"command": "ls"})


def calls(events: list[AnyEvent]) -> list[LlmCall]:
    return [event for event in events if isinstance(event, LlmCall)]


def chain(told: list[LlmCall]) -> list[int | None]:
    """For each call the position of the one that it follows."""
    where: dict[str, int | None] = {call.call: position for position, call in enumerate(told)}
    return [where.get(call.follows) for call in told]


def other(number: int) -> ConnectionKey:
    return ConnectionKey(ROOT, 0x7F00 + number, 1)


@pytest.mark.parametrize("api", APIS)
def test_a_result_goes_on_from_the_call_that_asked_for_it(api: Wire) -> None:
    talk = Talk(api=api)
    for result in ("a.py", "a.py", "a.py b.py"):
        talk.works(LOOK, result)
    talk.says(Answer(text="Done."))
    told = calls(talk.log())
    assert chain(told) == [None, 0, 1, 2]
    first, second, third, fourth = told
    assert second.new_signature == third.new_signature != fourth.new_signature
    assert (second.new_bytes, fourth.new_bytes) == (len("a.py"), len("a.py b.py"))
    assert first.new_bytes > 0 and first.new_signature not in ("", second.new_signature)


@pytest.mark.parametrize("api", APIS)
def test_without_tools_a_longer_conversation_goes_on_from_a_shorter_one(api: Wire) -> None:
    talk = Talk(api=api)
    for _ in range(3):
        talk.says(Answer(text="I am thinking about it."))
    told = calls(talk.log())
    assert chain(told) == [None, 0, 1]
    assert len({call.answer_signature for call in told}) == 1


def test_questions_of_their_own_go_on_from_nothing() -> None:
    """However alike they are: a benchmark asks the same one many times."""
    talk = Talk()
    for number in range(4):
        Talk.says(talk, Answer(text="42"), other(number))
        talk._history.clear()
    assert chain(calls(talk.log())) == [None] * 4


def test_the_same_request_again_after_a_failure_adds_the_same() -> None:
    talk = Talk()
    (ident,) = talk.says(Answer(calls=(LOOK,)))
    talk.results([(ident, "a.py")])
    talk.says(Answer(), status=429)
    talk.says(Answer(text="There is one file."))
    first, refused, answered = calls(talk.log())
    assert refused.call == answered.call and refused.fate == "refused"
    assert refused.follows == answered.follows == first.call
    assert refused.new_signature == answered.new_signature != ""


def test_of_two_that_go_on_from_one_none_goes_on_from_the_other() -> None:
    talk = Talk()
    (ident,) = talk.says(Answer(calls=(LOOK,)))
    talk.results([(ident, "a.py")])
    history = list(talk._history)
    for number in range(3):
        talk.says(Answer(text=f"Branch {number}."), other(number))
        talk._history[:] = history
    assert chain(calls(talk.log())) == [None, 0, 0, 0]


@pytest.mark.parametrize("level", LEVELS[1:])
def test_signatures_are_the_same_at_every_level(level: ContentLevel) -> None:
    talk = Talk(level)
    talk.works(LOOK, "a.py", text="I look.")
    talk.says(Answer(text="Done."))
    base = Talk("metadata")
    base.works(LOOK, "a.py", text="I look.")
    base.says(Answer(text="Done."))

    def signed(talk: Talk) -> list[str]:
        return [
            signature
            for event in talk.log()
            for signature in (
                (event.new_signature, event.answer_signature)
                if isinstance(event, LlmCall)
                else (event.signature,)
                if isinstance(event, Intent)
                else ()
            )
        ]

    told = signed(talk)
    assert told == signed(base) and len(told) == 5


def test_equal_arguments_have_equal_signatures_and_others_have_not() -> None:
    talk = Talk()
    for command in ("ls", "ls", "pwd"):
        talk.works(ToolCall("bash", {"command": command}), "ok")
    first, second, third = (event.signature for event in talk.log() if isinstance(event, Intent))
    assert first == second != third


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversations_module, "MAX_TOOL_CALLS", 1)
    memory = conversations_module.Conversations()
    for number in range(3):
        memory.tool_call(f"t{number}", f"c{number}")
    seen = RequestSeen(
        index=0,
        ts=1,
        api="openai.chat",
        host="h",
        request=ModelRequest(api="openai.chat"),
        request_bytes=1,
        traceparent=None,
        digest=b"",
    )
    assert memory.request("c3", seen, ROOT, ["t1"], ["a"]).follows == ""
    assert memory.request("c4", seen, ROOT, ["t2"], ["a"]).follows == "c2"
