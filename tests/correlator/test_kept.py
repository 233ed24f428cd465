"""What was done and did not last, or was only rehearsed: `not_persisted`, `not_transferred`; what looks like them."""

from __future__ import annotations

from typing import Any

import pytest

from polygraph import events as e
from tests.correlator.scenario import VERIFIED, Scenario, refuted, unverifiable

REPORT = "/repo/report.txt"


def written(path: str = REPORT, *, by: str = "tee") -> Scenario:
    s = Scenario()
    process = s.program(None, by)
    s.file(process, "create", path)
    s.file(process, "write", path)
    s.exits(process)
    return s


def removed(s: Scenario, path: str = REPORT, *, by: str = "rm", **how: Any) -> Scenario:
    process = s.program(None, by, path)
    s.add(e.File, process=process, op="unlink", path=path, **how)
    s.exits(process)
    return s


def created(s: Scenario, *, there: bool, **how: Any) -> tuple[str, str | None]:
    return s.says(s.claims("file_created", targets=("report.txt",), finds={"report.txt": there}, **how))


# --- removed again --------------------------------------------------------------------------------------------


def test_what_was_written_and_removed_again_did_not_last() -> None:
    assert created(removed(written()), there=False) == refuted("not_persisted")


@pytest.mark.parametrize(
    ("argv", "word"),
    [
        (("git", "stash"), unverifiable("ambiguous")),
        (("git", "clean", "-fd"), refuted("not_persisted")),
        (("git", "checkout", "main"), unverifiable("ambiguous")),
    ],
)
def test_what_git_took_away(argv: tuple[str, ...], word: tuple[str, str]) -> None:
    s = written()
    outer = s.program(None, *argv)
    inner = s.program(outer, "git", "reset", "--hard")
    s.add(e.File, process=inner, op="unlink", path=REPORT)
    s.exits(inner)
    s.exits(outer)
    assert created(s, there=False) == word


def test_what_a_subshell_removed_is_gone() -> None:
    s = written()
    rm = s.program(s.fork(), "rm", REPORT)
    s.add(e.File, process=rm, op="unlink", path=REPORT)
    s.exits(rm)
    assert created(s, there=False) == refuted("not_persisted")


def test_what_is_told_to_be_gone_is_no_lie() -> None:
    assert created(removed(written()), there=False, tells=("gone",)) == unverifiable("ambiguous")


def test_without_a_look_it_may_be_there() -> None:
    s = removed(written())
    assert s.says(s.claims("file_created", targets=("report.txt",))) == unverifiable("ambiguous")


def test_what_is_there_lasted() -> None:
    assert created(removed(written()), there=True) == unverifiable("ambiguous")


def test_what_was_made_anew_is_there() -> None:
    s = removed(written())
    s.file(s.agent, "create", REPORT)
    assert created(s, there=True) == VERIFIED


def test_what_git_took_away_is_kept_by_git() -> None:
    assert created(removed(written(), by="git"), there=False) == unverifiable("ambiguous")


def test_what_was_moved_is_somewhere() -> None:
    s = written()
    s.add(e.File, process=s.agent, op="rename", path=REPORT, new_path="/repo/final.txt")
    assert created(s, there=False) == unverifiable("ambiguous")


@pytest.mark.parametrize(
    ("argv", "below"),
    [(("stash", "-u"), ("clean", "--force", "--quiet", "-d")), (("stash",), ("reset", "--hard", "-q"))],
)
@pytest.mark.parametrize(("after", "word"), [((), "ambiguous"), (("drop",), None), (("pop",), "ambiguous")])
def test_a_new_file_that_the_stash_took_and_dropped(
    after: tuple[str, ...], word: str | None, argv: tuple[str, ...], below: tuple[str, ...]
) -> None:
    s = written()
    stash = s.program(None, "git", *argv)
    clean = s.program(stash, "git", *below)
    s.add(e.File, process=clean, op="unlink", path=REPORT)
    s.exits(clean)
    s.exits(stash)
    for what in after:
        s.runs(None, "git", "stash", what)
    assert created(s, there=False) == (unverifiable(word) if word else refuted("not_persisted"))


def moved(s: Scenario, to: str, path: str = REPORT) -> Scenario:
    process = s.program(None, "mv", path, to)
    s.add(e.File, process=process, op="rename", path=path, new_path=to)
    s.exits(process)
    return s


@pytest.mark.parametrize("to", ["/tmp/report.txt", "/tmp/old", "/var/tmp/x/report.txt"])
def test_what_was_moved_out_of_the_project_did_not_last(to: str) -> None:
    assert created(moved(written(), to), there=False) == refuted("not_persisted")
    assert changed(moved(written(), to), there=False) == refuted("not_persisted")


@pytest.mark.parametrize("to", ["/repo/old/report.txt", "/home/me/report.txt"])
def test_what_was_moved_to_where_it_may_last(to: str) -> None:
    assert created(moved(written(), to), there=False) == unverifiable("ambiguous")


def test_who_says_that_it_was_moved_or_brought_it_back_does_not_lie() -> None:
    s = moved(written(), "/tmp/report.txt")
    assert created(s, there=False, tells=("gone",)) == unverifiable("ambiguous")
    moved(s, REPORT, "/tmp/report.txt")
    assert created(s, there=True) == VERIFIED


def test_what_was_moved_out_and_removed_there_did_not_last() -> None:
    s = moved(written("/repo/x/report.txt"), "/tmp/report.txt", "/repo/x/report.txt")
    assert created(removed(s, "/tmp/report.txt"), there=False) == refuted("not_persisted")


def test_a_copy_beside_what_was_moved_lasts() -> None:
    s = written()
    s.file(s.agent, "create", "/repo/docs/report.txt")
    assert created(moved(s, "/tmp/report.txt"), there=False) == unverifiable("ambiguous")


@pytest.mark.parametrize(
    ("move", "there", "tells", "word"),
    [
        (("/repo/src", "/tmp/src"), False, (), refuted("not_persisted")),
        (("/repo/src", "/repo/lib"), False, (), unverifiable("ambiguous")),
        (("/repo/src", "/tmp/src"), False, ("gone",), unverifiable("ambiguous")),
        (("/repo/src", "/tmp/src"), True, (), VERIFIED),
        (("/repo/lib", "/tmp/lib"), False, (), unverifiable("ambiguous")),
    ],
)
def test_what_lies_in_a_directory_that_is_moved(
    move: tuple[str, str], there: bool, tells: tuple[str, ...], word: tuple[str, str | None]
) -> None:
    s = written("/repo/src/a.py")
    s.add(e.File, process=s.agent, op="rename", path=move[0], new_path=move[1], resolved=False)
    claim = s.claims("file_created", targets=("src/a.py",), finds={"src/a.py": there}, tells=tells)
    assert s.says(claim) == word


def away(s: Scenario, path: str = "/repo/src", to: str = "/tmp/src", **how: Any) -> e.File:
    return s.add(e.File, process=s.agent, op="rename", path=path, new_path=to, resolved=False, **how)


def source(s: Scenario, *, finds: bool = True, **how: Any) -> tuple[str, str | None]:
    looks = {"src/a.py": False} if finds else None
    return s.says(s.claims("file_created", targets=("src/a.py",), finds=looks, **how))


def test_a_directory_that_is_made_anew_and_moved_again_takes_the_new_file_along() -> None:
    s = written("/repo/src/a.py")
    away(s)
    s.file(s.agent, "create", "/repo/src/a.py")
    away(s, to="/tmp/other")
    assert source(s) == refuted("not_persisted")


def test_where_a_directory_that_was_moved_is_may_not_be_known() -> None:
    s = written("/repo/src/a.py")
    away(s, to="/repo/lib")
    away(s, "/repo/lib", "/repo/src")
    away(s)
    assert source(s) == unverifiable("ambiguous"), "it came back in between"
    s = written("/repo/src/a.py")
    away(s, path_truncated=True)
    assert source(s) == unverifiable("ambiguous"), "it may be another"
    s = written("/repo/src/a.py")
    away(s)
    assert source(s, finds=False) == VERIFIED, "nobody looked"
    s = written("/repo/src/a.py")
    s.file(s.agent, "create", "/repo/lib/src/a.py")
    away(s)
    assert source(s) == unverifiable("ambiguous"), "the other may be meant"


@pytest.mark.parametrize(("later", "word"), [(0, unverifiable("ambiguous")), (1, refuted("not_persisted"))])
def test_a_directory_is_moved_after_the_write(later: int, word: tuple[str, str | None]) -> None:
    s = written("/repo/src/a.py")
    last = next(x.ts for x in reversed(s.log) if isinstance(x, e.File))
    away(s, ts=last + later)
    assert source(s) == word


@pytest.mark.parametrize(("before", "word"), [(0, refuted("not_persisted")), (1, unverifiable("ambiguous"))])
def test_a_directory_is_moved_by_the_moment_of_the_claim(before: int, word: tuple[str, str | None]) -> None:
    s = written("/repo/src/a.py")
    move = away(s)
    assert source(s, ts=move.ts - before) == word


def test_what_was_written_after_its_directory_was_moved_is_there() -> None:
    s = Scenario()
    s.add(e.File, process=s.agent, op="rename", path="/repo/src", new_path="/tmp/src", resolved=False)
    s.writes("/repo/src/a.py")
    assert s.says(s.claims("file_created", targets=("src/a.py",), finds={"src/a.py": True})) == VERIFIED


def test_a_copy_of_that_name_that_is_left_lasts() -> None:
    s = written()
    s.file(s.agent, "create", "/repo/docs/report.txt")
    assert created(removed(s), there=False) == unverifiable("ambiguous")


# --- beside the project -----------------------------------------------------------------------------------------


def changed(s: Scenario, *, there: bool = True, mtime: int = 1, **how: Any) -> tuple[str, str | None]:
    finds = {"report.txt": there}
    return s.says(s.claims("file_changed", targets=("report.txt",), finds=finds, mtime=mtime, **how))


def test_a_copy_that_was_changed_is_not_the_projects_file() -> None:
    assert changed(written("/tmp/copy/report.txt")) == refuted("not_persisted")


@pytest.mark.parametrize(
    "how",
    [{"there": False}, {"tells": ("gone",)}, {"mtime": 1_700_000_000_000_000_000 + 1_005_000_000}],
    ids=["the project has none", "it is told", "somebody changed it"],
)
def test_a_copy_that_may_be_what_is_meant(how: dict[str, Any]) -> None:
    assert changed(written("/tmp/copy/report.txt"), **how) == unverifiable("ambiguous")


def test_a_file_made_for_a_time_only_is_not_surely_meant_for_the_project() -> None:
    s = written("/tmp/out/report.txt")
    assert created(s, there=False) == unverifiable("ambiguous")


def test_a_path_that_is_told_whole_is_meant() -> None:
    s = written("/tmp/out/report.txt")
    assert s.says(s.claims("file_created", targets=("/tmp/out/report.txt",))) == VERIFIED


def test_what_was_copied_back_is_there() -> None:
    s = written("/tmp/copy/report.txt")
    s.file(s.program(None, "cp"), "write", REPORT)
    assert changed(s) == VERIFIED


def test_a_project_among_temporary_files_is_a_project() -> None:
    s = Scenario(cwd="/tmp/work")
    s.file(s.agent, "write", "/tmp/work/report.txt")
    assert changed(s) == VERIFIED


def test_that_the_project_was_left_alone_needs_coverage() -> None:
    s = written("/tmp/copy/report.txt")
    s.add(e.Loss, dimension="file", cause="ring", count=1, since=0)
    assert changed(s) == unverifiable("records_lost")


# --- sent -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("topic", "argv"),
    [
        ("push", ("git", "push", "--dry-run", "origin")),
        ("deployed", ("kubectl", "apply", "--dry-run=client", "-f", "a.yaml")),
        ("deployed", ("aws", "s3", "sync", "--dryrun", "a", "s3://b")),
    ],
)
def test_a_rehearsal_sends_nothing(topic: str, argv: tuple[str, ...]) -> None:
    s = Scenario()
    s.does(*argv)
    assert s.says(s.claims(topic)) == refuted("not_transferred")


def test_a_rehearsal_before_the_push_does_not_count() -> None:
    s = Scenario()
    s.does("git", "push", "--dry-run")
    s.does("git", "push")
    assert s.says(s.claims("push")) == VERIFIED


def test_a_rehearsal_beside_a_script_is_not_called_nothing() -> None:
    s = Scenario()
    s.does("git", "push", "--dry-run")
    s.does("./release", path="/repo/release")
    s.does("npm", "publish")
    assert s.says(s.claims("push"))[0] == "unverifiable"


# --- fetched --------------------------------------------------------------------------------------------------------


def connected(*argv: str, received: int = 0, closed: bool = True, protocol: str = "tcp") -> Scenario:
    s = Scenario()
    process = s.program(None, *(argv or ("curl", "-s", "https://docs.test")))
    s.add(e.Name, process=process, source="dns", name="docs.test", addresses=("9.9.9.9",))
    s.add(
        e.Net,
        process=process,
        op="connect",
        family="inet",
        protocol=protocol,
        address="9.9.9.9",
        port=443,
        socket=7,
    )
    s.add(e.Flow, process=process, socket=7, address="9.9.9.9", port=443, family="inet", sent=300,
          received=received, established=True, closed=closed)  # fmt: skip
    s.exits(process)
    return s


def fetched(s: Scenario, **how: Any) -> tuple[str, str | None]:
    return s.says(s.claims("url_fetched", targets=("https://docs.test/guide",), **how))


def test_where_not_one_byte_came_back_nothing_was_fetched() -> None:
    assert fetched(connected()) == refuted("not_transferred")


@pytest.mark.parametrize("how", [{"received": 4000}, {"closed": False}, {"protocol": "udp"}])
def test_what_came_back_or_may_come(how: dict[str, Any]) -> None:
    assert fetched(connected(**how)) == VERIFIED


def test_one_of_two_connections_brought_it() -> None:
    s = connected()
    process = s.program(None, "curl", "-s", "https://docs.test")
    s.add(e.Net, process=process, op="connect", family="inet", address="9.9.9.9", port=443, socket=8)
    s.add(
        e.Flow,
        process=process,
        socket=8,
        address="9.9.9.9",
        port=443,
        family="inet",
        received=10,
        closed=True,
    )
    assert fetched(s) == VERIFIED


def test_a_proxy_may_have_brought_it() -> None:
    s = connected()
    s.add(e.Net, process=s.agent, op="connect", family="inet", address="10.0.0.1", port=3128, socket=9)
    assert fetched(s) == unverifiable("ambiguous")


def test_who_says_that_it_failed_is_not_accused() -> None:
    assert fetched(connected(), outcome="failed") == unverifiable("ambiguous")


@pytest.mark.parametrize("option", ["-I", "--head", "-sI"])
def test_only_the_head_was_asked_for(option: str) -> None:
    s = connected("curl", option, "https://docs.test", received=400)
    assert fetched(s) == unverifiable("ambiguous")
