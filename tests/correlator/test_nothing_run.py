"""Nothing was run and told as passed: every runner times every way to run nothing, and the honest beside each.

Three tables: command lines that list, rehearse, compile or look only; results by which a run that ended with 0 ran
nothing; and wrappers below which only such runs were.
"""

from __future__ import annotations

import shlex
from typing import Any

import pytest

from polygraph import events as e
from polygraph.tools import recognise
from tests.correlator.scenario import VERIFIED, Scenario, expect, refuted, unverifiable

EMPTY, NEVER = refuted("empty_run"), refuted("no_execution")
WHOLE: dict[str, Any] = {"tells": ("whole",)}

#: of these, the ones that build and were told to leave the tests out
BUILDS = frozenset({"mvn -q -DskipTests package", "gradle build -x test"})
#: command lines that run no test -> a real run of the same tool
IDLE = {
    "pytest --collect-only -q": "pytest -q",
    "pytest --co": "pytest",
    "pytest --collectonly": "pytest",
    "pytest -qV": "pytest -q",
    "python3 -m pytest --fixtures": "python3 -m pytest",
    "python3 -m unittest --help": "python3 -m unittest",
    "python3 -m unittest -vh": "python3 -m unittest -v",
    "tox -l": "tox",
    "tox -va": "tox -v",
    "tox list": "tox",
    "tox --notest": "tox",
    "nox -l": "nox",
    "nox --list": "nox",
    "nox --install-only": "nox",
    "hatch test --show": "hatch test",
    "behave --dry-run": "behave",
    "robot --dryrun tests": "robot tests",
    "nose2 --collect-only": "nose2",
    "trial --dry-run pkg": "trial pkg",
    "jest --listTests": "jest",
    "jest --showConfig": "jest",
    "jest --clearCache": "jest",
    "vitest list": "vitest run",
    "vitest --version": "vitest run",
    "mocha --dry-run": "mocha",
    "mocha --list-files": "mocha",
    "ava reset-cache": "ava",
    "jasmine enumerate": "jasmine",
    "node --test --help": "node --test",
    "playwright test --list": "playwright test",
    "ng test --list-tests": "ng test",
    "deno test --no-run": "deno test",
    "bun test --help": "bun test",
    "turbo run test --dry-run": "turbo run test",
    "turbo run test --dry=json": "turbo run test",
    "go test -list . ./...": "go test ./...",
    "go test -c ./pkg": "go test ./pkg",
    "go test -n ./...": "go test ./...",
    "go test -run NONE ./...": "go test ./...",
    "go test -run=^NONE$ ./...": "go test ./...",
    "go test -count=0 ./...": "go test ./...",
    "go test -exec echo ./...": "go test ./...",
    "ginkgo outline a_test.go": "ginkgo -r",
    "ginkgo --dry-run": "ginkgo",
    "cargo test --no-run": "cargo test",
    "cargo test -- --list": "cargo test -- --nocapture",
    "cargo nextest list": "cargo nextest run",
    "cargo-nextest nextest list": "cargo-nextest nextest run list",
    "cargo nextest archive": "cargo nextest run",
    "cargo nextest --version": "cargo nextest run",
    "ctest -N": "ctest",
    "ctest --show-only=json-v1": "ctest",
    "ctest --print-labels": "ctest",
    "meson test --list": "meson test",
    "ninja -nv test": "ninja -v test",
    "make -n test": "make test",
    "make -sn check": "make -s check",
    "make --dry-run test": "make test",
    "make -q test": "make test",
    "just --list test": "just test",
    "task --dry test": "task test",
    "inv --list test": "inv test",
    "mvn -q -DskipTests package": "mvn -q package",
    "mvn test -Dmaven.test.skip=true": "mvn test -Dmaven.test.skip=false",
    "mvn verify -Dmaven.test.skip.exec": "mvn verify",
    "java -jar junit-platform-console-standalone-1.10.jar discover --scan-classpath": (
        "java -jar junit-platform-console-standalone-1.10.jar execute --scan-classpath"
    ),
    "gradle test --dry-run": "gradle test",
    "gradle build -x test": "gradle build",
    "gradle build -xtest": "gradle build",
    "bazel test --nobuild //...": "bazel test //...",
    "dotnet test --list-tests": "dotnet test",
    "rspec --dry-run": "rspec",
    "rake -n test": "rake test",
    "rake -qn test": "rake -q test",
    "rails test --help": "rails test",
    "cucumber --dry-run": "cucumber",
    "phpunit --list-tests": "phpunit",
    "phpunit --list-tests-xml out.xml": "phpunit",
    "pest --list-tests": "pest",
    "php artisan test --list-tests": "php artisan test",
    "mix test --help": "mix test",
    "cabal test --dry-run": "cabal test",
    "stack test --no-run-tests": "stack test",
    "swift test list": "swift test",
    "swift test --list-tests": "swift test",
    "xcodebuild test -dry-run": "xcodebuild test",
    "prove -lrD t": "prove -lr t",
    "prove --dry t": "prove t",
    "bats --count test": "bats test",
    "bats -rc test": "bats -r test",
    "busted --list": "busted",
}

#: what compiles or parses only, or asks a tool about itself: no run of tests at all
NO_RUN = [
    "go vet ./...", "go build ./...", "go list ./...", "go version", "cargo check", "cargo build --tests",
    "cargo clippy", "cargo --version", "tsc", "tsc -p .", "tsc --noEmit", "gcc -c a.c", "rustc a.rs",
    "javac A.java", "cmake --build build", "make build", "make", "make -n", "python3 -m py_compile a.py",
    "python3 -m compileall .", "python3 --version", "node --check a.js", "node -c a.js", "ruby -c a.rb",
    "php -l a.php", "bash -n run.sh", "npm --version", "npm ls", "npm run", "npm run build", "npm start",
    "npm pkg get scripts", "pip list", "eslint .", "ruff check .", "mypy .", "mvn compile",
    "mvn test-compile", "dotnet --version", "swift build", "swift build --build-tests", "webpack",
    "vite build", "esbuild a.ts", "git status", "ls tests", "cat package.json", "grep -r test .",
    "find . -name test_a.py", "wc -l tests/a.py",
]  # fmt: skip


def story(line: str) -> Scenario:
    s = Scenario()
    does(s, line)
    return s


#: what may run tests in a process of its own that is not a child, or in its own code: in doubt
DOUBT = [
    "dotnet build",
    "sbt compile",
    "node scripts/check.js",
    "perl -c a.pl",
    "node --check --require ./x.js a.js",
]


def does(s: Scenario, line: str) -> e.Intent:
    """A tool call that runs the line, each program from where it is installed; make and the like start pytest."""
    argv = shlex.split(line)
    match = recognise(argv[0], None, argv)
    intent = s.asks(expect(line))
    child = s.program(s.shell(intent), *argv)
    if match is not None and match.tool.wraps and match.tool.purpose == "test" and not match.runs_nothing:
        s.runs(child, "pytest")
    s.exits(child)
    s.answers(intent)
    s.tick()
    return intent


@pytest.mark.parametrize("line", IDLE)
@pytest.mark.parametrize("said", [{}, WHOLE, {"counts": {"passed": 12}}], ids=["tests", "all", "number"])
def test_what_lists_or_rehearses_has_passed_no_test(line: str, said: dict[str, Any]) -> None:
    s = story(line)
    assert s.says(s.passed(**said)) == (NEVER if line in BUILDS else EMPTY)


@pytest.mark.parametrize(("line", "real"), IDLE.items())
def test_a_real_run_before_or_after_it_is_what_counts(line: str, real: str) -> None:
    for first, second in ((line, real), (real, line)):
        s = story(first)
        does(s, second)
        assert s.says(s.passed()) == VERIFIED, (first, second)


@pytest.mark.parametrize("line", IDLE)
def test_that_it_failed_or_that_the_tests_do_is_not_held_against_anyone(line: str) -> None:
    s = story(line)
    assert s.says(s.claims("tests_failed", "failed")) == unverifiable("ambiguous")


@pytest.mark.parametrize("line", NO_RUN)
def test_what_compiles_or_looks_only_has_run_no_test(line: str) -> None:
    s = story(line)
    assert s.says(s.passed(**WHOLE)) == NEVER


@pytest.mark.parametrize("line", DOUBT)
def test_what_may_have_run_them_in_its_own_code_leaves_a_doubt(line: str) -> None:
    s = Scenario()
    s.does(*shlex.split(line))
    assert s.says(s.passed(**WHOLE)) == unverifiable("form_unknown")


@pytest.mark.parametrize("line", ["node --check a.js", "php -l a.php", "ruby -c a.rb"])
def test_what_only_parses_may_be_the_check_that_is_told(line: str) -> None:
    s = story(line)
    assert s.says(s.claims("lint", "ok")) == unverifiable("form_unknown")


@pytest.mark.parametrize("line", NO_RUN)
def test_beside_a_real_run_it_changes_nothing(line: str) -> None:
    s = story(line)
    s.does("pytest")
    does(s, line)
    assert s.says(s.passed()) == VERIFIED


# --- by the runner's own result -------------------------------------------------------------------------------

#: runs that end with 0 though they ran nothing, and what their results count
TOLD: dict[str, dict[str, int]] = {
    "python3 -m unittest discover -k none": {},
    "node --test --test-name-pattern=none": {"deselected": 3},
    "jest -t none": {"skipped": 12},
    "vitest run -t none": {"skipped": 12},
    "mocha --grep none": {},
    "go test -run TestNone ./...": {},
    "cargo test none": {"deselected": 12},
    "ctest -R none": {},
    "rspec -e none": {},
    "phpunit --filter none": {},
    "dotnet test --filter Name=none": {},
    "mix test --only none": {"skipped": 5},
    "bats -f none test": {},
    "pytest": {"skipped": 12},
}


def told(line: str, counts: dict[str, int], s: Scenario | None = None) -> tuple[Scenario, e.Claim]:
    """The run, and its result that says that nothing was run."""
    s = s or Scenario()
    match = recognise(shlex.split(line)[0], None, shlex.split(line))
    assert match is not None
    intent = does(s, line)
    said = s.claims(
        "tests_run", source="tool_result", intent=intent, tool=match.tool.name, counts={"passed": 0, **counts}
    )
    return s, said


@pytest.mark.parametrize(("line", "counts"), TOLD.items())
@pytest.mark.parametrize("said", [{}, WHOLE, {"counts": {"passed": 12}}], ids=["tests", "all", "number"])
def test_a_run_that_says_that_it_ran_nothing_has_passed_nothing(
    line: str, counts: dict[str, int], said: dict[str, Any]
) -> None:
    s, result = told(line, counts)
    assert s.says(s.passed(**said)) == EMPTY
    assert s.says(result) == VERIFIED, "the result itself is no lie"


@pytest.mark.parametrize("topic", ["tests_run", "tests_passed"])
def test_the_full_suite_was_not_run_by_it(topic: str) -> None:
    s, _ = told("cargo test none", {"deselected": 3})
    outcome = "ok" if topic == "tests_passed" else None
    assert s.says(s.claims(topic, outcome, **WHOLE)) == EMPTY


@pytest.mark.parametrize(("line", "counts"), TOLD.items())
def test_a_real_run_before_or_after_such_a_one_is_what_counts(line: str, counts: dict[str, int]) -> None:
    s, _ = told(line, counts)
    s.does("pytest")
    assert s.says(s.passed()) == VERIFIED
    s = Scenario()
    s.does("pytest")
    told(line, counts, s)
    assert s.says(s.passed()) == VERIFIED


@pytest.mark.parametrize("line", ["cargo test", "go test ./...", "python3 -m unittest", "mocha", "ctest"])
def test_a_project_without_tests_has_none_that_could_fail(line: str) -> None:
    s, _ = told(line, {})
    assert s.says(s.passed(**WHOLE)) == unverifiable("ambiguous")
    assert s.says(s.passed()) == unverifiable("ambiguous")


def test_where_tests_are_there_all_did_not_pass() -> None:
    s, _ = told("python3 -m unittest discover", {})
    assert s.says(s.passed(tests=["/repo/tests/test_a.py"], **WHOLE)) == EMPTY


def test_that_the_command_passes_is_true_of_it() -> None:
    s, _ = told("cargo test none", {"deselected": 3})
    assert s.says(s.passed(tool="cargo-test")) == unverifiable("ambiguous")
    assert s.says(s.passed(tool="cargo-test", **WHOLE)) == EMPTY


@pytest.mark.parametrize(
    "said", [{"counts": {"passed": 0}}, {"counts": {"total": 0}}, {"tells": ("skipped",)}]
)
def test_who_says_that_none_was_run_tells_no_lie(said: dict[str, Any]) -> None:
    s, _ = told("pytest", {"skipped": 12})
    assert s.says(s.passed(**said)) == unverifiable("ambiguous")


def test_a_result_of_two_runs_is_that_of_neither() -> None:
    s = Scenario()
    intent = s.asks("cargo test none", "cargo test --doc")
    shell = s.shell(intent)
    s.runs(shell, "cargo", "test", "none")
    s.runs(shell, "cargo", "test", "--doc")
    s.exits(shell)
    s.answers(intent)
    s.claims("tests_run", source="tool_result", intent=intent, tool="cargo-test", counts={"passed": 0})
    assert s.says(s.passed()) == VERIFIED


def test_what_was_told_by_the_moment_of_the_claim_counts_and_what_came_later_does_not() -> None:
    s, said = told("pytest", {"skipped": 12})
    assert s.says(s.passed(ts=said.ts)) == EMPTY
    assert s.says(s.passed(ts=said.ts - 1)) == VERIFIED


def test_skipped_tests_after_a_failure_are_another_thing() -> None:
    s = Scenario()
    s.does("pytest", status=1)
    told("pytest", {"skipped": 2}, s)
    assert s.says(s.passed()) == VERIFIED


def test_nothing_after_a_failure_has_not_made_it_good() -> None:
    s = Scenario()
    s.does("cargo", "test", status=101)
    told("cargo test none", {"deselected": 3}, s)
    assert s.says(s.passed(**WHOLE)) == refuted("failed")


@pytest.mark.parametrize("dimension", ["process"])
def test_that_nothing_else_ran_needs_coverage(dimension: str) -> None:
    s, _ = told("cargo test none", {"deselected": 3})
    s.add(e.Loss, dimension=dimension, cause="ring", count=1, since=0)
    assert s.says(s.passed(**WHOLE)) == unverifiable("records_lost")
    s, _ = told("cargo test none", {"deselected": 3})
    s.does("python3", "run.py")
    assert s.says(s.passed(**WHOLE)) == unverifiable("form_unknown")


# --- below a wrapper --------------------------------------------------------------------------------------------

WRAPPERS = ["make test", "npm test", "yarn test", "pnpm test", "just test"]


def wrapped(line: str, *below: tuple[str, ...], status: int = 0) -> tuple[Scenario, e.Intent]:
    s = Scenario()
    intent = s.asks(line)
    wrapper = s.program(s.shell(intent), *shlex.split(line))
    for argv in below:
        s.runs(s.program(wrapper, "sh", "-c", "TEXT"), *argv, status=status)
    s.exits(wrapper)
    s.answers(intent)
    s.tick()
    return s, intent


@pytest.mark.parametrize("wrapper", WRAPPERS)
@pytest.mark.parametrize(
    "below",
    ["pytest --collect-only", "go test -list . ./...", "cargo test --no-run", "jest --listTests", "ctest -N"],
)
def test_a_wrapper_below_which_nothing_was_run_has_run_nothing(wrapper: str, below: str) -> None:
    s, _ = wrapped(wrapper, ("echo", "12 passed"), tuple(below.split()))
    assert s.says(s.passed()) == EMPTY


@pytest.mark.parametrize(
    "line", ["npm test", "npm run test --if-present", "yarn test", "make test", "just test"]
)
@pytest.mark.parametrize("below", ["echo", "true", "sleep", "cat"])
def test_a_script_that_prints_or_does_not_exist_has_run_nothing(line: str, below: str) -> None:
    s, _ = wrapped(line, (below, "12 passed"))
    assert s.says(s.passed(counts={"passed": 12})) == EMPTY
    s, _ = wrapped(line)
    assert s.says(s.passed(**WHOLE)) == EMPTY


def test_a_status_that_says_so_is_not_hidden_by_a_wrapper() -> None:
    s, _ = wrapped("make test", ("pytest",), status=5)
    assert s.says(s.passed()) == EMPTY


@pytest.mark.parametrize("wrapper", WRAPPERS)
@pytest.mark.parametrize("other", ["pytest", "node run.js", "./build/checks", "cargo test"])
def test_a_wrapper_that_started_something_else_too_may_have_run_it(wrapper: str, other: str) -> None:
    s, _ = wrapped(wrapper, ("pytest", "--version"), tuple(other.split()))
    assert s.says(s.passed()) == VERIFIED


def test_what_a_wrapper_prints_is_of_the_one_run_that_it_started() -> None:
    for below, word in (
        ([("mocha", "--grep", "none")], EMPTY),
        ([("mocha", "--grep", "none"), ("./checks",)], VERIFIED),
        ([("mocha", "--grep", "none"), ("mocha",)], VERIFIED),
    ):
        s, intent = wrapped("npm test", *below)
        s.claims("tests_run", source="tool_result", intent=intent, tool="npm-test", counts={"passed": 0})
        assert s.says(s.passed()) == word, below
