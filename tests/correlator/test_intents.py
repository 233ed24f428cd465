"""Tool calls: commands, files, reads, fetches and delegation, each both ways."""

from polygraph import events as e
from tests.correlator.scenario import STEP, VERIFIED, WALL, Scenario, expect, refuted, unverifiable

A = "/repo/a.py"


def write_of(
    path: str = A, *, digest: str | None = "w", size: int | None = 100
) -> tuple[e.ExpectedFile, ...]:
    return (e.ExpectedFile(path=path, op="write", digest=digest, size=size),)


# --- commands ---------------------------------------------------------------------------------------


def test_the_very_command_in_a_shell_is_exact() -> None:
    s = Scenario()
    intent = s.does("pytest", "-q")
    assert s.says(intent) == VERIFIED
    assert s.on(intent).grade == "exact"


def test_a_command_inside_the_agents_own_shell_line_is_strong() -> None:
    """Some agents run ``bash -c 'source SNAPSHOT && eval CMD'``: no digest, but program and arguments."""
    s = Scenario()
    intent = s.asks("pytest -q tests")
    shell = s.program(None, "bash", "-c", "source x && eval y", digest="other")
    s.runs(shell, "pytest", "-q", "tests")
    s.exits(shell)
    s.answers(intent)
    assert s.says(intent) == VERIFIED
    assert s.on(intent).grade == "strong"


def test_a_program_alone_without_its_arguments_is_weak() -> None:
    s = Scenario()
    intent = s.asks("grep needle")
    s.runs(None, "grep", "other")
    s.answers(intent)
    assert s.on(intent).grade == "weak"


def test_nothing_executed_for_a_command_is_no_execution() -> None:
    s = Scenario()
    intent = s.asks("cargo build")
    s.answers(intent, status=0)
    assert s.says(intent) == refuted("no_execution")


def test_housekeeping_of_the_agent_does_not_hide_a_forged_result() -> None:
    s = Scenario()
    s.runs(None, "git", "status")
    intent = s.asks("pytest")
    s.runs(None, "git", "status")
    s.answers(intent, status=0)
    assert s.says(intent) == refuted("no_execution")


def test_an_unknown_name_beside_a_shell_may_be_an_alias() -> None:
    s = Scenario()
    intent = s.asks("ll")
    shell = s.program(None, "bash", "-c", "ll", digest="other")
    s.runs(shell, "ls", "-l")
    s.exits(shell)
    s.answers(intent)
    assert s.says(intent) == unverifiable("form_unknown")


def test_a_shell_that_stays_open_may_run_a_function() -> None:
    s = Scenario()
    s.program(None, "bash")
    intent = s.asks("deploy_it")
    s.answers(intent)
    assert s.says(intent) == unverifiable("form_unknown")


def test_an_unknown_program_in_the_window_is_form_unknown() -> None:
    s = Scenario()
    intent = s.asks("pytest")
    s.runs(None, "python3", "-c", "import pytest")
    s.answers(intent)
    assert s.says(intent) == unverifiable("form_unknown")


def test_builtins_alone_verify_by_the_shell_only() -> None:
    s = Scenario()
    assert s.says(s.does("echo", "hi")) == VERIFIED
    intent = s.asks("cd /tmp")
    s.answers(intent)
    assert s.says(intent) == unverifiable("form_unknown")


def test_a_conditional_program_that_did_not_run_accuses_nobody() -> None:
    s = Scenario()
    intent = s.asks(expect("pytest", conditional=True))
    s.answers(intent)
    assert s.says(intent) == unverifiable("ambiguous")


def test_a_command_that_could_not_be_parsed_is_form_unknown() -> None:
    s = Scenario()
    intent = s.asks("pytest", parsed=False)
    s.answers(intent)
    assert s.says(intent) == unverifiable("form_unknown")


def test_a_result_that_says_error_accuses_nobody() -> None:
    s = Scenario()
    intent = s.asks("pytest")
    s.answers(intent, error=True)
    assert s.says(intent) == unverifiable("ambiguous")


def test_a_false_status_is_failed() -> None:
    s = Scenario()
    assert s.says(s.does("pytest", status=1, reported=0)) == refuted("failed")
    assert s.says(s.does("pytest", status=1, reported=1)) == VERIFIED
    assert s.says(s.does("pytest", status=0, reported=1)) == unverifiable("ambiguous")


def test_a_shell_that_had_not_ended_at_its_result_is_still_running() -> None:
    s = Scenario()
    intent = s.asks("pytest")
    s.program(s.shell(intent), "pytest")
    s.answers(intent)
    s.tick()
    assert s.says(intent) == unverifiable("still_running")


def test_a_command_for_docker_is_handed_off() -> None:
    s = Scenario()
    intent = s.asks("pytest", hand_off="docker")
    s.answers(intent)
    assert s.says(intent) == unverifiable("handed_off")


def test_parallel_calls_are_told_apart() -> None:
    s = Scenario()
    call = s.call()
    one = s.asks("pytest a.py", call=call)
    two = s.asks("pytest b.py", call=call)
    shell = s.shell(one)
    s.runs(shell, "pytest", "a.py")
    s.exits(shell)
    s.answers(one)
    s.answers(two)
    assert s.says(one) == VERIFIED
    assert s.says(two) == refuted("no_execution")


def test_a_program_that_could_not_be_executed_accuses_nobody() -> None:
    s = Scenario()
    intent = s.asks("pytest")
    child = s.fork()
    s.add(e.ExecFailed, process=child, path="/usr/bin/pytest", errno=2)
    s.exits(child, 127)
    s.answers(intent)
    assert s.says(intent) == unverifiable("ambiguous")


def test_an_agent_that_execs_the_command_in_the_same_process() -> None:
    s = Scenario()
    intent = s.asks("pytest -q")
    shell = s.shell(intent)
    s.execs(shell, "pytest", "-q")
    s.exits(shell, 1)
    s.answers(intent, status=0)
    assert s.says(intent) == refuted("failed")


# --- files ------------------------------------------------------------------------------------------


def test_a_write_with_the_declared_content_is_exact() -> None:
    s = Scenario()
    intent = s.writes(A)
    assert s.says(intent) == VERIFIED
    assert s.on(intent).grade == "exact"


def test_a_write_that_never_came_is_not_written() -> None:
    s = Scenario()
    intent = s.intent("write", files=write_of())
    s.answers(intent)
    s.looks(intent, A, exists=False)
    assert s.says(intent) == refuted("not_written")


def test_a_write_that_failed_with_an_error_number_is_not_written() -> None:
    s = Scenario()
    intent = s.intent("write", files=write_of())
    s.file(s.agent, "write", A, errno=13)
    s.answers(intent)
    s.looks(intent, A, matches=False)
    assert s.says(intent) == refuted("not_written")


def test_a_write_of_what_is_there_already_is_ambiguous() -> None:
    s = Scenario()
    intent = s.intent("write", files=write_of())
    s.answers(intent)
    s.looks(intent, A, matches=True)
    assert s.says(intent) == unverifiable("ambiguous")


def test_a_failed_write_that_was_told_as_failed_accuses_nobody() -> None:
    s = Scenario()
    intent = s.intent("write", files=write_of())
    s.answers(intent, error=True)
    s.looks(intent, A, exists=False)
    assert s.says(intent) == unverifiable("ambiguous")


def test_other_content_than_declared_differs() -> None:
    s = Scenario()
    intent = s.intent("write", files=write_of())
    s.file(s.agent, "write", A)
    s.answers(intent)
    s.looks(intent, A, matches=False, size=7)
    assert s.says(intent) == refuted("content_differs")


def test_content_that_a_formatter_changed_is_ambiguous() -> None:
    s = Scenario()
    intent = s.intent("write", files=write_of())
    s.file(s.agent, "write", A)
    formatter = s.program(None, "ruff", "format", A)
    s.file(formatter, "write", A)
    s.exits(formatter)
    s.answers(intent)
    s.looks(intent, A, matches=False, size=7)
    assert s.says(intent) == unverifiable("ambiguous")


def test_a_line_end_is_no_difference() -> None:
    s = Scenario()
    intent = s.intent("write", files=write_of())
    s.file(s.agent, "write", A)
    s.answers(intent)
    s.looks(intent, A, matches=False, size=101)
    assert s.says(intent) == unverifiable("ambiguous")


def test_the_fragment_of_an_edit_may_be_reformatted() -> None:
    s = Scenario()
    intent = s.intent("edit", files=write_of(digest=None, size=None))
    s.file(s.agent, "write", A)
    s.answers(intent)
    s.looks(intent, A, matches=False)
    assert s.says(intent) == VERIFIED


def test_the_same_name_elsewhere_is_the_wrong_target() -> None:
    s = Scenario()
    intent = s.intent("write", files=write_of("/repo/src/conf.py"))
    s.file(s.agent, "write", "/repo/lib/conf.py")
    s.answers(intent)
    s.looks(intent, "/repo/src/conf.py", exists=False)
    assert s.says(intent) == refuted("wrong_target")


def test_a_virtual_root_is_no_wrong_target() -> None:
    """Tools that show ``/src/conf.py`` for ``/repo/src/conf.py``."""
    s = Scenario()
    intent = s.intent("write", files=write_of("/src/conf.py"))
    s.file(s.agent, "write", "/repo/src/conf.py")
    s.answers(intent)
    s.looks(intent, "/src/conf.py", exists=False)
    assert s.says(intent) == unverifiable("ambiguous")


def test_a_relative_path_means_what_ends_with_it() -> None:
    s = Scenario()
    intent = s.intent("write", files=write_of("src/a.py"))
    s.file(s.agent, "write", "/repo/sub/src/a.py")
    s.answers(intent)
    assert s.says(intent) == VERIFIED


def test_a_write_by_rename_counts() -> None:
    s = Scenario()
    intent = s.intent("write", files=write_of())
    s.replaces(s.agent, A)
    s.answers(intent)
    s.looks(intent, A, matches=True)
    assert s.says(intent) == VERIFIED


def test_a_write_through_another_name_of_the_file_counts() -> None:
    s = Scenario()
    intent = s.intent("write", files=write_of("/link/a.py"))
    s.file(s.agent, "write", A)
    s.answers(intent)
    s._inodes["/link/a.py"] = s.inode(A)
    s.looks(intent, "/link/a.py", matches=True)
    assert s.says(intent) == VERIFIED


def test_a_file_changed_by_an_editor_outside_the_lineage_is_handed_off() -> None:
    s = Scenario()
    intent = s.intent("edit", files=write_of(digest=None, size=None))
    s.answers(intent)
    s.looks(intent, A, mtime=WALL + s.now - STEP)
    assert s.says(intent) == unverifiable("handed_off")


def test_an_edit_of_a_file_that_was_never_opened_is_not_written() -> None:
    s = Scenario()
    intent = s.intent("edit", files=write_of(digest=None, size=None))
    s.answers(intent)
    s.looks(intent, A, mtime=WALL - 10**15)
    assert s.says(intent) == refuted("not_written")


def test_delete() -> None:
    s = Scenario()
    files = (e.ExpectedFile(path=A, op="delete"),)
    gone = s.intent("delete", files=files)
    s.file(s.agent, "unlink", A)
    s.answers(gone)
    s.looks(gone, A, exists=False)
    assert s.says(gone) == VERIFIED
    s = Scenario()
    kept = s.intent("delete", files=files)
    s.answers(kept)
    s.looks(kept, A)
    assert s.says(kept) == refuted("not_written")
    s = Scenario()
    absent = s.intent("delete", files=files)
    s.answers(absent)
    s.looks(absent, A, exists=False)
    assert s.says(absent) == unverifiable("ambiguous")


def test_a_rename_of_the_directory_hides_the_files_in_it() -> None:
    s = Scenario()
    intent = s.intent("delete", files=(e.ExpectedFile(path="/repo/d/a.py", op="delete"),))
    s.add(e.File, process=s.agent, op="rename", path="/repo/d", new_path="/repo/old", dev=1, ino=9)
    s.answers(intent)
    s.looks(intent, "/repo/d/a.py")
    assert s.says(intent) == unverifiable("ambiguous")


# --- reads, fetches, delegation ---------------------------------------------------------------------


def read_of(path: str = A) -> tuple[e.ExpectedFile, ...]:
    return (e.ExpectedFile(path=path, op="read"),)


def test_a_read_joins_by_inode() -> None:
    s = Scenario()
    intent = s.intent("read", files=read_of())
    s.reads(s.agent, A)
    s.answers(intent)
    s.looks(intent, A)
    assert s.says(intent) == VERIFIED


def test_a_file_that_was_never_opened_is_not_read() -> None:
    s = Scenario()
    s.reads(s.agent, "/repo/other.py")
    intent = s.intent("read", files=read_of())
    s.answers(intent)
    s.looks(intent, A)
    assert s.says(intent) == refuted("not_read")


def test_on_a_file_system_whose_numbers_the_kernel_side_never_told_nothing_is_said_not_to_be_read() -> None:
    """btrfs and some forms of overlayfs: what stat(2) says of a file is not what the kernel side says."""
    s = Scenario()
    intent = s.intent("read", files=read_of())
    s.answers(intent)
    s.looks(intent, A)
    assert s.says(intent) == unverifiable("ambiguous")


def test_a_look_that_came_too_late_tells_nothing_of_the_file_that_was_read() -> None:
    """Its path is another file by then (an editor that renames), by whose number no opening is known."""
    s = Scenario()
    intent = s.intent("read", files=read_of())
    s.answers(intent)
    s.looks(intent, A, mtime=WALL + s.now + 1)
    assert s.says(intent) == unverifiable("ambiguous")


def test_a_file_that_was_opened_before_may_be_remembered() -> None:
    s = Scenario()
    s.reads(s.agent, A)
    intent = s.intent("read", files=read_of())
    s.answers(intent)
    s.looks(intent, A)
    assert s.says(intent) == unverifiable("ambiguous")


def test_a_read_that_cannot_be_joined_is_ambiguous() -> None:
    s = Scenario()
    intent = s.intent("read", files=read_of())
    s.answers(intent)
    assert s.says(intent) == unverifiable("ambiguous")


def fetch(s: Scenario, host: str = "docs.test") -> e.Intent:
    return s.intent("fetch", hosts=(host,))


def connect(s: Scenario, address: str, errno: int = 0) -> None:
    s.add(
        e.Net,
        process=s.agent,
        op="connect",
        family="inet",
        address=address,
        port=443,
        errno=errno,
        socket=len(s.log),
    )


def test_a_connection_to_the_named_host_verifies_a_fetch() -> None:
    s = Scenario()
    intent = fetch(s)
    s.add(e.Name, process=s.agent, source="dns", name="docs.test", addresses=("10.0.0.9",))
    connect(s, "10.0.0.9")
    s.answers(intent)
    assert s.says(intent) == VERIFIED


def test_no_connection_at_all_is_not_connected() -> None:
    s = Scenario()
    intent = fetch(s)
    s.answers(intent)
    assert s.says(intent) == refuted("not_connected")


def test_a_refused_connection_is_no_connection() -> None:
    s = Scenario()
    intent = fetch(s, "10.0.0.9")
    connect(s, "10.0.0.9", errno=111)
    s.answers(intent)
    assert s.says(intent) == refuted("not_connected")


def test_a_proxy_may_have_made_the_connection() -> None:
    s = Scenario()
    intent = fetch(s)
    connect(s, "10.0.0.3")
    s.answers(intent)
    assert s.says(intent) == unverifiable("ambiguous")


def test_a_name_given_to_tls_verifies_weakly() -> None:
    s = Scenario()
    intent = fetch(s)
    s.add(e.Name, process=s.agent, source="sni", name="docs.test")
    s.answers(intent)
    assert s.on(intent).grade == "weak"


def test_delegation_shows_by_the_sub_agents_own_calls() -> None:
    s = Scenario()
    intent = s.intent("delegate")
    s.call()
    s.answers(intent)
    assert s.says(intent) == VERIFIED
    s = Scenario()
    intent = s.intent("delegate")
    s.answers(intent)
    assert s.says(intent) == unverifiable("handed_off")


def test_a_tool_of_unknown_form() -> None:
    s = Scenario()
    intent = s.intent("other", tool="mcp__x__run")
    s.answers(intent)
    assert s.says(intent) == unverifiable("form_unknown")
