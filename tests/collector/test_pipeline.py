"""collector/pipeline.py: the log is a function of what came in, in order, bounded, and silent about what is private."""

from __future__ import annotations

import json
import re
from typing import Any, TypeVar

import msgspec
import pytest

from collector import pipeline as pipeline_module
from collector.file_states import FileLook
from collector.free_text import untold_argv
from collector.pipeline import SessionPipeline
from collector.redact import Credential, credentials, redact
from collector.tls.streams import ConnectionKey
from polygraph.content import ContentLevel
from polygraph.events import (
    AnyEvent,
    BlindSpot,
    Claim,
    Event,
    Exec,
    ExecFailed,
    File,
    FileState,
    Fork,
    Intent,
    LlmCall,
    Name,
    Net,
    StreamGap,
    Tick,
    ToolResult,
)
from tests.agents.script import Answer, ToolCall
from tests.agents.wire import Wire
from tests.collector.llm.http import PATHS, answer, ask, question
from tests.collector.said import HOST_KEY, KEY, ROOT, Talk, encoded, start

APIS = list(PATHS)
LEVELS: tuple[ContentLevel, ...] = ("off", "metadata", "redacted", "full")
TESTS = ToolCall("bash", {"command": "cd /repo && pytest -q"})
WRITE = ToolCall("write_file", {"path": "/repo/a.py", "content": "x = 1\n"})
A_PY = {"/repo/a.py": FileLook(True, 6, 5, 2, 3, b"x = 1")}
CHILD = "11:2"


T = TypeVar("T")


def of(kind: type[T], events: list[AnyEvent]) -> list[T]:
    return [event for event in events if isinstance(event, kind)]


def session(
    content: ContentLevel = "metadata", api: Wire = "openai.chat", streamed: bool = False
) -> list[AnyEvent]:
    """A session that has a bit of everything."""
    talk = Talk(content, api, A_PY, streamed)
    talk.says(Answer(text="Let me look."), status=529)
    talk.works(TESTS, "3 passed in 0.12s", "I'll run the tests.")
    talk.effect(Exec, process=CHILD, parent=ROOT, path="/bin/sh", argv=("sh", "-c", "pytest -q"), cwd="/repo")
    first = talk.tick()
    talk.works(WRITE, "ok", "Now the file.")
    talk.effect(File, process=CHILD, op="write", path="/repo/a.py", dev=2, ino=3)
    talk.says(Answer(text="All 3 tests passed and I wrote a.py."))
    return first + talk.log()


# --- order -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("api", APIS)
def test_what_is_said_stands_between_the_effects_by_its_time(api: Wire, streamed: bool) -> None:
    events = session("metadata", api, streamed)
    assert [type(event).__name__ for event in events] == [
        *("SessionStart", "LlmCall", "LlmCall", "Intent", "Exec", "Tick"),
        *("ToolResult", "Claim", "LlmCall", "Intent", "File", "ToolResult", "FileState", "LlmCall"),
        *("Claim", "FileState", "Claim", "Tick"),
    ]
    assert [event.seq for event in events] == list(range(len(events)))
    assert [event.ts for event in events] == sorted(event.ts for event in events)
    first, second = of(Intent, events)
    result, other = of(ToolResult, events)
    assert (result.intent, other.intent) == (first.intent, second.intent)
    assert first.ts < result.ts <= second.ts < other.ts
    state, again = of(FileState, events)
    assert (state.intent, state.path, state.matches, state.ino) == (second.intent, "/repo/a.py", True, 3)
    assert (again.intent, again.path, again.matches) == (of(Claim, events)[1].claim, "/repo/a.py", None)


def test_a_round_in_which_nothing_happened_has_no_tick() -> None:
    talk = Talk()
    assert [type(event).__name__ for event in talk.tick()] == ["SessionStart", "Tick"]
    assert talk.tick() == []
    talk.effect(Fork, process=ROOT, child=CHILD)
    fork, tick = talk.tick()
    assert isinstance(fork, Fork) and isinstance(tick, Tick) and tick.ts >= fork.ts


def test_records_of_one_round_are_sorted_and_equal_times_stay_as_they_came() -> None:
    pipeline = SessionPipeline(start(), b"k", lambda _process, _path: None)
    for ts, child in ((30, "a:1"), (20, "b:1"), (30, "c:1"), (20, "d:1")):
        pipeline.effect(Fork(session="s1", ts=ts, process=ROOT, child=child))
    events = pipeline.tick(25)
    assert [event.child for event in of(Fork, events)] == ["b:1", "d:1", "a:1", "c:1"]
    assert events[-1].ts == 25  # what is from 25 to 30 may still come


# --- the same input, the same log ------------------------------------------------------------------------


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("api", APIS)
def test_the_same_input_gives_the_same_bytes(api: Wire, level: ContentLevel) -> None:
    assert encoded(session(level, api, True)) == encoded(session(level, api, True))


def test_ids_differ_between_sessions_and_connections() -> None:
    here, there = Talk(), Talk(session="s2")
    for talk in (here, there):
        talk.works(TESTS, "3 passed in 0.12s")
        talk.says(Answer(text="All 3 tests passed."))
    other = ConnectionKey(ROOT, 0x7F00, 2)
    here.says(Answer(text="All 3 tests passed."), other)
    ids = [
        ident
        for events in (here.log(), there.log())
        for event in events
        for ident in (getattr(event, "claim", None), event.call if isinstance(event, LlmCall) else None)
        if ident is not None
    ]
    assert len(ids) == len(set(ids)) == 10


def test_digests_need_the_key_of_the_host() -> None:
    def digests(key: bytes) -> set[str]:
        pipeline = SessionPipeline(start(), key, lambda _process, _path: None)
        pipeline.effect(
            Exec(
                session="s1",
                ts=5,
                process=ROOT,
                parent="1:1",
                path="/bin/sh",
                argv=("sh", "-c", "x"),
                cwd="/",
            )
        )
        return {event.command_digest or "" for event in of(Exec, pipeline.tick(9))}

    assert digests(b"one") == digests(b"one") != digests(b"two")


# --- nothing is said twice, and nothing is lost ----------------------------------------------------------


@pytest.mark.parametrize("api", APIS)
def test_a_history_that_comes_with_each_request_is_told_once(api: Wire) -> None:
    talk = Talk(api=api)
    for _ in range(4):
        talk.works(TESTS, "3 passed in 0.12s")
    talk.says(Answer(text="Done."))
    events = talk.log()
    assert len(of(LlmCall, events)) == 5
    assert len(of(Intent, events)) == len(of(ToolResult, events)) == len(of(Claim, events)) == 4


@pytest.mark.parametrize("api", APIS)
def test_parallel_calls_each_have_their_own_result(api: Wire) -> None:
    talk = Talk(api=api)
    calls = tuple(ToolCall("bash", {"command": f"pytest -q t{n}"}) for n in range(3))
    idents = talk.says(Answer(calls=calls))
    talk.results([(idents[2], "1 failed in 0.1s"), (idents[0], "7 passed in 0.1s")])
    talk.says(Answer(text="One is missing."))
    talk.results([(idents[1], "8 passed in 0.1s")])
    talk.says(Answer(text="Done."))
    events = talk.log()
    intents = {intent.intent: intent.call_id for intent in of(Intent, events)}
    told = {intents[claim.intent]: claim.counts for claim in of(Claim, events) if claim.intent}
    assert told == {idents[0]: {"passed": 7}, idents[1]: {"passed": 8}, idents[2]: {"failed": 1}}


def test_a_retry_after_an_error_says_nothing_twice() -> None:
    talk = Talk()
    ident = talk.says(Answer(calls=(TESTS,)))[0]
    talk.results([(ident, "3 passed in 0.12s")])
    for status in (429, 500, 529):
        talk.says(Answer(), status=status)
    talk.says(Answer(text="Done."))
    events = talk.log()
    assert [call.status for call in of(LlmCall, events)] == [200, 429, 500, 529, 200]
    assert all(call.complete for call in of(LlmCall, events)) and of(StreamGap, events) == []
    assert len(of(Intent, events)) == len(of(ToolResult, events)) == len(of(Claim, events)) == 1


def test_results_of_before_the_session_open_nothing() -> None:
    talk = Talk()
    talk.results([("call_of_yesterday", "3 passed in 0.12s")])
    talk.says(Answer(text="Hello."))
    events = talk.log()
    assert of(ToolResult, events) == of(Claim, events) == of(Intent, events) == []


def test_what_the_provider_runs_itself_expects_nothing_of_this_host() -> None:
    blocks = [
        {
            "type": "server_tool_use",
            "id": "srvtoolu_1",
            "name": "bash_code_execution",
            "input": {"command": "pytest"},
        },
        {"type": "mcp_tool_use", "id": "mcptoolu_1", "name": "bash", "input": {"command": "pytest"}},
    ]
    message = {"type": "message", "id": "msg_1", "model": "m", "role": "assistant", "content": blocks}
    talk = Talk(api="anthropic.messages")
    talk.bytes("sent", ask(PATHS["anthropic.messages"], question("anthropic.messages")))
    talk.bytes("received", answer(message))
    for intent in of(Intent, talk.log()):
        assert (intent.kind, intent.hand_off) == ("other", "model provider")
        assert intent.executions == intent.files == intent.hosts == ()


def test_the_command_of_a_shell_joins_with_the_call_that_asked_for_it() -> None:
    talk = Talk()
    talk.says(Answer(calls=(TESTS,)))
    text = str(TESTS.arguments["command"])
    for argv in (
        ("bash", "-lc", text),
        ("/bin/sh", "-c", text),
        ("-zsh", "-i", "-c", text),
        ("bash", "-c", "other"),
    ):
        talk.effect(Exec, process=CHILD, parent=ROOT, path="/bin/bash", argv=argv, cwd="/repo")
    talk.effect(Exec, process=CHILD, parent=ROOT, path="/bin/cat", argv=("cat", "-c", text), cwd="/repo")
    talk.effect(
        Exec, process=CHILD, parent=ROOT, path="/bin/sh", argv=("sh", "script", "-c", text), cwd="/repo"
    )
    events = talk.log()
    (intent,) = of(Intent, events)
    joins = [event.command_digest == intent.command_digest for event in of(Exec, events)]
    assert joins == [True, True, True, False, False, False]


# --- gaps ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("api", APIS)
def test_a_loss_anywhere_is_marked_and_makes_nothing_up(api: Wire) -> None:
    asked = ask(PATHS[api], question(api, True))
    whole = Talk(api=api, streamed=True)
    whole.works(TESTS, "3 passed in 0.12s", "I'll run them.")
    (intent,) = of(Intent, whole.log())
    recorded: list[bytes] = []
    talk = Talk(api=api, streamed=True)
    talk.bytes = lambda way, data, key=KEY, missing=0: recorded.append(data)  # type: ignore[method-assign]
    talk.says(Answer(text="I'll run them.", calls=(TESTS,)))
    response = recorded[1]
    for at in range(0, len(response) - 60, 97):
        broken = Talk(api=api, streamed=True)
        broken.bytes("sent", asked)
        broken.bytes("received", response[:at])
        broken.bytes("received", response[at + 40 :], missing=40)
        events = broken.log()
        assert of(StreamGap, events) or not of(Intent, events) or at > len(response) - 200
        for other in of(Intent, events):
            assert (other.digest, other.executions) == (intent.digest, intent.executions)
        assert of(Claim, events) == []


def test_a_connection_that_is_no_http_is_a_gap_of_its_process() -> None:
    talk = Talk()
    talk.bytes("sent", b"EHLO me\r\n")
    (gap,) = of(StreamGap, talk.log())
    assert (gap.cause, gap.process) == ("not_http", ROOT)


def test_a_call_that_looks_like_one_and_cannot_be_read_is_a_gap() -> None:
    talk = Talk()
    deep = b'{"messages": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    talk.bytes("sent", ask(PATHS["openai.chat"], deep))
    (gap,) = of(StreamGap, talk.tick())
    assert gap.cause == "request_unreadable"
    talk.bytes(
        "received",
        answer({"id": "x", "choices": [{"index": 0, "message": {"content": "All tests passed."}}]}),
    )
    assert [claim.topic for claim in of(Claim, talk.log())] == ["tests_passed"]
    form = Talk()
    form.bytes("sent", ask("/v1/messages", b"message=hello"))
    form.bytes("received", answer({"ok": True}))
    assert [type(event).__name__ for event in form.log()] == ["SessionStart", "Tick"]


# --- levels of content -----------------------------------------------------------------------------------

PROSE = "zebracrossing"


def private(level: ContentLevel) -> list[AnyEvent]:
    """A session in which PROSE stands wherever free text can."""
    talk = Talk(level, files={"/repo/a.py": FileLook(True, 3, 1, 2, 3, PROSE.encode())})
    talk.works(TESTS, f"{PROSE}\n3 passed in 0.12s", f"I think {PROSE}.")
    talk.works(ToolCall("write_file", {"path": "/repo/a.py", "content": PROSE}), f"{PROSE}: ok")
    talk.works(ToolCall("edit", {"path": "/repo/a.py", "old_string": f"a{PROSE}", "new_string": PROSE}), "ok")
    talk.works(ToolCall("ask_user", {"question": f"{PROSE}?"}), f"{PROSE}!")
    talk.says(Answer(text=f"All 3 tests of {PROSE} passed."))
    return talk.log()


def test_free_text_leaves_at_no_level_below_redacted() -> None:
    for level in ("off", "metadata"):
        assert PROSE.encode() not in encoded(private(level))
    assert encoded(private("redacted")).count(PROSE.encode()) == 1  # the sentence that is the claim
    assert encoded(private("full")).count(PROSE.encode()) > 6


def untold(event: AnyEvent) -> AnyEvent:
    """The event as it is below ``redacted``, made of one of a higher level."""
    if isinstance(event, Exec):
        return msgspec.structs.replace(event, argv=untold_argv(event.argv, HOST_KEY, event.path))
    if isinstance(event, Intent):
        told = tuple(
            msgspec.structs.replace(
                run, args=untold_argv((run.program, *run.args), HOST_KEY, run.program)[1:]
            )
            for run in event.executions
        )
        return msgspec.structs.replace(event, executions=told, text=None)
    return msgspec.structs.replace(event, text=None) if isinstance(event, ToolResult | Claim) else event


def test_what_a_verdict_depends_on_is_the_same_at_every_level() -> None:
    def bare(level: ContentLevel) -> bytes:
        return (
            encoded(map(untold, [*private(level), *session(level)]))
            .replace(f'"content":"{level}",'.encode(), b"")
            .replace(b'"content":"metadata",', b"")
        )

    assert bare("metadata") == bare("redacted") == bare("full")


# --- credentials -----------------------------------------------------------------------------------------


def removed(text: str) -> list[str]:
    """The parts of ``text`` that redacting takes out."""
    kept = re.split(r"\[[a-z-]+\]", redact(text))
    parts, rest = [], text
    for piece in kept:
        before, _, rest = rest.partition(piece) if piece else ("", "", rest)
        parts.append(before)
    return [part for part in [*parts, rest] if len(part) > 3]


def holding(secret: str, level: ContentLevel) -> bytes:
    """A log of a session in which ``secret`` stands wherever something can be chosen, paths apart."""
    talk = Talk(level, argv=("agent", secret))
    talk.works(
        ToolCall("bash", {"command": f"cat <<'X'\n{secret}\nX"}), f"{secret}\n3 passed in 0.1s", secret
    )
    talk.works(ToolCall("write_file", {"path": "/repo/a.py", "content": secret}), secret)
    talk.works(ToolCall(f"tool {secret}"[:300], {secret: secret}), secret)
    talk.says(Answer(text=f"All 3 tests passed with {secret}"))
    talk.effect(Exec, process=CHILD, parent=ROOT, path="/bin/sh", argv=("sh", "-c", secret, secret), cwd="/")
    talk.effect(BlindSpot, dimension="tls", name="gnutls", detail=secret)
    talk.effect(Name, process=CHILD, source="dns", name=f"{secret}.example", addresses=("192.0.2.1",))
    return encoded(talk.log())


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("row", credentials(), ids=lambda row: row.name)
def test_credentials_leave_at_no_level(row: Credential, level: ContentLevel) -> None:
    for example in row.examples:
        secrets = removed(example)
        assert secrets
        log = holding(example, level).decode()
        for secret in secrets:
            assert json.dumps(secret)[1:-1] not in log, secret


@pytest.mark.parametrize(
    "token", ["sk-ant-api03-abcdefghijklmnop", "ghp_0123456789abcdefghij0123", "token=abcdef123"]
)
def test_a_credential_in_a_path_is_removed_the_same_wherever_the_path_stands(token: str) -> None:
    secret = token.removeprefix("token=")
    folder, name = f"/repo/{token}", f"/repo/{token}/a.py"
    talk = Talk("full", files={name: FileLook(True, 2, 1, 2, 3, b"x\n")}, cwd=folder)
    talk.works(ToolCall("write_file", {"path": name, "content": "x\n"}), "ok")
    talk.works(ToolCall("move_file", {"source": name, "destination": f"{name}c"}), "ok")
    talk.says(Answer(text=f"I created {name}."))
    talk.effect(File, process=CHILD, op="rename", path=name, new_path=f"{name}c")
    talk.effect(Exec, process=CHILD, parent=ROOT, path=name, script=name, argv=("x",), cwd=folder)
    talk.effect(ExecFailed, process=CHILD, path=name, errno=2)
    talk.effect(Net, process=CHILD, op="connect", family="unix", protocol="unix", address=name)
    events = talk.log()
    assert secret.encode() not in encoded(events)
    shown = of(File, events)[0].path
    assert shown.endswith("/a.py") and shown.startswith(f"{of(Exec, events)[0].cwd}/")
    write, move = of(Intent, events)
    assert write.files[0].path == shown == of(FileState, events)[0].path == of(ExecFailed, events)[0].path
    assert (move.files[0].path, move.files[0].new_path) == (shown, of(File, events)[0].new_path)
    claims = of(Claim, events)  # a word with "=" in it is not taken for a path
    assert [claim.targets for claim in claims] == ([(shown,)] if "=" not in token else [])
    assert of(Exec, events)[0].script == shown == of(Net, events)[0].address


def test_names_that_a_server_chose_are_cut() -> None:
    long = "n" * 100_000
    call = {"id": long, "type": "function", "function": {"name": long, "arguments": "{}"}}
    whole = {
        "id": long,
        "model": long,
        "choices": [
            {"index": 0, "finish_reason": long, "message": {"role": "assistant", "tool_calls": [call]}}
        ],
    }
    talk = Talk()
    talk.bytes("sent", ask(PATHS["openai.chat"], question("openai.chat")))
    talk.bytes("received", answer(whole))
    talk.results([(long, "ok")])
    talk.says(Answer(text="Done."))
    events = talk.log()
    assert len(encoded(events)) < 5000
    (intent,), (result,) = of(Intent, events), of(ToolResult, events)
    assert intent.call_id == result.call_id and result.intent == intent.intent


# --- bounds ----------------------------------------------------------------------------------------------


def test_connections_are_bounded_and_one_that_is_given_up_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline_module, "MAX_CONNECTIONS", 3)
    talk = Talk()
    for number in range(10):
        talk.bytes("sent", ask(PATHS["openai.chat"], question("openai.chat")), ConnectionKey(ROOT, number, 1))
    assert len(talk.pipeline._connections) == 3
    events = talk.tick()
    assert [call.complete for call in of(LlmCall, events)] == [False] * 7
    assert [gap.cause for gap in of(StreamGap, events)] == ["response_incomplete"] * 7


def test_what_connections_hold_is_bounded_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline_module, "MAX_HELD", 10_000)
    talk = Talk()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\nContent-Length: 900000\r\n\r\n"
    for number in range(5):
        talk.bytes("sent", head + b"x" * (1000 * (number + 1)), ConnectionKey(ROOT, number, 1))
    assert [key.ssl for key in talk.pipeline._connections] == [0, 1, 2, 3]  # the largest went
    assert talk.pipeline._held_size == sum(talk.pipeline._held.values()) <= 10_000
    assert [gap.cause for gap in of(StreamGap, talk.tick())] == ["request_incomplete", "response_incomplete"]
    talk.log()
    assert talk.pipeline._held == {} and talk.pipeline._held_size == 0


def test_calls_that_wait_are_bounded_by_number_and_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline_module, "MAX_PENDING", 4)
    talk = Talk()
    idents = [talk.says(Answer(calls=(TESTS,)))[0] for _ in range(9)]
    assert list(talk.pipeline._pending) == idents[-4:]
    monkeypatch.setattr(pipeline_module, "MAX_PENDING_SIZE", 3000)
    big = [talk.says(Answer(calls=(ToolCall("bash", {"command": "x" * 1000}),)))[0] for _ in range(4)]
    assert list(talk.pipeline._pending) == big[-2:]
    talk.results([(idents[0], "3 passed in 0.1s"), (big[-1], "3 passed in 0.1s")])
    talk.says(Answer(text="Done."))
    assert [result.call_id for result in of(ToolResult, talk.log())] == [big[-1]]
    assert talk.pipeline._pending_size == 0


def test_what_was_said_is_remembered_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline_module, "MAX_SAID", 5)
    talk = Talk()
    for number in range(20):
        talk.works(TESTS, f"{number} passed in 0.1s")
    talk.says(Answer(text="Done."))
    assert len(talk.pipeline._answered) == len(talk.pipeline._said) == 5


# --- as it is -------------------------------------------------------------------------------------------


def test_every_event_of_the_kernel_passes_as_it_is() -> None:
    talk = Talk()
    given_: list[tuple[type[Event], dict[str, Any]]] = [
        (Fork, {"process": ROOT, "child": CHILD}),
        (File, {"process": CHILD, "op": "write", "path": "/repo/a b/ü\n\x1b[31m.py", "dev": 1, "ino": 2}),
        (Net, {"process": CHILD, "op": "connect", "family": "inet6", "address": "::1", "port": 443}),
        (ExecFailed, {"process": CHILD, "path": "/usr/bin/none", "errno": 2}),
    ]
    for kind, fields in given_:
        talk.effect(kind, **fields)
    told = talk.tick()[1:-1]
    assert [
        {name: getattr(event, name) for name in fields}
        for event, (_, fields) in zip(told, given_, strict=True)
    ] == [fields for _, fields in given_]


# --- a conversation that began before, files that are named ------------------------------------------------


@pytest.mark.parametrize("api", APIS)
def test_a_conversation_that_began_before_is_told_once(api: Wire) -> None:
    before = Talk(api=api)
    before.works(TESTS, "3 passed in 0.12s")
    after = Talk(api=api)
    after._history = before._history
    after.says(Answer(text="All 3 tests passed."))
    after.says(Answer(text="They do."))
    spots = of(BlindSpot, after.log())
    assert [(spot.dimension, spot.name) for spot in spots] == [("tls", "earlier_conversation")]
    assert not of(BlindSpot, before.log())
