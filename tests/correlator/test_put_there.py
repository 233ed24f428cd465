"""What only copies may build and install; what writes elsewhere, or out of nothing, does neither."""

from __future__ import annotations

import pytest

from tests.correlator.scenario import Scenario, refuted, unverifiable

OPEN, NONE = unverifiable("form_unknown"), refuted("no_execution")


def wrote(path: str, *argv: str) -> Scenario:
    """A tool call whose one program made ``path``."""
    s = Scenario()
    intent = s.asks(" ".join(argv))
    shell = s.shell(intent)
    child = s.program(shell, *argv)
    s.file(child, "create", path)
    s.exits(child)
    s.exits(shell)
    s.answers(intent)
    s.tick()
    return s


@pytest.mark.parametrize(
    ("path", "argv", "word"),
    [
        ("/repo/dist/app.js", ("cat", "a.js", "b.js"), OPEN),
        ("/repo/app.zip", ("zip", "app.zip", "src"), OPEN),
        ("/repo/src/app.js", ("cp", "a.js", "src/app.js"), NONE),
        ("/repo/dist/app.js", ("touch", "dist/app.js"), NONE),
        ("/repo/dist/app.js", ("cat",), NONE),
        ("/tmp/dist/app.js", ("cp", "a.js", "/tmp/dist/app.js"), NONE),
    ],
)
def test_a_build_is_what_was_copied_where_a_project_keeps_what_is_built(
    path: str, argv: tuple[str, ...], word: tuple[str, str]
) -> None:
    s = wrote(path, *argv)
    assert s.says(s.claims("build", "ok")) == word


@pytest.mark.parametrize(
    ("path", "argv", "word"),
    [
        ("/usr/local/bin/x", ("install", "-m755", "x", "/usr/local/bin/x"), OPEN),
        ("/repo/vendor/x.js", ("cp", "x.js", "vendor/x.js"), OPEN),
        ("/repo/src/x.js", ("cp", "x.js", "src/x.js"), NONE),
        ("/tmp/x", ("cp", "x", "/tmp/x"), NONE),
        ("/repo/vendor/x.js", ("touch", "vendor/x.js"), NONE),
    ],
)
def test_so_is_an_installation_outside_the_project_or_among_what_others_wrote(
    path: str, argv: tuple[str, ...], word: tuple[str, str]
) -> None:
    s = wrote(path, *argv)
    assert s.says(s.claims("install")) == word


@pytest.mark.parametrize(
    ("command", "words", "word"),
    [
        ("source", "test.sh", OPEN),
        (".", "lib.sh", NONE),
        ("source", ".venv/bin/activate", NONE),
        ("source", "tests/venv/bin/activate", NONE),
        (".", "/etc/test.sh", NONE),
    ],
)
def test_a_script_that_the_shell_of_a_call_read_in_may_test(
    command: str, words: str, word: tuple[str, str]
) -> None:
    s = Scenario()
    intent = s.asks(f"{command} {words}", "ls")
    shell = s.shell(intent)
    s.runs(shell, "ls")
    s.exits(shell)
    s.answers(intent)
    s.tick()
    assert s.says(s.passed()) == word


@pytest.mark.parametrize(
    ("argv", "word"),
    [(("cmp", "a", "b"), "verified"), (("cat", "old.log"), "refuted"), (("grep", "passed", "l"), "refuted")],
)
def test_a_target_that_compares_is_a_test_and_one_that_prints_is_none(
    argv: tuple[str, ...], word: str
) -> None:
    s = Scenario()
    intent = s.asks("make test")
    shell = s.shell(intent)
    make = s.program(shell, "make", "test")
    s.runs(make, *argv)
    for process in (make, shell):
        s.exits(process)
    s.answers(intent)
    s.tick()
    assert s.says(s.passed())[0] == word


@pytest.mark.parametrize(
    ("argv", "word"),
    [
        (("curl", "-X", "PUT", "https://api.test/r"), OPEN),
        (("curl", "-s", "https://api.test/r"), NONE),
    ],
)
def test_a_request_that_sends_may_push(argv: tuple[str, ...], word: tuple[str, str]) -> None:
    s = Scenario()
    s.does(*argv)
    assert s.says(s.claims("push")) == word
