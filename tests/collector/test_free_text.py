"""collector/free_text.py: a digest that joins stands for a text, and rules answer as if they had read it."""

from __future__ import annotations

import re
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.free_text import is_free_text, untold, untold_argv
from polygraph.tools import recognise, telling_words, tools

KEY = b"k" * 32
EXAMPLES = [shlex.split(example) for tool in tools().values() for example in tool.examples]
_WORDS = st.sampled_from(
    [
        "fix",
        "the",
        "bug",
        "a.py",
        "tests/",
        "b::c",
        "x_spec.rb",
        "$A",
        "git",
        "Test.php",
        "-k",
        "-",
        "--out=",
        "né",
    ]
)
_TEXTS = st.lists(_WORDS, min_size=2, max_size=6).map(" ".join) | st.text(max_size=20).map(
    lambda t: f"{t} {t}"
)


@pytest.mark.parametrize(
    ("argument", "shown"),
    [
        ("fix the bug", r"text:[0-9a-f]{16}"),
        ("--message=fix the bug", r"--message=text:[0-9a-f]{16}"),
        ("NOTE=of the patient", r"NOTE=text:[0-9a-f]{16}"),
        ("-n 5", r"-ntext:[0-9a-f]{16}"),
        ("see src/a.py", r"text:[0-9a-f]{16}\.\.py"),
        ("echo $HOME now", r"text:[0-9a-f]{16}~"),
        ("a\nb", r"text:[0-9a-f]{16}"),
        ("use token=abcdef0123 now", r"text:[0-9a-f]{16}~"),
    ],
)
def test_what_is_told_of_a_text(argument: str, shown: str) -> None:
    assert is_free_text(argument) and re.fullmatch(shown, untold(argument, KEY))


@pytest.mark.parametrize("word", ["pytest", "-q", "tests/test_a.py::test_b", "--maxfail=1", "", "A=b"])
def test_a_word_is_told_as_it_is(word: str) -> None:
    assert untold_argv(("x", word), KEY, "/usr/bin/x") == ("x", word)


def test_the_name_of_a_program_stays_where_the_kernel_has_the_same() -> None:
    assert untold_argv(("My App", "x"), KEY, "/opt/My App") == ("My App", "x")
    assert untold_argv(("my secret plan",), KEY, "/usr/bin/x")[0].startswith("text:")


@given(_TEXTS, _TEXTS)
def test_equal_texts_join_others_do_not_and_none_means_anything_without_the_key(one: str, other: str) -> None:
    assert (untold(one, KEY) == untold(other, KEY)) == (one == other)
    if not one.startswith("-"):
        assert untold(one, KEY) != untold(one, b"another key of 32 bytes.........")


@given(st.sampled_from(EXAMPLES), st.lists(_TEXTS, max_size=3), st.data())
def test_a_tool_is_recognised_as_if_the_text_were_there(
    argv: list[str], texts: list[str], data: st.DataObject
) -> None:
    argv = list(argv)
    for text in texts:
        argv.insert(data.draw(st.integers(1, len(argv))), text)
    told = untold_argv(tuple(argv), KEY, argv[0])
    assert recognise(argv[0], None, told) == recognise(argv[0], None, tuple(argv))


@given(_TEXTS)
def test_words_that_rules_look_for_are_found_in_what_is_told(text: str) -> None:
    told = untold(text, KEY)
    for words in (*telling_words().values(), ("watch",)):
        assert any(word in told for word in words) == any(word in text.lower() for word in words)
    assert told.startswith("-") == text.startswith("-")
