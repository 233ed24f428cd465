"""Real sessions, end to end: a tiny agent under `polygraph run` does real work, and says what the case tells it to.

What is true is known from markers, files and exit statuses that the work left and this test checks; what polygraph
says of it is held against that.
"""

from __future__ import annotations

import http.server
import json
import os
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from polygraph import verdicts as codec
from polygraph.findings import Finding
from polygraph.log.store import Store
from polygraph.verdicts import Verdict
from tests.agents import pki
from tests.agents import project as projects
from tests.agents.endpoint import Endpoint
from tests.agents.script import Answer, Script, ToolCall
from tests.truth.cases import Case, Expected, Found, Turn, load

HERE = Path(__file__).parent
HONEST, LIES, EFFECTS = load("honest"), load("lies"), load("effects")
#: a session that goes on for longer hangs, s
PATIENCE = 60
#: sessions at once
SIDE_BY_SIDE = 2

pytestmark = pytest.mark.timeout(240)


@dataclass(frozen=True, repr=False)
class Seen:
    """What came of a case: what is wrong with the story itself, and the verdicts."""

    faults: list[str]
    verdicts: list[Verdict]
    findings: list[Finding]
    output: str

    def __repr__(self) -> str:
        lines = [
            f"{v.verdict:13} {v.reason or '':18} {v.subject.kind}: {v.declared!r} / {v.observed!r}"
            for v in self.verdicts
        ]
        lines += [f"{f.detector} {f.kind}: {f.summary}" for f in self.findings]
        return "\n".join([*self.faults, *lines, self.output[-2000:]])


class _Page(http.server.BaseHTTPRequestHandler):
    """A page that notes that it was asked for."""

    truth: Path

    def do_POST(self) -> None:
        """What is sent is kept: that it really went out is the truth."""
        sent = self.rfile.read(int(self.headers["content-length"]))
        (self.truth / "sent").write_bytes(sent)
        self.do_GET()

    def do_GET(self) -> None:
        (self.truth / "fetched").touch()
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Not printed."""


def filled(text: str, fill: dict[str, str]) -> str:
    """``text`` with what only the run knows."""
    for name, value in fill.items():
        text = text.replace(name, value)
    return text


def answer(turn: Turn, fill: dict[str, str]) -> Answer:
    """The turn as the model says it."""
    calls = [ToolCall("bash", {"command": filled(command, fill)}) for command in turn.run]
    calls += [
        ToolCall("write_file", {"path": path, "content": content}) for path, content in turn.write.items()
    ]
    if turn.edit is not None:
        path, old, new = turn.edit
        calls.append(ToolCall("edit_file", {"path": path, "old_string": old, "new_string": new}))
    calls += [ToolCall("read_file", {"path": path}) for path in turn.read]
    return Answer(filled(turn.say, fill), tuple(calls))


def play(case: Case, folder: Path, wire: str, level: str) -> Seen:
    """Runs the case in ``folder``; the level of content makes no difference to what is true."""
    project = projects.make(folder, broken=case.broken, slow=case.slow)
    pages = [
        http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Page", (_Page,), {"truth": project.truth}))
        for _ in range(2)
    ]
    certificates = pki.make(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.chain, certificates.key)
    pages[1].socket = context.wrap_socket(pages[1].socket, server_side=True, do_handshake_on_connect=False)
    serving = [threading.Thread(target=page.serve_forever, kwargs={"poll_interval": 0.05}) for page in pages]
    for thread in serving:
        thread.start()
    fill = {"@TRUTH@": str(project.truth), "@HOME@": str(project.home)}
    fill |= {"@PORT@": str(pages[0].server_port), "@TLS@": str(pages[1].server_port)}
    try:
        return _play(case, project, wire, level, fill)
    finally:
        (project.truth / "stop").touch()
        for page, thread in zip(pages, serving, strict=True):
            page.shutdown()
            thread.join()
            page.server_close()


def _play(case: Case, project: projects.Project, wire: str, level: str, fill: dict[str, str]) -> Seen:
    env = projects.environment(project.home)
    for name, content in case.files.items():
        path = project.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(filled(content, fill))
    for command in case.setup:
        subprocess.run(
            ["sh", "-c", filled(command, fill)], cwd=project.root, env=env, check=True, timeout=PATIENCE
        )
    lines = project.home / "verdicts.jsonl"
    observe = (
        sys.executable,
        "-m",
        "polygraph",
        "run",
        "--quiet",
        "--content",
        level,
        "--json",
        str(lines),
        "--",
    )
    agent = (sys.executable, str(HERE / "agent.py"))
    script = Script(tuple(answer(turn, fill) for turn in case.turn))
    with Endpoint(script) as endpoint:
        done = subprocess.run(
            [
                *observe,
                *agent,
                endpoint.url,
                str(endpoint.ca_file),
                wire,
                filled(json.dumps(case.faults), fill),
            ],
            cwd=project.root,
            env=env
            | {"POLYGRAPH_HOME": str(project.home / "store"), "PYTHONPATH": os.environ.get("PYTHONPATH", "")},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=PATIENCE,
            check=False,
        )
        finished = endpoint.finished
        if case.late:  # only now: nothing of what the agent said can be true yet
            (project.truth / projects.RELEASE).touch()
        deadline = time.monotonic() + PATIENCE
        while case.late and len(project.runs()) < len(case.tests) and time.monotonic() < deadline:
            time.sleep(0.05)
    faults = [] if finished and done.returncode == 0 else [f"exit status {done.returncode}, {finished=}"]
    if (ran := tuple(run.exit for run in project.runs())) != case.tests:
        faults.append(f"test sessions ended with {ran}, not {case.tests}")
    for proof in case.proof:
        proved = subprocess.run(
            ["sh", "-c", proof],
            cwd=project.root,
            env=env | {"TRUTH": str(project.truth)},
            check=False,
            capture_output=True,
            timeout=PATIENCE,
        )
        if proved.returncode:
            faults.append(f"not so: {proof}: {proved.stderr.decode()[-300:]}")
    found = lines.read_bytes().splitlines() if lines.exists() else []
    with Store(project.home / "store") as store:
        findings = list(store.findings())
    return Seen(
        faults, [codec.decode(line) for line in found], findings, done.stdout.decode(errors="replace")
    )


Results = dict[str, Future[Seen]]


@pytest.fixture(scope="module")
def results(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Results]:
    """Every selected case, two at a time: each in a project, a home and a store of its own."""
    selected = {
        item.callspec.params["name"]
        for item in request.session.items
        if item.path == request.path and hasattr(item, "callspec")
    }
    cases = {name: case for name, case in (HONEST | LIES | EFFECTS).items() if name in selected}
    pool = ThreadPoolExecutor(SIDE_BY_SIDE)
    wires, levels = ("chat", "messages"), ("metadata", "full")
    yield {
        name: pool.submit(
            play, case, tmp_path_factory.mktemp("truth"), wires[position % 2], levels[position // 2 % 2]
        )
        for position, (name, case) in enumerate(cases.items())
    }
    pool.shutdown(cancel_futures=True)


def matches(expected: Expected, verdict: Verdict) -> bool:
    """Whether the verdict is the expected one."""
    subject = verdict.subject
    if expected.topic is not None:
        meant = subject.topic == expected.topic and subject.source == expected.source
    else:
        meant = subject.kind == "intent" and subject.tool == expected.tool
    word = verdict.verdict == expected.verdict
    return meant and word and (verdict.reason in expected.reasons if expected.reasons else True)


@pytest.mark.parametrize("name", HONEST)
def test_the_honest_are_accused_of_nothing(name: str, results: Results) -> None:
    seen = results[name].result()
    assert not seen.faults, repr(seen)
    assert not [v for v in seen.verdicts if v.verdict == "refuted"], repr(seen)
    assert_found(HONEST[name], seen)
    for expected in HONEST[name].expect:
        assert any(matches(expected, verdict) for verdict in seen.verdicts), f"{expected}\n{seen!r}"


@pytest.mark.parametrize("name", LIES)
def test_the_lie_is_found_and_nothing_else_is_accused(name: str, results: Results) -> None:
    seen = results[name].result()
    assert not seen.faults, repr(seen)
    assert_found(LIES[name], seen)
    lies = LIES[name].expect
    for expected in lies:
        assert any(matches(expected, verdict) for verdict in seen.verdicts), f"{expected}\n{seen!r}"
    told = {expected.topic for expected in lies} - {None}
    for verdict in seen.verdicts:
        subject = verdict.subject
        if verdict.verdict == "refuted" and subject.topic not in told:
            assert any(matches(expected, verdict) for expected in lies), repr(seen)
        if verdict.verdict == "verified" and subject.source == "model":
            assert subject.topic not in told, repr(seen)


@pytest.mark.parametrize("name", EFFECTS)
def test_what_was_done_is_found_and_nothing_else_is(name: str, results: Results) -> None:
    seen = results[name].result()
    assert not seen.faults, repr(seen)
    assert not [v for v in seen.verdicts if v.verdict == "refuted"], repr(seen)
    assert_found(EFFECTS[name], seen)


def assert_found(case: Case, seen: Seen) -> None:
    """Each finding is expected, and each expected one is there."""
    left = list(seen.findings)
    for expected in case.find:
        hits = [finding for finding in left if is_found(expected, finding)]
        assert hits, f"{expected}\n{seen!r}"
        left.remove(hits[0])
    assert not left, repr(seen)


def is_found(expected: Found, finding: Finding) -> bool:
    """Whether the finding is the expected one."""
    steps = [step.what for step in finding.path]
    return (
        (finding.detector, finding.kind) == (expected.detector, expected.kind)
        and expected.says in finding.summary
        and (not expected.path or len(steps) == len(expected.path))
        and all(words in step for words, step in zip(expected.path, steps, strict=False))
    )


def test_no_name_is_used_twice() -> None:
    assert len({*HONEST, *LIES, *EFFECTS}) == len(HONEST) + len(LIES) + len(EFFECTS)
