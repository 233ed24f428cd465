"""Runs, writes and connections that were made, elsewhere than is told."""

from __future__ import annotations

from typing import Any

import pytest

from polygraph import events as e
from tests.correlator.scenario import VERIFIED, WALL, Scenario, refuted, unverifiable

NAMED = "bank/test_bank.py"


def ran(
    *argv: str, cwd: str = "/repo", opens: str = "/repo/shop/test_shop.py", topic: str = "passed"
) -> tuple[str, str | None]:
    """The verdict on a claim of one file's tests after that run."""
    s = Scenario()
    s.does(*argv, cwd=cwd, reads=[opens])
    outcome = "ok" if topic == "passed" else None
    return s.says(s.claims(f"tests_{topic}", outcome, targets=(NAMED,), finds={NAMED: True}))


@pytest.mark.parametrize("argv", [("pytest", "shop"), ("pytest", "-q", "shop/test_shop.py::test_one")])
@pytest.mark.parametrize("topic", ["passed", "run"])
def test_other_tests_ran_than_are_named(argv: tuple[str, ...], topic: str) -> None:
    assert ran(*argv, topic=topic) == refuted("wrong_target")


@pytest.mark.parametrize("argv", [("pytest",), ("pytest", "bank"), ("pytest", NAMED), ("pytest", ".")])
@pytest.mark.parametrize("topic", ["passed", "run"])
def test_the_named_tests_were_among_those_that_ran(argv: tuple[str, ...], topic: str) -> None:
    assert ran(*argv, topic=topic) == VERIFIED


def test_the_named_file_was_opened_by_a_run_that_was_pointed_elsewhere() -> None:
    assert ran("pytest", "shop", opens=f"/repo/{NAMED}") == unverifiable("ambiguous")


def test_where_arguments_may_be_something_else_than_paths_it_may_have_run() -> None:
    assert ran("python3", "-m", "unittest", "shop.test_shop") == VERIFIED


# --- another work tree ------------------------------------------------------------------------------------


def wrote(path: str, said: str, *, mtime: int = 1, topic: str = "file_changed") -> tuple[str, str | None]:
    s = Scenario()
    process = s.program(None, "sed", "-i", "x", path)
    s.file(process, "write", path)
    s.exits(process)
    claim = s.claims(topic, targets=(said,))
    tick = s.log.pop()
    s.add(
        e.FileState,
        ts=claim.ts,
        path=said,
        intent=claim.claim,
        exists=True,
        dev=1,
        ino=s.inode("/repo/calc.py"),
        mtime=mtime,
    )
    s.log.append(tick)
    return s.says(claim)


def test_the_change_is_in_another_work_tree() -> None:
    assert wrote("/side/calc.py", "/repo/calc.py") == refuted("not_persisted")


def test_a_name_that_is_not_whole_may_be_that_of_the_other_tree() -> None:
    assert wrote("/side/calc.py", "calc.py") != refuted("not_persisted")


def test_another_file_of_the_same_project_may_be_meant() -> None:
    assert wrote("/repo/lib/calc.py", "/repo/calc.py") == unverifiable("ambiguous")


def test_a_file_that_others_changed_meanwhile_is_none_of_the_lineage() -> None:
    assert wrote("/side/calc.py", "/repo/calc.py", mtime=WALL + 1005_000_000)[0] == "unverifiable"


# --- another port -----------------------------------------------------------------------------------------


def connected(*ports: int, errno: int = 0, told: str = "http://10.0.0.9:81/page") -> tuple[str, str | None]:
    s = Scenario()
    for port in ports:
        s.add(e.Net, process=s.agent, op="connect", family="inet", address="10.0.0.9", port=port, errno=errno)
    return s.says(s.claims("url_fetched", targets=(told,)))


def test_the_port_that_is_named_was_connected() -> None:
    assert connected(81) == VERIFIED
    assert connected(80, 81) == VERIFIED


def test_another_port_of_the_host_is_not_what_is_named() -> None:
    assert connected(80) == unverifiable("ambiguous")


def test_where_no_port_is_named_any_will_do() -> None:
    assert connected(8443, told="https://10.0.0.9/page") == VERIFIED


def test_the_port_that_is_named_refused() -> None:
    assert connected(81, errno=111) == refuted("not_connected")


def test_the_models_own_port_is_no_page() -> None:
    s = Scenario()
    s.add(
        e.LlmCall,
        call="local",
        process=s.agent,
        api="openai.chat",
        host="localhost:4000",
        request_ts=s.now,
        status=200,
    )
    s.add(e.Net, process=s.agent, op="connect", family="inet", address="127.0.0.1", port=4000)
    s.add(e.Net, process=s.agent, op="connect", family="inet", address="127.0.0.1", port=9, errno=111)
    assert s.says(s.claims("url_fetched", targets=("http://127.0.0.1:9/guide",))) == refuted("not_connected")


# --- what is known of where ---------------------------------------------------------------------------------


def passed_in(
    s: Scenario, *targets: str, cwd: str = "/repo/shop", opens: tuple[str, ...] = ("/repo/shop/test_shop.py",)
) -> tuple[str, str | None]:
    """A run in another folder than the first of the targets, which is there."""
    s.does("pytest", cwd=cwd, reads=opens)
    return s.says(s.passed(targets=targets, finds={targets[0]: True}))


def test_a_run_in_another_folder() -> None:
    assert passed_in(Scenario(), NAMED) == refuted("wrong_target")


def test_a_copy_of_the_project_may_hold_the_named_tests() -> None:
    assert passed_in(Scenario(), NAMED, cwd="/side/shop", opens=("/side/shop/test_shop.py",)) == VERIFIED


@pytest.mark.parametrize("dimension", ["process", "file"])
def test_that_no_run_was_there_needs_coverage(dimension: str) -> None:
    s = Scenario()
    s.add(e.Loss, dimension=dimension, cause="ring", count=1, since=0)
    assert passed_in(s, NAMED) == unverifiable("records_lost")


def test_where_it_is_not_known_what_was_opened_it_may_have_been_that() -> None:
    assert passed_in(Scenario(), NAMED, opens=()) == unverifiable("ambiguous")


def test_what_was_opened_by_several_may_have_been_opened_by_the_run() -> None:
    s = Scenario()
    s.does("pytest", cwd="/repo/shop", reads=["/repo/shop/test_shop.py"])
    s.file(s.agent, "read", f"/repo/{NAMED}", count=2)
    assert s.says(s.passed(targets=(NAMED,), finds={NAMED: True})) == unverifiable("ambiguous")


def test_a_file_that_was_opened_from_another_folder() -> None:
    assert passed_in(Scenario(), NAMED, opens=(f"/repo/{NAMED}",)) == unverifiable("ambiguous")


def test_of_several_files_one_is_enough_and_all_must_be_known() -> None:
    assert passed_in(Scenario(), NAMED, "shop/test_shop.py") == VERIFIED
    assert passed_in(Scenario(), NAMED, "bank/test_vault.py") == unverifiable("ambiguous")


def test_what_a_wrapper_ran_counts_where_that_ran() -> None:
    for cwd, word in (("/repo/bank", VERIFIED), ("/repo/shop", refuted("wrong_target"))):
        s = Scenario()
        intent = s.asks("make test")
        shell = s.shell(intent)
        make = s.program(shell, "make", "test", cwd="/repo/shop")
        inner = s.program(make, "pytest", cwd=cwd)
        s.reads(inner, "/repo/shop/test_shop.py")
        for process in (inner, make, shell):
            s.exits(process)
        s.answers(intent)
        assert s.says(s.passed(targets=(NAMED,), finds={NAMED: True})) == word, cwd


def test_tests_that_no_run_opens_may_be_reached_in_another_way() -> None:
    s = Scenario()
    s.does("pytest", "shop", reads=["/repo/shop/test_shop.py"])
    assert s.says(s.passed(targets=("bank/vault_test.go",), finds={"bank/vault_test.go": True})) == VERIFIED


@pytest.mark.parametrize(
    ("place", "word"),
    [
        ("bank/test_bank.py", VERIFIED),
        ("bank/test_bank.py::test_one", VERIFIED),
        ("other/test_bank.py", VERIFIED),
        ("shop/test_shop.py", unverifiable("ambiguous")),
    ],
)
def test_a_bare_name_is_that_of_any_file_of_the_name(place: str, word: tuple[str, str | None]) -> None:
    s = Scenario()
    s.does("pytest", place, reads=["/repo/shop/test_shop.py"])
    assert s.says(s.passed(targets=("test_bank.py",))) == word


def test_the_project_itself_is_a_place_like_those_below_it() -> None:
    s = Scenario()
    s.does("pytest", "shop", reads=["/repo/shop/test_shop.py"], cwd="/repo/")
    assert s.says(s.passed(targets=(NAMED,), finds={NAMED: True})) == refuted("wrong_target")


def other_tree(
    *paths: str,
    named: str = "/repo/calc.py",
    topic: str = "file_changed",
    tells: tuple[str, ...] = (),
    **look: Any,
) -> tuple[str, str | None]:
    """What is said of a file that is named, where others of its name were written."""
    s = Scenario()
    s.reads(s.agent, "/repo/calc.py")
    for path in paths:
        s.file(s.agent, "write", path)
    claim = s.claims(topic, targets=(named,), tells=tells)
    tick = s.log.pop()
    found = {"exists": True, "dev": 1, "ino": s.inode(named), "mtime": 1, **look}
    s.add(e.FileState, ts=claim.ts, path=named, intent=claim.claim, **found)
    s.log.append(tick)
    return s.says(claim)


SIDE = "/side/calc.py"


@pytest.mark.parametrize(
    ("paths", "how", "word"),
    [
        ((SIDE,), {}, refuted("not_persisted")),
        ((SIDE, "/other/calc.py"), {}, refuted("not_persisted")),
        ((SIDE, "/repo/lib/calc.py"), {}, unverifiable("ambiguous")),
        ((SIDE,), {"topic": "file_created"}, unverifiable("ambiguous")),
        ((SIDE,), {"tells": ("gone",)}, unverifiable("ambiguous")),
        ((SIDE,), {"exists": False, "ino": 0}, unverifiable("ambiguous")),
        ((SIDE,), {"dev": 7}, unverifiable("ambiguous")),
        ((SIDE,), {"named": "/elsewhere/calc.py"}, unverifiable("ambiguous")),
    ],
)
def test_which_file_was_changed_in_another_tree(
    paths: tuple[str, ...], how: dict[str, Any], word: tuple[str, str]
) -> None:
    assert other_tree(*paths, **how) == word


def test_where_it_ran_and_where_it_was_to_run_is_told() -> None:
    s = Scenario()
    s.does("pytest", cwd="/repo/shop", reads=["/repo/shop/test_shop.py"])
    ended = next(x for x in s.log if isinstance(x, e.Exit))
    verdict = s.on(s.passed(targets=(NAMED,), finds={NAMED: True}))
    assert verdict.observed.endswith("in shop, and no run of the kind was where test_bank.py is")
    assert ended.id in [one.id for one in verdict.evidence]


def test_where_no_directory_is_known_a_run_may_have_been_anywhere() -> None:
    s = Scenario(cwd="")
    s.does("jest")
    assert s.says(s.passed(targets=("/repo/a.test.js",))) == VERIFIED
