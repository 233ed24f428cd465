"""collector/intents/weakening.py: what an edit adds to a test so that it passes without work."""

from __future__ import annotations

import json

import pytest

from collector.intents.patches import edit_blocks, from_patch
from collector.intents.tools import plan
from collector.intents.weakening import Row, marks_of, table

NAMES = {
    "tests": "test_a.py",
    "settings": "conftest.py",
    "config": "pytest.ini",
    "bats": "a.bats",
    "go": "a_test.go",
    "python": "test_a.py",
}
# in two pieces: no test of this project may be left out, and a search makes sure of it
MARK = "@pytest.mark" + ".skip"
SKIP = f"{MARK}\ndef test_a():\n    pass\n"
PLAIN = "def test_a():\n    pass\n"
#: what rows that tell of a loss look for: a test and an assertion in each language
LOST = """def test_old():
    assert f(2) == 4
func TestOld(t *testing.T) {
	t.Error("x")
expect(f(2)).toBe(4)
it('adds', f)
#[test]
"""
ROWS = [(row, text) for row in table().rows for text in row.examples]
OTHERS = [(row, text) for row in table().rows for text in row.others]


@pytest.mark.parametrize(("row", "text"), ROWS)
def test_each_form_is_known(row: Row, text: str) -> None:
    assert row.mark in marks_of(NAMES[next(iter(row.languages), row.where)], LOST, f"# a\n{text}\n")


@pytest.mark.parametrize(("row", "text"), OTHERS)
def test_what_looks_like_it_is_none(row: Row, text: str) -> None:
    assert row.mark not in marks_of(NAMES[next(iter(row.languages), row.where)], "", f"# a\n{text}\n")


def test_only_what_the_edit_adds_counts() -> None:
    assert marks_of("test_a.py", PLAIN, SKIP) == ("skips",)
    assert marks_of("test_a.py", SKIP, SKIP) == ()
    assert marks_of("test_a.py", SKIP, PLAIN) == ()
    assert marks_of("test_a.py", SKIP, SKIP + SKIP + "    assert True\n") == ("skips", "empties")


@pytest.mark.parametrize(
    ("path", "old", "new", "mark"),
    [
        ("test_a.py", "    assert f(2) == 4\n", "    # assert f(2) == 4\n", "empties"),
        ("test_a.py", "    assert f(2) == 4\n", "    pass\n", "empties"),
        ("test_a.py", "def test_x():", "def xtest_x():", "skips"),
        ("a_test.go", 't.Errorf("x")', 't.Logf("x")', "empties"),
        ("tests/api.rs", "#[test]\n", '#[test]\n#[ignore = "later"]\n', "skips"),
        ("src/test/java/ATest.java", "@Test\n", "// @Test\n", "skips"),
    ],
)
def test_what_was_there_is_no_more(path: str, old: str, new: str, mark: str) -> None:
    assert marks_of(path, old, new) == (mark,)


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("test_a.py", "    assert f(2) == 5\n", "    # assert f(2) == 5\n    assert f(2) == 4\n"),
        ("test_a.py", "    assert f(2) == 5\n", "    assert f(2) == 4\n"),
        ("test_a.py", "def test_client():", "def make_test_client():"),
        ("test_a.py", "def test_client():", "def _test_client():"),
        ("test_a.py", "x = 1\n", "x = 1\n    pass\n"),
        ("a_test.go", 't.Errorf("x")', 't.Logf("y")\n\tt.Fatal("x")'),
        ("src/api.rs", "#[test]\n", "#[test]\n#[ignore]\n"),
        ("tests/helpers.py", "assert f(2)", "pass"),
    ],
)
def test_what_is_corrected_is_not_weakened(path: str, old: str, new: str) -> None:
    assert marks_of(path, old, new) == ()


@pytest.mark.parametrize("path", ["a.py", "notes.md", "tests/helpers.py"])
def test_other_files_are_not_marked(path: str) -> None:
    assert marks_of(path, "", SKIP) == ()


def arguments(**values: object) -> str:
    return json.dumps(values)


@pytest.mark.parametrize(
    ("tool", "said"),
    [
        ("Edit", arguments(file_path="/p/test_a.py", old_string=PLAIN, new_string=SKIP)),
        (
            "MultiEdit",
            arguments(
                file_path="/p/test_a.py",
                edits=[{"old_string": PLAIN, "new_string": SKIP}, {"old_string": "x", "new_string": "y"}],
            ),
        ),
        (
            "str_replace_editor",
            arguments(command="str_replace", path="/p/test_a.py", old_str=PLAIN, new_str=SKIP),
        ),
        (
            "apply_patch",
            arguments(
                input=f"*** Begin Patch\n*** Update File: test_a.py\n@@\n-def\n+{MARK}\n+def\n*** End Patch"
            ),
        ),
    ],
)
def test_edits_of_every_kind_of_tool_are_marked(tool: str, said: str) -> None:
    (file,) = plan(tool, said).files
    assert file.marks == ("skips",)


def test_patches_and_edit_blocks_are_marked() -> None:
    diff = f"--- a/test_a.py\n+++ b/test_a.py\n@@ -1 +1,2 @@\n+{MARK}\n def test_a():\n"
    assert [file.marks for file in from_patch(diff)] == [("skips",)]
    kept = f"--- a/test_a.py\n+++ b/test_a.py\n@@ -1 +1 @@\n-{MARK}\n+{MARK}  # later\n"
    assert [file.marks for file in from_patch(kept)] == [()]
    block = f"test_a.py\n<<<<<<< SEARCH\ndef test_a():\n=======\n{MARK}\ndef test_a():\n>>>>>>> REPLACE\n"
    assert [file.marks for file in edit_blocks(block)] == [("skips",)]
