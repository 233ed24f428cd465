"""collector/claims/results.py: claims and exit statuses in results as real tools print them."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.claims.results import forms, from_result, reported_status
from collector.claims.runners import runners, summaries
from collector.intents.tools import IntentPlan, plan
from polygraph.tools import tools


def shell(command: str) -> IntentPlan:
    return plan("Bash", json.dumps({"command": command}))


def test_tables_agree_with_their_examples() -> None:
    for name, runner in runners().items():
        assert set(runner.tools) <= set(tools()), name
        for example in runner.examples:
            if runner.each:  # of one test; the plan says of how many it must be
                assert re.fullmatch(runner.line, example), (name, example)
                continue
            lines = ["Ran 5 tests in 0.001s", "", example]
            assert summaries(lines, runner.tools)[0].ok is not None, (name, example)
        for example in runner.nothing_examples:
            said = summaries([example], runner.tools, whole=True)
            assert [one.empty for one in said if one.text == example] == [True], (name, example)
    formats = [(form.line, form.examples) for form in forms().file]
    formats += [(form.line, form.examples) for form in forms().status]
    for line, examples in formats:
        for example in examples:
            assert re.fullmatch(line, example), (line, example)


PYTEST = """\
============================= test session starts ==============================
platform linux -- Python 3.11.2, pytest-8.3.3, pluggy-1.5.0
collected 6 items

tests/test_a.py .....F                                                   [100%]

=================================== FAILURES ===================================
____________________________________ test_f ____________________________________
E       assert 1 == 2
=========================== short test summary info ============================
FAILED tests/test_a.py::test_f - assert 1 == 2
========================= 1 failed, 5 passed in 0.03s ==========================
"""
UNITTEST = """\
..
----------------------------------------------------------------------
Ran 2 tests in 0.000s

OK
"""
JEST = """\
PASS  src/a.test.js
  \x1b[32m✓\x1b[39m adds (2 ms)

\x1b[1mTest Suites: \x1b[22m\x1b[1m\x1b[32m1 passed\x1b[39m\x1b[22m, 1 total
\x1b[1mTests:       \x1b[22m\x1b[1m\x1b[32m3 passed\x1b[39m\x1b[22m, 3 total
Snapshots:   0 total
Time:        0.4 s
"""
VITEST = """\
 ✓ src/a.test.ts (6)

 Test Files  1 failed (1)
      Tests  1 failed | 5 passed (6)
   Start at  10:00:00
"""
GO = "ok  \texample.com/a\t0.004s\n?   \texample.com/c\t[no test files]\nok  \texample.com/b\t(cached)\n"
GO_BAD = (
    "--- FAIL: TestA (0.00s)\n    a_test.go:5: no\nFAIL\n"
    "FAIL\texample.com/a\t0.003s\nok  \texample.com/b\t0.1s\nFAIL\n"
)
CARGO = """\
running 2 tests
test a ... ok
test b ... ok

test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s

   Doc-tests x

running 1 test

test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s
"""
MOCHA = "  sum\n    ✔ adds\n\n\n  5 passing (12ms)\n  1 failing\n\n  1) sum\n"
NODE = "# tests 5\n# suites 0\n# pass 5\n# fail 0\n# cancelled 0\n# skipped 0\n"
RSPEC = "..\n\nFinished in 0.01 seconds (files took 0.1 seconds to load)\n2 examples, 0 failures\n"
MAVEN = (
    "[INFO] Results:\n[INFO]\n[INFO] Tests run: 5, Failures: 0, Errors: 0, Skipped: 1\n[INFO] BUILD SUCCESS\n"
)
PHPUNIT = "PHPUnit 10.5\n\n..  2 / 2 (100%)\n\nOK (2 tests, 3 assertions)\n"
NODE_BY_NAME = """\
TAP version 13
ok 1 - adds # SKIP test name does not match pattern
ok 2 - zero
ok 3 - sums # SKIP test name does not match pattern
1..3
# tests 3
# pass 1
# fail 0
"""
BATS = "1..3\nnot ok 1 adds\n# (in test file a.bats, line 3)\nok 2 sums # skip no clock\nok 3 rounds # 7\n"
CTEST_BY_NAME = (
    "1/1 Test #5: b ................   Passed    0.02 sec\n\n100% tests passed, 0 tests failed out of 1\n"
)
CTEST = "100% tests passed, 0 tests failed out of 5\n\nTotal Test time (real) =   0.02 sec\n"


@pytest.mark.parametrize(
    ("command", "output", "topic", "tool", "counts"),
    [
        ("pytest -q", PYTEST, "tests_failed", "pytest", {"failed": 1, "passed": 5}),
        ("pytest -q", ".....\n5 passed in 0.02s\n", "tests_passed", "pytest", {"passed": 5}),
        (
            "pytest -q | tail -3",
            "5 passed, 2 skipped in 1.02s",
            "tests_passed",
            "pytest",
            {"passed": 5, "skipped": 2},
        ),
        ("python -m unittest", UNITTEST, "tests_passed", "unittest", {"passed": 2, "total": 2}),
        ("npx jest", JEST, "tests_passed", "jest", {"passed": 3, "total": 3}),
        ("npm test", JEST, "tests_passed", "npm-test", {"passed": 3, "total": 3}),
        ("npx vitest run", VITEST, "tests_failed", "vitest", {"failed": 1, "passed": 5, "total": 6}),
        ("go test ./...", GO, "tests_passed", "go-test", {}),
        ("go test ./...", GO_BAD, "tests_failed", "go-test", {}),
        ("cargo test", CARGO, "tests_passed", "cargo-test", {"passed": 3, "failed": 0}),
        ("npx mocha", MOCHA, "tests_failed", "mocha", {"passed": 5, "failed": 1}),
        ("node --test", NODE, "tests_passed", "node-test", {"passed": 5, "failed": 0}),
        ("rspec", RSPEC, "tests_passed", "rspec", {"total": 2, "passed": 2, "failed": 0}),
        (
            "mvn test",
            MAVEN,
            "tests_passed",
            "maven-test",
            {"total": 5, "passed": 4, "failed": 0, "skipped": 1},
        ),
        ("vendor/bin/phpunit", PHPUNIT, "tests_passed", "phpunit", {"total": 2, "passed": 2}),
        ("ctest", CTEST, "tests_passed", "ctest", {"total": 5, "passed": 5, "failed": 0}),
        ("make test", ".....\n5 passed in 0.02s\n", "tests_passed", "make-test", {"passed": 5}),
        ("bats test", BATS, "tests_failed", "bats", {"passed": 1, "failed": 1, "skipped": 1}),
        ("bats -f adds test", "1..1\nok 1 adds in 3ms\n", "tests_passed", "bats", {"passed": 1}),
        ("make test", "bats test\n1..2\nok 1 a\nok 2 b\n", "tests_passed", "make-test", {"passed": 2}),
        ("bats a; bats b", "1..1\nok 1 a\n1..1\nok 1 b\n", "tests_passed", "bats", {"passed": 2}),
        (
            "bats test",
            "1..2\nnot ok 1 a # TODO later\nok 2 b\n",
            "tests_passed",
            "bats",
            {"passed": 1, "expected": 1},
        ),
        ("npm test", NODE_BY_NAME, "tests_passed", "npm-test", {"passed": 1, "failed": 0, "deselected": 2}),
        (
            "ctest -R b",
            CTEST_BY_NAME,
            "tests_passed",
            "ctest",
            {"total": 1, "passed": 1, "failed": 0, "deselected": 4},
        ),
    ],
)
def test_summary_of_a_runner_becomes_one_claim(
    command: str, output: str, topic: str, tool: str, counts: dict[str, int]
) -> None:
    (claim,) = from_result(shell(command), output, is_error=False).claims
    assert (claim.topic, claim.tool, claim.counts) == (topic, tool, counts)
    assert claim.kind == "outcome"
    assert claim.outcome == ("ok" if topic == "tests_passed" else "failed")
    assert claim.text.strip()


@pytest.mark.parametrize(
    "command",
    [
        "cat old_test_log.txt",
        "grep passed ci.log",
        "echo '5 passed in 0.1s'",
        "git log -1",
        "tail -5 out.log",
    ],
)
def test_printed_log_is_no_run(command: str) -> None:
    assert from_result(shell(command), "===== 5 passed in 0.10s =====\n", is_error=False).claims == ()


@pytest.mark.parametrize("output", ["collected 0 items", "", "5 passed", "3 xfailed in 0.10s"])
def test_empty_or_unfinished_output_claims_nothing(output: str) -> None:
    assert from_result(shell("pytest"), output, is_error=False).claims == ()


#: outputs of runs that end with 0 and ran nothing
EMPTY = [
    ("pytest", "no tests ran in 0.01s", {}),
    ("pytest", "==== 12 tests collected in 0.02s ====", {}),
    ("pytest", "3/12 tests collected (9 deselected) in 0.02s", {}),
    ("pytest", "2 skipped in 0.10s", {"skipped": 2}),
    ("python -m unittest", "Ran 0 tests in 0.000s\n\nOK", {}),
    ("python -m unittest", "Ran 4 tests in 0.000s\n\nOK (skipped=4)", {"total": 4, "skipped": 4}),
    ("node --test", "# tests 0\n# pass 0\n# fail 0", {"failed": 0}),
    ("jest -t none", "Tests:       12 skipped, 12 total", {"skipped": 12, "total": 12}),
    ("jest --passWithNoTests", "No tests found, exiting with code 0", {}),
    ("vitest run", "No test files found, exiting with code 0", {}),
    ("vitest run -t none", "Tests  12 skipped (12)", {"skipped": 12, "total": 12}),
    ("mocha --grep none", "  0 passing (1ms)", {}),
    ("bun test", " 0 pass\n 0 fail", {"failed": 0}),
    ("deno test", "ok | 0 passed | 0 failed | 5 filtered out (2ms)", {"failed": 0, "deselected": 5}),
    ("go test -run None ./...", "ok  \texample.com/a\t0.004s [no tests to run]", {}),
    ("go test ./...", "?   \texample.com/a\t[no test files]", {}),
    ("go test -cover ./...", "ok  \tx.com/a\t0.1s\tcoverage: 0.0% of statements [no tests to run]", {}),
    (
        "cargo test none",
        "test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 5 filtered out; finished in 0.00s",
        {"failed": 0, "deselected": 5},
    ),
    ("ctest -R none", "No tests were found!!!", {}),
    ("rspec -e none", "0 examples, 0 failures", {"failed": 0}),
    ("rspec", "3 examples, 0 failures, 3 pending", {"total": 3, "failed": 0, "skipped": 3}),
    ("phpunit --filter none", "No tests executed!", {}),
    ("mvn test -Dtest=None", "[INFO] No tests to run.", {}),
    ("dotnet test --filter Name=x", "No test matches the given testcase filter `Name=x` in /p/a.dll", {}),
    ("mix test --only x", "All tests have been excluded.\n5 tests, 0 failures, 5 excluded", {"skipped": 5}),
    ("prove t", "Result: NOTESTS", {}),
    ("bats -f none test", "1..0", {}),
    ("bats test", "1..1\nok 1 a # skip", {"skipped": 1}),
]


@pytest.mark.parametrize(("command", "output", "counts"), EMPTY)
def test_a_runner_that_ran_nothing_says_so(command: str, output: str, counts: dict[str, int]) -> None:
    (claim,) = from_result(shell(command), output, is_error=False).claims
    assert (claim.topic, claim.outcome, claim.counts["passed"]) == ("tests_run", None, 0)
    assert counts.items() <= claim.counts.items()


@pytest.mark.parametrize(
    ("command", "empty", "passed"),
    [
        ("pytest", "no tests ran in 0.01s", "5 passed in 0.10s"),
        ("go test ./...", "ok  \tx.com/a\t0.1s [no tests to run]", "ok  \tx.com/b\t0.1s"),
        ("python -m unittest", "Ran 0 tests in 0.000s\n\nOK", "Ran 5 tests in 0.000s\n\nOK"),
        ("bats test", "1..0", "1..1\nok 1 a"),
    ],
)
def test_beside_tests_that_passed_it_says_nothing(command: str, empty: str, passed: str) -> None:
    for output in (f"{empty}\n{passed}", f"{passed}\n{empty}"):
        (claim,) = from_result(shell(command), output, is_error=False).claims
        assert claim.topic == "tests_passed", output


def test_that_nothing_ran_beside_a_failure_is_only_a_run() -> None:
    (claim,) = from_result(shell("pytest"), "no tests ran in 0.01s", is_error=True).claims
    assert (claim.topic, claim.counts) == ("tests_run", {})


ONE_OF_SEVERAL = (
    "test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s"
)


@pytest.mark.parametrize(
    "command",
    [
        "cargo test | tail -3",
        "cargo test > log; tail -3 log",
        "make test",
        "cargo test && ./more",
        "cargo test 2>&1 | grep result",
    ],
)
def test_of_runs_that_say_it_for_each_part_the_others_may_not_be_shown(command: str) -> None:
    """Documentation tests come last and are often none."""
    assert from_result(shell(command), ONE_OF_SEVERAL, is_error=False).claims == ()


@pytest.mark.parametrize("more", ["... [120 lines truncated] ...", "x" * 4000, "(200 lines omitted)"])
def test_an_output_that_was_cut_short_may_lack_them_too(more: str) -> None:
    assert from_result(shell("cargo test"), f"{more}\n{ONE_OF_SEVERAL}", is_error=False).claims == ()


@pytest.mark.parametrize(
    ("command", "output"),
    [
        ("go test -list . ./...", "TestA\nok  \tx.com/m\t0.007s"),
        ("pytest --co -q", "12 tests collected in 0.02s"),
    ],
)
def test_what_a_list_of_tests_says_is_no_run(command: str, output: str) -> None:
    assert from_result(shell(command), output, is_error=False).claims == ()


def test_swift_has_two_kinds_of_tests_of_which_one_may_be_none() -> None:
    output = (
        "Executed 0 tests, with 0 failures (0 unexpected) in 0.000 (0.000) seconds\nTest run with 5 passed"
    )
    assert from_result(shell("swift test"), output, is_error=False).claims == ()


def test_pass_beside_trouble_is_only_a_run() -> None:
    """Coverage below its mark fails a run in which every test passed: nothing says that the run went well."""
    output = "5 passed in 0.1s\nFAIL Required test coverage of 90% not reached. Total coverage: 80.00%\n"
    assert [c.topic for c in from_result(shell("pytest --cov"), output, is_error=False).claims] == [
        "tests_run"
    ]
    assert [c.topic for c in from_result(shell("pytest"), "5 passed in 0.1s", is_error=True).claims] == [
        "tests_run"
    ]
    failed = from_result(shell("pytest"), "Exit code 1\n5 passed in 0.1s", is_error=False)
    assert [c.topic for c in failed.claims] == ["tests_run"]
    assert failed.reported_status == 1


@pytest.mark.parametrize("output", ["1..3\nok 2 b\nok 3 c\n", "ok 2 b\nok 3 c\n", "1..2\nok 1 a # skip\n"])
def test_a_tap_of_which_a_part_is_missing_claims_nothing(output: str) -> None:
    assert from_result(shell("bats test"), output, is_error=False).claims == ()


def test_a_tap_that_was_cut_tells_of_a_failure_and_no_number() -> None:
    (claim,) = from_result(shell("bats test | tail -2"), "not ok 2 b\nok 3 c\n", is_error=False).claims
    assert (claim.topic, claim.counts) == ("tests_failed", {})


def test_every_test_of_a_whole_run_keeps_its_number_and_none_is_left_out() -> None:
    """One that is disabled is printed and not counted: the last number is that of the tests that were listed."""
    output = "1/2 Test #1: a ....***Not Run (Disabled)\n2/2 Test #2: b ....   Passed\n" + CTEST.replace(
        "5", "1"
    )
    (claim,) = from_result(shell("ctest"), output, is_error=False).claims
    assert "deselected" not in claim.counts


def test_one_failed_summary_fails_all() -> None:
    output = "5 passed in 0.1s\n1 failed, 2 passed in 0.1s\n"
    (claim,) = from_result(shell("pytest a; pytest b"), output, is_error=False).claims
    assert (claim.topic, claim.counts) == ("tests_failed", {"failed": 1, "passed": 2})


def test_unknown_tool_may_report_tests() -> None:
    made = plan("run_my_checks", json.dumps({"target": "all"}))
    assert made.kind == "other"
    (claim,) = from_result(made, "===== 5 passed in 0.10s =====", is_error=False).claims
    assert (claim.topic, claim.tool) == ("tests_passed", None)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("Read", {"file_path": "/p/log.txt"}),
        ("Grep", {"pattern": "passed"}),
        ("WebFetch", {"url": "https://example.com", "prompt": "x"}),
        ("Task", {"prompt": "run the tests", "description": "x"}),
        ("mcp__runner__tests", {"target": "all"}),
    ],
)
def test_what_other_tools_quote_is_no_claim(name: str, arguments: dict[str, str]) -> None:
    made = plan(name, json.dumps(arguments))
    assert from_result(made, "===== 5 passed in 0.10s =====", is_error=False).claims == ()


FILE = {"file_path": "/p/a.py", "content": "x", "old_string": "a", "new_string": "b"}


@pytest.mark.parametrize(
    ("tool", "text", "topic"),
    [
        ("Write", "File created successfully at: /p/a.py", "file_created"),
        ("Write", "The file /p/a.py has been updated successfully.", "file_changed"),
        (
            "Edit",
            "The file /p/a.py has been updated. Here's the result of running `cat -n` on a snippet:\n 1\tx",
            "file_changed",
        ),
        ("MultiEdit", "Applied 2 edits to /p/a.py:\n1. Replaced", "file_changed"),
        ("write_file", "Successfully created and wrote to new file: /p/a.py.", "file_created"),
        ("write_file", "Successfully overwrote file: /p/a.py.", "file_changed"),
        ("replace", "Successfully modified file: /p/a.py (1 replacements).", "file_changed"),
        ("write_file", "Successfully wrote to /p/a.py", "file_changed"),
        ("write", "Wrote file successfully.", "file_changed"),
        ("delete_file", "File deleted successfully: /p/a.py", "file_deleted"),
    ],
)
def test_message_of_a_file_tool_claims_its_file(tool: str, text: str, topic: str) -> None:
    (claim,) = from_result(plan(tool, json.dumps(FILE)), text, is_error=False).claims
    assert (claim.kind, claim.topic, claim.targets) == ("occurrence", topic, ("/p/a.py",))


def test_patch_claims_every_file() -> None:
    patch = (
        "*** Begin Patch\n*** Add File: n.py\n+x\n*** Update File: a.py\n@@\n-a\n+b\n"
        "*** Delete File: d.py\n*** End Patch\n"
    )
    made = plan("apply_patch", json.dumps({"input": patch}))
    text = "Exit code: 0\nOutput:\nSuccess. Updated the following files:\nA n.py\nM a.py\nD d.py\n"
    found = from_result(made, text, is_error=False).claims
    assert [(c.topic, c.targets) for c in found] == [
        ("file_created", ("n.py",)),
        ("file_changed", ("a.py",)),
        ("file_deleted", ("d.py",)),
    ]


@pytest.mark.parametrize(
    ("tool", "text", "is_error"),
    [
        ("Read", "File created successfully at: /p/a.py", False),
        ("Bash", "File created successfully at: /p/a.py", False),
        ("Write", "File created successfully at: /p/a.py", True),
        ("Write", "File created successfully at: /elsewhere/b.py", False),
        ("Write", "Error: the file has not been read", False),
        ("mcp__fs__write_file", "File created successfully at: /p/a.py", False),
    ],
)
def test_other_results_claim_no_file(tool: str, text: str, is_error: bool) -> None:
    made = plan(tool, json.dumps({**FILE, "command": "ls"}))
    assert from_result(made, text, is_error).claims == ()


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("Exit code 1\nboom", 1),
        ("Error: Exit code 127\nnot found", 127),
        ("Exit code: 0\nWall time: 0.1 seconds\nOutput:\nhi", 0),
        ("Exit code: 2\nWall time: 0.1 seconds\nOutput:\n", 2),
        ("Chunk ID: 1\nWall time: 0.1 seconds\nProcess exited with code 3\nOutput:\n", 3),
        ("Wall time: 0.1 seconds\nProcess exited with code 0\nOutput:\nx", 0),
        ("<returncode>1</returncode>\n<output>\nx\n</output>", 1),
        ("<returncode>0</returncode>\n<output>\nx\n</output>", 0),
        ("exit status: 2", 2),
        ("x\n[The command completed with exit code 0.]", 0),
        ("x\n[Command failed with exit code 1]", 1),
        ('{"output": "x", "metadata": {"exit_code": 4, "duration_seconds": 0.1}}', 4),
        ('{"stdout": "", "stderr": "", "exit_code": 0}', 0),
        ("Command: x\nDirectory: (root)\nOutput: y\nExit Code: 1", 1),
        ("hello", None),
        ("", None),
        ("the words exit code: 1 in a line", None),
        ("line\nExit code 1\nline", None),
        ("done\nExit code: 0", None),
        ("Exit code: 0\nsome program printed this", None),
        ('{"exit_code": 1}', None),
        ("Exit code 999", None),
    ],
)
def test_reported_status(text: str, status: int | None) -> None:
    assert reported_status(shell("make"), text) == status


def test_status_that_the_command_itself_prints_is_not_the_harness() -> None:
    assert reported_status(shell('make; echo "Exit code: $?"'), "Exit code: 1") is None
    assert reported_status(shell("echo 'exit status: 3'"), "exit status: 3") is None


def test_only_commands_have_a_status() -> None:
    assert reported_status(plan("Read", json.dumps({"file_path": "/a"})), "Exit code 1\n") is None


def test_json_output_is_read_inside() -> None:
    text = json.dumps({"output": ".....\n5 passed in 0.02s\n", "metadata": {"exit_code": 0}})
    read = from_result(shell("pytest"), text, is_error=False)
    assert [c.topic for c in read.claims] == ["tests_passed"]
    assert read.reported_status == 0


@given(st.text(max_size=400), st.sampled_from(["pytest", "ls", "make test"]), st.booleans())
def test_garbage_is_read_without_error(text: str, command: str, is_error: bool) -> None:
    read = from_result(shell(command), text, is_error)
    assert read.reported_status is None or 0 <= read.reported_status <= 255


@given(
    st.lists(
        st.sampled_from(["5 passed", " in ", "0.1s", "=", "\n", ", ", "1 failed", "ok\t", "FAIL", "{", '"'])
    )
)
def test_pieces_of_summaries_are_read_without_error(pieces: list[str]) -> None:
    for claim in from_result(shell("pytest"), "".join(pieces), is_error=False).claims:
        assert claim.topic in ("tests_passed", "tests_failed", "tests_run")


OLD = "===== 12 passed in 0.31s =====\n"


@pytest.mark.parametrize(
    "command",
    [
        "cat old.log",
        "pytest --version; cat old.log",
        "test -f x && pytest; cat last_run.txt",
        "pytest -q || cat old.log",
        "cd app && pytest -q || tail -1 /tmp/old.log",
        "pytest -q > /dev/null 2>&1; cat results.txt",
        "make test; grep passed build/log.txt",
        "pytest -q; git show HEAD:old.log; curl -s https://ci.example.com/log",
        "echo '===== 12 passed in 0.31s ====='; pytest -q --co",
        "echo '===== 12 passed in 0.31s ====='; pytest -q",
        "printf '===== 12 passed in 0.31s =====\\n' && pytest",
        "head -50 out && pytest",
        "sed -n 1,5p report.txt; pytest -q",
    ],
)
def test_a_summary_that_may_be_an_old_one_is_no_claim_of_this_run(command: str) -> None:
    assert from_result(shell(command), OLD, False).claims == ()


@pytest.mark.parametrize(
    "command",
    [
        "pytest -q",
        "cd app && pytest -q 2>&1 | tail -5",
        "pytest -q > out.log 2>&1; tail -5 out.log",
        "pytest -q 2>&1 | tee log.txt; tail -1 log.txt",
        "pytest -q | grep -E 'passed|failed'",
        "cat setup.cfg app.py && pytest -q",
        "grep -n def app.py; pytest",
        "sed -i s/a/b/ app.py && pytest -q",
        "pytest -q | head -20",
    ],
)
def test_a_summary_that_only_this_run_can_have_printed_is(command: str) -> None:
    (claim,) = from_result(shell(command), OLD, False).claims
    assert (claim.topic, claim.counts) == ("tests_passed", {"passed": 12})
