"""Honest work in all the forms that agents and projects have for it: nobody who did it is accused.

The ways are data, honest_forms.toml: a command as an agent asks for it, and what the kernel saw of it. The claim that
follows may be verified or unverifiable; a wrong accusation costs more than a missed lie, so it is never refuted, also
after a change, or a failure, of a run in another form or the same; and nor is the tool call.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from collector.intents.tools import plan
from polygraph import events as e
from tests.correlator.scenario import PYTHON, WALL, Scenario

# --- stories -----------------------------------------------------------------------------------------------


class Process(NamedTuple):
    """One line of a story: how deep it is, what it executes (nothing: a fork), and its effects."""

    depth: int
    argv: tuple[str, ...]
    again: bool
    facts: tuple[tuple[str, ...], ...]


def _process(line: str) -> Process:
    said, _, effects = line.strip().partition(" -> ")
    depth = (len(line) - len(line.lstrip())) // 2
    again = said.startswith("= ")
    argv = () if said == "(fork)" else tuple(shlex.split(said.removeprefix("= ")))
    facts = tuple(tuple(fact.split()) for fact in effects.split(", ") if fact)
    return Process(depth, argv, again, facts)


def _story(way: str) -> tuple[str, list[Process]]:
    """The command, and its processes."""
    first, *rest = way.strip().splitlines()
    command = first.partition(" -> ")[0]
    if rest:
        return command, [_process(line) for line in rest]
    return command, [_process(first)]


def _absolute(path: str) -> str:
    return path if path.startswith("/") else f"/repo/{path.removeprefix('./')}"


def _make(s: Scenario, process: str, path: str) -> None:
    s.file(process, "create" if path not in s._inodes else "truncate", path)
    s.file(process, "write", path)


def _remove(s: Scenario, process: str, path: str) -> None:
    s.add(e.File, process=process, op="unlink", path=path)
    s._inodes.pop(path, None)


def _move(s: Scenario, process: str, old: str, new: str) -> None:
    ino = s.inode(old)
    s._inodes[new] = s._inodes.pop(old)
    s.add(e.File, process=process, op="rename", path=old, new_path=new, dev=1, ino=ino)


def _link(s: Scenario, process: str, old: str, new: str) -> None:
    s._inodes[new] = s.inode(old)
    s.add(e.File, process=process, op="link", path=old, new_path=new, dev=1, ino=s.inode(old))


def _symlink(s: Scenario, process: str, old: str, new: str) -> None:
    s.add(e.File, process=process, op="symlink", path=old, new_path=new)


def _connect(s: Scenario, process: str, host: str) -> None:
    s.add(e.Name, process=process, source="dns", name=host, addresses=("192.0.2.7",))
    net = {"family": "inet", "protocol": "tcp", "address": "192.0.2.7", "port": 443, "socket": s.now}
    s.add(e.Net, process=process, op="connect", **net)


def _listen(s: Scenario, process: str, port: str) -> None:
    net = {
        "family": "inet",
        "protocol": "tcp",
        "address": "127.0.0.1",
        "local_port": int(port),
        "socket": s.now,
    }
    s.add(e.Net, process=process, op="listen", **net)


#: effects of a process; `image`, `script`, `in` say what and where it executes, `exits` how it ends
_FACTS = {
    "reads": lambda s, p, *paths: s.reads(p, *map(_absolute, paths)),
    "writes": lambda s, p, *paths: [s.file(p, "write", _absolute(path)) for path in paths],
    "makes": lambda s, p, *paths: [_make(s, p, _absolute(path)) for path in paths],
    "replaces": lambda s, p, *paths: [s.replaces(p, _absolute(path)) for path in paths],
    "removes": lambda s, p, *paths: [_remove(s, p, _absolute(path)) for path in paths],
    "moves": lambda s, p, old, new: _move(s, p, _absolute(old), _absolute(new)),
    "links": lambda s, p, old, new: _link(s, p, _absolute(old), _absolute(new)),
    "symlinks": lambda s, p, old, new: _symlink(s, p, old, _absolute(new)),
    "connects": _connect,
    "listens": _listen,
}
_HOW = ("image", "script", "in", "exits", "lives")


def _execute(s: Scenario, process: str, one: Process) -> None:
    how = {fact[0]: fact[1] for fact in one.facts if fact[0] in ("image", "script", "in")}
    argv = one.argv
    if argv:
        name = argv[0]
        script = _absolute(how["script"]) if "script" in how else None
        image = how.get("image")
        if script is not None:  # `#!`; of Python if nothing else is said
            image = image or PYTHON
            argv = (image, name if "/" in name else script, *argv[1:])
        if image is None:
            image = _absolute(name) if "/" in name else f"/usr/bin/{name}"
        s.execs(process, *argv, path=image, script=script, cwd=how.get("in"))
    for verb, *words in one.facts:
        if verb not in _HOW:
            _FACTS[verb](s, process, *words)


def _status(one: Process, default: int) -> int:
    return next((int(fact[1]) for fact in one.facts if fact[0] == "exits"), default)


def does(s: Scenario, way: str, status: int = 0) -> e.Intent:
    """A whole tool call, as the agent asked for it and as the kernel saw it; ``status`` is that of its last program."""
    command, processes = _story(way)
    made = plan("bash", json.dumps({"command": command}))
    intent = s.intent(
        made.kind,
        tool="bash",
        executions=made.executions,
        files=tuple(e.ExpectedFile(path=f.path, op=f.op, new_path=f.new_path) for f in made.files),
        hosts=made.hosts,
        command_digest=f"k{len(s.log)}",
        parsed=made.parsed,
        hand_off=made.hand_off,
        background=made.background,
    )
    shell = s.program(None, "bash", "-c", "TEXT", path="/usr/bin/bash", digest=intent.command_digest)
    tops = [at for at, one in enumerate(processes) if one.depth == processes[0].depth and not one.again]
    in_place = len(tops) == 1 and processes[0].argv and "\n" not in way.strip()
    stack: list[tuple[int, str, int, bool]] = []

    def end_to(depth: int) -> None:
        while stack and stack[-1][0] >= depth:
            _, process, code, lives = stack.pop()
            if not lives:
                s.exits(process, code)

    for at, one in enumerate(processes):
        if one.again:
            _execute(s, stack[-1][1], one)
            continue
        end_to(one.depth)
        parent = stack[-1][1] if stack else shell
        process = shell if in_place else s.fork(parent)
        _execute(s, process, one)
        code = _status(one, status if at >= tops[-1] else 0)
        if not in_place:
            stack.append((one.depth, process, code, any(fact[0] == "lives" for fact in one.facts)))
    end_to(0)
    s.exits(shell, status)
    s.answers(intent, error=bool(status))
    s.tick()
    return intent


def accused(s: Scenario, claim: e.Claim) -> list[tuple[str, str | None, str]]:
    """What is refuted: the claim, or a tool call."""
    told = {v.subject.id: v for v in s.verdicts()}
    assert claim.claim in told
    return [(v.subject.kind, v.reason, v.observed) for v in told.values() if v.verdict == "refuted"]


# --- the table ---------------------------------------------------------------------------------------------


class Project(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How tests are run in it by a known runner, what is edited, and the test files that the collector finds."""

    known: str
    source: str
    tests: tuple[str, ...] = ()


class Claims(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Ways to do what one claim says. ``known``: a known one, which went well or failed before."""

    topic: str
    ways: tuple[str, ...]
    outcome: str | None = None
    kind: str | None = None
    targets: tuple[str, ...] = ()
    known: str | None = None
    source: str | None = None
    #: what the collector finds of the targets
    there: bool | None = None


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """honest_forms.toml."""

    projects: dict[str, Project]
    tests: dict[str, tuple[str, ...]]
    claims: tuple[Claims, ...] = ()


TABLE = msgspec.toml.decode(Path(__file__).with_name("honest_forms.toml").read_bytes(), type=Table)


def _before(s: Scenario, what: str, known: str, way: str, source: str | None) -> None:
    """What was before: nothing, or a run (a known one, or in this way) and then an edit."""
    if what == "nothing":
        return
    does(s, known if "known" in what else way, 1 if "failed" in what else 0)
    if source is not None:
        s.writes(f"/repo/{source}")


#: begins a way that nothing tells from one to use the program: after a run of the known runner it is no second one
PLAIN = "~ "

BEFORE = ("nothing", "known went well", "known failed", "it went well", "it failed")


def _cells(ways: Mapping[str, Sequence[str]]) -> list[Any]:
    return [
        pytest.param(name, way, id=f"{name}-{at}-{way.splitlines()[0].partition(' -> ')[0][:40]}")
        for name, rows in ways.items()
        for at, way in enumerate(rows)
    ]


@pytest.mark.parametrize(("name", "way"), _cells(TABLE.tests))
def test_who_ran_the_tests_and_says_so(name: str, way: str) -> None:
    project = TABLE.projects[name]
    tests = [f"/repo/{path}" for path in project.tests]
    for before in BEFORE:
        if way.startswith(PLAIN) and "known" in before:
            continue
        s = Scenario()
        _before(s, before, project.known, way.removeprefix(PLAIN), project.source)
        does(s, way.removeprefix(PLAIN))
        claim = s.claims("tests_passed", "ok", tests=tests, tells=("whole",))
        assert accused(s, claim) == [], before


def _by_topic() -> list[Any]:
    return [
        pytest.param(said, way, id=f"{said.topic}-{at}-{way.splitlines()[0].partition(' -> ')[0][:40]}")
        for said in TABLE.claims
        for at, way in enumerate(said.ways)
    ]


@pytest.mark.parametrize(("said", "way"), _by_topic())
def test_who_did_it_and_says_so(said: Claims, way: str) -> None:
    way, plain = way.removeprefix(PLAIN), way.startswith(PLAIN)
    for before in BEFORE if said.known is not None else BEFORE[:1]:
        if said.known is not None and plain and "known" in before:
            continue
        s = Scenario()
        for path in said.targets if said.there is not None else ():
            s.inode(f"/repo/{path}")
        _before(s, before, said.known or "", way, said.source)
        does(s, way)
        finds = dict.fromkeys(said.targets, said.there) if said.there is not None else None
        fields: dict[str, Any] = {"kind": said.kind, "finds": finds, "targets": said.targets}
        claim = s.claims(said.topic, said.outcome, mtime=WALL + s.now, **fields)
        assert accused(s, claim) == [], before
