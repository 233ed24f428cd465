"""One-line facts for evidence and sentences: kernel facts only, printable, short."""

from __future__ import annotations

import errno as errnos
import signal as signals

from correlator.programs import is_shell, program_name, script_of
from polygraph import events as e
from polygraph.text import printable
from polygraph.verdicts import Evidence

_LINE = 160


def command(image: e.Exec) -> str:
    """What ran, short. A shell's script text is left out: its programs follow."""
    if is_shell(image) and any(a.startswith("-") and "c" in a for a in image.argv[1:2]):
        return printable(f"{program_name(image)} -c …", 60)
    arguments = image.argv[1:]
    script = script_of(image)
    if script in arguments:  # the interpreter's own options are left out
        arguments = arguments[arguments.index(script) + 1 :]
    return printable(" ".join([program_name(image), *arguments]), 100)


def ran(image: e.Exec, exit_: e.Exit | None) -> str:
    """What ran, and how it ended."""
    return f"{command(image)} ran and {ending(exit_)}"


def says_none(claim: e.Claim) -> bool:
    """Whether a tool's result says that no test was run."""
    return claim.source == "tool_result" and claim.topic == "tests_run" and not claim.counts.get("passed", 1)


def ending(exit_: e.Exit | None) -> str:
    """How a process ended."""
    if exit_ is None:
        return "had not ended"
    if exit_.signal is not None:
        return f"was ended by {signal_name(exit_.signal)}"
    return f"exited with {exit_.status}"


def signal_name(number: int) -> str:
    """``SIGKILL`` for 9; ``signal 99`` for what has no name."""
    try:
        return signals.Signals(number).name
    except ValueError:
        return f"signal {number}"


def errno_name(number: int) -> str:
    """``ENOENT`` for 2."""
    return errnos.errorcode.get(number, f"errno {number}")


def fact(event: e.AnyEvent) -> Evidence:
    """The event as evidence."""
    return Evidence(id=event.id, ts=event.ts, fact=printable(_line(event), _LINE))


def _line(event: e.AnyEvent) -> str:  # noqa: PLR0911 - a sentence for each type of event
    match event:
        case e.Exec():
            return f"{_pid(event.process)} executed {command(event)}"
        case e.Delegated():
            return f"{_pid(event.process)} was started through {event.through} for {_pid(event.by)} ({event.evidence})"
        case e.ExecFailed():
            return f"{_pid(event.process)} could not execute {event.path}: {errno_name(event.errno)}"
        case e.Exit():
            return f"{_pid(event.process)} {ending(event)}"
        case e.Fork():
            return f"{_pid(event.process)} forked {_pid(event.child)}"
        case e.File():
            then = f" -> {event.new_path}" if event.new_path else ""
            failed = f": {errno_name(event.errno)}" if event.errno else ""
            return f"{_pid(event.process)} {event.op} {event.path}{then}{failed}"
        case e.FileState():
            what = f"{event.size} bytes" if event.exists else "does not exist"
            same = {True: ", content as declared", False: ", content not as declared", None: ""}[
                event.matches
            ]
            return f"{event.path}: {what}{same}"
        case e.Net():
            failed = f": {errno_name(event.errno)}" if event.errno else ""
            return f"{_pid(event.process)} {event.op} {event.address}:{event.port}{failed}"
        case e.Name():
            return f"{event.name} is {', '.join(event.addresses[:3]) or 'named to TLS'}"
        case e.Flow():
            where = f"{event.address}:{event.port}"
            return f"{_pid(event.process)} {where} sent {event.sent}, received {event.received}"
        case e.Reads():
            return f"{sum(1 for _ in event.openings())} files were opened for reading"
        case e.Wait():
            whom = f" for {_pid(event.on)}" if event.on else ""
            times = f", {event.count} times" if event.count > 1 else ""
            return f"{_pid(event.process)} waited{whom} ({event.kind}) for {event.total / 1e9:.3f} s{times}"
        case e.LlmCall():
            return f"{_pid(event.process)} completed a call of a model at {event.host}"
        case _:
            return event.__class__.__name__


def _pid(key: e.ProcessKey) -> str:
    return f"process {key.partition(':')[0]}"
