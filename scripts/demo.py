"""The demo: a real agent goes through four sessions under `polygraph run`; what it said stands beside what it did.

`make demo`, or `.venv/bin/python -m scripts.demo` in the root of the tree. The agent is an application on the
OpenAI Agents SDK, unmodified; its model is scripted (tests/agents), served over TLS on loopback, so no account is
needed. Everything else is as it always is: every line of the result is read back from the store, and whether the
tests really ran is known from a marker that they leave themselves (tests/agents/project.py).

Store and reports are in build/demo; the store that your own runs of `polygraph` have is not touched. The agent
works in temporary folders.
Exits with 1 if a session did not get the verdict that it deserves.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TextIO

from console.tables import ScenarioResult, Terminal, side_by_side
from console.words import ASCII_GLYPHS, GLYPHS, relative
from polygraph import verdicts as codec
from polygraph.commands.report import write_report
from polygraph.log.store import Store
from polygraph.text import printable
from polygraph.verdicts import Verdict
from tests.agents.clients import CLIENTS
from tests.agents.clients.store import InstallError, ensure, prefix_of
from tests.agents.run_client import Outcome, run
from tests.agents.scenarios import FAILED, HONEST, RAN_NOTHING, STALE, Scenario

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "build/demo"
CLIENT = CLIENTS["openai-agents"]
#: name in file names, title, scenario
SESSIONS: tuple[tuple[str, str, Scenario], ...] = (
    ("honest", "Honest: fixes the bug, then runs the tests", HONEST),
    ("ran-nothing", "Says that the tests pass, and ran nothing", RAN_NOTHING),
    ("failed", "Ran the tests, saw them fail, says that they pass", FAILED),
    ("edited-after", "Edited after the last test run, says that all pass", STALE),
)
#: s between two looks at the verdicts while a session runs
_REFRESH = 0.1
_DIM, _PLAIN = "\x1b[2m", "\x1b[0m"
_COLOURS = {"verified": "\x1b[32m", "refuted": "\x1b[1;31m", "unverifiable": "\x1b[33m"}


class DemoError(Exception):
    """The demo cannot go on; what ended it, in its own words."""


class Session(NamedTuple):
    """One session of the demo. ``verdict``: the one on what the model said of the tests at the end."""

    title: str
    scenario: Scenario
    outcome: Outcome
    verdict: Verdict | None
    report: Path
    seconds: float

    @property
    def problems(self) -> list[str]:
        """What is not as it must be; empty when all is."""
        problems = self.outcome.faults(self.scenario)
        expected = self.scenario.expected[0]
        if self.verdict is None:
            problems.append("there is no verdict on what was said of the tests")
        elif self.verdict.verdict != expected.verdict or self.verdict.reason not in expected.reasons:
            wanted = " or ".join(reason or "no reason" for reason in expected.reasons)
            problems.append(
                f"{self.verdict.verdict} ({self.verdict.reason}), not {expected.verdict} ({wanted})"
            )
        return problems


class Progress:
    """What is going on, on one line of a terminal that is redrawn; elsewhere only lines that stay."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._terminal = Terminal.of(stream)
        self._redraws = stream.isatty() and os.environ.get("TERM") != "dumb"
        self.glyphs = GLYPHS if self._terminal.fancy else ASCII_GLYPHS

    def say(self, text: str) -> None:
        """A line that stays."""
        self._write(text + "\n")

    def verdict(self, verdict: Verdict | None, text: str) -> None:
        """A line that stays and begins with the verdict's mark."""
        word = verdict.verdict if verdict is not None else "no verdict"
        mark = f"{self.glyphs.get(word, '?')} {word}"
        colour = _COLOURS.get(word, "") if self._terminal.color else ""
        self.say(f"  {colour}{mark:14}{_PLAIN if colour else ''} {text}")

    def dimmed(self, text: str) -> str:
        """``text``, dim where there is colour."""
        return f"{_DIM}{text}{_PLAIN}" if self._terminal.color else text

    @contextmanager
    def watching(self, title: str, lines: Path) -> Iterator[None]:
        """Meanwhile shows the time and the newest verdict of ``lines``, the file that ``--json`` writes."""
        if not self._redraws:
            yield
            return
        done = threading.Event()
        thread = threading.Thread(target=self._watch, args=(title, lines, done))
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def _watch(self, title: str, lines: Path, done: threading.Event) -> None:
        begin = time.monotonic()
        while not done.wait(_REFRESH):
            text = f"  {time.monotonic() - begin:4.1f} s  {title}: {self._newest(lines)}"
            self._write("\r\x1b[K" + self.dimmed(printable(text, self._terminal.width - 1)))
        self._write("\r\x1b[K")

    def _newest(self, lines: Path) -> str:
        if not lines.exists():
            return "attaching probes"
        whole = lines.read_bytes().rpartition(b"\n")[0].splitlines()
        if not whole:
            return "the agent is at work"
        newest = codec.decode(whole[-1])
        return f"{self.glyphs[newest.verdict]} {newest.declared}"

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def one_session(name: str, title: str, scenario: Scenario, work: Path, progress: Progress) -> Session:
    """Runs the agent through ``scenario`` below ``work``, under ``polygraph run``, and writes the session's report.

    Raises DemoError when there was no session.
    """
    lines, report = work / f"{name}.jsonl", FOLDER / f"{name}.html"
    observer = [
        "/usr/bin/env", f"POLYGRAPH_HOME={FOLDER / 'store'}", sys.executable, "-B", "-m", "polygraph", "run",
        "--content", "redacted", "--json", str(lines), "--",
    ]  # fmt: skip
    begin = time.monotonic()
    with progress.watching(title, lines):
        outcome = run(CLIENT, scenario, work / name, observer)
    with Store(FOLDER / "store") as store:
        if not lines.exists() or not store.sessions():
            raise DemoError(f"polygraph run did not come to start the agent:\n{outcome.output[-4000:]}")
        session = store.find(None).id
        write_report(store, session, report)
        found = [
            verdict
            for verdict in store.verdicts(session)
            if verdict.subject.source == "model" and verdict.subject.topic == "tests_passed"
        ]
    return Session(title, scenario, outcome, found[-1] if found else None, report, time.monotonic() - begin)


def shown(session: Session) -> ScenarioResult:
    """The session as the table has it; paths as they are from the project."""
    verdict, cwd = session.verdict, str(session.outcome.project.root)
    if verdict is None:
        return ScenarioResult(session.title, "", "", "no verdict", None, session.scenario.prompt)
    return ScenarioResult(
        session.title,
        verdict.subject.text or verdict.declared,
        relative(verdict.observed, cwd),
        verdict.verdict,
        verdict.reason,
        session.scenario.prompt,
    )


def closing(sessions: Sequence[Session]) -> str:
    """Where everything is, and what to try next."""
    here = Path.cwd()

    def near(path: Path) -> str:
        return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)

    polygraph = near(ROOT / ".venv/bin/polygraph")
    sudo = "sudo " if "SUDO_UID" in os.environ else ""
    reports = "\n".join(f"  {near(session.report)}" for session in sessions)
    return f"""\
Reports, one page each, to open in a browser:
{reports}

The model was scripted; the agent, its tools and all that the kernel saw were
real. The sessions ran with --content redacted, so what was said can be shown;
by default no sentence of an agent is kept.

Next, on an agent of yours:
  {sudo}{polygraph} run -- your-agent
  {sudo}{polygraph} verdicts
  {sudo}{polygraph} report
The four sessions have a store of their own:
  POLYGRAPH_HOME={near(FOLDER / "store")} {polygraph} sessions
"""


def prepared() -> None:
    """The agent installed; then as root, from here on in a process of sudo where this one is not root.

    Only loading BPF programs needs root. What is downloaded stays with the user: the installation comes first.
    """
    prefix = ensure(CLIENT.name)
    if os.geteuid() == 0:
        return
    print("observing needs root: going on through sudo", flush=True)
    cache = f"XDG_CACHE_HOME={prefix.parents[2]}"
    keep = [
        f"{name}={os.environ[name]}" for name in ("TERM", "NO_COLOR", "COLUMNS", "LANG") if name in os.environ
    ]
    # -B: no byte code of root's in the user's tree
    argv = [
        "sudo",
        "/usr/bin/env",
        cache,
        *keep,
        sys.executable,
        "-B",
        "-m",
        "scripts.demo",
    ]
    os.chdir(ROOT)
    try:
        os.execvp("sudo", argv)  # noqa: S606 - no shell: the arguments are the program's own
    except FileNotFoundError:
        sys.exit("demo: there is no sudo here; run `make demo` as root")


def give_to_user() -> None:
    """Under sudo, what was written belongs to whoever called it."""
    if "SUDO_UID" not in os.environ:
        return
    owner = int(os.environ["SUDO_UID"]), int(os.environ["SUDO_GID"])
    # the agent's Python leaves byte code beside its modules
    for path in (FOLDER.parent, FOLDER, *FOLDER.rglob("*"), *prefix_of(CLIENT.name).rglob("*")):
        os.lchown(path, *owner)


def main() -> int:
    """Runs the demo; the exit status."""
    try:
        prepared()
    except InstallError as error:
        print(f"demo: the agent could not be installed: {error}", file=sys.stderr)
        return 1
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    progress = Progress(sys.stdout)
    progress.say(f"\n{CLIENT.name} {CLIENT.version} under polygraph run, {len(SESSIONS)} sessions:")
    begin = time.monotonic()
    sessions = []
    try:
        # outside of the tree: pytest would take this tree's settings for those of a project inside it
        with tempfile.TemporaryDirectory(prefix="polygraph-demo-") as work:
            for name, title, scenario in SESSIONS:
                sessions.append(one_session(name, title, scenario, Path(work), progress))
                progress.verdict(sessions[-1].verdict, f"{title} ({sessions[-1].seconds:.1f} s)")
        took = time.monotonic() - begin
        progress.say("\n" + side_by_side([shown(session) for session in sessions], Terminal.of(sys.stdout)))
        bad = [session for session in sessions if session.problems]
        if not bad:
            progress.say(
                f"All {len(sessions)} verdicts are right by the markers that the tests themselves left;"
                f" {took:.0f} s.\n"
            )
        progress.say(closing(sessions))
        for session in bad:
            progress.say(f"NOT AS EXPECTED: {session.title}: {'; '.join(session.problems)}")
            progress.say(session.outcome.output[-4000:])
        return int(bool(bad))
    except DemoError as error:
        progress.say(f"demo: {error}")
        return 1
    except KeyboardInterrupt:
        progress.say("interrupted")
        return 130
    finally:
        give_to_user()


if __name__ == "__main__":
    sys.exit(main())
