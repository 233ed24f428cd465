"""Reasoning loops are found; who waits, retries, works or asks side by side is spared."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from correlator.detectors import kinds
from correlator.detectors import loop as module
from correlator.session import Session
from polygraph import events as e
from polygraph.findings import Finding, detectors
from tests.correlator.detectors.talk import Talk, failing, signed
from tests.correlator.scenario import STEP, Scenario, found

ROW = detectors()["reasoning_loop"]
ROUNDS = int(ROW.thresholds["rounds"].value)
ALTERNATING = int(ROW.thresholds["rounds_alternating"].value)
DISTANCE = int(ROW.thresholds["distance"].value)


def again(times: int, **fields: Any) -> Scenario:
    """The same failing test run ``times`` times, and the call that brings the last result."""
    story = Scenario()
    talk = Talk(story, **fields)
    for _ in range(times):
        talk.does("pytest -q", "1 failed", failing(story))
    talk.says("I give up.")
    return story


def one(story: Scenario) -> Finding:
    (finding,) = [finding for finding in story.findings() if finding.detector == "reasoning_loop"]
    assert finding.kind in ROW.kinds
    return finding


# --- what is found ---------------------------------------------------------------------------------------


def test_the_same_call_again_and_again() -> None:
    story = again(7)
    calls = [event for event in story.log if isinstance(event, e.LlmCall)]
    finding = one(story)
    assert finding.kind == "same_call" and "asked 7 times in a row for bash" in finding.summary
    assert finding.figures == {
        "calls": 7,
        "rounds": 7,
        "input_tokens": 7000,
        "output_tokens": 700,
        "cached_tokens": 0,
        "usd": 7 * (1000 * 3.0 + 100 * 15.0) / 1e6,
        "seconds": round((calls[7].request_ts - calls[0].request_ts) / 1e9, 3),
    }
    assert [step.id for step in finding.path] == [calls[0].id, calls[6].id]
    assert (finding.window.open, finding.window.close) == (calls[0].request_ts, calls[7].request_ts)
    ids = {event.id for event in story.log}
    assert finding.evidence and {item.id for item in finding.evidence} <= ids


@pytest.mark.parametrize(("times", "expected"), [(ROUNDS - 1, 0), (ROUNDS, 1), (3 * ROUNDS, 1)])
def test_as_many_calls_as_the_threshold_says(times: int, expected: int) -> None:
    assert len(again(times).findings()) == expected


def test_the_same_answer_to_the_same_words() -> None:
    story = Scenario()
    talk = Talk(story)
    for number in range(ROUNDS + 2):
        talk.came = "continue" if number else "Fix the bug."
        story.now += 6_000_000_000  # a person may take their time
        talk.says("I will now fix the bug.", flipped=number % 2 * DISTANCE)
    finding = one(story)
    assert finding.kind == "same_answer" and finding.figures["calls"] == ROUNDS + 1
    assert finding.path[1].grade == "strong"


@pytest.mark.parametrize("length", [2, 3, 4])
def test_rounds_of_several_calls(length: int) -> None:
    story = Scenario()
    talk = Talk(story)
    for _ in range(ALTERNATING):
        for number in range(length):
            talk.does(f"edit {'abcd'[number]}", f"done {number}", kind="edit", tool=f"tool{number}")
    talk.says("So.")
    finding = one(story)
    assert finding.kind == "alternating"
    assert (finding.figures["rounds"], finding.figures["calls"]) == (ALTERNATING, ALTERNATING * length)
    assert "tool0, tool1" in finding.summary


def test_nearly_the_same_search_is_the_same_and_nearly_the_same_command_is_not() -> None:
    """What only looks asks for nearly the same; what acts may be on its way through a list."""
    for kind, expected in (("search", 1), ("fetch", 1), ("read", 1), ("shell", 0), ("other", 0), ("edit", 0)):
        story = Scenario()
        talk = Talk(story)
        for number in range(ROUNDS + 1):
            near = signed("the same", number % 2 * DISTANCE)
            talk.does(f"{number}", "nothing found", kind=kind, signature=near)
        talk.says("So.")
        assert len(story.findings()) == expected, kind


def test_the_same_command_with_another_description_is_the_same() -> None:
    story = Scenario()
    talk = Talk(story)
    for number in range(ROUNDS):
        talk.does(f"{number}", "1 failed", command_digest="the command")
    talk.says("So.")
    assert one(story).kind == "same_call"


def test_other_calls_before_after_and_at_the_side_change_nothing() -> None:
    story = Scenario()
    talk, side = Talk(story), Talk(story)
    talk.does("ls", "a.py", failing(story, 1))
    for number in range(ROUNDS):
        side.does(f"ls {number}", f"file {number}")
        side.says("A title.", fate="refused", status=429)
        talk.does("pytest -q", "1 failed", failing(story))
    talk.does("git diff", "+x")
    talk.says("So.")
    assert one(story).figures["calls"] == ROUNDS


def test_a_loop_that_ends_and_begins_again_is_two() -> None:
    story = Scenario()
    talk = Talk(story)
    for answer in ("1 failed", "2 failed"):
        for _ in range(ROUNDS):
            talk.does("pytest -q", answer, failing(story))
    talk.says("So.")
    assert [finding.figures["calls"] for finding in story.findings()] == [ROUNDS, ROUNDS]


# --- who is spared ---------------------------------------------------------------------------------------


def spared(story: Scenario) -> bool:
    return not [finding for finding in story.findings() if finding.detector == "reasoning_loop"]


def test_a_run_after_each_edit() -> None:
    story = Scenario()
    talk = Talk(story)
    for number in range(3 * ROUNDS):
        talk.does(f"edit {number}", "ok", lambda: story.file(story.agent, "write", "/repo/a.py"), kind="edit")
        talk.does("pytest -q", "1 failed", failing(story))
    assert spared(story)


@pytest.mark.parametrize(
    "effect",
    [
        lambda story, n: story.runs(None, "make", status=n),
        lambda story, n: story.file(story.agent, "write", f"/repo/part{n}"),
        lambda story, n: story.file(story.agent, "write", f"/srv/out/part{n}"),
        lambda story, n: story.file(story.agent, "read", f"/root/.ssh/id{n}", sensitive="ssh_key"),
        lambda story, n: story.runs(None, f"tool{n}"),
        lambda story, n: story.add(e.ExecFailed, process=story.agent, path=f"/bin/x{n}", errno=2),
        lambda story, n: connects(story, f"192.0.2.{n}"),
    ],
)
def test_an_effect_of_another_kind_is_progress(effect: Callable[[Scenario, int], object]) -> None:
    """Another exit status, file, program or host."""
    assert spared(each_time(effect))
    assert one(each_time(lambda story, _: effect(story, 1))).kind == "same_call", (
        "the same effect each time is none"
    )


def connects(story: Scenario, address: str) -> None:
    process = story.program(None, "curl")
    story.add(e.Net, process=process, op="connect", family="inet", address=address, port=80)


def each_time(effect: Callable[[Scenario, int], object]) -> Scenario:
    """The same call with the same result many times, with an effect each time."""
    story = Scenario()
    talk = Talk(story)
    for number in range(3 * ROUNDS):
        talk.does("go on", "ok", partial(effect, story, number))
    talk.says("So.")
    return story


@pytest.mark.parametrize(
    "path",
    ["/repo/.git/objects/ab/{}", "/tmp/x{}", "/root/.claude/todos/{}", "/proc/{}/oom", "/repo/log{}.log"],
)
def test_caches_states_and_temporary_files_are_no_progress(path: str) -> None:
    story = each_time(lambda story, n: story.file(story.agent, "create", path.format(n)))
    assert one(story).kind == "same_call"


def test_an_effect_that_was_seen_before_the_loop_is_new_in_it() -> None:
    story = Scenario()
    talk = Talk(story)
    talk.does("make", "ok", lambda: story.file(story.agent, "write", "/repo/out"))
    for number in range(ROUNDS + 2):
        late = (lambda: story.file(story.agent, "write", "/repo/out"),) if number == 3 else ()
        talk.does("pytest -q", "1 failed", failing(story), *late)
    talk.says("So.")
    assert spared(story)


@pytest.mark.parametrize(
    "fields",
    [
        {"executions": (e.Execution(program="sleep", args=("5",)), e.Execution(program="curl"))},
        {"tool": "BashOutput", "kind": "other"},
        {"tool": "mcp__browser__wait_for", "kind": "other"},
        {"hand_off": "ssh"},
        {"signature": ""},
    ],
)
def test_who_waits_or_hands_off(fields: dict[str, Any]) -> None:
    story = Scenario()
    talk = Talk(story)
    for _ in range(3 * ROUNDS):
        talk.does("look", "not ready", **fields)
    talk.says("So.")
    assert spared(story)


def test_a_script_that_sleeps_waits() -> None:
    story = Scenario()
    talk = Talk(story)
    for _ in range(3 * ROUNDS):
        talk.does("./ready.sh", "not ready", lambda: story.runs(None, "sleep", "1"))
    talk.says("So.")
    assert spared(story)


@pytest.mark.parametrize(("executes", "expected"), [(True, 1), (False, 0)])
def test_a_call_that_takes_long_and_executes_nothing_waits(executes: bool, expected: int) -> None:
    story = Scenario()
    talk = Talk(story)

    def work() -> None:
        if executes:
            story.runs(None, "pytest")
        story.now += 6_000_000_000

    for _ in range(ROUNDS):
        talk.does("status", "pending", work, kind="other", tool="get_status")
    talk.says("So.")
    assert len(story.findings()) == expected


def test_refused_and_unfinished_calls_are_none() -> None:
    story = Scenario()
    talk = Talk(story)
    for _ in range(3 * ROUNDS):
        talk.came = "continue"
        talk.says("It is overloaded.", fate="refused", status=529)
    for _ in range(3 * ROUNDS):
        talk.does("ls", "a.py", call={"complete": False})
    assert spared(story)


@pytest.mark.parametrize("step", [1, DISTANCE])
def test_results_that_change_little_by_little_are_progress(step: int) -> None:
    """Each is a near-duplicate of the one before it, and not of the first one."""
    story = Scenario()
    talk = Talk(story)
    for number in range(8):
        talk.does("./fix_next", "left")
        talk.drift = number * step
    talk.says("So.")
    assert spared(story)


def test_other_results_are_progress() -> None:
    story = Scenario()
    talk = Talk(story)
    for number in range(3 * ROUNDS):
        talk.does("./fix_next", f"{number} left")
    assert spared(story)


def test_side_by_side_and_the_same_question_many_times() -> None:
    """Sub-agents with one prompt, a benchmark, forks of one conversation: each its own chain."""
    story = Scenario()
    agents = [Talk(story) for _ in range(4)]
    for _ in range(ROUNDS - 1):
        for talk in agents:
            talk.does("ls", "a.py")
    root = Talk(story)
    asked = root.says("I ask for help.")
    for _ in range(3 * ROUNDS):
        Talk(story).says("42")
        fork = Talk(story)
        fork.tip = asked
        fork.does("ls", "a.py")
    assert spared(story)


def test_without_results_or_words_nothing_is_compared() -> None:
    story = Scenario()
    talk = Talk(story)
    for _ in range(3 * ROUNDS):
        talk.does("ls", "")
    other = Talk(story)
    for _ in range(3 * ROUNDS):
        other.came = "continue"
        other.says("")
    assert spared(story)


@pytest.mark.parametrize(
    "hole",
    [
        (e.Loss, {"dimension": "process", "cause": "ring", "count": 1, "since": 0}),
        (e.Coverage, {"dimension": "file", "state": "failed"}),
        (e.StreamGap, {"process": "100:1", "host": "h", "cause": "closed"}),
    ],
)
def test_without_coverage_silence_says_nothing(hole: tuple[type[e.Event], dict[str, Any]]) -> None:
    story = Scenario()
    talk = Talk(story)
    for number in range(ROUNDS):
        talk.does("ls", "a.py")
        if number == 1:
            story.add(hole[0], **hole[1])
    talk.says("So.")
    assert spared(story)


@pytest.mark.parametrize("ticks", [True, False])
def test_a_loop_is_told_as_far_as_it_was_covered(ticks: bool) -> None:
    story = Scenario()
    talk = Talk(story)
    for number in range(2 * ROUNDS):
        talk.does("ls", "a.py")
        if number == ROUNDS + 1:
            story.add(e.Loss, dimension="file", cause="ring", count=1, since=story.now)
    talk.says("So.")
    story.log = [event for event in story.log if ticks or not isinstance(event, e.Tick)]
    assert one(story).figures["calls"] == ROUNDS + 1


# --- figures ---------------------------------------------------------------------------------------------


def test_money_only_where_the_price_is_known_and_tokens_were_told() -> None:
    unknown = one(again(ROUNDS, model="llama3.2"))
    assert "usd" not in unknown.figures and "price of the model is not known" in unknown.summary
    untold = one(again(ROUNDS, input_tokens=0, output_tokens=0))
    assert untold.figures["calls_without_tokens"] == ROUNDS and "usd" not in untold.figures
    cached = one(again(ROUNDS, cached_tokens=900))
    assert cached.figures["usd"] == ROUNDS * (100 * 3.0 + 900 * 0.3 + 100 * 15.0) / 1e6
    assert "USD by list prices of" in cached.summary


# --- the order of things ---------------------------------------------------------------------------------


def loops(noise: Iterable[int]) -> Scenario:
    """A loop, then another, with calls of others in between where ``noise`` says."""
    wanted = set(noise)
    story = Scenario()
    talk, side = Talk(story), Talk(story)
    for number in range(3 * ROUNDS):
        if number in wanted:
            side.does(f"ls {number}", f"file {number}")
        if number < ROUNDS + 2:
            talk.does("pytest -q", "1 failed", failing(story))
        else:
            talk.does(f"edit {'ab'[number % 2]}", "ok", kind="edit")
    talk.says("So.")
    return story


@given(st.sets(st.integers(0, 100)), st.sets(st.integers(0, 3 * ROUNDS)))
def test_wherever_ticks_come_the_last_word_is_the_same(ticks: set[int], noise: set[int]) -> None:
    story = loops(noise)
    whole = [event for event in story.log if not isinstance(event, e.Tick)]
    end = e.SessionEnd(session=story.name, ts=story.now + STEP, seq=len(story.log))
    pieces: list[e.AnyEvent] = []
    for place, event in enumerate(whole):
        pieces.append(event)
        if place in ticks:
            pieces.append(e.Tick(session=story.name, ts=event.ts))
    assert found([*pieces, end]) == found([*whole, end]) == story.findings()
    assert {finding.kind for finding in story.findings()} == {"same_call", "alternating"}


@given(st.lists(st.integers(0, 400), max_size=30))
def test_what_is_delivered_twice_counts_once(places: list[int]) -> None:
    story = again(ROUNDS + 1)
    doubled: list[e.AnyEvent] = []
    for place, event in enumerate(story.log):
        doubled.append(event)
        if place in places:
            doubled.append(event)
    end = e.SessionEnd(session=story.name, ts=story.now + STEP, seq=len(story.log))
    assert found([*doubled, end]) == story.findings()


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, most in (("MAX_CONVERSATIONS", 2), ("MAX_CALLS", 4), ("MAX_INTENTS", 1)):
        monkeypatch.setattr(module, name, most)
    monkeypatch.setattr(kinds, "MAX_KINDS", 3)
    story = Scenario()
    for _ in range(6):
        Talk(story).does("ls", "a.py", *[lambda n=n: story.runs(None, f"tool{n}") for n in range(5)])
    kept = module.Loops()
    session = Session(story.name)
    for event in story.log:
        session.add(event)
        kept.see(session, event)
    assert [len(of) for of in (kept._conversations, kept._kinds, kept._seen)] == [2, 6, 4]


def test_a_finding_goes_through_its_codec() -> None:
    finding = one(again(ROUNDS))
    assert msgspec.json.decode(msgspec.json.encode(finding), type=Finding) == finding
