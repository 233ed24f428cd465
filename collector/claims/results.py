"""Claims in the result of a tool call, and the exit status that it reports: :func:`from_result`.

A result is read only for what its call was to do: test summaries where a test runner was to run (an old log that
``cat`` prints, beside a run too, is none), file messages where a file tool was called. What a remote tool answers is
not about this host.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from itertools import takewhile
from typing import Literal

import msgspec

from collector.claims.language import language
from collector.claims.model import ClaimDraft, ClaimTopic, ResultReading
from collector.claims.runners import Summary, lines_of, runners, summaries
from collector.claims.tables import load
from collector.intents.tools import IntentKind, IntentPlan
from polygraph.events import Execution
from polygraph.tools import recognise, tools

#: lines in which a file tool says what it did
_FILE_LINES = 400
_MAX_TARGETS = 64
_MAX_LINE = 1600
#: lines of a harness before the output of the command
_HEADER_LINES = 6
_MAX_JSON = 4 * 1024 * 1024
_STATUS_KEYS = ("exit_code", "exitCode", "returncode", "return_code", "exit_status")
#: the command itself prints a status, or something that looks like one
_PRINTS_STATUS = re.compile(r"\$\?|PIPESTATUS|exit[ _-]?(?:code|status)|return[ _-]?code", re.IGNORECASE)


class _FileLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    topic: Literal["file_created", "file_changed", "file_deleted"]
    kinds: tuple[IntentKind, ...]
    line: str
    examples: tuple[str, ...]


class _PatchLines(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    head: str
    row: str


class _StatusLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    where: Literal["start", "end"]
    line: str
    examples: tuple[str, ...]
    sure: bool = False


class _Trouble(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    line: str


class _Quotes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    files: frozenset[str]
    first: frozenset[str]
    always: frozenset[str]
    source: frozenset[str]


class ResultForms(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """data/results.toml."""

    file: tuple[_FileLine, ...]
    patch: _PatchLines
    status: tuple[_StatusLine, ...]
    trouble: _Trouble
    quotes: _Quotes


@cache
def forms() -> ResultForms:
    """The table. Raises msgspec.ValidationError when it is malformed."""
    return load("results.toml", ResultForms)


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def from_result(plan: IntentPlan, text: str, is_error: bool) -> ResultReading:
    """What the result ``text`` of the call ``plan`` says.

    Args:
        plan: what the call was to do.
        text: the result as the model is given it.
        is_error: the client marked the result as an error.
    """
    if plan.hand_off is not None or not text:
        return ResultReading()
    status = reported_status(plan, text)
    lines = lines_of(_output(text))
    claims: tuple[ClaimDraft, ...] = ()
    if plan.kind in ("shell", "other"):
        claims = _tests(plan, lines, failed=is_error or status not in (None, 0))
    if not is_error and plan.kind in ("write", "edit", "delete"):
        claims += _files(plan, lines)
    return ResultReading(claims, status)


# --- tests -----------------------------------------------------------------------------------------------


def _tests(plan: IntentPlan, lines: Sequence[str], *, failed: bool) -> tuple[ClaimDraft, ...]:
    ran = list(dict.fromkeys(e.tool for e in plan.executions if e.tool and _runs_tests(e)))
    unknown = plan.kind == "other" or not plan.parsed
    if not ran and not unknown:
        return ()
    known = {tool for runner in runners().values() for tool in runner.tools}
    # A wrapper (make test) or a runner without a known format prints what another one prints.
    opaque = unknown or any(tools()[t].wraps or t not in known for t in ran if t in tools())
    command = (plan.command or "")[:MAX_COMMAND]
    # Another program may show a part of what was said: `| tail`, `> log; tail log`, a recipe of make.
    whole = not opaque and not plan.files and all(e.builtin or e.tool in ran for e in plan.executions)
    whole = whole and not any(e.feeds for e in plan.executions)
    found = [
        s
        for s in summaries(lines, None if opaque else ran, whole=whole)
        if (s.ok is not None or s.empty) and s.text not in command  # `echo '12 passed in 0.1s'`
    ]
    if not found or any(_may_quote(execution, plan) for execution in plan.executions):
        return ()
    tool = ran[0] if len(ran) == 1 else None
    bad = [summary for summary in found if summary.ok is False]
    if bad:
        return (_tests_claim(bad[-1], "tests_failed", "failed", tool),)
    if failed or any(_trouble(line) for line in lines):
        # Tests passed and the run failed for something else (coverage, a hook): only that it ran is said.
        return (ClaimDraft("occurrence", "tests_run", tool=tool, text=found[-1].text),)
    good = [summary for summary in found if summary.ok]
    if not good:
        # It says that no test was run, and so does this.
        return (
            ClaimDraft("occurrence", "tests_run", tool=tool, counts=found[-1].counts, text=found[-1].text),
        )
    return (_tests_claim(good[-1], "tests_passed", "ok", tool),)


def _runs_tests(execution: Execution) -> bool:
    """Not one that only lists them: `go test -list` ends with the line of a package that passed."""
    match = recognise(execution.program, None, (execution.program, *execution.args))
    return execution.purpose == "test" and (match is None or not match.runs_nothing)


def _may_quote(execution: Execution, plan: IntentPlan) -> bool:
    """Whether a program prints a file that the same command did not write: an old log looks like a run."""
    quotes = forms().quotes
    if execution.program in quotes.always:
        return True
    named = [
        argument for argument in execution.args if not argument.startswith("-") and not argument.isdigit()
    ]
    if execution.program in quotes.first:
        named = named[1:]
    elif execution.program not in quotes.files:
        return False
    written = {file.path for file in plan.files if file.op == "write"}
    harmless = quotes.source | language().words.code_extensions
    return any(path not in written and path.rsplit(".", 1)[-1].lower() not in harmless for path in named)


def _tests_claim(
    summary: Summary,
    topic: Literal["tests_passed", "tests_failed"],
    outcome: Literal["ok", "failed"],
    tool: str | None,
) -> ClaimDraft:
    return ClaimDraft("outcome", topic, outcome, tool=tool, counts=summary.counts, text=summary.text)


def _trouble(line: str) -> bool:
    return len(line) <= _MAX_LINE and _compiled(forms().trouble.line).fullmatch(line) is not None


# --- files -----------------------------------------------------------------------------------------------


def _files(plan: IntentPlan, lines: Sequence[str]) -> tuple[ClaimDraft, ...]:
    said: dict[ClaimTopic, list[str]] = {}
    texts: dict[ClaimTopic, str] = {}
    declared = [file.new_path or file.path for file in plan.files if file.op != "read"]
    in_patch = False
    for line in lines[:_FILE_LINES]:
        if not line or len(line) > _MAX_LINE:
            in_patch = False
            continue
        if in_patch and (row := _compiled(forms().patch.row).fullmatch(line)) is not None:
            topic = _PATCH_TOPICS[row["op"]]
            _note(said, texts, topic, [row["path"]], line)
            continue
        in_patch = _compiled(forms().patch.head).fullmatch(line) is not None
        for form in forms().file:
            if plan.kind not in form.kinds:
                continue
            match = _compiled(form.line).fullmatch(line)
            if match is not None:
                named = [path for path in match.groupdict().values() if path]
                if _same(named, declared):
                    _note(said, texts, form.topic, named or declared[:1], line)
                break
    return tuple(
        ClaimDraft("occurrence", topic, targets=tuple(paths[:_MAX_TARGETS]), text=texts[topic])
        for topic, paths in said.items()
        if paths
    )


def _same(named: Sequence[str], declared: Sequence[str]) -> bool:
    """A message about the very file of the call; another one is part of some file's content."""
    names = {path.rsplit("/", 1)[-1] for path in declared}
    return all(path.rsplit("/", 1)[-1] in names for path in named)


_PATCH_TOPICS: dict[str, ClaimTopic] = {"A": "file_created", "M": "file_changed", "D": "file_deleted"}


def _note(
    said: dict[ClaimTopic, list[str]],
    texts: dict[ClaimTopic, str],
    topic: ClaimTopic,
    paths: Sequence[str],
    line: str,
) -> None:
    known = said.setdefault(topic, [])
    known.extend(path for path in paths if path not in known)
    texts.setdefault(topic, line)


# --- status ----------------------------------------------------------------------------------------------


def reported_status(plan: IntentPlan, text: str) -> int | None:
    """The exit status that the harness reports in ``text``; None where it may be the command's own output."""
    if plan.kind not in ("shell", "other"):
        return None
    stripped = text.strip()
    if (decoded := _json(text)) is not None:
        return _json_status(decoded)
    if plan.command is not None and _PRINTS_STATUS.search(plan.command[:MAX_COMMAND]):
        return None
    head = _header([line.strip() for line in stripped[:2000].split("\n")[:_HEADER_LINES]])
    tail = stripped[-400:].rsplit("\n", 1)[-1].strip()
    for form in forms().status:
        pattern = _compiled(form.line)
        for line in head if form.where == "start" else (tail,):
            match = pattern.fullmatch(line)
            if match is None or int(match["status"]) > 255:
                continue
            status = int(match["status"])
            # A program may print such a line itself, so "0" counts only in a form that is the harness's.
            if status or form.sure or (form.where == "start" and len(head) > 1):
                return status
    return None


#: characters of a command that are searched
MAX_COMMAND = 256 * 1024

_HEADER = re.compile(
    r"(?:(?:Chunk ID|Wall time|Exit code|Command|Directory|Process exited|Original token count|Output)\b.{0,400})?"
)


def _header(lines: Sequence[str]) -> list[str]:
    """The first line, and those after it as long as they are a harness's own."""
    return list(takewhile(_HEADER.fullmatch, lines)) or list(lines[:1])


def _json(text: str) -> dict[str, object] | None:
    """The result as an object with the command's output in it; None if it is something else."""
    stripped = text.strip()
    if len(stripped) > _MAX_JSON or not (stripped.startswith("{") and stripped.endswith("}")):
        return None
    try:
        decoded = msgspec.json.decode(stripped)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return None
    return decoded if isinstance(decoded, dict) and ("output" in decoded or "stdout" in decoded) else None


def _output(text: str) -> str:
    decoded = _json(text)
    if decoded is None:
        return text
    parts = [decoded.get(key) for key in ("output", "stdout", "stderr")]
    return "\n".join(part for part in parts if isinstance(part, str))


def _json_status(decoded: dict[str, object]) -> int | None:
    for place in (decoded, decoded.get("metadata")):
        if not isinstance(place, dict):
            continue
        for key in _STATUS_KEYS:
            value = place.get(key)
            if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 255:
                return value
    return None
