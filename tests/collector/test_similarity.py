"""Signatures: near-duplicates are close, others far, what must be the same is told apart, no text leaks."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.similarity import MAX_END, Signer

SIGNER = Signer(b"k" * 32)
FORM = re.compile(r"[0-9a-f]{16}-[0-9a-f]{8}")
#: 120 different words
WORDS = [f"{chr(97 + n % 26)}{chr(97 + n // 26)}word" for n in range(120)]


def distance(one: str, other: str) -> int:
    """Bits of the similarity that differ."""
    return (int(one[:16], 16) ^ int(other[:16], 16)).bit_count()


def exact(signature: str) -> str:
    return signature[17:]


def test_the_same_text_has_the_same_signature_and_nothing_has_none() -> None:
    assert SIGNER.sign("all tests", "passed") == SIGNER.sign("all tests", "", "passed")
    assert SIGNER.sign() == SIGNER.sign("", " \n") == ""


@pytest.mark.parametrize("words", [WORDS, WORDS * 10])
def test_a_near_duplicate_is_near_and_another_text_is_far(words: list[str]) -> None:
    """Of short texts pairs of words count, of long ones lines."""
    lines = [" ".join(words[start : start + 4]) for start in range(0, len(words), 4)]
    text = "\n".join(lines)
    near = "\n".join([*lines[:-1], "but not the last"])
    assert distance(SIGNER.sign(text), SIGNER.sign(near)) <= 8
    assert distance(SIGNER.sign(text), SIGNER.sign(text.upper())) >= 18


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("3 passed in 0.12s", "3 passed in 4.5 s"),
        ("12:03:55,123 not ready", "23:59 not ready"),
        ("since 2026-11-27 down", "since 2025-01-02 down"),
        ("object at 0x7f1200aa", "object at 0xdeadbeef"),
        ("took 35 ms", "took 2 minutes"),
    ],
)
def test_times_and_addresses_pass(one: str, other: str) -> None:
    assert SIGNER.sign(one) == SIGNER.sign(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("57 of 300 failed", "56 of 300 failed"),
        ("port 8080", "port 8081"),
        ("translate part 3 of 7", "translate part 4 of 7"),
        ("I try:\n```\ncat a.py\n```\n", "I try:\n```\ncat b.py\n```\n"),
        ("I try <execute_command>cat a</execute_command>", "I try <execute_command>cat b</execute_command>"),
        ("x" * (2 * MAX_END + 1), "x" * (2 * MAX_END + 2)),
    ],
)
def test_numbers_code_and_the_size_of_what_was_cut_do_not(one: str, other: str) -> None:
    """However many words around them are the same."""
    around = " ".join(WORDS)
    assert exact(SIGNER.sign(around, one)) != exact(SIGNER.sign(around, other))


def test_the_middle_of_a_long_text_is_not_read() -> None:
    ends = ["a line\n" * (MAX_END // 7 + 1), "b line\n" * (MAX_END // 7 + 1)]
    assert SIGNER.sign(ends[0] + "x" * 99 + ends[1]) == SIGNER.sign(ends[0] + "y" * 99 + ends[1])


def test_without_the_key_nothing_can_be_tried() -> None:
    """The signature under another key is as far as that of another text, and differs in what must be the same."""
    text = " ".join(WORDS)
    other = Signer(b"j" * 32).sign(text)
    assert distance(SIGNER.sign(text), other) >= 18 and exact(SIGNER.sign(text)) != exact(other)


@given(st.text(max_size=300), st.text(max_size=300))
def test_any_text_has_one_of_the_form(one: str, other: str) -> None:
    signature = SIGNER.sign(one, other)
    assert signature == SIGNER.sign(one, other)
    assert FORM.fullmatch(signature) or (not signature and not f"{one}{other}".strip())


@given(st.integers(1025, 8000))
def test_counters_do_not_overflow(parts: int) -> None:
    """All parts the same: the signature is the part's own, however many there are."""
    assert distance(SIGNER.sign("w\n" * parts), SIGNER.sign("w\n" * 1025)) == 0
