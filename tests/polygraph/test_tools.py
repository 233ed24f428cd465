"""polygraph/tools.py: each row of data/tools.toml knows its own and nobody else's."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polygraph.tools import purpose_of, recognise, tools

EXAMPLES = [(name, example) for name, tool in tools().items() for example in tool.examples]


def tool_of(line: str, script: str | None = None) -> str | None:
    argv = shlex.split(line)
    match = recognise(argv[0], script, argv)
    return match.tool.name if match else None


def test_the_table_holds_at_least_ninety_rows_of_which_forty_test_runners() -> None:
    assert len(tools()) >= 90
    assert sum(tool.purpose == "test" for tool in tools().values()) >= 40


@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_a_row_recognises_its_own_examples(name: str, example: str) -> None:
    assert tool_of(example) == name


@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_an_example_does_what_the_tool_is_for(name: str, example: str) -> None:
    argv = shlex.split(example)
    match = recognise(argv[0], None, argv)
    assert match is not None
    assert not match.runs_nothing


@pytest.mark.parametrize("name", list(tools()))
def test_each_exit_status_of_a_row_is_a_number_of_a_process(name: str) -> None:
    assert all(0 <= int(status) <= 255 for status in tools()[name].exits)


@pytest.mark.parametrize(
    ("line", "script", "expected"),
    [
        ("/usr/bin/python3.11 /venv/bin/pytest -q", "/venv/bin/pytest", "pytest"),
        ("/venv/bin/python3 -u /venv/bin/pytest", "/venv/bin/pytest", "pytest"),
        ("/usr/bin/node /p/node_modules/.bin/jest", "/p/node_modules/.bin/jest", "jest"),
        ("/usr/bin/env node /p/node_modules/.bin/vitest run", "/p/node_modules/.bin/vitest", "vitest"),
        ("/bin/sh ./gradlew test", "./gradlew", "gradle-test"),
        ("/bin/bash ./run_tests.sh", "./run_tests.sh", None),
        ("python -um pytest", None, "pytest"),
        ("coverage run -m pytest -q", None, "pytest"),
        ("python -m coverage run --branch -m unittest", None, "unittest"),
        ("/bin/busybox grep x", None, "grep"),
        ("make clean test", None, "make-test"),
        ("mvn -B clean verify", None, "maven-test"),
        ("go -C sub test ./...", None, "go-test"),
        ("npm run test -- --watch=false", None, "npm-test"),
        ("tsc --noEmit -p .", None, "tsc-noemit"),
    ],
)
def test_observed_forms(line: str, script: str | None, expected: str | None) -> None:
    argv = shlex.split(line)
    path = "/bin/busybox" if "busybox" in line else argv[0]
    argv = argv[1:] if "busybox" in line else argv
    match = recognise(path, script, argv)
    assert (match.tool.name if match else None) == expected


@pytest.mark.parametrize(
    "line",
    [
        "sh -c 'pytest -q'",
        "bash -lc 'npm test'",
        "python -c 'import pytest; pytest.main()'",
        "node -e 'require(\"jest\")'",
        "echo pytest",
        "python tests/test_a.py",
        "cat pytest",
        "vim pytest.ini",
        "git add tests",
        "npm run storybook",
        "cargo run test",
        "make clean",
        "./a.out",
        "python",
        "uv run pytest",
    ],
)
def test_a_form_that_is_not_known_is_not_guessed(line: str) -> None:
    assert tool_of(line) is None


def test_a_name_that_only_argv0_claims_is_not_believed() -> None:
    assert recognise("/usr/bin/true", None, ["pytest", "-q"]) is None


@pytest.mark.parametrize(
    "line",
    [
        "pytest --collect-only -q",
        "pytest --version",
        "python -m pytest --co",
        "make -n test",
        "go test -list . ./...",
        "cargo test --no-run",
        "mvn -DskipTests package",
        "gradle build -x test",
        "jest --listTests",
        "git push --dry-run",
        "npm publish --dry-run",
        "kubectl apply -f a.yaml --dry-run=client",
        "vitest list",
    ],
)
def test_arguments_with_which_nothing_runs(line: str) -> None:
    argv = shlex.split(line)
    match = recognise(argv[0], None, argv)
    assert match is not None
    assert match.runs_nothing
    assert purpose_of(argv[0], None, argv) is None


@pytest.mark.parametrize(
    ("line", "subset"),
    [
        ("pytest", False),
        ("pytest -q tests", False),
        ("pytest -k one", True),
        ("pytest tests/test_a.py", True),
        ("pytest tests/test_a.py::test_b", True),
        ("pytest -c pytest.py", False),
        ("pytest --lf", True),
        ("go test ./...", False),
        ("go test ./pkg", True),
        ("go test -run=TestA ./...", True),
        ("cargo test", False),
        ("cargo test name", True),
        ("jest", False),
        ("jest a.test.js", True),
        ("vitest run", False),
        ("vitest run a", True),
        ("mvn -Dtest=ATest test", True),
    ],
)
def test_arguments_that_select_a_part(line: str, subset: bool) -> None:
    argv = shlex.split(line)
    match = recognise(argv[0], None, argv)
    assert match is not None
    assert match.subset is subset


@pytest.mark.parametrize(
    ("name", "status", "meaning"),
    [
        ("pytest", 0, "ok"),
        ("pytest", 1, "failed"),
        ("pytest", 4, "error"),
        ("pytest", 5, "empty"),
        ("unittest", 5, "empty"),
        ("grep", 1, "answer"),
        ("cargo-test", 101, "failed"),
        ("junit-console", 2, "empty"),
        ("jest", 17, "failed"),
    ],
)
def test_exit_statuses_mean_what_the_tool_documents(name: str, status: int, meaning: str) -> None:
    assert tools()[name].meaning(status) == meaning


@given(st.text(max_size=40), st.none() | st.text(max_size=40), st.lists(st.text(max_size=20), max_size=8))
def test_no_argument_vector_crashes_it(path: str, script: str | None, argv: list[str]) -> None:
    match = recognise(path, script, argv)
    assert match is None or match.tool.name in tools()
