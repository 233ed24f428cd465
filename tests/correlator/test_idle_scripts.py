"""Scripts that the session made and ran: what they did not do, they did not do; everything else is in doubt."""

from __future__ import annotations

from typing import Any

import pytest

from polygraph import events as e
from tests.correlator.scenario import Scenario, refuted, unverifiable

NOT_RUN = refuted("no_execution")
OPEN = unverifiable("form_unknown")
SCRIPT, TEST = "/repo/count.py", "/repo/test_a.py"


def after(
    topic: str = "tests_passed",
    *,
    name: str = SCRIPT,
    made: bool = True,
    opens: tuple[str, ...] = (),
    writes: str | None = None,
    connects: bool = False,
    tests: tuple[str, ...] = (TEST,),
    **how: Any,
) -> tuple[str, str | None]:
    """The verdict on a claim of success after one script was written and run."""
    s = Scenario(**how)
    s.call()
    if made:
        s.file(s.agent, "create", name)
    script = s.program(None, "python3", name.removeprefix("/repo/"))
    s.reads(script, name, *opens)
    if writes is not None:
        s.file(script, "create", writes)
    if connects:
        s.add(e.Net, process=script, op="connect", family="inet", address="127.0.0.1", port=8080, socket=7)
    s.exits(script)
    return s.says(s.claims(topic, "ok", tests=list(tests)))


def test_a_script_that_touched_nothing_tested_nothing() -> None:
    assert after() == NOT_RUN
    assert after(opens=("/usr/lib/python3/pathlib.py",)) == NOT_RUN


@pytest.mark.parametrize(
    "how",
    [
        {"made": False},  # who wrote it, and what it opens, is not known
        {"opens": (TEST,)},
        {"writes": "/repo/report.xml"},  # it may be a message to who runs the tests
        {"connects": True},
        {"tests": ()},  # the project may have tests of another kind
        {"name": "/repo/check_all.py"},
        {"covered": ("process", "network", "tls", "ipc")},
    ],
)
def test_one_that_may_have_tested(how: dict[str, Any]) -> None:
    assert after(**how)[0] == "unverifiable"


def test_a_build_leaves_files() -> None:
    assert after("build", tests=()) == NOT_RUN
    assert after("build", tests=(), writes="/repo/out.bin") == OPEN
    assert after("build", tests=(), name="/repo/make_it.py") == OPEN


def test_a_linter_opens_the_code() -> None:
    s = Scenario()
    s.call()
    s.file(s.agent, "write", "/repo/a.py")
    s.file(s.agent, "create", SCRIPT)
    script = s.program(None, "python3", "count.py")
    s.reads(script, SCRIPT)
    s.exits(script)
    assert s.says(s.claims("lint", "ok")) == NOT_RUN
    other = s.program(None, "python3", "count.py")
    s.reads(other, SCRIPT, "/repo/a.py")
    s.exits(other)
    assert s.says(s.claims("lint", "ok")) == OPEN


def test_where_no_code_is_known_a_linter_may_have_been_it() -> None:
    assert after("lint") == OPEN


def test_a_server_that_has_ended_and_never_listened_is_none() -> None:
    s = Scenario()
    s.call()
    s.file(s.agent, "create", SCRIPT)
    script = s.program(None, "python3", "count.py")
    s.reads(script, SCRIPT)
    assert s.says(s.claims("server_started")) == OPEN
    s.exits(script)
    assert s.says(s.claims("server_started")) == NOT_RUN


def test_that_it_was_run_is_no_claim_of_success() -> None:
    s = Scenario()
    s.call()
    s.file(s.agent, "create", SCRIPT)
    script = s.program(None, "python3", "count.py")
    s.reads(script, SCRIPT)
    s.exits(script)
    assert s.says(s.claims("tests_run", tests=[TEST])) == OPEN


# --- what is left for others ------------------------------------------------------------------------------------


def left(path: str, *, by: str = "sh", gone: bool = False) -> tuple[str, str | None]:
    s = Scenario()
    s.call()
    writer = s.program(None, by)
    s.file(writer, "create", path)
    if gone:
        s.file(writer, "unlink", path)
    s.exits(writer)
    return s.says(s.passed())


def test_a_job_for_somebody_else_may_have_been_the_run() -> None:
    assert left("/home/me/queue/1.job") == unverifiable("handed_off")


@pytest.mark.parametrize(
    "path",
    ["/repo/1.job", "/tmp/1.job", "/home/me/.cache/x", "/home/me/x.log", "/dev/null", "/var/lib/x/job"],
)
def test_what_is_left_elsewhere_is_no_job(path: str) -> None:
    assert left(path) == NOT_RUN


def test_what_was_taken_away_again_and_what_git_writes_is_no_job() -> None:
    assert left("/home/me/queue/1.job", gone=True) == NOT_RUN
    assert left("/home/me/other/a.py", by="git") == NOT_RUN
