"""collector/llm/turns.py: ids for calls that have none, and results that go to a call only where that is certain."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from collector.llm.model import ModelResponse, ToolCall, ToolResultItem
from collector.llm.turns import History, Result, named_answer

LS, PWD = ToolCall("", "bash", '{"command":"ls"}'), ToolCall("", "bash", '{"command":"pwd"}')
READ = ToolCall("", "read", '{"path":"a"}')
SEARCH = ToolCall("", "web_search", "{}", "builtin")


def result(name: str, text: str, ident: str = "") -> Result:
    return Result(name, ToolResultItem(ident, text))


def answered(history: History, *calls: ToolCall) -> list[str]:
    """The ids that the answer to the conversation so far gives its calls."""
    answer = named_answer(ModelResponse(api="ollama.chat", tool_calls=calls), history.next_turn)
    return [call.id for call in answer.tool_calls]


def talk(*calls: ToolCall, got: tuple[Result, ...]) -> tuple[list[str], History]:
    """One turn and its results: the ids of its calls, and the conversation as the next request has it."""
    history = History()
    history.other("Go.")
    idents = answered(history, *calls)
    history.model(calls)
    history.other("results", got)
    history.close()
    return idents, history


def told(history: History) -> dict[str, str]:
    """The text that each call got, by the id that it is called here."""
    return {item.made_id: item.text for item in history.results if item.made_id}


def test_results_go_to_the_calls_of_their_name_in_order() -> None:
    idents, history = talk(LS, READ, PWD, got=(result("read", "r"), result("bash", "1"), result("bash", "2")))
    assert len(set(idents)) == 3
    assert told(history) == {idents[0]: "1", idents[1]: "r", idents[2]: "2"}
    assert all(item.call_id == item.made_id for item in history.results)


def test_fewer_or_more_results_than_calls_of_a_name_go_to_none() -> None:
    for got in (("1",), ("1", "2", "3"), ()):
        idents, history = talk(
            LS, PWD, READ, got=(*(result("bash", text) for text in got), result("read", "r"))
        )
        assert told(history) == {idents[2]: "r"}
        assert len(history.results) == len(got) + 1


def test_an_id_that_the_client_made_up_pairs_within_the_request() -> None:
    """Gemini CLI gives calls ids of its own, and repeats the calls with them."""
    history = History()
    history.other("Go.")
    idents = answered(history, LS, PWD)
    history.model(msgspec.structs.replace(call, id=f"mine_{n}") for n, call in enumerate((LS, PWD)))
    history.other("results", (result("bash", "2", "mine_1"),))
    history.close()
    assert told(history) == {idents[1]: "2"}
    assert [item.call_id for item in history.results] == ["mine_1"]


def test_an_id_only_in_the_result_is_as_good_as_none() -> None:
    idents, history = talk(LS, got=(result("bash", "1", "mine"),))
    assert told(history) == {idents[0]: "1"}


def test_results_with_and_without_an_id_are_told_apart() -> None:
    known = msgspec.structs.replace(LS, id="call_1")
    idents, history = talk(known, PWD, got=(result("bash", "2"), result("bash", "1", "call_1")))
    assert idents[0] == "call_1"
    assert [(item.call_id, item.text) for item in history.results] == [(idents[1], "2"), ("call_1", "1")]


def test_what_the_provider_runs_gets_no_id_and_no_result() -> None:
    idents, history = talk(SEARCH, LS, got=(result("web_search", "x"), result("bash", "1")))
    assert idents[0] == ""
    assert told(history) == {idents[1]: "1"}
    without, _ = talk(LS, got=())
    assert without == idents[1:], "a client may leave it out of what it repeats"


def test_the_same_command_in_another_turn_or_conversation_is_another_call() -> None:
    idents, history = talk(LS, LS, got=(result("bash", "1"), result("bash", "1")))
    again = answered(history, LS)
    other = History()
    other.other("Go on.")
    assert len({*idents, *again, *answered(other, LS)}) == 4


def test_what_is_called_the_same_is_the_same_in_every_later_request() -> None:
    idents, history = talk(LS, got=(result("bash", "1"),))
    history.model(())
    history.model((PWD,))
    history.other("more", (result("bash", "2"),))
    history.close()
    assert list(told(history)) == [idents[0], *set(told(history)) - {idents[0]}]
    assert history.calls == [LS, PWD]


def test_an_answer_to_a_request_that_was_not_read_keeps_its_calls_as_they_are() -> None:
    answer = ModelResponse(api="ollama.chat", tool_calls=(LS,))
    assert named_answer(answer, "") == answer


@given(
    st.lists(st.sampled_from([LS, PWD, READ, SEARCH]), max_size=5),
    st.lists(st.builds(result, st.sampled_from(["bash", "read", "x", ""]), st.just("t")), max_size=6),
)
def test_every_result_is_told_once_and_no_call_gets_two(calls: list[ToolCall], got: list[Result]) -> None:
    _, history = talk(*calls, got=tuple(got))
    assert len(history.results) == len(got)
    made = [item.made_id for item in history.results if item.made_id]
    assert len(made) == len(set(made))
