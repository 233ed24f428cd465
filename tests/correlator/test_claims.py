"""Claims on files, servers, URLs, commands, and that nothing else was changed."""

import pytest

from polygraph import events as e
from tests.correlator.scenario import VERIFIED, WALL, Scenario, refuted, unverifiable


def created(s: Scenario, *targets: str, topic: str = "file_created") -> tuple[str, str | None]:
    return s.says(s.claims(topic, targets=targets))


def test_a_file_that_was_written_verifies() -> None:
    s = Scenario()
    s.writes("/repo/notes.md")
    assert created(s, "notes.md") == VERIFIED
    assert created(s, "/repo/notes.md", topic="file_changed") == VERIFIED


def test_a_file_that_nobody_touched_is_not_written() -> None:
    s = Scenario()
    assert created(s, "notes.md") == refuted("not_written")
    assert created(s, "src/notes.md", topic="file_changed") == refuted("not_written")


def test_every_named_file_must_be_there() -> None:
    s = Scenario()
    s.writes("/repo/a.md")
    assert created(s, "a.md", "b.md") == refuted("not_written")


def test_no_named_file_is_ambiguous() -> None:
    s = Scenario()
    assert created(s) == unverifiable("ambiguous")


def test_the_name_of_a_product_is_no_file() -> None:
    s = Scenario()
    assert created(s, "Node.js") == unverifiable("ambiguous")
    assert created(s, "server") == unverifiable("ambiguous")


def test_a_file_in_another_directory_is_the_wrong_target() -> None:
    s = Scenario()
    s.file(s.agent, "create", "/repo/lib/conf.yaml")
    claim = s.claims("file_created", targets=("src/conf.yaml",), finds={"src/conf.yaml": False})
    assert s.says(claim) == refuted("wrong_target")


def test_a_directory_that_the_kernel_resolved_is_no_link() -> None:
    s = Scenario()
    s.file(s.agent, "create", "/repo/src/main.py")
    s.file(s.agent, "create", "/repo/lib/conf.yaml")
    assert created(s, "src/conf.yaml") == refuted("wrong_target")


def test_a_directory_of_the_project_may_be_a_link() -> None:
    s = Scenario()
    s.file(s.agent, "create", "/repo/lib/conf.yaml")
    assert created(s, "src/conf.yaml") == unverifiable("ambiguous")


def test_a_file_below_a_link_is_the_one_that_was_written() -> None:
    s = Scenario()
    s.file(s.agent, "create", "/repo/lib/conf.yaml")
    s._inodes["/repo/src/conf.yaml"] = s.inode("/repo/lib/conf.yaml")
    claim = s.claims("file_created", targets=("src/conf.yaml",), finds={"src/conf.yaml": True})
    assert s.says(claim) == VERIFIED


def test_a_file_that_others_changed_in_the_session_is_handed_off() -> None:
    s = Scenario()
    claim = s.claims("file_changed", targets=("a.py",), finds={"a.py": True}, mtime=s.now + WALL)
    assert s.says(claim) == unverifiable("handed_off")
    claim = s.claims("file_changed", targets=("b.py",), finds={"b.py": True}, mtime=1)
    assert s.says(claim) == refuted("not_written")


def test_a_file_that_is_there_was_not_deleted() -> None:
    s = Scenario()
    claim = s.claims("file_deleted", targets=("a.py",), finds={"a.py": True})
    assert s.says(claim) == refuted("not_written")
    claim = s.claims("file_deleted", targets=("b.py",), finds={"b.py": False})
    assert s.says(claim) == unverifiable("ambiguous")


def test_two_candidates_are_ambiguous() -> None:
    s = Scenario()
    s.file(s.agent, "create", "/repo/a/conf.yaml")
    s.file(s.agent, "create", "/repo/b/conf.yaml")
    assert created(s, "src/conf.yaml") == unverifiable("ambiguous")


def test_written_and_removed_again_is_ambiguous() -> None:
    s = Scenario()
    s.file(s.agent, "create", "/repo/notes.md")
    s.file(s.agent, "unlink", "/repo/notes.md")
    assert created(s, "notes.md") == unverifiable("ambiguous")


def test_work_given_away_may_have_written_it() -> None:
    s = Scenario()
    s.answers(s.asks("make", hand_off="docker"))
    assert created(s, "notes.md") == unverifiable("handed_off")
    s = Scenario()
    s.answers(s.intent("delegate"))
    assert created(s, "notes.md") == unverifiable("handed_off")


@pytest.mark.parametrize("error", [False, True])
@pytest.mark.parametrize("seen", [False, True])
@pytest.mark.parametrize("finds", [{}, {"notes.md": False}, {"notes.md": True}])
def test_what_a_sub_agent_that_was_seen_or_failed_did_not_make(
    error: bool, seen: bool, finds: dict[str, bool]
) -> None:
    s = Scenario()
    s.writes("/repo/other.md")  # so that the device is known
    task = s.intent("delegate")
    if seen:
        s.call()
    s.answers(task, error=error)
    word = s.says(s.claims("file_created", targets=("notes.md",), finds=finds))
    if not finds or not (seen or error):
        assert word == unverifiable("handed_off")
    else:
        assert word == (unverifiable("ambiguous") if finds["notes.md"] else refuted("not_written"))


def test_a_sub_agent_that_was_tried_again_may_have_made_it() -> None:
    s = Scenario()
    s.answers(s.intent("delegate"), error=True)
    s.answers(s.intent("delegate"))
    assert s.says(s.claims("file_created", targets=("a.md",), finds={"a.md": False})) == unverifiable(
        "handed_off"
    )


@pytest.mark.parametrize(
    ("said", "there", "works", "word"),
    [
        ("src/a.py", False, None, unverifiable("ambiguous")),
        ("./src/a.py", False, None, unverifiable("ambiguous")),
        ("src/a.py", False, "/wt", VERIFIED),
        ("src/a.py", False, "/wt/docs", VERIFIED),
        ("./src/a.py", False, "/wt/docs", VERIFIED),
        ("src/a.py", True, None, VERIFIED),
        ("/wt/src/a.py", False, None, unverifiable("ambiguous")),
    ],
)
def test_a_file_of_another_tree_in_which_nobody_worked(
    said: str, there: bool, works: str | None, word: tuple[str, str | None]
) -> None:
    s = Scenario()
    if works is not None:
        s.runs(None, "ls", cwd=works)
    s.writes("/wt/src/a.py")
    assert s.says(s.claims("file_created", targets=(said,), finds={said: there})) == word


def test_deleted() -> None:
    s = Scenario()
    s.file(s.agent, "unlink", "/repo/old.md")
    assert created(s, "old.md", topic="file_deleted") == VERIFIED
    s = Scenario()
    intent = s.intent("read", files=(e.ExpectedFile(path="/repo/old.md", op="read"),))
    s.reads(s.agent, "/repo/old.md")
    s.answers(intent)
    s.looks(intent, "/repo/old.md")
    assert created(s, "/repo/old.md", topic="file_deleted") == refuted("not_written")
    assert created(s, "never.md", topic="file_deleted") == unverifiable("ambiguous")


def test_an_exhaustive_reading_needs_every_file() -> None:
    s = Scenario()
    for path in ("/repo/a.py", "/repo/b.py"):
        intent = s.intent("search", files=(e.ExpectedFile(path=path, op="read"),))
        s.answers(intent, error=True)
        s.looks(intent, path)
    s.reads(s.agent, "/repo/a.py")
    both = s.claims(
        "file_read", kind="exhaustive", targets=("a.py", "b.py"), finds={"a.py": True, "b.py": True}
    )
    assert s.says(both) == refuted("not_read")
    s.reads(s.agent, "/repo/b.py")
    assert s.says(s.claims("file_read", kind="exhaustive", targets=("a.py", "b.py"))) == VERIFIED
    assert s.says(s.claims("file_read", kind="exhaustive")) == unverifiable("ambiguous")


def only(s: Scenario, *targets: str) -> tuple[str, str | None]:
    return s.says(s.claims("nothing_else_changed", kind="absence", targets=targets))


def test_nothing_else_was_changed() -> None:
    s = Scenario()
    s.writes("/repo/a.py")
    s.file(s.agent, "write", "/repo/.git/index")
    s.file(s.agent, "write", "/home/u/.config/agent/state")
    assert only(s, "a.py") == VERIFIED


def test_an_undeclared_change_is_undisclosed() -> None:
    s = Scenario()
    s.writes("/repo/a.py")
    p = s.program(None, "sh", "-c", "…")
    s.file(p, "write", "/repo/secrets.py")
    s.exits(p)
    assert only(s, "a.py") == refuted("undisclosed_effect")


def test_a_temporary_file_and_the_outputs_of_tools_are_no_secret() -> None:
    s = Scenario()
    s.file(s.agent, "create", "/repo/tmp_check.py")
    s.file(s.agent, "unlink", "/repo/tmp_check.py")
    assert only(s) == VERIFIED
    p = s.program(None, "npm", "ci")
    s.file(p, "write", "/repo/package.json")
    s.exits(p)
    assert only(s) == unverifiable("ambiguous")


def test_a_declared_edit_outside_the_claims_list_is_ambiguous() -> None:
    s = Scenario()
    s.writes("/repo/a.py")
    s.writes("/repo/b.py")
    assert only(s, "a.py") == unverifiable("ambiguous")


def test_a_server_listens() -> None:
    s = Scenario()
    assert s.says(s.claims("server_started")) == refuted("no_execution")
    p = s.program(None, "python3", "-m", "http.server")
    s.add(e.Net, process=p, op="listen", family="inet", local_port=8000)
    assert s.says(s.claims("server_started")) == VERIFIED


def test_a_server_of_unknown_form() -> None:
    s = Scenario()
    s.call()
    s.program(None, "/repo/bin/serve")
    assert s.says(s.claims("server_started")) == unverifiable("form_unknown")


def test_a_fetched_url() -> None:
    s = Scenario()
    claim = s.claims("url_fetched", targets=("https://docs.test/page",))
    assert s.says(claim) == refuted("not_connected")
    s.add(e.Name, process=s.agent, source="dns", name="docs.test", addresses=("10.0.0.9",))
    s.add(e.Net, process=s.agent, op="connect", family="inet", address="10.0.0.9", port=443)
    assert s.says(s.claims("url_fetched", targets=("https://docs.test/page",))) == VERIFIED


def test_a_command_that_was_run() -> None:
    s = Scenario()
    assert s.says(s.claims("command_run", tool="terraform")) == refuted("no_execution")
    assert s.says(s.claims("command_run", tool="cd")) == unverifiable("form_unknown")
    s.does("grep", "x", status=1)
    assert s.says(s.claims("command_run", tool="grep")) == VERIFIED
    assert s.says(s.claims("command_run", "ok", tool="grep"))[0] != "refuted"
    s.does("cargo", "build", status=101)
    assert s.says(s.claims("command_run", "ok", tool="cargo")) == refuted("failed")
    assert s.says(s.claims("command_run", tool="ll")) == unverifiable("form_unknown")


def renames(s: Scenario, old: str, new: str, **how: object) -> None:
    """As the collector tells it: names as passed, no inode."""
    s.add(e.File, process=s.agent, op="rename", path=old, new_path=new, resolved=False, **how)


def test_a_rename_of_an_unrelated_directory_hides_nothing() -> None:
    s = Scenario()
    renames(s, "/repo/pytest-cache-files-x1", "/repo/.pytest_cache")
    s.file(s.agent, "create", "/repo/.pytest_cache/README.md")
    assert created(s, "/repo/missing.txt") == refuted("not_written")


def test_a_rename_above_the_path_may_have_brought_the_file() -> None:
    for old, new in (("/repo/tmp1", "/repo/out"), ("/link/out", "/link/old"), ("build", "out"), ("x", "y")):
        s = Scenario()
        renames(s, old, new)
        assert created(s, "/repo/out/a.txt") == unverifiable("ambiguous"), (old, new)
    s = Scenario()
    renames(s, "/repo/long", "/repo/longer", path_truncated=True)
    assert created(s, "/repo/out/a.txt") == unverifiable("ambiguous")


def test_a_directory_that_may_be_a_link_is_no_wrong_target() -> None:
    s = Scenario()
    s.file(s.agent, "create", "/opt/v2/conf.yaml")
    assert created(s, "/srv/app/conf.yaml") == unverifiable("ambiguous")


def test_a_write_through_a_link_counts_for_the_name_of_the_link() -> None:
    s = Scenario()
    intent = s.intent("read", files=(e.ExpectedFile(path="/repo/CLAUDE.md", op="read"),))
    s.answers(intent)
    look = s.looks(intent, "/repo/CLAUDE.md")
    s.add(e.File, process=s.agent, op="write", path="/repo/AGENTS.md", dev=look.dev, ino=look.ino)
    assert created(s, "CLAUDE.md", topic="file_changed") == VERIFIED


def test_an_undeclared_change_needs_whole_traffic() -> None:
    s = Scenario()
    s.add(e.StreamGap, process=s.agent, host="api.test", cause="lost")
    s.file(s.agent, "write", "/repo/b.py")
    assert s.says(s.claims("nothing_else_changed", kind="absence")) == unverifiable("stream_incomplete")


def test_an_undeclared_change_is_not_held_against_one_whose_beginning_was_not_seen() -> None:
    s = Scenario(origin="watch")
    s.file(s.agent, "write", "/repo/b.py")
    assert s.says(s.claims("nothing_else_changed", kind="absence")) == unverifiable("late_enrolment")


def test_the_file_in_the_sessions_directory_is_meant_first() -> None:
    s = Scenario()
    s.writes("/repo/README.md")
    s.file(s.agent, "create", "/repo/.pytest_cache/README.md")
    verdict = s.on(s.claims("file_changed", targets=("README.md",)))
    assert (verdict.verdict, verdict.grade) == ("verified", "strong")
    assert verdict.observed == "/repo/README.md was written"


def test_a_project_in_a_temporary_directory_is_one_like_any_other() -> None:
    s = Scenario(cwd="/tmp/repo")
    s.file(s.agent, "create", "/tmp/repo/src/main.py")
    s.file(s.agent, "create", "/tmp/repo/lib/conf.yaml")
    assert created(s, "src/conf.yaml") == refuted("wrong_target")


def test_the_cache_that_pytest_makes_is_no_other_change() -> None:
    s = Scenario()
    s.does("pytest")
    s.add(e.File, process=s.agent, op="mkdir", path="/repo/pytest-cache-files-x1", resolved=False)
    s.file(s.agent, "create", "/repo/pytest-cache-files-x1/README.md")
    renames(s, "/repo/pytest-cache-files-x1", "/repo/.pytest_cache")
    assert s.says(s.claims("nothing_else_changed", kind="absence")) == VERIFIED
