"""From a subject to its verdict: which rule it is given to, what its parts say together, and what it is dressed in."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from polygraph import events as e
from polygraph.events.said import ClaimTopic
from polygraph.ids import derived_id
from tests.correlator.scenario import STEP, VERIFIED, Scenario, refuted, unverifiable

A, B = "/repo/a.py", "/repo/b.py"
FORM_UNKNOWN = unverifiable("form_unknown")
HANDED_OFF = unverifiable("handed_off")


def file(op: str = "write", path: str = A) -> e.ExpectedFile:
    return e.ExpectedFile(path=path, op=op)  # type: ignore[arg-type]


# --- which rule -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "rule"),
    [
        ("shell", "intent.shell"),
        ("write", "intent.files"),
        ("edit", "intent.files"),
        ("delete", "intent.files"),
        ("read", "intent.read"),
        ("fetch", "intent.fetch"),
        ("delegate", "intent.delegate"),
        ("search", "intent.search"),
        ("other", "intent.other"),
    ],
)
def test_a_tool_call_is_given_to_the_rule_of_its_kind(kind: str, rule: str) -> None:
    s = Scenario()
    intent = s.intent(kind)
    s.answers(intent)
    assert s.on(intent).rule == rule


@pytest.mark.parametrize("topic", get_args(ClaimTopic))
def test_a_claim_is_given_to_the_rule_of_its_topic(topic: str) -> None:
    s = Scenario()
    assert s.on(s.claims(topic, targets=("x",))).rule == f"claim.{topic}"


@pytest.mark.parametrize("kind", ["write", "edit"])
def test_what_is_to_be_written_is_looked_for_among_writes(kind: str) -> None:
    s = Scenario()
    intent = s.intent(kind, files=(file(),))
    s.file(s.agent, "write", A)
    s.answers(intent)
    assert s.says(intent) == VERIFIED


def test_a_deletion_and_a_read_and_a_fetch_are_looked_for_in_their_own_way() -> None:
    s = Scenario()
    deletes = s.intent("delete", files=(file("delete"),))
    s.add(e.File, process=s.agent, op="unlink", path=A)
    s.answers(deletes)
    reads = s.intent("read", files=(file("read", B),))
    s.file(s.agent, "read", B)
    s.answers(reads)
    fetches = s.intent("fetch", hosts=("10.0.0.9",))
    s.add(e.Net, process=s.agent, op="connect", family="inet", address="10.0.0.9", port=443)
    s.answers(fetches)
    for intent in (deletes, reads, fetches):
        assert s.says(intent) == VERIFIED, intent.kind


def test_a_command_is_held_to_what_ran_and_not_to_files_that_it_may_write() -> None:
    """`grep -q "^x" a.py || sed -i 1ix a.py`, where there was nothing to do."""
    s = Scenario()
    intent = s.asks("grep -q ^x a.py", files=(file(),))
    shell = s.shell(intent)
    s.runs(shell, "grep", "-q", "^x", "a.py")
    s.exits(shell)
    s.answers(intent)
    s.looks(intent, A, matches=False)
    assert s.says(intent) == VERIFIED


# --- a tool of no kind ----------------------------------------------------------------------------------


def other(s: Scenario, kind: str = "other", **how: Any) -> e.Intent:
    return s.intent(kind, tool="x", **how)


def test_a_tool_of_which_nothing_is_known() -> None:
    s = Scenario()
    plain, away, shell = (
        other(s),
        other(s, hand_off="docker"),
        other(s, executions=(e.Execution(program="cd", builtin=True),)),
    )
    for intent in (plain, away, shell):
        s.answers(intent)
    assert s.says(plain) == s.says(shell) == FORM_UNKNOWN
    assert s.says(away) == HANDED_OFF


@pytest.mark.parametrize(
    ("how", "done"),
    [
        ({"files": (file(),)}, "write"),
        ({"files": (file("read"),)}, "read"),
        ({"hosts": ("10.0.0.9",)}, "connect"),
        ({"executions": (e.Execution(program="wc"),)}, "exec"),
    ],
)
def test_a_part_that_is_known_is_looked_for(how: dict[str, Any], done: str) -> None:
    for does in (True, False):
        s = Scenario()
        s.reads(s.agent, B)
        intent = other(s, **how)
        if does and done == "connect":
            s.add(e.Net, process=s.agent, op="connect", family="inet", address="10.0.0.9", port=443)
        elif does and done == "exec":
            s.runs(None, "wc")
        elif does:
            s.file(s.agent, done, A)
        s.answers(intent)
        if not does and done in ("write", "read"):
            s.looks(intent, A)
        assert (s.says(intent) == VERIFIED) is does, s.says(intent)


def test_a_command_that_is_told_by_its_digest_alone_is_one() -> None:
    s = Scenario()
    intent = other(s, command_digest="k")
    shell = s.shell(intent)
    s.exits(shell)
    s.answers(intent)
    assert s.says(intent) == VERIFIED


def test_all_parts_must_hold() -> None:
    s = Scenario()
    intent = other(s, files=(file(), file("read", B)))
    s.file(s.agent, "write", A)
    s.reads(s.agent, "/repo/c.py")
    s.answers(intent)
    s.looks(intent, B)
    assert s.says(intent) != VERIFIED
    s = Scenario()
    intent = other(s, files=(file(), file("read", B)))
    s.file(s.agent, "read", B)
    s.answers(intent)
    s.looks(intent, A, matches=False)
    assert s.says(intent) == refuted("not_written")


def test_together_parts_are_no_surer_than_the_least_sure_of_them() -> None:
    for by_name, grade in ((("docs.test",), "weak"), ((), "strong")):
        s = Scenario()
        intent = s.intent("fetch", hosts=("10.0.0.9", *by_name, "10.0.0.8"))
        s.add(e.Name, process=s.agent, source="sni", name="docs.test")
        for address in ("10.0.0.9", "10.0.0.8"):
            s.add(e.Net, process=s.agent, op="connect", family="inet", address=address, port=443)
        s.answers(intent)
        assert (s.says(intent), s.on(intent).grade) == (VERIFIED, grade)


def test_of_many_parts_the_first_are_told() -> None:
    hosts = [f"10.0.0.{number}" for number in range(1, 6)]
    s = Scenario()
    intent = s.intent("fetch", hosts=tuple(hosts))
    for host in hosts:
        s.add(e.Net, process=s.agent, op="connect", family="inet", address=host, port=443)
    s.answers(intent)
    verdict = s.on(intent)
    assert verdict.observed == "; ".join(f"{host}:443 was connected" for host in hosts[:4])
    assert len(verdict.evidence) == 5


# --- a sub-agent ----------------------------------------------------------------------------------------


def delegated(opens: int, ends: int) -> tuple[str, str | None]:
    """A delegation, and a call of a model that begins so long after it and ends so long before its result."""
    s = Scenario()
    s.now += 10 * STEP
    intent = s.intent("delegate")
    asked = s.now
    s.now += 20 * STEP
    call: dict[str, Any] = {"process": s.agent, "api": "openai.chat", "host": "api.test", "status": 200}
    s.add(e.LlmCall, call="inner", request_ts=asked + opens, ts=asked + 30 * STEP - ends, **call)
    s.answers(intent)
    s.log[-1] = e.ToolResult(
        session=s.name, ts=asked + 30 * STEP, seq=s.log[-1].seq, intent=intent.intent, call_id=intent.call_id,
        call=intent.call, process=s.agent, digest="r",
    )  # fmt: skip
    s.now = asked + 30 * STEP
    verdict = s.on(intent)
    assert verdict.grade == ("weak" if verdict.verdict == "verified" else None)
    return s.says(intent)


@pytest.mark.parametrize(
    ("opens", "ends", "word"),
    [(STEP, STEP, VERIFIED), (0, 0, VERIFIED), (-1, 0, HANDED_OFF), (0, -1, HANDED_OFF)],
)
def test_a_sub_agent_calls_a_model_while_its_parent_waits(
    opens: int, ends: int, word: tuple[str, str | None]
) -> None:
    assert delegated(opens, ends) == word


@pytest.mark.parametrize(
    "how", [{"files": (file(),)}, {"hosts": ("10.0.0.9",)}, {"executions": (e.Execution(program="wc"),)}]
)
def test_a_delegation_that_says_what_it_does_is_held_to_that(how: dict[str, Any]) -> None:
    s = Scenario()
    intent = s.intent("delegate", **how)
    s.call()
    s.answers(intent)
    assert s.says(intent) != VERIFIED


# --- what it is dressed in ------------------------------------------------------------------------------


def test_a_verdict_on_a_tool_call_says_which() -> None:
    s = Scenario()
    call = s.call()
    asked = s.log[-1].request_ts
    intent = s.asks("ls", call=call, text="ls")
    shell = s.shell(intent)
    s.runs(shell, "ls")
    s.exits(shell)
    result = s.answers(intent)
    verdict = s.on(intent)
    subject = verdict.subject
    assert (subject.kind, subject.id, subject.tool) == ("intent", intent.intent, "bash")
    assert (subject.call_id, subject.call, subject.digest) == (intent.call_id, call, intent.digest)
    assert (subject.text, subject.topic) == ("ls", None)
    assert asked < intent.ts
    assert (verdict.window.open, verdict.window.close, verdict.ts) == (intent.ts, result.ts, result.ts)
    assert (verdict.session, verdict.version) == ("s1", 2)
    assert verdict.id == derived_id("v", intent.intent), "whoever replays the log finds the same"


def test_a_tool_call_without_a_result_has_an_open_window() -> None:
    s = Scenario()
    intent = s.asks("ls")
    s.tick()
    verdict = s.on(intent)
    assert verdict.window.close is None
    assert verdict.ts > intent.ts


def test_a_verdict_on_a_claim_says_which() -> None:
    s = Scenario()
    claim = s.passed(text="All pass.", tool="pytest", digest="d9")
    subject = s.on(claim).subject
    assert (subject.kind, subject.id, subject.tool) == ("claim", claim.claim, "pytest")
    assert (subject.call_id, subject.call, subject.digest) == (None, claim.call, "d9")
    assert (subject.source, subject.claim_kind, subject.topic) == ("model", "outcome", "tests_passed")
    assert subject.text == "All pass."


def test_the_window_of_a_result_is_that_of_its_tool_call() -> None:
    s = Scenario()
    intent = s.does("pytest")
    claim = s.passed(source="tool_result", intent=intent)
    assert s.on(claim).window.open == intent.ts
    assert s.on(claim).subject.call_id == intent.call_id
    model = s.passed()
    assert s.on(model).window.open < intent.ts
    assert s.on(model).window.close == model.ts


def test_the_trace_of_the_call_is_the_verdicts_where_the_tool_has_none_of_its_own() -> None:
    context = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    s = Scenario()
    call: dict[str, Any] = {"process": s.agent, "api": "openai.chat", "host": "api.test", "status": 200}
    s.add(e.LlmCall, call="traced", request_ts=s.now, traceparent=context, **call)
    intent = s.intent("other", call="traced")
    s.answers(intent)
    assert s.on(intent).traceparent == context
