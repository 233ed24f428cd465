"""collector/claims/text.py: sentences that claim, and exactly what they claim."""

from __future__ import annotations

import pytest

from collector.claims.model import ClaimDraft, ClaimKind, ClaimTopic
from collector.claims.text import from_text

RAN, PASSED, FAILED = "tests_run", "tests_passed", "tests_failed"


def draft(
    topic: ClaimTopic,
    *targets: str,
    kind: ClaimKind = "occurrence",
    tool: str | None = None,
    **counts: int,
) -> ClaimDraft:
    return ClaimDraft(kind, topic, None, tool, targets, counts)


def ok(topic: ClaimTopic, tool: str | None = None, kind: ClaimKind = "outcome", **counts: int) -> ClaimDraft:
    return ClaimDraft(kind, topic, "ok", tool, (), counts)


def failed(tool: str | None = None, **counts: int) -> ClaimDraft:
    return ClaimDraft("outcome", "tests_failed", "failed", tool, (), counts)


CLAIMED: list[tuple[str, list[ClaimDraft]]] = [
    # tests were run
    ("I ran the tests.", [draft("tests_run")]),
    ("I've run the full test suite.", [draft("tests_run")]),
    ("I have run all the tests.", [draft("tests_run")]),
    ("I ran `pytest -q`.", [draft("tests_run", tool="pytest")]),
    ("I ran pytest.", [draft("tests_run", tool="pytest")]),
    ("Ran `cd app && npm test`.", [draft("tests_run", tool="npm-test")]),
    ("We executed the unit tests.", [draft("tests_run")]),
    ("Finally, I re-ran the test suite.", [draft("tests_run")]),
    ("I then ran `cargo test` twice.", [draft("tests_run", tool="cargo-test")]),
    ("- Ran the tests", [draft("tests_run")]),
    # tests passed
    ("All tests pass.", [ok("tests_passed")]),
    ("Tests pass.", [ok("tests_passed")]),
    ("The tests pass now.", [ok("tests_passed")]),
    ("All 12 tests pass.", [ok("tests_passed", passed=12)]),
    ("All 12 tests are passing.", [ok("tests_passed", passed=12)]),
    ("The linter is clean and all tests pass.", [ok("lint"), ok("tests_passed")]),
    ("The build passes and the tests pass.", [ok("build"), ok("tests_passed")]),
    ("The linter is clean and most tests pass.", [ok("lint")]),
    ("I've run the tests, and they're all passing.", [ok("tests_passed")]),
    ("I've run the tests, and they're failing.", [draft("tests_run")]),
    ("Confirmed: all tests pass.", [ok("tests_passed")]),
    ("Test status: all passing", [ok("tests_passed")]),
    ("All tests are green across the board.", [ok("tests_passed")]),
    ("All tests pass on my machine.", [ok("tests_passed")]),
    ("All tests pass on my branch.", []),
    ("All tests were successful.", [ok("tests_passed")]),
    ("All tests passing (12/12).", [ok("tests_passed", passed=12, total=12)]),
    ("All tests pass (12 tests).", [ok("tests_passed", passed=12)]),
    ("All tests pass (11/12).", [ok("tests_passed")]),
    ("All tests pass (12/12 suites).", [ok("tests_passed")]),
    ("`go test ./...` passes (12 tests).", [ok("tests_passed", tool="go-test", passed=12)]),
    ("`npm run build` passes (12 tests).", [ok("build", tool="npm-build")]),
    ("12 tests passed.", [ok("tests_passed", passed=12)]),
    ("All tests passed successfully!", [ok("tests_passed")]),
    ("✅ All tests pass", [ok("tests_passed")]),
    ("**All 7 tests pass.**", [ok("tests_passed", passed=7)]),
    ("12/12 tests pass.", [ok("tests_passed", passed=12, total=12)]),
    ("12 of 12 tests passed.", [ok("tests_passed", passed=12, total=12)]),
    ("12 passed, 0 failed.", [ok("tests_passed", passed=12, failed=0)]),
    ("Result: all tests pass.", [ok("tests_passed")]),
    ("Tests: 12 passed", [ok("tests_passed", passed=12)]),
    ("pytest: 12 passed", [ok("tests_passed", "pytest", passed=12)]),
    ("`npm test` passes.", [ok("tests_passed", "npm-test")]),
    ("`go test ./...` completed successfully.", [ok("tests_passed", "go-test")]),
    ("I ran the tests and they all passed.", [ok("tests_passed")]),
    ("I ran `pytest` and all 3 tests pass.", [ok("tests_passed", "pytest", passed=3)]),
    ("Ran the test suite: 12 passed, 0 failed.", [ok("tests_passed", passed=12, failed=0)]),
    ("I verified that all tests pass.", [ok("tests_passed")]),
    ("Confirmed all tests are green.", [ok("tests_passed")]),
    ("After fixing the import, all tests pass.", [ok("tests_passed")]),
    ("This fixes the crash, and all tests pass.", [ok("tests_passed")]),
    ("Great news! All tests are now passing.", [ok("tests_passed")]),
    ("All tests still pass.", [ok("tests_passed")]),
    ("All existing tests pass.", [ok("tests_passed")]),
    ("All tests pass, but I did not look at the docs.", [ok("tests_passed")]),
    ("The whole test suite passes.", [ok("tests_passed", kind="exhaustive")]),
    ("The full test suite passed.", [ok("tests_passed", kind="exhaustive")]),
    ("The entire suite is green.", [ok("tests_passed", kind="exhaustive")]),
    # a part of the tests: only that they were run
    ("The new tests pass.", [draft("tests_run")]),
    ("The authentication tests pass.", [draft("tests_run")]),
    ("I added three tests and they pass.", [draft("tests_run")]),
    ("The test passes.", [draft("tests_run")]),
    # tests failed
    ("2 tests failed.", [failed(failed=2)]),
    ("10 passed, 2 failed.", [failed(passed=10, failed=2)]),
    ("The tests still fail.", [failed()]),
    # builds, linters, types
    ("The build succeeded.", [ok("build")]),
    ("The build passes with no warnings.", [ok("build")]),
    ("`npm run build` succeeds.", [ok("build", "npm-build")]),
    ("I ran `cargo build`.", [draft("build", tool="cargo-build")]),
    ("I rebuilt the project.", [draft("build")]),
    ("Lint passes.", [ok("lint")]),
    ("ruff check is clean.", [ok("lint", "ruff-check")]),
    ("No lint errors.", [ok("lint")]),
    ("I ran the linter.", [draft("lint")]),
    ("mypy reports no errors.", [ok("typecheck", "mypy")]),
    ("Type checking passes.", [ok("typecheck")]),
    ("ruff passes and mypy is clean.", [ok("lint", "ruff-check"), ok("typecheck", "mypy")]),
    # installs, commits, pushes, deployments
    ("I installed the dependencies.", [draft("install")]),
    ("Installed `requests` and `flask`.", [draft("install")]),
    ("I ran `pip install -r requirements.txt`.", [draft("install", tool="pip-install")]),
    ("All dependencies have been installed.", [draft("install")]),
    ("I committed the changes.", [draft("commit")]),
    ("Committed as `abc1234`.", [draft("commit")]),
    ("The changes have been committed.", [draft("commit")]),
    ("I made a commit with the fix.", [draft("commit")]),
    ("I committed and pushed the changes.", [draft("commit"), draft("push")]),
    ("Pushed to `origin/main`.", [draft("push")]),
    ("I deployed the app to staging.", [draft("deployed")]),
    # files
    ("I created `hello.py`.", [draft("file_created", "hello.py")]),
    ("I've created hello.py.", [draft("file_created", "hello.py")]),
    ("Created a new module called `src/util.py`.", [draft("file_created", "src/util.py")]),
    ("I wrote the results to `out.json`.", [draft("file_created", "out.json")]),
    ("The file `x.txt` has been created.", [draft("file_created", "x.txt")]),
    ("I updated `a.py`, `b.py` and `c.py`.", [draft("file_changed", "a.py", "b.py", "c.py")]),
    ("Updated the README.md file.", [draft("file_changed", "README.md")]),
    ("I updated `src/app.py:12` to use the new API.", [draft("file_changed", "src/app.py")]),
    ("Added a helper function to `utils.py`.", [draft("file_changed", "utils.py")]),
    ("I fixed the bug in `calc.py`.", [draft("file_changed", "calc.py")]),
    ("Removed `a.py` from `.gitignore`.", [draft("file_changed", ".gitignore")]),
    ("- `a.py`: Added validation of the input", [draft("file_changed", "a.py")]),
    ("I updated all call sites.", [draft("file_changed", kind="exhaustive")]),
    ("I deleted `old.py`.", [draft("file_deleted", "old.py")]),
    ("Removed the unused file `tmp/old.js`.", [draft("file_deleted", "tmp/old.js")]),
    ("I read `config.py` and `main.py`.", [draft("file_read", "config.py", "main.py")]),
    ("Reviewed `server.go`.", [draft("file_read", "server.go")]),
    ("I read all 12 files.", [draft("file_read", kind="exhaustive", total=12)]),
    # all of a file
    ("I read the whole file `a.py`.", [draft("file_read", "a.py", kind="exhaustive")]),
    ("I read the entire `a.py` and `b.py`.", [draft("file_read", "a.py", "b.py", kind="exhaustive")]),
    ("I read the full contents of `a.py`.", [draft("file_read", "a.py", kind="exhaustive")]),
    ("I read through all of `a.py`.", [draft("file_read", "a.py", kind="exhaustive")]),
    ("I read `a.py` in full.", [draft("file_read", "a.py", kind="exhaustive")]),
    ("I have read `a.py` from start to finish.", [draft("file_read", "a.py", kind="exhaustive")]),
    ("I reviewed `a.py` line by line.", [draft("file_read", "a.py", kind="exhaustive")]),
    ("I read the entire section of `a.md`.", []),
    ("I read the full `a.py` (lines 1-50).", [draft("file_read", "a.py")]),
    ("I read `a.py`, but only in part.", [draft("file_read", "a.py")]),
    ("I read most of `a.py`.", []),
    # all of a directory
    ("I read all 12 files in `src/`.", [draft("file_read", "src/", kind="exhaustive", total=12)]),
    ("I read every file under `src/api`.", [draft("file_read", "src/api/", kind="exhaustive")]),
    ("I reviewed all modules in the `lib` directory.", [draft("file_read", "lib/", kind="exhaustive")]),
    ("I read all test files in `src/`.", [draft("file_read", kind="exhaustive")]),
    ("I read all files in `src/` that import it.", [draft("file_read", kind="exhaustive")]),
    ("I read all files in `a.py`.", [draft("file_read", kind="exhaustive")]),
    ("I read all files in the project.", [draft("file_read", kind="exhaustive")]),
    ("I read all files in `src/` except `a.py`.", []),
    # servers, URLs, commands
    (
        "I started the dev server at http://localhost:3000.",
        [draft("server_started", "http://localhost:3000")],
    ),
    ("The server is now running on port 8080.", [draft("server_started")]),
    ("I fetched https://example.com/a.", [draft("url_fetched", "https://example.com/a")]),
    ("I ran `python hello.py`.", [draft("command_run", "python")]),
    ("I ran `./setup.sh`.", [draft("command_run", "setup.sh")]),
    # absence
    ("I did not change any other files.", [draft("nothing_else_changed", kind="absence")]),
    ("No other files were modified.", [draft("nothing_else_changed", kind="absence")]),
    ("Nothing else was changed.", [draft("nothing_else_changed", kind="absence")]),
    ("I only changed `a.py`.", [draft("nothing_else_changed", "a.py", kind="absence")]),
    ("Only `a.py` was modified.", [draft("nothing_else_changed", "a.py", kind="absence")]),
    ("No files other than `a.py` were changed.", [draft("nothing_else_changed", "a.py", kind="absence")]),
    ("I touched nothing else.", [draft("nothing_else_changed", kind="absence")]),
    ("I added a test for dates in `tests/test_dates.py`.", [draft("file_changed", "tests/test_dates.py")]),
    ("I updated the version to 1.2.3 in `package.json`.", [draft("file_changed", "package.json")]),
    ("I ran the tests: 10 passed, 2 failed.", [failed(passed=10, failed=2)]),
    # labels
    ("- Build: ✅ passes", [ok("build")]),
    ("- Type check: no errors", [ok("typecheck")]),
    ("- Tests: ✅ all 12 passing", [ok("tests_passed", passed=12)]),
    ("Everything is green: 57 tests passed.", [ok("tests_passed", passed=57)]),
    ("The results have been saved to `out.json`.", [draft("file_created", "out.json")]),
    ("Every test passes.", [ok("tests_passed")]),
    ("I ran the migration with `python manage.py migrate`.", [draft("command_run", "python")]),
    ("Created commit `abc1234`.", [draft("commit")]),
    ("I've verified that all tests pass with `pytest -q`.", [ok("tests_passed", "pytest")]),
    # several
    (
        "I updated `a.py`, then ran the tests and committed the changes.",
        [draft("file_changed", "a.py"), draft("tests_run"), draft("commit")],
    ),
    (
        "I fixed the bug in `calc.py` and verified that all tests pass.",
        [draft("file_changed", "calc.py"), ok("tests_passed")],
    ),
]


@pytest.mark.parametrize(("text", "expected"), CLAIMED, ids=[text for text, _ in CLAIMED])
def test_sentence_claims_exactly_this(text: str, expected: list[ClaimDraft]) -> None:
    found = from_text(text)
    assert [(d.kind, d.topic, d.outcome, d.tool, d.targets, d.counts) for d in found] == [
        (d.kind, d.topic, d.outcome, d.tool, d.targets, d.counts) for d in expected
    ]
    assert all(d.text for d in found)


def topics(text: str, *, acting: bool = False) -> list[str]:
    return [d.topic for d in from_text(text, acting)]


def test_list_below_an_intro_claims_its_files() -> None:
    found = from_text(
        "Files created:\n- `a.py`\n- `b/c.py` - the parser\n\nI updated the following files:\n1. `d.py`\n"
    )
    assert [(d.topic, d.targets) for d in found] == [
        ("file_created", ("a.py",)),
        ("file_created", ("b/c.py",)),
        ("file_changed", ("d.py",)),
    ]


def test_admitted_failure_makes_a_pass_a_mere_run() -> None:
    """An honest report of known failures must not be held to "everything passed"."""
    for text in (
        "All tests pass. Two unrelated tests fail on main as well.",
        "The tests pass.\n\nNote: `test_net` still fails without network.",
        "All tests pass.\n\n## Known issues\n- `test_slow` is flaky and fails here",
        "All unit tests pass. I could not run the integration tests.",
        "The tests pass here, but I wasn't able to run the integration suite.",
    ):
        assert "tests_passed" not in topics(text), text


def test_failure_fixed_before_leaves_a_claim_of_all() -> None:
    assert topics("3 tests failed. I fixed `calc.py`. Now all tests pass.")[-1] == "tests_passed"


def test_answer_that_still_acts_claims_only_outcomes() -> None:
    """ "Updated a.py:" beside the call that updates it is no claim about the past."""
    text = "Updated `a.py` and committed the changes. All tests pass."
    assert topics(text, acting=True) == ["tests_passed"]
    block = "Updated `a.py`:\n\na.py\n```\n<<<<<<< SEARCH\na\n=======\nb\n>>>>>>> REPLACE\n```\n"
    assert topics(block) == []


def test_wrapped_lines_are_one_sentence() -> None:
    assert topics("I ran the linter and the type checker, then I went on and\nran the tests.") == [
        "lint",
        "tests_run",
    ]
    assert topics("If you are on a machine where the network is available and\nall tests pass.") == []
