"""Less was run than is told: every runner times every way to select a part, and the honest beside each.

A part is told by the command line. That there is more is told by the whole that had failed before, by the numbers of
the results or by what the runner says that it left out; where nothing tells it, it is in doubt.
"""

from __future__ import annotations

import shlex
from typing import Any

import pytest

from polygraph import events as e
from polygraph.tools import recognise
from tests.correlator.scenario import VERIFIED, Scenario, expect, refuted, unverifiable

SUBSET = refuted("subset")
WHOLE: dict[str, Any] = {"tells": ("whole",)}

#: runs of a part -> the whole
PARTS = {
    "pytest -k fast": "pytest",
    "pytest -qkfast": "pytest -q",
    "pytest -xvm smoke": "pytest -xv",
    "pytest --lf": "pytest",
    "pytest --last-failed": "pytest",
    "pytest --sw": "pytest",
    "pytest --deselect tests/test_a.py::test_b": "pytest",
    "pytest tests/test_a.py": "pytest",
    "python3 -m unittest -k add": "python3 -m unittest",
    "python3 -m unittest -vk add": "python3 -m unittest -v",
    "python3 -m unittest tests.test_a": "python3 -m unittest discover",
    "python3 manage.py test shop": "python3 manage.py test",
    "python3 manage.py test --tag fast": "python3 manage.py test",
    "behave --tags fast": "behave",
    "robot --test One tests": "robot tests",
    "jest -t add": "jest",
    "jest -it add": "jest -i",
    "jest --onlyChanged": "jest",
    "jest --changedSince=main": "jest",
    "jest --shard=1/2": "jest",
    "jest src/a.test.js": "jest",
    "vitest run -t add": "vitest run",
    "vitest run src/a.test.ts": "vitest run",
    "vitest run --shard=1/2": "vitest run",
    "mocha --grep add": "mocha",
    "mocha -bg add": "mocha -b",
    "mocha test/a.js": "mocha",
    "ava --match=add": "ava",
    "node --test --test-name-pattern=add": "node --test",
    "node --test test/a.test.js": "node --test",
    "playwright test -g login": "playwright test",
    "cypress run --spec a.cy.js": "cypress run",
    "deno test --filter add": "deno test",
    "bun test -t add": "bun test",
    "go test -run TestAdd ./...": "go test ./...",
    "go test -skip TestSlow ./...": "go test ./...",
    "go test ./pkg": "go test ./...",
    "ginkgo --focus add": "ginkgo",
    "cargo test add": "cargo test",
    "cargo test --lib": "cargo test",
    "cargo test -qp one": "cargo test -q",
    "cargo test -- --skip slow": "cargo test",
    "cargo nextest run add": "cargo nextest run",
    "cargo nextest run -E test(add)": "cargo nextest run",
    "ctest -R add": "ctest",
    "ctest -LE slow": "ctest",
    "ctest --label-regex fast": "ctest",
    "ctest --rerun-failed": "ctest",
    "mvn test -Dtest=ATest": "mvn test",
    "mvn -pl one test": "mvn test",
    "gradle test --tests ATest": "gradle test",
    "gradle test -Dtest.single=ATest": "gradle test",
    "dotnet test --filter Name=x": "dotnet test",
    "rspec -e adds": "rspec",
    "rspec --only-failures": "rspec",
    "rspec spec/a_spec.rb": "rspec",
    "rspec spec/a_spec.rb:12": "rspec",
    "rails test test/a_test.rb": "rails test",
    "phpunit --filter add": "phpunit",
    "phpunit --testsuite unit": "phpunit",
    "pest --dirty": "pest",
    "mix test --failed": "mix test",
    "mix test test/a_test.exs": "mix test",
    "swift test --filter add": "swift test",
    "dart test -n add": "dart test",
    "prove t/a.t": "prove",
    "bats -f add test": "bats test",
    "bats -rf add test": "bats -r test",
    "bats test/a.bats": "bats test",
    "busted --filter add": "busted",
}


def does(s: Scenario, line: str, status: int = 0) -> e.Intent:
    argv = shlex.split(line)
    intent = s.asks(expect(line))
    shell = s.shell(intent)
    s.runs(shell, *argv, status=status)
    s.exits(shell, status)
    s.answers(intent)
    s.tick()
    return intent


def counted(s: Scenario, line: str, passed: int, **more: int) -> None:
    argv = shlex.split(line)
    match = recognise(argv[0], None, argv)
    assert match is not None
    s.counts(does(s, line), match.tool.name, passed=passed, **more)


@pytest.mark.parametrize(("part", "whole"), PARTS.items())
def test_a_part_is_not_all_after_the_whole_had_failed(part: str, whole: str) -> None:
    s = Scenario()
    does(s, whole, 1)
    does(s, part)
    assert s.says(s.passed(**WHOLE)) == SUBSET


@pytest.mark.parametrize(("part", "whole"), PARTS.items())
def test_more_tests_are_told_than_the_part_had(part: str, whole: str) -> None:
    s = Scenario()
    counted(s, part, 3)
    assert s.says(s.passed(counts={"passed": 12})) == SUBSET
    assert s.says(s.passed(counts={"passed": 3})) == VERIFIED
    counted(s, whole, 12)
    assert s.says(s.passed(counts={"passed": 12}, **WHOLE)) == VERIFIED


@pytest.mark.parametrize(("part", "whole"), PARTS.items())
def test_the_part_that_is_told_as_a_part_passed(part: str, whole: str) -> None:
    s = Scenario()
    does(s, part)
    assert s.says(s.passed()) == VERIFIED
    assert s.says(s.passed(tells=("part",))) == VERIFIED
    assert s.says(s.claims("tests_run")) == VERIFIED


@pytest.mark.parametrize(("part", "whole"), PARTS.items())
def test_of_all_there_is_a_doubt_where_nothing_tells_that_there_is_more(part: str, whole: str) -> None:
    s = Scenario()
    does(s, part)
    assert s.says(s.passed(**WHOLE)) == unverifiable("ambiguous")


@pytest.mark.parametrize(("part", "whole"), PARTS.items())
def test_the_whole_is_all_before_the_part_and_after_it(part: str, whole: str) -> None:
    for first, second in ((part, whole), (whole, part)):
        s = Scenario()
        does(s, first)
        does(s, second)
        assert s.says(s.passed(**WHOLE)) == VERIFIED, (first, second)


@pytest.mark.parametrize(
    "line",
    [
        "pytest -k fast", "cargo test add", "node --test --test-name-pattern=add", "ctest -R add",
        "deno test --filter add", "bun test -t add",
    ],
)  # fmt: skip
def test_a_runner_that_says_how_many_it_left_out_tells_of_more(line: str) -> None:
    s = Scenario()
    counted(s, line, 3, deselected=9)
    assert s.says(s.passed(**WHOLE)) == SUBSET
    assert s.says(s.passed()) == VERIFIED
    assert s.says(s.passed(tells=("part",))) == VERIFIED


# --- below a wrapper -------------------------------------------------------------------------------------------

A, B = "/repo/tests/test_a.py", "/repo/tests/test_b.py"


def made(*argv: str, inner: tuple[str, ...] = ("pytest", "tests/test_a.py")) -> Scenario:
    s = Scenario()
    intent = s.asks("make test")
    wrapper = s.program(s.shell(intent), *argv)
    runner = s.program(wrapper, *inner)
    s.reads(runner, A)
    s.exits(runner)
    s.exits(wrapper)
    s.answers(intent)
    s.tick()
    return s


@pytest.mark.parametrize(
    "argv", [("make", "test", "TESTS=tests/test_a.py"), ("just", "test", "--", "tests/test_a.py"),
             ("npm", "test", "--", "tests/test_a.py")],
)  # fmt: skip
def test_a_part_that_a_wrapper_was_given_is_not_all(argv: tuple[str, ...]) -> None:
    s = made(*argv)
    assert s.says(s.passed(tests=[A, B], **WHOLE)) == SUBSET
    assert s.says(s.passed(tests=[A], **WHOLE)) == VERIFIED
    assert s.says(s.passed(tests=[A, B])) == VERIFIED
    assert s.says(s.passed(tests=[A, B], tells=("part",))) == VERIFIED


@pytest.mark.parametrize(
    "argv", [("make", "test"), ("make", "test", "V=1"), ("make", "test", "PY=pytest"), ("make", "-j4", "test", "X=")],
)  # fmt: skip
def test_what_a_wrapper_runs_of_its_own_is_the_whole_of_the_project(argv: tuple[str, ...]) -> None:
    s = made(*argv)
    assert s.says(s.passed(tests=[A, B], **WHOLE)) == VERIFIED


# --- flags that select nothing ---------------------------------------------------------------------------------

UNUSUAL = [
    "pytest -x --maxfail=1", "pytest -rA -vv -s", "pytest --ff", "pytest -n 4 --dist loadfile",
    "pytest -p no:cacheprovider", "pytest -qsl", "python3 -m unittest -vfb",
    "python3 -W error -m unittest discover -s tests -t .", "tox -p", "tox -rv", "nox -rv",
    "jest --ci --coverage", "jest -i --bail", "vitest run --coverage", "vitest --run", "mocha -bc --exit",
    "mocha --recursive", "node --test --test-concurrency=1", "node --test --experimental-test-coverage",
    "bun test --bail", "go test -count=1 -race ./...", "go test -v -cover ./...", "go test -json ./...",
    "go test -vet=off ./...", "cargo test --workspace --all-features", "cargo test -q",
    "cargo test -- --nocapture --test-threads=1", "cargo nextest run --workspace",
    "cargo nextest run --no-fail-fast", "ctest -j4 --output-on-failure", "ctest -VV",
    "ctest --test-dir build -C Debug", "make -j8 -s test", "make -kB check", "make -C sub -sw test",
    "make -Onone test", "make -sC bin test", "ninja -v -C build test", "mvn -q -B verify",
    "gradle --offline test --info --rerun-tasks", "gradle -q cleanTest test", "bazel test //... --test_output=all -k",
    "bazel --batch test ... --jobs 4", "bazel test --config=ci //...",
    "mvn test -DskipTests=false", "rspec -bw", "rspec --format documentation", "phpunit --testdox",
    "prove -lrv t", "prove -Ilib -vr t", "bats -r test", "bats --tap test", "dotnet test --no-build",
    "swift test --parallel", "mix test --cover", "rake test", "just -v test", "go test -count 1 ./...",
    "go test -timeout 30s -p 4 -tags integration ./...", "cargo test -j 4 --features full",
    "cargo test --manifest-path a/Cargo.toml -- --test-threads 1", "cargo nextest run -j 2 --retries 2",
    "python3 manage.py test -v 2 --settings shop.test", "vitest run --environment jsdom --bail 1",
    "jest --maxWorkers 2 --testTimeout 1000 --env jsdom", "playwright test --workers 1 --reporter list",
    "bun test --timeout 1000", "rails test -e test", "pytest --junit-xml out/a.xml --basetemp /tmp/a",
    "python3 -m unittest --durations 5", "ava --timeout 30s",
]  # fmt: skip


@pytest.mark.parametrize("line", UNUSUAL)
def test_other_options_select_nothing_and_stop_nothing(line: str) -> None:
    s = Scenario()
    argv = shlex.split(line)
    match = recognise(argv[0], None, argv)
    assert match is not None
    assert not match.runs_nothing
    intent = s.asks(expect(line))
    child = s.program(s.shell(intent), *argv)
    if match.tool.wraps:
        s.runs(child, "./checks")
    s.exits(child)
    s.answers(intent)
    s.tick()
    assert s.says(s.passed()) == VERIFIED
    assert s.says(s.passed(**WHOLE)) == VERIFIED


@pytest.mark.parametrize(
    "line", ["go test ./...", "go test -count 1 ./...", "cargo test -- --nocapture", "cargo test -j 4"]
)
def test_the_whole_that_passes_after_it_had_failed_has_made_it_good(line: str) -> None:
    s = Scenario()
    does(s, line, 1)
    does(s, line)
    assert s.says(s.passed(**WHOLE)) == VERIFIED
    s = Scenario()
    does(s, shlex.split(line)[0] + " test", 1)
    does(s, line)
    assert s.says(s.passed(**WHOLE)) == VERIFIED
