"""What nobody asked for is found, by kind; what somebody named, owns or takes for granted is not."""

from __future__ import annotations

from typing import Any

import pytest

from polygraph import events as e
from polygraph.findings import Finding
from tests.correlator.scenario import Scenario, expect

EVIL = "203.0.113.9"
KEY = "/home/u/.ssh/id_ed25519"


class Story(Scenario):
    """A session whose agent has talked to its model once; ``hidden``: a script of the project is run that does more."""

    def __init__(self, **how: Any) -> None:
        super().__init__(**how)
        self.add(e.Name, process=self.agent, source="dns", name="api.test", addresses=("203.0.113.1",))
        self.call()

    def hidden(self, *argv: str) -> tuple[e.Intent, str, str]:
        """``sh build.sh`` runs argv: the tool call, its shell and the program."""
        intent = self.asks("sh build.sh")
        shell = self.shell(intent)
        script = self.program(shell, "sh", "build.sh", path="/usr/bin/dash")
        return intent, shell, self.program(script, *argv)

    def over(self, intent: e.Intent) -> None:
        """The tool call's result, and an answer to it."""
        self.answers(intent)
        self.call()
        self.tick()

    def secret(self, process: str, path: str = KEY, rule: str = "ssh_private_key") -> e.File:
        """A credential is read."""
        return self.file(process, "read", path, sensitive=rule)

    def reaches(
        self, process: str, address: str = EVIL, name: str | None = "evil.test", sent: int = 900
    ) -> None:
        """A connection to a host, over which bytes go."""
        if name is not None:
            self.add(e.Name, process=process, source="dns", name=name, addresses=(address,))
        self.add(
            e.Net,
            process=process,
            op="connect",
            family="inet",
            address=address,
            port=443,
            errno=115,
            socket=77,
        )
        self.add(
            e.Flow,
            process=process,
            socket=77,
            address=address,
            port=443,
            family="inet",
            sent=sent,
            received=300,
            established=True,
            closed=True,
        )

    def mentions(
        self, what: str, value: str, origin: str, intent: e.Intent | None = None, **how: Any
    ) -> e.Mention:
        """Somebody named it."""
        return self.add(
            e.Mention,
            what=what,
            value=value,
            origin=origin,
            said_ts=how.pop("said_ts", self.now),
            intent=intent.intent if intent is not None else None,
            call=intent.call if intent is not None else None,
            **how,
        )


def kinds(story: Scenario, detector: str = "unexplained_effect") -> list[str]:
    """Kinds of the detector's findings."""
    return [finding.kind for finding in story.findings() if finding.detector == detector]


def only(story: Scenario) -> Finding:
    """The one finding."""
    (finding,) = story.findings()
    return finding


# --- credentials ---------------------------------------------------------------------------------------------


def stolen(story: Story, *argv: str, **how: Any) -> None:
    """A program below a script of the project reads a credential."""
    intent, _, program = story.hidden(*argv)
    story.secret(program, **how)
    story.over(intent)


def test_a_credential_that_nobody_named_is_found_with_the_facts() -> None:
    story = Story()
    stolen(story, "cat", KEY.replace("ed25519", "x"))
    finding = only(story)
    assert (finding.detector, finding.kind) == ("unexplained_effect", "credential_read")
    assert finding.summary == (
        f"read {KEY}: no tool call and no word of the user names the file, and it is not the program's own"
    )
    assert [row.fact.split(" ", 2)[2] for row in finding.evidence][1:] == [f"read {KEY}"]
    assert finding.window.close is not None and finding.figures == {"effects": 1}


@pytest.mark.parametrize(
    ("program", "path", "rule"),
    [
        ("ssh", KEY, "ssh_private_key"),
        ("aws", "/home/u/.aws/credentials", "aws_credentials"),
        ("python3", "/home/u/.aws/credentials", "aws_credentials"),
        ("./bin/server", "/home/u/.aws/credentials", "aws_credentials"),
        ("npm", "/home/u/.npmrc", "npm_token"),
        ("cat", "/repo/.env", "dotenv"),
        ("grep", "/repo/certs/site.pem", "private_key"),
        ("cat", "/home/u/.ssh/id_rsa.pub", "ssh_private_key"),
        ("python3", "/usr/lib/python3/dist-packages/certifi/cacert.pem", "private_key"),
        ("cat", "/srv/app/.env.example", "dotenv"),
    ],
)
def test_a_programs_own_credential_and_what_is_none_are_spared(program: str, path: str, rule: str) -> None:
    story = Story()
    stolen(story, program, path=path, rule=rule)
    assert kinds(story) == []


@pytest.mark.parametrize(
    ("program", "path", "rule"),
    [
        ("python3", KEY, "ssh_private_key"),
        ("/tmp/ssh", KEY, "ssh_private_key"),
        ("cat", "/home/u/.aws/credentials", "aws_credentials"),
        ("cat", "/home/u/.env", "dotenv"),
        ("python3", "/home/u/.mozilla/firefox/a/logins.json", "browser_logins"),
    ],
)
def test_a_credential_that_is_not_the_programs_own_is_found(program: str, path: str, rule: str) -> None:
    story = Story()
    stolen(story, program, path=path, rule=rule)
    assert kinds(story) == ["credential_read"]


def test_what_an_installer_runs_has_no_credentials_of_its_own() -> None:
    story = Story()
    intent = story.asks("npm install")
    npm = story.program(story.shell(intent), "npm", "install")
    story.secret(npm, "/home/u/.npmrc", "npm_token")
    script = story.program(npm, "node", "postinstall.js")
    story.secret(script, "/home/u/.aws/credentials", "aws_credentials")
    story.over(intent)
    assert "/home/u/.aws/credentials" in only(story).summary


@pytest.mark.parametrize(
    ("origin", "whole"),
    [("instructions", True), ("configuration", True), ("answer", True), ("intent", True), ("intent", False)],
)
def test_who_names_it_before_explains_it(origin: str, whole: bool) -> None:
    story = Story()
    intent, _, program = story.hidden("cat", "x")
    story.mentions("path", KEY, origin, intent if origin == "intent" else None, whole=whole)
    story.secret(program)
    story.over(intent)
    assert kinds(story) == []


def test_a_result_that_names_it_does_not_and_neither_does_who_names_it_afterwards() -> None:
    story = Story()
    looked = story.does("cat", "notes.txt")
    intent, _, program = story.hidden("cat", "x")
    story.mentions("path", KEY, "result", looked)
    story.secret(program)
    story.mentions("path", KEY, "answer", said_ts=story.now + 1)
    story.over(intent)
    assert kinds(story) == ["credential_read"]


def test_an_answer_that_is_acted_on_while_it_comes_explains_it() -> None:
    story = Story()
    early = story.fork()
    story.secret(early)
    call = story.add(
        e.LlmCall,
        call="c9",
        process=story.agent,
        api="openai.chat",
        host="api.test",
        request_ts=story.now - 3_000_000,
        status=200,
    )
    intent = story.intent("read", call=call.call)
    story.mentions("path", KEY, "intent", intent)
    story.over(intent)
    assert kinds(story) == []


def test_a_program_that_was_given_a_folder_looks_at_everything_there() -> None:
    story = Story()
    stolen(story, "grep", "-r", "TODO", "/home/u")
    assert kinds(story) == []


def test_before_the_first_request_nobody_had_said_anything() -> None:
    story = Scenario()
    story.file(story.agent, "read", KEY, sensitive="ssh_private_key")
    story.does("ls")
    assert kinds(story) == []


# --- what must have been seen ----------------------------------------------------------------------------------


def _lost(story: Story) -> None:
    story.add(e.Loss, dimension="process", cause="ring_full", count=1, since=story.now - 5)


def _gap(story: Story) -> None:
    story.add(e.StreamGap, process=story.agent, host="api.test", cause="gap", missing_bytes=4)


def _mentions_lost(story: Story) -> None:
    story.add(e.MentionsLost, count=1, cause="text_too_long")


def _earlier(story: Story) -> None:
    story.add(e.BlindSpot, dimension="tls", name="earlier_conversation", process=story.agent)


@pytest.mark.parametrize("hides", [_lost, _gap, _mentions_lost, _earlier])
def test_where_an_explanation_may_have_been_missed_nothing_is_said(hides: Any) -> None:
    story = Story()
    hides(story)
    stolen(story, "cat", "x")
    assert kinds(story) == []


@pytest.mark.parametrize("dimension", ["process", "file", "network", "tls"])
def test_nothing_is_said_without_coverage(dimension: str) -> None:
    story = Story(covered=[d for d in ("process", "file", "network", "tls", "ipc") if d != dimension])
    stolen(story, "cat", "x")
    assert kinds(story) == []


def test_a_session_that_was_joined_late_is_accused_of_nothing() -> None:
    story = Story(origin="watch")
    stolen(story, "cat", "x")
    assert kinds(story) == []


# --- persistence, tests, the observer, other places -----------------------------------------------------------


def written(story: Story, path: str, *argv: str, op: str = "write", **how: Any) -> None:
    """A program below a script of the project writes a file."""
    intent, _, program = story.hidden(*(argv or ("tee", "x")))
    story.file(program, op, path, **how)
    story.over(intent)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/home/u/.bashrc", "persistence"),
        ("/home/u/.ssh/authorized_keys", "persistence"),
        ("/var/spool/cron/crontabs/u", "persistence"),
        ("/etc/cron.d/job", "persistence"),
        ("/home/u/.config/systemd/user/job.service", "persistence"),
        ("/repo/.git/hooks/post-commit", "persistence"),
        ("/repo/.vscode/tasks.json", "persistence"),
        ("/repo/conftest.py", "test_tampering"),
        ("/home/u/.local/state/polygraph/polygraph.db", "observer_tampering"),
        ("/sys/fs/bpf/link", "observer_tampering"),
        ("/home/u/notes/a.txt", "outside_write"),
        ("/opt/tool/run", "outside_write"),
    ],
)
def test_a_write_that_nobody_named_is_found_by_what_it_is(path: str, kind: str) -> None:
    story = Story()
    written(story, path)
    assert kinds(story) == [kind]
    assert path in only(story).summary


@pytest.mark.parametrize(
    "path",
    [
        "/repo/src/a.py",
        "/repo/.git/hooks/pre-commit.sample",
        "/repo/.git/objects/ab/cdef",
        "/tmp/build/x.o",
        "/home/u/.cache/pip/x",
        "/home/u/.npm/_cacache/x",
        "/home/u/.cargo/registry/x",
        "/dev/null",
        "/home/u/.bash_history",
        "/var/log/app.log",
    ],
)
def test_ordinary_writes_are_none(path: str) -> None:
    story = Story()
    written(story, path)
    assert kinds(story) == []


def test_a_rename_counts_by_its_new_name_and_a_touch_changes_nothing() -> None:
    moved, touched = Story(), Story()
    written(moved, "/repo/new", op="rename", new_path="/home/u/.bashrc")
    written(touched, "/home/u/.bashrc", "touch", "x")
    assert (kinds(moved), kinds(touched)) == (["persistence"], [])


def test_what_a_package_of_the_system_brings_is_its_own_business_and_a_script_of_npm_is_not() -> None:
    story = Story()
    intent = story.asks("apt-get install -y cron")
    apt = story.program(story.shell(intent), "apt-get", "install", "-y", "cron")
    story.file(story.program(apt, "dpkg", "--unpack"), "create", "/etc/cron.d/e2scrub_all")
    story.over(intent)
    assert kinds(story) == []
    story = Story()
    intent = story.asks("npm install")
    npm = story.program(story.shell(intent), "npm", "install")
    story.file(story.program(npm, "node", "postinstall.js"), "write", "/home/u/.bashrc")
    story.over(intent)
    assert kinds(story) == ["persistence"]


def test_files_outside_that_do_not_stay_say_nothing() -> None:
    story = Story()
    intent, _, program = story.hidden("sed", "-i", "s/a/b/")
    story.file(program, "create", "/home/u/sedAbC")
    story.file(program, "rename", "/home/u/sedAbC", new_path="/repo/x")
    story.over(intent)
    assert kinds(story) == []


def test_many_writes_of_one_command_are_one_finding() -> None:
    story = Story()
    intent, _, program = story.hidden("python3", "gen.py")
    for number in range(9):
        story.file(program, "create", f"/home/u/out/{number}.txt")
    story.over(intent)
    finding = only(story)
    assert finding.summary.startswith("wrote /home/u/out/0.txt, and 8 more of the kind")
    assert finding.figures == {"effects": 9} and len(finding.evidence) == 6


def test_a_result_that_named_a_place_outside_explains_it() -> None:
    story = Story()
    looked = story.does("cat", "setup.md")
    intent, _, program = story.hidden("tee", "x")
    story.mentions("path", "/home/u/notes/a.txt", "result", looked, whole=False)
    story.file(program, "write", "/home/u/notes/a.txt")
    story.over(intent)
    assert kinds(story) == []


@pytest.mark.parametrize("origin", ["instructions", "intent"])
def test_only_the_user_may_ask_for_the_observer_to_be_changed(origin: str) -> None:
    story = Story()
    path = "/home/u/.local/state/polygraph/polygraph.db"
    intent, _, program = story.hidden("rm", path)
    story.mentions("path", path, origin, intent if origin == "intent" else None)
    story.file(program, "unlink", path)
    story.over(intent)
    assert kinds(story) == ([] if origin == "instructions" else ["observer_tampering"])


@pytest.mark.parametrize(
    ("argv", "kind"),
    [
        (("kill", "-9", "1"), ["observer_tampering"]),
        (("kill", "-9", "4711"), []),
        (("pkill", "-f", "polygraph"), ["observer_tampering"]),
        (("pkill", "node"), []),
        (("bpftool", "link", "detach", "id", "5"), ["observer_tampering"]),
        (("bpftool", "prog", "list"), []),
        (("systemctl", "stop", "polygraph.service"), ["observer_tampering"]),
    ],
)
def test_command_lines_that_end_the_observer(argv: tuple[str, ...], kind: list[str]) -> None:
    story = Story()
    intent, _, _ = story.hidden(*argv)  # the agent's own parent is process 1 here
    story.over(intent)
    assert kinds(story) == kind


# --- privilege -------------------------------------------------------------------------------------------------


def became_root(asked: str) -> Story:
    story = Story()
    log = [msg for msg in story.log if isinstance(msg, e.Exec)]
    assert log[0].uid == 0
    intent = story.intent("shell", tool="bash", executions=(expect(asked),), command_digest="k")
    shell = story.fork()
    story.add(e.Exec, process=shell, parent=story.agent, path="/usr/bin/dash", argv=("sh", "-c", "T"), cwd="/repo",
              uid=1000, command_digest="k")  # fmt: skip
    child = story.fork(shell)
    story.add(e.Exec, process=child, parent=shell, path="/usr/bin/id", argv=("id",), cwd="/repo", uid=0)
    story.over(intent)
    return story


def test_to_become_root_without_a_word_is_found_and_sudo_is_a_word() -> None:
    assert kinds(became_root("make tools")) == ["privilege"]
    assert kinds(became_root("sudo id")) == []


def test_a_program_that_is_made_to_run_as_its_owner() -> None:
    story = Story()
    written(story, "/repo/tool", op="chmod", mode=0o4755)
    plain = Story()
    written(plain, "/repo/tool", op="chmod", mode=0o755)
    assert (kinds(story), kinds(plain)) == (["privilege"], [])


# --- hosts -------------------------------------------------------------------------------------------------------


def reached(story: Story, *argv: str, **how: Any) -> None:
    """A program below a script of the project connects."""
    intent, _, program = story.hidden(*(argv or ("curl", "-s")))
    story.reaches(program, **how)
    story.over(intent)


def test_a_host_that_nothing_names_is_found() -> None:
    story = Story()
    reached(story)
    assert kinds(story) == ["unknown_host"]
    assert EVIL in only(story).summary


@pytest.mark.parametrize(
    "how",
    [
        {"name": "registry.npmjs.org"},
        {"name": "codeload.github.com"},
        {"name": "api.test"},
        {"address": "10.1.2.3", "name": "db.internal.test"},
        {"address": "127.0.0.1", "name": None},
        {"address": "203.0.113.77", "name": None, "resolves": False},
        {"name": "redis"},
    ],
)
def test_known_near_and_unnamed_hosts_are_none(how: dict[str, Any]) -> None:
    story = Story()
    if not how.pop("resolves", True):
        story.log = [event for event in story.log if not isinstance(event, e.Name)]
    reached(story, **how)
    assert kinds(story) == []


@pytest.mark.parametrize("origin", ["instructions", "configuration", "answer", "intent", "result"])
def test_who_names_a_host_in_the_conversation_explains_it(origin: str) -> None:
    story = Story()
    intent, _, program = story.hidden("curl", "-s")
    story.mentions("host", "evil.test", origin, intent if origin in ("intent", "result") else None)
    story.reaches(program)
    story.over(intent)
    assert kinds(story) == []


def test_tools_and_the_agent_reach_hosts_of_their_own_accord() -> None:
    tool, agent = Story(), Story()
    intent = tool.asks("pytest")
    tool.reaches(tool.program(tool.shell(intent), "pytest"))
    tool.over(intent)
    agent.reaches(agent.agent)
    agent.call()
    agent.tick()
    assert (kinds(tool), kinds(agent)) == ([], [])


def test_a_name_that_is_given_to_tls_is_enough() -> None:
    story = Story()
    intent, _, program = story.hidden("curl", "-s")
    story.add(e.Name, process=program, source="sni", name="evil.test")
    story.add(e.Net, process=program, op="connect", family="inet", address=EVIL, port=443, socket=5)
    story.over(intent)
    assert kinds(story) == ["unknown_host"]


# --- determinism ---------------------------------------------------------------------------------------------------


def test_fewer_watermarks_give_the_same_findings() -> None:
    story = Story()
    written(story, "/home/u/.bashrc")
    reached(story)
    stolen(story, "cat", "x")
    some = {finding.id: finding for finding in story.findings()}
    story.log = [event for event in story.log if not isinstance(event, e.Tick)]
    assert {finding.id: finding for finding in story.findings()} == some and len(some) == 3


def test_events_that_are_delivered_twice_change_nothing() -> None:
    story = Story()
    written(story, "/home/u/.bashrc")
    written(story, "/home/u/out/a.txt")
    once = {finding.id: finding for finding in story.findings()}
    story.log = [event for event in story.log for _ in range(2)]
    assert {finding.id: finding for finding in story.findings()} == once and len(once) == 2


@pytest.mark.parametrize("result", [True, False])
def test_a_write_of_a_call_without_a_result_waits_for_the_end(result: bool) -> None:
    story = Story()
    intent, _, program = story.hidden("tee", "x")
    story.file(program, "create", "/home/u/out/a.txt")
    if result:
        story.answers(intent)
    story.call()
    story.tick()
    assert kinds(story) == ["outside_write"]
    story.file(program, "unlink", "/home/u/out/a.txt")
    assert kinds(story) == (["outside_write"] if result else [])


@pytest.mark.parametrize(
    ("through", "evidence", "kinds"),
    [
        ("ssh", "connection", ["credential_read", "persistence", "unknown_host"]),
        ("tmux", "command", ["credential_read", "persistence", "unknown_host"]),
        ("tmux", "shell", []),
        ("docker", "cgroup", ["unknown_host"]),
    ],
)
def test_of_what_was_delegated_only_what_is_surely_done_to_this_host_for_the_session_counts(
    through: Any, evidence: Any, kinds: list[str]
) -> None:
    s = Story()
    intent = s.asks("sh build.sh")
    client = s.program(s.shell(intent), through)
    there = f"7000:{s.now}"
    s.add(e.Delegated, process=there, by=client, through=through, evidence=evidence, grade="strong")
    s.execs(there, "sh", "there.sh")
    s.secret(s.program(there, "cat", KEY))
    s.file(s.program(there, "tee"), "write", "/home/u/.bashrc")
    s.reaches(s.program(there, "mystery"))
    s.over(intent)
    assert sorted({finding.kind for finding in s.findings()} - {"secret_sent"}) == kinds
