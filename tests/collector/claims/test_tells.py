"""collector/claims: what a text says besides its claims, which decides how strictly they are read."""

from __future__ import annotations

import pytest

from collector.claims.text import from_text, in_order, tells


def told(text: str) -> list[tuple[str, ...]]:
    return [draft.tells for draft in from_text(text)]


@pytest.mark.parametrize(
    "text",
    [
        "All tests pass.",
        "Every test passes.",
        "All of the tests are green.",
        "Each test passes.",
        "Every single test passes.",
        "The linter is clean and all tests pass.",
        "All existing tests still pass.",
        "The existing tests continue to pass.",
        "The tests all pass.",
        "The test suite is green.",
        "The suite passes.",
        "I ran the test suite and everything passes.",
        "I ran the tests and they all pass.",
        "I verified the change by running the tests; they all pass.",
        "The full test suite passes.",
        "I have run the whole test suite.",
        "I ran the full test suite and everything passed.",
        "I ran the entire test suite, and all 250 tests pass.",
        "I fixed the bug and added tests for the parser. All tests pass.",
    ],
)
def test_a_claim_about_all_tests_that_there_are(text: str) -> None:
    assert told(text)[-1] == ("whole",)


@pytest.mark.parametrize(
    "text",
    [
        "Tests pass.",
        "The tests pass.",
        "All 12 tests pass.",
        "All unit tests pass.",
        "I ran the unit tests and they all pass.",
        "I verified the change by running the unit tests; they all pass.",
        "I ran the tests and they pass.",
        "The calc test suite passes.",
        "The existing parser tests continue to pass.",
        "I ran the test suite for the parser, and everything passes.",
        "All the updated tests pass.",
        "12/12 tests pass.",
        "`pytest` passes.",
        "All tests in the auth module pass.",
    ],
)
def test_a_claim_that_may_be_about_a_part(text: str) -> None:
    assert all("whole" not in tells for tells in told(text))


@pytest.mark.parametrize(
    "text",
    [
        "I ran the tests in tests/test_auth.py. All tests pass.",
        "I ran `python -m pytest tests/test_a.py`. All tests pass.",
        "I ran `pytest -k auth`. All tests pass.",
        "I ran only the auth tests. All tests pass.",
        "I ran the relevant tests. All tests pass.",
        "After running the tests for the parser, all tests pass.",
    ],
)
def test_a_text_that_tells_of_a_part_claims_no_more_than_that(text: str) -> None:
    assert all("whole" not in tells for tells in told(text))


@pytest.mark.parametrize(
    ("text", "tell"),
    [
        ("I created check.py, ran it and removed it again.", "gone"),
        ("I wrote check.py as a temporary script.", "gone"),
        ("I cleaned up check.py.", "gone"),
        ("All tests pass; one is skipped.", "skipped"),
        ("I marked the flaky one as xfail. All tests pass.", "skipped"),
        ("I disabled test_old. All tests pass.", "skipped"),
        ("I deleted the obsolete tests. All tests pass.", "skipped"),
    ],
)
def test_what_a_text_admits(text: str, tell: str) -> None:
    assert tell in tells(text)


@pytest.mark.parametrize(
    "text", ["All tests pass.", "I created notes.md.", "I ran `python -m pytest -q` and all tests pass."]
)
def test_most_texts_admit_nothing(text: str) -> None:
    assert tells(text) == frozenset()


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("Please run tests/test_auth.py", True),
        ("Make test_login.py pass", True),
        ("Run the unit tests", True),
        ("test_login fails since yesterday, please fix it", True),
        ("Get TestLogin green again", True),
        ("Testing matters. Fix src/latest_login.py", False),
        ("Fix the login and run the tests", False),
        ("Do the work.", False),
        ("Add tests for the parser", False),
    ],
)
def test_what_a_user_asked_for_narrows_what_the_answer_means(text: str, part: bool) -> None:
    assert ("part" in tells(text, asked=True)) is part


def test_what_speaks_of_a_part_speaks_of_no_whole() -> None:
    assert in_order({"whole", "gone", "part"}) == ("part", "gone")
    assert in_order({"skipped", "whole"}) == ("whole", "skipped")


@pytest.mark.parametrize(
    ("text", "tells"),
    [
        ("Dependencies are installed.", ("standing",)),
        ("The required packages are installed, and the build passes.", ("standing",)),
        ("I installed the dependencies.", ()),
        ("The dependencies were installed successfully.", ()),
    ],
)
def test_a_claim_of_how_things_are_may_have_been_so_before(text: str, tells: tuple[str, ...]) -> None:
    assert next(draft.tells for draft in from_text(text) if draft.topic == "install") == tells


@pytest.mark.parametrize(
    "text",
    [
        "I deleted `draft.md`. All tests pass.",
        "- I've deleted the old file `a.py`.\n- All tests pass.",
        "`draft.md` has been removed.\nAll tests pass.",
        "I have removed draft.md from the project. All tests pass.",
        "Deleted: `draft.md`\nAll tests pass.",
        "Updated TODO.md. All tests pass.",
    ],
)
def test_a_file_that_is_no_test_and_went_is_no_word_of_a_test_that_does_not_run(text: str) -> None:
    assert "skipped" not in tells(text)


@pytest.mark.parametrize(
    "text",
    [
        "I deleted `test_a.py`. All tests pass.",
        "`tests/a.py` was removed. All tests pass.",
        "I removed `a.bats`. All tests pass.",
        "I removed the flaky test. All tests pass.",
        "I removed `draft.md` and the flaky test. All tests pass.",
        "I removed `a.py` from the tests. All tests pass.",
        "I removed `a.py`, and disabled a test. All tests pass.",
        "I deleted draft.md (and its tests). All tests pass.",
        "I deleted it. All tests pass.",
        "TODO: that one. All tests pass.",
    ],
)
def test_whatever_may_tell_of_a_test_that_does_not_run_is_believed(text: str) -> None:
    assert "skipped" in tells(text)


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("Everything is committed.", True),
        ("All changes have been committed.", True),
        ("I committed all my work.", True),
        ("I committed and pushed everything.", True),
        ("The branch was pushed with all commits.", True),
        ("I committed the changes.", False),
        ("I added notes.md. All of it is committed.", False),
        ("Everything works, and I committed the fix.", False),
        ("I pushed the branch to origin.", False),
    ],
)
def test_of_a_commit_and_a_push_it_is_told_whether_all_is_meant(text: str, whole: bool) -> None:
    tells = [draft.tells for draft in from_text(text) if draft.topic in ("commit", "push")]
    assert tells and all(("whole" in one) is whole for one in tells)
