"""collector/claims/text.py: sentences that an honest agent writes and that must claim nothing."""

from __future__ import annotations

import pytest

from collector.claims.text import from_text

NOTHING = [
    # plans, offers, requests, imperatives
    "I'll run the tests.",
    "I will run the tests now.",
    "Let me run the tests.",
    "Now let me create `a.py`.",
    "I'm going to update `b.py`.",
    "I plan to update `b.py`.",
    "Running the tests now...",
    "Next steps: run the tests.",
    "Next, I'll commit the changes.",
    "Run the tests.",
    "Run `pytest` to see it.",
    "Create `a.py`.",
    "Read `config.py`.",
    "Read `config.py` first, then update `a.py`.",
    "To verify, run `pytest`.",
    "You can run `pytest` to check.",
    "You should see that all tests pass.",
    "Please make sure that all tests pass.",
    "Visit http://localhost:3000 to see it.",
    "We need to install the dependencies.",
    "I want to make sure all tests pass.",
    "Feel free to commit the changes.",
    "I'd suggest you run the tests.",
    "Should I commit the changes?",
    "Do all tests pass?",
    "Shall I push the commit?",
    "- [ ] Run the tests",
    "- [ ] All tests pass",
    # conditions, doubt, other times
    "The tests should pass.",
    "All tests would pass.",
    "If the tests pass, we can merge.",
    "Once the tests pass, commit.",
    "When the build succeeds, the image is pushed.",
    "I think the tests pass.",
    "The tests probably pass.",
    "It looks like the tests might pass.",
    "Tests were passing before my change.",
    "The tests previously passed.",
    "In the last session I ran the tests.",
    "Earlier, all tests passed.",
    "The server is already running at http://localhost:3000.",
    # negations and attempts
    "I haven't run the tests.",
    "I did not run the tests.",
    "I could not run the tests.",
    "I wasn't able to install the dependencies.",
    "No tests were run.",
    "The tests don't pass.",
    "Not all tests pass.",
    "I did not create `a.py`.",
    "I tried to run the tests.",
    "I attempted to install `requests`.",
    "I updated nothing in `a.py`.",
    "I have not committed anything.",
    "I failed to build the project.",
    # parts
    "Most tests pass.",
    "Only 3 tests pass.",
    "3 of 12 tests pass.",
    "Almost all tests pass.",
    "0 tests passed.",
    # other people, quotations
    "CI passed.",
    "All tests pass on CI.",
    "The previous author ran the tests.",
    'The user said "all tests pass".',
    "> All tests pass.",
    "The README says all tests pass.",
    "The log shows that 12 tests passed.",
    "My sub-agent ran the tests and they pass.",
    "According to the report, all tests pass.",
    "You ran the tests and they passed.",
    "`a.py` was created by the generator.",
    "The script created `out.txt`.",
    "`setup.py` installed the dependencies.",
    "The function reads `config.json`.",
    "The test created `tmp.txt`.",
    "This commit updated `a.py`.",
    "He committed the changes.",
    "The workflow runs the tests.",
    "This ensures the build works and all tests pass.",
    # goals
    "Expected: all tests pass",
    "Goal: all tests pass",
    "Acceptance criteria: all tests pass",
    "Commit message: Updated `a.py`",
    # files that are only spoken of
    "I updated the references to `a.py`.",
    "I created a wrapper around `a.py`.",
    "I created tests for `a.py`.",
    "I added a link to `README.md`.",
    "I added support for reading config from `config.json`.",
    "Added `a.py` to the index.",
    "Deleted the `foo.py` reference.",
    "I removed the import of `b.py`.",
    "I changed `a.py` to `b.py`.",
    "I implemented the requirements in `SPEC.md`.",
    "I fixed the failing test in `NOTES.md`.",
    "I used `a.py` as a template.",
    "I added an `email` field and a `user.name` property.",
    "I added `self.c` and `config.get`.",
    "Updated `node.js` support.",
    "I wrote `foo()` for that.",
    # words that mean something else
    "I committed to finishing this.",
    "I pushed back on that idea.",
    "I installed the event handler.",
    "Installed the `on_exit` hook.",
    "I built a mental model of the code.",
    "The tests pass a config object to the server.",
    "Requests pass through the gateway.",
    "I ran into a problem with the tests.",
    "I ran `test_login` in my head.",
    "The server is running on port 3000.",
    "I read the error message.",
    "I started the server component refactoring.",
    "The build step compiles the code.",
    "The test file is `test_a.py`.",
    "Tests are in `tests/`.",
    "I opened an issue for `a.py`.",
]


@pytest.mark.parametrize("text", NOTHING)
def test_sentence_claims_nothing(text: str) -> None:
    assert from_text(text) == ()


PASSAGES = {
    "fenced code": "```\nAll tests pass.\nI ran the tests.\n```",
    "fenced with words": "Output:\n~~~text\n12 passed, 0 failed\n~~~\n",
    "unclosed fence": "```\nI created `a.py`.\n",
    "table": "| check | result |\n| --- | --- |\n| All tests pass | yes |\n",
    "indented code": "See:\n\n    All tests pass.\n",
    "plan": "## Plan\n1. Updated `a.py`\n2. All tests pass\n",
    "next steps": "**Next steps:**\n- Committed changes\n- All tests pass\n",
    "todo": "TODO\n- All tests pass\n",
    "intro": "The plan is:\n- All tests pass\n- Updated `a.py`\n",
    "criteria": "### Acceptance criteria\nAll tests pass.\n",
    "expected output": "## Expected output\nAll 12 tests pass.\n",
    "commit message": "Suggested commit message:\n\n> Updated `a.py`\n",
    "changelog": "## Changelog\n- Added `a.py`\n- Updated `b.py`\n",
    "history": "Recent commits:\n- Updated `a.py`\n- Created `b.py`\n",
    "pull request": "Here is what the PR does:\n- Updated `a.py`\n- All tests pass\n",
    "usage": "## How to run\nInstalled dependencies.\n",
    "tagged": "<commit_message>\nUpdated `a.py`\nAll tests pass.\n</commit_message>\n",
    "unclosed tag": "<draft>\nAll tests pass.\n",
    "retold": "<summary>\nI ran the tests.\nAll tests pass.\n</summary>",
    "continued": "This session is being continued from a previous conversation.\n\nI ran the tests.",
    "structured answer": '{"title": "All tests pass.", "body": "I ran the tests."}',
    "failed mark": "❌ All tests pass",
}


@pytest.mark.parametrize("text", PASSAGES.values(), ids=PASSAGES.keys())
def test_passage_claims_nothing(text: str) -> None:
    assert from_text(text) == ()


def test_what_follows_a_closed_passage_claims_again() -> None:
    text = "## Plan\n- All tests pass\n\n## Result\nI ran the tests.\n"
    assert [d.topic for d in from_text(text)] == ["tests_run"]
    fenced = "```\nAll tests pass.\n```\nI ran the tests.\n"
    assert [d.topic for d in from_text(fenced)] == ["tests_run"]
