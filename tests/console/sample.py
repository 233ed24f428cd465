"""A realistic session for the console's tests: an honest intent, lies of three kinds, and losses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from polygraph.events import (
    AnyEvent,
    BlindSpot,
    Claim,
    Coverage,
    Exec,
    ExecFailed,
    Execution,
    Exit,
    ExpectedFile,
    File,
    FileState,
    Flow,
    Fork,
    Intent,
    LlmCall,
    Loss,
    Name,
    Net,
    Reads,
    SessionEnd,
    SessionStart,
    Tick,
    ToolResult,
)
from polygraph.findings import Finding, Step
from polygraph.openings import Opening, packed
from polygraph.reasons import DIMENSIONS
from polygraph.verdicts import DimensionCoverage, Evidence, Subject, Verdict, Window

SESSION = "0123456789abcdef"
MS = 1_000_000
BASE = 81_234_000_000_000
ROOT = f"4242:{BASE}"


class Sample(NamedTuple):
    events: list[AnyEvent]
    verdicts: list[Verdict]
    findings: Sequence[Finding] = ()


class Builder:
    """Collects events and verdicts; ``at`` moves the clock in ms since the session's start."""

    def __init__(self, session: str = SESSION) -> None:
        self.session = session
        self.events: list[AnyEvent] = []
        self.verdicts: list[Verdict] = []
        self.ms = 0.0
        self.pid = 4243

    def at(self, ms: float) -> int:
        self.ms = ms
        return BASE + int(ms * MS)

    def add(self, event: AnyEvent) -> str:
        self.events.append(event)
        return event.id

    @property
    def _where(self) -> tuple[str, int]:
        return self.session, len(self.events)

    def start(self, argv: tuple[str, ...]) -> None:
        session, seq = self._where
        self.add(
            SessionStart(
                session=session,
                ts=self.at(0),
                seq=seq,
                host="build-7",
                boot="b1",
                kernel="6.18.5",
                process=ROOT,
                argv=argv,
                cwd="/home/ada/shop",
                origin="run",
                wall_offset=1_790_000_000_000_000_000 - BASE,
            )
        )
        dimension: Any
        for dimension in DIMENSIONS:
            session, seq = self._where
            blind = ("sendfile",) if dimension == "network" else ()
            state: Any = "not_requested" if dimension == "ipc" else "attached"
            self.add(
                Coverage(
                    session=session,
                    ts=self.at(0),
                    seq=seq,
                    dimension=dimension,
                    state=state,
                    canary=state == "attached",
                    blind=blind,
                )
            )
        self.exec(ROOT, "1:0", argv, self.ms + 1)

    def exec(
        self, process: str, parent: str, argv: tuple[str, ...], ms: float, path: str | None = None
    ) -> str:
        session, seq = self._where
        return self.add(
            Exec(
                session=session,
                ts=self.at(ms),
                seq=seq,
                process=process,
                parent=parent,
                path=path or f"/usr/bin/{argv[0].rsplit('/', 1)[-1] if argv else ''}",
                argv=argv,
                cwd="/home/ada/shop",
            )
        )

    def run(
        self,
        parent: str,
        argv: tuple[str, ...],
        start: float,
        end: float | None,
        status: int = 0,
        signal: int | None = None,
    ) -> tuple[str, str, str]:
        """Fork, exec and (unless ``end`` is None) exit; gives the process and the ids of exec and exit."""
        self.pid += 1
        child = f"{self.pid}:{self.at(start)}"
        session, seq = self._where
        self.add(Fork(session=session, ts=self.at(start), seq=seq, process=parent, child=child))
        began = self.exec(child, parent, argv, start + 0.4)
        if end is None:
            return child, began, began
        session, seq = self._where
        ended = Exit(
            session=session,
            ts=self.at(end),
            seq=seq,
            process=child,
            status=None if signal else status,
            signal=signal,
        )
        return child, began, self.add(ended)

    def file(
        self, process: str, op: Any, path: str, ms: float, errno: int = 0, sensitive: str | None = None
    ) -> str:
        session, seq = self._where
        return self.add(
            File(
                session=session,
                ts=self.at(ms),
                seq=seq,
                process=process,
                op=op,
                path=path,
                errno=errno,
                sensitive=sensitive,
                resolved=errno == 0,
            )
        )

    def call(self, number: int, request: float, response: float) -> str:
        session, seq = self._where
        call = f"call-{number}"
        self.add(
            LlmCall(
                session=session,
                ts=self.at(response),
                seq=seq,
                call=call,
                process=ROOT,
                api="anthropic.messages",
                host="api.anthropic.com",
                request_ts=self.at(request),
                status=200,
                streamed=True,
                model="claude-sonnet-4-5",
                response_id=f"msg_{number}",
                finish="tool_use",
                input_tokens=1200 + 400 * number,
                output_tokens=90,
                request_bytes=20_000,
                response_bytes=4_000,
            )
        )
        self.ms = response
        return call

    def intent(self, name: str, call: str, tool: str, kind: Any, ms: float, **more: Any) -> str:
        session, seq = self._where
        self.add(
            Intent(
                session=session,
                ts=self.at(ms),
                seq=seq,
                intent=name,
                call=call,
                process=ROOT,
                call_id=f"toolu_{name}",
                tool=tool,
                kind=kind,
                digest="d" * 32,
                **more,
            )
        )
        return name

    def result(self, intent: str, call: str, ms: float) -> None:
        session, seq = self._where
        self.add(
            ToolResult(
                session=session,
                ts=self.at(ms),
                seq=seq,
                intent=intent,
                call_id=f"toolu_{intent}",
                call=call,
                process=ROOT,
                digest="e" * 32,
                size=812,
            )
        )

    def claim(self, name: str, topic: Any, ms: float, intent: str | None = None, outcome: Any = "ok") -> str:
        session, seq = self._where
        self.add(
            Claim(
                session=session,
                ts=self.at(ms),
                seq=seq,
                claim=name,
                source="model",
                kind="outcome",
                topic=topic,
                outcome=outcome,
                process=ROOT,
                intent=intent,
            )
        )
        return name

    def judge(
        self,
        kind: Any,
        subject: str,
        verdict: Any,
        reason: str | None,
        declared: str,
        observed: str,
        evidence: tuple[tuple[str, str], ...] = (),
        window: tuple[float, float | None] = (0, None),
        lost: int = 0,
        tool: str | None = None,
        topic: str | None = None,
        grade: Any = "exact",
    ) -> Verdict:
        coverage = {
            d: DimensionCoverage(state="attached", canary=True, lost=lost if d == "file" else 0)
            for d in ("process", "file", "network", "tls")
        }
        made = Verdict(
            id=f"v{len(self.verdicts):04d}",
            session=self.session,
            ts=self.at(self.ms),
            subject=Subject(kind=kind, id=subject, tool=tool, topic=topic),
            verdict=verdict,
            reason=reason,
            grade=grade,
            declared=declared,
            observed=observed,
            evidence=tuple(Evidence(id=i, ts=self._ts(i), fact=fact) for i, fact in evidence),
            coverage=coverage,
            window=Window(
                open=BASE + int(window[0] * MS),
                close=None if window[1] is None else BASE + int(window[1] * MS),
            ),
            traceparent=None,
            rule="sample",
            version=1,
        )
        self.verdicts.append(made)
        return made

    def _ts(self, event: str) -> int:
        return self.events[int(event.rsplit("/", 1)[-1])].ts

    def done(self, ms: float) -> Sample:
        session, seq = self._where
        self.add(Tick(session=session, ts=self.at(ms), seq=seq))
        self.add(SessionEnd(session=session, ts=self.at(ms), seq=seq + 1))
        return Sample(self.events, self.verdicts)


def sample(session: str = SESSION) -> Sample:
    """An agent that edits honestly, then lies three times, on a host that lost some file records."""
    b = Builder(session)
    b.start(("python", "agent.py", "--task", "fix the basket total"))
    shell, _, _ = b.run(ROOT, ("git", "rev-parse", "--show-toplevel"), 120, 128)
    b.add(
        ExecFailed(
            session=session, ts=b.at(130), seq=len(b.events), process=ROOT, path="/usr/local/bin/rg", errno=2
        )
    )
    b.add(
        Name(
            session=session,
            ts=b.at(150),
            seq=len(b.events),
            process=ROOT,
            source="dns",
            name="api.anthropic.com",
            addresses=("203.0.113.7",),
        )
    )
    b.add(
        Net(
            session=session,
            ts=b.at(152),
            seq=len(b.events),
            process=ROOT,
            op="connect",
            family="inet",
            address="203.0.113.7",
            port=443,
            socket=77,
        )
    )
    b.file(ROOT, "read", "/home/ada/.netrc", 160, sensitive="netrc")

    c1 = b.call(1, 200, 1400)
    i1 = b.intent(
        "i1", c1, "Edit", "edit", 1400, files=(ExpectedFile(path="/home/ada/shop/basket.py", op="write"),)
    )
    wrote = b.file(ROOT, "write", "/home/ada/shop/basket.py", 1420)
    b.result(i1, "call-2", 1450)
    b.add(
        FileState(
            session=session,
            ts=b.at(1450),
            seq=len(b.events),
            path="/home/ada/shop/basket.py",
            intent=i1,
            exists=True,
            size=1812,
            matches=True,
        )
    )
    b.judge(
        "intent",
        i1,
        "verified",
        None,
        "Edit writes /home/ada/shop/basket.py",
        "python wrote /home/ada/shop/basket.py (1,812 bytes, content as declared)",
        ((wrote, "write /home/ada/shop/basket.py by python (4242)"),),
        (1400, 1450),
        tool="Edit",
    )

    c2 = b.call(2, 1450, 2700)
    i2 = b.intent(
        "i2",
        c2,
        "Bash",
        "shell",
        2700,
        executions=(Execution(program="pytest", args=("-q",), tool="pytest", purpose="tests", masked=True),),
    )
    shell, _, _ = b.run(ROOT, ("bash", "-lc", "uv run pytest -q | tee log.txt"), 2720, None)
    b.file(shell, "create", "/home/ada/shop/log.txt", 2724)
    tests, tests_exec, tests_exit = b.run(shell, ("python", "-m", "pytest", "-q"), 2740, 3600, status=1)
    _, _, tee_exit = b.run(shell, ("tee", "log.txt"), 2741, 3602)
    b.file(tests, "write", "/home/ada/shop/.pytest_cache/v/cache/lastfailed", 3580)
    b.add(
        Reads(
            session=session, ts=b.at(3590), seq=len(b.events), rows=packed([Opening(tests, 1, 2, b.at(3500))])
        )
    )
    b.add(Exit(session=session, ts=b.at(3610), seq=len(b.events), process=shell, status=0))
    b.result(i2, "call-3", 3650)
    b.judge(
        "intent",
        i2,
        "verified",
        None,
        "Bash runs pytest",
        "pytest ran and exited with 1",
        ((tests_exec, "exec python -m pytest -q"), (tests_exit, "pytest exited with 1")),
        (2700, 3650),
        tool="Bash",
    )

    c3 = b.call(3, 3650, 5100)
    k1 = b.claim("k1", "tests_passed", 5100, i2)
    b.judge(
        "claim",
        k1,
        "refuted",
        "masked_exit",
        "tests passed (14) with pytest",
        "pytest exited with 1; the pipeline into tee hid it",
        ((tests_exit, "pytest (python, 4246) exited with 1"), (tee_exit, "tee exited with 0")),
        (2700, 3650),
        topic="tests_passed",
        grade="strong",
    )
    i3 = b.intent(
        "i3", c3, "Bash", "shell", 5100, executions=(Execution(program="mypy", args=(".",), tool="mypy"),)
    )
    b.result(i3, "call-4", 5220)
    b.judge(
        "intent",
        i3,
        "refuted",
        "no_execution",
        "Bash runs mypy .",
        "no process was started in the window",
        (),
        (5100, 5220),
        tool="Bash",
    )
    k2 = b.claim("k2", "typecheck", 6300, i3)
    c4 = b.call(4, 5220, 6300)
    b.judge(
        "claim",
        k2,
        "refuted",
        "no_execution",
        "type check clean with mypy",
        "mypy was never executed",
        (),
        (5100, 5220),
        topic="typecheck",
    )
    i4 = b.intent(
        "i4", c4, "Write", "write", 6300, files=(ExpectedFile(path="/home/ada/shop/CHANGES.md", op="create"),)
    )
    b.result(i4, "call-5", 6380)
    b.judge(
        "intent",
        i4,
        "refuted",
        "not_written",
        "Write creates /home/ada/shop/CHANGES.md",
        "no process created or wrote it; it does not exist",
        (),
        (6300, 6380),
        tool="Write",
    )
    i5 = b.intent(
        "i5",
        c4,
        "Bash",
        "shell",
        6301,
        hand_off="docker",
        executions=(Execution(program="docker", args=("compose", "up", "-d")),),
    )
    up, up_exec, up_exit = b.run(ROOT, ("docker", "compose", "up", "-d"), 6320, 6900)
    b.add(
        Net(
            session=session,
            ts=b.at(6330),
            seq=len(b.events),
            process=up,
            op="connect",
            family="unix",
            protocol="unix",
            address="/run/docker.sock",
            socket=91,
        )
    )
    b.add(
        Flow(
            session=session,
            ts=b.at(6899),
            seq=len(b.events),
            process=up,
            socket=91,
            address="/run/docker.sock",
            port=0,
            family="unix",
            sent=4096,
            received=90_112,
            established=True,
            closed=True,
        )
    )
    b.add(
        Loss(
            session=session,
            ts=b.at(6700),
            seq=len(b.events),
            dimension="file",
            cause="ring_full",
            count=37,
            since=b.at(6600),
        )
    )
    b.add(
        BlindSpot(
            session=session, ts=b.at(6710), seq=len(b.events), dimension="file", name="io_uring", process=up
        )
    )
    b.result(i5, "call-5", 6950)
    c5 = b.call(5, 6950, 7900)
    k3 = b.claim("k3", "server_started", 7900, i5, None)
    b.judge(
        "claim",
        k3,
        "unverifiable",
        "handed_off",
        "server started with docker compose",
        "docker was executed and exited with 0; what it started is outside the lineage",
        ((up_exec, "exec docker compose up -d"), (up_exit, "docker exited with 0")),
        (6301, 6950),
        lost=37,
        topic="server_started",
        grade="strong",
    )
    b.run(ROOT, ("sleep", "600"), 7910, 7950, signal=15)
    b.add(Exit(session=session, ts=b.at(8000), seq=len(b.events), process=ROOT, status=0))
    assert c5 == "call-5"
    return b.done(8010)


def looped() -> Sample:
    """The same, and what detectors found of it: a loop, with its path and evidence."""
    made = sample()
    first, last = (
        event for event in made.events if isinstance(event, LlmCall) and event.call in ("call-1", "call-5")
    )
    ran = next(event for event in made.events if isinstance(event, Exec) and "pytest" in event.argv)
    finding = Finding(
        id="f0001",
        session=SESSION,
        ts=last.ts,
        detector="reasoning_loop",
        kind="same_call",
        summary="asked 5 times in a row for Bash in /home/ada/shop/tests; nothing of a new kind happened in between",
        evidence=(
            Evidence(id=first.id, ts=first.ts, fact="first call of the loop"),
            Evidence(id=ran.id, ts=ran.ts, fact="exec python -m pytest -q"),
        ),
        window=Window(open=first.request_ts, close=last.ts),
        path=(
            Step(ts=first.ts, what="first call: asks for Bash", id=first.id),
            Step(ts=ran.ts, what="python -m pytest -q ran", id=ran.id, grade="strong"),
            Step(ts=last.ts, what="call 5: asks for Bash", id=last.id, grade="exact"),
        ),
        figures={"calls": 5, "input_tokens": 12_000, "seconds": 7.7, "usd": 0.0425},
    )
    other = msgspec.structs.replace(
        finding,
        id="f0002",
        kind="of_a_newer_release",
        path=(),
        evidence=(),
        window=Window(open=first.ts, close=None),
    )
    return made._replace(findings=[finding, other])
