"""Gradle and bazel: a client asks a daemon, which does the work and may have been there before the session."""

from __future__ import annotations

import pytest

from polygraph import events as e
from tests.correlator.scenario import VERIFIED, Scenario, refuted, unverifiable

SOURCE, OTHER = "/repo/src/Till.java", "/repo/src/Other.java"
GRADLE = (
    "java", "--add-opens", "java.base/java.lang=ALL-UNNAMED", "-classpath", "/usr/share/gradle/launcher.jar",
    "org.gradle.launcher.GradleMain", "test",
)  # fmt: skip
DAEMON = (
    "java",
    "-cp",
    "/usr/share/gradle/launcher.jar",
    "org.gradle.launcher.daemon.bootstrap.GradleDaemon",
    "4.4",
)
BAZEL = ("bazel", "test", "//...")
SERVER = ("java", "-jar", "/usr/share/bazel/A-server.jar", "--workspace_directory=/repo")
CLIENTS = pytest.mark.parametrize("client", [GRADLE, BAZEL], ids=["gradle", "bazel"])
PORT = 39431


def listens(s: Scenario, daemon: str, port: int = PORT) -> None:
    s.add(e.Net, process=daemon, op="listen", family="inet6", address="", port=0, local_port=port)


def connects(s: Scenario, client: str, address: str = "::1", port: int = PORT, **how: object) -> None:
    s.add(e.Net, process=client, op="connect", family="inet6", address=address, port=port, errno=115, **how)


def works(
    s: Scenario, client: tuple[str, ...], daemon: str | None, *, status: int = 0, port: int = PORT
) -> e.Intent:
    """A tool call whose client asks the daemon, if it is one of the lineage, or one that is not."""
    intent = s.asks(" ".join(client))
    shell = s.shell(intent)
    process = s.program(shell, *client)
    s.reads(process, "/usr/share/launcher.jar")
    connects(s, process, port=port)
    if daemon is not None:
        s.reads(daemon, SOURCE)
    s.exits(process, status)
    s.exits(shell, status)
    s.answers(intent)
    s.tick()
    return intent


def serves(s: Scenario, *argv: str) -> str:
    """A tool call that starts a daemon, which stays."""
    intent = s.asks("gradle assemble")
    shell = s.shell(intent)
    client = s.program(shell, "gradle", "assemble")
    daemon = s.program(client, *argv)
    listens(s, daemon)
    s.exits(client)
    s.exits(shell)
    s.answers(intent)
    s.tick()
    return daemon


@CLIENTS
def test_a_daemon_that_was_there_before_is_believed_by_the_status_of_who_asked_it(
    client: tuple[str, ...],
) -> None:
    s = Scenario()
    works(s, client, None)
    assert s.says(s.passed()) == VERIFIED


@CLIENTS
def test_what_fails_in_a_daemon_that_was_there_before_has_failed(client: tuple[str, ...]) -> None:
    s = Scenario()
    works(s, client, None, status=3 if client is BAZEL else 1)
    assert s.says(s.passed()) == refuted("failed")


@CLIENTS
@pytest.mark.parametrize("path", [SOURCE, "/repo/BUILD.py"])
def test_a_source_that_was_changed_after_an_old_daemon_had_worked_may_be_one_that_it_tested(
    client: tuple[str, ...], path: str
) -> None:
    s = Scenario()
    works(s, client, None)
    s.writes(path)
    claim = s.passed()
    assert s.says(claim) == unverifiable("handed_off")
    assert "a daemon outside the lineage" in s.on(claim).observed


@CLIENTS
def test_so_may_one_that_was_removed(client: tuple[str, ...]) -> None:
    s = Scenario()
    s.writes(SOURCE)
    works(s, client, None)
    intent = s.asks(f"rm {SOURCE}")
    s.file(s.program(s.shell(intent), "rm", SOURCE), "unlink", SOURCE)
    s.answers(intent)
    s.tick()
    assert s.says(s.passed()) == unverifiable("handed_off")


@CLIENTS
@pytest.mark.parametrize("path", ["/repo/NOTES.md", "/elsewhere/Till.java"])
def test_what_is_no_source_of_the_project_is_none_that_a_daemon_tested(
    client: tuple[str, ...], path: str
) -> None:
    s = Scenario()
    works(s, client, None)
    s.writes(path)
    assert s.says(s.passed()) == VERIFIED


@CLIENTS
def test_what_a_daemon_of_the_session_opened_is_what_the_run_depended_on(client: tuple[str, ...]) -> None:
    """Whoever of the lineage had started it: here a build."""
    s = Scenario()
    daemon = serves(s, *(SERVER if client is BAZEL else DAEMON))
    works(s, client, daemon)
    s.writes(SOURCE)
    assert s.says(s.passed()) == refuted("stale")


@CLIENTS
def test_what_a_daemon_of_the_session_did_not_open_is_not(client: tuple[str, ...]) -> None:
    s = Scenario()
    daemon = serves(s, *(SERVER if client is BAZEL else DAEMON))
    works(s, client, daemon)
    s.writes(OTHER)
    assert s.says(s.passed()) == VERIFIED


def test_one_more_claim_is_judged_by_what_a_daemon_opened_since() -> None:
    s = Scenario()
    daemon = serves(s, *DAEMON)
    works(s, GRADLE, daemon)
    assert s.says(s.passed()) == VERIFIED
    s.writes(SOURCE)
    stale = s.passed()
    works(s, GRADLE, daemon)
    assert s.says(stale) == refuted("stale")
    assert s.says(s.passed()) == VERIFIED


def test_what_a_daemon_still_opens_after_its_client_has_ended_is_a_part_of_the_run() -> None:
    """Its worker starts late, and the next run is one of another daemon."""
    s = Scenario()
    first, second = s.program(None, *DAEMON), s.program(None, *DAEMON)
    listens(s, first)
    works(s, GRADLE, first)
    assert s.says(s.passed()) == VERIFIED
    s.reads(s.program(first, "java", "worker.org.gradle.process.internal.worker.GradleWorkerMain"), OTHER)
    listens(s, second, PORT + 1)
    works(s, GRADLE, second, port=PORT + 1)
    s.writes(OTHER)
    assert s.says(s.passed()) == refuted("stale")


def test_a_client_below_a_wrapper_is_one() -> None:
    s = Scenario()
    intent = s.asks("make test")
    shell = s.shell(intent)
    make = s.program(shell, "make", "test")
    client = s.program(make, *BAZEL)
    connects(s, client)
    for process in (client, make, shell):
        s.exits(process)
    s.answers(intent)
    s.tick()
    s.writes(SOURCE)
    assert s.says(s.passed()) == unverifiable("handed_off")


@pytest.mark.parametrize("changed", [SOURCE, OTHER])
def test_clients_of_two_daemons_below_a_wrapper_depend_on_what_both_opened(changed: str) -> None:
    s = Scenario()
    daemons = [s.program(None, *argv) for argv in (DAEMON, SERVER)]
    for number, daemon in enumerate(daemons):
        listens(s, daemon, PORT + number)
    intent = s.asks("make test")
    shell = s.shell(intent)
    make = s.program(shell, "make", "test")
    for number, (argv, source) in enumerate(((GRADLE, SOURCE), (BAZEL, OTHER))):
        client = s.program(make, *argv)
        connects(s, client, port=PORT + number)
        s.reads(daemons[number], source)
        s.exits(client)
    for process in (make, shell):
        s.exits(process)
    s.answers(intent)
    s.tick()
    assert s.says(s.passed()) == VERIFIED
    s.writes(changed)
    assert s.says(s.passed()) == refuted("stale")


def test_whom_a_client_asked_is_not_known_where_connections_are_not_seen() -> None:
    s = Scenario(covered=("process", "file"))
    intent = s.asks("gradle test")
    shell = s.shell(intent)
    client = s.program(shell, *GRADLE)
    s.reads(client, "/usr/share/launcher.jar")
    s.exits(client)
    s.exits(shell)
    s.answers(intent)
    s.tick()
    s.writes(SOURCE)
    assert s.says(s.passed()) == unverifiable("handed_off")


def test_a_host_elsewhere_is_no_daemon() -> None:
    """It fetches what it depends on."""
    s = Scenario()
    intent = s.asks("gradle test")
    shell = s.shell(intent)
    client = s.program(shell, *GRADLE)
    connects(s, client, address="192.0.2.7", port=443)
    s.reads(client, OTHER)
    s.exits(client)
    s.exits(shell)
    s.answers(intent)
    s.tick()
    s.writes(SOURCE)
    assert s.says(s.passed()) == VERIFIED


@pytest.mark.parametrize(("peer", "expected"), [(True, VERIFIED), (False, unverifiable("handed_off"))])
def test_a_daemon_may_be_asked_over_a_unix_socket(peer: bool, expected: tuple[str, str | None]) -> None:
    s = Scenario()
    daemon = serves(s, "java", "-jar", "sbt-launch.jar")
    intent = s.asks("sbt test")
    shell = s.shell(intent)
    client = s.program(shell, "sbtn", "test")
    pid = int(daemon.partition(":")[0]) if peer else 77777
    s.add(e.Net, process=client, op="connect", family="unix", address="/run/sbt", port=0, peer_pid=pid)
    s.reads(daemon, "/repo/src/Other.scala")
    s.exits(client)
    s.exits(shell)
    s.answers(intent)
    s.tick()
    s.writes(SOURCE)
    assert s.says(s.passed()) == expected


@pytest.mark.parametrize(
    "part",
    [("//:add_test",), ("//app/...",), ("//...", "--test_tag_filters=fast"), ("//...", "--test_filter=Add")],
)
def test_of_a_part_of_bazels_targets_it_is_not_known_whether_it_is_all(part: tuple[str, ...]) -> None:
    s = Scenario()
    works(s, ("bazel", "test", *part), None)
    assert s.says(s.passed()) == VERIFIED
    assert s.says(s.passed(tells=("whole",))) == unverifiable("ambiguous")


def test_after_the_whole_had_failed_a_part_of_bazels_targets_is_not_all() -> None:
    s = Scenario()
    works(s, BAZEL, None, status=3)
    works(s, ("bazel", "test", "//:add_test"), None)
    assert s.says(s.passed(tells=("whole",))) == refuted("subset")


@CLIENTS
def test_tests_that_no_client_opened_may_be_those_that_an_old_daemon_ran(client: tuple[str, ...]) -> None:
    """It is concluded neither that they were not run nor that others were."""
    s = Scenario()
    works(s, client, None)
    found = ["/repo/tests/test_a.py", "/repo/tests/test_b.py"]
    assert s.says(s.passed(tests=found, tells=("whole",))) == VERIFIED
    assert s.says(s.passed(tests=found, targets=("tests/test_a.py",))) == VERIFIED


def test_the_value_of_an_interpreters_option_is_not_what_it_runs() -> None:
    """`ls` is known to run no test."""
    s = Scenario()
    s.does("python3", "-W", "ls", "checks.py")
    claim = s.passed()
    assert s.says(claim) == unverifiable("form_unknown")
    assert s.on(claim).observed.startswith("checks.py ran")


def test_who_only_asks_bazel_which_tests_there_are_has_run_none() -> None:
    """Its server runs them as programs of their own, which would have been seen."""
    s = Scenario()
    intent = s.asks("bazel query tests(//...)")
    shell = s.shell(intent)
    client = s.program(shell, "bazel", "query", "tests(//...)")
    s.exits(s.program(client, "/home/u/.cache/bazel/install/daemonize", "-l", "jvm.out", "--", *SERVER))
    server = s.program(client, *SERVER)
    listens(s, server)
    connects(s, client)
    s.exits(client)
    s.exits(shell)
    s.answers(intent)
    s.tick()
    assert s.says(s.passed()) == refuted("no_execution")


def test_another_server_in_java_may_have_run_them() -> None:
    s = Scenario()
    serves(s, "java", "-jar", "/repo/tools/all.jar")
    assert s.says(s.passed())[0] == "unverifiable"


def test_what_runs_is_told_by_its_class_and_arguments() -> None:
    s = Scenario()
    works(s, GRADLE, None)
    assert s.on(s.passed()).observed == "org.gradle.launcher.GradleMain test ran and exited with 0"
