"""polygraph.text: untrusted bytes survive, and never reach a terminal raw."""

import json

from hypothesis import given
from hypothesis import strategies as st

from polygraph.text import from_bytes, printable, to_bytes


@given(st.binary(max_size=200))
def test_any_bytes_come_back_as_they_were(raw: bytes) -> None:
    assert to_bytes(from_bytes(raw)) == raw


@given(st.text(alphabet=st.characters(min_codepoint=0xEF00, max_codepoint=0xF0FF), max_size=20))
def test_valid_private_characters_are_not_confused_with_raw_bytes(text: str) -> None:
    raw = text.encode("utf-8")
    assert to_bytes(from_bytes(raw)) == raw


@given(st.binary(max_size=200))
def test_the_text_fits_into_json(raw: bytes) -> None:
    text = from_bytes(raw)
    assert json.loads(json.dumps(text).encode("utf-8")) == text
    text.encode("utf-8")


@given(st.text(max_size=200), st.integers(min_value=1, max_value=50))
def test_printable_is_one_line_without_controls_and_within_its_limit(text: str, limit: int) -> None:
    shown = printable(text, limit)
    assert len(shown) <= limit
    assert all(ord(char) >= 0x20 and not 0x7F <= ord(char) <= 0x9F for char in shown)
    assert not set(shown) & set("\u202e\u2028\u2066\ufeff\u200b")


def test_printable_shows_what_it_hides() -> None:
    assert printable("a\nb\x1b[31m") == "a\\nb\\x1b[31m"
    assert printable(from_bytes(b"\xff")) == "\\xff"
