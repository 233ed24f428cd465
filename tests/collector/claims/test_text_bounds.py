"""collector/claims: any text is read in bounded work and never makes the reader fail."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.claims.language import CLOSE, OPEN, language
from collector.claims.sentences import MAX_SENTENCE, MAX_SENTENCES, MAX_TEXT, sentences
from collector.claims.text import MAX_CLAIMS, edit_blocks, from_text
from collector.claims.words import mask
from collector.intents.patches import ExpectedFileDraft
from collector.intents.tools import plan

WORDS = [
    "I ", "ran ", "the ", "all ", "tests ", "pass", "passed ", "12 ", "created ", "updated ", "`a.py`", "`",
    "``", "```\n", " and ", ", ", ": ", ". ", "\n", "\n\n", "- ", "# ", "> ", "if ", "not ", "?", "<tag>",
    "**", "(", ")", "[x](y)", "https://a.b", '"', "“", OPEN, CLOSE, f"{OPEN}P0{CLOSE}", "only changed ",
    "~~~", "\x00", "\ud800", "é", "✅",
]  # fmt: skip


@given(st.text(max_size=600))
def test_any_text_is_read(text: str) -> None:
    assert isinstance(from_text(text), tuple)
    assert isinstance(edit_blocks(text), tuple)


@given(st.lists(st.sampled_from(WORDS), max_size=80))
@settings(max_examples=300)
def test_pieces_of_claims_are_read(pieces: list[str]) -> None:
    text = "".join(pieces)
    for draft in from_text(text):
        assert draft.text
        assert not any(OPEN in target or CLOSE in target for target in draft.targets)
        assert all(count >= 0 for count in draft.counts.values())


@given(st.text(alphabet="abcdefghijklmnop \n`*_.-#:/\\(){}[]0123456789", max_size=500))
def test_noise_claims_nothing(text: str) -> None:
    """Letters a to p spell none of the verbs (no r, s, t, u), so nothing can be claimed."""
    assert from_text(text) == ()


@given(st.lists(st.sampled_from(WORDS), max_size=60))
def test_a_question_claims_nothing(pieces: list[str]) -> None:
    question = " ".join("".join(pieces).replace("`", " ").replace(":", " ").replace(".", " ").split())
    assert from_text(f"Is it so that {question.strip(' ?')}?") == ()


def lines_run(function: Callable[[], object]) -> int:
    """How many lines of Python run in ``function``: the amount of work without a clock."""
    count = 0

    def local(frame: FrameType, event: str, arg: Any) -> Any:
        nonlocal count
        count += event == "line"
        return local

    def trace(frame: FrameType, event: str, arg: Any) -> Any:
        return local if "collector/claims" in frame.f_code.co_filename else None

    sys.settrace(trace)
    try:
        function()
    finally:
        sys.settrace(None)
    return count


HOSTILE = {
    "claims": "I ran the tests. ",
    "spaces": " " * 64,
    "backticks": "` ",
    "one long word": "a",
    "marks": "- [ ] ",
    "emphasis": "*_",
    "numbers": "12 of ",
    "file list": "`a.py`, ",
    "conjunctions": "and tests pass and ",
    "capital words": "A. B ",
    "brackets": "[a](",
    "quotes": "\" '",
    "dots": "a.a.",
    "paths": "a/",
    "nested quotes": "“",
    "created": "created new new new new ",
    "headings": "# plan\n",
    "tags": "<a>\n",
    "fences": "```\n\n",
    "sentences": "I ran the tests, and then I updated `a.py`, `b.py` and `c.py`.\n",
    "long sentences": "Added " + "and a, (b, " * 50 + ".\n",
    "long lists": "Created " + "`a.py`, " * 70 + ".\n",
}


@pytest.mark.parametrize("piece", HOSTILE.values(), ids=HOSTILE.keys())
def test_work_grows_no_faster_than_the_text(piece: str) -> None:
    small, large = piece * (8_000 // len(piece)), piece * (32_000 // len(piece))
    assert lines_run(lambda: from_text(large)) <= 6 * lines_run(lambda: from_text(small)) + 20_000


@pytest.mark.parametrize("piece", HOSTILE.values(), ids=HOSTILE.keys())
def test_megabyte_is_read(piece: str) -> None:
    """The suite's time limit is the bound: a pattern that backtracks without end would not come back."""
    assert len(from_text(piece * (1_000_000 // len(piece)))) <= MAX_CLAIMS


def test_text_beyond_the_limit_is_not_read() -> None:
    assert from_text("x " * (MAX_TEXT // 2) + "\n\nI ran the tests.") == ()


def test_counts_are_bounded() -> None:
    found = list(sentences("I ran the tests. " * (MAX_SENTENCES + 10)))
    assert len(found) <= MAX_SENTENCES
    assert from_text("I ran " + "x " * MAX_SENTENCE + "the tests.") == ()
    assert len(from_text("\n".join(f"- Created `f{n}.py`" for n in range(MAX_CLAIMS + 50)))) == MAX_CLAIMS


def test_table_is_well_formed() -> None:
    words = language()
    assert words.did
    assert words.state
    rules = (*words.did, *words.state, *words.ended, *words.left, *words.lists)
    single = [value for value in (*words, *words.forms) if hasattr(value, "pattern")]
    for pattern in (*single, *(rule.pattern for rule in rules), *(rule.then for rule in rules if rule.then)):
        re.compile(pattern.pattern, pattern.flags)  # in use they are compiled when they are first asked
    assert len(single) > 40
    for command in words.commands.values():
        assert plan("Bash", '{"command": "' + command + '"}').executions[0].tool is not None, command


def test_line_numbers_are_no_part_of_a_path() -> None:
    assert mask("`src/a.py:12-14`").tokens[0].value == "src/a.py"
    assert mask("see src/a.py#L3.").tokens[0].value == "src/a.py"


@pytest.mark.parametrize(
    "text", ["`foo()`", "`a b.py`", "`--flag.py=1`", "`1.5`", "e.g. this", "`self.c`", "v1.2", "example.com"]
)
def test_what_is_no_file_is_no_path(text: str) -> None:
    assert all(token.kind != "P" for token in mask(text).tokens)


def test_edit_blocks_of_aider() -> None:
    text = "calc.py\n```python\n<<<<<<< SEARCH\nreturn a\n=======\nreturn a + b\n>>>>>>> REPLACE\n```\n"
    assert edit_blocks(text) == (ExpectedFileDraft("calc.py", "write", fragment=b"return a + b"),)
