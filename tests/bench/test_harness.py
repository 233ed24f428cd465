"""bench/: statistics, the line of JSON and the comparison of facts, on canned numbers. Nothing is timed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from functools import partial
from math import inf
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench._facts import Fact, Operations, losses, performed, score, told
from bench._floor import FIRST, RAW, floor
from bench._harness import BenchError, environment, inside, measured, native, timed, workplace
from bench._model import SIZE, Model, calls_script, model
from bench._result import Part, line, part, result, table, with_table
from bench._statistics import Estimate, estimate, interleaved, paired_difference, paired_ratio, quantile
from bench.latency import reader
from bench.latency import run as latency_run
from bench.overhead import Sample, parts
from bench.workloads import BARE_CALLS, CALLS, SESSION, STREAMS, Workload
from collector.kernel.programs import PROGRAMS
from polygraph.events import AnyEvent, Exec, Exit, File, Flow, Fork, Loss, Net, Reads, SessionEnd
from polygraph.openings import Opening, packed
from polygraph.reasons import Dimension
from tests.agents.wire import body

NONE_LOST: Counter[Dimension] = Counter()


# --- statistics ----------------------------------------------------------------------------------


def test_nine_runs_give_a_95_percent_interval_from_the_second_to_the_eighth() -> None:
    """The exact coverage of those ranks is 1 - 2 * (1 + 9) / 2^9 = 0.961."""
    found = estimate([9, 1, 8, 2, 7, 3, 6, 4, 5])
    assert (found.value, found.low, found.high) == (5, 2, 8)
    assert found.confidence == pytest.approx(1 - 20 / 512)


def test_few_runs_claim_no_more_confidence_than_they_have() -> None:
    assert estimate([1.0, 2.0, 3.0]) == Estimate(2, 1, 3, 0.75)
    assert estimate([4.0]) == Estimate(4, 4, 4, 0)
    with pytest.raises(ValueError, match="no measurement"):
        estimate([])


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60))
def test_an_interval_holds_its_median_and_is_as_narrow_as_95_percent_allows(values: list[float]) -> None:
    found = estimate(values)
    assert found.low <= found.value <= found.high
    if len(values) >= 6:
        assert 0.95 <= found.confidence < 1


def test_ratios_are_taken_within_a_round() -> None:
    """A machine that is twice as slow in the third round slows both arms and changes no ratio."""
    assert paired_ratio([11, 22, 44], [10, 20, 40]).value == pytest.approx(1.1)
    assert paired_difference([3, 5, 9], [1, 2, 3]).value == 3
    with pytest.raises(ValueError):
        paired_ratio([1, 2], [1])


def test_a_quantile_is_a_value_that_was_measured() -> None:
    assert quantile(range(1, 101), 0.99) == 99
    assert quantile([3.0, 1.0, 2.0], 0.99) == 3.0 and quantile([5.0], 0.5) == 5.0
    with pytest.raises(ValueError, match="no measurement"):
        quantile([], 0.5)


def test_every_arm_runs_once_a_round_and_each_comes_first_in_turn() -> None:
    order: list[str] = []

    def run(name: str) -> str:
        order.append(name)
        return name

    found = interleaved([(name, partial(run, name)) for name in "abc"], 4)
    assert "".join(order) == "abcbcacababc"
    assert found == {name: [name] * 4 for name in "abc"}


# --- the line ------------------------------------------------------------------------------------


def figure(value: float, mark: float | None, *, more: bool = False) -> Part:
    return part("figure", Estimate(value, value, value, 0.96), "x", mark, wants="more" if more else "less")


def test_a_figure_keeps_to_its_mark_or_does_not() -> None:
    assert figure(1.03, 1.03).ok and not figure(1.031, 1.03).ok
    assert figure(1.0, 1.0, more=True).ok and not figure(0.9999, 1.0, more=True).ok
    assert figure(inf, None).ok


def test_the_line_is_one_json_object_with_the_agreed_fields() -> None:
    figures = (figure(1.01, 1.03), figure(1.2, 1.1), figure(9.0, None))
    whole = result("overhead", figures, 9, "make bench-overhead")
    text = line(whole)
    read = json.loads(text)
    assert "\n" not in text
    assert {"name", "value", "unit", "mark", "ok", "baseline", "runs", "machine"} <= set(read)
    # the part that missed its mark decides
    assert (read["value"], read["mark"], read["ok"], read["runs"]) == (1.2, 1.1, False, 9)


def test_of_parts_that_all_keep_their_marks_the_nearest_decides() -> None:
    whole = result("x", (figure(0.1, 1.0), figure(0.9, 1.0)), 1, "make")
    assert whole.ok and whole.value == 0.9
    with pytest.raises(ValueError, match="no part has a mark"):
        result("x", (figure(1, None),), 1, "make")


def test_the_table_replaces_what_stood_between_its_marks_and_nothing_else() -> None:
    text = table([result("overhead", (figure(1.2, 1.1),), 9, "make bench-overhead")])
    assert "| overhead: figure | 1.2 x | 1.2 to 1.2 (96%) | 1.1 | no |  |" in text
    assert "`make bench-overhead`: 9 runs, " in text
    readme = "# bench\n<!-- results -->\nold\n<!-- end of results -->\nrest\n"
    assert with_table(readme, "new") == "# bench\n<!-- results -->\nnew\n<!-- end of results -->\nrest\n"
    with pytest.raises(ValueError, match="results"):
        with_table("# bench\n", "new")


def test_the_readme_has_a_place_for_the_table() -> None:
    readme = (Path(__file__).parents[2] / "bench" / "README.md").read_text()
    assert "new table" in with_table(readme, "new table")


# --- overhead ------------------------------------------------------------------------------------


def test_overhead_counts_the_collector_and_takes_out_starting_and_stopping() -> None:
    """10 s of work become 10.2 s, the collector takes 0.3 s meanwhile, and starting costs 0.5 s."""
    found = parts(
        "build",
        1.03,
        {
            "alone": [Sample(10, 10)] * 9,
            "control": [Sample(10, 10)] * 9,
            "floor": [Sample(10.1, 10.1)] * 9,
            "traced": [Sample(11.0, 10.2)] * 9,
            "nothing": [Sample(0, 0)] * 9,
            "start": [Sample(0.5, 0)] * 9,
        },
    )
    values = {one.name: one.value for one in found}
    assert values["build"] == pytest.approx(1.05) and not found[0].ok and found[0].baseline == 1
    assert values["build, floor: empty programs on the same hooks"] == pytest.approx(1.01)
    assert values["build, with start and stop"] == pytest.approx(1.1)
    assert values["build, the work's own CPU"] == pytest.approx(1.02)
    assert values["build, the collector's CPU meanwhile"] == pytest.approx(0.3)


def test_a_ratio_within_the_control_is_not_claimed() -> None:
    noisy = [Sample(10 + n % 3, 10) for n in range(9)]
    still = [Sample(10, 10)] * 9
    none = [Sample(0, 0)] * 9
    arms = {"alone": still, "control": noisy, "floor": still, "traced": noisy, "nothing": none, "start": none}
    assert parts("build", 1.03, arms)[0].note == "not told apart from the control"


# --- facts ---------------------------------------------------------------------------------------

RUN = Operations("/bench/operations", "/bin/true", "/w", 2, {"inet": 4000, "inet6": 6000})


def events() -> list[AnyEvent]:
    """What a collector that misses nothing says of RUN, written out by hand."""
    out: list[AnyEvent] = []
    root, pid = "1:1", 1

    def fork(parent: str) -> str:
        nonlocal pid
        pid += 1
        out.append(Fork(session="s", ts=0, process=parent, child=f"{pid}:1"))
        return f"{pid}:1"

    def exit_(process: str, status: int) -> None:
        out.append(Exit(session="s", ts=0, process=process, status=status))

    def exec_(process: str, *argv: str) -> None:
        path = argv[0] if argv[0] != "true" else "/bin/true"
        out.append(Exec(session="s", ts=0, process=process, parent="0:0", path=path, argv=argv, cwd="/"))

    def file(op: str, path: str, new: str | None = None, errno: int = 0, ino: int = 0) -> None:
        out.append(
            File(session="s", ts=0, process=root, op=op, path=path, new_path=new, errno=errno, ino=ino)  # type: ignore[arg-type]
        )

    exec_(root, "/bench/operations", "/w", "2")
    for i in range(2):
        exit_(fork(root), i)
        middle = fork(root)
        exit_(fork(middle), 7)
        exit_(middle, 8)
        child = fork(root)
        exec_(child, "true", f"tag-{i}")
        exit_(child, 0)
        out.append(_exec_failed(root, i))
        file("create", f"/w/f{i}", ino=100 + i)
        file("read", f"/w/missing{i}", errno=2)
        file("link", f"/w/f{i}", f"/w/l{i}")
        file("symlink", f"f{i}", f"/w/s{i}")
        file("mkdir", f"/w/d{i}")
        file("chmod", f"/w/f{i}")
        file("truncate", f"/w/f{i}")
        file("rename", f"/w/f{i}", f"/w/r{i}")
        file("unlink", f"/w/l{i}")
    file("create", "/w/ports", ino=200)
    file("create", "/elsewhere", ino=300)
    out.append(Reads(session="s", ts=0, rows=packed(Opening(root, 0, ino, 1) for ino in (100, 101, 999))))
    for family, address, port in (("inet", "127.0.0.1", 4000), ("inet6", "::1", 6000)):
        out += _network(root, family, address, port)
    exit_(root, 0)
    out.append(SessionEnd(session="s", ts=0))
    return out


def _exec_failed(process: str, i: int) -> AnyEvent:
    from polygraph.events import ExecFailed

    return ExecFailed(session="s", ts=0, process=process, path=f"/no-such-{i}", errno=2)


def _network(root: str, family: str, address: str, port: int) -> list[AnyEvent]:
    def net(op: str, **fields: object) -> AnyEvent:
        return Net(session="s", ts=0, process=root, op=op, family=family, **fields)  # type: ignore[arg-type]

    def flow(sent: int, received: int, *, closed: bool) -> AnyEvent:
        return Flow(
            session="s", ts=0, process=root, socket=1, address=address, port=port, family=family,  # type: ignore[arg-type]
            sent=sent, received=received, closed=closed,
        )  # fmt: skip

    out = [net("bind", local_address=address), net("listen", local_address=address, local_port=port)]
    for _ in range(2):
        out += [
            net("connect", address=address, port=port),
            net("accept", local_address=address, local_port=port, port=5555),
            flow(0, 0, closed=False),
            flow(10, 0, closed=True),
            flow(0, 10, closed=True),
            net("connect", address=address, port=port, errno=111),
        ]
    return out


def test_a_whole_record_of_the_operations_scores_one() -> None:
    found = score(performed(RUN), told(events(), "/w"), NONE_LOST)
    assert found.share == 1 and found.exact == found.done and not found.missing and not found.invented


@pytest.mark.parametrize("index", range(len(events())))
def test_every_event_that_is_missing_is_noticed(index: int) -> None:
    """All but what the operations did not do: a file elsewhere, a flow that is only under way."""
    seen = events()
    gone = seen.pop(index)
    found = score(performed(RUN), told(seen, "/w"), NONE_LOST)
    elsewhere = isinstance(gone, File) and gone.path == "/elsewhere"
    under_way = isinstance(gone, Flow) and not gone.closed
    assert (found.share < 1) != (elsewhere or under_way)


def test_what_is_missing_and_counted_as_lost_in_its_dimension_is_accounted_for() -> None:
    seen = [event for event in events() if not (isinstance(event, File) and event.op == "rename")]
    counted = Loss(session="s", ts=1, dimension="file", cause="ring_full", count=2, since=0)
    other = Loss(session="s", ts=1, dimension="process", cause="ring_full", count=2, since=0)
    assert score(performed(RUN), told(seen, "/w"), losses([counted])).share == 1
    assert score(performed(RUN), told(seen, "/w"), losses([other])).missing == Counter(rename=2)


def test_what_was_told_and_never_done_counts_against() -> None:
    done: Counter[Fact] = Counter({("unlink", "/w/a", None, 0): 1})
    said: Counter[Fact] = Counter({("unlink", "/w/a", None, 0): 2})
    found = score(done, said, Counter({"file": 5}))
    assert found.share == 0.5 and found.invented == Counter(unlink=1)


def test_a_wrong_result_is_missing_and_invented() -> None:
    done: Counter[Fact] = Counter({("read", "/w/a", None, 2): 1})
    said: Counter[Fact] = Counter({("read", "/w/a", None, 0): 1})
    assert score(done, said, NONE_LOST).share == 0


# --- running -------------------------------------------------------------------------------------


def test_the_cost_of_a_command_holds_its_children_and_what_it_left_behind(tmp_path: Path) -> None:
    """An orphan that computes after the command's end is waited for and counted."""
    orphan = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done"
    with workplace() as place:
        note = place / "note"
        env = environment(place)
        cost = measured(timed(("sh", "-c", f"({orphan}) & exit 0"), note), tmp_path, env)
        seen = inside(note)
    assert cost.began <= seen.began <= seen.ended <= cost.ended
    assert cost.cpu > seen.cpu >= 0 and cost.memory > 0


def test_a_command_that_fails_is_no_measurement(tmp_path: Path) -> None:
    with workplace() as place, pytest.raises(BenchError, match="ended with 3: said"):
        measured(("sh", "-c", "echo said; exit 3"), tmp_path, environment(place))


def test_the_workload_does_not_see_make(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MAKEFLAGS", "-j8")
    env = environment(tmp_path)
    assert not any(name.startswith("MAKE") for name in env) and env["POLYGRAPH_HOME"] == str(tmp_path)


def test_the_operations_succeed_on_their_own(tmp_path: Path) -> None:
    """What the benchmark counts is only what the program really did: it ends with 1 otherwise."""
    with workplace() as place:
        measured((native("operations"), tmp_path, "3"), tmp_path, environment(place))
    made = {f"{kind}{n}" for kind in "drs" for n in range(3)}
    assert {path.name for path in tmp_path.iterdir()} == made | {"ports"}


# --- the model and its agent -----------------------------------------------------------------------


@pytest.mark.parametrize("workload", [CALLS, STREAMS, BARE_CALLS], ids=lambda workload: workload.name)
def test_requests_and_answers_of_the_calls_have_the_size_that_is_claimed(
    workload: Workload, tmp_path: Path
) -> None:
    """The agent does the whole script on its own; what arrived at the model is looked at."""
    workload.prepare(tmp_path)
    script = calls_script(tmp_path / "module.py", calls=5)
    with Model(script) as served:
        argv = (*workload.argv, served.url, str(served.ca_file))
        measured(argv, tmp_path, environment(tmp_path / "store"))
        sizes = [len(request.body) for request in served.requests]
        assert served.finished and len(served.sent) == 5
    answers = [len(json.dumps(body("openai.chat", answer, {}, "t"))) for answer in script.answers]
    # the first request has no history yet, and the last answer no call
    assert all(abs(size - SIZE) < SIZE * 0.05 for size in answers)
    assert all(size >= SIZE for size in sizes[1:])


def test_the_session_of_an_agent_leaves_its_commit(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    SESSION.prepare(folder)
    with SESSION.around(folder) as words:
        measured((*SESSION.argv, *words), folder, environment(tmp_path / "store"))
    log = subprocess.run(
        ["git", "log", "--format=%s"], cwd=folder, capture_output=True, text=True, check=True
    ).stdout
    assert log.split("\n")[:2] == ["Simplify f", "x"]


def test_an_agent_that_ends_before_its_script_is_no_measurement(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="0 of 3"), model(calls_script(tmp_path / "m.py", calls=3)):
        assert (tmp_path / "m.py").exists()


def test_the_claims_of_an_agent_get_a_verdict_each(tmp_path: Path) -> None:
    """And none is waited for in vain: the figure is checked for its sign only."""
    with workplace() as place:
        found = latency_run(place, 0, 3)
    assert len(found) == 3 and all(seconds > 0 for seconds in found)


def test_lines_of_a_pipe_have_a_time_each(tmp_path: Path) -> None:
    lines: list[tuple[int, bytes]] = []
    with reader(tmp_path / "fifo", lines), (tmp_path / "fifo").open("wb") as writer:
        writer.write(b"one\ntwo\n")
    assert [text for _at, text in lines] == [b"one\n", b"two\n"]
    assert 0 < lines[0][0] <= lines[1][0]


# --- the floor -------------------------------------------------------------------------------------


def test_the_floor_has_a_program_for_every_hook_of_polygraph() -> None:
    """Programs that attach by their own section need one that does nothing each."""
    assert set(RAW) == {program.name for program in PROGRAMS if not program.tracepoints}


def test_the_floor_holds_as_many_hooks_as_the_table_has() -> None:
    wanted = sum(len(program.tracepoints or (program.name,)) for program in FIRST)
    optional = sum(len(program.optional) for program in FIRST)
    with floor(sys.executable) as hooks:
        assert hooks > wanted - optional  # and those in the interpreter's TLS library
