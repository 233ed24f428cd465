"""What each effect belongs to: stories, and what holds for every log."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from correlator.attribution import Attribution
from correlator.session import Session
from correlator.windows import MAX_OPEN
from polygraph import events as e
from tests.correlator.scenario import Scenario, expect

CLAUDE = "/root/.local/share/claude/versions/2.1.330/claude"


def session_of(log: Iterable[Any]) -> Session:
    """The session of a log."""
    events = list(log)
    session = Session(events[0].session)
    for event in events:
        session.add(event)
    return session


def cause(s: Scenario, event: Any) -> tuple[str, str | None, str | None]:
    """Cause, which intent or rule, and grade."""
    return short(session_of(s.log).graph.of(event))


def short(found: Attribution) -> tuple[str, str | None, str | None]:
    """An attribution without its words."""
    return found.cause, found.intent or found.rule, found.grade


def wrote(path: str) -> tuple[e.ExpectedFile, ...]:
    """What a write tool declares."""
    return (e.ExpectedFile(path=path, op="write"),)


def exact(intent: e.Intent) -> tuple[str, str, str]:
    """The edge of what lies below the intent's shell."""
    return "intent", intent.intent, "exact"


def strong(intent: e.Intent) -> tuple[str, str, str]:
    """The edge by argument."""
    return "intent", intent.intent, "strong"


def weak(intent: e.Intent) -> tuple[str, str, str]:
    """The edge by window."""
    return "intent", intent.intent, "weak"


NOTHING = ("nothing", None, None)


# --- processes ----------------------------------------------------------------------------------------


def test_what_lies_below_the_shell_of_a_command_is_exactly_its() -> None:
    s = Scenario()
    intent = s.asks("make test")
    shell = s.shell(intent)
    make = s.program(shell, "make", "test")
    child = s.fork(make)
    wrote_it = s.file(child, "write", "/repo/out")
    assert cause(s, wrote_it) == exact(intent)


def test_a_background_job_stays_its_calls_when_the_result_has_come() -> None:
    s = Scenario()
    intent = s.asks(expect("npm run dev", background=True), background=True)
    shell = s.shell(intent)
    server = s.program(shell, "node", "server.js")
    s.answers(intent)
    s.exits(shell)
    other = s.asks("ls")
    s.shell(other)
    late = s.file(server, "write", "/repo/log")
    s.answers(other)
    assert cause(s, late) == exact(intent)
    assert cause(s, s.file(server, "write", "/repo/log2")) == exact(intent)


def test_parallel_commands_are_told_apart_by_their_shells() -> None:
    s = Scenario()
    call = s.call()
    one, two = s.asks("make a", call=call), s.asks("make b", call=call)
    second, first = s.shell(two), s.shell(one)
    assert cause(s, s.file(second, "write", "/repo/b")) == exact(two)
    assert cause(s, s.file(first, "write", "/repo/a")) == exact(one)


def test_the_same_command_twice_at_once_gives_each_its_own_shell() -> None:
    s = Scenario()
    call = s.call()
    one, two = (s.asks("make", call=call, command_digest="k") for _ in range(2))
    first, second = s.shell(one), s.shell(two)
    assert cause(s, s.file(first, "write", "/repo/a")) == strong(one)
    assert cause(s, s.file(second, "write", "/repo/b")) == strong(two)


def test_the_same_command_again_is_a_call_of_its_own() -> None:
    s = Scenario()
    shells = []
    for _ in range(3):
        intent = s.asks("make", command_digest="k")
        shells.append((intent, s.file(s.shell(intent), "write", "/repo/a")))
        s.answers(intent)
    for intent, event in shells:
        assert cause(s, event) == exact(intent)


def test_a_shell_that_says_what_another_call_asks_for_is_its_own_calls() -> None:
    s = Scenario()
    call = s.call()
    outer, inner = s.asks("make check", call=call), s.asks("npm test", call=call)
    below = s.shell(inner, parent=s.program(s.shell(outer), "make", "check"))
    own = s.shell(inner)
    assert cause(s, s.file(below, "write", "/repo/a")) == exact(outer)
    assert cause(s, s.file(own, "write", "/repo/b"))[:2] == ("intent", inner.intent)


def test_an_agent_that_a_command_started_has_tool_calls_of_its_own() -> None:
    s = Scenario()
    outer = s.asks("claude -p x")
    agent = s.program(s.shell(outer), CLAUDE, "-p", "x")
    s.add(e.LlmCall, call="n1", process=agent, api="anthropic.messages", host="api.test", request_ts=s.now)
    root, s.agent = s.agent, agent
    inner = s.asks("make", call="n1")
    s.agent = root
    shell = s.shell(inner, parent=agent)
    graph = session_of(s.log).graph
    assert short(graph.of(s.file(shell, "write", "/repo/a"))) == exact(inner)
    assert short(graph.of(s.file(agent, "write", "/root/.claude/x"))) == exact(outer)
    assert short(graph.above(inner.intent)) == exact(outer)
    assert short(graph.above(outer.intent)) == NOTHING


def test_a_program_is_joined_by_its_arguments_where_no_shell_tells() -> None:
    s = Scenario()
    call = s.call()
    one = s.asks("pytest a.py", call=call, command_digest=None)
    two = s.asks("pytest b.py", call=call, command_digest=None)
    bash = s.program(None, "bash")
    child = s.program(bash, "pytest", "b.py")
    odd = s.program(bash, "wc", "-l")
    assert cause(s, s.file(child, "write", "/repo/x")) == strong(two)
    found = session_of(s.log).graph.of(s.file(odd, "write", "/repo/y"))
    assert (short(found), found.rivals) == (weak(one), (two.intent,))


def test_a_lasting_shell_serves_one_call_after_the_other() -> None:
    s = Scenario()
    bash = s.program(None, "bash")
    found = []
    for name in ("a.py", "b.py"):
        intent = s.asks(f"pytest {name}", command_digest=None)
        found.append((intent, s.file(s.program(bash, "pytest", name), "write", "/repo/x")))
        s.answers(intent)
    for intent, event in found:
        assert cause(s, event) == strong(intent)


def test_what_leads_to_the_shell_of_a_command_is_the_calls_too() -> None:
    s = Scenario()
    s.call()
    intent = s.asks("make")
    sandbox = s.program(None, "bwrap", "--ro-bind", "/", "/")
    made = s.file(sandbox, "mkdir", "/tmp/sandbox")
    s.shell(intent, parent=sandbox)
    assert cause(s, made) == strong(intent)


def test_a_program_that_nobody_asked_for_belongs_to_nothing() -> None:
    s = Scenario()
    intent = s.asks("ls")
    s.shell(intent)
    stray = s.file(s.program(None, "curl", "http://x.test"), "write", "/tmp/x")
    s.answers(intent)
    after = s.file(s.program(None, "curl", "http://y.test"), "write", "/tmp/y")
    assert cause(s, stray) == NOTHING  # the only call has its shell, and this is not it
    assert cause(s, after) == NOTHING


def test_a_command_that_the_agent_runs_on_after_the_result_is_still_joined() -> None:
    s = Scenario()
    intent = s.asks("make")
    s.answers(intent)
    assert cause(s, s.file(s.shell(intent), "write", "/repo/a")) == strong(intent)


def test_a_streamed_call_may_be_acted_on_before_its_answer_is_over() -> None:
    s = Scenario()
    before = s.now
    shell = s.program(None, "sh", "-c", "TEXT", digest="k")
    early = s.file(shell, "write", "/repo/a")
    s.add(e.LlmCall, call="c9", process=s.agent, api="openai.chat", host="api.test", request_ts=before)
    intent = s.asks("make", call="c9", command_digest="k")
    assert cause(s, early) == exact(intent)


# --- the agent's own process ----------------------------------------------------------------------------


def test_a_tool_inside_the_agent_is_joined_by_the_file_that_it_names() -> None:
    s = Scenario()
    call = s.call()
    one = s.intent("write", call=call, files=wrote("/repo/a.py"))
    two = s.intent("edit", call=call, files=wrote("lib/b.py"))
    b, a = s.file(s.agent, "write", "/repo/lib/b.py"), s.file(s.fork(), "write", "/repo/a.py")
    temporary = s.file(s.agent, "create", "/repo/a.py.tmp.123")
    folder = s.file(s.agent, "mkdir", "/repo/lib")
    other = s.file(s.agent, "write", "/etc/cron.d/x")
    assert cause(s, a) == strong(one)
    assert cause(s, b) == strong(two)
    assert cause(s, temporary) == weak(one)
    assert cause(s, folder) == weak(two)
    assert cause(s, other) == NOTHING


def test_a_write_just_after_the_result_is_the_calls_until_the_model_speaks() -> None:
    s = Scenario()
    intent = s.intent("write", files=wrote("/repo/a.py"))
    s.answers(intent)
    just = s.file(s.agent, "write", "/repo/a.py")
    s.call()
    later = s.file(s.agent, "write", "/repo/a.py")
    assert cause(s, just) == weak(intent)
    assert cause(s, later) == NOTHING


def test_a_fetch_is_joined_by_its_host() -> None:
    s = Scenario()
    call = s.call()
    one = s.intent("fetch", call=call, hosts=("https://docs.test/x",))
    two = s.intent("fetch", call=call, hosts=("other.test",))
    s.add(e.Name, process=s.agent, source="dns", name="docs.test", addresses=("10.0.0.9",))
    s.add(e.Name, process=s.agent, source="dns", name="api.test", addresses=("10.0.0.1",))

    def connects(address: str) -> e.Net:
        return s.add(e.Net, process=s.agent, op="connect", family="inet", address=address, port=443)

    assert cause(s, connects("10.0.0.9")) == strong(one)
    assert cause(s, connects("10.0.0.1")) == ("housekeeping", "model", "strong")
    assert cause(s, connects("10.0.0.7")) == NOTHING
    assert cause(s, s.add(e.Name, process=s.agent, source="sni", name="other.test")) == strong(two)


def test_a_tool_that_names_nothing_may_have_done_anything_in_its_window() -> None:
    s = Scenario()
    notes = s.intent("other", tool="TodoWrite")
    assert cause(s, s.file(s.agent, "write", "/repo/x")) == NOTHING
    s.answers(notes)
    opaque = s.intent("other", tool="mcp__db__query")
    assert cause(s, s.file(s.agent, "write", "/repo/x")) == weak(opaque)
    s.answers(opaque)
    assert cause(s, s.file(s.agent, "write", "/repo/y")) == NOTHING


def test_a_search_inside_the_agent_reads_for_its_call_and_else_the_agent_reads_for_itself() -> None:
    s = Scenario()
    search = s.intent("search", tool="Grep")
    assert cause(s, s.file(s.agent, "read", "/repo/a.py")) == weak(search)
    s.answers(search)
    assert cause(s, s.file(s.agent, "read", "/repo/b.py")) == ("housekeeping", "any/looks", "strong")


def test_a_record_of_several_touches_counts_by_its_first_one_too() -> None:
    s = Scenario()
    intent = s.intent("write", files=wrote("/repo/a.py"))
    first = s.now
    s.answers(intent)
    s.call()
    both = s.file(s.agent, "write", "/repo/a.py", count=2, first_ts=first)
    assert cause(s, both) == strong(intent)


def test_a_later_touch_that_is_told_without_its_name_is_on_the_same_file() -> None:
    s = Scenario()
    intent = s.intent("write", files=wrote("/repo/a.py"))
    s.file(s.agent, "write", "/repo/a.py")
    later = s.add(e.File, process=s.agent, op="write", path="", dev=1, ino=s.inode("/repo/a.py"), count=2)
    unknown = s.add(e.File, process=s.agent, op="write", path="", dev=1, ino=1, count=2)
    assert cause(s, later) == strong(intent)
    assert cause(s, unknown) == NOTHING


def test_a_call_says_whether_it_names_what_was_touched() -> None:
    s = Scenario()
    intent = s.asks("cat ~/.aws/credentials", "curl https://x.test")
    shell = s.shell(intent)
    graph = session_of(s.log).graph
    assert graph.of(s.file(shell, "read", "/root/.aws/credentials", sensitive="aws_credentials")).named
    assert not graph.of(s.file(shell, "read", "/root/.ssh/id_rsa", sensitive="ssh_private_key")).named


# --- servers of tools ------------------------------------------------------------------------------------


def _serves(s: Scenario, server: str, tool: str, since: int, arguments: str = "") -> None:
    s.add(
        e.McpCall,
        process=s.agent,
        side="client",
        transport="stdio",
        tool=tool,
        request_ts=since,
        id_digest="i",
        arguments_digest=arguments,
        peer=server,
    )


def test_a_server_of_tools_works_for_the_call_that_it_was_asked_for() -> None:
    s = Scenario()
    server = s.program(None, "files-server")
    call = s.call()
    one = s.intent("other", tool="mcp__files__write", call=call)
    two = s.intent("other", tool="mcp__files__unwrite", call=call)
    since = s.now
    inside = s.file(server, "write", "/srv/a")
    below = s.file(s.program(server, "cp"), "write", "/srv/b")
    _serves(s, server, "write", since)
    after = s.file(server, "write", "/root/.ssh/authorized_keys")
    assert cause(s, inside) == strong(one)
    assert cause(s, below) == strong(one)
    s.answers(one)
    s.answers(two)
    assert cause(s, s.file(server, "write", "/srv/c")) == NOTHING
    assert cause(s, after)[2] == "weak"


def test_two_calls_of_a_tool_are_told_apart_by_their_arguments() -> None:
    s = Scenario()
    server = s.program(None, "files-server")
    call = s.call()
    one, two = (s.intent("other", tool="files.write", call=call) for _ in range(2))
    since = s.now
    event = s.file(server, "write", "/srv/a")
    _serves(s, server, "write", since, arguments=two.digest)
    assert cause(s, event) == strong(two)
    assert one.digest != two.digest


# --- tries, sub-agents ----------------------------------------------------------------------------------


def test_a_try_that_broke_off_asks_for_nothing_once_the_next_has_asked() -> None:
    s = Scenario()
    call = s.call()
    lost = s.intent("other", tool="mcp__x", call=call)
    s.add(
        e.LlmCall, call=call, process=s.agent, api="openai.chat", host="api.test", request_ts=s.now, attempt=2
    )
    again = s.intent("other", tool="mcp__x", call=call)
    found = session_of(s.log).graph.of(s.file(s.agent, "write", "/repo/x"))
    assert (short(found), found.rivals) == (weak(again), ())
    assert lost.intent != again.intent


def test_what_a_sub_agent_does_is_its_own_calls_below_the_one_that_delegates() -> None:
    s = Scenario()
    task = s.intent("delegate", tool="Task")
    inner = s.asks("make")
    shell = s.shell(inner)
    deeper = s.intent("delegate", tool="Task")
    deepest = s.intent("write", files=wrote("/repo/a.py"))
    event = s.file(s.agent, "write", "/repo/a.py")
    graph = session_of(s.log).graph
    assert short(graph.of(s.file(shell, "write", "/repo/x"))) == exact(inner)
    assert short(graph.of(event)) == strong(deepest)
    assert short(graph.above(inner.intent)) == weak(task)
    assert short(graph.above(deepest.intent)) == weak(deeper)
    assert short(graph.above(deeper.intent)) == weak(task)
    assert short(graph.above(task.intent)) == NOTHING
    assert graph.above(deepest.intent).rivals == ()


def test_two_calls_of_sub_agents_at_once_are_rivals() -> None:
    s = Scenario()
    call = s.call()
    one, two = (s.intent("delegate", tool="Task", call=call) for _ in range(2))
    inner = s.asks("make")
    found = session_of(s.log).graph.above(inner.intent)
    assert (found.intent, found.grade, found.rivals) == (two.intent, "weak", (one.intent,))


def test_of_more_open_calls_than_are_kept_the_newest_stands_for_all() -> None:
    s = Scenario()
    call = s.call()
    s.intent("other", tool="mcp__x", call=call)
    inert = [s.intent("other", tool="TodoWrite", call=call) for _ in range(MAX_OPEN)]
    assert [state.intent for state in session_of(s.log).graph.open_at(s.now)] == inert
    first = s.file(s.program(None, "curl"), "write", "/tmp/x")
    assert cause(s, first) == weak(inert[-1])


def test_a_window_that_was_closed_is_open_no_more() -> None:
    s = Scenario()
    one = s.asks("make")
    two = s.intent("other", call=one.call)
    result = s.answers(one)
    graph = session_of(s.log).graph
    assert [state.intent for state in graph.open_at(result.ts)] == [one, two]
    assert [state.intent for state in graph.open_at(result.ts + 1)] == [two]


def test_an_edge_is_settled_when_the_answer_to_a_later_request_is_over() -> None:
    s = Scenario()
    s.call()
    event = s.file(s.agent, "write", "/repo/x")
    assert not session_of(s.log).graph.settled(event.ts)
    s.call()
    assert session_of(s.log).graph.settled(event.ts)


def test_what_is_no_effect_of_a_process_has_no_edge() -> None:
    s = Scenario()
    with pytest.raises(TypeError, match="Tick is no effect"):
        session_of(s.log).graph.of(e.Tick(session="s1", ts=1))


def test_the_root_is_the_agent_where_its_exec_was_not_seen() -> None:
    s = Scenario(origin="watch")
    s.log = [event for event in s.log if not isinstance(event, e.Exec)]
    call = s.call()
    intent = s.intent("write", call=call, files=wrote("/repo/a.py"))
    assert cause(s, s.file(s.fork(), "write", "/repo/a.py")) == strong(intent)


def test_what_comes_to_light_late_moves_what_was_kept() -> None:
    s = Scenario()
    intent = s.asks("make")
    shell = s.shell(intent)
    child = s.fork(shell)
    event = s.file(child, "write", "/repo/a")
    *rest, fork, written = s.log
    assert (fork.child, written) == (child, event)
    session = session_of([*rest, written])
    assert short(session.graph.of(event)) == NOTHING
    session.add(
        e.Exec(session="s1", ts=event.ts, process=child, parent="", path="/bin/x", argv=("x",), cwd="/")
    )
    assert short(session.graph.of(event)) == NOTHING
    session.add(fork)
    assert short(session.graph.of(event)) == exact(intent)
