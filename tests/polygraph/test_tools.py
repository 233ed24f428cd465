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
        ("/usr/bin/test -f a", None, "test-builtin"),
        ("/bin/sh /usr/bin/which python3", "/usr/bin/which", "test-builtin"),
        ("node node_modules/typescript/lib/tsc.js", None, "tsc"),
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
        "node test.js",
        "python3 test.py",
        "ruby -w test.rb",
        "bash test",
        "./test",
        "/repo/bin/test",
        "python3 ./diff.py a b",
        "python3 serve.py",
        "node next.js build",
        "python3 tools/git.py commit",
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
        "jest --listTests",
        "git push --dry-run",
        "npm publish --dry-run",
        "kubectl apply -f a.yaml --dry-run=client",
        "vitest list",
        "go test -run ^$ -bench . ./...",
        "go test -run=^$ ./...",
        "cargo test -- --list",
        "cargo test --workspace -- --list",
        "pytest --setup-only",
        "tox l",
        "inv --list test",
        "R CMD check --no-tests a.tar.gz",
        "xcodebuild test -dry-run",
        "mvn test -Dmaven.test.skip=true",
        "apt-get -s install jq",
    ],
)
def test_arguments_with_which_nothing_runs(line: str) -> None:
    argv = shlex.split(line)
    match = recognise(argv[0], None, argv)
    assert match is not None
    assert match.runs_nothing
    assert purpose_of(argv[0], None, argv) is None


@pytest.mark.parametrize(
    "line", ["mvn -q package -DskipTests", "sh ./mvnw -DskipTests install", "gradle build -x test"]
)
def test_what_tests_nothing_builds(line: str) -> None:
    argv = shlex.split(line)
    assert purpose_of(argv[0], None, argv) == "build"


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
        ("mocha", 3, "failed"),
        ("pytest", 2, "failed"),  # a module that could not be collected, too
        ("pytest", 3, "error"),
        ("bazel-test", 3, "failed"),
        ("bazel-test", 4, "empty"),
        ("cargo-nextest", 100, "failed"),
        ("cargo-nextest", 4, "empty"),
        ("ctest", 8, "failed"),
        ("ginkgo", 197, "answer"),
        ("dotnet-test", 8, "empty"),
        ("dotnet-test", 1, "failed"),
        ("dart-test", 79, "empty"),
        ("xcodebuild-test", 65, "failed"),
        ("mix-test", 2, "failed"),
        ("nose2", 5, "empty"),
        ("unittest", 1, "failed"),
        ("go-test", 1, "failed"),
        ("phpunit", 2, "error"),
        ("make-test", 2, "failed"),
        ("prove", 1, "failed"),
    ],
)
def test_exit_statuses_mean_what_the_tool_documents(name: str, status: int, meaning: str) -> None:
    assert tools()[name].meaning(status) == meaning


#: options that look like "does nothing", of tools and in forms in which the work is done: each was an accusation once
@pytest.mark.parametrize(
    "line",
    [
        "mvn test -DskipTests=false",
        "mvn verify -Dmaven.test.skip=false",
        "kubectl apply -f a.yaml --dry-run=none",
        "helm upgrade a ./b --dry-run=false",
        "doit -n 4 test",
        "make -p test",
        "gcc -v -o a a.c",
        "clang -v -c a.c",
        "pipenv install -d",
        "brew install -s jq",
        "brew install -d jq",
        "php vendor/bin/phpcs -v src",
        "php vendor/bin/phpstan analyse -v",
        "hadolint -V Dockerfile",
        "ruff check --exit-zero .",
        "flake8 --exit-zero",
        "cargo test -- --nocapture",
        "cargo test -- --test-threads=1",
        "npm test -- --listTests",
        "gradle test -x lint",
        "dotnet test -v q",
        "pytest -p no:cacheprovider -W ignore -n 4 --tb short -o log_cli=true",
        "ninja -C build test",
    ],
)
def test_options_with_which_it_works_all_the_same(line: str) -> None:
    argv = shlex.split(line)
    match = recognise(argv[0], None, argv)
    assert match is not None
    assert not match.runs_nothing


@pytest.mark.parametrize(
    ("line", "blind"),
    [
        ("ruff check --exit-zero .", True),
        ("flake8 --exit-zero", True),
        ("mvn -fn test", True),
        ("mvn test -Dmaven.test.failure.ignore=true", True),
        ("mvn test -Dmaven.test.failure.ignore=false", False),
        ("golangci-lint run --issues-exit-code=1", True),
        ("rspec --failure-exit-code 0", True),
        ("robot --nostatusrc tests", True),
        ("pytest", False),
        ("ruff check .", False),
    ],
)
def test_options_that_take_the_meaning_from_the_exit_status(line: str, blind: bool) -> None:
    argv = shlex.split(line)
    match = recognise(argv[0], None, argv)
    assert match is not None
    assert match.blind is blind


#: the same runner, however it is started; what the kernel sees of it
LAUNCHERS = {
    "pytest": [
        "pytest",
        "/usr/bin/python3 -m pytest",
        "python -Wd -X dev -m pytest",
        "python -Im pytest",
        "pypy3 -m pytest",
        "python3.13 /home/u/.local/bin/pytest",
        "/r/.venv/bin/python3 /r/.venv/bin/py.test",
        "/r/.venv/bin/python -bb -m pytest",
    ],
    "jest": [
        "node /p/node_modules/.bin/jest",
        "node node_modules/jest/bin/jest.js",
        "/usr/bin/node --max-old-space-size=4096 /p/node_modules/jest/bin/jest.js",
        "/usr/bin/node -r ts-node/register node_modules/.bin/jest",
    ],
    "vitest": ["node /p/node_modules/vitest/vitest.mjs run", "/opt/node/bin/node ./node_modules/.bin/vitest"],
    "mocha": [
        "node /p/node_modules/mocha/bin/mocha.js",
        "node --inspect node_modules/.bin/_mocha",
        "node node_modules/mocha/lib/cli/cli.js",
    ],
    "phpunit": [
        "php vendor/bin/phpunit",
        "/usr/bin/php8.2 vendor/phpunit/phpunit/phpunit",
        "php phpunit.phar",
    ],
    "rspec": [
        "/usr/bin/ruby3.1 /usr/local/bin/rspec",
        "ruby -S rspec",
        "ruby bin/rspec",
        "/usr/bin/ruby -W0 /var/lib/gems/3.1.0/bin/rspec",
    ],
    "go-test": ["/usr/local/go/bin/go test ./...", "go1.22 test ./..."],
    "cargo-test": ["/root/.rustup/toolchains/1.80/bin/cargo test", "cargo +nightly test"],
    "cargo-nextest": ["cargo nextest run", "/root/.cargo/bin/cargo-nextest nextest run"],
    "node-test": ["node --test", "node --experimental-strip-types --test 'test/**/*.test.ts'", "tsx --test"],
    "unittest": ["python3 -m unittest", "python -u -m unittest discover"],
    "django-test": ["python manage.py test", "/r/.venv/bin/python3 -Wa ./manage.py test"],
    "maven-test": [
        "sh ./mvnw -q test",
        "java -classpath a.jar org.codehaus.plexus.classworlds.launcher.Launcher surefire:test",
    ],
    "gradle-test": [
        "sh ./gradlew :app:test",
        "java -Xmx1g -cp gradle-wrapper.jar org.gradle.wrapper.GradleWrapperMain test",
    ],
    "npm-test": [
        "node /usr/bin/npm test",
        "node /usr/lib/node_modules/npm/bin/npm-cli.js run test:unit",
        "yarn run test",
        "pnpm test",
    ],
}


@pytest.mark.parametrize(
    ("name", "line"), [(name, line) for name, lines in LAUNCHERS.items() for line in lines]
)
def test_a_runner_is_known_by_whatever_starts_it(name: str, line: str) -> None:
    assert tool_of(line) == name


@given(st.text(max_size=40), st.none() | st.text(max_size=40), st.lists(st.text(max_size=20), max_size=8))
def test_no_argument_vector_crashes_it(path: str, script: str | None, argv: list[str]) -> None:
    match = recognise(path, script, argv)
    assert match is None or match.tool.name in tools()


@pytest.mark.parametrize(
    "place", ["tests/my test.py", "tests/a.py::test_it[1 2]", "text:0123456789abcdef..py"]
)
def test_a_place_that_is_told_by_its_digest_below_redacted_is_one_at_no_level(place: str) -> None:
    match = recognise("/usr/bin/pytest", None, ("pytest", place, "tests/b.py"))
    assert match is not None and match.places == ("tests/b.py",) and match.by_option
    match = recognise("/usr/bin/pytest", None, ("pytest", "tests/b.py"))
    assert match is not None and match.places == ("tests/b.py",) and not match.by_option
