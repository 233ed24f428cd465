"""Published captures of Claude Code and Gemini CLI: they parse, the counts are exact, and nobody is accused."""

from __future__ import annotations

import json
import lzma
import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polygraph import events as e
from polygraph.reasons import DIMENSIONS
from tests.published import reduce
from tests.published.__main__ import main
from tests.published.capture import Message, exchanges, load
from tests.published.history import whole
from tests.published.session import honest, judge, log_of

DATA = Path(__file__).parent / "data"
NAMES = ("claude_code", "gemini_cli")
Counts = dict[Any, int]


class Expected(NamedTuple):
    """What a capture holds, counted by hand in its JSON."""

    #: requests and responses; and of how many streamed calls an answer was seen
    messages: int
    answered: int
    #: calls of a model by (fate, complete); complete are those of which AgentSight has one beginning and one end
    calls: Counts
    #: of the whole conversation: tool calls by (tool, kind), and results that are errors
    intents: Counts
    errors: int
    #: (source, topic) of what is claimed
    claims: Counts
    #: of an honest kernel: (subject, verdict, reason)
    verdicts: Counts


EXPECTED = {
    "claude_code": Expected(
        messages=389,
        answered=37,
        calls={("answered", True): 7, ("answered", False): 30},
        intents={
            ("TodoWrite", "other"): 6,
            ("Read", "read"): 8,
            ("LS", "search"): 1,
            ("Glob", "search"): 1,
            ("Write", "write"): 1,
        },
        errors=1,
        claims={("tool_result", "file_changed"): 1},
        verdicts={
            ("intent", "verified", None): 8,
            ("intent", "unverifiable", "form_unknown"): 8,
            ("intent", "unverifiable", "ambiguous"): 1,
            ("claim", "verified", None): 1,
        },
    ),
    "gemini_cli": Expected(
        messages=33,
        answered=5,
        calls={("answered", True): 3, ("answered", False): 2, ("unanswered", False): 2},
        intents={
            ("read_file", "read"): 2,
            ("read_many_files", "search"): 1,
            ("write_file", "write"): 2,
        },
        errors=0,
        claims={("tool_result", "file_created"): 2},
        verdicts={
            ("intent", "verified", None): 4,
            ("intent", "unverifiable", "form_unknown"): 1,
            ("claim", "verified", None): 2,
        },
    ),
}


@cache
def messages(name: str) -> tuple[Message, ...]:
    return load(DATA / f"{name}.json.xz")


@pytest.mark.parametrize("name", NAMES)
def test_every_call_of_a_model_that_was_captured_is_told(name: str) -> None:
    expected = EXPECTED[name]
    assert len(messages(name)) == expected.messages
    talk = exchanges(messages(name))
    streamed = [
        one
        for one in talk
        if one.request is not None and re.search(r"messages\?|Content\?", one.request.path)
    ]
    assert sum(one.response is not None for one in streamed) == expected.answered
    calls = [event for event in log_of(talk) if isinstance(event, e.LlmCall)]
    assert Counter((call.fate, call.complete) for call in calls) == expected.calls
    assert len({call.call for call in calls}) == len(calls)


@pytest.mark.parametrize("name", NAMES)
def test_where_the_end_of_a_stream_was_lost_a_gap_says_so(name: str) -> None:
    log = log_of(exchanges(messages(name)))
    incomplete = {event.ts for event in log if isinstance(event, e.LlmCall) and not event.complete}
    assert incomplete
    assert incomplete <= {event.ts for event in log if isinstance(event, e.StreamGap)}


@pytest.mark.parametrize("name", NAMES)
def test_every_tool_call_result_and_claim_of_the_whole_conversation_is_told(name: str) -> None:
    expected = EXPECTED[name]
    log = log_of(whole(messages(name)))
    intents = [event for event in log if isinstance(event, e.Intent)]
    results = [event for event in log if isinstance(event, e.ToolResult)]
    claims = [event for event in log if isinstance(event, e.Claim)]
    assert Counter((intent.tool, intent.kind) for intent in intents) == expected.intents
    assert sorted(str(result.intent) for result in results) == sorted(intent.intent for intent in intents)
    assert sum(result.is_error for result in results) == expected.errors
    assert Counter((claim.source, claim.topic) for claim in claims) == expected.claims


@pytest.mark.parametrize("watched", [False, True], ids=["tls only", "an honest kernel"])
@pytest.mark.parametrize("talk", [exchanges, whole])
@pytest.mark.parametrize("name", NAMES)
def test_nobody_is_accused(name: str, talk: Any, watched: bool) -> None:
    log = log_of(talk(messages(name)), DIMENSIONS if watched else ("tls",))
    said = judge(honest(log) if watched else log)
    subjects = sum(isinstance(event, e.Intent | e.Claim) for event in log)
    assert len(said.verdicts) == subjects > 0
    assert [v for v in said.verdicts if v.verdict == "refuted"] == []
    assert said.findings == []
    assert said.live == 0


@pytest.mark.parametrize("name", NAMES)
def test_what_the_clients_did_is_verified(name: str) -> None:
    said = judge(honest(log_of(whole(messages(name)), DIMENSIONS)))
    found = Counter((v.subject.kind, v.verdict, v.reason) for v in said.verdicts)
    assert found == EXPECTED[name].verdicts


@pytest.mark.parametrize("name", NAMES)
def test_a_kernel_that_saw_no_file_written_refutes_each_claim_that_one_was(name: str) -> None:
    """The control: it is the missing coverage that keeps the verdicts above from accusing, not blindness."""
    said = judge(log_of(whole(messages(name)), DIMENSIONS))
    claims = [(v.verdict, v.reason) for v in said.verdicts if v.subject.kind == "claim"]
    assert claims == [("refuted", "not_written")] * sum(EXPECTED[name].claims.values())


@pytest.mark.parametrize("name", NAMES)
def test_the_level_of_content_changes_no_verdict(name: str) -> None:
    def words(level: Any) -> list[tuple[str, str, str | None]]:
        said = judge(honest(log_of(whole(messages(name)), DIMENSIONS, level)))
        return [(v.subject.id, v.verdict, v.reason) for v in said.verdicts]

    assert words("metadata") == words("full")


def _said(log: list[e.AnyEvent]) -> list[e.AnyEvent]:
    """What the agent and its model said, without the moments."""
    told = [event for event in log if isinstance(event, e.LlmCall | e.Intent | e.ToolResult | e.Claim)]
    return [msgspec.structs.replace(event, seq=0) for event in told]


@pytest.mark.parametrize("talk", [exchanges, whole])
@pytest.mark.parametrize("name", NAMES)
@given(cuts=st.lists(st.integers(0, 5000), min_size=1, max_size=6))
@settings(max_examples=5, deadline=None)
def test_where_the_records_are_cut_changes_nothing(name: str, talk: Any, cuts: list[int]) -> None:
    """A record is as long as the client's read was: it may have been any other."""
    whole_records = _said(log_of(talk(messages(name))))
    assert _said(log_of(talk(messages(name)), cuts=cuts)) == whole_records


# --- what the excerpts hold --------------------------------------------------------------------------------------

_PERSONAL = re.compile(
    r"/home/(?!somebody|som\b)\w|[\w.+-]+@[\w-]+\.\w|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-|user_id"
    r"|Bearer |sk-[\w-]{8}|AIza"
)


@pytest.mark.parametrize("name", NAMES)
def test_an_excerpt_has_no_account_no_credential_and_no_home_of_anyone(name: str) -> None:
    text = lzma.decompress((DATA / f"{name}.json.xz").read_bytes()).decode()
    assert _PERSONAL.findall(text) == []
    assert "/home/somebody" in text


def test_reducing_keeps_what_the_model_said_and_drops_the_rest(tmp_path: Path) -> None:
    long = "x" * 2000
    body = {
        "model": "m",
        "system": [{"type": "text", "text": "You are an agent"}],
        "metadata": {"user_id": "u"},
        "tools": [{"name": "Read", "description": "reads", "input_schema": {}}],
        "messages": [
            {"role": "user", "content": long},
            {"role": "assistant", "content": [{"type": "text", "text": long}]},
        ],
    }
    row = {"type": "request", "timestamp": 7, "method": "POST", "path": "/v1/messages?beta=true"}
    telemetry = row | {"path": "/v1/rgstr?k=client-key", "body": "{secret"}
    capture = {"data_timeline": [row | {"body": json.dumps(body), "json_body": body}, telemetry]}
    (tmp_path / "in").write_text(json.dumps(capture))
    reduce.main(str(tmp_path / "in"), str(tmp_path / "out.xz"))
    kept, other = load(tmp_path / "out.xz")
    asked = json.loads(kept.body)
    assert (other.path, other.body) == ("/v1/rgstr", "{}")
    assert (asked["system"], asked["metadata"], asked["tools"]) == (
        "(left out)",
        "(left out)",
        [{"name": "Read"}],
    )
    assert asked["messages"][0]["content"] == f"{'x' * 400}\n(1500 characters left out)\n{'x' * 100}"
    assert asked["messages"][1]["content"][0]["text"] == long


@pytest.mark.parametrize("name", NAMES)
def test_the_command_says_what_becomes_of_a_capture(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(str(DATA / f"{name}.json.xz")) == 0
    assert capsys.readouterr().out.splitlines()[2].startswith("whole, an honest kernel: {")
