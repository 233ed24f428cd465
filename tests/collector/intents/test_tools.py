"""collector/intents/tools.py: tool calls of real clients, and what they should do."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.intents.patches import ExpectedFileDraft as F
from collector.intents.patches import edit_blocks, from_patch
from collector.intents.tools import does_nothing, last_word, plan

PATCH = """*** Begin Patch
*** Add File: new.py
+print(1)
+print(2)
*** Update File: src/a.py
*** Move to: src/b.py
@@ def f():
-    return 1
+    return 22
*** Update File: c.py
@@
-x
+y = 1
*** Delete File: old.txt
*** End Patch"""

PATCHED = (
    F("new.py", "create", content=b"print(1)\nprint(2)\n"),
    F("src/a.py", "rename", "src/b.py", fragment=b"return 22"),
    F("c.py", "write", fragment=b"y = 1"),
    F("old.txt", "delete"),
)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("Bash", {"command": "pytest -q", "description": "x"}),
        ("shell", {"command": ["bash", "-lc", "pytest -q"], "workdir": "/r"}),
        ("shell", {"command": ["pytest", "-q"]}),
        ("exec_command", {"cmd": "pytest -q"}),
        ("local_shell", {"action": {"type": "exec", "command": ["pytest", "-q"]}}),
        ("shell", {"action": {"commands": ["pytest -q"]}}),
        ("run_shell_command", {"command": "pytest -q"}),
        ("bash", {"command": "pytest -q"}),
        ("terminal", {"commands": ["pytest -q"]}),
        ("execute_command", {"command": "pytest -q"}),
        ("ShellTool", {"commands": "pytest -q"}),
        ("my_shell", {"command": "pytest -q"}),
    ],
)
def test_shell_tools_of_all_clients(name: str, arguments: dict[str, object]) -> None:
    made = plan(name, json.dumps(arguments))
    assert made.kind == "shell"
    assert [(e.program, e.args, e.tool, e.conditional) for e in made.executions] == [
        ("pytest", ("-q",), "pytest", False)
    ]


@pytest.mark.parametrize(
    ("name", "arguments", "kind", "files"),
    [
        ("Read", {"file_path": "/a"}, "read", [F("/a", "read")]),
        ("read_file", {"absolute_path": "/a"}, "read", [F("/a", "read")]),
        ("Write", {"file_path": "/a", "content": "x\n"}, "write", [F("/a", "write", content=b"x\n")]),
        ("Write", {"file_path": "/a", "content": ""}, "write", [F("/a", "write", content=b"")]),
        ("write_file", {"path": "a", "text": "x"}, "write", [F("a", "write", content=b"x")]),
        (
            "Edit",
            {"file_path": "/a", "old_string": "x", "new_string": "y\n  longest line\n"},
            "edit",
            [F("/a", "write", fragment=b"longest line")],
        ),
        ("Edit", {"file_path": "/a", "old_string": "x", "new_string": ""}, "edit", [F("/a", "write")]),
        ("replace", {"file_path": "/a", "new_string": "y"}, "edit", [F("/a", "write", fragment=b"y")]),
        (
            "MultiEdit",
            {"file_path": "/a", "edits": [{"new_string": "gone"}, {"new_string": "y"}]},
            "edit",
            [F("/a", "write", fragment=b"y")],
        ),
        ("NotebookEdit", {"notebook_path": "/a.ipynb", "new_source": "x"}, "edit", [F("/a.ipynb", "write")]),
        (
            "str_replace_based_edit_tool",
            {"command": "create", "path": "/a", "file_text": "x"},
            "write",
            [F("/a", "write", content=b"x")],
        ),
        (
            "str_replace_editor",
            {"command": "str_replace", "path": "/a", "old_str": "x", "new_str": "yy"},
            "edit",
            [F("/a", "write", fragment=b"yy")],
        ),
        ("str_replace_editor", {"command": "view", "path": "/a"}, "read", []),
        ("apply_patch", {"input": PATCH}, "edit", list(PATCHED)),
        (
            "apply_patch",
            {"operation": {"type": "create_file", "path": "a", "diff": "+x\n+y\n"}},
            "edit",
            [F("a", "create", content=b"x\ny\n")],
        ),
        ("delete_file", {"path": "a"}, "delete", [F("a", "delete")]),
        ("move_file", {"source": "a", "destination": "b"}, "edit", [F("a", "rename", "b")]),
        ("Glob", {"pattern": "**"}, "search", []),
        ("Grep", {"pattern": "x", "path": "/a"}, "search", []),
        ("Task", {"prompt": "x"}, "delegate", []),
        ("invoke_agent", {"agent_name": "x", "prompt": "run pytest"}, "delegate", []),
        ("update_topic", {"title": "x", "summary": "wrote /a"}, "other", []),
        ("TodoWrite", {"todos": []}, "other", []),
        ("BashOutput", {"bash_id": "1"}, "other", []),
        ("Bash", {"command": "cat > a <<'E'\nx\nE"}, "shell", [F("a", "write", content=b"x\n")]),
        ("Bash", {"command": "cat > a <<'E'\nx\nE\nsed -i s/x/y/ a"}, "shell", [F("a", "write")]),
        ("Bash", {"command": "test -d b && echo x > b/a"}, "shell", [F("b/a", "write")]),
        (
            "Bash",
            {"command": "sed -i 's/x/y/' a b && rm -f c"},
            "shell",
            [F("a", "write"), F("b", "write"), F("c", "write")],
        ),
        (
            "Bash",
            {"command": "sed -n 5p a; sed -e x a; cp a b; mv b c"},
            "shell",
            [F("b", "write"), F("c", "write")],
        ),
        (
            "Bash",
            {"command": "perl -pi -e 's/x/y/' a; sed -i -e s/x/y/ d"},
            "shell",
            [F("a", "write"), F("d", "write")],
        ),
        ("Bash", {"command": "echo x >> a"}, "shell", [F("a", "write", fragment=b"x")]),
    ],
)
def test_file_tools_of_all_clients(
    name: str, arguments: dict[str, object], kind: str, files: list[F]
) -> None:
    made = plan(name, json.dumps(arguments))
    assert made.kind == kind
    assert list(made.files) == files


def test_a_custom_tool_gives_its_patch_as_text() -> None:
    assert plan("apply_patch", PATCH).files == PATCHED


def test_apply_patch_through_the_shell_is_done_by_the_agent_and_starts_no_program() -> None:
    made = plan("shell", json.dumps({"command": ["bash", "-lc", f"apply_patch <<'EOF'\n{PATCH}\nEOF\n"]}))
    assert made.kind == "edit"
    assert made.files == PATCHED
    assert made.executions == ()


def test_the_command_text_is_what_a_shell_is_given() -> None:
    assert plan("Bash", '{"command": "a b"}').command == "a b"
    assert plan("shell", '{"command": ["bash", "-lc", "a b"]}').command == "a b"
    assert plan("shell", '{"command": ["a", "b"]}').command is None


def test_a_fetch_expects_its_host() -> None:
    assert plan("WebFetch", '{"url": "https://Docs.Example.com:8443/x", "prompt": "y"}').hosts == (
        "docs.example.com",
    )


@pytest.mark.parametrize("name", ["web_fetch", "google_web_search", "WebSearch", "code_execution"])
def test_what_the_provider_does_is_handed_off(name: str) -> None:
    made = plan(name, '{"url": "https://example.com", "query": "x"}')
    assert made.hand_off == "model provider"
    assert made.hosts == ()


def test_an_mcp_tool_may_act_anywhere() -> None:
    assert plan("mcp__fs__write_file", '{"path": "/a", "content": "x"}').hand_off == "mcp server"


def test_background_flags() -> None:
    made = plan("Bash", '{"command": "npm run dev", "run_in_background": true}')
    assert made.background
    assert all(e.background for e in made.executions)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("run_tests", '{"path": "tests"}'),
        ("send_email", '{"file": "a.txt", "content": "x"}'),
        ("database", '{"command": "select 1"}'),
        ("robot", '{"command": "move forward"}'),
        ("get_weather", '{"city": "Bonn"}'),
        ("write_summary", '{"path": "a", "content": "x"}'),
        ("python_repl", '{"code": "open(1)"}'),
    ],
)
def test_an_unknown_tool_expects_nothing_that_could_accuse(name: str, arguments: str) -> None:
    made = plan(name, arguments)
    assert made.kind == "other"
    assert made.files == ()
    assert made.hosts == ()
    assert all(execution.conditional for execution in made.executions)


@pytest.mark.parametrize(
    "arguments", ["", "{", "[]", "3", '"x"', "null", '{"command": 3}', '{"file_path": []}', "\ud800"]
)
@pytest.mark.parametrize(
    "name", ["Bash", "Write", "Edit", "apply_patch", "WebFetch", "x", "", "mcp__", "str_replace_editor"]
)
def test_malformed_arguments_give_no_expectation(name: str, arguments: str) -> None:
    made = plan(name, arguments)
    assert made.executions == ()
    assert made.files == ()


def test_unified_diffs() -> None:
    diff = "--- a/x.py\t2020\n+++ b/x.py\n@@ -1 +1 @@\n-a\n+bb\n"
    diff += "--- /dev/null\n+++ b/n\n@@ -0,0 +1 @@\n+q\n"
    diff += "--- a/o\n+++ /dev/null\n@@ -1 +0,0 @@\n-q\n"
    assert from_patch(diff) == [
        F("x.py", "write", fragment=b"bb"),
        F("n", "create", content=b"q\n"),
        F("o", "delete"),
    ]


def test_edit_blocks_in_model_text() -> None:
    text = (
        "I'll change it:\n\ncalc.py\n```python\n<<<<<<< SEARCH\n    return a - b\n=======\n    return a + b\n"
        ">>>>>>> REPLACE\n```\n\nand a new one\n\n"
        "`pkg/new.py`\n```\n<<<<<<< SEARCH\n=======\nx = 1\n>>>>>>> REPLACE\n```\n"
    )
    assert edit_blocks(text) == [
        F("calc.py", "write", fragment=b"return a + b"),
        F("pkg/new.py", "write", fragment=b"x = 1"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<<<<<<< SEARCH\na\n=======\nb\n>>>>>>> REPLACE",
        "a.py\n<<<<<<< SEARCH\na\n=======\nb",
        "use a.py\n=======\n",
    ],
)
def test_unfinished_or_nameless_blocks_expect_nothing(text: str) -> None:
    assert edit_blocks(text) == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["command", "path", "edits", "action", "content", "url", "new_string"]), inner
        )
    ),
    max_leaves=8,
)


@given(
    st.sampled_from(
        ["Bash", "Write", "MultiEdit", "apply_patch", "WebFetch", "shell", "str_replace_editor", "zz"]
    ),
    JSON,
)
def test_no_arguments_crash_it(name: str, arguments: object) -> None:
    plan(name, json.dumps(arguments))


@given(
    st.lists(
        st.sampled_from(
            [
                "*** Begin Patch",
                "*** Add File: a",
                "*** Update File: b",
                "*** Move to: c",
                "+x",
                "-y",
                "@@",
                "--- a/x",
                "+++ b/x",
                "a.py",
                "<<<<<<< SEARCH",
                "=======",
                ">>>>>>> REPLACE",
                "```",
                "",
                "\\ No newline",
            ]
        ),
        max_size=20,
    )
)
def test_no_patch_crashes_it(lines: list[str]) -> None:
    text = "\n".join(lines)
    for draft in (*from_patch(text), *edit_blocks(text)):
        assert draft.path


@pytest.mark.parametrize(
    ("name", "arguments", "nothing", "words"),
    [
        ("bash", {"command": "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT"}, True, ""),
        ("attempt_completion", {"result": "I created `a.py`."}, True, "I created `a.py`."),
        ("finish", {"message": "Done.", "task_completed": "true"}, True, "Done."),
        ("final_answer", {"answer": "All tests pass."}, True, "All tests pass."),
        ("submit", {}, True, ""),
        ("submit", {"result": 3}, True, ""),
        ("bash", {"command": "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT && git add -A"}, False, ""),
        ("bash", {"command": "echo x > a.py"}, False, ""),
        ("bash", {"command": "echo $(touch a)"}, False, ""),
        ("bash", {"command": "$X"}, False, ""),
        ("bash", {"command": ""}, False, ""),
        ("write_file", {"path": "a", "content": "x"}, False, ""),
        ("unknown_tool", {}, False, ""),
        ("TodoWrite", {"todos": []}, False, ""),
    ],
)
def test_calls_that_only_end_the_work(
    name: str, arguments: dict[str, object], nothing: bool, words: str
) -> None:
    text = json.dumps(arguments)
    assert does_nothing(name, text) is nothing
    assert last_word(name, text) == words


@pytest.mark.parametrize(
    ("name", "arguments", "files"),
    [
        # LangChain
        ("write_file", {"file_path": "a", "text": "more\n", "append": True}, [F("a", "write", fragment=b"more")]),
        ("write_file", {"file_path": "a", "text": "x", "append": False}, [F("a", "write", content=b"x")]),
        ("copy_file", {"source_path": "a", "destination_path": "b"}, [F("b", "write")]),
        ("file_delete", {"file_path": "a"}, [F("a", "delete")]),
        # it only shows what it would do
        ("edit_file", {"path": "/a", "edits": [{"oldText": "a", "newText": "b"}], "dryRun": True}, []),
        # an edit of nothing: every client refuses it
        ("Edit", {"file_path": "/a", "old_string": "x", "new_string": "x"}, []),
        # goose, Copilot
        ("text_editor", {"command": "write", "path": "a", "file_text": "x"}, [F("a", "write", content=b"x")]),
        ("replace_string_in_file", {"filePath": "/a", "oldString": "x", "newString": "y"}, [F("/a", "write")]),
        # Codex does these itself, from the directory that is named
        (
            "shell",
            {"command": "cd sub && apply_patch <<'E'\n*** Begin Patch\n*** Add File: a\n+x\n*** End Patch\nE"},
            [F("sub/a", "create", content=b"x\n")],
        ),
        (
            "exec_command",
            {"cmd": "apply_patch <<'E'\n*** Begin Patch\n*** Delete File: a\n*** End Patch\nE", "workdir": "/r/sub"},
            [F("/r/sub/a", "delete")],
        ),
    ],
)  # fmt: skip
def test_what_a_tool_may_rightly_leave_undone_is_not_expected(
    name: str, arguments: dict[str, object], files: list[F]
) -> None:
    assert list(plan(name, json.dumps(arguments)).files) == files


def test_a_patch_that_comes_to_a_file_again_is_held_to_what_it_says_last() -> None:
    head, tail = "*** Begin Patch\n*** Add File: a\n+one\n", "*** End Patch"
    assert from_patch(f"{head}*** Update File: a\n@@\n-one\n+two\n{tail}") == [
        F("a", "create"),
        F("a", "write", fragment=b"two"),
    ]
    assert from_patch(f"{head}*** Delete File: a\n{tail}") == [F("a", "create"), F("a", "delete")]
    assert from_patch(f"{head}*** Add File: b\n+two\n{tail}") == [
        F("a", "create", content=b"one\n"),
        F("b", "create", content=b"two\n"),
    ]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("exec_command", "shell"),
        ("apply_patch", "edit"),
        ("write_stdin", "other"),
        ("update_goal", "other"),
        ("spawn_agent", "delegate"),
        ("Bash", "shell"),
        ("TaskCreate", "other"),
        ("SendMessage", "delegate"),
    ],
)
def test_the_tools_of_codex_and_claude_code_are_known(name: str, kind: str) -> None:
    assert plan(name, "{}").kind == kind


def test_a_program_of_codex_code_mode_expects_nothing() -> None:
    made = plan("exec", 'text(await tools.exec_command({"cmd": "pytest"}));')
    assert (made.executions, made.files, made.parsed) == ((), (), False)
