"""polygraph/test_files.py: names of files that hold tests."""

import pytest

from polygraph.test_files import (
    configures,
    is_in_folder,
    is_opened,
    is_searched,
    language_of,
    sets_up,
    table,
)


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


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/repo/conftest.py", (True, False, False)),
        ("tests/sitecustomize.py", (True, False, True)),
        ("/repo/.pytest.ini", (False, True, False)),
        ("vitest.config.mts", (False, True, False)),
        ("/repo/vite.config.ts", (False, False, False)),
        ("pyproject.toml.bak", (False, False, False)),
        ("/repo/__tests__/calc.js", (False, False, True)),
        ("/repo/latest/tests", (False, False, False)),
    ],
)
def test_what_sets_a_runner_up_configures_it_or_lies_beside_tests(
    path: str, found: tuple[bool, bool, bool]
) -> None:
    assert (sets_up(path), configures(path), is_in_folder(path)) == found
