"""Words and units."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.words import (
    blind_spot,
    command,
    duration,
    errno_name,
    gaps,
    in_reading_order,
    reason_sentence,
    relative,
    signal_name,
    words,
)
from polygraph.reasons import DIMENSIONS, GRADES, reasons
from polygraph.verdicts import DimensionCoverage
from tests.console.sample import sample


def test_every_name_of_the_closed_vocabularies_has_words() -> None:
    assert set(words().dimension) == set(DIMENSIONS)
    assert set(words().grade) == set(GRADES)
    assert set(words().state) == {"attached", "not_requested", "unavailable", "failed", "unsupported"}
    assert all(reason_sentence(name) == row.sentence for name, row in reasons().items())


@pytest.mark.parametrize(
    ("ns", "shown"),
    [
        (0, "0 µs"),
        (999_999, "999 µs"),
        (1_500_000, "1.5 ms"),
        (99_499_999, "99.5 ms"),
        (250_000_000, "250 ms"),
        (999_999_999, "999 ms"),
        (3_440_000_000, "3.4 s"),
        (59_940_000_000, "59.9 s"),
        (60_000_000_000, "1 min 0 s"),
        (7_260_000_000_000, "2 h 1 min"),
        (-1_500_000, "-1.5 ms"),
    ],
)
def test_a_duration_has_the_unit_that_fits(ns: int, shown: str) -> None:
    assert duration(ns) == shown


@given(st.integers(-(2**63), 2**63))
def test_any_duration_has_words(ns: int) -> None:
    assert len(duration(ns)) < 40


def test_numbers_without_a_name_keep_their_number() -> None:
    assert (errno_name(2), errno_name(4095)) == ("ENOENT", "errno 4095")
    assert (signal_name(9), signal_name(200)) == ("SIGKILL", "signal 200")
    assert (blind_spot("no_such_name"), reason_sentence(None)) == ("no such name", "")


@given(st.lists(st.text()), st.integers(2, 300))
def test_a_command_is_one_printable_line_within_its_limit(argv: list[str], limit: int) -> None:
    shown = command(argv, limit)
    assert len(shown) <= limit and not set(shown) & set("\n\r\x1b\u202e\u2028\x00")


def test_the_refuted_are_read_first() -> None:
    ordered = in_reading_order(reversed(sample().verdicts))
    assert [v.verdict for v in ordered] == ["refuted"] * 4 + ["unverifiable"] + ["verified"] * 2
    assert [v.ts for v in ordered[:4]] == sorted(v.ts for v in ordered[:4])


def test_gaps_tell_what_was_not_clean_and_nothing_else() -> None:
    clean = DimensionCoverage(state="attached", canary=True)
    assert gaps({"process": clean, "ipc": DimensionCoverage(state="not_requested")}) == []
    bad = {
        "process": DimensionCoverage(state="attached", canary=False),
        "file": DimensionCoverage(state="attached", canary=True, lost=1, blind=("io_uring",)),
        "tls": DimensionCoverage(state="unavailable"),
    }
    found = gaps(bad)
    assert found[0] == "processes: the probes did not show their canary"
    assert found[1].startswith("files: 1 record lost; io_uring was used")
    assert found[2] == "LLM traffic (TLS): this host cannot show it"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/home/u/p/a.py was written", "a.py was written"),
        ("process 7 rename /home/u/p/a -> /home/u/p/d/b", "process 7 rename a -> d/b"),
        ("'/home/u/p/a b'", "'a b'"),
        ("--out=/home/u/p/x", "--out=x"),
        ("/mnt/home/u/p/a.py", "/mnt/home/u/p/a.py"),
        ("/home/u/pp/a.py and /home/u/p", "/home/u/pp/a.py and /home/u/p"),
    ],
)
def test_paths_are_shown_from_the_sessions_folder(text: str, shown: str) -> None:
    assert relative(text, "/home/u/p") == relative(text, "/home/u/p/") == shown
    assert relative(text, "/") == relative(text, "") == text
