"""polygraph/test_files.py: names of files that hold tests."""

import pytest

from polygraph.test_files import is_opened, is_searched, language_of, table


@pytest.mark.parametrize(
    ("language", "name"), [(lang, name) for lang, row in table().languages.items() for name in row.examples]
)
def test_each_row_knows_its_examples(language: str, name: str) -> None:
    assert language_of(f"/repo/tests/{name}") == language


@pytest.mark.parametrize(
    "name",
    ["calc.py", "conftest.py", "test_utils.py", "helpers_test.go", "test.log", "latest.py", "test_.pyc"],
)
def test_other_names_are_not_known_to_hold_tests(name: str) -> None:
    assert language_of(name) is None


def test_only_interpreters_open_what_they_test() -> None:
    assert is_opened("python") and not is_opened("go")


@pytest.mark.parametrize(("name", "searched"), [("tests", True), (".venv", False), ("node_modules", False)])
def test_other_peoples_tests_are_not_looked_for(name: str, searched: bool) -> None:
    assert is_searched(name) is searched
