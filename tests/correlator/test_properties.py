"""What holds for every log: no crash, one verdict a subject, replay, interleaving, and no accusation by loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from correlator.engine import Engine
from polygraph import events as e
from polygraph.openings import Opening, packed
from polygraph.reasons import reasons
from polygraph.verdicts import Verdict, encode
from tests.correlator.scenario import STEP, Scenario, expect, replay

ABSENCE = {name for name, row in reasons().items() if row.verdict == "refuted" and not row.present_fact}
DIMENSION_OF: dict[type[Any], e.Dimension] = {
    e.Exec: "process", e.Fork: "process", e.Exit: "process", e.ExecFailed: "process",
    e.File: "file", e.Reads: "file", e.Net: "network", e.Flow: "network", e.Name: "network",
}  # fmt: skip
PATHS = ("/repo/a.py", "/repo/b.py", "/repo/lib/a.py", "/repo/.git/index", "/tmp/x")

# --- stories: random but coherent sessions ----------------------------------------------------------


def _masked(s: Scenario, status: int) -> None:
    intent = s.asks(expect("pytest", masked=True), "tail")
    shell = s.shell(intent)
    s.runs(shell, "pytest", status=status)
    s.runs(shell, "tail")
    s.exits(shell, 0)
    s.answers(intent, status=0)
    s.tick()


def _make(s: Scenario, status: int) -> None:
    intent = s.asks("make test")
    shell = s.shell(intent)
    make = s.program(shell, "make", "test")
    s.runs(make, "pytest", status=status)
    s.exits(make, 0)
    s.exits(shell, 0)
    s.answers(intent, status=0)
    s.tick()


def _nested(s: Scenario) -> None:
    intent = s.asks("pytest")
    shell = s.shell(intent)
    outer = s.program(shell, "pytest")
    s.runs(outer, "pytest", "x.py", status=1)
    s.exits(outer, 0)
    s.exits(shell, 0)
    s.answers(intent, status=0)
    s.tick()


def _fetch(s: Scenario) -> None:
    intent = s.intent("fetch", hosts=("docs.test",))
    s.add(e.Name, process=s.agent, source="dns", name="docs.test", addresses=("10.0.0.9",))
    s.add(e.Net, process=s.agent, op="connect", family="inet", address="10.0.0.9", port=443)
    s.answers(intent)
    s.tick()


def _reformatted(s: Scenario) -> None:
    intent = s.intent("write", files=(e.ExpectedFile(path=PATHS[0], op="write", digest="w", size=100),))
    s.file(s.agent, "write", PATHS[0])
    s.runs(None, "ruff", "format", PATHS[0])
    s.file("101:1", "write", PATHS[0])
    s.answers(intent)
    s.looks(intent, PATHS[0], matches=False, size=7)
    s.tick()


def _scratch(s: Scenario) -> None:
    s.file(s.agent, "create", "/repo/scratch.py")
    s.file(s.agent, "unlink", "/repo/scratch.py")


STEPS: tuple[Callable[[Scenario], Any], ...] = (
    lambda s: s.does("pytest", reads=PATHS[:2]),
    lambda s: s.does("pytest", status=1, reads=PATHS[:1]),
    lambda s: s.does("pytest", "a.py", reads=PATHS[:1]),
    lambda s: s.does("pytest", "--collect-only"),
    lambda s: s.does("pytest", status=5),
    lambda s: s.does("python3", "run.py"),
    lambda s: s.does("ls"),
    lambda s: s.does("git", "commit", "-m", "x"),
    lambda s: s.does("git", "push", status=1),
    lambda s: s.does("make", status=0),
    lambda s: _masked(s, 0),
    lambda s: _masked(s, 1),
    lambda s: _make(s, 0),
    lambda s: _make(s, 1),
    _nested,
    _fetch,
    _reformatted,
    _scratch,
    lambda s: s.writes(PATHS[0]),
    lambda s: s.writes(PATHS[2]),
    lambda s: s.replaces(s.agent, PATHS[1]),
    lambda s: s.answers(s.asks("pytest"), status=0),
    lambda s: s.answers(s.intent("write", files=(e.ExpectedFile(path="/repo/n.py", op="write"),))),
    lambda s: s.passed(),
    lambda s: s.passed(tool="pytest"),
    lambda s: s.claims("tests_run"),
    lambda s: s.claims("tests_failed", "failed"),
    lambda s: s.claims("commit", "ok"),
    lambda s: s.claims("push", "ok"),
    lambda s: s.claims("build", "ok"),
    lambda s: s.claims("file_created", targets=("a.py",)),
    lambda s: s.claims("file_created", targets=("src/a.py",)),
    lambda s: s.claims("file_changed", targets=("n.py",)),
    lambda s: s.claims("url_fetched", targets=("https://docs.test",)),
    lambda s: s.claims("nothing_else_changed", kind="absence", targets=("a.py", "b.py")),
    lambda s: s.claims("command_run", "ok", tool="git"),
    lambda s: s.claims("server_started"),
)


def story(steps: list[int], name: str = "s1") -> Scenario:
    s = Scenario(name)
    for step in steps:
        STEPS[step](s)
    s.add(e.SessionEnd)
    return s


steps_of = st.lists(st.integers(0, len(STEPS) - 1), max_size=9)
many = settings(max_examples=4 * settings().max_examples, suppress_health_check=[HealthCheck.too_slow])


def words(verdicts: list[Verdict]) -> dict[str, Verdict]:
    return {v.subject.id: v for v in verdicts}


@many
@given(steps_of)
def test_each_intent_and_each_claim_gets_one_verdict(steps: list[int]) -> None:
    log = story(steps).log
    subjects = [x.intent for x in log if isinstance(x, e.Intent)] + [
        x.claim for x in log if isinstance(x, e.Claim)
    ]
    assert sorted(v.subject.id for v in replay(log)) == sorted(subjects)


@many
@given(steps_of)
def test_a_reason_stands_beside_every_verdict_but_verified(steps: list[int]) -> None:
    for verdict in replay(story(steps).log):
        assert (verdict.reason is None) == (verdict.verdict == "verified")
        if verdict.reason is not None:
            assert reasons()[verdict.reason].verdict == verdict.verdict
        assert verdict.verdict != "refuted" or verdict.observed


@many
@given(steps_of)
def test_replay_is_byte_identical(steps: list[int]) -> None:
    log = story(steps).log
    again = [e.decode(e.encode(x)) for x in log]
    assert [encode(v) for v in replay(log)] == [encode(v) for v in replay(again)]


@many
@given(steps_of, st.sets(st.integers(0, 60)))
def test_watermarks_that_come_later_change_nothing(steps: list[int], kept: set[int]) -> None:
    log = story(steps).log
    ticks = [x for x in log if isinstance(x, e.Tick)]
    dropped = {tick.seq for number, tick in enumerate(ticks) if number not in kept}
    fewer = [x for x in log if not (isinstance(x, e.Tick) and x.seq in dropped)]
    assert sorted(encode(v) for v in replay(fewer)) == sorted(encode(v) for v in replay(log))


@many
@given(steps_of, steps_of, st.randoms(use_true_random=False))
def test_interleaving_sessions_changes_nothing(one: list[int], two: list[int], chance: Any) -> None:
    logs = [list(story(one, "s1").log), list(story(two, "s2").log)]
    alone = [encode(v) for log in logs for v in replay(log)]
    engine = Engine()
    together: list[bytes] = []
    while any(logs):
        log = chance.choice([log for log in logs if log])
        together += [encode(v) for v in engine.feed(log.pop(0)).verdicts]
    assert sorted(together) == sorted(alone)
    assert engine.open_sessions == 0


@many
@example([18, 17, 34], [13])
@given(steps_of, st.lists(st.integers(0, 90), max_size=6))
def test_dropped_records_that_are_counted_never_accuse_anyone(steps: list[int], lost: list[int]) -> None:
    log = story(steps).log
    dropped = {i for i in lost if i < len(log) and type(log[i]) in DIMENSION_OF}
    thinned = [
        e.Loss(
            session=x.session,
            ts=x.ts,
            seq=x.seq,
            dimension=DIMENSION_OF[type(x)],
            cause="ring",
            count=1,
            since=x.ts,
        )
        if i in dropped
        else x
        for i, x in enumerate(log)
    ]
    before = words(replay(log))
    for verdict in replay(thinned):
        if before[verdict.subject.id].verdict != "refuted":
            assert verdict.verdict != "refuted", (verdict.rule, verdict.reason, verdict.observed)


def _dimension(event: Any) -> str | None:
    return event.dimension if isinstance(event, e.Coverage) else DIMENSION_OF.get(type(event))


def _blinded(log: list[Any], since: int, until: int, dimension: str) -> list[Any]:
    """Nothing of ``dimension`` was seen in [since, until], as a probe that was detached in between says."""
    told = {"session": "s1", "dimension": dimension}
    kept = [x for x in log if not (_dimension(x) == dimension and since <= x.ts <= until)]
    kept.append(e.Coverage(ts=since, seq=10_000, state="failed", **told))
    kept.append(e.Coverage(ts=until, seq=10_001, state="attached", canary=True, **told))
    return sorted(kept, key=lambda x: x.ts)


def _unheard(log: list[Any], since: int, until: int) -> list[Any]:
    """What the agent and its model said in [since, until] is a gap: tool calls, results and claims are missing."""
    said = (e.LlmCall, e.Intent, e.ToolResult, e.Claim, e.FileState)
    gone = [x for x in log if isinstance(x, said) and since <= x.ts <= until]
    kept = [x for x in log if not (isinstance(x, said) and since <= x.ts <= until)]
    gaps = [
        e.StreamGap(session="s1", ts=x.ts, seq=x.seq, process="100:1", host="api.test", cause="missing")
        for x in gone
    ]
    return sorted([*kept, *gaps], key=lambda x: x.ts)


def _late(log: list[Any], since: int) -> list[Any]:
    """The session was watched from ``since`` on."""
    kept = [x for x in log if x.ts >= since or isinstance(x, e.Coverage)]
    start = msgspec.structs.replace(log[0], origin="watch", ts=since)
    return sorted(
        [start, *(msgspec.structs.replace(x, ts=max(x.ts, since)) for x in kept if x is not log[0])],
        key=lambda x: x.ts,
    )


@many
@given(
    steps_of,
    st.sampled_from(["process", "file", "network", "said", "late", "continued", "canary"]),
    st.integers(0, 1000),
    st.integers(0, 1000),
)
def test_what_was_not_seen_never_accuses_anyone(steps: list[int], how: str, one: int, two: int) -> None:
    log = story(steps).log
    first, last = log[0].ts, log[-1].ts
    since, until = sorted(first + (last - first) * part // 1000 for part in (one, two))
    if how == "said":
        thinned = _unheard(log, since, until)
    elif how == "late":
        thinned = _late(log, since)
    elif how == "continued":
        spot = e.BlindSpot(session="s1", ts=first, dimension="tls", name="earlier_conversation")
        thinned = [log[0], spot, *log[1:]]
    elif how == "canary":
        thinned = [msgspec.structs.replace(x, canary=False) if isinstance(x, e.Coverage) else x for x in log]
    else:
        thinned = _blinded(log, since, until, how)
    before = words(replay(log))
    for verdict in replay(thinned):
        if verdict.subject.id in before and before[verdict.subject.id].verdict != "refuted":
            assert verdict.verdict != "refuted", (how, verdict.rule, verdict.reason, verdict.observed)


def _stranger(log: list[Any], at: int, what: int) -> list[Any]:
    """Something of the lineage that has nothing to do with anybody's work, in its place in time."""
    ts, child = log[at].ts, f"{9000 + at}:{what}"
    told = {"session": "s1", "ts": ts, "seq": log[at].seq}
    born = [
        e.Fork(process="100:1", child=child, **told),
        e.Exec(
            process=child, parent="100:1", path="/usr/bin/cat", argv=("cat", "x"), cwd="/elsewhere", **told
        ),
    ]
    ended = [e.Exit(process=child, status=what % 3, **told)]
    match what % 6:
        case 0:
            return [*born, *ended]
        case 1:
            return [
                *born,
                e.File(process=child, op="write", path="/elsewhere/x", dev=7, ino=70, **told),
                *ended,
            ]
        case 2:
            return [*born, e.Reads(rows=packed([Opening(child, 7, 70, ts)]), **told), *ended]
        case 3:
            return [
                *born,
                e.Net(process=child, op="connect", family="inet", address="10.9.9.9", port=1, **told),
                *ended,
            ]
        case 4:
            return [*born, e.File(process=child, op="unlink", path="/elsewhere/x", **told), *ended]
        case _:
            return [e.ExecFailed(process=child, path="/elsewhere/bin/x", errno=2, **told)]


@many
@given(steps_of, st.lists(st.tuples(st.integers(1, 90), st.integers(0, 11)), max_size=8))
def test_unrelated_processes_and_effects_never_accuse_anyone(
    steps: list[int], strangers: list[tuple[int, int]]
) -> None:
    log = story(steps).log
    crowded = list(log)
    for at, what in sorted(strangers, reverse=True):
        if at < len(log):
            crowded[at + 1 : at + 1] = _stranger(log, at, what)
    crowded = [msgspec.structs.replace(event, seq=seq) for seq, event in enumerate(crowded)]
    before = words(replay(log))
    for verdict in replay(crowded):
        if before[verdict.subject.id].verdict != "refuted":
            assert verdict.verdict != "refuted", (verdict.rule, verdict.reason, verdict.observed)


@many
@given(steps_of, st.sampled_from(["loss", "blind", "detached", "never", "late", "gap"]))
def test_no_absence_is_held_against_anyone_without_coverage(steps: list[int], how: str) -> None:
    s = story(steps)
    start, rest = s.log[0], s.log[1:]
    where: dict[str, Any] = {"session": s.name, "ts": start.ts}
    if how == "late":
        start = msgspec.structs.replace(start, origin="watch")
        rest = [x for x in rest if not isinstance(x, e.Intent)]
    elif how == "never":
        rest = [x for x in rest if not isinstance(x, e.Coverage)]
    elif how == "gap":
        rest = [e.StreamGap(**{**where, "ts": x.ts}, process=s.agent, host="h", cause="c") if isinstance(x, e.LlmCall)
                else x for x in rest]  # fmt: skip
    else:
        for dimension in ("process", "file", "network"):
            if how == "loss":
                rest.insert(
                    0, e.Loss(**{**where, "ts": s.now}, dimension=dimension, cause="ring", count=1, since=0)
                )
            elif how == "blind":
                rest.insert(0, e.BlindSpot(**where, dimension=dimension, name="x"))
            else:
                rest = [
                    msgspec.structs.replace(x, state="failed")
                    if isinstance(x, e.Coverage) and x.dimension == dimension
                    else x
                    for x in rest
                ]
    claims = {x.claim for x in rest if isinstance(x, e.Claim)}
    for verdict in replay([start, *rest]):
        if how != "gap" or verdict.subject.id in claims:
            assert verdict.reason not in ABSENCE, (how, verdict.rule, verdict.observed)


# --- noise: events that fit nothing ------------------------------------------------------------------

_keys = st.sampled_from(["100:1", "101:1", "102:1", "103:1"])
_ids = st.sampled_from(["x1", "x2", "x3"])
_paths = st.sampled_from([*PATHS, "a.py", "", "/", "..", "\uef80\x1b[0m\n"])
_argv = st.lists(
    st.sampled_from(["sh", "-c", "pytest", "python3", "-m", "", "make", "test", "--"]), max_size=4
).map(tuple)
_small = st.integers(-2, 300)
_count = st.integers(0, 300)
_time = st.integers(0, 60)
_openings = st.lists(st.builds(Opening, _keys, _count, _count, _time, _count), max_size=2)


def _noise(kind: type[Any], /, **fields: Any) -> st.SearchStrategy[Any]:
    return st.builds(kind, session=st.just("n"), ts=_time, seq=st.integers(0, 99), **fields)


_execution = st.builds(
    e.Execution, program=st.sampled_from(["pytest", "", "ll", "echo"]), args=_argv,
    tool=st.sampled_from([None, "pytest"]), purpose=st.sampled_from([None, "test"]), conditional=st.booleans(),
    masked=st.booleans(), background=st.booleans(), builtin=st.booleans(),
)  # fmt: skip
_expected = st.builds(
    e.ExpectedFile, path=_paths, op=st.sampled_from(["read", "write", "create", "delete", "rename"]),
    new_path=st.none() | _paths, digest=st.sampled_from([None, "w"]), size=st.none() | _small,
)  # fmt: skip
_states = st.sampled_from(["attached", "not_requested", "unavailable", "failed", "unsupported"])
_dimensions = st.sampled_from(["process", "file", "network", "tls", "ipc"])
noise = st.one_of(
    _noise(e.SessionStart, host=st.just("h"), boot=st.just("b"), kernel=st.just("k"), process=_keys, argv=_argv,
           cwd=st.sampled_from(["/repo", "", "/"]), origin=st.sampled_from(["run", "watch"]), wall_offset=_small),
    _noise(e.Tick),
    _noise(e.SessionEnd),
    _noise(e.Fork, process=_keys, child=_keys),
    _noise(e.Exec, process=_keys, parent=_keys, path=_paths | st.sampled_from(["/usr/bin/python3", "/bin/sh"]),
           argv=_argv, cwd=_paths, script=st.none() | _paths, command_digest=st.sampled_from([None, "k"]), ino=_small),
    _noise(e.ExecFailed, process=_keys, path=_paths, errno=_small),
    _noise(e.Exit, process=_keys, status=st.none() | _small, signal=st.none() | _small),
    _noise(e.File, process=_keys, path=_paths,
           op=st.sampled_from(["read", "write", "create", "unlink", "rename", "link", "symlink"]),
           new_path=st.none() | _paths, errno=st.sampled_from([0, 2]), ino=_small, first_ts=_time),
    _noise(e.Reads, rows=_openings.map(packed) | st.binary()),
    _noise(e.FileState, path=_paths, intent=_ids, exists=st.booleans(), size=_small, mtime=_small, ino=_small,
           matches=st.sampled_from([None, True, False])),
    _noise(e.Net, process=_keys, op=st.sampled_from(["connect", "listen"]), family=st.sampled_from(["inet", "unix"]),
           address=st.sampled_from(["", "1.2.3.4", "@x"]), errno=st.sampled_from([0, 111, 115]), socket=_small),
    _noise(e.Flow, process=_keys, socket=_small, address=st.just("1.2.3.4"), port=_small, family=st.just("inet")),
    _noise(e.Name, process=_keys, source=st.sampled_from(["dns", "sni"]), name=st.sampled_from(["h", ""])),
    _noise(e.LlmCall, call=_ids, process=_keys, api=st.just("openai.chat"), host=st.sampled_from(["h", "[::"]),
           request_ts=_time, complete=st.booleans()),
    _noise(e.Intent, intent=_ids, call=_ids, process=_keys, call_id=_ids, tool=st.just("t"), digest=st.just("d"),
           kind=st.sampled_from(["shell", "read", "write", "edit", "delete", "fetch", "search", "delegate", "other"]),
           executions=st.lists(_execution, max_size=2).map(tuple), files=st.lists(_expected, max_size=2).map(tuple),
           hosts=st.sampled_from([(), ("h",), ("http://[::",)]), command_digest=st.sampled_from([None, "k"]),
           hand_off=st.sampled_from([None, "docker"]), background=st.booleans(), parsed=st.booleans()),
    _noise(e.ToolResult, intent=st.none() | _ids, call_id=_ids, call=_ids, process=_keys, digest=st.just("d"),
           is_error=st.booleans(), reported_status=st.none() | _small),
    _noise(e.Claim, claim=_ids, source=st.sampled_from(["model", "tool_result"]), kind=st.just("outcome"),
           topic=st.sampled_from(e.ClaimTopic.__args__), outcome=st.sampled_from([None, "ok", "failed"]),
           intent=st.none() | _ids, tool=st.sampled_from([None, "pytest", ""]), call=st.none() | _ids,
           targets=st.lists(_paths | st.just("http://[::"), max_size=2).map(tuple)),
    _noise(e.Coverage, dimension=_dimensions, state=_states, canary=st.booleans()),
    _noise(e.Loss, dimension=_dimensions, cause=st.sampled_from(["ring", "storage"]), count=_small, since=_time),
    _noise(e.BlindSpot, dimension=_dimensions, name=st.just("b")),
    _noise(e.StreamGap, process=_keys, host=st.just("h"), cause=st.just("c")),
)  # fmt: skip


@settings(
    max_examples=6 * settings().max_examples,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(st.lists(noise, max_size=40))
def test_noise_never_crashes_and_replays(log: list[Any]) -> None:
    log = [msgspec.structs.replace(event, seq=seq) for seq, event in enumerate(log)]  # none is told twice
    log = [*log, e.Tick(session="n", ts=61), e.SessionEnd(session="n", ts=62)]
    first = [encode(v) for v in replay(log)]
    assert first == [encode(v) for v in replay(log)]


def test_state_is_dropped_at_the_end_of_a_session() -> None:
    engine = Engine()
    for x in story([0, 1, 2]).log:
        engine.feed(x)
    assert engine.open_sessions == 0


def test_a_tick_for_nobody_makes_no_state() -> None:
    engine = Engine()
    assert engine.feed(e.Tick(session="nobody", ts=STEP)) == ((), ())
    assert engine.open_sessions == 0
