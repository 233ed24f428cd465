"""Traps that other checkers fell into: false accusations first, then false acquittals."""

from polygraph import events as e
from polygraph.openings import Opening, packed
from tests.correlator.scenario import PYTHON, VERIFIED, Scenario, expect, refuted, unverifiable

# --- false accusations ------------------------------------------------------------------------------


def test_coverage_is_that_of_the_probe_which_supplies_the_evidence() -> None:
    """A network claim is not refuted because the process probes were fine."""
    s = Scenario(covered=("process", "file", "tls"))
    assert s.says(s.claims("url_fetched", targets=("https://x.test",))) == unverifiable("probe_missing")


def test_a_name_is_never_compared_with_an_address() -> None:
    s = Scenario()
    intent = s.intent("fetch", hosts=("github",))
    s.add(e.Net, process=s.agent, op="connect", family="inet", address="140.82.0.1", port=443)
    s.answers(intent)
    assert s.says(intent) == unverifiable("ambiguous")


def test_no_expectation_at_all_never_falls_through_to_refuted() -> None:
    for kind in ("shell", "read", "write", "edit", "delete", "fetch", "search", "delegate", "other"):
        s = Scenario()
        intent = s.intent(kind)
        s.answers(intent, status=0)
        assert s.on(intent).verdict == "unverifiable", kind


def test_quotes_pipes_and_wrappers_do_not_hide_a_run() -> None:
    s = Scenario()
    intent = s.asks(expect("pytest -k 'not slow'", masked=True), "tail")
    shell = s.program(
        None, "bash", "-lc", "timeout 60 env A=1 pytest -k 'not slow' 2>&1 | tail", digest="other"
    )
    timeout = s.program(shell, "timeout", "60", "env", "A=1", "pytest", "-k", "not slow")
    env = s.program(timeout, "env", "A=1", "pytest", "-k", "not slow")
    s.execs(env, "pytest", "-k", "not slow")
    s.exits(env, 0)
    s.exits(timeout, 0)
    s.runs(shell, "tail")
    s.exits(shell, 0)
    s.answers(intent)
    assert s.says(intent) == VERIFIED
    assert s.says(s.passed()) == VERIFIED


def test_gradle_runs_its_tests_in_a_daemon() -> None:
    s = Scenario()
    s.does("/repo/gradlew", "test")
    assert s.on(s.passed()).verdict != "refuted"


def test_npm_test_with_an_unknown_child_is_believed() -> None:
    s = Scenario()
    intent = s.asks("npm test")
    shell = s.shell(intent)
    npm = s.program(shell, "node", "/usr/bin/npm", "test")
    s.runs(npm, "node", "test/all.js")
    s.exits(npm, 0)
    s.exits(shell, 0)
    s.answers(intent)
    assert s.says(s.passed()) == VERIFIED


def test_tests_from_a_script_through_another_tool_are_form_unknown() -> None:
    s = Scenario()
    s.does("python3", "scripts/check_everything.py")
    assert s.says(s.passed()) == unverifiable("form_unknown")


def test_a_project_binary_is_form_unknown() -> None:
    s = Scenario()
    s.does("/repo/build/unit_tests", path="/repo/build/unit_tests")
    assert s.says(s.passed()) == unverifiable("form_unknown")


def test_a_known_name_in_the_project_is_not_the_known_program() -> None:
    s = Scenario()
    s.does("ls", path="/repo/bin/ls")
    assert s.says(s.passed()) == unverifiable("form_unknown")


def test_node_test_is_known() -> None:
    s = Scenario()
    s.does("node", "--test")
    assert s.says(s.passed()) == VERIFIED


def test_a_build_may_include_its_tests() -> None:
    s = Scenario()
    s.does("mvn", "package")
    assert s.on(s.passed()).verdict != "refuted"


def test_a_tool_that_runs_code_inside_the_agent_is_form_unknown() -> None:
    s = Scenario()
    s.answers(s.intent("other", tool="python_repl"))
    assert s.says(s.passed()) == unverifiable("form_unknown")


def test_a_copy_of_the_agent_at_work_is_form_unknown() -> None:
    s = Scenario(agent=(PYTHON, "agent.py"))
    s.call()
    s.exits(s.fork(), 0)
    assert s.says(s.passed()) == unverifiable("form_unknown")


def test_a_subshell_is_not_a_copy_of_the_agent() -> None:
    s = Scenario()
    intent = s.asks("echo hi")
    shell = s.shell(intent)
    s.exits(s.fork(shell), 0)
    s.exits(shell)
    s.answers(intent)
    assert s.says(s.passed()) == refuted("no_execution")


def test_work_in_docker_ssh_tmux_or_systemd_is_handed_off() -> None:
    for argv in (
        ("docker", "exec", "c", "pytest"),
        ("ssh", "host", "pytest"),
        ("tmux", "send-keys"),
        ("systemd-run", "x"),
    ):
        s = Scenario()
        s.does(*argv)
        assert s.says(s.passed()) == unverifiable("handed_off"), argv


def test_work_of_a_sub_agent_in_the_lineage_counts_for_the_session() -> None:
    s = Scenario()
    task = s.intent("delegate")
    sub = s.program(None, "/opt/agent/bin/agent", "--sub")
    s.call()
    s.runs(sub, "pytest")
    s.exits(sub)
    s.answers(task)
    assert s.says(s.passed()) == VERIFIED


def test_a_delegation_that_was_not_seen_is_handed_off() -> None:
    s = Scenario()
    s.answers(s.intent("delegate"))
    assert s.says(s.passed()) == unverifiable("handed_off")


def test_a_delegation_that_failed_has_passed_no_tests() -> None:
    s = Scenario()
    s.answers(s.intent("delegate"), error=True)
    assert s.says(s.passed()) == refuted("no_execution")
    assert s.says(s.claims("tests_run")) == unverifiable("handed_off")
    s.answers(s.intent("delegate"))
    assert s.says(s.passed()) == unverifiable("handed_off")


def test_a_sub_agent_that_was_tried_again_ran_them() -> None:
    s = Scenario()
    s.answers(s.intent("delegate"), error=True)
    task = s.intent("delegate")
    sub = s.program(None, "/opt/agent/bin/agent", "--sub")
    s.call()
    s.runs(sub, "pytest")
    s.exits(sub)
    s.answers(task)
    assert s.says(s.passed()) == VERIFIED


def test_a_quoted_command_inside_echo_is_not_the_command() -> None:
    s = Scenario()
    intent = s.asks(expect("echo pytest", builtin=True))
    shell = s.shell(intent)
    s.exits(shell)
    s.answers(intent)
    assert s.says(intent) == VERIFIED
    assert s.says(s.passed()) == refuted("no_execution")


def test_death_by_sigpipe_under_head_is_no_failure() -> None:
    for ending in ({"signal": 13}, {"status": 141}):
        s = Scenario()
        intent = s.asks(expect("pytest", masked=True), "head -1")
        shell = s.shell(intent)
        p = s.program(shell, "pytest")
        s.runs(shell, "head", "-1")
        s.exits(p, **ending)
        s.exits(shell, 0)
        s.answers(intent)
        assert s.says(s.passed()) == unverifiable("ambiguous")
        assert s.says(intent) == VERIFIED


def test_grep_1_is_an_answer() -> None:
    s = Scenario()
    s.does("grep", "x", "y", status=1)
    s.does("pytest")
    assert s.says(s.passed()) == VERIFIED


def test_a_signal_is_not_read_as_a_status() -> None:
    s = Scenario()
    intent = s.does("pytest", status=77)
    assert "exited with 77" in s.on(intent).observed


def test_a_quoted_old_log_in_a_result_accuses_nobody() -> None:
    s = Scenario()
    intent = s.does("cat", "old.log")
    assert s.says(s.passed(source="tool_result", intent=intent)) == unverifiable("ambiguous")


def test_retries_with_a_missing_wrapper_first() -> None:
    s = Scenario()
    s.does("npm", "test", status=1)
    s.does("vitest", "run")
    assert s.says(s.passed()) == VERIFIED


def test_streamed_tool_calls_may_run_before_their_response_is_complete() -> None:
    s = Scenario()
    began = s.now
    s.runs(None, "pytest", digest="early")
    s.add(e.LlmCall, call="c9", process=s.agent, api="openai.chat", host="api.test", request_ts=began)
    intent = s.asks("pytest", call="c9", command_digest="early")
    s.answers(intent)
    assert s.says(intent) == VERIFIED


def test_an_editors_save_of_an_ignored_file_is_no_change() -> None:
    s = Scenario()
    s.file(s.agent, "write", "/repo/.a.py.swp")
    assert s.says(s.claims("nothing_else_changed", kind="absence")) == VERIFIED


# --- false acquittals -------------------------------------------------------------------------------


def test_printing_an_old_log_is_no_run() -> None:
    s = Scenario()
    s.does("cat", "pytest.log")
    assert s.says(s.passed()) == refuted("no_execution")


def test_the_words_of_a_result_are_no_evidence() -> None:
    s = Scenario()
    s.does("echo", "12 passed, exit code: 0", reported=0)
    assert s.says(s.passed()) == refuted("no_execution")


def test_an_exit_of_0_at_the_end_of_a_pipeline_does_not_acquit() -> None:
    for last in ("tail", "tee", "cat", "grep"):
        s = Scenario()
        intent = s.asks(expect("pytest", masked=True), last)
        shell = s.shell(intent)
        s.runs(shell, "pytest", status=1)
        s.runs(shell, last)
        s.exits(shell, 0)
        s.answers(intent, status=0)
        assert s.says(s.passed(source="tool_result", intent=intent)) == refuted("masked_exit")
        assert s.says(s.passed()) == refuted("masked_exit")


def test_gates_that_run_after_a_masked_failure_do_not_acquit() -> None:
    s = Scenario()
    intent = s.asks(expect("pytest", masked=True), "tail", expect("git commit -m x", conditional=True))
    shell = s.shell(intent)
    s.runs(shell, "pytest", status=1)
    s.runs(shell, "tail")
    s.runs(shell, "git", "commit", "-m", "x")
    s.exits(shell, 0)
    s.answers(intent, status=0)
    assert s.says(s.passed()) == refuted("masked_exit")
    assert s.says(s.claims("commit", "ok")) == VERIFIED


def test_no_status_in_a_result_is_no_success() -> None:
    s = Scenario()
    s.does("pytest", status=1, reported=None)
    assert s.says(s.passed()) == refuted("failed")


def test_exit_0_at_the_end_of_a_script_does_not_acquit() -> None:
    s = Scenario()
    intent = s.asks("bash run.sh")
    shell = s.shell(intent)
    script = s.program(shell, "bash", "run.sh")
    s.runs(script, "pytest", status=2)
    s.exits(script, 0)
    s.exits(shell, 0)
    s.answers(intent, status=0)
    assert s.says(s.passed()) == refuted("masked_exit")


def test_a_sub_agents_death_does_not_vouch_for_its_work() -> None:
    s = Scenario()
    task = s.intent("delegate")
    sub = s.program(None, "/opt/agent/bin/agent", "--sub")
    s.call()
    s.runs(sub, "pytest", status=1)
    s.exits(sub, signal=9)
    s.answers(task)
    assert s.on(s.passed()).verdict == "refuted"


def test_a_run_before_the_fix_does_not_vouch_for_after_it() -> None:
    s = Scenario()
    s.does("pytest", status=1, reads=["/repo/calc.py"])
    s.writes("/repo/calc.py")
    assert s.says(s.passed()) == refuted("failed")


def test_a_number_that_is_no_inode_joins_nothing() -> None:
    """Of a failed open: device 0, and a hash of the path where the inode would be."""
    s = Scenario()
    intent = s.asks("pytest")
    shell = s.shell(intent)
    child = s.program(shell, "pytest")
    s.add(e.Reads, rows=packed([Opening(child, 0, 77, s.now)]))
    s.add(e.Reads, rows=packed([Opening(child, 1, s.inode("/repo/a.py"), s.now)]))
    s.exits(child)
    s.exits(shell)
    s.answers(intent, status=0)
    s.add(e.File, process=s.agent, op="write", path="/repo/other.txt", dev=0, ino=77)
    assert s.says(s.passed()) == VERIFIED


def test_a_later_touch_without_a_path_is_one_of_the_file_that_its_inode_is() -> None:
    s = Scenario()
    s.writes("/repo/a.py")
    s.does("pytest", reads=("/repo/a.py",))
    first = s.now
    s.now += 10
    s.add(
        e.File,
        process=s.agent,
        op="write",
        path="",
        dev=1,
        ino=s.inode("/repo/a.py"),
        count=3,
        first_ts=first,
    )
    assert s.says(s.passed()) == refuted("stale")
