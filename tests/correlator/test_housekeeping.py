"""What agents do of themselves: the table, and what it buys whom."""

from __future__ import annotations

from typing import Any

import pytest

from correlator import housekeeping
from correlator.attribution import Arguments
from polygraph import events as e
from tests.correlator.scenario import Scenario
from tests.correlator.test_graph import NOTHING, cause, session_of, short, strong, wrote

CLAUDE = "/root/.local/node_modules/@anthropic-ai/claude-code-linux-x64/claude"
NODE = "/usr/bin/node"
AIDER = "/home/u/.venv/bin/aider"


def claude(**how: Any) -> Scenario:
    """A session of Claude Code that has asked its model once."""
    s = Scenario(agent=(CLAUDE,), **how)
    s.call()
    return s


def row(agent: str, name: str) -> tuple[str, str, str]:
    """The edge that a row of the table gives."""
    return "housekeeping", f"{agent}/{name}", "strong"


# --- the table ------------------------------------------------------------------------------------------


def test_each_row_says_what_it_covers_and_each_agent_is_known_by_something() -> None:
    table = housekeeping.housekeeping()
    for name, agent in table.agents.items():
        assert agent.seen, name
        assert bool(agent.files) == (name != housekeeping.ANY), name
        for title, one in agent.rows.items():
            assert one.why and one.why[-1] != ".", (name, title)
            assert one.reads or one.writes or one.programs or one.hosts, (name, title)
            assert not (one.trusted and (one.programs or one.hosts)), (name, title)


def test_no_row_covers_what_hurts_unless_it_says_so() -> None:
    for path in (
        "/home/u/.bashrc",
        "/repo/.git/hooks/pre-commit",
        "/home/u/.ssh/authorized_keys",
        "/etc/cron.d/x",
    ):
        for agent in housekeeping.housekeeping().agents:
            effect = Arguments(paths=(path,), op="write")
            assert housekeeping.dangerous(effect, ("/repo",))
            assert housekeeping.own_effect((agent,), effect, (), ("/repo",)) is None, (agent, path)


@pytest.mark.parametrize(
    ("pattern", "path", "holds"),
    [
        ("~/.claude/**", "/root/.claude/projects/a/b.jsonl", True),
        ("~/.claude/**", "/tmp/run-1/home/.claude/x", True),
        ("~/.claude/**", "/repo/.claude/settings.json", False),
        ("~/.claude/**", "/repo/sub/.claude/x", False),
        ("~/.claude/**", "/.claude/x", True),
        ("~/.claude/**", "/root/.claude-evil/x", False),
        ("~/.claude.json*", "/root/.claude.json.tmp.1", True),
        ("./.aider*", "/repo/.aider.chat.history.md", True),
        ("./.aider*", "/repo/sub/.aider.x", False),
        ("./.aider*", "/home/u/.aider.x", False),
        ("/tmp/claude-*/**", "/tmp/claude-0/a/b", True),
        ("/tmp/claude-*/**", "/tmp/other/claude-0/a", False),
        ("**/.git/hooks/**", "/repo/.git/hooks/pre-commit", True),
        ("**/*.pth", "/usr/lib/x/evil.pth", True),
        ("/dev/**", "/dev/null", True),
    ],
)
def test_patterns_of_paths(pattern: str, path: str, holds: bool) -> None:
    assert housekeeping.matches((pattern,), path, ("/repo",)) is holds


def test_a_home_that_is_the_workspace_still_holds_the_agents_files() -> None:
    assert housekeeping.matches(("~/.claude/**",), "/home/u/.claude/x", ("/home/u",))
    assert not housekeeping.matches(("~/.claude/**",), "/home/u/project/.claude/x", ("/home/u",))


@pytest.mark.parametrize(
    ("path", "script", "argv", "agents"),
    [
        (CLAUDE, None, ("claude", "-p"), ["claude-code"]),
        (NODE, None, ("node", "/x/node_modules/@google/gemini-cli/bundle/gemini.js"), ["gemini-cli"]),
        ("/usr/bin/python3.11", AIDER, ("python", AIDER), ["aider"]),
        ("/usr/bin/python3.11", None, ("python", "-m", "aider"), ["aider"]),
        ("/tmp/x", None, ("claude", "-p"), []),
        ("/tmp/notclaude-code-linux-x64/claude-x", None, ("claude",), []),
    ],
)
def test_an_agent_is_known_by_the_file_that_runs_not_by_its_name(
    path: str, script: str | None, argv: tuple[str, ...], agents: list[str]
) -> None:
    image = e.Exec(session="s", ts=1, process="1:1", parent="", path=path, argv=argv, cwd="/", script=script)
    assert housekeeping.agents_of(image) == agents


# --- what it buys ----------------------------------------------------------------------------------------


def test_an_agents_own_state_is_its_housekeeping() -> None:
    s = claude()
    assert cause(s, s.file(s.agent, "write", "/root/.claude/todos/x.json")) == row("claude-code", "state")
    assert cause(s, s.file(s.fork(), "mkdir", "/tmp/claude-0/tasks")) == row("claude-code", "scratch")
    assert cause(s, s.file(s.agent, "write", "/root/.codex/x")) == NOTHING
    assert cause(s, s.file(s.agent, "write", "/srv/data")) == NOTHING


def test_everything_before_the_first_request_is_housekeeping_but_what_hurts() -> None:
    s = Scenario()
    helper = s.program(None, "uname", "-a")
    events = [
        s.file(s.agent, "write", "/var/lib/agent/state"),
        s.file(helper, "write", "/tmp/x"),
        s.add(e.Net, process=s.agent, op="connect", family="inet", address="10.9.9.9", port=443),
    ]
    key = s.file(s.agent, "read", "/root/.aws/credentials", sensitive="aws_credentials")
    cron = s.file(helper, "write", "/etc/cron.d/x")
    s.call()
    assert [cause(s, event) for event in events] == [("housekeeping", "startup", "strong")] * 3
    assert cause(s, key) == NOTHING
    assert cause(s, cron) == NOTHING
    assert cause(s, s.file(s.agent, "write", "/var/lib/agent/state")) == NOTHING


def test_a_credential_is_housekeeping_only_where_a_row_says_so() -> None:
    s = claude()
    own = s.file(s.agent, "read", "/root/.claude/.credentials.json", sensitive="x")
    ca = s.file(s.agent, "read", "/etc/ssl/certs/x.pem", sensitive="private_key")
    other = s.file(s.agent, "read", "/root/.aws/credentials", sensitive="aws_credentials")
    plain = s.file(s.agent, "read", "/repo/README.md")
    assert cause(s, own) == row("claude-code", "credentials")
    assert cause(s, ca) == row("any", "trust")
    assert cause(s, other) == NOTHING
    assert cause(s, plain) == row("any", "looks")


def test_a_probe_of_git_is_housekeeping_with_what_git_writes_of_itself_and_no_more() -> None:
    s = claude()
    probe = s.program(None, "git", "-c", "core.fsmonitor=", "status", "--porcelain", path="/usr/bin/git")
    lock = s.file(probe, "create", "/repo/.git/index.lock")
    other = s.file(probe, "write", "/repo/src/a.py")
    hook = s.file(s.program(probe, "sh"), "write", "/repo/.git/hooks/pre-commit")
    sends = s.add(e.Net, process=probe, op="connect", family="inet", address="10.9.9.9", port=443)
    assert cause(s, lock) == row("claude-code", "git")
    assert cause(s, other) == cause(s, hook) == cause(s, sends) == NOTHING
    assert cause(s, s.file(s.program(None, "git", "push"), "write", "/repo/.git/x")) == NOTHING


def test_a_program_that_a_call_asks_for_is_the_calls_and_no_probe() -> None:
    s = claude()
    intent = s.asks("git status", command_digest=None)
    probe = s.program(None, "git", "status", path="/usr/bin/git")
    assert cause(s, s.file(probe, "create", "/repo/.git/index.lock")) == strong(intent)


def test_a_tool_call_on_the_agents_own_files_is_the_calls() -> None:
    s = claude()
    intent = s.intent("write", files=wrote("/root/.claude/settings.json"))
    assert cause(s, s.file(s.agent, "write", "/root/.claude/settings.json")) == strong(intent)
    s.answers(intent)
    s.call()
    assert cause(s, s.file(s.agent, "write", "/root/.claude/settings.json")) == NOTHING


def test_a_process_that_names_itself_like_an_agent_buys_nothing() -> None:
    s = Scenario()
    s.call()
    named = s.program(None, "claude", path="/tmp/x/claude")
    s.file(s.agent, "write", "/tmp/@anthropic-ai/claude-code-linux-x64/claude")
    made = s.program(None, "claude", path="/tmp/@anthropic-ai/claude-code-linux-x64/claude")
    s.add(e.LlmCall, call="x", process=made, api="openai.chat", host="api.test", request_ts=s.now + 5)
    for process in (named, made):
        assert cause(s, s.file(process, "write", "/root/.claude/x")) == NOTHING


def test_a_git_that_was_put_there_in_the_session_is_no_probe() -> None:
    s = claude()
    s.file(s.agent, "write", "/repo/bin/git")
    probe = s.program(None, "git", "status", path="/repo/bin/git")
    assert cause(s, s.file(probe, "write", "/repo/.git/index")) == NOTHING


def test_another_agent_that_begins_later_has_a_start_of_its_own() -> None:
    s = Scenario(agent=("/usr/bin/bash", "agents.sh"))
    s.call()
    gemini = s.program(None, "node", "/opt/@google/gemini-cli/bundle/gemini.js", path=NODE)
    early = s.file(gemini, "write", "/srv/state")
    s.add(e.LlmCall, call="g", process=gemini, api="openai.chat", host="api.test", request_ts=s.now)
    late = s.file(gemini, "write", "/srv/state")
    own = s.file(gemini, "write", "/home/u/.gemini/tmp/x")
    assert cause(s, early) == ("housekeeping", "startup", "strong")
    assert cause(s, late) == NOTHING
    assert cause(s, own) == row("gemini-cli", "state")


def test_what_the_agents_own_command_line_asks_for_is_the_users() -> None:
    s = Scenario(agent=("/opt/bin/agent", "--test-cmd", "text:abc", "--log=out/run.json"))
    s.call()
    shell = s.program(None, "sh", "-c", "text:abc")
    below = s.program(shell, "pytest")
    log = s.file(s.agent, "write", "/repo/out/run.json")
    graph = session_of(s.log).graph
    assert short(graph.of(s.file(below, "write", "/srv/x"))) == ("housekeeping", "command_line", "exact")
    assert short(graph.of(log)) == ("housekeeping", "command_line", "strong")
    assert cause(s, s.file(s.program(None, "sh", "-c", "text:def"), "write", "/srv/x")) == NOTHING


def test_its_own_services_are_an_agents_housekeeping() -> None:
    s = claude()
    s.add(e.Name, process=s.agent, source="dns", name="downloads.claude.ai", addresses=("10.0.0.3",))

    def connects(address: str, port: int = 443) -> e.Net:
        return s.add(e.Net, process=s.agent, op="connect", family="inet", address=address, port=port)

    assert cause(s, connects("10.0.0.3")) == row("claude-code", "service")
    assert cause(s, connects("10.0.0.53", 53)) == row("any", "resolver")
    assert cause(s, connects("10.0.0.4")) == NOTHING
