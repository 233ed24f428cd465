"""collector/file_states.py: which files are looked at for a tool call or a claim, and what is told of each."""

from __future__ import annotations

from typing import Any

import pytest

from collector.file_states import FileLook
from polygraph.events import Claim, FileState
from tests.agents.script import Answer
from tests.collector.said import ROOT, Talk
from tests.collector.test_pipeline import A_PY, WRITE, of


def test_a_session_that_ends_looks_at_the_files_of_calls_without_a_result() -> None:
    talk = Talk(files=A_PY)
    talk.says(Answer(calls=(WRITE,)))
    assert [state.matches for state in of(FileState, talk.log())] == [True]


@pytest.mark.parametrize(
    ("look", "told"),
    [
        (None, []),
        (FileLook(False), [(False, None)]),
        (FileLook(True, 6, 5, 2, 3, b"x = 1\n"), [(True, True)]),
        (FileLook(True, 6, 5, 2, 3, b"x = 2\n"), [(True, False)]),
        (FileLook(True, 1 << 40, 5, 2, 3, None), [(True, None)]),
    ],
)
def test_the_state_of_a_file_is_what_the_look_said(look: FileLook | None, told: list[Any]) -> None:
    talk = Talk(files={"/repo/a.py": look})
    talk.works(WRITE, "ok")
    talk.says(Answer(text="Done."))
    assert [(state.exists, state.matches) for state in of(FileState, talk.log())] == told
    assert talk.looked == [(ROOT, "/repo/a.py")]


def test_where_all_tests_are_said_to_pass_those_that_are_there_are_told() -> None:
    there = [("/repo/test_a.py", FileLook(True, 6, 5, 2, 3)), ("/repo/test_b.py", FileLook(True, 6, 5, 2, 4))]
    talk = Talk(tests=there)
    talk.says(Answer(text="All tests pass."))
    events = talk.log()
    (claim,) = of(Claim, events)
    assert claim.tells == ("whole",)
    states = of(FileState, events)
    assert [(state.intent, state.path, state.ino) for state in states] == [
        (claim.claim, "/repo/test_a.py", 3),
        (claim.claim, "/repo/test_b.py", 4),
    ]
    assert all(state.digest is None for state in states)


def test_how_many_tests_a_file_defines_is_told_where_all_are_meant_and_read_once() -> None:
    old, new = FileLook(True, 6, 5, 2, 3), FileLook(True, 9, 6, 2, 3)
    there = [("/repo/test_a.py", old)]
    talk = Talk(files={"/repo/test_a.py": old._replace(content=b"", tests=2)}, tests=there)
    for text in ("All 2 tests pass.", "All tests pass.", "The whole suite passes."):
        talk.says(Answer(text=text))
    there[:] = [("/repo/test_a.py", new)]
    talk.says(Answer(text="The suite is green."))
    states = of(FileState, talk.log())
    assert [(state.tests, state.digest) for state in states] == [(0, None), (2, None), (2, None), (2, None)]
    assert talk.looked == [(ROOT, "/repo/test_a.py")] * 2, "once for each that it was"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("All tests pass.", 40),
        ("All 3 tests pass.", 16),
        ("I ran the tests for the parser.", 0),
        ("I read a.py.", 0),
    ],
)
def test_of_tests_that_are_there_some_do_where_not_all_are_meant(text: str, told: int) -> None:
    talk = Talk(tests=[(f"/repo/test_{n}.py", FileLook(True, 6, 5, 2, n)) for n in range(40)])
    talk.says(Answer(text=text))
    assert len(of(FileState, talk.log())) == told


def test_what_the_user_asked_for_narrows_the_claim() -> None:
    talk = Talk(tests=[("/repo/test_a.py", FileLook(True, 6, 5, 2, 3))])
    talk.asks("Run tests/test_b.py, please.")
    talk.says(Answer(text="All tests pass."))
    events = talk.log()
    assert [claim.tells for claim in of(Claim, events)] == [("part",)]
    assert not of(FileState, events)


def test_the_files_that_a_claim_of_the_model_names_are_looked_at() -> None:
    talk = Talk(files={"notes.md": FileLook(True, 6, 5, 2, 3, b"x = 1"), "gone.md": FileLook(False)})
    talk.says(Answer(text="I created notes.md. I deleted gone.md. I created other.md."))
    events = talk.log()
    by_claim = {claim.claim: claim.targets for claim in of(Claim, events)}
    looks = [(by_claim[state.intent], state.path, state.exists, state.ino) for state in of(FileState, events)]
    assert looks == [(("notes.md",), "notes.md", True, 3), (("gone.md",), "gone.md", False, 0)]
    assert all(state.matches is None for state in of(FileState, events))


CODE = b"def total(amounts):\n    result = 0\n    for amount in amounts:\n        result += amount\n    return result\n"


@pytest.mark.parametrize("given", [False, True])
def test_a_file_that_the_user_put_into_the_conversation_needs_no_opening(given: bool) -> None:
    """Clients number its lines. The claim to have read it finds no file then: that nobody opened it means nothing."""
    talk = Talk(files={"a.py": FileLook(True, len(CODE), 5, 2, 3, CODE)})
    lines = [f"{number:6}\t{line}" for number, line in enumerate(CODE.decode().splitlines(), 1)]
    shown = "\n".join(lines) if given else "Something long enough to hold a file, and no file."
    talk._history.append({"role": "user", "content": f"Review this:\n{shown}"})
    talk.says(Answer(text="I reviewed `a.py`. I created `a.py`."))
    events = talk.log()
    topics = {claim.claim: claim.topic for claim in of(Claim, events)}
    looked = [topics[state.intent] for state in of(FileState, events)]
    assert looked == (["file_created"] if given else ["file_read", "file_created"])


def test_of_a_directory_that_a_claim_names_the_source_files_are_looked_at() -> None:
    there = FileLook(True, 6, 5, 2, 3, b"x = 1")
    listed = FileLook(True, names=("a.py", "b.py", "logo.png"))
    talk = Talk(files={"src/": listed, "src/a.py": there, "src/b.py": there, "src/logo.png": there})
    talk.says(Answer(text="I read all files in `src/`. I read all files in `none/`."))
    states = of(FileState, talk.log())
    assert [state.path for state in states] == ["src/a.py", "src/b.py"]


def test_what_was_changed_is_looked_at_again_when_a_claim_rests_on_it() -> None:
    talk = Talk(files=A_PY)
    talk.works(WRITE, "ok")
    talk.says(Answer(text="The tests pass. The build succeeded. I ran the tests."))
    events = talk.log()
    topics = {claim.claim: claim.topic for claim in of(Claim, events) if claim.source == "model"}
    looks = [state for state in of(FileState, events) if state.intent in topics]
    assert [(topics[state.intent], state.path) for state in looks] == [
        ("tests_passed", "/repo/a.py"),
        ("build", "/repo/a.py"),
    ]
    assert all(state.digest is not None and state.matches is None for state in looks)


def test_a_test_that_a_claim_of_tests_names_is_looked_at() -> None:
    there = FileLook(True, 6, 5, 2, 3, b"x = 1")
    talk = Talk(files={"bank/test_bank.py": there, "bank/bank.py": there})
    talk.says(Answer(text="All tests in bank/test_bank.py pass. All tests in bank/bank.py pass."))
    assert [state.path for state in of(FileState, talk.log())] == ["bank/test_bank.py"]
