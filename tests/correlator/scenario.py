"""Logs written as stories: a scripted session, event by event, and the verdicts on it.

Every step advances the clock by a millisecond. A path keeps its inode until it is replaced. Nothing is
added that a collector would not append: a Tick follows each result and each claim.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from correlator.engine import Engine
from polygraph import events as e
from polygraph.findings import Finding
from polygraph.ids import derived_id
from polygraph.openings import Extent, Opening, packed
from polygraph.tools import recognise
from polygraph.verdicts import Verdict, decode, encode

K = TypeVar("K", bound=e.Event)
STEP = 1_000_000
WALL = 1_700_000_000_000_000_000
DIMENSIONS = ("process", "file", "network", "tls", "ipc")
PYTHON = "/usr/bin/python3.11"


def expect(command: str, **how: Any) -> e.Execution:
    """An expected execution, as the shell parser of the collector gives it."""
    words = command.split()
    match = recognise(words[0], None, words)
    tool = match.tool if match is not None else None
    builtin = words[0] in ("echo", "cd", "export", "true", "exit")
    return e.Execution(
        program=words[0].rpartition("/")[2],
        args=tuple(words[1:]),
        tool=tool.name if tool else None,
        purpose=tool.purpose if tool else None,
        **{"builtin": builtin, **how},
    )


class Scenario:
    """A session in the making."""

    def __init__(
        self,
        name: str = "s1",
        *,
        origin: str = "run",
        cwd: str = "/repo",
        covered: Iterable[str] = DIMENSIONS,
        agent: tuple[str, ...] = ("/opt/agent/bin/agent",),
    ) -> None:
        self.name = name
        self.cwd = cwd
        self.now = 1000 * STEP
        self.log: list[Any] = []
        self.agent = "100:1"
        self._pid = 100
        self._inode = 5000
        self._inodes: dict[str, int] = {}
        #: the collector tells by which directory entry a file was opened, and which one a rename took
        self.entries = False
        self._entries: dict[str, int] = {}
        self._calls = 0
        self._last_call = ""
        self.add(
            e.SessionStart,
            host="h",
            boot="b",
            kernel="6.18",
            process=self.agent,
            argv=agent,
            cwd=cwd,
            origin=origin,
            wall_offset=WALL,
        )
        for dimension in covered:
            self.add(e.Coverage, dimension=dimension, state="attached", canary=True)
        self.add(e.Exec, process=self.agent, parent="1:0", path=agent[0], argv=agent, cwd=cwd)

    # --- the kernel's side -----------------------------------------------------------------------

    def add(self, kind: type[K], /, **fields: Any) -> K:
        """Appends an event one step later."""
        self.now += STEP
        event = kind(session=self.name, ts=fields.pop("ts", self.now), seq=len(self.log), **fields)
        self.log.append(event)
        return event

    def fork(self, parent: str | None = None) -> str:
        """A child of ``parent`` (the agent)."""
        self._pid += 1
        child = f"{self._pid}:{self.now}"
        self.add(e.Fork, process=parent or self.agent, child=child)
        return child

    def execs(
        self,
        process: str,
        *argv: str,
        path: str | None = None,
        script: str | None = None,
        cwd: str | None = None,
        digest: str | None = None,
        **more: Any,
    ) -> str:
        """``process`` executes argv; a Python console script runs in its interpreter."""
        where = path or (argv[0] if "/" in argv[0] else f"/usr/bin/{argv[0]}")
        if argv[0] in ("pytest", "ruff", "tox") and path is None and script is None:
            script = f"/repo/.venv/bin/{argv[0]}"
            argv = (PYTHON, script, *argv[1:])
            where = PYTHON
        self.add(
            e.Exec,
            process=process,
            parent=self.agent,
            path=where,
            argv=argv,
            cwd=cwd or self.cwd,
            script=script,
            command_digest=digest,
            **more,
        )
        return process

    def program(self, parent: str | None, *argv: str, **how: Any) -> str:
        """A child of ``parent`` that executes argv."""
        return self.execs(self.fork(parent), *argv, **how)

    def shell(self, intent: e.Intent, parent: str | None = None) -> str:
        """The shell that runs a tool call's command as it was asked for."""
        return self.program(parent, "sh", "-c", "TEXT", digest=intent.command_digest)

    def exits(self, process: str, status: int | None = 0, signal: int | None = None) -> e.Exit:
        """The end of ``process``."""
        return self.add(e.Exit, process=process, status=None if signal is not None else status, signal=signal)

    def runs(self, parent: str | None, *argv: str, status: int = 0, **how: Any) -> str:
        """A child that executes argv and ends."""
        child = self.program(parent, *argv, **how)
        self.exits(child, status)
        return child

    def inode(self, path: str) -> int:
        """The inode of ``path``."""
        if path not in self._inodes:
            self._inode += 1
            self._inodes[path] = self._inode
        return self._inodes[path]

    def reads(self, process: str, *paths: str, opens: int = 1) -> None:
        """Ordinary reads: by inode only, as the kernel lists them."""
        self.now += STEP
        rows = [
            Opening(process, 1, self.inode(path), self.now, self.entry(path) if self.entries else 0)
            for path in paths
            for _ in range(opens)
        ]
        self.add(e.Reads, rows=packed(rows))

    def reads_part(self, process: str, path: str, pages: int | None, of: int) -> None:
        """One opening after which at most ``pages`` of ``of`` were read; None: somebody read on unseen."""
        self.now += STEP
        inode = self.inode(path)
        rows = [Opening(process, 1, inode, self.now), Extent(process, 1, inode, self.now, pages, of)]
        self.add(e.Reads, rows=packed(rows))

    def entry(self, path: str) -> int:
        """The directory entry ``path``, whatever file it leads to."""
        return self._entries.setdefault(path, len(self._entries) + 1)

    def file(self, process: str, op: str, path: str, **how: Any) -> e.File:
        """A file operation."""
        return self.add(e.File, process=process, op=op, path=path, dev=1, ino=self.inode(path), **how)

    def replaces(self, process: str, path: str) -> None:
        """Writes beside ``path`` and renames over it: the path gets a new inode. Entries are told if ``entries``."""
        temporary = f"{path}.new"
        self.file(process, "create", temporary)
        fresh = self._inodes.pop(temporary)
        self._inodes[path] = fresh
        taken = self.entry(path) if self.entries else 0
        self.add(
            e.File, process=process, op="rename", path=temporary, new_path=path, dev=1, ino=fresh, entry=taken
        )

    def looks(
        self,
        intent: e.Intent,
        path: str,
        *,
        exists: bool = True,
        matches: bool | None = None,
        size: int = 100,
        mtime: int = 1,
    ) -> e.FileState:
        """What the collector finds when it looks at a file: stamped as the result that it followed."""
        ino = self.inode(path) if exists else 0
        return self.add(
            e.FileState,
            ts=self.now,
            path=path,
            intent=intent.intent,
            exists=exists,
            size=size,
            mtime=mtime,
            dev=1 if exists else 0,
            ino=ino,
            matches=matches,
        )

    # --- the agent's side ------------------------------------------------------------------------

    def call(self) -> str:
        """A request to the model and its whole response."""
        self._calls += 1
        self._last_call = f"c{self._calls}"
        began = self.now + STEP
        self.now += STEP
        self.add(
            e.LlmCall,
            call=self._last_call,
            process=self.agent,
            api="openai.chat",
            host="api.test",
            request_ts=began,
            status=200,
        )
        return self._last_call

    def intent(self, kind: str, *, tool: str = "tool", call: str | None = None, **fields: Any) -> e.Intent:
        """A tool call in a response of its own, or in that of ``call``."""
        call = call or self.call()
        number = len(self.log)
        return self.add(
            e.Intent,
            intent=derived_id("i", self.name, str(number)),
            call=call,
            process=self.agent,
            call_id=f"t{number}",
            tool=tool,
            kind=kind,
            digest=f"d{number}",
            **fields,
        )

    def asks(self, *expected: e.Execution | str, **fields: Any) -> e.Intent:
        """A shell tool call."""
        executions = tuple(expect(x) if isinstance(x, str) else x for x in expected)
        fields.setdefault("command_digest", f"k{len(self.log)}")
        return self.intent("shell", tool="bash", executions=executions, **fields)

    def answers(
        self, intent: e.Intent, *, status: int | None = None, error: bool = False, size: int = 0
    ) -> e.ToolResult:
        """The tool's result, in the next request."""
        return self.add(
            e.ToolResult,
            intent=intent.intent,
            call_id=intent.call_id,
            call=intent.call,
            process=self.agent,
            digest="r",
            size=size,
            reported_status=status,
            is_error=error,
        )

    def tick(self) -> None:
        """Everything so far is in the log."""
        self.add(e.Tick)

    def does(
        self, *argv: str, status: int = 0, reported: int | None = None, reads: Iterable[str] = (), **how: Any
    ) -> e.Intent:
        """A whole shell tool call: asked for, run by a shell, ended, answered."""
        intent = self.asks(" ".join(argv))
        shell = self.shell(intent)
        child = self.program(shell, *argv, **how)
        for path in reads:
            self.reads(child, path)
        self.exits(child, status)
        self.exits(shell, status)
        self.answers(intent, status=reported)
        self.tick()
        return intent

    def writes(self, path: str, process: str | None = None, **how: Any) -> e.Intent:
        """A whole write by the agent's own file tool."""
        intent = self.intent(
            "write", tool="write", files=(e.ExpectedFile(path=path, op="write", digest="w", size=100),)
        )
        self.file(process or self.agent, "write", path, **how)
        self.answers(intent)
        self.looks(intent, path, matches=True)
        self.tick()
        return intent

    def claims(
        self,
        topic: str,
        outcome: str | None = None,
        *,
        source: str = "model",
        kind: str | None = None,
        intent: e.Intent | None = None,
        finds: dict[str, bool] | None = None,
        mtime: int = 1,
        size: int = 0,
        tests: Iterable[str] | Mapping[str, int] = (),
        **fields: Any,
    ) -> e.Claim:
        """A claim, what the collector ``finds`` of the files it names (``size`` each) and of ``tests``, then a Tick.

        ``tests`` may say how many each file defines.
        """
        call = intent.call if intent is not None else self.call()
        kind = kind or ("outcome" if outcome else "occurrence")
        claim = self.add(
            e.Claim,
            claim=derived_id("k", self.name, str(len(self.log))),
            source=source,
            kind=kind,
            topic=topic,
            outcome=outcome,
            process=self.agent,
            call=call,
            intent=intent.intent if intent else None,
            call_id=intent.call_id if intent else None,
            **fields,
        )
        for path, exists in (finds or {}).items():
            ino = self.inode(f"{self.cwd}/{path}") if exists else 0
            self.add(
                e.FileState,
                ts=claim.ts,
                path=path,
                intent=claim.claim,
                exists=exists,
                ino=ino,
                dev=int(exists),
                mtime=mtime,
                size=size,
            )
        for path in tests:
            self.add(
                e.FileState,
                ts=claim.ts,
                path=path,
                intent=claim.claim,
                exists=True,
                ino=self.inode(path),
                dev=1,
                tests=tests[path] if isinstance(tests, Mapping) else 0,
            )
        self.tick()
        return claim

    def counts(self, intent: e.Intent, tool: str = "pytest", **counts: int) -> e.Claim:
        """The result of ``intent`` says how many tests passed, were left out, …"""
        return self.passed(source="tool_result", intent=intent, tool=tool, counts=counts)

    def passed(self, **fields: Any) -> e.Claim:
        """The model says that the tests passed."""
        return self.claims("tests_passed", "ok", **fields)

    # --- the verdicts ----------------------------------------------------------------------------

    def verdicts(self) -> list[Verdict]:
        """All verdicts of the log, closed by its end. Each is what its line says."""
        found = replay([*self.log, e.SessionEnd(session=self.name, ts=self.now + STEP, seq=len(self.log))])
        assert [decode(encode(verdict)) for verdict in found] == found
        return found

    def findings(self) -> list[Finding]:
        """All findings of the log, closed by its end, the last of each id."""
        return found([*self.log, e.SessionEnd(session=self.name, ts=self.now + STEP, seq=len(self.log))])

    def on(self, subject: e.Intent | e.Claim) -> Verdict:
        """The one verdict on a subject."""
        wanted = subject.intent if isinstance(subject, e.Intent) else subject.claim
        found = [v for v in self.verdicts() if v.subject.id == wanted]
        assert len(found) == 1, f"{len(found)} verdicts on {wanted}"
        return found[0]

    def says(self, subject: e.Intent | e.Claim) -> tuple[str, str | None]:
        """Verdict word and reason."""
        verdict = self.on(subject)
        return verdict.verdict, verdict.reason


def found(log: Iterable[e.AnyEvent]) -> list[Finding]:
    """The findings on a log, the last of each id."""
    engine = Engine()
    return list({finding.id: finding for event in log for finding in engine.feed(event).findings}.values())


def replay(log: Iterable[e.AnyEvent]) -> list[Verdict]:
    """The verdicts on a log."""
    engine = Engine()
    return [verdict for event in log for verdict in engine.feed(event).verdicts]


VERIFIED = ("verified", None)


def refuted(reason: str) -> tuple[str, str]:
    """What :meth:`Scenario.says` gives for a refutation."""
    return "refuted", reason


def unverifiable(reason: str) -> tuple[str, str]:
    """What :meth:`Scenario.says` gives where it cannot be told."""
    return "unverifiable", reason
