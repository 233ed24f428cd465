"""What an installer had put there is gone again when it is told, or some of it is left."""

from __future__ import annotations

import pytest

from polygraph import events as e
from tests.correlator.scenario import VERIFIED, Scenario, refuted, unverifiable

GONE = refuted("not_persisted")
NPM, PIP = ("npm", "install", "x"), ("pip", "install", "--target", "/tmp/site", "x")


def installed(*argv: str, puts: tuple[str, ...] = ("/repo/node_modules/x",), below: bool = True) -> Scenario:
    s = Scenario()
    s.call()
    process = s.program(None, *argv)
    for path in puts:
        s.file(process if below else s.agent, "mkdir", path)
    s.exits(process)
    return s


def removed(s: Scenario, *paths: str) -> Scenario:
    process = s.program(None, "rm", "-rf", "x")
    for path in paths:
        s.file(process, "rmdir", path)
    s.exits(process)
    return s


def said(s: Scenario, *tells: str) -> tuple[str, str | None]:
    return s.says(s.claims("install", tells=tells))


@pytest.mark.parametrize(
    ("argv", "path"),
    [
        (NPM, "/repo/node_modules/x"),
        (("pip", "install", "x"), "/repo/venv/lib/python3.11/site-packages/x"),
        (("pip", "install", "-t", "/tmp/site", "x"), "/tmp/site/x"),
        (PIP, "/tmp/site/x"),
    ],
)
def test_what_is_gone_is_not_installed(argv: tuple[str, ...], path: str) -> None:
    s = installed(*argv, puts=(path,))
    assert said(s) == VERIFIED
    removed(s, path)
    claim = s.claims("install")
    assert s.says(claim) == GONE
    assert s.on(claim).observed.endswith(f"and what it had put there was removed: {path}")


def test_what_is_left_or_came_back_is() -> None:
    two = ("/repo/node_modules/x", "/repo/node_modules/y")
    s = removed(installed(*NPM, puts=two), two[0])
    assert said(s) == VERIFIED
    s = removed(installed(*NPM), "/repo/node_modules/x")
    s.file(s.agent, "mkdir", "/repo/node_modules/x")
    assert said(s) == VERIFIED
    s = removed(installed(*NPM), "/repo/node_modules/x")
    again = s.program(None, *NPM)
    s.file(again, "mkdir", "/repo/node_modules/x")
    s.exits(again)
    assert said(s) == VERIFIED


@pytest.mark.parametrize("path", ["/repo/dist/x", "/tmp/other/x", "/repo/node_modules/x/y"])
def test_other_places_say_nothing(path: str) -> None:
    assert said(removed(installed(*PIP, puts=(path,)), path)) == VERIFIED


def test_what_others_made_or_what_was_gone_at_once_says_nothing() -> None:
    assert said(removed(installed(*NPM, below=False), "/repo/node_modules/x")) == VERIFIED
    s = Scenario()
    process = s.program(None, *NPM)
    for op in ("mkdir", "rmdir"):
        s.file(process, op, "/repo/node_modules/.tmp")
    s.exits(process)
    assert said(s) == VERIFIED


def test_one_of_two_installations_is_enough() -> None:
    s = installed(*NPM)
    other = s.program(None, "pip", "install", "y")
    s.file(other, "mkdir", "/usr/lib/python3/dist-packages/y")
    s.exits(other)
    assert said(removed(s, "/repo/node_modules/x")) == VERIFIED


@pytest.mark.parametrize(
    ("then", "word"),
    [
        (("./bootstrap",), unverifiable("form_unknown")),
        (("make", "build"), unverifiable("form_unknown")),
        (("eslint", "."), GONE),
        (("git", "commit", "-qam", "x"), GONE),
    ],
)
def test_who_tells_it_or_may_have_done_it_again_is_spared(
    then: tuple[str, ...], word: tuple[str, str]
) -> None:
    s = removed(installed(*NPM), "/repo/node_modules/x")
    assert said(s, "gone") == VERIFIED
    s.does(*then)
    assert said(s) == word


def test_the_last_removal_is_the_one_that_counts() -> None:
    two = ("/repo/node_modules/x", "/repo/node_modules/y")
    for first, last in (two, two[::-1]):
        s = removed(installed(*NPM, puts=two), first)
        s.does("./bootstrap")
        claim = removed(s, last).claims("install")
        assert s.says(claim) == GONE
        assert s.on(claim).observed.endswith(last)


def test_all_may_be_removed_in_one_moment() -> None:
    two = ("/repo/node_modules/x", "/repo/node_modules/y")
    s = installed(*NPM, puts=two)
    rm = s.program(None, "rm", "-rf", "node_modules")
    at = s.now
    for path in two:
        s.file(rm, "rmdir", path, ts=at)
    assert said(s) == GONE


def test_what_has_not_begun_did_not_install_it_again() -> None:
    s = removed(installed(*NPM), "/repo/node_modules/x")
    s.fork(s.program(None, "bash"))
    assert said(s) == GONE


def test_a_removal_is_believed_where_all_was_seen() -> None:
    s = installed(*NPM)
    s.add(e.Loss, dimension="file", cause="ring", count=1, since=s.now)
    assert said(removed(s, "/repo/node_modules/x")) == unverifiable("records_lost")


def test_of_several_rows_the_last_one_up_to_the_claim_is_asked() -> None:
    s = removed(installed(*NPM), "/repo/node_modules/x")
    s.file(s.agent, "mkdir", "/repo/node_modules/x")
    s.file(s.agent, "rmdir", "/repo/node_modules/x")
    end = s.now
    assert s.says(s.claims("install", ts=end)) == GONE
