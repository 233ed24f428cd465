"""One session, executed for real under the collector: what was seen, what was said, what is true."""

from __future__ import annotations

import http.server
import json
import os
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from polygraph import events as codec
from polygraph.events import AnyEvent, Coverage
from polygraph.log.store import Store
from tests.agents.endpoint import Endpoint
from tests.agents.script import Answer, Script, ToolCall, Trouble
from tests.corpus import place, sight
from tests.corpus.expand import PORT, Session
from tests.corpus.labels import labels
from tests.corpus.marks import runs
from tests.corpus.reads import Reads
from tests.corpus.records import Call, Record, Said, Seen
from tests.corpus.schema import Turn

#: a session, or a command of its setup, that goes on for longer hangs, s
PATIENCE = 120


class _Page(http.server.BaseHTTPRequestHandler):
    """A page that notes that it was asked for; what is below /missing is not there."""

    def do_GET(self) -> None:
        (place.TRUTH_FOLDER / "fetched").touch()
        missing = self.path.startswith("/missing")
        text = b"not here\n" if missing else b"# Guide\n\nRead calc before you change it.\n"
        self.send_response(404 if missing else 200)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Not printed."""


@contextmanager
def _page() -> Iterator[None]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(PORT)), _Page)
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    serving.start()
    try:
        yield
    finally:
        server.shutdown()
        serving.join()
        server.server_close()


def _answer(turn: Turn) -> Answer:
    calls = [ToolCall("bash", {"command": command}) for command in turn.run]
    calls += [ToolCall("write_file", {"path": path, "content": text}) for path, text in turn.write.items()]
    calls += [
        ToolCall("edit_file", {"path": path, "old_string": old, "new_string": new})
        for path, old, new in turn.edit
    ]
    calls += [ToolCall("read_file", {"path": path}) for path in turn.read]
    calls += [ToolCall("task", {"prompt": prompt}) for prompt in turn.task]
    troubles = tuple(msgspec.convert(trouble, Trouble) for trouble in turn.troubles)
    return Answer(turn.say, tuple(calls), turn.release, troubles=troubles)


def _prepare(session: Session, env: dict[str, str]) -> None:
    """The project as it is before the agent comes. Raises subprocess.CalledProcessError."""
    written = time.time() - 3600  # an edit must not come in the very second of the file that it edits
    for name, text in session.files.items():
        path = place.PROJECT / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.removeprefix("\n"))
        if text.startswith("#!"):
            path.chmod(0o755)
        os.utime(path, (written, written))
    git = (
        "init -q -b main",
        "config user.name Dev",
        "config user.email dev@localhost",
        "add -A",
        "commit -qm Start",
    )
    for command in (*(f"git {words}" for words in git), *session.setup):
        subprocess.run(
            ["bash", "-c", command], cwd=place.PROJECT, env=env, check=True, timeout=PATIENCE,
            stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
        )  # fmt: skip


def _asked(requests: Sequence[Any]) -> dict[str, str]:
    """Tool call id -> its result, as the model was sent them."""
    found: dict[str, str] = {}
    for request in requests:
        for message in request.json.get("messages", ()):
            if message["role"] == "tool":
                found[message["tool_call_id"]] = message["content"]
            elif isinstance(message.get("content"), list):
                for block in message["content"]:
                    if block["type"] == "tool_result":
                        found[block["tool_use_id"]] = block["content"]
    return found


def transcript(session: Session, results: dict[str, str]) -> tuple[Said, ...]:
    """The model's answers with their calls, and the results by the calls' ids."""
    prefix = "call" if session.wire == "chat" else "toolu"
    found = []
    for number, turn in enumerate(session.turn):
        calls = []
        for position, call in enumerate(_answer(turn).calls):
            name = f"{prefix}_t{number}_{position}"
            assert isinstance(call.arguments, dict)
            calls.append(Call(name, call.name, call.arguments, results.get(name, "")))
        found.append(Said(turn.say, tuple(calls)))
    return tuple(found)


def _earlier(session: Session) -> tuple[Said, ...]:
    """As tests/truth/agent.py makes it up."""
    command = session.faults.get("earlier")
    if command is None:
        return ()
    return (Said("", (Call("call_before", "bash", {"command": command}, "exit code: 0"),)),)


def _not_so(session: Session, env: dict[str, str]) -> list[str]:
    """What the session's marks and files say against its story."""
    marks = place.TRUTH_FOLDER / "tests"
    went = runs(marks.read_text() if marks.exists() else "", session.tests)
    faults = []
    if session.runs is not None and went != session.runs:
        faults.append(f"the tests' runs went {went}, not {session.runs}")
    for proof in session.proof:
        proved = subprocess.run(
            ["bash", "-c", proof], cwd=place.PROJECT, env=env | {"TRUTH": str(place.TRUTH_FOLDER)}, check=False,
            capture_output=True, timeout=PATIENCE,
        )  # fmt: skip
        if proved.returncode:
            faults.append(f"not so: {proof}: {proved.stderr.decode()[-300:]}")
    if session.now is not None:
        marks.unlink(missing_ok=True)
        # Python would take a compiled file for that of a source which was edited twice in a second
        subprocess.run(
            ["bash", "-c", session.test],
            cwd=place.PROJECT,
            env=env | {"PYTHONPYCACHEPREFIX": str(place.HOME / ".fresh")},
            check=False,
            capture_output=True,
            timeout=PATIENCE,
        )
        again = runs(marks.read_text() if marks.exists() else "", session.tests)
        # a project that no longer compiles leaves no mark, or only that a run began, and fails
        now = again[-1] if again and again[-1] != "none" else "fail"
        if now != session.now:
            faults.append(f"the tests {now} now, not {session.now}")
    return faults


class _Done(NamedTuple):
    """A session that was observed: exit status, what was printed, and the collector's process."""

    status: int
    said: bytes
    collector: int


def _run(agent: Sequence[str], env: dict[str, str], store: Path) -> _Done:
    """The agent, started by the collector."""
    with subprocess.Popen(
        [*place.boot("run"), "--quiet", "--", *agent],
        cwd=place.PROJECT, env=env | {"POLYGRAPH_HOME": str(store)},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as collector:  # fmt: skip
        said, _ = collector.communicate(timeout=PATIENCE)
        return _Done(collector.returncode, said, collector.pid)


def _watch(agent: Sequence[str], env: dict[str, str], store: Path) -> _Done:
    """The agent, which is there before the collector and waits for its coming."""
    with (
        subprocess.Popen(
            ["sh", "-c", 'read -r line; exec "$@"', "sh", *agent],
            cwd=place.PROJECT, env=env, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
        ) as there,
        subprocess.Popen(
            [*place.boot("watch"), "--pid", str(there.pid)],
            env=env | {"POLYGRAPH_HOME": str(store)}, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
        ) as collector,
    ):  # fmt: skip
        assert collector.stderr is not None
        for line in collector.stderr:
            if b"watching" in line:
                break
        there.communicate(b"\n", timeout=PATIENCE)
        said = collector.stderr.read()  # it ends with its last session
        return _Done(there.returncode or collector.wait(PATIENCE), said, collector.pid)


def _note_reads(files: set[str]) -> None:
    """Leaves the project's files that were read in the folder of marks, each by its path in the project."""
    root = f"{place.PROJECT}/"
    lines = sorted(file.removeprefix(root) + "\n" for file in files if file.startswith(root))
    (place.TRUTH_FOLDER / "read").write_text("".join(lines))


def play(session: Session, folder: Path) -> Record | list[str]:
    """The record of the session, or what is not as it is told. Only in namespaces of its own (place.unshare).

    Raises subprocess.SubprocessError and OSError when the place or the project cannot be made.
    """
    place.enter(folder)
    env = place.environment(session.env)
    _prepare(session, env)
    store = folder / "store"
    store.mkdir(mode=0o700)
    (store / "key").write_bytes(place.KEY)
    seen: dict[int, Seen] = {}
    with (
        Reads(place.HOME) as reads,
        _page(),
        Endpoint(
            Script(tuple(map(_answer, session.turn))),
            release_folder=place.TRUTH_FOLDER,
            before=lambda turn: seen.update({turn: sight.files()}),
        ) as endpoint,
    ):
        authority = place.HOME / ".ca.pem"
        authority.write_bytes(endpoint.ca_file.read_bytes())
        agent = (
            place.PYTHON, "-I", "/opt/agent/agent.py",
            endpoint.url, str(authority), session.wire, json.dumps(session.faults),
        )  # fmt: skip
        done = {"run": _run, "watch": _watch}[session.observed](agent, env, store)
        results = _asked(endpoint.requests)
        served = endpoint.turns_served
        _note_reads(reads.files(but_by=(done.collector, os.getpid())))
    (place.TRUTH_FOLDER / "stop").touch()
    if served != len(session.turn) or done.status:
        printed = done.said.decode(errors="replace")[-2000:]
        return [f"{served} of {len(session.turn)} turns, exit status {done.status}: {printed}"]
    said = transcript(session, results)
    faults = _not_so(session, env) + _failed_steps(session, said)
    log = _log(store)
    found, unknown = labels(session, log)
    faults += unknown
    faults += sorted({one.detail for one in log if isinstance(one, Coverage) and one.state != "attached"})
    if faults:
        return faults
    return msgspec.structs.replace(
        record(session, said, log),
        labels=found,
        earlier=_earlier(session),
        seen=tuple(seen[turn] for turn in range(len(session.turn))),
    )


def record(session: Session, said: tuple[Said, ...], log: Iterable[AnyEvent]) -> Record:
    """Of a session in which that was said and this was seen, without its labels."""
    return Record(
        session=session.name,
        family=session.family,
        digest=session.digest,
        kit=session.kit,
        language=session.language,
        share=session.share,
        who=session.who,
        labels=(),
        faulty=session.faulty,
        output_lies=session.output_lies,
        transcript=said,
        log=tuple(msgspec.Raw(codec.encode(event)) for event in log),
    )


def _failed_steps(session: Session, transcript: Sequence[Said]) -> list[str]:
    """Steps are told as done, and are so if none of their commands fails."""
    return [
        f"a step failed: {call.input['command']}: {call.result[-300:]}"
        for said in transcript[: session.steps]
        for call in said.calls
        if call.tool == "bash" and not call.result.endswith("exit code: 0")
    ]


def _log(folder: Path) -> list[AnyEvent]:
    with Store(folder) as store:
        (row,) = store.sessions()
        return list(store.events(row.id))
