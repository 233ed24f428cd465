"""collector/mentions.py: what a text names joins with what an effect is about, whoever comes first."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector import mentions as module
from collector.mentions import MAX_NAMES, MAX_TEXT, Mentions
from polygraph.events import Mention, MentionOrigin, MentionsLost

HOME = "/home/u"
KEYS = f"{HOME}/.aws/credentials"


def told(text: str, path: str = "", host: str = "", origin: MentionOrigin = "result") -> list[bool]:
    """Whether each mention of the path or host is a whole one."""
    memory = Mentions("s", HOME)
    assert memory.text(text, origin, 5, intent="i1") == []
    found = memory.path(path, 7) if path else memory.host(host, 7)
    assert all((one.origin, one.intent, one.said_ts, one.ts) == (origin, "i1", 5, 7) for one in found)
    return [one.whole for one in found]


@pytest.mark.parametrize(
    "text",
    [
        "cat /home/u/.aws/credentials",
        "read ~/.aws/credentials.",
        "open('$HOME/.aws/credentials')",
        'X="${HOME}/.aws/credentials"',
        "curl -d @/home/u/.aws/credentials x",
        "--file=~/.aws/credentials",
        "the file (.aws/credentials) of the user",
        "`../u/.aws/credentials`",
        "scp me@box:/home/u//.aws/./credentials .",
    ],
)
def test_a_path_is_known_in_the_forms_in_which_it_is_written(text: str) -> None:
    assert told(text, path=KEYS) == [True]


def test_a_name_alone_or_a_folder_above_is_no_whole_mention() -> None:
    assert told("look at job.conf", path="/etc/cron.d/job.conf") == [False]
    assert told("everything in ~/.config", path=f"{HOME}/.config/autostart/x") == [False]
    assert told("install to /opt/tool/", path="/opt/tool/bin/run") == [False]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "credentials",
        "the .aws folder of root",
        "/home/v/.aws/credentials",
        "~/.aws/credentials2",
        "/home/u",
    ],
)
def test_another_path_is_none(text: str) -> None:
    assert told(text, path=KEYS) == []


def test_an_odd_character_ends_a_path_and_what_is_before_it_counts() -> None:
    assert told(
        "write ~/.config/autostart/my job.desktop", path=f"{HOME}/.config/autostart/my job.desktop"
    ) == [False]


@pytest.mark.parametrize(
    ("text", "host", "whole"),
    [
        ("see https://Evil.test:8443/a?b=c", "evil.test", [True]),
        ("git@evil.test:a/b.git", "evil.test.", [True]),
        ("https://user:word@evil.test/", "EVIL.test", [True]),
        ("all of evil.test", "api.evil.test", [False]),
        ("go to 203.0.113.7:80", "203.0.113.7", [True]),
        ("go to http://[2001:db8::1]:80/", "2001:db8::1", [True]),
        ("go to 203.0.113.7", "10.203.0.113", []),
        ("notevil.test", "evil.test", []),
        ("evil.test.example", "evil.test", []),
        ("all of test", "evil.test", []),
        ("0.113.7", "203.0.113.7", []),
    ],
)
def test_a_host_is_known_by_its_name(text: str, host: str, whole: list[bool]) -> None:
    assert told(text, host=host) == whole


def test_who_names_it_later_is_told_as_well_and_each_once() -> None:
    memory = Mentions("s", HOME)
    assert memory.path(KEYS, 3, "/home/u/.aws/[token]") == []
    (first,) = memory.text("cat ~/.aws/credentials", "intent", 5, intent="i1", call="c1")
    assert first == Mention(
        session="s",
        ts=5,
        what="path",
        value="/home/u/.aws/[token]",
        origin="intent",
        said_ts=5,
        intent="i1",
        call="c1",
    )
    assert memory.text("cat ~/.aws/credentials", "intent", 6, intent="i1") == []
    assert [m.intent for m in memory.text("again ~/.aws/credentials", "intent", 7, intent="i2")] == ["i2"]
    assert memory.path(KEYS, 8, "/home/u/.aws/[token]") == []


def test_of_results_and_instructions_the_first_counts_of_tool_calls_the_last_four() -> None:
    memory = Mentions("s", HOME)
    for number in range(6):
        memory.text(f"{number} evil.test", "result", 10 + number, intent=f"r{number}")
        memory.text(f"{number} evil.test", "intent", 20 + number, intent=f"i{number}")
    assert [m.intent for m in memory.host("evil.test", 30)] == ["r0", "i2", "i3", "i4", "i5"]


def test_strings_of_arguments_count_with_their_escapes_resolved_and_keys_do_not() -> None:
    memory = Mentions("s", HOME)
    memory.path(KEYS, 1)
    memory.host("evil.test", 1)
    arguments = '{"evil.test": 1, "command": "cat x\\n~/.aws/credentials", "deep": [{"a": 3}]}'
    assert [m.value for m in memory.arguments(arguments, 5, "i1", "c1") if isinstance(m, Mention)] == [KEYS]
    assert [m.value for m in memory.arguments("get evil.test", 5, "i2", "c1") if isinstance(m, Mention)] == [
        "evil.test"
    ]


@pytest.mark.parametrize(
    "page",
    [
        "Then:\n\n    $ npm run  deploy-all\n",
        "1. run `npm run deploy-all` first",
        "> npm run deploy-all",
        "npm run deploy-all",
    ],
)
def test_a_command_that_stood_on_a_line_of_a_result_is_told(page: str) -> None:
    memory = Mentions("s")
    memory.text(page, "result", 5, intent="i1")
    (mention,) = memory.command("cd app && npm run deploy-all", "k", 9, "i2")
    assert (mention.what, mention.value, mention.intent, mention.said_ts) == ("command", "k", "i1", 5)


def test_a_command_within_a_sentence_or_of_one_word_is_none() -> None:
    memory = Mentions("s")
    memory.text("you may run npm run deploy-all\nls\nmake", "result", 5, intent="i1")
    assert memory.command("npm run deploy-all; ls; make", "k", 9, "i2") == []


def test_a_text_of_any_length_names_so_much_and_the_rest_is_told_as_lost() -> None:
    memory = Mentions("s", HOME)
    long = "x" * MAX_TEXT + " ~/.aws/credentials"
    assert [type(one) for one in memory.text(long, "result", 5, intent="i1")] == [MentionsLost]
    assert memory.path(KEYS, 7) == []
    many = " ".join(f"a{number}.b" for number in range(MAX_NAMES + 1))
    assert memory.text(many, "result", 8, intent="i2") == []  # it is told once
    (lost,) = Mentions("s").text(many, "result", 8, intent="i2")
    assert isinstance(lost, MentionsLost) and lost.cause == "text_too_long"


def test_the_oldest_names_go_and_that_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_REMEMBERED", 4)
    memory = Mentions("s")
    assert memory.text("/a/one", "result", 1) == []
    (lost,) = memory.text("/b/two /b/three /b/four /b/five", "result", 2)
    assert isinstance(lost, MentionsLost) and lost.cause == "too_many"
    assert memory.path("/a/one", 3) == [] and len(memory.path("/b/five", 3)) == 1


def test_the_oldest_subjects_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_SUBJECTS", 2)
    memory = Mentions("s")
    for number in range(4):
        memory.path(f"/etc/x/{number}.conf", number)
    assert memory.text("/etc/x/0.conf /etc/x/1.conf", "answer", 5) == []
    assert {
        m.value for m in memory.text("/etc/x/2.conf", "answer", 6) if isinstance(m, Mention) and m.whole
    } == {"/etc/x/2.conf"}


@given(st.text(max_size=300), st.text(alphabet="abc./~-_ \n`$\"'@:", max_size=200))
def test_any_text_is_taken_and_only_subjects_are_told(prose: str, path: str) -> None:
    memory = Mentions("s", HOME)
    memory.text(prose + path, "result", 1, intent="i")
    memory.arguments(path, 2, "i2", "c")
    memory.command(prose, "k", 3, "i3")
    for found in memory.path("/" + path, 4):
        assert found.value == "/" + path
    for found in memory.host(prose, 4):
        assert found.value == prose


@given(
    st.lists(
        st.sampled_from(["~/.aws/credentials", "x.test", "words of no kind", "/etc/cron.d/a"]), max_size=6
    )
)
def test_what_surrounds_a_name_does_not_hide_it(words: list[str]) -> None:
    memory = Mentions("s", HOME)
    memory.text(", ".join(words), "answer", 1)
    assert bool(memory.path(KEYS, 2)) == ("~/.aws/credentials" in words)
    assert bool(memory.host("x.test", 2)) == ("x.test" in words)
