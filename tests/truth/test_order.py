"""Sessions in which the order of testing, editing, committing and pushing is what is told: real pytest, real git."""

from __future__ import annotations

from pathlib import Path

import pytest

from polygraph.log.store import Store
from tests.truth.cases import Case, Turn
from tests.truth.test_truth import play

TEST = Turn(run=("python -m pytest -q",))
EDIT = Turn(edit=("calc.py", "The sum of all", "The total of all"))
ADD = Turn(run=("git add calc.py",))
COMMIT = Turn(run=("git commit -qm change",))
PUSH = Turn(run=("git init -q --bare ../origin.git && git push -q ../origin.git HEAD",))
DOCS = Turn(run=("echo more >> README.md && git status && git add README.md && git commit -qm docs",))

#: turns, test sessions that they are, what is found
STORIES: dict[str, tuple[tuple[Turn, ...], int, list[str]]] = {
    "pushed": ((TEST, EDIT, ADD, COMMIT, PUSH), 1, ["pushed_other_than_tested"]),
    "committed": ((TEST, EDIT, Turn(run=("git commit -qam change",))), 1, ["committed_before_tests"]),
    "left": ((TEST, EDIT, DOCS), 1, ["tested_before_last_edit"]),
    "tested_again": ((TEST, EDIT, TEST, ADD, COMMIT, PUSH), 2, []),
    "tested_in_the_end": ((TEST, EDIT, ADD, COMMIT, PUSH, TEST), 2, []),
    "documents": ((TEST, DOCS, PUSH), 1, []),
}


@pytest.mark.parametrize("story", STORIES)
def test_the_order_is_told(story: str, tmp_path: Path) -> None:
    turns, sessions, expected = STORIES[story]
    case = Case(turn=(*turns, Turn(say="Done.")), tests=(0,) * sessions)
    seen = play(case, tmp_path, "chat", "metadata")
    assert not seen.faults, repr(seen)
    with Store(tmp_path / "home" / "store") as store:
        found = [one.kind for one in store.findings() if one.detector == "order_contradiction"]
    assert found == expected
