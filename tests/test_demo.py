"""`make demo` as a user starts it: a real agent, real sessions, the four verdicts and their reports."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import pytest

from polygraph.log.store import Store
from scripts import demo
from tests.agents.scenarios import FAILED, Expected
from tests.console.page import Page

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.timeout(300)


def excerpt() -> str:
    """The demo's output in the README."""
    blocks = (ROOT / "README.md").read_text("utf-8").split("```")[1::2]
    (shown,) = [block for block in blocks if "the agent said" in block]
    return shown.strip("\n")


def of_any_run(text: str) -> str:
    """Without what differs from run to run: the version of Python, the time."""
    return re.sub(r"; \d+ s\.", "", re.sub(r"python3\.1\d", "python3.1x", text))


def test_the_demo_shows_four_sessions_and_writes_their_reports(
    report_used: Callable[[str, str], None],
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "scripts.demo"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report_used("demo", demo.CLIENT.version)
    text = done.stdout
    assert "\x1b" not in text and "\r" not in text, "a pipe gets plain text"
    assert max(map(len, text.splitlines())) <= 100
    told = re.findall(r"^ {30,}.*\b(verified|refuted|unverifiable)$|  [✓✗?] (\w+)$", text, re.MULTILINE)
    assert [a or b for a, b in told] == ["verified", "refuted", "refuted", "refuted"]
    assert re.findall(r"(?:  |^ +)(no_execution|failed|stale)$", text, re.MULTILINE) == [
        "no_execution",
        "failed",
        "stale",
    ]
    for said in ("“All 3 tests pass.”", "“All 3 tests passed.”", "“All tests pass.”"):
        assert said in text
    assert of_any_run(excerpt()) in of_any_run(text), "README.md shows what the demo shows"
    with Store(ROOT / "build/demo/store") as store:
        rows = store.sessions()[::-1]
        assert [(row.status, row.content) for row in rows] == [(0, "redacted")] * 4
        assert [row.refuted for row in rows] == [0, 1, 1, 1], "nothing else is refuted"
        sessions = [row.id for row in rows]
    for (name, _, _), session in zip(demo.SESSIONS, sessions, strict=True):
        assert f"build/demo/{name}.html" in text
        page = Page((ROOT / f"build/demo/{name}.html").read_text("utf-8"))
        assert not page.problems and session in page.text
        links = [
            e.attributes.get(a) for e in page.elements for a in ("src", "href", "srcset", "action", "data")
        ]
        assert all(link.startswith("#") for link in links if link), "the page is all there is"


def test_a_verdict_that_is_not_the_deserved_one_fails_the_demo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    praised = replace(FAILED, expected=(Expected("claim", "tests_passed", "verified", (None,)),))
    monkeypatch.setattr(demo, "SESSIONS", (("failed", "Failed", praised),))
    monkeypatch.setattr(demo, "FOLDER", tmp_path / "build/demo")
    monkeypatch.setattr(demo, "prefix_of", lambda _: tmp_path / "client")
    (tmp_path / "client/module").mkdir(parents=True)
    monkeypatch.setenv("SUDO_UID", "1234")
    monkeypatch.setenv("SUDO_GID", "1235")
    assert demo.main() == 1
    text = capsys.readouterr().out
    assert "NOT AS EXPECTED: Failed: refuted (failed), not verified (no reason)" in text
    assert "sudo " in text, "the user needs it for the next step as well"
    written = [tmp_path / "build", *(tmp_path / "build").rglob("*"), tmp_path / "client/module"]
    assert {(path.stat().st_uid, path.stat().st_gid) for path in written} == {(1234, 1235)}


def test_an_interrupted_demo_leaves_no_agent_behind(tmp_path: Path) -> None:
    with subprocess.Popen(
        ["env", "--default-signal=INT", sys.executable, "-m", "scripts.demo"],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        while process.poll() is None and not list(tmp_path.glob("*/honest.jsonl")):
            time.sleep(0.02)  # polygraph run opens it
        process.send_signal(signal.SIGINT)
        shown, _ = process.communicate(timeout=60)
    assert process.returncode == 130 and shown.endswith("interrupted\n"), shown
    assert list(tmp_path.iterdir()) == []
    assert [line for line in commands() if str(tmp_path) in line] == []


def commands() -> list[str]:
    """The command lines of all processes."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it has just ended
            lines.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return lines


def test_what_keeps_polygraph_from_starting_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    blocked = tmp_path / "build/demo"
    monkeypatch.setattr(demo, "FOLDER", blocked)
    monkeypatch.setattr(demo, "run", lambda *_: SimpleNamespace(output="polygraph: cannot load the programs"))
    assert demo.main() == 1
    assert (
        "demo: polygraph run did not come to start the agent:\npolygraph: cannot load"
        in capsys.readouterr().out
    )


def test_without_root_the_agent_is_installed_first_and_the_rest_goes_through_sudo(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[list[str]] = []

    class ReplacedError(Exception):
        """This process is another one now."""

    def execvp(_file: str, argv: list[str]) -> None:
        asked.append(argv)
        raise ReplacedError

    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(os, "execvp", execvp)
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(demo, "ensure", lambda name: Path("/home/u/.cache/polygraph/clients") / name)
    with pytest.raises(ReplacedError):
        demo.main()
    (argv,) = asked
    assert argv[:3] == ["sudo", "/usr/bin/env", "XDG_CACHE_HOME=/home/u/.cache"]
    assert argv[-4:] == [sys.executable, "-B", "-m", "scripts.demo"]
    assert "sudo" in capsys.readouterr().out


class Screen(StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("env", "colours", "redraws"),
    [({}, True, True), ({"NO_COLOR": "1"}, False, True), ({"TERM": "dumb"}, False, False)],
)
def test_a_terminal_gets_what_it_can_show(
    env: dict[str, str], colours: bool, redraws: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"TERM": "xterm", "NO_COLOR": "", **env}.items():
        monkeypatch.setenv(name, value)
    screen = Screen()
    progress = demo.Progress(screen)
    with progress.watching("a session", tmp_path / "none"):
        pass
    progress.verdict(None, "a session")
    assert ("\x1b[K" in screen.getvalue()) == redraws
    assert ("\x1b[2m" in demo.Progress(screen).dimmed("x")) == colours
    assert "? no verdict" in screen.getvalue()
