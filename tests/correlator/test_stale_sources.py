"""Staleness by what is changed: in folders of dependencies, while the run was at work, and sources that are no more."""

from __future__ import annotations

import pytest

from correlator.places import places
from polygraph import events as e
from polygraph.openings import Opening, packed
from tests.correlator.scenario import VERIFIED, Scenario, refuted, unverifiable

A, B = "/repo/src/a.ts", "/repo/src/b.ts"
AMBIGUOUS = unverifiable("ambiguous")
STALE = refuted("stale")
CHECKS = [
    (("jest",), "tests_passed"),
    (("go", "build", "./..."), "build"),
    (("tsc", "--noEmit"), "typecheck"),
    (("eslint", "."), "lint"),
]


def ran(*reads: str, argv: tuple[str, ...] = ("jest",)) -> Scenario:
    s = Scenario()
    s.entries = True
    s.does(*argv, reads=reads or (A, B))
    return s


def said(s: Scenario, topic: str = "tests_passed") -> tuple[str, str | None]:
    return s.says(s.claims(topic, "ok"))


def command(s: Scenario, *argv: str, below: tuple[str, ...] = (), path: str, op: str = "write") -> None:
    """A command of the agent's, ``below`` another program of it, that changes the file."""
    shell = s.program(None, "sh", "-c", "TEXT")
    parent = s.program(shell, *below) if below else shell
    process = s.program(parent, *argv)
    if op == "unlink":
        s.add(e.File, process=process, op=op, path=path, left=s.entry(path))
    else:
        s.file(process, op, path, entry=s.entry(path))
    s.exits(process)


# --- folders of caches and dependencies -----------------------------------------------------------------

MODULE = "/repo/node_modules/left-pad/index.js"


@pytest.mark.parametrize(("argv", "topic"), CHECKS)
@pytest.mark.parametrize(
    "path", [MODULE, "/repo/.venv/lib/x.py", "/repo/src/target/mod.rs", "/repo/src/coverage/a.ts"]
)
def test_a_source_that_a_hand_changes_in_such_a_folder_makes_the_check_stale(
    argv: tuple[str, ...], topic: str, path: str
) -> None:
    s = ran(A, path, argv=argv)
    s.writes(path)
    assert said(s, topic) == STALE


@pytest.mark.parametrize(
    ("argv", "below", "word"),
    [
        (("sed", "-i", "x", MODULE), (), STALE),
        (("tee", MODULE), (), STALE),
        (("sed", "-i", "x", MODULE), ("make", "deps"), VERIFIED),
        (("sed", "-i", "x", MODULE), ("sh", "fix.sh"), VERIFIED),
        (("sed", "-i", "x", MODULE), ("python3", "fix.py"), VERIFIED),
        (("npm", "install"), (), VERIFIED),
        (("node", "gen.js"), (), VERIFIED),
        (("cp", "x", MODULE), (), VERIFIED),
        (("/repo/bin/sed", "x"), (), VERIFIED),
    ],
)
def test_what_installers_builds_and_scripts_put_there_is_their_own(
    argv: tuple[str, ...], below: tuple[str, ...], word: tuple[str, str | None]
) -> None:
    s = ran(A, MODULE)
    command(s, *argv, below=below, path=MODULE)
    assert said(s) == word


def test_what_a_shell_of_the_agents_writes_there_is_its_own_hand() -> None:
    for script, word in ((("-c", "TEXT"), STALE), (("fix.sh",), VERIFIED)):
        s = ran(A, MODULE)
        shell = s.program(None, "sh", *script)
        s.file(shell, "truncate", MODULE)
        s.exits(shell)
        assert said(s) == word, script


def test_a_source_there_that_an_installer_wrote_too_is_left_to_it() -> None:
    s = ran(A, MODULE)
    s.writes(MODULE)
    command(s, "npm", "ci", path=MODULE)
    assert said(s) == VERIFIED


@pytest.mark.parametrize(
    "path",
    [
        "/repo/node_modules/.cache/a.js",
        "/repo/node_modules/x/package.json",
        "/repo/coverage/lcov.info",
        "/repo/.git/hooks/x.sh",
        "/repo/__pycache__/a.py",
        "/repo/target/debug/a.log",
        "/elsewhere/node_modules/x/index.js",
        "/usr/lib/node_modules/x/index.js",
    ],
)
def test_caches_and_what_is_elsewhere_are_none(path: str) -> None:
    s = ran(A, path)
    s.writes(path)
    assert said(s) == VERIFIED


def test_a_source_there_that_the_run_had_not_opened_is_no_matter() -> None:
    s = ran()
    s.writes(MODULE)
    assert said(s) == VERIFIED


# --- names of files that describe a project ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("changes.py", STALE),
        ("license.go", STALE),
        ("news.ts", STALE),
        ("README", AMBIGUOUS),
        ("README.md", AMBIGUOUS),
        ("LICENSE.txt", AMBIGUOUS),
        ("CHANGES.rst", AMBIGUOUS),
        ("setup.py", AMBIGUOUS),
        ("package.json", AMBIGUOUS),
    ],
)
def test_a_program_describes_no_project_whatever_its_name(name: str, word: tuple[str, str | None]) -> None:
    s = ran(A, f"/repo/{name}")
    s.writes(f"/repo/{name}")
    assert said(s) == word


# --- a source that is no more -----------------------------------------------------------------------------


@pytest.mark.parametrize(("argv", "topic"), CHECKS)
@pytest.mark.parametrize("how", [("rm", B), ("unlink", B), ("git", "rm", B)])
def test_a_source_of_the_project_that_is_removed_makes_the_check_stale_but_no_linter(
    argv: tuple[str, ...], topic: str, how: tuple[str, ...]
) -> None:
    s = ran(argv=argv)
    command(s, *how, path=B, op="unlink")
    assert said(s, topic) == (AMBIGUOUS if topic == "lint" else STALE)


@pytest.mark.parametrize("op", ["write", "truncate"])
def test_so_does_one_that_the_agent_had_edited_before(op: str) -> None:
    s = Scenario()
    s.entries = True
    s.call()
    s.file(s.agent, op, B)
    s.does("jest", reads=[A, B])
    command(s, "rm", B, path=B, op="unlink")
    assert said(s) == STALE


@pytest.mark.parametrize(
    ("how", "below"),
    [
        (("rm", B), ("make", "clean")),
        (("rm", B), ("sh", "clean.sh")),
        (("rm", B), ("npm", "run", "clean")),
        (("git", "checkout", "main"), ()),
        (("git", "stash"), ()),
        (("git", "clean", "-fd"), ()),
        (("python3", "clean.py"), ()),
    ],
)
def test_what_a_tool_or_a_script_removes_may_be_what_it_makes(
    how: tuple[str, ...], below: tuple[str, ...]
) -> None:
    s = ran()
    command(s, *how, below=below, path=B, op="unlink")
    assert said(s) == AMBIGUOUS


@pytest.mark.parametrize(
    "path", ["/repo/out.txt", "/repo/data.bin", "/repo/src/b.test.ts", "/repo/tests/b.ts", "/repo/dist/b.js"]
)
def test_what_is_no_source_may_go(path: str) -> None:
    s = ran(A, path)
    command(s, "rm", path, path=path, op="unlink")
    assert said(s) == AMBIGUOUS


def test_what_the_session_had_made_itself_or_makes_again_or_no_run_opened_may_go() -> None:
    s = Scenario()
    s.entries = True
    s.file(s.agent, "create", B)
    s.does("jest", reads=[A, B])
    command(s, "rm", B, path=B, op="unlink")
    assert said(s) == AMBIGUOUS
    s = Scenario()
    s.entries = True
    s.call()
    command(s, "node", "gen.js", path=B)
    s.does("jest", reads=[A, B])
    command(s, "rm", B, path=B, op="unlink")
    assert said(s) == AMBIGUOUS
    s = ran(A)
    command(s, "rm", B, path=B, op="unlink")
    assert said(s) == VERIFIED
    s = ran()
    command(s, "rm", B, path=B, op="unlink")
    command(s, "git", "checkout", "--", B, path=B, op="create")
    assert said(s) == AMBIGUOUS


# --- while the run was at work ------------------------------------------------------------------------------


def at_work(
    argv: tuple[str, ...], *, path: str = A, again: bool = False, opens: bool = True
) -> tuple[str, str | None]:
    """A run that opens the file, which is written then, and opens it ``again``."""
    s = Scenario()
    s.entries = True
    s.file(s.agent, "write", path)
    s.does("jest", reads=[path])
    s.call()
    run = s.program(None, "jest")
    s.reads(run, B)
    if opens:
        s.reads(run, path)
    if argv == ("itself",):
        s.file(run, "write", path)
    elif argv == ("agent",):
        s.file(s.agent, "write", path)
    else:
        command(s, *argv, path=path)
    if again:
        s.reads(run, path)
    s.exits(run)
    s.tick()
    return said(s)


@pytest.mark.parametrize(
    ("argv", "word"),
    [
        (("agent",), STALE),
        (("sed", "-i", "x", A), STALE),
        (("itself",), VERIFIED),
        (("touch", A), VERIFIED),
        (("pytest",), VERIFIED),
        (("node", "gen.js"), AMBIGUOUS),
        (("git", "checkout", "."), AMBIGUOUS),
    ],
)
def test_a_source_that_is_changed_after_the_run_had_opened_it(
    argv: tuple[str, ...], word: tuple[str, str | None]
) -> None:
    assert at_work(argv) == word


def test_what_a_linter_mends_in_its_run_is_what_it_has_passed() -> None:
    s = Scenario()
    s.entries = True
    s.call()
    run = s.program(None, "eslint", "--fix", ".")
    s.reads(run, A)
    s.file(run, "write", A)
    s.exits(run)
    assert said(s, "lint") == VERIFIED


def test_what_the_run_writes_itself_hides_no_change_by_others() -> None:
    s = Scenario()
    s.entries = True
    s.call()
    run = s.program(None, "jest")
    s.reads(run, A, B)
    s.file(run, "write", B)
    s.file(s.agent, "write", A)
    s.exits(run)
    assert said(s) == STALE


def test_one_that_it_opened_once_more_or_has_yet_to_open_is_what_was_tested() -> None:
    assert at_work(("agent",), again=True) == VERIFIED
    assert at_work(("agent",), opens=False) == VERIFIED


@pytest.mark.parametrize(
    ("opened", "written", "word"),
    [(0, 2, STALE), (-1, 2, VERIFIED), (1, 2, STALE), (2, 2, VERIFIED)],
    ids=["as it began", "before it began", "before the write", "with the write"],
)
def test_from_the_moment_in_which_the_run_began_until_the_write(
    opened: int, written: int, word: tuple[str, str | None]
) -> None:
    s = Scenario()
    s.entries = True
    s.file(s.agent, "write", A)
    s.call()
    run = s.program(None, "jest")
    began = s.now
    s.reads(run, B)
    s.add(e.Reads, rows=packed([Opening(run, 1, s.inode(A), began + opened, s.entry(A))]))
    s.file(s.agent, "write", A, ts=began + written)
    s.exits(run)
    assert said(s) == word


@pytest.mark.parametrize("path", ["/repo/data.json", "/repo/notes.md", "/repo/out.log"])
def test_data_that_changes_meanwhile_may_be_the_tests_own(path: str) -> None:
    assert at_work(("agent",), path=path) == VERIFIED


def test_the_folders_in_which_a_source_may_be_edited_too_are_among_those_of_caches_and_dependencies() -> None:
    assert places().edited_too < places().components
