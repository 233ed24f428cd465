"""Tries of a call are one call; what broke off claims nothing; a chain that was seen is no earlier talk."""

from __future__ import annotations

import json
from typing import Any, TypeVar

import pytest

from collector.llm import attempts as attempts_module
from collector.tls.streams import ConnectionKey
from polygraph.events import AnyEvent, BlindSpot, Claim, Intent, LlmCall, StreamGap, ToolResult
from tests.agents.script import Answer, ToolCall
from tests.agents.wire import Wire, body
from tests.collector.llm.http import PATHS, Json, answer, ask, question, stream, streamed_answer
from tests.collector.llm.test_responses_socket import Socket
from tests.collector.said import ROOT, Talk

APIS = list(PATHS)
TESTS = ToolCall("bash", {"command": "cd /repo && pytest -q"})
PASSED = Answer(text="All 3 tests passed.")
T = TypeVar("T")


def of(kind: type[T], events: list[AnyEvent]) -> list[T]:
    return [event for event in events if isinstance(event, kind)]


def key(number: int) -> ConnectionKey:
    return ConnectionKey(ROOT, 0x7F00 + number, 1)


@pytest.mark.parametrize("finish", ["stop", "length", "content_filter", "max_output_tokens"])
def test_what_a_bound_or_a_filter_cut_off_claims_nothing_and_what_it_asked_for_may_not_be_done(
    finish: str,
) -> None:
    patch = "*** Begin Patch\n*** Update File: a.py\n@@\n-a\n+b"
    message = {
        "role": "assistant",
        "content": "All tests passed",
        "tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "apply_patch", "input": patch}}],
    }
    talk = Talk()
    talk.bytes("sent", ask(PATHS["openai.chat"], question("openai.chat")))
    choice = {"index": 0, "finish_reason": finish, "message": message}
    talk.bytes("received", answer({"id": "x", "choices": [choice]}))
    events = talk.log()
    assert (of(LlmCall, events)[0].complete, len(of(Intent, events))) == (True, 1)
    told = (len(of(Claim, events)), len(of(StreamGap, events)))
    assert told == ((1, 0) if finish == "stop" else (0, 1))


@pytest.mark.parametrize("answered", [False, True])
def test_an_id_that_two_calls_have_gives_no_result_to_the_wrong_one(answered: bool) -> None:
    """Of two agents at once, and of one whose server counts from 0 again."""

    def made(command: str) -> Json:
        function = {"name": "bash", "arguments": json.dumps({"command": command})}
        return {
            "role": "assistant",
            "tool_calls": [{"id": "bash:0", "type": "function", "function": function}],
        }

    talk = Talk()
    for number, (command, told) in enumerate(
        (("pytest -q", "3 passed in 1s"), ("pytest b", "1 failed in 1s"))
    ):
        opening = question("openai.chat")
        talk.bytes("sent", ask(PATHS["openai.chat"], opening), key(number))
        choice = {"index": 0, "finish_reason": "tool_calls", "message": made(command)}
        talk.bytes("received", answer({"id": f"{number}", "choices": [choice]}), key(number))
        if number or answered:
            said = [made(command), {"role": "tool", "tool_call_id": "bash:0", "content": told}]
            asked = opening | {"messages": opening["messages"] + said}
            talk.bytes("sent", ask(PATHS["openai.chat"], asked), key(number))
            talk.bytes("received", answer({"error": {}}, 400), key(number))
    events = talk.log()
    first, second = of(Intent, events)
    assert (first.call_id, second.call_id != "bash:0") == ("bash:0", True)
    assert [result.intent for result in of(ToolResult, events)] == [first.intent] * answered
    assert [claim.outcome for claim in of(Claim, events)] == ["ok"] * answered


def test_the_same_call_in_other_words_is_the_same() -> None:
    """A gateway of the session writes arguments anew: what goes in and what comes out are one call."""
    talk = Talk()
    for number, arguments in enumerate(('{"command":"ls","timeout":3}', '{"timeout": 3, "command": "ls"}')):
        talk.bytes("sent", ask(PATHS["openai.chat"], question("openai.chat")), key(number))
        call = {"id": "c", "type": "function", "function": {"name": "bash", "arguments": arguments}}
        choice = {"index": 0, "finish_reason": "tool_calls", "message": {"tool_calls": [call]}}
        talk.bytes("received", answer({"id": f"{number}", "choices": [choice]}), key(number))
    talk.bytes(
        "sent",
        ask(
            PATHS["openai.chat"],
            {"model": "m-1", "messages": [{"role": "tool", "tool_call_id": "c", "content": "a.py"}]},
        ),
    )
    events = talk.log()
    assert (len(of(Intent, events)), len(of(ToolResult, events))) == (1, 1)


@pytest.mark.parametrize("depth", [500, 990, 1020, 1030])
def test_arguments_deeper_than_an_interpreter_goes_end_nothing(depth: int) -> None:
    talk = Talk()
    talk.bytes("sent", ask(PATHS["openai.chat"], question("openai.chat")))
    function = {"name": "bash", "arguments": "[" * depth + "]" * depth}
    call = {"id": "c", "type": "function", "function": function}
    choice = {"index": 0, "finish_reason": "tool_calls", "message": {"tool_calls": [call]}}
    talk.bytes("received", answer({"id": "x", "choices": [choice]}))
    assert [intent.call_id for intent in of(Intent, talk.log())] == ["c"]


class Client:
    """Asks the same thing as often as it likes, each time on the connection that it likes."""

    def __init__(self, api: Wire = "openai.chat", streamed: bool = False) -> None:
        self.talk = Talk(api=api)
        self.api: Wire = api
        self.streamed = streamed

    def asks(self, connection: int = 0, *headers: str, **fields: Any) -> None:
        asked: Json = question(self.api, self.streamed) | fields
        self.talk.bytes("sent", ask(PATHS[self.api], asked, *headers), key(connection))

    def gets(self, said: Answer = PASSED, connection: int = 0, cut: int = 0) -> None:
        """The answer, without its last ``cut`` bytes and then the connection's end."""
        if self.streamed:
            raw = stream(streamed_answer(self.api, said), api=self.api)
        else:
            raw = answer(body(self.api, said, question(self.api), "1"))
        self.talk.bytes("received", raw[: len(raw) - cut], key(connection))
        if cut:
            self.closes(connection)

    def refused(self, status: int = 429, connection: int = 0) -> None:
        self.talk.bytes("received", answer({"error": {"message": "slow down"}}, status), key(connection))

    def closes(self, connection: int = 0) -> None:
        self.talk.ts += 1
        self.talk.pipeline.closed(key(connection), self.talk.ts)


def tries(events: list[AnyEvent]) -> list[tuple[int, str]]:
    """Number and fate of each try, all of the same call."""
    calls = of(LlmCall, events)
    assert len({call.call for call in calls}) == 1
    return [(call.attempt, call.fate) for call in calls]


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("api", APIS)
def test_a_request_that_is_sent_again_after_it_failed_is_the_same_call(api: Wire, streamed: bool) -> None:
    client = Client(api, streamed)
    for number, status in enumerate((429, 500, 529)):
        client.asks(0, f"x-stainless-retry-count: {number}")
        client.refused(status)
    client.asks(0, "x-stainless-retry-count: 3")
    client.gets()
    events = client.talk.log()
    assert tries(events) == [(1, "refused"), (2, "refused"), (3, "refused"), (4, "answered")]
    assert [call.input_tokens for call in of(LlmCall, events)][:3] == [0, 0, 0]
    assert of(StreamGap, events) == []


@pytest.mark.parametrize("api", APIS)
def test_a_stream_that_broke_off_and_is_asked_for_again_is_the_same_call(api: Wire) -> None:
    client = Client(api, streamed=True)
    client.asks()
    client.gets(cut=200)
    client.asks(1)
    client.gets(connection=1)
    events = client.talk.log()
    assert tries(events) == [(1, "interrupted"), (2, "answered")]
    assert [call.complete for call in of(LlmCall, events)] == [False, True]


@pytest.mark.parametrize("close", [True, False])
def test_an_answer_under_way_at_the_end_of_a_session_is_not_said_to_have_broken_off(close: bool) -> None:
    client = Client(streamed=True)
    client.asks()
    raw = stream(streamed_answer(client.api, PASSED))
    client.talk.bytes("received", raw[:-200], key(0))
    if close:
        client.closes()
    (call,) = of(LlmCall, client.talk.log())
    assert (call.fate, call.complete) == ("interrupted" if close else "answered", False)


def test_a_request_without_an_answer_is_tried_again_on_another_connection() -> None:
    client = Client()
    client.asks()
    client.closes()
    client.asks(1)
    client.gets(connection=1)
    assert tries(client.talk.log()) == [(1, "unanswered"), (2, "answered")]


def test_a_client_that_says_so_asks_again_before_the_end_of_the_first_was_seen() -> None:
    client = Client()
    client.asks()
    client.asks(1, "X-Stainless-Retry-Count: 1")
    client.gets(connection=1)
    client.closes()
    client.asks(2)
    client.gets(connection=2)
    calls = of(LlmCall, client.talk.log())
    assert [(call.attempt, call.fate) for call in calls] == [
        (2, "answered"),
        (1, "unanswered"),
        (1, "answered"),
    ]
    assert (
        calls[0].call == calls[1].call != calls[2].call
    )  # the first try was given up: nothing is its next one


def test_the_same_question_at_the_same_time_is_as_many_calls() -> None:
    client = Client()
    for connection in range(3):
        client.asks(connection)
    client.refused(connection=0)
    client.refused(connection=1)
    client.gets(connection=2)
    client.asks(0)
    client.gets(connection=0)
    client.asks(1)
    client.gets(connection=1)
    calls = of(LlmCall, client.talk.log())
    assert [(call.attempt, call.fate) for call in calls] == [
        *((1, "refused"), (1, "refused"), (1, "answered"), (2, "answered"), (2, "answered")),
    ]
    assert len({call.call for call in calls}) == 3


@pytest.mark.parametrize("change", [{"model": "m-2"}, {"temperature": 1}])
def test_another_question_is_another_call(change: Json) -> None:
    client = Client()
    client.asks()
    client.refused()
    client.asks(0, **change)
    client.gets()
    calls = of(LlmCall, client.talk.log())
    assert [call.attempt for call in calls] == [1, 1] and calls[0].call != calls[1].call


def test_the_same_question_after_an_answer_is_another_call() -> None:
    client = Client()
    for _ in range(2):
        client.asks()
        client.gets()
    calls = of(LlmCall, client.talk.log())
    assert [call.attempt for call in calls] == [1, 1] and calls[0].call != calls[1].call


def test_what_is_remembered_of_tries_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts_module, "MAX_REMEMBERED", 3)
    monkeypatch.setattr(attempts_module, "MAX_EQUAL", 2)
    client = Client()
    for number in range(10):
        client.asks(0, model=f"m-{number}")
        client.refused()
    for connection in range(5):
        client.asks(connection)
    for connection in range(5):
        client.refused(connection=connection)
    memory = client.talk.pipeline._attempts
    assert len(memory._failed) == 3 and [len(failed) for failed in memory._failed.values()] == [1, 1, 2]
    assert memory._running == {}


# --- what is said in a try -------------------------------------------------------------------------------


@pytest.mark.parametrize("api", APIS)
def test_a_sentence_that_broke_off_claims_nothing(api: Wire) -> None:
    said = Answer(text="All 3 tests passed. " + "Then I looked at the rest of it. " * 30)
    for cut, claims in ((300, 0), (0, 1)):
        client = Client(api, streamed=True)
        client.asks()
        client.gets(said, cut=cut)
        events = client.talk.log()
        assert len(of(Claim, events)) == claims
        assert len(of(StreamGap, events)) == (1 if cut else 0)


def test_a_claim_of_a_later_try_is_told_once_with_the_call() -> None:
    client = Client(streamed=True)
    client.asks()
    client.gets(cut=200)
    client.asks()
    client.gets()
    events = client.talk.log()
    (claim,) = of(Claim, events)
    assert {claim.call} == {call.call for call in of(LlmCall, events)}


def test_tool_calls_without_ids_are_told_apart_between_tries() -> None:
    api: Wire = "anthropic.messages"
    client = Client(api, streamed=True)
    told = streamed_answer(api, Answer(calls=(TESTS,))).replace(b"toolu_1_0", b"")
    for part in (told.rpartition(b"event: message_delta")[0], told):
        client.asks()
        client.talk.bytes("received", stream(part), key(0))
    events = client.talk.log()
    assert tries(events) == [(1, "interrupted"), (2, "answered")]
    assert len({intent.call_id for intent in of(Intent, events)}) == len(of(Intent, events)) == 2


def test_a_tool_call_before_an_error_is_told_and_its_absence_is_no_evidence() -> None:
    api: Wire = "anthropic.messages"
    client = Client(api, streamed=True)
    told = streamed_answer(api, Answer(calls=(TESTS,))).rpartition(b"event: message_delta")[0]
    told += b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error"}}\n\n'
    client.asks()
    client.talk.bytes("received", stream(told), key(0))
    events = client.talk.log()
    (call,) = of(LlmCall, events)
    assert (call.fate, call.complete) == ("refused", True)
    assert len(of(Intent, events)) == len(of(StreamGap, events)) == 1


@pytest.mark.parametrize("streamed", [False, True])
def test_the_results_that_a_tried_request_carries_are_told_once_with_the_call(streamed: bool) -> None:
    client = Client("openai.chat", streamed)
    client.asks()
    client.gets(Answer(calls=(TESTS,)))
    carried = [
        {"role": "user", "content": "Run the tests."},
        {"role": "tool", "tool_call_id": "call_1_0", "content": "3 passed in 0.12s"},
    ]
    for _ in range(2):
        client.asks(messages=carried)
        client.refused()
    client.asks(messages=carried)
    client.gets()
    events = client.talk.log()
    (result,) = of(ToolResult, events)
    calls = of(LlmCall, events)[1:]
    assert [call.attempt for call in calls] == [1, 2, 3] and {call.call for call in calls} == {result.call}


# --- over a WebSocket --------------------------------------------------------------------------------------


def over(socket: Socket, talk: Talk | None = None, number: int = 0) -> Talk:
    talk = talk or Talk(api="openai.responses")
    for cut in socket.cuts:
        talk.bytes(cut.direction, cut.data, key(number))
    return talk


def test_a_chain_that_was_seen_is_no_earlier_conversation() -> None:
    socket = Socket()
    socket.create(generate=False)
    warm = {"id": "resp_w", "object": "response", "status": "completed", "output": []}
    socket.tells({"type": "response.completed", "response": warm})
    socket.create(previous_response_id="resp_w")
    ident = socket.answer(Answer(text="Hello."))
    socket.create(previous_response_id=ident)
    socket.answer(PASSED)
    events = over(socket).log()
    assert of(BlindSpot, events) == [] and of(StreamGap, events) == []
    assert [(call.transport, call.fate, call.attempt) for call in of(LlmCall, events)] == [
        ("websocket", "answered", 1)
    ] * 2
    assert len(of(Claim, events)) == 1


def test_a_chain_that_was_not_seen_is_an_earlier_conversation() -> None:
    socket = Socket()
    socket.create(previous_response_id="resp_of_yesterday")
    socket.answer(PASSED)
    assert [spot.name for spot in of(BlindSpot, over(socket).log())] == ["earlier_conversation"]


def test_a_tool_call_and_its_result_join_over_a_socket() -> None:
    socket = Socket()
    socket.create()
    ident = socket.answer(Answer(calls=(TESTS,)))
    result = {"type": "function_call_output", "call_id": "call_1_0", "output": "3 passed in 0.12s"}
    socket.create(previous_response_id=ident, input=[result])
    socket.answer(PASSED)
    events = over(socket).log()
    (intent,), (told,) = of(Intent, events), of(ToolResult, events)
    assert told.intent == intent.intent and told.call == of(LlmCall, events)[1].call
    assert {claim.source for claim in of(Claim, events)} == {"tool_result", "model"}


def test_a_request_is_tried_again_on_another_socket() -> None:
    first, second = Socket(), Socket()
    first.create(client_metadata={"x-codex-ws-stream-request-start-ms": "1"})
    first.answer(events_of=slice(0, 4))
    second.create(client_metadata={"x-codex-ws-stream-request-start-ms": "2"})
    second.answer(PASSED)
    talk = over(first)
    talk.pipeline.closed(key(0), talk.ts)
    events = over(second, talk, 1).log()
    assert tries(events) == [(1, "interrupted"), (2, "answered")]


def test_an_answer_that_is_fetched_later_is_the_same_call() -> None:
    client = Client("openai.responses")
    client.asks(background=True)
    queued = {"id": "resp_1", "object": "response", "status": "queued", "output": []}
    client.talk.bytes("received", answer(queued), key(0))
    client.talk.bytes("sent", b"GET /v1/responses/resp_1 HTTP/1.1\r\nHost: h\r\n\r\n", key(0))
    client.gets()
    events = client.talk.log()
    assert tries(events) == [(1, "unanswered"), (2, "answered")]
    assert of(StreamGap, events) == [] and len(of(Claim, events)) == 1


def test_a_call_that_is_made_again_under_the_same_id_is_another_one() -> None:
    """Of a server that counts from 0 in each answer: the request has the result of the first already."""
    call = {
        "id": "bash:0",
        "type": "function",
        "function": {"name": "bash", "arguments": '{"command":"pytest"}'},
    }
    made = {"role": "assistant", "tool_calls": [call]}
    result = {"role": "tool", "tool_call_id": "bash:0", "content": "1 failed in 1s"}
    opening = question("openai.chat")
    talk = Talk()
    for number, said in enumerate(([], [made, result])):
        asked = opening | {"messages": opening["messages"] + said}
        talk.bytes("sent", ask(PATHS["openai.chat"], asked), key(number))
        choice = {"index": 0, "finish_reason": "tool_calls", "message": made}
        talk.bytes("received", answer({"id": f"{number}", "choices": [choice]}), key(number))
    events = talk.log()
    first, second = of(Intent, events)
    assert (first.call_id, second.call_id != "bash:0", first.digest) == ("bash:0", True, second.digest)
    assert [told.intent for told in of(ToolResult, events)] == [first.intent]
