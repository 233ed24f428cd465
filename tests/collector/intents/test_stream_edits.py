"""collector/intents/stream_edits.py: what a script of sed or perl looks for in a file, and what it puts there."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.intents.stream_edits import MAX_SCRIPT, texts
from collector.intents.tools import plan

# in two pieces: no test of this project may be left out, and a search makes sure of it
MARK = "@pytest.mark" + ".skip"


@pytest.mark.parametrize(
    ("script", "old", "new"),
    [
        ("s/a/b/", "a", "b"),
        ("s/a/b/g;s|c/d|e|2", "a\nc/d", "b\ne"),
        (r"s/^a(/&\n\tb(/", "^a(", "^a(\n\tb("),
        (r"s/a\/b/c\/d \&/", "a/b", "c/d &"),
        ("3,/x y/ s/a/b/", "a", "b"),
        ("/x/I,+2!{s/a/b/;s/c/d/}", "a\nc", "b\nd"),
        (r"\%/etc/%s/a/b/", "a", "b"),
        ("$a last line", "", "last line"),
        ("/x/i\\\n  first\\\nsecond\ns/a/b/", "\na", "  first\nsecond\nb"),
        ("/x/c\\  kept", "", "  kept"),
        ("/x/d;1,3p;s/a/b/", "a", "b"),
        ("y/abc/xyz/;s/a/b/", "a", "b"),
        ("s/a/b", "", ""),
        ("?", "", ""),
        ("", "", ""),
    ],
)
def test_what_a_script_puts_in_place_of_what(script: str, old: str, new: str) -> None:
    assert texts("sed", ["-i", script, "a.txt"]) == (old, new)


@pytest.mark.parametrize(
    ("program", "args"),
    [
        ("sed", ["-i", "-e", "s/a/b/", "-e", "s/c/d/", "f"]),
        ("sed", ["-i", "--expression=s/a/b/", "--expression=s/c/d/", "f"]),
        ("sed", ["-i", "--expression", "s/a/b/;s/c/d/", "f"]),
        ("perl", ["-pi", "-e", "s/a/b/; s/c/d/g", "f"]),
        ("perl", ["-0pie", "s/a/b/;s/c/d/", "f"]),
    ],
)
def test_scripts_of_every_option(program: str, args: list[str]) -> None:
    assert [text.split() for text in texts(program, args)] == [["a", "c"], ["b", "d"]]


def test_a_program_of_perl_in_a_file_says_nothing_here() -> None:
    assert texts("perl", ["-pi", "s/a/b/", "f"]) == ("", "")


@given(st.text(alphabet="s/ab\\&;{}\n1,$!aicyd%|", max_size=60), st.sampled_from(["sed", "perl"]))
def test_any_script_is_read_to_an_end(script: str, program: str) -> None:
    old, new = texts(program, ["-i", "-e", script])
    assert len(old) <= len(script) + 1
    assert len(new) <= 65 * (len(script) + 1)


def test_what_is_put_in_is_bounded() -> None:
    script = f"s/{'a' * (MAX_SCRIPT // 4)}/{'&' * (MAX_SCRIPT // 2)}/"
    assert len(texts("sed", ["-i", script])[1]) < 3 * MAX_SCRIPT


def marks(command: str) -> list[tuple[str, tuple[str, ...]]]:
    return [(file.path, file.marks) for file in plan("Bash", json.dumps({"command": command})).files]


@pytest.mark.parametrize(
    ("command", "path"),
    [
        (f"sed -i 's/^def test_a/{MARK}\\ndef test_a/' test_a.py", "test_a.py"),
        ("sed -i \"s/^test('adds'/test.skip('adds'/\" a.test.js", "a.test.js"),
        ("sed -i 's/^func TestA(.*/&\\n\\tt.Skip(\"later\")/' a_test.go", "a_test.go"),
        ("sed -i '/^@test \"adds\"/a skip later' a.bats", "a.bats"),
        ("perl -pi -e 's/it\\(/it.skip(/' a.spec.ts", "a.spec.ts"),
        (f"echo 'pytestmark = {MARK[1:]}' >> test_a.py", "test_a.py"),
    ],
)
def test_a_test_that_a_command_makes_skip_is_marked(command: str, path: str) -> None:
    assert marks(command) == [(path, ("skips",))]


@pytest.mark.parametrize(
    "command",
    [
        "sed -i \"s/test\\.skip('adds'/test('adds'/\" a.test.js",
        f'sed -i \'s/{MARK}(reason="a")/{MARK}(reason="b")/\' test_a.py',
        "sed -i '/skip/d' a.bats",
        f"sed -i 's/^def/{MARK}\\ndef/' a.py",
        "sed -i 's/== 4/== 5/' test_a.py",
        "echo 'assert True' >> notes.md",
    ],
)
def test_what_takes_a_mark_away_keeps_it_or_is_elsewhere_is_not(command: str) -> None:
    assert all(not found for _, found in marks(command))


def test_what_only_prints_changes_nothing() -> None:
    assert marks("sed 's/it(/it.skip(/' a.test.js") == []
