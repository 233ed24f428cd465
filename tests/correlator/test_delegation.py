"""Work that is given to servers outside the lineage: what was followed counts, what was not is handed off."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from correlator.delegation import forms
from correlator.programs import programs
from polygraph import events as e
from tests.correlator.scenario import VERIFIED, Scenario, refuted, unverifiable
from tests.correlator.test_graph import session_of

Through = Literal["ssh", "tmux", "docker"]
Mark = Literal["connection", "command", "shell", "cgroup"]
MARKS: dict[Through, Mark] = {
    "ssh": "connection",
    "tmux": "command",
    "docker": "cgroup",
}


def delegates(
    s: Scenario,
    by: str,
    through: Through,
    *argv: str,
    status: int | None = 0,
    grade: Literal["exact", "strong"] = "exact",
) -> str:
    """What a server runs for ``by``: a process that nobody of the lineage forked."""
    process = f"{7000 + len(s.log)}:{s.now}"
    s.add(e.Delegated, process=process, by=by, through=through, evidence=MARKS[through], grade=grade)
    s.execs(process, *argv)
    if status is not None:
        s.exits(process, status)
    return process


def hands(
    s: Scenario, argv: tuple[str, ...], through: Through, *ran: str, hand_off: str = "", **how: Any
) -> e.Intent:
    """A whole tool call whose command asks a server for ``ran``."""
    intent = s.asks(" ".join(argv), hand_off=hand_off or through)
    shell = s.shell(intent)
    client = s.program(shell, *argv)
    delegates(s, client, through, *ran, **how)
    s.exits(client, how.get("status", 0) or 0)
    s.exits(shell, how.get("status", 0) or 0)
    s.answers(intent)
    s.tick()
    return intent


ASKED: list[tuple[tuple[str, ...], Through]] = [
    (("ssh", "-p", "22", "localhost", "pytest"), "ssh"),
    (("tmux", "-L", "x", "new-window", "pytest"), "tmux"),
    (("docker", "run", "--rm", "image", "pytest"), "docker"),
]


@pytest.mark.parametrize(("argv", "through"), ASKED)
def test_what_was_followed_is_verified_through_whom(argv: tuple[str, ...], through: Through) -> None:
    s = Scenario()
    hands(s, argv, through, "pytest")
    verdict = s.on(s.passed())
    assert (verdict.verdict, verdict.reason) == VERIFIED
    assert verdict.observed == f"pytest ran and exited with 0, through {through}"
    assert any("was started through" in one.fact for one in verdict.evidence)


@pytest.mark.parametrize(("argv", "through"), ASKED)
def test_a_failure_that_was_followed_refutes(argv: tuple[str, ...], through: Through) -> None:
    s = Scenario()
    hands(s, argv, through, "pytest", status=1)
    verdict = s.on(s.passed())
    assert (verdict.verdict, verdict.reason) == refuted("failed")
    assert verdict.observed.endswith(f", through {through}")


@pytest.mark.parametrize(("argv", "through"), ASKED)
def test_silence_counts_where_all_of_it_was_followed(argv: tuple[str, ...], through: Through) -> None:
    s = Scenario()
    hands(s, argv, through, "ls")
    assert s.says(s.passed()) == refuted("no_execution")


@pytest.mark.parametrize(
    "argv",
    [
        ("ssh", "-L", "1:b:2", "localhost", "ls"),
        ("ssh", "-J", "localhost", "other", "ls"),
        ("tmux", "new-window", "pytest", ";", "new-window", "ls"),
        ("tmux", "send-keys", "-t", "x", "pytest", "Enter"),
        ("docker", "exec", "c", "pytest"),
        ("docker", "compose", "run", "test"),
        ("systemctl", "start", "tests"),
        ("systemd-run", "--unit=u", "pytest"),
        ("ctr", "run", "image", "id", "pytest"),
        ("podman", "run", "image", "pytest"),
    ],
)
def test_a_command_that_asks_for_more_than_was_followed_is_handed_off(argv: tuple[str, ...]) -> None:
    s = Scenario()
    hands(s, argv, "ssh", "ls")
    assert s.says(s.passed()) == unverifiable("handed_off")


def test_one_that_was_followed_does_not_excuse_one_that_was_not() -> None:
    s = Scenario()
    hands(s, ("ssh", "localhost", "ls"), "ssh", "ls")
    s.does("ssh", "elsewhere", "pytest")
    claim = s.passed()
    assert s.says(claim) == unverifiable("handed_off")
    assert "ssh elsewhere pytest hands work to remote" in s.on(claim).observed


def test_what_is_handed_on_by_what_was_followed_is_handed_off() -> None:
    s = Scenario()
    intent = s.asks("ssh localhost ssh other pytest", hand_off="ssh")
    shell = s.shell(intent)
    client = s.program(shell, "ssh", "localhost", "ssh", "other", "pytest")
    there = delegates(s, client, "ssh", "bash", "-c", "TEXT", status=None)
    s.runs(there, "ssh", "other", "pytest")
    for process in (there, client, shell):
        s.exits(process)
    s.answers(intent)
    assert s.says(s.passed()) == unverifiable("handed_off")


def test_a_verdict_is_no_surer_than_the_delegation() -> None:
    s = Scenario()
    intent = s.asks("tmux new-window", hand_off="tmux")
    shell = s.shell(intent)
    client = s.program(shell, "tmux", "new-window")
    there = delegates(s, client, "tmux", "-bash", status=None, grade="strong")
    s.exits(client)
    s.exits(shell)
    s.runs(there, "pytest", status=1)
    s.answers(intent)
    verdict = s.on(s.passed())
    assert (verdict.verdict, verdict.reason, verdict.grade) == ("refuted", "failed", "strong")


def test_a_file_that_was_certainly_written_is_no_surer_either() -> None:
    for delegated, grade in ((True, "strong"), (False, "exact")):
        s = Scenario()
        intent = s.intent(
            "write", files=(e.ExpectedFile(path="/repo/a.py", op="write", digest="w", size=100),)
        )
        there = delegates(s, s.agent, "tmux", "-bash", status=None, grade="strong") if delegated else s.agent
        s.file(there, "write", "/repo/a.py")
        s.answers(intent)
        s.looks(intent, "/repo/a.py", matches=True)
        assert (s.says(intent), s.on(intent).grade) == (VERIFIED, grade)


def test_of_many_facts_through_whom_is_shown_in_any_case() -> None:
    s = Scenario()
    there = delegates(s, s.agent, "tmux", "-bash", status=None)
    names = [f"a{number}.py" for number in range(20)]
    for name in names:
        s.file(there, "write", f"/repo/{name}")
    verdict = s.on(s.claims("file_changed", targets=tuple(names)))
    assert (verdict.verdict, verdict.reason) == VERIFIED
    assert len(verdict.evidence) == 16 and "was started through" in verdict.evidence[-1].fact


def test_what_is_not_known_is_not_told_to_be_through_anybody() -> None:
    s = Scenario()
    hands(s, ("tmux", "new-window", "pytest"), "tmux", "pytest", status=None)
    verdict = s.on(s.passed())
    assert (verdict.verdict, verdict.reason) == unverifiable("still_running")
    assert (verdict.observed, verdict.grade) == ("pytest had not ended", None)


def test_an_edge_of_the_graph_is_no_surer_than_the_delegation() -> None:
    s = Scenario()
    intent = s.asks("tmux new-window", hand_off="tmux")
    client = s.program(s.shell(intent), "tmux", "new-window")
    there = delegates(s, client, "tmux", "-bash", status=None, grade="strong")
    run = s.program(there, "make")
    here = s.program(client, "sleep", "1")
    graph = session_of(s.log).graph
    assert graph.attribute(run, s.now).grade == "strong" and graph.attribute(here, s.now).grade == "exact"
    came = graph.through(run, s.now)
    assert came is not None and came.process == there and graph.through(here, s.now) is None


@pytest.mark.parametrize(("argv", "through"), ASKED)
def test_files_of_what_has_a_root_of_its_own_are_not_missed(argv: tuple[str, ...], through: Through) -> None:
    s = Scenario()
    s.writes("/repo/other.md")  # so that the device is known
    hands(s, argv, through, "ls")
    written = s.claims("file_created", targets=("notes.md",), finds={"notes.md": False})
    expected = unverifiable("handed_off") if through == "docker" else refuted("not_written")
    assert s.says(written) == expected
    read = s.claims("file_read", targets=("main.py",), finds={"main.py": True}, size=100)
    expected = unverifiable("handed_off") if through == "docker" else refuted("not_read")
    assert s.says(read) == expected


def connects(s: Scenario, process: str, peer: int, errno: int = 0) -> None:
    s.add(
        e.Net,
        process=process,
        op="connect",
        family="unix",
        address="/tmp/t",
        errno=errno,
        socket=9,
        peer_pid=peer,
    )


def with_server(s: Scenario) -> int:
    """A tmux server that the session started: its pid."""
    s.call()
    shell = s.program(None, "sh", "-c", "TEXT")
    client = s.program(shell, "tmux", "new-session", "-d")
    connects(s, client, 0, errno=2)
    server = s.fork(client)
    s.exits(client)
    s.exits(shell)
    return int(server.partition(":")[0])


def test_a_server_that_the_session_started_hides_nothing() -> None:
    s = Scenario()
    server = with_server(s)
    shell = s.program(None, "sh", "-c", "TEXT")
    client = s.program(shell, "tmux", "send-keys", "-t", "x", "ls", "Enter")
    connects(s, client, server)
    s.exits(client)
    s.exits(shell)
    assert s.says(s.passed()) == refuted("no_execution")


def test_a_server_of_somebody_else_does_even_beside_one_of_the_sessions() -> None:
    s = Scenario()
    server = with_server(s)
    shell = s.program(None, "sh", "-c", "TEXT")
    client = s.program(shell, "tmux", "-S", "/other", "send-keys", "-t", "x", "pytest", "Enter")
    connects(s, client, server + 1000)
    s.exits(client)
    s.exits(shell)
    assert s.says(s.passed()) == unverifiable("handed_off")


def test_where_connects_were_not_seen_nobody_knows_whose_the_server_is() -> None:
    s = Scenario(covered=("process", "file", "tls", "ipc"))
    with_server(s)
    assert s.says(s.passed()) == unverifiable("handed_off")


# --- MCP servers -----------------------------------------------------------------------------------------


def mcp(s: Scenario, path: str, peer: str | None = None, **call: Any) -> e.Intent:
    """A call of an MCP server's tool that is to write ``path``."""
    files = (e.ExpectedFile(path=path, op="write", digest="w", size=100),)
    intent = s.intent("write", tool="mcp__notes__write_file", hand_off="mcp server", files=files)
    fields = {"transport": "stdio", "id_digest": "i", "arguments_digest": "a", **call}
    s.add(e.McpCall, process=s.agent, side="client", tool="write_file", request_ts=s.now, peer=peer, **fields)
    return intent


def test_what_an_mcp_server_of_the_lineage_did_is_verified() -> None:
    s = Scenario()
    server = s.program(None, "/usr/bin/node", "server.js")
    intent = mcp(s, "/repo/a.md", server)
    s.file(server, "write", "/repo/a.md")
    s.answers(intent)
    s.looks(intent, "/repo/a.md", matches=True)
    assert s.says(intent) == VERIFIED


def test_what_it_was_not_seen_to_do_may_mean_something_else_to_it() -> None:
    s = Scenario()
    server = s.program(None, "/usr/bin/node", "server.js")
    intent = mcp(s, "/repo/a.md", server)
    s.answers(intent)
    s.looks(intent, "/repo/a.md", exists=False)
    assert s.says(intent) == unverifiable("handed_off")
    assert f"MCP server notes at process {server.partition(':')[0]}" in s.on(intent).observed


def test_a_server_over_a_socket_is_named_with_its_address() -> None:
    s = Scenario()
    s.add(
        e.Net,
        process=s.agent,
        op="connect",
        family="inet",
        address="127.0.0.1",
        port=8123,
        errno=0,
        socket=44,
    )
    intent = mcp(s, "/repo/a.md", transport="http", socket=44)
    s.file("900:1", "write", "/repo/a.md")
    s.answers(intent)
    s.looks(intent, "/repo/a.md", matches=True)
    assert s.says(intent) == unverifiable("handed_off")
    assert "MCP server notes at 127.0.0.1:8123" in s.on(intent).observed


def test_a_server_that_listens_in_the_session_is_of_it() -> None:
    s = Scenario()
    server = s.program(None, "/usr/bin/node", "server.js")
    s.add(
        e.Net, process=server, op="listen", family="inet", local_address="127.0.0.1", local_port=8123, errno=0
    )
    s.add(
        e.Net,
        process=s.agent,
        op="connect",
        family="inet",
        address="127.0.0.1",
        port=8123,
        errno=115,
        socket=44,
    )
    intent = mcp(s, "/repo/a.md", transport="http", socket=44)
    s.file(server, "write", "/repo/a.md")
    s.answers(intent)
    s.looks(intent, "/repo/a.md", matches=True)
    assert s.says(intent) == VERIFIED


def test_a_server_that_hands_on_what_it_is_asked_is_not() -> None:
    s = Scenario()
    server = s.program(None, "docker", "run", "-i", "server")
    intent = mcp(s, "/repo/a.md", server)
    s.file(s.agent, "write", "/repo/a.md")
    s.answers(intent)
    s.looks(intent, "/repo/a.md", matches=True)
    assert s.says(intent) == unverifiable("handed_off")


# --- the table, and the trace context --------------------------------------------------------------------


def test_each_form_is_of_a_program_that_hands_work_over() -> None:
    for name, form in forms().items():
        assert name in programs().hand_off
        assert not form.asks & form.idle


def test_the_context_that_a_command_got_is_its_verdicts() -> None:
    s = Scenario()
    intent = s.asks("pytest")
    context = f"00-{'ab' * 16}-{'cd' * 8}-01"
    process = s.fork()
    argv = ("sh", "-c", "TEXT")
    s.add(
        e.Exec, process=process, parent=s.agent, path="/bin/sh", argv=argv, cwd="/repo", traceparent=context,
        command_digest=intent.command_digest,
    )  # fmt: skip
    s.runs(process, "pytest")
    s.exits(process)
    s.answers(intent)
    assert s.on(intent).traceparent == context
    assert s.on(s.passed()).traceparent is None
